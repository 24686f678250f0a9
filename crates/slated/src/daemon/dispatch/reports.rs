//! The dispatcher and what its workers say.

use std::time::Duration;

use slated_core::lane;
use slated_core::life::{self, Generation};
use slated_host::wire::{Emails, LoadFailed, LoadPhase};
use slated_host::{Report, WorkerId};
use slated_model::Change;
use slated_store::kill_point;

use super::Dispatcher;
use crate::clock::wall_ms;
use crate::daemon::journal::Place;
use crate::daemon::plugin::{Loaded, Slow};
use crate::daemon::workers;
use crate::tell::{Call, Fact, Source, Timing, level_name};
use crate::view::SlowView;

/// What a file lacks that was a plugin's, and what to do.
const NO_LONGER: &str = "the file has no function registerCallbacks any more. It was a plugin, so it is not taken for a helper module: put the function back, or move the file out of the plugins folders";

impl Dispatcher {
    pub(super) fn report(&mut self, worker: WorkerId, report: Report) {
        let Some(&(place, generation)) = self.by_worker.get(&worker) else {
            return;
        };
        let used = self.plugins[place].used == Some(generation);
        match report {
            Report::Started { pid, started, note } => {
                self.started(place, generation, pid, started);
                if let Some(note) = note {
                    let plugin = self.plugins[place].id.clone();
                    self.teller.tell(Fact::NotPreloaded { plugin, note });
                }
            }
            Report::Unstarted(error) => self.unstarted(place, generation, worker, &error),
            Report::Hello(hello) => {
                if let Some(w) = self.plugins[place].workers.get_mut(&generation) {
                    w.runtime = hello.runtime;
                }
            }
            Report::Ready {
                callbacks,
                emails,
                warnings,
                window,
                imports,
                resident,
                ..
            } => {
                self.imported(place, generation, imports, true);
                if let Some(w) = self.plugins[place].workers.get_mut(&generation) {
                    w.resident = resident;
                }
                let loaded = loaded(&callbacks, window, emails, warnings);
                self.ready(place, generation, loaded);
            }
            Report::Imports(imports) => self.imported(place, generation, imports, false),
            Report::LoadFailed(failed) => {
                // What old code imported that runs on is still worth a look.
                self.imported(place, generation, failed.imports.clone(), false);
                self.load_failed(place, generation, &failed);
            }
            Report::Result {
                seq,
                n,
                us,
                error,
                stop,
            } => {
                let plugin = &mut self.plugins[place];
                plugin.no_longer_slow(generation, Some((seq, n)));
                plugin.recycle.called(generation);
                if used {
                    self.time(place, seq, n, us, error.is_some());
                    let reply = match error {
                        None => lane::Reply::Done { us },
                        Some(failure) => {
                            let mut failure = *failure;
                            failure.us = Some(us);
                            if let Some(call) = self.call(place, generation, seq) {
                                let calls = &self.plugins[place].calls;
                                failure.log = calls.lines(call.event, &call.callback);
                            }
                            lane::Reply::Failed { failure, stop }
                        }
                    };
                    self.feed(place, lane::Input::Answer { seq, n, reply });
                }
            }
            // No lane runs dry.
            Report::Write(_) => {}
            Report::Done { resident, .. } => self.rests(place, generation, resident),
            Report::Log(log) => {
                let call = log.seq.and_then(|seq| self.call(place, generation, seq));
                let plugin = &mut self.plugins[place];
                let lane = plugin.lane.as_ref();
                let counts = lane
                    .zip(log.seq)
                    .is_some_and(|(lane, seq)| !lane.is_void(seq));
                if let Some(call) = call.as_ref().filter(|_| counts) {
                    let level = level_name(log.level);
                    plugin.calls.say(call, &level, &log.message);
                }
                self.teller.tell(Fact::PluginLog {
                    plugin: plugin.id.clone(),
                    level: log.level,
                    logger: log.logger,
                    message: log.message,
                    at_us: log.time,
                    source: Source {
                        path: log.path,
                        func: log.func,
                        line: log.line,
                    },
                    call,
                });
            }
            Report::Stderr { line } => {
                let plugin = self.plugins[place].id.clone();
                self.teller.tell(Fact::PluginPrinted { plugin, line });
            }
            Report::Slow {
                seq,
                n,
                after,
                stack,
            } => self.slow(place, generation, (seq, n), after, stack),
            Report::Exited(exit) => self.exited(place, generation, worker, &exit),
        }
    }

