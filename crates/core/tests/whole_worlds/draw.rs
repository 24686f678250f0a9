//! Worlds drawn from a seed: everything that may go wrong, at some rate, and then everything heals.

use std::time::Duration;

use fastrand::Rng;
use slated_core::follow::Pace;
use slated_core::life::{BrokenEdit, Reload};
use slated_core::order::{Order, Rules};
use slated_core::retry::{OnError, Policy, Worth};
use slated_model::Cause;

use crate::plan::{Asked, Callback, End, Fate, KINDS, Keep, Plan, Plugin};
use crate::world::{Break, Edit, What, World};

/// How often what goes wrong with the callbacks of a plugin.
#[derive(Clone, Copy, Debug)]
struct Ills {
    seed: u64,
    /// Seconds of a call, at most.
    takes: f64,
    /// The chance of one that takes a hundred times as long.
    slow: f64,
    transient: f64,
    poison: f64,
    interrupted: f64,
    hung: f64,
    dies: f64,
    /// It needs the site.
    site: bool,
}

impl Ills {
    fn draw(rng: &mut Rng) -> Self {
        let rare = |rng: &mut Rng| {
            if rng.bool() {
                0.0
            } else {
                rng.f64().powi(2) * 0.3
            }
        };
        Self {
            seed: rng.u64(..),
            takes: [0.0005, 0.0005, 0.05, 0.4, 3.0][rng.usize(..5)],
            slow: rare(rng),
            transient: rare(rng),
            poison: rare(rng),
            interrupted: rare(rng),
            hung: rare(rng) / 4.0,
            dies: rare(rng) / 2.0,
            site: rng.bool(),
        }
    }
    fn is_quick(&self) -> bool {
        self.takes < 0.001
    }

    fn fate(&self, asked: &Asked) -> Fate {
        let mut rng = Rng::with_seed(self.seed ^ asked.event.wrapping_mul(0x9e37_79b9));
        let (dice, times) = (rng.f64(), rng.u32(1..=7));
        let mut takes = self.takes * (0.1 + 0.9 * rng.f64());
        if rng.f64() < self.slow && !asked.well {
            takes *= 100.0;
        }
        let takes = Duration::from_secs_f64(takes);
        let fate = |end| Fate { takes, end };
        if asked.well {
            return Fate::done(takes);
        }
        if asked.site_down && self.site {
            return fate(End::Raise(Some(Cause::Site)));
        }
        let (ill, mended) = (asked.run <= times, asked.edits >= times);
        let mut from = 0.0;
        let mut is = |chance: f64| {
            from += chance;
            (from - chance..from).contains(&dice)
        };
        match () {
            () if is(self.transient) && ill => fate(End::Raise(Some(Cause::Transient))),
            () if is(self.poison) && !mended => fate(End::Raise(None)),
            () if is(self.interrupted) && ill => Fate {
                takes: Duration::from_secs(30),
                end: End::Interrupted,
            },
            () if is(self.hung) && ill => Fate {
                takes: Duration::from_secs(40),
                end: End::Hung,
            },
            () if is(self.dies) && ill => fate(End::Die),
            () if self.site && asked.run == 1 && dice > 0.995 => {
                fate(End::Raise(Some(Cause::Site)))
            }
            () => Fate::done(takes),
        }
    }
}

fn plugin(rng: &mut Rng, last: f64) -> Plugin {
    let mut quick = false;
    let many = rng.usize(1..=3);
    let callbacks = (0..many).map(|_| {
        let ills = Ills::draw(rng);
        quick |= ills.is_quick();
        let all = rng.u8(..) < 100;
        let kinds = (0..KINDS).filter(|_| !all && rng.bool()).collect();
        Callback {
            kinds,
            stop_on_error: rng.bool(),
            ..Callback::new(move |asked| ills.fate(asked))
        }
    });
    let callbacks: Vec<_> = callbacks.collect();
    let mut plugin = Plugin::new(callbacks);
    plugin.quick = quick;
    plugin.policy = Policy {
        worth: [Worth::None, Worth::Transient, Worth::Transient, Worth::All][rng.usize(..4)],
        attempts: rng.u32(1..=5),
        within: Duration::from_secs(rng.u64(5..900)),
        on_error: if rng.u8(..) < 40 {
            OnError::Log
        } else {
            OnError::DeadLetter
        },
        deaths: rng.u32(1..=3),
    };
    plugin.window = rng.usize(1..=16);
    plugin.reload = if rng.bool() {
        Reload::NewFirst
    } else {
        Reload::StopFirst
    };
    plugin.broken_edit = if rng.bool() {
        BrokenEdit::Keep
    } else {
        BrokenEdit::Deactivate
    };
    plugin.loads_in = Duration::from_millis(rng.u64(50..3000));
    if rng.u8(..) < 60 {
        plugin.appears = last * rng.f64();
    }
    plugin
}

/// When ids are taken and become visible, and when that ends.
fn traffic(rng: &mut Rng) -> (Vec<(u64, f64, Option<f64>)>, f64) {
    let (mut id, mut t, mut rows) = (1000, 0.0, Vec::new());
    rows.extend((900..1000).map(|id| (id, 0.0, Some(0.0))));
    let count = rng.u64(60..500);
    let rate = 0.3 * 100f64.powf(rng.f64());
    let dead = rng.f64() * 0.05;
    while (rows.len() as u64) < 100 + count {
        let many = match rng.u8(..) {
            0..10 => rng.u64(2..60),
            10..40 => rng.u64(2..6),
            _ => 1,
        };
        let wait = match rng.f64() {
            x if x < 0.85 => rng.f64() * 0.5,
            x if x < 0.97 => rng.f64() * 30.0,
            x if x < 0.995 => rng.f64() * 300.0,
            _ => rng.f64() * 1200.0,
        };
        let visible = (rng.f64() >= dead).then_some(t + wait);
        rows.extend((id..id + many).map(|id| (id, t, visible)));
        id += many;
        if rng.u8(..) < 2 {
            id += rng.u64(1..2000);
        }
        t += -(1.0 - rng.f64()).ln() / rate;
    }
    (rows, t)
}

