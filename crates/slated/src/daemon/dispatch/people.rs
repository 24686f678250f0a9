//! The dispatcher and people: what they are shown of plugins, and what they do to them.
//!
//! Invariant: whoever does something hears of it when it is durable and has come to its end: a
//! process that was to end has ended, one that was to start is ready or does not load.

use std::sync::Arc;

use slated_core::resume::{self, From, Standing, Step};
use slated_core::{lane, life, rewind, skip};
use slated_model::{Attempt, Change, LaneRow, Offset, OutcomeRow, PluginId, Row};
use slated_store::LogEnd;

use super::Dispatcher;
use crate::clock::wall_ms;
use crate::daemon::journal::Place;
use crate::daemon::message::{self, Act, Question, Reply, Rests, Roll};
use crate::daemon::plugin::Plugin;
use crate::tell::Fact;
use crate::view::refusal::{self, Kind};
use crate::view::{PluginDetail, PluginState, PluginView, Refusal};

/// Somebody who waits to hear what became of a plugin.
#[derive(Debug)]
pub(super) struct Wait {
    plugin: PluginId,
    /// The write after which it is durable.
    write: u64,
    reply: Reply,
}

impl Dispatcher {
    // A caller that went away needs no answer.
    pub(super) fn answer(&mut self, question: Question) {
        match question {
            Question::Plugins(reply) => {
                let log = LogEnd {
                    start: self.log_start,
                    end: self.tail.end(),
                };
                let roll = Roll {
                    plugins: self.views(),
                    helpers: self.plugins.iter().filter(|p| p.helper).count(),
                    log,
                    disk: self.disk.trouble(),
                };
                reply.send(roll).unwrap_or_default();
            }
            Question::Plugin { name, reply } => {
                let found = self.find(&name).map(|view| self.detail(view));
                reply.send(found).unwrap_or_default();
            }
            Question::Lines { event, reply } => {
                let of = |p: &Plugin| {
                    let id = p.id.clone();
                    let calls = p.calls.of(event).into_iter();
                    calls.map(move |(callback, lines)| (id.clone(), callback, lines))
                };
                let lines = self.plugins.iter().flat_map(of).collect();
                reply.send(lines).unwrap_or_default();
            }
            Question::Standing { name, reply } => {
                let standing = self
                    .find(&name)
                    .and_then(|view| self.standing(&view.plugin));
                reply.send(standing).unwrap_or_default();
            }
            Question::Needed(reply) => {
                let needed = self.needed();
                self.going = Some(
                    needed
                        .as_ref()
                        .map_or_else(|| self.tail.end(), |(at, _)| *at),
                );
                reply.send(needed).unwrap_or_default();
            }
            // Nothing is loaded any more.
            Question::Settings { .. } if self.stopping.is_some() => {}
            Question::Settings { settings, reply } => {
                reply.send(self.apply(*settings)).unwrap_or_default();
            }
            Question::Void { void, reply } => self.void(void, reply),
            Question::Letters {
                letters,
                wish,
                reply,
            } => self.wish(&letters, &wish, reply),
            Question::Act { name, act, reply } => {
                let done = self.find(&name).and_then(|view| {
                    self.act(&view.plugin, act)?;
                    Ok(view.plugin)
                });
                match done {
                    Ok(plugin) => self.waits.push(Wait {
                        plugin,
                        write: self.journal.last_write(),
                        reply,
                    }),
                    Err(refusal) => reply.send(Err(refusal)).unwrap_or_default(),
                }
            }
        }
    }

    /// Answers those for whom everything has come to its end.
    pub(super) fn answer_waits(&mut self) {
        if self.stopping.is_some() {
            self.waits.clear();
        }
        let now = self.clock.now();
        for wait in std::mem::take(&mut self.waits) {
            let place = self.place_of(&wait.plugin);
            let settled = place.is_none_or(|p| self.plugins[p].life.is_settled(now));
            if settled && self.journal.has_ended(wait.write) {
                let found = self.find(&wait.plugin.to_string());
                let found = found.map(|view| self.detail(view));
                wait.reply.send(found).unwrap_or_default();
            } else if !wait.reply.is_closed() {
                self.waits.push(wait);
            }
        }
    }

