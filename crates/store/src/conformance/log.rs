//! Checks of the log and the ledger.

use slated_model::{Event, EventId, LedgerChange, Offset};

use super::sample::{anchor, event, events, fill, hole, lane, seen};
use super::{Fine, Place, Verdict, holds, same};
use crate::{Append, Error, LogEnd};

pub(super) async fn order(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    same("end", &fill(&*store, [5, 7]).await?, &Offset(2))?;
    let late = Append {
        events: vec![(event(6)?, true), (event(9)?, false)],
        ledger: LedgerChange::default(),
    };
    let end = store.append(late).await.fine("append")?.end;
    same("end", &end, &Offset(4))?;
    let rows = store.rows(Offset(0), 100).await.fine("rows")?;
    let mut wanted = Vec::new();
    for (offset, (id, late)) in (1..).zip([(5, false), (7, false), (6, true), (9, false)]) {
        let event = event(id)?;
        let event_type = event.head.event_type.clone();
        wanted.push((offset, id, late, true, event.text().to_owned(), event_type));
    }
    same("rows", &seen(&rows), &wanted)?;
    same("head", &rows[0].event.head, &event(5)?.head)?;
    let some = store.rows(Offset(1), 2).await.fine("some rows")?;
    same("some rows", &seen(&some), &wanted[1..3].to_vec())?;
    let none = store.rows(Offset(4), 2).await.fine("rows after the end")?;
    same("rows after the end", &none.len(), &0)?;
    let none = store.rows(Offset(0), 0).await.fine("no rows")?;
    same("no rows", &none.len(), &0)?;
    let one = store.event(EventId(6)).await.fine("event")?;
    same("one event", &seen(one.as_slice()), &wanted[2..3].to_vec())?;
    let log = store.snapshot().await.fine("snapshot")?.log;
    let wanted = LogEnd {
        start: Offset(0),
        end: Offset(4),
    };
    same("log", &log, &wanted)
}

pub(super) async fn between(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, [5, 9, 3, 7, 11]).await?;
    for (from, to, limit, wanted) in [
        (5, 9, 10, &[5, 7, 9][..]),
        (0, u64::MAX, 10, &[3, 5, 7, 9, 11]),
        (4, u64::MAX, 2, &[5, 7]),
        (6, 6, 10, &[]),
        (9, 5, 10, &[]),
        (3, 3, 1, &[3]),
        (3, 9, 0, &[]),
        (u64::MAX, u64::MAX, 10, &[]),
    ] {
        let rows = store.between(EventId(from), EventId(to), limit).await;
        let ids: Vec<_> = rows.fine("between")?.iter().map(|r| r.event.id.0).collect();
        same(&format!("{limit} of {from}..={to}"), &ids, &wanted.to_vec())?;
    }
    Ok(())
}

pub(super) async fn highest(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    let none = store.highest(Offset(9)).await.fine("an empty log")?;
    same("an empty log", &none.is_none(), &true)?;
    fill(&*store, [5, 9, 3, 7, 11]).await?;
    for (through, wanted) in [
        (0, None),
        (1, Some(5)),
        (2, Some(9)),
        (4, Some(9)),
        (5, Some(11)),
        (u64::MAX, Some(11)),
    ] {
        let row = store.highest(Offset(through)).await.fine("highest")?;
        let what = format!("the highest up to {through}");
        same(&what, &row.map(|row| row.event.id.0), &wanted)?;
    }
    Ok(())
}

pub(super) async fn duplicate(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, [5]).await?;
    for ids in [vec![6, 5, 7], vec![8, 9, 8]] {
        let again = ids[ids.len() - 1].min(ids[1]);
        let append = Append {
            events: events(ids)?,
            ledger: LedgerChange {
                high: EventId(99),
                put: vec![hole(1, 2, 1)],
                ..LedgerChange::default()
            },
        };
        match store.append(append).await {
            Err(Error::Duplicate(id)) => same("the id told", &id.0, &again)?,
            other => return Err(format!("a known event: {other:?}")),
        }
    }
    let rows = store.rows(Offset(0), 100).await.fine("rows")?;
    same("rows", &rows.len(), &1)?;
    let snapshot = store.snapshot().await.fine("snapshot")?;
    let ledger = snapshot.ledger.unwrap_or_default();
    same(
        "ledger",
        &(ledger.high, ledger.holes.len()),
        &(EventId(5), 0),
    )?;
    same("the next offset", &fill(&*store, [6]).await?, &Offset(2))
}

pub(super) async fn unreadable(place: &dyn Place) -> Verdict {
    let text = "{\"id\": 3, \"meta\": NaN\u{0} \u{fffd}'\"\n";
    let store = place.open().await.fine("open")?;
    let append = Append {
        events: vec![
            (event(2)?, false),
            (Event::unreadable(EventId(3), text), false),
            (Event::unreadable(EventId(4), ""), true),
        ],
        ledger: LedgerChange::default(),
    };
    store.append(append).await.fine("append")?;
    drop(store);
    let store = place.open().await.fine("open again")?;
    let rows = store.rows(Offset(1), 10).await.fine("rows")?;
    let wanted = vec![
        (2, 3, false, false, text.to_owned(), None),
        (3, 4, true, false, String::new(), None),
    ];
    same("rows", &seen(&rows), &wanted)
}

