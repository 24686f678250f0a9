//! Every fact an operator may need, told once: one line in the log and one record in the feed.
//!
//! A [`Fact`] is a value, so that the log, `demo`'s screen and whatever comes later (metrics, the
//! dashboard) say the same thing. Levels go by duty: an error wants somebody to act, a warning was
//! recovered from, information is about lives, debugging about single events.

mod words;

use std::time::Duration;

use slated_model::{CallbackId, Event, EventId, Failure, HoldRow, PluginId};
use tokio::sync::broadcast;

/// Something worth telling.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// The site was read after a start or a failure.
    SiteRead { url: String, high: EventId },
    /// The site cannot be read; told once, and again when the reason changes.
    SiteFailed {
        error: String,
        hint: Option<&'static str>,
        refused: bool,
    },
    /// The site is not the one that was followed: the intake has ended.
    AnchorLost { detail: String },
    /// An event entered the log.
    EventSeen { event: Event, late: bool },
    /// A row that cannot be read entered the log.
    RowUnreadable { event: EventId },
    /// A plugin is loaded.
    PluginReady {
        plugin: PluginId,
        callbacks: usize,
        warnings: Vec<String>,
        pid: u32,
    },
    /// A plugin does not load.
    PluginBroken {
        plugin: PluginId,
        place: String,
        traceback: String,
        kept_old: bool,
    },
    /// Registering failed on account of a network; it will be tried again.
    PluginUnlucky { plugin: PluginId, message: String },
    /// A plugin's process died too often.
    PluginQuarantined { plugin: PluginId },
    /// A plugin's file appeared, changed, was touched, or is gone.
    PluginFile {
        plugin: PluginId,
        what: &'static str,
    },
    /// A plugin was moved or renamed.
    PluginMoved { from: PluginId, to: PluginId },
    /// A plugin's file cannot be read.
    FileUnreadable { plugin: PluginId, error: String },
    /// A plugins folder cannot be read.
    FolderUnreadable { folder: String, error: String },
    /// A plugins folder can be read again.
    FolderReadable { folder: String },
    /// A process of a plugin died.
    WorkerDied {
        plugin: PluginId,
        end: String,
        last_words: String,
    },
    /// A callback finished.
    CallbackDone {
        plugin: PluginId,
        callback: CallbackId,
        event: EventId,
        us: u64,
        attempt: u32,
    },
    /// A callback failed and will be tried again.
    CallbackRetried {
        plugin: PluginId,
        callback: CallbackId,
        event: EventId,
        failure: Failure,
        failed: u32,
        wait: Duration,
        aside: bool,
    },
    /// A callback needs a site that is down.
    LaneAwaitsSite {
        plugin: PluginId,
        callback: CallbackId,
        event: EventId,
        failure: Failure,
    },
    /// An event became a dead letter.
    DeadLetter {
        plugin: PluginId,
        callback: CallbackId,
        event: EventId,
        failure: Failure,
        attempts: u32,
    },
    /// A callback failed, and by configuration only the log keeps it.
    FailureLogged {
        plugin: PluginId,
        callback: CallbackId,
        event: EventId,
        failure: Failure,
    },
    /// A plugin waits for a person.
    PluginHeld {
        plugin: PluginId,
        hold: HoldRow,
        failure: Option<Failure>,
    },
    /// A hold has ended.
    PluginResumed { plugin: PluginId },
    /// An attempt was given up, because the plugin no longer has the callback.
    AttemptDropped {
        plugin: PluginId,
        callback: CallbackId,
        event: EventId,
    },
    /// A callback takes long.
    CallbackSlow {
        plugin: PluginId,
        callback: String,
        event: EventId,
        after: Duration,
        stack: String,
    },
    /// A plugin's logger said something.
    PluginLog {
        plugin: PluginId,
        level: u32,
        logger: String,
        message: String,
        event: Option<EventId>,
    },
    /// A plugin printed something.
    PluginPrinted { plugin: PluginId, line: String },
    /// Lanes were given their place.
    PluginPlaced { plugin: PluginId, after: EventId },
    /// The daemon is stopping.
    Stopping { busy: usize },
    /// The state cannot be written for now.
    StateFailed { error: String },
}

/// Tells facts to the log and to whoever listens. Clones tell the same.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    feed: broadcast::Sender<Fact>,
}

impl Teller {
    pub(crate) fn new() -> Self {
        Self {
            feed: broadcast::channel(4096).0,
        }
    }
    /// Returns a listener to all facts from now on. A listener that lags loses the oldest.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Fact> {
        self.feed.subscribe()
    }
    /// Tells a fact.
    pub(crate) fn tell(&self, fact: Fact) {
        fact.log();
        // Nobody listening is no failure.
        drop(self.feed.send(fact));
    }
}

impl Fact {
    fn level(&self) -> tracing::Level {
        use tracing::Level;
        match self {
            Self::AnchorLost { .. }
            | Self::RowUnreadable { .. }
            | Self::PluginBroken { .. }
            | Self::PluginQuarantined { .. }
            | Self::DeadLetter { .. }
            | Self::FailureLogged { .. }
            | Self::PluginHeld { .. }
            | Self::StateFailed { .. }
            | Self::SiteFailed { refused: true, .. } => Level::ERROR,
            Self::SiteFailed { .. }
            | Self::PluginUnlucky { .. }
            | Self::FolderUnreadable { .. }
            | Self::FileUnreadable { .. }
            | Self::WorkerDied { .. }
            | Self::CallbackRetried { .. }
            | Self::LaneAwaitsSite { .. }
            | Self::AttemptDropped { .. }
            | Self::CallbackSlow { .. } => Level::WARN,
            Self::EventSeen { .. } | Self::CallbackDone { .. } => Level::DEBUG,
            Self::PluginLog { level, .. } => match level {
                40.. => Level::ERROR,
                30.. => Level::WARN,
                20.. => Level::INFO,
                _ => Level::DEBUG,
            },
            _ => Level::INFO,
        }
    }

    fn log(&self) {
        use tracing::Level;
        match self.level() {
            Level::ERROR => tracing::error!("{self}"),
            Level::WARN => tracing::warn!("{self}"),
            Level::INFO => tracing::info!("{self}"),
            _ => tracing::debug!("{self}"),
        }
    }
}
