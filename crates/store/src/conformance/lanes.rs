//! Checks of lanes, cursors, outcomes, attempts and workers.

use slated_model::{
    CallbackId, Change, Discard, EventId, HoldRow, LaneRow, Offset, Outcome, OutcomeRow,
};

use super::sample::{attempt, callback, cursor as move_to, fill, lane, outcome, plugin, worker};
use super::{Fine, Place, Verdict, holds, same};
use crate::{Error, Recorded, Store};

async fn record(store: &dyn Store, changes: Vec<Change>) -> Result<Recorded, String> {
    store.record(changes).await.fine("record")
}

pub(super) async fn first_stands(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, [1, 2, 3]).await?;
    let unit = callback("f");
    let first = outcome("a", &unit, 3);
    let mut second = first.clone();
    second.outcome = Outcome::Done { us: 99 };
    second.at_ms = 7;
    let told = |row: &OutcomeRow| Recorded {
        already: vec![(row.plugin.clone(), row.callback.clone(), row.event)],
    };
    let end = record(&*store, vec![Change::Outcome(first.clone())]).await?;
    same("the first", &end, &Recorded::default())?;
    let end = record(&*store, vec![Change::Outcome(second.clone())]).await?;
    same("the second", &end, &told(&second))?;
    // Others beside it are written.
    let other = outcome("a", &callback("g"), 3);
    let changes = vec![
        Change::Outcome(second.clone()),
        Change::Outcome(other.clone()),
    ];
    same(
        "a mixed batch",
        &record(&*store, changes).await?,
        &told(&second),
    )?;
    let (outcomes, attempts) = store.fate(EventId(3)).await.fine("fate")?;
    same("outcomes", &outcomes, &vec![first.clone(), other])?;
    same("attempts", &attempts, &Vec::new())?;
    // Within one batch the first stands, too.
    let (x, mut y) = (outcome("b", &unit, 1), outcome("b", &unit, 1));
    y.attempt = 9;
    let changes = vec![Change::Outcome(x.clone()), Change::Outcome(y.clone())];
    same(
        "twice in a batch",
        &record(&*store, changes).await?,
        &told(&y),
    )?;
    let (outcomes, _) = store.fate(EventId(1)).await.fine("fate")?;
    same("outcomes of a batch", &outcomes, &vec![x])?;
    // Each part of the key counts.
    let keys = [
        ("a", CallbackId::new("f", 2), 3),
        ("b", unit.clone(), 3),
        ("a", unit, 2),
    ];
    for (stem, callback, event) in keys {
        let row = outcome(stem, &callback, event);
        let end = record(&*store, vec![Change::Outcome(row)]).await?;
        same("another unit", &end, &Recorded::default())?;
    }
    // And the first stands after the end, too.
    drop(store);
    let store = place.open().await.fine("open again")?;
    let end = record(&*store, vec![Change::Outcome(second.clone())]).await?;
    same("after reopening", &end, &told(&second))?;
    let (outcomes, _) = store.fate(EventId(3)).await.fine("fate")?;
    same("after reopening", &outcomes.first(), &Some(&first))
}

pub(super) async fn attempts(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, [1, 2]).await?;
    let (f, g) = (callback("f"), callback("g"));
    let (first, other) = (attempt("a", &f, 1, 1), attempt("a", &g, 1, 1));
    let mut next = first.clone();
    next.failed += 1;
    next.aside = false;
    next.left_ms = 1;
    record(
        &*store,
        vec![Change::Attempt(first), Change::Attempt(other.clone())],
    )
    .await?;
    record(&*store, vec![Change::Attempt(next.clone())]).await?;
    let (_, seen) = store.fate(EventId(1)).await.fine("fate")?;
    same("attempts", &seen, &vec![next.clone(), other.clone()])?;
    record(&*store, vec![Change::Outcome(outcome("a", &f, 1))]).await?;
    let open = store.snapshot().await.fine("snapshot")?.attempts;
    same("open attempts", &open, &vec![other.clone()])?;
    // Work that is finished is not begun again.
    let end = record(&*store, vec![Change::Attempt(next.clone())]).await?;
    same(
        "an attempt after the outcome",
        &end.already,
        &vec![(plugin("a"), f, EventId(1))],
    )?;
    let open = store.snapshot().await.fine("snapshot")?.attempts;
    same("open attempts after that", &open, &vec![other])?;
    // Both in one batch: the outcome ends it.
    let changes = vec![
        Change::Attempt(attempt("a", &g, 2, 2)),
        Change::Outcome(outcome("a", &g, 2)),
    ];
    record(&*store, changes).await?;
    let (outcomes, open) = store.fate(EventId(2)).await.fine("fate")?;
    same("one batch", &(outcomes.len(), open.len()), &(1, 0))
}

