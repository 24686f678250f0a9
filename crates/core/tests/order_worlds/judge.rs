//! Who may be sent what, and who must be: the rules of the order, told again over the judge's own
//! books (`books`) and clock.
//!
//! * Nobody is sent the first try of an event while another in line goes before it, but one that
//!   could have been sent it for `order_wait`; and that one says exactly whom it passes over.
//! * A lane is out of line when and only when it must be, and is back when and only when it has
//!   caught up; both are on record at once.
//! * Whoever may be sent something is sent it at once. Nobody waits for others longer than
//!   `order_wait`, and a lane is awake when its time has come.
//! * No more are called than may be, and while one waits for a slot each other plugin is sent one
//!   window at most.

use slated_core::Mono;
use slated_core::lane::{Effect, HasLane as _, Input, Note};
use slated_core::order::{Order, Peer as _};
use slated_model::{Change, LaneRow, Offset};

use super::studio::{Studio, WINDOW};

impl Studio {
    fn serial(&self) -> bool {
        self.rules.order == Order::Serial
    }
    fn orders(&self) -> bool {
        self.rules.order != Order::Independent
    }
    fn is_over(&self, since: Mono) -> bool {
        let wait = self.rules.wait;
        wait.is_some_and(|wait| self.now.since(since) >= wait)
    }
    /// Tells whether a plugin has a call out for so long that it counts for nothing.
    fn hangs(&self, place: usize) -> bool {
        let plugin = &self.plugins[place];
        !plugin.calls.is_empty() && self.is_over(plugin.called)
    }

    /// Tells whether its process takes long to end for another.
    fn ends_slowly(&self, place: usize) -> bool {
        let since = self.plugins[place].books.retired;
        since.is_some_and(|since| self.is_over(since))
    }

    /// Returns who goes before a plugin at an event.
    fn goes_before(&self, place: usize, offset: u64) -> Vec<usize> {
        if !self.orders() {
            return Vec::new();
        }
        let rank = self.plugins[place].rank;
        let goes = |other: &usize| {
            let peer = &self.plugins[*other];
            let books = &peer.books;
            *other != place
                && books.line.is_some_and(|from| {
                    (peer.rank < rank && offset > from && books.owes(offset))
                        || (self.serial() && books.owes_between(from, offset))
                })
        };
        (0..self.plugins.len()).filter(goes).collect()
    }

    /// Returns how many others are called and count.
    fn called_beside(&self, place: usize) -> usize {
        let others = (0..self.plugins.len()).filter(|other| *other != place);
        let counts = |other: &usize| !self.plugins[*other].calls.is_empty() && !self.hangs(*other);
        others.filter(counts).count()
    }

    /// Notes what a lane is about to hear, and returns whether it takes its rows anew.
    pub(crate) fn before_step(&mut self, place: usize, input: &Input) -> bool {
        if self.hangs(place) {
            self.plugins[place].books.slot = false;
        }
        self.plugins[place].note_input(self.now, input, &self.log)
    }

    /// Judges what a lane says is to be done.
    pub(crate) fn judge_step(&mut self, place: usize, anew: bool, effects: &[Effect]) {
        if anew {
            self.plugins[place].forget_answers();
        }
        for effect in effects {
            match effect {
                Effect::Record { changes, .. } => {
                    self.plugins[place].note_record(changes, &self.log);
                }
                Effect::WentAhead { event, without } => {
                    let offset = self.at[event];
                    let mut without = without.clone();
                    without.sort_unstable();
                    assert_eq!(without, self.goes_before(place, offset), "passed over");
                    let books = &mut self.plugins[place].books;
                    assert_ne!(books.went_ahead, Some(offset), "it waited before");
                    books.went_ahead = Some(offset);
                    let waits = self.plugins[place].books.waits;
                    let long = waits.is_some_and(|(at, since)| at == offset && self.is_over(since));
                    assert!(long, "plugin {place} did not wait for {offset}: {waits:?}");
                }
                Effect::Send(frame) => {
                    let aside = self.plugins[place].is_aside(frame);
                    self.judge_frame(place, frame.row.offset.0, aside);
                }
                Effect::Read { .. } | Effect::Recall { .. } | Effect::Tell(_) => {}
            }
        }
        self.judge_line(place, effects);
    }

    fn judge_frame(&mut self, place: usize, offset: u64, aside: bool) {
        let books = &self.plugins[place].books;
        let time = self.gate.has_begun() && !books.closed;
        assert!(
            time,
            "plugin {place} got {offset} at the wrong time (aside: {aside})"
        );
        if !aside && !books.has_answered(offset) && books.went_ahead != Some(offset) {
            let before = self.goes_before(place, offset);
            let passed = before.is_empty();
            assert!(passed, "plugin {place} got {offset} before {before:?}");
        }
        if self.rules.calls == 0 {
            return;
        }
        let free = books.slot || self.called_beside(place) < self.rules.calls;
        assert!(free, "plugin {place} got {offset} without a slot");
        self.plugins[place].books.slot = true;
        for other in (0..self.plugins.len()).filter(|other| *other != place) {
            if let Some(sent) = &mut self.plugins[other].books.queues {
                sent[place] += 1;
                let fair = sent[place] <= WINDOW;
                assert!(fair, "plugin {other} waits while {place} is served");
            }
        }
    }

