//! The SQLite backend and a plain store in memory are told the same, and say the same.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail loudly"
)]

mod flaw;
mod memory;

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use slated_model::{
    Anchor, Attempt, Beginning, CallbackId, Change, Discard, Event, EventId, Failure, FailureKind,
    Fingerprint, HoldRow, Hole, LaneRow, LedgerChange, LedgerState, Offset, Outcome, OutcomeRow,
    PluginId, Row, Start, SuspectRow, Void, WorkerRow,
};
use slated_store::{
    Append, Error, Keep, KeepLetters, Options, Pruned, Snapshot, Sqlite, Store, conformance,
};

use self::flaw::Flaw;
use self::memory::Memory;

#[tokio::test]
async fn the_model_conforms() {
    conformance::run(Memory::default).await.unwrap();
}

#[tokio::test]
async fn the_suite_finds_every_flaw() {
    let mut found = std::collections::BTreeSet::new();
    for flaw in Flaw::ALL {
        let end = conformance::run(|| Memory::with(Some(*flaw))).await;
        let broken = end.expect_err(&format!("{flaw:?} was not found"));
        found.insert(broken.check);
    }
    // Flaws of many kinds, not one check that fails for everything.
    assert!(found.len() >= 12, "{found:?}");
}

/// Something asked of a store.
#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(u64, bool, bool)>, LedgerChange),
    Record(Vec<Change>),
    Bind(bool),
    Prune(Keep),
    Expire(KeepLetters),
    Reopen,
}

/// Few names and ids, so that steps meet.
const IDS: u64 = 24;

fn plugin() -> impl Strategy<Value = PluginId> {
    (0..3_u8).prop_map(|n| PluginId::new("/srv/plugins", format!("p{n}")))
}

fn callback() -> impl Strategy<Value = CallbackId> {
    (1..3_u32).prop_map(|k| CallbackId::new("f", k))
}

