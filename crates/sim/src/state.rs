//! Everything behind the lock of a site: its data, and what is played on it (commit
//! policy, faults, what is hidden, snapshots, counts).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    access::Actor,
    clock::{Moment, Stamp},
    commit::{Commits, Transaction},
    data::Data,
    faults::{Corruption, Faults},
    log::{Entry, EventRow, Log, Shown},
    refusal::Refusal,
    view::{Curtain, View},
    write::Writer,
};

/// One row of the history: what the log held, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Counts restores: an id that was taken again stands here once for each life.
    pub life: u32,
    /// The event's id.
    pub id: u64,
    /// When its id was taken.
    pub reserved_at: Stamp,
    /// When it became, or will become, visible; `None` while its transaction is open, and
    /// for ever if it was rolled back.
    pub visible_at: Option<Stamp>,
    /// The row as a reader would get it, whole.
    pub row: Value,
}

/// What a site was asked so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests by method; `read EventLogEntry` is counted apart from `read`.
    pub requests: BTreeMap<String, u64>,
    /// Requests that met a fault.
    pub faulted: u64,
}

/// An earlier state of a site, to go back to.
#[derive(Clone, Debug)]
pub struct Snapshot(pub(crate) Arc<Data>);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) data: Data,
    pub(crate) commits: Commits,
    pub(crate) curtain: Curtain,
    pub(crate) spoilt: BTreeMap<u64, Corruption>,
    pub(crate) faults: Faults,
    pub(crate) stats: Stats,
    pub(crate) latency: Duration,
    pub(crate) largest_page: usize,
    pub(crate) rng: fastrand::Rng,
    /// By number; opened by hand.
    pub(crate) open: BTreeMap<u64, Transaction>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    life: u32,
    buried: Vec<HistoryRow>,
}

impl State {
    pub(crate) fn new(data: Data, seed: u64, largest_page: usize) -> Self {
        Self {
            data,
            commits: Commits::new(seed ^ 0x5eed_c0de),
            curtain: Curtain::default(),
            spoilt: BTreeMap::new(),
            faults: Faults::default(),
            stats: Stats::default(),
            latency: Duration::ZERO,
            largest_page: largest_page.max(1),
            rng: fastrand::Rng::with_seed(seed),
            open: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            life: 0,
            buried: Vec::new(),
        }
    }

    /// Returns what a reader sees at `now`.
    pub(crate) fn view(&self, now: Moment) -> View<'_> {
        View {
            data: &self.data,
            curtain: &self.curtain,
            now,
        }
    }

    /// Writes a transaction: in the open one of this number, or in one of its own that
    /// ends as the policy has it. If it fails, nothing of it stands but its ids stay taken.
    pub(crate) fn write<T>(
        &mut self,
        actor: &Actor,
        open: Option<u64>,
        now: Moment,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut transaction = match open {
            Some(number) => self
                .open
                .remove(&number)
                .ok_or_else(|| Refusal::bad(format!("transaction {number} is not open")))?,
            None => Transaction::new(self.data.log.open_transaction(), false),
        };
        let before = transaction.ids.len();
        let tables = self.data.tables.clone();
        let result = work(&mut Writer {
            data: &mut self.data,
            commits: &mut self.commits,
            rng: &mut self.rng,
            transaction: &mut transaction,
            actor,
            now,
        });
        if result.is_err() {
            self.data.tables = tables;
            let dead = transaction.ids.split_off(before);
            self.data.log.settle(&dead, Shown::Never);
        }
        if transaction.by_hand {
            self.open.insert(transaction.number, transaction);
        } else {
            self.commits.finish(&mut self.data.log, transaction, now);
        }
        result
    }

    /// Puts a row into the log as it is, past every check and rule.
    pub(crate) fn append_raw(&mut self, row: EventRow, shown: Shown, reserved: Moment) -> u64 {
        let transaction = self.data.log.open_transaction();
        self.data.log.append(Entry {
            row: row.into(),
            reserved,
            transaction,
            shown,
        })
    }

    /// Commits or rolls back a transaction that waits, and tells how many rows it had.
    pub(crate) fn settle(&mut self, number: u64, shown: Shown) -> Result<usize, Refusal> {
        let by_hand = self.open.remove(&number);
        let waiting = self.data.log.open().remove(&number);
        if by_hand.is_none() && waiting.is_none() {
            return Err(Refusal::bad(format!("transaction {number} is not open")));
        }
        Ok(self.data.log.settle(&waiting.unwrap_or_default(), shown))
    }

    /// Copies the site as a backup of its database would: without open transactions.
    pub(crate) fn snapshot(&self, now: Moment) -> Snapshot {
        let mut data = self.data.clone();
        data.log.drop_invisible(now);
        Snapshot(Arc::new(data))
    }

    /// Goes back to an earlier state. Ids that were given out since are given out again.
    pub(crate) fn restore(&mut self, to: &Snapshot, now: Moment) {
        let kept = |id: u64| {
            let entry = to.0.log.entry(id);
            entry.is_some_and(|entry| entry.shown != Shown::Never)
        };
        let gone = self.history_rows(|id| !kept(id));
        let gone: Vec<_> = gone.into_iter().map(|row| cut(row, now)).collect();
        self.buried.extend(gone);
        self.life += 1;
        self.data = (*to.0).clone();
        self.open.clear();
        self.commits.forget_waiting();
        self.faults.last_event_page = None;
    }

    /// Returns every row there ever was, by life and id.
    pub(crate) fn history(&self) -> Vec<HistoryRow> {
        let mut rows = self.buried.clone();
        rows.extend(self.history_rows(|_| true));
        rows
    }

    fn history_rows(&self, wanted: impl Fn(u64) -> bool) -> Vec<HistoryRow> {
        let view = self.view(Moment {
            mono: Duration::MAX,
            wall: jiff::Timestamp::UNIX_EPOCH,
        });
        let log: &Log = &self.data.log;
        log.iter()
            .filter(|(id, _)| wanted(*id))
            .map(|(id, entry)| HistoryRow {
                life: self.life,
                id,
                reserved_at: entry.reserved.stamp(),
                visible_at: match entry.shown {
                    Shown::At(at) => Some(at.stamp()),
                    Shown::Open | Shown::Never => None,
                },
                row: view.event_fields(id, &entry.row),
            })
            .collect()
    }
}

/// A row that was to become visible after the restore never did.
fn cut(mut row: HistoryRow, now: Moment) -> HistoryRow {
    row.visible_at = row
        .visible_at
        .filter(|at| u128::from(at.mono_ms) <= now.mono.as_millis());
    row
}
