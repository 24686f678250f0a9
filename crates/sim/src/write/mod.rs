//! Writing: create, update, retire, revive, and the event rows each of them makes.
//!
//! Every operation checks all it was given before it changes anything, so it either
//! happens or does not. A [`Writer`] lives as long as one transaction is being written.

mod events;
mod links;
mod retire;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    access::Actor,
    clock::Moment,
    commit::{Commits, Transaction},
    data::Data,
    link::Link,
    log::EventRow,
    refusal::Refusal,
    schema::{DataType, Field},
    value::{Place, accept, read_only, same},
    view::EVENT,
};

/// Fields that make no event rows: what the site keeps itself, and keys.
const UNTOLD: [&str; 5] = [
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "salted_password",
];

/// What is written to one field.
#[derive(Clone, Debug)]
pub(crate) struct FieldWrite {
    pub(crate) name: String,
    pub(crate) value: Value,
    pub(crate) mode: Mode,
}

/// How a list of links is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Set,
    Add,
    Remove,
}

/// Writes one transaction.
pub(crate) struct Writer<'a> {
    pub(crate) data: &'a mut Data,
    pub(crate) commits: &'a mut Commits,
    pub(crate) rng: &'a mut fastrand::Rng,
    pub(crate) transaction: &'a mut Transaction,
    pub(crate) actor: &'a Actor,
    pub(crate) now: Moment,
}

impl FieldWrite {
    /// Reads `[{"field_name","value","multi_entity_update_mode"}]`.
    pub(crate) fn parse_all(method: &str, fields: Option<&Value>) -> Result<Vec<Self>, Refusal> {
        let list = match fields {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(Refusal::argument(method, "'fields'")),
        };
        list.iter()
            .map(|field| {
                let name = field.get("field_name").and_then(Value::as_str);
                let name = name.ok_or_else(|| Refusal::argument(method, "'field_name'"))?;
                let mode = match field
                    .get("multi_entity_update_mode")
                    .and_then(Value::as_str)
                {
                    None | Some("set") => Mode::Set,
                    Some("add") => Mode::Add,
                    Some("remove") => Mode::Remove,
                    Some(other) => {
                        return Err(Refusal::argument(
                            method,
                            &format!("'multi_entity_update_mode': {other}"),
                        ));
                    }
                };
                Ok(Self {
                    name: name.to_owned(),
                    value: field.get("value").cloned().unwrap_or(Value::Null),
                    mode,
                })
            })
            .collect()
    }

    /// Makes writes of a JSON object, as a user of the official client passes it.
    pub(crate) fn of_object(fields: Value) -> Result<Vec<Self>, Refusal> {
        let Value::Object(fields) = fields else {
            return Err(Refusal::bad("fields must be a JSON object"));
        };
        let set = |(name, value)| Self {
            name,
            value,
            mode: Mode::Set,
        };
        Ok(fields.into_iter().map(set).collect())
    }
}

