//! When mail about errors goes out: what is alike is one group, whose first goes at once, and whose
//! next ones are told together, ever more rarely.
//!
//! A group is what one plugin said with one fingerprint. After its first letter its next ones wait
//! for [`Rules::gaps`]; after [`Rules::quiet`] without any it begins anew. Letters go out one at a
//! time. One that does not get through comes back, and is told with whatever came since.
//!
//! Invariants: everything heard is in one letter that got through, or waits for it, and in no two;
//! only [`Digests::take`] gives letters away. However many fingerprints a plugin makes, it has
//! [`Rules::groups`] groups and one more for the rest, and all examples together take
//! [`Rules::memory`] bytes and one shortened example for each group and letter.
//!
//! Not here: what a letter looks like, and how it travels.

mod pile;

use std::collections::BTreeMap;
use std::time::Duration;

use slated_model::{EventId, PluginId};

use crate::Mono;
pub use pile::{Example, Pile};

/// How mail is spaced.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long after its first, second and every later letter a group waits.
    pub gaps: [Duration; 3],
    /// After how long without anything a group begins anew.
    pub quiet: Duration,
    /// Groups of one plugin; what comes beyond is one group more.
    pub groups: usize,
    /// Bytes of examples, beyond which they are shortened.
    pub memory: usize,
    /// How long a letter waits that was refused, and everything when no letter gets through: the
    /// first time, and at most.
    pub again: (Duration, Duration),
}

impl Default for Rules {
    fn default() -> Self {
        let minutes = |m: u64| Duration::from_secs(60 * m);
        Self {
            gaps: [minutes(10), minutes(60), minutes(24 * 60)],
            quiet: minutes(6 * 60),
            groups: 10,
            memory: 8 << 20,
            again: (Duration::from_secs(2), minutes(10)),
        }
    }
}

/// What makes two things alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic {
    /// Whose it is; `None`: slated's own.
    pub plugin: Option<PluginId>,
    /// The fingerprint; empty for all that are too many to be told apart.
    pub print: String,
}

/// Something that is to be mailed.
#[derive(Clone, Debug)]
pub struct Heard<T> {
    /// What it is like.
    pub topic: Topic,
    /// Who gets it; the newest of a group counts for all of it.
    pub to: Vec<String>,
    /// The event it is about.
    pub event: Option<EventId>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// All there is to tell.
    pub example: T,
}

/// What a letter says of one group.
#[derive(Debug)]
pub struct Part<T> {
    /// The group.
    pub topic: Topic,
    /// How many letters there were of it since it began.
    pub letters: u32,
    /// What happened.
    pub pile: Pile<T>,
}

/// A letter that is to be sent. Give it back with [`Digests::settle`].
#[derive(Debug)]
#[must_use = "a letter that is not settled holds up all others"]
pub struct Letter<T> {
    /// Who gets it.
    pub to: Vec<String>,
    /// What it says, never nothing; several groups after a time without mail and at the end.
    pub parts: Vec<Part<T>>,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server took it.
    Sent,
    /// The server does not want this one; others may go.
    Refused,
    /// No letter gets through.
    Stuck,
}

#[derive(Debug)]
struct Group<T> {
    to: Vec<String>,
    pending: Option<Pile<T>>,
    /// Letters since it began.
    letters: u32,
    /// Letters refused since the last one that was sent.
    refused: u32,
    /// Before this no letter goes.
    next: Mono,
    /// When the newest came.
    newest: Mono,
    /// Whether a letter of it is out.
    out: bool,
}

/// All groups.
#[derive(Debug)]
pub struct Digests<T> {
    rules: Rules,
    groups: BTreeMap<Topic, Group<T>>,
    /// Whether a letter is out.
    out: bool,
    /// How often no letter got through since one did.
    stuck: u32,
    /// Before this none is tried.
    held_until: Mono,
    /// Whether all that waits is to go now.
    draining: bool,
}

