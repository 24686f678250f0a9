//! The dispatcher and its lanes: where they begin, what they are given, what they ask for.

use std::sync::Arc;

use slated_core::Mono;
use slated_core::lane::{self, Lane, Moment};
use slated_core::life;
use slated_core::retry::SiteHealth;
use slated_model::{Attempt, Change, EventId, Failure, LaneRow, Offset, OutcomeRow, Row};
use slated_store::kill_point;

use super::Dispatcher;
use crate::clock::{seed, wall_ms};
use crate::daemon::begin::lane_from;
use crate::daemon::journal::Place;
use crate::daemon::message::{Message, Start};
use crate::daemon::since::Since;
use crate::daemon::workers::Unsent;
use crate::tell::Fact;

impl Dispatcher {
    pub(super) fn site_read(&mut self, asked_at: Mono, head: EventId) {
        if std::mem::replace(&mut self.site.down, false) {
            self.site.good_since = self.clock.now();
        }
        for place in 0..self.plugins.len() {
            let plugin = &self.plugins[place];
            let placed = plugin.lane.is_some() || self.workers.first_id().is_some();
            if !placed && !plugin.helper && asked_at >= plugin.seen_at {
                let now = Start {
                    head,
                    end: self.tail.end(),
                };
                match &self.since {
                    Some(since) => self.ask_since(place, since.clone(), now),
                    None => self.place_now(place, now),
                }
            }
        }
        self.all_lanes(&lane::Input::SiteRead);
        self.pages.rest(self.clock.now());
    }

    /// Asks the site which event a new plugin begins with, where that is a time ago.
    fn ask_since(&mut self, place: Place, since: Since, now: Start) {
        let plugin = &mut self.plugins[place];
        if std::mem::replace(&mut plugin.asks_since, true) {
            return;
        }
        let (seen_at, back) = (plugin.seen_at, self.back.clone());
        tokio::spawn(async move {
            let first = since.first().await;
            let first = first.map_err(|error| format!("{error} ({})", error.hint()));
            let message = Message::Since {
                place,
                seen_at,
                now,
                first,
            };
            back.send(message).await.unwrap_or_default();
        });
    }

    /// Gives a new plugin the place that the site told, if it is still the same plugin.
    pub(super) fn since(
        &mut self,
        place: Place,
        seen_at: Mono,
        now: Start,
        first: Result<Option<EventId>, String>,
    ) {
        let plugin = &mut self.plugins[place];
        plugin.asks_since = false;
        if plugin.lane.is_some() || plugin.helper || plugin.seen_at != seen_at {
            return;
        }
        match first {
            Ok(Some(id)) => self.place_at(place, id),
            // Nothing happened since: as if it began now.
            Ok(None) => self.place_now(place, now),
            // The next good read of the site asks again.
            Err(error) => {
                let known = plugin.last_error.as_ref().is_some_and(|e| e.error == error);
                if !known {
                    plugin.note_error(None, None, error.clone());
                    let plugin = plugin.id.clone();
                    self.teller.tell(Fact::PlaceUnknown { plugin, error });
                }
            }
        }
    }

    /// Lets a new plugin begin with an event, as far back as the log reaches.
    pub(super) fn place_at(&mut self, place: Place, id: EventId) {
        let plugin = self.plugins[place].id.clone();
        let mut row = lane_from(plugin, id, self.tail.end());
        row.cursor = self.log_start;
        self.place_new(place, row);
    }

    /// Lets a new plugin begin with what is seen from now on.
    fn place_now(&mut self, place: Place, now: Start) {
        let row = LaneRow {
            floor: Some(now.head),
            in_line_from: now.end,
            ..LaneRow::new(self.plugins[place].id.clone(), now.end)
        };
        self.place_new(place, row);
    }

