//! The terminal during a demo: a line for each event, and under it what every plugin did with it.
//!
//! Facts come as they happen: several events at once, answers later, of several plugins. So an event
//! waits here, with those behind it, until every plugin that was called has answered, or
//! [`PATIENCE`] is over. What becomes of it later (a retry) gets a line of its own with its id.
//! Events of one entity that no plugin asked for share a line.
//!
//! Decides only; the caller prints the lines and knows the time.

mod head;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use owo_colors::OwoColorize as _;
use slated_core::Mono;
use slated_model::{CallbackId, Event, EventId, Failure, PluginId};

use super::record::show;
use super::stage::Callback;
use crate::tell::Fact;
use head::Head;

/// How long an event is held back for a plugin that does not answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one that nobody asked for waits for others to share its line.
const COMPANY: Duration = Duration::from_millis(80);
/// Where the lines of plugins begin: under the ids.
const INDENT: &str = "          ";

/// What is shown, and what waits to be.
#[derive(Debug, Default)]
pub(super) struct Screen {
    callbacks: Vec<Callback>,
    queue: VecDeque<Block>,
    /// What plugins logged since their last answer, with the event if it is known.
    said: Vec<(PluginId, Option<EventId>, String)>,
    lines: Vec<String>,
    highest: Option<EventId>,
    /// The last line was one of the story's.
    after_story: bool,
}

/// An event that waits for answers.
#[derive(Debug)]
struct Block {
    head: Head,
    since: Mono,
    awaited: BTreeSet<(PluginId, CallbackId)>,
    /// A plugin asked for it.
    wanted: bool,
    lines: Vec<String>,
}

impl Screen {
    /// `highest` is the newest event before the first that will be shown.
    pub(super) fn new(highest: EventId) -> Self {
        Self {
            highest: Some(highest),
            ..Self::default()
        }
    }

    /// Says what plugins are called with from now on.
    pub(super) fn set_callbacks(&mut self, callbacks: Vec<Callback>) {
        self.callbacks = callbacks;
    }

    /// Shows a sentence of the story.
    pub(super) fn say(&mut self, text: &str) {
        if !std::mem::replace(&mut self.after_story, true) {
            self.lines.push(String::new());
        }
        self.lines
            .push(format!("{} {}", "*".cyan().bold(), text.bold()));
    }

    /// Tells whether no event waits.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the lines that can be printed at `now`.
    pub(super) fn lines(&mut self, now: Mono) -> Vec<String> {
        while let Some(block) = self.queue.front() {
            let age = now.0.saturating_sub(block.since.0);
            if (!block.wanted && age < COMPANY) || (!block.awaited.is_empty() && age < PATIENCE) {
                break;
            }
            let Some(mut block) = self.queue.pop_front() else {
                break;
            };
            if !block.wanted {
                while let Some(next) = self
                    .queue
                    .pop_front_if(|next| !next.wanted && next.head.goes_with(&block.head))
                {
                    block.head.join(&next.head);
                }
            }
            self.line(block.head.line(block.wanted));
            self.lines.extend(block.lines);
        }
        std::mem::take(&mut self.lines)
    }

