//! The files of a state cut, torn, zeroed, swapped and flipped, as crashes, bad disks and people do.
//!
//! A history of commits is written, and what stands on record is read after each. Then files are
//! spoilt, and whatever opens must be one of those states, whole; or be refused; or be found damaged
//! when it is read or looked through. Anything else is a silent gap, and the test fails with the seed.
//!
//! `SLATED_TORN_CASES=20000 SLATED_SEED=7` looks longer, and elsewhere.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use slated_model::{
    Attempt, CallbackId, Change, Event, EventId, Failure, FailureKind, Hole, LaneRow, Offset,
    Outcome, OutcomeRow, PluginId,
};
use slated_store::{Append, Error, Options, Sqlite, Store};

/// More commits than the write-ahead log is left alone for, so that it is carried over once.
const COMMITS: usize = 215;
const PAGE: usize = 4096;
const SITE: &str = "https://studio.example";

/// What stands on record, as far as delivery goes by it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    log: Vec<(u64, u64, bool, String)>,
    ledger: String,
    lanes: String,
    attempts: BTreeSet<String>,
    outcomes: BTreeSet<String>,
    ahead: BTreeSet<String>,
    site: Option<String>,
}

/// The files after a commit, and what they say.
struct Moment {
    database: Vec<u8>,
    log: Vec<u8>,
    state: State,
}

fn plugin(n: u64) -> PluginId {
    PluginId::new("/srv/plugins", format!("p{n}"))
}

fn outcome(row: &OutcomeRow) -> String {
    let kind = match row.outcome {
        Outcome::Done { .. } => "done",
        Outcome::DeadLetter { .. } => "dead letter",
        Outcome::Discarded { .. } => "discarded",
    };
    format!("{} {} {} {kind}", row.plugin, row.callback, row.event)
}

/// Reads all that delivery goes by; an error is damage that a read found.
async fn read(store: &Sqlite) -> Result<State, Error> {
    let snapshot = store.snapshot().await?;
    let rows = store.rows(Offset(0), usize::MAX).await?;
    let attempt = |a: &Attempt| {
        format!(
            "{} {} {} {} {} {} {}",
            a.plugin, a.callback, a.event, a.offset, a.aside, a.failed, a.deaths
        )
    };
    let outcomes = store.latest(None, usize::MAX).await?;
    for row in &rows {
        let found = store.event(row.event.id).await?;
        // As a recall of another attempt does: the index must lead to it.
        if found.is_none_or(|found| found.offset != row.offset) {
            let what = format!("event {} is not found by its id", row.event.id);
            return Err(Error::Damaged {
                folder: store.folder().to_owned(),
                what,
            });
        }
    }
    Ok(State {
        log: rows
            .iter()
            .map(|row| {
                let body = format!("{:?}", row.event.body);
                (row.offset.0, row.event.id.0, row.late, body)
            })
            .collect(),
        ledger: format!("{:?}", snapshot.ledger),
        lanes: format!("{:?}", snapshot.lanes),
        attempts: snapshot.attempts.iter().map(attempt).collect(),
        outcomes: outcomes.iter().map(outcome).collect(),
        ahead: snapshot.ahead.iter().map(outcome).collect(),
        site: snapshot.site,
    })
}

fn failure() -> Failure {
    Failure {
        kind: FailureKind::Raised,
        error: "ValueError".into(),
        message: "no shot".into(),
        traceback: "Traceback".into(),
        locals: None,
        cause: None,
        us: None,
        log: Vec::new(),
    }
}

