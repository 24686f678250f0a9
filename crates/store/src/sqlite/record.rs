//! Writing lanes, cursors, outcomes, attempts and workers.
//!
//! Invariants: the first outcome of a unit stands (promise P3) and a cursor never goes back, until a
//! person wishes otherwise (`wish`); a unit with an outcome has no attempt; `ahead` names exactly the
//! outcomes of events after their lane's cursor.

use std::collections::BTreeMap;

use rusqlite::named_params;
use serde::{Deserialize, Serialize};
use slated_model::{
    Attempt, CallbackId, Change, EventId, LaneRow, Offset, Outcome, OutcomeRow, PluginId,
    QuarantineRow, RewoundRow, SkipRow, SuspectRow, WorkerRow,
};

use super::crc::Crc;
use super::fault::Stop;
use super::writer::Txn;
use super::{int, meta, unfit, void, wish};
use crate::{Recorded, kill_point};

/// Writes changes. Lanes come first and cursors next: nobody sees the order within a
/// transaction, and an outcome that its cursor has passed need not enter `ahead`.
pub(super) fn record(txn: &mut Txn<'_>, changes: &[Change]) -> Result<Recorded, Stop> {
    for change in changes {
        if let Change::Lane(row) = change {
            lane(txn, row)?;
        }
    }
    // A lane under load moves its cursor with every outcome; the furthest move says all.
    let mut cursors = BTreeMap::<&PluginId, Offset>::new();
    for change in changes {
        if let Change::Cursor { plugin, cursor } = change {
            let furthest = cursors.entry(plugin).or_default();
            *furthest = (*cursor).max(*furthest);
        }
    }
    for (plugin, cursor) in cursors {
        move_cursor(txn, plugin, cursor)?;
    }
    let mut recorded = Recorded::default();
    for change in changes {
        let (plugin, callback, event, written) = match change {
            Change::Lane(_) | Change::Cursor { .. } => continue,
            Change::Worker(row) => {
                worker(txn, row)?;
                continue;
            }
            Change::WorkerGone { pid } => {
                txn.conn
                    .prepare_cached("DELETE FROM worker WHERE pid = ?1")?
                    .execute([pid])?;
                continue;
            }
            Change::Began(beginning) => {
                let text = json("beginning", beginning)?;
                meta::put(txn.conn, meta::BEGINNING, &text)?;
                txn.carry_over();
                continue;
            }
            Change::LettersMoved { from, to } => {
                wish::letters_moved(txn, from, to)?;
                continue;
            }
            Change::Rewound { plugin, to, again } => {
                wish::rewound(txn, plugin, *to, *again)?;
                continue;
            }
            Change::Running(runs) => {
                meta::put(txn.conn, meta::RUNNING, if *runs { "yes" } else { "no" })?;
                continue;
            }
            Change::Void(voiding) => {
                void::void(txn, voiding)?;
                continue;
            }
            Change::SiteMoved(url) => {
                meta::put(txn.conn, meta::SITE, url)?;
                continue;
            }
            Change::Outcome(row) => (&row.plugin, &row.callback, row.event, outcome(txn, row)?),
            Change::Attempt(row) => (&row.plugin, &row.callback, row.event, attempt(txn, row)?),
            Change::Retried(row) => (
                &row.plugin,
                &row.callback,
                row.event,
                wish::retried(txn, row)?,
            ),
            Change::Discarded(row) => (
                &row.plugin,
                &row.callback,
                row.event,
                wish::discarded(txn, row)?,
            ),
        };
        if !written {
            let unit: (PluginId, CallbackId, EventId) = (plugin.clone(), callback.clone(), event);
            recorded.already.push(unit);
        }
    }
    Ok(recorded)
}

/// The columns of a lane that its sum is made of, besides the plugin's key.
pub(super) struct LaneColumns<'a> {
    pub(super) plugin: i64,
    pub(super) floor: Option<i64>,
    pub(super) owed: &'a str,
    pub(super) in_line_from: i64,
    pub(super) hold: Option<&'a str>,
    pub(super) stopped: bool,
    pub(super) gone: bool,
    pub(super) content: &'a str,
    pub(super) mtime_ns: i64,
    pub(super) skipped: &'a str,
    pub(super) moved_to: Option<&'a str>,
    pub(super) more: Option<&'a str>,
}

