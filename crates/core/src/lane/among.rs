//! A lane's step among the others: it is shown its peers, and whoever waited for it hears of it.

use super::slot::Stand;
use super::{Context, Effect, Input, Lane};
use crate::Mono;
use crate::order::{Gate, Peer, Peers};
use crate::retry::SiteHealth;

/// Something that may have a lane.
pub trait HasLane {
    /// Returns its lane.
    fn lane(&self) -> Option<&Lane>;
    /// Returns where its lane is kept.
    fn lane_mut(&mut self) -> &mut Option<Lane>;
}

/// What a step's surroundings are but for the other lanes.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The moment.
    pub now: Mono,
    /// Milliseconds since 1970, written beside records for people to read.
    pub wall_ms: i64,
    /// How the site looks to the follower.
    pub site: SiteHealth,
}

/// Hands an input to the lane at `place`; `order` lists all places in the documented order.
/// Returns what to do, and the places of lanes that may go on now: each wants an [`Input::Tick`].
pub fn step<T: HasLane>(
    all: &mut [T],
    order: &[usize],
    gate: &Gate,
    moment: Moment,
    place: usize,
    input: Input,
) -> (Vec<Effect>, Vec<usize>) {
    let Some(mut lane) = all.get_mut(place).and_then(|one| one.lane_mut().take()) else {
        return (Vec::new(), Vec::new());
    };
    let stood = lane.stand();
    let effects = {
        let (before, after) = if gate.heeds_peers() {
            let mut sides = order.split(|other| *other == place);
            (peers(all, sides.next()), peers(all, sides.next()))
        } else {
            (Vec::new(), Vec::new())
        };
        let at = Context {
            now: moment.now,
            wall_ms: moment.wall_ms,
            gate,
            peers: Peers {
                before: &before,
                after: &after,
            },
            site: moment.site,
        };
        lane.step(at, input)
    };
    let freed = if gate.heeds_peers() {
        freed_by(&lane, all, order, gate, place, stood)
    } else {
        Vec::new()
    };
    if let Some(one) = all.get_mut(place) {
        *one.lane_mut() = Some(lane);
    }
    (effects, freed)
}

fn peers<'a, T: HasLane>(all: &'a [T], places: Option<&[usize]>) -> Vec<(usize, &'a dyn Peer)> {
    let places = places.unwrap_or_default().iter();
    let lane = |place: &usize| Some((*place, all.get(*place)?.lane()? as &dyn Peer));
    places.filter_map(lane).collect()
}

/// Returns who waited for the lane at `place` and need not any longer.
fn freed_by<T: HasLane>(
    lane: &Lane,
    all: &[T],
    order: &[usize],
    gate: &Gate,
    place: usize,
    stood: Stand,
) -> Vec<usize> {
    let stands = lane.stand();
    let mut precedes = true;
    let mut freed = Vec::new();
    for other in order {
        if *other == place {
            // It stands before those that follow.
            precedes = false;
            continue;
        }
        let Some(waits) = all.get(*other).and_then(HasLane::lane) else {
            continue;
        };
        let free = waits.held_up_by() == Some(place)
            && waits
                .held_up_at()
                .is_none_or(|row| !gate.holds_up(lane, !precedes, row));
        // Whether it made room by an answer, or by wanting no slot any more.
        let room = |number| stood.is_before(number) && !stands.is_before(number);
        if free || waits.number().is_some_and(room) {
            freed.push(*other);
        }
    }
    freed
}
