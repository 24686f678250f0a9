//! How a daemon begins: with its own state, with the Python daemon's, or from nothing.
//!
//! The state beside an `eventIdFile` wins once it has begun. A file that changed since is never
//! guessed about: the Python daemon may have run, and both have handled events the other does not
//! know of. Nor is a file that cannot be used: a person says where to start.
//!
//! Invariant: what would move a plugin without anybody having chosen it is a [`Refusal`].
//!
//! Not here: reading the file, what a refusal says in whole sentences, placing plugins that were
//! never seen.
//!
//! * [`judge`]: which of the states counts
//! * [`import()`]: where each plugin starts that the Python daemon has run

mod import;
mod words;

use slated_model::{Beginning, EventId, OldFile, OldState, Start};

pub use import::{At, Import, Line, NewPlugins, Present, Why, import};

/// What a person asked for on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Which state counts where both changed.
    pub state: Option<StateChoice>,
    /// Where every plugin starts, whatever the file says.
    pub from: Option<Chosen>,
    /// The site the state is bound to has another address now.
    pub site_moved: bool,
}

/// Which of two states counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateChoice {
    /// Ours.
    Keep,
    /// The file's; ours is set aside.
    Import,
}

/// Where every plugin starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// With what is seen from now on.
    Latest,
    /// With this event.
    Id(EventId),
}

/// Our own state.
#[derive(Clone, Copy, Debug)]
pub struct Ours<'a> {
    /// How it began; `None` for one that was made before this was written down.
    pub beginning: Option<&'a Beginning>,
    /// Whether the site was read.
    pub placed: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Go on with our state.
    GoOn,
    /// Go on with our state, and remember the file as it is now.
    Keep,
    /// Begin anew.
    Begin {
        /// Our state is to be set aside first.
        aside: bool,
        /// With what.
        with: With<'a>,
    },
    /// Begin nothing: a person must choose.
    Refuse(Refusal),
}

/// What a state begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With<'a> {
    /// What the Python daemon has on record.
    Import(&'a OldState),
    /// Where a person said.
    Chosen(Chosen),
    /// Nothing: every plugin is new.
    Nothing,
}

/// Why nothing begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Both states changed since one began with the other.
    Changed,
    /// There is no state of ours, and the file cannot be used.
    Unusable,
    /// The file's state is asked for, and it cannot be used.
    NothingToImport,
    /// A start is named for a state that has begun.
    HasBegun,
}

/// Says what to do, from our state if there is one, the file if there is one, and what was asked.
pub fn judge<'a>(ours: Option<Ours<'_>>, file: Option<&'a OldFile>, asked: Asked) -> Verdict<'a> {
    let anew = |aside| {
        let with = match (asked.from, file.map(|file| file.said.as_ref())) {
            (Some(from), _) => With::Chosen(from),
            (None, None) => With::Nothing,
            (None, Some(Some(said))) => With::Import(said),
            (None, Some(None)) if aside => return Verdict::Refuse(Refusal::NothingToImport),
            (None, Some(None)) => return Verdict::Refuse(Refusal::Unusable),
        };
        Verdict::Begin { aside, with }
    };
    let Some(ours) = ours else {
        return anew(false);
    };
    let changed = file.is_some_and(|file| {
        let known = ours.beginning.and_then(|b| b.file.as_ref());
        known.is_none_or(|known| !same(known, file))
    });
    match (changed, asked.state) {
        (true, None) => Verdict::Refuse(Refusal::Changed),
        (true, Some(StateChoice::Import)) => anew(true),
        (true, Some(StateChoice::Keep)) if asked.from.is_none() => Verdict::Keep,
        // A start that was killed before it had read anything is told the same again.
        _ if asked
            .from
            .is_none_or(|from| !ours.placed && begins(ours, from)) =>
        {
            Verdict::GoOn
        }
        _ => Verdict::Refuse(Refusal::HasBegun),
    }
}

/// Tells whether a file says what it said: other bytes alone are no change.
fn same(known: &OldFile, now: &OldFile) -> bool {
    known.sha256 == now.sha256 || known.said.is_some() && known.said == now.said
}

/// Tells whether a state began where a person says.
fn begins(ours: Ours<'_>, from: Chosen) -> bool {
    let start = ours.beginning.and_then(|b| b.start.as_ref());
    start == Some(&from.start())
}

impl Chosen {
    /// Returns where the site is read from.
    pub const fn start(self) -> Start {
        match self {
            Self::Latest => Start::Latest,
            Self::Id(id) => Start::FromId(id),
        }
    }
}

#[cfg(test)]
mod tests;
