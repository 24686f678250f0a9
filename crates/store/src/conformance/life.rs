//! Checks of a state's life: new, closed and opened, taken over, shared by many.

use futures_util::FutureExt;
use futures_util::future::join_all;
use slated_model::{Change, EventId, LedgerChange, Offset, Start};

use super::sample::{
    anchor, attempt, began, callback, cursor, event, events, fill, hole, imported, lane, outcome,
    plugin, state, worker,
};
use super::{Fine, Place, Verdict, holds, same};
use crate::{Append, Error, LogEnd};

pub(super) async fn empty(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    let snapshot = store.snapshot().await.fine("snapshot")?;
    same("log", &snapshot.log, &LogEnd::default())?;
    same("ledger", &snapshot.ledger, &None)?;
    same("site", &snapshot.site, &None)?;
    holds(
        "lists are empty",
        snapshot.lanes.is_empty()
            && snapshot.attempts.is_empty()
            && snapshot.ahead.is_empty()
            && snapshot.workers.is_empty(),
    )?;
    let rows = store.rows(Offset(0), 10).await.fine("rows")?;
    same("rows", &rows.len(), &0)?;
    let row = store.event(EventId(1)).await.fine("event")?;
    holds("no event", row.is_none())?;
    let (outcomes, attempts) = store.fate(EventId(1)).await.fine("fate")?;
    same("outcomes", &outcomes, &Vec::new())?;
    same("attempts", &attempts, &Vec::new())?;
    let latest = store.latest(None, 10).await.fine("latest")?;
    same("latest", &latest, &Vec::new())?;
    let latest = store
        .latest(Some(plugin("a")), 10)
        .await
        .fine("latest of a plugin")?;
    same("latest of a plugin", &latest, &Vec::new())
}

pub(super) async fn reopened(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    store
        .bind_site("https://a.example".into())
        .await
        .fine("bind")?;
    let append = Append {
        events: events([10, 12, 11, 15])?,
        ledger: LedgerChange {
            high: EventId(15),
            anchors: vec![anchor(12), anchor(15)],
            audited: EventId(4),
            removed: Vec::new(),
            put: vec![hole(1, 9, 7), hole(13, 14, 2)],
        },
    };
    store.append(append).await.fine("append")?;
    store
        .record(vec![
            Change::Lane(lane("a", 2)),
            Change::Lane(lane("b", 0)),
            Change::Outcome(outcome("a", &callback("f"), 15)),
            Change::Outcome(outcome("a", &callback("f"), 10)),
            Change::Attempt(attempt("b", &callback("g"), 12, 2)),
            Change::Worker(worker("a", 4321)),
            cursor("b", 1),
            began(Start::Latest),
            began(imported()),
        ])
        .await
        .fine("record")?;
    let before = store.snapshot().await.fine("snapshot")?;
    let fate = store.fate(EventId(15)).await.fine("fate")?;
    drop(store);
    let store = place.open().await.fine("open again")?;
    let after = store.snapshot().await.fine("snapshot after")?;
    holds("a later epoch", after.epoch > before.epoch)?;
    let start = after.beginning.as_ref().and_then(|b| b.start.as_ref());
    same("the last beginning", &start, &Some(&imported()))?;
    let before = state(before);
    holds(
        "what was written shows before the end",
        before != state(fresh_like(&after)),
    )?;
    same("state", &state(after), &before)?;
    same(
        "fate",
        &store.fate(EventId(15)).await.fine("fate after")?,
        &fate,
    )?;
    let ids: Vec<_> = store
        .rows(Offset(0), 10)
        .await
        .fine("rows")?
        .iter()
        .map(|row| row.event.id.0)
        .collect();
    same("rows", &ids, &vec![10, 12, 11, 15])
}

/// A snapshot of nothing, to show that a comparison could fail.
fn fresh_like(snapshot: &crate::Snapshot) -> crate::Snapshot {
    crate::Snapshot {
        epoch: snapshot.epoch,
        site: None,
        beginning: None,
        ledger: None,
        log: LogEnd::default(),
        lanes: Vec::new(),
        attempts: Vec::new(),
        ahead: Vec::new(),
        workers: Vec::new(),
        running: snapshot.running,
    }
}

