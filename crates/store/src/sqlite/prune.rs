//! Retention: old events leave the log, with all that was on record of them.
//!
//! Invariant: no row goes that a lane has not passed whose plugin is there, none with an open attempt
//! or a dead letter, never the newest (the next offset is taken from it), and never the one with the
//! highest id among those that go.

use rusqlite::OptionalExtension as _;
use slated_model::{Offset, PluginId};

use super::fault::Stop;
use super::query::log_end;
use super::writer::Txn;
use super::{int, letters, meta};
use crate::{Keep, Pruned, kill_point};

/// Which rows up to `?1` nobody needs any more.
const FREE: &str = "offset <= ?1
    AND id <> (SELECT max(id) FROM event WHERE offset <= ?1)
    AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.event = event.id)
    AND NOT EXISTS (SELECT 1 FROM outcome o WHERE o.event = event.id AND o.kind = 'dead_letter')";

pub(super) fn prune(txn: &mut Txn<'_>, keep: &Keep) -> Result<Pruned, Stop> {
    let log = log_end(txn.conn)?;
    let (old, more) = oldest_kept(txn, keep, log.start)?;
    let needed = first_needed(txn)?.into_iter().chain(keep.needed.clone());
    let needed = needed.min();
    let newest = Offset(log.end.0.saturating_sub(1));
    let mut through = old.min(newest);
    let mut held_back_by = None;
    if let Some((cursor, plugin)) = needed.filter(|(cursor, _)| *cursor < through) {
        through = cursor;
        held_back_by = Some(plugin);
    }
    let more = more && held_back_by.is_none() && through > log.start;
    through = through.max(log.start);
    let at = int("offset", through.0)?;
    let run =
        |sql: &str| -> Result<usize, Stop> { Ok(txn.conn.prepare_cached(sql)?.execute([at])?) };
    let outcomes = format!("event IN (SELECT id FROM event WHERE {FREE})");
    // Only a lane whose plugin is gone has any of them ahead of it.
    run(&format!(
        "DELETE FROM ahead WHERE outcome IN (SELECT seq FROM outcome WHERE {outcomes})"
    ))?;
    run(&format!("DELETE FROM outcome WHERE {outcomes}"))?;
    let events = run(&format!("DELETE FROM event WHERE {FREE}"))?;
    if events > 0 {
        kill_point("in_prune");
    }
    // Nobody needs a void row; the newest of all is above `through`.
    run("DELETE FROM void_outcome WHERE offset <= ?1")?;
    run("DELETE FROM void WHERE offset <= ?1")?;
    meta::put(txn.conn, meta::LOG_START, &through.to_string())?;
    let swept = sweep(txn, keep.rows, at)?;
    letters::reused(txn)?;
    Ok(Pruned {
        events: events as u64,
        swept,
        start: through,
        held_back_by,
        more,
        bytes: bytes(txn)?,
    })
}

fn bytes(txn: &Txn<'_>) -> Result<u64, Stop> {
    let number = |name| {
        txn.conn
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
    };
    let pages = number("page_count")? - number("freelist_count")?;
    Ok((pages * number("page_size")?).unsigned_abs())
}

/// Lets go what is on record of events that went before: of a unit that was under way in a plugin whose
/// file was gone, say. Looks at the next so many events that have outcomes, in turns, and at all
/// attempts. A dead letter stays until its time is over.
fn sweep(txn: &Txn<'_>, rows: u64, through: i64) -> Result<u64, Stop> {
    // What is above the highest id among the rows that went may be to come.
    let gone: Option<i64> = txn
        .conn
        .prepare_cached("SELECT max(id) FROM event WHERE offset <= ?1")?
        .query_row([through], |row| row.get(0))?;
    let Some(gone) = gone else { return Ok(0) };
    let swept = meta::get(txn.conn, meta::SWEPT)?;
    let swept = swept
        .map(|text| meta::number(meta::SWEPT, &text))
        .transpose()?;
    let from = int("event id", swept.unwrap_or_default())?;
    let (last, looked): (Option<i64>, i64) = txn
        .conn
        .prepare_cached(
            "SELECT max(event), count(*) FROM (SELECT DISTINCT event FROM outcome
             WHERE event > ?1 AND event <= ?2 ORDER BY event LIMIT ?3)",
        )?
        .query_row((from, gone, int("rows", rows)?), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let outcomes = txn
        .conn
        .prepare_cached(
            "DELETE FROM outcome WHERE event > ?1 AND event <= ?2 AND kind <> 'dead_letter'
             AND NOT EXISTS (SELECT 1 FROM event e WHERE e.id = outcome.event)",
        )?
        .execute((from, last.unwrap_or(from)))?;
    let attempts = txn
        .conn
        .prepare_cached(
            "DELETE FROM attempt WHERE event <= ?1
             AND NOT EXISTS (SELECT 1 FROM event e WHERE e.id = attempt.event)",
        )?
        .execute([gone])?;
    let all = looked.unsigned_abs() < rows;
    let swept = if all { 0 } else { last.unwrap_or(from) };
    meta::put(txn.conn, meta::SWEPT, &swept.to_string())?;
    Ok((outcomes + attempts) as u64)
}

/// Returns the offset of the last row that is old enough to go, looking at `keep.rows` rows, and
/// whether all of those were. A row without a date is as old as those around it.
fn oldest_kept(txn: &Txn<'_>, keep: &Keep, start: Offset) -> Result<(Offset, bool), Stop> {
    let rows = int("rows", keep.rows)?;
    let first_young: Option<i64> = txn
        .conn
        .prepare_cached(
            "SELECT offset FROM (SELECT offset, created_at FROM event WHERE offset > ?1
             ORDER BY offset LIMIT ?2) WHERE created_at >= ?3 AND created_at < ?4
             ORDER BY offset LIMIT 1",
        )?
        .query_row(
            (int("offset", start.0)?, rows, &keep.since, &keep.until),
            |row| row.get(0),
        )
        .optional()?;
    if let Some(first) = first_young {
        return Ok((Offset(first.unsigned_abs().saturating_sub(1)), false));
    }
    let (last, looked): (Option<i64>, i64) = txn
        .conn
        .prepare_cached(
            "SELECT max(offset), count(*) FROM (SELECT offset FROM event WHERE offset > ?1
             ORDER BY offset LIMIT ?2)",
        )?
        .query_row((int("offset", start.0)?, rows), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    Ok((
        last.map_or(start, |last| Offset(last.unsigned_abs())),
        looked == rows,
    ))
}

/// Returns the lowest cursor among plugins that are there, and whose it is.
fn first_needed(txn: &Txn<'_>) -> Result<Option<(Offset, PluginId)>, Stop> {
    let found = txn
        .conn
        .prepare_cached(
            "SELECT u.offset, p.folder, p.stem FROM cursor u JOIN lane l ON l.plugin = u.plugin
             JOIN plugin p ON p.key = u.plugin WHERE l.gone = 0 ORDER BY u.offset, p.folder, p.stem LIMIT 1",
        )?
        .query_row([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
            ))
        })
        .optional()?;
    Ok(found
        .map(|(cursor, folder, stem)| (Offset(cursor.unsigned_abs()), PluginId::new(folder, stem))))
}
