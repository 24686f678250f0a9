//! Reading: every question of the trait, and the checks on what comes back.
//!
//! Invariant: a row whose sum or shape is wrong is never handed out; the error names it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, Row as Sql};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use slated_model::{
    Attempt, Beginning, Body, CallbackId, Event, EventId, Head, Hole, LaneRow, LedgerState, Offset,
    Outcome, OutcomeRow, PluginId, Row, WorkerRow,
};

use super::fault::Stop;
use super::log::{EventRow, FIRST_OFFSET, LAST_OFFSET, LedgerHead, hole_sum};
use super::meta;
use super::record::{DEAD_LETTER, DISCARDED, DONE, LaneColumns, More, cursor_sum};
use crate::{Epoch, Letters, LogEnd, Mark, Snapshot};

type Result<T> = std::result::Result<T, Stop>;

/// Reads all that a start needs, in one transaction.
pub(super) fn snapshot(conn: &Connection) -> Result<Snapshot> {
    let txn = conn.unchecked_transaction()?;
    fits_together(&txn)?;
    let epoch = meta::get(&txn, meta::EPOCH)?
        .ok_or_else(|| Stop::Damaged("meta row `epoch` is gone".into()))?;
    let snapshot = Snapshot {
        epoch: Epoch(meta::number(meta::EPOCH, &epoch)?),
        site: meta::get(&txn, meta::SITE)?,
        beginning: beginning(&txn)?,
        ledger: ledger(&txn)?,
        log: log_end(&txn)?,
        lanes: lanes(&txn)?,
        attempts: attempts(&txn, "ORDER BY a.event, a.plugin, a.callback", ())?,
        ahead: outcomes(
            &txn,
            "JOIN ahead h ON h.outcome = o.seq JOIN lane l ON l.plugin = h.plugin
             ORDER BY h.plugin, h.offset, o.seq",
            (),
        )?,
        workers: workers(&txn)?,
        running: meta::get(&txn, meta::RUNNING)?.is_some_and(|runs| runs == "yes"),
    };
    Ok(snapshot)
}

/// Holds tables against each other: rows that carry no sum, or are gone, show by those that stay.
fn fits_together(conn: &Connection) -> Result<()> {
    // A row under a spoilt key would be looked for in vain, and taken for one never written.
    for key in all(conn, "SELECT key FROM meta", (), |row| {
        column::<String>(row, 0, || "a meta row".into())
    })? {
        meta::get(conn, &key)?;
    }
    for (what, sql) in [
        (
            "meta row `ledger` is gone, and the log is not",
            "SELECT 1 FROM event WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'ledger')",
        ),
        (
            "a lane is gone, and its cursor is not",
            "SELECT 1 FROM cursor WHERE plugin NOT IN (SELECT plugin FROM lane)",
        ),
        (
            "an attempt names no plugin, or no callback of it",
            "SELECT 1 FROM attempt a LEFT JOIN callback c ON c.key = a.callback
             WHERE c.plugin IS NOT a.plugin",
        ),
        (
            "an outcome that is ahead of its lane is gone",
            "SELECT 1 FROM ahead h LEFT JOIN outcome o ON o.seq = h.outcome
             WHERE o.plugin IS NOT h.plugin",
        ),
    ] {
        if conn.prepare_cached(sql)?.exists(())? {
            return Err(Stop::Damaged(what.into()));
        }
    }
    Ok(())
}

