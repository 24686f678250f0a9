//! What the Python daemon does in the scenarios that break it, as its timing log says it, and what the
//! report makes of that: each fault, and no other. The figures are those that were measured on that
//! daemon (ARCHITECTURE.md, "Promises").

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow};
use slated_core::shadow::{Book, Call, Callback, Fault, Report, Sighting, Terms, Want, judge};
use slated_model::EventId;
use slated_testkit::python_daemon::{self, Entry, Function, Ms, Plugin, PythonDaemon};

const S: Ms = 1000;
const ZERO: Ms = 1_760_000_000_000;
/// From one look of the shadow to the next.
const TICK: Ms = 2 * S;

/// A scenario: an event before it, one a quarter of an hour after its end, and what it is about.
struct Row {
    entries: Vec<Entry>,
    daemon: PythonDaemon,
}

/// What the Python daemon did, by its own calls, and what the report says.
struct Told {
    calls: Vec<python_daemon::Call>,
    entries: Vec<Entry>,
    report: Report,
    names: Vec<String>,
}

/// When the shadow sees a row.
fn seen_at(entry: &Entry) -> Ms {
    (entry.visible + TICK - 1) / TICK * TICK
}

fn function(name: &str) -> Function {
    Function {
        name: name.into(),
        takes: 10,
        stops: true,
        ..Function::default()
    }
}

fn plugin(stem: &str, functions: Vec<Function>) -> Plugin {
    Plugin {
        stem: stem.into(),
        functions,
        touched: Vec::new(),
    }
}

impl Row {
    fn new(plugins: Vec<Plugin>) -> Self {
        let row = Self {
            entries: Vec::new(),
            daemon: PythonDaemon::new(plugins),
        };
        // Both begin at -60.
        row.entry(100, -30, -30)
    }
    /// A row made and visible at these seconds.
    fn entry(mut self, id: u64, made: Ms, visible: Ms) -> Self {
        self.entries.push(Entry {
            id,
            kind: String::new(),
            created: ZERO + made * S,
            visible: ZERO + visible * S,
        });
        self
    }
    fn rows(self, ids: std::ops::RangeInclusive<u64>, at: Ms, but: &[u64]) -> Self {
        let ids = ids.filter(|id| !but.contains(id));
        ids.fold(self, |row, id| row.entry(id, at, at))
    }
    fn run(mut self, until: Ms) -> Result<Told> {
        let last = self
            .entries
            .iter()
            .map(|entry| entry.id)
            .max()
            .unwrap_or_default()
            + 1;
        self = self.entry(last, until, until);
        let (from, until) = (ZERO - 60 * S, ZERO + (until + 900) * S);
        let names: Vec<_> = self
            .daemon
            .plugins
            .iter()
            .flat_map(|p| {
                p.functions
                    .iter()
                    .map(|f| (p.stem.clone(), format!("{}.{}", p.stem, f.name), f.stops))
            })
            .collect();
        let calls = self.daemon.run(&self.entries, from, until);
        // A shadow that sees each row at its next look, in the order of ids.
        let mut seen: Vec<_> = self
            .entries
            .iter()
            .map(|entry| {
                let at = seen_at(entry);
                (at, entry.id)
            })
            .collect();
        seen.sort_unstable();
        let mut high = 0;
        let sightings = seen.into_iter().map(|(at, id)| {
            let late = id < high;
            high = high.max(id);
            Sighting {
                event: EventId(id),
                at,
                late,
                wants: (0..names.len())
                    .map(|callback| Want {
                        callback,
                        times: 1,
                        stops: names[callback].2,
                    })
                    .collect(),
                unsure: Vec::new(),
            }
        });
        let book = Book {
            began: from,
            until,
            head: EventId(99),
            sightings: sightings.collect(),
            callbacks: names
                .iter()
                .map(|(plugin, name, _)| Callback {
                    plugin: plugin.clone(),
                    name: name.clone(),
                })
                .collect(),
        };
        let lines = calls.iter().map(|call| Call {
            event: EventId(call.event),
            callback: call.callback.clone(),
            start: call.start,
            end: call.end,
            failed: call.failed,
        });
        // The log goes back to before that.
        let before = Call {
            event: EventId(1),
            callback: names[0].1.clone(),
            start: from,
            end: from,
            failed: false,
        };
        let lines: Vec<_> = std::iter::once(before).chain(lines).collect();
        let terms = Terms {
            from: None,
            to: None,
            late_after: 60 * S,
        };
        let report = judge(&book, &lines, &terms);
        let report = report.map_err(|apart| anyhow!("{apart:?}"))?;
        let names = names.into_iter().map(|(_, name, _)| name).collect();
        Ok(Told {
            calls,
            entries: self.entries,
            report,
            names,
        })
    }
}