pub(super) async fn cursor(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, 1..=9).await?;
    record(
        &*store,
        vec![Change::Lane(lane("a", 3)), Change::Lane(lane("b", 0))],
    )
    .await?;
    let seen = async || {
        let snapshot = store.snapshot().await.fine("snapshot")?;
        let mut lanes = snapshot.lanes;
        lanes.sort_by(|a, b| a.plugin.cmp(&b.plugin));
        Ok::<_, String>(lanes.iter().map(|lane| lane.cursor.0).collect::<Vec<_>>())
    };
    for (changes, wanted) in [
        (vec![move_to("a", 5)], [5, 0]),
        (vec![move_to("a", 4)], [5, 0]),
        (vec![move_to("a", 5)], [5, 0]),
        (vec![move_to("a", 7), move_to("a", 6)], [7, 0]),
        // A lane that stands keeps its cursor, whatever its row says.
        (vec![Change::Lane(lane("a", 2))], [7, 0]),
        (vec![Change::Lane(lane("a", 9))], [7, 0]),
        (vec![move_to("b", 1), move_to("a", 8)], [8, 1]),
    ] {
        let end = record(&*store, changes).await?;
        same("recorded", &end, &Recorded::default())?;
        same("cursors", &seen().await?, &wanted.to_vec())?;
    }
    match store.record(vec![move_to("nobody", 1)]).await {
        Err(Error::Unfit { .. }) => Ok(()),
        other => Err(format!("a cursor without a lane: {other:?}")),
    }
}

pub(super) async fn lanes(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    let mut row = lane("a", 3);
    let changes: [fn(&mut LaneRow); 13] = [
        |_| {},
        |row| row.skips = Vec::new(),
        |row| row.suspect = None,
        |row| row.quarantine = None,
        |row| row.rewound = None,
        |row| row.floor = None,
        |row| row.owed = Vec::new(),
        |row| row.in_line_from = Offset(77),
        |row| {
            row.hold = Some(HoldRow {
                event: Some(EventId(4)),
                callback: Some(CallbackId::new("f", 2)),
                reason: "it's \"held\"".into(),
            });
        },
        |row| row.stopped = true,
        |row| row.gone = true,
        |row| row.content = String::new(),
        |row| row.hold = None,
    ];
    for change in changes {
        change(&mut row);
        record(&*store, vec![Change::Lane(row.clone())]).await?;
        let lanes = store.snapshot().await.fine("snapshot")?.lanes;
        same("lanes", &lanes, &vec![row.clone()])?;
    }
    Ok(())
}

pub(super) async fn ahead(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    // Arrival order is not the order of ids: what counts is the offset.
    fill(&*store, [10, 12, 11, 13]).await?;
    let f = callback("f");
    let done = |stem: &str, event| Change::Outcome(outcome(stem, &f, event));
    let seen = async || {
        let snapshot = store.snapshot().await.fine("snapshot")?;
        let mut units: Vec<_> = snapshot
            .ahead
            .iter()
            .map(|row| (row.plugin.stem().to_owned(), row.event.0))
            .collect();
        units.sort();
        Ok::<_, String>(units)
    };
    let units = |list: &[(&str, u64)]| -> Vec<_> {
        list.iter()
            .map(|(stem, id)| ((*stem).to_owned(), *id))
            .collect()
    };
    let lanes = vec![Change::Lane(lane("a", 1)), Change::Lane(lane("b", 4))];
    record(&*store, lanes).await?;
    for (changes, wanted) in [
        (vec![done("a", 11)], units(&[("a", 11)])),
        // At or before the cursor.
        (vec![done("a", 10), done("b", 13)], units(&[("a", 11)])),
        (vec![done("a", 13)], units(&[("a", 11), ("a", 13)])),
        // Only what is behind the cursor now goes.
        (vec![move_to("a", 3)], units(&[("a", 13)])),
        // Outcome and cursor together, in either order.
        (vec![done("a", 12), move_to("a", 3)], units(&[("a", 13)])),
        (vec![move_to("a", 4)], units(&[])),
        // Before there is a lane, and then with one.
        (vec![done("c", 12), done("c", 11)], units(&[])),
        (vec![Change::Lane(lane("c", 2))], units(&[("c", 11)])),
        // Before the event itself has arrived.
        (vec![done("b", 77)], units(&[("c", 11)])),
    ] {
        record(&*store, changes).await?;
        same("ahead", &seen().await?, &wanted)?;
    }
    let rows = store.snapshot().await.fine("snapshot")?.ahead;
    same("whole", &rows, &vec![outcome("c", &f, 11)])?;
    fill(&*store, [77]).await?;
    same("arrived", &seen().await?, &units(&[("b", 77), ("c", 11)]))
}