    /// Shows all plugins in the documented order: those whose files are there, and those on record
    /// whose files are gone or were not found yet.
    pub(super) fn views(&self) -> Vec<PluginView> {
        let end = self.tail.end();
        let away = |row: &LaneRow| row.moved_to.is_some();
        let live = (0..self.plugins.len()).filter(|place| {
            let plugin = &self.plugins[*place];
            let lane = plugin.lane.as_ref();
            !plugin.helper && !lane.is_some_and(|l| away(l.record_row()))
        });
        let absent = self.recorded.values();
        let absent = absent.filter(|(row, ..)| row.is_listed());
        let absent = absent.map(|(row, attempts, _)| {
            let mut view = PluginView::recorded(row, end, attempts, &[]);
            (view.done, view.failed) = (Some(0), Some(0));
            if view.state == PluginState::Unknown {
                view.state = PluginState::Starting;
                view.why = Some("its file was not found yet".into());
            }
            view
        });
        let mut views: Vec<_> = live.map(|place| self.view(place)).chain(absent).collect();
        views.sort_by_cached_key(|view| self.workers.rank(&view.plugin));
        views
    }

    fn find(&self, name: &str) -> Result<PluginView, Refusal> {
        let views = self.views();
        let known = views.iter();
        let known = known.map(|v| (&v.plugin, v.state == PluginState::Gone));
        let id = refusal::find(name, known)?;
        let mut views = views.into_iter();
        views
            .find(|view| view.plugin == id)
            .ok_or_else(Refusal::ending)
    }

    fn detail(&self, view: PluginView) -> PluginDetail {
        let config = self.workers.config();
        let place = self.place_of(&view.plugin);
        let Some(plugin) = place.map(|place| &self.plugins[place]) else {
            let recorded = self.recorded.get(&view.plugin);
            let attempts = recorded.into_iter().flat_map(|(_, attempts, _)| attempts);
            return PluginDetail::new(view, recorded.map(|(row, ..)| row), attempts, config);
        };
        let lane = plugin.lane.as_ref();
        let attempts = lane.into_iter().flat_map(lane::Lane::attempts);
        let row = lane.map(lane::Lane::record_row);
        let mut detail = PluginDetail::new(view, row, attempts, config);
        detail.recycled = plugin.recycled;
        if let Some(loaded) = plugin.shown_worker().and_then(|w| w.loaded.as_ref()) {
            detail.emails = Some(loaded.emails.clone());
            detail.warnings.clone_from(&loaded.warnings);
            detail.helpers = plugin.helpers();
            detail.calls = Some(plugin.recycle.calls());
            detail.resident = plugin.recycle.resident();
        }
        detail
    }

    fn act(&mut self, plugin: &PluginId, act: Act) -> Result<(), Refusal> {
        if self.stopping.is_some() {
            return Err(Refusal::ending());
        }
        // It may have become void since it was read.
        if let Act::Skip { row, .. } = &act
            && self.is_void(row.offset, row.event.id)
        {
            return Err(Refusal::no_event(row.event.id));
        }
        let Some(place) = self.place_of(plugin) else {
            return self.act_on_record(plugin, act);
        };
        match act {
            Act::Stop => self.stop_plugin(place),
            Act::Resume(from) => self.resume_plugin(place, from),
            Act::Reload => self.reload_plugin(place),
            Act::Skip { row, reason } => self.skip_event(place, row, reason),
            Act::Rewind {
                to,
                again,
                done,
                rests,
            } => self.rewind(place, (to, again, done), rests),
        }
    }

