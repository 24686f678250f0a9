//! The first start on what the Python daemon has on record, and every start after it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use slated_sim::{OpenTransaction, Site};
use slated_testkit::World;
use slated_testkit::history::Line;
use slated_testkit::plugins::{Callback, Plugin};

use crate::{LIMIT, SLATED, Value, begins, begun, edit, happen, json, lines, said, says, shows};

/// A world with a `.conf` and journalling plugins of these names; no daemon runs yet.
async fn studio(plugins: &[&str]) -> Result<World> {
    let mut builder = World::builder(SLATED).conf(|_| {});
    for name in plugins {
        // Slow enough that no event is sent ahead.
        let callback = Callback::new("f").sleeps(Duration::from_millis(5));
        builder = builder.plugin(Plugin::journal(name).callback(callback));
    }
    builder.prepare().await
}

/// Makes so many events; returns their ids.
fn some(site: &Site, count: usize) -> Vec<u64> {
    (0..count).map(|_| happen(site)).collect()
}

/// Takes ids without showing their rows; returns them.
fn hold(site: &Site) -> Result<(OpenTransaction, Vec<u64>)> {
    let first = site.next_event_id();
    let open = site.begin("slated");
    let made = open.create("Shot", json!({"code": format!("SH{first}")}));
    made.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    Ok((open, (first..site.next_event_id()).collect()))
}

/// Runs `slated COMMAND ARGUMENTS`, which is to end with exit code 3; returns what it says from the
/// error on, with the world's folder written as `HERE`.
async fn refuses(world: &World, command: &str, arguments: &[&str]) -> Result<String> {
    let said = world.ask(command, arguments).await;
    let said = said.err().context("it was not refused")?.to_string();
    assert!(said.contains("exit status: 3"), "{said}");
    let here = world.folder().to_str().context("UTF-8")?;
    let from = said
        .find("error: ")
        .with_context(|| format!("no error in {said}"))?;
    let error = said.get(from..).unwrap_or_default().trim_end();
    Ok(error.replace(here, "HERE"))
}

/// Starts the daemon, and waits until it follows the site and everything is on record.
async fn starts(world: &mut World, flags: &[&str]) -> Result<()> {
    world.restart_with(flags)?;
    shows(world, "follows", |s| s["site"]["caught_up"] == true).await?;
    world.caught_up(LIMIT).await?;
    Ok(())
}