    /// Gives a new plugin its place (ARCHITECTURE.md, "Where a lane starts").
    fn place_new(&mut self, place: Place, mut row: LaneRow) {
        let plugin = &mut self.plugins[place];
        let used = plugin.used.and_then(|g| plugin.workers.get(&g));
        let text = used.map(|w| w.text.clone()).unwrap_or_default();
        (row.content, row.mtime_ns) = (text.sha256, text.mtime_ns);
        // Until a load has shown what it is, only its place is on record.
        row.gone = !plugin.known;
        plugin.begins_after = row.floor;
        self.journal.note(Change::Lane(row.clone()));
        // A plugin that was moved away may have stood here before.
        self.journal.note(Change::Cursor {
            plugin: row.plugin.clone(),
            cursor: row.cursor,
        });
        self.open_lane(place, row, Vec::new(), &[]);
        if self.plugins[place].known {
            self.tell_place(place);
        }
    }

    /// Says once where a new plugin begins.
    fn tell_place(&mut self, place: Place) {
        let plugin = &mut self.plugins[place];
        if let Some(after) = plugin.begins_after.take() {
            let plugin = plugin.id.clone();
            self.teller.tell(Fact::PluginPlaced { plugin, after });
        }
    }

    /// A load has shown that a file is a plugin, whether or not it runs.
    pub(super) fn is_plugin(&mut self, place: Place) {
        let plugin = &mut self.plugins[place];
        if plugin.known || plugin.life.state() == life::State::Gone {
            return;
        }
        plugin.known = true;
        self.amend(place, |row| row.gone = false);
        self.tell_place(place);
    }

    pub(super) fn open_lane(
        &mut self,
        place: Place,
        row: LaneRow,
        attempts: Vec<Attempt>,
        ahead: &[OutcomeRow],
    ) {
        let now = self.clock.now();
        let plugin = &mut self.plugins[place];
        let window = plugin.window();
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
        let running = self.plugins[place].runs;
        self.feed(place, lane::Input::Running(running));
        let used = self.plugins[place].used;
        let loaded = used.and_then(|g| self.plugins[place].workers.get(&g)?.loaded.clone());
        if let Some(loaded) = loaded {
            self.feed(place, loaded.into());
        }
    }

    pub(super) fn amend(&mut self, place: Place, change: impl FnOnce(&mut LaneRow)) {
        let Some(lane) = &mut self.plugins[place].lane else {
            return;
        };
        let mut row = lane.record_row().clone();
        change(&mut row);
        if row != *lane.record_row() {
            let effects = lane.amend(|now| *now = row);
            self.perform(place, effects);
        }
    }

    pub(super) fn all_lanes(&mut self, input: &lane::Input) {
        for place in 0..self.plugins.len() {
            self.feed(place, input.clone());
        }
    }

    /// Hands an input to a lane, and everything that follows from it.
    pub(super) fn feed(&mut self, place: Place, input: lane::Input) {
        self.todo.push_back((place, input));
        while let Some((place, input)) = self.todo.pop_front() {
            let now = self.clock.now();
            let site = if self.site.down {
                SiteHealth::Down
            } else {
                SiteHealth::WellFor(now.since(self.site.good_since))
            };
            let moment = Moment {
                now,
                wall_ms: wall_ms(),
                site,
            };
            let (effects, freed) = lane::step(
                &mut self.plugins,
                &self.order,
                &self.gate,
                moment,
                place,
                input,
            );
            self.perform(place, effects);
            self.freed.extend(freed);
        }
    }

    /// Lets lanes go on that waited for others: once a turn, so that each is sent at once what
    /// many answers let through.
    pub(super) fn go_on(&mut self) {
        while let Some(place) = self.freed.pop_first() {
            self.feed(place, lane::Input::Tick);
        }
    }

