//! The processes below a daemon: workers and their parents, what they cost and hold (Linux).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::cost::Cost;

/// What all processes below one have cost and hold.
#[derive(Debug)]
pub(super) struct Family {
    /// How many there are.
    pub(super) count: usize,
    /// Processor time, that of their own ended children too.
    pub(super) cpu: Duration,
    /// Memory, with each shared page divided among those that share it.
    pub(super) pss_mb: f64,
}

impl Family {
    /// Looks at all processes below `root`.
    pub(super) fn below(root: u32) -> Result<Self> {
        let mut parents = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").context("cannot list /proc")? {
            let name = entry?.file_name();
            let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
            // One that has ended meanwhile belongs to nobody.
            if let Some(pid) = pid
                && let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat"))
                && let Some(parent) = parent(&stat)
            {
                parents.insert(pid, parent);
            }
        }
        let members = below(root, &parents);
        let mut family = Self {
            count: members.len(),
            cpu: Duration::ZERO,
            pss_mb: 0.0,
        };
        for pid in members {
            let cost = Cost::of(pid)?;
            family.cpu += cost.cpu + cost.ended;
            let path = format!("/proc/{pid}/smaps_rollup");
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            family.pss_mb += pss_mb(&text).context("no Pss in smaps_rollup")?;
        }
        ensure!(family.count > 0, "the daemon has no processes");
        Ok(family)
    }
}

/// Reads the parent in `/proc/PID/stat`.
fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

fn below(root: u32, parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let is_below = |pid: u32| {
        // Never longer than there are processes, whatever changed while they were listed.
        let mut up = std::iter::successors(Some(pid), |pid| parents.get(pid).copied());
        up.by_ref().skip(1).take(parents.len()).any(|p| p == root)
    };
    parents.keys().copied().filter(|p| is_below(*p)).collect()
}

fn pss_mb(rollup: &str) -> Option<f64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kb: u32 = line.split_whitespace().next()?.parse().ok()?;
    Some(f64::from(kb) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_everything_below_and_nobody_beside() {
        let parents = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 4)].into();
        assert_eq!(below(2, &parents), [3, 4, 6]);
        assert_eq!(parent("3 (a) b) S 2 3 3 0"), Some(2));
        assert_eq!(
            pss_mb("Rss: 9 kB\nPss:     2048 kB\nPss_Dirty: 1 kB"),
            Some(2.0)
        );
    }
}