/// One commit of a follower or of a lane.
async fn commit(store: &Sqlite, dice: &mut fastrand::Rng, n: usize, high: &mut u64) {
    if n.is_multiple_of(3) {
        let mut append = Append::default();
        for _ in 0..dice.u64(1..5) {
            *high += 1;
            if dice.u8(..5) == 0 {
                append.ledger.put.push(Hole {
                    lo: EventId(*high),
                    hi: EventId(*high + 2),
                    age_ms: n as u64,
                    looks: 3,
                });
                *high += 3;
            }
            let text = format!(
                "{{\"id\":{high},\"event_type\":\"A\",\"text\":\"{}\"}}",
                "x".repeat(dice.usize(100..900))
            );
            append.events.push((Event::parse(&text).unwrap(), false));
        }
        append.ledger.high = EventId(*high);
        store.append(append).await.unwrap();
        return;
    }
    let rows = store.rows(Offset(0), usize::MAX).await.unwrap();
    let row = &rows[dice.usize(rows.len() / 2..rows.len())];
    let plugin = plugin(dice.u64(0..3));
    let unit = |outcome| OutcomeRow {
        plugin: plugin.clone(),
        callback: CallbackId::new(["f", "g"][n % 2], 1),
        event: row.event.id,
        attempt: 1,
        outcome,
        at_ms: 5,
    };
    let change = match dice.u8(..6) {
        0 => Change::Outcome(unit(Outcome::DeadLetter {
            failure: Box::new(failure()),
        })),
        1 => Change::Attempt(Attempt {
            plugin: plugin.clone(),
            callback: CallbackId::new("h", 1),
            event: row.event.id,
            offset: row.offset,
            aside: true,
            failed: 1,
            deaths: 0,
            since_ms: 0,
            left_ms: 900,
            failure: failure(),
            at_ms: 5,
        }),
        _ => Change::Outcome(unit(Outcome::Done { us: 7 })),
    };
    let cursor = Change::Cursor {
        plugin,
        cursor: Offset(row.offset.0.saturating_sub(dice.u64(0..4))),
    };
    store.record(vec![change, cursor]).await.unwrap();
}

/// Writes a history, and keeps every moment of it.
async fn history(dice: &mut fastrand::Rng) -> Vec<Moment> {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path(), &Options::default()).unwrap();
    store.bind_site(SITE.into()).await.unwrap();
    let lanes = (0..3).map(|n| Change::Lane(LaneRow::new(plugin(n), Offset(0))));
    store.record(lanes.collect()).await.unwrap();
    let mut high = 0;
    let mut moments = Vec::new();
    for n in 0..COMMITS {
        commit(&store, dice, n, &mut high).await;
        let state = read(&store).await.unwrap();
        let file = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        let (database, log) = loop {
            // The log is carried over after the commit was told.
            let (database, log) = (file("state.db"), file("state.db-wal"));
            if database == file("state.db") {
                break (database, log);
            }
        };
        moments.push(Moment {
            database,
            log,
            state,
        });
    }
    // And one at rest: no log hides what is wrong with the database.
    let state = read(&store).await.unwrap();
    store.close().await;
    drop(store);
    moments.push(Moment {
        database: std::fs::read(folder.path().join("state.db")).unwrap(),
        log: Vec::new(),
        state,
    });
    moments
}

/// What a case spoils.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Spoil {
    /// A commit that is only half on disk.
    TornCommit,
    /// A carrying over that is only half on disk.
    TornCarry,
    CutLog,
    CutDatabase,
    NoLog,
    Index,
    ZeroedLog,
    ZeroedDatabase,
    Swapped,
    FlippedLog,
    FlippedDatabase,
}

const SPOILS: [Spoil; 11] = [
    Spoil::TornCommit,
    Spoil::TornCarry,
    Spoil::CutLog,
    Spoil::CutDatabase,
    Spoil::NoLog,
    Spoil::Index,
    Spoil::ZeroedLog,
    Spoil::ZeroedDatabase,
    Spoil::Swapped,
    Spoil::FlippedLog,
    Spoil::FlippedDatabase,
];

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Newest,
    Earlier,
    Refused,
    FoundByRead,
    FoundByCheck,
}

