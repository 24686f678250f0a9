//! A studio: a log, plugins with their lanes and workers, a disk that may be slow, and a clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slated_core::Mono;
use slated_core::lane::{
    self, CallbackSpec, Effect, Frame, HasLane, Input, Lane, Leave, Moment, Note, Reply, Verdict,
};
use slated_core::order::{Gate, Peer as _, Rules};
use slated_core::retry::{OnError, Policy, SiteHealth, Worth};
use slated_model::{
    Attempt, AttributeRule, CallbackId, Cause, Change, Event, EventId, Failure, FailureKind,
    LaneRow, Matcher, Offset, OutcomeRow, PluginId, Row,
};

use super::judge::{self, Books};

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) u8);

impl Kind {
    pub(crate) const MANY: u8 = 3;
    fn name(self) -> String {
        format!("Kind_{}", self.0)
    }
}

#[derive(Debug)]
pub(crate) struct Plugin {
    lane: Option<Lane>,
    pub(crate) rank: usize,
    /// The filter of the load in use, and of the one to come.
    specs: Vec<CallbackSpec>,
    next: Option<Vec<CallbackSpec>>,
    /// Since when the process in use is to end for another.
    replaced: Option<Mono>,
    /// The plugin runs, as its life would say.
    pub(crate) running: bool,
    /// A process takes frames.
    up: bool,
    quick: bool,
    frames: VecDeque<Frame>,
    called: Mono,
    row: LaneRow,
    outcomes: BTreeMap<(EventId, CallbackId), OutcomeRow>,
    attempts: BTreeMap<(EventId, CallbackId), Attempt>,
    /// The log as it is, for the judge.
    kinds: Vec<Kind>,
    pub(crate) books: Books,
    /// Since when it could be sent something, but for the order.
    idle: Option<(u64, Mono)>,
}

impl HasLane for Plugin {
    fn lane(&self) -> Option<&Lane> {
        self.lane.as_ref()
    }
    fn lane_mut(&mut self) -> &mut Option<Lane> {
        &mut self.lane
    }
}

impl Plugin {
    fn own(&self) -> &Lane {
        self.lane
            .as_ref()
            .expect("a lane is away only during its own step")
    }
    pub(crate) fn in_line_from(&self) -> Option<u64> {
        self.own().in_line_from().map(|o| o.0)
    }
    /// Tells by the filter of its current load and its floor alone whether it wants an event.
    pub(crate) fn wants(&self, offset: u64) -> bool {
        let index = usize::try_from(offset - 1).unwrap_or(usize::MAX);
        let Some(kind) = self.kinds.get(index) else {
            return false;
        };
        let row = self.own().record_row();
        let below = row.floor.is_some_and(|f| f.0 >= offset + 100);
        !below
            && self
                .specs
                .iter()
                .any(|s| s.matcher.matches(Some(&kind.name()), None))
    }
    pub(crate) fn unfinished(&self, offset: u64) -> bool {
        self.wants(offset)
            && Offset(offset) > self.own().cursor()
            && !self.books.answered.contains(&offset)
    }
    pub(crate) fn held(&self) -> bool {
        self.own().hold().is_some()
    }
    pub(crate) fn awaits_site(&self) -> bool {
        self.own().awaits_site()
    }
    pub(crate) fn retries(&self) -> bool {
        self.own().attempts().any(|a| !a.aside)
    }
}

pub(crate) struct Studio {
    rules: Rules,
    gate: Gate,
    now: Mono,
    log: Vec<Arc<Row>>,
    kinds: Vec<Kind>,
    pub(crate) plugins: Vec<Plugin>,
    order: Vec<usize>,
    slow_disk: bool,
    waiting: Vec<(usize, u64, Vec<Change>)>,
    todo: VecDeque<(usize, Input)>,
}

fn specs(kinds: &[u8]) -> Vec<CallbackSpec> {
    let names: Vec<_> = kinds.iter().map(|kind| format!("f{kind}")).collect();
    let ids = CallbackId::number(names.iter().map(String::as_str));
    let one = |(n, (kind, id)): (u32, (&u8, CallbackId))| CallbackSpec {
        n,
        id,
        matcher: Matcher::new([(Kind(*kind).name(), AttributeRule::Any(true))]),
        // The first stops its plugin, others do not.
        stop_on_error: n == 0,
    };
    (0..).zip(kinds.iter().zip(ids)).map(one).collect()
}

