//! A studio: a log, plugins with their lanes and workers, a disk that may be slow, and a clock.
//!
//! What may happen in it stands in `acts`; the judge watches every step (`judge`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use slated_core::Mono;
use slated_core::lane::{self, CallbackSpec, Effect, Frame, HasLane, Input, Lane, Moment};
use slated_core::order::{Gate, Rules};
use slated_core::retry::{OnError, Policy, SiteHealth, Worth};
use slated_model::{
    AttributeRule, CallbackId, Change, Event, EventId, LaneRow, Matcher, Offset, PluginId, Row,
};

use super::books::Books;
use super::support::Disk;

/// How far ahead a quick plugin is sent.
pub(crate) const WINDOW: usize = 4;

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) u8);

impl Kind {
    pub(crate) const MANY: u8 = 3;
    pub(crate) fn name(self) -> String {
        format!("Kind_{}", self.0)
    }
}

/// How an event comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coming {
    InTurn,
    /// After an id that nobody sees yet.
    AfterHole,
    /// With the oldest such id, if there is one.
    Late,
}

/// How a plugin begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    /// The kinds that its callbacks want, one each.
    pub(crate) filter: Vec<u8>,
    /// Its callbacks take no time.
    pub(crate) quick: bool,
    /// What an import says: its position, what it is owed below that, and whether it is placed
    /// behind others.
    pub(crate) floor: Option<EventId>,
    pub(crate) owed: Vec<EventId>,
    pub(crate) behind: bool,
}

impl Start {
    /// Returns plugins that begin with the log, by their filters.
    pub(crate) fn all(filters: &[&[u8]]) -> Vec<Self> {
        let one = |filter: &&[u8]| Self {
            filter: filter.to_vec(),
            ..Self::default()
        };
        filters.iter().map(one).collect()
    }
    /// Makes them all quick.
    pub(crate) fn quick(mut all: Vec<Self>) -> Vec<Self> {
        for one in &mut all {
            one.quick = true;
        }
        all
    }
}

/// A frame that a worker has in hand.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) frame: Frame,
    /// Beside the order.
    pub(crate) aside: bool,
    /// Microseconds so far.
    pub(crate) us: u64,
}

impl Call {
    pub(crate) fn offset(&self) -> u64 {
        self.frame.row.offset.0
    }
}

#[derive(Debug)]
pub(crate) struct Plugin {
    lane: Option<Lane>,
    pub(crate) rank: usize,
    pub(crate) start: Start,
    /// The filter of the load in use, and of the one to come.
    pub(crate) specs: Vec<CallbackSpec>,
    pub(crate) next: Option<Vec<CallbackSpec>>,
    /// The plugin runs, as its life would say.
    pub(crate) running: bool,
    /// A process takes frames.
    pub(crate) up: bool,
    pub(crate) calls: VecDeque<Call>,
    /// When the call that is out began.
    pub(crate) called: Mono,
    pub(crate) disk: Disk,
    pub(crate) books: Books,
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
    pub(crate) fn own(&self) -> &Lane {
        let lane = self.lane.as_ref();
        lane.expect("a lane is away only during its own step")
    }
}

pub(crate) struct Studio {
    pub(crate) rules: Rules,
    pub(crate) gate: Gate,
    pub(crate) now: Mono,
    pub(crate) log: Vec<Arc<Row>>,
    /// Ids that were passed over, and may come late.
    pub(crate) holes: VecDeque<u64>,
    /// Where each event stands.
    pub(crate) at: BTreeMap<EventId, u64>,
    pub(crate) plugins: Vec<Plugin>,
    /// Places in the documented order.
    pub(crate) order: Vec<usize>,
    pub(crate) slow_disk: bool,
    pub(crate) waiting: Vec<(usize, u64, Vec<Change>)>,
    /// When dispatch begins, whoever is not ready then.
    pub(crate) begins_by: Mono,
    todo: VecDeque<(usize, Input)>,
}

