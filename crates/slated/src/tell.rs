//! Every fact an operator may need, told once: one line in the log and one record in the feed.
//!
//! A [`Fact`] is a value, so that the log, `demo`'s screen and whatever comes later (metrics, the
//! dashboard) say the same thing. Levels go by duty: an error wants somebody to act, a warning was
//! recovered from, information is about lives, debugging about single events.

use std::fmt;
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

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SiteRead { url, high } => write!(f, "Following {url} from event {high}."),
            Self::SiteFailed { error, hint, .. } => {
                write!(f, "{error}; nothing is lost, slated keeps asking.")?;
                hint.map_or(Ok(()), |hint| write!(f, " Hint: {hint}"))
            }
            Self::AnchorLost { detail } => write!(
                f,
                "The site is not the one that was followed: {detail}. Nothing more is read until a person decides."
            ),
            Self::EventSeen { event, late } => {
                let head = &event.head;
                let what = head.event_type.as_deref().unwrap_or("(no type)");
                write!(f, "Event {} {what}", event.id)?;
                if let Some(attribute) = &head.attribute_name {
                    write!(f, " {attribute}")?;
                }
                f.write_str(if *late { " (late)." } else { "." })
            }
            Self::RowUnreadable { event } => {
                write!(
                    f,
                    "Event {event} cannot be read; it is kept as it came, and the stream goes on."
                )
            }
            Self::PluginReady {
                plugin,
                callbacks,
                warnings,
                pid,
            } => {
                let s = if *callbacks == 1 { "" } else { "s" };
                write!(
                    f,
                    "{plugin}: ready with {callbacks} callback{s} (process {pid})."
                )?;
                warnings.iter().try_for_each(|w| write!(f, " Warning: {w}"))
            }
            Self::PluginBroken {
                plugin,
                place,
                traceback,
                kept_old,
            } => {
                let then = if *kept_old {
                    "the code that ran before keeps running"
                } else {
                    "the other plugins run"
                };
                write!(
                    f,
                    "{plugin}: does not load: {place}; {then}.\n{}",
                    traceback.trim_end()
                )
            }
            Self::PluginUnlucky { plugin, message } => {
                write!(
                    f,
                    "{plugin}: registering failed on account of a network, and is tried again: {message}"
                )
            }
            Self::PluginQuarantined { plugin } => write!(
                f,
                "{plugin}: its process died more than 5 times in 10 minutes; it is quarantined until its file is edited or touched."
            ),
            Self::PluginFile { plugin, what } => write!(f, "{plugin}: its file {what}."),
            Self::PluginMoved { from, to } => {
                write!(
                    f,
                    "{to}: was {from} before, and goes on where that one stood."
                )
            }
            Self::FileUnreadable { plugin, error } => {
                write!(
                    f,
                    "{plugin}: its file cannot be read ({error}); the plugin stays as it is."
                )
            }
            Self::FolderReadable { folder } => {
                write!(f, "Plugins folder {folder} can be read again.")
            }
            Self::FolderUnreadable { folder, error } => {
                write!(
                    f,
                    "Plugins folder {folder} cannot be read ({error}); its plugins stay as they are."
                )
            }
            Self::WorkerDied {
                plugin,
                end,
                last_words,
            } => {
                write!(f, "{plugin}: its process died ({end}).")?;
                if last_words.is_empty() {
                    Ok(())
                } else {
                    write!(f, "\n{}", last_words.trim_end())
                }
            }
            Self::CallbackDone {
                plugin,
                callback,
                event,
                us,
                attempt,
            } => {
                write!(
                    f,
                    "{plugin}.{callback}: event {event} done in {:.1} ms",
                    *us as f64 / 1000.0
                )?;
                if *attempt > 1 {
                    write!(f, " at attempt {attempt}.")
                } else {
                    f.write_str(".")
                }
            }
            Self::CallbackRetried {
                plugin,
                callback,
                event,
                failure,
                failed,
                wait,
                aside,
            } => {
                let how = if *aside {
                    "the plugin goes on meanwhile"
                } else {
                    "the plugin waits"
                };
                write!(
                    f,
                    "{plugin}.{callback}: event {event} failed (attempt {failed}): {}. Again in {:.1} s; {how}.",
                    failure.summary(),
                    wait.as_secs_f64()
                )
            }
            Self::LaneAwaitsSite {
                plugin,
                callback,
                event,
                failure,
            } => write!(
                f,
                "{plugin}.{callback}: event {event} waits for the site: {}.",
                failure.summary()
            ),
            Self::DeadLetter {
                plugin,
                callback,
                event,
                failure,
                attempts,
            } => write!(
                f,
                "{plugin}.{callback}: event {event} failed for good after {attempts} attempt(s) and is a dead letter: {}.\n{}",
                failure.summary(),
                failure.traceback.trim_end()
            ),
            Self::FailureLogged {
                plugin,
                callback,
                event,
                failure,
            } => write!(
                f,
                "{plugin}.{callback}: event {event} failed: {}.\n{}",
                failure.summary(),
                failure.traceback.trim_end()
            ),
            Self::PluginHeld {
                plugin,
                hold,
                failure,
            } => {
                write!(f, "{plugin}: held")?;
                if let (Some(event), Some(callback)) = (hold.event, &hold.callback) {
                    write!(f, " at event {event} in {callback}")?;
                }
                write!(
                    f,
                    ": {}. Edit or touch its file to go on with that event.",
                    hold.reason
                )?;
                failure
                    .as_ref()
                    .map_or(Ok(()), |x| write!(f, "\n{}", x.traceback.trim_end()))
            }
            Self::PluginResumed { plugin } => write!(f, "{plugin}: goes on."),
            Self::AttemptDropped {
                plugin,
                callback,
                event,
            } => write!(
                f,
                "{plugin}.{callback}: no longer registered; its retry of event {event} is discarded."
            ),
            Self::CallbackSlow {
                plugin,
                callback,
                event,
                after,
                stack,
            } => write!(
                f,
                "{plugin}.{callback}: event {event} has been running for {:.0} s.\n{}",
                after.as_secs_f64(),
                stack.trim_end()
            ),
            Self::PluginLog {
                logger, message, ..
            } => write!(f, "{logger}: {message}"),
            Self::PluginPrinted { plugin, line } => write!(f, "{plugin} printed: {line}"),
            Self::PluginPlaced { plugin, after } => {
                write!(
                    f,
                    "{plugin}: new; gets what is seen from now on (after event {after})."
                )
            }
            Self::Stopping { busy: 0 } => f.write_str("Stopping."),
            Self::Stopping { busy } => {
                write!(f, "Stopping; {busy} callback(s) in flight may finish.")
            }
            Self::StateFailed { error } => f.write_str(error),
        }
    }
}