/// Draws a world.
pub(crate) fn world(seed: u64, breaks: Option<Break>) -> World {
    let mut rng = Rng::with_seed(seed);
    let (rows, last) = traffic(&mut rng);
    let many = rng.usize(1..=4);
    let mut plan = Plan::new((0..many).map(|_| plugin(&mut rng, last)).collect());
    plan.rules = Rules {
        order: [
            Order::Independent,
            Order::Independent,
            Order::Pipelined,
            Order::Serial,
        ][rng.usize(..4)],
        wait: rng.bool().then_some(Duration::from_secs(10)),
        calls: if rng.u8(..) < 60 {
            rng.usize(1..=many)
        } else {
            0
        },
    };
    plan.page = [50, 500][rng.usize(..2)];
    plan.asks = (0.05, 0.1 + rng.f64());
    plan.fails = if rng.bool() { 0.0 } else { rng.f64() * 0.1 };
    plan.commits = [0.002, 0.02, 0.5][rng.usize(..3)];
    plan.down = (0.1, if rng.bool() { 2.0 } else { 120.0 });
    let hectic = |rng: &mut Rng| 10f64.powf(rng.f64() * 2.0 - 4.5);
    plan.kills = if rng.u8(..) < 100 {
        0.0
    } else {
        hectic(&mut rng)
    };
    plan.wall_jumps = [0.0, 7200.0, 1e8][rng.usize(..3)];
    plan.inclusive = rng.bool();
    plan.odd = if rng.bool() {
        u64::MAX
    } else {
        rng.u64(30..300)
    };
    plan.keep = (rng.u8(..) < 180).then(|| Keep {
        events: Duration::from_secs(rng.u64(1..200)),
        rows: rng.usize(5..200),
        letters: rng.usize(0..10),
    });
    for _ in 0..rng.usize(..3) {
        let from = last * rng.f64();
        plan.outages.push((from, from + rng.f64() * 400.0));
    }
    let start = rng.f64() * last.min(20.0);
    let mut world = World::new(rng.u64(..), plan, start);
    world.breaks = breaks;
    world.grow(rows);
    let times = |most: usize, rng: &mut Rng| -> Vec<f64> {
        let many = rng.usize(..=most);
        (0..many).map(|_| (last + 60.0) * rng.f64()).collect()
    };
    for at in times(3, &mut rng) {
        world.at(at, What::Stop);
    }
    for at in times(2, &mut rng) {
        world.at(at, What::Kill);
    }
    for at in times(8, &mut rng) {
        world.at(at, What::WallJumps);
    }
    for at in times(8, &mut rng) {
        let edit = [Edit::Change, Edit::Change, Edit::Touch, Edit::Break][rng.usize(..4)];
        world.at(at, What::Edit(rng.usize(..many), edit));
    }
    for at in times(4, &mut rng) {
        world.at(at, What::Hold(rng.usize(..many), rng.bool()));
    }
    for at in times(10, &mut rng) {
        world.at(at, What::Resume(rng.usize(..many)));
    }
    for at in times(12, &mut rng) {
        world.at(at, What::Wish(rng.usize(..many), rng.u8(..) < 180));
    }
    world
}

impl World {
    /// Plays a drawn world to its end, and judges it.
    pub(crate) fn play(&mut self) {
        let last = self.taken.values().copied().fold(0.0, f64::max);
        self.run(last + 60.0);
        self.heal();
    }

    /// Everything gets well, and has all the time it needs. Then the world is judged.
    pub(crate) fn heal(&mut self) {
        self.say(|| "everything heals".into());
        self.healed = true;
        (self.plan.kills, self.plan.fails, self.wall_s) = (0.0, 0.0, 0.0);
        self.plan.outages.clear();
        let visible = self.visible();
        let last = visible
            .iter()
            .map(|(_, at)| *at)
            .fold(self.secs(), f64::max);
        let lookback = Pace::default().lookback;
        for place in 0..self.ids.len() {
            if self.files[place].broken {
                self.edit(place, Edit::Change);
            }
        }
        let mut rest = Vec::new();
        for turn in 0..400 {
            for place in 0..self.ids.len() {
                self.person_resumes(place);
                if turn == 1 && place.is_multiple_of(2) {
                    self.person_wishes(place, true);
                }
            }
            let until = self.secs() + 20.0;
            self.run(until);
            rest = self.judge.unfinished(&self.plan, &visible, lookback);
            if rest.is_empty() && self.secs() > last + 60.0 && self.daemon.is_some() {
                break;
            }
        }
        for text in rest.iter().take(3) {
            self.say(|| format!("unfinished: {text}"));
        }
        // The last cursors become durable.
        let until = self.secs() + 5.0;
        self.run(until);
        let kept = self.plan.keep.is_some().then(|| {
            self.wall_s = 1e9;
            for _ in 0..2 {
                while self.prune_once(None) {}
            }
            self.record.log.values().cloned().collect::<Vec<_>>()
        });
        self.judge
            .ends_well(&self.plan, &visible, lookback, kept.as_deref());
    }
}
