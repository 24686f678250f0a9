//! From what stands in a `.conf` to values: `%(NAME)s`, whole numbers, yes and no.
//!
//! The rules are those of CPython's `BasicInterpolation`, `int()` and `getboolean`. Errors
//! name keys and variables, and never show a value: it may be a secret.

use super::ini::{Ini, is_space, strip};
use crate::Environment;

/// How often a value may lead to another; CPython's number.
const DEPTH: usize = 10;
/// How many characters and names may be gone through for one value. Python has no bound here, and
/// ten levels of many names each take it years.
const WORK: usize = 1 << 20;

/// A value with everything put in.
pub(crate) struct Expanded {
    pub(crate) text: String,
    /// The variable of the environment that the value is as a whole.
    pub(crate) variable: Option<String>,
}

/// Why a value cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("has a `%` that stands for nothing{}", of(.variable.as_deref()))]
    Percent { variable: Option<String> },
    #[error(
        "takes in `%({name})s`, which is no key of its section or of [DEFAULT], and no environment variable"
    )]
    Missing { name: String },
    #[error("takes in `%({name})s`, and the environment has more than one of that name: {list}")]
    Several { name: String, list: String },
    #[error("takes in values that take in values, more than {DEPTH} deep")]
    Depth,
    #[error("takes in too many values")]
    Work,
}

fn of(variable: Option<&str>) -> String {
    variable.map_or_else(String::new, |name| format!(", in ${name}"))
}

impl Unreadable {
    /// Says what to do about it.
    pub(crate) const fn hint(&self) -> &'static str {
        match self {
            Self::Percent { .. } => "write `%%` for a percent sign",
            Self::Missing { .. } => "set the variable for slated, or write the value",
            Self::Several { .. } => "write the one that is meant in its own case",
            Self::Depth | Self::Work => "write the value itself",
        }
    }
}

/// Reads the value `raw` of a key in `section`.
pub(crate) fn expand(
    ini: &Ini,
    env: &dyn Environment,
    section: &str,
    raw: &str,
) -> Result<Expanded, Unreadable> {
    let mut one = Expansion {
        ini,
        env,
        section,
        text: String::new(),
        work: 0,
    };
    one.put(raw, None, 1)?;
    // Only what stands for one variable alone can be fetched anew from there.
    let variable = reference(raw)
        .filter(|(_, rest)| rest.is_empty())
        .and_then(|(name, _)| one.find(name).ok()?.variable)
        .filter(|name| env.variable(name).as_deref() == Some(one.text.as_str()));
    let text = one.text;
    Ok(Expanded { text, variable })
}

struct Expansion<'a> {
    ini: &'a Ini,
    env: &'a dyn Environment,
    section: &'a str,
    text: String,
    work: usize,
}

/// What a name stands for.
struct Meant {
    value: String,
    variable: Option<String>,
}

impl Expansion<'_> {
    fn put(&mut self, raw: &str, variable: Option<&str>, depth: usize) -> Result<(), Unreadable> {
        if depth > DEPTH {
            return Err(Unreadable::Depth);
        }
        let mut rest = raw;
        while let Some((plain, from)) = rest.split_once('%') {
            self.push(plain)?;
            if let Some(behind) = from.strip_prefix('%') {
                self.push("%")?;
                rest = behind;
                continue;
            }
            let Some((name, behind)) = name_in(from) else {
                let variable = variable.map(ToOwned::to_owned);
                return Err(Unreadable::Percent { variable });
            };
            rest = behind;
            let meant = self.find(name)?;
            if meant.value.contains('%') {
                self.put(&meant.value, meant.variable.as_deref(), depth + 1)?;
            } else {
                self.push(&meant.value)?;
            }
        }
        self.push(rest)
    }
    fn push(&mut self, text: &str) -> Result<(), Unreadable> {
        self.work += text.len() + 1;
        if self.work > WORK {
            return Err(Unreadable::Work);
        }
        self.text.push_str(text);
        Ok(())
    }
    fn find(&self, name: &str) -> Result<Meant, Unreadable> {
        let key = name.to_lowercase();
        if let Some(entry) = self.ini.get(self.section, &key) {
            let value = entry.raw.clone();
            let variable = None;
            return Ok(Meant { value, variable });
        }
        let mut variables = self.env.named(&key);
        let exact = variables.iter().position(|(own, _)| own == name);
        let at = match (exact, variables.len()) {
            (Some(at), _) => at,
            (None, 1) => 0,
            (None, 0) => return Err(Unreadable::Missing { name: name.into() }),
            (None, _) => {
                let list: Vec<_> = variables.iter().map(|(own, _)| format!("${own}")).collect();
                return Err(Unreadable::Several {
                    name: name.into(),
                    list: list.join(", "),
                });
            }
        };
        let (own, value) = variables.swap_remove(at);
        let variable = Some(own);
        Ok(Meant { value, variable })
    }
}

/// Splits `%(NAME)sREST`.
fn reference(text: &str) -> Option<(&str, &str)> {
    name_in(text.strip_prefix('%')?)
}

/// Splits `(NAME)sREST`.
fn name_in(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('(')?.split_once(')')?;
    let rest = rest.strip_prefix('s')?;
    (!name.is_empty()).then_some((name, rest))
}

/// Reads a whole number as Python's `int()` does, from ASCII digits: `1_000`, ` +5 `.
pub(crate) fn int(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let between = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits.split('_').all(between) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// Reads yes and no as `getboolean` does.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Some(true),
        "0" | "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// Splits a list at commas, as the Python daemon does; white space around an element does
/// not count.
pub(crate) fn elements(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(strip)
}

/// Tells whether a value is nothing but white space.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}
