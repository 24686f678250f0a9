//! One plugin in the daemon: its lane, its life, and the processes they speak of.

use std::collections::BTreeMap;
use std::sync::Arc;

use slated_config::PluginSettings;
use slated_core::lane::{self, CallbackSpec, HasLane, Lane, Note};
use slated_core::life::{self, Generation, Life};
use slated_core::recycle::{self, Recycle};
use slated_core::scan::Content;
use slated_core::{Mono, retry};
use slated_host::Handle;
use slated_host::wire::Emails;
use slated_model::{CallbackId, EventId, PluginId, Row};

use crate::clock::wall_ms;
use crate::daemon::calls::Calls;
use crate::daemon::message::Text;
use crate::tell::Fact;
use crate::view::{self, ErrorView, LastView, PluginState, SlowView};

/// One plugin, from when its file is first seen.
pub(crate) struct Plugin {
    pub(crate) id: PluginId,
    /// The file as it was last read.
    pub(crate) text: Text,
    pub(crate) settings: PluginSettings,
    pub(crate) life: Life,
    /// Its process runs, as the lane was last told.
    pub(crate) runs: bool,
    /// A process has loaded it, or could not.
    pub(crate) tried: bool,
    /// `None` until its place in the log is known.
    pub(crate) lane: Option<Lane>,
    /// From when a good read of the site gives it its place.
    pub(crate) seen_at: Mono,
    pub(crate) workers: BTreeMap<Generation, Worker>,
    /// The process that gets the frames.
    pub(crate) used: Option<Generation>,
    /// The site is being asked for the event it begins with.
    pub(crate) asks_since: bool,
    /// A changed or touched file ends a hold when the new process takes over.
    pub(crate) resume_on_use: bool,
    /// It registers nothing: a module that others import, and no plugin.
    pub(crate) helper: bool,
    /// The modules that it imported, with the content that it did.
    pub(crate) imports: BTreeMap<String, Content>,
    /// The newest process that said so.
    pub(crate) imported_by: Generation,
    /// A load has shown that it is a plugin.
    pub(crate) known: bool,
    /// After which event it begins, as long as that was not told.
    pub(crate) begins_after: Option<EventId>,
    /// Why its content does not load.
    pub(crate) broken: Option<Broken>,
    pub(crate) last: Option<LastView>,
    pub(crate) last_error: Option<ErrorView>,
    /// What its process has done, and whether it makes room for a new one.
    pub(crate) recycle: Recycle,
    /// The next process replaces one that was not edited.
    pub(crate) recycles: bool,
    /// How often one did, since the start.
    pub(crate) recycled: u64,
    /// A call that takes long.
    pub(crate) slow: Option<Slow>,
    /// What it logged in its last calls.
    pub(crate) calls: Calls,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// What was sent and not answered in full, by frame; kept for the timing log alone.
    pub(crate) timed: BTreeMap<u64, Arc<Row>>,
}

impl HasLane for Plugin {
    fn lane(&self) -> Option<&Lane> {
        self.lane.as_ref()
    }
    fn lane_mut(&mut self) -> &mut Option<Lane> {
        &mut self.lane
    }
}

/// One process of a plugin.
pub(crate) struct Worker {
    pub(crate) handle: Option<Handle>,
    pub(crate) pid: Option<u32>,
    pub(crate) runtime: String,
    /// The file it was started for.
    pub(crate) text: Text,
    /// How many bytes it held when it was ready, where that matters.
    pub(crate) resident: Option<u64>,
    /// What it registered, and how many events it takes ahead, once it is ready.
    pub(crate) loaded: Option<Loaded>,
}

/// What a process loaded.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) callbacks: Vec<CallbackSpec>,
    pub(crate) window: usize,
    pub(crate) emails: Emails,
    pub(crate) warnings: Vec<String>,
}

