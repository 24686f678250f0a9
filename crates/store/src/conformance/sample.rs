//! Things to store, and forms of what comes back that can be compared.

use slated_model::{
    Anchor, Attempt, Beginning, CallbackId, Change, Discard, Event, EventId, Failure, FailureKind,
    Fingerprint, Hole, LaneRow, LedgerChange, LedgerState, Offset, OldFile, OldPosition, OldState,
    Outcome, OutcomeRow, PluginId, QuarantineRow, RewoundRow, Row, SkipRow, Start, SuspectRow,
    WorkerRow,
};

use super::Fine;
use crate::{Append, LogEnd, Snapshot, Store};

/// A plugin by the stem of its file.
pub(super) fn plugin(stem: &str) -> PluginId {
    PluginId::new("/srv/plugins", stem)
}

/// A readable event with text of several scripts.
pub(super) fn event(id: u64) -> Result<Event, String> {
    let text = format!(
        r#"{{"type":"EventLogEntry","id":{id},"event_type":"Shotgun_Task_Change","attribute_name":"sg_status_list","created_at":"2026-01-02T03:04:05Z","meta":{{"x":1.10,"big":123456789012345678901,"t":"ünïcode 映画 \u0000"}}}}"#
    );
    Event::parse(&text).map_err(|err| format!("the sample itself: {err}"))
}

/// Events of these ids, none late.
pub(super) fn events(ids: impl IntoIterator<Item = u64>) -> Result<Vec<(Event, bool)>, String> {
    ids.into_iter().map(|id| Ok((event(id)?, false))).collect()
}

/// Appends events of these ids with a ledger that says no more than the highest.
pub(super) async fn fill(
    store: &dyn Store,
    ids: impl IntoIterator<Item = u64>,
) -> Result<Offset, String> {
    let events = events(ids)?;
    let high = events.iter().map(|(event, _)| event.id).max();
    let append = Append {
        events,
        ledger: LedgerChange {
            high: high.unwrap_or_default(),
            ..LedgerChange::default()
        },
    };
    Ok(store.append(append).await.fine("append")?.end)
}

/// A lane with every field set.
pub(super) fn lane(stem: &str, cursor: u64) -> LaneRow {
    LaneRow {
        plugin: plugin(stem),
        cursor: Offset(cursor),
        floor: Some(EventId(40)),
        owed: vec![EventId(3), EventId(7)],
        in_line_from: Offset(2),
        hold: None,
        stopped: false,
        gone: false,
        content: "c0ffee".into(),
        mtime_ns: 1_700_000_000_123_456_789,
        skipped: vec![(Offset(3), Offset(5))],
        moved_to: Some(PluginId::new("/srv/plugins", "elsewhere")),
        skips: vec![SkipRow {
            event: EventId(9),
            offset: Offset(9),
            reason: "made by \"hand\"".into(),
        }],
        suspect: Some(SuspectRow {
            event: EventId(4),
            times: 2,
        }),
        quarantine: Some(QuarantineRow {
            content: "c0ffee".into(),
            mtime_ns: -1,
            reason: "signal 11".into(),
            at_ms: 77,
        }),
        rewound: Some(RewoundRow {
            from: Offset(8),
            to: Offset(2),
            again: true,
            at_ms: 78,
        }),
    }
}

/// Moves a cursor.
pub(super) fn cursor(stem: &str, cursor: u64) -> Change {
    Change::Cursor {
        plugin: plugin(stem),
        cursor: Offset(cursor),
    }
}

/// A failure with every field set.
pub(super) fn failure(message: &str) -> Failure {
    Failure {
        kind: FailureKind::Raised,
        error: "ValueError".into(),
        message: message.into(),
        traceback: "Traceback:\n  line \"1\"\n".into(),
        locals: Some("x = 1".into()),
        cause: None,
        us: Some(1500),
        log: vec!["INFO \"half\" way".into()],
    }
}