pub(crate) fn specs(kinds: &[u8]) -> Vec<CallbackSpec> {
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

const POLICY: Policy = Policy {
    worth: Worth::Transient,
    attempts: 3,
    within: Duration::from_mins(10),
    on_error: OnError::DeadLetter,
    deaths: 3,
};

impl Studio {
    /// Makes a studio whose plugins stand in the documented order; in the list they may stand in
    /// reverse, so that places are not ranks. `old` events stand in the log already.
    pub(crate) fn new(rules: Rules, starts: Vec<Start>, old: &[Kind], reversed: bool) -> Self {
        let count = starts.len();
        let plugin = |(rank, start): (usize, Start)| {
            let name = PluginId::new("plugins", format!("p{rank}"));
            let mut row = LaneRow::new(name, Offset(0));
            (row.floor, row.owed) = (start.floor, start.owed.clone());
            if start.behind {
                row.in_line_from = LaneRow::OUT_OF_LINE;
            }
            Plugin {
                lane: None,
                rank,
                specs: specs(&start.filter),
                next: None,
                start,
                running: false,
                up: false,
                calls: VecDeque::new(),
                called: Mono::ZERO,
                disk: Disk::new(row),
                books: Books::default(),
            }
        };
        let mut plugins: Vec<_> = starts.into_iter().enumerate().map(plugin).collect();
        let mut order: Vec<_> = (0..count).collect();
        if reversed {
            plugins.reverse();
            order.reverse();
        }
        let mut studio = Self {
            rules,
            gate: Gate::new(rules),
            now: Mono::from_secs(1),
            log: Vec::new(),
            holes: VecDeque::new(),
            at: BTreeMap::new(),
            plugins,
            order,
            slow_disk: false,
            waiting: Vec::new(),
            begins_by: Mono::ZERO,
            todo: VecDeque::new(),
        };
        for kind in old {
            studio.append(*kind, Coming::InTurn);
        }
        studio.take_up(&vec![true; count]);
        studio
    }

    /// The daemon takes its lanes up from the disk, and loads the plugins that are ready.
    pub(crate) fn take_up(&mut self, ready: &[bool]) {
        self.waiting.clear();
        self.gate = Gate::new(self.rules);
        self.begins_by = self.now + Duration::from_secs(30);
        for plugin in &mut self.plugins {
            plugin.lane = None;
            plugin.calls.clear();
            plugin.books.line = None;
        }
        for (place, ready) in ready.iter().enumerate() {
            let plugin = &mut self.plugins[place];
            let at = |id: EventId| Offset(self.at[&id]);
            let (row, attempts, ahead) = plugin.disk.taken_up(at);
            let lane = Lane::new(row, POLICY, WINDOW, attempts, &ahead, self.now, 7);
            plugin.lane = Some(lane);
            if let Some(next) = plugin.next.take() {
                plugin.specs = next;
            }
            plugin.take_up_books(|id| self.at[&id]);
            (plugin.running, plugin.up) = (*ready, *ready);
            let end = Offset(self.log.len() as u64);
            self.feed(place, Input::LogGrew(end));
            self.feed(place, Input::Running(*ready));
            if *ready {
                self.load(place);
            }
        }
        self.begin_when_ready();
    }

    pub(crate) fn begin_when_ready(&mut self) {
        let all = self.plugins.iter().all(|p| p.up);
        if !self.gate.has_begun() && (all || self.now >= self.begins_by) {
            self.gate.begin();
            self.tick();
        }
    }

    pub(crate) fn load(&mut self, place: usize) {
        let plugin = &mut self.plugins[place];
        let next = plugin.next.take();
        let callbacks = next.unwrap_or_else(|| plugin.specs.clone());
        let window = 16;
        self.feed(place, Input::Ready { callbacks, window });
    }

    pub(crate) fn append(&mut self, kind: Kind, coming: Coming) {
        let newest = self.at.last_key_value().map_or(100, |(id, _)| id.0);
        let filled = (coming == Coming::Late).then(|| self.holes.pop_front());
        let late = filled.flatten();
        if coming == Coming::AfterHole {
            self.holes.push_back(newest + 1);
        }
        let after_hole = u64::from(coming == Coming::AfterHole);
        let id = late.unwrap_or(newest + 1 + after_hole);
        let late = late.is_some();
        let text = format!(r#"{{"id":{id},"event_type":"{}"}}"#, kind.name());
        let row = Row {
            offset: Offset(self.log.len() as u64 + 1),
            late,
            event: Event::parse(&text).expect("an event"),
        };
        self.at.insert(row.event.id, row.offset.0);
        self.plugins.iter_mut().for_each(|p| p.note_row(&row));
        self.log.push(Arc::new(row));
    }

    pub(crate) fn feed(&mut self, place: usize, input: Input) {
        self.todo.push_back((place, input));
        while let Some((place, input)) = self.todo.pop_front() {
            let moment = Moment {
                now: self.now,
                wall_ms: 0,
                site: SiteHealth::WellFor(Duration::ZERO),
            };
            let anew = self.before_step(place, &input);
            let (effects, freed) = lane::step(
                &mut self.plugins,
                &self.order,
                &self.gate,
                moment,
                place,
                input,
            );
            self.judge_step(place, anew, &effects);
            for effect in effects {
                self.perform(place, effect);
            }
            self.judge_place(place);
            let freed = freed.into_iter().map(|place| (place, Input::Tick));
            self.todo.extend(freed);
        }
    }

    fn perform(&mut self, place: usize, effect: Effect) {
        match effect {
            Effect::Send(frame) => {
                let plugin = &mut self.plugins[place];
                assert!(plugin.up, "sent to nobody");
                if plugin.calls.is_empty() {
                    plugin.called = self.now;
                }
                let aside = plugin.is_aside(&frame);
                let us = 0;
                plugin.calls.push_back(Call { frame, aside, us });
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
                self.plugins[place].disk.write(changes);
                self.todo.push_back((place, Input::Durable(ticket)));
            }
            Effect::Tell(_) | Effect::WentAhead { .. } => {}
        }
    }

    pub(crate) fn tick(&mut self) {
        (0..self.plugins.len()).for_each(|place| self.feed(place, Input::Tick));
        self.judge_rest();
    }

    // What is seen, by rank.

    fn by_rank(&self, rank: usize) -> &Plugin {
        &self.plugins[self.order[rank]]
    }
    /// Returns the first event that each plugin is busy with.
    pub(crate) fn out(&self) -> Vec<Option<u64>> {
        let plugins = (0..self.plugins.len()).map(|rank| self.by_rank(rank));
        plugins.map(|p| p.calls.front().map(Call::offset)).collect()
    }
    /// Returns how many events a plugin has in hand.
    pub(crate) fn ahead(&self, rank: usize) -> usize {
        self.by_rank(rank).calls.len()
    }
    /// Returns how many events a plugin has answered.
    pub(crate) fn answered(&self, rank: usize) -> usize {
        self.by_rank(rank).books.answers()
    }
    pub(crate) fn in_line(&self, rank: usize) -> bool {
        self.by_rank(rank).books.line().is_some()
    }
}