impl From<Loaded> for lane::Input {
    fn from(loaded: Loaded) -> Self {
        Self::Ready {
            callbacks: loaded.callbacks,
            window: loaded.window,
        }
    }
}

/// A call that takes long, as it was last seen.
pub(crate) struct Slow {
    pub(crate) generation: Generation,
    pub(crate) seq: u64,
    pub(crate) n: u32,
    pub(crate) view: SlowView,
}

/// Why a plugin does not load.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    /// Where: file and line, as far as known.
    pub(crate) place: String,
    /// As Python prints it.
    pub(crate) traceback: String,
    /// Its process could not be started: nothing in its file is to blame.
    pub(crate) unstartable: bool,
}

impl Plugin {
    pub(crate) fn new(id: PluginId, settings: PluginSettings, seed: u64, now: Mono) -> Self {
        let (broken_edit, reload) = life_rules(&settings);
        let recycle = Recycle::new(recycle_rule(&settings), seed);
        Self {
            id,
            text: Text::default(),
            life: Life::new(broken_edit, reload, seed),
            runs: false,
            tried: false,
            settings,
            lane: None,
            seen_at: now,
            workers: BTreeMap::new(),
            used: None,
            asks_since: false,
            resume_on_use: false,
            helper: false,
            imports: BTreeMap::new(),
            imported_by: 0,
            known: false,
            begins_after: None,
            broken: None,
            last: None,
            last_error: None,
            recycle,
            recycles: false,
            recycled: 0,
            slow: None,
            calls: Calls::default(),
            done: 0,
            failed: 0,
            timed: BTreeMap::new(),
        }
    }

    /// Goes by other settings, as far as its process need not know them.
    pub(crate) fn obey(&mut self, settings: PluginSettings) {
        let (broken_edit, reload) = life_rules(&settings);
        self.life.set_rules(broken_edit, reload);
        self.recycle.set_rule(recycle_rule(&settings));
        self.settings = settings;
        let (policy, window) = (self.policy(), self.window());
        if let Some(lane) = &mut self.lane {
            lane.set_policy(policy, window);
        }
    }

    /// Returns how many events it may be sent ahead.
    pub(crate) fn window(&self) -> usize {
        usize::try_from(self.settings.window).unwrap_or(usize::MAX)
    }

    /// Returns the failure policy that its settings ask for.
    pub(crate) fn policy(&self) -> retry::Policy {
        retry::Policy {
            worth: match self.settings.retry {
                slated_config::Retry::Transient => retry::Worth::Transient,
                slated_config::Retry::All => retry::Worth::All,
                slated_config::Retry::None => retry::Worth::None,
            },
            attempts: self.settings.attempts,
            within: self.settings.within,
            on_error: match self.settings.on_error {
                slated_config::OnError::DeadLetter => retry::OnError::DeadLetter,
                slated_config::OnError::Log => retry::OnError::Log,
            },
            deaths: self.settings.deaths,
        }
    }

    /// Returns the state in the words of docs/operations.md.
    pub(crate) fn state(&self) -> PluginState {
        match self.life.state() {
            life::State::Gone => PluginState::Gone,
            life::State::Stopped => PluginState::Stopped,
            life::State::Quarantined => PluginState::Quarantined,
            life::State::Broken => PluginState::Broken,
            life::State::Starting | life::State::Running if self.holds() => PluginState::Held,
            life::State::Starting => PluginState::Starting,
            life::State::Running => match &self.lane {
                None => PluginState::Starting,
                Some(lane) if lane.awaits_site() => PluginState::Waiting,
                Some(_) => PluginState::Running,
            },
        }
    }

