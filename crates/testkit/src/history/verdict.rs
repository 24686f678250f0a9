//! What the checker says.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use slated_model::{CallbackId, EventId, PluginId};

/// How many faults of a kind are listed before the rest is only counted.
const LISTED: usize = 20;

/// The judgement over a history.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Events the site showed.
    pub events: usize,
    /// Units owed.
    pub units: usize,
    /// Units of which a body returned.
    pub finished: usize,
    /// Units that came to a dead letter or were discarded.
    pub parked: usize,
    /// Bodies that started.
    pub bodies: usize,
    /// Bodies that rightly ran again.
    pub repeats: Repeats,
    /// From an event's visibility to its first body in a plugin, over all plugins.
    pub delay: Delay,
    /// The same for each plugin alone: what one suffers from another.
    pub delays: BTreeMap<PluginId, Delay>,
    /// What was not kept.
    pub faults: Vec<Fault>,
}

/// Rightful repeats, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// The body before raised.
    pub retried: usize,
    /// The body before raised and held its plugin.
    pub resumed: usize,
    /// The daemon was killed.
    pub daemon_died: usize,
    /// The worker died.
    pub worker_died: usize,
}

/// Milliseconds, nearest rank; 0 where nothing ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    /// The median.
    pub p50_ms: u64,
    /// Of ten, nine were quicker.
    pub p90_ms: u64,
    /// Of a hundred, 99 were quicker.
    pub p99_ms: u64,
    /// The worst.
    pub max_ms: u64,
}

/// Something that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// Which event.
    pub event: EventId,
    /// In which callback of which plugin; absent where the log is at fault.
    pub at: Option<(PluginId, CallbackId)>,
    /// What exactly.
    pub note: String,
}

/// The ways in which a promise is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// P1: visible, and not in the log.
    NotCaptured,
    /// P1: in the log twice.
    CapturedTwice,
    /// P2: wanted, and never finished nor parked.
    Lost,
    /// P3: not exactly one record, or one of something that did not happen.
    Record,
    /// P4: a body ran again without a reason.
    Repeated,
    /// P5: not in the order of the log, or that not in the order of arrival.
    OutOfOrder,
    /// A plugin ran two bodies at once.
    Overlap,
    /// In the log, called or on record though the site never showed it or nobody wanted it.
    Foreign,
    /// The journal itself makes no sense.
    Journal,
}

impl Verdict {
    /// Tells whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
    /// Counts the faults of a kind.
    pub fn count(&self, kind: FaultKind) -> usize {
        self.faults
            .iter()
            .filter(|fault| fault.kind == kind)
            .count()
    }
    /// Fails with the whole verdict unless every promise was kept over at least so many units.
    ///
    /// The number keeps a test in which nothing happened from passing.
    pub fn kept(&self, at_least: usize) -> anyhow::Result<()> {
        anyhow::ensure!(self.is_clean(), "{self}");
        anyhow::ensure!(
            self.units >= at_least,
            "only {} units, at least {at_least} expected; {self}",
            self.units
        );
        Ok(())
    }
}

impl Delay {
    /// Reads the percentiles off all delays.
    pub(super) fn of(delays: &mut [u64]) -> Self {
        delays.sort_unstable();
        let rank = |percent: usize| {
            let at = (delays.len() * percent).div_ceil(100).saturating_sub(1);
            delays.get(at).copied().unwrap_or(0)
        };
        Self {
            p50_ms: rank(50),
            p90_ms: rank(90),
            p99_ms: rank(99),
            max_ms: rank(100),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotCaptured => "not captured",
            Self::CapturedTwice => "captured twice",
            Self::Lost => "lost",
            Self::Record => "wrong record",
            Self::Repeated => "repeated without a reason",
            Self::OutOfOrder => "out of order",
            Self::Overlap => "two bodies at once",
            Self::Foreign => "foreign",
            Self::Journal => "journal",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}", self.event)?;
        if let Some((plugin, callback)) = &self.at {
            write!(f, " in {plugin} {callback}")?;
        }
        if self.note.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.note)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_clean() { "kept" } else { "broken" };
        writeln!(
            f,
            "{word}: {} events, {} units owed, {} finished, {} parked, {} bodies",
            self.events, self.units, self.finished, self.parked, self.bodies
        )?;
        writeln!(
            f,
            "  rightly repeated: {} after a death of the daemon, {} of a worker, {} retried, \
             {} after a hold",
            self.repeats.daemon_died,
            self.repeats.worker_died,
            self.repeats.retried,
            self.repeats.resumed
        )?;
        write!(
            f,
            "  delay: p50 {} ms, p90 {} ms, p99 {} ms, worst {} ms",
            self.delay.p50_ms, self.delay.p90_ms, self.delay.p99_ms, self.delay.max_ms
        )?;
        let mut kinds: BTreeMap<FaultKind, Vec<&Fault>> = BTreeMap::new();
        for fault in &self.faults {
            kinds.entry(fault.kind).or_default().push(fault);
        }
        for (kind, faults) in kinds {
            write!(f, "\n  {kind}: {}", faults.len())?;
            for fault in faults.iter().take(LISTED) {
                write!(f, "\n    {fault}")?;
            }
            if faults.len() > LISTED {
                write!(f, "\n    and {} more", faults.len() - LISTED)?;
            }
        }
        Ok(())
    }
}
