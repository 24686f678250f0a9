//! A state looked through, copied while somebody writes it, and put back.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use slated_model::{
    CallbackId, Change, Event, EventId, LaneRow, LedgerChange, Offset, Outcome, OutcomeRow,
    PluginId,
};
use slated_store::{Append, Error, Options, Sqlite, Store};

fn plugin() -> PluginId {
    PluginId::new("/srv/plugins", "notes")
}

async fn append(store: &Sqlite, ids: std::ops::RangeInclusive<u64>) {
    let event = |id| (Event::parse(&format!("{{\"id\":{id}}}")).unwrap(), false);
    let append = Append {
        events: ids.clone().map(event).collect(),
        ledger: LedgerChange {
            high: EventId(*ids.end()),
            ..LedgerChange::default()
        },
    };
    store.append(append).await.unwrap();
}

/// A state with 2,500 events, of which as many are done as is said.
async fn state(folder: &Path, done: u64) -> Sqlite {
    let store = Sqlite::open(folder, &Options::default()).unwrap();
    append(&store, 1..=2500).await;
    let lane = Change::Lane(LaneRow::new(plugin(), Offset(0)));
    let outcome = |event| {
        Change::Outcome(OutcomeRow {
            plugin: plugin(),
            callback: CallbackId::new("f", 1),
            event: EventId(event),
            attempt: 1,
            outcome: Outcome::Done { us: 1 },
            at_ms: 0,
        })
    };
    let changes = std::iter::once(lane).chain((1..=done).map(outcome));
    store.record(changes.collect()).await.unwrap();
    store
}

fn sql(folder: &Path, text: &str) {
    let conn = Connection::open(folder.join("state.db")).unwrap();
    conn.execute_batch(text).unwrap();
}

#[tokio::test]
async fn a_look_counts_what_is_there_and_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let store = state(folder.path(), 1200).await;
    // Beside the process that writes.
    let checked = Sqlite::check(folder.path()).unwrap();
    assert_eq!((checked.events, checked.outcomes), (2500, 1200));
    assert!(checked.is_sound(), "{checked:?}");
    drop(store);
    for (change, named) in [
        ("UPDATE event SET body = '{}' WHERE id = 2101", "event 2101"),
        (
            "UPDATE outcome SET kind = 'x' WHERE event = 1100",
            "event 1100",
        ),
        ("UPDATE outcome SET us = NULL WHERE event = 7", "event 7"),
        ("UPDATE lane SET stopped = 1", "lane of /srv/plugins/notes"),
    ] {
        let before = Sqlite::check(folder.path()).unwrap().damage.len();
        sql(folder.path(), change);
        let checked = Sqlite::check(folder.path()).unwrap();
        assert_eq!(checked.damage.len(), before + 1, "{change}: {checked:?}");
        let found = checked.damage.iter().any(|d| d.contains(named));
        assert!(found, "{change}: {checked:?}");
    }
    sql(folder.path(), "UPDATE event SET late = 1");
    let checked = Sqlite::check(folder.path()).unwrap();
    assert_eq!(checked.damage.len(), 20);
    assert!(checked.more > 2400, "{}", checked.more);
}

#[tokio::test]
async fn a_page_that_is_not_what_was_written_is_found() {
    let folder = tempfile::tempdir().unwrap();
    drop(state(folder.path(), 2000).await);
    let path = folder.path().join("state.db");
    let whole = std::fs::read(&path).unwrap();
    let mut found = 0;
    // Bytes all over the file: in rows, in indexes, in pages' heads.
    for at in (4096..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&path, bytes).unwrap();
        let checked = Sqlite::check(folder.path());
        found += u32::from(!checked.is_ok_and(|c| c.is_sound()));
    }
    // Outcomes carry no sums, and some bytes are nobody's.
    assert!(found >= 10, "{found}");
}

#[tokio::test]
async fn a_backup_of_a_state_that_is_written_is_one_moment_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = state(folder.path(), 10).await;
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy.db");
    let (from, to) = (folder.path().to_owned(), copy.clone());
    let copying = tokio::task::spawn_blocking(move || Sqlite::back_up(&from, &to));
    for first in (2501..4500).step_by(50) {
        append(&store, first..=first + 49).await;
    }
    let checked = copying.await.unwrap().unwrap();
    assert!(checked.is_sound() && checked.events >= 2500, "{checked:?}");
    // Each append is whole or not in it.
    assert_eq!(checked.events % 50, 0);
    let mode = copy.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Nothing that stands is replaced, and nothing is left half; it is no fault of the state.
    for to in [copy.clone(), copies.path().join("nowhere/copy.db")] {
        let refused = Sqlite::back_up(folder.path(), &to);
        assert!(
            matches!(&refused, Err(Error::NoCopy { file, .. }) if *file == to),
            "{refused:?}"
        );
    }
    assert_eq!(std::fs::read_dir(copies.path()).unwrap().count(), 1);
}

/// Makes a file that is no database.
fn no_database(folder: &Path) -> PathBuf {
    let path = folder.join("run.log");
    std::fs::write(
        &path,
        "2026-11-25 15:26:16,494 INFO slated starts.\n".repeat(200),
    )
    .unwrap();
    path
}

#[tokio::test]
async fn a_backup_takes_the_place_of_a_state_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = state(folder.path(), 10).await;
    let copy = folder.path().join("copy.db");
    Sqlite::back_up(folder.path(), &copy).unwrap();
    append(&store, 2501..=2600).await;
    // Not under the feet of whoever holds it.
    let refused = Sqlite::restore(folder.path(), &copy);
    assert!(matches!(refused, Err(Error::InUse { .. })), "{refused:?}");
    drop(store);
    let (checked, aside) = Sqlite::restore(folder.path(), &copy).unwrap();
    assert_eq!((checked.is_sound(), checked.events), (true, 2500));
    let aside = aside.unwrap();
    let store = Sqlite::open(folder.path(), &Options::default()).unwrap();
    assert_eq!(store.snapshot().await.unwrap().log.end, Offset(2500));
    drop(store);
    // The other one stands beside it, whole; it can be put back, too.
    let (_, second) = Sqlite::restore(folder.path(), &aside).unwrap();
    assert_ne!(second.as_ref(), Some(&aside));
    let store = Sqlite::open(folder.path(), &Options::default()).unwrap();
    assert_eq!(store.snapshot().await.unwrap().log.end, Offset(2600));
    drop(store);
    // A damaged copy changes nothing.
    let conn = Connection::open(&copy).unwrap();
    conn.execute_batch("UPDATE lane SET stopped = 1").unwrap();
    drop(conn);
    let (checked, aside) = Sqlite::restore(folder.path(), &copy).unwrap();
    assert!(!checked.is_sound() && aside.is_none());
    assert_eq!(Sqlite::check(folder.path()).unwrap().events, 2600);
    // So does what is no copy at all.
    let text = no_database(folder.path());
    for from in [text, folder.path().to_owned(), folder.path().join("absent")] {
        let refused = Sqlite::restore(folder.path(), &from);
        assert!(
            matches!(&refused, Err(Error::BadCopy { file, .. }) if *file == from),
            "{refused:?}"
        );
    }
    assert_eq!(Sqlite::check(folder.path()).unwrap().events, 2600);
    // Where nothing stood, nothing is kept.
    let empty = tempfile::tempdir().unwrap();
    let aside = Sqlite::restore(
        &empty.path().join("new"),
        folder.path().join("state.db").as_path(),
    );
    assert_eq!(aside.unwrap().1, None);
}
