//! `summarize`: counts and other figures over rows, in groups.

use serde_json::{Map, Value, json};

use super::{
    path::Path,
    query::{Query, compare},
};
use crate::{
    refusal::Refusal,
    schema::DataType,
    view::{Record, View},
};

const METHOD: &str = "summarize";

struct Summary {
    name: String,
    path: Path,
    how: How,
}

enum How {
    RecordCount,
    Count,
    Sum,
    Average,
    Minimum,
    Maximum,
    Earliest,
    Latest,
    Checked,
    Unchecked,
    /// Percentage of rows with this status.
    Percentage(Option<String>),
    StatusList,
}

struct Grouping {
    path: Path,
    how: Group,
    descending: bool,
}

enum Group {
    Exact,
    FirstLetter,
    EntityType,
    /// So many characters of the date: 10 day, 7 month, 4 year.
    Date(usize),
    /// Numbers in steps of this size.
    Step(i64),
}

/// Answers `summarize`.
pub(crate) fn summarize(view: View<'_>, args: &Value) -> Result<Value, Refusal> {
    let schema = &view.data.schema;
    let query = Query::parse(schema, METHOD, args, usize::MAX)?;
    let kind = query.kind.as_str();
    let list = |key: &str| args.get(key).and_then(Value::as_array);
    let text = |value: &Value, key: &str| -> Result<String, Refusal> {
        let text = value.get(key).and_then(Value::as_str);
        text.map(ToOwned::to_owned)
            .ok_or_else(|| Refusal::argument(METHOD, &format!("'{key}': {value}")))
    };
    let mut summaries = Vec::new();
    for wish in list("summaries").ok_or_else(|| Refusal::argument(METHOD, "'summaries'"))? {
        let name = text(wish, "field")?;
        let path = Path::parse(schema, METHOD, kind, &name)?;
        let how = how(&text(wish, "type")?, wish)?;
        summaries.push(Summary { name, path, how });
    }
    let mut groupings = Vec::new();
    for wish in list("grouping").into_iter().flatten() {
        let path = Path::parse(schema, METHOD, kind, &text(wish, "field")?)?;
        groupings.push(Grouping {
            path,
            how: group(&text(wish, "type")?)?,
            descending: wish.get("direction").and_then(Value::as_str) == Some("desc"),
        });
    }
    let rows = query.all(view);
    Ok(json!({
        "summaries": figures(view, &summaries, &rows),
        "groups": groups(view, &summaries, &groupings, &rows),
    }))
}

fn how(name: &str, wish: &Value) -> Result<How, Refusal> {
    Ok(match name {
        "record_count" => How::RecordCount,
        "count" => How::Count,
        "sum" => How::Sum,
        "average" => How::Average,
        "minimum" => How::Minimum,
        "maximum" => How::Maximum,
        "earliest" => How::Earliest,
        "latest" => How::Latest,
        "checked" => How::Checked,
        "unchecked" => How::Unchecked,
        "percentage" | "status_percentage" => {
            How::Percentage(wish.get("value").and_then(Value::as_str).map(Into::into))
        }
        "status_list" => How::StatusList,
        other => {
            return Err(Refusal::argument(
                METHOD,
                &format!("summary 'type': {other}"),
            ));
        }
    })
}

fn group(name: &str) -> Result<Group, Refusal> {
    Ok(match name {
        "exact" => Group::Exact,
        "firstletter" => Group::FirstLetter,
        "entitytype" => Group::EntityType,
        "day" | "clustered_date" => Group::Date(10),
        "month" => Group::Date(7),
        "year" => Group::Date(4),
        "tens" => Group::Step(10),
        "hundreds" => Group::Step(100),
        "thousands" => Group::Step(1000),
        other => {
            return Err(Refusal::bad(format!(
                "API {METHOD}() grouping 'type' {other} is not simulated."
            )));
        }
    })
}

fn figures(view: View<'_>, summaries: &[Summary], rows: &[Record<'_>]) -> Value {
    let figure = |summary: &Summary| (summary.name.clone(), summary.figure(view, rows));
    Value::Object(summaries.iter().map(figure).collect::<Map<_, _>>())
}