    pub(super) fn perform(&mut self, place: Place, effects: Vec<lane::Effect>) {
        for effect in effects {
            match effect {
                lane::Effect::Send(frame) => self.send(place, frame),
                lane::Effect::Read { after, limit } => self.read(place, after, limit),
                lane::Effect::Recall { event } => self.recall(place, event),
                lane::Effect::Record { ticket, changes } => {
                    self.journal.add(place, ticket, changes);
                }
                lane::Effect::WentAhead { event, without } => {
                    self.went_ahead(place, event, &without);
                }
                lane::Effect::Tell(note) => {
                    let fact = self.plugins[place].hear(note);
                    self.teller.tell(fact);
                }
            }
        }
    }

    pub(super) fn send(&mut self, place: Place, frame: lane::Frame) {
        if self.teller.times() {
            self.plugins[place].keep_for_timing(&frame);
        }
        let plugin = &self.plugins[place];
        let worker = plugin.used.and_then(|g| plugin.workers.get(&g));
        let Some(handle) = worker.and_then(|w| w.handle.as_ref()) else {
            return;
        };
        let (seq, callbacks) = (frame.seq, frame.callbacks.clone());
        if self.teller.wants_debug() {
            let known = plugin.lane.as_ref().and_then(|lane| lane.callbacks());
            let known = known.unwrap_or_default().iter();
            for spec in known.filter(|spec| callbacks.contains(&spec.n)) {
                self.teller.tell(Fact::Dispatched {
                    plugin: plugin.id.clone(),
                    callback: spec.id.clone(),
                    event: frame.row.event.id,
                });
            }
        }
        match self.workers.send(handle, &plugin.id, frame) {
            Ok(()) => kill_point("after_dispatch"),
            // The callbacks fail, the stream goes on.
            Err(Unsent::Event(failure)) => {
                for n in callbacks {
                    let reply = lane::Reply::Failed {
                        failure: Failure::clone(&failure),
                        stop: false,
                    };
                    self.todo
                        .push_back((place, lane::Input::Answer { seq, n, reply }));
                }
            }
            // Its end gives the lane back what it was sent.
            Err(Unsent::Stuck) => {
                handle.kill();
                self.teller.tell(Fact::WorkerDied {
                    plugin: plugin.id.clone(),
                    end: "it did not read what it was sent, and was ended".into(),
                    last_words: String::new(),
                });
            }
        }
    }

    pub(super) fn read(&mut self, place: Place, after: Offset, limit: usize) {
        let known = self.tail.rows(after, limit);
        if let Some((rows, through)) = known.or_else(|| self.pages.rows(after)) {
            let rows = lane::Input::Rows {
                after,
                rows,
                through,
            };
            self.todo.push_back((place, rows));
            return;
        }
        if !self.pages.ask(place, after) {
            return;
        }
        let (store, back) = (self.store.clone(), self.back.clone());
        // All up to here is on disk.
        let end = self.tail.end();
        tokio::spawn(async move {
            let rows = store.rows(after, limit).await;
            let last = |rows: &Vec<Row>| rows.last().map_or(after, |row| row.offset);
            let through = match &rows {
                // Behind the last row there may be void ones, and nothing else.
                Ok(rows) if rows.len() < limit => last(rows).max(end),
                Ok(rows) => last(rows),
                Err(_) => after,
            };
            let message = Message::Rows {
                after,
                rows,
                through,
            };
            back.send(message).await.unwrap_or_default();
        });
    }

    /// Hands rows that were read, all up to `through`, to every lane that waits for them.
    pub(super) fn rows(&mut self, after: Offset, rows: Vec<Row>, through: Offset) {
        let rows = self.without_void(rows);
        let rows: Vec<_> = rows.into_iter().map(Arc::new).collect();
        let waiting = self.pages.take(after, &rows, through);
        for place in waiting {
            let rows = lane::Input::Rows {
                after,
                rows: rows.clone(),
                through,
            };
            self.feed(place, rows);
        }
    }

    pub(super) fn recall(&self, place: Place, event: EventId) {
        let (store, back) = (self.store.clone(), self.back.clone());
        tokio::spawn(async move {
            let row = store.event(event).await;
            back.send(Message::Recalled { place, event, row })
                .await
                .unwrap_or_default();
        });
    }
}
