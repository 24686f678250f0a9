//! Events that may be what ends slated itself.
//!
//! After an unclean end the first event that the lane would send is suspect. Nobody knows whether it
//! was to blame: so only the third time counts, as one death.
//!
//! Invariant: the suspicion is durable before the event is sent.

use slated_model::{Change, EventId, Failure, FailureKind, Offset, SuspectRow};

use super::input::Effect;
use super::{Context, Lane};

/// So many unclean ends count as one death of an event.
const TIMES: u32 = 3;

impl Lane {
    /// Says that slated ended without having come to its end before this lane was taken up.
    pub const fn after_unclean_end(&mut self) {
        self.unclean = true;
    }

    /// Suspects the first event after an unclean end, which is about to be sent. Tells whether it
    /// may be: else it waits until the suspicion is durable, or for what follows on a death.
    pub(super) fn is_beyond_suspicion(
        &mut self,
        at: Context<'_>,
        event: EventId,
        offset: Offset,
        out: &mut Vec<Effect>,
    ) -> bool {
        if !std::mem::take(&mut self.unclean) {
            return true;
        }
        let before = self.row.suspect.filter(|suspect| suspect.event == event);
        let times = before.map_or(0, |suspect| suspect.times) + 1;
        self.row.suspect = (times < TIMES).then_some(SuspectRow { event, times });
        let ticket = self.record(vec![Change::Lane(self.row())], out);
        self.await_durable(Some(ticket));
        if times < TIMES {
            return false;
        }
        let work = self.work.get(&offset);
        if let Some(callback) = work.and_then(|work| work.open.first()).cloned() {
            let failure = Failure {
                kind: FailureKind::Death,
                error: "slated ended".into(),
                message: format!(
                    "{TIMES} times slated itself ended uncleanly, and this event was the first without an outcome"
                ),
                traceback: String::new(),
                locals: None,
                cause: None,
                us: None,
                log: Vec::new(),
            };
            let ticket = self.ended_slated(at, (event, offset, callback), failure, out);
            self.await_durable(ticket);
        }
        false
    }

    /// Forgets the suspicion of an event with which the lane has finished.
    pub(super) fn clear_suspect(&mut self, event: EventId) -> Option<Change> {
        let suspect = self.row.suspect.take_if(|suspect| suspect.event == event);
        suspect.map(|_| Change::Lane(self.row()))
    }
}
