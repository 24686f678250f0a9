//! Filters: the wire's tree of conditions, checked against the schema when it is read.

use serde_json::{Value, json};

use super::{
    path::Path,
    relation::{Op, holds, op, relations, wanted},
};
use crate::{
    refusal::Refusal,
    schema::Schema,
    view::{Record, View},
};

/// Deeper than this a site refuses (measured: 265).
const DEEPEST: usize = 265;

/// A condition, or conditions joined.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Test(Test),
}

/// One condition.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) path: Path,
    pub(crate) op: Op,
    pub(crate) negated: bool,
    /// In the form that fields are kept in; text in lower case.
    pub(crate) values: Vec<Value>,
}

impl Filter {
    /// Reads `{"logical_operator","conditions"}` or `{"path","relation","values"}`.
    pub(crate) fn parse(
        schema: &Schema,
        method: &str,
        kind: &str,
        value: &Value,
    ) -> Result<Self, Refusal> {
        Self::parse_at(schema, method, kind, value, 0)
    }

    fn parse_at(
        schema: &Schema,
        method: &str,
        kind: &str,
        value: &Value,
        depth: usize,
    ) -> Result<Self, Refusal> {
        if depth > DEEPEST {
            return Err(Refusal::bad(format!(
                "API {method}() filters are nested too deep."
            )));
        }
        let invalid = |what: &str| Refusal::argument(method, &format!("{what} in filter: {value}"));
        if let Some(conditions) = value.get("conditions") {
            let conditions = conditions
                .as_array()
                .ok_or_else(|| invalid("'conditions'"))?;
            let parts = conditions
                .iter()
                .map(|part| Self::parse_at(schema, method, kind, part, depth + 1))
                .collect::<Result<Vec<_>, _>>()?;
            return match value.get("logical_operator").and_then(Value::as_str) {
                Some("and") | None => Ok(Self::All(parts)),
                Some("or") => Ok(Self::Any(parts)),
                Some(_) => Err(invalid("'logical_operator'")),
            };
        }
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let path = text("path").ok_or_else(|| invalid("'path'"))?;
        let relation = text("relation").ok_or_else(|| invalid("'relation'"))?;
        let values = match value.get("values") {
            Some(Value::Array(values)) => values.clone(),
            Some(one) => vec![one.clone()],
            None => return Err(invalid("'values'")),
        };
        Test::new(schema, method, kind, (path, relation), &values).map(Self::Test)
    }

    /// Tells whether a row passes.
    pub(crate) fn passes<'a>(&'a self, view: View<'a>, record: Record<'a>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.passes(view, record)),
            // A group without conditions asks for nothing.
            Self::Any(parts) => {
                parts.is_empty() || parts.iter().any(|part| part.passes(view, record))
            }
            Self::Test(test) => test.passes(view, record),
        }
    }
}

impl Test {
    fn new(
        schema: &Schema,
        method: &str,
        kind: &str,
        (path, relation): (&str, &str),
        values: &[Value],
    ) -> Result<Self, Refusal> {
        let text = path;
        let path = Path::parse(schema, method, kind, path)?;
        let data_type = path.data_type;
        let valid = relations(data_type);
        if valid.is_empty() {
            return Err(Refusal::bad(format!(
                "API {method}() {kind}.{text}'s '{}' data type cannot be used in a filter.",
                data_type.name()
            )));
        }
        let known = op(relation).filter(|_| valid.contains(&relation));
        let (op, negated) = known.ok_or_else(|| {
            Refusal::bad(format!(
                "API {method}() {kind}.{text}'s '{}' data type doesn't support '{relation}' 'relation'\n\
                 Valid relations:\n{}",
                data_type.name(),
                valid.join("\n")
            ))
        })?;
        let refuse = |what: &str| {
            Refusal::bad(format!(
                "API {method}() {kind}.{text} {what} for '{relation}', got {}",
                Value::from(values)
            ))
        };
        let values = wanted(op, data_type, values, &refuse)?;
        Ok(Self {
            path,
            op,
            negated,
            values,
        })
    }

    fn passes<'a>(&'a self, view: View<'a>, record: Record<'a>) -> bool {
        let data_type = self.path.data_type;
        let holds = |value: &Value| holds(view, self.op, data_type, value, &self.values);
        let positive = match self.path.own(record) {
            Some(value) => holds(&value),
            None => self
                .path
                .values(view, record)
                .iter()
                .any(|value| holds(value)),
        };
        positive != self.negated
    }
}

/// Turns filters as a user of the official client writes them, `[["id","is",1], ...]`, into
/// the wire's form. What is no list is taken for the wire's form already.
pub(crate) fn client_filters(filters: &Value) -> Value {
    fn group(operator: &str, filters: &[Value]) -> Value {
        let logical = if operator == "any" { "or" } else { "and" };
        let conditions: Vec<Value> = filters.iter().map(one).collect();
        json!({"logical_operator": logical, "conditions": conditions})
    }
    fn one(filter: &Value) -> Value {
        if let Some(inner) = filter.get("filters").and_then(Value::as_array) {
            let operator = filter.get("filter_operator").and_then(Value::as_str);
            return group(operator.unwrap_or("all"), inner);
        }
        match filter.as_array().map(Vec::as_slice) {
            Some([path, relation, Value::Array(values)]) => {
                json!({"path": path, "relation": relation, "values": values})
            }
            Some([path, relation, values @ ..]) => {
                json!({"path": path, "relation": relation, "values": values})
            }
            _ => filter.clone(),
        }
    }
    match filters {
        Value::Array(list) => group("all", list),
        other => other.clone(),
    }
}