/// An outcome, of a kind that depends on the event.
pub(super) fn outcome(stem: &str, callback: &CallbackId, event: u64) -> OutcomeRow {
    OutcomeRow {
        plugin: plugin(stem),
        callback: callback.clone(),
        event: EventId(event),
        attempt: 2,
        outcome: match event % 4 {
            0 => Outcome::DeadLetter {
                failure: Box::new(failure("gone wrong")),
            },
            1 => Outcome::Discarded {
                reason: Discard::Person {
                    reason: "known".into(),
                },
            },
            2 => Outcome::Discarded {
                reason: Discard::CallbackGone,
            },
            _ => Outcome::Done { us: 1234 },
        },
        at_ms: -5,
    }
}

/// An attempt with every field set.
pub(super) fn attempt(stem: &str, callback: &CallbackId, event: u64, offset: u64) -> Attempt {
    Attempt {
        plugin: plugin(stem),
        callback: callback.clone(),
        event: EventId(event),
        offset: Offset(offset),
        aside: true,
        failed: 3,
        deaths: 1,
        since_ms: 60_000,
        left_ms: 4_000,
        failure: failure("not yet"),
        at_ms: 1_700_000_000_000,
    }
}

/// A beginning with every field set.
pub(super) fn began(start: Start) -> Change {
    let position = |stem, last| OldPosition {
        plugin: plugin(stem),
        last,
        missing: vec![EventId(3)],
    };
    Change::Began(Beginning {
        start: Some(start),
        file: Some(OldFile {
            sha256: "c0ffee".into(),
            said: Some(OldState::Plugins(vec![
                position("a", Some(EventId(7))),
                position("b", None),
            ])),
        }),
    })
}

/// A start where another daemon stood.
pub(super) fn imported() -> Start {
    Start::Imported {
        cursors: vec![EventId(7), EventId(u64::MAX)],
        owed: vec![EventId(3)],
    }
}

/// A worker.
pub(super) fn worker(stem: &str, pid: u32) -> WorkerRow {
    WorkerRow {
        plugin: plugin(stem),
        pid,
        started: 987_654,
    }
}

/// The first callback of a name.
pub(super) fn callback(name: &str) -> CallbackId {
    CallbackId::new(name, 1)
}

/// A hole that was looked for.
pub(super) const fn hole(lo: u64, hi: u64, looks: u64) -> Hole {
    Hole {
        lo: EventId(lo),
        hi: EventId(hi),
        age_ms: looks * 100,
        looks,
    }
}

/// An anchor.
pub(super) fn anchor(id: u64) -> Anchor {
    Anchor {
        id: EventId(id),
        print: Fingerprint {
            created_at: Some("2026-01-02T03:04:05Z".into()),
            event_type: None,
        },
    }
}

/// A row of the log in a form that can be compared.
pub(super) type Seen = (u64, u64, bool, bool, String, Option<String>);

/// Returns the comparable form of rows.
pub(super) fn seen(rows: &[Row]) -> Vec<Seen> {
    rows.iter()
        .map(|row| {
            (
                row.offset.0,
                row.event.id.0,
                row.late,
                row.event.is_readable(),
                row.event.text().to_owned(),
                row.event.head.event_type.clone(),
            )
        })
        .collect()
}

/// A snapshot without its epoch, in a form that can be compared.
#[derive(Debug, PartialEq)]
pub(super) struct State {
    site: Option<String>,
    beginning: Option<Beginning>,
    ledger: Option<LedgerState>,
    log: LogEnd,
    lanes: Vec<LaneRow>,
    attempts: Vec<Attempt>,
    ahead: Vec<OutcomeRow>,
    workers: Vec<WorkerRow>,
    running: bool,
}

/// Returns the comparable form of a snapshot: lists in an order of their own.
pub(super) fn state(snapshot: Snapshot) -> State {
    let Snapshot {
        epoch: _,
        site,
        beginning,
        ledger,
        log,
        mut lanes,
        mut attempts,
        mut ahead,
        mut workers,
        running,
    } = snapshot;
    lanes.sort_by(|a, b| a.plugin.cmp(&b.plugin));
    attempts
        .sort_by(|a, b| (a.event, &a.plugin, &a.callback).cmp(&(b.event, &b.plugin, &b.callback)));
    ahead.sort_by(|a, b| (a.event, &a.plugin, &a.callback).cmp(&(b.event, &b.plugin, &b.callback)));
    workers.sort_by_key(|worker| worker.pid);
    State {
        site,
        beginning,
        ledger,
        log,
        lanes,
        attempts,
        ahead,
        workers,
        running,
    }
}
