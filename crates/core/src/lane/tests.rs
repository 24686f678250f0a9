//! Stories of one lane, and a property over random schedules of answers, failures, deaths,
//! slow disks and restarts.

mod ahead;
mod anew;
mod line;
mod pause;
mod resume;
mod says;
mod since;
#[path = "../../tests/support/mod.rs"]
mod support;
mod void;
mod wishes;

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use slated_model::{AttributeRule, Cause, Event, FailureKind, Outcome, PluginId, Row};

use super::*;
use crate::order::{Order, Peer as _, Rules};
use crate::retry::{OnError, Worth};
use support::{Disk, failure};

/// A lane with a log, a worker that does what the test says, and a disk that may be slow.
struct World {
    lane: Lane,
    log: Vec<Arc<Row>>,
    specs: Vec<CallbackSpec>,
    now: Mono,
    site: SiteHealth,
    gate: Gate,
    /// Sent, not answered.
    frames: Vec<Frame>,
    /// Recorded, not durable.
    waiting: Vec<(u64, Vec<Change>)>,
    slow_disk: bool,
    disk: Disk,
    /// Every run of a unit that a worker began.
    runs: Vec<(EventId, CallbackId)>,
    notes: Vec<Note>,
}

fn plugin() -> PluginId {
    PluginId::new("plugins", "p")
}

fn lane_row() -> LaneRow {
    LaneRow::new(plugin(), Offset(0))
}

fn policy() -> Policy {
    Policy {
        worth: Worth::Transient,
        attempts: 3,
        within: Duration::from_mins(1),
        on_error: OnError::DeadLetter,
        deaths: 3,
    }
}

fn spec(n: u32, name: &str, event_type: &str, stop_on_error: bool) -> CallbackSpec {
    let matcher = Matcher::new([(event_type.to_owned(), AttributeRule::Any(true))]);
    CallbackSpec {
        n,
        id: CallbackId::new(name, 1),
        matcher,
        stop_on_error,
    }
}

