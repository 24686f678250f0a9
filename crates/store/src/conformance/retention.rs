//! Checks of what retention lets go, and what it leaves.

use slated_model::{Change, Discard, Event, EventId, LedgerChange, Offset, Outcome};

use super::sample::{attempt, callback, cursor as move_to, fill, lane, outcome, plugin};
use super::{Fine, Place, Verdict, same};
use crate::{Append, Keep, KeepLetters, Pruned, Store};

/// Keeps nothing on account of its age.
fn nothing() -> Keep {
    Keep {
        since: "2999-01-01T00:00:00Z".into(),
        until: "3000-01-01T00:00:00Z".into(),
        rows: 100,
        needed: None,
    }
}

async fn prune(store: &dyn Store, keep: Keep) -> Result<Pruned, String> {
    let pruned = store.prune(keep).await.fine("prune")?;
    // How large a state is, is its own business.
    Ok(Pruned { bytes: 0, ..pruned })
}

async fn ids(store: &dyn Store) -> Result<Vec<u64>, String> {
    let rows = store.rows(Offset(0), 100).await.fine("rows")?;
    Ok(rows.iter().map(|row| row.event.id.0).collect())
}

/// Old rows go up to the first one that a lane needs.
pub(super) async fn needs(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, 1..=10).await?;
    let f = callback("f");
    let mut gone = lane("gone", 1);
    gone.gone = true;
    let lanes = [lane("a", 7), lane("b", 9), gone].map(Change::Lane);
    store.record(lanes.into()).await.fine("record")?;
    // Event 4 is a dead letter, 3 has an open attempt, 5 and 7 are done with.
    let mut changes: Vec<_> = [4, 5, 7]
        .map(|event| Change::Outcome(outcome("a", &f, event)))
        .into();
    changes.push(Change::Attempt(attempt("b", &f, 3, 3)));
    changes.push(Change::Outcome(outcome("gone", &f, 6)));
    store.record(changes).await.fine("record")?;
    let pruned = prune(&*store, nothing()).await?;
    let wanted = Pruned {
        events: 4,
        swept: 0,
        start: Offset(7),
        held_back_by: Some(plugin("a")),
        more: false,
        bytes: 0,
    };
    same("let go", &pruned, &wanted)?;
    same("rows", &ids(&*store).await?, &vec![3, 4, 7, 8, 9, 10])?;
    let snapshot = store.snapshot().await.fine("snapshot")?;
    same("start", &snapshot.log.start, &Offset(7))?;
    same("ahead", &snapshot.ahead, &Vec::new())?;
    for (id, left) in [(3, (0, 1)), (4, (1, 0)), (5, (0, 0)), (7, (1, 0))] {
        let (outcomes, attempts) = store.fate(EventId(id)).await.fine("fate")?;
        same("fate", &(outcomes.len(), attempts.len()), &left)?;
    }
    // What was needed for an attempt or a dead letter goes when that has come to its end; the newest
    // row stays, whatever its age.
    let changes = vec![
        Change::Outcome(outcome("b", &f, 3)),
        Change::Retried(attempt("a", &f, 4, 4)),
        move_to("a", 10),
        move_to("b", 10),
    ];
    store.record(changes).await.fine("record")?;
    let changes = vec![Change::Outcome(outcome("a", &f, 4))];
    store.record(changes).await.fine("record")?;
    let keep = KeepLetters {
        each: 0,
        for_ms: u64::MAX,
        watched_ms: 0,
    };
    same("letters", &store.expire(keep).await.fine("expire")?, &1)?;
    // What a lane has passed is told by the highest id among what went; that row stays.
    let pruned = prune(&*store, nothing()).await?;
    same("held back", &pruned.held_back_by, &None)?;
    same("the newest", &ids(&*store).await?, &vec![9, 10])?;
    let highest = store.highest(Offset(9)).await.fine("highest")?;
    same("highest", &highest.map(|row| row.event.id.0), &Some(9))?;
    same("its place", &fill(&*store, [11]).await?, &Offset(11))?;
    drop(store);
    let store = place.open().await.fine("open again")?;
    let log = store.snapshot().await.fine("snapshot")?.log;
    same("extent", &(log.start, log.end), &(Offset(9), Offset(11)))
}

