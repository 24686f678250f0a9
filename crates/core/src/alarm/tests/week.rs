//! A bad week: what was told is held against what happened.
//!
//! Thirty plugins, drawn from a seed: outages of the site short and long, an evening in which it comes
//! and goes, plugins that are held, quarantined and edited, plugins that fall behind, a full disk, and a
//! morning on which a library breaks everything at once. A look every ten seconds, some of them missing.

use super::*;

const PLUGINS: usize = 30;
const DAY: u64 = 24 * 3600;
const WEEK: u64 = 7 * DAY;
/// How many are played, each from its seed.
const WEEKS: u64 = 5;

/// When something was wrong, in seconds.
#[derive(Debug, Default)]
struct Truth(BTreeMap<(Kind, usize), Vec<(u64, u64)>>);

impl Truth {
    fn add(&mut self, kind: Kind, n: usize, from: u64, lasts: u64) {
        // The last hours are quiet, so that everything can end.
        let to = (from + lasts).min(WEEK - DAY / 4);
        if from < to {
            self.0.entry((kind, n)).or_default().push((from, to));
        }
    }
    fn is(&self, kind: Kind, n: usize, at: u64) -> bool {
        let spans = self.0.get(&(kind, n)).map(Vec::as_slice);
        spans
            .unwrap_or_default()
            .iter()
            .any(|(from, to)| (*from..*to).contains(&at))
    }
    fn draw(dice: &mut fastrand::Rng) -> Self {
        let mut truth = Self::default();
        for _ in 0..40 {
            let lasts = *dice
                .choice(&[30, 60, 119, 300, 3600, 4 * 3600])
                .expect("some");
            truth.add(Kind::SiteLost, 0, dice.u64(0..WEEK), lasts);
        }
        let evening = dice.u64(0..6) * DAY + 18 * 3600;
        for n in 0..30 {
            truth.add(Kind::SiteLost, 0, evening + n * 400, dice.u64(150..300));
        }
        for _ in 0..60 {
            let n = dice.usize(0..PLUGINS);
            let kind = *dice
                .choice(&[Kind::Hold, Kind::Quarantine, Kind::Broken])
                .expect("some");
            let lasts = *dice.choice(&[5, 40, 600, 7200, 2 * DAY]).expect("some");
            truth.add(kind, n, dice.u64(0..WEEK), lasts);
        }
        let morning = dice.u64(0..6) * DAY + 8 * 3600;
        for n in 0..PLUGINS {
            truth.add(Kind::Quarantine, n, morning + dice.u64(0..60), 5400);
        }
        truth.add(Kind::Storage, 0, dice.u64(0..WEEK), dice.u64(1..3600));
        truth.add(Kind::AnchorLost, 0, dice.u64(0..WEEK), dice.u64(3600..DAY));
        truth
    }
    /// All that it could be about.
    fn subjects() -> impl Iterator<Item = (Kind, usize)> {
        let own = [Kind::Storage, Kind::AnchorLost, Kind::SiteLost].map(|kind| (kind, 0));
        let plugins = [Kind::Hold, Kind::Quarantine, Kind::Broken];
        let plugins = (0..PLUGINS).flat_map(move |n| plugins.map(|kind| (kind, n)));
        own.into_iter().chain(plugins)
    }
}

/// A plugin that gets slow for some hours.
struct Slow {
    /// In halves of an event.
    cursor: u64,
    from: u64,
    to: u64,
}

/// From when to when somebody was told that something is wrong.
type Span = (u64, Option<u64>);
type Key = (Kind, PluginId);

/// What people were told.
#[derive(Debug, Default)]
struct Told {
    /// By subject, when it was raised and when it was over.
    spans: BTreeMap<Key, Vec<Span>>,
    at: Vec<u64>,
}

impl Told {
    fn hear(&mut self, now: u64, notice: Notice) {
        self.at.push(now);
        let parts = match notice {
            Notice::One(what, alert) => vec![(what, alert)],
            Notice::More(parts) => parts,
        };
        for (what, alert) in parts {
            let condition = alert.condition;
            let own = self
                .spans
                .entry((condition.kind, condition.plugin.expect("one")));
            let own = own.or_default();
            match what {
                What::Raised => own.push((now, None)),
                What::Over => own.last_mut().expect("it was raised").1 = Some(now),
                // From its beginning on nobody could know.
                What::Passed => own.push((now, Some(now))),
                What::Reminded => {
                    assert!(own.last().is_some_and(|(_, end)| end.is_none()));
                }
            }
        }
    }
}

