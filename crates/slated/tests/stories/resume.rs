//! What a start finds: events of the time between, and holds.

use std::time::Duration;

use anyhow::Result;
use slated_sim::{CommitPolicy, Fate};
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::{
    LIMIT, Value, WANTED, begins, begun, edit, happen, is, json, lines, plugin, says, shows, world,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_it_is_stopped_is_delivered_after_the_start() -> Result<()> {
    let notes = Callback::new("f").wants("Shotgun_Note_New");
    let mut world = world()
        .plugin(Plugin::journal("notes").callback(notes))
        .start()
        .await?;
    let before = happen(world.site());
    begins(&mut world, "quick", before, 1).await?;
    // One transaction is open over the stop, one over the start.
    let over_stop = world.site().begin("slated");
    let note =
        |n: u32| json!({"subject": format!("note {n}"), "project": {"type": "Project", "id": 1}});
    over_stop.create("Note", note(1))?;
    let status = world.terminate().await?;
    assert!(status.success(), "{status}");

    over_stop.commit()?;
    let policy = CommitPolicy::immediate().share(
        0.3,
        Fate::Late {
            min_ms: 10,
            max_ms: 1_500,
        },
    );
    world.site().set_policy(policy);
    for n in 2..40 {
        world.site().create("Note", note(n), "slated")?;
    }
    let over_start = world.site().begin("slated");
    over_start.create("Note", note(40))?;
    happen(world.site());
    world.restart()?;
    says(&mut world, "Following", 2).await?;
    over_start.commit()?;

    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    verdict.kept(80)?;
    assert_eq!(verdict.bodies, verdict.units, "nothing twice: {verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn compat_3_6_a_held_plugin_stays_held_until_its_file_is_touched_or_edited() -> Result<()> {
    // It fails for its first event, as often as is said here.
    let failing = |times| {
        let callback = Callback::new("f").wants(WANTED).stops_on_error();
        let callback = callback.sleeps(Duration::from_millis(5));
        Plugin::journal("strict").callback(callback.does(Act::Raise, 100, Some(times)))
    };
    let site = |o: &mut slated_sim::SiteOptions| o.first_event_id = 80;
    let mut world = world().site(site).plugin(failing(2)).start().await?;
    let first = happen(world.site());
    assert_eq!(first % 100, 0, "the seeded events are counted");
    let second = happen(world.site());
    let held = |status: &Value| is(status, "strict", "held");
    let status = shows(&world, "held", held).await?;
    let why = plugin(&status, "strict")["why"].to_string();
    for words in [&first.to_string(), "ValueError", "told to fail"] {
        assert!(why.contains(words), "{words} in {why}");
    }
    begins(&mut world, "quick", second, 1).await?;

    let status = world.terminate().await?;
    assert!(status.success(), "{status}");
    let status = world.status().await?;
    assert_eq!(plugin(&status, "strict")["state"], "held");
    let told = plugin(&status, "strict")["why"].to_string();
    assert_eq!(told, why, "the same without a daemon");
    world.restart()?;
    shows(&world, "held after a restart", held).await?;
    let third = happen(world.site());
    begins(&mut world, "quick", third, 1).await?;
    assert_eq!(begun(&world, "strict", first)?, 1);
    assert_eq!(begun(&world, "strict", second)?, 0);

    // The same content, written anew: it goes on with the event that failed, which fails again.
    world.install(failing(2))?;
    begins(&mut world, "strict", first, 2).await?;
    shows(&world, "held again", held).await?;
    assert_eq!(begun(&world, "strict", second)?, 0);
    // An edit.
    edit(&world, "strict")?;
    world.caught_up(LIMIT).await?;
    shows(&world, "running", |s| is(s, "strict", "running")).await?;
    assert_eq!(begun(&world, "strict", first)?, 3);
    let verdict = world.verdict().await?;
    verdict.kept(6)?;
    assert_eq!(verdict.repeats.retried, 2, "{verdict}");
    assert_eq!(verdict.parked, 0, "{verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_kept_though_the_daemon_is_killed_before_the_first_load_is_through() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let gate = folder.path().join("open");
    let text = format!(
        "import os, time\n\ndef registerCallbacks(reg):\n    while not os.path.exists({gate:?}):\n        time.sleep(0.02)\n    \
         reg.registerCallback(None, None, f, {{'{WANTED}': None}}, None, False)\n\ndef f(sg, logger, event, args):\n    pass\n"
    );
    let mut world = world()
        .plugin(Plugin::source("slow", &text))
        .start()
        .await?;
    let placed = |s: &Value| plugin(s, "slow")["lag"].is_u64();
    shows(&world, "a place", placed).await?;
    let event = happen(world.site());
    begins(&mut world, "quick", event, 1).await?;
    world.kill9().await?;
    // Nobody knows yet whether it is a plugin.
    let listed = world.ask("plugin", &["list", "--json"]).await?;
    assert!(
        listed.contains("plugins/quick") && !listed.contains("plugins/slow"),
        "{listed}"
    );
    assert_eq!(lines(&world, "plugins/slow: new"), 0, "{}", world.log());

    world.restart()?;
    std::fs::write(&gate, "")?;
    says(&mut world, "plugins/slow: new", 1).await?;
    let done = |s: &Value| plugin(s, "slow")["last"]["event"] == event;
    shows(&world, "the event of the time between", done).await?;
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(1)
}