fn failure() -> impl Strategy<Value = Failure> {
    (".{0,8}", any::<bool>()).prop_map(|(message, some)| Failure {
        kind: FailureKind::Raised,
        error: "ValueError".into(),
        message,
        traceback: String::new(),
        locals: some.then(String::new),
        cause: None,
        us: None,
        log: Vec::new(),
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (0..9_u64).prop_map(|us| Outcome::Done { us }),
        failure().prop_map(|failure| Outcome::DeadLetter {
            failure: Box::new(failure)
        }),
        ".{0,4}".prop_map(|reason| Outcome::Discarded {
            reason: Discard::Person { reason }
        }),
        Just(Outcome::Discarded {
            reason: Discard::CallbackGone
        }),
    ]
}

fn lane() -> impl Strategy<Value = LaneRow> {
    (
        plugin(),
        0..IDS,
        proptest::option::of(0..IDS),
        vec(0..IDS, 0..3),
        any::<(bool, bool, bool)>(),
    )
        .prop_map(
            |(plugin, cursor, floor, owed, (stopped, gone, held))| LaneRow {
                floor: floor.map(EventId),
                owed: owed.into_iter().map(EventId).collect(),
                in_line_from: Offset(cursor / 2),
                hold: held.then(|| HoldRow {
                    event: floor.map(EventId),
                    callback: None,
                    reason: "held".into(),
                }),
                stopped,
                gone,
                content: "c".repeat(usize::from(gone)),
                suspect: held.then_some(SuspectRow {
                    event: EventId(cursor),
                    times: 1,
                }),
                ..LaneRow::new(plugin, Offset(cursor))
            },
        )
}

fn attempt() -> impl Strategy<Value = Attempt> {
    (
        plugin(),
        callback(),
        1..IDS,
        failure(),
        any::<bool>(),
        0..5_u32,
    )
        .prop_map(
            |(plugin, callback, event, failure, aside, failed)| Attempt {
                plugin,
                callback,
                event: EventId(event),
                offset: Offset(event),
                aside,
                failed,
                deaths: failed / 2,
                since_ms: failed.into(),
                left_ms: 1,
                failure,
                at_ms: -1,
            },
        )
}

fn outcome_row() -> impl Strategy<Value = OutcomeRow> {
    (plugin(), callback(), 1..IDS, outcome(), 1..3_u32).prop_map(
        |(plugin, callback, event, outcome, attempt)| OutcomeRow {
            plugin,
            callback,
            event: EventId(event),
            attempt,
            outcome,
            at_ms: 5,
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => lane().prop_map(Change::Lane),
        4 => (plugin(), 0..IDS).prop_map(|(plugin, cursor)| Change::Cursor {
            plugin,
            cursor: Offset(cursor)
        }),
        6 => outcome_row().prop_map(Change::Outcome),
        4 => attempt().prop_map(Change::Attempt),
        2 => attempt().prop_map(Change::Retried),
        2 => outcome_row().prop_map(Change::Discarded),
        1 => (plugin(), plugin()).prop_map(|(from, to)| Change::LettersMoved { from, to }),
        2 => (plugin(), 0..IDS, any::<bool>()).prop_map(|(plugin, to, again)| Change::Rewound {
            plugin,
            to: Offset(to),
            again
        }),
        1 => any::<bool>().prop_map(Change::Running),
        1 => (plugin(), 0..3_u32).prop_map(|(plugin, pid)| Change::Worker(WorkerRow {
            plugin,
            pid,
            started: 1
        })),
        1 => (0..3_u32).prop_map(|pid| Change::WorkerGone { pid }),
        1 => (0..IDS + 4, ledger()).prop_map(|(above, ledger)| Change::Void(Void {
            above: EventId(above),
            ledger: LedgerState {
                high: ledger.high,
                anchors: ledger.anchors,
                // As the table has it: one hole for each low end.
                holes: ledger.put.into_iter().map(|h| (h.lo, h)).collect::<BTreeMap<_, _>>().into_values().collect(),
                audited: ledger.audited,
            },
            at_ms: 7,
        })),
        1 => any::<bool>().prop_map(|first| {
            Change::SiteMoved(if first { "https://a" } else { "https://b" }.into())
        }),
        1 => (0..IDS).prop_map(|id| Change::Began(Beginning {
            start: Some(Start::FromId(EventId(id))),
            file: None,
        })),
    ]
}

fn ledger() -> impl Strategy<Value = LedgerChange> {
    (
        0..IDS,
        vec(0..IDS, 0..3),
        vec((0..IDS, 0..3_u64), 0..4),
        0..IDS,
    )
        .prop_map(|(high, removed, put, audited)| LedgerChange {
            high: EventId(high),
            anchors: vec![Anchor {
                id: EventId(high),
                print: Fingerprint {
                    created_at: None,
                    event_type: Some("A".into()),
                },
            }],
            audited: EventId(audited),
            removed: removed.into_iter().map(EventId).collect(),
            put: put
                .into_iter()
                .map(|(lo, looks)| Hole {
                    lo: EventId(lo),
                    hi: EventId(lo + looks),
                    age_ms: looks,
                    looks,
                })
                .collect(),
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (vec((1..IDS, any::<bool>(), any::<bool>()), 0..4), ledger())
            .prop_map(|(events, ledger)| Step::Append(events, ledger)),
        8 => vec(change(), 0..5).prop_map(Step::Record),
        1 => any::<bool>().prop_map(Step::Bind),
        1 => (1..IDS, 0..9_u64, proptest::option::of((0..IDS, plugin()))).prop_map(
            |(day, rows, needed)| Step::Prune(Keep {
                since: made(day),
                until: made(IDS - 3),
                rows,
                needed: needed.map(|(at, plugin)| (Offset(at), plugin)),
            })
        ),
        1 => (1..4_u64, 0..90_u64).prop_map(|(each, watched_ms)| Step::Expire(KeepLetters {
            each,
            for_ms: 90,
            watched_ms,
        })),
        1 => Just(Step::Reopen),
    ]
}

/// When the event of an id is made, or the start of a day.
fn made(id: u64) -> String {
    format!("2026-01-{id:02}T00:00:00Z")
}

fn event(id: u64, readable: bool) -> Event {
    if readable {
        let made = if id.is_multiple_of(3) {
            String::new()
        } else {
            format!(", \"created_at\": \"{}\"", made(id))
        };
        Event::parse(&format!(
            "{{\"id\": {id}, \"event_type\": \"T{id}\"{made}}}"
        ))
        .unwrap()
    } else {
        Event::unreadable(EventId(id), "\u{0}no")
    }
}

/// What an answer comes to, without words.
fn told<T: std::fmt::Debug>(end: Result<T, Error>) -> String {
    match end {
        Ok(answer) => format!("{answer:?}"),
        Err(Error::Duplicate(id)) => format!("duplicate {id}"),
        Err(Error::OtherSite { bound, .. }) => format!("bound to {bound}"),
        Err(Error::Unfit { .. }) => "unfit".into(),
        Err(other) => panic!("{other}"),
    }
}

async fn put(store: &dyn Store, step: &Step) -> String {
    match step.clone() {
        Step::Append(events, ledger) => {
            let events = events
                .into_iter()
                .map(|(id, late, readable)| (event(id, readable), late))
                .collect();
            told(store.append(Append { events, ledger }).await)
        }
        Step::Record(changes) => told(store.record(changes).await),
        Step::Bind(first) => {
            let url = if first { "https://a" } else { "https://b" };
            told(store.bind_site(url.into()).await)
        }
        Step::Prune(keep) => told(
            store
                .prune(keep)
                .await
                .map(|pruned| Pruned { bytes: 0, ..pruned }),
        ),
        Step::Expire(keep) => told(store.expire(keep).await),
        Step::Reopen => String::new(),
    }
}

/// Everything a store says, in a form that can be compared.
async fn all(store: &dyn Store) -> String {
    let Snapshot {
        epoch: _,
        site,
        beginning,
        ledger,
        log,
        mut lanes,
        mut attempts,
        mut ahead,
        workers,
        running,
    } = store.snapshot().await.unwrap();
    lanes.sort_by(|a, b| a.plugin.cmp(&b.plugin));
    let by = |row: &Attempt| (row.event, row.plugin.clone(), row.callback.clone());
    attempts.sort_by_key(by);
    ahead.sort_by_key(|row| (row.event, row.plugin.clone(), row.callback.clone()));
    let shown = |row: &Row| {
        let readable = row.event.is_readable();
        let head = &row.event.head;
        format!(
            "{} {} {} {readable} {head:?} {}",
            row.offset,
            row.event.id,
            row.late,
            row.event.text()
        )
    };
    let rows = store.rows(Offset(0), 1000).await.unwrap();
    let rows: Vec<_> = rows.iter().map(shown).collect();
    let tail = store.rows(Offset(2), 3).await.unwrap();
    let tail: Vec<_> = tail.iter().map(shown).collect();
    let latest = store.latest(None, 7).await.unwrap();
    let of_one = store
        .latest(Some(PluginId::new("/srv/plugins", "p1")), 3)
        .await
        .unwrap();
    let dead = store.dead_letters(None, None, 3).await.unwrap();
    let behind = store.dead_letters(None, dead.next, 9).await.unwrap().rows;
    let counts = (
        store.count_letters().await.unwrap(),
        store.count_void().await.unwrap(),
    );
    let dead = (dead.rows, behind, counts);

    let p1 = PluginId::new("/srv/plugins", "p1");
    let dead_of_one = store
        .dead_letters(Some(p1.clone()), None, 9)
        .await
        .unwrap()
        .rows;
    let between = store.outcomes(p1, Offset(2), Offset(7)).await.unwrap();
    let dead = (dead, dead_of_one, between, running);
    let mut highest = Vec::new();
    for offset in (0..IDS).step_by(3) {
        let row = store.highest(Offset(offset)).await.unwrap();
        highest.push(row.as_ref().map(shown));
    }
    let mut beyond = Vec::new();
    for id in (0..IDS).step_by(5) {
        let mut counted = store.beyond(EventId(id)).await.unwrap();
        counted.done.sort();
        let rows = store
            .between(EventId(id), EventId(u64::MAX), 6)
            .await
            .unwrap();
        beyond.push((counted, rows.iter().map(shown).collect::<Vec<_>>()));
    }
    let mut voided = Vec::new();
    for id in 1..IDS {
        for mut void in store.voided(EventId(id)).await.unwrap() {
            let by = |row: &OutcomeRow| (row.plugin.clone(), row.callback.clone());
            void.outcomes.sort_by_key(by);
            voided.push((shown(&void.row), void.at_ms, void.outcomes));
        }
    }
    let mut fates = Vec::new();
    for id in 1..IDS {
        let (outcomes, mut attempts) = store.fate(EventId(id)).await.unwrap();
        attempts.sort_by_key(by);
        let row = store.event(EventId(id)).await.unwrap();
        fates.push((outcomes, attempts, row.as_ref().map(shown)));
    }
    format!(
        "{site:?}\n{beginning:?}\n{ledger:?}\n{log:?}\n{lanes:#?}\n{attempts:#?}\n{ahead:#?}\n{workers:?}\n\
         {rows:#?}\n{tail:#?}\n{latest:#?}\n{of_one:#?}\n{dead:#?}\n{highest:#?}\n{fates:#?}\n{beyond:#?}\n{voided:#?}"
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn sqlite_does_what_the_model_does(steps in vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let open = || Sqlite::open(folder.path(), &Options::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let model = Memory::default();
        let mut plain = model.opened();
        let mut store = open();
        for (at, step) in steps.iter().enumerate() {
            if matches!(step, Step::Reopen) {
                let before = runtime.block_on(all(&store));
                drop(store);
                store = open();
                plain = model.opened();
                prop_assert_eq!(runtime.block_on(all(&store)), before, "reopened at {}", at);
                continue;
            }
            let wanted = runtime.block_on(put(&plain, step));
            prop_assert_eq!(runtime.block_on(put(&store, step)), wanted, "step {}", at);
        }
        prop_assert_eq!(runtime.block_on(all(&store)), runtime.block_on(all(&plain)));
    }
}