    /// Says in a line why it is not running, or that its new code does not load.
    pub(crate) fn why(&self) -> Option<String> {
        let last = || self.last_error.as_ref().map(|e| e.error.clone());
        let stem = self.id.stem();
        let state = self.state();
        if let Some(broken) = &self.broken
            && state != PluginState::Stopped
        {
            return Some(broken.place.clone());
        }
        match state {
            PluginState::Starting if self.used.is_some() => {
                Some("waits for the first answer of the site, which says where it begins".into())
            }
            PluginState::Starting => last(),
            PluginState::Waiting => last().map(|e| format!("the site is down: {e}")),
            PluginState::Held => {
                let hold = self.lane.as_ref()?.hold();
                hold.map(|hold| view::hold(stem, hold))
            }
            PluginState::Quarantined => Some(view::quarantined(stem, last().as_deref())),
            PluginState::Stopped if self.lane.as_ref().is_some_and(|l| l.record_row().stopped) => {
                Some(view::stopped(stem))
            }
            PluginState::Stopped => Some("slated is stopping".into()),
            PluginState::Gone => Some(view::GONE.into()),
            PluginState::Broken
            | PluginState::Running
            | PluginState::Unknown
            | PluginState::Watched => None,
        }
    }

    /// Returns the process that people are shown: the one in use, or else the next.
    pub(crate) fn shown_worker(&self) -> Option<&Worker> {
        let used = self.used.and_then(|g| self.workers.get(&g));
        used.or_else(|| self.workers.values().next())
    }

    /// Returns the helper modules that it imported, less those that it missed.
    pub(crate) fn helpers(&self) -> Vec<String> {
        let there = self.imports.iter().filter(|(_, c)| !c.0.is_empty());
        there.map(|(path, _)| path.clone()).collect()
    }

    /// Forgets a slow call that has ended: this one of a process, or whichever it was in.
    pub(crate) fn no_longer_slow(&mut self, generation: Generation, call: Option<(u64, u32)>) {
        self.slow.take_if(|slow| {
            slow.generation == generation && call.is_none_or(|call| call == (slow.seq, slow.n))
        });
    }

    /// Keeps the row of a frame until the frame is through.
    pub(crate) fn keep_for_timing(&mut self, frame: &lane::Frame) {
        let lane = self.lane.as_ref();
        self.timed
            .retain(|seq, _| lane.is_some_and(|lane| lane.event_of(*seq).is_some()));
        self.timed.insert(frame.seq, Arc::clone(&frame.row));
    }

    /// Tells whether its file is gone. The record says so also of one that has not loaded yet.
    pub(crate) fn is_gone(&self) -> bool {
        let row = self.lane.as_ref().map(Lane::record_row);
        self.life.state() == life::State::Gone || (self.known && row.is_some_and(|row| row.gone))
    }

    /// Tells whether its file was ever loaded as a plugin.
    pub(crate) fn has_run(&self) -> bool {
        let lane = self.lane.as_ref();
        self.used.is_some() || lane.is_some_and(|lane| lane.record_row().has_run())
    }

    fn holds(&self) -> bool {
        self.lane.as_ref().is_some_and(|lane| lane.hold().is_some())
    }

