//! A call of a process beside the daemon, and what such a process says: for people and programs.

use owo_colors::OwoColorize as _;
use serde::Serialize;
use serde_json::Value;
use slated_host::{Report, wire};
use slated_model::{CallbackId, Event, EventId, Failure, PluginId};

use crate::tell::level_name;

/// One callback with one event, ended.
pub(crate) struct Call<'a> {
    pub(crate) event: &'a Event,
    pub(crate) callback: CallbackId,
    pub(crate) fate: Fate,
}

/// How a call ended.
pub(crate) enum Fate {
    Done {
        us: u64,
    },
    Failed {
        us: Option<u64>,
        failure: Box<Failure>,
    },
    /// Its process died.
    Died {
        failure: Box<Failure>,
    },
    /// The file that is loaded by now does not register it.
    Gone,
    /// The event does not fit into a frame.
    Unsent {
        error: String,
    },
}

/// A call that ended, for `--json`. A field is added, never renamed.
#[derive(Serialize)]
pub(crate) struct CallView<'a> {
    event: EventId,
    event_type: Option<&'a str>,
    attribute_name: Option<&'a str>,
    callback: &'a CallbackId,
    pub(crate) outcome: &'static str,
    us: Option<u64>,
    error: Option<String>,
    traceback: Option<&'a str>,
    pub(crate) locals: Option<&'a str>,
    /// What it would have written; empty in a live run, in which it did.
    writes: &'a [WriteView],
}

/// A write that was refused.
#[derive(Serialize)]
pub(crate) struct WriteView {
    method: String,
    entity: Option<String>,
    id: Option<i64>,
    data: Value,
}

impl<'a> CallView<'a> {
    pub(crate) fn of(call: &'a Call<'a>, writes: &'a [WriteView]) -> Self {
        let (outcome, us, failure) = match &call.fate {
            Fate::Done { us } => ("done", Some(*us), None),
            Fate::Failed { us, failure } => ("failed", *us, Some(failure)),
            Fate::Died { failure } => ("died", None, Some(failure)),
            Fate::Gone | Fate::Unsent { .. } => ("not run", None, None),
        };
        let error = match &call.fate {
            Fate::Gone => Some("the file that is loaded by now does not register it".to_owned()),
            Fate::Unsent { error } => Some(error.clone()),
            _ => failure.map(|failure| failure.summary()),
        };
        let traceback = failure.map(|f| f.traceback.as_str());
        let head = &call.event.head;
        Self {
            event: call.event.id,
            event_type: head.event_type.as_deref(),
            attribute_name: head.attribute_name.as_deref(),
            callback: &call.callback,
            outcome,
            us,
            error,
            traceback: traceback.filter(|text| !text.is_empty()),
            locals: failure.and_then(|f| f.locals.as_deref()),
            writes,
        }
    }

    /// Says the same for people, in lines.
    pub(crate) fn told(&self) -> Vec<String> {
        let kind = [self.event_type, self.attribute_name];
        let kind: Vec<_> = kind.into_iter().flatten().collect();
        let took = self
            .us
            .map(|us| format!(" in {:.1} ms", us as f64 / 1000.0));
        let outcome = match self.outcome {
            "done" => self.outcome.green().to_string(),
            _ => self.outcome.red().to_string(),
        };
        let error = self.error.as_ref();
        let mut lines = vec![format!(
            "{} {}  {}: {outcome}{}{}",
            self.event.bold(),
            kind.join(" "),
            self.callback,
            took.unwrap_or_default(),
            error.map(|error| format!(": {error}")).unwrap_or_default(),
        )];
        lines.extend(
            self.writes
                .iter()
                .map(|write| format!("    {}", write.told())),
        );
        let traceback = self.traceback.unwrap_or_default().trim_end().lines();
        lines.extend(traceback.map(|line| format!("    {line}")));
        lines
    }
}

impl WriteView {
    pub(crate) fn of(write: &wire::Write) -> Self {
        Self {
            method: write.method.clone(),
            entity: write.entity.clone(),
            id: write.id,
            // What was cut is no JSON any more.
            data: serde_json::from_str(&write.data).unwrap_or_else(|_| write.data.as_str().into()),
        }
    }

    pub(crate) fn told(&self) -> String {
        let id = self.id.map(|id| id.to_string());
        let of = [
            Some(self.method.bold().to_string()),
            self.entity.clone(),
            id,
        ];
        let of: Vec<_> = of.into_iter().flatten().collect();
        format!("{} {}", of.join(" "), self.data)
    }
}

/// Says what a process has to say that is neither an answer nor a write; nothing, where it is no
/// word to people.
pub(crate) fn aside(plugin: &PluginId, report: &Report) -> Option<String> {
    match report {
        Report::Log(log) => Some(format!(
            "{} {}: {}",
            log.logger,
            level_name(log.level),
            log.message
        )),
        Report::Stderr { line } => Some(format!("{plugin} printed: {line}")),
        Report::Slow { after, stack, .. } => Some(format!(
            "{plugin}: a call has taken {} s so far.\n{}",
            after.as_secs(),
            stack.trim_end()
        )),
        _ => None,
    }
}

/// Says how many there are of something.
pub(crate) fn count(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
}
