//! What people and programs see of a slated: the shapes of `/api/v1` and of every `--json`.
//!
//! The same shapes come from a running daemon and, where none runs, from its store. Times are
//! milliseconds since 1970 (UTC). A field is added, never renamed.

use serde::{Deserialize, Serialize};
use slated_core::lane::Lane;
use slated_model::{
    Attempt, CallbackId, EventId, LaneRow, Matcher, Offset, Outcome, OutcomeRow, PluginId, Row,
};
use slated_store::{Snapshot, Store};

use crate::daemon::intake::IntakeStatus;
use crate::daemon::plugin::Plugin;

/// `slated status --json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StatusView {
    /// The version of slated that answers.
    pub(crate) version: String,
    /// Whether a daemon runs; without one the rest is what the store holds.
    pub(crate) running: bool,
    /// The daemon's process.
    pub(crate) pid: Option<u32>,
    pub(crate) site: SiteView,
    pub(crate) log: LogView,
    pub(crate) plugins: Vec<PluginView>,
}

/// The site as the follower sees it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SiteView {
    pub(crate) url: String,
    /// `ok`, `down`, `starting`, `anchor lost`, or `unknown` without a daemon.
    pub(crate) state: String,
    /// Why it cannot be read, or is not the one that was followed.
    pub(crate) trouble: Option<String>,
    /// The highest event id seen.
    pub(crate) head: u64,
    /// Whether the last look reached the end of the site's log.
    pub(crate) caught_up: bool,
    /// When the site was last read.
    pub(crate) read_at_ms: Option<i64>,
    /// Requests since the daemon's start.
    pub(crate) requests: u64,
    /// Ids below the head not seen yet.
    pub(crate) holes: HolesView,
    /// Events that filled a hole since the daemon's start.
    pub(crate) late: u64,
}

/// Holes in figures.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct HolesView {
    /// Ranges asked for by the ladder, and ids in them.
    pub(crate) open: u64,
    pub(crate) open_ids: u64,
    /// For how long the oldest of them was observed, in seconds.
    pub(crate) oldest_s: u64,
    /// Ranges left to the daily audit.
    pub(crate) closed: u64,
}

/// The local log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LogView {
    /// Events in it.
    pub(crate) events: u64,
    /// The offset of the newest.
    pub(crate) end: u64,
}

/// One plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PluginView {
    pub(crate) plugin: PluginId,
    /// In the vocabulary of the design: starting, running, waiting, held, broken, quarantined,
    /// stopped, gone; `unknown` without a daemon.
    pub(crate) state: String,
    /// Why it is not running, in a line.
    pub(crate) why: Option<String>,
    /// The traceback of code that does not load.
    pub(crate) traceback: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) python: Option<String>,
    /// The offset up to which everything is finished; absent until it has its place.
    pub(crate) cursor: Option<u64>,
    /// Events behind the end of the log.
    pub(crate) lag: Option<u64>,
    pub(crate) in_flight: u64,
    /// Units that failed and will be tried again.
    pub(crate) retries: Vec<RetryView>,
    pub(crate) callbacks: Vec<CallbackView>,
    /// Outcomes since the daemon's start.
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) last: Option<LastView>,
    pub(crate) last_error: Option<ErrorView>,
}

/// A callback as it is registered now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CallbackView {
    pub(crate) name: CallbackId,
    #[serde(rename = "match")]
    pub(crate) matcher: Matcher,
    pub(crate) stop_on_error: bool,
}

/// A unit of work that failed and will be tried again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RetryView {
    pub(crate) event: EventId,
    pub(crate) callback: CallbackId,
    pub(crate) failed: u32,
    pub(crate) error: String,
    /// Whether the plugin goes on meanwhile.
    pub(crate) aside: bool,
}

/// The newest outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LastView {
    pub(crate) event: EventId,
    pub(crate) callback: CallbackId,
    pub(crate) outcome: String,
    pub(crate) at_ms: i64,
}

