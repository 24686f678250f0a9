//! `slated shadow report --json`.

use std::path::PathBuf;

use serde::Serialize;
use slated_model::EventId;

/// What the Python daemon did, beside what a shadow saw.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShadowView {
    /// Events are judged that were seen between these, in milliseconds since 1970.
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    /// A call that began more than this after its event was seen counts as late.
    pub(crate) late_after_ms: i64,
    /// Events seen in that time, and those of them whose ids became visible after higher ones.
    pub(crate) events: usize,
    pub(crate) late_ids: usize,
    /// All plugins together.
    pub(crate) all: TallyView,
    /// Each plugin, the one with the most faults first.
    pub(crate) plugins: Vec<TallyView>,
    pub(crate) off: Vec<OffView>,
    /// Every fault, by event.
    pub(crate) findings: Vec<FindingView>,
    /// Calls of events that the shadow has not seen.
    pub(crate) unknown: Vec<UnknownView>,
    /// Calls that nobody asked for, as plugins register here.
    pub(crate) unasked: Vec<UnaskedView>,
    pub(crate) timing_logs: Vec<PathBuf>,
    /// Lines of timing logs that cannot be read.
    pub(crate) unread: Vec<LineFault>,
    /// Lines of the shadow's diary that cannot be read.
    pub(crate) unread_diary: usize,
}

/// Calls of one plugin, or of all, in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct TallyView {
    /// Its stem; empty for all.
    pub(crate) plugin: String,
    /// Calls that were due: an event for a callback that wants it.
    pub(crate) due: usize,
    /// Made once, in time and without an error.
    pub(crate) good: usize,
    /// Never made, though later ones were.
    pub(crate) missed: usize,
    /// Not made, since the plugin was off.
    pub(crate) off: usize,
    /// Made again though they had succeeded: how many, and calls too many.
    pub(crate) repeated: usize,
    pub(crate) repeats: u64,
    /// Begun late, and the longest delay in milliseconds.
    pub(crate) late: usize,
    pub(crate) longest_ms: i64,
    /// Failed at least once.
    pub(crate) failed: usize,
    /// Not judged: they may have been about to be made when the log ended.
    pub(crate) to_come: usize,
}

/// A plugin that was off to the log's end.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OffView {
    pub(crate) plugin: String,
    /// The callback that alone is silent, if it is so.
    pub(crate) callback: Option<String>,
    /// Since when; absent if the log has no call of it.
    pub(crate) since_ms: Option<i64>,
    /// The event and the callback that failed, if one did.
    pub(crate) failed_event: Option<EventId>,
    pub(crate) failed_callback: Option<String>,
    /// Calls that were due since.
    pub(crate) calls: usize,
}

/// A fault.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FindingView {
    pub(crate) event: EventId,
    /// `plugin.function`, as the timing log names it.
    pub(crate) callback: String,
    /// When the event was seen.
    pub(crate) seen_ms: i64,
    /// Whether its id became visible after higher ones.
    pub(crate) late_id: bool,
    /// Whether it became visible while its plugin was off for a while.
    pub(crate) while_off: bool,
    #[serde(flatten)]
    pub(crate) fault: FaultView,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub(crate) enum FaultView {
    Missed { times: u32 },
    Repeated { times: u32 },
    Late { by_ms: i64 },
    Failed { times: u32, mended: bool },
    Off,
}

/// A call of an event that the shadow has not seen.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct UnknownView {
    pub(crate) event: EventId,
    pub(crate) callback: String,
    pub(crate) called_ms: i64,
}

/// Calls of a callback that did not ask for them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct UnaskedView {
    pub(crate) callback: String,
    pub(crate) calls: usize,
    /// One of their events.
    pub(crate) event: EventId,
}

/// Lines of a file that cannot be read.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LineFault {
    pub(crate) file: PathBuf,
    pub(crate) lines: usize,
    /// The numbers of the first.
    pub(crate) first: Vec<usize>,
}
