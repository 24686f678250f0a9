//! How often a hole is asked for again: rarely filled late, so rarely asked when old.
//!
//! Invariant: the age of a hole is absence really observed, so an outage, a slow callback
//! or a stopped daemon takes no hole down the ladder. Invariant: the last rung is slow, but
//! it is a rung: no hole is ever given up.

use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Observed for longer, and asked for more often than [`MIN_LOOKS`]: closed.
const HORIZON: Duration = Duration::from_hours(72);
const MIN_LOOKS: u64 = 100;
/// Closed ranges older than this are asked for weekly.
const AGED: Duration = Duration::from_hours(30 * 24);

/// The closed ranges of a start are spread over this time, so that a restart is no burst.
pub(super) const SPREAD: Duration = HOUR;

/// A rung of the ladder, by age; the first is the youngest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rung {
    /// Under ten seconds: at every poll.
    Fresh,
    /// Under a minute: every 5 seconds.
    Seconds,
    /// Under ten minutes: every 15 seconds.
    Minutes,
    /// Under an hour: every minute.
    Hour,
    /// Under a day: every ten minutes.
    Day,
    /// Older: every hour.
    Old,
    /// Left to the audit: daily, later weekly.
    Closed,
}

impl Rung {
    /// Returns where a hole stands.
    pub(super) fn of(age: Duration, looks: u64) -> Self {
        if age > HORIZON && looks > MIN_LOOKS {
            Self::Closed
        } else if age < Duration::from_secs(10) {
            Self::Fresh
        } else if age < MINUTE {
            Self::Seconds
        } else if age < 10 * MINUTE {
            Self::Minutes
        } else if age < HOUR {
            Self::Hour
        } else if age < DAY {
            Self::Day
        } else {
            Self::Old
        }
    }
    /// Returns the time from one look to the next.
    pub(super) fn step(self, age: Duration) -> Duration {
        match self {
            Self::Fresh => Duration::ZERO,
            Self::Seconds => Duration::from_secs(5),
            Self::Minutes => Duration::from_secs(15),
            Self::Hour => MINUTE,
            Self::Day => 10 * MINUTE,
            Self::Old => HOUR,
            Self::Closed if age > AGED => 7 * DAY,
            Self::Closed => DAY,
        }
    }
    /// Returns how much of the silence since the last look counts as observed absence.
    pub(super) fn observed(self, age: Duration, silence: Duration) -> Duration {
        silence.min(2 * self.step(age) + Duration::from_secs(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn each_age_has_its_step() {
        let day = 24 * 3600;
        for (age, looks, rung, step) in [
            (0, 0, Rung::Fresh, 0),
            (9, 9, Rung::Fresh, 0),
            (10, 9, Rung::Seconds, 5),
            (59, 9, Rung::Seconds, 5),
            (60, 9, Rung::Minutes, 15),
            (599, 9, Rung::Minutes, 15),
            (600, 9, Rung::Hour, 60),
            (3599, 9, Rung::Hour, 60),
            (3600, 9, Rung::Day, 600),
            (day - 1, 9, Rung::Day, 600),
            (day, 9, Rung::Old, 3600),
            (3 * day, 101, Rung::Old, 3600),
            (3 * day + 1, 100, Rung::Old, 3600),
            (3 * day + 1, 101, Rung::Closed, day),
            (30 * day, 101, Rung::Closed, day),
            (30 * day + 1, 101, Rung::Closed, 7 * day),
        ] {
            let found = Rung::of(S(age), looks);
            assert_eq!((found, found.step(S(age))), (rung, S(step)), "age {age} s");
        }
    }

    #[test]
    fn silence_is_not_absence() {
        for (age, silence, counted) in [
            (0, 2, 2),
            (0, 11, 10),
            (30, 5, 5),
            (30, 7200, 20),
            (700, 7200, 130),
            (100_000, 7200, 7200),
            (100_000, 72_000, 7210),
        ] {
            let rung = Rung::of(S(age), 1);
            assert_eq!(rung.observed(S(age), S(silence)), S(counted), "age {age} s");
        }
    }
}
