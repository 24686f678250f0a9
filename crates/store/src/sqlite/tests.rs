//! What only shows from inside: faults of the disk, groups, and formats to come.

use rusqlite::ffi;
use slated_model::{CallbackId, Event, Failure, FailureKind, LaneRow, LedgerChange, Outcome};
use tempfile::TempDir;

use super::*;

fn open(folder: &Path) -> Sqlite {
    Sqlite::open(folder, &Options::default()).unwrap()
}

fn append(ids: impl IntoIterator<Item = u64>) -> Append {
    let event = |id| {
        let text = format!("{{\"id\":{id},\"text\":\"{}\"}}", "x".repeat(600));
        (Event::parse(&text).unwrap(), false)
    };
    Append {
        events: ids.into_iter().map(event).collect(),
        ledger: LedgerChange::default(),
    }
}

async fn ids(store: &Sqlite) -> Vec<u64> {
    let rows = store.rows(Offset(0), usize::MAX).await.unwrap();
    rows.iter().map(|row| row.event.id.0).collect()
}

/// Lets the file grow to no more than it has, as a full disk does.
async fn fill_disk(store: &Sqlite) {
    store
        .write(|txn| {
            let pages: i64 = txn
                .conn
                .pragma_query_value(None, "page_count", |row| row.get(0))?;
            Ok(set_most_pages(txn, pages)?)
        })
        .await
        .unwrap();
}

async fn empty_disk(store: &Sqlite) {
    store
        .write(|txn| Ok(set_most_pages(txn, i64::from(i32::MAX))?))
        .await
        .unwrap();
}

fn set_most_pages(txn: &Txn<'_>, most: i64) -> rusqlite::Result<()> {
    txn.conn
        .pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))
}

fn failing(code: i32) -> Stop {
    Stop::Db(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
}

#[tokio::test]
async fn a_full_disk_writes_nothing_and_heals() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(append([1])).await.unwrap();
    fill_disk(&store).await;
    for _ in 0..2 {
        match store.append(append(2..200)).await {
            Err(Error::NoRoom { folder: told, .. }) => assert_eq!(told, folder.path()),
            other => panic!("{other:?}"),
        }
        assert_eq!(ids(&store).await, [1]);
    }
    empty_disk(&store).await;
    let end = store.append(append(2..200)).await.unwrap().end;
    assert_eq!(end, Offset(199));
    drop(store);
    assert_eq!(ids(&open(folder.path())).await.len(), 199);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_until_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(append([1])).await.unwrap();
    let end = store
        .write::<(), _>(|_| Err(failing(ffi::SQLITE_IOERR_FSYNC)))
        .await;
    assert!(matches!(end, Err(Error::Failed { .. })), "{end:?}");
    for _ in 0..2 {
        let end = store.append(append([2])).await;
        assert!(matches!(end, Err(Error::Failed { .. })), "{end:?}");
    }
    // Looking is still allowed.
    assert_eq!(ids(&store).await, [1]);
    drop(store);
    let store = open(folder.path());
    assert_eq!(ids(&store).await, [1]);
    store.append(append([2])).await.unwrap();
}

/// Keeps the writer busy until the returned end is dropped, so that what is asked for
/// meanwhile becomes one group.
async fn busy(store: &Sqlite) -> (std::sync::mpsc::Sender<()>, impl Future<Output = ()>) {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (begun, began) = oneshot::channel();
    let mut begun = Some(begun);
    let (message, answer) = writer::task(move |_| {
        begun.take().map(|begun| begun.send(()));
        wait.recv().ok();
        Ok(())
    });
    let queue = store.queue.as_ref().unwrap();
    assert!(queue.send(message).await.is_ok());
    began.await.unwrap();
    (go, async { answer.await.unwrap().unwrap() })
}

/// Asks for good writes around a bad one, all in one group; returns how they ended.
async fn group(store: &Sqlite, bad: fn() -> Stop) -> [Result<()>; 3] {
    let (go, begun) = busy(store).await;
    let one = async { store.append(append([1])).await.map(drop) };
    let two = store.write::<(), _>(move |txn| {
        log::append(txn, &append([5]))?;
        Err(bad())
    });
    let three = async { store.append(append([2])).await.map(drop) };
    let release = async {
        // The queue holds all three once this one runs.
        drop(go);
    };
    let (one, two, three, (), ()) = tokio::join!(one, two, three, release, begun);
    [one, two, three]
}

