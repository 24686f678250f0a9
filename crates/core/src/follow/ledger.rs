//! The ranges of ids that no look has shown, and which of them to ask for next.
//!
//! Invariant: ranges are disjoint, and each id up to the highest seen is in the log, in a
//! range here, or before the start. Invariant: what is left of a range keeps its age, looks
//! and due time. Closed ranges stay: the audit is just the last rung.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use slated_model::{EventId, Hole};

use super::ladder::{Rung, SPREAD};
use super::request::Span;
use crate::Mono;

#[derive(Clone, Copy, Debug)]
struct Range {
    hi: EventId,
    /// Absence really observed; durable, as is `looks`.
    age: Duration,
    looks: u64,
    /// When to ask again; of this process only, as is `last`.
    due: Mono,
    /// The last look that showed it absent.
    last: Option<Mono>,
    /// Whether the disk has a range with this low end.
    written: bool,
}

impl Range {
    fn rung(&self) -> Rung {
        Rung::of(self.age, self.looks)
    }
    fn hole(&self, lo: EventId) -> Hole {
        Hole {
            lo,
            hi: self.hi,
            age_ms: u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX),
            looks: self.looks,
        }
    }
}

/// A range that is due.
#[derive(Clone, Copy)]
struct Due {
    rung: Rung,
    since: Mono,
    span: Span,
}

/// All holes, by their low end, and what of them is not on disk yet.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    ranges: BTreeMap<EventId, Range>,
    /// Low ends that are no more.
    removed: BTreeSet<EventId>,
    /// Ranges whose extent is new.
    changed: BTreeSet<EventId>,
    /// Ranges of which only age and looks are new.
    aged: BTreeSet<EventId>,
}

/// How many ranges one request carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) open: usize,
    pub(super) closed: usize,
}

impl Budget {
    /// Leaves room for the neighbours of each range on a page of `page` rows.
    pub(super) fn of(page: usize) -> Self {
        Self {
            open: (page / 5).clamp(4, 100),
            closed: (page / 10).clamp(1, 50),
        }
    }
}

