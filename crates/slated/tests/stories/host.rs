//! What a host does to processes: stops them, kills them, and has no more room for files.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use slated_testkit::World;
use slated_testkit::plugins::{Callback, Plugin};

use crate::{LIMIT, SLATED, WANTED, begins, begun, edit, happen, loads, says, signal};

fn slow() -> Plugin {
    let callback = Callback::new("f")
        .wants(WANTED)
        .sleeps(Duration::from_millis(30));
    Plugin::journal("slow").callback(callback)
}

/// Row 10 of the Python daemon's failures: what was done and not yet written down runs again, once,
/// in the plugin that did it, and nowhere else.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn row_10_a_kill_before_the_record_repeats_what_was_in_flight_alone() -> Result<()> {
    let mut world = World::builder(SLATED)
        .plugin(slow())
        .plugin(Plugin::journal("quick"))
        .start()
        .await?;
    let before = happen(world.site());
    begins(&mut world, "slow", before, 1).await?;
    world.caught_up(LIMIT).await?;
    assert!(world.terminate().await?.success());
    let death = slated_testkit::Death {
        point: "before_record",
        count: 1,
        both: false,
    };
    let events: Vec<_> = (0..10).map(|_| happen(world.site())).collect();
    world.restart_to_die(death)?;
    assert!(world.dies(LIMIT).await?, "it was not killed");
    world.restart()?;
    world.caught_up(LIMIT).await?;
    assert_eq!(begun(&world, "slow", before)?, 1, "it was on record");
    assert!(
        events
            .iter()
            .all(|e| begun(&world, "slow", *e).is_ok_and(|n| n <= 2))
    );
    let verdict = world.verdict().await?;
    verdict.kept(22)?;
    assert!(verdict.repeats.daemon_died >= 1, "{verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_or_worker_that_is_stopped_for_a_while_goes_on() -> Result<()> {
    let mut world = World::builder(SLATED)
        .setting("defaults", "warn_after", "\"1s\"")
        .plugin(slow())
        .plugin(Plugin::journal("quick"))
        .start()
        .await?;
    let events: Vec<_> = (0..40).map(|_| happen(world.site())).collect();
    begins(&mut world, "slow", events[3], 1).await?;
    signal(world.pid(), Signal::STOP)?;
    // What happens meanwhile is there when it looks again.
    for _ in 0..10 {
        happen(world.site());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    signal(world.pid(), Signal::CONT)?;
    begins(&mut world, "slow", events[20], 1).await?;
    let worker = *loads(&world, "slow")?.last().context("no worker")?;
    signal(Some(worker), Signal::STOP)?;
    // A plugin that stands still harms nobody else, and is told of as one that is slow.
    let other = happen(world.site());
    begins(&mut world, "quick", other, 1).await?;
    says(&mut world, "has been running for", 1).await?;
    signal(Some(worker), Signal::CONT)?;
    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    verdict.kept(102)?;
    assert_eq!(verdict.bodies, verdict.units, "{verdict}");
    Ok(())
}

/// As an OOM killer does: it picks a worker, by its score, and sends SIGKILL.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_the_system_kills_is_replaced_and_repeats_one_body() -> Result<()> {
    let mut world = World::builder(SLATED).plugin(slow()).start().await?;
    let events: Vec<_> = (0..30).map(|_| happen(world.site())).collect();
    begins(&mut world, "slow", events[10], 1).await?;
    assert!(world.kill_worker("slow")?, "there was no worker");
    says(&mut world, "SIGKILL", 1).await?;
    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    verdict.kept(30)?;
    assert!(verdict.repeats.worker_died <= 1, "{verdict}");
    assert_eq!(loads(&world, "slow")?.len(), 2);
    Ok(())
}

/// No descriptor is left: starts of processes, requests and questions fail, and are tried again.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_it_says_so_waits_and_goes_on() -> Result<()> {
    let mut world = World::builder(SLATED)
        .plugin(slow())
        .plugin(Plugin::journal("quick"))
        .start()
        .await?;
    let first = happen(world.site());
    begins(&mut world, "slow", first, 1).await?;
    world.caught_up(LIMIT).await?;
    let pid = world.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    let before = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(3),
        maximum: before.maximum,
    };
    prlimit(pid, Resource::Nofile, none)?;
    // A new process and a new connection each need one.
    edit(&world, "slow")?;
    says(&mut world, "Too many open files", 1).await?;
    let during = happen(world.site());
    prlimit(pid, Resource::Nofile, before)?;
    begins(&mut world, "slow", during, 1).await?;
    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    verdict.kept(4)?;
    assert_eq!(verdict.bodies, verdict.units, "{verdict}");
    Ok(())
}

/// What a share shows now and then: half a file, and one that is older than what it replaces.
#[tokio::test(flavor = "multi_thread")]
async fn row_24_half_a_file_changes_nothing_and_an_older_one_counts() -> Result<()> {
    let mut world = World::builder(SLATED).plugin(slow()).start().await?;
    let path = world.folder().join("plugins/slow.py");
    let whole = std::fs::read_to_string(&path)?;
    let (half, _) = whole.split_at(whole.find("def make_callback").context("a callback")? + 10);
    std::fs::write(&path, half)?;
    says(&mut world, "SyntaxError", 1).await?;
    let first = happen(world.site());
    begins(&mut world, "slow", first, 1).await?;
    assert_eq!(loads(&world, "slow")?.len(), 1, "the old code runs on");
    std::fs::write(&path, format!("{whole}# as it was before the last edit\n"))?;
    let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    std::fs::File::options()
        .write(true)
        .open(&path)?
        .set_modified(long_ago)?;
    let loaded = |w: &World| Ok(loads(w, "slow")?.len() == 2);
    world
        .until("the older file is loaded", LIMIT, loaded)
        .await?;
    let second = happen(world.site());
    begins(&mut world, "slow", second, 1).await?;
    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    verdict.kept(2)?;
    assert_eq!(verdict.bodies, verdict.units, "{verdict}");
    Ok(())
}
