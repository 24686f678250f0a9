//! What stands on record, shown: for a slated that does not run, and for the fate of an event.

use serde::Deserialize;
use slated_core::follow::Status;
use slated_model::{Attempt, Discard, EventId, HoldRow, LaneRow, Offset, Outcome, OutcomeRow, Row};
use slated_store::{Snapshot, Store};

use super::{
    ErrorView, EventLine, EventView, FateView, HolesView, LastView, LogView, NO_MATCH,
    NOT_FINISHED, PluginState, PluginView, RetryView, SiteState, SiteView, StatusView, UnitView,
};

impl PluginView {
    /// Describes a plugin by what stands on record.
    pub(crate) fn recorded(
        lane: &LaneRow,
        end: Offset,
        attempts: &[Attempt],
        latest: &[OutcomeRow],
    ) -> Self {
        let state = match lane {
            LaneRow { gone: true, .. } => PluginState::Gone,
            LaneRow { stopped: true, .. } => PluginState::Stopped,
            LaneRow {
                quarantine: Some(_),
                ..
            } => PluginState::Quarantined,
            LaneRow { hold: Some(_), .. } => PluginState::Held,
            _ => PluginState::Unknown,
        };
        let held = lane.hold.is_some();
        let own = attempts
            .iter()
            .filter(|a| a.plugin == lane.plugin && (a.aside || !held));
        let newest = latest.first();
        Self {
            plugin: lane.plugin.clone(),
            state,
            why: match state {
                PluginState::Gone => Some(GONE.into()),
                PluginState::Stopped => Some(stopped(lane.plugin.stem())),
                PluginState::Unknown => Some(UNKNOWN.into()),
                PluginState::Quarantined => {
                    let last = lane.quarantine.as_ref().map(|q| q.reason.as_str());
                    Some(quarantined(lane.plugin.stem(), last))
                }
                _ => lane.hold.as_ref().map(|h| hold(lane.plugin.stem(), h)),
            },
            traceback: None,
            file: None,
            pid: None,
            python: None,
            cursor: Some(lane.cursor.0),
            lag: Some(lane.cursor.until(end)),
            in_flight: 0,
            slow: None,
            retries: own.map(RetryView::of).collect(),
            line: None,
            callbacks: None,
            letters: 0,
            held_at: lane.hold.as_ref().and_then(|hold| hold.event),
            done: None,
            failed: None,
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

/// Why a plugin is gone, and what brings it back.
pub(crate) const GONE: &str = "its file is gone; put back, it goes on where it stood";

/// Why nothing more is known of a plugin.
const UNKNOWN: &str = "no daemon runs, and whether it would load and run is not on record";

/// Says that a person stopped a plugin, and what ends that.
pub(crate) fn stopped(stem: &str) -> String {
    format!("stopped by a person; `slated plugin resume {stem}` starts it")
}

/// Says that a plugin is quarantined, what it died of the last time, and what ends that.
pub(crate) fn quarantined(stem: &str, last: Option<&str>) -> String {
    let last = last.filter(|last| !last.is_empty());
    let last = last.map(|e| format!("; the last time: {e}"));
    format!(
        "its process died too often{}. Edit or touch its file, or `slated plugin resume {stem}`",
        last.unwrap_or_default()
    )
}

/// Says where and why a plugin is held; where no edit ends that, what does.
pub(crate) fn hold(stem: &str, hold: &HoldRow) -> String {
    match (&hold.event, &hold.callback) {
        (Some(event), Some(callback)) => format!("at event {event} in {callback}: {}", hold.reason),
        _ => format!(
            "{}: `slated plugin resume {stem} --from latest`, or `--from ID`; `slated replay --plugin {stem}` runs what the log does not hold",
            hold.reason
        ),
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
    for lane in snapshot.lanes.iter().filter(|lane| lane.is_listed()) {
        let latest = store.latest(Some(lane.plugin.clone()), 50).await?;
        plugins.push(PluginView::recorded(
            lane,
            snapshot.log.end,
            &snapshot.attempts,
            &latest,
        ));
    }
    let follow = Status::recorded(&snapshot.ledger.clone().unwrap_or_default());
    let view = StatusView {
        version: env!("CARGO_PKG_VERSION").into(),
        running: false,
        shadow: false,
        pid: None,
        site: SiteView {
            url: snapshot.site.clone().unwrap_or_else(|| url.into()),
            state: SiteState::Unknown,
            head: follow.high.0,
            holes: HolesView::of(&follow),
            ..SiteView::default()
        },
        log: LogView::of(&snapshot),
        plugins,
        letters: 0,
        held: 0,
        mail: None,
        alerts: Vec::new(),
        webhook: None,
    };
    view.with_counts(store).await
}

impl HolesView {
    pub(crate) fn of(follow: &Status) -> Self {
        Self {
            open: follow.open.ranges,
            open_ids: follow.open.ids,
            oldest_s: follow.open.oldest.as_secs(),
            closed: follow.closed.ranges,
        }
    }
}

impl LogView {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self {
            events: snapshot.log.start.until(snapshot.log.end),
            end: snapshot.log.end.0,
            trouble: None,
        }
    }
}

/// Tells what became of an event in every plugin; `None` if the log does not hold it. Where all that
/// stood under the id is void, the newest of that is shown.
pub(crate) async fn event(
    store: &dyn Store,
    id: EventId,
) -> slated_store::Result<Option<EventView>> {
    let (row, void_at_ms, outcomes, attempts) = match store.event(id).await? {
        Some(row) => {
            let (outcomes, attempts) = store.fate(id).await?;
            (row, None, outcomes, attempts)
        }
        None => match store.voided(id).await?.pop() {
            Some(void) => (void.row, Some(void.at_ms), void.outcomes, Vec::new()),
            None => return Ok(None),
        },
    };
    let lanes = store.snapshot().await?.lanes;
    let lanes = lanes.iter().filter(|lane| !lane.is_only_a_place());
    let mut plugins: Vec<_> = lanes
        .map(|lane| fate(lane, &row, &outcomes, &attempts))
        .collect();
    if void_at_ms.is_some() {
        for fate in plugins.iter_mut().filter(|fate| fate.units.is_empty()) {
            (fate.fate, fate.waits) = ("nothing before it was void".into(), None);
        }
    }
    let event = serde_json::from_str(row.event.text());
    let event = event.unwrap_or_else(|_| serde_json::Value::String(row.event.text().into()));
    Ok(Some(EventView {
        line: EventLine::of(&row),
        event,
        void_at_ms,
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
    let mut ranges = lane.skipped.iter();
    let skipped = ranges.any(|(after, through)| *after < row.offset && row.offset <= *through);
    let wished = lane.skips.iter().any(|skip| skip.event == row.event.id);
    let suspect = lane.suspect.filter(|suspect| suspect.event == row.event.id);
    let fate = match () {
        () if !units.is_empty() => "handled",
        () if row.offset > lane.cursor && wished => "to be skipped, as a person chose",
        () if row.offset > lane.cursor => NOT_FINISHED,
        () if below => "before its start",
        () if skipped => "skipped by a person",
        // "No match" is derived, not stored; rows before a lane's start leave no trace either.
        () => NO_MATCH,
    };
    FateView {
        plugin: lane.plugin.clone(),
        fate: fate.into(),
        waits: (fate == NOT_FINISHED)
            .then(|| PluginView::recorded(lane, row.offset, &[], &[]).waits())
            .flatten(),
        suspect: suspect.map(|suspect| suspect.times),
        callbacks: None,
        units,
    }
}

impl UnitView {
    pub(super) fn finished(row: &OutcomeRow) -> Self {
        let failure = match &row.outcome {
            Outcome::DeadLetter { failure } => Some(failure),
            _ => None,
        };
        let discarded = match &row.outcome {
            Outcome::Discarded { reason } => Some(why_discarded(reason)),
            _ => None,
        };
        Self {
            callback: row.callback.clone(),
            outcome: outcome_name(&row.outcome).into(),
            attempt: row.attempt,
            us: match row.outcome {
                Outcome::Done { us } => Some(us),
                _ => failure.and_then(|f| f.us),
            },
            error: failure.map(|f| f.summary()).or(discarded),
            traceback: failure
                .map(|f| f.traceback.clone())
                .filter(|t| !t.is_empty()),
            log: failure.map(|f| f.log.clone()).unwrap_or_default(),
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
            us: attempt.failure.us,
            error: Some(attempt.failure.summary()),
            traceback: Some(attempt.failure.traceback.clone()).filter(|t| !t.is_empty()),
            log: attempt.failure.log.clone(),
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

fn why_discarded(reason: &Discard) -> String {
    match reason {
        Discard::Person { reason } => format!("discarded by a person: {reason}"),
        Discard::Expired => {
            "it was a dead letter for as long as those are kept, or one of too many".into()
        }
        Discard::RowGone => "the log no longer holds the event".into(),
        Discard::Void => {
            "void: the site was restored to before it, or has another event here".into()
        }
        Discard::CallbackGone => "the plugin no longer registers this callback".into(),
        Discard::Logged { error } => format!("failed, and by configuration only logged: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slated_model::PluginId;

    #[test]
    fn a_hold_that_no_edit_ends_says_what_does() {
        let mut lane = LaneRow::new(PluginId::new("plugins", "notes"), Offset(3));
        lane.hold = slated_core::resume::out_of_log(lane.cursor, Offset(8));
        let view = PluginView::recorded(&lane, Offset(9), &[], &[]);
        assert_eq!(view.state, PluginState::Held);
        let why = view.why.unwrap_or_default();
        assert!(
            why.ends_with(
                "begins: `slated plugin resume notes --from latest`, or `--from ID`; `slated replay --plugin notes` runs what the log does not hold"
            ),
            "{why}"
        );
    }
}
