//! A site whose ids become visible at their time, and the time, failures and kills that a
//! follower meets on its way to it. Times are seconds.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use slated_core::Mono;
use slated_core::follow::Request;
use slated_model::{Body, Event, EventId, Head};

use crate::table::Table;

/// Why a request came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    Failed,
    Killed,
}

/// Something that happens to the site, once.
pub(crate) type Change = Box<dyn FnOnce(&mut World) + Send>;

pub(crate) struct World {
    pub(crate) rng: fastrand::Rng,
    pub(crate) now: f64,
    /// The chance that a request fails, and that the process is killed at a point.
    pub(crate) fail: f64,
    pub(crate) kill: f64,
    /// Killed for sure at this point.
    pub(crate) kill_at: u64,
    /// Down for at most so long after a kill.
    pub(crate) down: f64,
    pub(crate) tick: f64,
    /// How long rows above a fresh hole wait.
    pub(crate) settle: f64,
    pub(crate) page: usize,
    /// How much longer the head takes with other ids, until when.
    pub(crate) slow: (f64, f64),
    /// From and until when every request fails.
    pub(crate) outage: (f64, f64),
    pub(crate) plan: Option<(f64, Change)>,
    /// The number of the site's history, which rows made now belong to.
    pub(crate) life: u32,
    pub(crate) table: Table,
    /// The moment of the last look's snapshot.
    pub(crate) shown: f64,
    pub(crate) points: u64,
    pub(crate) requests: u64,
    pub(crate) polls: u64,
    pub(crate) commits: u64,
    pub(crate) kills: u64,
    pub(crate) peak: usize,
    /// When a page was first not full: time, requests and polls by then.
    pub(crate) caught: Option<(f64, u64, u64)>,
}

impl World {
    pub(crate) fn new(mut rng: fastrand::Rng, vis: HashMap<u64, f64>, now: f64) -> Self {
        let (inclusive, odd) = (rng.bool(), if rng.bool() { 7 } else { u64::MAX });
        let mut world = Self {
            rng,
            now,
            fail: 0.0,
            kill: 0.0,
            kill_at: 0,
            down: 900.0,
            tick: 2.0,
            settle: 0.0,
            page: 500,
            slow: (0.0, 0.0),
            outage: (f64::INFINITY, f64::INFINITY),
            plan: None,
            life: 0,
            table: Table::new(inclusive, odd),
            shown: 0.0,
            points: 0,
            requests: 0,
            polls: 0,
            commits: 0,
            kills: 0,
            peak: 0,
            caught: None,
        };
        world.table.add(vis);
        world
    }
    pub(crate) fn uniform(&mut self, from: f64, to: f64) -> f64 {
        uniform(&mut self.rng, from, to)
    }
    pub(crate) fn mono(&self) -> Mono {
        Mono(Duration::from_secs_f64(self.now))
    }
    /// A moment at which the process may be killed: before a request, after its answer,
    /// before and after a commit.
    pub(crate) fn point(&mut self) -> Result<(), Halt> {
        self.points += 1;
        if self.points == self.kill_at || self.rng.f64() < self.kill {
            return Err(Halt::Killed);
        }
        Ok(())
    }
    /// Answers a request from one snapshot.
    pub(crate) fn answer(&mut self, request: &Request) -> Result<Vec<Event>, Halt> {
        self.requests += 1;
        self.point()?;
        self.now += self.uniform(0.1, 0.3);
        if self.rng.f64() < self.fail || (self.outage.0..self.outage.1).contains(&self.now) {
            return Err(Halt::Failed);
        }
        if let Some((_, change)) = self.plan.take_if(|(at, _)| *at <= self.now) {
            change(self);
        }
        self.table.reveal(self.now, self.life);
        if matches!(request, Request::Ranges { .. }) {
            self.shown = self.now;
        }
        if self.now < self.slow.1
            && let Request::Ranges { ranges, ids, .. } = request
        {
            let both = ranges.iter().any(|r| r.1.is_none()) && ranges.len() + ids.len() > 1;
            self.now += if both { self.slow.0 } else { 0.0 };
        }
        let rows = self.table.answer(request, self.page);
        self.now += self.uniform(0.1, 0.3);
        self.point()?;
        Ok(rows
            .into_iter()
            .map(|(id, life)| self.row(id, life))
            .collect())
    }
    fn row(&self, id: u64, life: u32) -> Event {
        let readable = self.table.readable(id);
        event(id, if readable { life } else { UNREADABLE })
    }
}

/// The history of a row that cannot be read.
pub(crate) const UNREADABLE: u32 = u32::MAX;

/// Returns the history of the site that a row is from.
pub(crate) fn life(event: &Event) -> u32 {
    let made = event.head.created_at.as_ref();
    made.map_or(UNREADABLE, |t| t.parse().unwrap())
}

/// Makes a row of a history.
pub(crate) fn event(id: u64, life: u32) -> Event {
    static BODY: LazyLock<Body> =
        LazyLock::new(|| Body::Json(serde_json::value::RawValue::NULL.to_owned().into()));
    if life == UNREADABLE {
        return Event::unreadable(EventId(id), "{");
    }
    let head = Head {
        created_at: Some(life.to_string()),
        ..Head::default()
    };
    Event {
        id: EventId(id),
        head,
        body: BODY.clone(),
    }
}

pub(crate) fn uniform(rng: &mut fastrand::Rng, from: f64, to: f64) -> f64 {
    from + (to - from) * rng.f64()
}

/// Transactions of one or many ids at about `rate` ids a second from time `t` on: most
/// commit at once, some hours later (at most `longest`), some never. Returns when each id
/// becomes visible, and the end.
pub(crate) fn traffic(
    rng: &mut fastrand::Rng,
    first: u64,
    n: u64,
    rate: f64,
    mut t: f64,
    (dead, longest): (f64, f64),
) -> (HashMap<u64, f64>, f64) {
    let (mut vis, mut id) = (HashMap::new(), first);
    while id < first + n {
        let many = if rng.f64() < 0.9 { 1 } else { rng.u64(2..=60) };
        let (from, to) = match rng.f64() {
            x if x < 0.9 => (0.0, 0.5),
            x if x < 0.985 => (0.5, 60.0),
            x if x < 0.998 => (60.0, 1800.0),
            _ => (1800.0, 60_000.0),
        };
        let at = t + uniform(rng, from, to).min(longest);
        if rng.f64() >= dead {
            vis.extend((id..id + many).map(|id| (id, at)));
        }
        id += many;
        t += -(1.0 - rng.f64()).ln() / (rate / 4.0);
    }
    (vis, t)
}

/// 2 % of transactions roll back, and one may take 16 hours.
pub(crate) const REAL: (f64, f64) = (0.02, 60_000.0);
/// Every transaction commits at once.
pub(crate) const TIDY: (f64, f64) = (0.0, 0.0);
