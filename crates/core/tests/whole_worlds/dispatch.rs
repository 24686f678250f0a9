//! The dispatcher, as `slated/src/daemon/dispatch` has it: `lanes`, `lives`, `reports`, `files`,
//! `line`, and the loop of `mod`.

use std::time::Duration;

use slated_core::Mono;
use slated_core::lane::{self, Effect, Input, Lane, Moment, Note, Reply, Verdict};
use slated_core::life::{self, Generation, State};
use slated_core::resume;
use slated_core::retry::SiteHealth;
use slated_model::{Attempt, Cause, Change, EventId, LaneRow, Offset, OutcomeRow};

use crate::daemon::{Text, Worker};
use crate::judge::Key;
use crate::plan::End;
use crate::process::Report;
use crate::world::{Break, What, World};

/// How long a clean stop lets callbacks in flight finish.
const CLEAN_STOP: Duration = Duration::from_secs(30);
/// How long a replaced process may take to finish what it was sent.
const REPLACED: Duration = Duration::from_mins(1);

impl World {
    pub(crate) fn wake_at(&self) -> Mono {
        let Some(d) = &self.daemon else {
            return Mono::NEVER;
        };
        let lanes = d.plugins.iter();
        let lanes = lanes.filter_map(|p| p.lane.as_ref()?.wake_at(self.now, &d.gate));
        let lives = d.plugins.iter().filter_map(|p| p.life.wake_at());
        let begins = !d.gate.has_begun() && d.stopping.is_none();
        let begins = begins.then_some(d.begins_by);
        let stops = d.stopping.filter(|limit| *limit > self.now);
        let wakes = lanes.chain(lives).chain(begins).chain(stops);
        wakes.min().unwrap_or(Mono::NEVER)
    }

    /// The rest of a turn of the loop, after something was handled.
    pub(crate) fn turn(&mut self, wake: Mono) {
        if self.now >= wake {
            for place in 0..self.ids.len() {
                self.live(place, life::Input::Tick);
                self.feed(place, Input::Tick);
            }
        }
        self.begin_when_ready();
        while let Some(place) = self.d().freed.pop_first() {
            self.feed(place, Input::Tick);
        }
        self.write();
        self.has_stopped();
    }

    fn begin_when_ready(&mut self) {
        let now = self.now;
        let d = self.d();
        if d.gate.has_begun() || d.stopping.is_some() {
            return;
        }
        let mut plugins = d.plugins.iter();
        let waits = plugins.any(|p| p.found && !p.tried && p.life.state() == State::Starting);
        if now >= d.begins_by || (d.listed && !waits) {
            d.gate.begin();
            self.all_lanes(&Input::Tick);
        }
    }

    pub(crate) fn all_lanes(&mut self, input: &Input) {
        for place in 0..self.ids.len() {
            self.feed(place, input.clone());
        }
    }

    pub(crate) fn feed(&mut self, place: usize, input: Input) {
        self.d().todo.push_back((place, input));
        let (now, wall_ms) = (self.now, self.wall_ms());
        while let Some((place, input)) = self.d().todo.pop_front() {
            let d = self.d();
            let site = if d.site_down {
                SiteHealth::Down
            } else {
                SiteHealth::WellFor(now.since(d.good_since))
            };
            let moment = Moment { now, wall_ms, site };
            let plugins = &mut d.plugins;
            let (effects, freed) = lane::step(plugins, &d.order, &d.gate, moment, place, input);
            self.perform(place, effects);
            self.d().freed.extend(freed);
        }
    }