pub(super) async fn latest(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, 1..=6).await?;
    let f = callback("f");
    let mut rows = Vec::new();
    // Recorded in another order than they arrived.
    for (stem, event) in [("a", 5), ("b", 1), ("a", 2), ("b", 6), ("a", 3)] {
        let row = outcome(stem, &f, event);
        record(&*store, vec![Change::Outcome(row.clone())]).await?;
        rows.push(row);
    }
    rows.reverse();
    same("all", &store.latest(None, 10).await.fine("latest")?, &rows)?;
    same(
        "two",
        &store.latest(None, 2).await.fine("latest")?,
        &rows[..2].to_vec(),
    )?;
    for stem in ["a", "b", "c"] {
        let wanted: Vec<_> = rows
            .iter()
            .filter(|row| row.plugin == plugin(stem))
            .take(2)
            .cloned()
            .collect();
        let seen = store.latest(Some(plugin(stem)), 2).await.fine("latest")?;
        same("of a plugin", &seen, &wanted)?;
    }
    Ok(())
}

pub(super) async fn dead_letters(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, 1..=12).await?;
    let f = callback("f");
    let mut rows = Vec::new();
    // Of each kind, and recorded in another order than they arrived.
    for (stem, event) in [("a", 8), ("b", 1), ("a", 4), ("b", 2), ("c", 12), ("a", 3)] {
        let row = outcome(stem, &f, event);
        record(&*store, vec![Change::Outcome(row.clone())]).await?;
        rows.extend((event % 4 == 0).then_some(row));
    }
    rows.reverse();
    let page = |of: Option<&str>, behind, limit| store.dead_letters(of.map(plugin), behind, limit);
    let all = page(None, None, 4).await.fine("dead letters")?;
    same("all", &all.rows, &rows)?;
    same("no more", &all.next, &None)?;
    // By pages, whatever comes and goes meanwhile.
    let two = page(None, None, 2).await.fine("dead letters")?;
    same("two", &two.rows, &rows[..2].to_vec())?;
    holds("more", two.next.is_some())?;
    let newer = Change::Outcome(outcome("a", &callback("g"), 4));
    let gone = Change::Retried(attempt("c", &f, 12, 12));
    record(&*store, vec![newer, gone]).await?;
    let rest = page(None, two.next, 2).await.fine("dead letters")?;
    same("behind", &rest.rows, &rows[2..].to_vec())?;
    same("no more behind", &rest.next, &None)?;
    let of_a = page(Some("a"), None, 9).await.fine("dead letters")?;
    let events: Vec<_> = of_a.rows.iter().map(|row| row.event.0).collect();
    same("of a plugin", &events, &vec![4, 4, 8])?;
    let of_d = page(Some("d"), None, 9).await.fine("dead letters")?;
    same("of nobody", &of_d.rows, &vec![])?;
    let counts = store.count_letters().await.fine("counts")?;
    same("counts", &counts, &[(plugin("a"), 3)].into())
}

