//! A studio's `shotgunEventDaemon.conf`, plugins and helper modules, as they are.

use std::time::Duration;

use anyhow::Result;
use slated_testkit::World;
use slated_testkit::history::Line;
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::{LIMIT, SLATED, Value, WANTED, happen, json, lines, replace, said, says, shows};

/// Imports a module that stands beside the old daemon, and reads what the shell has set.
const STUDIO: &str = "\
import os
import studio_helper

def registerCallbacks(reg):
    path = os.path.join(os.environ['STUDIO_ROOT'], 'seen.txt')
    reg.registerCallback(None, None, seen, {'Studio_Turnover': None}, path)

def seen(sg, logger, event, args):
    with open(args, 'a') as out:
        print(studio_helper.NAME, event['id'], file=out)
    raise ValueError('once')
";

#[tokio::test(flavor = "multi_thread")]
async fn a_studio_starts_slated_on_what_it_has() -> Result<()> {
    let studio = tempfile::tempdir()?;
    let root = studio.path().to_string_lossy().into_owned();
    let mut world = World::builder(SLATED)
        .plugin(Plugin::journal("quick"))
        .plugin(Plugin::source("studio", STUDIO))
        .conf(|conf| {
            conf.set("daemon", "logging", "10")
                .set("studio", "farm", "night")
                .set("emails", "enabled", "no")
                .set("slated plugin quick", "warn_after", "30s");
        })
        .setting("state", "new_plugins", "\"id:1\"")
        .env("STUDIO_ROOT", &root)
        .env("PORT", "8080")
        .prepare()
        .await?;
    std::fs::write(
        world.folder().join("shotgunEventDaemon.py"),
        "# the old one\n",
    )?;
    std::fs::write(world.folder().join("studio_helper.py"), "NAME = 'helped'\n")?;
    world.restart()?;
    says(&mut world, "ready with 1 callback", 2).await?;

    let event = happen(world.site());
    let seen = studio.path().join("seen.txt");
    let wanted = format!("helped {event}\n");
    world
        .until("the studio's plugin has seen the event", LIMIT, |_| {
            Ok(std::fs::read_to_string(&seen).is_ok_and(|text| text == wanted))
        })
        .await?;
    // `stopOnError`, and nothing is tried again.
    says(&mut world, "held", 1).await?;
    world.caught_up(LIMIT).await?;
    assert!(world.folder().join("daemon.id.slated").is_dir());

    let said = said(&world);
    assert_eq!(
        lines(&world, "[studio] means nothing to slated"),
        1,
        "{said}"
    );
    let passed = "every plugin sees $SG_ED_API_KEY, which holds `[shotgun] key`";
    assert_eq!(lines(&world, passed), 1, "{said}");
    assert_eq!(std::fs::read_to_string(&seen)?, wanted, "tried once");
    world.verdict().await?.kept(1)?;
    Ok(())
}

/// Where plugins of one name stand in two folders, how often one has begun an event.
fn begun_in(world: &World, plugin: &str, event: u64) -> Result<usize> {
    let is = |line: &&Line| matches!(line, Line::Start { plugin: p, event: e, .. } if p.to_string() == plugin && e.0 == event);
    Ok(world.journal()?.iter().filter(is).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn compat_5_1_one_name_in_two_folders_is_two_plugins_and_a_restart_ends_a_hold() -> Result<()>
{
    let callback = || {
        Callback::new("f")
            .wants(WANTED)
            .wants("Shotgun_Note_New")
            .sleeps(Duration::from_millis(5))
    };
    // The first of both fails at event 100, twice.
    let fails = callback().stops_on_error().does(Act::Raise, 100, Some(2));
    let mut world = World::builder(SLATED)
        .site(|o| o.first_event_id = 80)
        .conf(|conf| {
            conf.set("plugins", "paths", "shots, assets/");
        })
        .plugin(Plugin::journal("notes").in_folder("shots").callback(fails))
        .plugin(
            Plugin::journal("notes")
                .in_folder("assets")
                .callback(callback()),
        )
        .start()
        .await?;
    let begins = async |world: &mut World, plugin: &str, event, times| {
        let what = format!("{plugin} begins event {event}, time {times}");
        let fact = |w: &World| Ok(begun_in(w, plugin, event)? >= times);
        world.until(&what, LIMIT, fact).await
    };
    let state = |status: &Value, name: &str| {
        let plugins = status["plugins"].as_array().into_iter().flatten();
        let mut plugins = plugins.filter(|p| p["plugin"] == name);
        plugins
            .next()
            .map(|p| p["state"].clone())
            .unwrap_or_default()
    };

    let failed = happen(world.site());
    assert_eq!(failed % 100, 0);
    let next = happen(world.site());
    let held =
        |s: &Value| state(s, "shots/notes") == "held" && state(s, "assets/notes") == "running";
    shows(&world, "one held", held).await?;
    begins(&mut world, "assets/notes", next, 1).await?;
    // A person must say which.
    let error = world.ask("plugin", &["show", "notes"]).await.unwrap_err();
    let error = format!("{error:#}");
    let both = "`notes` names more than one plugin: `shots/notes` and `assets/notes`";
    assert!(error.contains(both), "{error}");

    // A restart begins with the event that failed, as the Python daemon's does: it fails again.
    assert!(world.terminate().await?.success());
    world.restart()?;
    begins(&mut world, "shots/notes", failed, 2).await?;
    shows(&world, "held again", held).await?;
    assert_eq!(begun_in(&world, "shots/notes", next)?, 0);
    // So does the next one, in which it does not.
    world.kill9().await?;
    world.restart()?;
    begins(&mut world, "shots/notes", next, 1).await?;
    assert_eq!(begun_in(&world, "shots/notes", failed)?, 3);
    assert_eq!(begun_in(&world, "assets/notes", failed)?, 1);

    // A broken edit ends the old code here; mended, the plugin has missed nothing.
    let file = world.folder().join("assets/notes.py");
    let text = std::fs::read_to_string(&file)?;
    replace(&file, "def registerCallbacks(reg)\n")?;
    shows(&world, "broken", |s| state(s, "assets/notes") == "broken").await?;
    let missed = happen(world.site());
    begins(&mut world, "shots/notes", missed, 1).await?;
    assert_eq!(begun_in(&world, "assets/notes", missed)?, 0);
    replace(&file, &text)?;
    begins(&mut world, "assets/notes", missed, 1).await?;

    // One that is gone and comes back goes on; the other never stood still.
    let file = world.folder().join("shots/notes.py");
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    shows(&world, "gone", |s| state(s, "shots/notes") == "gone").await?;
    let shown = world.ask("plugin", &["show", "notes", "--json"]).await?;
    let shown: Value = serde_json::from_str(&shown)?;
    assert_eq!(shown["plugin"], "assets/notes", "the one that is there");
    // A late id is owed to both, whatever the other one did with it.
    let late = world.site().begin("slated");
    let project = json!({"type": "Project", "id": 1});
    late.create("Note", json!({"subject": "late", "project": project}))?;
    let missed = happen(world.site());
    begins(&mut world, "assets/notes", missed, 1).await?;
    late.commit()?;
    replace(&file, &text)?;
    begins(&mut world, "shots/notes", missed, 1).await?;
    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    assert_eq!((verdict.units, verdict.finished), (10, 10), "{verdict}");
    // Once after a clean restart, and once after a kill.
    assert_eq!(verdict.repeats.resumed, 2, "{verdict}");
    verdict.kept(10)
}