impl Told {
    /// The findings of a callback that `pick` takes, by event.
    fn found<T>(&self, callback: &str, pick: impl Fn(Fault) -> Option<T>) -> BTreeMap<u64, T> {
        let findings = self
            .report
            .findings
            .iter()
            .filter(|f| self.names[f.callback] == callback);
        findings
            .filter_map(|f| Some((f.event.0, pick(f.fault)?)))
            .collect()
    }
    fn missed(&self, callback: &str) -> BTreeSet<u64> {
        let missed = |fault| matches!(fault, Fault::Missed { .. }).then_some(());
        self.found(callback, missed).into_keys().collect()
    }
    fn again(&self, callback: &str) -> BTreeMap<u64, u32> {
        self.found(callback, |fault| match fault {
            Fault::Repeated { times } => Some(times),
            _ => None,
        })
    }
    fn late(&self, callback: &str) -> BTreeSet<u64> {
        let late = |fault| matches!(fault, Fault::Late { .. }).then_some(());
        self.found(callback, late).into_keys().collect()
    }
    /// Holds the report against the calls themselves, where no call failed: what was never called,
    /// called again, or called more than a minute after it was visible.
    fn is_true(&self) -> &Self {
        for name in &self.names {
            assert_eq!(
                self.missed(name),
                python_daemon::lost(&self.entries, &self.calls, name),
                "{name}"
            );
            assert_eq!(
                self.again(name),
                python_daemon::repeats(&self.calls, name),
                "{name}"
            );
            let mut late = BTreeSet::new();
            for entry in &self.entries {
                let mut calls = self
                    .calls
                    .iter()
                    .filter(|c| c.event == entry.id && c.callback == *name);
                let first = calls.next().map(|call| call.start);
                let seen = seen_at(entry);
                late.extend(first.filter(|at| at - seen > 60 * S).map(|_| entry.id));
            }
            assert_eq!(self.late(name), late, "{name}");
        }
        assert!(self.report.off.is_empty() && self.report.unknown.is_empty());
        assert_eq!(self.report.to_come.iter().sum::<usize>(), 0);
        self
    }
}

fn ids(ids: impl IntoIterator<Item = u64>) -> BTreeSet<u64> {
    ids.into_iter().collect()
}

fn one() -> Vec<Plugin> {
    vec![plugin("a", vec![function("f")])]
}

#[test]
fn row_01_what_stands_above_a_late_id_is_repeated() -> Result<()> {
    let told = Row::new(one())
        .rows(101..=120, 10, &[105])
        .entry(105, 10, 45)
        .run(60)?;
    let told = told.is_true();
    assert_eq!(told.again("a.f"), (106..=120).map(|id| (id, 1)).collect());
    assert!(told.missed("a.f").is_empty() && told.late("a.f").is_empty());
    Ok(())
}

#[test]
fn row_03_a_transaction_of_six_minutes_is_lost() -> Result<()> {
    let row = Row::new(one()).rows(101..=120, 10, &[105, 106, 107, 108, 109]);
    let told = (105..=109)
        .fold(row, |row, id| row.entry(id, 10, 370))
        .run(400)?;
    assert_eq!(told.is_true().missed("a.f"), ids(105..=109));
    assert_eq!(told.report.findings.len(), 5);
    Ok(())
}

#[test]
fn row_04_a_busy_daemon_takes_a_young_hole_for_an_old_one() -> Result<()> {
    let mut slow = function("f");
    slow.takes = 4 * S;
    let row = Row::new(vec![plugin("a", vec![slow])]);
    let told = row
        .rows(101..=200, 10, &[190])
        .entry(190, 12, 16)
        .run(500)?;
    assert_eq!(told.is_true().missed("a.f"), ids([190]));
    assert!(!told.late("a.f").is_empty());
    Ok(())
}

#[test]
fn row_05_one_long_callback_loses_what_was_waited_for() -> Result<()> {
    let mut slow = function("f");
    slow.slow.insert(110, 360 * S);
    let row = Row::new(vec![plugin("a", vec![slow])]);
    let told = row
        .rows(101..=110, 10, &[105])
        .entry(105, 10, 60)
        .run(500)?;
    assert_eq!(told.is_true().missed("a.f"), ids([105]));
    Ok(())
}

