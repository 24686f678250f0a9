//! The relations of filters: which exist for which data type, and what they mean.
//!
//! Text is compared without case, an empty text is null. A negative relation is exactly the
//! opposite of its positive one, so it matches rows where the field is null.
//! `between` includes its ends. Weeks begin on Monday (not known of real sites).

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

use crate::{
    clock::Moment,
    link::target,
    refusal::Refusal,
    schema::DataType,
    value::{date, date_time, same},
    view::View,
};

/// A positive relation; `is_not` is [`Op::Is`], negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Is,
    In,
    LessThan,
    GreaterThan,
    Between,
    Contains,
    StartsWith,
    EndsWith,
    TypeIs,
    NameContains,
    NameIs,
    InLast,
    InNext,
    InDay,
    InWeek,
    InMonth,
    InYear,
}

const TEXT: &[&str] = &[
    "is",
    "is_not",
    "contains",
    "not_contains",
    "starts_with",
    "ends_with",
    "in",
    "not_in",
];
const NUMBER: &[&str] = &[
    "is",
    "is_not",
    "less_than",
    "greater_than",
    "between",
    "not_between",
    "in",
    "not_in",
];
const TIME: &[&str] = &[
    "is",
    "is_not",
    "less_than",
    "greater_than",
    "between",
    "in",
    "not_in",
    "in_last",
    "not_in_last",
    "in_next",
    "not_in_next",
    "in_calendar_day",
    "in_calendar_week",
    "in_calendar_month",
    "in_calendar_year",
];
const LINK: &[&str] = &[
    "is",
    "is_not",
    "type_is",
    "type_is_not",
    "name_contains",
    "name_not_contains",
    "name_is",
    "in",
    "not_in",
];
const TAGS: &[&str] = &[
    "is",
    "is_not",
    "in",
    "not_in",
    "name_contains",
    "name_not_contains",
];
const LISTED: &[&str] = &["is", "is_not", "in", "not_in"];
const FLAG: &[&str] = &["is", "is_not"];

/// Returns the relations of a data type; none means it cannot be filtered by.
pub(crate) const fn relations(data_type: DataType) -> &'static [&'static str] {
    match data_type {
        DataType::Text => TEXT,
        DataType::Currency
        | DataType::Duration
        | DataType::Float
        | DataType::Number
        | DataType::Percent
        | DataType::Timecode => NUMBER,
        DataType::Date | DataType::DateTime => TIME,
        DataType::Entity | DataType::MultiEntity => LINK,
        DataType::TagList => TAGS,
        DataType::Color
        | DataType::EntityType
        | DataType::Footage
        | DataType::List
        | DataType::StatusList
        | DataType::Uuid => LISTED,
        DataType::Checkbox | DataType::Image => FLAG,
        DataType::Password
        | DataType::PivotColumn
        | DataType::Serializable
        | DataType::Summary
        | DataType::Url => &[],
    }
}

/// Reads a relation's name: the positive relation, and whether it is negated.
pub(crate) fn op(name: &str) -> Option<(Op, bool)> {
    Some(match name {
        "is" => (Op::Is, false),
        "is_not" => (Op::Is, true),
        "in" => (Op::In, false),
        "not_in" => (Op::In, true),
        "less_than" => (Op::LessThan, false),
        "greater_than" => (Op::GreaterThan, false),
        "between" => (Op::Between, false),
        "not_between" => (Op::Between, true),
        "contains" => (Op::Contains, false),
        "not_contains" => (Op::Contains, true),
        "starts_with" => (Op::StartsWith, false),
        "ends_with" => (Op::EndsWith, false),
        "type_is" => (Op::TypeIs, false),
        "type_is_not" => (Op::TypeIs, true),
        "name_contains" => (Op::NameContains, false),
        "name_not_contains" => (Op::NameContains, true),
        "name_is" => (Op::NameIs, false),
        "in_last" => (Op::InLast, false),
        "not_in_last" => (Op::InLast, true),
        "in_next" => (Op::InNext, false),
        "not_in_next" => (Op::InNext, true),
        "in_calendar_day" => (Op::InDay, false),
        "in_calendar_week" => (Op::InWeek, false),
        "in_calendar_month" => (Op::InMonth, false),
        "in_calendar_year" => (Op::InYear, false),
        _ => return None,
    })
}

