//! What a person wishes changes what stands on record, which nothing else may.
//!
//! Invariants: only where it stands as the person saw it, and in one transaction: a kill leaves what
//! was or what was wished.

use rusqlite::OptionalExtension as _;
use slated_model::{Attempt, CallbackId, Offset, OutcomeRow, PluginId};

use super::fault::Stop;
use super::record::{DEAD_LETTER, attempt, columns, cursor_sum};
use super::writer::Txn;
use super::{int, letters, unfit};

/// Puts an attempt in the place of a dead letter; tells whether one stood there.
pub(super) fn retried(txn: &mut Txn<'_>, row: &Attempt) -> Result<bool, Stop> {
    let (plugin, callback) = txn.unit(&row.plugin, &row.callback)?;
    let event = int("event id", row.event.0)?;
    let dead: Option<i64> = txn
        .conn
        .prepare_cached(
            "DELETE FROM outcome
             WHERE event = ?1 AND plugin = ?2 AND callback = ?3 AND kind = ?4 RETURNING seq",
        )?
        .query_row((event, plugin, callback, DEAD_LETTER), |row| row.get(0))
        .optional()?;
    let Some(seq) = dead else {
        return Ok(false);
    };
    txn.conn
        .prepare_cached("DELETE FROM ahead WHERE plugin = ?1 AND outcome = ?2")?
        .execute((plugin, seq))?;
    letters::reused(txn)?;
    attempt(txn, row)
}

/// Puts an outcome in the place of a dead letter; tells whether one stood there.
pub(super) fn discarded(txn: &mut Txn<'_>, row: &OutcomeRow) -> Result<bool, Stop> {
    let (plugin, callback) = txn.unit(&row.plugin, &row.callback)?;
    let event = int("event id", row.event.0)?;
    let (kind, us, detail) = columns(&row.outcome)?;
    let changed = txn
        .conn
        .prepare_cached(
            "UPDATE outcome SET attempt = ?5, kind = ?6, us = ?7, detail = ?8, at_ms = ?9
             WHERE event = ?1 AND plugin = ?2 AND callback = ?3 AND kind = ?4",
        )?
        .execute((
            event,
            plugin,
            callback,
            DEAD_LETTER,
            row.attempt,
            kind,
            us,
            detail,
            row.at_ms,
        ))?;
    Ok(changed > 0)
}

/// Gives the dead letters of a plugin to the one that goes on in its place. What that has on record
/// of a unit stands, and the letter of it stays.
pub(super) fn letters_moved(txn: &mut Txn<'_>, from: &PluginId, to: &PluginId) -> Result<(), Stop> {
    let old = txn.plugin(from)?;
    let callbacks = txn
        .conn
        .prepare_cached(
            "SELECT key, name, k FROM callback WHERE key IN (SELECT callback FROM outcome
             WHERE kind = 'dead_letter' AND plugin = ?1)",
        )?
        .query_map([old], |row| {
            let name: String = row.get(1)?;
            Ok((row.get::<_, i64>(0)?, CallbackId::new(name, row.get(2)?)))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (callback, id) in callbacks {
        let (new, their) = txn.unit(to, &id)?;
        txn.conn
            .prepare_cached(
                "UPDATE OR IGNORE outcome SET plugin = ?3, callback = ?4
                 WHERE kind = 'dead_letter' AND plugin = ?1 AND callback = ?2
                   AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.event = outcome.event
                       AND a.plugin = ?3 AND a.callback = ?4)",
            )?
            .execute((old, callback, new, their))?;
    }
    let new = txn.plugin(to)?;
    txn.conn
        .prepare_cached(
            "DELETE FROM ahead WHERE plugin = ?1
             AND NOT EXISTS (SELECT 1 FROM outcome o WHERE o.seq = ahead.outcome AND o.plugin = ?1)",
        )?
        .execute([old])?;
    ahead_of_letters(txn, new)
}

/// Names the dead letters of events after the cursor of their plugin.
fn ahead_of_letters(txn: &Txn<'_>, plugin: i64) -> Result<(), Stop> {
    txn.conn
        .prepare_cached(
            "INSERT OR IGNORE INTO ahead (plugin, offset, outcome)
             SELECT ?1, e.offset, o.seq FROM outcome o JOIN event e ON e.id = o.event
             WHERE o.kind = 'dead_letter' AND o.plugin = ?1
               AND e.offset > coalesce((SELECT offset FROM cursor WHERE plugin = ?1), 0)",
        )?
        .execute([plugin])?;
    Ok(())
}

/// Lets a lane go back to an offset before its cursor.
pub(super) fn rewound(
    txn: &mut Txn<'_>,
    plugin: &PluginId,
    to: Offset,
    again: bool,
) -> Result<(), Stop> {
    let key = txn.plugin(plugin)?;
    let to = int("offset", to.0)?;
    let stands: Option<i64> = txn
        .conn
        .prepare_cached("SELECT offset FROM cursor WHERE plugin = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    match stands {
        None => {
            return Err(unfit(format!(
                "the way back of {plugin}, which has no lane"
            )));
        }
        Some(cursor) if cursor <= to => return Ok(()),
        Some(_) => {}
    }
    txn.conn
        .prepare_cached("UPDATE cursor SET offset = ?2, crc = ?3 WHERE plugin = ?1")?
        .execute((key, to, cursor_sum(key, to)))?;
    txn.conn
        .prepare_cached("DELETE FROM ahead WHERE plugin = ?1")?
        .execute([key])?;
    // By the rows: what stands on record of a plugin may be much more than that.
    txn.conn
        .prepare_cached(
            "DELETE FROM outcome WHERE +plugin = ?1 AND (?3 OR kind <> 'done')
             AND event IN (SELECT id FROM event WHERE offset > ?2)",
        )?
        .execute((key, to, again))?;
    txn.conn
        .prepare_cached("DELETE FROM attempt WHERE plugin = ?1 AND aside = 0")?
        .execute([key])?;
    txn.conn
        .prepare_cached(
            "INSERT INTO ahead (plugin, offset, outcome)
             SELECT ?1, e.offset, o.seq FROM event e CROSS JOIN outcome o ON o.event = e.id
             WHERE e.offset > ?2 AND +o.plugin = ?1",
        )?
        .execute((key, to))?;
    letters::reused(txn)
}
