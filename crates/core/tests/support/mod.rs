//! What tests of lanes share: a disk that keeps what a lane records, and a failure.

use std::collections::BTreeMap;

use slated_model::{
    Attempt, CallbackId, Cause, Change, EventId, Failure, FailureKind, LaneRow, Offset, Outcome,
    OutcomeRow,
};

/// What survives a restart, of one lane.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) row: LaneRow,
    pub(crate) outcomes: BTreeMap<(EventId, CallbackId), OutcomeRow>,
    pub(crate) attempts: BTreeMap<(EventId, CallbackId), Attempt>,
}

impl Disk {
    pub(crate) const fn new(row: LaneRow) -> Self {
        Self {
            row,
            outcomes: BTreeMap::new(),
            attempts: BTreeMap::new(),
        }
    }

    pub(crate) fn write(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                // As the store does it: a lane that stands keeps its cursor.
                Change::Lane(row) => {
                    let cursor = self.row.cursor;
                    self.row = LaneRow { cursor, ..row };
                }
                Change::Cursor { cursor, .. } => {
                    assert!(cursor >= self.row.cursor, "the cursor went back");
                    self.row.cursor = cursor;
                }
                Change::Outcome(o) => {
                    let unit = (o.event, o.callback.clone());
                    self.attempts.remove(&unit);
                    let before = self.outcomes.insert(unit, o);
                    assert!(before.is_none(), "a second outcome: {before:?}");
                }
                Change::Attempt(a) => {
                    self.attempts.insert((a.event, a.callback.clone()), a);
                }
                // Of lanes whose event 100 + n stands at offset n.
                Change::Rewound { to, .. } if self.row.cursor <= to => {}
                Change::Rewound { to, again, .. } => {
                    self.row.cursor = to;
                    self.outcomes.retain(|(id, _), o| {
                        let done = matches!(o.outcome, Outcome::Done { .. });
                        id.0 - 100 <= to.0 || (done && !again)
                    });
                    self.attempts.retain(|_, a| a.aside);
                }
                _ => unreachable!("not a lane's"),
            }
        }
    }

    /// Returns what a lane is taken up with: its row, its attempts, and the outcomes after its
    /// cursor. `at` says where an event stands.
    pub(crate) fn taken_up(
        &self,
        at: impl Fn(EventId) -> Offset,
    ) -> (LaneRow, Vec<Attempt>, Vec<OutcomeRow>) {
        let ahead = self.outcomes.values();
        let ahead = ahead.filter(|o| at(o.event) > self.row.cursor).cloned();
        let attempts = self.attempts.values().cloned().collect();
        (self.row.clone(), attempts, ahead.collect())
    }
}

pub(crate) fn failure(kind: FailureKind, cause: Option<Cause>) -> Failure {
    Failure {
        kind,
        error: "Oops".into(),
        message: String::new(),
        traceback: String::new(),
        locals: None,
        cause,
        us: None,
        log: Vec::new(),
    }
}
