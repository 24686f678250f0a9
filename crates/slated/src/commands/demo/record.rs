//! What a demo observed of the daemon, fact by fact: events, late ones, retries.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use slated_model::{CallbackId, EventId, Failure, PluginId};

use crate::tell::Fact;

/// Everything observed so far.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) seen: BTreeSet<EventId>,
    /// Events that entered the log after higher ids.
    pub(super) late: BTreeSet<EventId>,
    /// Callbacks that finished.
    pub(super) done: u64,
    pub(super) retries: Vec<Retry>,
    /// What went wrong for good, in a line each.
    pub(super) failures: Vec<String>,
}

/// A callback that failed and was to be tried again.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Retry {
    pub(super) plugin: String,
    pub(super) callback: CallbackId,
    pub(super) event: EventId,
    /// Why it failed the last time.
    pub(super) error: String,
    /// Whether the plugin went on meanwhile.
    pub(super) aside: bool,
    /// The attempt that finished; absent while there is none.
    pub(super) done_at_attempt: Option<u32>,
    /// Whether it is still to be tried again.
    #[serde(skip)]
    pub(super) open: bool,
}

impl Record {
    /// Takes a fact.
    pub(super) fn take(&mut self, fact: &Fact) {
        match fact {
            Fact::EventSeen { event, late } => {
                self.seen.insert(event.id);
                if *late {
                    self.late.insert(event.id);
                }
            }
            Fact::RowUnreadable { event } => {
                self.failures.push(format!("event {event} cannot be read"));
            }
            Fact::CallbackDone {
                plugin,
                callback,
                event,
                attempt,
                ..
            } => {
                self.done += 1;
                if let Some(retry) = self.close(plugin, callback, *event) {
                    retry.done_at_attempt = Some(*attempt);
                }
            }
            Fact::CallbackRetried {
                plugin,
                callback,
                event,
                failure,
                aside,
                ..
            } => {
                self.retried((plugin, callback, *event), failure, *aside);
            }
            Fact::DeadLetter {
                plugin,
                callback,
                event,
                failure,
                ..
            }
            | Fact::FailureLogged {
                plugin,
                callback,
                event,
                failure,
            } => {
                self.close(plugin, callback, *event);
                self.failures.push(format!(
                    "{}: event {event}: {}",
                    plugin.stem(),
                    failure.summary()
                ));
            }
            Fact::AttemptDropped {
                plugin,
                callback,
                event,
            } => {
                self.close(plugin, callback, *event);
            }
            Fact::PluginHeld { plugin, hold, .. } => {
                if let (Some(event), Some(callback)) = (hold.event, &hold.callback) {
                    self.close(plugin, callback, event);
                }
                self.failures
                    .push(format!("{} is held: {}", plugin.stem(), hold.reason));
            }
            Fact::PluginBroken { plugin, place, .. } => {
                self.failures
                    .push(format!("{} does not load: {place}", plugin.stem()));
            }
            Fact::PluginQuarantined { plugin } => self
                .failures
                .push(format!("{} is quarantined", plugin.stem())),
            _ => {}
        }
    }

    /// Tells whether something is still to be tried again.
    pub(super) fn has_open_retries(&self) -> bool {
        self.retries.iter().any(|retry| retry.open)
    }

    fn retried(
        &mut self,
        (plugin, callback, event): (&PluginId, &CallbackId, EventId),
        failure: &Failure,
        aside: bool,
    ) {
        let error = failure.summary();
        match self.find(plugin, callback, event) {
            Some(retry) => retry.error = error,
            None => self.retries.push(Retry {
                plugin: plugin.stem().into(),
                callback: callback.clone(),
                event,
                error,
                aside,
                done_at_attempt: None,
                open: true,
            }),
        }
    }

    fn close(
        &mut self,
        plugin: &PluginId,
        callback: &CallbackId,
        event: EventId,
    ) -> Option<&mut Retry> {
        let retry = self.find(plugin, callback, event)?;
        retry.open = false;
        Some(retry)
    }

    fn find(
        &mut self,
        plugin: &PluginId,
        callback: &CallbackId,
        event: EventId,
    ) -> Option<&mut Retry> {
        let mut all = self.retries.iter_mut();
        all.find(|r| {
            r.open && r.plugin == plugin.stem() && r.callback == *callback && r.event == event
        })
    }
}

/// Shows a time for people: `31 us`, `12.4 ms`, `1.6 s`.
pub(super) fn show(time: Duration) -> String {
    match time.as_secs_f64() {
        t if t < 0.001 => format!("{} us", time.as_micros()),
        t if t < 1.0 => format!("{:.1} ms", t * 1000.0),
        t => format!("{t:.1} s"),
    }
}
