//! Measures the SQLite backend: `cargo run --release -p slated-store --example bench_store [FOLDER]`.
//!
//! FOLDER should stand on the disk that the state will stand on: what is measured is
//! mostly its sync. Every figure is of answers, so of durable writes.

#![expect(clippy::print_stdout, reason = "it prints figures")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slated_model::{
    CallbackId, Change, Event, EventId, LaneRow, LedgerChange, Offset, Outcome, OutcomeRow,
    PluginId,
};
use slated_store::{Append, Options, Result, Sqlite, Store};
use tokio::task::JoinSet;

const PAGES: u64 = 200;
const PAGE: u64 = 500;
const SPAN: Duration = Duration::from_secs(3);

fn plugin(n: u64) -> PluginId {
    PluginId::new("/srv/plugins", format!("p{n}"))
}

fn lane(n: u64) -> LaneRow {
    LaneRow::new(plugin(n), Offset(0))
}

fn cursor(n: u64, at: u64) -> Change {
    Change::Cursor {
        plugin: plugin(n),
        cursor: Offset(at),
    }
}

fn outcome(n: u64, at: u64) -> Change {
    Change::Outcome(OutcomeRow {
        plugin: plugin(n),
        callback: CallbackId::new("on_event", 1),
        event: EventId(at),
        attempt: 1,
        outcome: Outcome::Done { us: 1500 },
        at_ms: 1_790_000_000_000,
    })
}

async fn append(store: &Sqlite) -> Result<()> {
    // About the size of a real row with its links.
    let filler = "x".repeat(450);
    let mut pages = Vec::new();
    for page in 0..PAGES {
        let mut events = Vec::new();
        for id in page * PAGE + 1..=(page + 1) * PAGE {
            let text = format!(
                "{{\"type\":\"EventLogEntry\",\"id\":{id},\"event_type\":\"Shotgun_Task_Change\",\
                 \"attribute_name\":\"sg_status_list\",\"created_at\":\"2026-01-02T03:04:05Z\",\
                 \"meta\":\"{filler}\"}}"
            );
            if let Ok(event) = Event::parse(&text) {
                events.push((event, false));
            }
        }
        pages.push(Append {
            events,
            ledger: LedgerChange {
                high: EventId((page + 1) * PAGE),
                ..LedgerChange::default()
            },
        });
    }
    let began = Instant::now();
    for page in pages {
        store.append(page).await?;
    }
    rate("events appended in pages of 500", PAGES * PAGE, began);
    let began = Instant::now();
    let mut after = Offset(0);
    while let Some(last) = store.rows(after, 500).await?.last() {
        after = last.offset;
    }
    rate("events read in pages of 500", after.0, began);
    Ok(())
}

/// `producers` lanes at once, each one change set at a time, as the daemon does.
async fn record(
    what: &str,
    store: &Arc<Sqlite>,
    first: u64,
    producers: u64,
    make: fn(u64, u64) -> Vec<Change>,
) -> Result<()> {
    let lanes = (first..first + producers).map(|n| Change::Lane(lane(n)));
    store.record(lanes.collect()).await?;
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for n in first..first + producers {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut waits = Vec::new();
            let mut at = 0;
            while began.elapsed() < SPAN && at < PAGES * PAGE {
                at += 1;
                let asked = Instant::now();
                store.record(make(n, at)).await?;
                waits.push(asked.elapsed());
            }
            Ok(waits)
        });
    }
    let mut waits = Vec::new();
    for end in tasks.join_all().await {
        waits.extend(end?);
    }
    waits.sort_unstable();
    let count = waits.len();
    let part = |per_cent: usize| {
        waits
            .get(count * per_cent / 100)
            .copied()
            .unwrap_or_default()
    };
    rate(&format!("{what}, {producers} at once"), count as u64, began);
    println!(
        "      half wait under {:?}, 99 % under {:?}",
        part(50),
        part(99)
    );
    Ok(())
}

fn rate(what: &str, count: u64, began: Instant) {
    let took = began.elapsed();
    println!(
        "{:>9.0}/s  {what} ({count} in {took:.2?})",
        count as f64 / took.as_secs_f64()
    );
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map_or_else(
        || std::env::temp_dir().join(format!("slated-bench-{}", std::process::id())),
        PathBuf::from,
    );
    println!("state in {}", folder.display());
    let store = Arc::new(Sqlite::open(&folder, &Options::default())?);
    append(&store).await?;
    for (first, producers) in [(0, 1), (100, 20), (200, 64)] {
        let make = |n, at| vec![outcome(n, at), cursor(n, at)];
        record("outcome and cursor", &store, first, producers, make).await?;
    }
    for (first, producers) in [(300, 1), (400, 20)] {
        let make = |n, at| vec![cursor(n, at)];
        record("cursor alone", &store, first, producers, make).await?;
    }
    let began = Instant::now();
    let snapshot = store.snapshot().await?;
    println!(
        "snapshot of {} lanes, {} ahead: {:.2?}",
        snapshot.lanes.len(),
        snapshot.ahead.len(),
        began.elapsed()
    );
    store.close().await;
    Ok(())
}
