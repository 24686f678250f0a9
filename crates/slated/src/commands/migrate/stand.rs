//! The record of a slated that does not run, as far as the Python daemon must know of it.

use std::collections::BTreeSet;

use slated_core::leave::{self, Position, Stand};
use slated_model::{EventId, Hole, LaneRow, Offset, PluginId};
use slated_store::{Result, Snapshot, Store};

use super::DeadLetter;

/// Rows read at once.
const PAGE: usize = 1_000;
/// How many dead letters are listed.
const DEAD_LETTERS: usize = 1_000;

/// What stands on record.
pub(super) struct Record {
    /// Every lane, and where it goes on.
    pub(super) positions: Vec<(LaneRow, Position)>,
    pub(super) without_position: Vec<PluginId>,
    pub(super) old_holes: Vec<Hole>,
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) more_dead_letters: bool,
}

/// Reads the record.
pub(super) async fn read(store: &dyn Store) -> Result<Record> {
    let snapshot = store.snapshot().await?;
    let rows = rows(store, &snapshot).await?;
    let (mut positions, mut without_position) = (Vec::new(), Vec::new());
    // One that was moved goes on under its new name.
    for lane in snapshot.lanes.iter().filter(|l| l.moved_to.is_none()) {
        match position(store, &snapshot, &rows, lane).await? {
            Some(position) => positions.push((lane.clone(), position)),
            None => without_position.push(lane.plugin.clone()),
        }
    }
    let dead = store.dead_letters(None, None, DEAD_LETTERS).await?;
    let more_dead_letters = dead.next.is_some();
    let holes = snapshot.ledger.as_ref().map_or(&[][..], |l| &l.holes);
    Ok(Record {
        positions,
        without_position,
        old_holes: leave::old_holes(holes).copied().collect(),
        dead_letters: dead
            .rows
            .into_iter()
            .map(|row| DeadLetter {
                plugin: row.plugin,
                callback: row.callback,
                event: row.event,
            })
            .collect(),
        more_dead_letters,
    })
}

/// A row, as far as it matters here.
struct Seen {
    offset: Offset,
    event: (EventId, bool),
}

/// Reads the rows that some lane has not passed.
async fn rows(store: &dyn Store, snapshot: &Snapshot) -> Result<Vec<Seen>> {
    let cursors = snapshot.lanes.iter().map(|lane| lane.cursor);
    let mut after = cursors.min().unwrap_or(snapshot.log.end);
    let mut rows = Vec::new();
    loop {
        let page = store.rows(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(rows);
        };
        after = last.offset;
        rows.extend(page.iter().map(|row| Seen {
            offset: row.offset,
            event: (row.event.id, row.late),
        }));
    }
}

async fn position(
    store: &dyn Store,
    snapshot: &Snapshot,
    rows: &[Seen],
    lane: &LaneRow,
) -> Result<Option<Position>> {
    let passed = store.highest(lane.cursor).await?;
    let from = rows.partition_point(|row| row.offset <= lane.cursor);
    let after = rows.iter().skip(from).map(|row| row.event);

    let ahead = snapshot.ahead.iter().filter(|o| o.plugin == lane.plugin);
    let mut begun: BTreeSet<EventId> = ahead.map(|outcome| outcome.event).collect();
    let own = snapshot.attempts.iter().filter(|a| a.plugin == lane.plugin);
    let attempts: BTreeSet<EventId> = own.map(|attempt| attempt.event).collect();
    for event in &attempts {
        let (outcomes, _) = store.fate(*event).await?;
        if outcomes.iter().any(|o| o.plugin == lane.plugin) {
            begun.insert(*event);
        }
    }
    let mut unseen = BTreeSet::new();
    for id in &lane.owed {
        if store.event(*id).await?.is_none() {
            unseen.insert(*id);
        }
    }
    let stand = Stand {
        lane,
        passed: passed.map(|row| row.event.id),
        after: &after.collect::<Vec<_>>(),
        attempts: &attempts,
        unseen: &unseen,
        begun: &begun,
    };
    Ok(leave::position(&stand, snapshot.ledger.as_ref()))
}
