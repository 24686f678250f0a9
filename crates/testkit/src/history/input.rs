//! What the checker is given.

use serde::{Deserialize, Serialize};
use slated_model::{CallbackId, EventId, Matcher, PluginId};

/// All that is known of one run, from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Every event the site ever showed, each id once, in the order of becoming visible;
    /// what became visible together stands by id.
    pub shown: Vec<Shown>,
    /// Where the daemon began to follow.
    pub start: Start,
    /// The plugins and what they want.
    pub lanes: Vec<Lane>,
    /// What happened, in order.
    pub journal: Vec<Line>,
    /// The ids in the local log, in its order. Without it, capture is not judged, and order
    /// only between events that did not come late.
    pub log: Option<Vec<EventId>>,
    /// What is on record at the end. Without it, only finished bodies count as delivered.
    pub records: Option<Vec<Record>>,
}

/// An event, and when it became visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The site's id.
    pub id: EventId,
    /// Unix time in milliseconds.
    pub visible_at_ms: u64,
    /// `event_type` of the row.
    pub event_type: Option<String>,
    /// `attribute_name` of the row.
    pub attribute_name: Option<String>,
}

/// From where events are owed: those above `after`, and those below that became visible
/// later than `seen_by_ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The last id that is not owed.
    pub after: EventId,
    /// Unix time in milliseconds of the first look, which saw everything visible by then.
    pub seen_by_ms: u64,
}

/// A plugin and what is owed to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Which plugin.
    pub plugin: PluginId,
    /// Its callbacks in the order of their registration, with what they want.
    pub callbacks: Vec<(CallbackId, Matcher)>,
    /// From where; the run's own start if it is absent.
    pub start: Option<Start>,
    /// Ids before that which are owed to it all the same.
    pub owed: Vec<EventId>,
    /// How many events may run again after a death of the daemon: 1, or the size of the
    /// window for a plugin so quick that events are sent ahead.
    pub window: usize,
    /// Whether a body that raised may run again by itself.
    pub retries: bool,
    /// The callbacks whose failure holds the plugin (`stopOnError`): a body that raised may run
    /// again in a new process, since an edit, a touch or a restart ended the hold.
    pub holds: Vec<CallbackId>,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// A process loaded a plugin.
    Load {
        /// Which plugin.
        plugin: PluginId,
        /// Names this process and no other.
        run: String,
        /// Its process id.
        pid: u32,
    },
    /// A body starts.
    Start {
        /// Of which plugin.
        plugin: PluginId,
        /// In which process.
        run: String,
        /// Counts the bodies of this process.
        body: u64,
        /// Which callback.
        callback: CallbackId,
        /// For which event.
        event: EventId,
        /// Unix time in milliseconds.
        at_ms: u64,
    },
    /// A body ends.
    End {
        /// In which process.
        run: String,
        /// Which body.
        body: u64,
        /// False if it raised.
        ok: bool,
        /// It raised for its write to the site failed.
        #[serde(default)]
        site: bool,
        /// Unix time in milliseconds.
        at_ms: u64,
    },
    /// The test saw the daemon die of a kill. Its workers may run on for a moment.
    DaemonKilled,
    /// The test saw the daemon end as it was asked to.
    DaemonStopped,
    /// The test is about to kill a worker.
    WorkerKilled {
        /// Its process id.
        pid: u32,
    },
}

/// What a unit came to, as the daemon says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which plugin.
    pub plugin: PluginId,
    /// Which callback.
    pub callback: CallbackId,
    /// Which event.
    pub event: EventId,
    /// What it came to.
    pub outcome: Recorded,
}

/// The kinds of [`slated_model::Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recorded {
    /// The callback returned.
    Done,
    /// Kept for a person.
    DeadLetter,
    /// It will never run.
    Discarded,
}

impl Shown {
    /// Makes an event about a whole entity.
    pub fn new(id: u64, visible_at_ms: u64, event_type: &str) -> Self {
        Self {
            id: EventId(id),
            visible_at_ms,
            event_type: Some(event_type.to_owned()),
            attribute_name: None,
        }
    }
    /// Names the attribute.
    pub fn attribute(mut self, name: &str) -> Self {
        self.attribute_name = Some(name.to_owned());
        self
    }
}

impl Start {
    /// Tells whether an event is owed from here.
    pub fn owes(&self, event: &Shown) -> bool {
        event.id > self.after || event.visible_at_ms > self.seen_by_ms
    }
}

impl Lane {
    /// Makes the lane of a plugin with the strictest rules and no callbacks.
    pub const fn new(plugin: PluginId) -> Self {
        Self {
            plugin,
            callbacks: Vec::new(),
            start: None,
            owed: Vec::new(),
            window: 1,
            retries: false,
            holds: Vec::new(),
        }
    }
    /// Adds a callback after those it has.
    pub fn wants(mut self, callback: CallbackId, matcher: Matcher) -> Self {
        self.callbacks.push((callback, matcher));
        self
    }
    /// Tells whether an event is owed to it in a run that begins at `start`.
    pub(super) fn owes(&self, start: Start, event: &Shown) -> bool {
        self.start.unwrap_or(start).owes(event) || self.owed.contains(&event.id)
    }
    /// Returns the places of the callbacks that want an event.
    pub(super) fn wanting<'a>(&'a self, event: &'a Shown) -> impl Iterator<Item = usize> + 'a {
        let matches = |matcher: &Matcher| {
            matcher.matches(event.event_type.as_deref(), event.attribute_name.as_deref())
        };
        let callbacks = self.callbacks.iter().enumerate();
        callbacks
            .filter(move |(_, (_, matcher))| matches(matcher))
            .map(|(place, _)| place)
    }
    /// Returns the place of a callback in the order of registration.
    pub(super) fn place(&self, callback: &CallbackId) -> Option<usize> {
        self.callbacks.iter().position(|(id, _)| id == callback)
    }
}

impl Line {
    /// Makes a [`Line::Load`].
    pub fn load(plugin: &PluginId, run: &str, pid: u32) -> Self {
        Self::Load {
            plugin: plugin.clone(),
            run: run.to_owned(),
            pid,
        }
    }
    /// Makes a [`Line::Start`].
    pub fn start(
        plugin: &PluginId,
        run: &str,
        body: u64,
        callback: &CallbackId,
        event: u64,
        at_ms: u64,
    ) -> Self {
        Self::Start {
            plugin: plugin.clone(),
            run: run.to_owned(),
            body,
            callback: callback.clone(),
            event: EventId(event),
            at_ms,
        }
    }
    /// Makes a [`Line::End`].
    pub fn end(run: &str, body: u64, ok: bool, at_ms: u64) -> Self {
        Self::End {
            run: run.to_owned(),
            body,
            ok,
            site: false,
            at_ms,
        }
    }
}

/// Reads a journal of one JSON object a line; an error names the line.
pub fn parse_journal(text: &str) -> anyhow::Result<Vec<Line>> {
    use anyhow::Context as _;
    let lines = text.lines().enumerate();
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).with_context(|| format!("journal line {}: `{line}`", at + 1))
        })
        .collect()
}
