//! When people are told that something is wrong, and that it is well again.
//!
//! [`Alarms::look`] is given all that is wrong at a moment, and answers with what is to be told.
//! It is not told of changes but of states, so that nothing can be missed for good: what is wrong
//! and was not told is told at a later look.
//!
//! Invariants, each a property test:
//! * what is wrong for [`Waits::raise`] without a break is raised; what never is, never
//! * what was raised is over once, after all was well for [`Waits::over`] without a break
//! * what comes back ever again is one alert that flaps
//! * in no hour more is told than [`Rules::alone`] and what [`Rules::together`] allows; what did not
//!   fit is told in sum, and whatever is still wrong then by name
//! * however many conditions there are, [`Rules::most`] are watched, the others when there is room
//!
//! Not here: what an alert looks like, and how it travels. A restart forgets all of it: what is
//! still wrong is raised anew.

mod backlog;
mod kinds;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use slated_model::{EventId, PluginId};

use crate::Mono;
pub use backlog::{Backlog, Backlogs, many_letters};
pub use kinds::{Kind, Rules, Waits};

const HOUR: Duration = Duration::from_hours(1);

/// Something that is wrong at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What.
    pub kind: Kind,
    /// With which plugin; `None`: with slated or the site.
    pub plugin: Option<PluginId>,
    /// At which event.
    pub event: Option<EventId>,
    /// What it is in a sentence or two, and what may be done.
    pub detail: String,
}

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It began.
    Raised,
    /// It lasts.
    Reminded,
    /// It has ended.
    Over,
    /// It began and ended before there was room to tell.
    Passed,
}

/// Something that is wrong and is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What is wrong, as it was seen last.
    pub condition: Condition,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// For how long it was or has been so.
    pub lasted: Duration,
    /// Whether it comes and goes.
    pub flaps: bool,
    /// How often it began since it was told last.
    pub times: u32,
}

/// Something that is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// One alert.
    One(What, Alert),
    /// Those that there was no room for.
    More(Vec<(What, Alert)>),
}

type Key = (Kind, Option<PluginId>);

/// One condition, over its comings and goings.
#[derive(Debug)]
struct Watch {
    condition: Condition,
    /// Whether it is so now.
    is: bool,
    /// Since when it is so, or is not, without a break.
    turned: Mono,
    /// When it began, and by the wall's clock.
    began: (Mono, i64),
    /// Whether it is raised.
    up: Option<Up>,
    /// When it was raised lately; one more than make it flap at most.
    ups: VecDeque<Mono>,
    /// Whether people take it for raised.
    told: bool,
    /// How often it was raised since it was told last.
    risen: u32,
    /// How long it lasted when it was over.
    lasted: Duration,
    flaps: bool,
}

#[derive(Debug)]
struct Up {
    reminders: usize,
    remind_at: Mono,
}

/// All that is or was wrong lately.
#[derive(Debug)]
pub struct Alarms {
    rules: Rules,
    watches: BTreeMap<Key, Watch>,
    /// When something was told in the last hour.
    told: VecDeque<Mono>,
    /// Since when something waits for room.
    short_since: Option<Mono>,
    /// When those that waited were told last.
    together_at: Option<Mono>,
}

