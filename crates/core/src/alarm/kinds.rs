//! What can be wrong, and how long it must last to be told.

use std::collections::BTreeMap;
use std::time::Duration;

/// What can be wrong, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The state cannot be written.
    Storage,
    /// The site is not the one that was followed.
    AnchorLost,
    /// The site cannot be read.
    SiteLost,
    /// The process of a plugin keeps dying.
    Quarantine,
    /// A plugin waits for a person.
    Hold,
    /// A plugin does not load; its old code may run.
    Broken,
    /// A plugin does not keep up.
    Backlog,
    /// A plugin has many dead letters.
    Letters,
    /// The state is larger than it should be.
    StateLarge,
    /// Mail does not go out.
    Mail,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Storage,
        Self::AnchorLost,
        Self::SiteLost,
        Self::Quarantine,
        Self::Hold,
        Self::Broken,
        Self::Backlog,
        Self::Letters,
        Self::StateLarge,
        Self::Mail,
    ];

    /// Returns its name, as programs read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::AnchorLost => "anchor_lost",
            Self::SiteLost => "site_lost",
            Self::Quarantine => "quarantine",
            Self::Hold => "hold",
            Self::Broken => "broken",
            Self::Backlog => "backlog",
            Self::Letters => "dead_letters",
            Self::StateLarge => "state_large",
            Self::Mail => "mail",
        }
    }

    /// Returns how it is told: what nothing but a person ends is told at once, what ends by itself as
    /// a rule is given time. A backlog has waited before it is one ([`super::Backlogs`]).
    const fn waits(self) -> Waits {
        let (raise_s, over_s) = match self {
            Self::Storage | Self::Quarantine => (0, 60),
            Self::AnchorLost | Self::StateLarge => (0, 0),
            Self::SiteLost => (120, 60),
            Self::Hold => (10, 60),
            Self::Broken => (60, 60),
            Self::Backlog | Self::Letters => (0, 120),
            Self::Mail => (600, 300),
        };
        Waits {
            raise: Duration::from_secs(raise_s),
            over: Duration::from_secs(over_s),
        }
    }
}

/// How long something lasts before it is told.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// How long it must be wrong without a break.
    pub raise: Duration,
    /// How long all must be well without a break.
    pub over: Duration,
}

/// How alerts are spaced.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Of each kind.
    pub waits: BTreeMap<Kind, Waits>,
    /// One that is raised more often than this within [`Self::flaps_within`] flaps: from then on it
    /// is over only after [`Self::calm`].
    pub flaps: usize,
    /// See [`Self::flaps`].
    pub flaps_within: Duration,
    /// How long one that flaps must be well.
    pub calm: Duration,
    /// How long after it was raised, after the first reminder and after every later one people are
    /// reminded.
    pub reminders: [Duration; 3],
    /// How many are told in an hour by themselves.
    pub alone: usize,
    /// How long those beyond are gathered before they are told together.
    pub gather: Duration,
    /// How far apart such tellings are: with [`Self::alone`] the bound on all.
    pub together: Duration,
    /// How many conditions are watched; more wait until there is room.
    pub most: usize,
}

impl Default for Rules {
    fn default() -> Self {
        let minutes = |m: u64| Duration::from_secs(60 * m);
        Self {
            waits: Kind::ALL.map(|kind| (kind, kind.waits())).into(),
            flaps: 3,
            flaps_within: minutes(60),
            calm: minutes(30),
            reminders: [minutes(60), minutes(6 * 60), minutes(24 * 60)],
            alone: 16,
            gather: minutes(1),
            together: minutes(15),
            most: 1000,
        }
    }
}

impl Rules {
    /// Has every kind wait equally long, which only tests want.
    pub fn waiting(wait: Duration) -> Self {
        let waits = Waits {
            raise: wait,
            over: wait,
        };
        Self {
            waits: Kind::ALL.map(|kind| (kind, waits)).into(),
            ..Self::default()
        }
    }

    pub(super) fn of(&self, kind: Kind) -> Waits {
        self.waits
            .get(&kind)
            .copied()
            .unwrap_or_else(|| kind.waits())
    }
}
