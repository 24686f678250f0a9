//! The order between plugins: who waits for whom at an event (ARCHITECTURE.md, "Order").
//!
//! One gate serves the three values of `order`. A lane asks it before it sends an event for the
//! first time, and shows it the lanes beside itself as [`Peer`]s; the gate keeps nothing of them, so
//! nothing here can be out of date. It is asked again after every answer and change of state.
//!
//! Invariant: a lane waits only for lanes before it in the documented order, and under
//! [`Order::Serial`] for earlier events of any lane. So there is always one that waits for nobody.

use std::time::Duration;

use slated_model::{Offset, Row};

use crate::time::Mono;

/// The configured order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Each lane at its own pace.
    #[default]
    Independent,
    /// For one event the plugins are called in the documented order; different events move
    /// through different plugins at the same time.
    Pipelined,
    /// One event at a time through all plugins, as the Python daemon does.
    Serial,
}

/// How lanes heed each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// The order.
    pub order: Order,
    /// How long a lane waits for those before it; also the time after which a call counts for
    /// nothing any more. `None`: for ever.
    pub wait: Option<Duration>,
    /// How many plugins may be called at the same time; 0: all.
    pub calls: usize,
}

/// What the gate sees of a lane.
pub trait Peer {
    /// Returns the offset after which the lane stands in line; `None` if it does not.
    fn in_line_from(&self) -> Option<Offset>;
    /// Tells whether it wants the row, and has not given a first answer to it.
    fn owes(&self, row: &Row) -> bool;
    /// Tells whether it owes a row after `from` and before `to`, or has not looked at all of them.
    fn owes_between(&self, from: Offset, to: Offset) -> bool;
    /// Returns when the call that is out began: at the last answer, or when it was sent.
    fn calling_since(&self) -> Option<Mono>;
    /// Returns its number among those that wait for a slot, if it does: the lowest goes first.
    fn queues_at(&self) -> Option<u64>;
}

/// The lanes beside one, with their places in the dispatcher's list.
#[derive(Clone, Copy, Default)]
pub struct Peers<'a> {
    /// Those before it in the documented order.
    pub before: &'a [(usize, &'a dyn Peer)],
    /// Those after it.
    pub after: &'a [(usize, &'a dyn Peer)],
}

impl<'a> Peers<'a> {
    fn all(self) -> impl Iterator<Item = &'a dyn Peer> {
        self.before.iter().chain(self.after).map(|(_, peer)| *peer)
    }
    /// Tells whether anybody waits for a slot.
    pub fn queue(self) -> bool {
        self.all().any(|peer| peer.queues_at().is_some())
    }
    /// Returns the number of whoever comes to wait for a slot now: behind all others.
    pub fn next_number(self) -> u64 {
        let last = self.all().filter_map(Peer::queues_at).max();
        last.map_or(0, |last| last + 1)
    }
}

