//! `read`: which rows, in which order, which page, which fields.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap};

use serde_json::{Value, json};

use super::{filter::Filter, path::Path, range::Ids};
use crate::{
    faults::Corruption,
    refusal::Refusal,
    schema::{DataType, Schema},
    view::{EVENT, Record, View},
};

/// A checked `read`.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) kind: String,
    filter: Filter,
    ids: Ids,
    /// Key in the answer, and where its value is. `type` and `id` are always there.
    fields: Vec<(String, Path)>,
    retired: bool,
    archived_projects: bool,
    sorts: Vec<(Path, bool)>,
    page: usize,
    page_size: usize,
    counts: bool,
    /// Rows that were looked at.
    #[cfg(test)]
    pub(super) visited: std::cell::Cell<usize>,
}

/// One page of rows.
pub(crate) struct Found<'a> {
    records: Vec<Record<'a>>,
    has_next: bool,
    total: Option<usize>,
}

impl Query {
    /// Reads the arguments of `read` and `summarize`.
    pub(crate) fn parse(
        schema: &Schema,
        method: &str,
        args: &Value,
        largest_page: usize,
    ) -> Result<Self, Refusal> {
        let kind = args
            .get("type")
            .and_then(Value::as_str)
            .ok_or_else(|| Refusal::argument(method, &format!("string entity 'type': {args}")))?;
        if schema.entity_type(kind).is_none() {
            return Err(Refusal::no_type(method, kind));
        }
        let presets = args.get("additional_filter_presets");
        if presets.is_some_and(|presets| !presets.is_null()) {
            return Err(Refusal::bad(format!(
                "API {method}() 'additional_filter_presets' are not simulated."
            )));
        }
        let filter = match args.get("filters") {
            None | Some(Value::Null) => Filter::All(Vec::new()),
            Some(filters) => Filter::parse(schema, method, kind, filters)?,
        };
        let retired = match args.get("return_only").and_then(Value::as_str) {
            None | Some("active") => false,
            Some("retired") => true,
            Some(other) => {
                return Err(Refusal::argument(
                    method,
                    &format!("'return_only': {other}"),
                ));
            }
        };
        let paging = args.get("paging");
        let size = |key: &str, default: usize| match paging.and_then(|p| p.get(key)) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| *n > 0)
                .ok_or_else(|| Refusal::argument(method, &format!("'{key}': {value}"))),
        };
        let flag = |key: &str| args.get(key).and_then(Value::as_bool);
        let fields = args.get("return_fields").and_then(Value::as_array);
        Ok(Self {
            ids: Ids::of(&filter),
            filter,
            fields: return_fields(schema, kind, fields.map_or(&[], Vec::as_slice)),
            retired,
            archived_projects: flag("include_archived_projects").unwrap_or(true),
            sorts: sorts(schema, kind, args.get("sorts"), method)?,
            page: size("current_page", 1)?,
            page_size: size("entities_per_page", largest_page)?.min(largest_page),
            counts: flag("return_paging_info").unwrap_or(false),
            kind: kind.to_owned(),
            #[cfg(test)]
            visited: std::cell::Cell::default(),
        })
    }

    /// Walks the rows that pass, in order of id.
    fn matching<'a>(
        &'a self,
        view: View<'a>,
        descending: bool,
    ) -> Box<dyn Iterator<Item = Record<'a>> + 'a> {
        let walk = move |range: &std::ops::RangeInclusive<u64>| {
            let rows = view.records(&self.kind, range.clone(), self.retired);
            let rows: Box<dyn Iterator<Item = Record<'a>> + 'a> = if descending {
                Box::new(rows.rev())
            } else {
                rows
            };
            rows
        };
        let passes = move |record: &Record<'a>| {
            #[cfg(test)]
            self.visited.set(self.visited.get() + 1);
            (self.ids.exact || self.filter.passes(view, *record))
                && (self.archived_projects || !view.in_archived_project(*record))
        };
        if descending {
            Box::new(self.ids.ranges.iter().rev().flat_map(walk).filter(passes))
        } else {
            Box::new(self.ids.ranges.iter().flat_map(walk).filter(passes))
        }
    }

    /// Returns every row that passes, in order of id.
    pub(crate) fn all<'a>(&'a self, view: View<'a>) -> Vec<Record<'a>> {
        self.matching(view, false).collect()
    }

    /// Returns the page that was asked for.
    pub(crate) fn run<'a>(&'a self, view: View<'a>) -> Found<'a> {
        let skip = (self.page - 1).saturating_mul(self.page_size);
        let by_id = match self.sorts.first() {
            None => Some(false),
            Some((path, descending)) => path.is_own_id().then_some(*descending),
        };
        if let Some(descending) = by_id
            && !self.counts
        {
            let mut rows = self.matching(view, descending).skip(skip);
            let records = rows.by_ref().take(self.page_size).collect();
            return Found {
                records,
                has_next: rows.next().is_some(),
                total: None,
            };
        }
        let mut rows: Vec<Record<'a>> = self.matching(view, by_id.unwrap_or(false)).collect();
        if by_id.is_none() {
            self.sort(view, &mut rows);
        }
        let total = rows.len();
        let records: Vec<_> = rows.into_iter().skip(skip).take(self.page_size).collect();
        Found {
            has_next: skip + records.len() < total,
            records,
            total: self.counts.then_some(total),
        }
    }

    fn sort<'a>(&'a self, view: View<'a>, rows: &mut Vec<Record<'a>>) {
        let mut keyed: Vec<(Vec<Value>, Record<'a>)> = rows
            .drain(..)
            .map(|record| {
                let keys = self
                    .sorts
                    .iter()
                    .map(|(path, _)| sort_key(path, view, record));
                (keys.collect(), record)
            })
            .collect();
        keyed.sort_by(|(a, x), (b, y)| {
            let by_keys = a.iter().zip(b).zip(&self.sorts).map(|((a, b), (_, down))| {
                let order = compare(a, b);
                if *down { order.reverse() } else { order }
            });
            by_keys
                .fold(Ordering::Equal, Ordering::then)
                .then(x.id.cmp(&y.id))
        });
        rows.extend(keyed.into_iter().map(|(_, record)| record));
    }

    /// Returns the rows of a page as values.
    pub(crate) fn rows<'a>(&'a self, view: View<'a>, found: &Found<'a>) -> Vec<Value> {
        let row = |record: &Record<'a>| {
            self.cells(view, *record)
                .map(|(k, v)| (k.to_owned(), v.into_owned()))
                .collect()
        };
        found.records.iter().map(row).map(Value::Object).collect()
    }

    fn cells<'a>(
        &'a self,
        view: View<'a>,
        record: Record<'a>,
    ) -> impl Iterator<Item = (&'a str, Cow<'a, Value>)> {
        let head = [
            ("type", Cow::Owned(Value::from(record.kind))),
            ("id", Cow::Owned(Value::from(record.id))),
        ];
        let fields = self
            .fields
            .iter()
            .map(move |(key, path)| (key.as_str(), path.shown(view, record)));
        head.into_iter().chain(fields)
    }

    /// Writes the answer's `results`. Rows in `spoilt` are written wrongly.
    pub(crate) fn write<'a>(
        &'a self,
        view: View<'a>,
        found: &Found<'a>,
        spoilt: &BTreeMap<u64, Corruption>,
        out: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        out.extend_from_slice(b"{\"entities\":[");
        for (index, record) in found.records.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let how = (self.kind == EVENT)
                .then(|| spoilt.get(&record.id))
                .flatten();
            let mut row = Vec::with_capacity(512);
            row.push(b'{');
            for (index, (key, value)) in self.cells(view, *record).enumerate() {
                if index > 0 {
                    row.push(b',');
                }
                serde_json::to_writer(&mut row, key)?;
                row.push(b':');
                match how {
                    Some(how) if key == "meta" => {
                        let mut meta = serde_json::to_vec(&value)?;
                        how.spoil_meta(&mut meta);
                        row.extend_from_slice(&meta);
                    }
                    _ => serde_json::to_writer(&mut row, &value)?,
                }
            }
            row.push(b'}');
            if let Some(how) = how {
                how.spoil_row(record.id, &mut row);
            }
            out.extend_from_slice(&row);
        }
        out.extend_from_slice(b"],\"paging_info\":");
        serde_json::to_writer(&mut *out, &self.paging(found))?;
        out.push(b'}');
        Ok(())
    }

    fn paging(&self, found: &Found<'_>) -> Value {
        let mut info = json!({
            "current_page": self.page,
            "entities_per_page": self.page_size,
            "has_next_page": found.has_next,
        });
        if let (Some(total), Some(info)) = (found.total, info.as_object_mut()) {
            info.insert("entity_count".into(), total.into());
            info.insert("page_count".into(), total.div_ceil(self.page_size).into());
        }
        info
    }
}

