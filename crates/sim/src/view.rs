//! What a reader sees at one moment: visible rows only, links resolved to the target's
//! present name, links to retired entities null.

use std::{borrow::Cow, collections::BTreeMap, ops::RangeInclusive};

use serde_json::{Value, json};

use crate::{
    clock::Moment,
    data::{Data, Row, display_name},
    link::target,
    log::EventRow,
    schema::DataType,
};

/// The entity type that is kept in the log and not in a table.
pub(crate) const EVENT: &str = "EventLogEntry";

/// What is kept from readers although it is visible: hidden by permission, or archived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curtain {
    /// Ids hidden from every script user.
    pub(crate) hidden: Vec<RangeInclusive<u64>>,
    /// Ids below this one are archived.
    pub(crate) archived_below: u64,
}

impl Curtain {
    /// Tells whether an event is kept from readers.
    pub(crate) fn covers(&self, id: u64) -> bool {
        id < self.archived_below || self.hidden.iter().any(|ids| ids.contains(&id))
    }
}

/// The site as it can be read at one moment.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) data: &'a Data,
    pub(crate) curtain: &'a Curtain,
    pub(crate) now: Moment,
}

/// One row of any type.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) kind: &'a str,
    pub(crate) id: u64,
    body: Body<'a>,
}

#[derive(Clone, Copy)]
enum Body<'a> {
    Entity(&'a Row),
    Event(&'a EventRow),
}

impl<'a> Record<'a> {
    /// Returns a field as it is kept, for comparison: links as type and id.
    pub(crate) fn value(&self, name: &str) -> Cow<'a, Value> {
        let null = Cow::Borrowed(&Value::Null);
        match (name, self.body) {
            ("id", _) => Cow::Owned(self.id.into()),
            (_, Body::Event(row)) => row.field(name).map_or(null, Cow::Borrowed),
            ("cached_display_name", Body::Entity(row)) => {
                Cow::Owned(display_name(self.kind, row).into())
            }
            ("name", Body::Entity(row)) if self.kind == "HumanUser" => {
                Cow::Owned(display_name(self.kind, row).into())
            }
            ("salted_password" | "password_proxy", Body::Entity(_)) => Cow::Owned("*******".into()),
            (_, Body::Entity(row)) => Cow::Borrowed(row.field(name)),
        }
    }
}

impl<'a> View<'a> {
    /// Returns a row that is not retired and not hidden.
    pub(crate) fn active(&self, kind: &'a str, id: u64) -> Option<Record<'a>> {
        let body = if kind == EVENT {
            let entry = self.data.log.entry(id)?;
            if !entry.is_visible(self.now) || self.curtain.covers(id) {
                return None;
            }
            Body::Event(&entry.row)
        } else {
            let row = self.data.tables.row(kind, id)?;
            if row.retired.is_some() {
                return None;
            }
            Body::Entity(row)
        };
        Some(Record { kind, id, body })
    }

    /// Returns a row that was just written, whether others can see it or not.
    pub(crate) fn written(&self, kind: &'a str, id: u64) -> Option<Record<'a>> {
        let body = if kind == EVENT {
            Body::Event(&self.data.log.entry(id)?.row)
        } else {
            Body::Entity(self.data.tables.row(kind, id)?)
        };
        Some(Record { kind, id, body })
    }

    /// Walks the rows of a type with ids in a range, in order of id.
    pub(crate) fn records(
        &self,
        kind: &'a str,
        ids: RangeInclusive<u64>,
        retired: bool,
    ) -> Box<dyn DoubleEndedIterator<Item = Record<'a>> + 'a> {
        let Self { data, curtain, now } = *self;
        if kind == EVENT {
            // Events are never retired.
            let ids = if retired { 0..=0 } else { ids };
            return Box::new(data.log.range(ids).filter_map(move |(id, entry)| {
                (entry.is_visible(now) && !curtain.covers(id)).then_some(Record {
                    kind,
                    id,
                    body: Body::Event(&entry.row),
                })
            }));
        }
        let Some(table) = data.tables.table(kind) else {
            return Box::new(std::iter::empty());
        };
        let ids = if ids.start() > ids.end() { 0..=0 } else { ids };
        Box::new(table.rows.range(ids).filter_map(move |(id, row)| {
            (row.retired.is_some() == retired).then_some(Record {
                kind,
                id: *id,
                body: Body::Entity(row),
            })
        }))
    }

    /// Returns a field as a reader gets it.
    pub(crate) fn shown(&self, record: Record<'a>, name: &str) -> Cow<'a, Value> {
        match self.data.schema.field(record.kind, name) {
            Some(field) => self.shown_as(record, name, field.data_type),
            None => record.value(name),
        }
    }

    /// Returns a field of a known data type as a reader gets it.
    pub(crate) fn shown_as(
        &self,
        record: Record<'a>,
        name: &str,
        data_type: DataType,
    ) -> Cow<'a, Value> {
        let kept = record.value(name);
        match data_type {
            DataType::Entity => Cow::Owned(self.resolve(&kept)),
            DataType::MultiEntity => {
                let links = kept.as_array().map_or(&[][..], Vec::as_slice);
                let links = links.iter().map(|link| self.resolve(link));
                Cow::Owned(links.filter(|link| !link.is_null()).collect())
            }
            DataType::TagList if kept.is_null() => Cow::Owned(json!([])),
            _ => kept,
        }
    }

    /// Adds the present name to a link; null if the target is retired or unknown.
    pub(crate) fn resolve(&self, link: &Value) -> Value {
        let Some((kind, id)) = target(link) else {
            return Value::Null;
        };
        match self.data.tables.row(kind, id) {
            Some(row) if row.retired.is_none() => {
                json!({"type": kind, "id": id, "name": display_name(kind, row)})
            }
            // A type that is kept nowhere (DisplayColumn) brings its own name along.
            None if self.data.schema.entity_type(kind).is_none() => link.clone(),
            Some(_) | None => Value::Null,
        }
    }

    /// Returns the present name of a link's target, retired or not.
    pub(crate) fn name_of(&self, link: &Value) -> Option<String> {
        let (kind, id) = target(link)?;
        Some(display_name(kind, self.data.tables.row(kind, id)?))
    }

    /// Tells whether an entity belongs to an archived project.
    pub(crate) fn in_archived_project(&self, record: Record<'a>) -> bool {
        let project = if record.kind == "Project" {
            Some(record.id)
        } else {
            target(&record.value("project")).map(|(_, id)| id)
        };
        project
            .and_then(|id| self.data.tables.row("Project", id))
            .is_some_and(|row| row.field("archived") == &Value::Bool(true))
    }

    /// Renders an event for the history, as a reader would get it, visible or not.
    pub(crate) fn event_fields(&self, id: u64, row: &'a EventRow) -> Value {
        let record = Record {
            kind: EVENT,
            id,
            body: Body::Event(row),
        };
        let names = [
            "event_type",
            "attribute_name",
            "meta",
            "entity",
            "project",
            "user",
            "session_uuid",
            "created_at",
            "description",
        ];
        let mut fields: BTreeMap<&str, Value> = names
            .into_iter()
            .map(|name| (name, self.shown(record, name).into_owned()))
            .collect();
        fields.insert("type", EVENT.into());
        fields.insert("id", id.into());
        json!(fields)
    }
}