#[tokio::test]
async fn in_a_group_a_refused_write_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ends = group(&store, || Stop::Refused(Error::Duplicate(EventId(5)))).await;
    assert!(
        matches!(ends, [Ok(()), Err(Error::Duplicate(_)), Ok(())]),
        "{ends:?}"
    );
    assert_eq!(ids(&store).await, [1, 2]);
    // So does one that can never be stored.
    let (one, two) = tokio::join!(
        store.write::<(), _>(|_| Err(failing(ffi::SQLITE_TOOBIG))),
        store.append(append([3]))
    );
    assert!(matches!(one, Err(Error::Unfit { .. })), "{one:?}");
    assert_eq!(two.unwrap().end, Offset(3));
}

#[tokio::test]
async fn in_a_group_a_fault_of_the_disk_fails_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ends = group(&store, || failing(ffi::SQLITE_FULL)).await;
    for end in ends {
        assert!(matches!(end, Err(Error::NoRoom { .. })), "{end:?}");
    }
    assert_eq!(ids(&store).await, [0_u64; 0]);
    store.append(append([1])).await.unwrap();
}

#[tokio::test]
async fn the_write_ahead_log_is_carried_over_as_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for page in 0..40 {
        let first = page * 500 + 1;
        store.append(append(first..first + 500)).await.unwrap();
    }
    let size = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
    // 20,000 rows are some 15 MB; the log starts over every few thousand.
    assert!(size("state.db") > 8 << 20, "{}", size("state.db"));
    assert!(size("state.db-wal") < 8 << 20, "{}", size("state.db-wal"));
}

/// The newest format.
const NEWEST: usize = schema::MIGRATIONS.len();

/// Formats of which one more may come.
fn later(step: &'static str) -> Vec<&'static str> {
    [schema::MIGRATIONS, &[step]].concat()
}

/// A step to a format that may come.
const STEP: &str = "ALTER TABLE worker ADD COLUMN host TEXT; CREATE TABLE later (x INTEGER) STRICT";

fn copy_of(folder: &TempDir) -> PathBuf {
    folder.path().join(format!("state.db.v{NEWEST}.bak"))
}

async fn old_state() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open_with(
        folder.path(),
        &Options {
            version: "0.1.0".into(),
        },
        schema::MIGRATIONS,
    )
    .unwrap();
    assert_eq!(store.migrated(), None);
    store.append(append([7])).await.unwrap();
    folder
}

#[tokio::test]
async fn a_copy_is_made_before_the_format_changes() {
    let folder = old_state().await;
    let (copy, newest) = (copy_of(&folder), u32::try_from(NEWEST).unwrap());
    let options = Options {
        version: "0.9.1".into(),
    };
    let store = Sqlite::open_with(folder.path(), &options, &later(STEP)).unwrap();
    let wanted = Migrated {
        from: newest,
        to: newest + 1,
        copy: copy.clone(),
    };
    assert_eq!(store.migrated(), Some(&wanted));
    assert_eq!(ids(&store).await, [7]);
    store.append(append([8])).await.unwrap();
    drop(store);
    // Once is enough.
    let store = Sqlite::open_with(folder.path(), &options, &later(STEP)).unwrap();
    assert_eq!(store.migrated(), None);
    drop(store);
    // The older slated refuses the file, names the newer one, and changes nothing.
    for end in [
        Sqlite::open(folder.path(), &Options::default()),
        Sqlite::open_read_only(folder.path()),
    ] {
        match end {
            Err(Error::Newer {
                found,
                known,
                version,
                ..
            }) => assert_eq!(
                (found, known, version.as_str()),
                (newest + 1, newest, "0.9.1")
            ),
            other => panic!("{other:?}"),
        }
    }
    // The copy is a whole state of the old format.
    std::fs::rename(&copy, folder.path().join("state.db")).unwrap();
    assert_eq!(ids(&open(folder.path())).await, [7]);
}

#[tokio::test]
async fn a_change_of_format_that_fails_leaves_the_old_one() {
    let folder = old_state().await;
    let broken = later("CREATE TABLE later (x); SELECT no_such_function()");
    let end = Sqlite::open_with(folder.path(), &Options::default(), &broken);
    assert!(end.is_err());
    let copy = copy_of(&folder);
    assert!(copy.exists());
    assert!(!copy.with_extension("bak.half").exists());
    let store = open(folder.path());
    assert_eq!(ids(&store).await, [7]);
}