fn torn(old: &[u8], new: &[u8], dice: &mut fastrand::Rng) -> Vec<u8> {
    let first = old.iter().zip(new).position(|(a, b)| a != b);
    let first = first.unwrap_or_else(|| old.len().min(new.len()));
    let cut = dice.usize(first..=new.len());
    let mut bytes = new[..cut].to_vec();
    bytes.extend(old.get(cut..).unwrap_or_default());
    bytes
}

fn zero_tail(bytes: &mut [u8], dice: &mut fastrand::Rng) {
    let from = dice.usize(..bytes.len());
    bytes[from..].fill(0);
}

fn flip(bytes: &mut [u8], dice: &mut fastrand::Rng) {
    for _ in 0..dice.usize(1..4) {
        let at = dice.usize(..bytes.len());
        bytes[at] ^= 1 << dice.u8(..8);
    }
}

/// Spoils the files of a moment, puts them into a folder; returns what is spoilt, and the numbers of
/// the states that must be found if the fault is one that every crash may leave.
fn spoil(
    folder: &Path,
    moments: &[Moment],
    what: Spoil,
    dice: &mut fastrand::Rng,
) -> Option<std::ops::RangeInclusive<usize>> {
    let carried = |n: &usize| moments[*n].database != moments[*n - 1].database;
    let at = match what {
        Spoil::TornCarry => (1..moments.len() - 1).rfind(carried).unwrap(),
        Spoil::CutDatabase | Spoil::ZeroedDatabase | Spoil::Swapped | Spoil::FlippedDatabase
            if dice.bool() =>
        {
            moments.len() - 1
        }
        _ => dice.usize(1..moments.len() - 1),
    };
    let (before, now) = (&moments[at - 1], &moments[at]);
    let begun_anew = !now.log.starts_with(&before.log);
    let (mut database, mut log) = (now.database.clone(), now.log.clone());
    let mut wanted = None;
    match what {
        Spoil::TornCommit => {
            // The log begins anew only after it was carried over, and synced.
            if !begun_anew {
                database.clone_from(&before.database);
            }
            log = torn(&before.log, &now.log, dice);
            wanted = Some(at - 1..=at);
        }
        Spoil::TornCarry => {
            // Pages go over in any order, and the log stays until they are synced.
            for page in 0..database.len() / PAGE {
                let place = page * PAGE..(page + 1) * PAGE;
                if dice.bool()
                    && let Some(old) = before.database.get(place.clone())
                {
                    database[place].copy_from_slice(old);
                }
            }
            // It was carried over before the commit that began it anew, or after the last one in it.
            if begun_anew {
                log.clone_from(&before.log);
            }
            let carried = at - usize::from(begun_anew);
            wanted = Some(carried..=carried);
        }
        Spoil::CutLog => log.truncate(dice.usize(..log.len())),
        Spoil::CutDatabase => database.truncate(dice.usize(..database.len())),
        Spoil::NoLog => {}
        Spoil::Index => wanted = Some(at..=at),
        Spoil::ZeroedLog => zero_tail(&mut log, dice),
        Spoil::ZeroedDatabase => zero_tail(&mut database, dice),
        Spoil::Swapped => {
            let pages = database.len() / PAGE;
            let (one, two) = (dice.usize(..pages), dice.usize(..pages));
            for byte in 0..PAGE {
                database.swap(one * PAGE + byte, two * PAGE + byte);
            }
        }
        Spoil::FlippedLog => flip(&mut log, dice),
        Spoil::FlippedDatabase => flip(&mut database, dice),
    }
    std::fs::write(folder.join("state.db"), database).unwrap();
    if what != Spoil::NoLog {
        std::fs::write(folder.join("state.db-wal"), log).unwrap();
    }
    if what == Spoil::Index {
        let mut index = vec![0; 32 * 1024];
        dice.fill(&mut index);
        std::fs::write(folder.join("state.db-shm"), index).unwrap();
    }
    wanted
}

