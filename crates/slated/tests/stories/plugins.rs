//! Plugins that do not load, crash, fail for a network's sake, or are edited under way.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use slated_testkit::history::FaultKind;
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::{
    LIMIT, Value, WANTED, begins, begun, edit, happen, is, lines, plugin, says, shows, world,
};

/// A callback that takes a moment, so that no event is sent ahead to it.
fn callback() -> Callback {
    Callback::new("f")
        .wants(WANTED)
        .sleeps(Duration::from_millis(5))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_does_not_load_is_shown_and_runs_when_it_is_mended() -> Result<()> {
    let text = "import os\n\ndef registerCallbacks(reg):\n    reg.no_such_thing()\n";
    let mut world = world()
        .plugin(Plugin::source("broken", text))
        .start()
        .await?;
    let placed = |s: &Value| is(s, "broken", "broken") && plugin(s, "broken")["lag"].is_u64();
    let status = shows(&world, "broken", placed).await?;
    let broken = plugin(&status, "broken");
    let (why, traceback) = (broken["why"].to_string(), broken["traceback"].to_string());
    for words in ["plugins/broken.py:4: ", "AttributeError", "no_such_thing"] {
        assert!(why.contains(words), "{words:?} in {why}");
    }
    assert!(
        traceback.contains("line 4, in registerCallbacks"),
        "{traceback}"
    );
    assert!(is(&status, "quick", "running"), "{status}");
    // A person sees the same.
    let shown = world.ask("status", &[]).await?;
    for words in ["broken.py:4: ", "line 4, in registerCallbacks"] {
        assert!(shown.contains(words), "{words:?} in {shown}");
    }
    assert_eq!(lines(&world, "plugins/broken: does not load"), 1);
    let missed = happen(world.site());
    begins(&mut world, "quick", missed, 1).await?;
    let shown = world.ask("events", &["show", &missed.to_string()]).await?;
    let waits = shown.lines().find(|l| l.starts_with("plugins/broken"));
    let waits = waits.unwrap_or_default();
    assert!(
        waits.contains(": not finished; broken (") && waits.contains("broken.py:4: "),
        "{shown}"
    );

    // Still broken, otherwise; then mended: it gets what came since it was first seen.
    world.install(Plugin::source("broken", "def registerCallbacks(reg)\n"))?;
    let other = |s: &Value| {
        plugin(s, "broken")["why"]
            .to_string()
            .contains("broken.py:1: ")
    };
    shows(&world, "another fault", other).await?;
    world.install(Plugin::journal("broken").callback(callback()))?;
    begins(&mut world, "broken", missed, 1).await?;
    happen(world.site());
    world.caught_up(LIMIT).await?;
    let running = |s: &Value| is(s, "broken", "running") && plugin(s, "broken")["why"].is_null();
    shows(&world, "running", running).await?;

    // A broken edit of code that runs: the old code goes on, and people are told.
    let path = world.folder().join("plugins/broken.py");
    let good = std::fs::read_to_string(&path)?;
    crate::replace(&path, "def registerCallbacks(reg)\n")?;
    says(&mut world, "the code that ran before keeps running", 1).await?;
    let event = happen(world.site());
    begins(&mut world, "broken", event, 1).await?;
    let status = world.status().await?;
    assert!(is(&status, "broken", "running"), "{status}");
    let why = plugin(&status, "broken")["why"].to_string();
    assert!(why.contains("broken.py:1: "), "{why}");
    crate::replace(&path, &good)?;
    shows(&world, "mended", running).await?;
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(6)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_whose_working_directory_vanished_says_which_key_names_it() -> Result<()> {
    let work = tempfile::tempdir()?;
    let folder = work.path().join("work");
    std::fs::create_dir(&folder)?;
    let mut world = world()
        .setting("plugin.roams", "cwd", &format!("{folder:?}"))
        .plugin(Plugin::journal("roams").callback(callback()))
        .start()
        .await?;
    let first = happen(world.site());
    begins(&mut world, "roams", first, 1).await?;
    std::fs::remove_dir(&folder)?;
    ensure!(world.kill_worker("roams")?, "no process to kill");
    let status = shows(&world, "broken", |s| is(s, "roams", "broken")).await?;
    let why = plugin(&status, "roams")["why"].as_str().unwrap_or_default();
    let words = format!("{folder:?} does not exist").replace('"', "");
    assert!(
        why.contains("slated.toml:")
            && why.contains("`plugin.\"roams\".cwd`")
            && why.contains(&words),
        "{why}"
    );
    assert_eq!(lines(&world, "roams: its process cannot be started"), 1);
    assert_eq!(lines(&world, "network"), 0, "{}", world.log());

    std::fs::create_dir(&folder)?;
    let second = happen(world.site());
    edit(&world, "roams")?;
    begins(&mut world, "roams", second, 1).await?;
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(4)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_whose_process_dies_harms_only_itself() -> Result<()> {
    // Seeded events are 1000 to 1019; a plugin dies for 1021, its second event.
    let at = 1021;
    let dies = Plugin::journal("dies").callback(callback().does(Act::Segfault, at, None));
    let exits = callback().stops_on_error().does(Act::Exit, at, Some(3));
    let mut world = world()
        .site(|o| o.first_event_id = 1000)
        .plugin(dies)
        .plugin(Plugin::journal("exits").callback(exits))
        .start()
        .await?;
    let events: Vec<_> = (0..4).map(|_| happen(world.site())).collect();
    assert_eq!(events[1], at);
    begins(&mut world, "quick", events[3], 1).await?;
    let status = shows(&world, "held", |s| is(s, "exits", "held")).await?;
    let why = plugin(&status, "exits")["why"].to_string();
    assert!(why.contains("1021"), "{why}");
    begins(&mut world, "dies", events[3], 1).await?;
    assert_eq!(begun(&world, "dies", at)?, 3);
    assert_eq!(begun(&world, "exits", at)?, 3);
    assert_eq!(begun(&world, "exits", events[2])?, 0);
    assert_eq!(
        lines(&world, "plugins/dies: its process died (signal 11 (SIGSEGV"),
        3,
        "{}",
        world.log()
    );
    assert_eq!(
        lines(&world, "plugins/exits: its process died"),
        3,
        "{}",
        world.log()
    );
    assert_eq!(lines(&world, "is a dead letter"), 1);
    let status = world.status().await?;
    assert_eq!(plugin(&status, "dies")["failed"], 1, "{status}");

    edit(&world, "exits")?;
    let verdict = world.caught_up(LIMIT).await?;
    assert_eq!(verdict.parked, 1, "{verdict}");
    let verdict = world.verdict().await?;
    verdict.kept(12)?;
    assert_eq!(
        (verdict.repeats.worker_died, verdict.repeats.retried),
        (5, 0),
        "{verdict}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_a_network_is_tried_again_aside() -> Result<()> {
    let at = 1021;
    let fails = Plugin::journal("fails").callback(callback().does(Act::Network, at, Some(1)));
    let mut world = world()
        .site(|o| o.first_event_id = 1000)
        .setting("defaults", "attempts", "3")
        .setting("defaults", "within", "\"10s\"")
        .plugin(fails)
        .start()
        .await?;
    let events: Vec<_> = (0..4).map(|_| happen(world.site())).collect();
    begins(&mut world, "fails", events[3], 1).await?;
    assert_eq!(begun(&world, "fails", at)?, 1, "the lane went on");
    let waits = |s: &Value| plugin(s, "fails")["retries"][0]["event"] == at;
    let status = shows(&world, "the retry", waits).await?;
    let retry = &plugin(&status, "fails")["retries"][0];
    assert_eq!(
        (&retry["aside"], &retry["failed"]),
        (&true.into(), &1.into()),
        "{retry}"
    );
    // A stop does not lose it.
    assert!(world.terminate().await?.success());
    world.restart()?;
    begins(&mut world, "fails", at, 2).await?;
    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    verdict.kept(8)?;
    assert_eq!(
        (verdict.parked, verdict.repeats.retried),
        (0, 1),
        "{verdict}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_15_a_renamed_plugin_goes_on_with_everything() -> Result<()> {
    let at = 1021;
    let slow = Callback::new("f").wants(WANTED);
    let slow = slow.sleeps(Duration::from_millis(200));
    let fails = slow.does(Act::Network, at, Some(1));
    let mut world = world()
        .site(|o| o.first_event_id = 1000)
        .setting("defaults", "attempts", "2")
        .setting("defaults", "within", "\"15s\"")
        .plugin(Plugin::journal("old").callback(fails))
        .start()
        .await?;
    happen(world.site());
    assert_eq!(happen(world.site()), at);
    says(&mut world, "the plugin goes on meanwhile", 1).await?;
    for file in ["json", "tries", "py"] {
        let path = |name: &str| world.folder().join(format!("plugins/{name}.{file}"));
        std::fs::rename(path("old"), path("new"))?;
    }
    // It is told as moved when it was away for two looks; something always is in flight.
    let mut last = at;
    let end = Instant::now() + LIMIT;
    while lines(&world, "plugins/new: was plugins/old before") == 0 {
        ensure!(Instant::now() < end, "not moved\n{}", world.log());
        last = happen(world.site());
        begins(&mut world, "old", last, 1).await?;
    }
    assert_eq!(begun(&world, "old", at)?, 1, "the retry is still to come");
    let retries = |s: &Value| plugin(s, "new")["retries"][0]["event"] == at;
    shows(&world, "the retry under the new name", retries).await?;
    last = happen(world.site()).max(last);
    begins(&mut world, "old", last, 1).await?;
    begins(&mut world, "old", at, 2).await?;
    let idle = |s: &Value| {
        let new = plugin(s, "new");
        new["lag"] == 0 && new["retries"] == serde_json::json!([]) && new["in_flight"] == 0
    };
    shows(&world, "nothing left to do", idle).await?;

    // In the journal it keeps its old name, under which half of the records stand.
    let verdict = world.verdict().await?;
    assert!(verdict.units > 20, "{verdict}");
    for kind in [
        FaultKind::Lost,
        FaultKind::Repeated,
        FaultKind::Overlap,
        FaultKind::OutOfOrder,
    ] {
        assert_eq!(verdict.count(kind), 0, "{verdict}");
    }
    assert_eq!(verdict.repeats.retried, 1, "{verdict}");
    Ok(())
}

/// A process makes room for a new one after so many calls, and when it has grown close to its limit: no
/// death, nothing twice, in order; one whose memory is full fails a call, and lives on.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_makes_room_for_a_new_one_before_it_is_too_old_or_too_large() -> Result<()> {
    let grows = format!(
        "import time\nkept = []\n\
         def f(sg, logger, event, args):\n    \
             kept.append(bytearray(8 << 20))\n    time.sleep(0.1)\n    \
             logger.info('%s makes %d', event['id'], len(kept))\n\
         def full(sg, logger, event, args):\n    bytearray(1 << 30)\n\
         def registerCallbacks(reg):\n    \
             reg.registerCallback('s', 'k', f, {{'{WANTED}': None}})\n    \
             reg.registerCallback('s', 'k', full, {{'{WANTED}': None}}, None, False)\n"
    );
    let mut world = world()
        .plugin(Plugin::journal("ages").callback(callback()))
        .plugin(Plugin::journal("alone").callback(callback()))
        .plugin(Plugin::source("grows", &grows))
        .setting("plugin.ages", "recycle_after", "5")
        .setting("plugin.alone", "recycle_after", "5")
        .setting("plugin.alone", "reload", "\"stop-first\"")
        .setting("plugin.grows", "memory_limit", "\"320MiB\"")
        .start()
        .await?;
    let ready = |s: &Value| {
        ["ages", "alone", "grows"]
            .iter()
            .all(|n| is(s, n, "running"))
    };
    shows(&world, "ready", ready).await?;
    let events: Vec<_> = (0..70).map(|_| happen(world.site())).collect();
    for name in ["ages", "alone"] {
        begins(&mut world, name, events[69], 1).await?;
        let words = format!("{name}: its process has run ");
        says(&mut world, &words, 2).await?;
        assert!(crate::loads(&world, name)?.len() >= 3);
    }
    says(&mut world, &format!("{} makes ", events[69]), 1).await?;
    world.caught_up(LIMIT).await?;
    // Some thirty events fill it, and none was lost. The next process is there before it is full.
    assert!(lines(&world, "close to its `memory_limit` of 320 MiB") >= 2);
    for event in &events {
        assert_eq!(lines(&world, &format!("{event} makes ")), 1, "{event}");
    }
    let words = "MemoryError: the process reached its memory_limit of 320 MiB";
    assert_eq!(lines(&world, words), 70, "{}", world.log());
    for words in ["died", "its file"] {
        assert_eq!(lines(&world, words), 0, "{words}: {}", world.log());
    }
    let shown = crate::json_of(&world, "plugin", &["show", "grows"]).await?;
    assert!(
        shown["recycled"].as_u64().is_some_and(|n| n >= 2),
        "{shown}"
    );
    assert!(shown["resident"].as_u64().is_some_and(|n| n > 10 << 20));
    let text = world.ask("plugin", &["show", "ages"]).await?;
    assert!(text.contains(" before it made room"), "{text}");
    let verdict = world.verdict().await?;
    verdict.kept(210)?;
    assert_eq!(verdict.bodies, verdict.units, "nothing twice: {verdict}");
    Ok(())
}

/// Whoever looks while a callback hangs sees where it stands; once it has ended, nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_call_is_in_the_log_and_in_status_with_its_stack() -> Result<()> {
    let gate = tempfile::tempdir()?;
    let open = gate.path().join("open");
    let text = format!(
        "import os, time\n\
         def f(sg, logger, event, args):\n    \
             while not os.path.exists({:?}):\n        time.sleep(0.01)\n\
         def registerCallbacks(reg):\n    reg.registerCallback('s', 'k', f, {{'{WANTED}': None}})\n",
        open.display().to_string()
    );
    let mut world = world()
        .plugin(Plugin::source("hangs", &text))
        .setting("plugin.hangs", "warn_after", "\"1s\"")
        .start()
        .await?;
    shows(&world, "ready", |s| is(s, "hangs", "running")).await?;
    let event = happen(world.site());
    let stands = |s: &Value| plugin(s, "hangs")["slow"]["event"] == event;
    let status = shows(&world, "the slow call", stands).await?;
    let slow = &plugin(&status, "hangs")["slow"];
    assert_eq!(slow["callback"], "f");
    let stack = slow["stack"].as_str().unwrap_or_default();
    assert!(
        stack.contains("hangs.py") && stack.contains("in f"),
        "{slow}"
    );
    for (command, arguments) in [("status", &[][..]), ("plugin", &["show", "hangs"])] {
        let text = world.ask(command, arguments).await?;
        let words = format!("event {event} in f has been running for ");
        assert!(text.contains(&words) && text.contains("hangs.py"), "{text}");
    }
    assert_eq!(lines(&world, "hangs.f: event"), 1);
    // It harms nobody meanwhile.
    begins(&mut world, "quick", event, 1).await?;
    std::fs::write(&open, "")?;
    let over = |s: &Value| plugin(s, "hangs")["slow"].is_null();
    shows(&world, "it has ended", over).await?;
    world.caught_up(LIMIT).await?;
    Ok(())
}
