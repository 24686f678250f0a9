//! Every fact an operator may need, told once: one line in the log and one record in the feed.
//!
//! A [`Fact`] is a value, so that the log, `demo`'s screen and whatever comes later (metrics, the
//! dashboard) say the same thing. Levels go by duty: an error wants somebody to act, a warning was
//! recovered from, information is about lives, debugging about single events.

pub(crate) mod alert;
mod files;
mod lines;
mod log;
mod mail;
mod record;
mod rotating;
mod timing;
mod webhook;
mod words;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use slated_core::lane::Leave;
use slated_core::recycle::Why;
use slated_host::wire::Emails;
use slated_model::{CallbackId, Event, EventId, Failure, HoldRow, PluginId};
use tokio::sync::{Notify, broadcast, watch};

pub(crate) use alert::Sender as AlertSender;
pub(crate) use log::Log;
pub(crate) use mail::{Mail, Server as MailServer};
use record::Record;
pub(crate) use record::{Source, level_name};
pub(crate) use timing::Timing;
pub(crate) use webhook::{Hook, Webhook};

use crate::view::MailView;

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
    AnchorLost {
        detail: String,
        hint: Option<&'static str>,
    },
    /// A person decided how to go on with it.
    SiteDecided { detail: String },
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
        /// Who gets mail about its errors.
        emails: Emails,
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
    /// The system had no room for a process; it will be asked again.
    ProcessRefused { plugin: PluginId, error: String },
    /// A preloaded parent does not serve, or did not, when a process was started.
    NotPreloaded { plugin: PluginId, note: String },
    /// A plugin's process cannot be started until somebody mends what is in its way.
    PluginUnstartable {
        plugin: PluginId,
        error: String,
        kept_old: bool,
    },
    /// A plugin's process died too often.
    PluginQuarantined { plugin: PluginId },
    /// A plugin's file appeared, changed, was touched, or is gone.
    PluginFile {
        plugin: PluginId,
        what: &'static str,
    },
    /// A module that a plugin imported changed: the plugin is loaded anew.
    HelperChanged { plugin: PluginId, path: String },
    /// A plugin was moved or renamed.
    PluginMoved { from: PluginId, to: PluginId },
    /// A plugin's file cannot be read.
    FileUnreadable { plugin: PluginId, error: String },
    /// A plugins folder cannot be read.
    FolderUnreadable { folder: String, error: String },
    /// A plugins folder can be read again.
    FolderReadable { folder: String },
    /// A process that runs well makes room for a new one.
    Recycled { plugin: PluginId, why: Why },
    /// A process of a plugin died.
    WorkerDied {
        plugin: PluginId,
        end: String,
        last_words: String,
    },
    /// An event was sent to a plugin's worker, which will call this callback.
    Dispatched {
        plugin: PluginId,
        callback: CallbackId,
        event: EventId,
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
    /// A person stopped a plugin.
    PluginStopped { plugin: PluginId },
    /// A person has dead letters of a plugin tried again.
    LettersRetried { plugin: PluginId, letters: usize },
    /// A person discarded dead letters of a plugin.
    LettersDiscarded { plugin: PluginId, letters: usize },
    /// A person let a plugin skip rows of the log.
    PluginSkipped { plugin: PluginId, rows: u64 },
    /// A person let a plugin skip an event.
    EventSkipped { plugin: PluginId, event: EventId },
    /// A person let a plugin go back.
    PluginRewound { plugin: PluginId, rows: u64 },
    /// An attempt was given up, because the log no longer holds the event.
    AttemptLost {
        plugin: PluginId,
        callback: CallbackId,
        event: EventId,
    },
    /// A plugin is still quarantined, after a restart.
    StillQuarantined { plugin: PluginId },
    /// Those after it in the order do not wait for a plugin any more.
    LeftLine { plugin: PluginId, why: Leave },
    /// They wait for it again.
    InLine { plugin: PluginId },
    /// A plugin waited long enough, and takes an event before others have.
    WentAhead {
        plugin: PluginId,
        event: EventId,
        without: Vec<PluginId>,
    },
    /// Dispatch begins, and some plugins are not ready.
    BeginsWithout { plugins: Vec<PluginId> },
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
        /// The call in which it did, if it was one.
        call: Option<Call>,
        /// When, in microseconds since 1970 by the worker's clock.
        at_us: u64,
        source: Source,
    },
    /// A plugin printed something.
    PluginPrinted { plugin: PluginId, line: String },
    /// Lanes were given their place.
    PluginPlaced { plugin: PluginId, after: EventId },
    /// The site did not say where a new plugin begins; it is asked again.
    PlaceUnknown { plugin: PluginId, error: String },
    /// The daemon is stopping.
    Stopping { busy: usize },
    /// Dead letters were discarded: they are too old, or too many.
    LettersExpired { letters: u64 },
    /// The state is larger than it should be.
    StateLarge {
        size: u64,
        alarm: u64,
        held_back_by: Option<PluginId>,
    },
    /// The state cannot be written for now.
    StateFailed { error: String },
    /// It can again.
    StateMended,
    /// The daemon ends with outcomes that are not on record.
    LeftUnwritten,
    /// No mail goes out; told once, and again when the reason changes.
    MailFailed {
        server: String,
        error: String,
        hint: Option<&'static str>,
    },
    /// Mail goes out again.
    MailMended { server: String },
    /// The server does not take mail for these; told once, and again when the reason changes.
    MailRefused {
        to: Vec<String>,
        error: String,
        /// Whether others got it.
        some: bool,
    },
    /// An address is none.
    MailAddress { whose: String, error: String },
    /// A mail is not tried any more.
    MailGivenUp { subject: String, why: &'static str },
    /// There was no room for what was to be mailed.
    MailDropped { dropped: u64 },
    /// The daemon ends, and mail has not gone out.
    MailLeft { left: u64, error: Option<String> },
    /// What no other fact says of an alert.
    Alerted { is_over: bool, text: String },
    /// The webhook does not take alerts; told once.
    WebhookFailed { host: String, error: String },
    /// It does again.
    WebhookMended { host: String },
    /// It refused an alert, which is given up; told once, and again when the reason changes.
    WebhookRefused { host: String, error: String },
}

