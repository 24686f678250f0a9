//! The rungs by which a process is ended, each harder than the one before.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::Why;

/// How long a stack dump may take.
const DUMP: Duration = Duration::from_millis(500);
/// How long a process may take to end on SIGTERM.
const TERM: Duration = Duration::from_secs(2);

/// What to do to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rung {
    /// Ask for the stack of every thread.
    Dump,
    /// Ask the group to end.
    Term,
    /// End the group.
    Kill,
}

/// An end under way.
#[derive(Debug)]
pub(crate) struct Ladder {
    pub(crate) why: Why,
    /// Whether a rung was climbed that ends a process.
    pub(crate) forced: bool,
    rungs: VecDeque<(Instant, Rung)>,
}

impl Ladder {
    /// Begins to end a process for this reason. `grace` is for a goodbye.
    pub(crate) fn new(now: Instant, why: Why, grace: Duration) -> Self {
        let rungs = match why {
            Why::Goodbye => vec![(now + grace, Rung::Term), (now + grace + TERM, Rung::Kill)],
            Why::LoadFailed => vec![(now + TERM * 5, Rung::Term), (now + TERM * 6, Rung::Kill)],
            Why::HardLimit(_) | Why::InitLimit(_) => vec![
                (now, Rung::Dump),
                (now + DUMP, Rung::Term),
                (now + DUMP + TERM, Rung::Kill),
            ],
            Why::Killed => vec![(now, Rung::Term), (now + TERM, Rung::Kill)],
            // What breaks the protocol gets no chance to write more.
            Why::Protocol(_) | Why::Itself => vec![(now, Rung::Kill)],
        };
        Self {
            why,
            forced: false,
            rungs: rungs.into(),
        }
    }
    /// Returns when the next rung is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.rungs.front().map(|(at, _)| *at)
    }
    /// Returns the rung that is due now.
    pub(crate) fn climb(&mut self, now: Instant) -> Option<Rung> {
        let (_, rung) = self.rungs.pop_front_if(|(at, _)| *at <= now)?;
        self.forced |= rung != Rung::Dump;
        Some(rung)
    }
    /// Tells whether the process still has its time to end by itself.
    pub(crate) const fn is_polite(&self) -> bool {
        matches!(self.why, Why::Goodbye | Why::LoadFailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_looks_asks_and_then_kills() {
        let start = Instant::now();
        let mut ladder = Ladder::new(start, Why::HardLimit(Duration::ZERO), Duration::ZERO);
        let mut seen = Vec::new();
        while let Some(at) = ladder.due() {
            seen.push(((at - start).as_millis(), ladder.climb(at).unwrap()));
        }
        assert_eq!(
            seen,
            [(0, Rung::Dump), (500, Rung::Term), (2500, Rung::Kill)]
        );
    }

    #[test]
    fn a_goodbye_waits_for_its_grace() {
        let start = Instant::now();
        let mut ladder = Ladder::new(start, Why::Goodbye, Duration::from_mins(1));
        assert_eq!(ladder.climb(start + Duration::from_secs(59)), None);
        assert!(ladder.is_polite() && !ladder.forced);
        assert_eq!(
            ladder.climb(start + Duration::from_mins(1)),
            Some(Rung::Term)
        );
        assert!(ladder.forced);
    }
}
