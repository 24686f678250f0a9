//! Whether the head and the holes go in one request or in two.
//!
//! One is the rule: it costs a site least. But a site may be slow to answer "the head or these old ids"
//! where it is quick with either, and then every event waits for the holes. What tells is how long the
//! follower's own requests take. Two requests are as safe as one: absence only adds age.
//!
//! Invariant: what is not slow is never split, and what was split is tried as one again.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Mono;

/// A request that takes less is not slow.
const SLOW: Duration = Duration::from_secs(1);
/// Slow is also what takes more than so many times what the head takes alone.
const TIMES: u32 = 3;
/// How many durations of a kind are remembered, and how many tell.
const KEPT: usize = 9;
const ENOUGH: usize = 3;
/// How long two requests are made before one is tried again.
const AGAIN: Duration = Duration::from_mins(10);

/// What requests of both kinds took.
#[derive(Debug, Default)]
pub(super) struct Split {
    heads: VecDeque<Duration>,
    both: VecDeque<Duration>,
    until: Option<Mono>,
}

impl Split {
    /// Tells whether head and holes are asked for separately.
    pub(super) fn is_on(&self, now: Mono) -> bool {
        self.until.is_some_and(|until| now < until)
    }
    /// Notes how long the head took alone.
    pub(super) fn head(&mut self, took: Duration) {
        keep(&mut self.heads, took);
    }
    /// Notes how long the head took with holes; tells whether the head should go alone once, so that
    /// there is something to compare.
    pub(super) fn both(&mut self, took: Duration, now: Mono) -> bool {
        keep(&mut self.both, took);
        let (Some(both), true) = (median(&self.both), self.both.len() >= ENOUGH) else {
            return false;
        };
        if both <= SLOW {
            return false;
        }
        match median(&self.heads) {
            Some(head) if self.heads.len() >= ENOUGH => {
                if both > head * TIMES {
                    self.until = Some(now + AGAIN);
                    // What it takes then is to be seen anew.
                    self.both.clear();
                }
                false
            }
            _ => true,
        }
    }
}

fn keep(all: &mut VecDeque<Duration>, took: Duration) {
    all.push_back(took);
    if all.len() > KEPT {
        all.pop_front();
    }
}

fn median(all: &VecDeque<Duration>) -> Option<Duration> {
    let mut sorted: Vec<_> = all.iter().copied().collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn only_what_is_slow_for_its_holes_is_split() {
        for (what, heads, both, on) in [
            ("quick", [300; 9], [400; 9], false),
            ("three times, but quick", [100; 9], [900; 9], false),
            ("slow with and without", [4000; 9], [9000; 9], false),
            ("slow for its holes", [300; 9], [1001; 9], true),
            (
                "slow once in a while",
                [300; 9],
                [400, 9000, 400, 400, 9000, 400, 9000, 400, 400],
                false,
            ),
        ] {
            let mut split = Split::default();
            for ms in heads {
                split.head(MS(ms));
            }
            let mut now = Mono::from_secs(100);
            for ms in both {
                assert!(!split.both(MS(ms), now), "{what}");
                now = now + MS(ms);
            }
            assert_eq!(split.is_on(now), on, "{what}");
            let later = now + AGAIN;
            assert!(!split.is_on(later), "{what}: one is tried again");
            assert!(
                !split.both(MS(9000), later) && !split.is_on(later),
                "{what}"
            );
        }
    }

    #[test]
    fn without_something_to_compare_the_head_goes_alone() {
        let mut split = Split::default();
        let now = Mono::ZERO;
        let asked: Vec<_> = (0..4).map(|_| split.both(MS(5000), now)).collect();
        assert_eq!(asked, [false, false, true, true]);
        for _ in 0..ENOUGH {
            split.head(MS(200));
        }
        assert!(!split.both(MS(5000), now));
        assert!(split.is_on(now));
    }
}
