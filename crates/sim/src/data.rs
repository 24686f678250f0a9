//! What a site holds: schema, entities, event log, followers. Cloning it is
//! what a snapshot is; rows are shared, so that is cheap.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use crate::{link::Link, log::Log, schema::Schema};

/// Everything that a restore brings back.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub(crate) schema: Arc<Schema>,
    pub(crate) tables: Tables,
    pub(crate) log: Log,
    /// (user, what the user follows).
    pub(crate) follows: BTreeSet<(Link, Link)>,
}

/// All entities but event log entries, by type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables(BTreeMap<String, Table>);

/// The entities of one type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) rows: BTreeMap<u64, Arc<Row>>,
    last_id: u64,
}

/// One entity.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) uuid: String,
    /// Fields that are not null; links without names; lists without nulls.
    pub(crate) fields: BTreeMap<String, Value>,
    pub(crate) retired: Option<Retired>,
}

/// That, and why, an entity is in the trash.
#[derive(Clone, Debug)]
pub(crate) struct Retired {
    /// `YYYY-MM-DD hh:mm:ss UTC`.
    pub(crate) at: String,
    /// The entity whose retirement took this one along.
    pub(crate) with: Option<Link>,
}

impl Tables {
    /// Returns a row, retired or not.
    pub(crate) fn row(&self, kind: &str, id: u64) -> Option<&Row> {
        Some(self.0.get(kind)?.rows.get(&id)?)
    }
    /// Returns a row to change it.
    pub(crate) fn row_mut(&mut self, kind: &str, id: u64) -> Option<&mut Row> {
        Some(Arc::make_mut(self.0.get_mut(kind)?.rows.get_mut(&id)?))
    }
    /// Returns the rows of a type.
    pub(crate) fn table(&self, kind: &str) -> Option<&Table> {
        self.0.get(kind)
    }
    /// Adds a row under the next id of its type.
    pub(crate) fn add(&mut self, kind: &str, uuid: String, fields: BTreeMap<String, Value>) -> u64 {
        let table = self.0.entry(kind.to_owned()).or_default();
        table.last_id += 1;
        let id = table.last_id;
        let row = Row {
            id,
            uuid,
            fields,
            retired: None,
        };
        table.rows.insert(id, Arc::new(row));
        id
    }
    /// Tells whether a link leads to an entity that is not retired.
    pub(crate) fn is_active(&self, kind: &str, id: u64) -> bool {
        self.row(kind, id).is_some_and(|row| row.retired.is_none())
    }
    /// Returns all rows that are not retired, by id.
    pub(crate) fn active(&self, kind: &str) -> impl Iterator<Item = &Row> {
        self.0
            .get(kind)
            .into_iter()
            .flat_map(|table| table.rows.values())
            .map(AsRef::as_ref)
            .filter(|row: &&Row| row.retired.is_none())
    }
}

impl Row {
    /// Returns a field, null when it holds nothing.
    pub(crate) fn field(&self, name: &str) -> &Value {
        self.fields.get(name).unwrap_or(&Value::Null)
    }
    /// Returns the text of a field.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.field(name).as_str().filter(|text| !text.is_empty())
    }
    /// Sets a field; null takes it away.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        if value.is_null() {
            self.fields.remove(name);
        } else {
            self.fields.insert(name.to_owned(), value);
        }
    }
    /// Returns the entries of a list field.
    pub(crate) fn list(&self, name: &str) -> &[Value] {
        self.field(name).as_array().map_or(&[], Vec::as_slice)
    }
}

/// Returns the name under which people know an entity: `cached_display_name`.
pub(crate) fn display_name(kind: &str, row: &Row) -> String {
    let joined = |a: &str, b: &str| {
        let parts: Vec<&str> = [row.text(a), row.text(b)].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    let own = match kind {
        "HumanUser" => joined("firstname", "lastname")
            .or_else(|| Some(row.text("name").or_else(|| row.text("login"))?.to_owned())),
        "ApiUser" => joined("firstname", "lastname"),
        _ => None,
    };
    own.or_else(|| {
        ["code", "name", "content", "subject", "title", "description"]
            .into_iter()
            .find_map(|field| row.text(field))
            .map(Into::into)
    })
    .or_else(|| Some(row.field("this_file").get("name")?.as_str()?.to_owned()))
    .unwrap_or_else(|| format!("{kind} {}", row.id))
}