fn row(offset: u64, event_type: &str) -> Row {
    let text = format!(r#"{{"id":{},"event_type":"{event_type}"}}"#, offset + 100);
    Row {
        offset: Offset(offset),
        late: false,
        event: Event::parse(&text).unwrap(),
    }
}

impl World {
    fn new(specs: Vec<CallbackSpec>, types: &[&str]) -> Self {
        let log = (1..).zip(types).map(|(i, t)| Arc::new(row(i, t))).collect();
        let mut world = Self {
            lane: Lane::new(lane_row(), policy(), 4, vec![], &[], Mono::ZERO, 1),
            log,
            specs,
            now: Mono::ZERO,
            site: SiteHealth::WellFor(Duration::from_mins(1)),
            gate: Gate::default(),
            frames: vec![],
            waiting: vec![],
            slow_disk: false,
            disk: Disk::new(lane_row()),
            runs: vec![],
            notes: vec![],
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.step(Input::LogGrew(Offset(self.log.len() as u64)));
        self.step(Input::Ready {
            callbacks: self.specs.clone(),
            window: 16,
        });
    }

    /// The daemon is gone without a word; what was not durable is forgotten.
    fn crash(&mut self) {
        self.frames.clear();
        self.waiting.clear();
        let (row, attempts, ahead) = self.disk.taken_up(|id| Offset(id.0 - 100));
        self.lane = Lane::new(row, policy(), 4, attempts, &ahead, self.now, 2);
        self.begin();
    }

    fn context<'a>(&self, gate: &'a Gate) -> Context<'a> {
        Context {
            now: self.now,
            wall_ms: 0,
            gate,
            peers: Peers::default(),
            site: self.site,
        }
    }

    fn wake_at(&self) -> Option<Mono> {
        self.lane.wake_at(self.now, &self.gate)
    }

    fn step(&mut self, input: Input) {
        let gate = self.gate.clone();
        let at = self.context(&gate);
        for effect in self.lane.step(at, input) {
            match effect {
                Effect::Send(frame) => self.frames.push(frame),
                Effect::Read { after, limit } => {
                    let rows: Vec<_> = self
                        .log
                        .iter()
                        .filter(|r| r.offset > after)
                        .take(limit)
                        .cloned()
                        .collect();
                    let through = rows.last().map_or(after, |r| r.offset);
                    self.step(Input::Rows {
                        after,
                        rows,
                        through,
                    });
                }
                Effect::Recall { event } => {
                    let row = self
                        .log
                        .iter()
                        .find(|r| r.event.id == event)
                        .map(|r| Row::clone(r));
                    self.step(Input::Recalled { event, row });
                }
                Effect::Record { ticket, changes } if self.slow_disk => {
                    self.waiting.push((ticket, changes));
                }
                Effect::Record { ticket, changes } => {
                    self.disk.write(changes);
                    self.step(Input::Durable(ticket));
                }
                Effect::Tell(note) => self.notes.push(note),
                Effect::WentAhead { .. } => unreachable!("it is alone"),
            }
        }
    }

    fn sync(&mut self) {
        for (ticket, changes) in std::mem::take(&mut self.waiting) {
            self.disk.write(changes);
            self.step(Input::Durable(ticket));
        }
    }

    /// The worker runs the next callback it was sent, with this result.
    fn run(&mut self, reply: Reply) -> Option<(EventId, CallbackId)> {
        let frame = self.frames.first_mut()?;
        let (seq, event, n) = (frame.seq, frame.row.event.id, frame.callbacks.remove(0));
        if frame.callbacks.is_empty() {
            self.frames.remove(0);
        }
        if matches!(reply, Reply::Failed { stop: true, .. }) {
            self.frames.clear();
        }
        let id = self.specs.iter().find(|s| s.n == n).unwrap().id.clone();
        self.runs.push((event, id.clone()));
        self.step(Input::Answer { seq, n, reply });
        Some((event, id))
    }

    fn fine(&mut self) -> Option<(EventId, CallbackId)> {
        self.run(Reply::Done { us: 5 })
    }

    fn fail(&mut self, cause: Option<Cause>, stop: bool) {
        let failure = failure(FailureKind::Raised, cause);
        assert!(
            self.run(Reply::Failed { failure, stop }).is_some(),
            "nothing to fail"
        );
    }

    fn die(&mut self) {
        if let Some(frame) = self.frames.first() {
            let id = self
                .specs
                .iter()
                .find(|s| s.n == frame.callbacks[0])
                .unwrap()
                .id
                .clone();
            self.runs.push((frame.row.event.id, id));
        }
        self.frames.clear();
        self.step(Input::Gone {
            verdict: Verdict::Died(failure(FailureKind::Death, None)),
        });
        self.step(Input::Ready {
            callbacks: self.specs.clone(),
            window: 16,
        });
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.step(Input::Tick);
    }

    /// A person has a dead letter on record tried again.
    fn retry(&mut self, which: usize) {
        let mut wishes = self
            .disk
            .outcomes
            .values()
            .filter_map(|letter| crate::letter::retry(letter, Offset(letter.event.0 - 100), 0));
        let Some(attempt) = wishes.nth(which % 8) else {
            return;
        };
        let unit = (attempt.event, attempt.callback.clone());
        self.disk.outcomes.remove(&unit);
        self.disk.attempts.insert(unit, attempt.clone());
        self.step(Input::Retried(attempt));
    }

    fn runs_of(&self, id: u64) -> usize {
        self.runs.iter().filter(|(e, _)| e.0 == id).count()
    }

    fn outcome(&self, id: u64, name: &str) -> Option<&Outcome> {
        self.disk
            .outcomes
            .get(&(EventId(id), CallbackId::new(name, 1)))
            .map(|o| &o.outcome)
    }
}

#[test]
fn each_callback_gets_the_events_it_asked_for_in_order() {
    let mut w = World::new(
        vec![spec(0, "f", "A", true), spec(1, "g", "B", true)],
        &["A", "B", "C", "A"],
    );
    while w.fine().is_some() {}
    let seen: Vec<_> = w.runs.iter().map(|(e, c)| (e.0, c.to_string())).collect();
    assert_eq!(
        seen,
        [(101, "f".into()), (102, "g".into()), (104, "f".into())]
    );
    assert_eq!(w.disk.row.cursor, Offset(4));
    assert_eq!(w.lane.lag(), 0);
}

#[test]
fn what_nobody_wants_moves_the_cursor_once_a_second() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &vec!["B"; 2000]);
    assert_eq!(
        (w.disk.row.cursor, w.lane.cursor()),
        (Offset(0), Offset(2000))
    );
    assert_eq!(w.wake_at(), Some(Mono::from_secs(1)));
    w.pass(Duration::from_secs(1));
    assert_eq!(w.disk.row.cursor, Offset(2000));
    assert_eq!(w.wake_at(), None);
}

