//! What a replay says: a line for each call and a summary to stdout, everything else to stderr.

use std::collections::BTreeMap;

use indicatif::ProgressBar;
use owo_colors::OwoColorize as _;
use serde::Serialize;
use slated_core::replay::{DEATHS, SITE_FAILURES, Span, Why};
use slated_host::{Report, wire};
use slated_model::{EventId, PluginId};

use super::call::{self, Call, CallView, WriteView, count};
use super::gather::Gathered;
use super::play::{Ended, Hears};
use crate::clock::Clock;
use crate::commands::bar;
use crate::error::CommandError;
use crate::out;

/// A line of `--json`. A field is added, never renamed.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    /// A call that ended.
    Call {
        run: &'a str,
        #[serde(flatten)]
        call: &'a CallView<'a>,
    },
    /// What the plugin would have written in no call: while it was loaded, or in a thread.
    Write {
        run: &'a str,
        #[serde(flatten)]
        write: &'a WriteView,
    },
    /// The last line.
    Summary(&'a Summary),
}

/// What a replay came to.
#[derive(Serialize)]
struct Summary {
    run: String,
    plugin: PluginId,
    dry: bool,
    from: EventId,
    to: EventId,
    /// Events there were, of the log and of the site.
    from_log: u64,
    from_site: u64,
    /// Events a callback asked for, and those that were dealt with.
    matched: usize,
    events: usize,
    calls: usize,
    failed: usize,
    died: usize,
    /// Rows that cannot be read: no callback got them.
    unreadable: Vec<EventId>,
    /// Refused writes, by method.
    writes: BTreeMap<String, usize>,
    seconds: f64,
    /// `all`, or why it ended before its last event.
    ended: &'static str,
    /// The event with which `--from` goes on, where it ended before its last.
    go_on: Option<EventId>,
}

/// Says what happens, and counts it.
pub(super) struct Teller {
    json: bool,
    clock: Clock,
    bar: ProgressBar,
    /// Writes since the last call.
    writes: Vec<WriteView>,
    summary: Summary,
}

impl Teller {
    pub(super) fn new(json: bool, dry: bool, plugin: PluginId, run: String) -> Self {
        Self {
            json,
            clock: Clock::start(),
            bar: ProgressBar::hidden(),
            writes: Vec::new(),
            summary: Summary {
                run,
                plugin,
                dry,
                from: EventId(0),
                to: EventId(0),
                from_log: 0,
                from_site: 0,
                matched: 0,
                events: 0,
                calls: 0,
                failed: 0,
                died: 0,
                unreadable: Vec::new(),
                writes: BTreeMap::new(),
                seconds: 0.0,
                ended: "all",
                go_on: None,
            },
        }
    }

    /// Says what was found, and shows from now on how far it is. `narrowed`: not all was wanted that
    /// callbacks ask for.
    pub(super) fn found(&mut self, gathered: &Gathered, narrowed: bool) {
        let summary = &mut self.summary;
        (summary.from_log, summary.from_site) = (gathered.from_log, gathered.from_site);
        summary.matched = gathered.events.len();
        summary.unreadable.clone_from(&gathered.unreadable);
        let all = usize::try_from(gathered.from_log + gathered.from_site).unwrap_or(usize::MAX);
        out::talk(format!(
            "{}, {} of them from the site, make {}",
            count(all, "event"),
            gathered.from_site,
            gathered.counted()
        ));
        if !gathered.unreadable.is_empty() {
            let rows: Vec<_> = gathered
                .unreadable
                .iter()
                .map(ToString::to_string)
                .collect();
            out::talk(format!("nobody can read {}: left out", rows.join(", ")));
        }
        if gathered.events.is_empty() {
            out::talk(if all == 0 {
                "neither the log nor the site has an event with such an id, as far as they show"
                    .into()
            } else {
                let besides = if narrowed {
                    "; `--type`, `--project` and `--callback` leave out what they do not name"
                } else {
                    ""
                };
                format!(
                    "no callback is to get one: `slated plugin show {}` shows what they ask for{besides}",
                    summary.plugin.stem()
                )
            });
        }
        self.clock = Clock::start();
        let len = u64::try_from(gathered.events.len()).unwrap_or(u64::MAX);
        self.bar = bar::of(len);
    }