fn failure(kind: FailureKind, cause: Option<Cause>) -> Failure {
    Failure {
        kind,
        error: "Oops".into(),
        message: String::new(),
        traceback: String::new(),
        locals: None,
        cause,
    }
}

const POLICY: Policy = Policy {
    worth: Worth::Transient,
    attempts: 3,
    within: Duration::from_mins(10),
    on_error: OnError::DeadLetter,
    deaths: 3,
};

impl Studio {
    /// Plugins stand in the list in reverse when the seed is odd, so that places are not ranks.
    pub(crate) fn new(
        rules: Rules,
        filters: &[Vec<u8>],
        floors: &[u64],
        quick: [bool; 4],
        seed: u64,
    ) -> Self {
        let count = filters.len();
        let reversed = seed.is_multiple_of(2);
        let plugin = |place: usize| {
            let rank = if reversed { count - 1 - place } else { place };
            let floor = floors[place];
            let row = LaneRow {
                floor: (floor > 0).then(|| EventId(100 + floor)),
                ..LaneRow::new(PluginId::new("plugins", format!("p{rank}")), Offset(0))
            };
            Plugin {
                lane: None,
                rank,
                specs: specs(&filters[place]),
                next: None,
                replaced: None,
                running: false,
                up: false,
                quick: quick.get(place).copied().unwrap_or_default(),
                frames: VecDeque::new(),
                called: Mono::ZERO,
                row,
                outcomes: BTreeMap::new(),
                attempts: BTreeMap::new(),
                kinds: Vec::new(),
                books: Books::default(),
                idle: None,
            }
        };
        let plugins: Vec<_> = (0..count).map(plugin).collect();
        let mut order: Vec<_> = (0..count).collect();
        order.sort_by_key(|place| plugins[*place].rank);
        let mut studio = Self {
            rules,
            gate: Gate::new(rules),
            now: Mono::from_secs(1),
            log: Vec::new(),
            kinds: Vec::new(),
            plugins,
            order,
            slow_disk: false,
            waiting: Vec::new(),
            todo: VecDeque::new(),
        };
        studio.start();
        studio.begin();
        studio
    }

    fn start(&mut self) {
        self.gate = Gate::new(self.rules);
        for place in 0..self.plugins.len() {
            let plugin = &mut self.plugins[place];
            let at = |id: EventId| Offset(id.0 - 100);
            let cursor = plugin.row.cursor;
            let ahead: Vec<_> = plugin.outcomes.values().cloned().collect();
            let ahead: Vec<_> = ahead.into_iter().filter(|o| at(o.event) > cursor).collect();
            let attempts = plugin.attempts.values().cloned().collect();
            let row = plugin.row.clone();
            plugin.lane = Some(Lane::new(row, POLICY, 4, attempts, &ahead, self.now, 7));
            plugin.frames.clear();
            if let Some(next) = plugin.next.take() {
                plugin.specs = next;
            }
            plugin.idle = None;
            plugin.books.went_ahead = None;
            (plugin.running, plugin.up) = (true, true);
            let end = Offset(self.log.len() as u64);
            self.feed(place, Input::LogGrew(end));
            self.feed(place, Input::Running(true));
            self.load(place);
        }
    }
    pub(crate) fn begin(&mut self) {
        self.gate.begin();
        self.tick();
    }
    fn load(&mut self, place: usize) {
        let callbacks = self.plugins[place].specs.clone();
        let window = 16;
        self.feed(place, Input::Ready { callbacks, window });
    }

    fn feed(&mut self, place: usize, input: Input) {
        self.todo.push_back((place, input));
        while let Some((place, input)) = self.todo.pop_front() {
            let moment = Moment {
                now: self.now,
                wall_ms: 0,
                site: SiteHealth::WellFor(Duration::ZERO),
            };
            let (effects, freed) = lane::step(
                &mut self.plugins,
                &self.order,
                &self.gate,
                moment,
                place,
                input,
            );
            for effect in effects {
                self.perform(place, effect);
            }
            self.todo
                .extend(freed.into_iter().map(|place| (place, Input::Tick)));
        }
        self.watch();
    }