/// A call of a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) event: EventId,
    pub(crate) callback: CallbackId,
    /// Which attempt it is, from 1.
    pub(crate) attempt: u32,
}

/// Tells facts to the log and to whoever listens. Clones tell the same.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    feed: broadcast::Sender<Fact>,
    log: Option<Log>,
    stirred: Arc<Notify>,
}

impl Teller {
    /// Makes one that keeps no log.
    pub(crate) fn new() -> Self {
        Self {
            feed: broadcast::channel(4096).0,
            log: None,
            stirred: Arc::default(),
        }
    }
    /// Makes one whose facts are logged.
    pub(crate) fn logging(log: Log) -> Self {
        Self {
            log: Some(log),
            ..Self::new()
        }
    }
    /// Returns a listener to all facts from now on. A listener that lags loses the oldest.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Fact> {
        self.feed.subscribe()
    }
    /// Tells a fact. Never waits.
    pub(crate) fn tell(&self, fact: Fact) {
        if let Some(log) = &self.log {
            // A worker has already left out what its plugin's loggers do not want.
            if matches!(fact, Fact::PluginLog { .. }) || log.wants(fact.level()) {
                log.put(Record::of(&fact, Timestamp::now()));
            }
            if let Some(mail) = log.mail() {
                mail.hear(&fact);
            }
        }
        if fact.is_trouble_or_its_end() {
            self.stirred.notify_one();
        }
        // Nobody listening is no failure.
        drop(self.feed.send(fact));
    }
    /// Tells whether a fact for people who look very closely is worth making.
    pub(crate) fn wants_debug(&self) -> bool {
        self.log.as_ref().is_some_and(|l| l.wants(record::DEBUG))
    }
    /// Returns how mail goes, if there is any.
    pub(crate) fn mail_seen(&self) -> Option<watch::Receiver<MailView>> {
        self.log.as_ref()?.mail().map(Mail::seen)
    }
    /// Returns what is notified when something went wrong, or is well again.
    pub(crate) fn stirred(&self) -> Arc<Notify> {
        Arc::clone(&self.stirred)
    }
    /// Returns the way into the mail, if there is any.
    pub(crate) fn mail(&self) -> Option<&Mail> {
        self.log.as_ref()?.mail()
    }
    /// Tells whether answers are timed.
    pub(crate) fn times(&self) -> bool {
        self.log.as_ref().is_some_and(Log::times)
    }
    /// Writes an answer to the timing log, if there is one.
    pub(crate) fn time(&self, timing: Timing) {
        if let Some(log) = self.log.as_ref().filter(|log| log.times()) {
            log.time(timing);
        }
    }
}