/// Rows that are young stay, and those behind them; a look has an end.
pub(super) async fn age(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    let made = |id: u64| {
        let text = format!(r#"{{"id":{id},"created_at":"2026-01-{id:02}T00:00:00Z"}}"#);
        Event::parse(&text).map_err(|err| err.to_string())
    };
    let mut events = Vec::new();
    // A late row is old and stands behind younger ones; event 5 has no date.
    for id in [1, 2, 3, 4, 6, 7, 5, 8, 9] {
        let event = if id == 5 {
            Event::unreadable(EventId(5), "?")
        } else {
            made(id)?
        };
        events.push((event, id == 5));
    }
    let append = Append {
        events,
        ledger: LedgerChange::default(),
    };
    store.append(append).await.fine("append")?;
    let keep = |since: &str, rows| Keep {
        since: since.into(),
        rows,
        ..nothing()
    };
    for (since, rows, events, more) in [
        ("2026-01-01T00:00:00Z", 100, 0, false),
        ("2026-01-03T12:00:00Z", 2, 1, true),
        ("2026-01-03T12:00:00Z", 2, 1, false),
        ("2026-01-08T00:00:00Z", 3, 3, true),
        ("2026-01-08T00:00:00Z", 3, 1, false),
        ("2026-01-08T00:00:00Z", 3, 0, false),
    ] {
        let pruned = prune(&*store, keep(since, rows)).await?;
        same(since, &(pruned.events, pruned.more), &(events, more))?;
    }
    same("rows", &ids(&*store).await?, &vec![7, 8, 9])?;
    // A date that is still to come is none.
    let pruned = prune(
        &*store,
        Keep {
            until: "2026-01-08T00:00:00Z".into(),
            ..keep("2026-01-08T00:00:00Z", 3)
        },
    )
    .await?;
    same("start", &pruned.start, &Offset(8))
}

/// The oldest of too many dead letters are discarded, for each plugin by itself.
pub(super) async fn letters(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, 1..=20).await?;
    store
        .record(vec![Change::Lane(lane("a", 0)), Change::Lane(lane("b", 0))])
        .await
        .fine("record")?;
    let f = callback("f");
    for (stem, event) in [
        ("a", 4),
        ("a", 8),
        ("b", 4),
        ("a", 12),
        ("a", 16),
        ("b", 20),
    ] {
        let row = outcome(stem, &f, event);
        store
            .record(vec![Change::Outcome(row)])
            .await
            .fine("record")?;
    }
    let keep = KeepLetters {
        each: 2,
        for_ms: u64::MAX,
        watched_ms: 0,
    };
    same("discarded", &store.expire(keep).await.fine("expire")?, &2)?;
    let left = store.dead_letters(None, None, 10).await;
    let left = left.fine("dead letters")?.rows;
    let left: Vec<_> = left
        .iter()
        .map(|row| (row.plugin.stem(), row.event.0))
        .collect();
    same(
        "left",
        &left,
        &vec![("b", 20), ("a", 16), ("a", 12), ("b", 4)],
    )?;
    let (outcomes, _) = store.fate(EventId(8)).await.fine("fate")?;
    let reason = outcomes.first().map(|row| &row.outcome);
    let wanted = Outcome::Discarded {
        reason: Discard::Expired,
    };
    same("why", &reason, &Some(&wanted))
}

/// A letter goes when it was watched for long enough, whatever a clock says of it, and never before.
pub(super) async fn old_letters(place: &dyn Place) -> Verdict {
    let mut store = place.open().await.fine("open")?;
    fill(&*store, 1..=40).await?;
    let f = callback("f");
    let letter = |event, at_ms| {
        let mut row = outcome("a", &f, event);
        row.at_ms = at_ms;
        Change::Outcome(row)
    };
    let changes = vec![Change::Lane(lane("a", 40)), letter(4, i64::MAX)];
    store.record(changes).await.fine("record")?;
    for (watched_ms, next, gone) in [
        (0, Some(8), 0),
        (1000, None, 0),
        (1999, Some(12), 0),
        // Event 4 was there for 3000; 8 was first seen at 1000, 12 now.
        (1, None, 1),
        (999, None, 0),
        (1, None, 1),
        (1999, None, 0),
        (1, None, 1),
        (3000, None, 0),
    ] {
        let keep = KeepLetters {
            each: 100,
            for_ms: 3000,
            watched_ms,
        };
        let expired = store.expire(keep).await.fine("expire")?;
        same("expired", &expired, &gone)?;
        if let Some(event) = next {
            let change = letter(event, i64::MIN);
            store.record(vec![change]).await.fine("record")?;
        }
        drop(store);
        store = place.open().await.fine("open again")?;
    }
    // One that was tried again and failed anew is new, whatever number it has.
    let fails = || store.record(vec![letter(16, 0)]);
    fails().await.fine("record")?;
    for (watched_ms, anew, gone) in [
        (200, false, 0),
        (2999, true, 0),
        (1, false, 0),
        (2999, false, 0),
        (1, false, 1),
    ] {
        let keep = KeepLetters {
            each: 100,
            for_ms: 3000,
            watched_ms,
        };
        same("anew", &store.expire(keep).await.fine("expire")?, &gone)?;
        if anew {
            let again = Change::Retried(attempt("a", &f, 16, 16));
            store.record(vec![again]).await.fine("record")?;
            fails().await.fine("record")?;
        }
    }
    Ok(())
}

/// What was recorded after its row had gone goes, too, but for dead letters.
pub(super) async fn sweeps(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, 1..=20).await?;
    let f = callback("f");
    let lanes = vec![Change::Lane(lane("a", 12)), Change::Lane(lane("b", 12))];
    store.record(lanes).await.fine("record")?;
    let pruned = prune(&*store, nothing()).await?;
    same("rows", &(pruned.events, pruned.swept), &(11, 0))?;
    // Rows 1 to 11 are gone; 12 told how far the lanes were.
    let late = [2, 3, 4, 5, 7, 12, 13].map(|id| Change::Outcome(outcome("a", &f, id)));
    let tried = [6, 14].map(|id| Change::Attempt(attempt("b", &f, id, id)));
    // Above what has gone an event may be to come.
    let to_come = Change::Outcome(outcome("b", &f, 77));
    let changes = late.into_iter().chain(tried).chain([to_come]).collect();
    store.record(changes).await.fine("record")?;
    for swept in [3, 1, 1, 0] {
        let keep = Keep {
            rows: 2,
            ..nothing()
        };
        same("swept", &prune(&*store, keep).await?.swept, &swept)?;
    }
    for (id, left) in [
        (2, (0, 0)),
        (3, (0, 0)),
        (4, (1, 0)),
        (5, (0, 0)),
        (6, (0, 0)),
        (7, (0, 0)),
        (12, (1, 0)),
        (13, (1, 0)),
        (14, (0, 1)),
        (77, (1, 0)),
    ] {
        let (outcomes, attempts) = store.fate(EventId(id)).await.fine("fate")?;
        same(
            "left",
            &(id, outcomes.len(), attempts.len()),
            &(id, left.0, left.1),
        )?;
    }
    Ok(())
}