    fn perform(&mut self, place: usize, effect: Effect) {
        match effect {
            Effect::Send(frame) => {
                let offset = frame.row.offset.0;
                let aside = self.plugins[place].own().attempts().any(|a| {
                    a.aside && a.event == frame.row.event.id && frame.callbacks.len() == 1
                });
                if !aside && self.gate.orders() {
                    let order = self.rules.order;
                    let fault = judge::frame(order, &self.plugins, place, offset);
                    assert_eq!(fault, None);
                }
                let plugin = &mut self.plugins[place];
                plugin.idle = None;
                if plugin.frames.is_empty() {
                    plugin.called = self.now;
                }
                assert!(plugin.up, "sent to nobody");
                plugin.frames.push_back(frame);
            }
            Effect::Read { after, limit } => {
                let rows = self.log.iter().filter(|r| r.offset > after).take(limit);
                let rows: Vec<_> = rows.cloned().collect();
                let through = rows.last().map_or(after, |r| r.offset);
                let rows = Input::Rows {
                    after,
                    rows,
                    through,
                };
                self.todo.push_back((place, rows));
            }
            Effect::Recall { event } => {
                let row = self.log.iter().find(|r| r.event.id == event);
                let row = row.map(|r| Row::clone(r));
                self.todo.push_back((place, Input::Recalled { event, row }));
            }
            Effect::Record { ticket, changes } if self.slow_disk => {
                self.waiting.push((place, ticket, changes));
            }
            Effect::Record { ticket, changes } => {
                self.write(place, changes);
                self.todo.push_back((place, Input::Durable(ticket)));
            }
            Effect::WentAhead { event, without } => {
                let books = &mut self.plugins[place].books;
                let again = books
                    .went_ahead
                    .as_ref()
                    .is_some_and(|(at, _)| *at == event.0 - 100);
                assert!(!again, "it waited for event {event} before");
                books.went_ahead = Some((event.0 - 100, without));
            }
            Effect::Tell(Note::LeftLine(why)) => {
                let plugin = &self.plugins[place];
                let since = match why {
                    Leave::SlowEnd => plugin.replaced,
                    _ => (!plugin.frames.is_empty()).then_some(plugin.called),
                };
                let long = since.is_some_and(|since| self.gate.is_long(self.now, since));
                assert_eq!(judge::leave(plugin, why, long), None);
            }
            Effect::Tell(Note::InLine) => {
                let end = self.log.len() as u64;
                assert_eq!(judge::back(&self.plugins[place], end), None);
            }
            Effect::Tell(_) => {}
        }
    }

    fn write(&mut self, place: usize, changes: Vec<Change>) {
        let plugin = &mut self.plugins[place];
        for change in changes {
            match change {
                Change::Lane(row) => {
                    let cursor = plugin.row.cursor;
                    plugin.row = LaneRow { cursor, ..row };
                }
                Change::Cursor { cursor, .. } => plugin.row.cursor = cursor,
                Change::Outcome(o) => {
                    let unit = (o.event, o.callback.clone());
                    plugin.attempts.remove(&unit);
                    assert!(plugin.outcomes.insert(unit, o).is_none(), "two outcomes");
                }
                Change::Attempt(a) => {
                    plugin.attempts.insert((a.event, a.callback.clone()), a);
                }
                Change::Began(_) | Change::Worker(_) | Change::WorkerGone { .. } => {
                    unreachable!("not a lane's")
                }
            }
        }
    }

    /// Nobody who could be sent something waits longer than he must.
    fn watch(&mut self) {
        // Whoever waits until fewer calls are out waits for something else.
        if self.rules.calls > 0 {
            return;
        }
        let Some(wait) = self
            .rules
            .wait
            .filter(|_| self.gate.orders() && self.gate.has_begun())
        else {
            return;
        };
        for place in 0..self.plugins.len() {
            let end = self.log.len() as u64;
            let plugin = &self.plugins[place];
            let fit = plugin.up
                && plugin.running
                && plugin.next.is_none()
                && plugin.frames.is_empty()
                && !self.waiting.iter().any(|(p, ..)| *p == place)
                && !plugin.held()
                && !plugin.awaits_site()
                && !plugin.retries();
            let first = plugin.own().cursor().0 + 1;
            let next = (first..=end)
                .find(|at| plugin.unfinished(*at))
                .filter(|_| fit);
            let idle = match (next, plugin.idle) {
                (None, _) => None,
                (Some(at), Some((before, since))) if at == before => Some((at, since)),
                (Some(at), _) => Some((at, self.now)),
            };
            if let Some((at, since)) = idle {
                assert!(
                    self.now.since(since) <= wait,
                    "plugin {place} waits too long for event {at}: {:?}",
                    plugin.lane
                );
            }
            self.plugins[place].idle = idle;
        }
    }

