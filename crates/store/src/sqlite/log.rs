//! Writing the log and the ledger: what one look of the follower brings.
//!
//! Invariant: offsets grow by one from the newest row's, in the order given.

use rusqlite::{ErrorCode, ffi};
use serde::{Deserialize, Serialize};
use slated_model::{Anchor, Body, Event, EventId, LedgerChange, LedgerState, Offset};

use super::crc::Crc;
use super::fault::Stop;
use super::writer::Txn;
use super::{int, meta};
use crate::{Append, Appended, Error};

/// The ledger without its holes, as it stands in `meta`.
#[derive(Serialize, Deserialize)]
pub(super) struct LedgerHead {
    pub(super) high: EventId,
    pub(super) audited: EventId,
    pub(super) anchors: Vec<Anchor>,
}

/// The last offset that was given: the newest row may be void.
pub(super) const LAST_OFFSET: &str = "SELECT max(coalesce((SELECT max(offset) FROM event), 0),
    coalesce((SELECT max(offset) FROM void), 0))";

/// The first offset that there is; the oldest row may be void, too.
pub(super) const FIRST_OFFSET: &str = "SELECT min(offset) FROM
    (SELECT min(offset) AS offset FROM event UNION ALL SELECT min(offset) FROM void)";

/// Binds the state to a site, or refuses another.
pub(super) fn bind(txn: &mut Txn<'_>, url: &str) -> Result<(), Stop> {
    match meta::get(txn.conn, meta::SITE)? {
        Some(bound) if bound == url => Ok(()),
        Some(bound) => Err(Stop::Refused(Error::OtherSite {
            bound,
            asked: url.to_owned(),
        })),
        None => {
            txn.carry_over();
            meta::put(txn.conn, meta::SITE, url)
        }
    }
}

/// Appends events and changes the ledger.
pub(super) fn append(txn: &mut Txn<'_>, append: &Append) -> Result<Appended, Stop> {
    let mut end: i64 = txn
        .conn
        .prepare_cached(LAST_OFFSET)?
        .query_row([], |row| row.get(0))?;
    for (event, late) in &append.events {
        end += 1;
        insert(txn, end, event, *late)?;
    }
    if meta::get(txn.conn, meta::LEDGER)?.is_none() {
        txn.carry_over();
    }
    ledger(txn, &append.ledger)?;
    Ok(Appended {
        end: Offset(end.unsigned_abs()),
    })
}

fn insert(txn: &Txn<'_>, offset: i64, event: &Event, late: bool) -> Result<(), Stop> {
    let id = int("event id", event.id.0)?;
    let (body, unreadable) = match &event.body {
        Body::Json(raw) => (Some(raw.get()), None),
        Body::Unreadable(text) => (None, Some(&**text)),
    };
    let row = EventRow {
        offset,
        id,
        late,
        event_type: event.head.event_type.as_deref(),
        attribute_name: event.head.attribute_name.as_deref(),
        created_at: event.head.created_at.as_deref(),
        body,
        unreadable,
    };
    txn.conn
        .prepare_cached(
            "INSERT INTO event
             (offset, id, late, event_type, attribute_name, created_at, body, unreadable, crc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((
            row.offset,
            row.id,
            row.late,
            row.event_type,
            row.attribute_name,
            row.created_at,
            row.body,
            row.unreadable,
            row.sum(),
        ))
        .map_err(|err| match err.sqlite_error() {
            Some(ffi::Error {
                code: ErrorCode::ConstraintViolation,
                extended_code: ffi::SQLITE_CONSTRAINT_UNIQUE,
            }) => Stop::Refused(Error::Duplicate(event.id)),
            _ => err.into(),
        })?;
    // Work on record for an event that only now arrives is not done again either.
    txn.conn
        .prepare_cached(
            "INSERT INTO ahead (plugin, offset, outcome)
             SELECT o.plugin, ?1, o.seq FROM outcome o LEFT JOIN cursor u ON u.plugin = o.plugin
             WHERE o.event = ?2 AND ?1 > coalesce(u.offset, 0)",
        )?
        .execute((offset, id))?;
    Ok(())
}

/// The columns of an event that its sum is made of.
pub(super) struct EventRow<'a> {
    pub(super) offset: i64,
    pub(super) id: i64,
    pub(super) late: bool,
    pub(super) event_type: Option<&'a str>,
    pub(super) attribute_name: Option<&'a str>,
    pub(super) created_at: Option<&'a str>,
    pub(super) body: Option<&'a str>,
    pub(super) unreadable: Option<&'a str>,
}

impl EventRow<'_> {
    pub(super) fn sum(&self) -> i64 {
        Crc::default()
            .int(self.offset)
            .int(self.id)
            .int(self.late.into())
            .maybe_text(self.event_type)
            .maybe_text(self.attribute_name)
            .maybe_text(self.created_at)
            .maybe_text(self.body)
            .maybe_text(self.unreadable)
            .sum()
    }
}

/// Puts a whole ledger in the place of the one that stands.
pub(super) fn replace_ledger(txn: &Txn<'_>, state: &LedgerState) -> Result<(), Stop> {
    txn.conn.prepare_cached("DELETE FROM hole")?.execute([])?;
    let change = LedgerChange {
        high: state.high,
        anchors: state.anchors.clone(),
        audited: state.audited,
        removed: Vec::new(),
        put: state.holes.clone(),
    };
    ledger(txn, &change)
}

fn ledger(txn: &Txn<'_>, change: &LedgerChange) -> Result<(), Stop> {
    let head = serde_json::to_string(&LedgerHead {
        high: change.high,
        audited: change.audited,
        anchors: change.anchors.clone(),
    })
    .map_err(|err| super::unfit(format!("the ledger: {err}")))?;
    meta::put(txn.conn, meta::LEDGER, &head)?;
    if !change.removed.is_empty() {
        let mut remove = txn.conn.prepare_cached("DELETE FROM hole WHERE lo = ?1")?;
        for lo in &change.removed {
            remove.execute([int("hole", lo.0)?])?;
        }
    }
    if !change.put.is_empty() {
        let mut put = txn.conn.prepare_cached(
            "INSERT INTO hole (lo, hi, age_ms, looks, crc) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (lo) DO UPDATE SET hi = excluded.hi, age_ms = excluded.age_ms,
                 looks = excluded.looks, crc = excluded.crc",
        )?;
        for hole in &change.put {
            let row = [
                int("hole", hole.lo.0)?,
                int("hole", hole.hi.0)?,
                int("age of a hole", hole.age_ms)?,
                int("looks at a hole", hole.looks)?,
            ];
            put.execute((row[0], row[1], row[2], row[3], hole_sum(row)))?;
        }
    }
    Ok(())
}

/// Sums a hole: its low end, high end, age and looks.
pub(super) fn hole_sum(row: [i64; 4]) -> i64 {
    row.into_iter().fold(Crc::default(), Crc::int).sum()
}
