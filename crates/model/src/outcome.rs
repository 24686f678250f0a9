//! What became of an event in a callback.

use serde::{Deserialize, Serialize};

/// The one terminal record of an (event, plugin, callback) that matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The callback returned. `us`: how long it ran, in microseconds.
    Done {
        /// Microseconds in the callback.
        us: u64,
    },
    /// It will not be tried again by itself; kept for a person.
    DeadLetter {
        /// The last failure.
        failure: Box<Failure>,
    },
    /// It will never run.
    Discarded {
        /// Why.
        reason: Discard,
    },
}

/// Why a unit of work was discarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Discard {
    /// A person decided so.
    Person {
        /// What they said.
        reason: String,
    },
    /// The plugin no longer registers this callback.
    CallbackGone,
    /// The log no longer holds its event, so it cannot be tried again.
    RowGone,
    /// It was a dead letter for as long as those are kept, or one of too many.
    Expired,
    /// The site was restored to a time before the event, or has another one under its id.
    Void,
    /// It failed, and by configuration (`on_error = "log"`) the log is all that keeps it.
    Logged {
        /// The failure in a line.
        error: String,
    },
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which of the three kinds it was, or a limit.
    pub kind: FailureKind,
    /// The exception's class, or what ended the process.
    pub error: String,
    /// The exception's text.
    #[serde(default)]
    pub message: String,
    /// The traceback as Python prints it; empty where there is none.
    #[serde(default)]
    pub traceback: String,
    /// The local variables of the outermost frame in the plugin, printed.
    #[serde(default)]
    pub locals: Option<String>,
    /// What the worker saw behind the exception.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// Microseconds in the callback; absent where it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub us: Option<u64>,
    /// The last lines that the plugin logged in the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// The kinds of failure (ARCHITECTURE.md, "Failure").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The callback raised.
    Raised,
    /// A soft or hard limit ended the call; never transient.
    Limit,
    /// The process died under it: segfault, `os._exit`, out of memory, a broken frame.
    Death,
    /// The row cannot be read, so no callback can be given it.
    Unreadable,
}

/// What stood behind an exception, as the worker marks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The site: a transport error, a 5xx, its "too busy" text.
    Site,
    /// Another network: worth another attempt.
    Transient,
}

impl Failure {
    /// Returns `Class: message` on one line, cut after 200 characters.
    pub fn summary(&self) -> String {
        let first = self
            .message
            .lines()
            .find(|l| !l.trim().is_empty())
            .unwrap_or_default();
        let whole = if first.is_empty() {
            self.error.clone()
        } else {
            format!("{}: {first}", self.error)
        };
        if whole.chars().count() <= 200 {
            return whole;
        }
        whole.chars().take(200).chain(['…']).collect()
    }
}
