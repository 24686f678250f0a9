//! What lanes want on record, gathered while the last write is under way.
//!
//! At most one write is out at a time; whatever came meanwhile is the next. So the disk sets the
//! size of a transaction, and no delay is ever waited for.

use std::collections::BTreeMap;

use slated_model::Change;

/// The index of a plugin in the dispatcher's list.
pub(crate) type Place = usize;

/// Changes that wait to be written, and who must hear when they are durable.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    waiting: Vec<Change>,
    /// The last ticket of each lane: it stands for those before it.
    tickets: BTreeMap<Place, u64>,
    /// Tickets of the write under way.
    out: Option<BTreeMap<Place, u64>>,
    /// Writes begun, and ended.
    begun: u64,
    ended: u64,
}

impl Journal {
    /// Adds changes of a lane, under its ticket.
    pub(crate) fn add(&mut self, place: Place, ticket: u64, changes: Vec<Change>) {
        self.waiting.extend(changes);
        self.tickets.insert(place, ticket);
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
        self.begun += 1;
        self.out = Some(std::mem::take(&mut self.tickets));
        Some(std::mem::take(&mut self.waiting))
    }
    /// Takes note that the write under way is durable, and returns whom it concerns.
    pub(crate) fn written(&mut self) -> BTreeMap<Place, u64> {
        self.ended = self.begun;
        self.out.take().unwrap_or_default()
    }
    /// Returns the number of the write after which all that was added so far is durable.
    pub(crate) fn last_write(&self) -> u64 {
        let waits = !self.waiting.is_empty() || !self.tickets.is_empty();
        self.begun + u64::from(waits)
    }
    /// Tells whether a write has ended.
    pub(crate) const fn has_ended(&self, write: u64) -> bool {
        self.ended >= write
    }
    /// Tells whether everything is durable.
    pub(crate) fn is_idle(&self) -> bool {
        self.out.is_none() && self.waiting.is_empty() && self.tickets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_told_each_lane_once() {
        let mut journal = Journal::default();
        for (place, ticket) in [(0, 1), (3, 1), (0, 2), (0, 3)] {
            journal.add(place, ticket, Vec::new());
        }
        assert!(journal.next().is_some());
        assert_eq!(journal.written(), BTreeMap::from([(0, 3), (3, 1)]));
    }

    #[test]
    fn a_write_that_began_before_says_nothing_of_what_came_after() {
        let gone = |pid| Change::WorkerGone { pid };
        let mut journal = Journal::default();
        assert!(journal.has_ended(journal.last_write()), "nothing waits");
        journal.note(gone(1));
        let first = journal.last_write();
        assert!(journal.next().is_some() && !journal.has_ended(first));
        journal.note(gone(2));
        let second = journal.last_write();
        assert!(journal.next().is_none(), "one write at a time");
        journal.written();
        assert!(journal.has_ended(first) && !journal.has_ended(second));
        assert!(journal.next().is_some() && journal.last_write() == second);
        journal.written();
        assert!(journal.has_ended(second));
    }
}
