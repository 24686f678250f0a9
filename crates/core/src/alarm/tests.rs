//! What is told when, as stories and drawn at random.

mod week;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// How far apart looks are, as in the daemon.
const LOOK: u64 = 10;

fn count(n: u64) -> usize {
    usize::try_from(n).expect("small")
}

fn plugin(n: usize) -> PluginId {
    PluginId::new("p", format!("p{n}"))
}

fn wrong(kind: Kind, n: usize) -> Condition {
    Condition {
        kind,
        plugin: Some(plugin(n)),
        event: None,
        detail: "it is".into(),
    }
}

/// Writes a notice in a few words.
fn words(notice: &Notice) -> String {
    let one = |(what, alert): (&What, &Alert)| {
        let stem = alert.condition.plugin.as_ref().map_or("", PluginId::stem);
        let flaps = if alert.flaps { ", flaps" } else { "" };
        let lasted = alert.lasted.as_secs();
        let kind = alert.condition.kind.name();
        format!("{what:?} {kind} {stem} {lasted} s{flaps}")
    };
    match notice {
        Notice::One(what, alert) => one((what, alert)),
        Notice::More(all) => {
            let all: Vec<_> = all.iter().map(|(what, alert)| one((what, alert))).collect();
            format!("more: {}", all.join("; "))
        }
    }
}

/// Plays spans in which something is wrong, in seconds; returns what was told at which second.
fn play(kind: Kind, spans: &[(u64, u64)], until: u64) -> Vec<(u64, String)> {
    let mut alarms = Alarms::new(Rules::default());
    let mut told = Vec::new();
    for now in (0..until).step_by(count(LOOK)) {
        let is = spans.iter().any(|(from, to)| (*from..*to).contains(&now));
        let all = is.then(|| wrong(kind, 1)).into_iter().collect();
        let at = i64::try_from(now * 1000).expect("small");
        let notices = alarms.look(Mono::from_secs(now), at, all);
        told.extend(notices.iter().map(|notice| (now, words(notice))));
    }
    told
}

#[track_caller]
fn check(kind: Kind, spans: &[(u64, u64)], until: u64, wanted: &[(u64, &str)]) {
    let told = play(kind, spans, until);
    let told: Vec<_> = told.iter().map(|(at, text)| (*at, text.as_str())).collect();
    assert_eq!(told, wanted);
}

#[test]
fn what_lasts_is_told_once_and_its_end_once() {
    check(
        Kind::SiteLost,
        &[(100, 600)],
        2000,
        &[
            (220, "Raised site_lost p1 120 s"),
            (660, "Over site_lost p1 500 s"),
        ],
    );
    check(
        Kind::Storage,
        &[(100, 150)],
        2000,
        &[
            (100, "Raised storage p1 0 s"),
            (210, "Over storage p1 50 s"),
        ],
    );
}

#[test]
fn what_does_not_last_is_not_told_however_often_it_comes() {
    let spans: Vec<_> = (0..100).map(|n| (n * 120, n * 120 + 110)).collect();
    check(Kind::SiteLost, &spans, 13_000, &[]);
}

#[test]
fn what_is_well_for_a_moment_is_not_over() {
    check(
        Kind::SiteLost,
        &[(100, 600), (650, 900)],
        2000,
        &[
            (220, "Raised site_lost p1 120 s"),
            (960, "Over site_lost p1 800 s"),
        ],
    );
}

#[test]
fn what_comes_and_goes_is_one_alert_until_it_has_been_calm() {
    // Five minutes of every ten, for four hours.
    let spans: Vec<_> = (0..24).map(|n| (n * 600, n * 600 + 300)).collect();
    let told = play(Kind::Hold, &spans, 20_000);
    let texts: Vec<_> = told.iter().map(|(_, text)| text.as_str()).collect();
    let [one, over] = ["Raised hold p1 10 s", "Over hold p1 300 s"];
    assert_eq!(texts[..6], [one, over, one, over, one, over]);
    assert_eq!(texts[6], "Raised hold p1 10 s, flaps");
    let (end, last) = told.last().expect("told");
    assert!(last.starts_with("Over hold p1") && last.ends_with("flaps"));
    // Half an hour after the last time.
    assert_eq!(*end, 23 * 600 + 300 + 1800);
    // Between stands a reminder, and nothing else.
    let rest = &texts[7..texts.len() - 1];
    assert!(rest.len() <= 2, "{texts:?}");
    assert!(rest.iter().all(|t| t.starts_with("Reminded")), "{texts:?}");
}