#[test]
fn row_07_a_plugin_that_was_off_for_ten_minutes_loses_and_its_sibling_repeats() -> Result<()> {
    let mut poisoned = plugin("a", vec![function("f")]);
    poisoned.functions[0].raises.insert(120, 1);
    poisoned.touched.push(ZERO + 620 * S);
    let row = Row::new(vec![poisoned, plugin("b", vec![function("g")])]);
    let told = row
        .rows(101..=120, 10, &[105])
        .entry(105, 10, 60)
        .run(700)?;
    assert_eq!(told.missed("a.f"), ids([105]));
    let missed = told
        .report
        .findings
        .iter()
        .find(|f| f.event == EventId(105));
    assert!(
        missed.is_some_and(|f| f.late_id && f.while_off),
        "{missed:?}"
    );
    assert_eq!(told.again("b.g").len(), 15);
    let failed = told.found("a.f", |fault| match fault {
        Fault::Failed { times, mended } => Some((times, mended)),
        _ => None,
    });
    assert_eq!(failed, BTreeMap::from([(120, (1, true))]));
    assert!(told.again("a.f").is_empty(), "another try is no repeat");
    assert_eq!(told.report.findings.len(), 1 + 15 + 1);
    Ok(())
}

#[test]
fn row_08_callbacks_before_the_one_that_failed_are_repeated() -> Result<()> {
    let mut second = function("g");
    second.raises.insert(102, 1);
    let mut both = plugin("a", vec![function("f"), second]);
    both.touched.push(ZERO + 30 * S);
    let told = Row::new(vec![both]).rows(101..=103, 10, &[]).run(60)?;
    assert_eq!(told.again("a.f"), BTreeMap::from([(102, 1)]));
    assert_eq!(told.report.findings.len(), 2);
    Ok(())
}

#[test]
fn row_21_after_an_hour_of_catching_up_holes_are_dropped_at_once() -> Result<()> {
    let mut slow = function("f");
    slow.slow.insert(101, 400 * S);
    let row = Row::new(vec![plugin("a", vec![slow])]).entry(101, 10, 10);
    let told = row
        .rows(102..=110, 20, &[105])
        .entry(105, 20, 425)
        .run(900)?;
    assert_eq!(told.is_true().missed("a.f"), ids([105]));
    assert_eq!(
        told.late("a.f"),
        ids([102, 103, 104, 106, 107, 108, 109, 110])
    );
    Ok(())
}

#[test]
fn row_29_a_plugin_that_hangs_makes_all_others_late() -> Result<()> {
    let mut slow = function("f");
    slow.slow.insert(101, 3600 * S);
    let row = Row::new(vec![
        plugin("a", vec![slow]),
        plugin("b", vec![function("g")]),
    ]);
    let told = row.rows(101..=103, 10, &[]).run(4000)?;
    assert_eq!(told.is_true().late("b.g"), ids(101..=103));
    assert_eq!(
        told.late("a.f"),
        ids(102..=103),
        "its own call began in time"
    );
    Ok(())
}

#[test]
fn row_33_an_ordinary_day() -> Result<()> {
    let mut dice = fastrand::Rng::with_seed(33);
    let row = Row::new(vec![
        plugin("a", vec![function("f")]),
        plugin("b", vec![function("g")]),
    ]);
    let row = (0..7200).fold(row, |row, n| {
        let (id, at) = (101 + n, Ms::try_from(n).unwrap());
        match dice.u32(0..1000) {
            // Rolled back.
            0..2 => row,
            2..22 => row.entry(id, at, at + dice.i64(10..120)),
            _ => row.entry(id, at, at),
        }
    });
    let told = row.run(7400)?;
    let runs = told
        .calls
        .iter()
        .filter(|call| call.callback == "a.f")
        .count();
    let events = told.entries.len();
    // As measured: more than twice each, some seven times.
    assert!(
        runs > 2 * events && runs < 3 * events,
        "{runs} runs for {events} events"
    );
    let again = told.is_true().again("a.f");
    assert_eq!(again.values().sum::<u32>() as usize, runs - events);
    assert!(
        again.values().max() >= Some(&4),
        "{:?}",
        again.values().max()
    );
    Ok(())
}

#[test]
fn a_quiet_day_has_no_faults() -> Result<()> {
    let told = Row::new(one())
        .rows(101..=150, 10, &[])
        .rows(151..=200, 300, &[])
        .run(600)?;
    assert!(told.is_true().report.findings.is_empty());
    assert!(told.report.good[0] > 100);
    Ok(())
}
