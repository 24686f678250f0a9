//! A disk that is full, read-only or broken under a daemon that runs (promise P8).

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use slated_testkit::history::Line;
use slated_testkit::plugins::{Act, Callback, Plugin};
use slated_testkit::{Builder, DiskFault, World};

use crate::{LIMIT, SLATED, Value, WANTED, begins, happen, lines, says, shows, signal};

/// What is told when nothing can be written any more, and when it can.
const STOPPED: &str = "Nothing is read from the site and no plugin is called";
const GOES_ON: &str = "The state can be written again";

/// A world whose disk can fail, with two plugins: one that takes its time, and one so quick that
/// events are sent ahead to it.
fn studio() -> Builder {
    let slow = Callback::new("f")
        .wants(WANTED)
        .sleeps(Duration::from_millis(20));
    World::builder(SLATED)
        .breakable_disk()
        .plugin(Plugin::journal("slow").callback(slow))
        .plugin(Plugin::journal("quick"))
}

/// How many bodies were begun.
fn bodies(world: &World) -> Result<usize> {
    let starts = |line: &&Line| matches!(line, Line::Start { .. });
    Ok(world.journal()?.iter().filter(starts).count())
}

/// Lets work begin, and the disk fail amid it; returns when status says so.
async fn fails_amid_work(world: &mut World, fault: DiskFault) -> Result<u64> {
    let events: Vec<_> = (0..60).map(|_| happen(world.site())).collect();
    begins(world, "slow", events[5], 1).await?;
    world.disk(Some(fault))?;
    says(world, STOPPED, 1).await?;
    shows(world, "the trouble", |s| s["log"]["trouble"].is_string()).await?;
    Ok(events[59])
}

