//! What people and programs see of a slated: the shapes of `/api/v1` and of every `--json`.
//!
//! The same shapes come from a running daemon and, where none runs, from its store. Times are
//! milliseconds since 1970 (UTC). A field is added, never renamed.
//!
//! * `recorded` fills them from a store; `daemon/show` from a running daemon
//! * `detail`: everything about one plugin; `failures`: dead letters and holds
//! * `refusal`: what is answered instead; `begin`: where a plugin is to begin; `rewind`: what a way
//!   back comes to

mod alerts;
mod begin;
mod check;
mod decision;
mod detail;
mod failures;
mod probe;
mod recorded;
pub(crate) mod refusal;
mod reload;
mod rewind;
mod shadow;

use std::fmt;

use serde::{Deserialize, Serialize};
use slated_model::{Attempt, CallbackId, EventId, Matcher, PluginId};
use slated_store::Store;

pub(crate) use alerts::{AlertView, WebhookCheck, WebhookView};
pub(crate) use begin::Begin;
pub(crate) use check::{
    AsksView, CheckView, FileState, FileView, KeyView, MailCheck, PythonView, SiteLook, StartView,
    StateView,
};
pub(crate) use decision::DecisionView;
pub(crate) use detail::{PluginDetail, recorded as plugin};
pub(crate) use failures::{
    FailuresView, GroupView, LetterView, Pick, Placed, SHOWN, Which, WishView, failures, group,
    letters_are,
};
pub(crate) use probe::{AnswerView, ProbeView, SpreadView};
pub(crate) use recorded::{GONE, event, hold, offline, quarantined, stopped};
pub(crate) use refusal::Refusal;
pub(crate) use reload::{ChangedKey, ReloadView};
pub(crate) use rewind::{RewindView, Subject, Survey, survey};
pub(crate) use shadow::{
    FaultView, FindingView, LineFault, OffView, ShadowView, TallyView, UnaskedView, UnknownView,
};

/// `slated status --json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StatusView {
    /// The version of slated that answers.
    pub(crate) version: String,
    /// Whether a daemon runs; without one the rest is what the store holds.
    pub(crate) running: bool,
    /// Whether it is a shadow, which calls nothing.
    #[serde(default)]
    pub(crate) shadow: bool,
    /// The daemon's process.
    pub(crate) pid: Option<u32>,
    pub(crate) site: SiteView,
    pub(crate) log: LogView,
    pub(crate) plugins: Vec<PluginView>,
    /// Dead letters of all plugins, also of those that are not listed.
    #[serde(default)]
    pub(crate) letters: u64,
    /// Plugins that wait for a person.
    #[serde(default)]
    pub(crate) held: u64,
    /// How mail goes; absent where none is configured or no daemon runs.
    #[serde(default)]
    pub(crate) mail: Option<MailView>,
    /// What is wrong and told, the most urgent first.
    #[serde(default)]
    pub(crate) alerts: Vec<AlertView>,
    /// How the webhook goes; absent where none is configured or no daemon runs.
    #[serde(default)]
    pub(crate) webhook: Option<WebhookView>,
}

/// How mail about errors goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MailView {
    /// Name and port.
    pub(crate) server: String,
    /// Why no mail goes out.
    pub(crate) trouble: Option<String>,
    /// What may be done about it.
    pub(crate) hint: Option<String>,
    /// Since when none goes out.
    pub(crate) since_ms: Option<i64>,
    /// Why some receivers get none.
    pub(crate) refused: Option<String>,
    /// Errors that wait: to be told together, or for the server.
    pub(crate) waiting: u64,
    /// Mails sent since the daemon's start.
    pub(crate) sent: u64,
    /// When the newest was.
    pub(crate) sent_at_ms: Option<i64>,
}

impl MailView {
    /// Describes a server that was not asked yet.
    pub(crate) fn of(server: String) -> Self {
        Self {
            server,
            ..Self::default()
        }
    }
}

/// The site as the follower sees it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SiteView {
    pub(crate) url: String,
    pub(crate) state: SiteState,
    /// Why it cannot be read, or is not the one that was followed.
    pub(crate) trouble: Option<String>,
    /// What may be done about it.
    #[serde(default)]
    pub(crate) hint: Option<String>,
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
    /// Ids up to the newest shown that wait for a fresh hole to fill (`site.settle`).
    #[serde(default)]
    pub(crate) settling: u64,
    /// Whether the site is slow to answer for new and old ids at once, so that it is asked twice a look.
    #[serde(default)]
    pub(crate) split: bool,
}