#[test]
fn people_are_reminded_ever_more_rarely() {
    let hour = 3600;
    check(
        Kind::Quarantine,
        &[(0, 60 * hour)],
        62 * hour,
        &[
            (0, "Raised quarantine p1 0 s"),
            (hour, "Reminded quarantine p1 3600 s"),
            (7 * hour, "Reminded quarantine p1 25200 s"),
            (31 * hour, "Reminded quarantine p1 111600 s"),
            (55 * hour, "Reminded quarantine p1 198000 s"),
            (60 * hour + 60, "Over quarantine p1 216000 s"),
        ],
    );
}

#[test]
fn a_storm_is_told_in_part_and_then_in_sum() {
    let mut alarms = Alarms::new(Rules::default());
    let mut look = |at: u64, all: std::ops::Range<usize>| {
        let all = all.map(|n| wrong(Kind::Quarantine, n)).collect();
        alarms.look(Mono::from_secs(at), 0, all)
    };
    assert_eq!(look(0, 0..40).len(), 16);
    assert!(look(30, 0..40).is_empty());
    let [Notice::More(more)] = &look(60, 0..40)[..] else {
        panic!("one sum");
    };
    assert_eq!(more.len(), 24);
    // Thirty are well. That waits, too; what is still wrong is not told again.
    assert!(look(100, 0..10).is_empty());
    assert!(look(300, 0..10).is_empty());
    let told: Vec<_> = (310..4000)
        .step_by(10)
        .flat_map(|at| look(at, 0..10))
        .collect();
    let [Notice::More(more), reminders @ ..] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(more.len(), 30);
    assert!(more.iter().all(|(what, _)| *what == What::Over));
    assert!(
        reminders
            .iter()
            .all(|n| matches!(n, Notice::One(What::Reminded, _)))
    );
}

#[test]
fn what_there_is_no_room_for_is_watched_as_soon_as_there_is() {
    let rules = Rules {
        most: 3,
        alone: 100,
        ..Rules::default()
    };
    let mut alarms = Alarms::new(rules);
    let mut told = BTreeSet::new();
    for look in 0..1000_usize {
        // Each is wrong until it was told, as if somebody mended it then.
        let open = (0..10).filter(|n| !told.contains(n));
        let open: Vec<_> = open.map(|n| wrong(Kind::Quarantine, n)).collect();
        let notices = alarms.look(Mono::from_secs(10 * look as u64), 0, open);
        for notice in notices {
            if let Notice::One(What::Raised, alert) = notice {
                let n = (0..10).find(|n| alert.condition.plugin == Some(plugin(*n)));
                told.insert(n.expect("one of them"));
            }
        }
        assert!(alarms.watches.len() <= 3);
    }
    assert_eq!(told.len(), 10);
}

/// For how many looks something is well, then wrong, and so on.
type Life = Vec<(u64, u64)>;

/// Whether it is wrong at each look; well for two hours at the end.
fn looks(lives: &[Life]) -> Vec<Vec<bool>> {
    let each: Vec<Vec<bool>> = lives
        .iter()
        .map(|life| {
            let turn = |(well, wrong): &(u64, u64)| {
                let well = std::iter::repeat_n(false, count(*well));
                well.chain(std::iter::repeat_n(true, count(*wrong)))
            };
            life.iter().flat_map(turn).collect()
        })
        .collect();
    let longest = each.iter().map(Vec::len).max().unwrap_or(0) + 720;
    let is = |n: usize| {
        each.iter()
            .map(|e| e.get(n).copied().unwrap_or(false))
            .collect()
    };
    (0..longest).map(is).collect()
}

