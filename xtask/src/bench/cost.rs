//! What a process has cost so far, by `/proc`.

use std::ops::Sub;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Clock ticks of `/proc/PID/stat`: the kernel shows programs 100 a second on every machine.
const TICK: Duration = Duration::from_millis(10);

/// What a process has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// Processor time, user and system.
    pub(super) cpu: Duration,
    /// Processor time of children that have ended.
    pub(super) ended: Duration,
    /// Most memory it ever held.
    pub(super) peak_mb: f64,
    /// Bytes it gave to the disk.
    pub(super) written: u64,
    /// How often it went to sleep by itself.
    pub(super) wakes: u64,
}

impl Cost {
    /// Looks at a process.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let (cpu, ended) = times(&read("stat")?).context("/proc/PID/stat is not understood")?;
        let mut wakes = 0;
        let tasks = format!("/proc/{pid}/task");
        for task in std::fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
            // A thread may end between the listing and the look.
            let status = std::fs::read_to_string(task?.path().join("status")).unwrap_or_default();
            wakes += field(&status, "voluntary_ctxt_switches:").unwrap_or_default();
        }
        Ok(Self {
            cpu,
            ended,
            peak_mb: field(&read("status")?, "VmHWM:").unwrap_or_default() as f64 / 1024.0,
            // Not every user may read it.
            written: read("io")
                .ok()
                .and_then(|io| field(&io, "write_bytes:"))
                .unwrap_or_default(),
            wakes,
        })
    }
}

impl Sub for Cost {
    type Output = Self;
    /// What was spent between two looks; the peak is that of the later.
    fn sub(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            ended: self.ended.saturating_sub(before.ended),
            peak_mb: self.peak_mb,
            written: self.written.saturating_sub(before.written),
            wakes: self.wakes.saturating_sub(before.wakes),
        }
    }
}

/// Reads the times of a process and of its ended children.
fn times(stat: &str) -> Option<(Duration, Duration)> {
    // The name in brackets may hold anything; the third field follows it.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u32>().ok();
    Some((
        TICK * (ticks(11)? + ticks(12)?),
        TICK * (ticks(13)? + ticks(14)?),
    ))
}

/// Reads the first number behind a name.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_behind_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 0 0 0 0 0 150 50 20 10 20 0 1 0 0";
        let (own, children) = times(stat).unwrap();
        assert_eq!(own, Duration::from_secs(2));
        assert_eq!(children, Duration::from_millis(300));
        assert_eq!(times("7 (a"), None);
    }

    #[test]
    fn a_field_is_found_by_its_name() {
        let status = "VmPeak:\t 9 kB\nVmHWM:\t  2048 kB\n";
        assert_eq!(field(status, "VmHWM:"), Some(2048));
        assert_eq!(field(status, "VmRSS:"), None);
    }

    #[test]
    fn this_process_has_cost_something() {
        let cost = Cost::of(std::process::id()).unwrap();
        assert!(cost.peak_mb > 0.1);
    }
}