/// The newest failure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ErrorView {
    pub(crate) event: Option<EventId>,
    pub(crate) callback: Option<CallbackId>,
    pub(crate) error: String,
    pub(crate) at_ms: i64,
}

/// `slated events tail --json`, one object a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EventLine {
    pub(crate) offset: u64,
    pub(crate) id: EventId,
    pub(crate) late: bool,
    pub(crate) event_type: Option<String>,
    pub(crate) attribute_name: Option<String>,
    pub(crate) created_at: Option<String>,
    /// `Type name` of the entity, for people.
    pub(crate) entity: Option<String>,
    /// The name of the user, for people.
    pub(crate) user: Option<String>,
}

/// `slated events show ID --json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EventView {
    #[serde(flatten)]
    pub(crate) line: EventLine,
    /// The row as the site wrote it; a string if it cannot be read.
    pub(crate) event: serde_json::Value,
    pub(crate) plugins: Vec<FateView>,
}

/// What became of an event in one plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FateView {
    pub(crate) plugin: PluginId,
    /// `handled`, `not reached`, `before its start`, or `no match`.
    pub(crate) fate: String,
    pub(crate) units: Vec<UnitView>,
}

/// What became of an event in one callback.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UnitView {
    pub(crate) callback: CallbackId,
    /// `done`, `dead letter`, `discarded`, `retry aside` or `retry in place`.
    pub(crate) outcome: String,
    pub(crate) attempt: u32,
    /// Microseconds in the callback.
    pub(crate) us: Option<u64>,
    pub(crate) error: Option<String>,
    pub(crate) traceback: Option<String>,
    pub(crate) at_ms: i64,
}

impl PluginView {
    /// Describes a plugin of a running daemon.
    pub(crate) fn of(plugin: &Plugin, end: Offset) -> Self {
        let worker = plugin
            .used
            .and_then(|g| plugin.workers.get(&g))
            .or_else(|| plugin.workers.values().next());
        let lane = plugin.lane.as_ref();
        let hold = lane
            .and_then(Lane::hold)
            .map(|hold| match (&hold.event, &hold.callback) {
                (Some(event), Some(callback)) => {
                    format!("at event {event} in {callback}: {}", hold.reason)
                }
                _ => hold.reason.clone(),
            });
        let broken = plugin.broken.as_ref();
        Self {
            plugin: plugin.id.clone(),
            state: plugin.state().into(),
            why: broken.map(|b| b.place.clone()).or(hold),
            traceback: broken.map(|b| b.traceback.clone()),
            file: Some(plugin.file.display().to_string()),
            pid: worker.and_then(|w| w.pid),
            python: worker.map(|w| w.runtime.clone()),
            cursor: lane.map(|l| l.cursor().0),
            lag: lane.map(|l| l.cursor().until(end)),
            in_flight: lane.map_or(0, |l| l.in_flight() as u64),
            retries: lane
                .map(|l| l.attempts().map(RetryView::of).collect())
                .unwrap_or_default(),
            callbacks: worker
                .and_then(|w| w.callbacks.as_ref())
                .into_iter()
                .flatten()
                .map(|c| CallbackView {
                    name: c.id.clone(),
                    matcher: c.matcher.clone(),
                    stop_on_error: c.stop_on_error,
                })
                .collect(),
            done: plugin.done,
            failed: plugin.failed,
            last: plugin.last.clone(),
            last_error: plugin.last_error.clone(),
        }
    }