impl Fact {
    /// Returns how much it matters, as Python numbers levels.
    fn level(&self) -> u32 {
        match self {
            // What the Python daemon calls critical: an event was not dealt with.
            Self::PluginBroken { .. }
            | Self::PluginUnstartable { .. }
            | Self::DeadLetter { .. }
            | Self::FailureLogged { .. }
            | Self::PluginHeld { .. } => record::CRITICAL,
            Self::AnchorLost { .. }
            | Self::RowUnreadable { .. }
            | Self::PluginQuarantined { .. }
            | Self::StillQuarantined { .. }
            | Self::StateLarge { .. }
            | Self::StateFailed { .. }
            | Self::LeftUnwritten
            | Self::MailFailed { .. }
            | Self::MailRefused { .. }
            | Self::MailAddress { .. }
            | Self::MailGivenUp { .. }
            | Self::MailLeft { .. }
            | Self::WebhookFailed { .. }
            | Self::WebhookRefused { .. }
            | Self::SiteFailed { refused: true, .. } => record::ERROR,
            Self::SiteFailed { .. }
            | Self::PluginUnlucky { .. }
            | Self::PlaceUnknown { .. }
            | Self::ProcessRefused { .. }
            | Self::NotPreloaded { .. }
            | Self::FolderUnreadable { .. }
            | Self::FileUnreadable { .. }
            | Self::WorkerDied { .. }
            | Self::CallbackRetried { .. }
            | Self::LaneAwaitsSite { .. }
            | Self::AttemptDropped { .. }
            | Self::AttemptLost { .. }
            | Self::WentAhead { .. }
            | Self::BeginsWithout { .. }
            | Self::LettersExpired { .. }
            | Self::MailDropped { .. }
            | Self::Alerted { is_over: false, .. }
            | Self::SiteDecided { .. }
            | Self::LeftLine {
                why: Leave::LongCall | Leave::SlowEnd,
                ..
            }
            | Self::CallbackSlow { .. } => record::WARNING,
            // Whatever else takes a plugin out of the line is told by itself.
            Self::EventSeen { .. }
            | Self::Dispatched { .. }
            | Self::CallbackDone { .. }
            | Self::LeftLine { .. }
            | Self::InLine { .. } => record::DEBUG,
            Self::PluginLog { level, .. } => *level,
            _ => record::INFO,
        }
    }

