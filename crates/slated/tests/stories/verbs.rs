//! What a person does to a plugin: stop, resume, reload, and the look at it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use slated_model::{Change, HoldRow};
use slated_store::{Options, Sqlite, Store as _};
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::{
    LIMIT, SLATED, Value, WANTED, World, begins, begun, edit, fate, happen, is, json_of, loads,
    plugin, runs, shows, world,
};

fn callback() -> Callback {
    Callback::new("f")
        .wants(WANTED)
        .sleeps(Duration::from_millis(5))
}

/// Runs `slated plugin VERB NAME …`, which succeeds, and returns its JSON.
async fn verb(world: &World, arguments: &[&str]) -> Result<Value> {
    json_of(world, "plugin", arguments).await
}

/// Runs one that is refused with this exit code, in these words.
async fn refused(world: &World, arguments: &[&str], code: u8, words: &[&str]) -> Result<()> {
    let refused = world.ask("plugin", arguments).await.err();
    let error = format!("{:#}", refused.context("it was not refused")?);
    assert!(error.contains(&format!("exit status: {code}")), "{error}");
    for words in words {
        assert!(error.contains(words), "{words:?} not in {error}");
    }
    Ok(())
}

/// What became of an event in a plugin, in a word.
async fn became(world: &World, event: u64, plugin: &str) -> Result<String> {
    let fate = fate(world, event, plugin).await?;
    let word = match &fate["units"][0]["outcome"] {
        Value::Null => &fate["fate"],
        outcome => outcome,
    };
    Ok(word.as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_plugin_finishes_and_stays_stopped_until_a_person_resumes_it() -> Result<()> {
    let slow = Callback::new("f").wants(WANTED);
    let slow = slow.sleeps(Duration::from_millis(700));
    let mut world = world()
        .plugin(Plugin::journal("slow").callback(slow))
        .start()
        .await?;
    let under_way = happen(world.site());
    begins(&mut world, "slow", under_way, 1).await?;
    let stopped = verb(&world, &["stop", "slow"]).await?;
    assert_eq!(
        (&stopped["state"], &stopped["pid"], &stopped["stopped"]),
        (&"stopped".into(), &Value::Null, &true.into()),
        "{stopped}"
    );
    // It was waited for: what ran has finished and is on record.
    assert!(!runs(loads(&world, "slow")?[0]));
    assert_eq!(became(&world, under_way, "slow").await?, "done");
    let why = stopped["why"].to_string();
    assert!(why.contains("slated plugin resume slow"), "{why}");
    verb(&world, &["stop", "slow"]).await?;
    refused(&world, &["reload", "slow"], 2, &["plugin resume slow"]).await?;

    // Neither an edit nor a restart starts it.
    let missed = happen(world.site());
    edit(&world, "slow")?;
    edit(&world, "quick")?;
    begins(&mut world, "quick", missed, 1).await?;
    let again = |w: &World| Ok(loads(w, "quick")?.len() == 2);
    world.until("the edits were seen", LIMIT, again).await?;
    assert!(world.terminate().await?.success());
    let shown = verb(&world, &["show", "slow"]).await?;
    assert_eq!(
        (&shown["state"], &shown["lag"]),
        (&"stopped".into(), &1.into())
    );
    world.restart()?;
    shows(&world, "ready", |s| is(s, "quick", "running")).await?;
    let last = happen(world.site());
    begins(&mut world, "quick", last, 1).await?;
    assert_eq!(loads(&world, "slow")?.len(), 1);

    let resumed = verb(&world, &["resume", "plugins/slow"]).await?;
    assert_eq!(resumed["state"], "running", "{resumed}");
    assert_eq!(
        verb(&world, &["resume", "slow"]).await?["pid"],
        resumed["pid"]
    );
    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    verdict.kept(6)?;
    assert_eq!(verdict.bodies, verdict.units, "nothing twice: {verdict}");

    // Without a daemon the verbs change what stands on record.
    let stopped = verb(&world, &["stop", "slow"]).await?;
    assert_eq!(stopped["state"], "stopped");
    let resumed = verb(&world, &["resume", "slow", "--from", "latest"]).await?;
    assert_eq!(
        (&resumed["state"], &resumed["stopped"]),
        (&"unknown".into(), &false.into())
    );
    refused(&world, &["reload", "slow"], 2, &["no daemon runs"]).await?;
    refused(&world, &["stop", "slwo"], 2, &["did you mean `slow`?"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_plugin_begins_where_a_person_says() -> Result<()> {
    let fails = callback().stops_on_error().does(Act::Raise, 100, None);
    let mut world = world()
        .site(|o| o.first_event_id = 80)
        .plugin(Plugin::journal("strict").callback(fails))
        .start()
        .await?;
    let failed = happen(world.site());
    assert_eq!(failed % 100, 0);
    let behind: Vec<_> = (0..3).map(|_| happen(world.site())).collect();
    shows(&world, "held", |s| is(s, "strict", "held")).await?;
    begins(&mut world, "quick", behind[2], 1).await?;

    let shown = verb(&world, &["show", "strict"]).await?;
    assert_eq!(shown["hold"]["event"], failed);
    let traceback = shown["hold"]["traceback"].to_string();
    assert!(traceback.contains("told to fail"), "{traceback}");
    let text = world.ask("plugin", &["show", "strict"]).await?;
    for words in [
        "plugins/strict  held",
        "ValueError: told to fail",
        "f  ",
        "Studio_Turnover; a failure stops the plugin",
    ] {
        assert!(text.contains(words), "{words:?} not in\n{text}");
    }

    // Refused: what the log does not hold, what is not there yet, nonsense, and one that runs.
    for (from, code, words) in [
        (
            "81",
            2,
            "event 81 is older than the log, which begins with event 100",
        ),
        ("999999", 2, "holds no event from 999999 on yet"),
        ("now", 2, "takes `failed`, `latest` or an event id"),
    ] {
        refused(
            &world,
            &["resume", "strict", "--from", from],
            code,
            &[words],
        )
        .await?;
    }
    let running = ["resume", "quick", "--from", "latest"];
    refused(
        &world,
        &running,
        2,
        &["not stopped, held or quarantined", "plugin stop quick"],
    )
    .await?;
    refused(&world, &["show", "strikt"], 2, &["did you mean `strict`?"]).await?;

    // Where it failed: it fails again, also when told so without a daemon.
    verb(&world, &["resume", "strict", "--from", "failed"]).await?;
    begins(&mut world, "strict", failed, 2).await?;
    shows(&world, "held again", |s| is(s, "strict", "held")).await?;
    assert!(world.terminate().await?.success());
    let resumed = verb(&world, &["resume", "strict"]).await?;
    assert_eq!(
        (&resumed["state"], &resumed["hold"]),
        (&"unknown".into(), &Value::Null)
    );
    world.restart()?;
    begins(&mut world, "strict", failed, 3).await?;
    shows(&world, "held once more", |s| is(s, "strict", "held")).await?;

    // Past it and the next one: both are on record as skipped.
    let to = behind[1].to_string();
    let resumed = verb(&world, &["resume", "strict", "--from", &to]).await?;
    assert_eq!(resumed["state"], "running", "{resumed}");
    assert_eq!(
        resumed["skipped"].as_array().map(Vec::len),
        Some(1),
        "{resumed}"
    );
    begins(&mut world, "strict", behind[2], 1).await?;
    assert_eq!(begun(&world, "strict", behind[0])?, 0);
    assert_eq!(begun(&world, "strict", behind[1])?, 1);
    assert_eq!(became(&world, failed, "strict").await?, "discarded");
    let skipped = became(&world, behind[0], "strict").await?;
    assert_eq!(skipped, "skipped by a person");

    // And past everything, while it is stopped.
    verb(&world, &["stop", "strict"]).await?;
    let missed = happen(world.site());
    begins(&mut world, "quick", missed, 1).await?;
    let back = ["resume", "strict", "--from", &to];
    let words = format!("has passed event {to} already");
    refused(&world, &back, 2, &[&words, "plugin rewind"]).await?;
    let resumed = verb(&world, &["resume", "strict", "--from", "latest"]).await?;
    assert_eq!(
        (&resumed["state"], &resumed["lag"]),
        (&"running".into(), &0.into())
    );
    let next = happen(world.site());
    begins(&mut world, "strict", next, 1).await?;
    assert_eq!(begun(&world, "strict", missed)?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_loads_what_did_not_change_and_ends_a_hold() -> Result<()> {
    let fails = callback().stops_on_error().does(Act::Raise, 100, Some(1));
    let mails = "\
import helper

def registerCallbacks(reg):
    reg.setEmails('td@studio.example', 'lead@studio.example')
    reg.registerCallback(None, None, seen, {'Shotgun_Version_New': ['code'], helper.TYPE: 'sg_x'})

def seen(sg, logger, event, args):
    pass
";
    let mut world = world()
        .site(|o| o.first_event_id = 80)
        .setting("plugin.mails", "import_paths", "[\"lib\"]")
        .plugin(Plugin::journal("strict").callback(fails))
        .plugin(Plugin::source("mails", mails))
        .start()
        .await?;
    let placed = |s: &Value| is(s, "mails", "broken") && plugin(s, "mails")["lag"].is_u64();
    shows(&world, "it lacks its helper", placed).await?;

    // A helper module is no plugin's file: only a reload brings it in, or makes it new.
    let helper = world.folder().join("lib/helper.py");
    std::fs::create_dir(world.folder().join("lib"))?;
    std::fs::write(&helper, "TYPE = 'Old'\n")?;
    assert_eq!(
        verb(&world, &["reload", "mails"]).await?["state"],
        "running"
    );
    let text = world.ask("plugin", &["show", "mails"]).await?;
    for words in [
        "Old of what stands in `sg_x`; Shotgun_Version_New of code; a failure",
        "td@studio.example, lead@studio.example",
        "import_paths   /",
        "slated.toml:",
        "warnings",
    ] {
        assert!(text.contains(words), "{words:?} not in\n{text}");
    }
    std::fs::write(&helper, "TYPE = 'Newer'\n")?;
    let before = verb(&world, &["show", "mails"]).await?;
    let after = verb(&world, &["reload", "mails"]).await?;
    assert_eq!(after["state"], "running");
    assert!(before["pid"] != after["pid"], "{after}");
    let emails = serde_json::json!(["td@studio.example", "lead@studio.example"]);
    assert_eq!(after["emails"], emails);
    let mails_pid = after["pid"].clone();
    let filter = &after["callbacks"][0]["match"];
    assert_eq!(filter["Newer"]["substring"], "sg_x", "{after}");

    // A held plugin goes on, with the event that failed.
    let event = happen(world.site());
    assert_eq!(event % 100, 0);
    shows(&world, "held", |s| is(s, "strict", "held")).await?;
    let after = verb(&world, &["reload", "strict"]).await?;
    assert_eq!(after["state"], "running", "{after}");
    begins(&mut world, "strict", event, 2).await?;
    world.caught_up(LIMIT).await?;

    // What does not load is the plugin's trouble, and said with its trace.
    std::fs::remove_file(&helper)?;
    let words = ["does not load", "No module named 'helper'", "hint: mend"];
    refused(&world, &["reload", "mails"], 5, &words).await?;
    let shown = verb(&world, &["show", "mails"]).await?;
    assert_eq!(shown["state"], "running", "the code before keeps running");
    assert_eq!(shown["pid"], mails_pid);
    assert_eq!(world.verdict().await?.parked, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_not_there_is_not_made_by_a_verb() -> Result<()> {
    let world = World::builder(SLATED)
        .plugin(Plugin::journal("quick"))
        .prepare()
        .await?;
    for verb in ["stop", "resume", "show"] {
        refused(&world, &[verb, "quick"], 3, &["there is no state in"]).await?;
    }
    assert!(!world.state().exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_person_must_choose_nothing_else_does() -> Result<()> {
    let mut world = World::builder(SLATED)
        .conf(|_| {})
        .plugin(Plugin::journal("far").callback(callback()))
        .start()
        .await?;
    let first = happen(world.site());
    begins(&mut world, "far", first, 1).await?;
    assert!(world.terminate().await?.success());
    // As an import leaves one that stands far behind the others.
    let store = Sqlite::open(world.state(), &Options::default())?;
    let mut row = store.snapshot().await?.lanes.remove(0);
    row.hold = Some(HoldRow {
        event: None,
        callback: None,
        reason: "it is 60000 events behind; a person must choose where it begins".into(),
    });
    store.record(vec![Change::Lane(row)]).await?;
    store.close().await;
    let missed = happen(world.site());
    let state = |s: &Value, name: &str| {
        let plugins = s["plugins"].as_array().into_iter().flatten();
        let ends = |p: &&Value| p["plugin"].as_str().is_some_and(|p| p.ends_with(name));
        plugins.into_iter().find(ends).map(|p| p["state"].clone())
    };
    let held = |s: &Value, name: &str| state(s, name) == Some("held".into());

    // Not a restart, not an edit, not a new name, and no verb that does not say where.
    world.restart()?;
    let loaded = |s: &Value| s["plugins"][0]["pid"].is_u64() && held(s, "far");
    let status = shows(&world, "loaded, and held", loaded).await?;
    let why = status["plugins"][0]["why"].to_string();
    assert!(why.contains("plugin resume far --from latest"), "{why}");
    let captured = |s: &Value| s["plugins"][0]["lag"] == 1;
    shows(&world, "the event is in the log", captured).await?;
    edit(&world, "far")?;
    let again = |w: &World| Ok(loads(w, "far")?.len() == 3);
    world.until("the edit was seen", LIMIT, again).await?;
    let loaded = verb(&world, &["reload", "far"]).await?;
    assert_eq!(loaded["state"], "held", "{loaded}");
    for kind in ["py", "json"] {
        let path = |name: &str| world.folder().join(format!("plugins/{name}.{kind}"));
        std::fs::rename(path("far"), path("near"))?;
    }
    shows(&world, "moved", |s| held(s, "near")).await?;
    let words = ["a person must choose where it begins", "--from latest"];
    refused(&world, &["resume", "near"], 2, &words).await?;
    refused(&world, &["resume", "near", "--from", "failed"], 2, &words).await?;
    assert_eq!(begun(&world, "far", missed)?, 0);

    // The journal knows it by its first name.
    let resumed = verb(&world, &["resume", "near", "--from", &missed.to_string()]).await?;
    assert_eq!(resumed["state"], "running", "{resumed}");
    begins(&mut world, "far", missed, 1).await?;
    assert_eq!(begun(&world, "far", first)?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarantine_ends_with_a_resume_that_skips_what_kills_it() -> Result<()> {
    let dies = callback().does(Act::Exit, 1, None);
    let mut world = world()
        .plugin(Plugin::journal("dies").callback(dies))
        .start()
        .await?;
    let events: Vec<_> = (0..3).map(|_| happen(world.site())).collect();
    begins(&mut world, "quick", events[2], 1).await?;
    let quarantined = |s: &Value| plugin(s, "dies")["state"] == "quarantined";
    shows(&world, "six deaths", quarantined).await?;
    // A restart does not begin anew with what keeps dying.
    let died = loads(&world, "dies")?.len();
    assert!(world.terminate().await?.success());
    shows(&world, "on record", quarantined).await?;
    world.restart()?;
    let runs = |s: &Value| quarantined(s) && is(s, "quick", "running");
    let status = shows(&world, "still quarantined", runs).await?;
    let why = plugin(&status, "dies")["why"].to_string();
    assert!(why.contains("the last time: exit code 3"), "{why}");
    assert_eq!(loads(&world, "dies")?.len(), died);
    let resumed = verb(&world, &["resume", "dies", "--from", "latest"]).await?;
    assert_eq!(
        (&resumed["state"], &resumed["lag"]),
        (&"running".into(), &0.into())
    );
    assert_eq!(begun(&world, "dies", events[1])?, 3);
    assert_eq!(begun(&world, "dies", events[2])?, 0);
    let skipped = became(&world, events[2], "dies").await?;
    assert_eq!(skipped, "skipped by a person");
    Ok(())
}

/// A plugin that has never loaded is stopped all the same, and one that died of loading goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_still_loading_obeys() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let gate = folder.path().join("go");
    let loads = format!(
        "import os, time\n\
         while not os.path.exists({gate:?}):\n    time.sleep(0.02)\n\
         def registerCallbacks(reg):\n    \
             reg.registerCallback(None, None, f, {{'{WANTED}': None}})\n\
         def f(sg, logger, event, args):\n    pass\n"
    );
    let mut world = world()
        .plugin(Plugin::source("late", &loads))
        .start()
        .await?;
    let placed = |status: &Value| plugin(status, "late")["cursor"].is_u64();
    shows(&world, "it has its place", placed).await?;
    // Its process reads the goodbye when it has loaded.
    let (stopped, let_go) = tokio::join!(world.ask("plugin", &["stop", "late"]), async {
        let stopped = |status: &Value| plugin(status, "late")["state"] == "stopped";
        shows(&world, "it is stopped", stopped).await?;
        std::fs::write(&gate, "").context("cannot open the gate")
    });
    let_go?;
    stopped?;
    let stopped = |status: &Value| plugin(status, "late")["state"] == "stopped";
    shows(&world, "it stays so", stopped).await?;
    world.ask("plugin", &["resume", "late"]).await?;
    shows(&world, "it runs", |status| is(status, "late", "running")).await?;
    world.verdict().await?;
    Ok(())
}
