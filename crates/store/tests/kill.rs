//! A process that writes is killed at random points; what it was told stands.
//!
//! The child is this test binary, started again for its ignored test `child`. It follows
//! and works as the daemon does, and prints what the store acknowledged. The parent kills
//! it with SIGKILL after some lines, opens the state and compares.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests may fail loudly, and the child tells its parent by printing"
)]

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use slated_model::{
    CallbackId, Change, Event, EventId, Hole, LaneRow, LedgerChange, Offset, Outcome, OutcomeRow,
    PluginId,
};
use slated_store::{Append, Options, Sqlite, Store};
use tokio::sync::watch;

const KILLS: usize = 12;
const PLUGINS: usize = 4;
const CALLBACKS: [&str; 2] = ["f", "g"];
/// Where the child finds the state.
const FOLDER: &str = "SLATED_STORE_KILL_FOLDER";

fn plugin(n: usize) -> PluginId {
    PluginId::new("/srv/plugins", format!("p{n}"))
}

fn random(below: u64) -> u64 {
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u8(0);
    hasher.finish() % below
}

/// Appends events for ever: most follow each other, some ids come late, some never.
async fn follow(store: Arc<Sqlite>, end: watch::Sender<Offset>) {
    let ledger = store.snapshot().await.unwrap().ledger.unwrap_or_default();
    let mut high = ledger.high.0;
    let mut holes: Vec<u64> = ledger.holes.iter().map(|hole| hole.lo.0).collect();
    loop {
        let mut append = Append::default();
        let event = |id| {
            let text = format!("{{\"id\":{id},\"text\":\"{}\"}}", "x".repeat(600));
            Event::parse(&text).unwrap()
        };
        if !holes.is_empty() && random(3) == 0 {
            let index = usize::try_from(random(holes.len() as u64)).unwrap();
            let id = holes.swap_remove(index);
            append.events.push((event(id), true));
            append.ledger.removed.push(EventId(id));
        }
        for _ in 0..=random(20) {
            high += 1;
            if random(10) == 0 {
                holes.push(high);
                append.ledger.put.push(Hole {
                    lo: EventId(high),
                    hi: EventId(high),
                    age_ms: 0,
                    looks: 1,
                });
            } else {
                append.events.push((event(high), false));
            }
        }
        append.ledger = LedgerChange {
            high: EventId(high),
            ..append.ledger
        };
        let appended = store.append(append).await.unwrap();
        println!("ack log {} {high}", appended.end);
        end.send_replace(appended.end);
    }
}

/// Works through the log for ever: outcomes and cursor in one record, event by event.
async fn work(store: Arc<Sqlite>, n: usize, mut end: watch::Receiver<Offset>) {
    let mut cursor = lane(&store, n).await;
    loop {
        end.wait_for(|end| *end > cursor).await.unwrap();
        for row in store.rows(cursor, 8).await.unwrap() {
            let outcome = |name: &&str| {
                Change::Outcome(OutcomeRow {
                    plugin: plugin(n),
                    callback: CallbackId::new(*name, 1),
                    event: row.event.id,
                    attempt: 1,
                    outcome: Outcome::Done { us: 1 },
                    at_ms: 0,
                })
            };
            let mut changes: Vec<_> = CALLBACKS.iter().map(outcome).collect();
            changes.push(Change::Cursor {
                plugin: plugin(n),
                cursor: row.offset,
            });
            let recorded = store.record(changes).await.unwrap();
            assert_eq!(recorded.already, [], "work was done twice");
            println!("ack lane {n} {} {}", row.offset, row.event.id);
            cursor = row.offset;
        }
    }
}

async fn lane(store: &Sqlite, n: usize) -> Offset {
    let lanes = store.snapshot().await.unwrap().lanes;
    if let Some(lane) = lanes.iter().find(|lane| lane.plugin == plugin(n)) {
        return lane.cursor;
    }
    let row = LaneRow::new(plugin(n), Offset(0));
    store.record(vec![Change::Lane(row)]).await.unwrap();
    Offset(0)
}

#[test]
#[ignore = "the process that is killed; started by the other test"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        panic!("this is started by the test `what_was_acknowledged_survives_kill_9`");
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Arc::new(Sqlite::open(Path::new(&folder), &Options::default()).unwrap());
        let from = store.snapshot().await.unwrap().log.end;
        let (end, ends) = watch::channel(from);
        let lanes: Vec<_> = (0..PLUGINS)
            .map(|n| tokio::spawn(work(Arc::clone(&store), n, ends.clone())))
            .collect();
        let follower = tokio::spawn(follow(store, end));
        for task in lanes.into_iter().chain([follower]) {
            task.await.unwrap();
        }
    });
}

