//! A unit that failed before: how often, since when, and when it may run again.

use slated_model::{Attempt, CallbackId, EventId, Failure, FailureKind, Offset, PluginId};

use crate::retry::Record;
use crate::time::Mono;
use std::time::Duration;

/// An attempt on record, with the moments that only this process knows.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) attempt: Attempt,
    /// When it may run again.
    pub(super) due: Mono,
    /// When `attempt` was brought up to date.
    written: Mono,
}

impl Trial {
    pub(super) fn restored(attempt: Attempt, now: Mono) -> Self {
        Self {
            due: now + Duration::from_millis(attempt.left_ms),
            attempt,
            written: now,
        }
    }

    /// Counts a failure in; the first one makes the trial.
    pub(super) fn after(
        before: Option<Self>,
        unit: (&PluginId, &CallbackId, EventId, Offset),
        failure: &Failure,
        now: Mono,
        wall_ms: i64,
    ) -> Self {
        let (failed, deaths, since_ms) = before.map_or((0, 0, 0), |t| {
            let passed = if t.attempt.failed == 0 {
                0
            } else {
                millis(now.since(t.written))
            };
            (
                t.attempt.failed,
                t.attempt.deaths,
                t.attempt.since_ms + passed,
            )
        });
        let attempt = Attempt {
            plugin: unit.0.clone(),
            callback: unit.1.clone(),
            event: unit.2,
            offset: unit.3,
            aside: false,
            failed: failed + 1,
            deaths: deaths + u32::from(failure.kind == FailureKind::Death),
            since_ms,
            left_ms: 0,
            failure: failure.clone(),
            at_ms: wall_ms,
        };
        Self {
            attempt,
            due: now,
            written: now,
        }
    }

    pub(super) fn record(&self, without_site: Duration) -> Record {
        Record {
            without_site,
            failed: self.attempt.failed,
            deaths: self.attempt.deaths,
            since: Duration::from_millis(self.attempt.since_ms),
        }
    }

    pub(super) fn wait(&mut self, wait: Duration, aside: bool) {
        self.due = self.written + wait;
        self.attempt.left_ms = millis(wait);
        self.attempt.aside = aside;
    }

    /// Brings the record up to date with the back-off that went by. Tells whether it changed.
    pub(super) fn wait_on(&mut self, now: Mono) -> bool {
        let passed = millis(now.since(self.written));
        self.attempt.since_ms += passed;
        self.attempt.left_ms = millis(now.until(self.due));
        self.written = now;
        passed > 0
    }

    /// Begins anew, after a person or an edit ended a hold.
    pub(super) fn renew(&mut self, now: Mono) {
        self.attempt.failed = 0;
        self.attempt.deaths = 0;
        self.attempt.since_ms = 0;
        self.attempt.left_ms = 0;
        self.due = now;
        self.written = now;
    }

    pub(super) fn is_of(&self, event: EventId, callback: &CallbackId) -> bool {
        self.attempt.event == event && self.attempt.callback == *callback
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