impl Op {
    /// Tells whether the relation looks at a span of time given as number and unit.
    const fn takes_span(self) -> bool {
        matches!(
            self,
            Self::InLast | Self::InNext | Self::InDay | Self::InWeek | Self::InMonth | Self::InYear
        )
    }
    /// Tells whether the relation compares names or types and not the links themselves.
    const fn takes_text(self) -> bool {
        matches!(self, Self::TypeIs | Self::NameContains | Self::NameIs)
    }
}

/// Brings a filter's values into the form that fields are kept in.
pub(crate) fn wanted(
    op: Op,
    data_type: DataType,
    values: &[Value],
    refuse: &dyn Fn(&str) -> Refusal,
) -> Result<Vec<Value>, Refusal> {
    // A list given as the only value is the list of values.
    let values = match values {
        [Value::Array(list)] if op != Op::Between || list.len() == 2 => list.as_slice(),
        other => other,
    };
    if op == Op::Between && values.len() != 2 {
        return Err(refuse("expected two values"));
    }
    if values.is_empty() && op != Op::In {
        return Err(refuse("expected a value"));
    }
    if op.takes_span() {
        return Ok(values.to_vec());
    }
    values
        .iter()
        .map(|value| match value {
            Value::Null => Ok(Value::Null),
            _ if data_type == DataType::Image => Err(refuse("expected nil")),
            _ if op.takes_text() => value
                .as_str()
                .map(|text| Value::from(text.to_lowercase()))
                .ok_or_else(|| refuse("expected a String")),
            Value::String(text) if data_type == DataType::Date => date(text)
                .map(Value::from)
                .ok_or_else(|| refuse("expected a date, YYYY-MM-DD")),
            Value::String(text) if data_type == DataType::DateTime => date_time(text)
                .map(Value::from)
                .ok_or_else(|| refuse("expected a date and time, YYYY-MM-DDThh:mm:ssZ")),
            Value::Number(_) if data_type.is_number() => Ok(value.clone()),
            _ if data_type.is_number() => Err(refuse("expected a number")),
            _ if data_type.is_time() => Err(refuse("expected a date")),
            Value::Object(_) if data_type.is_link() => target(value)
                .map(|(kind, id)| serde_json::json!({"type": kind, "id": id}))
                .ok_or_else(|| refuse("expected a Hash with 'type' and 'id'")),
            _ if data_type.is_link() => Err(refuse("expected a Hash with 'type' and 'id'")),
            Value::String(text) if text.is_empty() => Ok(Value::Null),
            Value::String(text) => Ok(text.to_lowercase().into()),
            other => Ok(other.clone()),
        })
        .collect()
}

/// Tells whether a positive relation holds for a kept value.
pub(crate) fn holds(
    view: View<'_>,
    op: Op,
    data_type: DataType,
    actual: &Value,
    wanted: &[Value],
) -> bool {
    if let (DataType::MultiEntity | DataType::TagList, Value::Array(items)) = (data_type, actual) {
        if items.is_empty() {
            return holds_one(view, op, data_type, &Value::Null, wanted);
        }
        return items
            .iter()
            .any(|item| holds_one(view, op, data_type, item, wanted));
    }
    holds_one(view, op, data_type, actual, wanted)
}