/// Names of what stands in the world's folder, but for the logs.
fn files(world: &World) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(world.folder())? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| name != "logs" && name != "daemon.log");
    names.sort();
    Ok(names)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_number_in_the_file_is_where_every_plugin_starts() -> Result<()> {
    let mut world = studio(&["first", "second"]).await?;
    let ids = some(world.site(), 6);
    std::fs::write(world.id_file(), format!("{}\n", ids[2]))?;
    for plugin in ["first", "second"] {
        world.starts_after(plugin, ids[2], &[]);
    }
    // What will be is told beforehand, and leaves no trace. (A plugin that is loaded writes its journal.)
    let before = files(&world)?;
    let check = world.ask("check", &["--no-load", "--json"]).await?;
    let check: Value = serde_json::from_str(&check)?;
    assert_eq!(check["state"]["begun"], false);
    assert_eq!(check["refusal"], Value::Null);
    for plugin in 0..2 {
        let line = &check["plugins"][plugin];
        assert_eq!(line["after"], ids[2], "{check}");
        assert_eq!(line["why"], "the one number of the file");
    }
    let text = world.ask("check", &["--no-load"]).await?;
    let told = format!("after event {}", ids[2]);
    assert_eq!(text.matches(&told).count(), 2, "{text}");
    assert_eq!(files(&world)?, before);

    starts(&mut world, &[]).await?;
    let line = format!("starts after event {}: the one number of the file.", ids[2]);
    assert_eq!(lines(&world, &line), 2, "{}", said(&world));
    // A second start asks nothing and imports nothing, with a flag that was left or without.
    for flags in [&[][..], &["--state", "import"]] {
        assert!(world.terminate().await?.success());
        happen(world.site());
        starts(&mut world, flags).await?;
    }
    assert_eq!(lines(&world, &line), 2, "{}", said(&world));
    let check: Value = serde_json::from_str(&world.ask("check", &["--no-load", "--json"]).await?)?;
    assert_eq!(check["state"]["in_use"], true);
    assert_eq!(check["plugins"][0]["why"], "goes on where it stood");
    world.verdict().await?.kept(10)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_plugin_starts_at_its_own_place_with_what_it_is_owed() -> Result<()> {
    let mut world = studio(&["ahead", "behind", "fresh"]).await?;
    let early = some(world.site(), 4);
    let (of_ahead, held) = hold(world.site())?;
    let (of_nobody, in_flight) = hold(world.site())?;
    let late = some(world.site(), 6);
    let (behind, ahead) = (late[1], late[3]);
    // Both are owed an event that stands there, and `ahead` one that does not yet. An id between
    // their places is met on the way.
    world.write_id_file(
        &format!(
            "{{plugins: {{'ahead': ({ahead}, {{{}: soon, {}: soon, {}: soon}}), \
             'behind': ({behind}, {{{}: soon}})}}}}",
            early[0], held[0], late[2], early[1]
        ),
        2,
    )?;
    world.starts_after("ahead", ahead, &[early[0], late[2]]);
    world.starts_after("behind", behind, &[early[1]]);
    world.starts_after("fresh", late[5], &[]);
    starts(&mut world, &[]).await?;
    let of = |plugin, event| begun(&world, plugin, event);
    for (event, runs) in [
        (early[0], [1, 0, 0]),
        (early[1], [0, 1, 0]),
        (early[2], [0, 0, 0]),
        (behind, [0, 0, 0]),
        (late[2], [1, 1, 0]),
        (ahead, [0, 1, 0]),
        (late[5], [1, 1, 0]),
    ] {
        let ran = [
            of("ahead", event)?,
            of("behind", event)?,
            of("fresh", event)?,
        ];
        assert_eq!(ran, runs, "event {event}");
    }
    // What was not there at the import is an ordinary hole, and goes to every plugin.
    for open in [of_ahead, of_nobody] {
        let committed = open.commit();
        committed.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    }
    world.caught_up(LIMIT).await?;
    for plugin in ["ahead", "behind", "fresh"] {
        for event in held.iter().chain(&in_flight) {
            assert_eq!(begun(&world, plugin, *event)?, 1, "{plugin} {event}");
        }
    }
    world.verdict().await?.kept(15)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_is_not_guessed_about() -> Result<()> {
    let mut world = studio(&["notes"]).await?;
    let ids = some(world.site(), 3);
    std::fs::write(world.id_file(), ids[0].to_string())?;
    world.starts_after("notes", ids[0], &[]);
    starts(&mut world, &[]).await?;
    assert!(world.terminate().await?.success());

    // A night back on the Python daemon.
    let night = some(world.site(), 3);
    let state = |last: u64| format!("{{plugins: {{'notes': ({last}, {{}})}}}}");
    world.write_id_file(&state(night[2]), 4)?;
    let before = files(&world)?;
    let wanted = format!(
        "error: HERE/daemon.id is not what it was when slated took it over: the Python daemon has run since, or somebody wrote it\n \
         PLUGIN              IN THE FILE     IN SLATED\n \
         HERE/plugins/notes  after event {}  after event {}\n\
         hint: `--state keep` goes on with slated's state in HERE/daemon.id.slated: what the Python daemon has handled since then runs again\n\
         hint: `--state import` goes on where the file says; slated's state is moved aside, not deleted, to HERE/daemon.id.slated.before-…",
        night[2], ids[2]
    );
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for command in ["run", "check"] {
        let error = refuses(&world, command, &[]).await?;
        assert_eq!(squeeze(&error), squeeze(&wanted), "{error}");
    }
    for (choice, told, after) in [
        ("keep", "goes on with its own state", ids[2]),
        ("import", "own state is moved aside", night[2]),
    ] {
        let check = world.ask("check", &["--json", "--state", choice]).await?;
        let check: Value = serde_json::from_str(&check)?;
        assert!(check["begins"].to_string().contains(told), "{check}");
        assert_eq!(check["plugins"][0]["after"], after, "{check}");
    }
    assert_eq!(files(&world)?, before);

    // Ours counts: the night runs again, and nobody asks a second time.
    for flags in [&["--state", "keep"][..], &[]] {
        starts(&mut world, flags).await?;
        assert_eq!(begun(&world, "notes", night[0])?, 1);
        world.verdict().await?.kept(5)?;
    }

    // Another night, and the file counts.
    let second = some(world.site(), 3);
    world.write_id_file(&state(second[1]), 0)?;
    refuses(&world, "run", &[]).await?;
    world.restart_with(&["--state", "import"])?;
    begins(&mut world, "notes", second[2], 1).await?;
    assert_eq!(begun(&world, "notes", second[1])?, 0);
    let aside = |name: &&String| name.starts_with("daemon.id.slated.before-");
    assert_eq!(files(&world)?.iter().filter(aside).count(), 1);
    // A unit file that keeps the flag imports no second time.
    assert!(world.terminate().await?.success());
    world.restart_with(&["--state", "import"])?;
    let new = happen(world.site());
    begins(&mut world, "notes", new, 1).await?;
    assert_eq!(begun(&world, "notes", second[2])?, 1);
    assert_eq!(files(&world)?.iter().filter(aside).count(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_11_row_12_a_file_that_was_cut_short_starts_nothing_at_a_guess() -> Result<()> {
    let mut world = studio(&["notes"]).await?;
    let ids = some(world.site(), 4);
    world.write_id_file(&format!("{{plugins: {{'notes': ({}, {{}})}}}}", ids[0]), 2)?;
    let whole = std::fs::read(world.id_file())?;
    let before = files(&world)?;
    for cut in [0, whole.len() - 1] {
        std::fs::write(world.id_file(), &whole[..cut])?;
        for command in ["run", "check"] {
            let error = refuses(&world, command, &[]).await?;
            let what =
                "error: HERE/daemon.id says where the Python daemon stood, and cannot be used: ";
            assert!(error.starts_with(what), "{error}");
            for choice in ["`--from-latest`", "`--from-id N`"] {
                assert!(error.contains(choice), "{error}");
            }
        }
        assert_eq!(files(&world)?, before, "nothing is left behind");
    }
    let from = ids[2].to_string();
    world.starts_after("notes", ids[1], &[]);
    starts(&mut world, &["--from-id", &from]).await?;
    assert!(world.terminate().await?.success());
    let error = refuses(&world, "run", &["--from-id", &from]).await?;
    assert!(error.contains("has begun"), "{error}");
    // The bad file is known now.
    happen(world.site());
    starts(&mut world, &[]).await?;
    assert_eq!(begun(&world, "notes", ids[1])?, 0);
    world.verdict().await?.kept(3)
}

/// What is told of an import.
const IMPORTED: &str = "The state of the Python daemon is taken over";

/// What a life is compared with, to see how far it has come.
struct Before {
    lock: String,
    starts: usize,
    ready: usize,
    read: usize,
}

/// Tells whether a life has come so far.
type Fact = fn(&World, &Before) -> bool;

/// How many bodies of callbacks were begun, over all lives.
fn bodies(world: &World) -> usize {
    let journal = world.journal().unwrap_or_default();
    let starts = journal.iter().filter(|l| matches!(l, Line::Start { .. }));
    starts.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_is_killed_imports_once() -> Result<()> {
    let mut world = studio(&["ahead", "behind", "fresh"]).await?;
    let ids = some(world.site(), 30);
    world.write_id_file(
        &format!(
            "{{plugins: {{'ahead': ({}, {{{}: soon}}), 'behind': ({}, {{{}: soon}})}}}}",
            ids[20], ids[2], ids[10], ids[4]
        ),
        3,
    )?;
    world.starts_after("ahead", ids[20], &[ids[2]]);
    world.starts_after("behind", ids[10], &[ids[4]]);
    world.starts_after("fresh", ids[29], &[]);
    // Where each life ends; the last ones are amid the work.
    let lock = world.state().join("lock");
    let lives: [(&str, Fact); 9] = [
        ("it starts", |w, old| lines(w, ") starts.") > old.starts),
        ("the state is opened", |w, old| {
            let now = std::fs::read_to_string(w.state().join("lock")).unwrap_or_default();
            now != old.lock && now.ends_with('\n')
        }),
        ("it is imported, now or before", |w, _| {
            lines(w, IMPORTED) > 0
        }),
        ("a plugin is ready", |w, old| {
            lines(w, ": ready with") > old.ready
        }),
        ("the site is read", |w, old| {
            lines(w, "Following ") > old.read
        }),
        ("the first is begun", |w, _| bodies(w) > 0),
        ("some are begun", |w, _| bodies(w) > 4),
        ("more are begun", |w, _| bodies(w) > 12),
        ("most are begun", |w, _| bodies(w) > 24),
    ];
    for (what, fact) in lives {
        let before = Before {
            lock: std::fs::read_to_string(&lock).unwrap_or_default(),
            starts: lines(&world, ") starts."),
            ready: lines(&world, ": ready with"),
            read: lines(&world, "Following "),
        };
        world.restart()?;
        world.until(what, LIMIT, |w| Ok(fact(w, &before))).await?;
        world.kill9().await?;
    }
    assert!(lines(&world, IMPORTED) >= 1, "{}", said(&world));
    happen(world.site());
    starts(&mut world, &[]).await?;
    world.verdict().await?.kept(33)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_far_behind_or_gone_keeps_its_place() -> Result<()> {
    let mut world = World::builder(SLATED)
        .site(|options| options.first_event_id = 200_000)
        .conf(|_| {})
        .plugin(Plugin::journal("far"))
        .plugin(Plugin::journal("near"))
        .plugin(Plugin::journal("gone"))
        .prepare()
        .await?;
    let ids = some(world.site(), 3);
    let (file, away) = (
        world.folder().join("plugins/gone.py"),
        world.folder().join("gone.py"),
    );
    std::fs::rename(&file, &away)?;
    world.write_id_file(
        &format!(
            "{{plugins: {{'far': (1000, {{}}), 'near': ({0}, {{}}), 'gone': ({1}, {{}})}}}}",
            ids[0], ids[1]
        ),
        2,
    )?;
    world.restart()?;
    begins(&mut world, "near", ids[2], 1).await?;
    let of = |status: &Value, name: &str| {
        let plugins = status["plugins"].as_array().cloned().unwrap_or_default();
        let is = |p: &Value| p["plugin"].as_str().is_some_and(|id| id.ends_with(name));
        plugins.into_iter().find(is).unwrap_or_default()
    };
    let held = |s: &Value| of(s, "far")["state"] == "held";
    let status = shows(&world, "held", held).await?;
    let why = of(&status, "far")["why"].to_string();
    assert!(why.contains("slated plugin resume far --from"), "{why}");
    assert_eq!(of(&status, "gone")["state"], "gone", "{status}");
    // No edit says where to start, and neither does a restart.
    edit(&world, "far")?;
    says(&mut world, "far: its file changed", 1).await?;
    says(&mut world, "far: ready with 1 callback", 2).await?;
    shows(&world, "held after an edit", held).await?;
    assert!(world.terminate().await?.success());
    world.restart()?;
    shows(&world, "held after a restart", held).await?;
    // Back again, it goes on where the Python daemon left it.
    std::fs::rename(&away, &file)?;
    begins(&mut world, "gone", ids[2], 1).await?;
    let new = happen(world.site());
    begins(&mut world, "near", new, 1).await?;
    begins(&mut world, "gone", new, 1).await?;
    assert_eq!(
        (begun(&world, "gone", ids[1])?, begun(&world, "far", new)?),
        (0, 0)
    );
    Ok(())
}
