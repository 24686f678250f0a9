//! SIGTERM and Ctrl-C, the same for every command that goes on until it is told to end.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::CommandError;

/// SIGTERM and Ctrl-C, from the moment it is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, CommandError> {
        let fail = |e| CommandError::internal(format!("cannot listen to signals: {e}"));
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(fail)?,
            interrupt: signal(SignalKind::interrupt()).map_err(fail)?,
        })
    }

    /// Waits for the next one; returns its number.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => 15,
            _ = self.interrupt.recv() => 2,
        }
    }

    /// Cancels `stop` at the next one, and ends the process at the one after.
    pub(crate) fn stop(mut self, stop: CancellationToken) {
        tokio::spawn(async move {
            self.next().await;
            stop.cancel();
            at_once(self.next().await);
        });
    }
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

/// Ends without waiting. Workers see their pipe hang up and end themselves; what they had not
/// answered counts as not done.
#[expect(clippy::exit, reason = "a person who asks twice wants no further word")]
fn at_once(signal: i32) {
    std::process::exit(128 + signal)
}
