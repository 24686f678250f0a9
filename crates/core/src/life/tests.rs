//! Stories of one process, and a property over random lives.

use super::*;
use proptest::prelude::*;

fn life() -> Life {
    Life::new(BrokenEdit::Keep, Reload::NewFirst, 1)
}

fn at(s: u64) -> Mono {
    Mono::from_secs(s)
}

#[test]
fn a_plugin_starts_and_runs() {
    let mut l = life();
    assert_eq!(l.step(at(0), Input::Load), [Effect::Start(1)]);
    assert_eq!(l.state(), State::Starting);
    assert_eq!(l.step(at(0), Input::Ready(1)), [Effect::Use(1)]);
    assert_eq!(l.state(), State::Running);
}

#[test]
fn an_edit_is_ready_before_the_old_code_ends_and_used_after() {
    let mut l = life();
    l.step(at(0), Input::Load);
    l.step(at(0), Input::Ready(1));
    assert_eq!(l.step(at(1), Input::Load), [Effect::Start(2)]);
    assert_eq!(l.state(), State::Running);
    assert_eq!(
        l.step(at(2), Input::Ready(2)),
        [Effect::Retire(1), Effect::Goodbye(1)]
    );
    assert_eq!(
        l.step(at(3), Input::Exited { generation: 1 }),
        [Effect::Use(2)]
    );
}

#[test]
fn a_life_is_settled_when_nothing_starts_or_ends() {
    let mut l = life();
    assert!(l.is_settled(at(0)));
    l.step(at(0), Input::Load);
    assert!(!l.is_settled(at(0)), "it starts");
    l.step(at(0), Input::Ready(1));
    assert!(l.is_settled(at(0)));
    l.step(at(1), Input::Load);
    assert!(!l.is_settled(at(1)), "the next one starts");
    l.step(at(2), Input::Ready(2));
    assert!(!l.is_settled(at(2)), "the old one ends");
    l.step(at(3), Input::Exited { generation: 1 });
    assert!(l.is_settled(at(3)));
    l.step(at(4), Input::Exited { generation: 2 });
    assert!(l.is_settled(at(4)), "it waits for its next start");
    l.step(at(9), Input::Tick);
    assert!(!l.is_settled(at(9)));
    l.step(at(9), Input::Ready(3));
    l.step(at(10), Input::Stop);
    assert!(!l.is_settled(at(10)));
    l.step(at(11), Input::Exited { generation: 3 });
    assert!(l.is_settled(at(11)));
}

#[test]
fn stop_first_ends_the_old_code_before_the_new_one_starts() {
    let mut l = Life::new(BrokenEdit::Keep, Reload::StopFirst, 1);
    l.step(at(0), Input::Load);
    l.step(at(0), Input::Ready(1));
    assert_eq!(
        l.step(at(1), Input::Load),
        [Effect::Retire(1), Effect::Goodbye(1)]
    );
    assert_eq!(
        l.step(at(2), Input::Exited { generation: 1 }),
        [Effect::Start(2)]
    );
}

#[test]
fn a_broken_edit_keeps_the_old_code_or_ends_it() {
    for (rule, keeps) in [(BrokenEdit::Keep, true), (BrokenEdit::Deactivate, false)] {
        let mut l = Life::new(rule, Reload::NewFirst, 1);
        l.step(at(0), Input::Load);
        l.step(at(0), Input::Ready(1));
        l.step(at(1), Input::Load);
        let effects = l.step(
            at(1),
            Input::LoadFailed {
                generation: 2,
                network: false,
            },
        );
        assert_eq!(effects.contains(&Effect::KeptOld), keeps);
        assert_eq!(effects.contains(&Effect::Goodbye(1)), !keeps);
        l.step(at(1), Input::Exited { generation: 2 });
        assert_eq!(
            l.state(),
            if keeps { State::Running } else { State::Broken }
        );
        assert!(l.is_broken());
        assert_eq!(l.step(at(2), Input::Load), [Effect::Start(3)]);
    }
}

#[test]
fn what_does_not_load_waits_for_an_edit() {
    let mut l = life();
    l.step(at(0), Input::Load);
    l.step(
        at(0),
        Input::LoadFailed {
            generation: 1,
            network: false,
        },
    );
    l.step(at(0), Input::Exited { generation: 1 });
    assert_eq!((l.state(), l.wake_at()), (State::Broken, None));
    assert_eq!(l.step(at(9), Input::Load), [Effect::Start(2)]);
}

#[test]
fn a_registration_that_a_network_broke_is_tried_again() {
    let mut l = life();
    l.step(at(0), Input::Load);
    l.step(
        at(0),
        Input::LoadFailed {
            generation: 1,
            network: true,
        },
    );
    l.step(at(0), Input::Exited { generation: 1 });
    assert_eq!(l.state(), State::Starting);
    assert_eq!(l.step(at(2), Input::Tick), [Effect::Start(2)]);
}

