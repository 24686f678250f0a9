//! What a site showed, held against what callbacks noted: what was lost, repeated, and how late.
//!
//! No I/O here. All times are of this machine's wall clock, which simulator and plugins share.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};

use super::site::Row;

/// A row that shows this much after its id was taken is late: others have shown before it.
const LATE_MS: i64 = 1000;
/// Ids that a complaint names at most.
const NAMED: usize = 10;

/// When the callbacks of one plugin started, by event.
pub(super) type Journal = BTreeMap<u64, Vec<i64>>;

/// How many runs there were, and how long after their rows showed.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    /// Rows that showed.
    pub(super) events: usize,
    /// Callbacks that ran, of all plugins.
    pub(super) runs: usize,
    /// Seconds from visible to callback, sorted: of rows that showed at once, and of the others.
    pub(super) prompt: Vec<f64>,
    pub(super) late: Vec<f64>,
}

/// How delays are spread, in seconds; 0 where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Delays {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) worst: f64,
}

impl Delays {
    /// Summarises delays that are sorted.
    pub(super) fn of(sorted: &[f64]) -> Self {
        // The smallest that is not less than so much of all of them.
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied().unwrap_or_default()
        };
        Self {
            p50: at(50),
            p99: at(99),
            worst: at(100),
        }
    }
}

/// Reads a journal: a line `EVENT MILLISECONDS` for each run.
pub(super) fn journal(text: &str) -> Result<Journal> {
    let mut runs = Journal::new();
    for line in text.lines() {
        let (id, ms) = line.split_once(' ').context("a line of a journal")?;
        let id = id.parse().context("an event in a journal")?;
        let ms = ms.parse().context("a time in a journal")?;
        runs.entry(id).or_default().push(ms);
    }
    Ok(runs)
}

/// Tells whether every row that will ever show has run in every plugin.
///
/// Looks at no more than that: what ran twice is for [`judge`].
pub(super) fn is_complete(rows: &[Row], journals: &[Journal]) -> bool {
    rows.iter()
        .filter(|row| row.visible_ms.is_some())
        .all(|row| journals.iter().all(|runs| runs.contains_key(&row.id)))
}

/// Judges the rows of a run; fails when something was lost, repeated, or ran unseen.
pub(super) fn judge(rows: &[Row], journals: &[Journal]) -> Result<Verdict> {
    let shown: Vec<(&Row, i64)> = rows
        .iter()
        .filter_map(|row| Some((row, row.visible_ms?)))
        .collect();
    ensure!(!shown.is_empty(), "no event was written");
    let ids: BTreeSet<u64> = shown.iter().map(|(row, _)| row.id).collect();
    let (mut lost, mut repeated, mut unseen) = (Vec::new(), Vec::new(), Vec::new());
    let mut verdict = Verdict {
        events: shown.len(),
        runs: 0,
        prompt: Vec::new(),
        late: Vec::new(),
    };
    for runs in journals {
        verdict.runs += runs.values().map(Vec::len).sum::<usize>();
        repeated.extend(runs.iter().filter(|run| run.1.len() > 1).map(|run| run.0));
        for (row, visible) in &shown {
            let Some(first) = runs.get(&row.id).and_then(|runs| runs.first()) else {
                lost.push(&row.id);
                continue;
            };
            let delay = first - visible;
            if delay < 0 {
                unseen.push(&row.id);
            }
            let delays = if visible - row.reserved_ms >= LATE_MS {
                &mut verdict.late
            } else {
                &mut verdict.prompt
            };
            delays.push(delay as f64 / 1000.0);
        }
        unseen.extend(runs.keys().filter(|id| !ids.contains(id)));
    }
    for (what, ids) in [
        ("lost", lost),
        ("repeated", repeated),
        ("ran and had not shown", unseen),
    ] {
        let some: Vec<&u64> = ids.iter().copied().take(NAMED).collect();
        ensure!(
            ids.is_empty(),
            "{} events {what}, such as {some:?}",
            ids.len()
        );
    }
    verdict.prompt.sort_by(f64::total_cmp);
    verdict.late.sort_by(f64::total_cmp);
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u64, reserved_ms: i64, visible_ms: Option<i64>) -> Row {
        Row {
            id,
            reserved_ms,
            visible_ms,
        }
    }

    /// One row at once, one late, one never.
    fn rows() -> [Row; 3] {
        [
            row(1, 100, Some(100)),
            row(2, 100, Some(9100)),
            row(3, 100, None),
        ]
    }

    #[test]
    fn delays_count_from_the_moment_a_row_showed() {
        let runs = journal("1 1600\n2 9350\n").unwrap();
        let verdict = judge(&rows(), &[runs.clone(), runs]).unwrap();
        assert_eq!((verdict.events, verdict.runs), (2, 4));
        assert_eq!(verdict.prompt, [1.5, 1.5]);
        assert_eq!(verdict.late, [0.25, 0.25]);
    }

    #[test]
    fn what_is_lost_or_repeated_or_invented_has_no_figures() {
        for (text, complaint) in [
            ("1 1600\n", "1 events lost, such as [2]"),
            ("1 1600\n2 9350\n1 1700\n", "1 events repeated, such as [1]"),
            (
                "1 1600\n2 9350\n3 9350\n",
                "1 events ran and had not shown, such as [3]",
            ),
            (
                "1 1600\n2 9099\n",
                "1 events ran and had not shown, such as [2]",
            ),
        ] {
            let runs = [journal(text).unwrap()];
            assert_eq!(judge(&rows(), &runs).unwrap_err().to_string(), complaint);
        }
        assert!(judge(&[], &[]).is_err());
        assert!(journal("1\n").is_err());
    }

    #[test]
    fn a_run_is_complete_when_each_plugin_has_everything() {
        let (half, whole) = (
            journal("1 1600\n").unwrap(),
            journal("1 1600\n2 9350\n").unwrap(),
        );
        assert!(is_complete(&rows(), std::slice::from_ref(&whole)));
        assert!(!is_complete(&rows(), &[whole, half]));
    }

    #[test]
    fn a_percentile_is_one_of_the_delays() {
        let all: Vec<f64> = (1..=200).map(f64::from).collect();
        let delays = Delays::of(&all);
        assert_eq!(
            (delays.p50, delays.p99, delays.worst),
            (100.0, 198.0, 200.0)
        );
        assert_eq!(Delays::of(&[3.0]), Delays::of(&[3.0, 3.0]));
        assert_eq!(Delays::of(&[]), Delays::default());
    }
}