impl<T: Example> Digests<T> {
    /// Begins with nothing to tell.
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            groups: BTreeMap::new(),
            out: false,
            stuck: 0,
            held_until: Mono::ZERO,
            draining: false,
        }
    }

    /// Takes in what happened.
    pub fn hear(&mut self, now: Mono, heard: Heard<T>) {
        let Heard {
            mut topic,
            to,
            event,
            at_ms,
            example,
        } = heard;
        if !self.groups.contains_key(&topic) {
            self.forget(now);
            let own = self.groups.keys().filter(|t| t.plugin == topic.plugin);
            if own.filter(|t| !t.print.is_empty()).count() >= self.rules.groups {
                topic.print.clear();
            }
        }
        let room = self.room();
        let group = self.groups.entry(topic).or_insert_with(|| Group::new(now));
        if group.pending.is_none() && !group.out && group.is_quiet(now, self.rules.quiet) {
            *group = Group::new(now);
        }
        group.newest = now;
        group.to = to;
        let new = Pile::new(event, at_ms, example);
        match &mut group.pending {
            Some(pile) => pile.append(new, room),
            none => *none = Some(new.within(room)),
        }
    }

    /// Lets the groups of a plugin begin anew: somebody works on it, and wants to hear.
    pub fn renew(&mut self, now: Mono, plugin: &PluginId) {
        let own = |topic: &Topic| topic.plugin.as_ref() == Some(plugin);
        let groups = self.groups.iter_mut().filter(|(topic, _)| own(topic));
        for (_, group) in groups {
            group.letters = 0;
            if group.refused == 0 {
                group.next = group.next.min(now);
            }
        }
    }

    /// Lets everything that waits go as soon as it is taken, whatever it waits for.
    pub const fn drain(&mut self) {
        self.draining = true;
    }

    /// Returns a letter that is due, unless one is out.
    pub fn take(&mut self, now: Mono) -> Option<Letter<T>> {
        if self.out || self.is_held(now) {
            return None;
        }
        let draining = self.draining;
        let is_due = |g: &Group<T>| g.pending.is_some() && g.due(draining) <= now;
        let due = self.groups.iter().filter(|(_, group)| is_due(group));
        // Who waits longest is first.
        let (first, group) = due.min_by_key(|(_, group)| group.next)?;
        let (first, to) = (first.clone(), group.to.clone());
        let together = self.draining || self.stuck > 0;
        let mut parts = Vec::new();
        for (topic, group) in &mut self.groups {
            let goes = *topic == first || (together && group.to == to);
            if goes
                && is_due(group)
                && let Some(pile) = group.pending.take()
            {
                group.out = true;
                parts.push(Part {
                    topic: topic.clone(),
                    letters: group.letters,
                    pile,
                });
            }
        }
        self.out = true;
        Some(Letter { to, parts })
    }

    /// Takes back a letter, with what became of it.
    pub fn settle(&mut self, now: Mono, letter: Letter<T>, fate: Fate) {
        self.out = false;
        self.fared(now, fate);
        let (first, most) = self.rules.again;
        for part in letter.parts {
            let old = self.groups.get_mut(&part.topic);
            let since = old.and_then(|group| group.pending.take());
            let room = self.room();
            let group = self.groups.entry(part.topic);
            let group = group.or_insert_with(|| Group::new(now));
            group.out = false;
            if fate == Fate::Sent {
                let step = usize::try_from(group.letters).unwrap_or(usize::MAX);
                let [.., last] = self.rules.gaps;
                group.letters = group.letters.saturating_add(1);
                group.refused = 0;
                group.next = now + self.rules.gaps.get(step).copied().unwrap_or(last);
                group.pending = since;
                continue;
            }
            if fate == Fate::Refused {
                group.next = now + backoff(first, most, group.refused);
                group.refused = group.refused.saturating_add(1);
            }
            let mut pile = part.pile.within(room);
            if let Some(since) = since {
                let room = room.saturating_sub(pile.size());
                pile.append(since, room);
            }
            group.pending = Some(pile);
        }
    }

    /// Takes in what became of a letter of another kind, by the same server.
    pub fn fared(&mut self, now: Mono, fate: Fate) {
        let (first, most) = self.rules.again;
        if fate == Fate::Stuck {
            self.held_until = now + backoff(first, most, self.stuck);
            self.stuck = self.stuck.saturating_add(1);
        } else {
            self.held_until = now;
            self.stuck = 0;
        }
    }

    /// Tells whether no letter of any kind is to be tried yet.
    pub fn is_held(&self, now: Mono) -> bool {
        now < self.held_until && !self.draining
    }

    /// Returns before which moment none is to be tried.
    pub const fn held_until(&self) -> Mono {
        self.held_until
    }

    /// Returns when a letter is due next; `None`: when one is settled, or something is heard.
    pub fn next(&self) -> Option<Mono> {
        if self.out {
            return None;
        }
        let waiting = self.groups.values().filter(|g| g.pending.is_some());
        let next = waiting.map(|group| group.due(self.draining)).min()?;
        Some(if self.draining {
            next
        } else {
            next.max(self.held_until)
        })
    }

    /// Returns how many things wait for a letter, without those in one that is out.
    pub fn waiting(&self) -> u64 {
        let piles = self.groups.values().filter_map(|g| g.pending.as_ref());
        piles.map(|pile| pile.count).sum()
    }

    /// Returns how many bytes of examples there is room for.
    fn room(&self) -> usize {
        let piles = self.groups.values().filter_map(|g| g.pending.as_ref());
        let used: usize = piles.map(Pile::size).sum();
        self.rules.memory.saturating_sub(used)
    }

    /// Lets go of groups that have been quiet.
    fn forget(&mut self, now: Mono) {
        let quiet = self.rules.quiet;
        self.groups
            .retain(|_, g| g.pending.is_some() || g.out || !g.is_quiet(now, quiet));
    }
}

impl<T> Group<T> {
    const fn new(now: Mono) -> Self {
        Self {
            to: Vec::new(),
            pending: None,
            letters: 0,
            refused: 0,
            next: now,
            newest: now,
            out: false,
        }
    }
    /// Returns when a letter of it may go. At the end what is refused is not tried on and on.
    const fn due(&self, draining: bool) -> Mono {
        if draining && self.refused == 0 {
            return Mono::ZERO;
        }
        self.next
    }
    fn is_quiet(&self, now: Mono, quiet: Duration) -> bool {
        now.since(self.newest) >= quiet
    }
}

/// Twice as long each time, up to the most.
fn backoff(first: Duration, most: Duration, times: u32) -> Duration {
    first.saturating_mul(1 << times.min(20)).min(most)
}

#[cfg(test)]
mod tests;
