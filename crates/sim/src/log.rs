//! The event log: rows by id, each with the moment its id was taken and the moment it
//! became, or will become, visible.
//!
//! Invariants: ids only grow, except through a restore. A row never changes; what a reader
//! sees of it does, because links are resolved when it is read.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Moment;

/// One row of the log as it was written. Links are type and id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventRow {
    /// Such as `Shotgun_Task_Change`.
    pub event_type: Value,
    /// Such as `sg_status_list`.
    pub attribute_name: Value,
    /// Any JSON.
    pub meta: Value,
    /// `{"type","id"}` or null.
    pub entity: Value,
    /// `{"type","id"}` or null.
    pub project: Value,
    /// `{"type","id"}` or null.
    pub user: Value,
    /// What the writer sent as `session_uuid`.
    pub session_uuid: Value,
    /// `YYYY-MM-DDThh:mm:ssZ`.
    pub created_at: Value,
    /// A readable sentence.
    pub description: Value,
}

/// When a row can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// From this moment on.
    At(Moment),
    /// Its transaction is open.
    Open,
    /// Its transaction was rolled back: the id stays dead.
    Never,
}

/// A row and its fate.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) row: Arc<EventRow>,
    pub(crate) reserved: Moment,
    pub(crate) transaction: u64,
    pub(crate) shown: Shown,
}

impl Entry {
    /// Tells whether a reader sees the row at `now`.
    pub(crate) fn is_visible(&self, now: Moment) -> bool {
        matches!(self.shown, Shown::At(at) if at.mono <= now.mono)
    }
}

/// The log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    entries: BTreeMap<u64, Entry>,
    next_id: u64,
    next_transaction: u64,
}

impl Log {
    /// Makes an empty log whose first row gets `first_id`.
    pub(crate) fn new(first_id: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            next_id: first_id.max(1),
            next_transaction: 1,
        }
    }
    /// Returns the id the next row will get.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id
    }
    /// Takes a number for a transaction.
    pub(crate) fn open_transaction(&mut self) -> u64 {
        let number = self.next_transaction;
        self.next_transaction += 1;
        number
    }
    /// Leaves out ids that no row will ever have.
    pub(crate) fn skip(&mut self, ids: u64) {
        self.next_id = self.next_id.saturating_add(ids);
    }
    /// Takes the next id for a row.
    pub(crate) fn append(&mut self, entry: Entry) -> u64 {
        let id = self.next_id;
        self.entries.insert(id, entry);
        self.next_id += 1;
        id
    }
    /// Decides the fate of the open rows of a transaction; returns how many there were.
    pub(crate) fn settle(&mut self, ids: &[u64], shown: Shown) -> usize {
        let mut settled = 0;
        for id in ids {
            if let Some(entry) = self.entries.get_mut(id)
                && entry.shown == Shown::Open
            {
                entry.shown = shown;
                settled += 1;
            }
        }
        settled
    }
    /// Returns the open rows, by transaction.
    pub(crate) fn open(&self) -> BTreeMap<u64, Vec<u64>> {
        let mut open = BTreeMap::<u64, Vec<u64>>::new();
        for (id, entry) in &self.entries {
            if entry.shown == Shown::Open {
                open.entry(entry.transaction).or_default().push(*id);
            }
        }
        open
    }
    /// Makes everything that no reader can see at `now` dead, as a restored database does.
    pub(crate) fn drop_invisible(&mut self, now: Moment) {
        for entry in self.entries.values_mut() {
            if !entry.is_visible(now) {
                entry.shown = Shown::Never;
            }
        }
    }
    /// Returns one row.
    pub(crate) fn entry(&self, id: u64) -> Option<&Entry> {
        self.entries.get(&id)
    }
    /// Walks the rows with ids in a range.
    pub(crate) fn range(
        &self,
        ids: RangeInclusive<u64>,
    ) -> impl DoubleEndedIterator<Item = (u64, &Entry)> {
        // BTreeMap::range refuses a start past its end.
        let ids = if ids.start() > ids.end() { 0..=0 } else { ids };
        self.entries.range(ids).map(|(id, entry)| (*id, entry))
    }
    /// Walks all rows.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }
}

impl EventRow {
    /// Returns a field of the row, `None` if an EventLogEntry has no such field.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        Some(match name {
            "event_type" => &self.event_type,
            "attribute_name" => &self.attribute_name,
            "meta" => &self.meta,
            "entity" => &self.entity,
            "project" => &self.project,
            "user" => &self.user,
            "session_uuid" => &self.session_uuid,
            "created_at" => &self.created_at,
            "description" | "cached_display_name" => &self.description,
            _ => return None,
        })
    }
}
