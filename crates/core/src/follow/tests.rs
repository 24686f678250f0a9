//! Stories of a follower, one request at a time, against a table of visible rows.

mod pace;

use std::collections::BTreeSet;

use super::*;

const PACE: Pace = Pace {
    page: 10,
    tick: Duration::from_secs(2),
    lookback: 20,
    settle: Duration::ZERO,
};

/// A site of visible ids, a follower, and what stands on disk of it.
struct Story {
    site: BTreeSet<u64>,
    /// The history that new rows are from; those in `other` are from another.
    other: BTreeSet<u64>,
    unreadable: BTreeSet<u64>,
    now: Mono,
    follower: Follower,
    log: Vec<(u64, bool)>,
    commits: usize,
}

impl Story {
    fn new(site: impl IntoIterator<Item = u64>, start: Start) -> Self {
        Self::with(site, None, start)
    }
    fn resume(site: impl IntoIterator<Item = u64>, state: LedgerState) -> Self {
        Self::with(site, Some(state), Start::Latest)
    }
    fn with(site: impl IntoIterator<Item = u64>, state: Option<LedgerState>, start: Start) -> Self {
        Self {
            site: site.into_iter().collect(),
            other: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            now: Mono::ZERO,
            follower: Follower::start(state, start, PACE, Mono::ZERO),
            log: Vec::new(),
            commits: 0,
        }
    }
    fn row(&self, id: u64) -> Event {
        let kind = if self.other.contains(&id) { "B" } else { "A" };
        if self.unreadable.contains(&id) {
            return Event::unreadable(EventId(id), "{");
        }
        Event::parse(&format!(r#"{{"id":{id},"event_type":"{kind}"}}"#)).unwrap()
    }
    fn rows(&self, request: &Request) -> Vec<Event> {
        let ids: Vec<u64> = match request {
            Request::Newest => self.site.last().copied().into_iter().collect(),
            Request::Ids(ids) => ids
                .iter()
                .map(|i| i.0)
                .filter(|i| self.site.contains(i))
                .collect(),
            Request::Ranges {
                least,
                ranges,
                ids,
                limit,
            } => {
                let inside = |id: &&u64| {
                    let id = EventId(**id);
                    let within =
                        |r: &(EventId, Option<EventId>)| id >= r.0 && r.1.is_none_or(|hi| id <= hi);
                    id >= *least && (ids.contains(&id) || ranges.iter().any(within))
                };
                self.site
                    .iter()
                    .filter(inside)
                    .take(*limit)
                    .copied()
                    .collect()
            }
        };
        ids.into_iter().map(|id| self.row(id)).collect()
    }
    /// Returns the request that is due now.
    fn ask(&mut self) -> Request {
        match self.follower.next(self.now) {
            Next::Ask(request) => request,
            other => panic!("asks nothing: {other:?}"),
        }
    }
    fn answer(&mut self, rows: Vec<Event>) {
        if let Some(look) = self.follower.answer(self.now, rows).unwrap() {
            self.commits += 1;
            self.log
                .extend(look.events.iter().map(|(e, late)| (e.id.0, *late)));
        }
    }
    /// Answers all that is asked until the follower waits or stops; returns the requests.
    fn poll(&mut self) -> Vec<Request> {
        let mut asked = Vec::new();
        while let Next::Ask(request) = self.follower.next(self.now) {
            self.answer(self.rows(&request));
            asked.push(request);
        }
        asked
    }
    /// Lets time pass, and polls.
    fn after(&mut self, wait: Duration) -> Vec<Request> {
        self.now = self.now + wait;
        self.poll()
    }
    fn tick(&mut self) -> Vec<Request> {
        self.after(PACE.tick)
    }
    fn holes(&self) -> Vec<(u64, u64)> {
        self.follower
            .holes()
            .map(|(h, _)| (h.lo.0, h.hi.0))
            .collect()
    }
    fn lost(&mut self) -> AnchorLost {
        match self.follower.next(self.now) {
            Next::Stopped(lost) => lost,
            other => panic!("goes on: {other:?}"),
        }
    }
}

/// What a follower that saw `ids` has on disk.
fn state(ids: impl IntoIterator<Item = u64>, holes: &[(u64, u64)]) -> LedgerState {
    let story = Story::new([], Start::Latest);
    let anchors: Vec<_> = ids
        .into_iter()
        .filter_map(|id| anchors::of(&story.row(id)))
        .collect();
    let hole = |&(lo, hi)| Hole {
        lo: EventId(lo),
        hi: EventId(hi),
        age_ms: 0,
        looks: 0,
    };
    LedgerState {
        high: anchors.last().map(|a| a.id).unwrap_or_default(),
        anchors,
        holes: holes.iter().map(hole).collect(),
        audited: EventId(0),
    }
}

#[test]
fn the_calm_costs_one_request_a_tick_and_no_commit() {
    let mut story = Story::new(1..=30, Start::Latest);
    story.poll();
    let commits = story.commits;
    for _ in 0..100 {
        assert_eq!(story.tick().len(), 1);
    }
    assert_eq!(
        story.commits, commits,
        "nothing happened, nothing is written"
    );
    assert!(story.follower.caught_up());
}

#[test]
fn idle_holes_cost_one_commit_a_minute() {
    let mut story = Story::new((1..=30).filter(|id| id % 7 > 0), Start::Latest);
    story.poll();
    assert_eq!(story.commits, 1);
    for _ in 0..300 {
        story.tick();
    }
    assert!(
        (8..=11).contains(&story.commits),
        "{} commits in 10 minutes",
        story.commits
    );
    assert_eq!(story.holes(), [(14, 14), (21, 21), (28, 28)]);
    assert!(story.follower.status().open.oldest > Duration::from_secs(500));
}

#[test]
fn a_first_start_takes_what_is_absent_for_holes() {
    // The read takes pages of 10 rows; 15 and 28 are in flight.
    let mut story = Story::new((1..=30).filter(|id| ![15, 28].contains(id)), Start::Latest);
    let asked = story.poll();
    assert_eq!(asked[0], Request::Newest);
    assert_eq!((story.commits, story.log.len()), (1, 0));
    assert_eq!(story.holes(), [(15, 15), (28, 28)]);
    story.site.extend([28, 31]);
    story.tick();
    assert_eq!(story.log, [(28, true), (31, false)]);
}

#[test]
fn nothing_is_committed_before_the_whole_first_read_is_in() {
    let mut story = Story::new(1..=30, Start::Latest);
    let mut requests = 0;
    while story.commits == 0 {
        let request = story.ask();
        requests += 1;
        // Every other request fails; what is in already is not asked for again.
        if requests % 2 == 0 {
            story.follower.failed(story.now);
        } else {
            story.answer(story.rows(&request));
        }
    }
    assert_eq!(requests, 7, "newest, and pages to 20, to 30, and the end");
    assert_eq!(story.holes(), []);
}

#[test]
fn an_empty_site_is_followed_from_its_first_row() {
    let mut story = Story::new([], Start::Latest);
    let asked = story.poll();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!((story.commits, story.follower.high()), (1, EventId(0)));
    story.tick();
    story.site.extend([2, 5]);
    story.tick();
    assert_eq!(story.log, [(2, false), (5, false)]);
    assert_eq!(story.holes(), [(1, 1), (3, 4)]);
}

#[test]
fn a_start_from_an_id_begins_with_it() {
    for (from, high, log) in [
        (25, 30, vec![25, 26, 27, 28, 29, 30]),
        (31, 30, vec![]),
        // Above the site's end it would wait for rows that may never come.
        (99, 30, vec![]),
    ] {
        let mut story = Story::new(1..=30, Start::FromId(EventId(from)));
        story.poll();
        let ids: Vec<_> = story.log.iter().map(|e| e.0).collect();
        assert_eq!((story.follower.high().0, ids), (high, log), "from {from}");
    }
}

#[test]
fn an_import_hands_out_what_is_owed_and_not_as_late() {
    let start = Start::Imported {
        cursors: vec![EventId(27), EventId(25)],
        owed: [3, 4, 24, 26].map(EventId).to_vec(),
    };
    let mut story = Story::new((1..=30).filter(|id| ![4, 10].contains(id)), start);
    story.poll();
    // 3 and 24 are there, 4 is a hole, and 26 is met by the ordinary poll.
    let ids: Vec<_> = story.log.iter().map(|e| e.0).collect();
    assert_eq!(ids, [3, 24, 26, 27, 28, 29, 30]);
    assert!(story.log.iter().all(|e| !e.1));
    assert_eq!(story.holes(), [(4, 4), (10, 10)]);
    story.site.extend([4]);
    story.tick();
    assert_eq!(story.log.last(), Some(&(4, true)));
}

#[test]
fn what_the_site_has_is_known_before_it_was_followed() {
    let start = Start::Imported {
        cursors: vec![EventId(5)],
        owed: Vec::new(),
    };
    let mut story = Story::new(1..=60, start);
    while story.commits == 0 {
        let request = story.ask();
        story.answer(story.rows(&request));
    }
    // A plugin that is new now starts behind all that is already there.
    assert_eq!(story.follower.high(), EventId(5));
    assert_eq!(story.follower.head(), EventId(60));
    story.site.extend(61..=62);
    story.poll();
    assert_eq!(story.follower.head(), EventId(62));
    let resumed = Story::resume(1..=40, state([10, 20, 30], &[]));
    assert_eq!(resumed.follower.head(), EventId(30));
}

#[test]
fn a_site_behind_its_own_past_is_not_imported() {
    let start = Start::Imported {
        cursors: vec![EventId(5), EventId(31)],
        owed: Vec::new(),
    };
    let mut story = Story::new(1..=30, start);
    story.poll();
    let (newest, cursor) = (EventId(30), EventId(31));
    assert_eq!(story.lost(), AnchorLost::Behind { newest, cursor });
    assert_eq!(story.commits, 0);
}

#[test]
fn anchors_are_asked_for_at_every_start_before_anything_else() {
    let mut story = Story::resume(1..=40, state([10, 20, 30], &[(15, 15)]));
    assert_eq!(
        story.ask(),
        Request::Ids([10, 20, 30].map(EventId).to_vec())
    );
    story.follower.failed(story.now);
    assert_eq!(
        story.ask(),
        Request::Ids([10, 20, 30].map(EventId).to_vec())
    );
    story.poll();
    assert_eq!(story.log[0], (15, true));

    let mut story = Story::resume(1..=40, state([10, 20, 30], &[(15, 15)]));
    story.other.insert(10);
    story.poll();
    let lost = story.lost();
    assert!(
        matches!(
            lost,
            AnchorLost::Differs {
                id: EventId(10),
                ..
            }
        ),
        "{lost}"
    );
    assert_eq!(story.follower.status().lost, Some(lost));
    assert!(story.log.is_empty());
}

#[test]
fn nothing_is_appended_from_an_answer_that_does_not_vouch_for_its_history() {
    // (what happens, what the site is then, rows of another history, stops)
    for (what, site, other, stops) in [
        ("another row at the head", 1..=31, 30..=31, true),
        (
            "the head is gone, the rest is there",
            1..=29,
            99..=99,
            false,
        ),
        ("half of the anchors are gone", 1..=20, 99..=99, false),
        ("most of them", 1..=9, 99..=99, true),
        // More than a page of old rows fills a hole, so that the head is not in the answer.
        ("another history fills a hole", 1..=60, 11..=60, true),
    ] {
        let mut story = Story::resume(1..=9, state([10, 20, 29, 30], &[(11, 19), (21, 28)]));
        story.site.extend([10, 20, 29, 30]);
        story.poll();
        assert!(story.log.is_empty(), "{what}");
        story.site = site.collect();
        story.other.extend(other);
        let seen = story.log.len();
        story.tick();
        let stopped = matches!(story.follower.next(story.now), Next::Stopped(_));
        assert_eq!(stopped, stops, "{what}");
        let foreign = |e: &&(u64, bool)| story.other.contains(&e.0);
        assert_eq!(story.log[seen..].iter().find(foreign), None, "{what}");
    }
}

#[test]
fn an_unreadable_head_is_no_alarm_and_no_second_request() {
    let mut story = Story::new(1..=30, Start::Latest);
    story.poll();
    story.unreadable.insert(31);
    story.site.insert(31);
    story.tick();
    assert_eq!(story.log, [(31, false)]);
    for _ in 0..10 {
        assert_eq!(story.tick().len(), 1);
    }
    // A known row that comes broken once is there, but proves nothing.
    story.unreadable.insert(30);
    story.site.insert(32);
    assert_eq!(story.tick().len(), 2);
    assert_eq!(story.log, [(31, false), (32, false)]);
    // Restored to before the broken row: the anchors are asked, and hold until taken again.
    story.unreadable.clear();
    story.site.retain(|id| *id < 32);
    assert_eq!(story.tick().len(), 2);
    story.other.extend(31..=40);
    story.site.extend(31..=40);
    story.tick();
    assert!(matches!(
        story.lost(),
        AnchorLost::Differs {
            id: EventId(32),
            ..
        }
    ));
    assert_eq!(story.log.len(), 2);
}

#[test]
fn a_row_that_came_late_is_an_anchor_too() {
    let mut story = Story::new((1..=31).filter(|id| *id != 30), Start::Latest);
    story.poll();
    story.site.insert(30);
    story.tick();
    assert_eq!(story.log, [(30, true)]);
    // Restored to before 30 and 31; the new history took 30 again, and has no 31.
    story.site.remove(&31);
    story.other.extend(30..=40);
    story.site.extend(32..=40);
    story.tick();
    assert!(matches!(
        story.lost(),
        AnchorLost::Differs {
            id: EventId(30),
            ..
        }
    ));
    assert_eq!(story.log.len(), 1);
}

#[test]
fn a_restore_of_the_newest_row_is_noticed_though_its_id_is_taken_again_late() {
    for late in [1, 12] {
        let mut story = Story::new(1..=31, Start::Latest);
        story.poll();
        story.site.insert(32);
        story.tick();
        // Restored to before 32. What is 32 now commits after 33 and what follows.
        story.site.remove(&32);
        story.other.extend(32..=50);
        for n in 0..late {
            story.site.insert(33 + n);
            story.tick();
            // On record with each look: a restart and a person's decision are to know of it.
            assert!(story.follower.anchors.iter().any(|a| a.id == EventId(32)));
        }
        story.site.insert(32);
        story.tick();
        let lost = story.lost();
        assert!(matches!(
            lost,
            AnchorLost::Differs {
                id: EventId(32),
                ..
            }
        ));
    }
}

#[test]
fn a_newest_row_that_was_only_hidden_is_asked_for_until_it_shows_or_is_old() {
    let doubts = |asked: Vec<Request>| {
        let by_id =
            |r: &Request| matches!(r, Request::Ranges { ids, .. } if ids.contains(&EventId(31)));
        asked.iter().any(by_id)
    };
    let hidden = || {
        let mut story = Story::new(1..=31, Start::Latest);
        story.poll();
        story.site.remove(&31);
        story.site.insert(32);
        story.tick();
        assert_eq!(story.log, [(32, false)]);
        assert!(doubts(story.tick()));
        story
    };
    let mut story = hidden();
    story.site.insert(31);
    story.tick();
    assert!(!doubts(story.tick()), "it shows");
    let mut story = hidden();
    story.site.insert(31 + PACE.lookback);
    story.tick();
    assert!(doubts(story.tick()));
    story.site.insert(32 + PACE.lookback);
    story.tick();
    assert!(!doubts(story.tick()), "no id is in flight for so long");
}

#[test]
fn behind_a_full_page_the_head_goes_alone_and_at_once() {
    let mut story = Story::resume([10, 20, 30], state([10, 20, 30], &[(11, 19)]));
    story.poll();
    story.site.extend(31..=55);
    let asked = story.tick();
    let ride = |r: &Request| matches!(r, Request::Ranges { ranges, .. } if ranges.len() > 1);
    let rides: Vec<_> = asked.iter().map(ride).collect();
    assert_eq!(
        rides,
        [true, false, false, true, true],
        "then extra looks for the fresh hole"
    );
    assert_eq!(story.follower.high(), EventId(55));
}

#[test]
fn a_failed_ride_lets_the_head_go_alone_once() {
    for backoff in [Duration::from_millis(500), 3 * PACE.tick] {
        let mut known = state([10, 20, 30], &[(11, 19)]);
        known.holes[0].age_ms = 20_000;
        let mut story = Story::resume([10, 20, 30], known);
        let anchors = story.ask();
        story.answer(story.rows(&anchors));
        let ride = |r: &Request| matches!(r, Request::Ranges { ranges, .. } if ranges.len() > 1);
        assert!(ride(&story.ask()));
        story.follower.failed(story.now);
        // A failure ages no hole and counts no look.
        assert_eq!(story.follower.holes().map(|(h, _)| h.looks).max(), Some(0));
        let alone = story.after(backoff);
        assert_eq!(
            (alone.len(), alone.iter().any(ride)),
            (1, false),
            "after {backoff:?}"
        );
        assert!(story.tick().iter().any(ride), "after {backoff:?}");
    }
}

#[test]
fn a_new_hole_is_observed_from_its_first_sight_on() {
    let mut story = Story::new(1..=30, Start::Latest);
    story.poll();
    story.site.insert(32);
    story.now = story.now + PACE.tick;
    let head = story.ask();
    story.answer(story.rows(&head));
    // The extra look for the hole 31 fails, so the head's answer is all that showed it.
    story.ask();
    story.follower.failed(story.now);
    story.tick();
    assert_eq!(story.holes(), [(31, 31)]);
    assert_eq!(story.follower.status().open.oldest, PACE.tick);
}

#[test]
fn a_full_page_in_disorder_teaches_nothing() {
    let mut story = Story::new(1..=30, Start::Latest);
    story.poll();
    story.now = story.now + PACE.tick;
    story.ask();
    let rows: Vec<_> = (31..=40).rev().map(|id| story.row(id)).collect();
    assert_eq!(
        story.follower.answer(story.now, rows).unwrap_err(),
        Disorder { least: EventId(30) }
    );
    assert_eq!((story.follower.high(), story.log.len()), (EventId(30), 0));
    story.site.extend(31..=33);
    story.poll();
    assert_eq!(story.log.len(), 3);
}

#[test]
fn an_answer_that_nobody_asked_for_is_nothing() {
    let mut story = Story::new(1..=30, Start::Latest);
    story.poll();
    let row = story.row(31);
    assert!(
        story
            .follower
            .answer(story.now, vec![row])
            .unwrap()
            .is_none()
    );
    assert_eq!(story.follower.high(), EventId(30));
}

#[test]
fn ids_at_the_end_of_all_numbers_do_no_harm() {
    let mut story = Story::new([1, u64::MAX - 1], Start::Latest);
    story.poll();
    story.site.insert(u64::MAX);
    story.tick();
    assert_eq!(story.follower.high(), EventId(u64::MAX));
    story.tick();
    assert_eq!(story.follower.status().open.ranges, 1);
}

#[test]
fn twenty_thousand_holes_are_carried_with_ease() {
    let holes: Vec<_> = (0..20_000).map(|i| (10 + 2 * i, 10 + 2 * i)).collect();
    let mut state = state([50_000], &holes);
    state.holes.iter_mut().for_each(|h| h.age_ms = 90_000_000);
    let mut story = Story::resume([50_000], state);
    story.poll();
    // 20,000 ranges at 4 a request: all are asked for in turn, and none is written but
    // once a minute.
    for _ in 0..60 {
        assert_eq!(story.tick().len(), 1);
    }
    let asked = story.follower.holes().filter(|(h, _)| h.looks > 0).count();
    assert_eq!(asked, 61 * 4);
    assert_eq!(story.commits, 2);
}

#[test]
fn a_ledger_on_record_shows_as_it_will_when_it_is_followed() {
    let hole = |lo, hi, hours: u64, looks| Hole {
        lo: EventId(lo),
        hi: EventId(hi),
        age_ms: hours * 3_600_000,
        looks,
    };
    let state = LedgerState {
        high: EventId(900),
        holes: vec![
            hole(10, 19, 80, 500),
            // Old, but rarely asked for: not closed.
            hole(30, 30, 80, 100),
            hole(40, 44, 1, 500),
        ],
        ..LedgerState::default()
    };
    let shown = Status::recorded(&state);
    assert_eq!((shown.closed.ranges, shown.closed.ids), (1, 10));
    assert_eq!((shown.open.ranges, shown.open.ids), (2, 6));
    let resumed = Story::resume([], state).follower.status();
    assert_eq!(
        (shown.high, shown.open, shown.closed),
        (resumed.high, resumed.open, resumed.closed)
    );
}

/// The highest row comes first on every page: with room for nothing else the head stands still.
#[test]
fn a_page_has_room_for_a_row_behind_the_highest() {
    let pace = Pace { page: 1, ..PACE };
    let mut story = Story::resume(1..=5, state(1..=3, &[]));
    let state = Some(state(1..=3, &[]));
    story.follower = Follower::start(state, Start::Latest, pace, Mono::ZERO);
    story.poll();
    assert_eq!(story.log, [(4, false), (5, false)]);
}

#[test]
fn a_full_page_is_not_the_end_of_the_log() {
    let mut story = Story::resume(1..=25, state(1..=3, &[]));
    let mut seen = Vec::new();
    while story.log.len() < 22 {
        let request = story.ask();
        story.answer(story.rows(&request));
        seen.push((story.follower.high().0, story.follower.caught_up()));
    }
    // The anchors are asked first.
    assert_eq!(seen, [(3, false), (12, false), (21, false), (25, true)]);
}

#[test]
fn late_events_are_counted_and_those_that_the_audit_found() {
    let mut known = state([1, 2, 3, 10], &[(4, 6), (8, 9)]);
    known.holes[0].age_ms = 100 * 3_600_000;
    known.holes[0].looks = 300;
    let mut story = Story::resume([1, 2, 3, 10], known);
    for (site, late, hits) in [
        (None, 0, 0),
        (Some(8), 1, 0),
        (Some(5), 2, 1),
        (Some(9), 3, 1),
    ] {
        story.site.extend(site);
        story.after(Duration::from_hours(25));
        let status = story.follower.status();
        assert_eq!((status.late, status.audit_hits), (late, hits), "{site:?}");
        assert!(status.caught_up);
    }
}

#[test]
fn an_import_may_stand_at_the_end_of_the_site_and_not_behind_it() {
    for (cursor, lost) in [(30, false), (31, true)] {
        let start = Start::Imported {
            cursors: vec![EventId(cursor)],
            owed: Vec::new(),
        };
        let mut story = Story::new(1..=30, start);
        story.poll();
        let next = story.follower.next(story.now);
        assert_eq!(matches!(next, Next::Stopped(_)), lost, "{cursor}: {next:?}");
    }
}

#[test]
fn a_first_read_ends_with_a_page_that_is_not_full_and_keeps_few_rows_in_mind() {
    let mut story = Story::new(1..=9, Start::Latest);
    assert_eq!(story.poll().len(), 3, "the newest, one page, and a look");
    let mut story = Story::new((1..=30).filter(|id| *id != 15), Start::Latest);
    story.poll();
    let anchors: Vec<_> = story.follower.anchors.iter().map(|a| a.id.0).collect();
    assert!((4..10).contains(&anchors.len()), "{anchors:?}");
    assert_eq!(anchors.last(), Some(&30));
}

/// Late rows alone fill the page: it does not reach the highest row, which would tell.
#[test]
fn late_rows_of_another_history_are_not_appended() {
    for other in [false, true] {
        let known = state(21..=30, &[(1, 20)]);
        let mut story = Story::resume(21..=30, known);
        story.poll();
        story.site.extend(1..=20);
        if other {
            story.other.extend(1..=30);
        }
        story.tick();
        let stopped = matches!(story.follower.next(story.now), Next::Stopped(_));
        let late = if other { 0 } else { 20 };
        assert_eq!((stopped, story.log.len()), (other, late));
    }
}
