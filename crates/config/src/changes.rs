//! What an edit of a configuration changed, key by key, without keeping the values.
//!
//! Invariant: of a value stays a number that tells whether it is another one, so that no secret
//! stands in a second place.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher};

use crate::read::{Overrides, named};
use crate::section::join;
use crate::value::{Table, Value};
use crate::{Config, Folder, Origin};

/// One number per key that is set.
pub(crate) type Marks = BTreeMap<String, u64>;

/// Marks the keys of the sections that stand in a tree once; those of folders and plugins are
/// marked by [`mark_overrides`].
pub(crate) fn mark_sections(tree: &Table) -> Marks {
    let mut marks = Marks::new();
    for (section, located) in tree {
        if let Value::Table(table) = &located.value
            && !matches!(section.as_str(), "folder" | "plugin")
        {
            mark(&mut marks, section, table);
        }
    }
    marks
}

/// Marks what holds for single folders and plugins, wherever it is written, and the folders.
pub(crate) fn mark_overrides(marks: &mut Marks, overrides: &Overrides, folders: &[Folder]) {
    let kinds = [("folder", &overrides.folder), ("plugin", &overrides.plugin)];
    for (kind, tables) in kinds {
        for (name, table) in tables {
            mark(marks, &named(kind, name), table);
        }
    }
    // The keys that a folder brings along are marked as its own.
    if let Some(own) = marks.get_mut("plugins.folders") {
        let mut hasher = DefaultHasher::new();
        for folder in folders {
            (&folder.name, &folder.path).hash(&mut hasher);
        }
        *own = hasher.finish();
    }
}

fn mark(marks: &mut Marks, path: &str, table: &Table) {
    for (key, located) in table {
        let mut hasher = DefaultHasher::new();
        feed(&mut hasher, &located.value);
        marks.insert(join(path, key), hasher.finish());
    }
}

fn feed(hasher: &mut DefaultHasher, value: &Value) {
    match value {
        Value::Text(text) | Value::Loose(text) | Value::Other(text) => text.hash(hasher),
        Value::Place { path, .. } => path.hash(hasher),
        Value::Integer(number) => number.hash(hasher),
        Value::Boolean(flag) => flag.hash(hasher),
        Value::List(list) => {
            list.len().hash(hasher);
            for one in list {
                feed(hasher, &one.value);
            }
        }
        Value::Table(table) => {
            table.len().hash(hasher);
            for (key, one) in table {
                key.hash(hasher);
                feed(hasher, &one.value);
            }
        }
    }
}

impl Config {
    /// Tells whether a key is set.
    pub fn sets(&self, key: &str) -> bool {
        self.marks.contains_key(key)
    }

    /// Returns the keys whose values are others in `newer`, with where they stand there; for one
    /// that is no longer set, where it stood. A secret that is fetched from elsewhere counts as the
    /// same as long as it is fetched from the same place.
    pub fn changed<'a>(&'a self, newer: &'a Self) -> Vec<(&'a str, Origin)> {
        let both: BTreeSet<&str> = self
            .marks
            .keys()
            .chain(newer.marks.keys())
            .map(String::as_str)
            .collect();
        let mut changed = Vec::new();
        for key in both {
            let (old, new) = (self.marks.get(key), newer.marks.get(key));
            if old != new {
                let there = if new.is_some() { newer } else { self };
                changed.push((key, there.origin(key)));
            }
        }
        changed
    }
}