    /// Describes a plugin by what stands on record.
    fn recorded(lane: &LaneRow, end: Offset, attempts: &[Attempt], latest: &[OutcomeRow]) -> Self {
        let state = match lane {
            LaneRow { gone: true, .. } => "gone",
            LaneRow { stopped: true, .. } => "stopped",
            LaneRow { hold: Some(_), .. } => "held",
            _ => "unknown",
        };
        let own = attempts.iter().filter(|a| a.plugin == lane.plugin);
        let newest = latest.first();
        Self {
            plugin: lane.plugin.clone(),
            state: state.into(),
            why: lane.hold.as_ref().map(|h| h.reason.clone()),
            traceback: None,
            file: None,
            pid: None,
            python: None,
            cursor: Some(lane.cursor.0),
            lag: Some(lane.cursor.until(end)),
            in_flight: 0,
            retries: own.map(RetryView::of).collect(),
            callbacks: Vec::new(),
            done: 0,
            failed: 0,
            last: newest.map(|o| LastView {
                event: o.event,
                callback: o.callback.clone(),
                outcome: outcome_name(&o.outcome).into(),
                at_ms: o.at_ms,
            }),
            last_error: latest.iter().find_map(|o| {
                let Outcome::DeadLetter { failure } = &o.outcome else {
                    return None;
                };
                Some(ErrorView {
                    event: Some(o.event),
                    callback: Some(o.callback.clone()),
                    error: failure.summary(),
                    at_ms: o.at_ms,
                })
            }),
        }
    }
}

impl RetryView {
    fn of(attempt: &Attempt) -> Self {
        Self {
            event: attempt.event,
            callback: attempt.callback.clone(),
            failed: attempt.failed,
            error: attempt.failure.summary(),
            aside: attempt.aside,
        }
    }
}

impl SiteView {
    /// Describes the site of a running daemon.
    pub(crate) fn of(url: &str, status: &IntakeStatus) -> Self {
        let follow = &status.follow;
        let state = match (&follow.lost, &status.trouble, status.read_at_ms) {
            (Some(_), ..) => "anchor lost",
            (None, Some(_), _) => "down",
            (None, None, None) => "starting",
            (None, None, Some(_)) => "ok",
        };
        Self {
            url: url.into(),
            state: state.into(),
            trouble: follow
                .lost
                .as_ref()
                .map(ToString::to_string)
                .or_else(|| status.trouble.clone()),
            head: follow.high.0,
            caught_up: follow.caught_up,
            read_at_ms: status.read_at_ms,
            requests: status.requests,
            holes: HolesView {
                open: follow.open.ranges,
                open_ids: follow.open.ids,
                oldest_s: follow.open.oldest.as_secs(),
                closed: follow.closed.ranges,
            },
            late: follow.late,
        }
    }
}