#[test]
fn a_slow_plugin_gets_the_next_event_when_the_last_outcome_is_durable() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"; 3]);
    w.slow_disk = true;
    w.fine();
    assert!(w.frames.is_empty() && w.lane.in_flight() == 1);
    w.sync();
    assert_eq!(w.frames.len(), 1);
}

#[test]
fn a_quick_plugin_is_sent_ahead_but_never_more_than_its_window_is_undurable() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"; 100]);
    for _ in 0..32 {
        w.fine();
    }
    assert_eq!(w.frames.len(), 4, "quick after 32 events");
    w.slow_disk = true;
    for _ in 0..4 {
        w.fine();
    }
    assert!(w.frames.is_empty() && w.lane.in_flight() == 4);
    w.sync();
    assert_eq!(w.frames.len(), 4);
}

#[test]
fn a_failure_with_stop_on_error_holds_the_lane_and_an_edit_begins_with_it() {
    let mut w = World::new(
        vec![spec(0, "f", "A", true), spec(1, "g", "A", true)],
        &["A", "A"],
    );
    w.fine();
    w.fail(None, true);
    assert_eq!(w.lane.hold().unwrap().event, Some(EventId(101)));
    assert!(w.frames.is_empty());
    w.crash();
    assert!(
        w.lane.hold().is_some() && w.frames.is_empty(),
        "a hold survives a restart"
    );
    w.step(Input::Resume);
    assert_eq!(
        w.fine().unwrap().1.to_string(),
        "g",
        "f has its outcome and is not run again"
    );
    while w.fine().is_some() {}
    assert_eq!((w.runs_of(101), w.runs_of(102)), (3, 2));
}

#[test]
fn a_transient_failure_is_retried_aside_and_the_lane_goes_on() {
    let mut w = World::new(vec![spec(0, "f", "A", false)], &["A", "A"]);
    w.fail(Some(Cause::Transient), false);
    assert_eq!(w.fine().unwrap().0, EventId(102));
    assert!(w.frames.is_empty());
    w.crash();
    assert!(w.frames.is_empty(), "the back-off goes on after a restart");
    w.pass(Duration::from_secs(30));
    assert_eq!(w.frames[0].attempt, 2);
    w.fine();
    assert!(matches!(w.outcome(101, "f"), Some(Outcome::Done { .. })));
    assert!(w.disk.attempts.is_empty());
}

#[test]
fn a_clean_end_records_the_cursor_and_the_back_off_that_went_by() {
    let mut w = World::new(vec![spec(0, "f", "A", false)], &["A", "B", "B"]);
    w.fail(Some(Cause::Transient), false);
    let left = |w: &World| w.disk.attempts.values().next().unwrap().left_ms;
    let before = left(&w);
    w.now = w.now + Duration::from_secs(3);
    w.step(Input::Close);
    assert_eq!(left(&w), before - 3000);
    assert_eq!(w.disk.row.cursor, Offset(3));
    w.pass(Duration::from_mins(1));
    assert!(w.frames.is_empty(), "nothing is sent any more");
}

#[test]
fn attempts_aside_end_as_a_dead_letter() {
    let mut w = World::new(vec![spec(0, "f", "A", false)], &["A"]);
    for back_off in [10, 39, 0] {
        w.fail(Some(Cause::Transient), false);
        w.pass(Duration::from_secs(back_off));
    }
    assert!(matches!(
        w.outcome(101, "f"),
        Some(Outcome::DeadLetter { .. })
    ));
    assert_eq!(w.disk.outcomes.values().next().unwrap().attempt, 3);
}

#[test]
fn a_site_that_is_down_holds_nobody() {
    let mut w = World::new(
        vec![spec(0, "f", "A", true), spec(1, "g", "A", false)],
        &["A", "A"],
    );
    w.site = SiteHealth::Down;
    for _ in 0..20 {
        w.fail(Some(Cause::Site), true);
        assert!(w.frames.is_empty() && w.lane.awaits_site());
        w.pass(Duration::from_secs(100));
        assert!(
            w.frames.is_empty(),
            "it waits for a good read, not for time"
        );
        w.step(Input::SiteRead);
        w.pass(Duration::from_secs(40));
    }
    w.site = SiteHealth::WellFor(Duration::ZERO);
    while w.fine().is_some() {}
    assert!(w.lane.hold().is_none() && w.disk.attempts.is_empty());
    assert_eq!(w.disk.outcomes.len(), 4);
}

