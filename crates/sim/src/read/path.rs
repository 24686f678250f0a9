//! Field paths: `field`, `field.Type.field` to any depth, and the way back,
//! `$FROM$Type.field.rest`.

use std::borrow::Cow;

use serde_json::Value;

use crate::{
    link::target,
    refusal::Refusal,
    schema::{DataType, Schema},
    view::{Record, View},
};

/// A path that the schema knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    hops: Vec<Hop>,
    /// The type that the last field belongs to.
    pub(crate) kind: String,
    /// The last field.
    pub(crate) field: String,
    /// What it holds.
    pub(crate) data_type: DataType,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hop {
    /// Along a link field, if it leads to this type.
    To { field: String, kind: String },
    /// To every row of a type whose link field leads here.
    From { kind: String, field: String },
}

impl Path {
    /// Reads a path that starts at a type.
    pub(crate) fn parse(
        schema: &Schema,
        method: &str,
        start: &str,
        text: &str,
    ) -> Result<Self, Refusal> {
        let missing = || Refusal::no_field(method, start, text);
        let mut hops = Vec::new();
        let mut kind = start.to_owned();
        let mut rest = text;
        loop {
            if let Some(back) = rest.strip_prefix("$FROM$") {
                let mut parts = back.splitn(3, '.');
                let (Some(from), Some(field)) = (parts.next(), parts.next()) else {
                    return Err(missing());
                };
                schema.field(from, field).ok_or_else(missing)?;
                hops.push(Hop::From {
                    kind: from.to_owned(),
                    field: field.to_owned(),
                });
                from.clone_into(&mut kind);
                rest = parts.next().unwrap_or("id");
                continue;
            }
            let mut parts = rest.splitn(3, '.');
            let field = parts.next().unwrap_or_default();
            let known = schema.field(&kind, field).ok_or_else(missing)?;
            match (parts.next(), parts.next()) {
                (None, _) => {
                    return Ok(Self {
                        hops,
                        kind,
                        field: field.to_owned(),
                        data_type: known.data_type,
                    });
                }
                (Some(to), Some(further))
                    if known.data_type.is_link() && schema.entity_type(to).is_some() =>
                {
                    hops.push(Hop::To {
                        field: field.to_owned(),
                        kind: to.to_owned(),
                    });
                    to.clone_into(&mut kind);
                    rest = further;
                }
                _ => return Err(missing()),
            }
        }
    }

    /// Tells whether this is the row's own id.
    pub(crate) fn is_own_id(&self) -> bool {
        self.hops.is_empty() && self.field == "id"
    }

    /// Returns the value of a path without hops.
    pub(crate) fn own<'a>(&self, record: Record<'a>) -> Option<Cow<'a, Value>> {
        self.hops.is_empty().then(|| record.value(&self.field))
    }

    /// Returns every value the path leads to, as kept; null where it leads nowhere.
    pub(crate) fn values<'a>(&'a self, view: View<'a>, record: Record<'a>) -> Vec<Cow<'a, Value>> {
        let ends = self.ends(view, record);
        if ends.is_empty() {
            return vec![Cow::Borrowed(&Value::Null)];
        }
        ends.into_iter().map(|end| end.value(&self.field)).collect()
    }

    /// Returns what a reader gets who asked for this path: null where it leads nowhere or
    /// to several rows.
    pub(crate) fn shown<'a>(&'a self, view: View<'a>, record: Record<'a>) -> Cow<'a, Value> {
        if self.hops.is_empty() {
            return view.shown_as(record, &self.field, self.data_type);
        }
        let ends = self.ends(view, record);
        match ends.as_slice() {
            [one] => view.shown_as(*one, &self.field, self.data_type),
            _ => Cow::Borrowed(&Value::Null),
        }
    }

    fn ends<'a>(&'a self, view: View<'a>, record: Record<'a>) -> Vec<Record<'a>> {
        let mut here = vec![record];
        for hop in &self.hops {
            let mut next = Vec::new();
            for record in here {
                match hop {
                    Hop::To { field, kind } => {
                        let links = record.value(field);
                        let mut follow = |link: &Value| {
                            if let Some((to, id)) = target(link)
                                && to == kind
                            {
                                next.extend(view.active(kind, id));
                            }
                        };
                        match links.as_ref() {
                            Value::Array(links) => links.iter().for_each(follow),
                            link => follow(link),
                        }
                    }
                    Hop::From { kind, field } => {
                        let points_here = |from: &Record<'a>| {
                            let links = from.value(field);
                            let here =
                                |link: &Value| target(link) == Some((record.kind, record.id));
                            match links.as_ref() {
                                Value::Array(links) => links.iter().any(here),
                                link => here(link),
                            }
                        };
                        next.extend(view.records(kind, 0..=u64::MAX, false).filter(points_here));
                    }
                }
            }
            here = next;
        }
        here
    }
}
