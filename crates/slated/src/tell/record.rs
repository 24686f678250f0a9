//! One record of the log: the only place where facts, words of plugins and what libraries say get
//! logger, level and origin. Files, stderr and whatever comes later are written from it.

use std::fmt::Write as _;

use jiff::Timestamp;
use slated_model::{EventId, PluginId};
use tracing::field::{Field, Visit};

use super::Fact;

/// Python's level numbers.
pub(crate) const CRITICAL: u32 = 50;
pub(crate) const ERROR: u32 = 40;
pub(crate) const WARNING: u32 = 30;
pub(crate) const INFO: u32 = 20;
pub(crate) const DEBUG: u32 = 10;
/// Below debug; Python has no name for it.
pub(crate) const TRACE: u32 = 5;

/// The line of a program that logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) func: String,
    pub(crate) line: u32,
}

/// What is written as one entry of the log; its message may have several lines.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) at: Timestamp,
    /// As Python numbers it: 10 debug to 50 critical.
    pub(crate) level: u32,
    /// Such as `plugin.notes.on_status`; `None` for slated itself.
    pub(crate) logger: Option<String>,
    pub(crate) message: String,
    pub(crate) plugin: Option<PluginId>,
    pub(crate) callback: Option<String>,
    pub(crate) event: Option<EventId>,
    /// Which attempt, where a plugin says something in a call.
    pub(crate) attempt: Option<u32>,
    /// Where a plugin logged it.
    pub(crate) source: Option<Source>,
}

impl Record {
    /// Makes a record of slated's own.
    pub(crate) const fn own(at: Timestamp, level: u32, message: String) -> Self {
        Self {
            at,
            level,
            logger: None,
            message,
            plugin: None,
            callback: None,
            event: None,
            attempt: None,
            source: None,
        }
    }

    /// Makes the record of a fact. What befell a callback is its logger's, as the Python daemon
    /// has it; the life of a plugin is the daemon's.
    pub(crate) fn of(fact: &Fact, now: Timestamp) -> Self {
        let (plugin, callback, event) = fact.about();
        let logger = match (fact, plugin, &callback) {
            (Fact::PluginLog { logger, .. }, ..) => Some(logger.clone()),
            (Fact::Dispatched { .. } | Fact::PluginPrinted { .. }, Some(p), _) => {
                Some(format!("plugin.{}", p.stem()))
            }
            (_, Some(p), Some(callback)) => Some(format!("plugin.{}.{callback}", p.stem())),
            _ => None,
        };
        let (at, message, source) = match fact {
            Fact::PluginLog {
                at_us,
                message,
                source,
                ..
            } => {
                let at = i64::try_from(*at_us).ok();
                let at = at.and_then(|us| Timestamp::from_microsecond(us).ok());
                (at.unwrap_or(now), message.clone(), Some(source.clone()))
            }
            fact => (now, fact.to_string(), None),
        };
        Self {
            at,
            level: fact.level(),
            logger,
            message,
            plugin: plugin.cloned(),
            callback,
            event,
            attempt: match fact {
                Fact::PluginLog { call, .. } => call.as_ref().map(|call| call.attempt),
                _ => None,
            },
            source,
        }
    }

    /// Makes the record of what slated or a library says through `tracing`.
    pub(crate) fn heard(event: &tracing::Event<'_>, now: Timestamp) -> Self {
        let mut words = Words::default();
        event.record(&mut words);
        let meta = event.metadata();
        let level = level_of(*meta.level());
        let mut record = Self::own(now, level, words.message + &words.fields);
        if !meta.target().starts_with("slated") {
            record.logger = Some(meta.target().to_owned());
        }
        record
    }

    /// Tells whether the plugin wrote the message, not slated about it.
    pub(crate) const fn is_plugins(&self) -> bool {
        self.source.is_some()
    }

    /// Returns about how much memory it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.message.len()
    }
}

/// Returns Python's number of a level.
pub(crate) const fn level_of(level: tracing::Level) -> u32 {
    match level {
        tracing::Level::ERROR => ERROR,
        tracing::Level::WARN => WARNING,
        tracing::Level::INFO => INFO,
        tracing::Level::DEBUG => DEBUG,
        tracing::Level::TRACE => TRACE,
    }
}

/// Returns Python's name of a level.
pub(crate) fn level_name(level: u32) -> String {
    match level {
        CRITICAL => "CRITICAL".into(),
        ERROR => "ERROR".into(),
        WARNING => "WARNING".into(),
        INFO => "INFO".into(),
        DEBUG => "DEBUG".into(),
        other => format!("Level {other}"),
    }
}

/// The message of a `tracing` event, and its fields behind it.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        let written = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
        written.unwrap_or_default();
    }
}
