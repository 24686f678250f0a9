//! One table of days: what became visible, what was called, and what is said of it.

use std::fmt::Write as _;

use super::*;

const S: Ms = 1000;
const MIN: Ms = 60 * S;
/// The shadow begins.
const ZERO: Ms = 1_700_000_000_000;

/// A day, in seconds from the shadow's beginning.
struct Day {
    book: Book,
    calls: Vec<Call>,
    terms: Terms,
}

impl Day {
    /// Callbacks `a.f` and `b.g`, which want everything and stop their plugins; a shadow that looks for
    /// an hour, and a head of 100.
    fn new() -> Self {
        let callback = |plugin: &str, name: &str| Callback {
            plugin: plugin.into(),
            name: name.into(),
        };
        Self {
            book: Book {
                began: ZERO,
                until: ZERO + 60 * MIN,
                head: EventId(100),
                callbacks: vec![callback("a", "a.f"), callback("b", "b.g")],
                sightings: Vec::new(),
            },
            calls: Vec::new(),
            terms: Terms {
                from: None,
                to: None,
                late_after: MIN,
            },
        }
        // The log goes back to before the shadow.
        .call("a.f", 90, -100)
    }
    fn seen_as(mut self, event: u64, at: Ms, late: bool, wants: &[usize]) -> Self {
        let wants = wants.iter().map(|&callback| Want {
            callback,
            times: 1,
            stops: true,
        });
        self.book.sightings.push(Sighting {
            event: EventId(event),
            at: ZERO + at * S,
            late,
            wants: wants.collect(),
            unsure: Vec::new(),
        });
        self
    }
    fn seen(self, event: u64, at: Ms) -> Self {
        self.seen_as(event, at, false, &[0])
    }
    fn late(self, event: u64, at: Ms) -> Self {
        self.seen_as(event, at, true, &[0])
    }
    fn both(self, event: u64, at: Ms) -> Self {
        self.seen_as(event, at, false, &[0, 1])
    }
    fn called(mut self, callback: &str, event: u64, at: Ms, failed: bool) -> Self {
        self.calls.push(Call {
            event: EventId(event),
            callback: callback.into(),
            start: ZERO + at * S,
            end: ZERO + at * S + 100,
            failed,
        });
        self
    }
    fn call(self, callback: &str, event: u64, at: Ms) -> Self {
        self.called(callback, event, at, false)
    }
    fn fails(self, callback: &str, event: u64, at: Ms) -> Self {
        self.called(callback, event, at, true)
    }
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
    fn told(&self) -> String {
        let report = match judge(&self.book, &self.calls, &self.terms) {
            Ok(report) => report,
            Err(apart) => return format!("{apart:?}"),
        };
        let mut text = format!(
            "{} due, {} good",
            report.due.iter().sum::<usize>(),
            report.good.iter().sum::<usize>()
        );
        let to_come: usize = report.to_come.iter().sum();
        if to_come > 0 {
            write!(text, ", {to_come} to come").unwrap();
        }
        for finding in &report.findings {
            let name = &self.book.callbacks[finding.callback].name;
            let fault = match finding.fault {
                Fault::Missed { times: 1 } => "missed".into(),
                Fault::Missed { times } => format!("missed x{times}"),
                Fault::Repeated { times } => format!("again x{times}"),
                Fault::Late { by } => format!("late {} s", by / S),
                Fault::Failed { times, mended } => {
                    format!("failed x{times}{}", if mended { ", mended" } else { "" })
                }
                Fault::Off => "off".into(),
            };
            let late = if finding.late_id { " (late id)" } else { "" };
            let off = if finding.while_off {
                " (while off)"
            } else {
                ""
            };
            write!(text, "; {} {name} {fault}{late}{off}", finding.event).unwrap();
        }
        for off in &report.off {
            let whose = off
                .callback
                .map_or(off.plugin.as_str(), |n| &self.book.callbacks[n].name);
            let since = off.since.map_or(-1, |at| (at - ZERO) / S);
            write!(text, "; {whose} off since {since}, {} calls", off.calls).unwrap();
            if let Some((event, callback)) = off.failed_at {
                write!(
                    text,
                    " (failed at {event} in {})",
                    self.book.callbacks[callback].name
                )
                .unwrap();
            }
        }
        for (event, callback, _) in &report.unknown {
            write!(text, "; {event} {callback} unknown").unwrap();
        }
        for (callback, (n, event)) in &report.unasked {
            write!(text, "; {callback} unasked x{n}, as {event}").unwrap();
        }
        text
    }
}

