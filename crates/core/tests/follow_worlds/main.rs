//! Worlds for the follower: a simulated event table, network, process and disk, driven by
//! seeds. Each world checks what it is about, and in all of them nothing may be lost,
//! repeated or foreign, and no id forgotten at any commit.
//!
//! `SLATED_SEEDS=100000 cargo test --release -p slated-core --test follow_worlds` runs that
//! many seeds of the first world and a share of it of the others; 1000 without. A seed that
//! fails is printed; `SLATED_SEED=N` runs it alone.

#[cfg(test)]
mod decisions;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod drive;
#[cfg(test)]
mod head;
#[cfg(test)]
#[path = "../support/ledger.rs"]
mod ledger;
#[cfg(test)]
mod restores;
#[cfg(test)]
mod site;
#[cfg(test)]
mod starts;
#[cfg(test)]
#[path = "../support/table.rs"]
mod table;

#[cfg(test)]
mod runs {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use crate::site::World;
    use crate::{decisions, head, restores, starts};

    /// Prints the seed if its world fails.
    struct Seed(&'static str, u64);

    impl Drop for Seed {
        fn drop(&mut self) {
            if std::thread::panicking() {
                println!("world {}: seed {} failed", self.0, self.1);
            }
        }
    }

    /// What all runs of a world saw.
    #[derive(Default)]
    struct Sum {
        /// Runs, polls, requests, commits, kills.
        seen: [u64; 5],
        /// How many delays of so many tenths of a second: a hundred thousand runs have more
        /// delays than memory has room for.
        delays: BTreeMap<u64, u64>,
        count: u64,
    }

    impl Sum {
        fn add(&mut self, w: &World, delays: &[f64]) {
            let seen = [1, w.polls, w.requests, w.commits, w.kills];
            self.seen.iter_mut().zip(seen).for_each(|(a, b)| *a += b);
            for delay in delays {
                let tenths = Duration::from_secs_f64(delay.max(0.0)).as_millis() / 100;
                *self
                    .delays
                    .entry(u64::try_from(tenths).unwrap())
                    .or_default() += 1;
                self.count += 1;
            }
        }
        /// Returns the delay in seconds that `percent` of all do not exceed.
        fn delay(&self, percent: u64) -> f64 {
            let mut left = self.count * percent / 100;
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

    /// Runs a world with `part` percent of the seeds, on all processors, and prints what it
    /// saw.
    fn run(name: &'static str, part: u64, least: u64, world: fn(u64) -> (World, Vec<f64>)) {
        let seeds = number("SLATED_SEEDS").unwrap_or(1000);
        let one = number("SLATED_SEED");
        let first = one.unwrap_or(1);
        let last = one.unwrap_or_else(|| (seeds * part / 100).max(least));
        let (next, sum) = (AtomicU64::new(first), Mutex::new(Sum::default()));
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed > last {
                    return;
                }
                let guard = Seed(name, seed);
                let (w, delays) = world(seed);
                drop(guard);
                if seed.is_multiple_of(10_000) {
                    println!("world {name}: {seed} seeds so far");
                }
                sum.lock().unwrap().add(&w, &delays);
            }
        };
        std::thread::scope(|scope| {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let sum = sum.into_inner().unwrap();
        let [runs, polls, requests, commits, kills] = sum.seen;
        println!(
            "{name}: {runs} runs, {polls} polls, {requests} requests, {commits} commits, {kills} \
             kills; {} delays p50 {} p90 {} worst {} s",
            sum.count,
            sum.delay(50),
            sum.delay(90),
            sum.delay(100)
        );
        assert_eq!(runs, last + 1 - first);
        assert!(sum.count > 0, "a world without a fact proves nothing");
    }

    #[test]
    fn a_first_start_in_the_middle_of_traffic() {
        run("a", 100, 20, |seed| {
            starts::first_start(seed, &starts::Traffic::default())
        });
    }
    #[test]
    fn b_catching_up_with_200_000_rows() {
        run("b", 0, 4, head::catch_up);
    }
    #[test]
    fn c_ids_jump_by_five_million() {
        run("c", 1, 3, head::jump);
    }
    #[test]
    fn d_taking_over_from_another_daemon() {
        run("d", 10, 8, |seed| {
            starts::take_over(seed, &starts::Import::default())
        });
    }
    #[test]
    fn e_a_restored_site_and_harmless_look_alikes() {
        run("e", 40, 60, restores::restored);
    }
    #[test]
    fn f_the_audit_finds_what_fills_after_days() {
        run("f", 0, 1, head::audit);
    }
    #[test]
    fn g_a_kill_at_each_point_of_a_start() {
        run("g start", 0, 160, |at| {
            starts::first_start(1, &starts::Traffic::killed(at))
        });
    }
    #[test]
    fn g_a_kill_at_each_point_of_an_import() {
        run("g import", 0, 90, |k| {
            let at = if k < 60 { k } else { 60 + (k - 60) * 53 };
            starts::take_over(1, &starts::Import::killed(at))
        });
    }
    #[test]
    fn h_two_hours_without_an_answer() {
        run("h", 1, 3, head::outage);
    }
    #[test]
    fn i_a_site_restored_and_overgrown_while_we_are_down() {
        run("i", 10, 60, restores::overgrown);
    }
    #[test]
    fn k_a_person_decides_about_a_restored_site() {
        run("k", 10, 60, |seed| {
            decisions::decided(seed, &decisions::Around::default())
        });
    }
    #[test]
    fn k_a_kill_at_each_point_of_a_decision() {
        run("k kill", 0, 60, |at| {
            decisions::decided(at % 6 + 1, &decisions::Around::killed(at / 2 + 1))
        });
    }
    #[test]
    fn l_rows_are_hidden_and_a_person_accepts() {
        run("l", 5, 30, decisions::hidden);
    }
    #[test]
    fn m_a_time_to_settle_mends_the_order() {
        run("m", 2, 6, head::settled);
    }
    #[test]
    fn n_a_site_is_slow_to_answer_for_head_and_holes_at_once() {
        run("n", 1, 4, head::slow_or);
    }
    #[test]
    fn j_old_holes_fill_under_a_sustained_load_of_young_ones() {
        run("j", 0, 3, head::young_load);
    }
}