fn holds_one(
    view: View<'_>,
    op: Op,
    data_type: DataType,
    actual: &Value,
    wanted: &[Value],
) -> bool {
    let first = wanted.first().unwrap_or(&Value::Null);
    match op {
        Op::Is => equal(data_type, actual, first),
        Op::In => wanted.iter().any(|w| equal(data_type, actual, w)),
        Op::LessThan => less(actual, first),
        Op::GreaterThan => less(first, actual),
        Op::Between => match wanted {
            [low, high] => !actual.is_null() && !less(actual, low) && !less(high, actual),
            _ => false,
        },
        Op::Contains => on_text(actual, first, |a, w| a.contains(w)),
        Op::StartsWith => on_text(actual, first, |a, w| a.starts_with(w)),
        Op::EndsWith => on_text(actual, first, |a, w| a.ends_with(w)),
        Op::TypeIs => match target(actual) {
            Some((kind, _)) => first.as_str() == Some(&kind.to_lowercase()),
            None => first.is_null(),
        },
        Op::NameContains => on_text(&name(view, actual), first, |a, w| a.contains(w)),
        Op::NameIs => on_text(&name(view, actual), first, |a, w| a == w),
        Op::InLast | Op::InNext | Op::InDay | Op::InWeek | Op::InMonth | Op::InYear => {
            span(view.now, op, wanted).is_some_and(|(from, to)| within(actual, from, to))
        }
    }
}

/// A link's name; a tag is its own name.
fn name(view: View<'_>, value: &Value) -> Value {
    match value {
        Value::String(_) => value.clone(),
        link => view.name_of(link).map_or(Value::Null, Value::from),
    }
}

fn equal(data_type: DataType, actual: &Value, wanted: &Value) -> bool {
    match (actual, wanted) {
        (Value::String(a), Value::String(w)) if data_type.is_time() => a == w,
        // `wanted` is lower case already.
        (Value::String(a), Value::String(w)) => a.to_lowercase() == *w,
        (Value::Null, Value::Bool(false)) if data_type == DataType::Checkbox => true,
        _ => same(actual, wanted),
    }
}

/// Numbers by value, dates by their text; whatever cannot be compared is not less.
fn less(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => x < y,
            _ => x.as_f64() < y.as_f64(),
        },
        (Value::String(x), Value::String(y)) => x < y,
        _ => false,
    }
}

fn on_text(actual: &Value, wanted: &Value, test: impl Fn(&str, &str) -> bool) -> bool {
    match (actual, wanted) {
        (Value::String(a), Value::String(w)) => test(&a.to_lowercase(), w),
        _ => false,
    }
}

/// The time a relation speaks of, as `[from, to)`.
fn span(now: Moment, op: Op, wanted: &[Value]) -> Option<(Timestamp, Timestamp)> {
    let count = wanted.first()?.as_i64()?;
    let here = now.wall.to_zoned(TimeZone::UTC);
    let today = here.date();
    if matches!(op, Op::InLast | Op::InNext) {
        let span = match wanted.get(1)?.as_str()?.to_uppercase().as_str() {
            "HOUR" => Span::new().try_hours(count),
            "DAY" => Span::new().try_days(count),
            "WEEK" => Span::new().try_weeks(count),
            "MONTH" => Span::new().try_months(count),
            "YEAR" => Span::new().try_years(count),
            _ => return None,
        }
        .ok()?;
        return if op == Op::InLast {
            let from = here.checked_sub(span).ok()?.timestamp();
            Some((from, now.wall.checked_add(Span::new().seconds(1)).ok()?))
        } else {
            Some((now.wall, here.checked_add(span).ok()?.timestamp()))
        };
    }
    let moved = |start: Date, unit: fn(i64) -> Option<Span>| {
        let from = start.checked_add(unit(count)?).ok()?;
        let to = from.checked_add(unit(1)?).ok()?;
        let midnight = |day: Date| Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp());
        Some((midnight(from)?, midnight(to)?))
    };
    match op {
        Op::InDay => moved(today, |n| Span::new().try_days(n).ok()),
        Op::InWeek => {
            let since_monday = i64::from(today.weekday().to_monday_zero_offset());
            let monday = today.checked_sub(Span::new().days(since_monday)).ok()?;
            moved(monday, |n| Span::new().try_weeks(n).ok())
        }
        Op::InMonth => moved(today.first_of_month(), |n| Span::new().try_months(n).ok()),
        Op::InYear => moved(today.first_of_year(), |n| Span::new().try_years(n).ok()),
        _ => None,
    }
}

fn within(actual: &Value, from: Timestamp, to: Timestamp) -> bool {
    actual
        .as_str()
        .and_then(date_time)
        .and_then(|text| text.parse::<Timestamp>().ok())
        .is_some_and(|at| from <= at && at < to)
}
