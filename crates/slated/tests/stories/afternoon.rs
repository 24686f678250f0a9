//! A studio moves in an afternoon: a new machine with the files of the Python daemon, a service, a
//! process that is killed, a disk that goes back to a copy, and the way back.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use slated_sim::Site;
use slated_testkit::plugins::{Callback, Plugin};
use slated_testkit::{World, python};

use crate::{LIMIT, WANTED, begun, happen, shows, signal, world};

fn some(site: &Site, count: usize) -> Vec<u64> {
    (0..count).map(|_| happen(site)).collect()
}

/// Copies a folder as it is at one moment: its processes stand still meanwhile, as when a machine's
/// disk is frozen or its power goes.
fn freeze_and_copy(pid: u32, from: &Path, to: &Path) -> Result<()> {
    signal(Some(pid), Signal::STOP)?;
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    signal(Some(pid), Signal::CONT)?;
    ensure!(copied?.success(), "no copy");
    Ok(())
}

/// Waits until both plugins have begun each of these events.
async fn all_begun(world: &mut World, events: &[u64]) -> Result<()> {
    let all = |w: &World| {
        let mut all = true;
        for plugin in ["quick", "slow"] {
            for event in events {
                all &= begun(w, plugin, *event)? > 0;
            }
        }
        Ok(all)
    };
    world
        .until("every event reached both plugins", LIMIT, all)
        .await
}

/// What the Python daemon would go on after, for each plugin.
fn positions(path: &Path) -> Result<Vec<u64>> {
    let text = "import json, pickle, sys\n\
        state = pickle.load(open(sys.argv[1], 'rb'))\n\
        print(json.dumps([p[0] for plugins in state.values() for p in plugins.values()]))\n";
    let output = Command::new(python::interpreter()?)
        .args(["-c", text])
        .arg(path)
        .output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_machine_loses_nothing_on_the_way_there_and_back() -> Result<()> {
    let slow = Callback::new("f").wants(WANTED);
    let slow = slow.sleeps(std::time::Duration::from_millis(10));
    let mut world = world()
        .conf(|_| {})
        .plugin(Plugin::journal("slow").callback(slow))
        .prepare()
        .await?;
    // What the Python daemon left: handled up to `old`, the rest came after it was stopped.
    let old = some(world.site(), 10);
    let last = *old.last().context("events")?;
    let position = format!("{{plugins: {{'quick': ({last}, {{}}), 'slow': ({last}, {{}})}}}}");
    world.write_id_file(&position, 2)?;
    for plugin in ["quick", "slow"] {
        world.starts_after(plugin, last, &[]);
    }
    let mut events = some(world.site(), 10);
    let check = world.ask("check", &[]).await?;
    assert!(check.contains(&format!("after event {last}")), "{check}");

    // The service is up, is killed in the middle of its work, and is started again.
    world.start_service().await?;
    events.extend(some(world.site(), 30));
    let under_way = *events.last().context("events")?;
    world
        .until("it works", LIMIT, |w| Ok(begun(w, "quick", under_way)? > 0))
        .await?;
    assert_eq!(world.kill9_services().await?, 1);
    events.extend(some(world.site(), 10));
    world.start_service().await?;
    all_begun(&mut world, &events).await?;
    for event in &old {
        assert_eq!(
            begun(&world, "quick", *event)?,
            0,
            "the Python daemon had it"
        );
    }

    // The disk as it was at one moment under load. What came after that is not on it.
    events.extend(some(world.site(), 40));
    let middle = events[events.len() - 30];
    world
        .until("half of it is done", LIMIT, |w| {
            Ok(begun(w, "slow", middle)? > 0)
        })
        .await?;
    let copy = world.folder().join("copy");
    let pid = world.services()[0];
    freeze_and_copy(pid, world.state(), &copy)?;
    events.extend(some(world.site(), 10));
    all_begun(&mut world, &events).await?;
    assert_eq!(world.kill9_services().await?, 1);
    std::fs::rename(world.state(), world.folder().join("lost"))?;
    std::fs::rename(&copy, world.state())?;
    let state = world.ask("state", &["check"]).await?;
    assert!(state.contains("the state is sound"), "{state}");
    world.start_service().await?;
    events.extend(some(world.site(), 10));
    all_begun(&mut world, &events).await?;
    // What the copy knew as done is not done again.
    assert_eq!(begun(&world, "quick", events[0])?, 1);
    let done = shows(&world, "caught up", |s| {
        let plugins = s["plugins"].as_array();
        plugins.is_some_and(|all| all.iter().all(|p| p["lag"] == 0))
    });
    done.await?;

    // And back: the Python daemon goes on after the last event, for each plugin.
    world.stop_service().await?;
    let id_file = world.id_file();
    world
        .ask("migrate", &["--export-state", &id_file.to_string_lossy()])
        .await?;
    let newest = *events.last().context("events")?;
    assert_eq!(positions(&id_file)?, [newest, newest]);
    Ok(())
}