/// What is not the case for a lane as a rule.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct More {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) skips: Vec<SkipRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) suspect: Option<SuspectRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quarantine: Option<QuarantineRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rewound: Option<RewoundRow>,
}

impl LaneColumns<'_> {
    pub(super) fn sum(&self) -> i64 {
        let sum = Crc::default()
            .int(self.plugin)
            .maybe_int(self.floor)
            .text(self.owed)
            .int(self.in_line_from)
            .maybe_text(self.hold)
            .int(self.stopped.into())
            .int(self.gone.into())
            .text(self.content)
            .int(self.mtime_ns)
            .text(self.skipped)
            .maybe_text(self.moved_to);
        // A lane of an older format has the sum of what it had.
        match self.more {
            Some(more) => sum.text(more).sum(),
            None => sum.sum(),
        }
    }
}

/// Sums a cursor.
pub(super) fn cursor_sum(plugin: i64, offset: i64) -> i64 {
    Crc::default().int(plugin).int(offset).sum()
}

fn lane(txn: &mut Txn<'_>, row: &LaneRow) -> Result<(), Stop> {
    let plugin = txn.plugin(&row.plugin)?;
    let owed = json("owed ids", &row.owed)?;
    let hold = row
        .hold
        .as_ref()
        .map(|hold| json("hold", hold))
        .transpose()?;
    let skipped = json("skipped rows", &row.skipped)?;
    let moved_to = row.moved_to.as_ref().map(ToString::to_string);
    let more = More {
        skips: row.skips.clone(),
        suspect: row.suspect,
        quarantine: row.quarantine.clone(),
        rewound: row.rewound,
    };
    let more = (more != More::default())
        .then(|| json("what else there is of a lane", &more))
        .transpose()?;
    let columns = LaneColumns {
        plugin,
        floor: row.floor.map(|id| int("floor", id.0)).transpose()?,
        owed: &owed,
        in_line_from: int("offset", row.in_line_from.0)?,
        hold: hold.as_deref(),
        stopped: row.stopped,
        gone: row.gone,
        content: &row.content,
        mtime_ns: row.mtime_ns,
        skipped: &skipped,
        moved_to: moved_to.as_deref(),
        more: more.as_deref(),
    };
    txn.conn
        .prepare_cached(
            "INSERT OR REPLACE INTO lane
             (plugin, floor, owed, in_line_from, hold, stopped, gone, content, mtime_ns, skipped,
              moved_to, more, crc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute((
            columns.plugin,
            columns.floor,
            columns.owed,
            columns.in_line_from,
            columns.hold,
            columns.stopped,
            columns.gone,
            columns.content,
            columns.mtime_ns,
            columns.skipped,
            columns.moved_to,
            columns.more,
            columns.sum(),
        ))?;
    // A lane that stands keeps its cursor: only `Change::Cursor` moves it.
    let cursor = int("cursor", row.cursor.0)?;
    let new = txn
        .conn
        .prepare_cached("INSERT OR IGNORE INTO cursor (plugin, offset, crc) VALUES (?1, ?2, ?3)")?
        .execute((plugin, cursor, cursor_sum(plugin, cursor)))?;
    if new > 0 {
        txn.carry_over();
        passed(txn, plugin, cursor)?;
    }
    Ok(())
}

fn move_cursor(txn: &mut Txn<'_>, plugin: &PluginId, cursor: Offset) -> Result<(), Stop> {
    let key = txn.plugin(plugin)?;
    let offset = int("cursor", cursor.0)?;
    let moved = txn
        .conn
        .prepare_cached(
            "UPDATE cursor SET offset = ?2, crc = ?3 WHERE plugin = ?1 AND offset < ?2",
        )?
        .execute((key, offset, cursor_sum(key, offset)))?;
    if moved > 0 {
        return passed(txn, key, offset);
    }
    let known = txn
        .conn
        .prepare_cached("SELECT 1 FROM cursor WHERE plugin = ?1")?
        .exists([key])?;
    if known {
        // It stands there or further already: a cursor never goes back.
        return Ok(());
    }
    Err(unfit(format!("the cursor of {plugin}, which has no lane")))
}

/// Outcomes up to the cursor are no longer ahead of it.
fn passed(txn: &Txn<'_>, plugin: i64, cursor: i64) -> Result<(), Stop> {
    txn.conn
        .prepare_cached("DELETE FROM ahead WHERE plugin = ?1 AND offset <= ?2")?
        .execute((plugin, cursor))?;
    Ok(())
}

/// Writes an outcome, unless one stands; tells whether it did.
fn outcome(txn: &mut Txn<'_>, row: &OutcomeRow) -> Result<bool, Stop> {
    let (plugin, callback) = txn.unit(&row.plugin, &row.callback)?;
    let event = int("event id", row.event.0)?;
    let (kind, us, detail) = columns(&row.outcome)?;
    let written = txn
        .conn
        .prepare_cached(
            "INSERT INTO outcome (event, plugin, callback, attempt, kind, us, detail, at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (event, plugin, callback) DO NOTHING",
        )?
        .execute((
            event,
            plugin,
            callback,
            row.attempt,
            kind,
            us,
            detail,
            row.at_ms,
        ))?;
    txn.conn
        .prepare_cached("DELETE FROM attempt WHERE event = ?1 AND plugin = ?2 AND callback = ?3")?
        .execute((event, plugin, callback))?;
    if written == 0 {
        return Ok(false);
    }
    if kind == DEAD_LETTER {
        kill_point("in_park");
    }
    txn.conn
        .prepare_cached(
            "INSERT INTO ahead (plugin, offset, outcome)
             SELECT ?1, offset, ?2 FROM event
             WHERE id = ?3
               AND offset > coalesce((SELECT offset FROM cursor WHERE plugin = ?1), 0)",
        )?
        .execute((plugin, txn.conn.last_insert_rowid(), event))?;
    Ok(true)
}

/// Returns kind, duration and detail of an outcome as the table has them.
pub(super) fn columns(
    outcome: &Outcome,
) -> Result<(&'static str, Option<i64>, Option<String>), Stop> {
    Ok(match outcome {
        Outcome::Done { us } => (DONE, Some(int("duration", *us)?), None),
        Outcome::DeadLetter { failure } => (DEAD_LETTER, None, Some(json("failure", failure)?)),
        Outcome::Discarded { reason } => (DISCARDED, None, Some(json("reason", reason)?)),
    })
}

/// Kinds of outcome as the table spells them.
pub(super) const DONE: &str = "done";
pub(super) const DEAD_LETTER: &str = "dead_letter";
pub(super) const DISCARDED: &str = "discarded";

/// Writes an attempt, unless the unit has an outcome; tells whether it did.
pub(super) fn attempt(txn: &mut Txn<'_>, row: &Attempt) -> Result<bool, Stop> {
    let (plugin, callback) = txn.unit(&row.plugin, &row.callback)?;
    let event = int("event id", row.event.0)?;
    let finished = txn
        .conn
        .prepare_cached("SELECT 1 FROM outcome WHERE event = ?1 AND plugin = ?2 AND callback = ?3")?
        .exists((event, plugin, callback))?;
    if finished {
        return Ok(false);
    }
    txn.conn
        .prepare_cached(
            "INSERT OR REPLACE INTO attempt
             (event, plugin, callback, offset, aside, failed, deaths, since_ms, left_ms,
              failure, at_ms)
             VALUES (:event, :plugin, :callback, :offset, :aside, :failed, :deaths, :since_ms,
              :left_ms, :failure, :at_ms)",
        )?
        .execute(named_params! {
            ":event": event,
            ":plugin": plugin,
            ":callback": callback,
            ":offset": int("offset", row.offset.0)?,
            ":aside": row.aside,
            ":failed": row.failed,
            ":deaths": row.deaths,
            ":since_ms": int("time", row.since_ms)?,
            ":left_ms": int("time", row.left_ms)?,
            ":failure": json("failure", &row.failure)?,
            ":at_ms": row.at_ms,
        })?;
    Ok(true)
}

fn worker(txn: &mut Txn<'_>, row: &WorkerRow) -> Result<(), Stop> {
    let plugin = txn.plugin(&row.plugin)?;
    txn.conn
        .prepare_cached("INSERT OR REPLACE INTO worker (pid, plugin, started) VALUES (?1, ?2, ?3)")?
        .execute((row.pid, plugin, int("start time", row.started)?))?;
    Ok(())
}

pub(super) fn json<T: Serialize>(what: &str, value: &T) -> Result<String, Stop> {
    serde_json::to_string(value).map_err(|err| unfit(format!("{what}: {err}")))
}
