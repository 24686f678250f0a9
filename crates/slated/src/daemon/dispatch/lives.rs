//! The dispatcher and the lives of processes: started, replaced, told goodbye.

use slated_core::lane;
use slated_core::life::{self, Generation};
use slated_host::{SpawnError, WorkerId};
use slated_model::{Change, QuarantineRow, WorkerRow};
use slated_store::kill_point;

use super::{CLEAN_STOP, Dispatcher, REPLACED};
use crate::clock::wall_ms;
use crate::daemon::journal::Place;
use crate::daemon::plugin::Broken;
use crate::daemon::workers::Unstarted;
use crate::tell::Fact;

impl Dispatcher {
    pub(super) fn live(&mut self, place: Place, input: life::Input) {
        let now = self.clock.now();
        let effects = self.plugins[place].life.step(now, input);
        self.note_running(place);
        // The end of slated ends no quarantine.
        let quarantined = self.plugins[place].life.state() == life::State::Quarantined;
        let lane = self.plugins[place].lane.as_ref();
        let on_record = lane.is_some_and(|l| l.record_row().quarantine.is_some());
        if on_record && !quarantined && self.stopping.is_none() {
            self.amend(place, |row| row.quarantine = None);
        }
        for effect in effects {
            match effect {
                life::Effect::Start(generation) => self.start(place, generation),
                life::Effect::Retire(generation) => {
                    if self.plugins[place].used == Some(generation) {
                        self.feed(place, lane::Input::Retired);
                    }
                }
                life::Effect::Goodbye(generation) => self.goodbye(place, generation),
                life::Effect::Use(generation) => self.use_worker(place, generation),
                // Told with the traceback, when the report of the failed load is handled.
                life::Effect::KeptOld => {}
                life::Effect::Quarantined => {
                    self.quarantine(place);
                }
            }
        }
    }

    /// Puts a quarantine on record, so that a restart does not begin anew with what keeps dying.
    fn quarantine(&mut self, place: Place) {
        let plugin = &self.plugins[place];
        let last = plugin.last_error.as_ref();
        let quarantine = QuarantineRow {
            content: plugin.text.sha256.clone(),
            mtime_ns: plugin.text.mtime_ns,
            reason: last.map(|last| last.error.clone()).unwrap_or_default(),
            at_ms: wall_ms(),
        };
        let fact = Fact::PluginQuarantined {
            plugin: plugin.id.clone(),
        };
        self.teller.tell(fact);
        self.amend(place, |row| row.quarantine = Some(quarantine));
    }

    pub(super) fn start(&mut self, place: Place, generation: Generation) {
        let plugin = &mut self.plugins[place];
        let (id, worker) = self.workers.start(plugin);
        self.by_worker.insert(id, (place, generation));
        match worker {
            Ok(worker) => {
                plugin.workers.insert(generation, worker);
            }
            Err(unstarted) => {
                self.by_worker.remove(&id);
                self.not_started(place, generation, unstarted);
            }
        }
    }

    /// A process runs. Before it is called it stands on record, should slated be killed.
    pub(super) fn started(
        &mut self,
        place: Place,
        generation: Generation,
        pid: u32,
        started: Option<u64>,
    ) {
        let plugin = &mut self.plugins[place];
        if let Some(worker) = plugin.workers.get_mut(&generation) {
            worker.pid = Some(pid);
        }
        self.journal.note(Change::Worker(WorkerRow {
            plugin: plugin.id.clone(),
            pid,
            started: started.unwrap_or_default(),
        }));
    }

    /// A process that had begun to start is none.
    pub(super) fn unstarted(
        &mut self,
        place: Place,
        generation: Generation,
        worker: WorkerId,
        error: &SpawnError,
    ) {
        self.by_worker.remove(&worker);
        let plugin = &mut self.plugins[place];
        plugin.workers.remove(&generation);
        if plugin.life.is_leaving(generation) {
            plugin.tried = true;
            self.live(place, life::Input::Exited { generation });
        } else {
            let source = &plugin.text.source;
            let unstarted = self.workers.unstarted(&plugin.id, source, error);
            self.not_started(place, generation, unstarted);
        }
        self.inherit();
    }

    /// There is no process: for want of room, and it is tried again; or for something that an edit
    /// of the configuration or a person mends, and the plugin is broken.
    fn not_started(&mut self, place: Place, generation: Generation, unstarted: Unstarted) {
        let Unstarted { error, again } = unstarted;
        self.plugins[place].tried = true;
        self.live(
            place,
            life::Input::LoadFailed {
                generation,
                network: again,
            },
        );
        let plugin = &mut self.plugins[place];
        let id = plugin.id.clone();
        if again {
            plugin.note_error(None, None, format!("the system refused a process: {error}"));
            self.teller.tell(Fact::ProcessRefused { plugin: id, error });
        } else {
            self.is_plugin(place);
            let plugin = &mut self.plugins[place];
            plugin.note_error(None, None, error.clone());
            plugin.broken = Some(Broken {
                place: error.clone(),
                traceback: String::new(),
                unstartable: true,
            });
            self.teller.tell(Fact::PluginUnstartable {
                plugin: id,
                error,
                kept_old: plugin.life.state() == life::State::Running,
            });
        }
        self.live(place, life::Input::Exited { generation });
    }

    pub(super) fn goodbye(&self, place: Place, generation: Generation) {
        let plugin = &self.plugins[place];
        if let Some(handle) = plugin
            .workers
            .get(&generation)
            .and_then(|w| w.handle.as_ref())
        {
            let (reason, grace) = if self.stopping.is_some() {
                ("stop", CLEAN_STOP)
            } else if plugin.recycles {
                ("recycle", REPLACED)
            } else {
                ("reload", REPLACED)
            };
            if handle.goodbye(reason, grace).is_err() {
                handle.kill();
            }
            if self.stopping.is_none() {
                kill_point("in_reload");
            }
        }
    }

    pub(super) fn use_worker(&mut self, place: Place, generation: Generation) {
        let plugin = &mut self.plugins[place];
        plugin.used = Some(generation);
        plugin.broken = None;
        let Some(worker) = plugin.workers.get(&generation) else {
            return;
        };
        plugin.recycle.begin(generation, worker.resident);
        plugin.recycles = false;
        let (text, loaded) = (worker.text.clone(), worker.loaded.clone());
        let resume = std::mem::take(&mut plugin.resume_on_use);
        self.amend(place, |row| {
            row.content = text.sha256;
            row.mtime_ns = text.mtime_ns;
        });
        if resume {
            self.feed(place, lane::Input::Resume);
        }
        if let Some(loaded) = loaded {
            self.feed(place, loaded.into());
        }
    }
}