    /// Returns the plugin, callback and event it is about.
    fn about(&self) -> (Option<&PluginId>, Option<String>, Option<EventId>) {
        match self {
            Self::Dispatched {
                plugin,
                callback,
                event,
            }
            | Self::CallbackDone {
                plugin,
                callback,
                event,
                ..
            }
            | Self::CallbackRetried {
                plugin,
                callback,
                event,
                ..
            }
            | Self::LaneAwaitsSite {
                plugin,
                callback,
                event,
                ..
            }
            | Self::DeadLetter {
                plugin,
                callback,
                event,
                ..
            }
            | Self::FailureLogged {
                plugin,
                callback,
                event,
                ..
            }
            | Self::AttemptLost {
                plugin,
                callback,
                event,
            }
            | Self::AttemptDropped {
                plugin,
                callback,
                event,
            } => (Some(plugin), Some(callback.to_string()), Some(*event)),
            Self::CallbackSlow {
                plugin,
                callback,
                event,
                ..
            } => (Some(plugin), Some(callback.clone()), Some(*event)),
            Self::PluginHeld { plugin, hold, .. } => {
                let callback = hold.callback.as_ref().map(ToString::to_string);
                (Some(plugin), callback, hold.event)
            }
            Self::PluginLog {
                plugin,
                call: Some(call),
                ..
            } => (
                Some(plugin),
                Some(call.callback.to_string()),
                Some(call.event),
            ),
            Self::PluginLog { plugin, logger, .. } => {
                let own = format!("plugin.{}.", plugin.stem());
                let callback = logger.strip_prefix(&own).map(str::to_owned);
                (Some(plugin), callback, None)
            }
            Self::PluginReady { plugin, .. }
            | Self::PluginBroken { plugin, .. }
            | Self::PluginUnlucky { plugin, .. }
            | Self::PlaceUnknown { plugin, .. }
            | Self::ProcessRefused { plugin, .. }
            | Self::NotPreloaded { plugin, .. }
            | Self::PluginUnstartable { plugin, .. }
            | Self::PluginQuarantined { plugin }
            | Self::StillQuarantined { plugin }
            | Self::PluginRewound { plugin, .. }
            | Self::PluginFile { plugin, .. }
            | Self::HelperChanged { plugin, .. }
            | Self::Recycled { plugin, .. }
            | Self::PluginMoved { to: plugin, .. }
            | Self::FileUnreadable { plugin, .. }
            | Self::WorkerDied { plugin, .. }
            | Self::PluginResumed { plugin }
            | Self::PluginStopped { plugin }
            | Self::PluginSkipped { plugin, .. }
            | Self::LettersRetried { plugin, .. }
            | Self::LettersDiscarded { plugin, .. }
            | Self::LeftLine { plugin, .. }
            | Self::InLine { plugin }
            | Self::PluginPrinted { plugin, .. }
            | Self::PluginPlaced { plugin, .. } => (Some(plugin), None, None),
            Self::WentAhead { plugin, event, .. } | Self::EventSkipped { plugin, event } => {
                (Some(plugin), None, Some(*event))
            }
            Self::EventSeen { event, .. } => (None, None, Some(event.id)),
            Self::RowUnreadable { event } => (None, None, Some(*event)),
            Self::SiteRead { .. }
            | Self::SiteFailed { .. }
            | Self::AnchorLost { .. }
            | Self::SiteDecided { .. }
            | Self::FolderUnreadable { .. }
            | Self::FolderReadable { .. }
            | Self::BeginsWithout { .. }
            | Self::Stopping { .. }
            | Self::LettersExpired { .. }
            | Self::StateLarge { .. }
            | Self::StateFailed { .. }
            | Self::StateMended
            | Self::LeftUnwritten
            | Self::MailFailed { .. }
            | Self::MailMended { .. }
            | Self::MailRefused { .. }
            | Self::MailAddress { .. }
            | Self::MailGivenUp { .. }
            | Self::MailDropped { .. }
            | Self::MailLeft { .. }
            | Self::Alerted { .. }
            | Self::WebhookFailed { .. }
            | Self::WebhookMended { .. }
            | Self::WebhookRefused { .. } => (None, None, None),
        }
    }

    /// Tells whether it is worth a look at what is wrong.
    const fn is_trouble_or_its_end(&self) -> bool {
        matches!(
            self,
            Self::PluginHeld { .. }
                | Self::PluginResumed { .. }
                | Self::PluginQuarantined { .. }
                | Self::StillQuarantined { .. }
                | Self::AnchorLost { .. }
                | Self::SiteDecided { .. }
                | Self::SiteFailed { .. }
                | Self::SiteRead { .. }
                | Self::StateFailed { .. }
                | Self::StateMended
        )
    }

    /// Tells whether it is about mail, which no mail must be about.
    const fn is_about_mail(&self) -> bool {
        matches!(
            self,
            Self::MailFailed { .. }
                | Self::MailMended { .. }
                | Self::MailRefused { .. }
                | Self::MailAddress { .. }
                | Self::MailGivenUp { .. }
                | Self::MailDropped { .. }
                | Self::MailLeft { .. }
        )
    }
}

#[cfg(test)]
mod tests;
