//! SIGTERM and Ctrl-C, the same for every command that goes on until it is told to end.
//!
//! SIGUSR1 is the word of `slated stop`: a stop like SIGTERM, however often it comes. Two that ask
//! for one stop must not end callbacks in flight, as two signals of one impatient person do.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::end;
use crate::error::CommandError;

/// SIGTERM, Ctrl-C and SIGUSR1, from the moment it is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    stop: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, CommandError> {
        let fail = |e| CommandError::internal(format!("cannot listen to signals: {e}"));
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(fail)?,
            interrupt: signal(SignalKind::interrupt()).map_err(fail)?,
            stop: signal(SignalKind::user_defined1()).map_err(fail)?,
        })
    }

    /// Waits for the next one; returns its number if a second one is to end the process.
    pub(crate) async fn next(&mut self) -> Option<i32> {
        tokio::select! {
            _ = self.terminate.recv() => Some(15),
            _ = self.interrupt.recv() => Some(2),
            _ = self.stop.recv() => None,
        }
    }

    /// Cancels `stop` at the next one, and ends the process at the one after.
    pub(crate) fn stop(mut self, stop: CancellationToken) {
        tokio::spawn(async move {
            self.next().await;
            stop.cancel();
            loop {
                if let Some(signal) = self.next().await {
                    end::at_once(128 + signal);
                }
            }
        });
    }
}

/// Leaves Ctrl-C to whoever else has the terminal: it no longer ends this process.
pub(crate) fn leave_interrupts() -> Result<(), CommandError> {
    // Once it was listened to, the system's own answer does not come back.
    let listened = signal(SignalKind::interrupt()).map(drop);
    listened.map_err(|e| CommandError::internal(format!("cannot listen to signals: {e}")))
}

/// Calls `act` at every SIGHUP, which then no longer ends the process.
pub(crate) fn on_hangup(act: impl Fn() + Send + 'static) -> Result<(), CommandError> {
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|e| CommandError::internal(format!("cannot listen to SIGHUP: {e}")))?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            act();
        }
    });
    Ok(())
}