/// Plays lives of as many plugins; returns what was told at which look.
fn live(rules: Rules, kind: Kind, looks: &[Vec<bool>]) -> (Vec<(usize, Notice)>, usize) {
    let mut alarms = Alarms::new(rules);
    let mut told = Vec::new();
    let mut most = 0;
    for (look, is) in looks.iter().enumerate() {
        let all = is.iter().enumerate().filter(|(_, is)| **is);
        let all = all.map(|(n, _)| wrong(kind, n)).collect();
        let now = Mono::from_secs(look as u64 * LOOK);
        told.extend(alarms.look(now, 0, all).into_iter().map(|n| (look, n)));
        most = most.max(alarms.watches.len() + alarms.told.len());
    }
    assert!(alarms.raised(Mono::NEVER).next().is_none());
    assert!(alarms.watches.is_empty(), "{:?}", alarms.watches);
    (told, most)
}

fn free() -> Rules {
    Rules {
        alone: usize::MAX,
        reminders: [Duration::MAX; 3],
        ..Rules::default()
    }
}

/// How long it has been as it is at a look, in looks.
fn run(looks: &[Vec<bool>], n: usize, at: usize) -> u64 {
    let is = looks[at][n];
    let same = (0..at).rev().take_while(|look| looks[*look][n] == is);
    same.count() as u64
}

fn lives(many: usize) -> impl Strategy<Value = Vec<Life>> {
    let span = prop_oneof![1..15_u64, 1..40_u64, 100..400_u64];
    let life = prop::collection::vec((span.clone(), span), 0..12);
    prop::collection::vec(life, 1..many)
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn alerts_neither_flap_nor_miss(lives in lives(4), kind in kinds(), flaps in any::<bool>()) {
        let rules = Rules { flaps: if flaps { 3 } else { usize::MAX }, ..free() };
        let looks = looks(&lives);
        let waits = rules.of(kind);
        let [raise, over] = [waits.raise, waits.over].map(|wait| wait.as_secs().div_ceil(LOOK));
        let calm = rules.calm.as_secs() / LOOK;
        let (told, _) = live(rules, kind, &looks);
        for n in 0..lives.len() {
            let own = told.iter().filter_map(|(at, notice)| match notice {
                Notice::One(what, alert) if alert.condition.plugin == Some(plugin(n)) => Some((*at, *what, alert)),
                Notice::One(..) => None,
                Notice::More(_) => panic!("there is room"),
            });
            let own: Vec<_> = own.collect();
            // Raised and over by turns, each for a reason.
            for (turn, (at, what, alert)) in own.iter().enumerate() {
                let lasts = run(&looks, n, *at);
                if turn % 2 == 0 {
                    prop_assert_eq!(*what, What::Raised);
                    prop_assert!(looks[*at][n] && lasts >= raise);
                } else {
                    prop_assert_eq!(*what, What::Over);
                    let over = if alert.flaps { calm } else { over };
                    prop_assert!(!looks[*at][n] && lasts >= over);
                }
                prop_assert_eq!(alert.times, u32::from(turn % 2 == 0));
            }
            prop_assert_eq!(own.len() % 2, 0);
            // At every look at which it was wrong for long enough, people knew.
            for at in 0..looks.len() {
                let before = own.iter().take_while(|(told, ..)| *told <= at).count();
                let up = before % 2 == 1;
                let lasts = run(&looks, n, at);
                if looks[at][n] && lasts >= raise {
                    prop_assert!(up, "p{} at {}", n, at);
                }
                if !looks[at][n] && lasts >= if flaps { calm } else { over } {
                    prop_assert!(!up, "p{} at {}", n, at);
                }
            }
            if flaps {
                let raised: Vec<_> = own.iter().filter(|(_, what, _)| *what == What::Raised).collect();
                for (k, (at, ..)) in raised.iter().enumerate() {
                    let hour = raised[k..].iter().take_while(|(other, ..)| other - at < 360);
                    prop_assert!(hour.count() <= 5);
                }
            }
        }
    }

    #[test]
    fn in_a_storm_little_is_told_and_nothing_missed(lives in lives(40), kind in kinds()) {
        let looks = looks(&lives);
        let (all, _) = live(free(), kind, &looks);
        let (told, most) = live(Rules { reminders: [Duration::MAX; 3], ..Rules::default() }, kind, &looks);
        prop_assert!(most <= lives.len() + 20);
        for (k, (at, _)) in told.iter().enumerate() {
            let hour = told[k..].iter().take_while(|(other, _)| other - at < 360);
            prop_assert!(hour.count() <= 20);
        }
        // How often each was raised: told by itself or in sum, it comes to the same.
        let raised = |told: &[(usize, Notice)]| {
            let mut counts = BTreeMap::<_, u32>::new();
            let mut ups = BTreeMap::<_, i32>::new();
            for (_, notice) in told {
                let parts = match notice {
                    Notice::One(what, alert) => vec![(*what, alert.clone())],
                    Notice::More(parts) => parts.clone(),
                };
                for (what, alert) in parts {
                    let up = ups.entry(alert.condition.plugin.clone()).or_default();
                    *up += match what { What::Raised => 1, What::Over => -1, _ => 0 };
                    assert!((0..=1).contains(up), "{alert:?}");
                    *counts.entry(alert.condition.plugin).or_default() += alert.times;
                }
            }
            assert!(ups.values().all(|up| *up == 0));
            counts.retain(|_, n| *n > 0);
            counts
        };
        prop_assert_eq!(raised(&all), raised(&told));
    }
}

