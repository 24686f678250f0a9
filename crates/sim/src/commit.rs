//! When the event rows of a transaction become visible.
//!
//! A site takes the ids of event rows when statements run and shows the rows when the
//! transaction commits. So ids appear late, out of order, or never. Which of it happens is
//! a [`CommitPolicy`]: a list of rules, of which the first that applies to a transaction
//! decides. Simplification: only event rows wait; the entities themselves change at once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Moment,
    log::{Entry, EventRow, Log, Shown},
};

/// Rules for the transactions to come. No rule: rows are visible at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitPolicy {
    /// Asked in order; the first that applies decides.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// One rule of a [`CommitPolicy`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which transactions it applies to.
    pub when: When,
    /// What happens to them.
    pub then: Fate,
}

/// Which transactions a rule applies to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All of them.
    Always,
    /// The next so many.
    Next(u32),
    /// A random share of them, 0 to 1, drawn from the site's seed.
    Share(f64),
}

/// What happens to the event rows of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fate {
    /// They become visible after a random time in this range.
    Late {
        /// Shortest time, in milliseconds.
        min_ms: u64,
        /// Longest time, in milliseconds.
        max_ms: u64,
    },
    /// They are rolled back: their ids stay dead. (The entity change stands.)
    Never,
    /// They wait until [`crate::Site::commit`] or [`crate::Site::roll_back`].
    Hold,
    /// They are visible at once, but so many ids before them are left out.
    Jump {
        /// How many ids nobody will ever have.
        ids: u64,
    },
    /// So many transactions wait for each other, then commit last first.
    Reorder {
        /// How many transactions belong together.
        group: usize,
        /// Time between two of their commits, in milliseconds.
        gap_ms: u64,
    },
}

impl CommitPolicy {
    /// Rows are visible at once.
    pub fn immediate() -> Self {
        Self::default()
    }
    /// Adds a rule for every transaction.
    pub fn always(self, then: Fate) -> Self {
        self.rule(When::Always, then)
    }
    /// Adds a rule for the next `count` transactions.
    pub fn next(self, count: u32, then: Fate) -> Self {
        self.rule(When::Next(count), then)
    }
    /// Adds a rule for a random share (0 to 1) of the transactions.
    pub fn share(self, share: f64, then: Fate) -> Self {
        self.rule(When::Share(share), then)
    }
    fn rule(mut self, when: When, then: Fate) -> Self {
        self.rules.push(Rule { when, then });
        self
    }
}

impl Fate {
    /// Late by exactly this much.
    pub fn late(by: Duration) -> Self {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Self::Late {
            min_ms: ms,
            max_ms: ms,
        }
    }
}

/// A transaction that is being written.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) number: u64,
    pub(crate) ids: Vec<u64>,
    /// Opened by hand: its rows wait for a commit by hand.
    pub(crate) by_hand: bool,
    fate: Option<Fate>,
}

impl Transaction {
    pub(crate) fn new(number: u64, by_hand: bool) -> Self {
        Self {
            number,
            by_hand,
            ..Self::default()
        }
    }
    /// Runs work that writes no rows.
    pub(crate) fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        work(&mut Self::default())
    }
}

/// The policy at work.
#[derive(Debug)]
pub(crate) struct Commits {
    pub(crate) policy: CommitPolicy,
    rng: fastrand::Rng,
    waiting: Vec<Vec<u64>>,
}

impl Commits {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            policy: CommitPolicy::default(),
            rng: fastrand::Rng::with_seed(seed),
            waiting: Vec::new(),
        }
    }

    /// Writes a row: its id is taken now, its visibility is decided at the commit.
    pub(crate) fn append(
        &mut self,
        log: &mut Log,
        transaction: &mut Transaction,
        row: EventRow,
        now: Moment,
    ) -> u64 {
        if transaction.ids.is_empty() && !transaction.by_hand {
            transaction.fate = self.draw();
            if let Some(Fate::Jump { ids }) = transaction.fate {
                log.skip(ids);
            }
        }
        let id = log.append(Entry {
            row: row.into(),
            reserved: now,
            transaction: transaction.number,
            shown: Shown::Open,
        });
        transaction.ids.push(id);
        id
    }

    /// Ends a transaction as the policy has it.
    pub(crate) fn finish(&mut self, log: &mut Log, transaction: Transaction, now: Moment) {
        if transaction.by_hand {
            return;
        }
        let ids = transaction.ids;
        match transaction.fate {
            None | Some(Fate::Jump { .. }) => {
                log.settle(&ids, Shown::At(now));
            }
            Some(Fate::Late { min_ms, max_ms }) => {
                let ms = self.rng.u64(min_ms..=max_ms.max(min_ms));
                log.settle(&ids, Shown::At(now.after(Duration::from_millis(ms))));
            }
            Some(Fate::Never) => {
                log.settle(&ids, Shown::Never);
            }
            Some(Fate::Hold) => {}
            Some(Fate::Reorder { group, gap_ms }) => {
                self.waiting.push(ids);
                if self.waiting.len() >= group {
                    let mut at = now;
                    for ids in self.waiting.drain(..).rev() {
                        log.settle(&ids, Shown::At(at));
                        at = at.after(Duration::from_millis(gap_ms));
                    }
                }
            }
        }
    }

    /// Forgets transactions that wait for others: a restored site has no open ones.
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    fn draw(&mut self) -> Option<Fate> {
        let mut chosen = None;
        for (index, rule) in self.policy.rules.iter_mut().enumerate() {
            let applies = match &mut rule.when {
                When::Always => true,
                When::Next(left) => {
                    *left = left.saturating_sub(1);
                    true
                }
                When::Share(share) => self.rng.f64() < *share,
            };
            if applies {
                chosen = Some((index, rule.then));
                break;
            }
        }
        let (index, fate) = chosen?;
        if matches!(self.policy.rules.get(index), Some(rule) if rule.when == When::Next(0)) {
            self.policy.rules.remove(index);
        }
        Some(fate)
    }
}