pub(super) async fn fenced(place: &dyn Place) -> Verdict {
    let first = place.open().await.fine("open")?;
    fill(&*first, [1]).await?;
    first
        .record(vec![Change::Lane(lane("a", 0))])
        .await
        .fine("record")?;
    let ours = first.snapshot().await.fine("snapshot")?.epoch;
    let second = place.seize().await.fine("seize")?;
    let current = second.snapshot().await.fine("snapshot")?.epoch;
    holds("a later epoch", current > ours)?;
    let refused = [
        first
            .append(Append {
                events: events([2])?,
                ledger: LedgerChange::default(),
            })
            .await
            .map(drop),
        first.record(vec![cursor("a", 1)]).await.map(drop),
        first.bind_site("https://old.example".into()).await,
    ];
    for end in refused {
        match end {
            Err(Error::Fenced {
                ours: told_ours,
                current: told,
            }) => same("epochs told", &(told_ours, told), &(ours, current))?,
            other => return Err(format!("a write of the first: {other:?}")),
        }
    }
    same("offset", &fill(&*second, [3]).await?, &Offset(2))?;
    let snapshot = second.snapshot().await.fine("snapshot")?;
    same("site", &snapshot.site, &None)?;
    let cursors: Vec<_> = snapshot.lanes.iter().map(|lane| lane.cursor).collect();
    same("cursors", &cursors, &vec![Offset(0)])
}

pub(super) async fn bound(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    let bind = |url: &str| store.bind_site(url.to_owned());
    bind("https://a.example").await.fine("bind")?;
    bind("https://a.example").await.fine("bind again")?;
    match bind("https://b.example").await {
        Err(Error::OtherSite { bound, asked }) => same(
            "sites told",
            &(bound.as_str(), asked.as_str()),
            &("https://a.example", "https://b.example"),
        )?,
        other => return Err(format!("another site: {other:?}")),
    }
    let site = store.snapshot().await.fine("snapshot")?.site;
    same("site", &site.as_deref(), &Some("https://a.example"))
}

pub(super) async fn dropped(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    store
        .record(vec![Change::Lane(lane("a", 0))])
        .await
        .fine("record")?;
    for id in 1..=50_u64 {
        let append = Append {
            events: events([id * 2, id * 2 + 1])?,
            ledger: LedgerChange::default(),
        };
        let mut future = store.append(append);
        // Every other one is begun; the rest are dropped untouched.
        if id % 2 == 0 {
            // Whether it is done already does not matter: it is dropped either way.
            drop((&mut future).now_or_never());
        }
        drop(future);
    }
    fill(&*store, [1]).await?;
    let rows = store.rows(Offset(0), 1000).await.fine("rows")?;
    let ids: Vec<_> = rows.iter().map(|row| row.event.id.0).collect();
    for id in 1..=50_u64 {
        let halves = [ids.contains(&(id * 2)), ids.contains(&(id * 2 + 1))];
        same("both events of a look or none", &halves[0], &halves[1])?;
    }
    let offsets: Vec<_> = rows.iter().map(|row| row.offset.0).collect();
    let wanted: Vec<_> = (1..).take(rows.len()).collect();
    same("offsets", &offsets, &wanted)
}

pub(super) async fn crowd(place: &dyn Place) -> Verdict {
    let store = place.open().await.fine("open")?;
    fill(&*store, [1000]).await?;
    // Among many good requests, one that must fail alone.
    let mut appends = Vec::new();
    for id in 1..=100_u64 {
        let id = if id == 50 { 1000 } else { id };
        appends.push(Append {
            events: vec![(event(id)?, false)],
            ledger: LedgerChange {
                high: EventId(1000),
                ..LedgerChange::default()
            },
        });
    }
    let ends = join_all(appends.into_iter().map(|append| store.append(append))).await;
    let mut offsets = Vec::new();
    for (at, end) in ends.into_iter().enumerate() {
        match end {
            Ok(appended) if at != 49 => offsets.push(appended.end.0),
            Err(Error::Duplicate(EventId(1000))) if at == 49 => {}
            other => return Err(format!("writer {at}: {other:?}")),
        }
    }
    offsets.sort_unstable();
    same("offsets", &offsets, &(2..=100).collect())?;
    let rows = store.rows(Offset(0), 1000).await.fine("rows")?;
    same("rows", &rows.len(), &100)
}

pub(super) async fn running(place: &dyn Place) -> Verdict {
    let mut wanted = false;
    for next in [None, Some(true), Some(false), Some(true), Some(true)] {
        let store = place.open().await.fine("open")?;
        let running = store.snapshot().await.fine("snapshot")?.running;
        same("running", &running, &wanted)?;
        if let Some(next) = next {
            let change = Change::Running(next);
            store.record(vec![change]).await.fine("record")?;
            wanted = next;
        }
    }
    Ok(())
}
