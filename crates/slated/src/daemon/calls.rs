//! What plugins logged in their last calls: kept in memory for people who ask what became of an event,
//! and on record with a failure.
//!
//! Invariant: a plugin that logs without end keeps no more than its last calls, and of each the last
//! lines.

use std::collections::VecDeque;

use slated_model::{CallbackId, EventId};

use crate::tell::Call;

/// Calls of a plugin that are kept.
const CALLS: usize = 50;
/// Lines of a call.
const LINES: usize = 20;
/// Characters of a line.
const WIDTH: usize = 300;

/// The last calls of a plugin that logged something.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: VecDeque<(Call, VecDeque<String>)>,
}

impl Calls {
    /// Takes what was logged in a call.
    pub(crate) fn say(&mut self, call: &Call, level: &str, message: &str) {
        if self.calls.back().is_none_or(|(last, _)| last != call) {
            if self.calls.len() == CALLS {
                self.calls.pop_front();
            }
            self.calls.push_back((call.clone(), VecDeque::new()));
        }
        let Some((_, lines)) = self.calls.back_mut() else {
            return;
        };
        if lines.len() == LINES {
            lines.pop_front();
        }
        let mut text: String = message.chars().take(WIDTH).collect();
        if text.len() < message.len() {
            text.push('…');
        }
        lines.push_back(format!("{level} {text}"));
    }

    /// Forgets what was logged with events above an id: they are void, and another event may get theirs.
    pub(crate) fn forget(&mut self, above: EventId) {
        self.calls.retain(|(call, _)| call.event <= above);
    }

    /// Returns what was logged in the last call of a callback with an event.
    pub(crate) fn lines(&self, event: EventId, callback: &CallbackId) -> Vec<String> {
        let of = |call: &Call| call.event == event && call.callback == *callback;
        let last = self.calls.iter().rev().find(|(call, _)| of(call));
        last.map(|(_, lines)| lines.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Returns what was logged in the last calls with an event, by their callbacks.
    pub(crate) fn of(&self, event: EventId) -> Vec<(CallbackId, Vec<String>)> {
        let mut callbacks: Vec<&CallbackId> = Vec::new();
        for (call, _) in self.calls.iter().filter(|(call, _)| call.event == event) {
            if !callbacks.contains(&&call.callback) {
                callbacks.push(&call.callback);
            }
        }
        let own = callbacks.into_iter();
        own.map(|id| (id.clone(), self.lines(event, id))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(event: u64, attempt: u32) -> Call {
        Call {
            event: EventId(event),
            callback: CallbackId::new("f", 1),
            attempt,
        }
    }

    #[test]
    fn the_last_lines_of_the_last_calls_are_kept() {
        let mut calls = Calls::default();
        let f = CallbackId::new("f", 1);
        for event in 1..=60 {
            for n in 0..30 {
                calls.say(&call(event, 1), "INFO", &format!("line {n}"));
            }
        }
        assert_eq!(calls.lines(EventId(10), &f), [""; 0]);
        let lines = calls.lines(EventId(11), &f);
        assert_eq!((lines.len(), lines[0].as_str()), (LINES, "INFO line 10"));
        // What is void is no part of the event that has its id now.
        calls.say(&call(9, 1), "INFO", "stays");
        calls.forget(EventId(30));
        assert_eq!(calls.of(EventId(31)), []);
        assert_eq!(calls.lines(EventId(9), &f), ["INFO stays"]);
        assert_eq!(calls.lines(EventId(30), &f).len(), LINES);
        // Another attempt is another call.
        calls.say(&call(11, 2), "ERROR", &"ü".repeat(400));
        let lines = calls.lines(EventId(11), &f);
        assert_eq!((lines.len(), lines[0].chars().count()), (1, 6 + WIDTH + 1));
        assert_eq!(calls.of(EventId(11)), [(f, lines)]);
    }
}