/// The gate between lanes, one for the daemon.
#[derive(Clone, Debug)]
pub struct Gate {
    rules: Rules,
    begun: bool,
    paused: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl Gate {
    /// Makes the gate of some rules. Where there is an order, nobody goes before [`Gate::begin`].
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            begun: matches!(rules.order, Order::Independent),
            paused: false,
        }
    }
    /// Takes over how long lanes wait and how many calls may be out. The order itself stays: lanes
    /// that stand in line would have to be led out of it. Every lane wants to be asked again.
    pub const fn set_limits(&mut self, rules: Rules) {
        self.rules.wait = rules.wait;
        self.rules.calls = rules.calls;
    }
    /// Lets dispatch begin: every plugin is ready, has failed to load, or was waited for in vain.
    pub const fn begin(&mut self) {
        self.begun = true;
    }
    /// Tells whether dispatch has begun.
    pub const fn has_begun(&self) -> bool {
        self.begun
    }
    /// Lets nobody send anything, not even another attempt: what came of it could not be written.
    pub const fn pause(&mut self) {
        self.paused = true;
    }
    /// Ends a pause. Every lane wants to be asked again.
    pub const fn go_on(&mut self) {
        self.paused = false;
    }
    /// Tells whether nothing may be sent.
    pub const fn is_paused(&self) -> bool {
        self.paused
    }
    /// Tells whether lanes wait for each other at all.
    pub const fn orders(&self) -> bool {
        !matches!(self.rules.order, Order::Independent)
    }
    /// Tells whether one event at a time goes through all plugins.
    pub const fn is_serial(&self) -> bool {
        matches!(self.rules.order, Order::Serial)
    }
    /// Tells whether a lane's step depends on the lanes beside it.
    pub const fn heeds_peers(&self) -> bool {
        self.orders() || self.rules.calls > 0
    }
    /// Returns the moment at which what began at `since` has been waited for long enough.
    pub fn patience_ends(&self, since: Mono) -> Option<Mono> {
        self.rules.wait.map(|wait| since + wait)
    }
    /// Tells whether what began at `since` has been waited for long enough.
    pub fn is_long(&self, now: Mono, since: Mono) -> bool {
        self.patience_ends(since).is_some_and(|end| now >= end)
    }

    /// Tells whether a lane must wait at a row for `peer`, which stands before it (`earlier`) or
    /// after it in the documented order.
    pub fn holds_up(&self, peer: &dyn Peer, earlier: bool, row: &Row) -> bool {
        let Some(from) = peer.in_line_from().filter(|_| self.orders()) else {
            return false;
        };
        (earlier && row.offset > from && peer.owes(row))
            || (self.is_serial() && peer.owes_between(from, row.offset))
    }

    /// Returns who must give an answer before a lane may send a row, by their places.
    pub fn waits_for<'a>(&'a self, peers: Peers<'a>, row: &'a Row) -> impl Iterator<Item = usize> {
        let before = peers.before.iter().map(|(place, peer)| (place, peer, true));
        let after = peers.after.iter().map(|(place, peer)| (place, peer, false));
        before
            .chain(after)
            .filter(|(_, peer, earlier)| self.holds_up(**peer, *earlier, row))
            .map(|(place, ..)| *place)
    }

    /// Tells whether only so many lanes may be called at the same time.
    pub const fn limits_calls(&self) -> bool {
        self.rules.calls > 0
    }

    /// Tells whether a lane that has no slot may take one. `number` is its own where it waits
    /// already; without one everybody who waits goes first.
    pub fn has_slot(&self, now: Mono, number: Option<u64>, peers: Peers<'_>) -> bool {
        let first = |peer: &dyn Peer| {
            let theirs = peer.queues_at();
            theirs.is_some_and(|theirs| number.is_none_or(|mine| theirs < mine))
        };
        let counts = |peer: &&dyn Peer| self.occupies(now, *peer) || first(*peer);
        peers.all().filter(counts).count() < self.rules.calls
    }

    /// Tells whether a lane has a call out that counts.
    pub fn occupies(&self, now: Mono, peer: &dyn Peer) -> bool {
        let since = peer.calling_since();
        since.is_some_and(|since| !self.is_long(now, since))
    }
}

#[cfg(test)]
mod tests {
    use slated_model::{Event, EventId};

    use super::*;

    /// One that owes everything and is in line after an offset.
    struct After(Option<Offset>);

    impl Peer for After {
        fn in_line_from(&self) -> Option<Offset> {
            self.0
        }
        fn owes(&self, _: &Row) -> bool {
            true
        }
        fn owes_between(&self, from: Offset, to: Offset) -> bool {
            from.next() < to
        }
        fn calling_since(&self) -> Option<Mono> {
            None
        }
        fn queues_at(&self) -> Option<u64> {
            None
        }
    }

    #[test]
    fn a_plugin_waits_for_those_in_line_before_it_and_one_at_a_time_for_all() {
        let in_line = After(Some(Offset(7)));
        let out = After(None);
        // Pipelined: whether it holds up one behind it, one before it; serial: the same.
        for (peer, offset, wanted) in [
            (&in_line, 7, [false, false, false, false]),
            (&in_line, 8, [true, false, true, false]),
            (&in_line, 9, [true, false, true, true]),
            (&out, 9, [false; 4]),
        ] {
            let row = Row {
                offset: Offset(offset),
                late: false,
                event: Event::unreadable(EventId(100 + offset), ""),
            };
            let holds_up = |order, earlier| {
                let rules = Rules {
                    order,
                    ..Rules::default()
                };
                Gate::new(rules).holds_up(peer, earlier, &row)
            };
            let got = [Order::Pipelined, Order::Serial]
                .map(|order| [true, false].map(|earlier| holds_up(order, earlier)));
            assert_eq!(got.concat(), wanted, "{:?} {offset}", peer.0);
            assert!(!holds_up(Order::Independent, true));
        }
    }
}