pub(super) async fn ledger(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    let change = |high, removed: &[u64], put| LedgerChange {
        high: EventId(high),
        anchors: vec![anchor(high)],
        audited: EventId(high / 2),
        removed: removed.iter().copied().map(EventId).collect(),
        put,
    };
    let steps = [
        (
            change(20, &[], vec![hole(1, 4, 1), hole(10, 12, 1)]),
            vec![hole(1, 4, 1), hole(10, 12, 1)],
        ),
        // A hole that is split: its low end goes out and comes in again.
        (
            change(20, &[10], vec![hole(10, 10, 2), hole(12, 12, 2)]),
            vec![hole(1, 4, 1), hole(10, 10, 2), hole(12, 12, 2)],
        ),
        // Changed without having been taken out.
        (
            change(30, &[12], vec![hole(1, 4, 9)]),
            vec![hole(1, 4, 9), hole(10, 10, 2)],
        ),
        // What is not there can be taken out.
        (
            change(31, &[10, 12, 77], vec![hole(25, 26, 0)]),
            vec![hole(1, 4, 9), hole(25, 26, 0)],
        ),
        // A look without news.
        (
            change(31, &[], vec![]),
            vec![hole(1, 4, 9), hole(25, 26, 0)],
        ),
    ];
    for (change, holes) in steps {
        let append = Append {
            events: Vec::new(),
            ledger: change.clone(),
        };
        store.append(append).await.fine("append")?;
        let ledger = store.snapshot().await.fine("snapshot")?.ledger;
        let Some(ledger) = ledger else {
            return Err("there is no ledger".into());
        };
        same("holes", &ledger.holes, &holes)?;
        same(
            "head",
            &(ledger.high, ledger.audited, ledger.anchors),
            &(change.high, change.audited, change.anchors),
        )?;
    }
    Ok(())
}

pub(super) async fn big(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    same("end", &fill(&*store, 1..=5000).await?, &Offset(5000))?;
    // A bigger one whose last event is known leaves nothing.
    let append = Append {
        events: events((5001..=9000).chain([1]))?,
        ledger: LedgerChange::default(),
    };
    match store.append(append).await {
        Err(Error::Duplicate(EventId(1))) => {}
        other => return Err(format!("a known event at the end: {other:?}")),
    }
    let mut after = Offset(0);
    let mut count = 0_u64;
    loop {
        let rows = store.rows(after, 999).await.fine("rows")?;
        let Some(last) = rows.last() else { break };
        after = last.offset;
        for row in &rows {
            count += 1;
            same("row", &(row.offset.0, row.event.id.0), &(count, count))?;
        }
    }
    same("rows", &count, &5000)
}

pub(super) async fn edges(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    let high = i64::MAX.unsigned_abs();
    fill(&*store, [high, 0]).await?;
    let row = store.event(EventId(high)).await.fine("event")?;
    same("offset", &row.map(|row| row.offset), &Some(Offset(1)))?;
    // Above that a backend may keep or refuse, but not bend.
    let append = Append {
        events: vec![(Event::unreadable(EventId(u64::MAX), "x"), false)],
        ledger: LedgerChange::default(),
    };
    let kept = match store.append(append).await {
        Ok(_) => true,
        Err(Error::Unfit { .. }) => false,
        other => return Err(format!("the highest id of all: {other:?}")),
    };
    let row = store.event(EventId(u64::MAX)).await.fine("event")?;
    same(
        "the highest id of all",
        &row.map(|row| row.event.id),
        &kept.then_some(EventId(u64::MAX)),
    )?;
    let rows = store
        .rows(Offset(u64::MAX), usize::MAX)
        .await
        .fine("rows past the end")?;
    same("rows past the end", &rows.len(), &0)?;
    let rows = store
        .rows(Offset(0), usize::MAX)
        .await
        .fine("rows without limit")?;
    same("rows without limit", &rows.len(), &(2 + usize::from(kept)))?;
    let mut far = lane("a", u64::MAX);
    far.floor = Some(EventId(u64::MAX));
    match store
        .record(vec![slated_model::Change::Lane(far.clone())])
        .await
    {
        Ok(_) => {
            let lanes = store.snapshot().await.fine("snapshot")?.lanes;
            same("lanes", &lanes, &vec![far])
        }
        Err(Error::Unfit { .. }) => {
            let lanes = store.snapshot().await.fine("snapshot")?.lanes;
            holds("no lane", lanes.is_empty())
        }
        other => Err(format!("a lane at the end of numbers: {other:?}")),
    }
}
