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

#[cfg(test)]
mod tests {
    use super::*;

    /// The published numbers of splitmix64.
    #[test]
    fn a_seed_rolls_what_it_rolled_before() {
        let mut dice = Dice::new(0);
        let rolled: Vec<_> = (0..3).map(|_| dice.roll()).collect();
        let wanted = [
            0xe220_a839_7b1d_cdaf,
            0x6e78_9e6a_a1b9_65f4,
            0x06c4_5d18_8009_454f,
        ];
        assert_eq!(rolled, wanted);
    }

    #[test]
    fn a_wait_is_spread_evenly_between_its_ends() {
        let (mut dice, wait) = (Dice::new(1), Duration::from_secs(10));
        let waits: Vec<_> = (0..1000).map(|_| dice.spread(wait, 0.8)).collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*least >= Duration::from_secs(8) && *least < Duration::from_millis(8050));
        assert!(*most <= wait && *most > Duration::from_millis(9950));
        let mean = waits.iter().sum::<Duration>() / 1000;
        let middle = Duration::from_millis(8950)..Duration::from_millis(9050);
        assert!(middle.contains(&mean), "{mean:?}");
    }
}
