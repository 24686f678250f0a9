//! From a pickle's values to positions.
//!
//! Descends four levels by name, never by recursion, so a value that holds itself is only
//! one of the wrong kind.

use std::collections::BTreeMap;

use slated_model::{EventId, PluginId};

use super::machine::{At, Machine, Value};
use super::{OldPlugin, Reason, text};

/// How many bytes positions may take. A file can name one dict of missing ids many times.
const ROOM: usize = 16 << 20;

/// Positions as they are read.
pub(super) struct State<'a> {
    machine: &'a Machine<'a>,
    room: usize,
    plugins: BTreeMap<PluginId, OldPlugin>,
}

impl<'a> State<'a> {
    pub(super) const fn new(machine: &'a Machine<'a>) -> Self {
        Self {
            machine,
            room: ROOM,
            plugins: BTreeMap::new(),
        }
    }

    /// Reads a whole pickle, up to what cannot be read.
    pub(super) fn whole(&mut self, whole: At) -> Result<(), Reason> {
        let Some(Value::Dict(folders)) = self.machine.value(whole) else {
            return Err(Reason::Shape("it is not a dict of folders".into()));
        };
        for (folder, plugins) in self.named(folders)? {
            self.folder(folder, plugins)?;
        }
        Ok(())
    }

    /// Reads what it can of a pickle that broke off: the machine's stack holds folders and
    /// stems before what belongs to them.
    pub(super) fn broken(&mut self) {
        let machine = self.machine;
        let mut stack = machine.stack().iter().map(|at| (*at, machine.value(*at)));
        // What of it can be read is shown to a person; the rest has no reader.
        if let Some((_, Some(Value::Dict(folders)))) = stack.next() {
            for (folder, plugins) in folders {
                let _unreadable = self
                    .text(*folder)
                    .and_then(|folder| self.folder(folder, *plugins));
            }
        }
        let (mut folder, mut name) = (None, None);
        for (at, value) in stack {
            match (value, name.take()) {
                (Some(Value::Text(text)), _) => name = Some(text.as_str()),
                (Some(Value::Dict(_)), Some(text)) => {
                    folder = Some(text);
                    let _unreadable = self.folder(text, at);
                }
                (Some(_), Some(stem)) => {
                    let folder = folder.unwrap_or_default();
                    let _unreadable = self.plugin(folder, stem, at);
                }
                (_, None) | (None, _) => {}
            }
        }
    }

    /// Returns what was read, ascending by plugin.
    pub(super) fn into_plugins(self) -> Vec<OldPlugin> {
        self.plugins.into_values().collect()
    }

    fn folder(&mut self, folder: &str, plugins: At) -> Result<(), Reason> {
        let Some(Value::Dict(stems)) = self.machine.value(plugins) else {
            let folder = text::shown(folder);
            return Err(Reason::Shape(format!("`{folder}` holds no plugins")));
        };
        for (stem, position) in self.named(stems)? {
            self.plugin(folder, stem, position)?;
        }
        Ok(())
    }

    /// Names a dict's values. Of two with the same name the later counts, as in Python.
    fn named(&self, entries: &[(At, At)]) -> Result<BTreeMap<&'a str, At>, Reason> {
        let name = |(name, value): &(At, At)| Ok((self.text(*name)?, *value));
        entries.iter().map(name).collect()
    }

    fn plugin(&mut self, folder: &str, stem: &str, position: At) -> Result<(), Reason> {
        if stem.is_empty() || stem.contains('/') {
            let stem = text::shown(stem);
            return Err(Reason::Shape(format!("`{stem}` names no plugin")));
        }
        self.spend(folder.len() + stem.len())?;
        let plugin = PluginId::new(folder, stem);
        let (last, missing) = self.position(position).map_err(|reason| match reason {
            Reason::Shape(what) => {
                let plugin = text::shown(&plugin.to_string());
                Reason::Shape(format!("the position of `{plugin}` is {what}"))
            }
            other => other,
        })?;
        let read = OldPlugin {
            plugin: plugin.clone(),
            last,
            missing,
        };
        // `/p` and `/p/` are one folder here, and were two there: the one with the lower id
        // is from before the configuration changed.
        let stands = self.plugins.entry(plugin);
        let stands = stands.or_insert_with(|| read.clone());
        if stands.last < read.last {
            *stands = read;
        }
        Ok(())
    }

    fn position(&mut self, position: At) -> Result<(Option<EventId>, Vec<EventId>), Reason> {
        match self.machine.value(position) {
            Some(Value::Tuple(pair)) => {
                let &[last, missing] = pair.as_slice() else {
                    return Err(Reason::Shape(format!("a tuple of {}", pair.len())));
                };
                let last = match self.machine.value(last) {
                    Some(Value::None) => None,
                    other => Some(id(other)?),
                };
                Ok((last, self.missing(missing)?))
            }
            other => Ok((Some(id(other)?), Vec::new())),
        }
    }

    fn missing(&mut self, missing: At) -> Result<Vec<EventId>, Reason> {
        let Some(Value::Dict(entries)) = self.machine.value(missing) else {
            return Err(Reason::Shape("without a dict of missing ids".into()));
        };
        self.spend(entries.len().saturating_mul(size_of::<EventId>()))?;
        let ids = entries
            .iter()
            .map(|(missing, _)| id(self.machine.value(*missing)));
        let mut ids = ids.collect::<Result<Vec<_>, _>>()?;
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    fn text(&self, at: At) -> Result<&'a str, Reason> {
        match self.machine.value(at) {
            Some(Value::Text(text)) => Ok(text),
            other => {
                let kind = kind(other);
                Err(Reason::Shape(format!("{kind} stands in place of a name")))
            }
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Reason> {
        // Beside names and ids, a position has a size of its own.
        let bytes = bytes.saturating_add(size_of::<OldPlugin>());
        self.room = self.room.checked_sub(bytes).ok_or(Reason::TooLarge)?;
        Ok(())
    }
}

fn id(value: Option<&Value>) -> Result<EventId, Reason> {
    match value {
        Some(Value::Int(number)) => match u64::try_from(*number) {
            Ok(id) => Ok(EventId(id)),
            Err(_) => Err(Reason::Shape(format!("{number}, a number below 0"))),
        },
        other => Err(Reason::Shape(kind(other).into())),
    }
}

const fn kind(value: Option<&Value>) -> &'static str {
    match value {
        None | Some(Value::None) => "nothing",
        Some(Value::Int(_)) => "a number",
        Some(Value::Text(_)) => "a text",
        Some(Value::Dict(_)) => "a dict",
        Some(Value::Tuple(_)) => "a tuple",
        Some(Value::Callable) => "a callable",
        Some(Value::Other(what)) => what,
    }
}