    // What happens.

    pub(crate) fn grow(&mut self, kinds: &[Kind]) {
        for kind in kinds {
            let offset = self.log.len() as u64 + 1;
            let text = format!(
                r#"{{"id":{},"event_type":"{}"}}"#,
                offset + 100,
                kind.name()
            );
            self.log.push(Arc::new(Row {
                offset: Offset(offset),
                late: false,
                event: Event::parse(&text).expect("an event"),
            }));
            self.kinds.push(*kind);
        }
        for place in 0..self.plugins.len() {
            self.plugins[place].kinds.clone_from(&self.kinds);
        }
        let end = Offset(self.log.len() as u64);
        for place in 0..self.plugins.len() {
            self.feed(place, Input::LogGrew(end));
        }
    }

    fn reply(&mut self, place: usize, reply: Reply) {
        let plugin = &mut self.plugins[place];
        let Some(frame) = plugin.frames.front_mut() else {
            return;
        };
        let (seq, n, offset) = (frame.seq, frame.callbacks.remove(0), frame.row.offset.0);
        let through = frame.callbacks.is_empty();
        if through {
            plugin.frames.pop_front();
        }
        plugin.called = self.now;
        let stop = matches!(reply, Reply::Failed { stop: true, .. });
        if stop {
            plugin.frames.clear();
        }
        if through || stop {
            plugin.books.answered.insert(offset);
        }
        self.feed(place, Input::Answer { seq, n, reply });
    }
    pub(crate) fn answer(&mut self, place: usize) {
        let us = if self.plugins[place].quick { 5 } else { 5000 };
        self.reply(place, Reply::Done { us });
    }
    /// The call that has been out for longest is answered.
    pub(crate) fn answer_next(&mut self) -> bool {
        let busy = (0..self.plugins.len()).filter(|p| !self.plugins[*p].frames.is_empty());
        let Some(next) = busy.min_by_key(|p| self.plugins[*p].called) else {
            return false;
        };
        self.answer(next);
        true
    }
    pub(crate) fn answer_all(&mut self) -> bool {
        let busy: Vec<_> = (0..self.plugins.len())
            .filter(|p| !self.plugins[*p].frames.is_empty())
            .collect();
        for place in &busy {
            self.answer(*place);
        }
        !busy.is_empty()
    }
    fn go_wrong(&mut self, place: usize, cause: Option<Cause>) {
        let plugin = &self.plugins[place];
        let Some(n) = plugin.frames.front().map(|f| f.callbacks[0]) else {
            return;
        };
        let stops = plugin.specs.iter().any(|s| s.n == n && s.stop_on_error);
        let stop = stops || cause == Some(Cause::Site);
        let failure = failure(FailureKind::Raised, cause);
        self.reply(place, Reply::Failed { failure, stop });
    }
    pub(crate) fn fail(&mut self, place: usize) {
        self.go_wrong(place, None);
    }
    pub(crate) fn no_site(&mut self, place: usize) {
        self.go_wrong(place, Some(Cause::Site));
    }
    pub(crate) fn site_read(&mut self) {
        (0..self.plugins.len()).for_each(|place| self.feed(place, Input::SiteRead));
    }
    pub(crate) fn resume(&mut self, place: usize) {
        self.feed(place, Input::Resume);
    }

