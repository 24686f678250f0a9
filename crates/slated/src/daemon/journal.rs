//! What lanes want on record, gathered while the last write is under way.
//!
//! At most one write is out at a time; whatever came meanwhile is the next. So the disk sets the
//! size of a transaction, and no delay is ever waited for.

use slated_model::Change;

/// The index of a plugin in the dispatcher's list.
pub(crate) type Place = usize;

/// Changes that wait to be written, and who must hear when they are durable.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    waiting: Vec<Change>,
    tickets: Vec<(Place, u64)>,
    /// Tickets of the write under way.
    out: Option<Vec<(Place, u64)>>,
}

impl Journal {
    /// Adds changes of a lane, under its ticket.
    pub(crate) fn add(&mut self, place: Place, ticket: u64, changes: Vec<Change>) {
        self.waiting.extend(changes);
        self.tickets.push((place, ticket));
    }
    /// Adds changes that nobody waits for.
    pub(crate) fn note(&mut self, change: Change) {
        self.waiting.push(change);
    }
    /// Returns what to write now, unless a write is under way or there is nothing.
    pub(crate) fn next(&mut self) -> Option<Vec<Change>> {
        if self.out.is_some() || (self.waiting.is_empty() && self.tickets.is_empty()) {
            return None;
        }
        self.out = Some(std::mem::take(&mut self.tickets));
        Some(std::mem::take(&mut self.waiting))
    }
    /// Takes note that the write under way is durable, and returns whom it concerns.
    pub(crate) fn written(&mut self) -> Vec<(Place, u64)> {
        self.out.take().unwrap_or_default()
    }
    /// Tells whether everything is durable.
    pub(crate) const fn is_idle(&self) -> bool {
        self.out.is_none() && self.waiting.is_empty() && self.tickets.is_empty()
    }
}
