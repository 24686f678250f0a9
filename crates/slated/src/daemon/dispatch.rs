//! The dispatcher: one task that owns every lane and life, and does what they decide.
//!
//! A turn of its loop takes what has come (news of the intake, reports of workers, changed files,
//! questions of people, time), hands it to `core`, performs the effects, and gives the journal what
//! is to be durable. Nothing else touches a lane, so there is nothing to lock.
//!
//! Invariant: the loop never waits for a plugin, the disk or the site; what takes time runs in a
//! task of its own and comes back as a [`Message`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slated_core::Mono;
use slated_core::lane::{self, Context, Lane};
use slated_core::life::{self, Generation};
use slated_core::order::Gate;
use slated_core::retry::SiteHealth;
use slated_host::{Report, WorkerId};
use slated_model::{Attempt, Change, EventId, LaneRow, Offset, OutcomeRow, PluginId, Row};
use slated_store::{LogEnd, Recorded, Snapshot, Store};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::folders::FileChange;
use super::journal::{Journal, Place};
use super::plugin::Plugin;
use super::tail::Tail;
use super::workers::Workers;
use crate::clock::{Clock, seed, wall_ms};
use crate::tell::{Fact, Teller};
use crate::view::PluginView;

/// How long a clean stop lets callbacks in flight finish (config.md).
const CLEAN_STOP: Duration = Duration::from_secs(30);
/// How long a replaced process may take to finish what it was sent (config.md).
const REPLACED: Duration = Duration::from_mins(1);
/// How long a full disk is left alone before the next try.
const DISK_WAIT: Duration = Duration::from_secs(2);
/// Messages handled before the journal and the timers are looked at.
const BATCH: usize = 256;

/// Something the dispatcher must know.
pub(crate) enum Message {
    /// Rows were appended to the log.
    Appended { rows: Vec<Arc<Row>> },
    /// The site was read without error, by a request made at `asked_at`.
    SiteRead { asked_at: Mono, high: EventId },
    /// The site could not be read.
    SiteDown,
    /// Rows that a lane asked for.
    Rows {
        place: Place,
        after: Offset,
        rows: Result<Vec<Row>, slated_store::Error>,
    },
    /// A row that a lane asked for.
    Recalled {
        place: Place,
        event: EventId,
        row: Result<Option<Row>, slated_store::Error>,
    },
    /// The journal's write has ended.
    Recorded(Result<Recorded, slated_store::Error>),
    /// The plugins' files changed.
    Files(Vec<FileChange>),
    /// A person asks.
    Ask(Question),
}

/// What a person can ask of a running daemon.
pub(crate) enum Question {
    /// How all plugins are.
    Plugins(oneshot::Sender<(Vec<PluginView>, LogEnd)>),
}

/// Owns the plugins of a daemon.
pub(crate) struct Dispatcher {
    clock: Clock,
    store: Arc<dyn Store>,
    teller: Teller,
    workers: Workers,
    back: mpsc::Sender<Message>,
    plugins: Vec<Plugin>,
    by_worker: BTreeMap<WorkerId, (Place, Generation)>,
    journal: Journal,
    tail: Tail,
    /// The offset before the oldest row kept.
    log_start: Offset,
    gate: Gate,
    site: Site,
    stopping: Option<Mono>,
    /// What stands on record of plugins that were not seen yet.
    recorded: BTreeMap<PluginId, (LaneRow, Vec<Attempt>, Vec<OutcomeRow>)>,
    /// Inputs for lanes that came up while others were handled.
    todo: VecDeque<(Place, lane::Input)>,
}

/// The site as far as lanes need to know.
struct Site {
    down: bool,
    good_since: Mono,
}

/// The ends of the channels that feed a dispatcher.
pub(crate) struct Feeds {
    pub(crate) messages: mpsc::Receiver<Message>,
    pub(crate) reports: mpsc::Receiver<(WorkerId, Report)>,
}