impl Alarms {
    /// Begins with nothing wrong.
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            watches: BTreeMap::new(),
            told: VecDeque::new(),
            short_since: None,
            together_at: None,
        }
    }

    /// Takes in all that is wrong now; returns what is to be told. `at_ms` is the wall's clock.
    pub fn look(&mut self, now: Mono, at_ms: i64, wrong: Vec<Condition>) -> Vec<Notice> {
        self.take_in(now, at_ms, wrong);
        for watch in self.watches.values_mut() {
            watch.decide(now, &self.rules);
        }
        let notices = self.tell(now);
        let within = self.rules.flaps_within;
        self.watches.retain(|_, watch| {
            watch.forget_ups(now, within);
            watch.is || watch.up.is_some() || watch.wants(now).is_some() || !watch.ups.is_empty()
        });
        notices
    }

    /// Returns what is raised, the most urgent first.
    pub fn raised(&self, now: Mono) -> impl Iterator<Item = Alert> {
        let up = self.watches.values().filter(|watch| watch.up.is_some());
        up.map(move |watch| watch.alert(now))
    }

    fn take_in(&mut self, now: Mono, at_ms: i64, wrong: Vec<Condition>) {
        let key = |condition: &Condition| (condition.kind, condition.plugin.clone());
        let mut wrong: BTreeMap<Key, Condition> =
            wrong.into_iter().map(|one| (key(&one), one)).collect();
        for (key, watch) in &mut self.watches {
            watch.see(now, at_ms, wrong.remove(key));
        }
        for (key, condition) in wrong {
            // What is only remembered makes room.
            if self.watches.len() >= self.rules.most {
                let idle = self.watches.iter().find(|(_, watch)| watch.is_idle());
                let Some(idle) = idle.map(|(key, _)| key.clone()) else {
                    break;
                };
                self.watches.remove(&idle);
            }
            self.watches.insert(key, Watch::new(now, at_ms, condition));
        }
    }

    fn tell(&mut self, now: Mono) -> Vec<Notice> {
        while self.told.front().is_some_and(|at| now.since(*at) >= HOUR) {
            self.told.pop_front();
        }
        let mut notices = Vec::new();
        let mut short = Vec::new();
        // News before reminders.
        let wants = |reminders: bool| {
            let wanted = move |watch: &Watch| {
                let what = watch.wants(now)?;
                ((what == What::Reminded) == reminders).then_some(what)
            };
            move |(key, watch): (&Key, &Watch)| Some((key.clone(), wanted(watch)?))
        };
        let news = self.watches.iter().filter_map(wants(false));
        let reminders = self.watches.iter().filter_map(wants(true));
        let all: Vec<_> = news.chain(reminders).collect();
        for (key, what) in all {
            let is_room = self.told.len() < self.rules.alone;
            // Once some wait, later ones wait with them: they are told in one go.
            let waits = self.short_since.is_some() && what != What::Reminded;
            if !is_room || waits || what == What::Passed {
                if what != What::Reminded {
                    short.push((key, what));
                }
                continue;
            }
            if let Some(alert) = self.told_of(&key, what, now) {
                notices.push(Notice::One(what, alert));
                self.told.push_back(now);
            }
        }
        if short.is_empty() {
            self.short_since = None;
            return notices;
        }
        let since = *self.short_since.get_or_insert(now);
        let due = match self.together_at {
            None => since + self.rules.gather,
            Some(last) => (since + self.rules.gather).max(last + self.rules.together),
        };
        if now < due {
            return notices;
        }
        self.short_since = None;
        self.together_at = Some(now);
        self.told.push_back(now);
        let told = short.into_iter().filter_map(|(key, what)| {
            let alert = self.told_of(&key, what, now)?;
            Some((what, alert))
        });
        let mut told: Vec<_> = told.collect();
        notices.push(match told.pop() {
            Some((what, alert)) if told.is_empty() && what != What::Passed => {
                Notice::One(what, alert)
            }
            last => {
                told.extend(last);
                Notice::More(told)
            }
        });
        notices
    }

    /// Takes note that it is told.
    fn told_of(&mut self, key: &Key, what: What, now: Mono) -> Option<Alert> {
        let watch = self.watches.get_mut(key)?;
        let alert = watch.alert(now);
        watch.told = matches!(what, What::Raised | What::Reminded);
        watch.risen = 0;
        if what == What::Reminded
            && let Some(up) = &mut watch.up
        {
            up.reminders += 1;
            up.remind_at = now + nth(&self.rules.reminders, up.reminders);
        }
        Some(alert)
    }
}

impl Watch {
    const fn new(now: Mono, at_ms: i64, condition: Condition) -> Self {
        Self {
            condition,
            is: true,
            turned: now,
            began: (now, at_ms),
            up: None,
            ups: VecDeque::new(),
            told: false,
            risen: 0,
            lasted: Duration::ZERO,
            flaps: false,
        }
    }

    fn see(&mut self, now: Mono, at_ms: i64, condition: Option<Condition>) {
        if self.is != condition.is_some() {
            self.is = condition.is_some();
            self.turned = now;
            if self.is && self.up.is_none() {
                self.began = (now, at_ms);
            }
        }
        if let Some(condition) = condition {
            self.condition = condition;
        }
    }

    fn decide(&mut self, now: Mono, rules: &Rules) {
        let waits = rules.of(self.condition.kind);
        let lasts = now.since(self.turned);
        if self.up.is_none() && self.is && lasts >= waits.raise {
            self.forget_ups(now, rules.flaps_within);
            self.flaps = self.ups.len() >= rules.flaps;
            self.ups.push_back(now);
            self.risen = self.risen.saturating_add(1);
            self.up = Some(Up {
                reminders: 0,
                remind_at: now + nth(&rules.reminders, 0),
            });
        }
        let over = if self.flaps { rules.calm } else { waits.over };
        if self.up.is_some() && !self.is && lasts >= over {
            self.up = None;
            self.lasted = self.turned.since(self.began.0);
        }
    }

    /// Returns what people are to be told of it.
    fn wants(&self, now: Mono) -> Option<What> {
        match (&self.up, self.told) {
            (Some(_), false) => Some(What::Raised),
            (Some(up), true) if self.is && now >= up.remind_at => Some(What::Reminded),
            (None, true) => Some(What::Over),
            (None, false) if self.risen > 0 => Some(What::Passed),
            _ => None,
        }
    }

    fn alert(&self, now: Mono) -> Alert {
        let lasted = match &self.up {
            Some(_) => now.since(self.began.0),
            None => self.lasted,
        };
        Alert {
            condition: self.condition.clone(),
            since_ms: self.began.1,
            lasted,
            flaps: self.flaps,
            times: self.risen,
        }
    }

    fn forget_ups(&mut self, now: Mono, within: Duration) {
        while self.ups.front().is_some_and(|at| now.since(*at) >= within) {
            self.ups.pop_front();
        }
    }

    /// Tells whether it only remembers that it was raised.
    const fn is_idle(&self) -> bool {
        !self.is && self.up.is_none() && !self.told && self.risen == 0
    }
}

/// Returns the n-th span, or the last.
fn nth(spans: &[Duration; 3], n: usize) -> Duration {
    let [.., last] = spans;
    spans.get(n).copied().unwrap_or(*last)
}

#[cfg(test)]
mod tests;