    /// Returns the call that a frame of a process is in.
    fn call(&self, place: Place, generation: Generation, seq: u64) -> Option<Call> {
        let plugin = &self.plugins[place];
        let lane = plugin
            .lane
            .as_ref()
            .filter(|_| plugin.used == Some(generation))?;
        let (event, callback, attempt) = lane.call_of(seq)?;
        Some(Call {
            event,
            callback: callback.clone(),
            attempt,
        })
    }

    /// Puts an answer into the timing log, where one is kept.
    fn time(&self, place: Place, seq: u64, n: u32, us: u64, error: bool) {
        let plugin = &self.plugins[place];
        let timed = || {
            let lane = plugin.lane.as_ref()?;
            let callback = &lane.callbacks()?.iter().find(|c| c.n == n)?.id;
            let event = &plugin.timed.get(&seq)?.event;
            Some(Timing {
                event: event.id,
                created_at: event.head.created_at.clone(),
                callback: format!("{}.{callback}", plugin.id.stem()),
                us,
                error,
                end: jiff::Timestamp::now(),
            })
        };
        if self.teller.times()
            && let Some(timing) = timed()
        {
            self.teller.time(timing);
        }
    }

    pub(super) fn ready(&mut self, place: Place, generation: Generation, loaded: Loaded) {
        let plugin = &mut self.plugins[place];
        plugin.tried = true;
        let Some(worker) = plugin.workers.get_mut(&generation) else {
            return;
        };
        self.teller.tell(Fact::PluginReady {
            plugin: plugin.id.clone(),
            callbacks: loaded.callbacks.len(),
            warnings: loaded.warnings.clone(),
            pid: worker.pid.unwrap_or_default(),
            emails: loaded.emails.clone(),
        });
        worker.loaded = Some(loaded);
        self.is_plugin(place);
        self.live(place, life::Input::Ready(generation));
    }

    pub(super) fn load_failed(
        &mut self,
        place: Place,
        generation: Generation,
        failed: &LoadFailed,
    ) {
        self.plugins[place].tried = true;
        let network = failed.cause.is_some();
        let registers = failed.phase != LoadPhase::NoRegister;
        let was_plugin = self.plugins[place].has_run();
        self.live(
            place,
            life::Input::LoadFailed {
                generation,
                network,
            },
        );
        if !registers && !was_plugin {
            self.shelve(place);
            return;
        }
        self.is_plugin(place);
        let plugin = &mut self.plugins[place];
        let mut failed = failed.clone();
        if !registers {
            // Its callbacks are missed, which an alarm must say.
            failed.message = NO_LONGER.into();
        }
        let message = failed.message.clone();
        plugin.note_error(None, None, message.clone());
        if network {
            self.teller.tell(Fact::PluginUnlucky {
                plugin: plugin.id.clone(),
                message,
            });
            return;
        }
        let broken = workers::broken(&failed);
        plugin.broken = Some(broken.clone());
        self.teller.tell(Fact::PluginBroken {
            plugin: plugin.id.clone(),
            place: broken.place,
            traceback: broken.traceback,
            kept_old: plugin.life.state() == life::State::Running,
        });
    }

    /// A file that registers nothing and never did is a module that plugins import: one notice, no
    /// alarm, and no lane. Should it become a plugin, it begins then.
    fn shelve(&mut self, place: Place) {
        let id = self.plugins[place].id.clone();
        self.amend(place, |row| {
            row.gone = true;
            row.moved_to = Some(id);
        });
        let plugin = &mut self.plugins[place];
        plugin.helper = true;
        plugin.known = false;
        plugin.begins_after = None;
        plugin.lane = None;
        self.teller.tell(Fact::PluginFile {
            plugin: plugin.id.clone(),
            what: "has no registerCallbacks; it is taken for a helper module",
        });
        self.forget_imports(place);
    }

