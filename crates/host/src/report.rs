//! What a worker's user hears.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use slated_model::{CallbackId, Failure, FailureKind, Matcher};
use slated_wire::{Emails, Import, LoadFailed, Log, WorkerHello, Write};

use crate::SpawnError;

/// Something that happened in or to a worker, in the order it happened.
#[derive(Debug)]
pub enum Report {
    /// The process was started.
    Started {
        /// Its number.
        pid: u32,
        /// When it started (field 22 of `/proc/PID/stat`): with the number it names this process
        /// and no later one. `None` where the system does not say.
        started: Option<u64>,
        /// What a person should know of how it was started: why a preloaded parent does not
        /// serve. Said to one worker alone.
        note: Option<String>,
    },
    /// There is no process. The last report in this case.
    Unstarted(SpawnError),
    /// The process runs and speaks our protocol; the plugin is not loaded yet.
    Hello(WorkerHello),
    /// The plugin is loaded; events may be sent.
    Ready {
        /// What it registered, in order.
        callbacks: Vec<CallbackSpec>,
        /// Who gets mail about its errors.
        emails: Emails,
        /// What a person should know, a sentence each.
        warnings: Vec<String>,
        /// How many events may be in flight.
        window: u32,
        /// The content that was loaded, in lower-case hexadecimal.
        sha256: String,
        /// What it imported of the studio's own.
        imports: Vec<Import>,
        /// How many bytes it holds, where it may not use as many as it likes.
        resident: Option<u64>,
    },
    /// Calls have imported more: all that was imported so far.
    Imports(Vec<Import>),
    /// The plugin did not load; [`Report::Exited`] follows and is no crash.
    LoadFailed(Box<LoadFailed>),
    /// A callback has ended.
    Result {
        /// The frame.
        seq: u64,
        /// The callback's number.
        n: u32,
        /// How long it ran, in microseconds.
        us: u64,
        /// Why it failed.
        error: Option<Box<Failure>>,
        /// Whether everything else of this turn is void: callbacks of this frame without
        /// an answer, and every later frame of the turn.
        stop: bool,
    },
    /// A frame has been dealt with.
    Done {
        /// The frame.
        seq: u64,
        /// How many bytes the process holds, where it may not use as many as it likes.
        resident: Option<u64>,
    },
    /// A record of the plugin's loggers.
    Log(Log),
    /// What a plugin that is dry would have written to the site.
    Write(Write),
    /// A line the plugin printed, to stdout or stderr.
    Stderr {
        /// The line.
        line: String,
    },
    /// A call takes longer than `warn_after`.
    Slow {
        /// The frame.
        seq: u64,
        /// The callback's number.
        n: u32,
        /// For how long it has been out.
        after: Duration,
        /// Where every thread of the plugin stands, most recent call first; empty if unknown.
        stack: String,
    },
    /// The process is gone. The last report, and comes once.
    Exited(Box<Exit>),
}

/// One callback of a plugin as it is loaded now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackSpec {
    /// Its number in frames, valid for this load only.
    pub n: u32,
    /// Its lasting name.
    pub id: CallbackId,
    /// Which events it asked for.
    pub matcher: Matcher,
    /// Whether a failure stops the plugin.
    pub stop_on_error: bool,
    /// Its `args`, printed and cut.
    pub args_repr: String,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited with this code.
    Code(i32),
    /// It was ended by this signal.
    Signal(i32),
    /// The system did not say.
    Unknown,
}

/// What led to a process's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nothing slated did: a crash, `os._exit`, the system's out-of-memory killer, a person.
    Itself,
    /// It was told goodbye.
    Goodbye,
    /// [`Handle::kill`](crate::Handle::kill), or the last handle was dropped.
    Killed,
    /// The plugin did not load.
    LoadFailed,
    /// It was not ready in time.
    InitLimit(Duration),
    /// A call reached the hard limit.
    HardLimit(Duration),
    /// It broke the protocol: what it did.
    Protocol(String),
}

/// The end of a worker.
#[derive(Clone, Debug)]
pub struct Exit {
    /// How.
    pub end: End,
    /// Why.
    pub why: Why,
    /// Whether slated wanted it. What was not wanted is a death.
    pub expected: bool,
    /// The process; `None` if it was ended before it was there.
    pub pid: Option<u32>,
    /// The last of what it printed, at most 64 KiB.
    pub stderr: String,
    /// Where every thread stood when a limit was reached.
    pub stack: Option<String>,
}

impl Exit {
    /// The end of one that was killed before it had a process.
    pub(crate) const fn before_start() -> Self {
        Self {
            end: End::Unknown,
            why: Why::Killed,
            expected: true,
            pid: None,
            stderr: String::new(),
            stack: None,
        }
    }
    /// Returns the failure of the call that was in flight.
    pub fn failure(&self) -> Failure {
        let (kind, error, message) = match &self.why {
            Why::HardLimit(after) => (
                FailureKind::Limit,
                "HardTimeout".to_owned(),
                format!("the call ran longer than its hard limit of {after:?}"),
            ),
            Why::Protocol(what) => (FailureKind::Death, "ProtocolError".to_owned(), what.clone()),
            _ => (FailureKind::Death, self.end.to_string(), String::new()),
        };
        Failure {
            kind,
            error,
            message,
            traceback: self
                .stack
                .clone()
                .unwrap_or_else(|| tail(&self.stderr, 8192)),
            locals: None,
            cause: None,
            us: None,
            log: Vec::new(),
        }
    }
}

/// Returns the last whole lines of at most `limit` bytes.
fn tail(text: &str, limit: usize) -> String {
    let from = text.len().saturating_sub(limit);
    if from == 0 {
        return text.to_owned();
    }
    let rest = text
        .char_indices()
        .find(|(at, c)| *at >= from && *c == '\n')
        .and_then(|(at, _)| text.get(at + 1..));
    rest.unwrap_or_default().to_owned()
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "signal {number} ({name})"),
                None => write!(f, "signal {number}"),
            },
            Self::Unknown => f.write_str("an unknown end"),
        }
    }
}

/// The signals a worker dies of, by the numbers they have on every Unix.
const fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_whole_lines() {
        assert_eq!(tail("a\nb\n", 100), "a\nb\n");
        assert_eq!(tail("aaaa\nbb\ncc\n", 8), "bb\ncc\n");
        assert_eq!(tail("äöü\nß\n", 4), "ß\n");
    }
}
