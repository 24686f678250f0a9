//! Single values: the epoch, the site, the version that wrote, the ledger's head.

use rusqlite::{Connection, OptionalExtension};

use super::crc::Crc;
use super::fault::Stop;

/// How often the state was opened for writing.
pub(super) const EPOCH: &str = "epoch";
/// The site's URL.
pub(super) const SITE: &str = "site";
/// The version of slated that opened the state last.
pub(super) const VERSION: &str = "written_by";
/// How the state began, as JSON.
pub(super) const BEGINNING: &str = "beginning";
/// The ledger without its holes, as JSON.
pub(super) const LEDGER: &str = "ledger";

/// The offset before the first row that retention has left, as a number. Rows before it are kept for
/// an attempt or a dead letter alone.
pub(super) const LOG_START: &str = "log_start";

/// Whether slated runs on the state.
pub(super) const RUNNING: &str = "running";

/// How old dead letters are, as JSON: numbers of outcomes, and the time watched since each was the
/// newest.
pub(super) const LETTERS: &str = "letters";

/// The event up to which outcomes were held against the log, as a number.
pub(super) const SWEPT: &str = "swept";

/// Reads a value and checks its sum.
pub(super) fn get(conn: &Connection, key: &str) -> Result<Option<String>, Stop> {
    let found = conn
        .prepare_cached("SELECT value, crc FROM meta WHERE key = ?1")?
        .query_row([key], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()
        .map_err(|err| named(key, err))?;
    match found {
        Some((value, sum)) if sum != crc(key, &value) => {
            Err(Stop::Damaged(format!("meta row `{key}`: checksum")))
        }
        found => Ok(found.map(|(value, _)| value)),
    }
}

/// Writes a value.
pub(super) fn put(conn: &Connection, key: &str, value: &str) -> Result<(), Stop> {
    conn.prepare_cached(
        "INSERT INTO meta (key, value, crc) VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, crc = excluded.crc",
    )?
    .execute((key, value, crc(key, value)))?;
    Ok(())
}

/// Reads the number that a value is.
pub(super) fn number(key: &str, text: &str) -> Result<u64, Stop> {
    text.parse()
        .map_err(|_| Stop::Damaged(format!("meta row `{key}`: `{text}` is no number")))
}

fn crc(key: &str, value: &str) -> i64 {
    Crc::default().text(key).text(value).sum()
}

/// A value of a type never written is damage to this row; anything else is not about it.
fn named(key: &str, err: rusqlite::Error) -> Stop {
    match err {
        rusqlite::Error::SqliteFailure(..) => Stop::Db(err),
        err => Stop::Damaged(format!("meta row `{key}`: {err}")),
    }
}
