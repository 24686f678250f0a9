//! What a person decides when the site is not the one that was followed, and what it comes to.
//!
//! [`Decide`] looks for the newest row at which the site and the log agree, and makes the ledger that
//! a choice leads to. It asks like the follower: a [`Step`] is done by the caller and answered.
//!
//! * *rewind*: the site was restored to an earlier time. What the log has above the newest agreement is
//!   void, and reading goes on from there: the site's new rows are all new events.
//! * *accept*: the site is taken as it is. Where it only hides rows, its newest being no lower than what
//!   was seen and no row another one, nothing is void and nothing is skipped: the anchors are renewed.
//!   Else what it wrote above the agreement counts as handled elsewhere, and ids that are absent are
//!   holes, as at a first start.
//!
//! Invariant: after either, each id up to the new highest is in the log, in a hole, or before the start,
//! as ever (`follow`). Invariant: nothing is decided from an answer that is not whole.

mod survey;
#[cfg(test)]
mod tests;

use slated_model::{Anchor, Event, EventId, Hole, LedgerState, Row};

use self::survey::Survey;
use super::first::{First, Step as FirstStep};
use super::{Disorder, Pace, Request, Start, anchors};
use crate::Mono;

/// What a person can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Take the site as it is.
    Accept,
    /// Go back to where the site and the log agree.
    Rewind,
}

/// What to do for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read up to `limit` rows of the log in order of ids from `from` on, then call `log`.
    Log {
        /// The lowest id.
        from: EventId,
        /// How many.
        limit: usize,
    },
    /// Make this request, then call `site`.
    Ask(Request),
    /// That is all.
    Done,
}

/// How the site and the log compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// The highest id seen.
    pub high: EventId,
    /// The site's newest id; 0 for an empty log.
    pub newest: EventId,
    /// The newest row known to be the same on both sides; `None` if none is.
    pub agree: Option<EventId>,
    /// The lowest id found with another row than the one that was seen.
    pub differs: Option<EventId>,
    /// Known rows that the site shows as they were, ascending, up to `agree`.
    pub anchors: Vec<Anchor>,
}

/// What a choice changes: rows above `above` are void, and `ledger` takes the place of the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The highest id whose row stays.
    pub above: EventId,
    /// The ledger from now on.
    pub ledger: LedgerState,
}

impl Finding {
    /// Tells whether the site only hides rows, as far as was seen: it goes on where it was followed,
    /// and no row is another one.
    pub fn only_hides(&self) -> bool {
        self.differs.is_none() && self.newest >= self.high
    }
}

/// A decision being made.
#[derive(Debug)]
pub struct Decide {
    ledger: LedgerState,
    choice: Choice,
    survey: Survey,
    pace: Pace,
    /// Whether the choice is to be done, not only looked at.
    for_good: bool,
    /// What an acceptance reads of the site's end.
    end: Option<First>,
    change: Option<Change>,
}

impl Decide {
    /// Begins to make `choice` for a ledger; to do it only if `for_good`.
    pub fn new(ledger: LedgerState, choice: Choice, for_good: bool, pace: Pace) -> Self {
        Self {
            survey: Survey::new(&ledger, pace.page),
            ledger,
            choice,
            pace,
            for_good,
            end: None,
            change: None,
        }
    }

    /// Says what to do now. Asked again after a failure, it says the same.
    pub fn step(&mut self) -> Step {
        if let Some(step) = self.survey.next() {
            return step;
        }
        if !self.for_good || self.change.is_some() {
            return Step::Done;
        }
        if let Some(end) = &self.end {
            return Step::Ask(end.request());
        }
        let finding = self.survey.finding();
        match self.choice {
            Choice::Rewind => {
                self.change = finding
                    .agree
                    .map(|agree| rewound(&self.ledger, agree, finding.anchors.clone()));
                Step::Done
            }
            Choice::Accept => {
                let (start, above) = self.accepted_from();
                let end = First::above(start, above, self.pace);
                let request = end.request();
                self.end = Some(end);
                Step::Ask(request)
            }
        }
    }

    /// Takes rows of the log.
    pub fn log(&mut self, rows: &[Row]) {
        self.survey.log(rows);
    }

    /// Takes the site's answer. An error is a request that failed: the same is asked again.
    pub fn site(&mut self, rows: Vec<Event>) -> Result<(), Disorder> {
        let Some(end) = &mut self.end else {
            self.survey.site(&rows);
            return Ok(());
        };
        let FirstStep::Done(found) = end.answer(rows, Mono::ZERO)? else {
            return Ok(());
        };
        let finding = self.survey.finding();
        let mut ledger = self.ledger.clone();
        let above = if finding.only_hides() {
            finding.high
        } else {
            let above = finding.agree.unwrap_or_default().min(found.high);
            ledger.high = found.high;
            ledger.holes = cut(&ledger.holes, above);
            ledger.holes.extend(found.ledger.holes().map(|(h, _)| h));
            ledger.audited = ledger.audited.min(above);
            above
        };
        let known = finding.anchors.iter().filter(|a| a.id <= above).cloned();
        ledger.anchors = merged(known.chain(found.anchors));
        self.change = Some(Change { above, ledger });
        Ok(())
    }

    /// Returns how the site and the log compare, once that is known.
    pub const fn finding(&self) -> &Finding {
        self.survey.finding()
    }

    /// Returns what changes, once it is decided; `None` for a rewind to nowhere.
    pub fn change(self) -> Option<Change> {
        self.change
    }

    /// Returns which end of the site an acceptance reads: up to what was seen where rows are only
    /// hidden, else all of it.
    fn accepted_from(&self) -> (Start, EventId) {
        let finding = self.survey.finding();
        if finding.only_hides() {
            (Start::FromId(finding.high.next()), EventId::default())
        } else {
            (Start::Latest, finding.agree.unwrap_or_default())
        }
    }
}

/// Goes back to a row that is the same on both sides.
fn rewound(ledger: &LedgerState, agree: EventId, known: Vec<Anchor>) -> Change {
    Change {
        above: agree,
        ledger: LedgerState {
            high: agree,
            anchors: merged(known),
            holes: cut(&ledger.holes, agree),
            audited: ledger.audited.min(agree),
        },
    }
}

/// Returns holes up to an id.
fn cut(holes: &[Hole], above: EventId) -> Vec<Hole> {
    let below = holes.iter().filter(|hole| hole.lo <= above);
    let below = below.map(|hole| Hole {
        hi: hole.hi.min(above),
        ..*hole
    });
    below.collect()
}

fn merged(known: impl IntoIterator<Item = Anchor>) -> Vec<Anchor> {
    let mut all: Vec<_> = known.into_iter().collect();
    all.sort_by_key(|anchor| anchor.id);
    all.dedup_by_key(|anchor| anchor.id);
    anchors::thin(all)
}