/// Under a `.conf` nothing is tried again, and the follower may not have noticed yet.
#[test]
fn a_site_that_only_the_callback_finds_down_is_waited_for_until_it_is_surely_well() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"]);
    w.lane.policy.worth = Worth::None;
    w.site = SiteHealth::WellFor(Duration::from_hours(1));
    let begun = w.now;
    while w.lane.hold().is_none() {
        w.fail(Some(Cause::Site), true);
        w.step(Input::SiteRead);
        w.pass(Duration::from_secs(40));
    }
    let waited = w.now.since(begun);
    assert!(
        waited >= Duration::from_mins(5) && waited < Duration::from_mins(7),
        "{waited:?}"
    );
}

#[test]
fn three_deaths_over_one_event_are_a_hold_or_a_dead_letter() {
    for (stop, held) in [(true, true), (false, false)] {
        let mut w = World::new(vec![spec(0, "f", "A", stop)], &["A", "A"]);
        w.die();
        w.die();
        w.crash();
        assert_eq!(w.frames.len(), 1, "deaths are counted across restarts");
        w.die();
        assert_eq!(w.lane.hold().is_some(), held);
        assert_eq!(w.outcome(101, "f").is_some(), !held);
        assert_eq!(w.frames.len(), usize::from(!held), "others go on");
    }
}

#[test]
fn a_worker_that_slated_ended_is_blamed_for_nothing() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"]);
    for _ in 0..10 {
        w.step(Input::Retired);
        w.frames.clear();
        w.step(Input::Gone {
            verdict: Verdict::Ours,
        });
        w.step(Input::Ready {
            callbacks: w.specs.clone(),
            window: 16,
        });
    }
    w.fine();
    assert!(w.disk.attempts.is_empty());
    assert!(matches!(w.outcome(101, "f"), Some(Outcome::Done { .. })));
}

#[test]
fn nothing_is_sent_to_a_retired_worker_but_its_answers_count() {
    let mut w = World::new(vec![spec(0, "f", "A", false)], &["A", "A"]);
    w.step(Input::Retired);
    w.fail(None, false);
    assert!(
        matches!(w.outcome(101, "f"), Some(Outcome::DeadLetter { .. })),
        "stopOnError is still known"
    );
    assert!(w.frames.is_empty());
}

#[test]
fn an_attempt_of_a_callback_that_is_gone_is_discarded() {
    let mut w = World::new(vec![spec(0, "f", "A", false)], &["A"]);
    w.fail(Some(Cause::Transient), false);
    w.specs = vec![spec(0, "g", "B", false)];
    w.step(Input::Ready {
        callbacks: w.specs.clone(),
        window: 16,
    });
    assert!(matches!(
        w.outcome(101, "f"),
        Some(Outcome::Discarded { .. })
    ));
}

#[test]
fn an_unreadable_row_is_a_dead_letter_and_the_stream_goes_on() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"]);
    let bad = Row {
        offset: Offset(2),
        late: false,
        event: Event::unreadable(EventId(102), "{oops"),
    };
    w.log.push(Arc::new(bad));
    w.log.push(Arc::new(row(3, "A")));
    w.step(Input::LogGrew(Offset(3)));
    while w.fine().is_some() {}
    assert!(matches!(
        w.outcome(102, "f"),
        Some(Outcome::DeadLetter { .. })
    ));
    assert_eq!((w.runs_of(101), w.runs_of(102), w.runs_of(103)), (1, 0, 1));
}

/// A reload takes what is before the cursor again; people are told of such a row once.
#[test]
fn an_unreadable_row_is_one_dead_letter_whatever_is_taken_again() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"]);
    let bad = Event::unreadable(EventId(102), "{oops");
    w.log.push(Arc::new(Row {
        event: bad,
        ..row(2, "A")
    }));
    w.step(Input::LogGrew(Offset(2)));
    for _ in 0..2 {
        w.step(Input::Gone {
            verdict: Verdict::Ours,
        });
        w.begin();
    }
    let letters = w.notes.iter();
    let letters = letters.filter(|n| matches!(n, Note::DeadLetter { .. }));
    assert_eq!(letters.count(), 1);
    w.frames.drain(..w.frames.len() - 1);
    assert!(w.fine().is_some());
    assert_eq!(w.lane.cursor(), Offset(2));
}

#[test]
fn an_event_that_cannot_be_handed_over_holds_nobody() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A", "A"]);
    let failure = failure(FailureKind::Unreadable, None);
    w.run(Reply::Failed {
        failure,
        stop: false,
    });
    assert!(matches!(
        w.outcome(101, "f"),
        Some(Outcome::DeadLetter { .. })
    ));
    assert!(w.fine().is_some() && w.lane.hold().is_none());
    assert!(w.disk.attempts.is_empty());
}

