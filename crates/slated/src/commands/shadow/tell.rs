//! The report for people: first what a department head wants to know, then plugin by plugin.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use owo_colors::OwoColorize as _;

use crate::out;
use crate::view::{FaultView, FindingView, OffView, ShadowView, TallyView};

/// Prints the report; with `events`, every event that has a fault.
pub(super) fn tell(view: &ShadowView, events: bool, zone: &TimeZone) {
    out::line(summary(view, zone).bold());
    for line in worst(view, zone) {
        out::line(format!("  {line}"));
    }
    if !view.plugins.is_empty() {
        out::line("");
        out::line(table(view));
    }
    let notes = notes(view);
    if !notes.is_empty() {
        out::line("");
    }
    for note in notes {
        out::line(format!("note: {note}"));
    }
    if view.findings.is_empty() {
        return;
    }
    out::line("");
    if events {
        list(view, zone);
    } else {
        out::line("--events lists every event with a fault.");
    }
}

/// Says in plain sentences how it went.
fn summary(view: &ShadowView, zone: &TimeZone) -> String {
    let all = &view.all;
    let judged = all.due - all.to_come;
    let span = format!(
        "From {} to {}",
        time(view.from_ms, zone),
        time(view.to_ms, zone)
    );
    let events = counted(view.events, "event");
    if judged == 0 {
        return format!("{span} {events} became visible, and no plugin had to be called for them.");
    }
    let due = format!(
        "{span} {events} became visible, for which the Python daemon had to make {}.",
        counted(judged, "call")
    );
    let bad = judged - all.good;
    if bad == 0 {
        return format!("{due} It made all of them once and in time.");
    }
    let mut said = Vec::new();
    let mut say = |n: usize, text: String| {
        if n > 0 {
            said.push(text);
        }
    };
    let number = |n: usize| grouped(n as u64);
    say(all.missed, format!("{} never made", number(all.missed)));
    say(
        all.off,
        format!("{} not made since the plugin was off", number(all.off)),
    );
    let again = format!(
        "{} made again ({} too many in all)",
        number(all.repeated),
        grouped(all.repeats)
    );
    say(all.repeated, again);
    let late = format!(
        "{} begun more than {} late",
        number(all.late),
        span_of(view.late_after_ms)
    );
    say(all.late, late);
    say(all.failed, format!("{} failed", number(all.failed)));
    format!(
        "{due} {} of them ({}) did not go well: {}.",
        number(bad),
        share(bad, judged),
        said.join(", ")
    )
}

/// Names the worst, and what is off.
fn worst(view: &ShadowView, zone: &TimeZone) -> Vec<String> {
    let mut lines: Vec<_> = view.off.iter().map(|off| off_line(off, zone)).collect();
    let is_missed = |f: &&FindingView| matches!(f.fault, FaultView::Missed { .. });
    if let Some(missed) = view.findings.iter().find(is_missed) {
        let late = if missed.late_id {
            ", whose id became visible after higher ones,"
        } else {
            ""
        };
        lines.push(format!(
            "Never called, for one: {} with event {}{late} visible since {}.",
            missed.callback,
            missed.event,
            time(missed.seen_ms, zone)
        ));
    }
    let delay = |f: &FindingView| match f.fault {
        FaultView::Late { by_ms } => Some(by_ms),
        _ => None,
    };
    let latest = view.findings.iter().filter_map(|f| Some((delay(f)?, f)));
    if let Some((by, f)) = latest.max_by_key(|(by, _)| *by) {
        lines.push(format!(
            "The latest: {} with event {}, {} after it became visible.",
            f.callback,
            f.event,
            span_of(by)
        ));
    }
    let times = |f: &FindingView| match f.fault {
        FaultView::Repeated { times } => Some(times),
        _ => None,
    };
    let most = view.findings.iter().filter_map(|f| Some((times(f)?, f)));
    if let Some((times, f)) = most.max_by_key(|(times, _)| *times) {
        lines.push(format!(
            "The most often: {} with event {}, {}.",
            f.callback,
            f.event,
            too_often(times)
        ));
    }
    lines
}

fn off_line(off: &OffView, zone: &TimeZone) -> String {
    let whose = off.callback.as_deref().unwrap_or(&off.plugin);
    let calls = counted(off.calls, "call");
    match (off.since_ms, off.failed_event, &off.failed_callback) {
        (Some(since), Some(event), Some(callback)) => format!(
            "{whose} is off since {}: event {event} failed in {callback}. It missed {calls} since; a touch of its file or a restart lets it go on.",
            time(since, zone)
        ),
        (Some(since), ..) => format!(
            "{whose} was not called since {}, though others were: it missed {calls}. Does the Python daemon still have it loaded?",
            time(since, zone)
        ),
        (None, ..) => format!(
            "{whose} was not called at all, though others were: it missed {calls}. Does the Python daemon have it loaded?"
        ),
    }
}