/// What the child said it was told.
#[derive(Default)]
struct Acknowledged {
    end: u64,
    high: u64,
    cursors: [u64; PLUGINS],
    done: BTreeSet<(usize, u64)>,
}

impl Acknowledged {
    fn read(&mut self, line: &str) -> bool {
        let Some((_, line)) = line.split_once("ack ") else {
            return false;
        };
        let words: Vec<_> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        if words[0] == "log" {
            self.end = self.end.max(number(1));
            self.high = self.high.max(number(2));
        } else {
            let n = usize::try_from(number(1)).unwrap();
            self.cursors[n] = self.cursors[n].max(number(2));
            self.done.insert((n, number(3)));
        }
        true
    }
}

/// Runs the child and kills it after some acknowledgements; returns how many it gave.
fn run_and_kill(folder: &Path, acknowledged: &mut Acknowledged) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let wanted = 30 + random(400);
    let mut seen = 0;
    while seen < wanted {
        let Some(line) = lines.next() else {
            panic!("the child ended by itself: {:?}", child.wait());
        };
        seen += u64::from(acknowledged.read(&line.unwrap()));
    }
    child.kill().unwrap();
    // What it printed before it died counts as well; a last line may be cut.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let whole = rest.len().saturating_sub(1);
    for line in &rest[..whole] {
        seen += u64::from(acknowledged.read(line));
    }
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "it was not killed: {status}");
    seen
}

/// Opens the state and compares it with what was acknowledged and with itself.
async fn check(folder: &Path, acknowledged: &Acknowledged) {
    let store = Sqlite::open(folder, &Options::default()).unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let ledger = snapshot.ledger.unwrap_or_default();
    assert!(snapshot.log.end.0 >= acknowledged.end, "log is shorter");
    assert!(ledger.high.0 >= acknowledged.high, "ledger is behind");
    // Every id up to the highest stands in the log or in a hole, and never in both.
    let rows = store.rows(Offset(0), usize::MAX).await.unwrap();
    let mut ids: Vec<u64> = rows.iter().map(|row| row.event.id.0).collect();
    ids.extend(ledger.holes.iter().flat_map(|hole| hole.lo.0..=hole.hi.0));
    ids.sort_unstable();
    assert_eq!(ids, (1..=ledger.high.0).collect::<Vec<_>>());
    let offsets: Vec<u64> = rows.iter().map(|row| row.offset.0).collect();
    assert_eq!(offsets, (1..=snapshot.log.end.0).collect::<Vec<_>>());
    // Every acknowledged outcome stands, and no cursor has passed an event without one.
    let done = store.latest(None, usize::MAX).await.unwrap();
    let done: BTreeSet<(String, u64, String)> = done
        .iter()
        .map(|row| {
            let stem = row.plugin.stem().to_owned();
            (stem, row.event.0, row.callback.to_string())
        })
        .collect();
    for (n, event) in &acknowledged.done {
        for callback in CALLBACKS {
            let unit = (format!("p{n}"), *event, callback.to_owned());
            assert!(done.contains(&unit), "{unit:?} was lost");
        }
    }
    for n in 0..PLUGINS {
        let lane = snapshot.lanes.iter().find(|lane| lane.plugin == plugin(n));
        let cursor = lane.map_or(0, |lane| lane.cursor.0);
        assert!(cursor >= acknowledged.cursors[n], "cursor of p{n} is back");
        for row in rows.iter().filter(|row| row.offset.0 <= cursor) {
            for callback in CALLBACKS {
                let unit = (format!("p{n}"), row.event.id.0, callback.to_owned());
                assert!(done.contains(&unit), "cursor passed {unit:?}");
            }
        }
    }
    // Outcomes and cursor are one transaction, so nothing can be ahead.
    assert_eq!(snapshot.ahead, []);
    store.close().await;
    drop(store);
    let conn = rusqlite::Connection::open(folder.join("state.db")).unwrap();
    let verdict: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut acknowledged = Acknowledged::default();
    for _ in 0..KILLS {
        let seen = run_and_kill(folder.path(), &mut acknowledged);
        assert!(seen >= 30);
        runtime.block_on(check(folder.path(), &acknowledged));
    }
    assert!(acknowledged.done.len() > 100 && acknowledged.end > 100);
}