#[test]
fn below_the_floor_only_late_and_owed_events_run() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &[]);
    let start = LaneRow {
        floor: Some(EventId(103)),
        owed: vec![EventId(102)],
        ..lane_row()
    };
    w.disk.row = start;
    w.log = (1..=5)
        .map(|i| {
            Arc::new(Row {
                late: i == 1,
                ..row(i, "A")
            })
        })
        .collect();
    w.crash();
    while w.fine().is_some() {}
    let seen: Vec<_> = w.runs.iter().map(|(e, _)| e.0).collect();
    assert_eq!(seen, [101, 102, 104, 105]);
    assert_eq!(w.disk.row.floor, None, "the floor falls behind the cursor");
}

/// Its file went elsewhere before dispatch began: nothing can take the closed lane out of the line.
#[test]
fn nobody_waits_for_one_that_another_goes_on_for() {
    let mut w = World::new(vec![spec(0, "f", "A", true)], &["A"]);
    w.gate = Gate::new(Rules {
        order: Order::Pipelined,
        ..Rules::default()
    });
    w.disk.row = lane_row();
    w.crash();
    w.step(Input::Close);
    assert!(w.lane.in_line_from().is_some());
    w.lane
        .amend(|row| row.moved_to = Some(PluginId::new("plugins", "q")));
    w.gate.begin();
    w.step(Input::Running(false));
    assert_eq!(w.lane.in_line_from(), None);
}

#[test]
fn a_dead_letter_is_tried_once_more_beside_the_order() {
    let mut w = World::new(vec![spec(0, "f", "A", false)], &["A"; 3]);
    w.fail(None, false);
    assert!(matches!(
        w.outcome(101, "f"),
        Some(Outcome::DeadLetter { .. })
    ));
    w.retry(0);
    // The lane goes on while the row of the try is read.
    w.fine();
    w.fine();
    w.fail(None, false);
    let events: Vec<_> = w.runs.iter().map(|(e, _)| e.0).collect();
    assert_eq!(events, [101, 102, 103, 101]);
    assert!(matches!(
        w.outcome(101, "f"),
        Some(Outcome::DeadLetter { .. })
    ));
    w.retry(0);
    w.fine();
    assert!(matches!(w.outcome(101, "f"), Some(Outcome::Done { .. })));
    assert!(w.disk.attempts.is_empty());
    // What is done is no dead letter.
    w.retry(0);
    assert!(w.frames.is_empty());
}

/// A quick plugin has several attempts in hand, and finds the site down in one of them.
#[test]
fn an_attempt_that_awaits_the_site_brings_none_of_the_others_out_twice() {
    let mut w = World::new(vec![spec(0, "f", "A", false)], &["A"; 35]);
    for _ in 0..32 {
        w.fine();
    }
    for _ in 0..3 {
        w.fail(None, false);
    }
    for _ in 0..3 {
        w.retry(0);
    }
    assert_eq!(w.frames.len(), 3, "sent ahead");
    w.site = SiteHealth::Down;
    w.fail(Some(Cause::Transient), false);
    w.step(Input::SiteRead);
    w.pass(Duration::from_secs(10));
    while w.fine().is_some() {}
    let runs = [133, 134, 135].map(|id| w.runs_of(id));
    assert_eq!(runs, [3, 2, 2]);
}

#[test]
fn a_dead_letter_before_the_end_of_its_event_is_not_run_twice_by_a_reload() {
    let specs = vec![spec(0, "f", "A", false), spec(1, "g", "A", true)];
    let mut w = World::new(specs, &["A"]);
    w.fail(None, false);
    w.fail(None, true);
    // `g` holds the plugin at the event; a try of `f` waits for the end of the hold.
    assert!(w.lane.hold().is_some());
    w.retry(0);
    w.crash();
    w.step(Input::Resume);
    while w.fine().is_some() {}
    assert_eq!(w.runs_of(101), 4);
    w.step(Input::Ready {
        callbacks: w.specs.clone(),
        window: 16,
    });
    assert!(w.fine().is_none() && w.disk.attempts.is_empty());
}

