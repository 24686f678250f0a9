//! Asking a `.conf` for a key of the Python daemon: as text, number, flag or path.
//!
//! What is wrong with a value is reported here; whoever asks gets `None`.

use std::path::{Path, PathBuf};

use super::value::{boolean, int, is_blank};
use super::{Found, Map};
use crate::section::Wrong;
use crate::value::Value;
use crate::{Origin, kinds};

impl Map<'_> {
    /// Reads a key of the Python daemon; where it is missing and the environment has a variable
    /// of that name, says what the Python daemon takes for its value.
    pub(super) fn get(&mut self, section: &'static str, key: &'static str) -> Option<Found> {
        let name = format!("[{section}] {key}");
        if let Some(entry) = self.ini.get(section, &key.to_lowercase()) {
            return self.read(section, name, entry);
        }
        if self.ini.sections.contains_key(section)
            && let Some((variable, _)) = self.env.named(&key.to_lowercase()).pop()
        {
            let message =
                format!("the Python daemon takes `{name}` from ${variable} here; slated does not");
            let hint = format!("write `{key}: %({variable})s` under [{section}] if it is meant");
            let origin = Origin::file(&self.path);
            self.warn(&origin, &name, message, Some(hint));
        }
        None
    }
    /// Reads a key that must be there.
    pub(super) fn present(
        &mut self,
        section: &'static str,
        key: &'static str,
        example: &str,
    ) -> Option<Found> {
        let lower = key.to_lowercase();
        if self.ini.get(section, &lower).is_some() {
            return self.get(section, key);
        }
        let mut hint = format!("under [{section}]: `{key}: {example}`");
        if let Some((variable, _)) = self.env.named(&lower).pop() {
            hint = format!("the Python daemon takes ${variable}: `{key}: %({variable})s`");
        }
        let origin = Origin::file(&self.path);
        let wrong = Wrong::new("is missing").hint(hint);
        self.error(&origin, &format!("[{section}] {key}"), wrong);
        None
    }
    /// Reads a key that must be there and not be empty.
    pub(super) fn needed(
        &mut self,
        section: &'static str,
        key: &'static str,
        example: &str,
    ) -> Option<Found> {
        let found = self.present(section, key, example)?;
        if !is_blank(&found.text) {
            return Some(found);
        }
        let wrong = match &found.variable {
            Some(variable) => format!("is empty, as ${variable} is"),
            None => "must not be empty".into(),
        };
        self.error(&found.origin, &found.name, Wrong::new(wrong));
        None
    }
    pub(super) fn number(
        &mut self,
        section: &'static str,
        key: &'static str,
    ) -> Option<(Found, i64)> {
        let found = self.get(section, key)?;
        let number = int(&found.text);
        if number.is_none() {
            self.not(&found, "a whole number");
        }
        Some((found, number?))
    }
    pub(super) fn flag(
        &mut self,
        section: &'static str,
        key: &'static str,
    ) -> Option<(Found, bool)> {
        let found = self.get(section, key)?;
        let flag = boolean(&found.text);
        if flag.is_none() {
            self.not(&found, "one of 1, yes, true, on, 0, no, false, off");
        }
        Some((found, flag?))
    }
    pub(super) fn not(&mut self, found: &Found, accepted: &str) {
        let stands = Value::Text(found.text.clone());
        let mut wrong = Wrong::takes(accepted, &found.located(stands));
        if found.text.contains([';', '#']) {
            wrong = wrong.hint("a comment needs a line of its own");
        }
        self.error(&found.origin, &found.name, wrong);
    }
    /// Reads a path; an empty one is none.
    pub(super) fn path(
        &mut self,
        section: &'static str,
        key: &'static str,
    ) -> Option<(Found, PathBuf)> {
        let found = self.get(section, key)?;
        if is_blank(&found.text) {
            return None;
        }
        let path = self.place(&found, &found.text)?;
        Some((found, path))
    }
    /// Returns where a path leads: from the working directory of the process, as in the Python
    /// daemon.
    pub(super) fn place(&mut self, found: &Found, text: &str) -> Option<PathBuf> {
        if text.contains('\n') {
            let wrong =
                Wrong::new("holds a path of several lines").hint("put a comma between paths");
            self.error(&found.origin, &found.name, wrong);
            return None;
        }
        match kinds::path(&found.located(Value::Text(text.into())), self.cwd) {
            Ok(path) => {
                if Path::new(text).is_relative() {
                    let message = format!(
                        "`{}`: {text} is taken from where slated was started: {}",
                        found.name,
                        path.display()
                    );
                    let hint = "write the whole path: once in the background, the Python daemon takes it from /";
                    self.warn(&found.origin, &found.name, message, Some(hint.into()));
                }
                Some(path)
            }
            Err(wrong) => {
                self.error(&found.origin, &found.name, wrong);
                None
            }
        }
    }
}