fn check(day: &Day, wanted: &str) {
    assert_eq!(day.told(), wanted);
}

#[test]
fn a_good_day_has_no_findings() {
    check(
        &Day::new()
            .both(101, 10)
            .both(102, 12)
            .call("a.f", 101, 11)
            .call("b.g", 101, 12)
            .call("a.f", 102, 13)
            .call("b.g", 102, 70),
        "4 due, 4 good",
    );
}

#[test]
fn what_came_late_and_was_never_called_is_missed() {
    check(
        &Day::new()
            .seen(101, 10)
            .seen(103, 10)
            .late(102, 370)
            .seen(104, 400)
            .call("a.f", 101, 11)
            .call("a.f", 103, 11)
            .call("a.f", 104, 402),
        "4 due, 3 good; 102 a.f missed (late id)",
    );
    // Known to be missed for one callback, and called in the other.
    check(
        &Day::new()
            .both(101, 10)
            .both(102, 30)
            .call("b.g", 101, 11)
            .call("a.f", 102, 31)
            .call("b.g", 102, 31),
        "4 due, 3 good; 101 a.f missed",
    );
}

#[test]
fn what_may_still_be_called_is_not_missed() {
    // Nothing was called that came after it.
    check(
        &Day::new()
            .seen(101, 10)
            .late(99, 100)
            .seen(102, 105)
            .call("a.f", 101, 11)
            .call("a.f", 102, 108),
        "3 due, 2 good, 1 to come",
    );
    // A lower id that became visible later proves nothing: it is read before.
    check(
        &Day::new().seen(103, 10).late(102, 60).call("a.f", 102, 61),
        "2 due, 1 good, 1 to come",
    );
    // Nor does one that the shadow saw long after it was visible.
    check(
        &Day::new()
            .seen(101, 10)
            .seen_as(110, 11, false, &[])
            .late(105, 60)
            .call("a.f", 105, 61),
        "2 due, 1 good, 1 to come",
    );
}

#[test]
fn a_call_after_a_good_one_is_a_repeat_and_one_after_a_failure_another_try() {
    check(
        &Day::new()
            .seen(101, 10)
            .call("a.f", 101, 11)
            .call("a.f", 101, 20)
            .call("a.f", 101, 30),
        "1 due, 0 good; 101 a.f again x2",
    );
    check(
        &Day::new()
            .seen(101, 10)
            .fails("a.f", 101, 11)
            .call("a.f", 101, 20),
        "1 due, 0 good; 101 a.f failed x1, mended",
    );
    check(
        &Day::new()
            .seen(101, 10)
            .fails("a.f", 101, 11)
            .call("a.f", 101, 20)
            .call("a.f", 101, 25),
        "1 due, 0 good; 101 a.f again x1; 101 a.f failed x1, mended",
    );
}

#[test]
fn late_counts_from_the_first_call() {
    check(
        &Day::new()
            .seen(101, 10)
            .seen(102, 10)
            .call("a.f", 101, 70)
            .call("a.f", 102, 71),
        "2 due, 1 good; 102 a.f late 61 s",
    );
    check(
        &Day::new()
            .seen(101, 10)
            .call("a.f", 101, 600)
            .call("a.f", 101, 610),
        "1 due, 0 good; 101 a.f again x1; 101 a.f late 590 s",
    );
    // The Python daemon looks before the shadow, or its clock is behind: that is not late.
    check(
        &Day::new()
            .seen(101, 10)
            .call("a.f", 101, 8)
            .call("b.g", 90, 12),
        "1 due, 1 good",
    );
}

