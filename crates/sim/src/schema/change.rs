//! `schema_field_create`, `schema_field_update`, `schema_field_delete`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Field, Schema};
use crate::refusal::Refusal;

/// What happens to an existing field.
pub(crate) enum FieldEdit {
    /// Some of its properties change.
    Properties(BTreeMap<String, Value>),
    /// It goes away; its values stay unread.
    Delete,
}

/// Adds a custom field and returns its name: `sg_` and the label, made plain.
pub(crate) fn new_field(
    schema: &mut Schema,
    kind: &str,
    data_type: &Value,
    mut properties: BTreeMap<String, Value>,
) -> Result<String, Refusal> {
    let method = "schema_field_create";
    let entity = schema
        .types
        .get_mut(kind)
        .ok_or_else(|| Refusal::no_type(method, kind))?;
    let data_type = serde_json::from_value(data_type.clone())
        .map_err(|_| Refusal::argument(method, &format!("'data_type': {data_type}")))?;
    let Some(Value::String(label)) = properties.remove("name") else {
        return Err(Refusal::argument(method, "property 'name'"));
    };
    let plain: String = label
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let base = format!("sg_{plain}");
    let mut name = base.clone();
    let mut count = 1;
    while entity.fields.contains_key(&name) {
        name = format!("{base}_{count}");
        count += 1;
    }
    let strings = |value: Option<Value>| -> Vec<String> {
        value
            .and_then(|v| serde_json::from_value(v).ok())
            .unwrap_or_default()
    };
    let field = Field {
        label,
        data_type,
        targets: strings(properties.remove("valid_types")),
        values: strings(properties.remove("valid_values")),
        default: properties.remove("default_value"),
        mandatory: false,
        read_only: false,
        properties,
    };
    entity.fields.insert(name.clone(), field);
    Ok(name)
}

/// Changes or deletes a field. Only custom fields (`sg_...`) can be deleted.
pub(crate) fn edit_field(
    schema: &mut Schema,
    kind: &str,
    name: &str,
    edit: FieldEdit,
) -> Result<(), Refusal> {
    let method = match edit {
        FieldEdit::Properties(_) => "schema_field_update",
        FieldEdit::Delete => "schema_field_delete",
    };
    let entity = schema
        .types
        .get_mut(kind)
        .ok_or_else(|| Refusal::no_type(method, kind))?;
    let field = entity
        .fields
        .get_mut(name)
        .ok_or_else(|| Refusal::no_field(method, kind, name))?;
    match edit {
        FieldEdit::Delete if name.starts_with("sg_") => {
            entity.fields.remove(name);
        }
        FieldEdit::Delete => {
            return Err(Refusal::forbidden(format!(
                "API {method}() {kind}.{name} is not a custom field and cannot be deleted."
            )));
        }
        FieldEdit::Properties(properties) => {
            for (property, value) in properties {
                match (property.as_str(), value) {
                    ("name", Value::String(label)) => field.label = label,
                    (_, value) => {
                        field.properties.insert(property, value);
                    }
                }
            }
        }
    }
    Ok(())
}
