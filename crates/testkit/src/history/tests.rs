//! The checker checked: histories of a daemon that keeps its promises are clean, however
//! often it is killed; each fault put into one of them is found, and no other.

use std::collections::BTreeSet;

use fastrand::Rng;
use slated_model::{AttributeRule, CallbackId, EventId, Matcher, PluginId};

use super::{FaultKind, History, Lane, Line, Record, Recorded, Shown, Start, Verdict, judge};

const SEEDS: u64 = 40;
const BEFORE: u64 = 100;

fn id(name: &str) -> PluginId {
    PluginId::new("plugins", name)
}

fn callback(name: &str) -> CallbackId {
    CallbackId::new(name, 1)
}

/// A slow plugin with two callbacks, and a quick one that is sent ahead and retries.
fn lanes() -> Vec<Lane> {
    let notes = Matcher::new([("Note".to_owned(), AttributeRule::Any(true))]);
    let slow = Lane::new(id("slow"))
        .wants(callback("f"), notes)
        .wants(callback("g"), Matcher::everything());
    let mut quick = Lane::new(id("quick")).wants(callback("h"), Matcher::everything());
    quick.window = 4;
    quick.retries = true;
    vec![slow, quick]
}

/// Events of which some come late, some before the start, and the log of a good follower.
fn site(rng: &mut Rng) -> (Vec<Shown>, Vec<EventId>) {
    let mut shown: Vec<Shown> = (BEFORE - 10..BEFORE + 50)
        .map(|id| {
            let late = if rng.u8(..8) == 0 {
                rng.u64(100..5_000)
            } else {
                0
            };
            let visible_at_ms = if id <= BEFORE {
                late
            } else {
                1_000 + id * 10 + late
            };
            Shown::new(id, visible_at_ms, if rng.bool() { "Note" } else { "Task" })
        })
        .collect();
    shown.sort_by_key(|event| (event.visible_at_ms, event.id));
    let start = start();
    let mut log = Vec::new();
    let mut seen = BTreeSet::new();
    for look in (0..10_000).step_by(70) {
        let mut page: Vec<_> = shown
            .iter()
            .filter(|event| event.visible_at_ms <= look && start.owes(event))
            .map(|event| event.id)
            .filter(|id| seen.insert(*id))
            .collect();
        page.sort_unstable();
        log.extend(page);
    }
    (shown, log)
}

const fn start() -> Start {
    Start {
        after: EventId(BEFORE),
        seen_by_ms: 500,
    }
}

/// What a lane's processes write in one life of the daemon, from the first unit that is not
/// `done`; returns false when nothing is left to do.
fn live(
    rng: &mut Rng,
    lane: &Lane,
    events: &[&Shown],
    done: &mut BTreeSet<(CallbackId, EventId)>,
    life: usize,
    journal: &mut Vec<Line>,
) -> bool {
    let mut process = 0;
    let mut body = 0;
    let mut run = String::new();
    let load = |process: &mut u32, run: &mut String, journal: &mut Vec<Line>| {
        *process += 1;
        *run = format!("{} {life} {process}", lane.plugin.stem());
        let pid = u32::try_from(life).unwrap() * 1_000 + *process * 10;
        let pid = pid + u32::from(lane.plugin.stem() == "quick");
        journal.push(Line::load(&lane.plugin, run, pid));
        pid
    };
    let mut pid = load(&mut process, &mut run, journal);
    let mut begun: Vec<EventId> = Vec::new();
    let work = rng.usize(5..30);
    for event in events {
        for place in lane.wanting(event) {
            let (name, _) = &lane.callbacks[place];
            if done.contains(&(name.clone(), event.id)) {
                continue;
            }
            if begun.last() != Some(&event.id) {
                begun.push(event.id);
            }
            loop {
                body += 1;
                let at = event.visible_at_ms + rng.u64(1..100);
                journal.push(Line::start(&lane.plugin, &run, body, name, event.id.0, at));
                match rng.u8(..20) {
                    0 => pid = load(&mut process, &mut run, journal),
                    1 => {
                        journal.push(Line::end(&run, body, true, at));
                        journal.push(Line::WorkerKilled { pid });
                        pid = load(&mut process, &mut run, journal);
                    }
                    2 if lane.retries => journal.push(Line::end(&run, body, false, at)),
                    _ => {
                        journal.push(Line::end(&run, body, true, at));
                        break;
                    }
                }
            }
            done.insert((name.clone(), event.id));
        }
        if begun.len() >= work {
            // The daemon dies. Of what it sent last, records may be missing, and the last
            // body its end.
            if rng.bool() {
                journal.pop();
            }
            let durable = begun.len() - rng.usize(1..=lane.window);
            for event in &begun[durable..] {
                let kept = if rng.bool() {
                    Some(callback("f"))
                } else {
                    None
                };
                done.retain(|(name, of)| of != event || Some(name) == kept.as_ref());
            }
            return true;
        }
    }
    false
}

