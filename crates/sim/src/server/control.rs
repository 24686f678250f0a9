//! What can be done to a site while it runs, as one type: `POST /sim/control` takes it as
//! JSON, the command line builds it, a test can too.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    commit::CommitPolicy,
    faults::{Corruption, Fault},
    log::EventRow,
    refusal::Refusal,
    site::Site,
};

/// An order to a running site: `{"do": "hide", "first": 10, "last": 20}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Tells policy, faults, waiting transactions and the highest visible id.
    Show,
    /// Sets when the rows of transactions to come become visible.
    Policy {
        /// The new policy; the old one ends.
        policy: CommitPolicy,
    },
    /// Opens a transaction; answers `{"transaction": N}`.
    Begin,
    /// Commits a waiting transaction.
    Commit {
        /// Its number.
        transaction: u64,
    },
    /// Rolls back a waiting transaction.
    RollBack {
        /// Its number.
        transaction: u64,
    },
    /// Leaves out the next ids.
    SkipIds {
        /// How many.
        ids: u64,
    },
    /// Adds a fault.
    Fault {
        /// Which.
        fault: Fault,
    },
    /// Ends all faults.
    ClearFaults,
    /// Spoils the text of one event row.
    Spoil {
        /// Its id.
        event: u64,
        /// How.
        how: Corruption,
    },
    /// Makes a spoilt row whole.
    Heal {
        /// Its id.
        event: u64,
    },
    /// Hides event rows, ends included.
    Hide {
        /// First id.
        first: u64,
        /// Last id.
        last: u64,
    },
    /// Shows all hidden rows again.
    ShowHidden,
    /// Archives every event row below an id.
    ArchiveBelow {
        /// The id.
        id: u64,
    },
    /// Makes every request take at least this long.
    Latency {
        /// In milliseconds.
        ms: u64,
    },
    /// Sets the most rows in one answer.
    LargestPage {
        /// How many.
        rows: usize,
    },
    /// Keeps the state of the site under a name.
    Snapshot {
        /// The name; an older one of the same name is replaced.
        name: String,
    },
    /// Goes back to a kept state.
    Restore {
        /// Its name.
        name: String,
    },
    /// Adds aged event rows; answers `{"first": N, "last": M}`.
    SeedEvents {
        /// How many.
        count: u64,
        /// Over how many seconds they are spread.
        age_s: u64,
    },
    /// Puts a row into the log as it is; answers `{"id": N}`.
    LogEvent {
        /// The row; fields left out are null.
        row: Box<EventRow>,
    },
    /// Sets a person's password.
    Password {
        /// The person.
        login: String,
        /// The password.
        password: String,
    },
}

impl Site {
    /// Does what a [`Command`] says and returns what it answers.
    pub fn control(&self, command: Command) -> Result<Value, Refusal> {
        match command {
            Command::Show => {
                return Ok(json!({
                    "policy": self.policy(),
                    "faults": self.faults(),
                    "waiting": self.waiting().into_iter()
                        .map(|(transaction, events)| json!({"transaction": transaction, "events": events}))
                        .collect::<Vec<_>>(),
                    "head": self.head(),
                    "next_event_id": self.next_event_id(),
                }));
            }
            Command::Policy { policy } => self.set_policy(policy),
            Command::Begin => {
                return Ok(json!({"transaction": self.begin("").number()}));
            }
            Command::Commit { transaction } => {
                return Ok(json!({"rows": self.commit(transaction)?}));
            }
            Command::RollBack { transaction } => {
                return Ok(json!({"rows": self.roll_back(transaction)?}));
            }
            Command::SkipIds { ids } => self.skip_ids(ids),
            Command::Fault { fault } => self.add_fault(fault),
            Command::ClearFaults => self.clear_faults(),
            Command::Spoil { event, how } => self.spoil(event, how),
            Command::Heal { event } => self.heal(event),
            Command::Hide { first, last } => self.hide(first..=last),
            Command::ShowHidden => self.show_hidden(),
            Command::ArchiveBelow { id } => self.archive_below(id),
            Command::Latency { ms } => self.set_latency(Duration::from_millis(ms)),
            Command::LargestPage { rows } => self.set_largest_page(rows),
            Command::Snapshot { name } => {
                let snapshot = self.snapshot();
                self.with(|state, _| state.snapshots.insert(name, snapshot));
            }
            Command::Restore { name } => {
                let kept = self.with(|state, _| state.snapshots.get(&name).cloned());
                let kept =
                    kept.ok_or_else(|| Refusal::bad(format!("no snapshot is called '{name}'")))?;
                self.restore(&kept);
            }
            Command::SeedEvents { count, age_s } => {
                let ids = self.seed_events(count, Duration::from_secs(age_s));
                return Ok(ids.map_or_else(
                    || json!({}),
                    |ids| json!({"first": ids.start(), "last": ids.end()}),
                ));
            }
            Command::LogEvent { row } => return Ok(json!({"id": self.log_event(*row)})),
            Command::Password { login, password } => self.set_password(&login, &password),
        }
        Ok(json!({}))
    }
}