    /// Judges a plugin's leaving the line and coming back.
    fn judge_line(&mut self, place: usize, effects: &[Effect]) {
        let plugin = &self.plugins[place];
        let books = &plugin.books;
        let stuck = self.hangs(place) || self.ends_slowly(place);
        let fit = self.orders() && !plugin.is_away() && !stuck;
        let line = match (books.line, books.has_caught_up()) {
            _ if books.closed || !self.gate.has_begun() => books.line,
            (Some(from), _) if fit => Some(from),
            (None, Some(end)) if fit => Some(end),
            _ => None,
        };
        let own = plugin.own().in_line_from().map(|from| from.0);
        assert_eq!(own, line, "plugin {place} stands wrong: {plugin:?}");
        let from = line.map_or(LaneRow::OUT_OF_LINE, Offset);
        let records = |effect: &Effect| match effect {
            Effect::Record { changes, .. } => changes
                .iter()
                .any(|c| matches!(c, Change::Lane(row) if row.in_line_from == from)),
            _ => false,
        };
        let tells =
            |effect: &Effect| matches!(effect, Effect::Tell(Note::LeftLine(_) | Note::InLine));
        if line != books.line {
            assert!(effects.iter().any(records), "its place is not on record");
            let told = effects.iter().filter(|e| tells(e)).count();
            assert_eq!(told, usize::from(self.orders()), "people are told once");
        }
        self.plugins[place].books.line = line;
    }

    /// Keeps the plugin's clocks, once everything was done that its lane said.
    pub(crate) fn judge_place(&mut self, place: usize) {
        let (now, many) = (self.now, self.plugins.len());
        let plugin = &self.plugins[place];
        let next = plugin.could_be_sent(self.serial());
        let next = next.filter(|_| self.gate.has_begun());
        let waits = next.filter(|offset| self.is_held_up(place, *offset));
        let idle = plugin.calls.is_empty();
        let books = &mut self.plugins[place].books;
        let before = books.waits;
        let since = |offset| before.filter(|(at, _)| *at == offset);
        books.waits = waits.map(|offset| since(offset).unwrap_or((offset, now)));
        books.slot &= !idle;
        if self.rules.calls > 0 && next.is_some() && waits.is_none() && idle {
            books.queues.get_or_insert_with(|| vec![0; many]);
        } else {
            books.queues = None;
        }
    }

    fn is_held_up(&self, place: usize, offset: u64) -> bool {
        let books = &self.plugins[place].books;
        let first = !books.has_answered(offset) && books.went_ahead != Some(offset);
        first && !self.goes_before(place, offset).is_empty()
    }

    /// Judges a moment at which everybody did what there was to do.
    pub(crate) fn judge_rest(&self) {
        if !self.gate.has_begun() {
            return;
        }
        for (place, plugin) in self.plugins.iter().enumerate() {
            let Some(offset) = plugin.could_be_sent(self.serial()) else {
                continue;
            };
            if self.is_held_up(place, offset) {
                // One that waits for a slot has no clock yet for whoever came to be before it.
                let (waits, queues) = (plugin.books.waits, plugin.books.queues.is_some());
                let late = waits.map_or(!queues, |(_, since)| self.is_over(since));
                assert!(
                    !late,
                    "plugin {place} waits too long for {offset}: {waits:?}"
                );
                continue;
            }
            // One that has a slot hears with its next answer that nobody waits any more.
            let idle = self.plugins[place].calls.is_empty();
            let slots = self.rules.calls;
            let room = slots == 0 || (idle && self.called_beside(place) < slots);
            let lane = self.plugins[place].own();
            assert!(
                !room,
                "plugin {place} could get {offset} and does not: {lane:?}"
            );
        }
    }

    /// Judges that nobody sleeps past the moment at which something is to be done.
    pub(crate) fn judge_sleep(&self, until: Mono) {
        let Some(wait) = self.rules.wait.filter(|_| self.gate.has_begun()) else {
            return;
        };
        for plugin in &self.plugins {
            let waits = plugin.books.waits.map(|(_, since)| since);
            let called = Some(plugin.called).filter(|_| !plugin.calls.is_empty());
            let retired = plugin.books.retired;
            for since in waits.into_iter().chain(called).chain(retired) {
                let due = since + wait;
                let lane = plugin.lane();
                assert!(
                    due <= self.now || until <= due,
                    "{due:?} is missed: {lane:?}"
                );
            }
        }
    }
}