/// How the site is, as the follower sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SiteState {
    /// No daemon asks it.
    #[default]
    Unknown,
    /// It was not read yet.
    Starting,
    /// The last request was answered.
    Ok,
    /// The last request failed.
    Down,
    /// It answered, and said no: a person must change something.
    Refused,
    /// It is not the one that was followed.
    AnchorLost,
}

/// What a plugin is doing (docs/operations.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PluginState {
    /// No daemon runs.
    Unknown,
    /// No process is ready yet.
    Starting,
    /// It gets its events.
    Running,
    /// The site is down for a callback of it.
    Waiting,
    /// It waits for a person, an edit or a touch.
    Held,
    /// It does not load.
    Broken,
    /// Its process keeps dying.
    Quarantined,
    /// It was told to stop.
    Stopped,
    /// Its file is gone.
    Gone,
    /// A shadow knows what it asks for, and calls none of it.
    Watched,
}

impl fmt::Display for SiteState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "unknown",
            Self::Starting => "starting",
            Self::Ok => "ok",
            Self::Down => "down",
            Self::Refused => "refused",
            Self::AnchorLost => "anchor lost",
        })
    }
}

impl fmt::Display for PluginState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "unknown",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Broken => "broken",
            Self::Quarantined => "quarantined",
            Self::Stopped => "stopped",
            Self::Gone => "gone",
            Self::Watched => "watched",
        })
    }
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
    /// Why nothing can be written for now, if so.
    #[serde(default)]
    pub(crate) trouble: Option<String>,
}

/// One plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PluginView {
    pub(crate) plugin: PluginId,
    pub(crate) state: PluginState,
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
    /// A call that takes longer than `warn_after`, while it does.
    #[serde(default)]
    pub(crate) slow: Option<SlowView>,
    /// Units that failed and will be tried again.
    pub(crate) retries: Vec<RetryView>,
    /// What it registered; absent as long as no process of it has loaded, which also holds without
    /// a daemon.
    pub(crate) callbacks: Option<Vec<CallbackView>>,
    /// Its place among the others; absent where there is no order, or no daemon.
    #[serde(default)]
    pub(crate) line: Option<LineView>,
    /// Outcomes since the daemon's start; absent where none runs.
    pub(crate) done: Option<u64>,
    pub(crate) failed: Option<u64>,
    pub(crate) last: Option<LastView>,
    pub(crate) last_error: Option<ErrorView>,
    /// The event at which it is held, if it is at one.
    #[serde(default)]
    pub(crate) held_at: Option<EventId>,
    /// Its dead letters.
    #[serde(default)]
    pub(crate) letters: u64,
}

/// Where a plugin stands among the others (`plugins.order`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LineView {
    /// Those after it wait for it.
    pub(crate) in_line: bool,
    /// The event at which it waits for others.
    pub(crate) at: Option<EventId>,
    /// Whose answer it waits for; absent while it waits for all to load.
    pub(crate) waits_for: Option<PluginId>,
}

impl LineView {
    /// Says in a line what is not as usual.
    pub(crate) fn says(&self) -> Option<String> {
        let waits = self.at.map(|at| match &self.waits_for {
            Some(other) => format!("waits for {other} at event {at}"),
            None => format!("waits at event {at} until all plugins are loaded"),
        });
        let out = "is behind: plugins after it do not wait for it until it has caught up";
        waits.or_else(|| (!self.in_line).then(|| out.into()))
    }
}

/// A callback as it is registered now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CallbackView {
    pub(crate) name: CallbackId,
    #[serde(rename = "match")]
    pub(crate) matcher: Matcher,
    pub(crate) stop_on_error: bool,
}

/// A call that takes long.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SlowView {
    pub(crate) event: EventId,
    pub(crate) callback: String,
    /// When it began.
    pub(crate) since_ms: i64,
    /// Where each thread of the plugin stood when it became slow, as Python prints it; empty if that
    /// could not be seen.
    pub(crate) stack: String,
}

