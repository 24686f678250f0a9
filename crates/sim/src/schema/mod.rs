//! The entity types of the site, their fields and data types.
//!
//! The embedded schema is the default site of the official client's tests: 77 types and
//! 1035 fields (see NOTICE). Statuses that most studios add are added here. Fields
//! can be created and changed while the site runs, so each site owns a copy on write.

mod change;
mod data_type;
mod reverse;
mod wire;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use serde::Deserialize;
use serde_json::Value;

pub(crate) use change::{FieldEdit, edit_field, new_field};
pub(crate) use data_type::DataType;
pub(crate) use reverse::reverse_field;
pub(crate) use wire::{entities_answer, field_answer, fields_answer};

const EMBEDDED: &str = include_str!("../../schema/site-schema.json");

/// Statuses that are not in the embedded schema and that studios commonly add.
const STUDIO_STATUSES: [(&str, &[&str]); 4] = [
    ("Asset", &["apr"]),
    ("Shot", &["apr"]),
    ("Task", &["apr", "rev"]),
    ("Version", &["apr", "rej"]),
];

/// Defaults that the server sets although the schema names none.
const SERVER_DEFAULTS: [(&str, &str, &str); 1] = [("Task", "color", "pipeline_step")];

/// All entity types.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schema {
    types: BTreeMap<String, EntityType>,
}

/// One entity type.
#[derive(Clone, Debug, Default)]
pub(crate) struct EntityType {
    /// What people call it: `Person` for `HumanUser`.
    pub(crate) label: String,
    /// By field name.
    pub(crate) fields: BTreeMap<String, Field>,
}

/// One field of an entity type.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Field {
    pub(crate) label: String,
    #[serde(rename = "type")]
    pub(crate) data_type: DataType,
    /// Entity types a link may point to; empty means any.
    #[serde(default)]
    pub(crate) targets: Vec<String>,
    #[serde(default)]
    pub(crate) mandatory: bool,
    #[serde(default)]
    pub(crate) read_only: bool,
    #[serde(default)]
    pub(crate) default: Option<Value>,
    /// What a list or a status may hold; empty means anything.
    #[serde(default)]
    pub(crate) values: Vec<String>,
    /// Set by `schema_field_create`: what `schema_field_read` says beyond the rest.
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct File {
    entity_names: BTreeMap<String, String>,
    schema: BTreeMap<String, BTreeMap<String, Field>>,
}

impl Schema {
    /// Returns the embedded schema, parsed once a process.
    pub(crate) fn embedded() -> Arc<Self> {
        static PARSED: OnceLock<Arc<Schema>> = OnceLock::new();
        // The file is part of the program; a test parses it. A site without types refuses
        // every request, so a mistake here cannot pass unnoticed.
        Arc::clone(PARSED.get_or_init(|| Arc::new(Self::parse(EMBEDDED).unwrap_or_default())))
    }

    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let file: File = serde_json::from_str(text)?;
        let mut types: BTreeMap<String, EntityType> = file
            .schema
            .into_iter()
            .map(|(kind, fields)| {
                let label = file.entity_names.get(&kind).cloned();
                let label = label.unwrap_or_else(|| kind.clone());
                (kind, EntityType { label, fields })
            })
            .collect();
        for (kind, more) in STUDIO_STATUSES {
            if let Some(field) = types
                .get_mut(kind)
                .and_then(|t| t.fields.get_mut("sg_status_list"))
            {
                field.values.extend(more.iter().map(ToString::to_string));
            }
        }
        for (kind, name, value) in SERVER_DEFAULTS {
            if let Some(field) = types.get_mut(kind).and_then(|t| t.fields.get_mut(name)) {
                field.default = Some(Value::from(value));
            }
        }
        Ok(Self { types })
    }

    /// Returns an entity type.
    pub(crate) fn entity_type(&self, kind: &str) -> Option<&EntityType> {
        self.types.get(kind)
    }
    /// Returns a field of an entity type.
    pub(crate) fn field(&self, kind: &str, name: &str) -> Option<&Field> {
        self.types.get(kind)?.fields.get(name)
    }
    /// Returns all entity types by name.
    pub(crate) fn types(&self) -> &BTreeMap<String, EntityType> {
        &self.types
    }
    /// Returns the field that holds the status of a type, if it has one.
    pub(crate) fn status_field(&self, kind: &str) -> Option<&'static str> {
        ["sg_status_list", "sg_status"].into_iter().find(|name| {
            let field = self.field(kind, name);
            field.is_some_and(|field| field.data_type == DataType::StatusList)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_schema_is_whole() {
        let schema = Schema::parse(EMBEDDED).unwrap();
        let fields: usize = schema.types.values().map(|t| t.fields.len()).sum();
        assert_eq!((schema.types.len(), fields), (77, 1035));
        assert_eq!(
            schema.field("Task", "entity").unwrap().data_type,
            DataType::Entity
        );
        assert_eq!(schema.types["HumanUser"].label, "Person");
    }
}