/// Opens a spoilt state as a daemon does, and says what came of it; `Err` is a silent gap.
async fn judge(folder: &Path, moments: &[Moment]) -> Result<(End, Option<usize>), String> {
    let refused = |err: &Error| match err {
        Error::Damaged { .. } | Error::Failed { .. } | Error::Newer { .. } => Ok(()),
        other => Err(format!("refused for no reason of a damaged file: {other}")),
    };
    let store = match Sqlite::open(folder, &Options::default()) {
        Ok(store) => store,
        Err(err) => return refused(&err).map(|()| (End::Refused, None)),
    };
    if let Err(err) = store.snapshot().await {
        return refused(&err).map(|()| (End::Refused, None));
    }
    let state = match read(&store).await {
        Ok(state) => state,
        Err(err) => return refused(&err).map(|()| (End::FoundByRead, None)),
    };
    store.close().await;
    drop(store);
    // Some states are the same as the one before: the newest counts.
    if let Some(n) = moments.iter().rposition(|m| m.state == state) {
        return Ok((End::Earlier, Some(n)));
    }
    match Sqlite::check(folder) {
        Ok(checked) if checked.is_sound() => Err(gap(&state, moments)),
        Ok(_) => Ok((End::FoundByCheck, None)),
        Err(err) => refused(&err).map(|()| (End::FoundByCheck, None)),
    }
}

/// Says how a state differs from the one it is most like.
fn gap(state: &State, moments: &[Moment]) -> String {
    let parts = |s: &State| {
        let log = format!("{:?}", s.log.iter().map(|row| row.1).collect::<Vec<_>>());
        let sets = [&s.attempts, &s.outcomes, &s.ahead].map(|set| format!("{set:?}"));
        let [attempts, outcomes, ahead] = sets;
        [
            ("log", log),
            ("bodies", format!("{:?}", s.log)),
            ("site", format!("{:?}", s.site)),
            ("ledger", s.ledger.clone()),
            ("lanes", s.lanes.clone()),
            ("attempts", attempts),
            ("outcomes", outcomes),
            ("ahead", ahead),
        ]
    };
    let found = parts(state);
    let differ = |m: &&Moment| {
        let theirs = parts(&m.state);
        found.iter().zip(&theirs).filter(|(a, b)| a != b).count()
    };
    let nearest = moments.iter().min_by_key(differ).map(|m| parts(&m.state));
    let pairs = found.iter().zip(nearest.iter().flatten());
    let pairs = pairs.filter(|(a, b)| a != b);
    let pairs: Vec<_> = pairs
        .map(|(a, b)| format!("{}: {}\n  was {}", a.0, a.1, b.1))
        .collect();
    format!("never was, and is taken for sound\n{}", pairs.join("\n"))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn spoilt_files_open_at_a_state_that_was_or_are_found_out() {
    let seed = number("SLATED_SEED").unwrap_or(1);
    let cases = number("SLATED_TORN_CASES").unwrap_or(330);
    eprintln!("SLATED_SEED={seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let moments = history(&mut dice).await;
    let mut ends = BTreeMap::<(Spoil, End), u32>::new();
    for case in 0..cases {
        let what = SPOILS[usize::try_from(case).unwrap() % SPOILS.len()];
        let folder = tempfile::tempdir().unwrap();
        let wanted = spoil(folder.path(), &moments, what, &mut dice);
        let end = judge(folder.path(), &moments).await;
        let (mut end, state) = end.unwrap_or_else(|gap| panic!("case {case}, {what:?}: {gap}"));
        if let Some(wanted) = wanted {
            let found =
                state.is_some_and(|n| wanted.clone().any(|w| moments[w].state == moments[n].state));
            assert!(
                found,
                "case {case}, {what:?}: {end:?} {state:?}, not {wanted:?}"
            );
            end = End::Newest;
        }
        *ends.entry((what, end)).or_default() += 1;
    }
    for ((what, end), count) in &ends {
        eprintln!("{what:?} {end:?}: {count}");
    }
    // What proves something must have happened.
    for end in [End::Newest, End::Earlier, End::Refused] {
        assert!(ends.keys().any(|(_, e)| *e == end), "no case was {end:?}");
    }
}
