//! A world: a site, a disk, processes, and a daemon that may be killed at any step, all on one clock.
//!
//! What happens stands in a queue by its time; [`World::step`] takes the next. Whatever crosses a
//! border of the daemon (a request, a commit, a report) is a happening of its own, so a kill may come
//! between any two.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use slated_core::Mono;
use slated_core::follow::{Follower, Look, Pace, Request, Start};
use slated_core::life::{Generation, Life};
use slated_core::order::Gate;
use slated_model::{Body, Event, EventId, Head, Offset, PluginId, Row};

use crate::daemon::{Daemon, Journal, Plugin, Text};
use crate::judge::{Judge, Kind};
use crate::plan::{self, Plan};
use crate::process::{Process, Report};
use crate::record::Record;
use crate::table::Table;

/// How long plugins may take to load before those that have begin without them.
const BEGIN: Duration = Duration::from_secs(30);

/// Something that happens.
pub(crate) enum What {
    // The daemon with this number, while it lives.
    Ask,
    Snapshot(Request),
    Answered(Option<Vec<Event>>),
    Appended(Look),
    Written,
    Rows(usize, Offset, usize),
    Recalled(usize, EventId),
    Listed,
    Report(usize, Generation, Report),
    Prune,
    PruneNow(Option<Offset>),
    PruneRest,
    // Processes, which outlive it for a moment.
    Loaded(u64),
    Ends(u64, u64),
    Terminate(u64),
    // People, and the world.
    Start,
    Kill,
    Stop,
    Edit(usize, Edit),
    Hold(usize, bool),
    Resume(usize),
    Wish(usize, bool),
    WallJumps,
    Nothing,
}

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    Change,
    Touch,
    /// It does not load.
    Break,
}

/// A plugin's file.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) edits: u32,
    pub(crate) touches: u32,
    pub(crate) broken: bool,
}

impl File {
    pub(crate) fn text(&self) -> Text {
        Text {
            sha256: format!("{}{}", self.edits, if self.broken { "b" } else { "" }),
            mtime_ns: i64::from(self.edits + self.touches),
        }
    }
}

/// A way to break the rules, for tests of the judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    DropOutcome,
    PruneTooMuch,
    NeverPrune,
    ForgetHole,
    AckTooEarly,
    CursorAlone,
    SkipCall,
    AppendTwice,
    ForgetAttempts,
    CallNewestFirst,
    ForgetOutcomes,
    LogNothing,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) now: Mono,
    queue: BTreeMap<(Mono, u64), (u64, What)>,
    queued: u64,
    pub(crate) plan: Plan,
    pub(crate) ids: Vec<PluginId>,
    pub(crate) site: Table,
    /// When each id was taken.
    pub(crate) taken: BTreeMap<u64, f64>,
    body: Body,
    pub(crate) record: Record,
    pub(crate) files: Vec<File>,
    pub(crate) processes: BTreeMap<u64, Process>,
    pub(crate) started: u64,
    /// When the last daemon started.
    pub(crate) started_at: f64,
    pub(crate) daemon: Option<Daemon>,
    /// How many daemons there were.
    pub(crate) lives: u64,
    pub(crate) judge: Judge,
    pub(crate) healed: bool,
    pub(crate) breaks: Option<Break>,
    pub(crate) traced: bool,
    pub(crate) wall_s: f64,
    pub(crate) requests: u64,
    pub(crate) kills: u64,
    steps: u64,
    /// Steps since the clock moved.
    idle_steps: u64,
}

pub(crate) fn mono(secs: f64) -> Mono {
    Mono(Duration::from_secs_f64(secs.max(0.0)))
}

impl World {
    /// Makes a world in which the daemon starts at `start`.
    pub(crate) fn new(seed: u64, plan: Plan, start: f64) -> Self {
        let rng = Rng::with_seed(seed);
        let many = plan.plugins.len();
        let id = |place: usize| PluginId::new("plugins", format!("p{place}"));
        let mut world = Self {
            rng,
            now: Mono::ZERO,
            queue: BTreeMap::new(),
            queued: 0,
            ids: (0..many).map(id).collect(),
            site: Table::new(plan.inclusive, plan.odd),
            taken: BTreeMap::new(),
            body: Body::Json(serde_json::value::RawValue::NULL.to_owned().into()),
            record: Record::default(),
            files: vec![File::default(); many],
            processes: BTreeMap::new(),
            started: 0,
            started_at: 0.0,
            daemon: None,
            lives: 0,
            judge: Judge::default(),
            healed: false,
            breaks: None,
            traced: false,
            wall_s: 0.0,
            requests: 0,
            kills: 0,
            steps: 0,
            idle_steps: 0,
            plan,
        };
        world.at(start, What::Start);
        world
    }