impl Ledger {
    /// Takes up what is on disk. All open holes are due now: the time spent down was not
    /// observed. Closed ones are spread, from the one after `audited` on, so that restarts
    /// neither burst nor starve any.
    pub(super) fn load(holes: &[Hole], audited: EventId, now: Mono) -> Self {
        let ranges = holes.iter().filter(|h| h.lo <= h.hi).map(|h| {
            let range = Range {
                hi: h.hi,
                age: Duration::from_millis(h.age_ms),
                looks: h.looks,
                due: now,
                last: None,
                written: true,
            };
            (h.lo, range)
        });
        let mut ledger = Self {
            ranges: ranges.collect(),
            ..Self::default()
        };
        let closed = ledger.ranges.iter_mut();
        let mut closed: Vec<_> = closed.filter(|(_, r)| r.rung() == Rung::Closed).collect();
        closed.sort_unstable_by_key(|(lo, _)| (**lo <= audited, **lo));
        let n = closed.len().max(1) as f64;
        for (k, (_, range)) in closed.into_iter().enumerate() {
            range.due = now + SPREAD.mul_f64(k as f64 / n);
        }
        ledger
    }
    /// Adds the ids `lo..=hi`, due now; `seen` if a look has just shown them absent.
    pub(super) fn open(&mut self, (lo, hi): Span, now: Mono, seen: bool) {
        let range = Range {
            hi,
            age: Duration::ZERO,
            looks: 0,
            due: now,
            last: seen.then_some(now),
            written: false,
        };
        self.insert(lo, range);
    }
    /// Tells whether no look has shown `id`.
    pub(super) fn contains(&self, id: EventId) -> bool {
        let range = self.ranges.range(..=id).next_back();
        range.is_some_and(|(_, r)| id <= r.hi)
    }
    /// Takes one id out; returns the rung of its range, if it was in one.
    pub(super) fn fill(&mut self, id: EventId) -> Option<Rung> {
        let (&lo, &range) = self.ranges.range(..=id).next_back()?;
        if range.hi < id {
            return None;
        }
        self.ranges.remove(&lo);
        self.changed.remove(&lo);
        self.aged.remove(&lo);
        if lo < id {
            let hi = id.prev();
            self.insert(lo, Range { hi, ..range });
        } else if range.written {
            self.removed.insert(lo);
        }
        if id < range.hi {
            let written = false;
            self.insert(id.next(), Range { written, ..range });
        }
        Some(range.rung())
    }
    /// Notes that what is left of `span` was absent from a look that covers its ids below
    /// `top`; returns the low end of the last closed range in it.
    pub(super) fn absent(
        &mut self,
        span: Span,
        top: Option<EventId>,
        now: Mono,
    ) -> Option<EventId> {
        let mut audited = None;
        // After the filling no range straddles `top`, which is a row's id.
        let left = self.ranges.range_mut(span.0..=span.1);
        for (&lo, range) in left.take_while(|(_, r)| top.is_none_or(|top| r.hi < top)) {
            let rung = range.rung();
            if rung == Rung::Closed {
                audited = Some(lo);
            }
            if let Some(last) = range.last {
                range.age = range
                    .age
                    .saturating_add(rung.observed(range.age, now.since(last)));
            }
            range.looks = range.looks.saturating_add(1);
            range.last = Some(now);
            range.due = now + range.rung().step(range.age);
            self.aged.insert(lo);
        }
        audited
    }
    /// Chooses the ranges that go with the head's request.
    ///
    /// Three quarters are the youngest, and among equals the nearest to the head: leftovers
    /// of a catch-up share their rung and would hold up the holes about to fill. A quarter
    /// is the longest overdue of the rest, so that none starves. Closed ranges come on top.
    pub(super) fn ride(&self, now: Mono, budget: Budget) -> Vec<Span> {
        let (mut audit, mut open): (Vec<_>, Vec<_>) =
            self.due(now).partition(|d| d.rung == Rung::Closed);
        let young = budget.open * 3 / 4;
        let mut rest = take_least(&mut open, young, |d| (d.rung, Reverse(d.span.0)));
        take_least(&mut rest, budget.open - young, |d| {
            (d.rung == Rung::Fresh, d.since, d.span.0)
        });
        take_least(&mut audit, budget.closed, |d| (d.since, d.span.0));
        let all = open.into_iter().chain(rest).chain(audit);
        all.map(|d| d.span).collect()
    }
    /// Chooses holes of the first rung that the ride has left over, longest overdue first.
    pub(super) fn fresh(&self, now: Mono, budget: Budget) -> Vec<Span> {
        let mut fresh: Vec<_> = self.due(now).filter(|d| d.rung == Rung::Fresh).collect();
        take_least(&mut fresh, budget.open, |d| (d.since, d.span.0));
        fresh.into_iter().map(|d| d.span).collect()
    }
    /// Returns what is to be written: low ends to take out, and ranges to put in. Ages
    /// alone only if `ages`.
    pub(super) fn changes(&mut self, ages: bool) -> (Vec<EventId>, Vec<Hole>) {
        if ages {
            self.changed.append(&mut self.aged);
        }
        let mut put = Vec::with_capacity(self.changed.len());
        for lo in std::mem::take(&mut self.changed) {
            // A range put whole takes its age along.
            self.aged.remove(&lo);
            if let Some(range) = self.ranges.get_mut(&lo) {
                range.written = true;
                put.push(range.hole(lo));
            }
        }
        (std::mem::take(&mut self.removed).into_iter().collect(), put)
    }
    /// Tells whether ages are to be written.
    pub(super) fn is_aged(&self) -> bool {
        !self.aged.is_empty()
    }
    /// Returns all holes, ascending, each with whether it is closed.
    pub(super) fn holes(&self) -> impl Iterator<Item = (Hole, bool)> {
        let hole = |(lo, r): (&EventId, &Range)| (r.hole(*lo), r.rung() == Rung::Closed);
        self.ranges.iter().map(hole)
    }

    fn insert(&mut self, lo: EventId, range: Range) {
        self.ranges.insert(lo, range);
        self.changed.insert(lo);
    }
    fn due(&self, now: Mono) -> impl Iterator<Item = Due> {
        let due = self.ranges.iter().filter(move |(_, r)| r.due <= now);
        due.map(|(&lo, r)| Due {
            rung: r.rung(),
            since: r.due,
            span: (lo, r.hi),
        })
    }
}

