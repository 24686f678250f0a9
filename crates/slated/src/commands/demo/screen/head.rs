//! The line of an event: when, which id, what, about what.

use owo_colors::OwoColorize as _;
use serde::Deserialize;
use serde_json::Value;
use slated_model::{Event, EventId};

/// Values longer than this are left out.
const LONGEST: usize = 40;

/// What is said about an event, or about several that no plugin asked for.
#[derive(Debug)]
pub(super) struct Head {
    first: EventId,
    last: EventId,
    clock: String,
    kind: String,
    attributes: Vec<String>,
    /// `Type name` of the entity.
    entity: String,
    /// `old -> new`, as far as it is known and short.
    change: String,
    late: bool,
    /// Ids below it that were not there when it was.
    missing: Option<(u64, u64)>,
}

/// The parts of an event that only people read.
#[derive(Default, Deserialize)]
struct Parts {
    entity: Option<Link>,
    meta: Option<Value>,
}

#[derive(Deserialize)]
struct Link {
    r#type: Option<String>,
    name: Option<String>,
}

impl Head {
    pub(super) fn of(event: &Event, late: bool, missing: Option<(u64, u64)>, clock: &str) -> Self {
        let parts: Parts = serde_json::from_str(event.text()).unwrap_or_default();
        let name = |link: Link| {
            [link.r#type, link.name]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" ")
        };
        Self {
            first: event.id,
            last: event.id,
            clock: clock.to_owned(),
            kind: event
                .head
                .event_type
                .clone()
                .unwrap_or_else(|| "(no type)".into()),
            attributes: event.head.attribute_name.iter().cloned().collect(),
            entity: parts.entity.map(name).unwrap_or_default(),
            change: parts.meta.as_ref().map(change).unwrap_or_default(),
            late,
            missing,
        }
    }

    /// Tells whether this is the line of an event.
    pub(super) fn is(&self, event: EventId) -> bool {
        (self.first..=self.last).contains(&event)
    }

    /// Tells whether it may share the line of the one before.
    pub(super) fn goes_with(&self, before: &Self) -> bool {
        let follows = before.last.0 + 1 == self.first.0;
        follows
            && !self.late
            && !before.late
            && self.kind == before.kind
            && self.entity == before.entity
    }

    /// Takes the one behind into the same line.
    pub(super) fn join(&mut self, next: &Self) {
        self.last = next.last;
        self.attributes.extend_from_slice(&next.attributes);
        self.change.clear();
    }

    /// Returns the line; `wanted` ones stand out.
    pub(super) fn line(&self, wanted: bool) -> String {
        let ids = if self.last == self.first {
            self.first.to_string()
        } else {
            format!("{} to {}", self.first, self.last)
        };
        let mut text = format!("{ids}  {}", self.kind);
        let attributes = self.attributes.join(", ");
        for (mark, part) in [
            (" ", &attributes),
            ("  ", &self.entity),
            (": ", &self.change),
        ] {
            if !part.is_empty() {
                text += mark;
                text += part;
            }
        }
        let text = if wanted {
            text
        } else {
            text.dimmed().to_string()
        };
        let late = if self.late {
            format!("  {}", "(late)".yellow().bold())
        } else {
            String::new()
        };
        let missing = match self.missing {
            None => String::new(),
            Some((lo, hi)) => {
                let which = if lo == hi {
                    format!("{lo} is")
                } else {
                    format!("{lo} to {hi} are")
                };
                let note = format!("{which} not there yet, and asked for again");
                format!("{}  {}\n", self.clock.dimmed(), note.yellow())
            }
        };
        format!("{missing}{}  {text}{late}", self.clock.dimmed())
    }
}

fn change(meta: &Value) -> String {
    let short = |key| match meta.get(key)? {
        Value::String(value) => Some(value.as_str()),
        Value::Object(link) => link.get("name")?.as_str(),
        _ => None,
    };
    let short = |key| short(key).filter(|value| (1..=LONGEST).contains(&value.len()));
    match (short("old_value"), short("new_value")) {
        (Some(old), Some(new)) => format!("{old} -> {new}"),
        (None, Some(new)) => new.to_owned(),
        _ => String::new(),
    }
}