    /// Takes a fact. `clock` is the time of day for people.
    pub(super) fn take(&mut self, fact: &Fact, now: Mono, clock: &str) {
        match fact {
            Fact::EventSeen { event, late } => self.seen(event, *late, now, clock),
            Fact::CallbackDone {
                plugin,
                callback,
                event,
                us,
                attempt,
            } => {
                let took = show(Duration::from_micros(*us));
                let again = match attempt {
                    0 | 1 => String::new(),
                    _ => format!(" at attempt {attempt}"),
                };
                let text = format!("{} in {took}{}", "done".green(), again.green());
                self.answered(plugin, callback, *event, &text);
            }
            Fact::CallbackRetried {
                plugin,
                callback,
                event,
                failure,
                wait,
                aside,
                ..
            } => {
                let how = if *aside {
                    "aside; the plugin goes on"
                } else {
                    "in place; the plugin waits"
                };
                let failed = "failed".yellow().bold().to_string();
                let text = format!(
                    "{failed}: {}\n{INDENT}  again in {}, {how}",
                    failure.summary(),
                    show(*wait)
                );
                self.answered(plugin, callback, *event, &text);
            }
            Fact::LaneAwaitsSite {
                plugin,
                callback,
                event,
                failure,
            } => {
                let text = format!("{}: {}", "waits for the site".yellow(), failure.summary());
                self.answered(plugin, callback, *event, &text);
            }
            Fact::DeadLetter {
                plugin,
                callback,
                event,
                failure,
                attempts,
            } => {
                let s = if *attempts == 1 { "" } else { "s" };
                let text = format!(
                    "{}\n{INDENT}  a dead letter after {attempts} attempt{s}",
                    failed(failure)
                );
                self.answered(plugin, callback, *event, &text);
            }
            Fact::FailureLogged {
                plugin,
                callback,
                event,
                failure,
            } => {
                self.answered(plugin, callback, *event, &failed(failure));
            }
            Fact::PluginHeld {
                plugin,
                hold,
                failure,
            } => match (hold.event, &hold.callback, failure) {
                (Some(event), Some(callback), Some(failure)) => {
                    let text = format!(
                        "{}\n{INDENT}  held until its file is edited or touched",
                        failed(failure)
                    );
                    self.answered(plugin, callback, event, &text);
                }
                _ => self.alone(fact),
            },
            Fact::PluginLog {
                plugin,
                level: 20..,
                message,
                call,
                ..
            } => {
                let event = call.as_ref().map(|call| call.event);
                self.said.push((plugin.clone(), event, message.clone()));
            }
            Fact::PluginReady {
                plugin, callbacks, ..
            } => {
                let s = if *callbacks == 1 { "" } else { "s" };
                self.line(format!(
                    "{}: ready with {callbacks} callback{s}",
                    plugin.stem().cyan()
                ));
            }
            // Of interest to the log of a daemon, not to somebody who watches it.
            Fact::PluginPlaced { .. }
            | Fact::Dispatched { .. }
            | Fact::PluginLog { .. }
            | Fact::SiteRead { .. }
            | Fact::Stopping { .. } => {}
            _ => self.alone(fact),
        }
    }

    fn line(&mut self, line: String) {
        self.after_story = false;
        self.lines.push(line);
    }

    /// Shows a fact about no event.
    fn alone(&mut self, fact: &Fact) {
        self.line(fact.to_string().yellow().to_string());
    }

    fn seen(&mut self, event: &Event, late: bool, now: Mono, clock: &str) {
        let head = &event.head;
        let (kind, attribute) = (head.event_type.as_deref(), head.attribute_name.as_deref());
        let wanted = self
            .callbacks
            .iter()
            .filter(|c| c.matcher.matches(kind, attribute));
        let awaited: BTreeSet<_> = wanted.map(|c| (c.plugin.clone(), c.name.clone())).collect();
        let missing = self
            .highest
            .filter(|h| h.0 + 1 < event.id.0)
            .map(|h| (h.0 + 1, event.id.0 - 1));
        self.highest = self.highest.max(Some(event.id));
        self.queue.push_back(Block {
            head: Head::of(event, late, missing, clock),
            since: now,
            wanted: !awaited.is_empty(),
            awaited,
            lines: Vec::new(),
        });
    }

    fn answered(&mut self, plugin: &PluginId, callback: &CallbackId, event: EventId, text: &str) {
        let name = match plugin.stem() {
            // Most plugins have one callback, named as they are.
            stem if stem == callback.name() && callback.k() == 1 => stem.to_owned(),
            stem => format!("{stem}.{callback}"),
        };
        let name = format!("{name:<20}");
        let is_its = |about: &Option<EventId>| about.is_none_or(|about| about == event);
        let said = self
            .said
            .extract_if(.., |(who, about, _)| who == plugin && is_its(about));
        let mut lines: Vec<_> = said
            .map(|(.., line)| format!("{INDENT}  {}", line.dimmed()))
            .collect();
        if let Some(block) = self.queue.iter_mut().find(|block| block.head.is(event)) {
            block.awaited.remove(&(plugin.clone(), callback.clone()));
            lines.insert(0, format!("{INDENT}{} {text}", name.cyan()));
            block.lines.append(&mut lines);
        } else {
            self.line(format!("{INDENT}{} event {event}: {text}", name.cyan()));
            self.lines.append(&mut lines);
        }
    }
}

fn failed(failure: &Failure) -> String {
    format!("{}: {}", "failed".red().bold(), failure.summary())
}

#[cfg(test)]
mod tests;
