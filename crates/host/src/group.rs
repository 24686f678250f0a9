//! The process group of a worker: signals, and what the system knows about a process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The groups somebody is in charge of, by their leaders; and processes that lead none.
///
/// Locked for a single insertion or removal, never while anything is waited for: the end of the
/// process needs it.
static LIVING: Mutex<BTreeMap<u32, Reach>> = Mutex::new(BTreeMap::new());

fn living() -> MutexGuard<'static, BTreeMap<u32, Reach>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills the process groups of all workers of this process, which is about to end.
///
/// A worker whose pipe hangs up ends itself, but not while a callback holds Python's lock in C
/// code, which may be for ever. What begins to start meanwhile has no callback yet, and sees its
/// pipe hang up.
pub fn kill_all() {
    for (pid, reach) in living().iter() {
        reach.signal(*pid, Signal::KILL);
    }
}

/// Whom a signal to a process is meant for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// The group that it leads.
    Group,
    /// It alone: its group is this process's own.
    Alone,
}

impl Reach {
    fn signal(self, pid: u32, signal: Signal) {
        match self {
            Self::Group => signal_group(pid, signal),
            Self::Alone => signal_process(pid, signal),
        }
    }
}

/// A process, and the group that it leads as a rule. Dropping it kills them.
#[derive(Debug)]
pub(crate) struct Group {
    pid: u32,
    reach: Reach,
    armed: bool,
}

impl Group {
    /// Takes charge of the group that `pid` leads.
    pub(crate) fn new(pid: u32) -> Self {
        Self::reaching(pid, Reach::Group)
    }
    /// Takes charge of a process, and of its group where `reach` says so.
    pub(crate) fn reaching(pid: u32, reach: Reach) -> Self {
        living().insert(pid, reach);
        Self {
            pid,
            reach,
            armed: true,
        }
    }
    /// Sends a signal to the leader alone.
    pub(crate) fn signal_leader(&self, signal: Signal) {
        signal_process(self.pid, signal);
    }
    /// Sends a signal to every process in reach.
    pub(crate) fn signal(&self, signal: Signal) {
        self.reach.signal(self.pid, signal);
    }
    /// Leaves what remains of the group alone from now on.
    pub(crate) fn release(&mut self) {
        self.armed = false;
        living().remove(&self.pid);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.armed {
            self.signal(Signal::KILL);
            self.release();
        }
    }
}

/// Sends a signal to every process of the group that `pid` leads or led.
///
/// The system does not give a number to a new process while a group of that number exists,
/// and counts through all others first.
pub(crate) fn signal_group(pid: u32, signal: Signal) {
    if let Some(pid) = as_pid(pid) {
        kill_process_group(pid, signal).ok();
    }
}

fn signal_process(pid: u32, signal: Signal) {
    if let Some(pid) = as_pid(pid) {
        // It may be gone already, which is what a signal is for anyway.
        kill_process(pid, signal).ok();
    }
}

pub(crate) fn as_pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid)
        .ok()
        // 0 and 1 would mean ourselves, or everybody.
        .filter(|pid| *pid > 1)
        .and_then(Pid::from_raw)
}

/// Makes the system prefer this process when memory runs out.
pub(crate) fn offer_to_oom_killer(pid: u32) {
    if cfg!(target_os = "linux") {
        // A courtesy: where it is not allowed, nothing is lost.
        drop(std::fs::write(format!("/proc/{pid}/oom_score_adj"), "500"));
    }
}

/// What the system says about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// When it started, in clock ticks after boot: with the number it names a process for good.
    pub started: u64,
    /// Whether it has ended and only waits to be collected.
    pub zombie: bool,
}

/// Returns what `/proc` says about a process; `None` where there is no such process or no
/// such file.
pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Returns how many bytes of memory a process holds; `None` where `/proc` does not say.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name of the program, field 2, may hold spaces and parentheses.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    Some(Stat {
        started: fields.nth(18)?.parse().ok()?,
        zombie: matches!(state, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_read_behind_any_program_name() {
        let text = "12 (a) b) R 1 12 12 0 -1 4194304 90 0 0 0 0 0 0 0 20 0 1 0 777 1 2 3";
        let wanted = Stat {
            started: 777,
            zombie: false,
        };
        assert_eq!(parse_stat(text), Some(wanted));
        assert_eq!(parse_stat("12 (x"), None);
        assert!(stat(std::process::id()).is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_holds_some_memory() {
        let held = resident(std::process::id()).unwrap();
        assert!((1 << 20..1 << 34).contains(&held), "{held}");
        assert_eq!(resident(u32::MAX), None);
    }

    #[test]
    fn no_number_means_ourselves_or_everybody() {
        assert_eq!(as_pid(0), None);
        assert_eq!(as_pid(1), None);
        assert_eq!(as_pid(u32::MAX), None);
    }
}
