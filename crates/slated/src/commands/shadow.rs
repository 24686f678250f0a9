//! `slated shadow report`: what the Python daemon missed, repeated or ran late, by its own timing log.
//!
//! Reads the diary of `slated run --shadow` and timing logs, and writes nothing. `core::shadow` judges.

mod tell;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use slated_config::Config;
use slated_core::shadow::{Apart, Book, Fault, Finding, Ms, Report, Terms, judge};

use super::common::ConfigArgs;
use super::sim::duration;
use crate::clock::wall_ms;
use crate::error::CommandError;
use crate::out;
use crate::shadow::timing_log::{self, TimingLog};
use crate::shadow::{book, diary};
use crate::view::{
    FaultView, FindingView, LineFault, OffView, ShadowView, TallyView, UnaskedView, UnknownView,
};

/// Look at the Python daemon from beside it
///
/// `slated run --shadow` follows the site while the Python daemon runs, and calls nothing. The report
/// then says what that daemon did with each event.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Say what the Python daemon missed, repeated or ran late
    ///
    /// Compares what the shadow saw with the timing log of the Python daemon (`timing_log: on` in
    /// `[daemon]`). Only events are judged that both could see: those that became visible while the
    /// shadow ran, between the first and the last line of the log. Times are those of this machine;
    /// run both on one, or on two whose clocks agree.
    Report(ReportArgs),
}

#[derive(clap::Args)]
struct ReportArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The timing log, and its rotated files
    ///
    /// Without it, under a .conf: `<logFile>.timing` in `logPath`, and `<logFile>.timing.*`.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    timing_log: Vec<PathBuf>,
    /// Judge events that became visible at this time or later, such as 2026-11-23T09:00
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Ms>,
    /// Judge events that became visible at this time or before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Ms>,
    /// Judge the last so long, such as 24h
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "from")]
    last: Option<Duration>,
    /// A call is late that begins so long after its event became visible
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    late_after: Duration,
    /// List every event with a fault
    #[arg(long)]
    events: bool,
    /// Print one JSON object, with every event that has a fault
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<(), CommandError> {
    let Verb::Report(args) = args.verb;
    let config = args.config.load()?.config;
    let zone = TimeZone::system();
    let log = timing(&args, &config, &zone)?;
    let (book, unread_diary) = seen(config)?;
    let terms = Terms {
        from: args
            .from
            .or_else(|| args.last.map(|last| wall_ms().saturating_sub(millis(last)))),
        to: args.to,
        late_after: millis(args.late_after),
    };
    let report =
        judge(&book, &log.calls, &terms).map_err(|apart| refused(&apart, &log, &terms, &zone))?;
    let view = view(&book, report, log, &terms, unread_diary);
    if args.json {
        return out::json(&view);
    }
    tell::tell(&view, args.events, &zone);
    Ok(())
}

/// Reads the timing logs that are meant.
fn timing(args: &ReportArgs, config: &Config, zone: &TimeZone) -> Result<TimingLog, CommandError> {
    if !args.timing_log.is_empty() {
        return timing_log::read(&args.timing_log, zone);
    }
    let Some(conf) = &config.conf else {
        return Err(CommandError::usage("which timing log is meant?")
            .hint("`--timing-log FILE`: under a slated.toml nobody says where the Python daemon writes it"));
    };
    let (folder, name) = (&conf.logs.folder, format!("{}.timing", conf.logs.file));
    let files = timing_log::beside(folder, &name);
    if files.is_empty() {
        let place = folder.join(name);
        let error = format!("there is no timing log at {}", place.display());
        return Err(CommandError::usage(error).hint(
            "set `timing_log: on` in [daemon] and restart the Python daemon, or name the file: `--timing-log FILE`",
        ));
    }
    timing_log::read(&files, zone)
}

/// Reads what the shadow saw.
fn seen(mut config: Config) -> Result<(Book, usize), CommandError> {
    config.shadow();
    let folder = &config.state.folder;
    let (lines, bad) = diary::read(folder).map_err(|error| {
        let place = diary::folder(folder);
        let place = place.display();
        match error.kind() {
            ErrorKind::NotFound => {
                CommandError::usage(format!("no shadow has run: there is no diary at {place}"))
                    .hint("`slated run --shadow` writes it, beside the Python daemon")
            }
            _ => {
                CommandError::configuration(format!("the diary at {place} cannot be read: {error}"))
            }
        }
    })?;
    Ok((book::of(lines), bad))
}