#[derive(Clone, Debug)]
enum Turn {
    Fine(u64),
    Fail { cause: Option<Cause>, kind: bool },
    Die,
    Crash,
    Reload,
    Pass(u64),
    SlowDisk(bool),
    Sync,
    Site(bool),
    Resume,
    Skip(u64),
    Retry(u8),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let cause = prop_oneof![
        Just(None),
        Just(Some(Cause::Site)),
        Just(Some(Cause::Transient))
    ];
    let turn = prop_oneof![
        12 => prop_oneof![4 => 1u64..50, 1 => Just(5000)].prop_map(Turn::Fine),
        3 => (cause, any::<bool>()).prop_map(|(cause, kind)| Turn::Fail { cause, kind }),
        1 => Just(Turn::Die),
        1 => Just(Turn::Crash),
        1 => Just(Turn::Reload),
        2 => (0u64..40).prop_map(Turn::Pass),
        1 => any::<bool>().prop_map(Turn::SlowDisk),
        3 => Just(Turn::Sync),
        1 => any::<bool>().prop_map(Turn::Site),
        2 => Just(Turn::Resume),
        1 => (1u64..5).prop_map(Turn::Skip),
        2 => any::<u8>().prop_map(Turn::Retry),
    ];
    prop::collection::vec(turn, 1..250)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens: one outcome for each wanted unit that no person skipped, none run again once
    /// it is durable, and a crash repeats the events of one window at most.
    #[test]
    fn every_unit_ends_once(turns in turns(), stops in any::<[bool; 3]>(), types in prop::collection::vec(0usize..4, 1..80)) {
        let names = ["A", "B", "C", "D"];
        let types: Vec<_> = types.iter().map(|t| names[*t]).collect();
        let specs = vec![spec(0, "f", "A", stops[0]), spec(1, "g", "A", stops[1]), spec(2, "h", "B", stops[2])];
        let mut w = World::new(specs, &types);
        for turn in turns {
            match turn {
                Turn::Fine(us) => { w.run(Reply::Done { us }); }
                Turn::Fail { cause, kind } => if let Some(frame) = w.frames.first() {
                    let n = frame.callbacks[0];
                    let stop = w.specs.iter().any(|s| s.n == n && s.stop_on_error) || cause == Some(Cause::Site);
                    let kind = if kind { FailureKind::Raised } else { FailureKind::Limit };
                    w.run(Reply::Failed { failure: failure(kind, cause), stop });
                }
                Turn::Die => w.die(),
                Turn::Crash => {
                    let started: BTreeSet<_> = w.waiting.iter().flat_map(|(_, c)| c).filter_map(|c| match c {
                        Change::Outcome(o) => Some(o.event),
                        _ => None,
                    }).collect();
                    prop_assert!(started.len() <= 4, "a crash repeats more than a window: {started:?}");
                    w.crash();
                }
                Turn::Reload => {
                    w.step(Input::Retired);
                    w.frames.clear();
                    w.step(Input::Gone { verdict: Verdict::Ours });
                    w.step(Input::Ready { callbacks: w.specs.clone(), window: 16 });
                }
                Turn::Pass(s) => w.pass(Duration::from_secs(s)),
                Turn::SlowDisk(slow) => { w.slow_disk = slow; if !slow { w.sync(); } }
                Turn::Sync => w.sync(),
                Turn::Site(well) => {
                    w.site = if well { SiteHealth::WellFor(Duration::ZERO) } else { SiteHealth::Down };
                    if well { w.step(Input::SiteRead); }
                }
                Turn::Resume => w.step(Input::Resume),
                Turn::Skip(rows) => {
                    let to = Offset((w.lane.cursor().0 + rows).min(w.log.len() as u64));
                    w.step(Input::GoOnAfter(to));
                }
                Turn::Retry(which) => w.retry(which.into()),
            }
        }
        // All heals; everything must come to its end.
        w.slow_disk = false;
        w.sync();
        w.site = SiteHealth::WellFor(Duration::ZERO);
        for _ in 0..2000 {
            w.step(Input::SiteRead);
            w.step(Input::Resume);
            while w.fine().is_some() {}
            w.pass(Duration::from_secs(40));
        }
        let state = format!("{:?}", w.lane);
        let ranges = w.lane.row().skipped;
        let skipped = |offset| ranges.iter().any(|(after, through)| after.0 < offset && offset <= through.0);
        for (i, t) in (101..).zip(&types) {
            for (name, wants) in [("f", "A"), ("g", "A"), ("h", "B")] {
                let has = w.outcome(i, name).is_some();
                let right = has == (*t == wants) || (!has && skipped(i - 100));
                prop_assert!(right, "event {} in {}: {}", i, name, state);
            }
        }
        prop_assert!(w.disk.attempts.is_empty());
        prop_assert_eq!(w.disk.row.cursor, Offset(types.len() as u64));
    }
}