    /// The process dies: the callback that was called is to blame.
    pub(crate) fn die(&mut self, place: usize) {
        let plugin = &mut self.plugins[place];
        if !plugin.up {
            return;
        }
        if let Some(frame) = plugin.frames.front() {
            plugin.books.answered.insert(frame.row.offset.0);
        }
        let failure = failure(FailureKind::Death, None);
        self.ends(place, Verdict::Died(failure));
        self.plugins[place].running = false;
        self.feed(place, Input::Running(false));
    }
    fn ends(&mut self, place: usize, verdict: Verdict) {
        let plugin = &mut self.plugins[place];
        plugin.frames.clear();
        plugin.up = false;
        plugin.replaced = None;
        self.feed(place, Input::Gone { verdict });
    }
    /// A process is ready where there is none.
    pub(crate) fn ready(&mut self, place: usize) {
        let plugin = &mut self.plugins[place];
        if plugin.up {
            return;
        }
        (plugin.up, plugin.running) = (true, true);
        if let Some(next) = plugin.next.take() {
            plugin.specs = next;
        }
        self.feed(place, Input::Running(true));
        self.load(place);
    }
    fn change(&mut self, place: usize, filter: Option<Kind>) {
        let plugin = &mut self.plugins[place];
        let next = filter.map_or_else(|| plugin.specs.clone(), |kind| specs(&[kind.0]));
        plugin.next = Some(next);
        plugin.replaced.get_or_insert(self.now);
    }
    /// A ready process waits for the one in use to end.
    pub(crate) fn replace(&mut self, place: usize, filter: Option<Kind>) {
        if self.plugins[place].up {
            self.change(place, filter);
            self.feed(place, Input::Retired);
        }
    }
    pub(crate) fn stop_first(&mut self, place: usize, filter: Option<Kind>) {
        if self.plugins[place].up {
            self.change(place, filter);
            self.feed(place, Input::Retired);
            self.plugins[place].running = false;
            self.feed(place, Input::Running(false));
        }
    }
    /// The process that is replaced ends, after all it was sent or in the middle of it.
    pub(crate) fn old_ends(&mut self, place: usize) {
        if self.plugins[place].next.is_none() || !self.plugins[place].up {
            return;
        }
        if place.is_multiple_of(2) {
            while !self.plugins[place].frames.is_empty() {
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
            let wake = lanes
                .filter_map(|lane| lane.wake_at(self.now, &self.gate))
                .min();
            match wake {
                Some(wake) if wake <= end => {
                    self.now = wake.max(self.now + Duration::from_millis(1));
                }
                _ => break,
            }
            self.tick();
        }
        self.now = self.now.max(end);
        self.tick();
    }
    fn tick(&mut self) {
        (0..self.plugins.len()).for_each(|place| self.feed(place, Input::Tick));
    }
    pub(crate) fn slow_disk(&mut self, slow: bool) {
        self.slow_disk = slow;
        if !slow {
            for (place, ticket, changes) in std::mem::take(&mut self.waiting) {
                self.write(place, changes);
                self.feed(place, Input::Durable(ticket));
            }
        }
    }
    pub(crate) fn crash(&mut self) {
        self.crash_without_beginning();
        self.begin();
    }
    pub(crate) fn crash_without_beginning(&mut self) {
        self.waiting.clear();
        self.todo.clear();
        self.start();
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
        let end = self.log.len() as u64;
        let open = |place: usize| (1..=end).map(move |at| (place, at));
        let all = (0..self.plugins.len()).flat_map(open);
        all.filter(|(place, at)| self.plugins[*place].own().cursor() < Offset(*at))
            .collect()
    }

    // What is seen, by rank.

    fn at(&self, rank: usize) -> &Plugin {
        &self.plugins[self.order[rank]]
    }
    /// Returns the first event that each plugin is busy with.
    pub(crate) fn out(&self) -> Vec<Option<u64>> {
        let plugins = (0..self.plugins.len()).map(|rank| self.at(rank));
        plugins
            .map(|p| p.frames.front().map(|f| f.row.offset.0))
            .collect()
    }
    /// Returns how many events a plugin has in hand.
    pub(crate) fn ahead(&self, rank: usize) -> usize {
        self.at(rank).frames.len()
    }
    pub(crate) fn answered(&self, rank: usize) -> usize {
        self.at(rank).books.answered.len()
    }
    pub(crate) fn in_line(&self, rank: usize) -> bool {
        self.at(rank).in_line_from().is_some()
    }
    pub(crate) const fn now(&self) -> Mono {
        self.now
    }
}
