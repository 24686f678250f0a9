//! The order between plugins, as a studio sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use slated_testkit::World;
use slated_testkit::history::Line;
use slated_testkit::plugins::{Callback, Plugin};

use crate::{LIMIT, SLATED, WANTED, begun, happen, lines, says};

/// When bodies of a plugin started and ended for each event, by the line of the journal.
type Spans = BTreeMap<u64, (usize, usize)>;

fn spans(world: &World, name: &str) -> Result<Spans> {
    let mut open = BTreeMap::new();
    let mut spans = Spans::new();
    for (at, line) in world.journal()?.iter().enumerate() {
        match line {
            Line::Start {
                plugin,
                run,
                body,
                event,
                ..
            } if plugin.stem() == name => {
                open.insert((run.clone(), *body), (event.0, at));
            }
            Line::End { run, body, .. } => {
                if let Some((event, began)) = open.remove(&(run.clone(), *body)) {
                    spans.insert(event, (began, at));
                }
            }
            _ => {}
        }
    }
    Ok(spans)
}

/// Holds that `first` had ended with each event before `second` began with it.
fn in_order(world: &World, first: &str, second: &str, events: usize) -> Result<()> {
    let (before, after) = (spans(world, first)?, spans(world, second)?);
    ensure!(after.len() >= events, "{second} ran {} times", after.len());
    for (event, (began, _)) in after {
        let ended = before.get(&event).map(|(_, ended)| *ended);
        ensure!(
            ended.is_some_and(|ended| ended < began),
            "{second} had event {event} before {first}"
        );
    }
    Ok(())
}

/// Returns how a plugin stands among the others.
async fn line(world: &World, name: &str) -> Result<Value> {
    let status = world.status().await?;
    let plugins = status["plugins"].as_array().map(Vec::as_slice);
    let ends = |p: &&Value| p["plugin"].as_str().is_some_and(|p| p.ends_with(name));
    let plugin = plugins.unwrap_or_default().iter().find(ends);
    Ok(plugin.map(|p| p["line"].clone()).unwrap_or_default())
}

fn wanting(name: &str, time: Duration) -> Plugin {
    Plugin::journal(name).callback(Callback::new("f").wants(WANTED).sleeps(time))
}

/// Under a `.conf` an event goes through the plugins by their file names, while different events are
/// in different plugins; so it does across a restart, and with events that come late.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_goes_through_the_plugins_in_the_documented_order() -> Result<()> {
    let mut world = World::builder(SLATED)
        .plugin(wanting("a_first", Duration::from_millis(12)))
        .plugin(wanting("b_second", Duration::from_millis(2)))
        .plugin(wanting("c_third", Duration::ZERO))
        .conf(|_| {})
        .start()
        .await?;
    for _ in 0..30 {
        happen(world.site());
    }
    world
        .until("some are through", LIMIT, |w| {
            Ok(spans(w, "c_third")?.len() > 5)
        })
        .await?;
    world.terminate().await?;
    for _ in 0..10 {
        happen(world.site());
    }
    world.restart()?;
    world.caught_up(LIMIT).await?;
    in_order(&world, "a_first", "b_second", 40)?;
    in_order(&world, "b_second", "c_third", 40)?;
    // At the same time: the first began with an event before the last had ended with the one before.
    let (first, third) = (spans(&world, "a_first")?, spans(&world, "c_third")?);
    let pairs = first.values().skip(1).zip(third.values());
    let ahead = pairs.filter(|((began, _), (_, ended))| began < ended);
    assert!(ahead.count() > 10, "different events in different plugins");
    world.verdict().await?.kept(120)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn in_series_one_event_is_through_before_the_next_begins() -> Result<()> {
    let mut world = World::builder(SLATED)
        .plugin(wanting("a_first", Duration::from_millis(5)))
        .plugin(wanting("b_second", Duration::from_millis(5)))
        .setting("plugins", "order", "\"serial\"")
        .start()
        .await?;
    for _ in 0..20 {
        happen(world.site());
    }
    world.caught_up(LIMIT).await?;
    in_order(&world, "a_first", "b_second", 20)?;
    let (first, second) = (spans(&world, "a_first")?, spans(&world, "b_second")?);
    for ((began, _), (_, ended)) in first.values().skip(1).zip(second.values()) {
        assert!(ended < began, "an event began before the last was through");
    }
    world.verdict().await?.kept(40)?;
    Ok(())
}

/// The first in order hangs: the others wait for it once, no longer than `order_wait`, and go on
/// without it; status and log say so, and when it has caught up, it is waited for again.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_hangs_costs_the_others_one_wait() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let gate = folder.path().join("go");
    let hangs = format!(
        "import os, time\n\
         def registerCallbacks(reg):\n    \
             reg.registerCallback(None, None, hang, {{'{WANTED}': None}})\n\
         def hang(sg, logger, event, args):\n    \
             while not os.path.exists({gate:?}):\n        time.sleep(0.02)\n"
    );
    let mut world = World::builder(SLATED)
        .plugin(Plugin::source("a_hangs", &hangs))
        .plugin(wanting("b_well", Duration::ZERO))
        .conf(|conf| {
            conf.set("daemon", "logging", "10");
        })
        .setting("plugins", "order_wait", "\"3s\"")
        .start()
        .await?;
    says(&mut world, "ready with 1 callback", 2).await?;
    let first = happen(world.site());
    // It is shown whom the second waits for.
    let end = tokio::time::Instant::now() + LIMIT;
    loop {
        let line = line(&world, "b_well").await?;
        if line["at"] == first {
            assert!(
                line["waits_for"]
                    .as_str()
                    .is_some_and(|p| p.ends_with("a_hangs"))
            );
            break;
        }
        ensure!(
            begun(&world, "b_well", first)? == 0,
            "it was not seen waiting"
        );
        ensure!(tokio::time::Instant::now() < end, "{line:#}");
    }
    let more: Vec<_> = (0..20).map(|_| happen(world.site())).collect();
    let last = *more.last().unwrap_or(&first);
    world
        .until("the second goes on", LIMIT, |w| {
            Ok(begun(w, "b_well", last)? == 1)
        })
        .await?;
    assert_eq!(lines(&world, "other plugins do not wait for it"), 1);
    assert_eq!(line(&world, "a_hangs").await?["in_line"], false);

    std::fs::write(&gate, "")?;
    let end = tokio::time::Instant::now() + LIMIT;
    while line(&world, "a_hangs").await?["in_line"] != true {
        ensure!(tokio::time::Instant::now() < end, "it is not back in line");
    }
    world.verdict().await?.kept(21)?;
    Ok(())
}