    fn stop_plugin(&mut self, place: Place) -> Result<(), Refusal> {
        let plugin = &self.plugins[place];
        let Some(lane) = &plugin.lane else {
            return Err(Refusal::no_place(&plugin.id));
        };
        let (stopped, gone) = (lane.record_row().stopped, plugin.is_gone());
        if stopped {
            return Ok(());
        }
        let fact = Fact::PluginStopped {
            plugin: plugin.id.clone(),
        };
        self.teller.tell(fact);
        self.amend(place, |row| row.stopped = true);
        if !gone {
            self.live(place, life::Input::Stop);
        }
        Ok(())
    }

    fn resume_plugin(&mut self, place: Place, from: Option<From>) -> Result<(), Refusal> {
        let plugin = &self.plugins[place];
        let lane = plugin.lane.as_ref();
        let row = lane.map(lane::Lane::record_row);
        let stopped = row.is_some_and(|row| row.stopped);
        let gone = plugin.is_gone();
        let standing = Standing {
            stopped,
            hold: lane.and_then(lane::Lane::hold),
            quarantined: plugin.life.state() == life::State::Quarantined
                || row.is_some_and(|row| row.quarantine.is_some()),
            calling: lane.is_some_and(lane::Lane::is_calling),
            end: self.tail.end(),
        };
        let held = standing.hold.is_some();
        let step = standing.resume(from);
        let step = step.map_err(|why| Refusal::of_resume(&plugin.id, why))?;
        match step {
            Step::Nothing => return Ok(()),
            Step::GoOn => self.feed(place, lane::Input::Resume),
            Step::GoOnAfter(to) => self.feed(place, lane::Input::GoOnAfter(to)),
        }
        if stopped {
            self.amend(place, |row| row.stopped = false);
        }
        // The end of a hold is told by the lane.
        if !held {
            let plugin = self.plugins[place].id.clone();
            self.teller.tell(Fact::PluginResumed { plugin });
        }
        if !gone {
            self.live(place, life::Input::Resume);
        }
        Ok(())
    }

    fn reload_plugin(&mut self, place: Place) -> Result<(), Refusal> {
        let plugin = &self.plugins[place];
        let row = plugin.lane.as_ref().map(lane::Lane::record_row);
        if row.is_some_and(|row| row.stopped) {
            let stem = plugin.id.stem();
            let error = format!("{}: it was stopped by a person", plugin.id);
            return Err(Refusal::new(Kind::Impossible, error).hint(format!(
                "`slated plugin resume {stem}` loads its current file"
            )));
        }
        if plugin.is_gone() {
            return Err(no_file(&plugin.id));
        }
        let text = plugin.text.clone();
        self.load(place, text, Some("is loaded again, as a person asked"));
        Ok(())
    }

    fn skip_event(&mut self, place: Place, row: Arc<Row>, reason: String) -> Result<(), Refusal> {
        let plugin = &self.plugins[place];
        let Some(lane) = &plugin.lane else {
            return Err(Refusal::no_place(&plugin.id));
        };
        lane.may_skip(&row)
            .map_err(|why| Refusal::of_skip(&plugin.id, why))?;
        self.feed(place, lane::Input::Skip { row, reason });
        Ok(())
    }

    fn rewind(
        &mut self,
        place: Place,
        (to, again, done): (Offset, bool, Vec<OutcomeRow>),
        rests: Rests,
    ) -> Result<(), Refusal> {
        let first = self.first_offset();
        let plugin = &self.plugins[place];
        let lane = plugin.lane.as_ref();
        let at_rest = lane.and_then(lane::Lane::at_rest).map(Rests::Lane);
        // Rows may be on their way out since somebody looked.
        if at_rest != Some(rests) || to < first {
            return Err(Refusal::of_rewind(&plugin.id, rewind::Refusal::Busy));
        }
        self.feed(place, lane::Input::Rewind { to, again, done });
        Ok(())
    }