impl Writer<'_> {
    /// Makes an entity and returns its id.
    pub(crate) fn create(&mut self, kind: &str, writes: Vec<FieldWrite>) -> Result<u64, Refusal> {
        let mut values = self.checked("create", kind, writes)?;
        if kind == EVENT {
            return Ok(self.create_event(&mut values));
        }
        let label = self.data.schema.entity_type(kind).map(|t| t.label.clone());
        let label = label.unwrap_or_default();
        let schema = std::sync::Arc::clone(&self.data.schema);
        for (name, field) in schema.entity_type(kind).into_iter().flat_map(|t| &t.fields) {
            let unset = !values.contains_key(name);
            if let (true, Some(default)) = (unset, &field.default) {
                // Defaults are what the site's own schema says, so they need no check.
                if default != "" {
                    values.insert(name.clone(), default.clone());
                }
            } else if unset
                && field.mandatory
                && field.data_type == DataType::Text
                && kind != "HumanUser"
            {
                values.insert(name.clone(), format!("New {label}").into());
            }
        }
        if kind == "ApiUser" && !values.contains_key("salted_password") {
            values.insert(
                "salted_password".into(),
                format!("{:032x}", self.rng.u128(..)).into(),
            );
        }
        for (name, value) in [
            ("created_at", Value::from(self.now.date_time())),
            ("updated_at", self.now.date_time().into()),
            ("created_by", self.actor.user.value()),
            ("updated_by", self.actor.user.value()),
        ] {
            if schema.field(kind, name).is_some() {
                values.entry(name.to_owned()).or_insert(value);
            }
        }
        values.retain(|_, value| !value.is_null());
        let uuid = uuid(self.rng);
        let id = self.data.tables.add(kind, uuid, values.clone());
        let subject = Link::new(kind, id);
        self.tell_new(&subject);
        for (name, value) in &values {
            let Some(field) = schema.field(kind, name) else {
                continue;
            };
            if !UNTOLD.contains(&name.as_str()) {
                self.field_changed(&subject, name, field, (&Value::Null, value), true);
            }
        }
        Ok(id)
    }

    /// Changes an entity; fields that hold the value already make no event row.
    pub(crate) fn update(
        &mut self,
        kind: &str,
        id: u64,
        writes: Vec<FieldWrite>,
    ) -> Result<(), Refusal> {
        let method = "update";
        if kind == EVENT {
            return Err(Refusal::forbidden(format!(
                "API {method}() EventLogEntry cannot be changed."
            )));
        }
        if self.data.schema.entity_type(kind).is_none() {
            return Err(Refusal::no_type(method, kind));
        }
        if !self.data.tables.is_active(kind, id) {
            return Err(Refusal::no_row(method, kind, id));
        }
        let modes: BTreeMap<String, Mode> =
            writes.iter().map(|w| (w.name.clone(), w.mode)).collect();
        let values = self.checked(method, kind, writes)?;
        let schema = std::sync::Arc::clone(&self.data.schema);
        let subject = Link::new(kind, id);
        let mut changed = false;
        for (name, value) in values {
            let Some(field) = schema.field(kind, &name) else {
                continue;
            };
            let Some(row) = self.data.tables.row_mut(kind, id) else {
                continue;
            };
            let old = row.field(&name).clone();
            let mode = modes.get(&name).copied().unwrap_or(Mode::Set);
            let value = merged(&old, value, field, mode);
            if same(&old, &value) {
                continue;
            }
            row.set(&name, value.clone());
            changed = true;
            if !UNTOLD.contains(&name.as_str()) {
                self.field_changed(&subject, &name, field, (&old, &value), false);
            }
        }
        if changed {
            let (at, by) = (self.now.date_time(), self.actor.user.value());
            if let Some(row) = self.data.tables.row_mut(kind, id) {
                for (name, value) in [("updated_at", Value::from(at)), ("updated_by", by)] {
                    if schema.field(kind, name).is_some() {
                        row.set(name, value);
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks names and values against the schema.
    fn checked(
        &self,
        method: &str,
        kind: &str,
        writes: Vec<FieldWrite>,
    ) -> Result<BTreeMap<String, Value>, Refusal> {
        let schema = &self.data.schema;
        let entity = schema
            .entity_type(kind)
            .ok_or_else(|| Refusal::no_type(method, kind))?;
        let mut values = BTreeMap::new();
        for write in writes {
            let field = entity
                .fields
                .get(&write.name)
                .ok_or_else(|| Refusal::no_field(method, kind, &write.name))?;
            let place = Place {
                method,
                kind,
                name: &write.name,
                field,
            };
            // A row can be made with a past of its own; later its past stands.
            let fixed = write.name == "id"
                || field.data_type.is_computed()
                || (method == "update" && field.read_only);
            if fixed {
                return Err(read_only(place));
            }
            let value = accept(place, schema, &self.data.tables, write.value)?;
            values.insert(write.name, value);
        }
        Ok(values)
    }

    /// Makes an event row as a client asked for it.
    fn create_event(&mut self, values: &mut BTreeMap<String, Value>) -> u64 {
        let mut take = |name: &str, default: Value| match values.remove(name) {
            None | Some(Value::Null) => default,
            Some(value) => value,
        };
        let row = EventRow {
            event_type: take("event_type", Value::Null),
            attribute_name: take("attribute_name", Value::Null),
            meta: take("meta", json!({})),
            entity: take("entity", Value::Null),
            project: take("project", Value::Null),
            user: take("user", self.actor.user.value()),
            session_uuid: take("session_uuid", self.actor.session_uuid.clone()),
            created_at: take("created_at", self.now.date_time().into()),
            description: take("description", "New Event".into()),
        };
        self.commits
            .append(&mut self.data.log, self.transaction, row, self.now)
    }
}

/// Applies an update mode to a list of links.
fn merged(old: &Value, value: Value, field: &Field, mode: Mode) -> Value {
    if field.data_type != DataType::MultiEntity || mode == Mode::Set {
        return value;
    }
    let given = value.as_array().cloned().unwrap_or_default();
    let mut list = old.as_array().cloned().unwrap_or_default();
    if mode == Mode::Remove {
        list.retain(|link| !given.contains(link));
    } else {
        for link in given {
            if !list.contains(&link) {
                list.push(link);
            }
        }
    }
    Value::Array(list)
}

/// Makes an id in the usual form from the site's own random numbers.
pub(crate) fn uuid(rng: &mut fastrand::Rng) -> String {
    let version = rng.u16(..) & 0x0fff | 0x4000;
    let variant = rng.u16(..) & 0x3fff | 0x8000;
    format!(
        "{:08x}-{:04x}-{version:04x}-{variant:04x}-{:012x}",
        rng.u32(..),
        rng.u16(..),
        rng.u64(..) & 0xffff_ffff_ffff
    )
}
