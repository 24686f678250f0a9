//! How old dead letters are, and which of them go.
//!
//! A letter's age is the time that was watched since it was written. It is told by marks: each the
//! number of the newest outcome at some moment, with the time watched since. So no clock is believed
//! that may jump, and what lies there while nobody looks does not grow old.
//!
//! Invariant: no letter is taken for older than it is.

use slated_model::Discard;

use super::fault::Stop;
use super::record::{DISCARDED, json};
use super::writer::Txn;
use super::{int, meta};
use crate::KeepLetters;

/// The number of an outcome, and the milliseconds that were watched since it was the newest.
type Age = (i64, u64);

/// A letter goes when its time is over, or up to this part of it later.
const PARTS: u64 = 30;

/// Discards dead letters that were kept long enough, or are too many; returns how many.
pub(super) fn expire(txn: &mut Txn<'_>, keep: KeepLetters) -> Result<u64, Stop> {
    let mut ages = read(txn)?;
    for (_, age) in &mut ages {
        *age = age.saturating_add(keep.watched_ms);
    }
    let newest = newest(txn)?;
    let last = ages.last().copied();
    let spaced = last.is_none_or(|(_, age)| age >= keep.for_ms / PARTS);
    if spaced && newest > last.map_or(0, |(seq, _)| seq) {
        ages.push((newest, 0));
    }
    let old = ages.iter().filter(|(_, age)| *age >= keep.for_ms);
    let old = old.map(|(seq, _)| *seq).max().unwrap_or(0);
    ages.retain(|(_, age)| *age < keep.for_ms);
    write(txn, &ages)?;
    let reason = json("reason", &Discard::Expired)?;
    let each = int("dead letters", keep.each)?;
    let expired = txn
        .conn
        .prepare_cached(
            "UPDATE outcome SET kind = ?1, detail = ?2 WHERE kind = 'dead_letter' AND (seq <= ?3
             OR seq IN (SELECT seq FROM (
                 SELECT seq, row_number() OVER (PARTITION BY plugin ORDER BY seq DESC) AS nth
                 FROM outcome WHERE kind = 'dead_letter') WHERE nth > ?4))",
        )?
        .execute((DISCARDED, reason, old, each))?;
    Ok(expired as u64)
}

/// Takes note that outcomes went: the numbers of the newest may be given again.
pub(super) fn reused(txn: &Txn<'_>) -> Result<(), Stop> {
    let mut ages = read(txn)?;
    let newest = newest(txn)?;
    if ages.last().is_none_or(|(seq, _)| *seq <= newest) {
        return Ok(());
    }
    for (seq, _) in &mut ages {
        *seq = (*seq).min(newest);
    }
    write(txn, &ages)
}

fn newest(txn: &Txn<'_>) -> Result<i64, Stop> {
    Ok(txn
        .conn
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM outcome")?
        .query_row([], |row| row.get(0))?)
}

fn read(txn: &Txn<'_>) -> Result<Vec<Age>, Stop> {
    let Some(text) = meta::get(txn.conn, meta::LETTERS)? else {
        return Ok(Vec::new());
    };
    serde_json::from_str(&text).map_err(|err| Stop::Damaged(format!("meta row `letters`: {err}")))
}

fn write(txn: &Txn<'_>, ages: &[Age]) -> Result<(), Stop> {
    meta::put(txn.conn, meta::LETTERS, &json("ages of letters", &ages)?)
}