#[test]
fn a_process_that_keeps_dying_is_quarantined_until_an_edit_or_a_person() {
    let mut l = life();
    l.step(at(0), Input::Load);
    let mut now = at(0);
    for generation in 1..=6 {
        l.step(now, Input::Ready(generation));
        let effects = l.step(now, Input::Exited { generation });
        assert_eq!(effects == [Effect::Quarantined], generation == 6);
        if let Some(wake) = l.wake_at() {
            now = wake;
            assert_eq!(l.step(now, Input::Tick), [Effect::Start(generation + 1)]);
        }
    }
    assert_eq!(l.state(), State::Quarantined);
    assert_eq!(l.step(now, Input::Resume), [Effect::Start(7)]);
}

#[test]
fn a_person_stops_it_and_only_a_person_starts_it_again() {
    let mut l = life();
    l.step(at(0), Input::Load);
    l.step(at(0), Input::Ready(1));
    assert_eq!(
        l.step(at(1), Input::Stop),
        [Effect::Retire(1), Effect::Goodbye(1)]
    );
    l.step(at(1), Input::Exited { generation: 1 });
    assert_eq!(l.step(at(2), Input::Load), []);
    assert_eq!(l.state(), State::Stopped);
    assert_eq!(l.step(at(3), Input::Resume), [Effect::Start(2)]);
}

#[test]
fn a_recycled_process_goes_when_the_next_is_ready_and_is_no_death() {
    let mut l = life();
    l.step(at(0), Input::Load);
    l.step(at(0), Input::Ready(1));
    assert_eq!(l.step(at(1), Input::Recycle(1)), [Effect::Start(2)]);
    assert_eq!(l.state(), State::Running);
    assert_eq!(l.step(at(1), Input::Recycle(1)), [], "once");
    assert_eq!(
        l.step(at(2), Input::Ready(2)),
        [Effect::Retire(1), Effect::Goodbye(1)]
    );
    assert_eq!(
        l.step(at(3), Input::Exited { generation: 1 }),
        [Effect::Use(2)]
    );
    assert_eq!(l.wake_at(), None);

    let mut l = Life::new(BrokenEdit::Keep, Reload::StopFirst, 1);
    l.step(at(0), Input::Load);
    l.step(at(0), Input::Ready(1));
    assert_eq!(
        l.step(at(1), Input::Recycle(1)),
        [Effect::Retire(1), Effect::Goodbye(1)]
    );
    assert_eq!(
        l.step(at(2), Input::Exited { generation: 1 }),
        [Effect::Start(2)]
    );
    assert_eq!(l.step(at(2), Input::Ready(2)), [Effect::Use(2)]);
}

#[test]
fn only_a_process_that_runs_and_is_to_go_on_is_recycled() {
    type Before = &'static [Input];
    let cases: [(&str, Before, Generation); 7] = [
        ("not loaded yet", &[Input::Load], 1),
        ("another one", &[Input::Load, Input::Ready(1)], 2),
        ("stopped", &[Input::Load, Input::Ready(1), Input::Stop], 1),
        ("gone", &[Input::Load, Input::Ready(1), Input::Vanished], 1),
        ("edited", &[Input::Load, Input::Ready(1), Input::Load], 1),
        (
            "broken",
            &[
                Input::Load,
                Input::Ready(1),
                Input::Load,
                Input::LoadFailed {
                    generation: 2,
                    network: false,
                },
                Input::Exited { generation: 2 },
            ],
            1,
        ),
        (
            "dead",
            &[
                Input::Load,
                Input::Ready(1),
                Input::Exited { generation: 1 },
            ],
            1,
        ),
    ];
    for (name, before, generation) in cases {
        let mut l = life();
        for input in before {
            l.step(at(0), *input);
        }
        assert_eq!(l.step(at(0), Input::Recycle(generation)), [], "{name}");
    }
}

#[test]
fn a_recycled_process_that_does_not_load_again_leaves_the_old_one_running() {
    for rule in [BrokenEdit::Keep, BrokenEdit::Deactivate] {
        let mut l = Life::new(rule, Reload::NewFirst, 1);
        l.step(at(0), Input::Load);
        l.step(at(0), Input::Ready(1));
        l.step(at(1), Input::Recycle(1));
        let failed = Input::LoadFailed {
            generation: 2,
            network: false,
        };
        let effects = l.step(at(1), failed);
        assert!(effects.contains(&Effect::KeptOld), "{rule:?}");
        assert!(!effects.contains(&Effect::Goodbye(1)), "{rule:?}");
        l.step(at(1), Input::Exited { generation: 2 });
        assert_eq!((l.state(), l.is_broken()), (State::Running, true));
        // An edit after that is one.
        l.step(at(2), Input::Load);
        let failed = Input::LoadFailed {
            generation: 3,
            network: false,
        };
        let effects = l.step(at(2), failed);
        let keeps = rule == BrokenEdit::Keep;
        assert_eq!(effects.contains(&Effect::KeptOld), keeps, "{rule:?}");
    }
}