fn table(view: &ShadowView) -> comfy_table::Table {
    let mut table = out::table(&[
        "PLUGIN", "DUE", "GOOD", "MISSED", "OFF", "REPEATED", "LATE", "LONGEST", "FAILED",
    ]);
    let mut row = |tally: &TallyView, name: &str| {
        let judged = tally.due - tally.to_come;
        let longest = match tally.longest_ms {
            0 => "-".into(),
            ms => span_of(ms),
        };
        table.add_row([
            name.to_owned(),
            grouped(judged as u64),
            share(tally.good, judged),
            grouped(tally.missed as u64),
            grouped(tally.off as u64),
            grouped(tally.repeated as u64),
            grouped(tally.late as u64),
            longest,
            grouped(tally.failed as u64),
        ]);
    };
    for plugin in &view.plugins {
        row(plugin, &plugin.plugin);
    }
    if view.plugins.len() > 1 {
        row(&view.all, "all");
    }
    table
}

/// Says what else the figures rest on.
fn notes(view: &ShadowView) -> Vec<String> {
    let mut notes = Vec::new();
    if view.late_ids > 0 {
        notes.push(format!(
            "{} became visible after higher ones, which is what the Python daemon is prone to lose.",
            counted(view.late_ids, "event")
        ));
    }
    if view.all.to_come > 0 {
        notes.push(format!(
            "{} not judged: the log ends before it shows whether they were made.",
            counted(view.all.to_come, "call")
        ));
    }
    if let Some(unknown) = view.unknown.first() {
        notes.push(format!(
            "{} of events that the shadow has not seen, {} in {} for one: are they hidden from its script user? If not, that is slated's fault: please report it.",
            counted(view.unknown.len(), "call"),
            unknown.event,
            unknown.callback
        ));
    }
    for unasked in &view.unasked {
        notes.push(format!(
            "{} of {} that it does not ask for as it stands on disk (event {} for one): the Python daemon may run an older text of it, or it does not load here.",
            counted(unasked.calls, "call"),
            unasked.callback,
            unasked.event
        ));
    }
    for unread in &view.unread {
        let first: Vec<_> = unread.first.iter().map(ToString::to_string).collect();
        let more = if unread.lines > unread.first.len() {
            ", …"
        } else {
            ""
        };
        notes.push(format!(
            "{}: {} cannot be read and count for nothing (line {}{more}).",
            unread.file.display(),
            counted(unread.lines, "line"),
            first.join(", ")
        ));
    }
    if view.unread_diary > 0 {
        notes.push(format!(
            "{} of the shadow's diary cannot be read.",
            counted(view.unread_diary, "line")
        ));
    }
    notes
}

/// Prints every event that has a fault.
fn list(view: &ShadowView, zone: &TimeZone) {
    let mut table = out::table(&["EVENT", "VISIBLE", "CALLBACK", "WHAT"]);
    for finding in &view.findings {
        let mut what = match finding.fault {
            FaultView::Missed { times: 1 } => "never called".into(),
            FaultView::Missed { times } => format!("{times} calls missing"),
            FaultView::Repeated { times } => format!("called {}", too_often(times)),
            FaultView::Late { by_ms } => format!("called {} late", span_of(by_ms)),
            FaultView::Failed { times, mended } => {
                let mended = if mended { ", then done" } else { "" };
                format!("failed {times}x{mended}")
            }
            FaultView::Off => "not called: the plugin was off".into(),
        };
        if finding.late_id {
            what.push_str("; its id came late");
        }
        if finding.while_off {
            what.push_str("; the plugin was off when it came");
        }
        table.add_row([
            finding.event.to_string(),
            time(finding.seen_ms, zone),
            finding.callback.clone(),
            what,
        ]);
    }
    out::line(table);
}

/// Writes a moment by the clock on the wall.
pub(super) fn time(ms: i64, zone: &TimeZone) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default();
    at.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// Writes a span as people say it.
fn span_of(ms: i64) -> String {
    let seconds = Duration::from_millis(ms.unsigned_abs()).as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn too_often(times: u32) -> String {
    match times {
        1 => "once too often".into(),
        times => format!("{times} times too often"),
    }
}

fn counted(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", grouped(n as u64))
}

/// Writes a number with a comma at each thousand.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a share in per cent; one that is not whole is never written as whole.
fn share(part: usize, of: usize) -> String {
    if of == 0 {
        return "-".into();
    }
    let thousandths = (part as u128 * 1000 / of as u128).max(u128::from(part > 0));
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(
            [grouped(7), grouped(1234), grouped(1_234_567)],
            ["7", "1,234", "1,234,567"]
        );
        assert_eq!(
            [share(1, 3), share(3, 3), share(9999, 10_000)],
            ["33.3 %", "100.0 %", "99.9 %"]
        );
        assert_eq!([share(1, 100_000), share(0, 0)], ["0.1 %", "-"]);
        assert_eq!(
            [span_of(61_500), span_of(496_000), span_of(7_500_000)],
            ["61 s", "8 min 16 s", "2 h 5 min"]
        );
    }
}