#[test]
fn a_plugin_that_failed_and_was_not_called_again_is_off() {
    check(
        &Day::new()
            .both(101, 10)
            .both(102, 12)
            .both(103, 200)
            .call("a.f", 101, 11)
            .call("b.g", 101, 11)
            .fails("a.f", 102, 13)
            .call("b.g", 102, 13)
            .call("b.g", 103, 201),
        "6 due, 4 good; 102 a.f failed x1; 103 a.f off; a off since 13, 1 calls (failed at 102 in a.f)",
    );
    // Nothing was due since.
    check(
        &Day::new()
            .both(101, 10)
            .both(102, 12)
            .call("b.g", 101, 11)
            .call("a.f", 101, 11)
            .call("b.g", 102, 13)
            .fails("a.f", 102, 13),
        "4 due, 3 good; 102 a.f failed x1; a off since 13, 0 calls (failed at 102 in a.f)",
    );
    // One that was lost before is lost.
    check(
        &Day::new()
            .seen(101, 10)
            .seen(103, 30)
            .both(104, 400)
            .call("a.f", 103, 31)
            .fails("a.f", 104, 401)
            .call("b.g", 104, 402),
        "4 due, 2 good; 101 a.f missed; 104 a.f failed x1; a off since 401, 0 calls (failed at 104 in a.f)",
    );
}

#[test]
fn a_plugin_that_was_off_for_a_while_is_late_and_loses_what_came_late_meanwhile() {
    check(
        &Day::new()
            .seen(101, 10)
            .seen(104, 10)
            .seen(105, 40)
            .late(102, 60)
            .seen(106, 900)
            .call("a.f", 101, 11)
            .fails("a.f", 104, 12)
            .call("a.f", 104, 700)
            .call("a.f", 105, 701)
            .call("a.f", 106, 902),
        "5 due, 2 good; 102 a.f missed (late id) (while off); 104 a.f failed x1, mended; \
         105 a.f late 661 s (while off)",
    );
}

#[test]
fn a_callback_without_stop_on_error_is_not_off() {
    check(
        &Day::new()
            .seen(101, 10)
            .seen(102, 30)
            .with(|day| {
                for seen in &mut day.book.sightings {
                    seen.wants[0].stops = false;
                }
            })
            .fails("a.f", 101, 11)
            .call("b.g", 102, 32)
            .with(|day| day.book.sightings[1].wants[0].callback = 1),
        "2 due, 1 good; 101 a.f failed x1",
    );
}

#[test]
fn a_callback_that_falls_silent_is_off_and_not_many_losses() {
    let day = |quiet: u64| {
        let mut day = Day::new()
            .both(101, 10)
            .call("a.f", 101, 11)
            .call("b.g", 101, 11);
        for n in 0..quiet {
            let at = 100 + Ms::try_from(n).unwrap() * 100;
            day = day.both(102 + n, at).call("b.g", 102 + n, at + 1);
        }
        day
    };
    // Passed are all but the last.
    check(
        &day(6),
        "14 due, 8 good, 1 to come; 102 a.f off; 103 a.f off; 104 a.f off; 105 a.f off; \
         106 a.f off; a.f off since 11, 5 calls",
    );
    // Too short to tell.
    check(
        &day(3),
        "8 due, 5 good, 1 to come; 102 a.f missed; 103 a.f missed",
    );
    // It was never called.
    let never = day(6).with(|day| {
        day.calls.retain(|call| call.callback != "a.f");
        let day_before = day.calls[0].clone();
        day.calls.push(Call {
            event: EventId(90),
            start: ZERO - MIN,
            ..day_before
        });
    });
    let told = never.told();
    assert!(told.ends_with("; a.f off since -1, 6 calls"), "{told}");
}