fn play(seed: u64) -> (Truth, Told, usize) {
    let mut dice = fastrand::Rng::with_seed(seed);
    let truth = Truth::draw(&mut dice);
    let mut alarms = Alarms::new(Rules::default());
    let mut backlogs = Backlogs::default();
    let mut slow: Vec<_> = (0..3)
        .map(|_| {
            let from = dice.u64(0..5 * DAY);
            let to = from + dice.u64(2..8) * 3600;
            Slow {
                cursor: 0,
                from,
                to,
            }
        })
        .collect();
    let mut told = Told::default();
    let mut end = 0;
    let mut late = 0;
    let mut now = 0;
    while now < WEEK {
        let mut all = Vec::new();
        for (kind, n) in Truth::subjects() {
            if truth.is(kind, n, now) {
                all.push(wrong(kind, n));
            }
        }
        // One event a second; a slow plugin handles half of them, others five.
        let mut cursors = Vec::new();
        for (n, slow) in slow.iter_mut().enumerate() {
            let rate = if (slow.from..slow.to).contains(&now) {
                1
            } else {
                10
            };
            slow.cursor = (slow.cursor + rate * LOOK).min(2 * end);
            cursors.push((plugin(n), slow.cursor / 2));
        }
        for backlog in backlogs.look(Mono::from_secs(now), end, &cursors) {
            late += 1;
            let mut condition = wrong(Kind::Backlog, 0);
            condition.plugin = Some(backlog.plugin);
            all.push(condition);
        }
        let at = Mono::from_secs(now);
        for notice in alarms.look(at, 0, all) {
            told.hear(now, notice);
        }
        // A busy machine looks late.
        let step = if dice.u8(0..20) == 0 {
            dice.u64(1..5)
        } else {
            1
        };
        now += LOOK * step;
        end += LOOK * step;
    }
    assert!(
        alarms.raised(Mono::from_secs(now)).next().is_none(),
        "all is well"
    );
    assert!(late > 0, "nobody fell behind");
    // Whose backlog it was.
    for (n, slow) in slow.iter().enumerate() {
        let own = told
            .spans
            .get(&(Kind::Backlog, plugin(n)))
            .expect("it was told");
        let [(raised, Some(over))] = own[..] else {
            panic!("seed {seed}: {own:?}");
        };
        assert!(
            (slow.from..slow.to).contains(&raised),
            "seed {seed}: {own:?}"
        );
        assert!(over > slow.to, "seed {seed}: {own:?}");
    }
    let happened = truth.0.values().map(Vec::len).sum();
    (truth, told, happened)
}

#[test]
fn alerts_neither_flap_nor_miss_over_a_bad_week() {
    let rules = Rules::default();
    // Late looks, and what is gathered in a storm.
    let slack = 50 + (rules.gather + rules.together).as_secs() + 50;
    for seed in 0..WEEKS {
        let (truth, told, happened) = play(seed);
        assert!(happened > 100, "a good week");
        let none = Vec::new();
        for (kind, n) in Truth::subjects() {
            let waits = rules.of(kind);
            let (raise, over) = (waits.raise.as_secs(), waits.over.as_secs());
            let spans = truth.0.get(&(kind, n)).unwrap_or(&none);
            let own = told
                .spans
                .get(&(kind, plugin(n)))
                .map(Vec::as_slice)
                .unwrap_or_default();
            let place = format!("seed {seed}, {kind:?} of p{n}: {spans:?}, told {own:?}");
            // Nothing missed: what lasts is known while it lasts.
            for (from, to) in spans {
                if to - from < raise + slack {
                    continue;
                }
                let by = from + raise + slack;
                let knows = own
                    .iter()
                    .any(|(at, end)| *at <= by && end.is_none_or(|end| end > by));
                assert!(knows, "{place}: not at {by}");
            }
            for (at, end) in own {
                // Nothing made up: shortly before it was raised it was wrong.
                let is = |at: &u64| truth.is(kind, n, *at);
                assert!(
                    (at.saturating_sub(slack)..=*at).any(|at| is(&at)),
                    "{place}"
                );
                // And nothing stays: it is over when it was well for a while.
                let end = end.unwrap_or_else(|| panic!("{place}: never over"));
                assert!(
                    (end.saturating_sub(over)..=end).all(|at| !is(&at)) || end == *at,
                    "{place}"
                );
                let calm = (rules.calm.as_secs() + slack).min(end);
                let busy = (end - calm..end).any(|at| is(&at));
                assert!(busy || end == *at, "{place}: over late, at {end}");
            }
            // No storm about one thing.
            for (k, (at, _)) in own.iter().enumerate() {
                let hour = own[k..].iter().take_while(|(other, _)| other - at < 3600);
                assert!(hour.count() <= 5, "{place}");
            }
        }
        for (k, at) in told.at.iter().enumerate() {
            let hour = told.at[k..].iter().take_while(|other| *other - at < 3600);
            assert!(hour.count() <= 20, "seed {seed}: a storm at {at}");
        }
    }
}
