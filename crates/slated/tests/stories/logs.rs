//! The log files of a real daemon: the Python daemon's under a `.conf`, and what logrotate does.

use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use slated_testkit::World;
use slated_testkit::plugins::Plugin;

use crate::{LIMIT, SLATED, happen, said, world};

/// Asks its logger for more than the daemon's level has.
const CHATTY: &str = "\
import logging

def registerCallbacks(reg):
    reg.logger.setLevel(logging.DEBUG)
    reg.registerCallback(None, None, seen, {'Studio_Turnover': None})

def seen(sg, logger, event, args):
    logger.debug('looking at %s\\nclosely', event['id'])
    print('printed')
";

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}

async fn holds(world: &mut World, file: &str, words: &str) -> Result<()> {
    let what = format!("{words:?} in {file}");
    let path = world.folder().join(file);
    world
        .until(&what, LIMIT, |_| {
            Ok(std::fs::read_to_string(&path).is_ok_and(|text| text.contains(words)))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conf_has_the_python_daemons_files() -> Result<()> {
    let mut world = World::builder(SLATED)
        .plugin(Plugin::journal("quick"))
        .plugin(Plugin::source("chatty", CHATTY))
        .conf(|conf| {
            conf.set("daemon", "timing_log", "on");
        })
        .start()
        .await?;
    let event = happen(world.site());
    let chatty = "logs/plugin.chatty";
    holds(&mut world, chatty, "chatty printed: printed").await?;
    let line = format!(" - plugin.chatty.seen - DEBUG - looking at {event}\nclosely\n");
    holds(&mut world, chatty, &line).await?;
    let timing = "logs/shotgunEventDaemon.timing";
    let line = format!(" - timing - INFO - event_id={event} created_at=2026-05-04T");
    holds(&mut world, timing, &line).await?;
    holds(&mut world, timing, " callback=chatty.seen start=").await?;
    holds(&mut world, timing, " callback=quick.").await?;
    world.caught_up(LIMIT).await?;
    let main = text(&world.folder().join("logs"), "shotgunEventDaemon");
    assert!(main.contains(" - engine - INFO - "), "{main}");
    assert!(!main.contains("looking at"), "{main}");
    assert!(!main.contains("Dispatching"), "its level is INFO: {main}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_hangup_the_files_are_opened_by_their_names() -> Result<()> {
    let mut world = world()
        .setting("log", "folder", "\"logs\"")
        .setting("log", "format", "\"json\"")
        .setting("log", "level", "\"debug\"")
        .start()
        .await?;
    let logs = world.folder().join("logs");
    std::fs::rename(logs.join("slated.log"), logs.join("taken"))?;
    let pid = world.status().await?["pid"].as_i64().context("pid")?;
    let pid = Pid::from_raw(i32::try_from(pid)?).context("pid")?;
    kill_process(pid, Signal::HUP)?;
    let opened = "a new file";
    world
        .until(opened, LIMIT, |w| {
            Ok(w.folder().join("logs/slated.log").is_file())
        })
        .await?;

    let event = happen(world.site());
    let words = format!("Dispatching event {event} to callback ");
    holds(&mut world, "logs/slated.log", &words).await?;
    assert!(!text(&logs, "taken").contains(&words));
    world.caught_up(LIMIT).await?;
    // It ends the daemon.
    world.verdict().await?.kept(1)?;

    let new = text(&logs, "slated.log");
    assert!(new.contains("everything is on record"), "{new}");
    for line in text(&logs, "taken").lines().chain(new.lines()) {
        let line: serde_json::Value = serde_json::from_str(line).context("JSON")?;
        assert!(
            line["time"].is_string() && line["logger"].is_string(),
            "{line}"
        );
    }
    // What goes to files does not go to stderr as well.
    assert_eq!(said(&world), "");
    Ok(())
}