    pub(crate) fn secs(&self) -> f64 {
        self.now.0.as_secs_f64()
    }
    /// Returns a time between two, in seconds.
    pub(crate) fn draw(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.rng.f64()
    }
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if self.traced {
            println!("{:>10.3} {}", self.secs(), text());
        }
    }
    /// Lets something happen at a time.
    pub(crate) fn at(&mut self, at: f64, what: What) {
        self.push(mono(at), 0, what);
    }
    /// Lets something happen to this daemon, some seconds from now.
    pub(crate) fn soon(&mut self, wait: f64, what: What) {
        let at = self.now + Duration::from_secs_f64(wait.max(0.0));
        self.push(at, self.lives, what);
    }
    pub(crate) fn push(&mut self, at: Mono, life: u64, what: What) {
        self.queued += 1;
        self.queue.insert((at, self.queued), (life, what));
    }
    pub(crate) fn d(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("the daemon runs")
    }
    /// Milliseconds since 1970, if the clock on the wall is right.
    pub(crate) fn wall_ms(&self) -> i64 {
        Duration::from_secs_f64(self.wall())
            .as_millis()
            .try_into()
            .expect("a time")
    }
    fn wall(&self) -> f64 {
        (1_700_000_000.0 + self.secs() + self.wall_s).max(0.0)
    }
    /// Tells the time as rows do, so many seconds off the clock on the wall.
    pub(crate) fn dated(&self, off: f64) -> String {
        date(self.wall() + off)
    }

    /// Ids are taken and become visible at their times.
    pub(crate) fn grow(&mut self, rows: impl IntoIterator<Item = (u64, f64, Option<f64>)>) {
        let mut shown = Vec::new();
        for (id, taken, visible) in rows {
            self.taken.insert(id, taken);
            shown.extend(visible.map(|at| (id, at)));
        }
        self.site.add(shown);
    }
    pub(crate) fn row(&self, id: u64) -> Event {
        if !self.site.readable(id) {
            return Event::unreadable(EventId(id), "{");
        }
        let taken = self.taken.get(&id).copied().unwrap_or_default();
        Event {
            id: EventId(id),
            head: Head {
                event_type: Some(plan::name(plan::kind(id))),
                attribute_name: None,
                created_at: Some(date(1_700_000_000.0 + taken)),
            },
            body: self.body.clone(),
        }
    }

    /// Lives until a time.
    pub(crate) fn run(&mut self, until: f64) {
        let until = mono(until);
        self.push(until, 0, What::Nothing);
        while self.now < until {
            self.step();
        }
    }

    /// Takes what is next.
    fn step(&mut self) {
        let wake = self.wake_at();
        let next = self.queue.first_key_value().map(|(key, _)| key.0);
        let at = next.unwrap_or(Mono::NEVER).min(wake).max(self.now);
        assert!(at < Mono::NEVER, "nothing happens any more");
        self.idle_steps = if at > self.now {
            0
        } else {
            self.idle_steps + 1
        };
        if self.idle_steps == 100_000 {
            self.judge.fault(Kind::Busy, "100,000 steps in no time");
            self.push(mono(self.secs() + 1.0), 0, What::Nothing);
            self.now = mono(self.secs() + 1.0);
            return;
        }
        self.now = at;
        self.steps += 1;
        if self.daemon.is_some() && self.plan.kills > 0.0 && self.rng.f64() < self.plan.kills {
            self.kill();
        }
        let due = next.is_some_and(|next| next <= self.now);
        if let Some((_, (life, what))) = due.then(|| self.queue.pop_first()).flatten()
            && (life == 0 || (self.daemon.is_some() && life == self.lives))
        {
            self.happens(what);
        }
        if self.daemon.is_some() {
            self.turn(wake);
        }
    }

    fn happens(&mut self, what: What) {
        match what {
            What::Ask => self.ask(),
            What::Snapshot(request) => self.snapshot(&request),
            What::Answered(rows) => self.answered(rows),
            What::Appended(look) => self.appended(look),
            What::Written => self.written(),
            What::Rows(place, after, limit) => self.rows(place, after, limit),
            What::Recalled(place, event) => self.recalled(place, event),
            What::Listed => self.listed(),
            What::Report(place, generation, report) => self.report(place, generation, report),
            What::Prune => self.prune_begins(),
            What::PruneNow(needed) => self.prune(needed),
            What::PruneRest => self.prune_ask(),
            What::Loaded(process) => self.loaded(process),
            What::Ends(process, call) => self.call_ends(process, call),
            What::Terminate(process) => self.terminate(process),
            What::Start => self.start(),
            What::Kill => self.kill(),
            What::Stop => self.begin_stop(),
            What::Edit(place, edit) => self.edit(place, edit),
            What::Hold(place, stop) => self.person_stops(place, stop),
            What::Resume(place) => self.person_resumes(place),
            What::Wish(place, again) => self.person_wishes(place, again),
            What::WallJumps => {
                let most = self.plan.wall_jumps;
                self.wall_s = self.draw(-most, most);
                let off = self.wall_s;
                self.say(|| format!("the clock on the wall is {off:.0} s off"));
            }
            What::Nothing => {}
        }
    }

    /// A daemon starts with what is on the disk.
    pub(crate) fn start(&mut self) {
        if self.daemon.is_some() {
            return;
        }
        assert!(
            self.processes.is_empty(),
            "the processes of the last are dead"
        );
        self.judge.died(&self.plan);
        self.lives += 1;
        self.started_at = self.secs();
        let lives = self.lives;
        self.say(|| format!("daemon {lives} starts"));
        let pace = Pace {
            page: self.plan.page,
            tick: self.plan.tick,
            ..Pace::default()
        };
        let mut state = self.record.ledger.state();
        if self.breaks == Some(Break::ForgetHole)
            && let Some(state) = &mut state
        {
            state.holes.pop();
        }
        let placed = state.is_some();
        let mut plugins = Vec::new();
        let mut recorded = BTreeMap::new();
        for (place, id) in self.ids.iter().enumerate() {
            let plan = &self.plan.plugins[place];
            plugins.push(Plugin {
                id: id.clone(),
                found: false,
                text: Text::default(),
                life: Life::new(plan.broken_edit, plan.reload, self.rng.u64(..)),
                runs: false,
                tried: false,
                known: false,
                lane: None,
                seen_at: self.now,
                workers: BTreeMap::new(),
                used: None,
                resume_on_use: false,
            });
            if let Some(mut taken_up) = self.record.taken_up(id) {
                if self.breaks == Some(Break::ForgetAttempts) {
                    taken_up.1.clear();
                }
                if self.breaks == Some(Break::ForgetOutcomes) {
                    taken_up.2.clear();
                }
                recorded.insert(place, taken_up);
            }
        }
        let order = (0..plugins.len()).collect();
        self.daemon = Some(Daemon {
            follower: Follower::start(state, Start::Latest, pace, self.now),
            asked_at: self.now,
            placed,
            failures: 0,
            plugins,
            order,
            gate: Gate::new(self.plan.rules),
            begins_by: self.now + BEGIN,
            listed: false,
            journal: Journal::default(),
            end: self.record.end,
            tail: self.record.end,
            log_start: self.record.start,
            going: None,
            site_down: true,
            good_since: Mono::ZERO,
            stopping: None,
            recorded,
            wishes: Vec::new(),
            todo: std::collections::VecDeque::new(),
            freed: std::collections::BTreeSet::new(),
        });
        let listed = self.draw(0.01, 0.5);
        self.soon(listed, What::Listed);
        self.soon(0.0, What::Ask);
        if self.plan.keep.is_some() {
            let first = self.draw(20.0, 40.0);
            self.soon(first, What::Prune);
        }
    }

    /// The daemon is killed. What was being committed is durable, or it is not.
    pub(crate) fn kill(&mut self) {
        let Some(daemon) = self.daemon.take() else {
            return;
        };
        self.kills += 1;
        let lives = self.lives;
        self.say(|| format!("daemon {lives} is killed"));
        if let Some((changes, _)) = daemon.journal.out
            && (self.breaks == Some(Break::CursorAlone) || self.rng.bool())
        {
            self.commit(changes, true);
        }
        let looks = (self.queue.iter())
            .filter(|(_, (life, what))| *life == lives && matches!(what, What::Appended(_)))
            .map(|(key, _)| *key);
        let look: Option<(Mono, u64)> = looks.into_iter().next();
        if let Some((_, What::Appended(look))) = look.and_then(|key| self.queue.remove(&key))
            && self.rng.bool()
        {
            self.append(look);
        }
        self.ends(0.05);
    }

    /// The daemon is no more; another starts some time later. Its processes end within a moment.
    pub(crate) fn ends(&mut self, moment: f64) {
        let processes: Vec<_> = self.processes.keys().copied().collect();
        for process in processes {
            let wait = self.draw(0.0, moment);
            let at = self.now + Duration::from_secs_f64(wait);
            self.push(at, 0, What::Terminate(process));
        }
        let (least, most) = self.plan.down;
        let down = self.draw(least, most);
        let at = self.now + Duration::from_secs_f64(down);
        // When the dead are dead and before the next starts.
        self.push(at, 0, What::Start);
    }

    pub(crate) fn append(&mut self, look: Look) -> Vec<Arc<Row>> {
        let high = look.ledger.high;
        let mut rows = self.record.append(look);
        if self.breaks == Some(Break::AppendTwice)
            && let Some(row) = rows.first()
        {
            rows.push(self.record.put(row.event.clone(), false));
        }
        let now = self.secs();
        self.judge.appended(now, high, &rows);
        for row in &rows {
            self.say(|| {
                let late = if row.late { ", late" } else { "" };
                format!(
                    "event {} is in the log at {}{late}",
                    row.event.id, row.offset
                )
            });
        }
        rows
    }

    /// Returns all ids that become visible, with their times.
    pub(crate) fn visible(&self) -> Vec<(u64, f64)> {
        let mut all: Vec<_> = self.site.vis.iter().map(|(id, at)| (*id, *at)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }
}

/// Writes a time as rows have it: later ones sort behind.
fn date(secs: f64) -> String {
    format!("{:020.3}", secs.max(0.0))
}