#[tokio::test]
async fn a_listing_says_that_a_state_is_older_than_it_reads() {
    let folder = old_state().await;
    let conn = connect::immutable(folder.path()).unwrap();
    match connect::readable(&conn, folder.path(), NEWEST + 1) {
        Err(Error::Older { found, known, .. }) if found < known => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_durable_settings_are_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let settings = store
        .write(|txn| {
            let number = |name| {
                txn.conn
                    .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            };
            let journal: String = txn
                .conn
                .pragma_query_value(None, "journal_mode", |row| row.get(0))?;
            Ok((
                journal,
                number("synchronous")?,
                number("application_id")?,
                number("user_version")?,
            ))
        })
        .await
        .unwrap();
    let id = i64::from(schema::APPLICATION_ID);
    assert_eq!(settings, ("wal".to_owned(), 2, id, 4));
}

#[tokio::test]
async fn a_state_of_the_first_format_goes_on_and_finds_its_dead_letters() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(append([7, 8])).await.unwrap();
    let row = |event, outcome| OutcomeRow {
        plugin: PluginId::new("/p", "a"),
        callback: CallbackId::new("f", 1),
        event: EventId(event),
        attempt: 1,
        outcome,
        at_ms: 1,
    };
    let failure = Failure {
        kind: FailureKind::Raised,
        error: "ValueError".into(),
        message: String::new(),
        traceback: String::new(),
        locals: None,
        cause: None,
        us: None,
        log: Vec::new(),
    };
    let dead = Outcome::DeadLetter {
        failure: Box::new(failure),
    };
    let rows = [row(7, dead), row(8, Outcome::Done { us: 1 })];
    let changes = rows.iter().cloned().map(Change::Outcome).collect();
    store.record(changes).await.unwrap();
    store.write(old_lane).await.unwrap();
    drop(store);
    // What this slated writes, without what later formats have.
    let conn = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    let older = "DROP INDEX outcome_dead_of; DROP TABLE void; DROP TABLE void_outcome;
                 DROP INDEX outcome_dead; ALTER TABLE lane DROP COLUMN more;
                 PRAGMA user_version = 1";
    conn.execute_batch(older).unwrap();
    drop(conn);
    let store = open(folder.path());
    let lanes = store.snapshot().await.unwrap().lanes;
    assert_eq!(lanes, [LaneRow::new(PluginId::new("/p", "a"), Offset(1))]);
    store
        .record(vec![Change::Lane(lanes[0].clone())])
        .await
        .unwrap();
    assert_eq!(store.migrated().map(|m| (m.from, m.to)), Some((1, 4)));
    let letters = store.dead_letters(None, None, 9).await.unwrap();
    assert_eq!(letters.rows, rows[..1]);
    // No walk over all outcomes leads to them.
    let plan = store
        .write(|txn| {
            let sql = "EXPLAIN QUERY PLAN SELECT * FROM outcome o
                       WHERE o.kind = 'dead_letter' ORDER BY o.seq DESC LIMIT ?1";
            let plan = txn
                .conn
                .query_row(sql, [5], |row| row.get::<_, String>(3))?;
            Ok(plan)
        })
        .await
        .unwrap();
    assert!(plan.contains("outcome_dead"), "{plan}");
}

/// Writes a lane as it was written before it could have more than that.
fn old_lane(txn: &mut Txn<'_>) -> std::result::Result<(), Stop> {
    let plugin = txn.plugin(&PluginId::new("/p", "a"))?;
    let columns = record::LaneColumns {
        plugin,
        floor: None,
        owed: "[]",
        in_line_from: 0,
        hold: None,
        stopped: false,
        gone: false,
        content: "",
        mtime_ns: 0,
        skipped: "[]",
        moved_to: None,
        more: None,
    };
    txn.conn.execute(
        "INSERT INTO lane VALUES (?1, NULL, '[]', 0, NULL, 0, 0, '', 0, '[]', NULL, ?2, NULL)",
        (plugin, columns.sum()),
    )?;
    txn.conn.execute(
        "INSERT INTO cursor VALUES (?1, 1, ?2)",
        (plugin, record::cursor_sum(plugin, 1)),
    )?;
    Ok(())
}
