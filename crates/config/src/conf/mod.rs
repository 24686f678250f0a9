//! `shotgunEventDaemon.conf`: the file of the Python event daemon, read as that daemon reads it.
//!
//! It becomes the same tree as a `slated.toml`, and one set of rules reads both. `ini` has
//! the syntax, `value` what stands in it, `old` the sections of the Python daemon (by way of
//! `lookup`) and `ours` the `[slated]` ones, which that daemon does not look at. `migrate` writes
//! the `slated.toml` that means the same.

mod ini;
mod lookup;
mod migrate;
mod old;
mod ours;
#[cfg(test)]
pub(crate) mod tests;
mod value;

pub(crate) use migrate::migrate;
pub use migrate::{Migration, SecretFile};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::read::put;
use crate::section::{Reader, Wrong};
use crate::value::{Located, Table, Value};
use crate::{Config, Diagnostic, Diagnostics, Environment, Loaded, Origin, Override, Source};

/// What only a `shotgunEventDaemon.conf` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conf {
    /// `[daemon] eventIdFile`: where the Python daemon keeps its position. `None` only where
    /// `[slated]` names a state folder itself.
    pub id_file: Option<PathBuf>,
    /// `[daemon] pidFile`; without one there is nothing to stop a running daemon by.
    pub pid_file: Option<PathBuf>,
    /// Where the logs go.
    pub logs: ConfLogs,
}

/// The log files of the Python daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfLogs {
    /// `[daemon] logPath`: their folder. It is made where it is missing.
    pub folder: PathBuf,
    /// `[daemon] logFile`: the name of the main file in it.
    pub file: String,
    /// `[daemon] logMode`.
    pub mode: LogMode,
}

/// Into how many files the log is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogMode {
    /// 0: one file for everything.
    One,
    /// 1: a main file, and one for each plugin.
    PerPlugin,
}

/// Reads a `.conf`. Relative paths in the sections of the Python daemon start at `cwd`, those
/// in `[slated]` at the file's folder.
pub(crate) fn parse(
    source: &Source<'_>,
    cwd: &Path,
    env: &dyn Environment,
    overrides: &[Override],
) -> Result<Loaded, Diagnostics> {
    let path = Arc::from(source.path);
    let ini = ini::Ini::read(source.text).map_err(|faults| {
        let one = |fault: ini::Fault| {
            Diagnostic::new(&line(&path, fault.line), "", fault.kind.to_string())
        };
        Diagnostics(faults.into_iter().map(one).collect())
    })?;
    let mut map = Map {
        ini: &ini,
        env,
        path,
        cwd,
        tree: BTreeMap::new(),
        reader: Reader::new(source.base),
    };
    map.reader.unknown_is_a_notice = true;
    map.defaults(source.base);
    let conf = map.old_sections();
    map.own_sections();
    map.foreign_sections();
    let Map {
        tree, reader, path, ..
    } = map;
    let section = |(name, table)| {
        let origin = Origin::File {
            path: Arc::clone(&path),
            line: None,
        };
        (
            name,
            Located {
                value: Value::Table(table),
                origin,
            },
        )
    };
    let mut tree = tree.into_iter().map(section).collect();
    for one in overrides {
        put(&mut tree, one);
    }
    Config::finish(source, reader, &mut tree, Some(conf))
}

fn line(path: &Arc<Path>, line: u32) -> Origin {
    Origin::File {
        path: Arc::clone(path),
        line: Some(line),
    }
}

/// The way from the sections of a `.conf` to the tree of a `slated.toml`.
struct Map<'a> {
    ini: &'a ini::Ini,
    env: &'a dyn Environment,
    path: Arc<Path>,
    cwd: &'a Path,
    /// By section.
    tree: BTreeMap<String, Table>,
    reader: Reader,
}

/// A value that stands in the file.
struct Found {
    text: String,
    /// The variable that it is as a whole.
    variable: Option<String>,
    origin: Origin,
    /// Such as `[daemon] pidFile`.
    name: String,
}

impl Found {
    /// Returns the value for a key that takes a secret: a value that is one variable as a whole
    /// stays that variable's name.
    fn secret(&self) -> Value {
        match &self.variable {
            None => Value::Text(self.text.clone()),
            Some(name) => {
                let value = Value::Text(name.clone());
                let origin = self.origin.clone();
                let form = ("env".to_owned(), Located { value, origin });
                Value::Table(Table::from([form]))
            }
        }
    }
    fn located(&self, value: Value) -> Located {
        let origin = self.origin.clone();
        Located { value, origin }
    }
}

impl Map<'_> {
    fn error(&mut self, origin: &Origin, name: &str, wrong: Wrong) {
        let message = format!("`{name}` {}", wrong.message);
        let mut one = Diagnostic::new(origin, name, message);
        one.hint = wrong.hint;
        self.reader.errors.push(one);
    }
    fn warn(&mut self, origin: &Origin, name: &str, message: String, hint: Option<String>) {
        let mut one = Diagnostic::new(origin, name, message);
        one.hint = hint;
        self.reader.warnings.push(one);
    }
    /// Puts a value at `SECTION.KEY` of the tree.
    fn put(&mut self, key: &str, located: Located) {
        let (section, key) = key.split_once('.').unwrap_or(("", key));
        self.table(section).insert(key.to_owned(), located);
    }
    /// Puts a value of the old sections, and remembers its name there for errors.
    fn put_as(&mut self, key: &'static str, found: &Found, value: Value) {
        self.reader
            .written
            .insert(key.to_owned(), found.name.clone());
        self.put(key, found.located(value));
    }
    fn table(&mut self, section: &str) -> &mut Table {
        self.tree.entry(section.to_owned()).or_default()
    }
    /// Reads a value that stands in the file; what is wrong with it is reported.
    fn read(&mut self, section: &str, name: String, entry: &ini::Entry) -> Option<Found> {
        let origin = line(&self.path, entry.line);
        match value::expand(self.ini, self.env, section, &entry.raw) {
            Ok(value::Expanded { text, variable }) => Some(Found {
                text,
                variable,
                origin,
                name,
            }),
            Err(why) => {
                let wrong = Wrong::new(why.to_string()).hint(why.hint());
                self.error(&origin, &name, wrong);
                None
            }
        }
    }
}