impl EventLine {
    pub(crate) fn of(row: &Row) -> Self {
        /// The parts of a row that only people read.
        #[derive(Default, Deserialize)]
        struct Links {
            entity: Option<Link>,
            user: Option<Link>,
        }
        #[derive(Deserialize)]
        struct Link {
            r#type: Option<String>,
            name: Option<String>,
            id: Option<u64>,
        }
        let links: Links = serde_json::from_str(row.event.text()).unwrap_or_default();
        let name = |l: &Link| {
            l.name
                .clone()
                .or_else(|| l.id.map(|id| id.to_string()))
                .unwrap_or_default()
        };
        let head = &row.event.head;
        Self {
            offset: row.offset.0,
            id: row.event.id,
            late: row.late,
            event_type: head.event_type.clone(),
            attribute_name: head.attribute_name.clone(),
            created_at: head.created_at.clone(),
            entity: links
                .entity
                .map(|l| format!("{} {}", l.r#type.as_deref().unwrap_or_default(), name(&l))),
            user: links.user.map(|l| name(&l)),
        }
    }
}

/// Describes a slated that does not run, from its store.
pub(crate) async fn offline(store: &dyn Store, url: &str) -> slated_store::Result<StatusView> {
    let snapshot = store.snapshot().await?;
    let mut plugins = Vec::new();
    for lane in &snapshot.lanes {
        let latest = store.latest(Some(lane.plugin.clone()), 50).await?;
        plugins.push(PluginView::recorded(
            lane,
            snapshot.log.end,
            &snapshot.attempts,
            &latest,
        ));
    }
    let ledger = snapshot.ledger.clone().unwrap_or_default();
    Ok(StatusView {
        version: env!("CARGO_PKG_VERSION").into(),
        running: false,
        pid: None,
        site: SiteView {
            url: snapshot.site.clone().unwrap_or_else(|| url.into()),
            state: "unknown".into(),
            head: ledger.high.0,
            holes: HolesView {
                open: ledger.holes.len() as u64,
                open_ids: ledger.holes.iter().map(|h| h.hi.0 - h.lo.0 + 1).sum(),
                oldest_s: ledger
                    .holes
                    .iter()
                    .map(|h| h.age_ms / 1000)
                    .max()
                    .unwrap_or_default(),
                closed: 0,
            },
            ..SiteView::default()
        },
        log: LogView::of(&snapshot),
        plugins,
    })
}

impl LogView {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self {
            events: snapshot.log.start.until(snapshot.log.end),
            end: snapshot.log.end.0,
        }
    }
}

/// Tells what became of an event in every plugin; `None` if the log does not hold it.
pub(crate) async fn event(
    store: &dyn Store,
    id: EventId,
) -> slated_store::Result<Option<EventView>> {
    let Some(row) = store.event(id).await? else {
        return Ok(None);
    };
    let (outcomes, attempts) = store.fate(id).await?;
    let lanes = store.snapshot().await?.lanes;
    let plugins = lanes
        .iter()
        .map(|lane| fate(lane, &row, &outcomes, &attempts))
        .collect();
    let event = serde_json::from_str(row.event.text());
    let event = event.unwrap_or_else(|_| serde_json::Value::String(row.event.text().into()));
    Ok(Some(EventView {
        line: EventLine::of(&row),
        event,
        plugins,
    }))
}

fn fate(lane: &LaneRow, row: &Row, outcomes: &[OutcomeRow], attempts: &[Attempt]) -> FateView {
    let done = outcomes
        .iter()
        .filter(|o| o.plugin == lane.plugin)
        .map(UnitView::finished);
    let open = attempts
        .iter()
        .filter(|a| a.plugin == lane.plugin)
        .map(UnitView::open);
    let units: Vec<_> = done.chain(open).collect();
    let below = lane.floor.is_some_and(|f| row.event.id <= f) && !row.late;
    let fate = match () {
        () if !units.is_empty() => "handled",
        () if row.offset > lane.cursor => "not reached",
        () if below => "before its start",
        // "No match" is derived, not stored; rows before a lane's start leave no trace either.
        () => "no match",
    };
    FateView {
        plugin: lane.plugin.clone(),
        fate: fate.into(),
        units,
    }
}

impl UnitView {
    fn finished(row: &OutcomeRow) -> Self {
        let failure = match &row.outcome {
            Outcome::DeadLetter { failure } => Some(failure),
            _ => None,
        };
        let discarded = match &row.outcome {
            Outcome::Discarded { reason } => serde_json::to_string(reason).ok(),
            _ => None,
        };
        Self {
            callback: row.callback.clone(),
            outcome: outcome_name(&row.outcome).into(),
            attempt: row.attempt,
            us: match row.outcome {
                Outcome::Done { us } => Some(us),
                _ => None,
            },
            error: failure.map(|f| f.summary()).or(discarded),
            traceback: failure
                .map(|f| f.traceback.clone())
                .filter(|t| !t.is_empty()),
            at_ms: row.at_ms,
        }
    }
    fn open(attempt: &Attempt) -> Self {
        Self {
            callback: attempt.callback.clone(),
            outcome: if attempt.aside {
                "retry aside"
            } else {
                "retry in place"
            }
            .into(),
            attempt: attempt.failed,
            us: None,
            error: Some(attempt.failure.summary()),
            traceback: Some(attempt.failure.traceback.clone()).filter(|t| !t.is_empty()),
            at_ms: attempt.at_ms,
        }
    }
}

const fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done { .. } => "done",
        Outcome::DeadLetter { .. } => "dead letter",
        Outcome::Discarded { .. } => "discarded",
    }
}
