//! Whole worlds: a site, the follower, the log, lanes with their processes, people and retention
//! around the whole of `core`, on one virtual clock, and a daemon that is killed at any step. What
//! the daemon does between them is done here as it does it (`daemon`, `intake`, `dispatch`, `people`
//! mirror `slated/src/daemon`), and a judge that asks none of them holds the end against the truth.
//!
//! * `plan`: what a world is made of; `draw`: worlds drawn from a seed; `rows`: worlds written down,
//!   one for each row of event-delivery.md, 3 that is about time
//! * `world`, `process`, `record`: the clock, the plugins' processes, the disk
//! * `judge`: what is lost, repeated, out of order; `breaks`: that it notices
//!
//! `cargo xtask simulate` runs many seeds, and shows what happens in one. By hand: `SLATED_SEED=N`
//! runs one and tells all of it, `SLATED_SEEDS=N` runs so many from `SLATED_FROM` on, for
//! `SLATED_MINUTES` at most.

#[cfg(test)]
mod breaks;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod dispatch;
#[cfg(test)]
mod draw;
#[cfg(test)]
mod intake;
#[cfg(test)]
mod judge;
#[cfg(test)]
#[path = "../support/ledger.rs"]
mod ledger;
#[cfg(test)]
mod people;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod process;
#[cfg(test)]
mod record;
#[cfg(test)]
mod rows;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
#[path = "../support/table.rs"]
mod table;
#[cfg(test)]
mod world;

#[cfg(test)]
mod runs {
    use std::collections::BTreeMap;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use crate::draw;
    use crate::world::World;

    /// What all worlds saw.
    #[derive(Default)]
    struct Sum {
        worlds: u64,
        failed: Vec<u64>,
        events: u64,
        calls: u64,
        repeats: u64,
        lives: u64,
        kills: u64,
        /// How many delays of so many tenths of a second.
        delays: BTreeMap<u64, u64>,
    }

    impl Sum {
        fn add(&mut self, world: &World) {
            self.events += world.judge.logged() as u64;
            self.calls += world.judge.calls;
            self.repeats += world.judge.repeats;
            self.lives += world.lives;
            self.kills += world.kills;
            for delay in &world.judge.delays {
                let tenths = Duration::from_secs_f64(delay.max(0.0)).as_millis() / 100;
                let tenths = u64::try_from(tenths).unwrap();
                *self.delays.entry(tenths).or_default() += 1;
            }
        }
        /// Returns the delay in seconds that so many percent do not exceed.
        fn delay(&self, percent: u64) -> f64 {
            let mut left = self.delays.values().sum::<u64>() * percent / 100;
            for (tenths, n) in &self.delays {
                if left <= *n {
                    return *tenths as f64 / 10.0;
                }
                left -= n;
            }
            f64::NAN
        }
    }

    fn number(variable: &str) -> Option<u64> {
        std::env::var(variable).ok()?.parse().ok()
    }

    /// Plays one seed; returns whether all was well, and the world unless it ended early.
    fn play(seed: u64, traced: bool) -> (bool, Option<World>) {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut world = draw::world(seed, None);
            world.traced = traced;
            world.play();
            world
        }));
        let Ok(world) = played else {
            println!("seed {seed}: it ended early");
            return (false, None);
        };
        for (kind, text) in world.judge.faults.iter().take(8) {
            println!("seed {seed}: {kind:?}: {text}");
        }
        (world.judge.faults.is_empty(), Some(world))
    }

    #[test]
    fn drawn_worlds_lose_and_repeat_nothing() {
        if let Some(seed) = number("SLATED_SEED") {
            assert!(play(seed, true).0, "seed {seed} failed");
            return;
        }
        let from = number("SLATED_FROM").unwrap_or(1);
        let minutes = number("SLATED_MINUTES");
        let most = if minutes.is_some() {
            u64::MAX - from
        } else {
            1200
        };
        let to = from + number("SLATED_SEEDS").unwrap_or(most);
        let (next, sum) = (AtomicU64::new(from), Mutex::new(Sum::default()));
        let began = Instant::now();
        let ends = minutes.map(|m| began + Duration::from_secs(m * 60));
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= to || ends.is_some_and(|end| Instant::now() > end) {
                    return;
                }
                let (well, world) = play(seed, false);
                let mut sum = sum.lock().unwrap();
                sum.worlds += 1;
                if sum.worlds.is_multiple_of(10_000) {
                    println!("{} worlds so far", sum.worlds);
                }
                if !well {
                    println!("seed {seed} failed: cargo xtask simulate --seed {seed}");
                    sum.failed.push(seed);
                }
                if let Some(world) = world {
                    sum.add(&world);
                }
            }
        };
        std::thread::scope(|scope| {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let sum = sum.into_inner().unwrap();
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        println!(
            "{} worlds, {:.0} a minute: {} events, {} calls, {} repeated by deaths, {} starts, {} \
             kills; from visible to called p50 {} p99 {} s",
            sum.worlds,
            sum.worlds as f64 / minutes,
            sum.events,
            sum.calls,
            sum.repeats,
            sum.lives,
            sum.kills,
            sum.delay(50),
            sum.delay(99),
        );
        assert_eq!(sum.failed, [0u64; 0], "these seeds failed");
        assert!(sum.calls > 0 && sum.repeats + sum.worlds > 0);
    }
}