/// The history of a daemon that is killed until it is through.
fn clean(rng: &mut Rng) -> History {
    let (shown, log) = site(rng);
    let events: Vec<&Shown> = log
        .iter()
        .map(|id| shown.iter().find(|event| event.id == *id).unwrap())
        .collect();
    let lanes = lanes();
    let mut done: Vec<_> = lanes.iter().map(|_| BTreeSet::new()).collect();
    let mut journal = Vec::new();
    for life in 0.. {
        let mut going = false;
        for (lane, done) in lanes.iter().zip(&mut done) {
            going |= live(rng, lane, &events, done, life, &mut journal);
        }
        if !going {
            break;
        }
        journal.push(Line::DaemonKilled);
    }
    journal.push(Line::DaemonStopped);
    let records = lanes.iter().zip(done).flat_map(|(lane, done)| {
        let plugin = lane.plugin.clone();
        done.into_iter().map(move |(callback, event)| Record {
            plugin: plugin.clone(),
            callback,
            event,
            outcome: Recorded::Done,
        })
    });
    let records = Some(records.collect());
    History {
        shown,
        start: start(),
        journal,
        log: Some(log),
        records,
        lanes,
    }
}

/// Puts a fault into many clean histories: it is found, and nothing else is.
fn finds(kind: FaultKind, doctor: impl Fn(&mut Rng, &mut History)) {
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let mut history = clean(&mut rng);
        doctor(&mut rng, &mut history);
        let verdict = judge(&history);
        assert!(
            verdict.count(kind) > 0,
            "seed {seed}: {kind} not found: {verdict}"
        );
        assert_eq!(
            verdict.count(kind),
            verdict.faults.len(),
            "seed {seed}: {verdict}"
        );
        assert!(verdict.kept(0).is_err());
    }
}

fn some(rng: &mut Rng, history: &History) -> EventId {
    let log = history.log.as_ref().unwrap();
    log[rng.usize(..log.len())]
}

/// Takes all bodies of the quick plugin for an event out of the journal.
fn erase(history: &mut History, event: EventId) {
    let bodies: Vec<(String, u64)> = history
        .journal
        .iter()
        .filter_map(|line| match line {
            Line::Start {
                plugin,
                run,
                body,
                event: of,
                ..
            } if *plugin == id("quick") && *of == event => Some((run.clone(), *body)),
            _ => None,
        })
        .collect();
    history.journal.retain(|line| match line {
        Line::Start { run, body, .. } | Line::End { run, body, .. } => {
            !bodies.contains(&(run.clone(), *body))
        }
        _ => true,
    });
}

fn quick_record(history: &mut History, event: EventId) -> &mut Record {
    let mut records = history.records.as_mut().unwrap().iter_mut();
    records
        .find(|record| record.plugin == id("quick") && record.event == event)
        .unwrap()
}

