//! One EventLogEntry: a typed head over text that nobody changes.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{EventId, Offset};

/// One row of a site's event log. Cloning shares the text.
#[derive(Clone, Debug)]
pub struct Event {
    /// The site's id.
    pub id: EventId,
    /// The fields that decisions read.
    pub head: Head,
    /// The whole row.
    pub body: Body,
}

/// The fields of an event that decisions read; each may be null on the site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Such as `Shotgun_Task_Change`.
    #[serde(default)]
    pub event_type: Option<String>,
    /// Such as `sg_status_list`; null for events about a whole entity.
    #[serde(default)]
    pub attribute_name: Option<String>,
    /// `YYYY-MM-DDThh:mm:ssZ` as the site wrote it; what is no text stands as its JSON. No decision
    /// about delivery reads it.
    #[serde(default, deserialize_with = "text_or_json")]
    pub created_at: Option<String>,
}

/// Takes a value of any kind: an odd date is no reason to keep an event from a callback.
fn text_or_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// The text of a row.
#[derive(Clone, Debug)]
pub enum Body {
    /// JSON on one line, with the site's own spelling of every number and string.
    Json(Arc<RawValue>),
    /// A row that stays unreadable even leniently (ARCHITECTURE.md, "A page that cannot be parsed"), as it came.
    Unreadable(Arc<str>),
}

/// What tells one history of a site from another: the fields of a row that never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// `created_at` of the row.
    pub created_at: Option<String>,
    /// `event_type` of the row.
    pub event_type: Option<String>,
}

/// One row of the local log.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its place.
    pub offset: Offset,
    /// Whether it filled a hole, and so arrived after higher ids.
    pub late: bool,
    /// The event.
    pub event: Event,
}

/// A text that is not a readable EventLogEntry.
#[derive(Debug, thiserror::Error)]
#[error("not a readable EventLogEntry")]
pub struct Unreadable(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Wire {
    id: EventId,
    #[serde(flatten)]
    head: Head,
}

impl Event {
    /// Reads a row from its JSON text. Line breaks between tokens are taken out, since a
    /// stored event must fit a line of the plugin protocol.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let wire: Wire = serde_json::from_str(text)?;
        let body = if text.contains(['\n', '\r']) {
            // Line breaks inside strings are escaped in JSON, so these stand between tokens.
            RawValue::from_string(text.replace(['\n', '\r'], " "))?
        } else {
            RawValue::from_string(text.to_owned())?
        };
        Ok(Self {
            id: wire.id,
            head: wire.head,
            body: Body::Json(body.into()),
        })
    }
    /// Makes a row of which nothing but its id can be read.
    pub fn unreadable(id: EventId, text: impl Into<Arc<str>>) -> Self {
        Self {
            id,
            head: Head::default(),
            body: Body::Unreadable(text.into()),
        }
    }
    /// Returns the text of the row, readable or not.
    pub fn text(&self) -> &str {
        match &self.body {
            Body::Json(raw) => raw.get(),
            Body::Unreadable(text) => text,
        }
    }
    /// Tells whether the row can be handed to a callback.
    pub const fn is_readable(&self) -> bool {
        matches!(self.body, Body::Json(_))
    }
    /// Returns what an anchor remembers of the row.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            created_at: self.head.created_at.clone(),
            event_type: self.head.event_type.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_stays_as_the_site_wrote_it() {
        let text = r#"{"type":"EventLogEntry","id":7,"meta":{"x":1.10,"big":123456789012345678901},"event_type":"A"}"#;
        let event = Event::parse(text).unwrap();
        assert_eq!((event.id, event.text()), (EventId(7), text));
        assert_eq!(event.head.event_type.as_deref(), Some("A"));
        assert_eq!(event.head.attribute_name, None);
    }

    #[test]
    fn a_stored_event_is_one_line() {
        let event = Event::parse("{\"id\": 7,\r\n \"event_type\": null}").unwrap();
        assert!(!event.text().contains(['\n', '\r']));
    }

    #[test]
    fn a_date_that_is_none_keeps_no_event_away() {
        for (date, kept) in [
            ("null", None),
            ("\"yesterday\"", Some("yesterday")),
            ("17", Some("17")),
            ("{\"a\": [1]}", Some("{\"a\":[1]}")),
        ] {
            let event = Event::parse(&format!("{{\"id\":7,\"created_at\":{date}}}")).unwrap();
            assert_eq!(event.head.created_at.as_deref(), kept, "{date}");
        }
    }

    #[test]
    fn what_has_no_id_is_not_an_event() {
        for text in [
            "{}",
            "[]",
            "{\"id\":-1}",
            "{\"id\":\"7\"}",
            "{\"id\":7,\"event_type\":3}",
            "",
        ] {
            assert!(Event::parse(text).is_err(), "{text}");
        }
    }
}
