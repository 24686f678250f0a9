//! The end of a worker that outlived an earlier slated.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::group::{signal_group, stat};

/// What became of a recorded worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// It was gone, or its number belongs to another process now.
    Gone,
    /// It was still there and was ended.
    Ended,
    /// It is still there: the system does not let us end it, or it hangs in the kernel.
    Stays,
}

/// How long each rung waits.
const TERM: Duration = Duration::from_secs(2);
const KILL: Duration = Duration::from_secs(5);

/// Ends the process `pid` and its group, if it is still the one that started at `started`, in clock
/// ticks after boot, and waits until it is gone. Its plugin must not be started again before that:
/// two of them would do the same work.
pub async fn reap_stale(pid: u32, started: u64) -> Stale {
    if !is_there(pid, started) {
        return Stale::Gone;
    }
    for (signal, wait) in [(Signal::TERM, TERM), (Signal::KILL, KILL)] {
        signal_group(pid, signal);
        let until = Instant::now() + wait;
        while Instant::now() < until {
            if !is_there(pid, started) {
                return Stale::Ended;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
    Stale::Stays
}

fn is_there(pid: u32, started: u64) -> bool {
    stat(pid).is_some_and(|stat| stat.started == started && !stat.zombie)
}
