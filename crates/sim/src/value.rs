//! Values as they are kept: one form for each data type, so that comparing them is plain.
//!
//! Dates are `YYYY-MM-DD`, points in time `YYYY-MM-DDThh:mm:ssZ` (their order as text is
//! their order in time), links `{"type","id"}`, an empty text is null.

use jiff::{Timestamp, civil::Date};
use serde_json::Value;

use crate::{
    data::Tables,
    link::{Link, target},
    refusal::Refusal,
    schema::{DataType, Field, Schema},
};

/// Where a value is about to be written, for the refusal's text.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) method: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) field: &'a Field,
}

/// Brings a value into the form that is kept, or refuses it.
pub(crate) fn accept(
    place: Place<'_>,
    schema: &Schema,
    tables: &Tables,
    value: Value,
) -> Result<Value, Refusal> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    match place.field.data_type {
        DataType::Serializable | DataType::Url => Ok(value),
        DataType::Checkbox => match value {
            Value::Bool(_) => Ok(value),
            // Old clients send 0 and 1.
            Value::Number(n) => Ok(Value::Bool(n.as_i64() != Some(0))),
            other => Err(wrong(place, "TrueClass, FalseClass", &other)),
        },
        DataType::Number | DataType::Duration | DataType::Percent | DataType::Timecode => {
            match whole(&value) {
                Some(n) => Ok(n.into()),
                None => Err(wrong(place, "Integer, NilClass", &value)),
            }
        }
        DataType::Float | DataType::Currency | DataType::Footage => match value {
            Value::Number(_) => Ok(value),
            other => Err(wrong(place, "Float, NilClass", &other)),
        },
        DataType::Date => match value.as_str().and_then(date) {
            Some(date) => Ok(date.into()),
            None => Err(wrong(place, "String, NilClass", &value)),
        },
        DataType::DateTime => match value.as_str().and_then(date_time) {
            Some(at) => Ok(at.into()),
            None => Err(wrong(place, "String, NilClass", &value)),
        },
        DataType::Entity => link(place, schema, tables, &value),
        DataType::MultiEntity => {
            let Value::Array(items) = &value else {
                return Err(wrong(place, "Array, NilClass", &value));
            };
            let mut links = Vec::with_capacity(items.len());
            for item in items {
                let one = link(place, schema, tables, item)?;
                if !links.contains(&one) {
                    links.push(one);
                }
            }
            Ok(Value::Array(links))
        }
        DataType::TagList => match value {
            Value::Array(_) => Ok(value),
            other => Err(wrong(place, "Array, NilClass", &other)),
        },
        DataType::List | DataType::StatusList => listed(place, value),
        DataType::EntityType => match value.as_str() {
            Some(kind) if schema.entity_type(kind).is_some() => Ok(value),
            _ => Err(wrong(place, "String, NilClass", &value)),
        },
        DataType::Text
        | DataType::Color
        | DataType::Image
        | DataType::Password
        | DataType::Uuid => match value {
            Value::String(text) if text.is_empty() => Ok(Value::Null),
            Value::String(_) => Ok(value),
            other => Err(wrong(place, "String, NilClass", &other)),
        },
        DataType::PivotColumn | DataType::Summary => Err(read_only(place)),
    }
}

/// The refusal to write a field that the site keeps to itself.
pub(crate) fn read_only(place: Place<'_>) -> Refusal {
    Refusal::bad(format!(
        "API {}() {}.{} is not editable.",
        place.method, place.kind, place.name
    ))
}

fn listed(place: Place<'_>, value: Value) -> Result<Value, Refusal> {
    let Some(text) = value.as_str() else {
        return Err(wrong(place, "String, NilClass", &value));
    };
    if text.is_empty() {
        return Ok(Value::Null);
    }
    // A list grows with what is written to it; a status must exist.
    let known = &place.field.values;
    if place.field.data_type == DataType::StatusList
        && !known.is_empty()
        && !known.iter().any(|v| v == text)
    {
        return Err(Refusal::bad(format!(
            "API {}() {}.{} '{text}' is not a valid status, valid are: {}.",
            place.method,
            place.kind,
            place.name,
            known.join(", ")
        )));
    }
    Ok(value)
}

fn link(
    place: Place<'_>,
    schema: &Schema,
    tables: &Tables,
    value: &Value,
) -> Result<Value, Refusal> {
    let Some((kind, id)) = target(value) else {
        return Err(wrong(place, "Hash, NilClass", value));
    };
    let targets = &place.field.targets;
    if schema.entity_type(kind).is_none()
        || !(targets.is_empty() || targets.iter().any(|t| t == kind))
    {
        return Err(Refusal::bad(format!(
            "API {}() {}.{} cannot link to {kind}, valid types are: {}.",
            place.method,
            place.kind,
            place.name,
            targets.join(", ")
        )));
    }
    if tables.row(kind, id).is_none() {
        return Err(Refusal::no_row(place.method, kind, id));
    }
    Ok(Link::new(kind, id).value())
}

fn wrong(place: Place<'_>, expected: &str, got: &Value) -> Refusal {
    let class = match got {
        Value::Null => "NilClass",
        Value::Bool(_) => "Boolean",
        Value::Number(n) if n.is_f64() => "Float",
        Value::Number(_) => "Integer",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Hash",
    };
    Refusal::bad(format!(
        "API {}() {}.{} expected [{expected}] data type(s) but got [{class}] Value: {got}",
        place.method, place.kind, place.name
    ))
}

/// Reads a whole number, also from a float without fraction.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let float = value.as_f64()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be whole and small"
        )]
        let number = (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
        number
    })
}

/// Brings a date into its kept form.
pub(crate) fn date(text: &str) -> Option<String> {
    let day = text.get(..10).unwrap_or(text);
    day.parse::<Date>().ok().map(|d| d.to_string())
}

/// Brings a point in time into its kept form; a date alone means its midnight, UTC.
pub(crate) fn date_time(text: &str) -> Option<String> {
    let at: Timestamp = text.parse().ok().or_else(|| {
        let day: Date = text.parse().ok()?;
        day.to_zoned(jiff::tz::TimeZone::UTC)
            .ok()
            .map(|z| z.timestamp())
    })?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Tells whether two kept values are the same; numbers by value, null is an empty list.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Null, Value::Array(list)) | (Value::Array(list), Value::Null) => list.is_empty(),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_one_form() {
        for text in [
            "2026-03-01T10:00:00Z",
            "2026-03-01T10:00:00.9Z",
            "2026-03-01T12:00:00+02:00",
        ] {
            assert_eq!(date_time(text).as_deref(), Some("2026-03-01T10:00:00Z"));
        }
        assert_eq!(
            date_time("2026-03-01").as_deref(),
            Some("2026-03-01T00:00:00Z")
        );
        assert_eq!(date_time("yesterday"), None);
        assert_eq!(date("2026-03-01T10:00:00Z").as_deref(), Some("2026-03-01"));
        assert_eq!(date("2026-13-01"), None);
    }
}
