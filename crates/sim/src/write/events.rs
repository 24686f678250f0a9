//! The shapes of event rows, as real sites write them.
//!
//! Embedded links in `meta` carry the name of the moment of writing; `entity`, `user` and
//! `project` are kept as links and get their names when the row is read.

use serde_json::{Map, Value, json};

use super::Writer;
use crate::{
    data::display_name,
    link::{Link, target},
    log::EventRow,
    schema::{DataType, Field},
};

impl Writer<'_> {
    /// Writes an event row about an entity, unless the actor's writes are not logged.
    pub(super) fn tell(
        &mut self,
        event: (&Link, &str),
        attribute: Option<&str>,
        meta: Value,
        description: String,
    ) -> Option<u64> {
        if !self.actor.logs {
            return None;
        }
        let (subject, what) = event;
        let mut meta = meta;
        if let (Some(script), Some(meta)) = (&self.actor.sudo, meta.as_object_mut()) {
            meta.insert("sudo_actual_user".into(), self.embedded(&script.value()));
        }
        let project = if subject.kind == "Project" {
            subject.value()
        } else {
            let row = self.data.tables.row(&subject.kind, subject.id);
            row.map_or(Value::Null, |row| row.field("project").clone())
        };
        let row = EventRow {
            event_type: format!("Shotgun_{}_{what}", subject.kind).into(),
            attribute_name: attribute.map_or(Value::Null, Value::from),
            meta,
            entity: subject.value(),
            project,
            user: self.actor.user.value(),
            session_uuid: self.actor.session_uuid.clone(),
            created_at: self.now.date_time().into(),
            description: description.into(),
        };
        Some(
            self.commits
                .append(&mut self.data.log, self.transaction, row, self.now),
        )
    }

    /// `Shotgun_T_New`.
    pub(super) fn tell_new(&mut self, subject: &Link) {
        let meta = json!({
            "type": "new_entity",
            "entity_type": subject.kind,
            "entity_id": subject.id,
        });
        let text = format!("{} created new {}", self.who(), self.what(subject));
        self.tell((subject, "New"), None, meta, text);
    }

    /// `Shotgun_T_Change`, and the back-references of a changed link.
    pub(super) fn field_changed(
        &mut self,
        subject: &Link,
        name: &str,
        field: &Field,
        (old, new): (&Value, &Value),
        in_create: bool,
    ) {
        let mut meta = Map::new();
        let mut put = |key: &str, value: Value| meta.insert(key.to_owned(), value);
        put("type", "attribute_change".into());
        put("attribute_name", name.into());
        put("entity_type", subject.kind.as_str().into());
        put("entity_id", subject.id.into());
        put("field_data_type", field.data_type.name().into());
        if in_create {
            put("in_create", true.into());
        }
        let (removed, added) = difference(old, new);
        if field.data_type == DataType::MultiEntity {
            put("added", self.embedded_all(&added));
            put("removed", self.embedded_all(&removed));
        } else {
            put("old_value", self.in_meta(field.data_type, old));
            put("new_value", self.in_meta(field.data_type, new));
        }
        let text = format!(
            "{} changed \"{}\" on {}",
            self.who(),
            field.label,
            self.what(subject)
        );
        let event = self.tell((subject, "Change"), Some(name), Value::Object(meta), text);
        if field.data_type.is_link() {
            self.mirror(
                subject,
                name,
                field.data_type,
                (&removed, &added),
                (event, in_create),
            );
        }
    }

    /// The row on the other end of a link: `entity` is the other end, `meta.entity_*` the
    /// entity that was written.
    pub(super) fn tell_back_reference(
        &mut self,
        there: (&Link, &str),
        here: (&Link, &str, DataType),
        added: bool,
        (origin, in_create): (Option<u64>, bool),
    ) {
        let (other, other_field) = there;
        let (subject, name, data_type) = here;
        let this = json!([self.embedded(&subject.value())]);
        let (added, removed) = if added {
            (this, json!([]))
        } else {
            (json!([]), this)
        };
        let mut meta = json!({
            "type": "attribute_change",
            "attribute_name": other_field,
            "actual_attribute_changed": format!("{}.{name}", subject.kind),
            "entity_type": subject.kind,
            "entity_id": subject.id,
            "field_data_type": data_type.name(),
            "original_event_log_entry_id": origin,
            "added": added,
            "removed": removed,
        });
        if let (true, Some(meta)) = (in_create, meta.as_object_mut()) {
            meta.insert("in_create".into(), true.into());
        }
        let text = format!(
            "{} changed \"{other_field}\" on {}",
            self.who(),
            self.what(other)
        );
        self.tell((other, "Change"), Some(other_field), meta, text);
    }

    /// A value as `meta` shows it: links whole, points in time in words.
    pub(super) fn in_meta(&self, data_type: DataType, value: &Value) -> Value {
        match (data_type, value) {
            (DataType::Entity, link) => self.embedded(link),
            (DataType::DateTime, Value::String(text)) => spelled(text).into(),
            (DataType::Password, Value::String(_)) => "*******".into(),
            (_, value) => value.clone(),
        }
    }

    fn embedded_all(&self, links: &[Link]) -> Value {
        links
            .iter()
            .map(|link| self.embedded(&link.value()))
            .collect()
    }

    /// A link with what `meta` tells about its target.
    pub(super) fn embedded(&self, link: &Value) -> Value {
        let Some((kind, id)) = target(link) else {
            return Value::Null;
        };
        let Some(row) = self.data.tables.row(kind, id) else {
            return link.clone();
        };
        let mut shown = json!({
            "type": kind,
            "id": id,
            "name": display_name(kind, row),
            "uuid": row.uuid,
            "valid": if row.retired.is_some() { "retired" } else { "valid" },
        });
        if let (Some(field), Some(shown)) =
            (self.data.schema.status_field(kind), shown.as_object_mut())
        {
            shown.insert("status".into(), row.field(field).clone());
        }
        shown
    }

    /// The actor's name, for the sentence.
    pub(super) fn who(&self) -> String {
        self.name(&self.actor.user)
    }

    /// Type and name of an entity, for the sentence.
    pub(super) fn what(&self, subject: &Link) -> String {
        let entity = self.data.schema.entity_type(&subject.kind);
        let label = entity.map_or(subject.kind.as_str(), |entity| &entity.label);
        format!("{label} {}", self.name(subject))
    }

    pub(super) fn name(&self, link: &Link) -> String {
        let row = self.data.tables.row(&link.kind, link.id);
        row.map_or_else(String::new, |row| display_name(&link.kind, row))
    }
}

/// `2015-07-13 21:54:01 UTC`, the one form of time that is known from `meta`.
pub(super) fn spelled(date_time: &str) -> String {
    date_time.replace('T', " ").replace('Z', " UTC")
}

/// Returns the links that went and those that came.
fn difference(old: &Value, new: &Value) -> (Vec<Link>, Vec<Link>) {
    let links = |value: &Value| -> Vec<Link> {
        match value {
            Value::Array(list) => list.iter().filter_map(Link::of).collect(),
            other => Link::of(other).into_iter().collect(),
        }
    };
    let (old, new) = (links(old), links(new));
    let removed = old.iter().filter(|l| !new.contains(l)).cloned().collect();
    let added = new.iter().filter(|l| !old.contains(l)).cloned().collect();
    (removed, added)
}