/// Sees that nothing is called: what was out has ended, and then time goes by with work to do.
async fn stands_still(world: &mut World) -> Result<()> {
    let ended = |world: &World| -> Result<bool> {
        let journal = world.journal()?;
        let ends = journal.iter().filter(|l| matches!(l, Line::End { .. }));
        Ok(ends.count() == bodies(world)?)
    };
    world.until("what was out ends", LIMIT, ended).await?;
    let before = bodies(world)?;
    happen(world.site());
    // More than one try to write, and the time of any attempt that waits.
    tokio::time::sleep(Duration::from_secs(4)).await;
    ensure!(bodies(world)? == before, "a plugin was called");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_13_a_full_disk_stops_everything_and_goes_on_by_itself() -> Result<()> {
    let at = 1020;
    let unlucky = Callback::new("f").does(Act::Network, at, Some(1));
    let mut world = studio()
        .site(|options| options.first_event_id = 1000)
        .setting("defaults", "attempts", "2")
        .setting("defaults", "within", "\"4s\"")
        .plugin(Plugin::journal("unlucky").callback(unlucky.wants(WANTED)))
        .start()
        .await?;
    // One that waits for another attempt, which is due while the disk is full.
    happen(world.site());
    let waits = |s: &Value| crate::plugin(s, "unlucky")["retries"][0]["event"] == at;
    shows(&world, "the retry", waits).await?;
    let last = fails_amid_work(&mut world, DiskFault::Full).await?;
    stands_still(&mut world).await?;
    assert_eq!(crate::begun(&world, "unlucky", at)?, 1);
    let text = world.ask("status", &[]).await?;
    assert!(text.contains("no room") || text.contains("full"), "{text}");
    assert_eq!(
        crate::begun(&world, "slow", last)?,
        0,
        "there was work to do"
    );
    world.disk(None)?;
    says(&mut world, GOES_ON, 1).await?;
    world.caught_up(LIMIT).await?;
    shows(&world, "no trouble", |s| s["log"]["trouble"].is_null()).await?;
    // Told once each, however often it was tried.
    assert_eq!((lines(&world, STOPPED), lines(&world, GOES_ON)), (1, 1));
    let verdict = world.verdict().await?;
    verdict.kept(180)?;
    assert_eq!(verdict.repeats.retried, 1, "{verdict}");
    assert_eq!(verdict.bodies, verdict.units + 1, "{verdict}");
    Ok(())
}

/// A person has a dead letter tried again, which waits for the disk; meanwhile the plugin is renamed: it
/// runs under the new name.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_waits_for_the_disk_goes_along_with_a_plugin_that_is_renamed() -> Result<()> {
    let event = 1020;
    let unlucky = Callback::new("f")
        .wants(WANTED)
        .does(Act::Raise, event, Some(1));
    let mut world = World::builder(SLATED)
        .breakable_disk()
        .site(|options| options.first_event_id = 1000)
        .plugin(Plugin::journal("first").callback(unlucky))
        .start()
        .await?;
    assert_eq!(happen(world.site()), event);
    shows(&world, "the dead letter", |s| {
        crate::plugin(s, "first")["letters"] == 1
    })
    .await?;
    world.disk(Some(DiskFault::Full))?;
    happen(world.site());
    says(&mut world, STOPPED, 1).await?;
    let retry = world.ask("failures", &["retry", "all", "--json"]);
    let rename = async {
        // Nothing shows that a wish waits. One that comes behind the rename is done as well.
        tokio::time::sleep(Duration::from_secs(1)).await;
        for kind in ["json", "tries", "py"] {
            let path = |name: &str| world.folder().join(format!("plugins/{name}.{kind}"));
            std::fs::rename(path("first"), path("second"))?;
        }
        let moved = |s: &Value| crate::plugin(s, "second")["state"].is_string();
        shows(&world, "the new name", moved).await?;
        world.disk(None)
    };
    let (told, renamed) = tokio::join!(retry, rename);
    renamed?;
    let told: Value = serde_json::from_str(&told?)?;
    assert_eq!(told["done"], 1, "{told}");
    // In the journal it keeps its old name.
    begins(&mut world, "first", event, 2).await?;
    let none = |s: &Value| crate::plugin(s, "second")["letters"] == 0;
    shows(&world, "no dead letter", none).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_14_a_state_that_cannot_be_written_runs_nothing_over_and_over() -> Result<()> {
    let mut world = studio().start().await?;
    fails_amid_work(&mut world, DiskFault::ReadOnly).await?;
    stands_still(&mut world).await?;
    world.kill9().await?;
    let before = bodies(&world)?;
    for _ in 0..3 {
        world.restart()?;
        assert_eq!(world.failed().await?, 3, "{}", world.log());
    }
    assert_eq!(bodies(&world)?, before, "no start ran anything");
    world.disk(None)?;
    world.restart()?;
    world.caught_up(LIMIT).await?;
    // What was in flight at the kill, at most.
    world.verdict().await?.kept(120)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_on_a_full_disk_ends_and_says_what_runs_again() -> Result<()> {
    let mut world = studio().start().await?;
    fails_amid_work(&mut world, DiskFault::Full).await?;
    stands_still(&mut world).await?;
    // Not after a minute, and not as if all were well.
    signal(world.pid(), Signal::TERM)?;
    assert_eq!(world.failed().await?, 3, "{}", world.log());
    assert_eq!(lines(&world, "they run again for the same events"), 1);
    assert!(
        world.log().contains("make room on that disk"),
        "{}",
        world.log()
    );
    // As after a kill: what was not on record may run again, and nothing else.
    world.disk(None)?;
    world.restart()?;
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(120)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_or_sync_that_fails_ends_the_daemon_at_once_and_a_restart_goes_on() -> Result<()> {
    for fault in [DiskFault::Broken, DiskFault::Unsynced] {
        let mut world = studio().start().await?;
        let events: Vec<_> = (0..60).map(|_| happen(world.site())).collect();
        begins(&mut world, "slow", events[5], 1).await?;
        world.disk(Some(fault))?;
        assert_eq!(world.failed().await?, 1, "{fault:?}: {}", world.log());
        assert_eq!(lines(&world, GOES_ON), 0, "no second write was tried");
        // As long as it fails nothing is run.
        let before = bodies(&world)?;
        world.restart()?;
        assert_eq!(world.failed().await?, 1, "{fault:?}: {}", world.log());
        assert_eq!(bodies(&world)?, before);
        world.disk(None)?;
        world.restart()?;
        world.caught_up(LIMIT).await?;
        world.verdict().await?.kept(120)?;
    }
    Ok(())
}
