//! The dispatcher: one task that owns every lane and life, and does what they decide.
//!
//! A turn of its loop takes what has come (news of the intake, reports of workers, changed files,
//! questions of people, time), hands it to `core`, performs the effects, and gives the journal what
//! is to be durable. Nothing else touches a lane, so there is nothing to lock.
//!
//! Invariant: the loop never waits for a plugin, the disk or the site; what takes time runs in a
//! task of its own and comes back as a [`Message`].

mod disk;
mod files;
mod heirs;
mod lanes;
mod letters;
mod line;
mod lives;
mod people;
mod pulse;
mod reports;
mod settings;
mod void;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slated_core::Mono;
use slated_core::lane::{self, Lane};
use slated_core::life::{self, Generation};
use slated_core::order::Gate;
use slated_host::{Report, WorkerId};
use slated_model::{Attempt, Change, LaneRow, Offset, OutcomeRow, PluginId};
use slated_store::{Recorded, Snapshot, Store, kill_point};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::daemon::journal::{Journal, Place};
use crate::daemon::message::{Imports, Message, Writes};
use crate::daemon::pages::Pages;
use crate::daemon::plugin::Plugin;
use crate::daemon::since::Since;
use crate::daemon::tail::Tail;
use crate::daemon::workers::Workers;
use crate::service::Pulse;
use crate::tell::{Fact, Teller};
use disk::Disk;
use heirs::Heir;
use letters::Wish;
pub(crate) use letters::takes_letters;
use people::Wait;
pub(crate) use people::{resume_on_record, skip_on_record, stop_on_record};

/// How long a clean stop lets callbacks in flight finish (config.md).
const CLEAN_STOP: Duration = Duration::from_secs(30);
/// How long a clean stop takes at most: the ladder of processes that do not end, and the last writes.
pub(crate) const LONGEST_STOP: Duration = Duration::from_secs(45);
/// How long a replaced process may take to finish what it was sent (config.md).
const REPLACED: Duration = Duration::from_mins(1);
/// How long plugins may take to load before those that have begin without them, where there is an
/// order.
const BEGIN: Duration = Duration::from_secs(30);
/// How long a full disk is left alone before the next try.
const DISK_WAIT: Duration = Duration::from_secs(2);
/// Messages handled before the journal and the timers are looked at.
const BATCH: usize = 256;