/// Holds the whole log against the outcomes, which a start does not take the time for.
pub(super) fn all_fits_together(conn: &Connection) -> Result<()> {
    for (what, sql) in [
        (
            "an outcome names no plugin, or no callback of it",
            "SELECT 1 FROM outcome o LEFT JOIN callback c ON c.key = o.callback
             WHERE c.plugin IS NOT o.plugin",
        ),
        (
            "an attempt names no event of the log",
            "SELECT 1 FROM attempt a LEFT JOIN event e ON e.id = a.event
             WHERE e.offset IS NOT a.offset",
        ),
        (
            "an outcome is ahead of its lane, and not listed as such",
            "SELECT 1 FROM outcome o JOIN event e ON e.id = o.event
             JOIN cursor u ON u.plugin = o.plugin AND e.offset > u.offset
             WHERE NOT EXISTS (SELECT 1 FROM ahead h WHERE h.plugin = o.plugin
                 AND h.offset = e.offset AND h.outcome = o.seq)",
        ),
        (
            "a unit has an outcome and waits for another attempt",
            "SELECT 1 FROM attempt a JOIN outcome o
             ON o.event = a.event AND o.plugin = a.plugin AND o.callback = a.callback",
        ),
        (
            "an event stands in the log and in a hole",
            "SELECT 1 FROM hole h JOIN event e ON e.id BETWEEN h.lo AND h.hi",
        ),
    ] {
        if conn.prepare_cached(sql)?.exists(())? {
            return Err(Stop::Damaged(what.into()));
        }
    }
    Ok(())
}

/// Reads rows of the log in order.
pub(super) fn rows(conn: &Connection, after: Offset, limit: usize) -> Result<Vec<Row>> {
    // An offset or a limit past what SQLite can count is past every row.
    let after = i64::try_from(after.0).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    events(
        conn,
        "event",
        "WHERE offset > ?1 ORDER BY offset LIMIT ?2",
        (after, limit),
    )
}

/// Reads rows by their event ids.
pub(super) fn between(
    conn: &Connection,
    from: EventId,
    to: EventId,
    limit: usize,
) -> Result<Vec<Row>> {
    // An id past what SQLite can count is past every row.
    let Ok(from) = i64::try_from(from.0) else {
        return Ok(Vec::new());
    };
    let to = i64::try_from(to.0).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    events(
        conn,
        "event",
        "WHERE id >= ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
        (from, to, limit),
    )
}

/// Reads the row of one event.
pub(super) fn event(conn: &Connection, id: EventId) -> Result<Option<Row>> {
    let Ok(id) = i64::try_from(id.0) else {
        return Ok(None);
    };
    Ok(events(conn, "event", "WHERE id = ?1", [id])?.pop())
}

/// Reads the row with the highest id up to an offset.
pub(super) fn highest(conn: &Connection, through: Offset) -> Result<Option<Row>> {
    let through = i64::try_from(through.0).unwrap_or(i64::MAX);
    // The plus keeps SQLite from walking all rows by offset: the index of ids, from its high
    // end, meets the row after about as many steps as rows stand behind `through`.
    let which = "WHERE offset =
        (SELECT offset FROM event WHERE +offset <= ?1 ORDER BY id DESC LIMIT 1)";
    Ok(events(conn, "event", which, [through])?.pop())
}

/// Reads what became of one event.
pub(super) fn fate(conn: &Connection, id: EventId) -> Result<(Vec<OutcomeRow>, Vec<Attempt>)> {
    let Ok(id) = i64::try_from(id.0) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let txn = conn.unchecked_transaction()?;
    Ok((
        outcomes(&txn, "WHERE o.event = ?1 ORDER BY o.seq", [id])?,
        attempts(
            &txn,
            "WHERE a.event = ?1 ORDER BY a.plugin, a.callback",
            [id],
        )?,
    ))
}

/// Reads the newest outcomes, newest first.
pub(super) fn latest(
    conn: &Connection,
    plugin: Option<&PluginId>,
    limit: usize,
) -> Result<Vec<OutcomeRow>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let Some(plugin) = plugin else {
        return outcomes(conn, "ORDER BY o.seq DESC LIMIT ?1", [limit]);
    };
    outcomes(
        conn,
        "WHERE o.plugin = (SELECT key FROM plugin WHERE folder = ?1 AND stem = ?2)
         ORDER BY o.seq DESC LIMIT ?3",
        (plugin.folder(), plugin.stem(), limit),
    )
}

/// Reads outcomes in the order they were written.
pub(super) fn outcomes_after(conn: &Connection, seq: i64, limit: usize) -> Result<Vec<OutcomeRow>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    outcomes(
        conn,
        "WHERE o.seq > ?1 ORDER BY o.seq LIMIT ?2",
        (seq, limit),
    )
}