#[test]
fn a_daemon_that_keeps_its_promises_is_clean() {
    let mut total = Verdict::default();
    for seed in 0..SEEDS {
        let verdict = judge(&clean(&mut Rng::with_seed(seed)));
        verdict
            .kept(100)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        total.repeats.daemon_died += verdict.repeats.daemon_died;
        total.repeats.worker_died += verdict.repeats.worker_died;
        total.repeats.retried += verdict.repeats.retried;
        assert!(verdict.delay.p50_ms > 0 && verdict.delay.max_ms < 100);
    }
    // The worlds are not so tame that nothing ever had to be excused.
    assert!(total.repeats.daemon_died > 100, "{total}");
    assert!(total.repeats.worker_died > 100, "{total}");
    assert!(total.repeats.retried > 100, "{total}");
}

#[test]
fn a_lost_unit_is_found() {
    finds(FaultKind::Lost, |rng, history| {
        let event = some(rng, history);
        erase(history, event);
        let records = history.records.as_mut().unwrap();
        records.retain(|record| record.plugin != id("quick") || record.event != event);
    });
}

#[test]
fn a_record_without_a_body_is_a_loss() {
    finds(FaultKind::Lost, |rng, history| {
        let event = some(rng, history);
        erase(history, event);
    });
}

#[test]
fn a_parked_unit_is_not_lost() {
    let mut rng = Rng::with_seed(1);
    let mut history = clean(&mut rng);
    let event = some(&mut rng, &history);
    erase(&mut history, event);
    quick_record(&mut history, event).outcome = Recorded::DeadLetter;
    let verdict = judge(&history);
    assert!(verdict.is_clean() && verdict.parked == 1, "{verdict}");
}

#[test]
fn a_wrong_record_is_found() {
    finds(FaultKind::Record, |rng, history| {
        let event = some(rng, history);
        let twice = quick_record(history, event).clone();
        history.records.as_mut().unwrap().push(twice);
    });
    finds(FaultKind::Record, |rng, history| {
        let records = history.records.as_mut().unwrap();
        records.swap_remove(rng.usize(..records.len()));
    });
}

#[test]
fn a_body_that_runs_again_for_no_reason_is_found() {
    // Long after it was on record, in a new process.
    finds(FaultKind::Repeated, |rng, history| {
        let first = history.log.as_ref().unwrap()[0];
        let plugin = if rng.bool() {
            ("quick", "h")
        } else {
            ("slow", "g")
        };
        let again = [
            Line::load(&id(plugin.0), "again", 9),
            Line::start(
                &id(plugin.0),
                "again",
                1,
                &callback(plugin.1),
                first.0,
                9_000,
            ),
            Line::end("again", 1, true, 9_001),
        ];
        history.journal.extend(again);
    });
    // At once, in the same process.
    finds(FaultKind::Repeated, |rng, history| {
        let ends = |line: &Line| matches!(line, Line::End { ok: true, .. });
        let places: Vec<usize> = (0..history.journal.len())
            .filter(|at| ends(&history.journal[*at]))
            .collect();
        let at = places[rng.usize(..places.len())];
        let Line::Start {
            plugin,
            run,
            callback,
            event,
            at_ms,
            ..
        } = &history.journal[at - 1]
        else {
            panic!("an end follows its start in these journals");
        };
        let again = Line::start(plugin, run, 999, callback, event.0, *at_ms);
        let end = Line::end(run, 999, true, *at_ms);
        history.journal.splice(at + 1..=at, [again, end]);
    });
}