    fn slow(
        &mut self,
        place: Place,
        generation: Generation,
        (seq, n): (u64, u32),
        after: Duration,
        stack: String,
    ) {
        let plugin = &mut self.plugins[place];
        let Some(lane) = &plugin.lane else { return };
        let callback = lane.callbacks().into_iter().flatten().find(|c| c.n == n);
        let callback = callback.map_or_else(|| n.to_string(), |c| c.id.to_string());
        let event = lane.event_of(seq).unwrap_or_default();
        let begun_ms = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        plugin.slow = Some(Slow {
            generation,
            seq,
            n,
            view: SlowView {
                event,
                callback: callback.clone(),
                since_ms: wall_ms() - begun_ms,
                stack: stack.clone(),
            },
        });
        self.teller.tell(Fact::CallbackSlow {
            plugin: plugin.id.clone(),
            callback,
            event,
            after,
            stack,
        });
    }

    /// A process is between two events, and may be replaced.
    fn rests(&mut self, place: Place, generation: Generation, resident: Option<u64>) {
        let plugin = &mut self.plugins[place];
        let Some(why) = plugin.recycle.rests(generation, resident) else {
            return;
        };
        // Where another replacement is under way, that does.
        if !plugin.life.is_settled(self.clock.now()) {
            return;
        }
        plugin.recycles = true;
        self.live(place, life::Input::Recycle(generation));
        let plugin = &mut self.plugins[place];
        plugin.recycles = !plugin.life.is_settled(self.clock.now());
        if plugin.recycles {
            plugin.recycled += 1;
            let plugin = plugin.id.clone();
            self.teller.tell(Fact::Recycled { plugin, why });
        }
    }

    pub(super) fn exited(
        &mut self,
        place: Place,
        generation: Generation,
        worker: WorkerId,
        exit: &slated_host::Exit,
    ) {
        self.by_worker.remove(&worker);
        if let Some(pid) = exit.pid {
            self.journal.note(Change::WorkerGone { pid });
        }
        let plugin = &mut self.plugins[place];
        plugin.workers.remove(&generation);
        plugin.no_longer_slow(generation, None);
        plugin.tried = true;
        let ours = exit.expected || plugin.life.is_leaving(generation);
        if ours && self.stopping.is_none() {
            kill_point("in_reload");
        }
        if !ours {
            // What dies while it loads is no module that others import.
            self.is_plugin(place);
            let plugin = &mut self.plugins[place];
            let end = exit.failure().summary();
            plugin.note_error(None, None, format!("its process died ({end})"));
            self.teller.tell(Fact::WorkerDied {
                plugin: plugin.id.clone(),
                end,
                last_words: last_lines(&exit.stderr),
            });
        }
        if self.plugins[place].used == Some(generation) {
            self.plugins[place].used = None;
            let plugin = &self.plugins[place];
            let mut failure = exit.failure();
            let call = plugin.lane.as_ref().and_then(lane::Lane::call);
            if let Some((event, callback, _)) = call {
                failure.log = plugin.calls.lines(event, callback);
            }
            let verdict = match exit.why {
                _ if ours => lane::Verdict::Ours,
                slated_host::Why::HardLimit(_) => lane::Verdict::Limit(failure),
                _ => lane::Verdict::Died(failure),
            };
            self.feed(place, lane::Input::Gone { verdict });
        }
        self.live(place, life::Input::Exited { generation });
        self.inherit();
    }
}

fn loaded(
    callbacks: &[slated_host::CallbackSpec],
    window: u32,
    emails: Emails,
    warnings: Vec<String>,
) -> Loaded {
    let spec = |c: &slated_host::CallbackSpec| lane::CallbackSpec {
        n: c.n,
        id: c.id.clone(),
        matcher: c.matcher.clone(),
        stop_on_error: c.stop_on_error,
    };
    Loaded {
        callbacks: callbacks.iter().map(spec).collect(),
        window: usize::try_from(window).unwrap_or(usize::MAX),
        emails,
        warnings,
    }
}

/// Returns the end of what a process printed: enough to see what it died of.
fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(20)..)
        .unwrap_or_default()
        .join("\n")
}
