//! The schema as `schema_read`, `schema_entity_read` and `schema_field_read` show it.

use serde_json::{Map, Value, json};

use super::{EntityType, Field, Schema};
use crate::refusal::Refusal;

/// Answers `schema_entity_read`.
pub(crate) fn entities_answer(schema: &Schema) -> Value {
    let types = schema.types().iter().map(|(kind, entity)| {
        let shown = json!({
            "name": {"value": entity.label, "editable": false},
            "visible": {"value": true, "editable": false},
        });
        (kind.clone(), shown)
    });
    Value::Object(types.collect())
}

/// Answers `schema_read`.
pub(crate) fn fields_answer(schema: &Schema) -> Value {
    let types = schema
        .types()
        .iter()
        .map(|(kind, entity)| (kind.clone(), Value::Object(fields(kind, entity))));
    Value::Object(types.collect())
}

/// Answers `schema_field_read`, for one field or all of a type.
pub(crate) fn field_answer(
    schema: &Schema,
    kind: &str,
    name: Option<&str>,
) -> Result<Value, Refusal> {
    let method = "schema_field_read";
    let entity = schema
        .entity_type(kind)
        .ok_or_else(|| Refusal::no_type(method, kind))?;
    let Some(name) = name else {
        return Ok(Value::Object(fields(kind, entity)));
    };
    let field = entity
        .fields
        .get(name)
        .ok_or_else(|| Refusal::no_field(method, kind, name))?;
    Ok(json!({ name: shape(kind, field) }))
}

fn fields(kind: &str, entity: &EntityType) -> Map<String, Value> {
    entity
        .fields
        .iter()
        .map(|(name, field)| (name.clone(), shape(kind, field)))
        .collect()
}

fn shape(kind: &str, field: &Field) -> Value {
    let fixed = |value: Value| json!({"value": value, "editable": false});
    let mut properties = Map::new();
    properties.insert(
        "default_value".into(),
        fixed(field.default.clone().unwrap_or(Value::Null)),
    );
    properties.insert(
        "summary_default".into(),
        json!({"value": "none", "editable": true}),
    );
    if field.data_type.is_link() {
        properties.insert("valid_types".into(), fixed(json!(field.targets)));
    }
    if !field.values.is_empty() {
        properties.insert(
            "valid_values".into(),
            json!({"value": field.values, "editable": true}),
        );
        properties.insert("hidden_values".into(), fixed(json!([])));
        properties.insert(
            "display_values".into(),
            fixed(field.values.iter().map(|v| (v.clone(), json!(v))).collect()),
        );
    }
    let visible = field
        .properties
        .get("visible")
        .unwrap_or(&Value::Bool(true));
    for (name, value) in field
        .properties
        .iter()
        .filter(|(name, _)| *name != "visible")
    {
        properties.insert(name.clone(), json!({"value": value, "editable": true}));
    }
    json!({
        "name": {"value": field.label, "editable": true},
        "data_type": fixed(json!(field.data_type.name())),
        "description": {"value": "", "editable": true},
        "editable": fixed(json!(!field.read_only)),
        "entity_type": fixed(json!(kind)),
        "mandatory": fixed(json!(field.mandatory)),
        "unique": fixed(json!(false)),
        "visible": {"value": visible, "editable": true},
        "ui_value_displayable": fixed(json!(true)),
        "properties": properties,
    })
}