#[test]
fn the_window_is_the_limit_of_what_a_crash_may_repeat() {
    let plugin = id("p");
    let ran = |run: &str, body: u64, event: u64| {
        [
            Line::start(&plugin, run, body, &callback("f"), event, 10),
            Line::end(run, body, true, 10),
        ]
    };
    let crash = |window: usize, again: u64| {
        let mut journal = vec![Line::load(&plugin, "a", 1)];
        journal.extend((1..=5).flat_map(|event| ran("a", event, event)));
        journal.extend([Line::DaemonKilled, Line::load(&plugin, "b", 2)]);
        journal.extend((again..=5).flat_map(|event| ran("b", event, event)));
        let mut lane = Lane::new(plugin.clone()).wants(callback("f"), Matcher::everything());
        lane.window = window;
        judge(&History {
            shown: (1..=5).map(|id| Shown::new(id, 10, "Note")).collect(),
            lanes: vec![lane],
            journal,
            ..History::default()
        })
    };
    assert!(crash(1, 5).is_clean() && crash(3, 3).is_clean());
    assert_eq!(crash(1, 4).count(FaultKind::Repeated), 1);
    assert_eq!(crash(3, 1).count(FaultKind::Repeated), 2);
    assert_eq!(crash(3, 3).repeats.daemon_died, 3);
}

#[test]
fn a_hold_that_ended_is_a_reason_to_run_again_and_only_in_a_new_process() {
    let plugin = id("p");
    let history = |held: bool, second: &str| {
        let mut lane = Lane::new(plugin.clone()).wants(callback("f"), Matcher::everything());
        lane.holds.extend(held.then(|| callback("f")));
        let journal = vec![
            Line::load(&plugin, "a", 1),
            Line::start(&plugin, "a", 1, &callback("f"), 1, 10),
            Line::end("a", 1, false, 10),
            Line::load(&plugin, "b", 2),
            Line::start(&plugin, second, 2, &callback("f"), 1, 20),
            Line::end(second, 2, true, 20),
        ];
        judge(&History {
            shown: vec![Shown::new(1, 10, "Note")],
            lanes: vec![lane],
            journal,
            ..History::default()
        })
    };
    let resumed = history(true, "b");
    assert!(
        resumed.is_clean() && resumed.repeats.resumed == 1,
        "{resumed}"
    );
    assert_eq!(history(true, "a").count(FaultKind::Repeated), 1);
    assert_eq!(history(false, "b").count(FaultKind::Repeated), 1);
}

#[test]
fn what_failed_for_the_site_may_run_again_in_the_same_process() {
    let plugin = id("p");
    let history = |at_site: bool| {
        let lane = Lane::new(plugin.clone()).wants(callback("f"), Matcher::everything());
        let failed = Line::End {
            run: "a".into(),
            body: 1,
            ok: false,
            site: at_site,
            at_ms: 10,
        };
        let journal = vec![
            Line::load(&plugin, "a", 1),
            Line::start(&plugin, "a", 1, &callback("f"), 1, 10),
            failed,
            Line::start(&plugin, "a", 2, &callback("f"), 1, 20),
            Line::end("a", 2, true, 20),
        ];
        judge(&History {
            shown: vec![Shown::new(1, 10, "Note")],
            lanes: vec![lane],
            journal,
            ..History::default()
        })
    };
    assert!(history(true).is_clean(), "{}", history(true));
    assert_eq!(history(false).count(FaultKind::Repeated), 1);
}

#[test]
fn deliveries_out_of_order_are_found() {
    finds(FaultKind::OutOfOrder, |rng, history| {
        let log = history.log.clone().unwrap();
        let at = rng.usize(1..log.len());
        for line in &mut history.journal {
            if let Line::Start { plugin, event, .. } = line
                && *plugin == id("quick")
            {
                *event = match *event {
                    x if x == log[at] => log[at - 1],
                    x if x == log[at - 1] => log[at],
                    x => x,
                };
            }
        }
    });
}

#[test]
fn callbacks_out_of_the_order_of_registration_are_found() {
    finds(FaultKind::OutOfOrder, |_, history| {
        history.lanes[0].callbacks.reverse();
    });
}

