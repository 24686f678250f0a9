//! What survives a kill: the log and the ledger, changed by one look at a time, whole or
//! not at all.

use std::collections::HashMap;

use slated_core::follow::Look;
use slated_core::follow::decide::Change;
use slated_model::{Anchor, EventId, Hole, LedgerChange, LedgerState, Offset, Row};

use crate::ledger::Ledger;
use crate::site::{event, life};

/// An appended event: id, whether it was late, and the history of the site it is from.
pub(crate) type Logged = (u64, bool, u32);

#[derive(Default)]
pub(crate) struct Disk {
    ledger: Ledger,
    /// There is a state.
    pub(crate) exists: bool,
    pub(crate) log: Vec<Logged>,
    /// When each event was appended.
    pub(crate) at: HashMap<u64, f64>,
    /// When the state came to be.
    pub(crate) born: f64,
    /// The highest id seen then.
    pub(crate) first_high: u64,
}

impl Disk {
    /// Starts with a state that has seen `high`, and holes of (lo, hi, age in s, looks).
    pub(crate) fn at(high: u64, anchors: Vec<Anchor>, holes: &[(u64, u64, u64, u64)]) -> Self {
        let hole = |&(lo, hi, age, looks)| Hole {
            lo: EventId(lo),
            hi: EventId(hi),
            age_ms: age * 1000,
            looks,
        };
        let mut disk = Self {
            exists: true,
            ..Self::default()
        };
        let change = LedgerChange {
            high: EventId(high),
            anchors,
            put: holes.iter().map(hole).collect(),
            ..LedgerChange::default()
        };
        disk.ledger.write(change, 0);
        disk
    }
    pub(crate) fn state(&self) -> Option<LedgerState> {
        self.ledger.state()
    }
    pub(crate) fn write(&mut self, look: Look, now: f64) {
        let Look { events, ledger } = look;
        let (high, many) = (ledger.high.0, events.len());
        for (event, late) in events {
            let id = event.id.0;
            assert!(self.at.insert(id, now).is_none(), "{id} appended twice");
            self.log.push((id, late, life(&event)));
        }
        self.ledger.write(ledger, many);
        if !std::mem::replace(&mut self.exists, true) {
            (self.born, self.first_high) = (now, high);
        }
    }
    /// Returns the log's rows in order of ids.
    pub(crate) fn by_id(&self, from: u64, limit: usize) -> Vec<Row> {
        let mut rows: Vec<(u64, &Logged)> = (1..).zip(&self.log).collect();
        rows.retain(|(_, row)| row.0 >= from);
        rows.sort_unstable_by_key(|(_, row)| row.0);
        let row = |(offset, row): &(u64, &Logged)| Row {
            offset: Offset(*offset),
            late: row.1,
            event: event(row.0, row.2),
        };
        rows.iter().take(limit).map(row).collect()
    }
    /// Makes rows void, and puts another ledger in place.
    pub(crate) fn void(&mut self, change: Change) {
        self.log.retain(|row| row.0 <= change.above.0);
        self.at.retain(|id, _| *id <= change.above.0);
        let LedgerState {
            high,
            anchors,
            holes,
            audited,
        } = change.ledger;
        for (id, ..) in &self.log {
            let hides = |hole: &Hole| (hole.lo.0..=hole.hi.0).contains(id);
            assert!(!holes.iter().any(hides), "{id} is in the log and a hole");
        }
        let change = LedgerChange {
            high,
            anchors,
            audited,
            put: holes,
            ..LedgerChange::default()
        };
        // What counts as handled elsewhere is before the start from now on.
        self.ledger = Ledger::default();
        self.ledger.write(change, self.log.len());
    }
    /// Returns what the log holds of the ids whose time is in `when`, as delays.
    pub(crate) fn delays<'a>(
        &self,
        when: impl IntoIterator<Item = (&'a u64, &'a f64)>,
    ) -> Vec<f64> {
        let at = |(id, t): (&u64, &f64)| self.at.get(id).map(|a| a - t);
        let mut delays: Vec<_> = when.into_iter().filter_map(at).collect();
        delays.sort_by(f64::total_cmp);
        delays
    }
}
