//! What happens in a studio: events, answers, failures, deaths, reloads, stops, kills and time.

use std::time::Duration;

use slated_core::lane::{HasLane as _, Input, Reply, Verdict};
use slated_model::{Cause, FailureKind, Offset};

use super::studio::{Coming, Kind, Studio, specs};
use super::support::failure;

impl Studio {
    pub(crate) fn grow(&mut self, kinds: &[Kind]) {
        let events: Vec<_> = kinds.iter().map(|kind| (*kind, Coming::InTurn)).collect();
        self.appear(&events);
    }
    pub(crate) fn appear(&mut self, events: &[(Kind, Coming)]) {
        for (kind, coming) in events {
            self.append(*kind, *coming);
        }
        let end = Offset(self.log.len() as u64);
        for place in 0..self.plugins.len() {
            self.feed(place, Input::LogGrew(end));
        }
    }

    fn reply(&mut self, place: usize, reply: Reply) {
        let plugin = &mut self.plugins[place];
        let Some(call) = plugin.calls.front_mut() else {
            return;
        };
        let (seq, n) = (call.frame.seq, call.frame.callbacks.remove(0));
        if let Reply::Done { us } = reply {
            call.us += us;
        }
        let stop = matches!(reply, Reply::Failed { stop: true, .. });
        let (offset, aside) = (call.offset(), call.aside);
        let through = call.frame.callbacks.is_empty();
        plugin.called = self.now;
        if (through || stop) && !aside {
            let us = (!stop).then_some(call.us);
            plugin.books.note_answer(offset, us);
        }
        if stop {
            plugin.calls.clear();
        } else if through {
            plugin.calls.pop_front();
        }
        self.feed(place, Input::Answer { seq, n, reply });
    }
    pub(crate) fn answer(&mut self, place: usize) {
        let quick = self.plugins[place].start.quick;
        let us = if quick { 5 } else { 5000 };
        self.reply(place, Reply::Done { us });
    }
    /// The call that has been out for longest is answered.
    pub(crate) fn answer_next(&mut self) -> bool {
        let busy = (0..self.plugins.len()).filter(|p| !self.plugins[*p].calls.is_empty());
        let next = busy.min_by_key(|p| self.plugins[*p].called);
        if let Some(next) = next {
            self.answer(next);
        }
        next.is_some()
    }
    pub(crate) fn answer_all(&mut self) -> bool {
        let busy: Vec<_> = (0..self.plugins.len())
            .filter(|p| !self.plugins[*p].calls.is_empty())
            .collect();
        for place in &busy {
            self.answer(*place);
        }
        !busy.is_empty()
    }
    /// A callback raises, or finds the site down or the network bad.
    pub(crate) fn fail(&mut self, place: usize, cause: Option<Cause>) {
        let plugin = &self.plugins[place];
        let Some(n) = plugin.calls.front().map(|c| c.frame.callbacks[0]) else {
            return;
        };
        let stops = plugin.specs.iter().any(|s| s.n == n && s.stop_on_error);
        let stop = stops || cause == Some(Cause::Site);
        let failure = failure(FailureKind::Raised, cause);
        self.reply(place, Reply::Failed { failure, stop });
    }
    pub(crate) fn site_read(&mut self) {
        (0..self.plugins.len()).for_each(|place| self.feed(place, Input::SiteRead));
    }
    pub(crate) fn resume(&mut self, place: usize) {
        self.feed(place, Input::Resume);
    }

    /// A person lets it skip the next rows.
    pub(crate) fn skip(&mut self, place: usize, rows: u64) {
        let to = self.plugins[place].own().cursor().0 + rows;
        let to = Offset(to.min(self.log.len() as u64));
        self.feed(place, Input::GoOnAfter(to));
    }