    pub(crate) fn perform(&mut self, place: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(frame) => {
                    let plugin = &self.d().plugins[place];
                    let worker = plugin.used.and_then(|g| plugin.workers.get(&g));
                    if let Some(process) = worker.map(|w| w.process) {
                        self.hand_over(process, frame);
                    }
                }
                Effect::Read { after, limit } => self.read(place, after, limit),
                Effect::Recall { event } => {
                    let takes = self.draw(0.0, 0.02);
                    self.soon(takes, What::Recalled(place, event));
                }
                Effect::Record { ticket, changes } => {
                    let early = self.breaks == Some(Break::AckTooEarly);
                    let d = self.d();
                    d.journal.waiting.extend(changes);
                    d.journal.tickets.insert(place, ticket);
                    if early {
                        d.todo.push_back((place, Input::Durable(ticket)));
                    }
                }
                Effect::Tell(note) => self.hear(place, &note),
                Effect::WentAhead { .. } => {}
            }
        }
    }

    fn hear(&mut self, place: usize, note: &Note) {
        if !matches!(note, Note::Done { .. }) {
            self.say(|| {
                let text = format!("{note:?}");
                let short: String = text.chars().take(160).collect();
                format!("p{place}: {short}")
            });
        }
    }

    fn read(&mut self, place: usize, after: Offset, limit: usize) {
        let d = self.d();
        if after >= d.tail {
            let end = d.end;
            let rows = self.record.rows(after, limit);
            let through = rows.last().map_or_else(|| end.max(after), |row| row.offset);
            let rows = Input::Rows {
                after,
                rows,
                through,
            };
            self.d().todo.push_back((place, rows));
        } else {
            let takes = self.draw(0.001, 0.02);
            self.soon(takes, What::Rows(place, after, limit));
        }
    }
    pub(crate) fn rows(&mut self, place: usize, after: Offset, limit: usize) {
        let rows = self.record.rows(after, limit);
        let through = rows.last().map_or(after, |row| row.offset);
        let rows = Input::Rows {
            after,
            rows,
            through,
        };
        self.feed(place, rows);
    }
    pub(crate) fn recalled(&mut self, place: usize, event: EventId) {
        let row = self.record.row_of(event);
        self.feed(place, Input::Recalled { event, row });
    }

    fn write(&mut self) {
        let d = self.d();
        let journal = &mut d.journal;
        if journal.out.is_some() || (journal.waiting.is_empty() && journal.tickets.is_empty()) {
            return;
        }
        journal.begun += 1;
        let changes = std::mem::take(&mut journal.waiting);
        journal.out = Some((changes, std::mem::take(&mut journal.tickets)));
        let takes = self.draw(0.0, self.plan.commits);
        self.soon(takes, What::Written);
    }

    pub(crate) fn written(&mut self) {
        let journal = &mut self.d().journal;
        let (changes, tickets) = journal.out.take().unwrap_or_default();
        journal.ended = journal.begun;
        let already = self.commit(changes, false);
        for (place, ticket) in tickets {
            self.feed(place, Input::Durable(ticket));
        }
        self.take_up_wishes(&already);
    }

    // Where lanes begin.

    pub(crate) fn place_new(&mut self, place: usize, mut row: LaneRow) {
        let plugin = &self.d().plugins[place];
        let used = plugin.used.and_then(|g| plugin.workers.get(&g));
        let text = used.map(|w| w.text.clone()).unwrap_or_default();
        (row.content, row.mtime_ns) = (text.sha256, text.mtime_ns);
        row.gone = !plugin.known;
        self.judge.placed(place, &row);
        self.say(|| format!("p{place} begins after {:?} at {}", row.floor, row.cursor));
        let d = self.d();
        d.journal.waiting.push(Change::Lane(row.clone()));
        d.journal.waiting.push(Change::Cursor {
            plugin: row.plugin.clone(),
            cursor: row.cursor,
        });
        self.open_lane(place, row, Vec::new(), &[]);
    }

    fn open_lane(
        &mut self,
        place: usize,
        row: LaneRow,
        attempts: Vec<Attempt>,
        ahead: &[OutcomeRow],
    ) {
        let seed = self.rng.u64(..);
        let (policy, window) = {
            let plugin = &self.plan.plugins[place];
            (plugin.policy.clone(), plugin.window)
        };
        let now = self.now;
        let d = self.d();
        let lane = Lane::new(row, policy, window, attempts, ahead, now, seed);
        let plugin = &mut d.plugins[place];
        plugin.lane = Some(lane);
        let running = plugin.runs;
        let used = plugin.used.and_then(|g| plugin.workers.get(&g));
        let loaded = used.and_then(|w| w.loaded.clone());
        let end = d.end;
        self.feed(place, Input::LogGrew(end));
        self.feed(place, Input::Running(running));
        if let Some(callbacks) = loaded {
            self.feed(place, Input::Ready { callbacks, window });
        }
    }

    pub(crate) fn amend(&mut self, place: usize, change: impl FnOnce(&mut LaneRow)) {
        let Some(lane) = &mut self.d().plugins[place].lane else {
            return;
        };
        let before = lane.row();
        let effects = lane.amend(change);
        if lane.row() != before {
            self.perform(place, effects);
        }
    }

    // Files.

    /// All files are looked at for the first time.
    pub(crate) fn listed(&mut self) {
        let now = self.secs();
        for place in 0..self.ids.len() {
            let appears = self.plan.plugins[place].appears;
            if appears <= now {
                self.load(place);
            } else {
                let life = self.lives;
                let at = crate::world::mono(appears);
                self.push(at, life, What::Edit(place, crate::world::Edit::Touch));
            }
        }
        self.d().listed = true;
    }

    /// A file appeared, changed or was touched.
    pub(crate) fn load(&mut self, place: usize) {
        let text = self.files[place].text();
        let now = self.now;
        let d = self.d();
        let plugin = &mut d.plugins[place];
        let first = plugin.text == Text::default();
        if !std::mem::replace(&mut plugin.found, true) {
            plugin.seen_at = now;
        }
        plugin.text = text.clone();
        plugin.resume_on_use = !first;
        if let Some((mut row, attempts, ahead)) = d.recorded.remove(&place) {
            plugin.resume_on_use |= row.content != text.sha256 || row.mtime_ns < text.mtime_ns;
            let start = d.log_start.max(d.going.unwrap_or_default());
            if let Some(hold) = resume::out_of_log(row.cursor, start) {
                row.hold = Some(hold);
            }
            if !row.is_only_a_place() {
                plugin.known = true;
            }
            self.open_lane(place, row, attempts, &ahead);
        }
        if self.d().plugins[place].known {
            self.amend(place, |row| row.gone = false);
        }
        if self.d().stopping.is_some() {
            return;
        }
        let lane = self.d().plugins[place].lane.as_ref();
        if lane.is_some_and(|l| l.record_row().stopped) {
            self.live(place, life::Input::Stop);
        } else {
            self.live(place, life::Input::Load);
        }
    }

    // Lives and reports.

    pub(crate) fn live(&mut self, place: usize, input: life::Input) {
        let now = self.now;
        let effects = self.d().plugins[place].life.step(now, input);
        let plugin = &mut self.d().plugins[place];
        let runs = plugin.life.state() == State::Running;
        if std::mem::replace(&mut plugin.runs, runs) != runs {
            self.feed(place, Input::Running(runs));
        }
        for effect in effects {
            match effect {
                life::Effect::Start(generation) => {
                    let process = self.spawn(place, generation);
                    let plugin = &mut self.d().plugins[place];
                    let worker = Worker {
                        process,
                        text: plugin.text.clone(),
                        loaded: None,
                    };
                    plugin.workers.insert(generation, worker);
                }
                life::Effect::Retire(generation) => {
                    if self.d().plugins[place].used == Some(generation) {
                        self.feed(place, Input::Retired);
                    }
                }
                life::Effect::Goodbye(generation) => {
                    let d = self.d();
                    let grace = d.stopping.map_or(REPLACED, |_| CLEAN_STOP);
                    if let Some(worker) = d.plugins[place].workers.get(&generation) {
                        let process = worker.process;
                        self.goodbye(process, grace);
                    }
                }
                life::Effect::Use(generation) => self.use_worker(place, generation),
                life::Effect::KeptOld => {}
                life::Effect::Quarantined => self.say(|| format!("p{place} is quarantined")),
            }
        }
    }

    fn use_worker(&mut self, place: usize, generation: Generation) {
        let window = self.plan.plugins[place].window;
        let plugin = &mut self.d().plugins[place];
        plugin.used = Some(generation);
        let Some(worker) = plugin.workers.get(&generation) else {
            return;
        };
        let (text, loaded) = (worker.text.clone(), worker.loaded.clone());
        let resume = std::mem::take(&mut plugin.resume_on_use);
        self.amend(place, |row| {
            row.content = text.sha256;
            row.mtime_ns = text.mtime_ns;
        });
        if resume {
            self.resume_lane(place);
        }
        if let Some(callbacks) = loaded {
            self.feed(place, Input::Ready { callbacks, window });
        }
    }

    pub(crate) fn report(&mut self, place: usize, generation: Generation, report: Report) {
        let plugin = &mut self.d().plugins[place];
        let used = plugin.used == Some(generation);
        match report {
            Report::Ready(callbacks) => {
                plugin.tried = true;
                let Some(worker) = plugin.workers.get_mut(&generation) else {
                    return;
                };
                worker.loaded = Some(callbacks);
                self.is_plugin(place);
                self.live(place, life::Input::Ready(generation));
            }
            Report::LoadFailed => {
                plugin.tried = true;
                let network = false;
                let failed = life::Input::LoadFailed {
                    generation,
                    network,
                };
                self.live(place, failed);
                self.is_plugin(place);
            }
            Report::Answer {
                seq,
                n,
                reply,
                event,
            } => {
                if used {
                    self.judge_failure((place, event, n as usize), &reply);
                    self.feed(place, Input::Answer { seq, n, reply });
                }
            }
            Report::Exited(verdict, call) => {
                plugin.workers.remove(&generation);
                plugin.tried = true;
                let ours = plugin.life.is_leaving(generation);
                if let Some((event, n, end)) = call.filter(|_| !ours) {
                    let (now, key) = (self.secs(), (place, event, n as usize));
                    self.judge.ends(key, end);
                    if end == End::Hung {
                        self.judge.counts(now, key);
                    }
                }
                let plugin = &mut self.d().plugins[place];
                if used {
                    plugin.used = None;
                    let verdict = if ours { Verdict::Ours } else { verdict };
                    self.feed(place, Input::Gone { verdict });
                }
                self.live(place, life::Input::Exited { generation });
            }
        }
    }

    /// Tells the judge of a failure that counts: a site that is down is nobody's fault.
    fn judge_failure(&mut self, key: Key, reply: &Reply) {
        let Reply::Failed { failure, .. } = reply else {
            return;
        };
        let down = self.d().site_down;
        let excused = match failure.cause {
            Some(Cause::Site) => true,
            Some(Cause::Transient) => down,
            None => false,
        };
        if !excused {
            let now = self.secs();
            self.judge.counts(now, key);
        }
    }

    fn is_plugin(&mut self, place: usize) {
        if !std::mem::replace(&mut self.d().plugins[place].known, true) {
            self.amend(place, |row| row.gone = false);
        }
    }

    // The end.

    pub(crate) fn begin_stop(&mut self) {
        if self.daemon.as_ref().is_none_or(|d| d.stopping.is_some()) {
            return;
        }
        self.say(|| "the daemon is told to stop".into());
        let limit = self.now + CLEAN_STOP + Duration::from_secs(5);
        self.d().stopping = Some(limit);
        self.all_lanes(&Input::Close);
        for place in 0..self.ids.len() {
            self.live(place, life::Input::Stop);
        }
    }

    fn has_stopped(&mut self) {
        let now = self.now;
        let d = self.d();
        let Some(limit) = d.stopping else {
            return;
        };
        let ended = now >= limit || d.plugins.iter().all(|p| p.workers.is_empty());
        if d.journal.is_idle() && ended {
            self.say(|| "the daemon has stopped".into());
            self.daemon = None;
            self.judge.stopped(&self.plan);
            self.ends(0.0);
        }
    }
}
