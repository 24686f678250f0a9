//! Names of plugins and callbacks that mean the same after a restart.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A plugin: its folder as configured, and the stem of its file.
///
/// Links in the folder are not resolved: studios flip a `current` link when they deploy,
/// and the plugins behind it stay the same plugins. Shown as `FOLDER/STEM`. Cloning shares
/// the text: every outcome carries one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginId {
    folder: Arc<str>,
    stem: Arc<str>,
}

/// A callback of a plugin: its name, and which one of that name it is (1 for the first).
///
/// The name is the function's, or the class's for instances; never an address. Shown as
/// `name` for the first of its name and `name#2` for the next. Cloning shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallbackId {
    name: Arc<str>,
    k: u32,
}

/// A text that is not the name of a plugin or callback.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}")]
pub struct ParseIdError {
    text: String,
    what: &'static str,
}

impl PluginId {
    /// Names the plugin `stem` of `folder`; trailing slashes of the folder do not count.
    pub fn new(folder: impl Into<String>, stem: impl Into<String>) -> Self {
        let mut folder = folder.into();
        while folder.len() > 1 && folder.ends_with('/') {
            folder.pop();
        }
        Self {
            folder: folder.into(),
            stem: stem.into().into(),
        }
    }
    /// Returns the folder as it is configured.
    pub fn folder(&self) -> &str {
        &self.folder
    }
    /// Returns the file name without `.py`.
    pub fn stem(&self) -> &str {
        &self.stem
    }
    /// Tells whether a person's `name` means this plugin: its stem, or `FOLDER/STEM`.
    pub fn answers_to(&self, name: &str) -> bool {
        name == &*self.stem || name.parse() == Ok(self.clone())
    }
}

impl CallbackId {
    /// Names the `k`-th callback called `name`, counted from 1.
    pub fn new(name: impl Into<String>, k: u32) -> Self {
        Self {
            name: name.into().into(),
            k: k.max(1),
        }
    }
    /// Names callbacks in the order of their registration, counting equal names.
    pub fn number<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let mut seen = std::collections::BTreeMap::<&str, u32>::new();
        let mut number = |name| {
            let k = seen.entry(name).or_default();
            *k += 1;
            Self::new(name, *k)
        };
        names.into_iter().map(&mut number).collect()
    }
    /// Returns the name alone.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Returns which one of its name it is, from 1.
    pub const fn k(&self) -> u32 {
        self.k
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.folder.ends_with('/') { "" } else { "/" };
        write!(f, "{}{slash}{}", self.folder, self.stem)
    }
}

impl FromStr for PluginId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        match text.rsplit_once('/') {
            Some(("", stem)) if !stem.is_empty() => Ok(Self::new("/", stem)),
            Some((folder, stem)) if !stem.is_empty() => Ok(Self::new(folder, stem)),
            _ => Err(ParseIdError {
                text: text.into(),
                what: "a plugin (FOLDER/STEM)",
            }),
        }
    }
}

impl fmt::Display for CallbackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.k {
            1 => f.write_str(&self.name),
            k => write!(f, "{}#{k}", self.name),
        }
    }
}

impl FromStr for CallbackId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if let Some((name, k)) = text.rsplit_once('#')
            && let Ok(k @ 2..) = k.parse()
            && !name.is_empty()
        {
            return Ok(Self::new(name, k));
        }
        if text.is_empty() {
            return Err(ParseIdError {
                text: text.into(),
                what: "a callback (NAME or NAME#2)",
            });
        }
        Ok(Self::new(text, 1))
    }
}

macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
as_text!(PluginId, CallbackId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_itself() {
        for id in [
            PluginId::new("plugins", "a b"),
            PluginId::new("/", "x"),
            PluginId::new("/p/q/", "s"),
        ] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for id in [
            CallbackId::new("f", 1),
            CallbackId::new("f", 2),
            CallbackId::new("<lambda>", 3),
        ] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert!("stem".parse::<PluginId>().is_err());
        assert!("".parse::<CallbackId>().is_err());
    }

    #[test]
    fn equal_names_are_counted_in_order() {
        let names: Vec<_> = CallbackId::number(["f", "g", "f"])
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["f", "g", "f#2"]);
    }

    #[test]
    fn a_person_may_say_the_stem_or_all_of_it() {
        let id = PluginId::new("/srv/plugins/", "notes");
        assert!(id.answers_to("notes") && id.answers_to("/srv/plugins/notes"));
        assert!(!id.answers_to("plugins/notes") && !id.answers_to("note"));
    }
}
