//! What a site showed while it was watched, for people and programs.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;

/// What `slated check --probe` answers.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ProbeView {
    pub(crate) site: String,
    pub(crate) version: String,
    /// The most rows the site gives at once, if it says so.
    pub(crate) rows_a_page: Option<usize>,
    /// Which questions it takes.
    pub(crate) answers: Vec<AnswerView>,
    /// How long it was watched.
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    /// New events in that time.
    pub(crate) events: u64,
    /// How long requests took, in milliseconds.
    pub(crate) page_ms: Option<SpreadView>,
    /// Events that showed after others with higher ids.
    pub(crate) late: u64,
    /// For how long they were seen to be missing, in milliseconds: less than they were.
    pub(crate) late_ms: Option<SpreadView>,
    /// Ids that were passed over and have not shown.
    pub(crate) missing: u64,
    /// Why requests failed, and how often.
    pub(crate) failures: Vec<(String, u64)>,
    /// Why the watch ended early: the site became another one.
    pub(crate) lost: Option<String>,
    /// Settings that suit this, as lines of a `slated.toml`; none where those in force do.
    pub(crate) suggested: Vec<String>,
}

/// Whether a site takes a question.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AnswerView {
    pub(crate) question: String,
    pub(crate) works: bool,
    pub(crate) detail: Option<String>,
}

/// How some durations are spread, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SpreadView {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) worst: u64,
}

impl SpreadView {
    /// Sorts durations, and says how they are spread; `None` of nothing.
    pub(crate) fn of(all: &mut [Duration]) -> Option<Self> {
        all.sort_unstable();
        let last = all.len().checked_sub(1)?;
        let at = |percent: usize| {
            let found = all.get(
                (all.len() * percent)
                    .div_ceil(100)
                    .saturating_sub(1)
                    .min(last),
            );
            found.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
        };
        Some(Self {
            p50: at(50),
            p90: at(90),
            p99: at(99),
            worst: at(100),
        })
    }
}

impl Display for SpreadView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            p50,
            p90,
            p99,
            worst,
        } = self;
        write!(
            f,
            "half within {p50} ms, 90 % {p90}, 99 % {p99}, worst {worst}"
        )
    }
}

impl Display for ProbeView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rows = self
            .rows_a_page
            .map_or_else(|| "it does not say how many".into(), |n| n.to_string());
        writeln!(
            f,
            "site           {}, version {}, rows a page: {rows}",
            self.site, self.version
        )?;
        for AnswerView {
            question,
            works,
            detail,
        } in &self.answers
        {
            let word = if *works { "yes" } else { "NO" };
            write!(f, "takes          {word:<4} {question}")?;
            match detail {
                Some(detail) => writeln!(f, ": {detail}")?,
                None => writeln!(f)?,
            }
        }
        if self.answers.is_empty() {
            writeln!(
                f,
                "takes          not asked: the log is empty, or the script may not see it"
            )?;
        }
        writeln!(
            f,
            "watched        {:.0} s, {} requests, {} new events",
            self.seconds, self.requests, self.events
        )?;
        if let Some(pages) = &self.page_ms {
            writeln!(f, "requests take  {pages}")?;
        }
        let late = self
            .late_ms
            .map(|late| format!("; missing for {late}"))
            .unwrap_or_default();
        writeln!(f, "late events    {}{late}", self.late)?;
        writeln!(
            f,
            "missing ids    {} passed over and not shown since: late, or never committed",
            self.missing
        )?;
        for (why, times) in &self.failures {
            writeln!(f, "failed         {times} times: {why}")?;
        }
        if let Some(lost) = &self.lost {
            writeln!(f, "ended early    {lost}")?;
        }
        if self.suggested.is_empty() {
            return write!(f, "settings       those in force suit what was seen");
        }
        write!(f, "settings       these would suit what was seen:")?;
        self.suggested
            .iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_what_was_measured() {
        assert_eq!(SpreadView::of(&mut []), None);
        let spread = |all: &[u64]| {
            let mut all: Vec<_> = all.iter().map(|ms| Duration::from_millis(*ms)).collect();
            SpreadView::of(&mut all).unwrap().to_string()
        };
        assert_eq!(spread(&[7]), "half within 7 ms, 90 % 7, 99 % 7, worst 7");
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(
            spread(&hundred),
            "half within 50 ms, 90 % 90, 99 % 99, worst 100"
        );
    }
}
