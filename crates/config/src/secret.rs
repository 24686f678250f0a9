//! Secrets: where they stand in the configuration, and how their value is fetched.
//!
//! A [`Secret`] only names its source until it is resolved, and the value is a
//! [`SecretString`] from then on: it is wiped from memory and has no way into a log.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use crate::section::Wrong;
use crate::value::{Located, Value};
use crate::{Diagnostic, Environment, Origin};

/// A secret as it is configured.
#[derive(Clone)]
pub struct Secret {
    form: Form,
    origin: Origin,
}

/// Where the value stands. No `Debug`: it may be the value.
#[derive(Clone)]
pub(crate) enum Form {
    Literal(SecretString),
    Env(String),
    File(PathBuf),
    Command(Vec<String>),
}

/// What resolving a secret brought.
pub struct Resolved {
    /// The value; never empty.
    pub value: SecretString,
    /// What a person should know about where it came from.
    pub warning: Option<Diagnostic>,
}

impl Secret {
    /// Makes a secret of its value.
    pub fn literal(value: impl Into<String>) -> Self {
        Self {
            form: Form::Literal(value.into().into()),
            origin: Origin::Default,
        }
    }
    /// Names the environment variable that holds it.
    pub fn variable(name: impl Into<String>) -> Self {
        Self {
            form: Form::Env(name.into()),
            origin: Origin::Default,
        }
    }
    /// Returns the environment variable that feeds it, which plugins must not see.
    pub fn variable_name(&self) -> Option<&str> {
        match &self.form {
            Form::Env(name) => Some(name),
            _ => None,
        }
    }
    /// Tells whether the value itself stands in the configuration.
    pub const fn is_literal(&self) -> bool {
        matches!(self.form, Form::Literal(_))
    }
    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }
    pub(crate) const fn form(&self) -> &Form {
        &self.form
    }
    pub(crate) fn exposed(&self) -> Option<&str> {
        match &self.form {
            Form::Literal(value) => Some(value.expose_secret()),
            _ => None,
        }
    }
    /// Fetches the value. `key` names it in errors, such as `site.key`.
    pub fn resolve(&self, key: &str, env: &dyn Environment) -> Result<Resolved, Diagnostic> {
        let fail = |message: String| Diagnostic::new(&self.origin, key, message);
        let mut warning = None;
        let value = match &self.form {
            Form::Literal(value) => value.clone(),
            Form::Env(name) => SecretString::from(env.variable(name).ok_or_else(|| {
                fail(format!("`{key}` is read from ${name}, which is not set")).hint(format!(
                    "set it, or name another source: {{ file = \"…\" }} or {{ command = [\"…\"] }} as `{key}`"
                ))
            })?),
            Form::File(path) => {
                let name = path.display();
                let text = env
                    .read(path)
                    .map_err(|e| fail(format!("`{key}` is read from {name}: {e}")))?;
                if env.mode(path).is_some_and(|mode| mode & 0o077 != 0) {
                    warning = Some(
                        fail(format!("`{key}` is read from {name}, which others may open"))
                            .hint(format!("chmod 600 {name}")),
                    );
                }
                trimmed(text)
            }
            Form::Command(command) => {
                let program = command.first().map_or("", String::as_str);
                trimmed(env.run(command).map_err(|e| {
                    fail(format!("`{key}` is printed by `{program}`, which failed: {e}"))
                        .hint("run the command by hand as the user slated runs as")
                })?)
            }
        };
        if value.expose_secret().is_empty() {
            return Err(fail(format!("`{key}` is empty")).hint(format!("it is {}", self.source())));
        }
        Ok(Resolved { value, warning })
    }
    /// Says where the value comes from, without it.
    pub fn source(&self) -> String {
        match &self.form {
            Form::Literal(_) => "written in the configuration".into(),
            Form::Env(name) => format!("read from ${name}"),
            Form::File(path) => format!("read from {}", path.display()),
            Form::Command(command) => {
                // Arguments may hold what is not for every eye.
                format!(
                    "printed by `{}`",
                    command.first().map_or("", String::as_str)
                )
            }
        }
    }
}

/// Takes off the line end that editors and programs put behind a secret.
fn trimmed(text: String) -> SecretString {
    let text = SecretString::from(text);
    SecretString::from(text.expose_secret().trim_end_matches(['\r', '\n']))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.source())
    }
}

impl PartialEq for Secret {
    /// Compares what is configured, not where it stands.
    fn eq(&self, other: &Self) -> bool {
        match (&self.form, &other.form) {
            (Form::Literal(a), Form::Literal(b)) => a.expose_secret() == b.expose_secret(),
            (Form::Env(a), Form::Env(b)) => a == b,
            (Form::File(a), Form::File(b)) => a == b,
            (Form::Command(a), Form::Command(b)) => a == b,
            _ => false,
        }
    }
}

const ACCEPTED: &str =
    "a string, { env = \"NAME\" }, { file = \"PATH\" } or { command = [\"PROGRAM\", …] }";

/// Reads a secret in any of its four forms; the empty string means unset.
pub(crate) fn secret_or_unset(located: &Located, base: &Path) -> Result<Option<Secret>, Wrong> {
    let origin = located.origin.clone();
    let form = match &located.value {
        Value::Text(text) | Value::Loose(text) if text.is_empty() => return Ok(None),
        Value::Text(text) | Value::Loose(text) => Form::Literal(text.clone().into()),
        Value::Table(table) => {
            let mut entries = table.iter();
            let (Some((form, value)), None) = (entries.next(), entries.next()) else {
                return Err(Wrong::new(format!("takes {ACCEPTED}: one of them")));
            };
            match (form.as_str(), &value.value) {
                ("env", Value::Text(name)) if !name.is_empty() => Form::Env(name.clone()),
                ("file", Value::Text(path)) if !path.is_empty() => Form::File(crate::kinds::path(
                    &Located {
                        value: Value::Text(path.clone()),
                        origin: origin.clone(),
                    },
                    base,
                )?),
                ("command", Value::List(_)) => {
                    let words = crate::kinds::list(crate::kinds::text)(value, base)?;
                    if words.first().is_none_or(String::is_empty) {
                        return Err(Wrong::new(format!(
                            "takes {ACCEPTED}: the command is empty"
                        )));
                    }
                    Form::Command(words)
                }
                _ => return Err(Wrong::takes_secret(ACCEPTED, located)),
            }
        }
        _ => return Err(Wrong::takes_secret(ACCEPTED, located)),
    };
    Ok(Some(Secret { form, origin }))
}

/// Reads a secret that must be there.
pub(crate) fn secret(located: &Located, base: &Path) -> Result<Secret, Wrong> {
    secret_or_unset(located, base)?.ok_or_else(|| Wrong::new("must not be empty"))
}