impl Dispatcher {
    pub(crate) fn new(
        clock: Clock,
        store: Arc<dyn Store>,
        snapshot: &Snapshot,
        workers: Workers,
        back: mpsc::Sender<Message>,
        teller: Teller,
    ) -> Self {
        let mut recorded = BTreeMap::new();
        for row in &snapshot.lanes {
            let of = |p: &PluginId| *p == row.plugin;
            let attempts = snapshot
                .attempts
                .iter()
                .filter(|a| of(&a.plugin))
                .cloned()
                .collect();
            let ahead = snapshot
                .ahead
                .iter()
                .filter(|o| of(&o.plugin))
                .cloned()
                .collect();
            recorded.insert(row.plugin.clone(), (row.clone(), attempts, ahead));
        }
        Self {
            clock,
            store,
            teller,
            workers,
            back,
            plugins: Vec::new(),
            by_worker: BTreeMap::new(),
            journal: Journal::default(),
            tail: Tail::new(snapshot.log.end),
            log_start: snapshot.log.start,
            gate: Gate::default(),
            site: Site {
                down: true,
                good_since: Mono::ZERO,
            },
            stopping: None,
            recorded,
            todo: VecDeque::new(),
        }
    }

    /// Runs until `stop`, and then until everything is finished and durable, or the time for a
    /// clean stop is over. An error is a store that failed.
    pub(crate) async fn run(
        mut self,
        mut feeds: Feeds,
        stop: CancellationToken,
    ) -> Result<(), slated_store::Error> {
        let mut messages = Vec::with_capacity(BATCH);
        let mut reports = Vec::with_capacity(BATCH);
        loop {
            let wake = self.wake_at();
            tokio::select! {
                _ = feeds.messages.recv_many(&mut messages, BATCH) => {}
                _ = feeds.reports.recv_many(&mut reports, BATCH) => {}
                () = tokio::time::sleep_until(self.clock.instant(wake)) => {}
                () = stop.cancelled(), if self.stopping.is_none() => self.begin_stop(),
            }
            for (worker, report) in reports.drain(..) {
                self.report(worker, report);
            }
            for message in messages.drain(..) {
                self.take(message)?;
            }
            self.tick(wake);
            self.write();
            if self.has_stopped() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, message: Message) -> Result<(), slated_store::Error> {
        match message {
            Message::Appended { rows } => {
                self.tail.push(rows);
                self.all_lanes(&lane::Input::LogGrew(self.tail.end()));
            }
            Message::SiteRead { asked_at, high } => self.site_read(asked_at, high),
            Message::SiteDown => self.site.down = true,
            Message::Rows { place, after, rows } => {
                let rows: Vec<_> = rows?.into_iter().map(Arc::new).collect();
                let through = rows.last().map_or(after, |r| r.offset);
                self.feed(
                    place,
                    lane::Input::Rows {
                        after,
                        rows,
                        through,
                    },
                );
            }
            Message::Recalled { place, event, row } => {
                self.feed(place, lane::Input::Recalled { event, row: row? });
            }
            Message::Recorded(result) => self.recorded(result)?,
            Message::Files(changes) => changes.into_iter().for_each(|c| self.file(c)),
            Message::Ask(Question::Plugins(reply)) => {
                let end = self.tail.end();
                let views = self
                    .plugins
                    .iter()
                    .map(|p| PluginView::of(p, end))
                    .collect();
                // A caller that went away needs no answer.
                reply
                    .send((
                        views,
                        LogEnd {
                            start: self.log_start,
                            end,
                        },
                    ))
                    .unwrap_or_default();
            }
        }
        Ok(())
    }

    // The site.

    fn site_read(&mut self, asked_at: Mono, high: EventId) {
        if std::mem::replace(&mut self.site.down, false) {
            self.site.good_since = self.clock.now();
        }
        for place in 0..self.plugins.len() {
            if self.plugins[place].lane.is_none() && asked_at >= self.plugins[place].seen_at {
                self.place_new(place, high);
            }
        }
        self.all_lanes(&lane::Input::SiteRead);
    }

    /// Gives a new plugin its place: what is seen from now on (design.md 2.13).
    fn place_new(&mut self, place: Place, high: EventId) {
        let plugin = &mut self.plugins[place];
        let end = self.tail.end();
        let mut row = self.workers.first_lane(&plugin.id, end, high);
        let used = plugin.used.and_then(|g| plugin.workers.get(&g));
        row.content = used.map(|w| w.content.clone()).unwrap_or_default();
        self.journal.note(Change::Lane(row.clone()));
        self.teller.tell(Fact::PluginPlaced {
            plugin: plugin.id.clone(),
            after: row.floor.unwrap_or_default(),
        });
        self.open_lane(place, row, Vec::new(), &[]);
    }

    fn open_lane(
        &mut self,
        place: Place,
        row: LaneRow,
        attempts: Vec<Attempt>,
        ahead: &[OutcomeRow],
    ) {
        let now = self.clock.now();
        let plugin = &mut self.plugins[place];
        let window = usize::try_from(plugin.settings.window).unwrap_or(usize::MAX);
        plugin.lane = Some(Lane::new(
            row,
            plugin.policy(),
            window,
            attempts,
            ahead,
            now,
            seed(),
        ));
        self.feed(place, lane::Input::LogGrew(self.tail.end()));
        let used = self.plugins[place].used;
        let callbacks = used.and_then(|g| self.plugins[place].workers.get(&g)?.callbacks.clone());
        if let Some(callbacks) = callbacks {
            self.feed(place, lane::Input::Ready(callbacks));
        }
    }

    // Files and lives.

    fn file(&mut self, change: FileChange) {
        let known = |d: &Self, id: &PluginId| d.plugins.iter().position(|p| p.id == *id);
        match change {
            FileChange::Appeared {
                plugin,
                content,
                from,
            } => {
                let place = known(self, &plugin).unwrap_or_else(|| self.new_plugin(&plugin));
                if let Some(from) = from {
                    self.take_over(&from, &plugin);
                }
                self.load(place, content, "appeared");
            }
            FileChange::Changed { plugin, content } => {
                if let Some(place) = known(self, &plugin) {
                    self.load(place, content, "changed");
                }
            }
            FileChange::Touched { plugin } => {
                if let Some(place) = known(self, &plugin) {
                    let content = self.plugins[place].content.clone();
                    self.load(place, content, "was touched");
                }
            }
            FileChange::Gone { plugin } => self.vanish(&plugin),
        }
    }

    /// A plugin's file is gone: it stops, and its cursor stays on record.
    fn vanish(&mut self, id: &PluginId) {
        if let Some(place) = self.plugins.iter().position(|p| p.id == *id) {
            self.tell_file(place, "is gone");
            self.amend(place, |row| row.gone = true);
            self.live(place, life::Input::Vanished);
        } else if let Some((row, ..)) = self.recorded.get_mut(id) {
            row.gone = true;
            self.journal.note(Change::Lane(row.clone()));
            self.teller.tell(Fact::PluginFile {
                plugin: id.clone(),
                what: "is gone",
            });
        }
    }

    /// A plugin was moved or renamed: the new one goes on where the old one stood.
    fn take_over(&mut self, from: &PluginId, to: &PluginId) {
        let live = self
            .plugins
            .iter()
            .find(|p| p.id == *from)
            .and_then(|p| Some(p.lane.as_ref()?.row()));
        let row = live.or_else(|| self.recorded.get(from).map(|(row, ..)| row.clone()));
        self.vanish(from);
        let Some(row) = row.filter(|_| !self.recorded.contains_key(to)) else {
            return;
        };
        let row = LaneRow {
            plugin: to.clone(),
            hold: None,
            gone: false,
            ..row
        };
        self.journal.note(Change::Lane(row.clone()));
        self.teller.tell(Fact::PluginMoved {
            from: from.clone(),
            to: to.clone(),
        });
        self.recorded
            .insert(to.clone(), (row, Vec::new(), Vec::new()));
    }

    fn new_plugin(&mut self, id: &PluginId) -> Place {
        let now = self.clock.now();
        let (file, settings) = self.workers.settings(id);
        self.plugins
            .push(Plugin::new(id.clone(), file, settings, seed(), now));
        self.plugins.len() - 1
    }

    fn load(&mut self, place: Place, content: String, what: &'static str) {
        let first = self.plugins[place].content.is_empty();
        if !first {
            self.tell_file(place, what);
        }
        let plugin = &mut self.plugins[place];
        plugin.content = content;
        plugin.resume_on_use = !first;
        if let Some((row, attempts, ahead)) = self.recorded.remove(&plugin.id) {
            // An edit while slated was down ends a hold as an edit while it runs does.
            plugin.resume_on_use |= row.content != plugin.content;
            let gone = row.gone;
            self.open_lane(place, row, attempts, &ahead);
            if gone {
                self.amend(place, |row| row.gone = false);
            }
        }
        if self.stopping.is_none() {
            self.live(place, life::Input::Load);
        }
    }

    fn tell_file(&self, place: Place, what: &'static str) {
        self.teller.tell(Fact::PluginFile {
            plugin: self.plugins[place].id.clone(),
            what,
        });
    }

    fn live(&mut self, place: Place, input: life::Input) {
        let now = self.clock.now();
        for effect in self.plugins[place].life.step(now, input) {
            match effect {
                life::Effect::Start(generation) => self.start(place, generation),
                life::Effect::Retire(generation) => {
                    if self.plugins[place].used == Some(generation) {
                        self.feed(place, lane::Input::Retired);
                    }
                }
                life::Effect::Goodbye(generation) => self.goodbye(place, generation),
                life::Effect::Use(generation) => self.use_worker(place, generation),
                life::Effect::KeptOld => {}
                life::Effect::Quarantined => {
                    let plugin = self.plugins[place].id.clone();
                    self.teller.tell(Fact::PluginQuarantined { plugin });
                }
            }
        }
    }

    fn start(&mut self, place: Place, generation: Generation) {
        let plugin = &mut self.plugins[place];
        let (id, worker) = self.workers.start(plugin);
        self.by_worker.insert(id, (place, generation));
        let failed = worker.as_ref().err().cloned();
        if let Ok(worker) = worker {
            if let (Some(pid), Some(handle)) = (worker.pid, &worker.handle) {
                let started = handle.started().unwrap_or_default();
                let plugin = plugin.id.clone();
                self.journal.note(Change::Worker(slated_model::WorkerRow {
                    plugin,
                    pid,
                    started,
                }));
            }
            plugin.workers.insert(generation, worker);
        }
        if let Some(message) = failed {
            // The system refused a process: that may pass, like a network's failure.
            plugin.note_error(None, None, message.clone());
            self.teller.tell(Fact::PluginUnlucky {
                plugin: plugin.id.clone(),
                message,
            });
            self.by_worker.remove(&id);
            self.live(
                place,
                life::Input::LoadFailed {
                    generation,
                    network: true,
                },
            );
            self.live(place, life::Input::Exited { generation });
        }
    }

    fn goodbye(&self, place: Place, generation: Generation) {
        let plugin = &self.plugins[place];
        if let Some(handle) = plugin
            .workers
            .get(&generation)
            .and_then(|w| w.handle.as_ref())
        {
            let (reason, grace) = if self.stopping.is_some() {
                ("stop", CLEAN_STOP)
            } else {
                ("reload", REPLACED)
            };
            if handle.goodbye(reason, grace).is_err() {
                handle.kill();
            }
        }
    }

    fn use_worker(&mut self, place: Place, generation: Generation) {
        let plugin = &mut self.plugins[place];
        plugin.used = Some(generation);
        plugin.broken = None;
        let Some(worker) = plugin.workers.get(&generation) else {
            return;
        };
        let (content, callbacks) = (worker.content.clone(), worker.callbacks.clone());
        let resume = std::mem::take(&mut plugin.resume_on_use);
        self.amend(place, |row| row.content = content);
        if resume {
            self.feed(place, lane::Input::Resume);
        }
        if let Some(callbacks) = callbacks {
            self.feed(place, lane::Input::Ready(callbacks));
        }
    }

    fn amend(&mut self, place: Place, change: impl FnOnce(&mut LaneRow)) {
        let Some(lane) = &mut self.plugins[place].lane else {
            return;
        };
        let before = lane.row();
        let effects = lane.amend(change);
        if lane.row() != before {
            self.perform(place, effects);
        }
    }

    // Workers.

    fn report(&mut self, worker: WorkerId, report: Report) {
        let Some(&(place, generation)) = self.by_worker.get(&worker) else {
            return;
        };
        let used = self.plugins[place].used == Some(generation);
        match report {
            Report::Hello(hello) => {
                if let Some(w) = self.plugins[place].workers.get_mut(&generation) {
                    w.runtime = hello.runtime;
                }
            }
            Report::Ready {
                callbacks,
                warnings,
                ..
            } => self.ready(place, generation, &callbacks, warnings),
            Report::LoadFailed(failed) => self.load_failed(place, generation, &failed),
            Report::Result {
                seq,
                n,
                us,
                error,
                stop,
            } => {
                if used {
                    let reply = match error {
                        None => lane::Reply::Done { us },
                        Some(failure) => lane::Reply::Failed {
                            failure: *failure,
                            stop,
                        },
                    };
                    self.feed(place, lane::Input::Answer { seq, n, reply });
                }
            }
            Report::Done { .. } => {}
            Report::Log(log) => self.teller.tell(Fact::PluginLog {
                plugin: self.plugins[place].id.clone(),
                level: log.level,
                logger: log.logger,
                message: log.message,
                event: None,
            }),
            Report::Stderr { line } => {
                let plugin = self.plugins[place].id.clone();
                self.teller.tell(Fact::PluginPrinted { plugin, line });
            }
            Report::Slow {
                seq,
                n,
                after,
                stack,
            } => self.slow(place, seq, n, after, stack),
            Report::Exited(exit) => self.exited(place, generation, worker, &exit),
        }
    }

    fn ready(
        &mut self,
        place: Place,
        generation: Generation,
        callbacks: &[slated_host::CallbackSpec],
        warnings: Vec<String>,
    ) {
        let plugin = &mut self.plugins[place];
        let Some(worker) = plugin.workers.get_mut(&generation) else {
            return;
        };
        let specs: Vec<_> = callbacks
            .iter()
            .map(|c| lane::CallbackSpec {
                n: c.n,
                id: c.id.clone(),
                matcher: c.matcher.clone(),
                stop_on_error: c.stop_on_error,
            })
            .collect();
        self.teller.tell(Fact::PluginReady {
            plugin: plugin.id.clone(),
            callbacks: specs.len(),
            warnings,
            pid: worker.pid.unwrap_or_default(),
        });
        worker.callbacks = Some(specs);
        self.live(place, life::Input::Ready(generation));
    }

    fn load_failed(
        &mut self,
        place: Place,
        generation: Generation,
        failed: &slated_host::wire::LoadFailed,
    ) {
        let network = failed.cause.is_some();
        self.live(
            place,
            life::Input::LoadFailed {
                generation,
                network,
            },
        );
        let plugin = &mut self.plugins[place];
        let message = failed.message.clone();
        plugin.note_error(None, None, message.clone());
        if network {
            self.teller.tell(Fact::PluginUnlucky {
                plugin: plugin.id.clone(),
                message,
            });
            return;
        }
        let broken = super::workers::broken(failed);
        plugin.broken = Some(broken.clone());
        self.teller.tell(Fact::PluginBroken {
            plugin: plugin.id.clone(),
            place: broken.place,
            traceback: broken.traceback,
            kept_old: plugin.life.state() == life::State::Running,
        });
    }

    fn slow(&self, place: Place, seq: u64, n: u32, after: Duration, stack: String) {
        let plugin = &self.plugins[place];
        let Some(lane) = &plugin.lane else { return };
        let callback = lane.callbacks().into_iter().flatten().find(|c| c.n == n);
        self.teller.tell(Fact::CallbackSlow {
            plugin: plugin.id.clone(),
            callback: callback.map_or_else(|| n.to_string(), |c| c.id.to_string()),
            event: lane.event_of(seq).unwrap_or_default(),
            after,
            stack,
        });
    }

    fn exited(
        &mut self,
        place: Place,
        generation: Generation,
        worker: WorkerId,
        exit: &slated_host::Exit,
    ) {
        self.by_worker.remove(&worker);
        self.journal.note(Change::WorkerGone { pid: exit.pid });
        let plugin = &mut self.plugins[place];
        plugin.workers.remove(&generation);
        let ours = exit.expected || plugin.life.is_leaving(generation);
        if !ours {
            let end = exit.failure().summary();
            plugin.note_error(None, None, format!("its process died ({end})"));
            self.teller.tell(Fact::WorkerDied {
                plugin: plugin.id.clone(),
                end,
                last_words: exit
                    .stderr
                    .lines()
                    .rev()
                    .take(20)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                    .collect::<Vec<_>>()
                    .join("\n"),
            });
        }
        if self.plugins[place].used == Some(generation) {
            self.plugins[place].used = None;
            let verdict = match exit.why {
                _ if ours => lane::Verdict::Ours,
                slated_host::Why::HardLimit(_) => lane::Verdict::Limit(exit.failure()),
                _ => lane::Verdict::Died(exit.failure()),
            };
            self.feed(place, lane::Input::Gone { verdict });
        }
        self.live(place, life::Input::Exited { generation });
    }

    // Lanes.

    fn all_lanes(&mut self, input: &lane::Input) {
        for place in 0..self.plugins.len() {
            self.feed(place, input.clone());
        }
    }

    /// Hands an input to a lane, and everything that follows from it.
    fn feed(&mut self, place: Place, input: lane::Input) {
        self.todo.push_back((place, input));
        while let Some((place, input)) = self.todo.pop_front() {
            let now = self.clock.now();
            let site = if self.site.down {
                SiteHealth::Down
            } else {
                SiteHealth::WellFor(now.since(self.site.good_since))
            };
            let at = Context {
                now,
                wall_ms: wall_ms(),
                gate: &self.gate,
                place,
                site,
            };
            let Some(lane) = &mut self.plugins[place].lane else {
                continue;
            };
            let effects = lane.step(at, input);
            self.perform(place, effects);
        }
    }

    fn perform(&mut self, place: Place, effects: Vec<lane::Effect>) {
        for effect in effects {
            match effect {
                lane::Effect::Send(frame) => self.send(place, frame),
                lane::Effect::Read { after, limit } => self.read(place, after, limit),
                lane::Effect::Recall { event } => self.recall(place, event),
                lane::Effect::Record { ticket, changes } => {
                    self.journal.add(place, ticket, changes)
                }
                lane::Effect::Tell(note) => {
                    let fact = self.plugins[place].hear(note);
                    self.teller.tell(fact);
                }
            }
        }
    }

    fn send(&mut self, place: Place, frame: lane::Frame) {
        let plugin = &self.plugins[place];
        let worker = plugin.used.and_then(|g| plugin.workers.get(&g));
        let Some(handle) = worker.and_then(|w| w.handle.as_ref()) else {
            return;
        };
        if let Err((failure, callbacks, seq)) = super::workers::send(handle, &plugin.id, frame) {
            // The event does not fit a frame: the callbacks fail, the stream goes on.
            for n in callbacks {
                let reply = lane::Reply::Failed {
                    failure: failure.clone(),
                    stop: false,
                };
                self.todo
                    .push_back((place, lane::Input::Answer { seq, n, reply }));
            }
        }
    }

    fn read(&mut self, place: Place, after: Offset, limit: usize) {
        if let Some((rows, through)) = self.tail.rows(after, limit) {
            self.todo.push_back((
                place,
                lane::Input::Rows {
                    after,
                    rows,
                    through,
                },
            ));
            return;
        }
        let (store, back) = (self.store.clone(), self.back.clone());
        tokio::spawn(async move {
            let rows = store.rows(after, limit).await;
            back.send(Message::Rows { place, after, rows })
                .await
                .unwrap_or_default();
        });
    }

    fn recall(&self, place: Place, event: EventId) {
        let (store, back) = (self.store.clone(), self.back.clone());
        tokio::spawn(async move {
            let row = store.event(event).await;
            back.send(Message::Recalled { place, event, row })
                .await
                .unwrap_or_default();
        });
    }

    // Time, the disk and the end.

    fn wake_at(&self) -> Mono {
        let now = self.clock.now();
        let lanes = self
            .plugins
            .iter()
            .filter_map(|p| p.lane.as_ref()?.wake_at(now));
        let lives = self.plugins.iter().filter_map(|p| p.life.wake_at());
        lanes
            .chain(lives)
            .chain(self.stopping)
            .min()
            .unwrap_or(Mono::NEVER)
    }

    fn tick(&mut self, wake: Mono) {
        if self.clock.now() < wake {
            return;
        }
        for place in 0..self.plugins.len() {
            self.live(place, life::Input::Tick);
            self.feed(place, lane::Input::Tick);
        }
    }

    fn write(&mut self) {
        let Some(changes) = self.journal.next() else {
            return;
        };
        let (store, back) = (self.store.clone(), self.back.clone());
        let teller = self.teller.clone();
        tokio::spawn(async move {
            let mut told = false;
            let result = loop {
                match store.record(changes.clone()).await {
                    // Nothing was written; what is done waits here until the disk has healed, and
                    // nothing new is sent beyond the windows meanwhile.
                    Err(error @ slated_store::Error::NoRoom { .. }) => {
                        if !std::mem::replace(&mut told, true) {
                            teller.tell(Fact::StateFailed {
                                error: error.to_string(),
                            });
                        }
                        tokio::time::sleep(DISK_WAIT).await;
                    }
                    result => break result,
                }
            };
            back.send(Message::Recorded(result))
                .await
                .unwrap_or_default();
        });
    }

    fn recorded(
        &mut self,
        result: Result<Recorded, slated_store::Error>,
    ) -> Result<(), slated_store::Error> {
        result?;
        for (place, ticket) in self.journal.written() {
            self.feed(place, lane::Input::Durable(ticket));
        }
        Ok(())
    }

    fn begin_stop(&mut self) {
        self.stopping = Some(self.clock.now() + CLEAN_STOP + Duration::from_secs(5));
        let busy = self
            .plugins
            .iter()
            .filter(|p| p.lane.as_ref().is_some_and(Lane::is_busy))
            .count();
        self.teller.tell(Fact::Stopping { busy });
        for place in 0..self.plugins.len() {
            self.live(place, life::Input::Stop);
        }
        for place in 0..self.plugins.len() {
            self.feed(place, lane::Input::Close);
        }
    }

    /// Tells whether a stop has come to its end: all processes are gone and everything is durable.
    fn has_stopped(&mut self) -> bool {
        let Some(limit) = self.stopping else {
            return false;
        };
        let late = self.clock.now() >= limit;
        self.journal.is_idle() && (late || self.plugins.iter().all(|p| p.workers.is_empty()))
    }
}