#[test]
fn recycling_forgives_no_deaths() {
    let mut l = life();
    l.step(at(0), Input::Load);
    let mut generation = 1;
    for death in 1..=6 {
        let now = l.wake_at().unwrap_or_else(|| at(0));
        l.step(now, Input::Tick);
        l.step(now, Input::Ready(generation));
        l.step(now, Input::Recycle(generation));
        l.step(now, Input::Ready(generation + 1));
        l.step(now, Input::Exited { generation });
        generation += 1;
        let effects = l.step(now, Input::Exited { generation });
        assert_eq!(effects == [Effect::Quarantined], death == 6, "{death}");
        generation += 1;
    }
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Load,
    Vanish,
    Stop,
    Resume,
    Ready(usize),
    Fail(usize, bool),
    Exit(usize),
    Recycle(usize),
    Pass(u64),
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens: never more than two processes, the lane uses one at a time and only
    /// after the one before is gone, and a file that loads always ends up running.
    #[test]
    fn one_process_at_a_time_and_no_dead_end(
        turns in prop::collection::vec(prop_oneof![
            2 => Just(Turn::Load), 1 => Just(Turn::Vanish), 1 => Just(Turn::Stop), 1 => Just(Turn::Resume),
            6 => (0usize..2).prop_map(Turn::Ready), 2 => (0usize..2, any::<bool>()).prop_map(|(i, n)| Turn::Fail(i, n)),
            4 => (0usize..2).prop_map(Turn::Exit), 2 => (0usize..2).prop_map(Turn::Recycle), 3 => (0u64..90).prop_map(Turn::Pass),
        ], 0..120),
        stop_first in any::<bool>(),
    ) {
        let reload = if stop_first { Reload::StopFirst } else { Reload::NewFirst };
        let mut l = Life::new(BrokenEdit::Keep, reload, 7);
        let mut now = at(0);
        let mut alive: Vec<Generation> = vec![];
        let mut used: Option<Generation> = None;
        let apply = |l: &mut Life, now, input, alive: &mut Vec<Generation>, used: &mut Option<Generation>| {
            for effect in l.step(now, input) {
                match effect {
                    Effect::Start(g) => alive.push(g),
                    Effect::Use(g) => {
                        assert!(used.is_none_or(|u| !alive.contains(&u)), "two in use");
                        assert!(alive.contains(&g));
                        *used = Some(g);
                    }
                    _ => {}
                }
            }
            assert!(alive.len() <= 2, "{alive:?}");
        };
        for turn in turns {
            let input = match turn {
                Turn::Load => Input::Load,
                Turn::Vanish => Input::Vanished,
                Turn::Stop => Input::Stop,
                Turn::Resume => Input::Resume,
                Turn::Pass(s) => { now = now + Duration::from_secs(s); Input::Tick }
                Turn::Ready(i) => match alive.get(i) { Some(g) => Input::Ready(*g), None => continue },
                Turn::Recycle(i) => match alive.get(i) { Some(g) => Input::Recycle(*g), None => continue },
                Turn::Fail(i, network) => match alive.get(i) {
                    Some(g) => Input::LoadFailed { generation: *g, network },
                    None => continue,
                },
                Turn::Exit(i) if i < alive.len() => Input::Exited { generation: alive.remove(i) },
                Turn::Exit(_) => continue,
            };
            apply(&mut l, now, input, &mut alive, &mut used);
        }
        // A person wants it to run, and nothing fails any more.
        apply(&mut l, now, Input::Resume, &mut alive, &mut used);
        apply(&mut l, now, Input::Load, &mut alive, &mut used);
        for _ in 0..10 {
            now = now + Duration::from_secs(90);
            apply(&mut l, now, Input::Tick, &mut alive, &mut used);
            for g in alive.clone() {
                apply(&mut l, now, Input::Ready(g), &mut alive, &mut used);
                if l.is_leaving(g) {
                    alive.retain(|a| *a != g);
                    apply(&mut l, now, Input::Exited { generation: g }, &mut alive, &mut used);
                }
            }
        }
        prop_assert_eq!(l.state(), State::Running);
        prop_assert_eq!(alive.len(), 1);
        prop_assert_eq!(used, alive.first().copied());
    }
}

