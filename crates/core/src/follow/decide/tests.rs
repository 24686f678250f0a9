//! Decisions against a table of visible rows, two histories of one site.

use std::collections::BTreeMap;

use slated_model::Offset;

use super::*;

const PACE: Pace = Pace {
    page: 4,
    lookback: 20,
    ..Pace::usual()
};

/// Rows by id, each with the history it is of; 0 cannot be read.
type Rows = BTreeMap<u64, u8>;

fn rows(ids: impl IntoIterator<Item = u64>, history: u8) -> Rows {
    ids.into_iter().map(|id| (id, history)).collect()
}

fn event(id: u64, history: u8) -> Event {
    if history == 0 {
        return Event::unreadable(EventId(id), "{");
    }
    Event::parse(&format!(r#"{{"id":{id},"event_type":"{history}"}}"#)).unwrap()
}

fn ledger(log: &Rows, high: u64, holes: &[(u64, u64)]) -> LedgerState {
    let anchors = log
        .iter()
        .filter_map(|(id, h)| anchors::of(&event(*id, *h)));
    let hole = |&(lo, hi)| Hole {
        lo: EventId(lo),
        hi: EventId(hi),
        age_ms: 7000,
        looks: 3,
    };
    LedgerState {
        high: EventId(high),
        anchors: anchors::thin(anchors.collect()),
        holes: holes.iter().map(hole).collect(),
        audited: EventId(high),
    }
}

fn answer(site: &Rows, request: &Request) -> Vec<Event> {
    let ids: Vec<u64> = match request {
        Request::Newest => site.keys().next_back().copied().into_iter().collect(),
        Request::Ids(ids) => ids.iter().map(|id| id.0).collect(),
        Request::Ranges {
            least,
            ranges,
            ids,
            limit,
        } => {
            let within = |id: &&u64| {
                let id = EventId(**id);
                let inside = |(lo, hi): &(EventId, Option<EventId>)| {
                    id >= *lo && hi.is_none_or(|hi| id <= hi)
                };
                id >= *least && (ids.contains(&id) || ranges.iter().any(inside))
            };
            site.keys().filter(within).take(*limit).copied().collect()
        }
    };
    let found = ids.into_iter().filter_map(|id| Some((id, *site.get(&id)?)));
    found.map(|(id, history)| event(id, history)).collect()
}

/// Makes a decision; returns how the sides compare, what changes, and how often the site was asked.
fn decide(
    site: &Rows,
    log: &Rows,
    ledger: &LedgerState,
    choice: Choice,
    for_good: bool,
) -> (Finding, Option<Change>, usize) {
    let mut decide = Decide::new(ledger.clone(), choice, for_good, PACE);
    let mut asked = 0;
    loop {
        match decide.step() {
            Step::Done => {
                let finding = decide.finding().clone();
                return (finding, decide.change(), asked);
            }
            Step::Log { from, limit } => {
                // Rows of the log came in order of ids, those of a later history last.
                let mut order: Vec<_> = log.iter().map(|(id, h)| (*h, *id)).collect();
                order.sort_unstable();
                let row = |(id, h): (&u64, &u8)| Row {
                    offset: Offset(1 + order.binary_search(&(*h, *id)).unwrap() as u64),
                    late: false,
                    event: event(*id, *h),
                };
                let rows: Vec<_> = log.range(from.0..).take(limit).map(row).collect();
                decide.log(&rows);
            }
            Step::Ask(request) => {
                asked += 1;
                assert!(asked < 200, "{request:?}");
                // A failure in between changes nothing.
                assert_eq!(decide.step(), Step::Ask(request.clone()));
                decide.site(answer(site, &request)).unwrap();
            }
        }
    }
}

fn spans(ledger: &LedgerState) -> Vec<(u64, u64)> {
    ledger.holes.iter().map(|h| (h.lo.0, h.hi.0)).collect()
}

#[test]
fn the_newest_agreement_is_found_wherever_it_is() {
    for lost in [1, 2, 3, 9, 40, 111, 500, 900, 999] {
        for grown in [0, 1, 5, 600, 2000] {
            let log = rows(1..=1000, 1);
            let kept = 1000 - lost;
            let mut site = rows(1..=kept, 1);
            // The new history has its own dead ids, and so no row where some old one stood.
            let new = (kept + 1..=kept + grown).filter(|id| id % 5 != 2);
            site.extend(rows(new, 2));
            let state = ledger(&log, 1000, &[]);
            let (finding, _, asked) = decide(&site, &log, &state, Choice::Rewind, false);
            let about = format!("lost {lost}, grown {grown}");
            assert_eq!(finding.agree, Some(EventId(kept)), "{about}");
            assert_eq!(finding.newest.0, *site.keys().next_back().unwrap());
            assert!(!finding.only_hides(), "{about}");
            assert!(asked < 20, "{about}: {asked} requests");
        }
    }
}

#[test]
fn rows_that_tell_nothing_are_passed() {
    // Of the log's first 600 rows retention has left none; every third cannot be read; some that were
    // seen are hidden.
    let mut log = rows(601..=1000, 1);
    log.extend(rows((601..=1000).filter(|id| id % 3 == 0), 0));
    let mut site = log.clone();
    site.extend(rows(1..=600, 1));
    site.retain(|id, _| *id <= 902 && id % 7 != 1);
    let state = ledger(&rows(1..=1000, 1), 1000, &[]);
    let (finding, ..) = decide(&site, &log, &state, Choice::Rewind, false);
    assert_eq!(finding.agree, Some(EventId(902)));
    assert_eq!(finding.differs, None);
}

#[test]
fn a_rewind_goes_back_to_the_agreement() {
    let log = rows((1..=100).filter(|id| id % 10 != 0), 1);
    let mut site = rows((1..=84).filter(|id| id % 10 != 0), 1);
    site.extend(rows(85..=90, 2));
    let holes: Vec<_> = (1..=10).map(|n| (10 * n, 10 * n)).collect();
    let mut state = ledger(&log, 100, &holes);
    state.holes[8] = Hole {
        lo: EventId(83),
        hi: EventId(90),
        ..state.holes[8]
    };
    let (_, change, _) = decide(&site, &log, &state, Choice::Rewind, true);
    let change = change.unwrap();
    assert_eq!(
        (change.above, change.ledger.high),
        (EventId(84), EventId(84))
    );
    assert_eq!(change.ledger.audited, EventId(84));
    let left = [10, 20, 30, 40, 50, 60, 70, 80].map(|id| (id, id));
    let left: Vec<_> = left.into_iter().chain([(83, 84)]).collect();
    assert_eq!(spans(&change.ledger), left);
    assert_eq!(
        change.ledger.holes[0].age_ms, 7000,
        "what was learned stays"
    );
    let newest = change.ledger.anchors.last().unwrap();
    assert_eq!(newest.id, EventId(84));
    let known = anchors::judge(
        &change.ledger.anchors,
        &answer(
            &site,
            &Request::Ids(change.ledger.anchors.iter().map(|a| a.id).collect()),
        ),
    );
    assert_eq!(known, Ok(()));
}

#[test]
fn where_nothing_agrees_there_is_no_way_back() {
    let log = rows(1..=100, 1);
    let state = ledger(&log, 100, &[]);
    for site in [rows(1..=120, 2), Rows::new()] {
        let (finding, change, _) = decide(&site, &log, &state, Choice::Rewind, true);
        assert_eq!((finding.agree, change), (None, None));
        // It can be taken as it is, though, and then all that was seen is void.
        let (_, change, _) = decide(&site, &log, &state, Choice::Accept, true);
        let change = change.unwrap();
        let newest = site.keys().next_back().copied().unwrap_or_default();
        assert_eq!((change.above.0, change.ledger.high.0), (0, newest));
        assert_eq!(spans(&change.ledger), []);
    }
}

#[test]
fn an_acceptance_takes_the_site_as_it_is() {
    // (rows kept, the new history up to, holes then)
    for (kept, grown, holes) in [
        // Two old holes stay; 86 is absent, and above the agreement.
        (84, 90, vec![(50, 50), (60, 60), (86, 86)]),
        // No further than the look-back.
        (84, 150, vec![(50, 50), (60, 60), (136, 136), (146, 146)]),
        (84, 84, vec![(50, 50), (60, 60)]),
        // Restored to before an old hole.
        (55, 57, vec![(50, 50), (56, 56)]),
    ] {
        let log = rows((1..=100).filter(|id| ![50, 60].contains(id)), 1);
        let mut site = log.clone();
        site.retain(|id, _| *id <= kept);
        site.extend(rows((kept + 1..=grown).filter(|id| id % 10 != 6), 2));
        let state = ledger(&log, 100, &[(50, 50), (60, 60)]);
        let (finding, change, _) = decide(&site, &log, &state, Choice::Accept, true);
        let change = change.unwrap();
        assert_eq!(finding.agree, Some(EventId(kept)));
        assert_eq!(change.above, EventId(kept));
        assert_eq!(change.ledger.high, EventId(grown));
        assert_eq!(spans(&change.ledger), holes, "kept {kept}, grown {grown}");
        assert_eq!(change.ledger.anchors.last().unwrap().id, EventId(grown));
    }
}

#[test]
fn what_is_only_hidden_is_neither_void_nor_skipped() {
    let log = rows(1..=100, 1);
    // Most rows are hidden, the site goes on, and 30 new rows wait to be read.
    let mut site = rows((1..=100).filter(|id| id % 9 == 4), 1);
    site.extend(rows(101..=130, 1));
    let state = ledger(&log, 100, &[(40, 40)]);
    let (finding, change, _) = decide(&site, &log, &state, Choice::Accept, true);
    assert!(finding.only_hides(), "{finding:?}");
    let change = change.unwrap();
    assert_eq!(
        (change.above, change.ledger.high),
        (EventId(100), EventId(100))
    );
    assert_eq!(spans(&change.ledger), [(40, 40)]);
    // Anchors are what the site shows, up to what was seen.
    let shown = |a: &Anchor| site.get(&a.id.0).is_some_and(|_| a.id.0 <= 100);
    assert!(change.ledger.anchors.iter().all(shown));
    assert!(change.ledger.anchors.len() > 2);
}

#[test]
fn a_look_alone_changes_nothing() {
    let log = rows(1..=100, 1);
    let state = ledger(&log, 100, &[]);
    for choice in [Choice::Accept, Choice::Rewind] {
        let (finding, change, _) = decide(&rows(1..=50, 1), &log, &state, choice, false);
        assert_eq!((finding.agree, change), (Some(EventId(50)), None));
    }
}

#[test]
fn a_row_of_the_new_history_in_an_old_hole_is_no_agreement() {
    // 90 was a hole. The site was restored to 84, and wrote 90 before anybody noticed; 85 to 89 are late.
    let mut log = rows((1..=100).filter(|id| *id != 90), 1);
    log.insert(90, 2);
    let state = ledger(&log, 100, &[]);
    for others in [vec![], vec![95], vec![85], vec![99, 100]] {
        let mut site = rows(1..=84, 1);
        site.insert(90, 2);
        site.extend(rows(others.iter().copied(), 2));
        for choice in [Choice::Rewind, Choice::Accept] {
            let (finding, change, _) = decide(&site, &log, &state, choice, true);
            assert_eq!(finding.agree, Some(EventId(84)), "{others:?}");
            assert_eq!(change.unwrap().above, EventId(84), "{others:?}");
        }
    }
}

#[test]
fn a_site_that_shows_again_what_it_hid_has_nothing_to_go_back_to() {
    let log = rows(1..=100, 1);
    // An old anchor stays hidden, as some rows do.
    let mut site = log.clone();
    let state = ledger(&log, 100, &[]);
    site.remove(&state.anchors[1].id.0);
    let (finding, change, _) = decide(&site, &log, &state, Choice::Rewind, true);
    assert_eq!(finding.agree, Some(EventId(100)));
    assert_eq!(change.unwrap().above, EventId(100), "nothing is void");
}