impl SlowView {
    /// Says for how long it runs, and below that where it stood.
    pub(crate) fn says(&self, now_ms: i64) -> String {
        let (event, callback) = (self.event, &self.callback);
        let seconds = (now_ms - self.since_ms).max(0) / 1000;
        let text = format!("event {event} in {callback} has been running for {seconds} s");
        match self.stack.trim_end() {
            "" => text,
            stack => format!("{text}; it stood at\n{stack}"),
        }
    }
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
    /// The row; a string if it cannot be read.
    pub(crate) event: serde_json::Value,
    /// Since when it is void, if it is: the site was restored to before it, and nothing stands under
    /// its id now.
    #[serde(default)]
    pub(crate) void_at_ms: Option<i64>,
    pub(crate) plugins: Vec<FateView>,
}

/// What became of an event in one plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FateView {
    pub(crate) plugin: PluginId,
    /// `handled`, `not finished`, `before its start`, `skipped by a person`, `to be skipped, as a
    /// person chose`, or `no match`.
    pub(crate) fate: String,
    /// The state of a plugin that has not finished it and does not run, and why.
    #[serde(default)]
    pub(crate) waits: Option<String>,
    /// How often it was the first without an outcome when slated ended uncleanly, if it is suspect.
    #[serde(default)]
    pub(crate) suspect: Option<u32>,
    /// What its callbacks ask for, where none of them matched; absent where that is not known.
    #[serde(default)]
    pub(crate) callbacks: Option<Vec<CallbackView>>,
    pub(crate) units: Vec<UnitView>,
}

/// What became of an event in one callback.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UnitView {
    pub(crate) callback: CallbackId,
    /// `done`, `dead letter`, `discarded`, `retry aside` or `retry in place`.
    pub(crate) outcome: String,
    pub(crate) attempt: u32,
    /// Microseconds in the callback; absent where it did not answer.
    pub(crate) us: Option<u64>,
    pub(crate) error: Option<String>,
    pub(crate) traceback: Option<String>,
    /// The last lines that the plugin logged in the call: on record with a failure; of others as long
    /// as the daemon that called runs, and not of old ones.
    #[serde(default)]
    pub(crate) log: Vec<String>,
    pub(crate) at_ms: i64,
}

impl StatusView {
    /// Counts what waits for a person, and takes void rows from the events of the log.
    pub(crate) async fn with_counts(mut self, store: &dyn Store) -> slated_store::Result<Self> {
        self.log.events = self.log.events.saturating_sub(store.count_void().await?);
        let counts = store.count_letters().await?;
        self.letters = counts.values().sum();
        for plugin in &mut self.plugins {
            plugin.letters = counts.get(&plugin.plugin).copied().unwrap_or_default();
        }
        let held = self.plugins.iter().filter(|p| p.state == PluginState::Held);
        self.held = held.count() as u64;
        Ok(self)
    }
}

impl PluginView {
    /// Says why it does not get on, if it does not run.
    pub(crate) fn waits(&self) -> Option<String> {
        match (self.state, &self.why) {
            (PluginState::Running | PluginState::Unknown, _) => None,
            (state, None) => Some(state.to_string()),
            (state, Some(why)) => Some(format!("{state} ({why})")),
        }
    }
}

impl FateView {
    /// Tells whether the plugin has still to come to the event.
    pub(crate) fn is_to_come(&self) -> bool {
        self.fate == NOT_FINISHED && self.units.is_empty()
    }
    /// Tells whether none of its callbacks was called, since none wanted it.
    pub(crate) fn is_no_match(&self) -> bool {
        self.fate == NO_MATCH
    }
}

/// The fate of an event that a plugin passed without a call.
const NO_MATCH: &str = "no match";

/// Returns what stays on record of an event that a person has a plugin skip.
pub(crate) fn skip_reason(reason: Option<String>) -> String {
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    reason.unwrap_or_else(|| "skipped".into())
}

/// The fate of an event that a plugin has not passed.
const NOT_FINISHED: &str = "not finished";

impl RetryView {
    pub(crate) fn of(attempt: &Attempt) -> Self {
        Self {
            event: attempt.event,
            callback: attempt.callback.clone(),
            failed: attempt.failed,
            error: attempt.failure.summary(),
            aside: attempt.aside,
        }
    }
}