/// Reads a page of dead letters, newest first. The kind stands in the text: a partial index does not
/// serve a parameter.
pub(super) fn dead_letters(
    conn: &Connection,
    plugin: Option<&PluginId>,
    behind: Option<Mark>,
    limit: usize,
) -> Result<Letters> {
    let behind = behind.map_or(i64::MAX, |mark| i64::try_from(mark.0).unwrap_or(i64::MAX));
    let more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = match plugin {
        None => numbered(
            conn,
            "outcome",
            "WHERE o.kind = 'dead_letter' AND o.seq < ?1 ORDER BY o.seq DESC LIMIT ?2",
            (behind, more),
        ),
        Some(plugin) => numbered(
            conn,
            "outcome",
            "WHERE o.kind = 'dead_letter' AND o.seq < ?1
               AND o.plugin = (SELECT key FROM plugin WHERE folder = ?3 AND stem = ?4)
             ORDER BY o.seq DESC LIMIT ?2",
            (behind, more, plugin.folder(), plugin.stem()),
        ),
    }?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|(seq, _)| Mark(seq.unsigned_abs()));
    Ok(Letters {
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        next: last.filter(|_| more),
    })
}

/// Counts dead letters by their plugin.
pub(super) fn count_letters(conn: &Connection) -> Result<BTreeMap<PluginId, u64>> {
    let counts = all(
        conn,
        "SELECT p.folder, p.stem, c.letters FROM (SELECT plugin, count(*) AS letters FROM outcome
             WHERE kind = 'dead_letter' GROUP BY plugin) c LEFT JOIN plugin p ON p.key = c.plugin",
        (),
        |row| {
            let of = || "a dead letter's plugin".to_owned();
            Ok((plugin(row, 0, of)?, natural(row, 2, of)?))
        },
    )?;
    Ok(counts.into_iter().collect())
}

/// Reads the outcomes of a plugin between two offsets.
pub(super) fn outcomes_between(
    conn: &Connection,
    plugin: &PluginId,
    after: Offset,
    through: Offset,
) -> Result<Vec<OutcomeRow>> {
    let number = |offset: Offset| i64::try_from(offset.0).unwrap_or(i64::MAX);
    // The plus keeps SQLite from walking all that is on record of the plugin.
    outcomes(
        conn,
        "WHERE +o.plugin = (SELECT key FROM plugin WHERE folder = ?1 AND stem = ?2)
           AND o.event IN (SELECT id FROM event WHERE offset > ?3 AND offset <= ?4)
         ORDER BY o.seq",
        (
            plugin.folder(),
            plugin.stem(),
            number(after),
            number(through),
        ),
    )
}

/// Reads what was on record of a void row.
pub(super) fn void_outcomes(conn: &Connection, offset: i64) -> Result<Vec<OutcomeRow>> {
    let which = "WHERE o.offset = ?1 ORDER BY o.seq";
    let rows = numbered(conn, "void_outcome", which, [offset])?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Reads void rows in order.
pub(super) fn void_rows(conn: &Connection, after: i64, limit: usize) -> Result<Vec<Row>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let which = "WHERE offset > ?1 ORDER BY offset LIMIT ?2";
    events(conn, "void", which, (after, limit))
}

