//! How the daemon ends: asked to, asked twice, killed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use slated_testkit::history::Line;
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::{
    LIMIT, Value, WANTED, World, begins, begun, happen, loads, plugin, runs, said, says, world,
};

fn slow() -> Plugin {
    let callback = Callback::new("f").wants(WANTED);
    Plugin::journal("slow").callback(callback.sleeps(Duration::from_millis(500)))
}

/// A plugin that sleeps for ever the first time it runs for an event.
fn sleeper() -> Plugin {
    let callback = Callback::new("f").wants(WANTED);
    Plugin::journal("sleeper").callback(callback.does(Act::Hang, 1, Some(1)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_the_callback_in_flight_finish_and_begins_no_other() -> Result<()> {
    let mut world = world().plugin(slow()).start().await?;
    let events: Vec<_> = (0..3).map(|_| happen(world.site())).collect();
    begins(&mut world, "slow", events[0], 1).await?;
    let status = world.terminate().await?;
    assert!(status.success(), "{status}\n{}", world.log());

    assert_eq!(begun(&world, "slow", events[1])?, 0, "it was not in flight");
    let show = world
        .ask("events", &["show", "--json", &events[0].to_string()])
        .await?;
    let show: Value = serde_json::from_str(&show)?;
    let fates = show["plugins"].as_array().context("plugins")?;
    let fate = fates.iter().find(|f| f["plugin"] == "plugins/slow");
    let units = &fate.context("slow")?["units"];
    assert_eq!(units[0]["outcome"], "done", "{show}");
    assert!(said(&world).contains("in flight may finish."));
    assert!(said(&world).contains("Stopped; everything is on record."));
    for pid in [loads(&world, "slow")?, loads(&world, "quick")?].concat() {
        assert!(!runs(pid), "a worker outlived the daemon");
    }

    world.restart()?;
    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    verdict.kept(6)?;
    assert_eq!(verdict.bodies, verdict.units, "{verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() -> Result<()> {
    // No thread of this one can see that its pipe hung up.
    let clutches = Callback::new("f")
        .wants(WANTED)
        .does(Act::Clutch, 1, Some(1));
    let clutcher = Plugin::journal("clutcher").callback(clutches);
    let mut world = world().plugin(sleeper()).plugin(clutcher).start().await?;
    let event = happen(world.site());
    begins(&mut world, "sleeper", event, 1).await?;
    begins(&mut world, "clutcher", event, 1).await?;
    let pid = world.status().await?["pid"].as_i64().context("pid")?;
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).context("pid")?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    says(&mut world, "in flight may finish.", 1).await?;
    // Whoever wonders why it does not end can ask.
    let status = world.status().await?;
    assert_eq!(status["running"], true, "{status}");
    assert_eq!(plugin(&status, "sleeper")["in_flight"], 1, "{status}");

    let asked = Instant::now();
    let status = world.terminate().await?;
    assert_eq!(status.code(), Some(128 + 15), "{status}");
    assert!(asked.elapsed() < Duration::from_secs(5));
    let workers = [loads(&world, "sleeper")?[0], loads(&world, "clutcher")?[0]];
    let gone = "the workers end with the daemon";
    let none = |_: &World| Ok(!workers.iter().any(|pid| runs(*pid)));
    world.until(gone, Duration::from_secs(5), none).await?;

    world.restart()?;
    world.caught_up(LIMIT).await?;
    assert_eq!(begun(&world, "sleeper", event)?, 2);
    assert_eq!(begun(&world, "clutcher", event)?, 2);
    world.verdict().await?.kept(3)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_in_sleep_does_not_outlive_a_daemon_that_was_killed() -> Result<()> {
    let mut world = world().plugin(sleeper()).start().await?;
    let first = happen(world.site());
    begins(&mut world, "sleeper", first, 1).await?;
    world.kill9().await?;
    let workers = [loads(&world, "sleeper")?, loads(&world, "quick")?].concat();
    let gone = "no worker outlives the daemon";
    let limit = Duration::from_secs(5);
    world
        .until(gone, limit, |_| Ok(!workers.iter().any(|pid| runs(*pid))))
        .await?;
    world.restart()?;
    begins(&mut world, "sleeper", first, 2).await?;

    // The next daemon comes before the worker has noticed: it waits for its end.
    let second = happen(world.site());
    begins(&mut world, "sleeper", second, 1).await?;
    world.kill9().await?;
    world.restart()?;
    begins(&mut world, "sleeper", second, 2).await?;
    let mut workers = loads(&world, "sleeper")?;
    let newest = workers.pop();
    let others: Vec<_> = workers.into_iter().filter(|pid| runs(*pid)).collect();
    assert!(
        newest.is_some_and(runs) && others.is_empty(),
        "{others:?} run beside {newest:?}"
    );

    world.caught_up(LIMIT).await?;
    let journal = world.journal()?;
    let kills = journal.iter().filter(|l| **l == Line::DaemonKilled);
    assert_eq!(kills.count(), 2);
    let verdict = world.verdict().await?;
    verdict.kept(4)?;
    let repeats = verdict.repeats;
    assert!(
        repeats.daemon_died >= 2 && repeats.retried == 0,
        "{verdict}"
    );
    Ok(())
}
