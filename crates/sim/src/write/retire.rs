//! Delete and revive. A deleted entity is retired, not gone: links to it read null, its
//! event rows have no `entity`, and it can come back.
//!
//! A Shot takes its Versions along, both ways.

use serde_json::json;

use super::{Writer, events::spelled};
use crate::{data::Retired, link::Link, refusal::Refusal, view::EVENT};

impl Writer<'_> {
    /// Retires an entity; `false` if it is retired already.
    pub(crate) fn retire(&mut self, kind: &str, id: u64) -> Result<bool, Refusal> {
        self.known("delete", kind, id)?;
        if !self.data.tables.is_active(kind, id) {
            return Ok(false);
        }
        let subject = Link::new(kind, id);
        let children = self.children(&subject);
        self.retire_one(&subject, None);
        for child in children {
            self.retire_one(&child, Some(subject.clone()));
        }
        Ok(true)
    }

    /// Brings an entity back; `false` if it is not retired.
    pub(crate) fn revive(&mut self, kind: &str, id: u64) -> Result<bool, Refusal> {
        self.known("revive", kind, id)?;
        if self.data.tables.is_active(kind, id) {
            return Ok(false);
        }
        let subject = Link::new(kind, id);
        for child in self.taken_along(&subject) {
            self.revive_one(&child);
        }
        self.revive_one(&subject);
        Ok(true)
    }

    fn known(&self, method: &str, kind: &str, id: u64) -> Result<(), Refusal> {
        if kind == EVENT {
            return Err(Refusal::forbidden(format!(
                "API {method}() EventLogEntry cannot be deleted."
            )));
        }
        if self.data.schema.entity_type(kind).is_none() {
            return Err(Refusal::no_type(method, kind));
        }
        if self.data.tables.row(kind, id).is_none() {
            return Err(Refusal::no_row(method, kind, id));
        }
        Ok(())
    }

    fn retire_one(&mut self, subject: &Link, with: Option<Link>) {
        let at = spelled(&self.now.date_time());
        let Some(row) = self.data.tables.row_mut(&subject.kind, subject.id) else {
            return;
        };
        row.retired = Some(Retired {
            at: at.clone(),
            with,
        });
        self.tell_retirement_date(subject, None, Some(&at));
        let meta = json!({
            "type": "entity_retirement",
            "class_name": subject.kind,
            "display_name": self.name(subject),
            "entity_type": subject.kind,
            "entity_id": subject.id,
            "id": subject.id,
            "retirement_date": at,
        });
        let text = format!("{} deleted {}", self.who(), self.what(subject));
        self.tell((subject, "Retirement"), None, meta, text);
    }

    fn revive_one(&mut self, subject: &Link) {
        let Some(row) = self.data.tables.row_mut(&subject.kind, subject.id) else {
            return;
        };
        let old = row.retired.take().map(|retired| retired.at);
        self.tell_retirement_date(subject, old.as_deref(), None);
        let meta = json!({
            "type": "entity_revival",
            "class_name": subject.kind,
            "display_name": self.name(subject),
            "entity_type": subject.kind,
            "entity_id": subject.id,
            "id": subject.id,
        });
        let text = format!("{} revived {}", self.who(), self.what(subject));
        self.tell((subject, "Revival"), None, meta, text);
    }

    /// The `retirement_date` row; real sites give it no `field_data_type`.
    fn tell_retirement_date(&mut self, subject: &Link, old: Option<&str>, new: Option<&str>) {
        let meta = json!({
            "type": "attribute_change",
            "attribute_name": "retirement_date",
            "entity_type": subject.kind,
            "entity_id": subject.id,
            "old_value": old,
            "new_value": new,
        });
        let text = format!(
            "{} changed \"Retirement Date\" on {}",
            self.who(),
            self.what(subject)
        );
        self.tell((subject, "Change"), Some("retirement_date"), meta, text);
    }

    /// Active entities that go when this one goes.
    fn children(&self, subject: &Link) -> Vec<Link> {
        if subject.kind != "Shot" {
            return Vec::new();
        }
        self.data
            .tables
            .active("Version")
            .filter(|row| subject.is(row.field("entity")))
            .map(|row| Link::new("Version", row.id))
            .collect()
    }

    /// Entities that went because this one went.
    fn taken_along(&self, subject: &Link) -> Vec<Link> {
        let table = self.data.tables.table("Version");
        let rows = table.into_iter().flat_map(|table| table.rows.values());
        rows.filter(|row| {
            let with = row
                .retired
                .as_ref()
                .and_then(|retired| retired.with.as_ref());
            with == Some(subject)
        })
        .map(|row| Link::new("Version", row.id))
        .collect()
    }
}
