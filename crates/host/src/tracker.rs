//! What a worker was sent and has not answered. Decides nothing and knows no process.

use std::collections::VecDeque;

use slated_wire::CallResult;
use tokio::time::Instant;

/// Frames in flight, in the order they were sent.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    flying: VecDeque<Flight>,
    /// The turn the worker drops.
    dropped: Option<u64>,
    /// Since when the call in front is out: the previous answer, or its sending if idle.
    since: Option<Instant>,
}

#[derive(Debug)]
struct Flight {
    seq: u64,
    turn: u64,
    /// Callbacks without an answer.
    due: VecDeque<u32>,
    stopped: bool,
}

/// The call a worker is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) seq: u64,
    pub(crate) n: u32,
    pub(crate) since: Instant,
}

impl Tracker {
    /// Returns how many frames are in flight.
    pub(crate) fn len(&self) -> usize {
        self.flying.len()
    }
    /// Takes note of a frame; false where the worker would drop it, so that there is no use
    /// in sending it.
    pub(crate) fn sent(&mut self, now: Instant, seq: u64, turn: u64, callbacks: &[u32]) -> bool {
        if self.dropped == Some(turn) {
            return false;
        }
        self.flying.push_back(Flight {
            seq,
            turn,
            due: callbacks.iter().copied().collect(),
            stopped: false,
        });
        self.since.get_or_insert(now);
        true
    }
    /// Takes note of an answer. An error says what is wrong with it.
    pub(crate) fn result(&mut self, now: Instant, result: &CallResult) -> Result<(), String> {
        let (seq, n) = (result.seq, result.n);
        let fits = |flight: &&mut Flight| flight.seq == seq && flight.due.front() == Some(&n);
        let Some(flight) = self.flying.front_mut().filter(fits) else {
            return Err(format!(
                "an answer for callback {n} of frame {seq}, which is not due"
            ));
        };
        flight.due.pop_front();
        flight.stopped |= result.stop;
        self.since = Some(now);
        Ok(())
    }
    /// Takes note of the end of a frame. An error says what is wrong with it.
    pub(crate) fn done(&mut self, now: Instant, seq: u64) -> Result<(), String> {
        let ended = |f: &mut Flight| f.seq == seq && (f.stopped || f.due.is_empty());
        let Some(flight) = self.flying.pop_front_if(ended) else {
            return Err(format!("`done` for frame {seq}, which is not done"));
        };
        if flight.stopped {
            self.dropped = Some(flight.turn);
            self.flying.retain(|other| other.turn != flight.turn);
        }
        self.since = (!self.flying.is_empty()).then_some(now);
        Ok(())
    }
    /// Returns the call the worker is busy with.
    pub(crate) fn current(&self) -> Option<Current> {
        let flight = self.flying.front()?;
        Some(Current {
            seq: flight.seq,
            n: *flight.due.front()?,
            since: self.since?,
        })
    }
    /// Returns since when an answer of any kind is awaited.
    pub(crate) const fn since(&self) -> Option<Instant> {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(seq: u64, n: u32, stop: bool) -> CallResult {
        CallResult {
            seq,
            n,
            us: 1,
            error: None,
            stop,
        }
    }

    #[test]
    fn the_clock_of_a_call_starts_at_the_previous_answer() {
        let start = Instant::now();
        let later = |ms| start + Duration::from_millis(ms);
        let mut tracker = Tracker::default();
        assert_eq!(tracker.since(), None);
        assert!(tracker.sent(start, 1, 1, &[0, 1]));
        assert!(tracker.sent(later(5), 2, 1, &[0]));
        assert_eq!(tracker.since(), Some(start));
        tracker.result(later(10), &answer(1, 0, false)).unwrap();
        let current = Current {
            seq: 1,
            n: 1,
            since: later(10),
        };
        assert_eq!(tracker.current(), Some(current));
        tracker.result(later(20), &answer(1, 1, false)).unwrap();
        tracker.done(later(21), 1).unwrap();
        assert_eq!(tracker.since(), Some(later(21)));
        tracker.result(later(30), &answer(2, 0, false)).unwrap();
        tracker.done(later(30), 2).unwrap();
        assert_eq!((tracker.since(), tracker.len()), (None, 0));
    }

    #[test]
    fn a_stop_voids_the_rest_of_its_turn_and_nothing_else() {
        let now = Instant::now();
        let mut tracker = Tracker::default();
        for seq in [1, 2] {
            assert!(tracker.sent(now, seq, 7, &[0, 1]));
        }
        tracker.result(now, &answer(1, 0, true)).unwrap();
        tracker.done(now, 1).unwrap();
        assert_eq!((tracker.len(), tracker.since()), (0, None));
        assert!(!tracker.sent(now, 3, 7, &[0]));
        assert!(tracker.sent(now, 4, 8, &[0]));
    }

    #[test]
    fn answers_come_in_order_or_not_at_all() {
        let now = Instant::now();
        let mut tracker = Tracker::default();
        assert!(tracker.result(now, &answer(1, 0, false)).is_err());
        tracker.sent(now, 1, 1, &[0, 1]);
        tracker.sent(now, 2, 1, &[0]);
        assert!(tracker.result(now, &answer(1, 1, false)).is_err());
        assert!(tracker.result(now, &answer(2, 0, false)).is_err());
        assert!(tracker.done(now, 1).is_err());
    }
}
