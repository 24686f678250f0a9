//! Who may open a state, and how: one for writing, anybody for reading.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use slated_model::{Event, EventId, LedgerChange, Offset};
use slated_store::{Append, Error, Options, Sqlite, Store};

fn open(folder: &Path) -> Sqlite {
    Sqlite::open(folder, &Options::default()).unwrap()
}

fn append(id: u64) -> Append {
    Append {
        events: vec![(Event::parse(&format!("{{\"id\":{id}}}")).unwrap(), false)],
        ledger: LedgerChange::default(),
    }
}

fn files(folder: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(folder).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn a_second_opening_is_told_the_first_ones_pid() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("state");
    let first = open(&folder);
    let text = match Sqlite::open(&folder, &Options::default()) {
        Err(err @ Error::InUse { .. }) => err.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    // The first one has noticed nothing, and lets go when it is closed.
    first.append(append(1)).await.unwrap();
    first.close().await;
    let second = open(&folder);
    assert_eq!(second.snapshot().await.unwrap().log.end, Offset(1));
    // What was closed stays closed.
    assert!(matches!(first.append(append(2)).await, Err(Error::Closed)));
    assert!(matches!(first.snapshot().await, Err(Error::Closed)));
    first.close().await;
}

#[tokio::test]
async fn a_closed_state_is_one_private_file_and_its_lock() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("deep/state");
    let store = open(&folder);
    store.append(append(1)).await.unwrap();
    for name in files(&folder) {
        let mode = std::fs::metadata(folder.join(&name)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o077, 0, "{name}");
    }
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    drop(store);
    let wanted = ["lock", "state.db"].map(String::from);
    assert_eq!(files(&folder), BTreeSet::from(wanted));
    assert_eq!(std::fs::read_to_string(folder.join("lock")).unwrap(), "");
}

#[tokio::test]
async fn asked_for_before_the_close_is_done() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let many = futures_util::future::join_all((1..=50).map(|id| store.append(append(id))));
    let (ends, ()) = tokio::join!(many, store.close());
    let done = ends.iter().filter(|end| end.is_ok()).count();
    drop(store);
    let store = open(root.path());
    let rows = store.rows(Offset(0), 100).await.unwrap();
    assert_eq!(rows.len(), done);
    assert!(done > 0);
}

#[tokio::test]
async fn a_listing_reads_a_state_at_rest_and_leaves_no_trace() {
    let root = tempfile::tempdir().unwrap();
    // A name that would mean something in a URI.
    let folder = root.path().join("a?b#c%41 ü");
    match Sqlite::open_read_only(&folder) {
        Err(Error::Absent { folder: told }) => assert_eq!(told, folder),
        other => panic!("{other:?}"),
    }
    assert!(!folder.exists());
    let store = open(&folder);
    store.append(append(7)).await.unwrap();
    drop(store);
    let before = files(&folder);
    let listing = Sqlite::open_read_only(&folder).unwrap();
    let rows = listing.rows(Offset(0), 10).await.unwrap();
    assert_eq!(rows[0].event.id, EventId(7));
    assert_eq!(listing.snapshot().await.unwrap().epoch.0, 1);
    assert_eq!(files(&folder), before);
    // It holds nothing: the daemon may start, and the listing sees what it writes.
    let store = open(&folder);
    store.append(append(8)).await.unwrap();
    assert_eq!(listing.rows(Offset(0), 10).await.unwrap().len(), 2);
    // And may stop, and go on.
    drop(store);
    assert_eq!(listing.rows(Offset(0), 10).await.unwrap().len(), 2);
    let store = open(&folder);
    store.append(append(9)).await.unwrap();
    assert_eq!(listing.rows(Offset(0), 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_listing_may_not_write() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()));
    let listing = Sqlite::open_read_only(root.path()).unwrap();
    for end in [
        listing.append(append(1)).await.map(drop),
        listing.record(Vec::new()).await.map(drop),
        listing.bind_site("https://a".into()).await,
    ] {
        assert!(matches!(end, Err(Error::ReadOnly { .. })), "{end:?}");
    }
}

#[tokio::test]
async fn an_empty_file_is_no_state_yet() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("state.db"), "").unwrap();
    let end = Sqlite::open_read_only(root.path());
    assert!(matches!(end, Err(Error::Absent { .. })), "{end:?}");
    // A start makes one of it.
    drop(open(root.path()));
    Sqlite::open_read_only(root.path()).unwrap();
}

#[tokio::test]
async fn a_person_can_read_it_with_sqlite() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    store.append(append(7)).await.unwrap();
    let conn = rusqlite::Connection::open(root.path().join("state.db")).unwrap();
    let body: String = conn
        .query_row("SELECT body FROM event", [], |row| row.get(0))
        .unwrap();
    assert_eq!(body, "{\"id\":7}");
    for view in ["outcomes", "attempts", "lanes"] {
        let count: i64 = conn
            .query_row(&format!("SELECT count(*) FROM {view}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(count, 0, "{view}");
    }
    // And while they do, the daemon writes on.
    conn.execute_batch("BEGIN; SELECT count(*) FROM event")
        .unwrap();
    store.append(append(8)).await.unwrap();
}