/// The dead letters of a plugin that was moved are those of the one in its place.
pub(super) async fn letters_moved(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, 1..=16).await?;
    let f = callback("f");
    let rows = [
        ("a", 4),
        ("a", 8),
        ("a", 9),
        ("a", 12),
        ("a", 16),
        ("b", 8),
        ("c", 4),
    ];
    let rows = rows.map(|(stem, event)| Change::Outcome(outcome(stem, &f, event)));
    let lanes = [lane("a", 8), lane("b", 5)].map(Change::Lane);
    let tried = Change::Attempt(attempt("b", &f, 12, 12));
    let changes = lanes.into_iter().chain(rows).chain([tried]);
    record(&*store, changes.collect()).await?;
    let (from, to) = (plugin("a"), plugin("b"));
    record(&*store, vec![Change::LettersMoved { from, to }]).await?;
    let left = store.dead_letters(None, None, 99).await.fine("letters")?;
    let left: Vec<_> = left
        .rows
        .iter()
        .map(|row| (row.plugin.stem(), row.event.0))
        .collect();
    // What the other has on record stands, and so does what is no dead letter.
    let wanted = vec![("c", 4), ("b", 8), ("b", 16), ("a", 12), ("a", 8), ("b", 4)];
    same("letters", &left, &wanted)?;
    let (outcomes, _) = store.fate(EventId(9)).await.fine("fate")?;
    same("others", &outcomes, &vec![outcome("a", &f, 9)])?;
    let ahead = store.snapshot().await.fine("snapshot")?.ahead;
    let mut ahead: Vec<_> = ahead
        .iter()
        .map(|row| (row.plugin.stem(), row.event.0))
        .collect();
    ahead.sort_unstable();
    same(
        "ahead",
        &ahead,
        &vec![("a", 9), ("a", 12), ("b", 8), ("b", 16)],
    )
}

/// A lane that a person lets go back finds what is done, and nothing else, unless that is wished.
pub(super) async fn rewound(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    // Arrival order is not the order of ids.
    fill(&*store, [10, 12, 11, 13, 14, 15, 16]).await?;
    let f = callback("f");
    let outcomes = [
        ("a", 10),
        ("a", 11),
        ("a", 12),
        ("a", 13),
        ("a", 14),
        ("b", 13),
    ];
    let outcomes = outcomes.map(|(stem, event)| Change::Outcome(outcome(stem, &f, event)));
    let mut in_place = attempt("a", &f, 16, 7);
    in_place.aside = false;
    let aside = attempt("a", &f, 15, 6);
    let open = [in_place, aside.clone()].map(Change::Attempt);
    let lanes = [lane("a", 6), lane("b", 6)].map(Change::Lane);
    let changes = lanes.into_iter().chain(outcomes).chain(open);
    record(&*store, changes.collect()).await?;
    let rewound = |stem: &str, to, again| Change::Rewound {
        plugin: plugin(stem),
        to: Offset(to),
        again,
    };
    for (change, cursor, left, ahead) in [
        // It stands there, or before.
        (rewound("a", 6, true), 6, vec![10, 12, 11, 13, 14], vec![]),
        // Event 11 alone is done; 10 stands before.
        (rewound("a", 1, false), 1, vec![10, 11], vec![11]),
        (move_to("a", 4), 4, vec![10, 11], vec![]),
        (rewound("a", 2, false), 2, vec![10, 11], vec![11]),
        (rewound("a", 1, true), 1, vec![10], vec![]),
    ] {
        record(&*store, vec![change]).await?;
        let snapshot = store.snapshot().await.fine("snapshot")?;
        let of_a = snapshot.lanes.iter().find(|l| l.plugin == plugin("a"));
        same("cursor", &of_a.map(|l| l.cursor.0), &Some(cursor))?;
        let (after, through) = (Offset(0), Offset(99));
        let seen = store.outcomes(plugin("a"), after, through).await;
        let mut seen: Vec<_> = seen.fine("outcomes")?.iter().map(|o| o.event.0).collect();
        seen.sort_unstable();
        let mut left = left;
        left.sort_unstable();
        same("left", &seen, &left)?;
        let seen: Vec<_> = snapshot.ahead.iter().map(|o| o.event.0).collect();
        same("ahead", &seen, &ahead)?;
    }
    let snapshot = store.snapshot().await.fine("snapshot")?;
    same("attempts", &snapshot.attempts, &vec![aside])?;
    let others = store.outcomes(plugin("b"), Offset(3), Offset(4)).await;
    same(
        "another's",
        &others.fine("outcomes")?,
        &vec![outcome("b", &f, 13)],
    )?;
    let none = store.outcomes(plugin("b"), Offset(4), Offset(9)).await;
    same("between", &none.fine("outcomes")?, &vec![])?;
    match store.record(vec![rewound("nobody", 0, false)]).await {
        Err(Error::Unfit { .. }) => Ok(()),
        other => Err(format!("the way back of no lane: {other:?}")),
    }
}

