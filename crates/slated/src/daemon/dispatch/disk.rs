//! The dispatcher and a disk that is full or read-only for a while (promise P8).
//!
//! Invariant: no work without bookkeeping. From the first write that finds no room until the last
//! that was refused has gone through, no lane is sent anything; what is out finishes, and its outcomes
//! wait in memory.

use slated_core::lane;
use slated_store::Error;

use super::Dispatcher;
use crate::daemon::message::Writes;
use crate::tell::Fact;

/// What could not be written, by who wanted it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    journal: Option<Error>,
    intake: Option<Error>,
}

impl Disk {
    fn error(&self) -> Option<&Error> {
        self.journal.as_ref().or(self.intake.as_ref())
    }
    /// Says why nothing can be written, if so.
    pub(super) fn trouble(&self) -> Option<String> {
        self.error().map(ToString::to_string)
    }
}

impl Dispatcher {
    /// Takes note that a write found no room, or that it went through after all.
    pub(super) fn disk(&mut self, who: Writes, error: Option<Error>) {
        let was_full = self.disk.error().is_some();
        match who {
            Writes::Journal => self.disk.journal = error,
            Writes::Intake => self.disk.intake = error,
        }
        match (was_full, self.disk.trouble()) {
            (false, Some(error)) => {
                self.gate.pause();
                self.teller.tell(Fact::StateFailed { error });
            }
            (true, None) => {
                self.gate.go_on();
                self.teller.tell(Fact::StateMended);
                self.all_lanes(&lane::Input::Tick);
            }
            _ => {}
        }
    }

    /// Returns why a stop ends here though not everything is durable: every process is gone, and
    /// there is no room for what they did. Nobody knows when there will be.
    pub(super) fn stops_unwritten(&mut self) -> Option<Error> {
        let alone = self.plugins.iter().all(|p| p.workers.is_empty());
        if self.stopping.is_none() || !alone || self.journal.is_idle() {
            return None;
        }
        let error = self.disk.journal.take()?;
        self.teller.tell(Fact::LeftUnwritten);
        Some(error)
    }
}
