//! What the service manager is told (`sd_notify(3)`): that slated is ready, reads its configuration
//! again, stops, and, as long as the dispatcher turns, that it lives.
//!
//! Without `NOTIFY_SOCKET` all of it does nothing. What could not be said is not worth an error: the
//! manager acts on its silence.

use std::time::Duration;

use sd_notify::NotifyState;
use slated_core::Mono;

/// The variables by which a service manager speaks to slated alone: no plugin may answer for it.
pub(crate) const VARIABLES: [&str; 7] = [
    super::init::CHILD,
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
];

/// How often the status line is renewed.
const STATUS: Duration = Duration::from_secs(10);

/// Everything runs.
pub(crate) fn ready() {
    say(&[NotifyState::Ready]);
}

/// Another slated runs on the state. Nobody is to take the wait for a start that hangs.
pub(crate) fn standing_by() {
    let status = NotifyState::Status("Standing by: another slated runs on the state.");
    say(&[NotifyState::Ready, status, NotifyState::Watchdog]);
}

/// The configuration is read again; [`ready`] says when that is done.
pub(crate) fn reloading() {
    // The manager tells this reload from the one before by the time.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        say(&[NotifyState::Reloading, now]);
    }
}

/// A clean stop has begun, and may take so long.
pub(crate) fn stopping(at_most: Duration) {
    let us = u32::try_from(at_most.as_micros()).unwrap_or(u32::MAX);
    let status = NotifyState::Status("Stopping: callbacks in flight finish.");
    say(&[
        NotifyState::Stopping,
        NotifyState::ExtendTimeoutUsec(us),
        status,
    ]);
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("The service manager could not be told: {error}.");
    }
}

/// The sign of life of whoever holds it, given by every turn of its loop.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// From one beat to the next; `None`: nobody listens.
    every: Option<Duration>,
    next: Mono,
}

impl Pulse {
    /// Beats as often as the service manager wants it, and often enough for its status line.
    pub(crate) fn asked_for() -> Self {
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some();
        // Three times as often as is asked for: two may come late.
        let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 3);
        let every = watchdog.map_or(STATUS, |every| every.min(STATUS));
        Self {
            every: listens.then_some(every),
            next: Mono::ZERO,
        }
    }

    /// Returns when it is to beat next.
    pub(crate) fn wake_at(&self) -> Mono {
        self.every.map_or(Mono::NEVER, |_| self.next)
    }

    /// Beats if it is time, with a line that says how things are.
    pub(crate) fn beat(&mut self, now: Mono, status: impl FnOnce() -> String) {
        let Some(every) = self.every.filter(|_| now >= self.next) else {
            return;
        };
        self.next = now + every;
        let status = status();
        say(&[NotifyState::Watchdog, NotifyState::Status(&status)]);
    }
}