pub(super) async fn wishes(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, 1..=8).await?;
    record(&*store, vec![Change::Lane(lane("a", 0))]).await?;
    let f = callback("f");
    // Of each kind; events 4 and 8 are dead letters.
    let rows: Vec<_> = (1..=8).map(|event| outcome("a", &f, event)).collect();
    record(&*store, rows.iter().cloned().map(Change::Outcome).collect()).await?;
    let discarded = |event| {
        let mut row = outcome("a", &f, event);
        row.outcome = Outcome::Discarded {
            reason: Discard::Person {
                reason: "made by hand".into(),
            },
        };
        row
    };
    let retried = |event| attempt("a", &f, event, event);
    let unit = |event| (plugin("a"), f.clone(), EventId(event));
    // Only dead letters: others, and units that have no outcome, stay as they are.
    let changes = [1, 2, 3].into_iter().flat_map(|event| {
        let row = Change::Discarded(discarded(event));
        [Change::Retried(retried(event)), row]
    });
    let changes: Vec<_> = changes.chain([Change::Retried(retried(9))]).collect();
    let end = record(&*store, changes).await?;
    let already: Vec<_> = [1, 1, 2, 2, 3, 3, 9].map(unit).into();
    same("wishes in vain", &end.already, &already)?;
    let end = record(
        &*store,
        vec![Change::Retried(retried(4)), Change::Discarded(discarded(8))],
    )
    .await?;
    same("wishes", &end, &Recorded::default())?;
    let (outcomes, attempts) = store.fate(EventId(4)).await.fine("fate")?;
    same(
        "retried",
        &(outcomes, attempts),
        &(vec![], vec![retried(4)]),
    )?;
    let (outcomes, _) = store.fate(EventId(8)).await.fine("fate")?;
    same("discarded", &outcomes, &vec![discarded(8)])?;
    let dead = store.dead_letters(None, None, 9).await;
    same("dead letters", &dead.fine("dead letters")?.rows, &vec![])?;
    // What is tried again is no finished work after the cursor, and gets a new outcome.
    let ahead = store.snapshot().await.fine("snapshot")?.ahead;
    let ahead: Vec<_> = ahead.iter().map(|row| row.event.0).collect();
    same("ahead", &ahead, &vec![1, 2, 3, 5, 6, 7, 8])?;
    let end = record(&*store, vec![Change::Outcome(outcome("a", &f, 4))]).await?;
    same("its next outcome", &end, &Recorded::default())?;
    let (outcomes, attempts) = store.fate(EventId(4)).await.fine("fate")?;
    same("dead again", &(outcomes.len(), attempts.len()), &(1, 0))
}

pub(super) async fn workers(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    let rows = [worker("a", 10), worker("b", 11), worker("b", 12)];
    let changes = rows.iter().cloned().map(Change::Worker).collect();
    record(&*store, changes).await?;
    // A pid that was used again belongs to the later process.
    let mut again = worker("c", 11);
    again.started = 0;
    let changes = vec![
        Change::WorkerGone { pid: 10 },
        Change::WorkerGone { pid: 77 },
        Change::Worker(again.clone()),
    ];
    record(&*store, changes).await?;
    let mut seen = store.snapshot().await.fine("snapshot")?.workers;
    seen.sort_by_key(|row| row.pid);
    same("workers", &seen, &vec![again, rows[2].clone()])
}

pub(super) async fn refused(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, [1]).await?;
    record(&*store, vec![Change::Lane(lane("a", 0))]).await?;
    let f = callback("f");
    let changes = vec![
        Change::Outcome(outcome("new", &f, 1)),
        Change::Attempt(attempt("a", &f, 1, 1)),
        Change::Worker(worker("a", 1)),
        Change::Lane(lane("new", 0)),
        move_to("a", 1),
        move_to("nobody", 1),
    ];
    match store.record(changes).await {
        Err(Error::Unfit { .. }) => {}
        other => return Err(format!("a batch with a bad change: {other:?}")),
    }
    let snapshot = store.snapshot().await.fine("snapshot")?;
    same("lanes", &snapshot.lanes, &vec![lane("a", 0)])?;
    holds(
        "nothing else",
        snapshot.attempts.is_empty() && snapshot.workers.is_empty(),
    )?;
    let (outcomes, attempts) = store.fate(EventId(1)).await.fine("fate")?;
    same("fate", &(outcomes, attempts), &(Vec::new(), Vec::new()))?;
    // Names met in what was undone are met again.
    let row = outcome("new", &f, 1);
    record(&*store, vec![Change::Outcome(row.clone())]).await?;
    let (outcomes, _) = store.fate(EventId(1)).await.fine("fate")?;
    same("outcomes", &outcomes, &vec![row])
}
