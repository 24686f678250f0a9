//! Why a body may run again (promise P4), and when it may not.

use super::bodies::{Bodies, Body};
use super::input::Lane;

/// What makes a repeat rightful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excuse {
    /// The first body raised, and the lane retries, as all do where the site is to blame.
    Retried,
    /// The first body raised and held its plugin; the hold was ended.
    Resumed,
    /// The daemon was killed while the first body was not on record.
    DaemonDied,
    /// The process died in the first body, or after it before it had answered.
    WorkerDied,
}

/// Says why `second` may repeat `first`, or why not.
pub(super) fn excuse(
    bodies: &Bodies<'_>,
    lane: &Lane,
    first: &Body<'_>,
    second: &Body<'_>,
) -> Result<Excuse, String> {
    if first.site || lane.retries && matches!(first.end, Some((_, false))) {
        return Ok(Excuse::Retried);
    }
    if matches!(first.end, Some((_, false)))
        && lane.holds.contains(first.callback)
        && first.run != second.run
    {
        return Ok(Excuse::Resumed);
    }
    if first.run == second.run {
        return Err("the same process ran it again".into());
    }
    if bodies.life_was_killed(first) && second.life > first.life {
        // The next event is not sent before this one is on record, unless it was sent ahead.
        return match begun_after(bodies, first) {
            n if n < lane.window => Ok(Excuse::DaemonDied),
            n => Err(format!(
                "{n} events began after it, which its record came before"
            )),
        };
    }
    let of_run = bodies.all.iter().filter(|body| body.run == first.run);
    if of_run.into_iter().any(|body| body.from > first.from) {
        return Err("its process went on to another body, so it had answered".into());
    }
    if first.end.is_none() || bodies.shot.contains(&first.run) {
        return Ok(Excuse::WorkerDied);
    }
    Err("it had ended, and nobody killed its process".into())
}

/// Counts the events its plugin began after a body, in the same life and for the first time
/// in it.
fn begun_after(bodies: &Bodies<'_>, first: &Body<'_>) -> usize {
    let same = |body: &&Body<'_>| body.plugin == first.plugin && body.life == first.life;
    let mut events: Vec<_> = bodies
        .all
        .iter()
        .filter(same)
        .filter(|body| body.from > first.from && body.event != first.event)
        .map(|body| body.event)
        .collect();
    events.sort_unstable();
    events.dedup();
    events.len()
}
