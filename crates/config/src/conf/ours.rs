//! `[slated]` and `[slated plugin NAME]`: what a `slated.toml` says, in a file that the Python
//! daemon can still read.
//!
//! A value is written as in a `slated.toml`, or plainly: text without quotes, lists with
//! commas.

use std::path::Path;

use super::{Found, Map, ini, line};
use crate::Origin;
use crate::read::{named, read};
use crate::section::{Reader, Wrong, join, nearest};
use crate::value::{Located, Table, Value, from_toml};

/// The tables whose keys `[slated]` takes.
const TABLES: [&str; 6] = ["state", "plugins", "defaults", "alerts", "control", "web"];
const PLUGIN: &str = "slated plugin ";

/// Tells whether a section is one of these.
pub(super) fn is_ours(name: &str) -> bool {
    name == "slated" || plugin(name).is_some()
}

/// Returns the NAME of `[slated plugin NAME]`.
fn plugin(section: &str) -> Option<&str> {
    let name = section.strip_prefix(PLUGIN)?.trim();
    (!name.is_empty()).then_some(name)
}

impl Map<'_> {
    /// Reads the sections.
    pub(super) fn own_sections(&mut self) {
        let known = known();
        for (name, section) in &self.ini.sections {
            if name == "slated" {
                for (key, entry) in &section.entries {
                    self.own(&known, key, entry);
                }
            } else if let Some(plugin) = plugin(name) {
                let mut table = Table::new();
                for (key, entry) in &section.entries {
                    let key = key.strip_prefix("defaults.").unwrap_or(key);
                    let shown = format!("[{name}] {key}");
                    let Some(found) = self.read(name, shown.clone(), entry) else {
                        continue;
                    };
                    let path = join(&named("plugin", plugin), key);
                    self.reader.written.insert(path, shown);
                    if let Some(located) = self.value(&found, false) {
                        table.insert(key.to_owned(), located);
                    }
                }
                let located = Located {
                    value: Value::Table(table),
                    origin: line(&self.path, section.line),
                };
                self.table("plugin").insert(plugin.to_owned(), located);
            }
        }
    }

    fn own(&mut self, known: &[String], key: &str, entry: &ini::Entry) {
        let shown = format!("[slated] {key}");
        let is_it = |known: &&String| {
            let bare = known.split_once('.').map(|(_, bare)| bare);
            *known == key || bare == Some(key)
        };
        let origin = line(&self.path, entry.line);
        let Some(path) = known.iter().find(is_it) else {
            let bare = known
                .iter()
                .filter_map(|known| Some(known.split_once('.')?.1));
            let names = known.iter().map(String::as_str).chain(bare);
            let hint = nearest(key, names).map(|near| format!("did you mean `{near}`?"));
            let message = format!("`{shown}` means nothing to slated");
            return self.warn(&origin, &shown, message, hint);
        };
        let Some(found) = self.read("slated", shown, entry) else {
            return;
        };
        let is_secret = matches!(path.as_str(), "alerts.webhook" | "web.token");
        let Some(located) = self.value(&found, is_secret) else {
            return;
        };
        let (section, bare) = path.split_once('.').unwrap_or(("", path));
        let before = self.table(section).get(bare).map(|one| one.origin.clone());
        if let Some(before) = before.filter(|origin| !origin.is_default()) {
            let name = self.reader.written.get(path);
            let name = name.unwrap_or(path).clone();
            if name.starts_with("[slated]") {
                let wrong = Wrong::new(format!("is also set at {before}, as `{name}`"));
                return self.error(&origin, &found.name, wrong);
            }
            // The state beside `eventIdFile` is only what holds where nothing is said.
            if path != "state.folder" {
                let message = format!("`{}` stands in place of `{name}` at {before}", found.name);
                self.warn(&origin, &found.name, message, None);
            }
        }
        self.reader.written.insert(path.clone(), found.name);
        self.put(path, located);
    }

    /// Returns the value as the tree has it.
    fn value(&mut self, found: &Found, is_secret: bool) -> Option<Located> {
        let text = found.text.trim();
        if is_secret && found.variable.is_some() {
            return Some(found.located(found.secret()));
        }
        if text.starts_with(['"', '\'', '[', '{']) {
            let Ok(mut table) = from_toml(&format!("value = {text}"), Path::new("")) else {
                let wrong = Wrong::new("begins like a value of a slated.toml, and is none")
                    .hint("quotes, brackets and braces come in pairs");
                self.error(&found.origin, &found.name, wrong);
                return None;
            };
            let mut located = table.remove("value")?;
            stamp(&mut located, &found.origin);
            return Some(located);
        }
        Some(found.located(Value::Loose(text.to_owned())))
    }
}

/// Gives a value, and all within, the place of its key.
fn stamp(located: &mut Located, origin: &Origin) {
    located.origin = origin.clone();
    match &mut located.value {
        Value::List(list) => list.iter_mut().for_each(|one| stamp(one, origin)),
        Value::Table(table) => table.values_mut().for_each(|one| stamp(one, origin)),
        _ => {}
    }
}

/// Returns every key that [`TABLES`] have, such as `web.listen`: asked of what reads them.
fn known() -> Vec<String> {
    let mut reader = Reader::new(Path::new("/"));
    let mut tree = Table::new();
    drop(read(&mut reader, &mut tree, Path::new("")));
    let is_ours = |key: &String| {
        let section = key.split_once('.').map(|(section, _)| section);
        section.is_some_and(|section| TABLES.contains(&section))
    };
    reader.origins.into_keys().filter(is_ours).collect()
}
