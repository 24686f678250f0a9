//! How long to wait after a failure. Pure: randomness is a parameter.

use std::time::Duration;

/// Growing delays between attempts: 1 s, doubled up to 60 s, each shortened at random by up
/// to half so that daemons that failed together do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_mins(1))
    }
}

impl Backoff {
    /// Makes delays that begin with `first` and grow to `most`.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            failures: 0,
        }
    }
    /// Counts a failure and returns how long to wait. `random` is from 0 to 1.
    pub fn next(&mut self, random: f64) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1).min(31);
        let whole = self.first.saturating_mul(factor).min(self.most);
        let random = if random.is_finite() {
            random.clamp(0.0, 1.0)
        } else {
            1.0
        };
        whole.mul_f64(0.5 + random / 2.0)
    }
    /// Forgets the failures: something went well.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_minute_and_begin_again() {
        let mut backoff = Backoff::default();
        let mut seconds = |random| backoff.next(random).as_secs_f64();
        let grown: Vec<_> = (0..8).map(|_| seconds(1.0)).collect();
        assert_eq!(grown, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
        assert_eq!((seconds(0.0), seconds(0.5)), (30.0, 45.0));
        assert_eq!(
            (seconds(f64::NAN), seconds(9.0), seconds(-1.0)),
            (60.0, 60.0, 30.0)
        );
        for _ in 0..100 {
            assert!(seconds(1.0) <= 60.0);
        }
        backoff.reset();
        assert_eq!(backoff.next(1.0), Duration::from_secs(1));
    }
}