/// Leaves the `n` least of `all` by `key`, and returns the others.
fn take_least<K: Ord>(all: &mut Vec<Due>, n: usize, key: impl Fn(&Due) -> K) -> Vec<Due> {
    if all.len() <= n {
        return Vec::new();
    }
    all.select_nth_unstable_by_key(n, key);
    all.split_off(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono::from_secs(1000);
    const BUDGET: Budget = Budget {
        open: 100,
        closed: 50,
    };

    fn after(secs: u64) -> Mono {
        NOW + Duration::from_secs(secs)
    }
    fn span(lo: u64, hi: u64) -> Span {
        (EventId(lo), EventId(hi))
    }
    fn hole(lo: u64, hi: u64, age: u64, looks: u64) -> Hole {
        Hole {
            lo: EventId(lo),
            hi: EventId(hi),
            age_ms: age * 1000,
            looks,
        }
    }
    fn load(holes: &[Hole]) -> Ledger {
        Ledger::load(holes, EventId(0), NOW)
    }
    fn all(ledger: &Ledger) -> Vec<Hole> {
        ledger.holes().map(|(h, _)| h).collect()
    }

    #[test]
    fn a_request_leaves_room_for_the_neighbours_of_what_it_asks_for() {
        for (page, wanted) in [
            (2, (4, 1)),
            (10, (4, 1)),
            (100, (20, 10)),
            (500, (100, 50)),
            (5000, (100, 50)),
        ] {
            let budget = Budget::of(page);
            assert_eq!((budget.open, budget.closed), wanted, "{page}");
        }
    }

    #[test]
    fn what_is_left_of_a_range_keeps_what_was_learned() {
        for (id, left) in [
            (10, vec![(11, 20)]),
            (15, vec![(10, 14), (16, 20)]),
            (20, vec![(10, 19)]),
            (9, vec![(10, 20)]),
            (21, vec![(10, 20)]),
        ] {
            let mut ledger = load(&[hole(10, 20, 700, 40)]);
            ledger.absent(span(10, 20), None, NOW);
            let inside = (10..=20).contains(&id);
            assert_eq!(ledger.fill(EventId(id)).is_some(), inside, "fill {id}");
            let want: Vec<_> = left.iter().map(|&(a, b)| hole(a, b, 700, 41)).collect();
            assert_eq!(all(&ledger), want, "fill {id}");
            // Asked again before the step of its rung is over, it would not be due.
            let early = after(59);
            assert!(ledger.ride(early, BUDGET).is_empty(), "fill {id}");
            assert_eq!(ledger.ride(after(60), BUDGET).len(), left.len());
            // Nor is the time since the last look forgotten.
            for &(lo, hi) in &left {
                ledger.absent(span(lo, hi), None, after(60));
            }
            assert!(
                all(&ledger).iter().all(|h| h.age_ms == 760_000),
                "fill {id}"
            );
        }
    }

    #[test]
    fn a_single_id_filled_leaves_nothing() {
        let mut ledger = load(&[hole(10, 10, 0, 0)]);
        assert_eq!(ledger.fill(EventId(10)), Some(Rung::Fresh));
        assert!(all(&ledger).is_empty());
        assert_eq!(ledger.changes(true), (vec![EventId(10)], vec![]));
    }

    #[test]
    fn only_what_changed_is_written() {
        let mut ledger = load(&[hole(10, 20, 0, 0), hole(30, 30, 0, 0), hole(40, 40, 0, 0)]);
        assert_eq!(ledger.changes(true), (vec![], vec![]));
        ledger.absent(span(10, 40), None, NOW);
        ledger.fill(EventId(12));
        ledger.fill(EventId(30));
        ledger.open(span(50, 55), NOW, true);
        let put = vec![hole(10, 11, 0, 1), hole(13, 20, 0, 1), hole(50, 55, 0, 0)];
        assert_eq!(ledger.changes(false), (vec![EventId(30)], put));
        assert_eq!(ledger.changes(false), (vec![], vec![]));
        assert!(ledger.is_aged(), "40 has aged and waits");
        assert_eq!(ledger.changes(true), (vec![], vec![hole(40, 40, 0, 1)]));
        assert!(!ledger.is_aged());
        ledger.fill(EventId(13));
        assert_eq!(
            ledger.changes(false),
            (vec![EventId(13)], vec![hole(14, 20, 0, 1)])
        );
    }

    #[test]
    fn a_cut_page_says_nothing_above_its_last_row() {
        let mut ledger = load(&[hole(10, 20, 0, 0), hole(30, 30, 0, 0)]);
        ledger.fill(EventId(15));
        ledger.absent(span(10, 20), Some(EventId(15)), NOW);
        ledger.absent(span(30, 30), Some(EventId(15)), NOW);
        let want = [hole(10, 14, 0, 1), hole(16, 20, 0, 0), hole(30, 30, 0, 0)];
        assert_eq!(all(&ledger), want);
    }

    #[test]
    fn time_spent_down_was_not_observed() {
        let mut ledger = load(&[hole(10, 10, 5, 3)]);
        ledger.absent(span(10, 10), None, after(3600));
        assert_eq!(all(&ledger), [hole(10, 10, 5, 4)]);
        ledger.open(span(20, 20), NOW, true);
        ledger.absent(span(20, 20), None, after(2));
        assert_eq!(all(&ledger), [hole(10, 10, 5, 4), hole(20, 20, 2, 1)]);
    }

    #[test]
    fn the_young_ride_first_and_a_quarter_is_kept_for_the_old() {
        // 200 fresh below 200 of ten minutes, and 200 of a day: more than one ride.
        let young = (0..200).map(|i| hole(1000 + 2 * i, 1000 + 2 * i, 0, 0));
        let older = (0..200).map(|i| hole(2000 + 2 * i, 2000 + 2 * i, 700, 9));
        let old = (0..200).map(|i| hole(10 + 2 * i, 10 + 2 * i, 90_000, 300));
        let ledger = load(&old.chain(young).chain(older).collect::<Vec<_>>());
        let ride = ledger.ride(NOW, BUDGET);
        let count = |lo, hi| ride.iter().filter(|s| (lo..hi).contains(&s.0.0)).count();
        assert_eq!((count(1250, 1400), count(10, 410)), (75, 25), "{ride:?}");
        assert_eq!(ledger.fresh(NOW, BUDGET).len(), 100);
        // With nothing young the whole budget is for the others.
        let ledger = load(
            &(0..200)
                .map(|i| hole(10 + 2 * i, 10 + 2 * i, 90_000, 300))
                .collect::<Vec<_>>(),
        );
        assert_eq!(ledger.ride(NOW, BUDGET).len(), 100);
        assert!(ledger.fresh(NOW, BUDGET).is_empty());
    }

    #[test]
    fn the_audit_is_spread_over_an_hour_and_goes_on_where_it_stood() {
        let closed: Vec<_> = (1..=100)
            .map(|i| hole(10 * i, 10 * i, 300_000, 300))
            .collect();
        let ledger = Ledger::load(&closed, EventId(600), NOW);
        let at = |secs| ledger.ride(after(secs), BUDGET);
        assert_eq!(at(0), [span(610, 610)]);
        assert_eq!(at(35).len(), 1);
        assert_eq!(at(36).len(), 2);
        assert_eq!(at(36 * 40).len(), 41);
        assert!(at(36 * 40).contains(&span(10, 10)));
        assert_eq!(at(3600).len(), 50);
    }

    #[test]
    fn a_closed_range_is_audited_daily_and_later_weekly() {
        let day = 24 * 3600;
        for (age, step) in [(4 * day, day), (31 * day, 7 * day)] {
            let mut ledger = load(&[hole(10, 12, age, 300)]);
            assert_eq!(ledger.absent(span(10, 12), None, NOW), Some(EventId(10)));
            assert!(ledger.ride(after(step - 1), BUDGET).is_empty());
            assert_eq!(ledger.ride(after(step), BUDGET).len(), 1);
            assert_eq!(ledger.fill(EventId(11)), Some(Rung::Closed));
        }
    }

    #[test]
    fn an_id_jump_is_one_range() {
        let mut ledger = Ledger::default();
        ledger.open(span(1001, 5_000_000), NOW, true);
        assert_eq!(ledger.ride(NOW, BUDGET), [span(1001, 5_000_000)]);
        ledger.fill(EventId(2_000_000));
        assert_eq!(all(&ledger).len(), 2);
    }
}
