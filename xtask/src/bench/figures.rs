//! Figures of runs, and how they are shown: each run, then the median of each figure.

use serde_json::{Map, Value, json};

use super::judge::Delays;

/// Figures of one run by name, in order: value and digits after the point.
pub(super) struct Figures(Vec<(&'static str, f64, usize)>);

/// How a drain went. Times are from the start of the daemon's process.
pub(super) struct Drain {
    pub(super) drained_s: f64,
    pub(super) first_row_s: f64,
    pub(super) log_full_s: f64,
    pub(super) first_done_s: f64,
    pub(super) events: u64,
    pub(super) events_per_s: f64,
    pub(super) callbacks: u64,
    pub(super) callbacks_per_s: f64,
    /// Events that a plugin passed without a callback, over all plugins, while the log was read too.
    pub(super) unwanted_per_s: f64,
    pub(super) daemon_cpu_s: f64,
    pub(super) workers_cpu_s: f64,
    pub(super) sim_cpu_s: f64,
    pub(super) daemon_peak_mb: f64,
    pub(super) requests: u64,
    pub(super) requests_per_page: f64,
}

/// What a daemon costs that has nothing to do.
pub(super) struct Idle {
    pub(super) seconds: f64,
    pub(super) cpu_percent: f64,
    pub(super) requests_per_min: f64,
    /// Moments at which something was committed, no closer than one look.
    pub(super) commits_per_min: f64,
    pub(super) written_kb_per_min: f64,
    pub(super) wakes_per_s: f64,
    pub(super) daemon_peak_mb: f64,
}

/// How a start went, up to the moment when all plugins ran.
pub(super) struct Start {
    pub(super) ready_s: f64,
    pub(super) daemon_cpu_s: f64,
    /// Of all processes below the daemon.
    pub(super) python_cpu_s: f64,
    pub(super) processes: usize,
    pub(super) python_pss_mb: f64,
    pub(super) daemon_peak_mb: f64,
}

/// How a daemon followed a site where people work. Delays are from the moment when a row could be
/// seen to the start of its callback.
pub(super) struct Follow {
    pub(super) seconds: f64,
    /// Rows that showed.
    pub(super) events: usize,
    /// Rows that were written, whether they ever showed or not.
    pub(super) written_per_s: f64,
    pub(super) runs_per_event: f64,
    /// Of rows that showed when they were written.
    pub(super) prompt: Delays,
    pub(super) late_events: usize,
    /// Of rows that showed later.
    pub(super) late: Delays,
    pub(super) holes_at_start: u64,
    pub(super) holes_at_end: u64,
    pub(super) requests_per_tick: f64,
    /// Whether the daemon asked twice a look, as it does where a site is slow.
    pub(super) split: bool,
    pub(super) daemon_cpu_percent: f64,
}

impl From<Drain> for Figures {
    fn from(run: Drain) -> Self {
        Self(vec![
            ("drained_s", run.drained_s, 2),
            ("first_row_s", run.first_row_s, 2),
            ("log_full_s", run.log_full_s, 2),
            ("first_done_s", run.first_done_s, 2),
            ("events", run.events as f64, 0),
            ("events_per_s", run.events_per_s, 0),
            ("callbacks", run.callbacks as f64, 0),
            ("callbacks_per_s", run.callbacks_per_s, 0),
            ("unwanted_per_s", run.unwanted_per_s, 0),
            ("daemon_cpu_s", run.daemon_cpu_s, 2),
            ("workers_cpu_s", run.workers_cpu_s, 2),
            ("sim_cpu_s", run.sim_cpu_s, 2),
            ("daemon_peak_mb", run.daemon_peak_mb, 1),
            ("requests", run.requests as f64, 0),
            ("requests_per_page", run.requests_per_page, 2),
        ])
    }
}

impl From<Idle> for Figures {
    fn from(run: Idle) -> Self {
        Self(vec![
            ("seconds", run.seconds, 1),
            ("cpu_percent", run.cpu_percent, 2),
            ("requests_per_min", run.requests_per_min, 1),
            ("commits_per_min", run.commits_per_min, 1),
            ("written_kb_per_min", run.written_kb_per_min, 0),
            ("wakes_per_s", run.wakes_per_s, 1),
            ("daemon_peak_mb", run.daemon_peak_mb, 1),
        ])
    }
}

impl From<Follow> for Figures {
    fn from(run: Follow) -> Self {
        Self(vec![
            ("seconds", run.seconds, 1),
            ("events", run.events as f64, 0),
            ("written_per_s", run.written_per_s, 1),
            ("runs_per_event", run.runs_per_event, 2),
            ("p50_s", run.prompt.p50, 2),
            ("p99_s", run.prompt.p99, 2),
            ("worst_s", run.prompt.worst, 2),
            ("late_events", run.late_events as f64, 0),
            ("late_p50_s", run.late.p50, 2),
            ("late_p99_s", run.late.p99, 2),
            ("late_worst_s", run.late.worst, 2),
            ("holes_at_start", run.holes_at_start as f64, 0),
            ("holes_at_end", run.holes_at_end as f64, 0),
            ("requests_per_tick", run.requests_per_tick, 2),
            ("asked_apart", f64::from(u8::from(run.split)), 0),
            ("daemon_cpu_percent", run.daemon_cpu_percent, 2),
        ])
    }
}

impl From<Start> for Figures {
    fn from(run: Start) -> Self {
        Self(vec![
            ("ready_s", run.ready_s, 2),
            ("daemon_cpu_s", run.daemon_cpu_s, 2),
            ("python_cpu_s", run.python_cpu_s, 2),
            ("processes", run.processes as f64, 0),
            ("python_pss_mb", run.python_pss_mb, 1),
            ("daemon_peak_mb", run.daemon_peak_mb, 1),
        ])
    }
}

impl Figures {
    fn json(&self) -> Value {
        let pairs = self.0.iter().map(|(name, value, digits)| {
            let scale = 10_f64.powi(i32::try_from(*digits).unwrap_or(0));
            ((*name).to_owned(), json!((value * scale).round() / scale))
        });
        Value::Object(pairs.collect::<Map<_, _>>())
    }
}

/// Prints the runs: a table, or one JSON object.
pub(super) fn print(runs: &[Figures], as_json: bool) {
    let Some(middle) = median(runs) else { return };
    if as_json {
        let runs: Vec<Value> = runs.iter().map(Figures::json).collect();
        println!("{}", json!({ "median": middle.json(), "runs": runs }));
        return;
    }
    for (at, (name, value, digits)) in middle.0.iter().enumerate() {
        print!("{name:<20}{value:>12.digits$}");
        if runs.len() > 1 {
            print!("   of");
            for run in runs {
                let value = run.0.get(at).map_or(f64::NAN, |figure| figure.1);
                print!(" {value:.digits$}");
            }
        }
        println!();
    }
}

/// Returns the median of each figure.
fn median(runs: &[Figures]) -> Option<Figures> {
    let first = runs.first()?;
    let middle = first
        .0
        .iter()
        .enumerate()
        .map(|(at, (name, _, digits))| {
            let values = runs.iter().filter_map(|run| run.0.get(at));
            let mut values: Vec<f64> = values.map(|figure| figure.1).collect();
            values.sort_by(f64::total_cmp);
            let value = values.get(values.len() / 2).copied().unwrap_or_default();
            (*name, value, *digits)
        })
        .collect();
    Some(Figures(middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_has_its_own_median() {
        let run = |a, b| Figures(vec![("a", a, 0), ("b", b, 2)]);
        let middle = median(&[run(1.0, 9.0), run(3.0, 7.123), run(2.0, 1.0)]).unwrap();
        assert_eq!(middle.json(), json!({"a": 2.0, "b": 7.12}));
        assert!(median(&[]).is_none());
    }
}
