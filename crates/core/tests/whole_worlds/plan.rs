//! What a world is made of: its plugins and what their callbacks do, its site, its faults. Everything
//! that can differ between worlds stands here; `draw` draws it from a seed, `rows` writes it down.

use std::time::Duration;

use slated_core::lane::CallbackSpec;
use slated_core::life::{BrokenEdit, Reload};
use slated_core::order::Rules;
use slated_core::retry::{OnError, Policy, Worth};
use slated_model::{AttributeRule, CallbackId, Cause, Matcher};

/// How many types of events there are.
pub(crate) const KINDS: u64 = 4;

/// What a callback may know when it is called.
pub(crate) struct Asked {
    pub(crate) event: u64,
    /// How often it was called with this event, this call included.
    pub(crate) run: u32,
    /// How often its file was edited.
    pub(crate) edits: u32,
    /// The site gives no answer now.
    pub(crate) site_down: bool,
    /// Everything has healed.
    pub(crate) well: bool,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Raise(Option<Cause>),
    /// The soft limit interrupts it.
    Interrupted,
    /// It heeds nothing, and the hard limit ends its process.
    Hung,
    /// Its process dies.
    Die,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    pub(crate) takes: Duration,
    pub(crate) end: End,
}

impl Fate {
    pub(crate) const fn done(takes: Duration) -> Self {
        Self {
            takes,
            end: End::Done,
        }
    }
}

pub(crate) struct Callback {
    /// The types of events that it wants; none stands for all.
    pub(crate) kinds: Vec<u64>,
    pub(crate) stop_on_error: bool,
    pub(crate) fate: Box<dyn Fn(&Asked) -> Fate + Send>,
}

impl Callback {
    /// Wants everything, and does as it is told.
    pub(crate) fn new(fate: impl Fn(&Asked) -> Fate + Send + 'static) -> Self {
        Self {
            kinds: Vec::new(),
            stop_on_error: false,
            fate: Box::new(fate),
        }
    }
    /// Wants everything, and always takes so long.
    pub(crate) fn takes(time: Duration) -> Self {
        Self::new(move |_| Fate::done(time))
    }
    pub(crate) fn wants(&self, event: u64) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind(event))
    }
}

/// The type of an event.
pub(crate) const fn kind(event: u64) -> u64 {
    (event * 7 + event / 3) % KINDS
}

pub(crate) struct Plugin {
    pub(crate) callbacks: Vec<Callback>,
    pub(crate) policy: Policy,
    pub(crate) window: usize,
    pub(crate) reload: Reload,
    pub(crate) broken_edit: BrokenEdit,
    /// When its file is put there.
    pub(crate) appears: f64,
    /// How long it takes to load.
    pub(crate) loads_in: Duration,
    /// An event may take less than a millisecond, so it may be sent ahead.
    pub(crate) quick: bool,
}

impl Plugin {
    /// A plugin with the defaults of `slated.toml`.
    pub(crate) fn new(callbacks: Vec<Callback>) -> Self {
        Self {
            callbacks,
            policy: Policy {
                worth: Worth::Transient,
                attempts: 5,
                within: Duration::from_mins(15),
                on_error: OnError::DeadLetter,
                deaths: 3,
            },
            window: 16,
            reload: Reload::NewFirst,
            broken_edit: BrokenEdit::Keep,
            appears: 0.0,
            loads_in: Duration::from_millis(200),
            quick: false,
        }
    }
    /// Returns its callbacks as a process tells them.
    pub(crate) fn specs(&self) -> Vec<CallbackSpec> {
        let ids = self.ids();
        let one = |(n, (callback, id)): (u32, (&Callback, CallbackId))| CallbackSpec {
            n,
            id,
            matcher: Matcher::new(
                (callback.kinds.iter()).map(|kind| (name(*kind), AttributeRule::Any(true))),
            ),
            stop_on_error: callback.stop_on_error,
        };
        (0..).zip(self.callbacks.iter().zip(ids)).map(one).collect()
    }
    pub(crate) fn ids(&self) -> Vec<CallbackId> {
        let names: Vec<_> = (0..self.callbacks.len()).map(|i| format!("f{i}")).collect();
        CallbackId::number(names.iter().map(String::as_str))
    }
    /// Returns how many events may be in flight, and so be repeated by a death.
    pub(crate) const fn ahead(&self) -> usize {
        if self.quick { self.window } else { 1 }
    }
}

/// The name of a type.
pub(crate) fn name(kind: u64) -> String {
    format!("Kind_{kind}")
}

/// How events and dead letters are let go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    /// For how long events are kept, by the clock on the wall.
    pub(crate) events: Duration,
    /// How many rows are looked at in one transaction.
    pub(crate) rows: usize,
    /// How many dead letters of a plugin are kept.
    pub(crate) letters: usize,
}

/// One world.
pub(crate) struct Plan {
    pub(crate) plugins: Vec<Plugin>,
    pub(crate) rules: Rules,
    pub(crate) tick: Duration,
    pub(crate) page: usize,
    /// How many seconds a request takes at least, and at most.
    pub(crate) asks: (f64, f64),
    /// The chance that a request fails.
    pub(crate) fails: f64,
    /// From and until when the site gives no answer.
    pub(crate) outages: Vec<(f64, f64)>,
    /// The chance that the daemon is killed at a step.
    pub(crate) kills: f64,
    /// For how long it is down then, at least and at most.
    pub(crate) down: (f64, f64),
    /// Seconds of a commit, at most.
    pub(crate) commits: f64,
    pub(crate) keep: Option<Keep>,
    /// Seconds by which the clock on the wall may jump, to and fro.
    pub(crate) wall_jumps: f64,
    /// Rows with an id divisible by this cannot be read.
    pub(crate) odd: u64,
    pub(crate) inclusive: bool,
}

impl Plan {
    /// A world in which nothing goes wrong by itself: a page takes 0.33 s, a commit some milliseconds.
    pub(crate) fn new(plugins: Vec<Plugin>) -> Self {
        Self {
            plugins,
            rules: Rules::default(),
            tick: Duration::from_secs(2),
            page: 500,
            asks: (0.33, 0.33),
            fails: 0.0,
            outages: Vec::new(),
            kills: 0.0,
            down: (0.1, 10.0),
            commits: 0.005,
            keep: None,
            wall_jumps: 0.0,
            odd: u64::MAX,
            inclusive: true,
        }
    }
    pub(crate) fn is_down(&self, now: f64) -> bool {
        let mut outages = self.outages.iter();
        outages.any(|(from, to)| (*from..*to).contains(&now))
    }
}