/// Runs a query and makes something of each row.
fn all<T, P: rusqlite::Params>(
    conn: &Connection,
    sql: &str,
    params: P,
    make: impl Fn(&Sql<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut made = Vec::new();
    while let Some(row) = rows.next()? {
        made.push(make(row)?);
    }
    Ok(made)
}

/// Reads a column; a value of a kind never written there is damage to the named row.
fn column<T: rusqlite::types::FromSql>(
    row: &Sql<'_>,
    at: usize,
    of: impl Fn() -> String,
) -> Result<T> {
    row.get(at)
        .map_err(|err| Stop::Damaged(format!("{}: {err}", of())))
}

/// Reads a column that is never below zero.
fn natural(row: &Sql<'_>, at: usize, of: impl Fn() -> String) -> Result<u64> {
    let value: i64 = column(row, at, &of)?;
    u64::try_from(value).map_err(|_| Stop::Damaged(format!("{}: {value}", of())))
}

fn small(row: &Sql<'_>, at: usize, of: impl Fn() -> String) -> Result<u32> {
    let value: i64 = column(row, at, &of)?;
    u32::try_from(value).map_err(|_| Stop::Damaged(format!("{}: {value}", of())))
}

fn parsed<T: DeserializeOwned>(text: &str, of: impl Fn() -> String) -> Result<T> {
    serde_json::from_str(text).map_err(|err| Stop::Damaged(format!("{}: {err}", of())))
}

fn checked(stored: i64, sum: i64, of: impl Fn() -> String) -> Result<()> {
    if stored == sum {
        return Ok(());
    }
    Err(Stop::Damaged(format!("{}: checksum", of())))
}

/// Reads the extent of the log.
pub(super) fn log_end(conn: &Connection) -> Result<LogEnd> {
    let first: Option<i64> = conn
        .prepare_cached(FIRST_OFFSET)?
        .query_row([], |row| row.get(0))?;
    let last: i64 = conn
        .prepare_cached(LAST_OFFSET)?
        .query_row([], |row| row.get(0))?;
    let pruned = meta::get(conn, meta::LOG_START)?;
    let pruned = pruned.map(|text| meta::number(meta::LOG_START, &text));
    let first = first.map_or(0, |first| first.unsigned_abs().saturating_sub(1));
    Ok(LogEnd {
        start: Offset(pruned.transpose()?.unwrap_or(first)),
        end: Offset(last.unsigned_abs()),
    })
}

fn beginning(conn: &Connection) -> Result<Option<Beginning>> {
    let text = meta::get(conn, meta::BEGINNING)?;
    text.map(|text| parsed(&text, || "meta row `beginning`".into()))
        .transpose()
}

fn ledger(conn: &Connection) -> Result<Option<LedgerState>> {
    let Some(text) = meta::get(conn, meta::LEDGER)? else {
        return Ok(None);
    };
    let head: LedgerHead = parsed(&text, || "meta row `ledger`".into())?;
    let holes = all(
        conn,
        "SELECT lo, hi, age_ms, looks, crc FROM hole ORDER BY lo",
        (),
        |row| {
            let lo: i64 = column(row, 0, || "a hole".into())?;
            let of = || format!("hole {lo}");
            let mut columns = [lo; 4];
            for (at, value) in columns.iter_mut().enumerate() {
                *value = column(row, at, of)?;
            }
            checked(column(row, 4, of)?, hole_sum(columns), of)?;
            Ok(Hole {
                lo: EventId(natural(row, 0, of)?),
                hi: EventId(natural(row, 1, of)?),
                age_ms: natural(row, 2, of)?,
                looks: natural(row, 3, of)?,
            })
        },
    )?;
    Ok(Some(LedgerState {
        high: head.high,
        anchors: head.anchors,
        holes,
        audited: head.audited,
    }))
}

fn lanes(conn: &Connection) -> Result<Vec<LaneRow>> {
    all(
        conn,
        "SELECT p.folder, p.stem, l.plugin, l.floor, l.owed, l.in_line_from, l.hold, l.stopped,
             l.gone, l.content, l.mtime_ns, l.skipped, l.moved_to, l.crc, u.offset, u.crc, l.more
         FROM lane l LEFT JOIN plugin p ON p.key = l.plugin
             LEFT JOIN cursor u ON u.plugin = l.plugin
         ORDER BY l.plugin",
        (),
        |row| {
            let plugin = plugin(row, 0, || "a lane's plugin".into())?;
            let of = || format!("lane of {plugin}");
            let owed: String = column(row, 4, of)?;
            let hold: Option<String> = column(row, 6, of)?;
            let content: String = column(row, 9, of)?;
            let skipped: String = column(row, 11, of)?;
            let moved_to: Option<String> = column(row, 12, of)?;
            let more: Option<String> = column(row, 16, of)?;
            let columns = LaneColumns {
                plugin: column(row, 2, of)?,
                floor: column(row, 3, of)?,
                owed: &owed,
                in_line_from: column(row, 5, of)?,
                hold: hold.as_deref(),
                stopped: column(row, 7, of)?,
                gone: column(row, 8, of)?,
                content: &content,
                mtime_ns: column(row, 10, of)?,
                skipped: &skipped,
                moved_to: moved_to.as_deref(),
                more: more.as_deref(),
            };
            checked(column(row, 13, of)?, columns.sum(), of)?;
            let of_cursor = || format!("cursor of {plugin}");
            let cursor = column(row, 14, of_cursor)?;
            let sum = cursor_sum(columns.plugin, cursor);
            checked(column(row, 15, of_cursor)?, sum, of_cursor)?;
            let more = columns.more.map(|text| parsed::<More>(text, of));
            let more = more.transpose()?.unwrap_or_default();
            Ok(LaneRow {
                plugin: plugin.clone(),
                cursor: Offset(natural(row, 14, of_cursor)?),
                floor: columns.floor.map(|id| EventId(id.unsigned_abs())),
                owed: parsed(&owed, of)?,
                in_line_from: Offset(natural(row, 5, of)?),
                hold: columns.hold.map(|hold| parsed(hold, of)).transpose()?,
                stopped: columns.stopped,
                gone: columns.gone,
                content: content.clone(),
                mtime_ns: columns.mtime_ns,
                skipped: parsed(&skipped, of)?,
                moved_to: columns
                    .moved_to
                    .map(|id| {
                        id.parse()
                            .map_err(|err| Stop::Damaged(format!("{}: {err}", of())))
                    })
                    .transpose()?,
                skips: more.skips,
                suspect: more.suspect,
                quarantine: more.quarantine,
                rewound: more.rewound,
            })
        },
    )
}

fn workers(conn: &Connection) -> Result<Vec<WorkerRow>> {
    all(
        conn,
        "SELECT p.folder, p.stem, w.pid, w.started
         FROM worker w LEFT JOIN plugin p ON p.key = w.plugin ORDER BY w.pid",
        (),
        |row| {
            let of = || "a worker".to_owned();
            Ok(WorkerRow {
                plugin: plugin(row, 0, of)?,
                pid: small(row, 2, of)?,
                started: natural(row, 3, of)?,
            })
        },
    )
}

fn plugin(row: &Sql<'_>, at: usize, of: impl Fn() -> String) -> Result<PluginId> {
    Ok(PluginId::new(
        column::<String>(row, at, &of)?,
        column::<String>(row, at + 1, &of)?,
    ))
}

fn callback(row: &Sql<'_>, at: usize, of: impl Fn() -> String) -> Result<CallbackId> {
    let name: String = column(row, at, &of)?;
    Ok(CallbackId::new(name, small(row, at + 1, &of)?))
}

/// Reads rows of `event`, or of `void`, which has the same columns.
pub(super) fn events<P: rusqlite::Params>(
    conn: &Connection,
    table: &str,
    which: &str,
    params: P,
) -> Result<Vec<Row>> {
    let sql = format!(
        "SELECT offset, id, late, event_type, attribute_name, created_at, body, unreadable, crc
         FROM {table} {which}"
    );
    all(conn, &sql, params, |row| {
        let offset: i64 = column(row, 0, || "an event".into())?;
        let id: Option<i64> = row.get(1).ok();
        let of = || match id {
            Some(id) => format!("event {id} at offset {offset}"),
            None => format!("event at offset {offset}"),
        };
        let text = |at| column::<Option<String>>(row, at, of);
        let head = Head {
            event_type: text(3)?,
            attribute_name: text(4)?,
            created_at: text(5)?,
        };
        let (body, unreadable) = (text(6)?, text(7)?);
        let columns = EventRow {
            offset,
            id: column(row, 1, of)?,
            late: column(row, 2, of)?,
            event_type: head.event_type.as_deref(),
            attribute_name: head.attribute_name.as_deref(),
            created_at: head.created_at.as_deref(),
            body: body.as_deref(),
            unreadable: unreadable.as_deref(),
        };
        checked(column(row, 8, of)?, columns.sum(), of)?;
        let late = columns.late;
        let body = match (body, unreadable) {
            (Some(json), _) => Body::Json(Arc::from(
                RawValue::from_string(json)
                    .map_err(|err| Stop::Damaged(format!("{}: {err}", of())))?,
            )),
            (None, text) => Body::Unreadable(text.unwrap_or_default().into()),
        };
        Ok(Row {
            offset: Offset(natural(row, 0, of)?),
            late,
            event: Event {
                id: EventId(natural(row, 1, of)?),
                head,
                body,
            },
        })
    })
}

fn outcomes<P: rusqlite::Params>(
    conn: &Connection,
    which: &str,
    params: P,
) -> Result<Vec<OutcomeRow>> {
    let rows = numbered(conn, "outcome", which, params)?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Reads outcomes of `outcome`, or of `void_outcome`, which has the same columns; with their numbers,
/// which grow as they are written.
fn numbered<P: rusqlite::Params>(
    conn: &Connection,
    table: &str,
    which: &str,
    params: P,
) -> Result<Vec<(i64, OutcomeRow)>> {
    let sql = format!(
        "SELECT o.seq, p.folder, p.stem, c.name, c.k, o.event, o.attempt, o.kind, o.us, o.detail,
             o.at_ms
         FROM {table} o LEFT JOIN plugin p ON p.key = o.plugin
             LEFT JOIN callback c ON c.key = o.callback {which}"
    );
    all(conn, &sql, params, |row| {
        let event: i64 = column(row, 5, || "an outcome".into())?;
        let of = || format!("outcome of event {event}");
        let kind: String = column(row, 7, of)?;
        let detail = || column::<String>(row, 9, of);
        let outcome = match kind.as_str() {
            DONE => Outcome::Done {
                us: natural(row, 8, of)?,
            },
            DEAD_LETTER => Outcome::DeadLetter {
                failure: parsed(&detail()?, of)?,
            },
            DISCARDED => Outcome::Discarded {
                reason: parsed(&detail()?, of)?,
            },
            other => return Err(Stop::Damaged(format!("{}: kind `{other}`", of()))),
        };
        let made = OutcomeRow {
            plugin: plugin(row, 1, of)?,
            callback: callback(row, 3, of)?,
            event: EventId(natural(row, 5, of)?),
            attempt: small(row, 6, of)?,
            outcome,
            at_ms: column(row, 10, of)?,
        };
        Ok((column(row, 0, of)?, made))
    })
}

fn attempts<P: rusqlite::Params>(
    conn: &Connection,
    which: &str,
    params: P,
) -> Result<Vec<Attempt>> {
    let sql = format!(
        "SELECT p.folder, p.stem, c.name, c.k, a.event, a.offset, a.aside, a.failed, a.deaths,
             a.since_ms, a.left_ms, a.failure, a.at_ms
         FROM attempt a LEFT JOIN plugin p ON p.key = a.plugin
             LEFT JOIN callback c ON c.key = a.callback {which}"
    );
    all(conn, &sql, params, |row| {
        let event: i64 = column(row, 4, || "an attempt".into())?;
        let of = || format!("attempt at event {event}");
        Ok(Attempt {
            plugin: plugin(row, 0, of)?,
            callback: callback(row, 2, of)?,
            event: EventId(natural(row, 4, of)?),
            offset: Offset(natural(row, 5, of)?),
            aside: column(row, 6, of)?,
            failed: small(row, 7, of)?,
            deaths: small(row, 8, of)?,
            since_ms: natural(row, 9, of)?,
            left_ms: natural(row, 10, of)?,
            failure: parsed(&column::<String>(row, 11, of)?, of)?,
            at_ms: column(row, 12, of)?,
        })
    })
}
