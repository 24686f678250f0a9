//! Randomness as a parameter: a small seeded generator, so that every run of a decision
//! can be repeated from its seed.

use std::time::Duration;

/// A splitmix64 generator. Only jitter is drawn from it, nothing secret.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Makes a generator that repeats itself for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }
    /// Returns the next 64 bits.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Returns a share of `wait` between `from` and 1, evenly spread.
    pub fn spread(&mut self, wait: Duration, from: f64) -> Duration {
        let even = (self.roll() >> 11) as f64 / (1u64 << 53) as f64;
        wait.mul_f64(from + (1.0 - from) * even)
    }
}
