//! People at work on a site: changes at a steady rate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::site::Site;

/// Connections at a time, whatever the rate: beyond them the rate is not kept.
const WRITERS: f64 = 64.0;

/// Changes something `rate` times a second; answers of a slow site are awaited side by side.
///
/// Returns how long it took: more than `time` where the site does not keep up.
pub(super) fn write(site: &Site, rate: f64, latency_ms: u64, time: Duration) -> Result<Duration> {
    let count = (rate * time.as_secs_f64()).round().max(1.0);
    // Twice as many as a site that keeps its latency needs.
    let writers = (2.0 * rate * latency_ms as f64 / 1000.0).clamp(1.0, WRITERS);
    let next = AtomicU64::new(0);
    let begun = Instant::now();
    let writer = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number as f64 >= count {
                return Ok(());
            }
            let due = Duration::from_secs_f64(number as f64 / rate);
            sleep(due.saturating_sub(begun.elapsed()));
            site.write()?;
        }
    };
    scope(|threads| {
        let all: Vec<_> = std::iter::successors(Some(1.0), |n| Some(n + 1.0))
            .take_while(|n| *n <= writers.ceil())
            .map(|_| threads.spawn(writer))
            .collect();
        all.into_iter().try_for_each(|one| {
            one.join()
                .unwrap_or_else(|_| Err(anyhow!("a writer ended badly")))
        })
    })?;
    Ok(begun.elapsed())
}