#[test]
fn a_log_out_of_order_is_found() {
    let shown = vec![
        Shown::new(1, 10, ""),
        Shown::new(3, 10, ""),
        Shown::new(2, 20, ""),
    ];
    let with = |log: [u64; 3]| {
        judge(&History {
            shown: shown.clone(),
            log: Some(log.map(EventId).to_vec()),
            ..History::default()
        })
    };
    assert!(with([1, 3, 2]).is_clean() && with([1, 2, 3]).is_clean());
    assert_eq!(with([3, 1, 2]).count(FaultKind::OutOfOrder), 1);
}

#[test]
fn without_a_log_events_in_time_come_by_id() {
    let plugin = id("p");
    let run = |order: [u64; 3]| {
        let journal = order.iter().enumerate().flat_map(|(n, event)| {
            let body = n as u64;
            [
                Line::start(&plugin, "a", body, &callback("f"), *event, 30),
                Line::end("a", body, true, 30),
            ]
        });
        judge(&History {
            shown: vec![
                Shown::new(1, 10, ""),
                Shown::new(3, 10, ""),
                Shown::new(2, 20, ""),
            ],
            lanes: vec![Lane::new(plugin.clone()).wants(callback("f"), Matcher::everything())],
            journal: journal.collect(),
            ..History::default()
        })
    };
    assert!(run([1, 3, 2]).is_clean() && run([1, 2, 3]).is_clean());
    assert_eq!(run([3, 1, 2]).count(FaultKind::OutOfOrder), 1);
}

#[test]
fn two_bodies_at_once_are_found() {
    finds(FaultKind::Overlap, |_, history| {
        let journal = &mut history.journal;
        let same_run = |a: &Line, b: &Line| match (a, b) {
            (Line::End { run: a, .. }, Line::Start { run: b, .. }) => a == b,
            _ => false,
        };
        let at = (1..journal.len()).find(|at| same_run(&journal[at - 1], &journal[*at]));
        journal.swap(at.unwrap() - 1, at.unwrap());
    });
}

#[test]
fn calls_that_nobody_asked_for_are_found() {
    let call = |event: u64, name: &str, plugin: &str| {
        vec![
            Line::load(&id(plugin), "more", 7),
            Line::start(&id(plugin), "more", 1, &callback(name), event, 9_000),
            Line::end("more", 1, true, 9_000),
        ]
    };
    // Never shown; no such callback; no such plugin.
    for (event, name, plugin) in [
        (999, "h", "quick"),
        (120, "k", "quick"),
        (120, "h", "other"),
    ] {
        finds(FaultKind::Foreign, |_, history| {
            history.journal.extend(call(event, name, plugin));
        });
    }
    // Not wanted.
    finds(FaultKind::Foreign, |_, history| {
        let tasks = |event: &&Shown| event.event_type.as_deref() == Some("Task");
        let newest = history.log.as_ref().unwrap().iter().rev();
        let task = newest
            .filter_map(|id| history.shown.iter().find(|event| event.id == *id))
            .find(tasks)
            .unwrap();
        let at = history.journal.iter().rposition(|line| {
            matches!(line, Line::Start { plugin, event, .. }
                if *plugin == id("slow") && *event == task.id)
        });
        let Line::Start { run, .. } = history.journal[at.unwrap()].clone() else {
            return;
        };
        let unasked = [
            Line::start(&id("slow"), &run, 998, &callback("f"), task.id.0, 9_000),
            Line::end(&run, 998, true, 9_000),
        ];
        let at = at.unwrap();
        history.journal.splice(at..at, unasked);
    });
    // Before the start.
    finds(FaultKind::Foreign, |_, history| {
        let old = history
            .shown
            .iter()
            .find(|event| !start().owes(event))
            .unwrap()
            .id;
        history.journal.splice(0..0, call(old.0, "h", "quick"));
    });
    // In the log.
    finds(FaultKind::Foreign, |_, history| {
        history.log.as_mut().unwrap().push(EventId(999));
    });
}

