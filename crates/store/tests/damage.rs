//! A state that somebody or something changed behind our back, and states of others.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use std::path::Path;

use rusqlite::Connection;
use slated_model::{
    CallbackId, Change, Event, EventId, Hole, LaneRow, LedgerChange, Offset, Outcome, OutcomeRow,
    PluginId,
};
use slated_store::{Append, Error, Options, Sqlite, Store};
use tempfile::TempDir;

fn open(folder: &TempDir) -> Sqlite {
    Sqlite::open(folder.path(), &Options::default()).unwrap()
}

fn plugin() -> PluginId {
    PluginId::new("/srv/plugins", "notes")
}

/// A closed state with a row in every table that is checked.
async fn state() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.bind_site("https://a.example".into()).await.unwrap();
    let event = |id| Event::parse(&format!("{{\"id\":{id},\"event_type\":\"A\"}}")).unwrap();
    let append = Append {
        events: vec![(event(10), false), (event(12), false)],
        ledger: LedgerChange {
            high: EventId(12),
            put: vec![Hole {
                lo: EventId(11),
                hi: EventId(11),
                age_ms: 5,
                looks: 2,
            }],
            ..LedgerChange::default()
        },
    };
    store.append(append).await.unwrap();
    let lane = LaneRow::new(plugin(), Offset(1));
    let outcome = OutcomeRow {
        plugin: plugin(),
        callback: CallbackId::new("f", 1),
        event: EventId(10),
        attempt: 1,
        outcome: Outcome::Done { us: 1 },
        at_ms: 0,
    };
    store
        .record(vec![Change::Lane(lane), Change::Outcome(outcome)])
        .await
        .unwrap();
    drop(store);
    folder
}

fn sql(folder: &Path, text: &str) {
    let conn = Connection::open(folder.join("state.db")).unwrap();
    conn.execute_batch(text).unwrap();
    assert!(conn.changes() > 0 || text.starts_with("PRAGMA"), "{text}");
}

#[tokio::test]
async fn a_changed_row_that_a_start_reads_is_named() {
    for (change, named) in [
        (
            "UPDATE cursor SET offset = 2",
            "cursor of /srv/plugins/notes",
        ),
        ("UPDATE lane SET stopped = 1", "lane of /srv/plugins/notes"),
        ("UPDATE lane SET floor = 1", "lane of /srv/plugins/notes"),
        ("UPDATE lane SET owed = '[5]'", "lane of /srv/plugins/notes"),
        ("DELETE FROM cursor", "cursor of /srv/plugins/notes"),
        ("DELETE FROM plugin", "a lane's plugin"),
        ("DELETE FROM lane", "a lane is gone"),
        (
            "DELETE FROM meta WHERE key = 'ledger'",
            "meta row `ledger` is gone",
        ),
        (
            "UPDATE meta SET key = 'sitf' WHERE key = 'site'",
            "meta row `sitf`",
        ),
        ("UPDATE hole SET hi = 12", "hole 11"),
        ("UPDATE hole SET age_ms = 6", "hole 11"),
        (
            "UPDATE meta SET value = replace(value, '12', '13') WHERE key = 'ledger'",
            "meta row `ledger`",
        ),
        (
            "UPDATE meta SET value = 'https://b.example' WHERE key = 'site'",
            "meta row `site`",
        ),
        (
            "UPDATE meta SET value = CAST(x'ff' AS TEXT) WHERE key = 'site'",
            "meta row `site`",
        ),
    ] {
        let folder = state().await;
        sql(folder.path(), change);
        let store = open(&folder);
        match store.snapshot().await {
            Err(Error::Damaged { folder: told, what }) => {
                assert_eq!(told, folder.path());
                assert!(what.contains(named), "{change}: {what}");
            }
            other => panic!("{change}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_changed_body_is_never_handed_out() {
    for change in [
        "UPDATE event SET body = replace(body, '\"A\"', '\"B\"') WHERE id = 12",
        "UPDATE event SET event_type = 'B' WHERE id = 12",
        "UPDATE event SET late = 1 WHERE id = 12",
        "UPDATE event SET unreadable = body, body = NULL WHERE id = 12",
        "UPDATE event SET body = CAST(x'ff' AS TEXT) WHERE id = 12",
        "UPDATE event SET crc = crc + 1 WHERE id = 12",
    ] {
        let folder = state().await;
        sql(folder.path(), change);
        let store = open(&folder);
        store.snapshot().await.unwrap();
        // The rows before it are as good as ever.
        let good = store.rows(Offset(0), 1).await.unwrap();
        assert_eq!(good[0].event.id, EventId(10));
        assert!(store.event(EventId(10)).await.unwrap().is_some());
        let by_place = store.rows(Offset(0), 2).await.map(drop);
        let by_id = store.event(EventId(12)).await.map(drop);
        for end in [by_place, by_id] {
            match end {
                Err(Error::Damaged { what, .. }) => {
                    assert!(what.contains("event 12 at offset 2"), "{change}: {what}");
                }
                other => panic!("{change}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_outcome_of_no_known_kind_is_named() {
    let folder = state().await;
    sql(folder.path(), "UPDATE outcome SET kind = 'dome'");
    let store = open(&folder);
    match store.fate(EventId(10)).await {
        Err(Error::Damaged { what, .. }) => {
            assert!(what.contains("outcome of event 10"), "{what}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_damaged_epoch_is_found_at_opening() {
    for change in [
        "UPDATE meta SET value = '0' WHERE key = 'epoch'",
        "UPDATE meta SET value = '7' WHERE key = 'epoch'",
        "DELETE FROM meta WHERE key = 'epoch'",
    ] {
        let folder = state().await;
        sql(folder.path(), change);
        match Sqlite::open(folder.path(), &Options::default()) {
            Err(Error::Damaged { what, .. }) => assert!(what.contains("epoch"), "{what}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn broken_pages_are_damage_and_no_panic() {
    let folder = state().await;
    let path = folder.path().join("state.db");
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in bytes.iter_mut().skip(4096) {
        *byte = 0xA5;
    }
    std::fs::write(&path, bytes).unwrap();
    match Sqlite::open(folder.path(), &Options::default()) {
        Err(Error::Damaged { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    for end in [
        Sqlite::open(folder.path(), &Options::default()),
        Sqlite::open_read_only(folder.path()),
    ] {
        match end {
            Err(Error::Damaged { what, .. }) => {
                assert!(what.contains("not a state of slated"), "{what}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    // Nor is a text file.
    std::fs::write(
        &path,
        "no database at all, but long enough to look at twice",
    )
    .unwrap();
    match Sqlite::open(folder.path(), &Options::default()) {
        Err(Error::Damaged { .. }) => {}
        other => panic!("{other:?}"),
    }
}
