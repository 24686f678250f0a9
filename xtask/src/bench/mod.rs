//! `cargo xtask bench`: a whole daemon, measured as a user runs it.
//!
//! A release build of `slated` follows a simulated site in a process of its own and runs plugins
//! that do nothing, sleep, or note what they are given. Figures come from outside: the control
//! socket, `/proc` (Linux), the simulator's history and the plugins' notes.
//!
//! Invariant: a run that did not come to its end, or lost or repeated an event, has no figures.

mod cost;
mod family;
mod figures;
mod files;
mod follow;
mod http;
mod judge;
mod options;
mod site;
mod stage;
mod status;
mod traffic;

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::command::{cargo, succeeds, target_dir};
use cost::Cost;
use family::Family;
use figures::{Drain, Idle, Start};
pub(crate) use options::Options;
use options::{Idleness, Kind, Load};
use stage::Stage;
use status::Status;

/// How often the daemon is asked; also how coarse a time is.
const LOOK: Duration = Duration::from_millis(20);
/// Events in a page of the site, where nobody sets it.
const PAGE: u64 = 500;
/// The site's seed where runs are to be alike.
const SEED: usize = 1;
/// How long a run may stand still before it is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// Measures, prints, and tells whether there was something to measure.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let slated = match &options.binary {
        Some(path) => path.clone(),
        None => build()?,
    };
    let runs = (1..=options.runs).map(|run| {
        eprintln!("run {run} of {}", options.runs);
        match &options.kind {
            Kind::Drain(load) => drain(&slated, load).map(Into::into),
            Kind::Idle(idleness) => idle(&slated, idleness).map(Into::into),
            Kind::Start(load) => start(&slated, load).map(Into::into),
            Kind::Follow(following) => follow::follow(&slated, following, run).map(Into::into),
        }
    });
    let runs: Vec<figures::Figures> = runs.collect::<Result<_>>()?;
    figures::print(&runs, options.json);
    Ok(true)
}

/// Builds what is measured.
fn build() -> Result<PathBuf> {
    let args = ["build", "--release", "--locked", "--package", "slated"];
    ensure!(succeeds(&mut cargo(args))?, "slated does not build");
    let name = format!("slated{}", std::env::consts::EXE_SUFFIX);
    Ok(target_dir()?.join("release").join(name))
}

/// Starts the daemon on a site full of events and waits until it has dealt with them all.
fn drain(slated: &Path, load: &Load) -> Result<Drain> {
    let mut stage = Stage::set(slated, load, SEED)?;
    let watched = watch(&mut stage, load)?;
    let status = watched.last;
    let daemon = Cost::of(stage.daemon()?)?;
    let workers = status.workers.iter().map(|pid| Cost::of(*pid));
    let workers: Vec<Cost> = workers.collect::<Result<_>>()?;
    let sim = Cost::of(stage.sim())? - stage.sim_before;
    stage.end()?;
    if load.wants_nothing() {
        ensure!(status.done == 0, "{} callbacks nobody wanted", status.done);
    } else {
        ensure!(status.done > 0, "no callback ran");
    }
    let read = watched.full.saturating_sub(watched.first_row);
    // Each plugin has one callback: what it did not run for was not wanted.
    let unwanted = (status.end * load.plugins as u64).saturating_sub(status.done);
    let passed = watched.drained.saturating_sub(watched.first_row);
    let worked = watched.drained.saturating_sub(watched.first_done);
    Ok(Drain {
        drained_s: watched.drained.as_secs_f64(),
        first_row_s: watched.first_row.as_secs_f64(),
        log_full_s: watched.full.as_secs_f64(),
        first_done_s: watched.first_done.as_secs_f64(),
        events: status.end,
        events_per_s: rate(status.end, read),
        callbacks: status.done,
        callbacks_per_s: rate(status.done, worked),
        unwanted_per_s: rate(unwanted, passed),
        daemon_cpu_s: daemon.cpu.as_secs_f64(),
        workers_cpu_s: (workers.iter().map(|cost| cost.cpu).sum::<Duration>() + daemon.ended)
            .as_secs_f64(),
        sim_cpu_s: sim.cpu.as_secs_f64(),
        daemon_peak_mb: daemon.peak_mb,
        requests: status.requests,
        requests_per_page: watched.requests as f64 / status.end.div_ceil(PAGE).max(1) as f64,
    })
}