#[test]
fn what_a_lane_is_owed_from_before_its_start_is_judged_too() {
    let of = |owed: &[u64], ran: &[u64]| {
        let mut lane = Lane::new(id("quick")).wants(callback("h"), Matcher::everything());
        lane.start = Some(start());
        lane.owed = owed.iter().copied().map(EventId).collect();
        let mut journal = vec![Line::load(&lane.plugin, "r", 7)];
        for (body, event) in (1..).zip(ran) {
            journal.push(Line::start(
                &lane.plugin,
                "r",
                body,
                &callback("h"),
                *event,
                900,
            ));
            journal.push(Line::end("r", body, true, 901));
        }
        let verdict = judge(&History {
            shown: [97, 98].map(|id| Shown::new(id, 1, "Note")).to_vec(),
            start: start(),
            lanes: vec![lane],
            journal,
            ..History::default()
        });
        let count = |kind| verdict.count(kind);
        (
            count(FaultKind::Lost),
            count(FaultKind::Foreign),
            verdict.units,
        )
    };
    assert_eq!(of(&[97], &[97]), (0, 0, 1));
    assert_eq!(of(&[97], &[]), (1, 0, 1));
    assert_eq!(of(&[97], &[97, 98]), (0, 1, 1));
    assert_eq!(of(&[], &[]), (0, 0, 0));
}

#[test]
fn a_gap_in_the_log_is_found() {
    finds(FaultKind::NotCaptured, |rng, history| {
        let log = history.log.as_mut().unwrap();
        log.remove(rng.usize(..log.len()));
    });
    finds(FaultKind::CapturedTwice, |rng, history| {
        let event = some(rng, history);
        history.log.as_mut().unwrap().push(event);
    });
}

#[test]
fn a_journal_that_makes_no_sense_is_found() {
    finds(FaultKind::Journal, |_, history| {
        history.journal.push(Line::end("nobody", 1, true, 1));
    });
    let error = super::parse_journal("{\"line\":\"daemon_killed\"}\n{\"line\":").unwrap_err();
    assert!(
        format!("{error:#}").starts_with("journal line 2: "),
        "{error:#}"
    );
}

#[test]
fn a_verdict_reads_well() {
    let mut history = clean(&mut Rng::with_seed(3));
    history.records = None;
    history.journal.clear();
    let verdict = judge(&history);
    let text = verdict.to_string();
    assert!(text.starts_with("broken: 60 events, "), "{text}");
    assert!(text.contains("\n  lost: "), "{text}");
    assert!(
        text.contains("event 101 in plugins/slow g: never begun"),
        "{text}"
    );
    assert!(text.contains("\n    and "), "{text}");
    assert_eq!(
        serde_json::from_str::<Verdict>(&serde_json::to_string(&verdict).unwrap()).unwrap(),
        verdict
    );
    assert!(clean_and_empty().kept(0).is_ok() && clean_and_empty().kept(1).is_err());
}

#[test]
fn delays_are_told_for_each_plugin() {
    let (a, b) = (id("a"), id("b"));
    let lane =
        |plugin: &PluginId| Lane::new(plugin.clone()).wants(callback("f"), Matcher::everything());
    let body = |plugin: &PluginId, event: u64, late: u64| {
        let run = plugin.stem();
        [
            Line::start(plugin, run, event, &callback("f"), event, 100 + late),
            Line::end(run, event, true, 9_999),
        ]
    };
    let bodies = [
        body(&a, 1, 5),
        body(&b, 1, 900),
        body(&a, 2, 7),
        body(&b, 2, 950),
    ];
    let verdict = judge(&History {
        shown: vec![Shown::new(1, 100, ""), Shown::new(2, 100, "")],
        lanes: vec![lane(&a), lane(&b)],
        journal: bodies.into_iter().flatten().collect(),
        ..History::default()
    });
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(
        (verdict.delays[&a].p50_ms, verdict.delays[&a].max_ms),
        (5, 7)
    );
    assert_eq!(
        (verdict.delays[&b].p50_ms, verdict.delay.max_ms),
        (900, 950)
    );
}

fn clean_and_empty() -> Verdict {
    judge(&History::default())
}