    /// Keeps what status shows of a note, and returns the fact to tell.
    pub(crate) fn hear(&mut self, note: Note) -> Fact {
        let plugin = self.id.clone();
        let at_ms = wall_ms();
        match note {
            Note::Done {
                event,
                callback,
                us,
                attempt,
            } => {
                self.done += 1;
                self.last = Some(LastView {
                    event,
                    callback: callback.clone(),
                    outcome: "done".into(),
                    at_ms,
                });
                Fact::CallbackDone {
                    plugin,
                    callback,
                    event,
                    us,
                    attempt,
                }
            }
            Note::Again {
                event,
                callback,
                failure,
                failed,
                wait,
                aside,
            } => {
                self.note_error(Some(event), Some(&callback), failure.summary());
                Fact::CallbackRetried {
                    plugin,
                    callback,
                    event,
                    failure,
                    failed,
                    wait,
                    aside,
                }
            }
            Note::AwaitsSite {
                event,
                callback,
                failure,
            } => {
                self.note_error(Some(event), Some(&callback), failure.summary());
                Fact::LaneAwaitsSite {
                    plugin,
                    callback,
                    event,
                    failure,
                }
            }
            Note::DeadLetter {
                event,
                callback,
                failure,
                attempt,
            } => {
                self.failed += 1;
                self.note_error(Some(event), Some(&callback), failure.summary());
                self.last = Some(LastView {
                    event,
                    callback: callback.clone(),
                    outcome: "dead letter".into(),
                    at_ms,
                });
                Fact::DeadLetter {
                    plugin,
                    callback,
                    event,
                    failure,
                    attempts: attempt,
                }
            }
            Note::LoggedOnly {
                event,
                callback,
                failure,
            } => {
                self.failed += 1;
                self.note_error(Some(event), Some(&callback), failure.summary());
                self.last = Some(LastView {
                    event,
                    callback: callback.clone(),
                    outcome: "discarded".into(),
                    at_ms,
                });
                Fact::FailureLogged {
                    plugin,
                    callback,
                    event,
                    failure,
                }
            }
            Note::Held { failure, hold } => {
                self.note_error(hold.event, hold.callback.as_ref(), hold.reason.clone());
                Fact::PluginHeld {
                    plugin,
                    hold,
                    failure,
                }
            }
            Note::Resumed => Fact::PluginResumed { plugin },
            Note::Skipped { rows } => Fact::PluginSkipped { plugin, rows },
            Note::EventSkipped { event } => Fact::EventSkipped { plugin, event },
            Note::Rewound { rows } => Fact::PluginRewound { plugin, rows },
            Note::RowGone { event, callback } => Fact::AttemptLost {
                plugin,
                callback,
                event,
            },
            Note::LeftLine(why) => Fact::LeftLine { plugin, why },
            Note::InLine => Fact::InLine { plugin },
            Note::CallbackGone { event, callback } => Fact::AttemptDropped {
                plugin,
                callback,
                event,
            },
        }
    }

    pub(crate) fn note_error(
        &mut self,
        event: Option<EventId>,
        callback: Option<&CallbackId>,
        error: String,
    ) {
        self.last_error = Some(ErrorView {
            event,
            callback: callback.cloned(),
            error,
            at_ms: wall_ms(),
        });
    }
}

fn life_rules(settings: &PluginSettings) -> (life::BrokenEdit, life::Reload) {
    let broken_edit = match settings.broken_edit {
        slated_config::BrokenEdit::Keep => life::BrokenEdit::Keep,
        slated_config::BrokenEdit::Deactivate => life::BrokenEdit::Deactivate,
    };
    let reload = match settings.reload {
        slated_config::Reload::NewFirst => life::Reload::NewFirst,
        slated_config::Reload::StopFirst => life::Reload::StopFirst,
    };
    (broken_edit, reload)
}

const fn recycle_rule(settings: &PluginSettings) -> recycle::Rule {
    recycle::Rule {
        calls: settings.recycle_after,
        memory: settings.memory_limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use life::Input;

    #[test]
    fn a_quarantine_says_what_it_died_of_and_what_ends_it() {
        let id = PluginId::new("plugins", "notes");
        let settings = PluginSettings::default();
        let mut plugin = Plugin::new(id, settings, 1, Mono::ZERO);
        let mut now = Mono::ZERO;
        plugin.life.step(now, Input::Load);
        for generation in 1..=6 {
            plugin.note_error(None, None, "its process died (signal 11)".into());
            plugin.life.step(now, Input::Exited { generation });
            now = now + std::time::Duration::from_secs(30);
            plugin.life.step(now, Input::Tick);
        }
        assert_eq!(plugin.state(), PluginState::Quarantined);
        let why = plugin.why().unwrap_or_default();
        for words in ["signal 11", "slated plugin resume notes"] {
            assert!(why.contains(words), "{why}");
        }
    }
}