mod backlogs {
    use super::*;

    /// A plugin that handles so many events a minute of so many that come, minute by minute.
    fn late(rates: &[(u64, u64, u64)]) -> Vec<bool> {
        let mut backlogs = Backlogs::default();
        let (mut end, mut cursor, mut minute) = (500, 500, 0);
        let mut late = Vec::new();
        for (minutes, come, go) in rates {
            for _ in 0..*minutes {
                end += come;
                cursor = (cursor + go).min(end);
                minute += 1;
                let now = Mono::from_secs(60 * minute);
                let found = backlogs.look(now, end, &[(plugin(1), cursor)]);
                assert!(backlogs.ends.len() <= 128);
                late.push(!found.is_empty());
            }
        }
        late
    }

    #[test]
    fn one_that_keeps_up_or_catches_up_has_none() {
        assert!(!late(&[(600, 10, 10)]).contains(&true));
        // What came in a night is being handled, as quickly as it goes.
        assert!(!late(&[(1, 900, 0), (200, 5, 20)]).contains(&true));
        // A call that takes hours, and nothing else to do.
        assert!(!late(&[(1, 1, 0), (300, 0, 0)]).contains(&true));
    }

    #[test]
    fn one_that_falls_behind_has_one_until_it_has_caught_up() {
        let late = late(&[(60, 10, 4), (100, 0, 10)]);
        let first = late.iter().position(|late| *late).expect("a backlog");
        // The oldest event waits for ten minutes.
        assert!((10..30).contains(&first), "{first}");
        let last = late.iter().rposition(|late| *late).expect("a backlog");
        assert!(late[first..last].iter().all(|late| *late));
        assert!((80..96).contains(&last), "{last}");
    }

    #[test]
    fn many_events_are_a_backlog_though_they_become_fewer() {
        let found = late(&[(1, 20_000, 0), (100, 0, 100)]);
        assert!(!found[5] && found[15], "{found:?}");
    }

    #[test]
    fn how_long_the_oldest_waits_is_known_for_days() {
        let mut backlogs = Backlogs::default();
        let day = 24 * 3600;
        let mut oldest = Duration::ZERO;
        for minute in 0..3 * 24 * 60 {
            let now = Mono::from_secs(60 * minute);
            let found = backlogs.look(now, 10 + minute * 5, &[(plugin(1), 10)]);
            oldest = found.first().map(|b| b.oldest).unwrap_or_default();
        }
        let wanted = Duration::from_secs(3 * day);
        assert!(oldest > wanted * 7 / 8, "{oldest:?}");
    }

    #[test]
    fn letters_are_many_until_half_of_them_are_gone() {
        let found = [99, 100, 60, 49, 60].iter().scan(false, |were, letters| {
            *were = many_letters(*were, *letters);
            Some(*were)
        });
        assert_eq!(found.collect::<Vec<_>>(), [false, true, true, false, false]);
    }
}
