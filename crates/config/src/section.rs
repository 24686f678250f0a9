//! Walks the tables of a configuration: each key is asked for by name, and what nobody
//! asked for is unknown. So the list of known keys cannot drift from what is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::value::{Located, Table};
use crate::{Diagnostic, Diagnostics, Origin};

/// A section nobody wrote.
pub(crate) static EMPTY: Table = Table::new();

/// Why a value is not what its key takes.
pub(crate) struct Wrong {
    /// Continues "`site.tick` ...".
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Where it stands, if not at the value itself.
    pub(crate) origin: Option<Origin>,
}

impl Wrong {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            origin: None,
        }
    }
    /// Says what the key takes, and what stands there.
    pub(crate) fn takes(accepted: &str, found: &Located) -> Self {
        Self::new(format!("takes {accepted}, not {}", found.value.shown()))
    }
    /// As [`Wrong::takes`], for values that are never shown.
    pub(crate) fn takes_secret(accepted: &str, found: &Located) -> Self {
        Self::new(format!("takes {accepted}, not {}", found.value.kind()))
    }
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// Gives a hint where there is none.
    pub(crate) fn or_hint(mut self, hint: &str) -> Self {
        self.hint.get_or_insert_with(|| hint.to_owned());
        self
    }
}

/// Gathers what reading a configuration brings to light.
#[derive(Default)]
pub(crate) struct Reader {
    /// What relative paths of the file are relative to.
    pub(crate) base: PathBuf,
    pub(crate) errors: Diagnostics,
    pub(crate) warnings: Diagnostics,
    /// Where each key's value came from.
    pub(crate) origins: BTreeMap<String, Origin>,
    /// How keys are called in the file, where that is not their name here.
    pub(crate) written: BTreeMap<String, String>,
    /// Whether an unknown key is only worth a notice.
    pub(crate) unknown_is_a_notice: bool,
    unknown: Vec<Unknown>,
}

struct Unknown {
    section: String,
    key: String,
    origin: Origin,
    /// The keys that the section has.
    known: Vec<&'static str>,
}

/// One table being read.
pub(crate) struct Section<'r, 't> {
    reader: &'r mut Reader,
    path: String,
    table: &'t Table,
    asked: Vec<&'static str>,
    /// An overriding section says nothing of keys it does not set.
    overriding: bool,
}

impl Reader {
    /// Makes a reader of a file whose relative paths are relative to `base`.
    pub(crate) fn new(base: &Path) -> Self {
        Self {
            base: base.into(),
            ..Self::default()
        }
    }
    /// Opens a section whose unset keys have their default.
    pub(crate) fn section<'r, 't>(&'r mut self, path: &str, table: &'t Table) -> Section<'r, 't> {
        Section {
            reader: self,
            path: path.into(),
            table,
            asked: Vec::new(),
            overriding: false,
        }
    }
    /// Opens a section that overrides another.
    pub(crate) fn overriding<'r, 't>(
        &'r mut self,
        path: &str,
        table: &'t Table,
    ) -> Section<'r, 't> {
        Section {
            overriding: true,
            ..self.section(path, table)
        }
    }
    /// Reports the unknown keys; called once, when every section was read.
    pub(crate) fn report_unknown(&mut self) {
        for unknown in std::mem::take(&mut self.unknown) {
            let key = join(&unknown.section, &unknown.key);
            let shown = self.written.get(&key).unwrap_or(&key);
            let mut one = Diagnostic::new(&unknown.origin, &key, format!("unknown key `{shown}`"));
            one.hint = match nearest(&unknown.key, unknown.known.iter().copied()) {
                Some(near) => Some(format!("did you mean `{near}`?")),
                None => self.elsewhere(&unknown.key),
            };
            if self.unknown_is_a_notice {
                self.warnings.push(one);
            } else {
                self.errors.push(one);
            }
        }
    }
    /// Finds a known key of that name in another section.
    fn elsewhere(&self, key: &str) -> Option<String> {
        let (known, _) = self.origins.iter().find(|(known, origin)| {
            let name = known.rsplit_once('.').map(|(_, name)| name);
            name == Some(key) && !known.contains('"') && (origin.is_default() || origin.is_file())
        })?;
        let (section, _) = known.rsplit_once('.')?;
        Some(format!("`{key}` stands in [{section}]"))
    }
}

impl<'t> Section<'_, 't> {
    /// Returns the path of a key of this section.
    pub(crate) fn key(&self, key: &str) -> String {
        join(&self.path, key)
    }
    /// Reads a key, if it is set, into `into`, which holds the default.
    pub(crate) fn take<T>(
        &mut self,
        key: &'static str,
        into: &mut T,
        read: impl FnOnce(&Located, &Path) -> Result<T, Wrong>,
    ) {
        let Some(located) = self.ask(key) else { return };
        match read(located, &self.reader.base) {
            Ok(value) => *into = value,
            Err(wrong) => self.wrong(key, &located.origin, wrong),
        }
    }
    /// Returns a key's value as it stands.
    pub(crate) fn ask(&mut self, key: &'static str) -> Option<&'t Located> {
        self.asked.push(key);
        let found = self.table.get(key);
        let path = join(&self.path, key);
        match found {
            Some(located) => {
                self.reader.origins.insert(path, located.origin.clone());
            }
            None if self.overriding => {}
            None => {
                self.reader.origins.insert(path, Origin::Default);
            }
        }
        found
    }
    /// Reports a value that its key does not take.
    pub(crate) fn wrong(&mut self, key: &str, origin: &Origin, wrong: Wrong) {
        let path = self.key(key);
        let origin = wrong.origin.as_ref().unwrap_or(origin);
        let shown = self.reader.written.get(&path).unwrap_or(&path);
        let mut one = Diagnostic::new(origin, &path, format!("`{shown}` {}", wrong.message));
        one.hint = wrong.hint;
        self.reader.errors.push(one);
    }
    /// Ends the section: keys nobody asked for are unknown.
    pub(crate) fn finish(self) {
        for (key, located) in self.table {
            if !self.asked.contains(&key.as_str()) {
                self.reader.unknown.push(Unknown {
                    section: self.path.clone(),
                    key: key.clone(),
                    origin: located.origin.clone(),
                    known: self.asked.clone(),
                });
            }
        }
    }
}

/// Joins a section and a key.
pub(crate) fn join(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.into()
    } else {
        format!("{section}.{key}")
    }
}

/// Returns the known word that was probably meant.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|k| (strsim::damerau_levenshtein(&word.to_lowercase(), k), k))
        .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
        .min()
        .map(|(_, k)| k)
}