    /// Tells how a plugin stands, for a way back.
    fn standing(&self, id: &PluginId) -> Result<message::Standing, Refusal> {
        let aside = |attempts: &mut dyn Iterator<Item = &Attempt>| {
            let aside = attempts.filter(|a| a.aside);
            aside.map(|a| (a.event, a.callback.clone())).collect()
        };
        let log_start = self.first_offset();
        let Some(place) = self.place_of(id) else {
            let (row, attempts, _) = self.recorded.get(id).ok_or_else(Refusal::ending)?;
            return Ok(message::Standing {
                row: row.clone(),
                aside: aside(&mut attempts.iter()),
                callbacks: None,
                rests: Some(Rests::Record(row.cursor, self.void.len())),
                log_start,
            });
        };
        let lane = self.plugins[place].lane.as_ref();
        let lane = lane.ok_or_else(|| Refusal::no_place(id))?;
        let callbacks = lane.callbacks().map(|callbacks| {
            let callbacks = callbacks.iter();
            callbacks
                .map(|c| (c.id.clone(), c.matcher.clone()))
                .collect()
        });
        Ok(message::Standing {
            row: lane.row(),
            aside: aside(&mut lane.attempts()),
            callbacks,
            rests: lane.at_rest().map(Rests::Lane),
            log_start,
        })
    }

    /// Does something to a plugin whose file was not found.
    fn act_on_record(&mut self, plugin: &PluginId, act: Act) -> Result<(), Refusal> {
        let (end, voids) = (self.tail.end(), self.void.len());
        let Some((row, attempts, ahead)) = self.recorded.get_mut(plugin) else {
            return Err(Refusal::ending());
        };
        let changes = match act {
            Act::Reload => return Err(no_file(plugin)),
            Act::Stop => stop_on_record(row),
            Act::Resume(from) => resume_on_record(row, attempts, from, end)?,
            Act::Skip { row: event, reason } => skip_on_record(row, attempts, &event, &reason)?,
            Act::Rewind {
                to,
                again,
                done,
                rests,
            } => {
                if rests != Rests::Record(row.cursor, voids) {
                    return Err(Refusal::of_rewind(plugin, rewind::Refusal::Busy));
                }
                attempts.retain(|attempt| attempt.aside);
                *ahead = done;
                rewind::on_record(row, to, again, wall_ms())
            }
        };
        // What ended with the resume is not taken up when the file comes back.
        attempts.retain(|attempt| {
            let ends = |c: &Change| matches!(c, Change::Outcome(o) if o.event == attempt.event && o.callback == attempt.callback);
            !changes.iter().any(ends)
        });
        for change in changes {
            self.journal.note(change);
        }
        Ok(())
    }
}

/// Stops a plugin that no lane is open for.
pub(crate) fn stop_on_record(row: &mut LaneRow) -> Vec<Change> {
    row.stopped = true;
    vec![Change::Lane(row.clone())]
}

/// Resumes a plugin that no lane is open for.
pub(crate) fn resume_on_record(
    row: &mut LaneRow,
    attempts: &[Attempt],
    from: Option<From>,
    end: Offset,
) -> Result<Vec<Change>, Refusal> {
    let standing = Standing {
        stopped: row.stopped,
        hold: row.hold.as_ref(),
        quarantined: row.quarantine.is_some(),
        calling: false,
        end,
    };
    match standing.resume(from) {
        Ok(Step::Nothing) => Ok(Vec::new()),
        Ok(step) => Ok(resume::on_record(row, attempts, step, wall_ms())),
        Err(why) => Err(Refusal::of_resume(&row.plugin, why)),
    }
}

/// Skips an event of a plugin that no lane is open for.
pub(crate) fn skip_on_record(
    row: &mut LaneRow,
    attempts: &[Attempt],
    event: &Row,
    reason: &str,
) -> Result<Vec<Change>, Refusal> {
    skip::on_record(row, attempts, event, reason, wall_ms())
        .map_err(|why| Refusal::of_skip(&row.plugin, why))
}

fn no_file(plugin: &PluginId) -> Refusal {
    Refusal::new(Kind::Impossible, format!("{plugin}: its file is not there"))
        .hint("put it back; it is loaded then by itself")
}
