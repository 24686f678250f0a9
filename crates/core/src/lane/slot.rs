//! The lane's slot, where only so many plugins may be called at the same time.
//!
//! A lane takes a slot to send an event, and has it until nothing of it is out. A call that takes
//! too long gives it back at once. Those who find none free wait in a queue, in the order in which
//! they came.
//!
//! Invariant: while anybody waits, a lane sends no more than one window in the slot it has. So a
//! plugin that is sent ahead and never runs dry cannot keep it, and whoever waits sees at most one
//! window of each other plugin. Invariant: a lane that waits is woken whenever fewer stand before it
//! (`among`).

use super::{Context, Lane};

/// How a lane stands to the limit of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// It wants none.
    Idle,
    /// It waits for one, with its number in the queue.
    Waits(u64),
    /// It has one, and sent so many events in it.
    Has { sent: usize },
}

/// How a lane stands in the way of those that wait for a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    occupies: bool,
    queues_at: Option<u64>,
}

impl Stand {
    /// Tells whether it goes before one with this number.
    pub(super) fn is_before(self, number: u64) -> bool {
        self.occupies || self.queues_at.is_some_and(|mine| mine < number)
    }
}

impl Lane {
    /// Tells whether the lane may send an event, among as many as may be called at the same time.
    /// `waited` is its number where it waited for that already.
    pub(super) fn may_call(&mut self, at: Context<'_>, waited: Option<u64>) -> bool {
        if !at.gate.limits_calls() {
            return true;
        }
        match self.slot {
            Slot::Has { sent } if sent < self.window || !at.peers.queue() => {
                self.slot = Slot::Has { sent: sent + 1 };
                return true;
            }
            // It has the slot until what is out has been answered.
            Slot::Has { .. } if !self.flights.is_empty() => return false,
            // A plugin that hangs is sent no more before its answer.
            Slot::Idle | Slot::Waits(_) if self.call_is_long(at) => return false,
            Slot::Idle | Slot::Waits(_) if at.gate.has_slot(at.now, waited, at.peers) => {
                self.slot = Slot::Has { sent: 1 };
                return true;
            }
            Slot::Has { .. } | Slot::Idle | Slot::Waits(_) => {}
        }
        self.slot = Slot::Waits(waited.unwrap_or_else(|| at.peers.next_number()));
        false
    }

    /// Leaves the queue, and returns the number it had there: it may want nothing any more.
    pub(super) fn leave_queue(&mut self) -> Option<u64> {
        let Slot::Waits(number) = self.slot else {
            return None;
        };
        self.slot = Slot::Idle;
        Some(number)
    }

    /// Gives the slot back that a call has kept for too long.
    pub(super) fn mind_the_slot(&mut self, at: Context<'_>) {
        if matches!(self.slot, Slot::Has { .. }) && self.call_is_long(at) {
            self.slot = Slot::Idle;
        }
    }

    /// Keeps the time of the call that is out, and whether it counts among those that may be.
    pub(super) fn mind_the_call(&mut self, at: Context<'_>) {
        if self.flights.is_empty() {
            self.calling_since = None;
            if matches!(self.slot, Slot::Has { .. }) {
                self.slot = Slot::Idle;
            }
        } else {
            self.calling_since.get_or_insert(at.now);
        }
        self.occupies = at.gate.occupies(at.now, self);
    }

    /// Tells whether a call has been out for as long as others wait.
    pub(super) fn call_is_long(&self, at: Context<'_>) -> bool {
        self.calling_since
            .is_some_and(|since| at.gate.is_long(at.now, since))
    }

    /// Returns how it stood in the way of others after its last step.
    pub(super) const fn stand(&self) -> Stand {
        Stand {
            occupies: self.occupies,
            queues_at: self.number(),
        }
    }

    /// Returns its number among those that wait for a slot, if it does.
    pub(super) const fn number(&self) -> Option<u64> {
        match self.slot {
            Slot::Waits(number) => Some(number),
            Slot::Idle | Slot::Has { .. } => None,
        }
    }
}