#[test]
fn names_that_two_plugins_share_are_due_twice() {
    let twice = |day: Day| day.with(|day| day.book.sightings[0].wants[0].times = 2);
    check(
        &twice(
            Day::new()
                .seen(101, 10)
                .call("a.f", 101, 11)
                .call("a.f", 101, 12),
        ),
        "1 due, 1 good",
    );
    check(
        &twice(
            Day::new()
                .seen(101, 10)
                .seen(102, 60)
                .call("a.f", 101, 11)
                .call("a.f", 102, 61),
        ),
        "2 due, 1 good; 101 a.f missed",
    );
    check(
        &twice(
            Day::new()
                .seen(101, 10)
                .call("a.f", 101, 11)
                .call("a.f", 101, 12)
                .call("a.f", 101, 13),
        ),
        "1 due, 0 good; 101 a.f again x1",
    );
}

#[test]
fn only_what_both_have_seen_is_judged() {
    // Before the log's first line, and after its last.
    check(
        &Day::new()
            .with(|day| day.calls.clear())
            .seen(101, 10)
            .seen(102, 100)
            .seen(103, 500)
            .call("a.f", 102, 80)
            .call("b.g", 90, 200),
        "1 due, 1 good",
    );
}

#[test]
fn times_that_are_asked_for_narrow_it() {
    let narrowed = |from: Ms, to: Ms| {
        Day::new()
            .seen(101, 10)
            .seen(102, 100)
            .seen(103, 500)
            .call("a.f", 103, 501)
            .call("b.g", 90, 600)
            .with(|day| {
                day.terms.from = Some(ZERO + from * S);
                day.terms.to = Some(ZERO + to * S);
            })
    };
    check(&narrowed(50, 200), "1 due, 0 good; 102 a.f missed");
    check(&narrowed(200, 600), "1 due, 1 good");
    let apart = narrowed(7000, 8000).told();
    assert!(apart.starts_with("NoOverlap"), "{apart}");
}

#[test]
fn where_nothing_overlaps_nothing_is_missed() {
    let old = Day::new().seen(101, 10);
    assert!(old.told().starts_with("NoOverlap"), "{}", old.told());
    let none = Day::new().seen(101, 10).with(|day| day.calls.clear());
    assert_eq!(none.told(), "NoCalls");
    let blind = Day::new().with(|day| day.book.until = 0);
    assert_eq!(blind.told(), "NoLooks");
}

#[test]
fn calls_of_strangers_are_named_if_the_shadow_should_know_them() {
    check(
        &Day::new()
            .seen(101, 10)
            .call("a.f", 101, 11)
            // From before the shadow, though it was called now.
            .call("a.f", 99, 12)
            .call("a.f", 150, 300)
            .seen(200, 400)
            .call("a.f", 200, 401),
        "2 due, 2 good; 150 a.f unknown",
    );
}

#[test]
fn calls_that_nobody_asked_for_are_counted() {
    check(
        &Day::new()
            .seen(101, 10)
            .seen(102, 20)
            .call("a.f", 101, 11)
            .call("a.f", 102, 21)
            .call("b.g", 101, 12)
            .call("b.g", 102, 22)
            .call("old.h", 102, 23),
        "2 due, 2 good; b.g unasked x2, as 101; old.h unasked x1, as 102",
    );
    // Its plugin was being loaded anew: nobody knows which of its texts was asked.
    check(
        &Day::new()
            .seen(101, 10)
            .call("a.f", 101, 11)
            .call("b.g", 101, 12)
            .with(|day| day.book.sightings[0].unsure = vec![1]),
        "1 due, 1 good",
    );
}

#[test]
fn odd_times_do_no_harm() {
    let mut day = Day::new();
    for (event, at) in [(101, Ms::MIN), (102, 0), (103, Ms::MAX)] {
        day = day
            .seen(event, 0)
            .with(|day| day.book.sightings.last_mut().unwrap().at = at);
    }
    (day.book.began, day.book.until) = (Ms::MIN, Ms::MAX);
    for (start, end) in [(Ms::MIN, Ms::MAX), (Ms::MAX, Ms::MAX), (Ms::MIN, Ms::MIN)] {
        let call = Call {
            event: EventId(103),
            callback: "a.f".into(),
            start,
            end,
            failed: true,
        };
        day.calls.push(call);
        judge(&day.book, &day.calls, &day.terms)
            .map(drop)
            .unwrap_or_default();
    }
}