fn groups(
    view: View<'_>,
    summaries: &[Summary],
    groupings: &[Grouping],
    rows: &[Record<'_>],
) -> Value {
    let Some((grouping, inner)) = groupings.split_first() else {
        return json!([]);
    };
    let mut found: Vec<(Value, Vec<Record<'_>>)> = Vec::new();
    for row in rows {
        let key = grouping.key(&grouping.path.shown(view, *row));
        match found.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(*row),
            None => found.push((key, vec![*row])),
        }
    }
    found.sort_by(|(a, _), (b, _)| {
        let order = compare(&label(a), &label(b));
        if grouping.descending {
            order.reverse()
        } else {
            order
        }
    });
    let shown = found.into_iter().map(|(value, members)| {
        let mut group = json!({
            "group_name": label(&value).as_str().unwrap_or_default(),
            "group_value": value,
            "summaries": figures(view, summaries, &members),
        });
        if let (false, Some(group)) = (inner.is_empty(), group.as_object_mut()) {
            group.insert("groups".into(), groups(view, summaries, inner, &members));
        }
        group
    });
    shown.collect()
}

/// What a group is called.
fn label(value: &Value) -> Value {
    match value {
        Value::Null => "".into(),
        Value::String(_) => value.clone(),
        Value::Object(link) => link.get("name").cloned().unwrap_or_else(|| "".into()),
        other => other.to_string().into(),
    }
}

impl Grouping {
    fn key(&self, value: &Value) -> Value {
        match (&self.how, value) {
            (Group::FirstLetter, Value::String(text)) => text
                .chars()
                .take(1)
                .collect::<String>()
                .to_uppercase()
                .into(),
            (Group::EntityType, Value::Object(link)) => {
                link.get("type").cloned().unwrap_or(Value::Null)
            }
            (Group::Date(length), Value::String(text)) => {
                text.get(..*length).unwrap_or(text).into()
            }
            (Group::Step(step), Value::Number(n)) => n
                .as_i64()
                .map_or(Value::Null, |n| (n.div_euclid(*step) * step).into()),
            (_, value) => value.clone(),
        }
    }
}

impl Summary {
    fn figure(&self, view: View<'_>, rows: &[Record<'_>]) -> Value {
        let values: Vec<Value> = rows
            .iter()
            .map(|row| self.path.shown(view, *row).into_owned())
            .collect();
        let present = || {
            values
                .iter()
                .filter(|v| !v.is_null() && v.as_array().is_none_or(|l| !l.is_empty()))
        };
        let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
        let sum: f64 = numbers.iter().sum();
        let flags = |wanted: bool| {
            values
                .iter()
                .filter(|v| v.as_bool() == Some(wanted))
                .count()
        };
        let extreme = |largest: bool| {
            let ordered = present().max_by(|a, b| {
                let order = compare(a, b);
                if largest { order } else { order.reverse() }
            });
            ordered.cloned().unwrap_or(Value::Null)
        };
        match &self.how {
            How::RecordCount => values.len().into(),
            How::Count => present().count().into(),
            How::Sum => self.number(sum),
            How::Average if numbers.is_empty() => Value::Null,
            How::Average => (sum / numbers.len() as f64).into(),
            How::Minimum | How::Earliest => extreme(false),
            How::Maximum | How::Latest => extreme(true),
            How::Checked => flags(true).into(),
            How::Unchecked => flags(false).into(),
            How::Percentage(wanted) => {
                let hits = values.iter().filter(|v| match wanted {
                    Some(wanted) => v.as_str() == Some(wanted),
                    None => v.as_bool() == Some(true),
                });
                let share = hits.count() as f64 / values.len().max(1) as f64;
                json!((share * 100.0).round())
            }
            How::StatusList => match values.first() {
                Some(first) if values.iter().all(|v| v == first) => first.clone(),
                Some(_) => "ip".into(),
                None => Value::Null,
            },
        }
    }

    /// Whole numbers stay whole.
    fn number(&self, sum: f64) -> Value {
        if matches!(self.path.data_type, DataType::Float | DataType::Currency) {
            return sum.into();
        }
        #[expect(clippy::cast_possible_truncation, reason = "sums of whole numbers")]
        let whole = sum as i64;
        whole.into()
    }
}
