//! Time as decisions see it: a parameter, never read from a clock here.
//!
//! Invariant: a [`Mono`] comes from a clock that never goes back, so no step of a wall
//! clock (NTP, summer time, a suspended laptop) changes a decision. Its origin is the
//! caller's and means nothing beyond this process: a `Mono` is never stored.

use std::ops::Add;
use std::time::Duration;

/// A moment: the time that passed since some origin of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub Duration);

impl Mono {
    /// The origin.
    pub const ZERO: Self = Self(Duration::ZERO);
    /// A moment that never comes.
    pub const NEVER: Self = Self(Duration::MAX);

    /// Returns the moment `ms` milliseconds after the origin.
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }
    /// Returns the moment `secs` seconds after the origin.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
    /// Returns how much time passed since `earlier`; zero if that is yet to come.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
    /// Returns how much time is left until `later`; zero if that is past.
    pub const fn until(self, later: Self) -> Duration {
        later.since(self)
    }
}

/// Saturates at [`Mono::NEVER`].
impl Add<Duration> for Mono {
    type Output = Self;
    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stays_within_its_ends() {
        let (a, b) = (Mono::from_secs(3), Mono::from_millis(4500));
        assert_eq!(b.since(a), Duration::from_millis(1500));
        assert_eq!(a.until(b), Duration::from_millis(1500));
        assert_eq!(a.since(b), Duration::ZERO);
        assert_eq!(a + Duration::from_millis(1500), b);
        assert_eq!(a + Duration::MAX, Mono::NEVER);
    }
}