/// Says why nothing can be compared.
fn refused(apart: &Apart, log: &TimingLog, terms: &Terms, zone: &TimeZone) -> CommandError {
    match apart {
        Apart::NoCalls => {
            let files: Vec<_> = log.files.iter().map(|f| f.display().to_string()).collect();
            CommandError::usage(format!("the timing log has no calls: {}", files.join(", "))).hint(
                "the Python daemon writes it with `timing_log: on` and a `logging` of 20 or less",
            )
        }
        Apart::NoLooks => CommandError::usage("the shadow has not read the site yet")
            .hint("`slated status --shadow` says how it is"),
        Apart::NoOverlap { shadow, log } => {
            let span = |(from, to): (Ms, Ms)| {
                format!("{} to {}", tell::time(from, zone), tell::time(to, zone))
            };
            let asked = if terms.from.is_some() || terms.to.is_some() {
                " in the time that is asked for"
            } else {
                ""
            };
            CommandError::usage(format!(
                "nothing can be compared: the shadow looked from {}, the timing log has calls from {}, and they do not overlap{asked}",
                span(*shadow),
                span(*log)
            ))
            .hint("name the timing log of the shadow's time, its rotated files, too; times without offset are taken as this machine's (`TZ=…` changes that)")
        }
    }
}

fn view(
    book: &Book,
    report: Report,
    log: TimingLog,
    terms: &Terms,
    unread_diary: usize,
) -> ShadowView {
    let name = |place: usize| {
        book.callbacks
            .get(place)
            .map(|c| c.name.clone())
            .unwrap_or_default()
    };
    let mut tallies: BTreeMap<&str, TallyView> = BTreeMap::new();
    let mut all = TallyView::default();
    let at = |counts: &[usize], place: usize| counts.get(place).copied().unwrap_or_default();
    for (place, callback) in book.callbacks.iter().enumerate() {
        let tally = tallies.entry(&callback.plugin).or_default();
        tally.plugin.clone_from(&callback.plugin);
        for tally in [tally, &mut all] {
            tally.due += at(&report.due, place);
            tally.good += at(&report.good, place);
            tally.to_come += at(&report.to_come, place);
        }
    }
    for finding in &report.findings {
        count(&mut all, finding);
        let callback = book.callbacks.get(finding.callback);
        if let Some(tally) = callback.and_then(|c| tallies.get_mut(c.plugin.as_str())) {
            count(tally, finding);
        }
    }
    let mut plugins: Vec<_> = tallies
        .into_values()
        .filter(|tally| tally.due > 0)
        .collect();
    plugins.sort_by_key(|tally| std::cmp::Reverse(tally.due - tally.good - tally.to_come));
    ShadowView {
        from_ms: report.from,
        to_ms: report.to,
        late_after_ms: terms.late_after,
        events: report.events,
        late_ids: report.late_ids,
        all,
        plugins,
        off: report
            .off
            .into_iter()
            .map(|off| OffView {
                plugin: off.plugin,
                callback: off.callback.map(name),
                since_ms: off.since,
                failed_event: off.failed_at.map(|(event, _)| event),
                failed_callback: off.failed_at.map(|(_, callback)| name(callback)),
                calls: off.calls,
            })
            .collect(),
        findings: report
            .findings
            .iter()
            .map(|finding| FindingView {
                event: finding.event,
                callback: name(finding.callback),
                seen_ms: finding.at,
                late_id: finding.late_id,
                while_off: finding.while_off,
                fault: match finding.fault {
                    Fault::Missed { times } => FaultView::Missed { times },
                    Fault::Repeated { times } => FaultView::Repeated { times },
                    Fault::Late { by } => FaultView::Late { by_ms: by },
                    Fault::Failed { times, mended } => FaultView::Failed { times, mended },
                    Fault::Off => FaultView::Off,
                },
            })
            .collect(),
        unknown: report
            .unknown
            .into_iter()
            .map(|(event, callback, called_ms)| UnknownView {
                event,
                callback,
                called_ms,
            })
            .collect(),
        unasked: report
            .unasked
            .into_iter()
            .map(|(callback, (calls, event))| UnaskedView {
                callback,
                calls,
                event,
            })
            .collect(),
        timing_logs: log.files,
        unread: log
            .unread
            .into_iter()
            .map(|unread| LineFault {
                file: unread.file,
                lines: unread.lines,
                first: unread.first,
            })
            .collect(),
        unread_diary,
    }
}

fn count(tally: &mut TallyView, finding: &Finding) {
    match finding.fault {
        Fault::Missed { .. } => tally.missed += 1,
        Fault::Off => tally.off += 1,
        Fault::Repeated { times } => {
            tally.repeated += 1;
            tally.repeats += u64::from(times);
        }
        Fault::Late { by } => {
            tally.late += 1;
            tally.longest_ms = tally.longest_ms.max(by);
        }
        Fault::Failed { .. } => tally.failed += 1,
    }
}

fn millis(span: Duration) -> Ms {
    Ms::try_from(span.as_millis()).unwrap_or(Ms::MAX)
}

/// Reads a time, by the clock on the wall where it has no offset.
fn moment(text: &str) -> Result<Ms, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_millisecond());
    }
    let naive = text.parse::<DateTime>().ok();
    let at = naive.and_then(|naive| naive.to_zoned(TimeZone::system()).ok());
    at.map(|at| at.timestamp().as_millisecond())
        .ok_or_else(|| "takes a time, such as 2026-11-23T09:00".into())
}
