//! Checks of what becomes of rows when the site became another one.

use slated_model::{Change, Discard, EventId, LedgerState, Offset, Outcome, Void};

use super::sample::{
    anchor, attempt, callback, cursor as move_to, event, fill, hole, lane, outcome,
};
use super::{Fine, Place, Verdict, same};
use crate::{Append, Beyond, Store};

async fn ids(store: &dyn Store) -> Result<Vec<(u64, u64)>, String> {
    let rows = store.rows(Offset(0), 100).await.fine("rows")?;
    Ok(rows
        .iter()
        .map(|row| (row.offset.0, row.event.id.0))
        .collect())
}

fn void_above(id: u64) -> Change {
    Change::Void(Void {
        above: EventId(id),
        ledger: LedgerState {
            high: EventId(id),
            anchors: vec![anchor(id)],
            holes: vec![hole(2, 2, 7)],
            audited: EventId(1),
        },
        at_ms: 99,
    })
}

/// Rows above an id free it, and nothing on record of them binds who takes it.
pub(super) async fn frees(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    let f = callback("f");
    // Event 8 came late, so the rows above 6 are no end of the log.
    fill(&*store, [1, 3, 5, 6, 7, 9, 11, 8, 4]).await?;
    let lanes = [lane("a", 2), lane("b", 0)].map(Change::Lane);
    store.record(lanes.into()).await.fine("record")?;
    let mut changes: Vec<_> = [("a", 3), ("a", 7), ("a", 8), ("b", 7), ("b", 11), ("b", 6)]
        .map(|(stem, event)| Change::Outcome(outcome(stem, &f, event)))
        .into();
    changes.push(Change::Attempt(attempt("a", &f, 9, 6)));
    changes.push(Change::Attempt(attempt("a", &f, 5, 3)));
    store.record(changes).await.fine("record")?;
    let wanted = Beyond {
        rows: 4,
        done: vec![
            (super::sample::plugin("a"), 1),
            (super::sample::plugin("b"), 2),
        ],
        dead_letters: 1,
        attempts: 1,
    };
    let mut beyond = store.beyond(EventId(6)).await.fine("beyond")?;
    beyond.done.sort();
    same("beyond", &beyond, &wanted)?;

    store.record(vec![void_above(6)]).await.fine("void")?;
    let left = vec![(1, 1), (2, 3), (3, 5), (4, 6), (9, 4)];
    same("rows", &ids(&*store).await?, &left)?;
    same("void", &store.count_void().await.fine("void")?, &4)?;
    let snapshot = store.snapshot().await.fine("snapshot")?;
    let attempts: Vec<_> = snapshot.attempts.iter().map(|a| a.event.0).collect();
    same("attempts", &attempts, &vec![5])?;
    let ahead: Vec<_> = snapshot.ahead.iter().map(|o| o.event.0).collect();
    same("ahead", &ahead, &vec![6])?;
    let ledger = snapshot.ledger.unwrap_or_default();
    same("high", &ledger.high, &EventId(6))?;
    same("holes", &ledger.holes, &vec![hole(2, 2, 7)])?;
    same(
        "letters",
        &store
            .dead_letters(None, None, 9)
            .await
            .fine("letters")?
            .rows
            .len(),
        &0,
    )?;
    same(
        "beyond",
        &store.beyond(EventId(6)).await.fine("beyond")?,
        &Beyond::default(),
    )?;
    for (id, kept) in [(6, 1), (7, 0), (8, 0), (9, 0)] {
        let (outcomes, attempts) = store.fate(EventId(id)).await.fine("fate")?;
        let known = store.event(EventId(id)).await.fine("event")?.is_some();
        same(
            "fate",
            &(outcomes.len(), attempts.len(), known),
            &(kept, 0, id == 6),
        )?;
    }
    let reason = Outcome::Discarded {
        reason: Discard::Void,
    };
    for (id, offset, became) in [(7, 5, None), (8, 8, Some(&reason)), (9, 6, Some(&reason))] {
        let voided = store.voided(EventId(id)).await.fine("voided")?;
        let [void] = voided.as_slice() else {
            return Err(format!("event {id}: {} void rows", voided.len()));
        };
        same("its place", &(void.row.offset.0, void.at_ms), &(offset, 99))?;
        let first = void.outcomes.first().map(|row| &row.outcome);
        match became {
            Some(_) => same("what became of it", &first, &became)?,
            None => same("both plugins", &void.outcomes.len(), &2)?,
        }
    }
    // The ids are free, and the new events have no past.
    same("its place", &fill(&*store, [7, 8]).await?, &Offset(11))?;
    let changes = vec![Change::Outcome(outcome("a", &f, 7)), move_to("a", 9)];
    let recorded = store.record(changes).await.fine("record")?;
    same("already", &recorded.already, &Vec::new())?;
    drop(store);
    let store = place.open().await.fine("open again")?;
    let ahead = store.snapshot().await.fine("snapshot")?.ahead;
    let mut ahead: Vec<_> = ahead.iter().map(|o| o.event.0).collect();
    ahead.sort_unstable();
    same("ahead", &ahead, &vec![6, 7])?;
    same(
        "still known",
        &store.voided(EventId(7)).await.fine("voided")?.len(),
        &1,
    )
}

/// Offsets are never given again, though the newest row is void; and an id may be void twice.
pub(super) async fn offsets(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, 1..=3).await?;
    store.record(vec![void_above(1)]).await.fine("void")?;
    let end = store.snapshot().await.fine("snapshot")?.log.end;
    same("end", &end, &Offset(3))?;
    same("its place", &fill(&*store, [2, 3]).await?, &Offset(5))?;
    // In the order given: what is written before is void, what comes after is not.
    let f = callback("f");
    let before = Change::Outcome(outcome("a", &f, 3));
    let after = Change::Outcome(outcome("a", &f, 3));
    let all = vec![before, void_above(2), after];
    let recorded = store.record(all).await.fine("void")?;
    same("already", &recorded.already.len(), &0)?;
    let append = Append {
        events: vec![(event(3)?, true)],
        ..Append::default()
    };
    same(
        "its place",
        &store.append(append).await.fine("append")?.end,
        &Offset(6),
    )?;
    let voided = store.voided(EventId(3)).await.fine("voided")?;
    let places: Vec<_> = voided
        .iter()
        .map(|v| (v.row.offset.0, v.outcomes.len()))
        .collect();
    same("void twice", &places, &vec![(3, 0), (5, 1)])?;
    store.record(vec![void_above(0)]).await.fine("void")?;
    same("nothing", &ids(&*store).await?, &Vec::new())?;
    drop(store);
    let store = place.open().await.fine("open again")?;
    let end = store.snapshot().await.fine("snapshot")?.log.end;
    same("end", &end, &Offset(6))?;
    same("its place", &fill(&*store, [9]).await?, &Offset(7))
}

/// A person may say that a bound site has another address.
pub(super) async fn moved(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    store.bind_site("https://a".into()).await.fine("bind")?;
    let moved = Change::SiteMoved("https://b".into());
    store.record(vec![moved]).await.fine("move")?;
    let site = store.snapshot().await.fine("snapshot")?.site;
    same("site", &site.as_deref(), &Some("https://b"))?;
    store.bind_site("https://b".into()).await.fine("bind again")
}