/// Returns the fields that exist; others are left out of the answer.
fn return_fields(schema: &Schema, kind: &str, names: &[Value]) -> Vec<(String, Path)> {
    let mut fields: Vec<(String, Path)> = Vec::with_capacity(names.len());
    for name in names.iter().filter_map(Value::as_str) {
        let known = name == "type" || name == "id" || fields.iter().any(|(key, _)| key == name);
        if !known && let Ok(path) = Path::parse(schema, "read", kind, name) {
            fields.push((name.to_owned(), path));
        }
    }
    fields
}

/// Returns the sorts by fields that exist and can be ordered; others are ignored.
fn sorts(
    schema: &Schema,
    kind: &str,
    sorts: Option<&Value>,
    method: &str,
) -> Result<Vec<(Path, bool)>, Refusal> {
    let mut known = Vec::new();
    for sort in sorts.and_then(Value::as_array).into_iter().flatten() {
        let descending = match sort.get("direction").and_then(Value::as_str) {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(other) => return Err(Refusal::argument(method, &format!("'direction': {other}"))),
        };
        let name = sort
            .get("field_name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if let Ok(path) = Path::parse(schema, method, kind, name)
            && path.data_type != DataType::Serializable
        {
            known.push((path, descending));
        }
    }
    Ok(known)
}

fn sort_key<'a>(path: &'a Path, view: View<'a>, record: Record<'a>) -> Value {
    let value = path.shown(view, record);
    match value.as_ref() {
        Value::String(text) => text.to_lowercase().into(),
        Value::Object(link) => link.get("name").cloned().unwrap_or(Value::Null),
        Value::Array(_) => Value::Null,
        other => other.clone(),
    }
}

/// Null comes last, and so first when the order is descending.
pub(super) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => x
                .as_f64()
                .partial_cmp(&y.as_f64())
                .unwrap_or(Ordering::Equal),
        },
        (Value::String(x), Value::String(y)) => x.cmp(y),
        (Value::Bool(x), Value::Bool(y)) => x.cmp(y),
        _ => Ordering::Equal,
    }
}
