//! Plugins that go, come back, take another's name, or wait for their place.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use slated_sim::{Clock, Effect, EventRow, Fault, On};
use slated_testkit::World;
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::{
    LIMIT, SLATED, Value, WANTED, begins, begun, happen, is, json, lines, plugin, says, shows,
    world,
};

/// A callback that takes a moment, so that no event is sent ahead to it.
fn callback() -> Callback {
    Callback::new("f")
        .wants(WANTED)
        .sleeps(Duration::from_millis(5))
}

/// A modification time as no file here has one yet.
fn touch(world: &World, name: &str) -> Result<()> {
    let path = world.folder().join(format!("plugins/{name}.py"));
    let file = std::fs::File::options().append(true).open(path)?;
    Ok(file.set_modified(SystemTime::now() + Duration::from_mins(1))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_starts_until_the_site_says_where() -> Result<()> {
    let mut world = World::builder(SLATED)
        .plugin(Plugin::journal("quick").callback(callback()))
        .prepare()
        .await?;
    let down = Fault::new(Effect::Status { code: 503 });
    world.site().add_fault(down.on(On::Everything));
    world.restart()?;
    let status = shows(&world, "loaded", |s| is(s, "quick", "starting")).await?;
    let why = plugin(&status, "quick")["why"].to_string();
    assert!(why.contains("first answer of the site"), "{why}");
    assert_eq!(plugin(&status, "quick")["cursor"], Value::Null);
    world.site().clear_faults();
    let status = shows(&world, "placed", |s| is(s, "quick", "running")).await?;
    assert_eq!(plugin(&status, "quick")["why"], Value::Null);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_gone_keeps_its_place() -> Result<()> {
    let mut world = world()
        .plugin(Plugin::journal("gone").callback(callback()))
        .start()
        .await?;
    let first = happen(world.site());
    world.caught_up(LIMIT).await?;
    let file = world.folder().join("plugins/gone.py");
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    let gone = |s: &Value| plugin(s, "gone")["state"] == "gone";
    let status = shows(&world, "gone", gone).await?;
    let cursor = plugin(&status, "gone")["cursor"].clone();
    assert!(cursor.is_u64(), "{status}");
    let missed = happen(world.site());
    begins(&mut world, "quick", missed, 1).await?;
    // A start finds it gone, and lists it all the same.
    assert!(world.terminate().await?.success());
    world.restart()?;
    let status = shows(&world, "gone after a start", gone).await?;
    let shown = plugin(&status, "gone");
    assert_eq!(shown["cursor"], cursor);
    let why = shown["why"].to_string();
    assert!(why.contains("goes on where it stood"), "{why}");
    assert_eq!(begun(&world, "gone", missed)?, 0);
    // It comes back, and misses nothing.
    crate::replace(&file, &text)?;
    begins(&mut world, "gone", missed, 1).await?;
    world.caught_up(LIMIT).await?;
    assert_eq!(begun(&world, "gone", first)?, 1);
    world.verdict().await?.kept(4)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touch_while_slated_is_down_ends_a_hold() -> Result<()> {
    let fails = callback().stops_on_error().does(Act::Raise, 100, Some(1));
    let mut world = world()
        .site(|o| o.first_event_id = 80)
        .plugin(Plugin::journal("strict").callback(fails))
        .start()
        .await?;
    let event = happen(world.site());
    assert_eq!(event % 100, 0);
    shows(&world, "held", |s| is(s, "strict", "held")).await?;
    assert!(world.terminate().await?.success());
    touch(&world, "strict")?;
    world.restart()?;
    begins(&mut world, "strict", event, 2).await?;
    world.caught_up(LIMIT).await?;
    assert_eq!(world.verdict().await?.parked, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_follows_a_renamed_one_is_a_new_plugin() -> Result<()> {
    let mut world = world()
        .plugin(Plugin::journal("first").callback(callback()))
        .start()
        .await?;
    let old = happen(world.site());
    world.caught_up(LIMIT).await?;
    let path = |name: &str, kind: &str| world.folder().join(format!("plugins/{name}.{kind}"));
    std::fs::rename(path("first", "py"), path("second", "py"))?;
    std::fs::copy(path("first", "json"), path("second", "json"))?;
    let paths = [path("first", "py"), path("second", "py")];
    says(&mut world, "plugins/second: was plugins/first before", 1).await?;
    let status = shows(&world, "moved", |s| is(s, "second", "running")).await?;
    assert_eq!(plugin(&status, "first"), &Value::Null, "it is elsewhere");
    let under_way = happen(world.site());
    begins(&mut world, "first", under_way, 1).await?;
    // Somebody writes another plugin of the first name: nothing of the past is its business.
    std::fs::write(
        &paths[0],
        format!("{}# another\n", std::fs::read_to_string(&paths[1])?),
    )?;
    shows(&world, "both", |s| {
        is(s, "first", "running") && is(s, "second", "running")
    })
    .await?;
    let new = happen(world.site());
    begins(&mut world, "first", new, 2).await?;
    assert_eq!(
        (
            begun(&world, "first", old)?,
            begun(&world, "first", under_way)?
        ),
        (1, 1)
    );
    // And so after a start.
    assert!(world.terminate().await?.success());
    world.restart()?;
    let last = happen(world.site());
    begins(&mut world, "first", last, 2).await?;
    assert_eq!(begun(&world, "first", under_way)?, 1);
    Ok(())
}

/// Where there is an order, and dispatch has not begun: nobody waits for the plugin that was.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_renamed_while_others_load_delays_nobody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let gate = folder.path().join("go");
    let loads = format!(
        "import os, time\n\
         def registerCallbacks(reg):\n    \
             while not os.path.exists({gate:?}):\n        time.sleep(0.02)\n"
    );
    let mut world = World::builder(SLATED)
        .plugin(Plugin::journal("a_first").callback(callback()))
        .plugin(Plugin::journal("b_second").callback(callback()))
        .plugin(Plugin::source("c_loads", &loads))
        .setting("plugins", "order", "\"pipelined\"")
        .setting("plugins", "order_wait", "\"1s\"")
        .start()
        .await?;
    says(&mut world, "ready with 1 callback", 2).await?;
    let path = |name: &str| world.folder().join(format!("plugins/{name}"));
    std::fs::copy(path("a_first.json"), path("d_last.json"))?;
    std::fs::rename(path("a_first.py"), path("d_last.py"))?;
    says(&mut world, "plugins/d_last: was plugins/a_first before", 1).await?;
    says(&mut world, "plugins/d_last: ready with 1 callback", 1).await?;
    assert_eq!(lines(&world, "plugins/c_loads: ready"), 0);
    std::fs::write(&gate, "")?;
    let events: Vec<_> = (0..4).map(|_| happen(world.site())).collect();
    for event in &events {
        begins(&mut world, "a_first", *event, 1).await?;
    }
    assert_eq!(lines(&world, "it waited for `order_wait`"), 0);
    for event in events {
        assert_eq!(begun(&world, "b_second", event)?, 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_event_that_is_truly_too_large_is_not_handed_over() -> Result<()> {
    let mut world = world().window(300).start().await?;
    let large = world.site().log_event(EventRow {
        event_type: json!(WANTED),
        created_at: json!("2026-05-04T10:00:00Z"),
        meta: json!({"text": "x".repeat(17 << 20)}),
        ..EventRow::default()
    });
    // More at a time than any process is sent ahead.
    let last = (0..600).map(|_| happen(world.site())).last();
    world.caught_up(LIMIT).await?;
    assert_eq!(begun(&world, "quick", last.context("events")?)?, 1);
    let show = world
        .ask("events", &["show", "--json", &large.to_string()])
        .await?;
    let show: Value = serde_json::from_str(&show)?;
    let unit = &show["plugins"][0]["units"][0];
    assert_eq!(unit["outcome"], "dead letter");
    assert!(
        unit["error"].to_string().contains("event too large"),
        "{unit}"
    );
    let verdict = world.verdict().await?;
    assert_eq!(verdict.parked, 1, "{verdict}");
    verdict.kept(600)
}

/// Makes a world whose site has nothing but old rows.
async fn old_site(
    change: impl FnOnce(slated_testkit::Builder) -> slated_testkit::Builder,
) -> Result<(World, Clock)> {
    let age = Duration::from_hours(1000);
    let clock = Clock::manual(jiff::Timestamp::now() - age);
    let world = World::builder(SLATED).site(|options| options.clock = clock.clone());
    let world = change(world).prepare().await?;
    clock.advance(age);
    Ok((world, clock))
}

/// Makes events so many hours ago; returns their ids.
fn ago(world: &World, hours: &[i64]) -> Vec<u64> {
    let made = |hours: &i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(*hours);
        world.site().log_event(EventRow {
            event_type: json!(WANTED),
            created_at: json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ..EventRow::default()
        })
    };
    hours.iter().map(made).collect()
}

/// New plugins begin a time ago, by the site's own dates; which event that is, is found out once.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_plugin_begins_a_time_ago() -> Result<()> {
    let (mut world, clock) = old_site(|world| {
        world
            .plugin(Plugin::journal("quick").callback(callback()))
            .setting("state", "new_plugins", "\"ago:4h\"")
    })
    .await?;
    // The lowest id counts, not the oldest date behind it.
    let ids = ago(&world, &[9, 5, 3, 5, 1]);
    clock.advance(Duration::from_secs(1));
    world.starts_after("quick", ids[1], &[]);
    let down = Fault::new(Effect::Status { code: 503 });
    world.site().add_fault(down.on(On::Everything));
    let refused = world.ask("run", &[]).await.err().context("no site")?;
    let refused = refused.to_string();
    assert!(refused.contains("exit status: 4"), "{refused}");
    assert!(refused.contains("asks the site once"), "{refused}");
    world.site().clear_faults();

    world.restart()?;
    begins(&mut world, "quick", ids[4], 1).await?;
    assert!(world.terminate().await?.success());
    world.restart()?;
    // One that comes later is asked for by itself, and gets it from the log.
    world.install(Plugin::journal("later").callback(callback()))?;
    world.starts_after("later", ids[1], &[]);
    begins(&mut world, "later", ids[4], 1).await?;
    world.caught_up(LIMIT).await?;
    for plugin in ["quick", "later"] {
        let runs = ids.iter().map(|id| begun(&world, plugin, *id));
        assert_eq!(
            runs.collect::<Result<Vec<_>>>()?,
            [0, 0, 1, 1, 1],
            "{plugin}"
        );
    }
    world.verdict().await?.kept(6)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_without_a_position_begins_a_time_ago_beside_those_that_have_one() -> Result<()> {
    let (mut world, clock) = old_site(|world| {
        world
            .conf(|conf| {
                conf.set("slated", "new_plugins", "ago:4h");
            })
            .plugin(Plugin::journal("fresh").callback(callback()))
            .plugin(Plugin::journal("known").callback(callback()))
    })
    .await?;
    let ids = ago(&world, &[9, 5, 3, 1]);
    clock.advance(Duration::from_secs(1));
    let state = format!("{{plugins: {{'known': ({}, {{}})}}}}", ids[2]);
    world.write_id_file(&state, 2)?;
    world.starts_after("known", ids[2], &[]);
    world.starts_after("fresh", ids[1], &[]);
    // What a start would come to is told without the site.
    let check = world.ask("check", &[]).await?;
    assert!(check.contains("new: ago:14400s"), "{check}");
    world.restart()?;
    begins(&mut world, "fresh", ids[3], 1).await?;
    begins(&mut world, "known", ids[3], 1).await?;
    world.caught_up(LIMIT).await?;
    assert_eq!(begun(&world, "fresh", ids[2])?, 1);
    assert_eq!(begun(&world, "known", ids[2])?, 0);
    world.verdict().await?.kept(3)
}