    /// Keeps a write that was refused until its call has ended.
    fn write(&mut self, write: &wire::Write) {
        if !self.summary.dry {
            // It was loaded dry to be counted.
            return;
        }
        *self.summary.writes.entry(write.method.clone()).or_default() += 1;
        let view = WriteView::of(write);
        if write.seq.is_some() {
            self.writes.push(view);
        } else if self.json {
            let run = &self.summary.run;
            self.bar
                .suspend(|| print(&Line::Write { run, write: &view }));
        } else {
            self.bar
                .suspend(|| out::line(format!("in no call: {}", view.told())));
        }
    }

    /// Says what it came to. An error where not everything was done.
    pub(super) fn end(mut self, ended: Ended, span: Span) -> Result<(), CommandError> {
        self.bar.finish_and_clear();
        let summary = &mut self.summary;
        summary.seconds = self.clock.now().0.as_secs_f64();
        (summary.from, summary.to) = (span.from, span.to);
        summary.go_on = ended.go_on;
        summary.ended = match (&ended.trouble, ended.why) {
            (Some(_), _) => "trouble",
            (None, None) => "all",
            (None, Some(Why::Stopped)) => "stopped",
            (None, Some(Why::Failed)) => "failed",
            (None, Some(Why::Site)) => "site",
            (None, Some(Why::Deaths)) => "deaths",
        };
        if self.json {
            print(&Line::Summary(summary));
        } else {
            out::line(summary.told());
        }
        let go_on = ended.go_on.map(|id| {
            format!(
                "it ended before event {id}: `--from {id} --to {}` goes on with that",
                span.to
            )
        });
        let error = match (ended.trouble, ended.why) {
            (Some(trouble), _) => Some(trouble),
            (None, Some(Why::Site)) => Some(CommandError::site(format!(
                "{SITE_FAILURES} calls in a row could not reach the site"
            ))),
            (None, Some(Why::Deaths)) => Some(CommandError::plugin(format!(
                "{}: its process died {DEATHS} times",
                summary.plugin
            ))),
            _ if summary.failed + summary.died > 0 => Some(CommandError::plugin(format!(
                "{}: {} of {} failed",
                summary.plugin,
                summary.failed + summary.died,
                count(summary.calls, "call")
            ))),
            _ => None,
        };
        match (error, go_on) {
            (None, None) => Ok(()),
            (None, Some(go_on)) => {
                out::talk(go_on);
                Ok(())
            }
            (Some(error), None) => Err(error),
            (Some(error), Some(go_on)) => Err(error.hint(go_on)),
        }
    }
}

impl Hears for Teller {
    fn handled(&mut self) {
        self.summary.events += 1;
        self.bar.inc(1);
    }

    fn aside(&mut self, report: Report) {
        if let Report::Write(write) = &report {
            return self.write(write);
        }
        if let Some(line) = call::aside(&self.summary.plugin, &report) {
            self.bar.suspend(|| out::talk(line.trim_end().dimmed()));
        }
    }

    fn call(&mut self, call: &Call<'_>) {
        let writes = std::mem::take(&mut self.writes);
        let summary = &mut self.summary;
        summary.calls += 1;
        let view = CallView::of(call, &writes);
        match view.outcome {
            "done" => {}
            "died" => summary.died += 1,
            _ => summary.failed += 1,
        }
        if self.json {
            let run = &summary.run;
            return self.bar.suspend(|| print(&Line::Call { run, call: &view }));
        }
        let lines = view.told();
        self.bar.suspend(|| lines.iter().for_each(out::line));
    }
}

impl Summary {
    fn told(&self) -> String {
        let bad = match (self.failed, self.died) {
            (0, 0) => String::new(),
            (failed, 0) => format!(", {failed} failed"),
            (failed, died) => format!(", {failed} failed, {died} died"),
        };
        let writes = match (self.dry, self.writes.is_empty()) {
            (false, _) => String::new(),
            (true, true) => "; no writes".into(),
            (true, false) => {
                let writes = self
                    .writes
                    .iter()
                    .map(|(method, n)| format!("{method} {n}"));
                format!(
                    "; refused writes: {}",
                    writes.collect::<Vec<_>>().join(", ")
                )
            }
        };
        format!(
            "{} {}: {} for {} of {}{bad}{writes}; {:.1} s",
            if self.dry { "dry run" } else { "live run" },
            self.run,
            count(self.calls, "call"),
            self.events,
            count(self.matched, "event"),
            self.seconds
        )
    }
}

/// Prints a line of JSON. What is printed here has nothing that JSON lacks.
fn print(line: &Line<'_>) {
    out::json(line).unwrap_or_else(|error| out::error(&error));
}