#[test]
fn a_file_is_broken_until_its_next_content_while_the_old_code_runs() {
    let mut life = Life::new(BrokenEdit::Keep, Reload::NewFirst, 1);
    let now = Mono::ZERO;
    life.step(now, Input::Load);
    life.step(now, Input::Ready(1));
    assert_eq!((life.is_broken(), life.state()), (false, State::Running));
    life.step(now, Input::Load);
    life.step(
        now,
        Input::LoadFailed {
            generation: 2,
            network: false,
        },
    );
    assert_eq!((life.is_broken(), life.state()), (true, State::Running));
    life.step(now, Input::Exited { generation: 2 });
    life.step(now, Input::Load);
    assert_eq!((life.is_broken(), life.state()), (false, State::Running));
}

#[test]
fn a_life_is_idle_when_no_process_is_left_and_none_is_to_come() {
    let mut l = life();
    assert!(l.is_idle());
    l.step(at(0), Input::Load);
    l.step(at(0), Input::Ready(1));
    assert!(!l.is_idle());
    l.step(at(1), Input::Load);
    l.step(at(1), Input::Exited { generation: 1 });
    assert!(!l.is_idle(), "the next one is there");
    l.step(at(1), Input::Ready(2));
    l.step(at(2), Input::Exited { generation: 2 });
    let again = l.wake_at().unwrap();
    assert!(!l.is_idle(), "it starts again");
    assert!(l.is_settled(at(2)) && !l.is_settled(again));
    l.step(again, Input::Tick);
    l.step(again, Input::Stop);
    assert!(!l.is_idle(), "it is ending");
    l.step(again, Input::Exited { generation: 3 });
    assert!(l.is_idle());
}

#[test]
fn what_slated_told_to_end_is_leaving_and_so_is_what_it_does_not_know() {
    let mut l = life();
    l.step(at(0), Input::Load);
    l.step(at(0), Input::Ready(1));
    l.step(at(1), Input::Load);
    l.step(at(2), Input::Ready(2));
    let leaving = [1, 2, 3].map(|generation| l.is_leaving(generation));
    assert_eq!(leaving, [true, false, true]);
    l.step(at(3), Input::Exited { generation: 1 });
    assert_eq!((l.is_leaving(1), l.is_leaving(2)), (true, false));
    l.step(at(3), Input::Stop);
    assert!(l.is_leaving(2));
}

#[test]
fn a_file_that_a_network_failed_is_loaded_again_after_a_pause() {
    let mut l = life();
    l.step(at(0), Input::Load);
    let failed = Input::LoadFailed {
        generation: 1,
        network: true,
    };
    l.step(at(0), failed);
    l.step(at(0), Input::Exited { generation: 1 });
    let pause = l.wake_at().unwrap().since(at(0));
    assert!(pause >= FIRST_WAIT && pause <= FIRST_WAIT * 2, "{pause:?}");
}

#[test]
fn the_pause_grows_while_networks_go_on_failing() {
    let mut l = life();
    l.step(at(0), Input::Load);
    let mut now = at(0);
    for generation in 1..=5 {
        let network = true;
        l.step(
            now,
            Input::LoadFailed {
                generation,
                network,
            },
        );
        l.step(now, Input::Exited { generation });
        let due = l.wake_at().unwrap();
        let longest = FIRST_WAIT * (1 << generation);
        let pause = due.since(now);
        assert!(pause >= longest / 2 && pause <= longest, "{pause:?}");
        now = due;
        l.step(now, Input::Tick);
    }
}

#[test]
fn what_an_edit_overtook_says_nothing_of_the_edit() {
    let mut l = life();
    l.step(at(0), Input::Load);
    l.step(at(1), Input::Load);
    let failed = Input::LoadFailed {
        generation: 1,
        network: false,
    };
    assert_eq!(l.step(at(1), failed), []);
    l.step(at(1), Input::Exited { generation: 1 });
    l.step(at(1), Input::Ready(2));
    assert_eq!((l.state(), l.is_broken()), (State::Running, false));
}

#[test]
fn a_death_now_and_then_is_no_reason_to_give_up() {
    let mut l = life();
    let mut now = at(0);
    l.step(now, Input::Load);
    for generation in 1..=20 {
        l.step(now, Input::Ready(generation));
        now = now + DEATHS_WITHIN + Duration::from_secs(1);
        let out = l.step(now, Input::Exited { generation });
        assert_eq!(out, [], "death {generation}");
        let due = l.wake_at().unwrap();
        let pause = due.since(now);
        assert!(pause >= FIRST_WAIT / 2 && pause <= FIRST_WAIT, "{pause:?}");
        now = due;
        l.step(now, Input::Tick);
    }
}
