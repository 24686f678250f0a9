//! Void rows: what the log held of a site that became another one.
//!
//! Invariants: a void row keeps its offset, and no offset is ever given twice; whatever stood on record
//! of its id went with it, so that a new event of that id begins with nothing.

use rusqlite::Connection;
use slated_model::{Discard, EventId, PluginId, Void, Voided};

use super::fault::Stop;
use super::log::replace_ledger;
use super::record::{DISCARDED, json};
use super::writer::Txn;
use super::{int, letters, query};
use crate::{Beyond, kill_point};

/// The columns of an event.
const COLUMNS: &str =
    "offset, id, late, event_type, attribute_name, created_at, body, unreadable, crc";

/// Makes the rows above an id void, and puts another ledger in the place of the old one.
pub(super) fn void(txn: &mut Txn<'_>, void: &Void) -> Result<(), Stop> {
    // An id that cannot be stored is above all that are.
    let above = i64::try_from(void.above.0).unwrap_or(i64::MAX);
    let reason = json("reason", &Discard::Void)?;
    let conn = txn.conn;
    conn.prepare_cached(&format!(
        "INSERT INTO void ({COLUMNS}, at_ms) SELECT {COLUMNS}, ?2 FROM event WHERE id > ?1"
    ))?
    .execute((above, void.at_ms))?;
    conn.prepare_cached(
        "INSERT INTO void_outcome
             (offset, event, plugin, callback, attempt, kind, us, detail, at_ms)
         SELECT e.offset, o.event, o.plugin, o.callback, o.attempt,
             iif(o.kind = 'dead_letter', ?2, o.kind), o.us,
             iif(o.kind = 'dead_letter', ?3, o.detail), o.at_ms
         FROM outcome o JOIN event e ON e.id = o.event WHERE o.event > ?1 ORDER BY o.seq",
    )?
    .execute((above, DISCARDED, &reason))?;
    conn.prepare_cached(
        "INSERT INTO void_outcome
             (offset, event, plugin, callback, attempt, kind, us, detail, at_ms)
         SELECT e.offset, a.event, a.plugin, a.callback, a.failed, ?2, NULL, ?3, a.at_ms
         FROM attempt a JOIN event e ON e.id = a.event WHERE a.event > ?1
         ORDER BY a.event, a.plugin, a.callback",
    )?
    .execute((above, DISCARDED, &reason))?;
    for gone in [
        "DELETE FROM ahead WHERE outcome IN (SELECT seq FROM outcome WHERE event > ?1)",
        "DELETE FROM outcome WHERE event > ?1",
        "DELETE FROM attempt WHERE event > ?1",
        "DELETE FROM event WHERE id > ?1",
    ] {
        conn.prepare_cached(gone)?.execute([above])?;
    }
    kill_point("in_void");
    letters::reused(txn)?;
    replace_ledger(txn, &void.ledger)
}

/// Counts what stands above an id.
pub(super) fn beyond(conn: &Connection, above: EventId) -> Result<Beyond, Stop> {
    let above = i64::try_from(above.0).unwrap_or(i64::MAX);
    let txn = conn.unchecked_transaction()?;
    let count = |sql: &str| -> Result<u64, Stop> {
        let n: i64 = txn
            .prepare_cached(sql)?
            .query_row([above], |row| row.get(0))?;
        Ok(n.unsigned_abs())
    };
    let mut done = txn.prepare_cached(
        "SELECT p.folder, p.stem, count(DISTINCT o.event) FROM outcome o
         JOIN event e ON e.id = o.event JOIN plugin p ON p.key = o.plugin
         WHERE o.event > ?1 AND o.kind = 'done' GROUP BY p.key ORDER BY p.folder, p.stem",
    )?;
    let done = done.query_map([above], |row| {
        let plugin = PluginId::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?);
        Ok((plugin, row.get::<_, i64>(2)?.unsigned_abs()))
    })?;
    Ok(Beyond {
        rows: count("SELECT count(*) FROM event WHERE id > ?1")?,
        done: done.collect::<rusqlite::Result<_>>()?,
        dead_letters: count(
            "SELECT count(*) FROM outcome o JOIN event e ON e.id = o.event
             WHERE o.event > ?1 AND o.kind = 'dead_letter'",
        )?,
        attempts: count(
            "SELECT count(*) FROM attempt a JOIN event e ON e.id = a.event WHERE a.event > ?1",
        )?,
    })
}

/// Counts the void rows.
pub(super) fn count(conn: &Connection) -> Result<u64, Stop> {
    let n: i64 = conn
        .prepare_cached("SELECT count(*) FROM void")?
        .query_row([], |row| row.get(0))?;
    Ok(n.unsigned_abs())
}

/// Reads the void rows that stood under an id.
pub(super) fn voided(conn: &Connection, id: EventId) -> Result<Vec<Voided>, Stop> {
    let Ok(id) = i64::try_from(id.0) else {
        return Ok(Vec::new());
    };
    let txn = conn.unchecked_transaction()?;
    let rows = query::events(&txn, "void", "WHERE id = ?1 ORDER BY offset", [id])?;
    let mut voided = Vec::with_capacity(rows.len());
    for row in rows {
        let offset = int("offset", row.offset.0)?;
        let at_ms = txn
            .prepare_cached("SELECT at_ms FROM void WHERE offset = ?1")?
            .query_row([offset], |found| found.get(0))?;
        voided.push(Voided {
            outcomes: query::void_outcomes(&txn, offset)?,
            row,
            at_ms,
        });
    }
    Ok(voided)
}