/// When what was first seen, from the start of the daemon's process.
struct Watched {
    /// The last look before the log had a row.
    first_row: Duration,
    /// The log holds all events.
    full: Duration,
    /// Requests up to that moment.
    requests: u64,
    /// The last look before a callback was done.
    first_done: Duration,
    /// Every lane is at the log's end, and everything is durable.
    drained: Duration,
    last: Status,
}

fn watch(stage: &mut Stage, load: &Load) -> Result<Watched> {
    let begun = stage.start()?;
    let (mut first_row, mut first_done) = (Duration::ZERO, Duration::ZERO);
    let mut full = None;
    let mut moved = (Instant::now(), (0, 0));
    loop {
        sleep(LOOK);
        let status = stage.ask()?;
        let now = begun.elapsed();
        if let Some(status) = status {
            if status.end == 0 {
                first_row = now;
            }
            if status.done == 0 {
                first_done = now;
            }
            if status.end >= load.events && status.caught_up {
                full.get_or_insert((now, status.requests));
            }
            if let Some((full, requests)) = full
                && status.is_drained(load.plugins)
            {
                return Ok(Watched {
                    first_row,
                    full,
                    requests,
                    first_done,
                    drained: now,
                    last: status,
                });
            }
            if (status.end, status.done) != moved.1 {
                moved = (Instant::now(), (status.end, status.done));
            }
        }
        if moved.0.elapsed() > PATIENCE {
            bail!(
                "nothing moved for {PATIENCE:?}; the daemon's last words:\n{}",
                stage.last_words()
            );
        }
    }
}

/// Lets a daemon stand that has nothing to do.
fn idle(slated: &Path, idleness: &Idleness) -> Result<Idle> {
    let mut stage = Stage::set(slated, &idleness.load, SEED)?;
    watch(&mut stage, &idleness.load)?;
    // What follows a drain (the last cursors, the last commit) is no idleness.
    sleep(Duration::from_secs(3));
    let look = |stage: &mut Stage| -> Result<(Cost, Status)> {
        let status = stage.ask()?.context("the daemon does not answer")?;
        Ok((Cost::of(stage.daemon()?)?, status))
    };
    let (before, asked_before) = look(&mut stage)?;
    let begun = Instant::now();
    let mut commits = 0;
    let mut last = stage.committed()?;
    while begun.elapsed() < idleness.time {
        sleep(LOOK);
        let committed = stage.committed()?;
        commits += u64::from(committed != last);
        last = committed;
    }
    let (after, asked) = look(&mut stage)?;
    let time = begun.elapsed();
    stage.end()?;
    let spent = after - before;
    let per_minute = |count: u64| count as f64 * 60.0 / time.as_secs_f64();
    Ok(Idle {
        seconds: time.as_secs_f64(),
        cpu_percent: 100.0 * spent.cpu.as_secs_f64() / time.as_secs_f64(),
        requests_per_min: per_minute(asked.requests - asked_before.requests),
        commits_per_min: per_minute(commits),
        written_kb_per_min: per_minute(spent.written / 1024),
        wakes_per_s: spent.wakes as f64 / time.as_secs_f64(),
        daemon_peak_mb: after.peak_mb,
    })
}

/// Starts the daemon and waits until its plugins run.
fn start(slated: &Path, load: &Load) -> Result<Start> {
    let mut stage = Stage::set(slated, load, SEED)?;
    let begun = stage.start()?;
    let ready = loop {
        sleep(LOOK);
        let status = stage.ask()?;
        if status.is_some_and(|status| status.running == load.plugins) {
            break begun.elapsed();
        }
        if begun.elapsed() > PATIENCE {
            bail!("not all plugins run:\n{}", stage.last_words());
        }
    };
    let daemon = Cost::of(stage.daemon()?)?;
    let family = Family::below(stage.daemon()?)?;
    stage.end()?;
    Ok(Start {
        ready_s: ready.as_secs_f64(),
        daemon_cpu_s: daemon.cpu.as_secs_f64(),
        // The Python that was asked who it is has ended.
        python_cpu_s: (family.cpu + daemon.ended).as_secs_f64(),
        processes: family.count,
        python_pss_mb: family.pss_mb,
        daemon_peak_mb: daemon.peak_mb,
    })
}

fn rate(count: u64, time: Duration) -> f64 {
    // Never divided by less than one look.
    count as f64 / time.max(LOOK).as_secs_f64()
}