    /// The process dies: the callback that was called is to blame.
    pub(crate) fn die(&mut self, place: usize) {
        let plugin = &mut self.plugins[place];
        if !plugin.up {
            return;
        }
        if let Some(call) = plugin.calls.front().filter(|c| !c.aside) {
            let offset = call.offset();
            plugin.books.note_answer(offset, None);
        }
        let failure = failure(FailureKind::Death, None);
        self.ends(place, Verdict::Died(failure));
        self.stops_running(place);
    }
    fn ends(&mut self, place: usize, verdict: Verdict) {
        let plugin = &mut self.plugins[place];
        plugin.calls.clear();
        plugin.up = false;
        self.feed(place, Input::Gone { verdict });
    }
    fn stops_running(&mut self, place: usize) {
        self.plugins[place].running = false;
        self.feed(place, Input::Running(false));
    }
    /// A process is ready where there is none.
    pub(crate) fn ready(&mut self, place: usize) {
        let plugin = &mut self.plugins[place];
        if plugin.up {
            return;
        }
        (plugin.up, plugin.running) = (true, true);
        self.feed(place, Input::Running(true));
        self.load(place);
        self.begin_when_ready();
    }
    /// A reload begins, to another filter perhaps: a ready process waits for the one in use to end,
    /// or that is stopped first.
    pub(crate) fn reload(&mut self, place: usize, filter: Option<Kind>, stop_first: bool) {
        let plugin = &mut self.plugins[place];
        if !plugin.up {
            return;
        }
        let next = filter.map_or_else(|| plugin.specs.clone(), |kind| specs(&[kind.0]));
        plugin.next = Some(next);
        self.feed(place, Input::Retired);
        if stop_first {
            self.stops_running(place);
        }
    }
    /// The process that is replaced ends, after all it was sent or in the middle of it.
    pub(crate) fn old_ends(&mut self, place: usize) {
        if self.plugins[place].next.is_none() || !self.plugins[place].up {
            return;
        }
        if place.is_multiple_of(2) {
            while !self.plugins[place].calls.is_empty() {
                self.answer(place);
            }
        }
        self.ends(place, Verdict::Ours);
        if self.plugins[place].running {
            self.ready(place);
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let lanes = self.plugins.iter().filter_map(|p| p.lane());
            let wakes = lanes.filter_map(|lane| lane.wake_at(self.now, &self.gate));
            let begins = (!self.gate.has_begun()).then_some(self.begins_by);
            let wake = wakes.chain(begins).min().filter(|wake| *wake <= end);
            self.judge_sleep(wake.unwrap_or(end));
            let Some(wake) = wake else { break };
            self.now = wake.max(self.now + Duration::from_millis(1));
            self.tick();
            self.begin_when_ready();
        }
        self.now = self.now.max(end);
        self.tick();
        self.begin_when_ready();
    }
    pub(crate) fn slow_disk(&mut self, slow: bool) {
        self.slow_disk = slow;
        if !slow {
            for (place, ticket, changes) in std::mem::take(&mut self.waiting) {
                self.plugins[place].disk.write(changes);
                self.feed(place, Input::Durable(ticket));
            }
        }
    }

    /// The daemon is killed and starts again; not all plugins are ready at once.
    pub(crate) fn crash(&mut self, ready: &[bool]) {
        self.take_up(ready);
    }
    /// The daemon is stopped and starts again. So many answers come before the workers have ended.
    pub(crate) fn stop(&mut self, answers: usize, ready: &[bool]) {
        let places = 0..self.plugins.len();
        places.clone().for_each(|p| self.feed(p, Input::Close));
        for place in places {
            (0..answers).for_each(|_| self.answer(place));
            self.stops_running(place);
            if self.plugins[place].up {
                self.ends(place, Verdict::Ours);
            }
        }
        self.slow_disk(false);
        let before: Vec<_> = self.plugins.iter().map(|p| p.books.line()).collect();
        self.take_up(&vec![false; ready.len()]);
        let after: Vec<_> = self.plugins.iter().map(|p| p.books.line()).collect();
        assert_eq!(before, after, "a stop leaves everybody where they stand");
        self.take_up(ready);
    }

    /// Everything gets well, and has all the time it needs.
    pub(crate) fn heal(&mut self) {
        self.slow_disk(false);
        for _ in 0..400 {
            if self.unfinished().is_empty() {
                return;
            }
            for place in 0..self.plugins.len() {
                self.old_ends(place);
                self.ready(place);
                self.resume(place);
            }
            self.site_read();
            while self.answer_all() {}
            self.pass(Duration::from_secs(40));
        }
    }
    /// Returns what should be done and is not, by place and offset.
    pub(crate) fn unfinished(&self) -> Vec<(usize, u64)> {
        let end = Offset(self.log.len() as u64);
        let behind = |place: &usize| self.plugins[*place].own().cursor() < end;
        let places = (0..self.plugins.len()).filter(behind);
        let all = places.map(|place| (place, self.plugins[place].own().cursor().0 + 1));
        let open = |place: usize| self.plugins[place].books.first_open();
        let booked = (0..self.plugins.len()).filter_map(|p| Some((p, open(p)?)));
        all.chain(booked).collect()
    }
}
