//! How soon callbacks run on a site where people work, and what the site is asked meanwhile.
//!
//! The run begins with ids missing below the head. Half of them show half-way, with ids that the
//! follower has known as missing for long; the others never do. While people write, some of their
//! changes show late and some never.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use super::cost::Cost;
use super::figures::Follow;
use super::files::TICK_S;
use super::judge::{self, Delays, Journal};
use super::options::Following;
use super::site::{Row, Site};
use super::stage::Stage;
use super::status::Status;
use super::{LOOK, PATIENCE, traffic};

/// How late a late change shows, in milliseconds.
const LATE_MS: (u64, u64) = (10_000, 40_000);
/// How often the journals are read while the last changes are awaited.
const READ: Duration = Duration::from_millis(500);

/// Lets people work on a site for a while; the seed decides which changes show late or never.
pub(super) fn follow(slated: &Path, following: &Following, seed: usize) -> Result<Follow> {
    let load = &following.load;
    let mut stage = Stage::set(slated, load, seed)?;
    let first = stage.site.next_id()?;
    stage.site.set_latency(0)?;
    make_holes(&stage.site, following.holes)?;
    stage.site.set_latency(load.latency_ms)?;
    let rows = stage.site.history(first)?;
    let missing = rows.iter().filter(|row| row.visible_ms.is_none());
    let missing: BTreeSet<u64> = missing.map(|row| row.id).collect();
    let from = stage.site.next_id()?;
    ready(&mut stage, following)?;
    let before = after_a_request(&mut stage)?;
    ensure!(
        before.status.holes >= missing.len() as u64,
        "{} ids are missing, and the daemon knows of {}",
        missing.len(),
        before.status.holes
    );

    stage.site.set_policy(&[
        json!({"when": {"share": following.late_percent / 100.0},
               "then": {"late": {"min_ms": LATE_MS.0, "max_ms": LATE_MS.1}}}),
        json!({"when": {"share": following.dead_percent / 100.0}, "then": "never"}),
    ])?;
    let half = |stage: &Stage| {
        let time = following.time / 2;
        traffic::write(&stage.site, following.rate, load.latency_ms, time)
    };
    let mut writing = half(&stage)?;
    for transaction in stage.site.waiting()? {
        stage
            .site
            .order(&json!({"do": "commit", "transaction": transaction}))?;
    }
    writing += half(&stage)?;
    let after = after_a_request(&mut stage)?;
    let time = after.at - before.at;

    // The fate of every row is decided by now.
    let rows = stage.site.history(first)?;
    let is_new = |row: &&Row| row.id >= from || missing.contains(&row.id);
    let rows: Vec<Row> = rows.iter().filter(is_new).copied().collect();
    let journals = complete(&mut stage, following, &rows)?;
    let last = stage.ask()?.context("the daemon does not answer")?;
    stage.end()?;

    let verdict = judge::judge(&rows, &journals)?;
    let written = rows.iter().filter(|row| row.id >= from).count();
    let spent = after.cost - before.cost;
    let ticks = time.as_secs_f64() / TICK_S as f64;
    Ok(Follow {
        seconds: time.as_secs_f64(),
        events: verdict.events,
        written_per_s: written as f64 / writing.as_secs_f64(),
        runs_per_event: verdict.runs as f64 / (verdict.events * load.plugins) as f64,
        prompt: Delays::of(&verdict.prompt),
        late_events: verdict.late.len() / load.plugins,
        late: Delays::of(&verdict.late),
        holes_at_start: before.status.holes,
        holes_at_end: last.holes,
        requests_per_tick: (after.status.requests - before.status.requests) as f64 / ticks,
        split: after.status.split,
        daemon_cpu_percent: 100.0 * spent.cpu.as_secs_f64() / time.as_secs_f64(),
    })
}

/// Leaves ids out below the head: in turn one that never shows, and one that waits.
fn make_holes(site: &Site, holes: u64) -> Result<()> {
    for _ in 0..holes {
        for fate in ["never", "hold"] {
            site.set_policy(&[json!({"when": {"next": 1}, "then": fate})])?;
            site.write()?;
            // Its neighbour shows: a hole of its own, and one below the head.
            site.write()?;
        }
    }
    Ok(())
}

/// Starts the daemon and waits until it follows.
fn ready(stage: &mut Stage, following: &Following) -> Result<()> {
    let begun = stage.start()?;
    loop {
        sleep(LOOK);
        let plugins = following.load.plugins;
        if let Some(status) = stage.ask()?
            && status.caught_up
            && status.running == plugins
            && status.is_drained(plugins)
        {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            bail!("the daemon does not follow:\n{}", stage.last_words());
        }
    }
}

/// What was seen of the daemon, and when.
struct Seen {
    at: Instant,
    status: Status,
    cost: Cost,
}

/// Waits for a request to the site: between two of these lies a whole number of ticks.
fn after_a_request(stage: &mut Stage) -> Result<Seen> {
    let begun = Instant::now();
    let mut before = None;
    while begun.elapsed() < PATIENCE {
        let status = stage.ask()?.context("the daemon does not answer")?;
        if *before.get_or_insert(status.requests) != status.requests {
            let cost = Cost::of(stage.daemon()?)?;
            let at = Instant::now();
            return Ok(Seen { at, status, cost });
        }
        sleep(LOOK);
    }
    bail!("no request in {PATIENCE:?}:\n{}", stage.last_words())
}

/// Waits until everything that ever shows has run, and some looks longer.
///
/// What does not run in time is missing from the journals.
fn complete(stage: &mut Stage, following: &Following, rows: &[Row]) -> Result<Vec<Journal>> {
    let plugins = following.load.plugins;
    // The older a hole, the seldomer it is asked for: after an hour, each ten minutes.
    let patience = PATIENCE.max(following.time / 10);
    let until = Instant::now() + Duration::from_millis(LATE_MS.1) + patience;
    while !judge::is_complete(rows, &stage.journals(plugins)?) && Instant::now() < until {
        sleep(READ);
        stage.ask()?;
    }
    // What runs twice may do so at a later look.
    sleep(Duration::from_secs(2 * TICK_S));
    stage.journals(plugins)
}