/// Owns the plugins of a daemon.
pub(crate) struct Dispatcher {
    clock: Clock,
    store: Arc<dyn Store>,
    teller: Teller,
    workers: Workers,
    /// What asks where new plugins begin, if that is a time ago.
    since: Option<Since>,
    back: mpsc::Sender<Message>,
    /// What plugins imported, for whoever looks at files.
    imported: watch::Sender<Imports>,
    plugins: Vec<Plugin>,
    /// Their places in the documented order.
    order: Vec<Place>,
    by_worker: BTreeMap<WorkerId, (Place, Generation)>,
    journal: Journal,
    tail: Tail,
    pages: Pages,
    /// The offset before the oldest row kept.
    log_start: Offset,
    /// Rows up to here may be on their way out.
    going: Option<Offset>,
    gate: Gate,
    disk: Disk,
    /// When dispatch begins at the latest, whatever plugins are not ready.
    begins_by: Mono,
    /// The plugins' files were looked at.
    listed: bool,
    site: Site,
    stopping: Option<Mono>,
    /// What stands on record of plugins that were not seen yet.
    recorded: BTreeMap<PluginId, (LaneRow, Vec<Attempt>, Vec<OutcomeRow>)>,
    /// Plugins whose lanes were open when slated ended without having come to its end.
    unclean: BTreeSet<PluginId>,
    /// Plugins that were moved, and wait for their old processes.
    heirs: Vec<Heir>,
    /// People who wait to hear what became of their wish.
    waits: Vec<Wait>,
    /// What people wish of dead letters, on its way to the record.
    wishes: Vec<Wish>,
    /// Rows that became void since the start.
    void: Vec<void::Gone>,
    /// Those who wait to hear that rows are void on record.
    voided: Vec<void::Voided>,
    /// Inputs for lanes that came up while others were handled.
    todo: VecDeque<(Place, lane::Input)>,
    /// Lanes that waited for others and may go on.
    freed: BTreeSet<Place>,
    /// What tells the service manager that the loop turns.
    pulse: Pulse,
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
        (workers, since): (Workers, Option<Since>),
        back: mpsc::Sender<Message>,
        imported: watch::Sender<Imports>,
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
        let lanes = snapshot.lanes.iter().filter(|_| snapshot.running);
        let unclean = lanes.map(|row| row.plugin.clone()).collect();
        let rules = workers.rules();
        Self {
            clock,
            store,
            teller,
            workers,
            since,
            back,
            imported,
            plugins: Vec::new(),
            order: Vec::new(),
            by_worker: BTreeMap::new(),
            journal: Journal::default(),
            tail: Tail::new(snapshot.log.end),
            pages: Pages::default(),
            log_start: snapshot.log.start,
            going: None,
            gate: Gate::new(rules),
            disk: Disk::default(),
            begins_by: clock.now() + BEGIN,
            listed: false,
            site: Site {
                down: true,
                good_since: Mono::ZERO,
            },
            stopping: None,
            recorded,
            unclean,
            heirs: Vec::new(),
            waits: Vec::new(),
            wishes: Vec::new(),
            void: Vec::new(),
            voided: Vec::new(),
            todo: VecDeque::new(),
            freed: BTreeSet::new(),
            pulse: Pulse::asked_for(),
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
        self.hand_on_stranded();
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
            self.begin_when_ready();
            self.go_on();
            self.write();
            self.answer_waits();
            self.beat();
            if self.has_stopped() {
                return Ok(());
            }
            if let Some(unwritten) = self.stops_unwritten() {
                return Err(unwritten);
            }
        }
    }

    fn take(&mut self, message: Message) -> Result<(), slated_store::Error> {
        match message {
            Message::Appended { rows } => {
                self.tail.push(rows);
                self.all_lanes(&lane::Input::LogGrew(self.tail.end()));
            }
            Message::SiteRead { asked_at, head } => self.site_read(asked_at, head),
            Message::SiteDown => self.site.down = true,
            Message::Since {
                place,
                seen_at,
                now,
                first,
            } => self.since(place, seen_at, now, first),
            Message::Rows {
                after,
                rows,
                through,
            } => self.rows(after, rows?, through),
            Message::Recalled { place, event, row } => {
                let row = row?.filter(|row| !self.is_void(row.offset, row.event.id));
                self.feed(place, lane::Input::Recalled { event, row });
            }
            Message::Recorded(result) => self.recorded(result)?,
            Message::NoRoom { who, error } => self.disk(who, error),
            Message::Files(changes) => {
                for change in changes {
                    self.file(change);
                }
                self.listed = true;
            }
            Message::Pruned { start } => {
                self.log_start = start.unwrap_or(self.log_start);
                self.going = None;
                for place in 0..self.plugins.len() {
                    if !self.plugins[place].is_gone() {
                        self.place_first(place);
                    }
                }
            }
            Message::Ask(question) => self.answer(question),
        }
        Ok(())
    }

    fn wake_at(&self) -> Mono {
        let now = self.clock.now();
        let lanes = self
            .plugins
            .iter()
            .filter_map(|p| p.lane.as_ref()?.wake_at(now, &self.gate));
        let lives = self.plugins.iter().filter_map(|p| p.life.wake_at());
        // A stop begins nothing any more.
        let begins = !self.gate.has_begun() && self.stopping.is_none();
        let begins = begins.then_some(self.begins_by);
        lanes
            .chain(lives)
            .chain(begins)
            .chain(Some(self.pulse.wake_at()))
            // Past the limit only the journal is waited for, and it tells by a message.
            .chain(self.stopping.filter(|limit| *limit > now))
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
        let outcomes = changes.iter().any(|c| matches!(c, Change::Outcome(_)));
        tokio::spawn(async move {
            if outcomes {
                kill_point("before_record");
            }
            let result = loop {
                match store.record(changes.clone()).await {
                    // Nothing was written; what is done waits here until the disk has healed.
                    Err(error @ slated_store::Error::NoRoom { .. }) => {
                        let error = Some(error);
                        let who = Writes::Journal;
                        let full = Message::NoRoom { who, error };
                        back.send(full).await.unwrap_or_default();
                        tokio::time::sleep(DISK_WAIT).await;
                    }
                    result => break result,
                }
            };
            if outcomes {
                kill_point("after_record");
            }
            back.send(Message::Recorded(result))
                .await
                .unwrap_or_default();
        });
    }

    fn recorded(
        &mut self,
        result: Result<Recorded, slated_store::Error>,
    ) -> Result<(), slated_store::Error> {
        let recorded = result?;
        self.disk(Writes::Journal, None);
        for (place, ticket) in self.journal.written() {
            self.feed(place, lane::Input::Durable(ticket));
        }
        self.take_up_wishes(&recorded);
        self.answer_voided();
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
        // First, so that each lane stays in line as it is.
        for place in 0..self.plugins.len() {
            self.feed(place, lane::Input::Close);
        }
        for place in 0..self.plugins.len() {
            self.live(place, life::Input::Stop);
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
