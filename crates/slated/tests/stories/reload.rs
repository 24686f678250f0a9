//! Plugins edited under traffic: by every kind of editor, by a copy that keeps old times, and while
//! their folder is away.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use slated_testkit::World;
use slated_testkit::history::Line;
use slated_testkit::plugins::{Callback, Plugin};
use tokio::time::Instant;

use crate::{
    LIMIT, WANTED, begins, edit, happen, is, json_of, lines, loads, plugin, replace, said, says,
    shows, world,
};

const EDITED: [&str; 5] = ["a", "b", "c", "d", "stops_first"];
const EDITS: usize = 200;
/// Edits from one look of the daemon to the next.
const BURST: usize = 25;

fn journal(name: &str) -> Plugin {
    let callback = Callback::new("f").wants(WANTED);
    // It takes a moment, so that no event is sent ahead to it.
    Plugin::journal(name).callback(callback.sleeps(Duration::from_millis(5)))
}

/// Saves a file as editors and deployments do, each in its turn.
fn save(path: &Path, n: usize) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let text = text.trim_end_matches(|c: char| c != '\n');
    let text = format!("{text}# edit {n}");
    match n % 4 {
        0 => replace(path, &text)?,
        1 => {
            // Truncated, then written in two pieces.
            let (first, rest) = text.split_at(text.len() / 2);
            let mut file = std::fs::File::create(path)?;
            std::io::Write::write_all(&mut file, first.as_bytes())?;
            std::io::Write::write_all(&mut file, rest.as_bytes())?;
        }
        2 => {
            std::fs::remove_file(path)?;
            std::fs::write(path, &text)?;
        }
        _ => {
            // An older file, put over a newer one.
            let draft = path.with_extension("draft");
            std::fs::write(&draft, &text)?;
            let file = std::fs::File::options().append(true).open(&draft)?;
            let age = Duration::from_hours(1000 + u64::try_from(n)?);
            file.set_modified(SystemTime::now() - age)?;
            std::fs::rename(&draft, path)?;
        }
    }
    Ok(())
}

/// How often each of the edited plugins was loaded.
fn loaded(world: &World) -> Result<[usize; 5]> {
    let mut loads = [0; 5];
    for line in world.journal()? {
        if let Line::Load { plugin, .. } = line {
            let n = EDITED.iter().position(|name| *name == plugin.stem());
            if let Some(n) = n {
                loads[n] += 1;
            }
        }
    }
    Ok(loads)
}

/// Lets a few events happen, and waits until one of the edited plugins has begun the last.
async fn traffic(world: &mut World, n: usize) -> Result<()> {
    let last = (0..3).map(|_| happen(world.site())).last();
    begins(world, EDITED[n % EDITED.len()], last.unwrap_or_default(), 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_edits_under_traffic_lose_and_double_nothing() -> Result<()> {
    let builder = world().setting("plugin.stops_first", "reload", "\"stop-first\"");
    let builder = EDITED
        .iter()
        .fold(builder, |b, name| b.plugin(journal(name)));
    let mut world = builder.start().await?;
    let mut edits = 0;
    while edits < EDITS {
        let before = loaded(&world)?;
        for _ in 0..BURST.min(EDITS - edits) {
            let name = EDITED[edits % EDITED.len()];
            // Each plugin is saved in every way, in its turn.
            let way = edits + edits / EDITED.len();
            save(&world.folder().join(format!("plugins/{name}.py")), way)?;
            edits += 1;
            if edits.is_multiple_of(2 * EDITED.len()) {
                traffic(&mut world, edits / EDITED.len()).await?;
            }
        }
        // Events go on until each edited file was seen: new code takes over from code at work.
        let end = Instant::now() + LIMIT;
        let seen = |now: &[usize]| now.iter().zip(&before).all(|(now, before)| now > before);
        while !seen(&loaded(&world)?) {
            ensure!(Instant::now() < end, "not loaded again\n{}", world.log());
            traffic(&mut world, edits).await?;
        }
    }
    world.caught_up(LIMIT).await?;
    assert!(!said(&world).contains("died"), "{}", world.log());
    let verdict = world.verdict().await?;
    verdict.kept(EDITS)?;
    assert_eq!(verdict.bodies, verdict.units, "nothing twice: {verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_away_for_a_while_harms_nothing() -> Result<()> {
    let mut world = world().plugin(journal("notes")).start().await?;
    let pid = |status: &serde_json::Value| plugin(status, "notes")["pid"].clone();
    let status = shows(&world, "ready", |s| is(s, "notes", "running")).await?;
    let (folder, away) = (world.folder().join("plugins"), world.folder().join("away"));
    std::fs::rename(&folder, &away)?;
    says(&mut world, "cannot be read", 1).await?;
    let meanwhile = happen(world.site());
    begins(&mut world, "notes", meanwhile, 1).await?;
    // The folder comes back as it was, in one part edited.
    edit_in(&away, "quick")?;
    std::fs::rename(&away, &folder)?;
    says(&mut world, "plugins/quick: its file changed", 1).await?;
    let after = happen(world.site());
    begins(&mut world, "notes", after, 1).await?;
    let now = shows(&world, "ready again", |s| is(s, "quick", "running")).await?;
    assert_eq!(pid(&status), pid(&now), "it was not loaded anew");
    for words in ["is gone", "does not load", "died"] {
        assert_eq!(lines(&world, words), 0, "{words}: {}", world.log());
    }
    edit(&world, "notes")?;
    let again = |w: &World| Ok(loads(w, "notes")?.len() == 2);
    world
        .until("an edit is seen as before", LIMIT, again)
        .await?;
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(4)
}

fn edit_in(folder: &Path, name: &str) -> Result<()> {
    let path = folder.join(format!("{name}.py"));
    let text = std::fs::read_to_string(&path)?;
    replace(&path, &format!("{text}# edited\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_module_is_no_plugin_until_it_registers() -> Result<()> {
    let helper = |text: &str| Plugin::source("tools", text);
    let mut world = world().plugin(helper("NAME = 1\n")).start().await?;
    let notice = "plugins/tools: its file has no registerCallbacks";
    says(&mut world, notice, 1).await?;
    world.install(helper("NAME = 'two'\n"))?;
    says(&mut world, notice, 2).await?;
    let status = world.status().await?;
    assert_eq!(plugin(&status, "tools"), &serde_json::Value::Null);
    let before = happen(world.site());
    begins(&mut world, "quick", before, 1).await?;

    world.install(journal("tools"))?;
    shows(&world, "a plugin", |s| is(s, "tools", "running")).await?;
    let after = happen(world.site());
    begins(&mut world, "tools", after, 1).await?;
    for words in ["ERROR", "CRITICAL", "does not load"] {
        assert_eq!(lines(&world, words), 0, "{words}: {}", world.log());
    }
    Ok(())
}

/// What was a plugin is missed when it registers nothing any more; it is no helper module.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_loses_its_register_function_is_broken() -> Result<()> {
    let mut world = world()
        .plugin(journal("notes"))
        .setting("defaults", "broken_edit", "\"deactivate\"")
        .start()
        .await?;
    let first = happen(world.site());
    world.caught_up(LIMIT).await?;
    let path = world.folder().join("plugins/notes.py");
    let good = std::fs::read_to_string(&path)?;
    let broken = |s: &serde_json::Value| {
        let why = plugin(s, "notes")["why"].to_string();
        is(s, "notes", "broken") && why.contains("no function registerCallbacks any more")
    };
    for n in 0..2 {
        replace(&path, &format!("EDIT = {n}\n"))?;
        says(&mut world, "plugins/notes: does not load", n + 1).await?;
        shows(&world, "broken", broken).await?;
    }
    let missed = happen(world.site());
    begins(&mut world, "quick", missed, 1).await?;
    assert!(world.terminate().await?.success());
    world.restart()?;
    says(&mut world, "plugins/notes: does not load", 3).await?;
    shows(&world, "broken after a start", broken).await?;
    assert_eq!(lines(&world, "taken for a helper module."), 0);
    replace(&path, &good)?;
    begins(&mut world, "notes", missed, 1).await?;
    world.caught_up(LIMIT).await?;
    assert_eq!(crate::begun(&world, "notes", first)?, 1);
    world.verdict().await?.kept(4)
}

/// A plugin that imports `studio`, and says so in its journal's stead by its name in the log.
fn importer(name: &str, fails: bool) -> Plugin {
    let fail = if fails {
        "    if studio.NAME == 'one':\n        raise ValueError(studio.NAME)\n"
    } else {
        ""
    };
    let text = format!(
        "import studio\n\n\
         def f(sg, logger, event, args):\n\
         {fail}    logger.info('%s has %s', event['id'], studio.NAME)\n\n\
         def registerCallbacks(reg):\n    reg.registerCallback('s', 'k', f, {{'{WANTED}': None}})\n"
    );
    Plugin::source(name, &text)
}

/// An edit of a helper module is an edit of all that imported it: they are loaded anew, one that is
/// held goes on with the event that failed, one that does not load goes on running. Others are left
/// alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_helper_module_reloads_the_plugins_that_imported_it() -> Result<()> {
    let lib = tempfile::tempdir()?;
    let studio = lib.path().join("studio").join("__init__.py");
    std::fs::create_dir(lib.path().join("studio"))?;
    replace(&studio, "NAME = 'one'\n")?;
    let mut world = world()
        .setting("defaults", "import_paths", &format!("[{:?}]", lib.path()))
        .plugin(importer("uses", false))
        .plugin(importer("stops", true))
        .start()
        .await?;
    shows(&world, "ready", |s| {
        is(s, "uses", "running") && is(s, "stops", "running")
    })
    .await?;
    let first = happen(world.site());
    says(&mut world, &format!("{first} has one"), 1).await?;
    let status = shows(&world, "held", |s| is(s, "stops", "held")).await?;
    let quick = plugin(&status, "quick")["pid"].clone();
    let shown = json_of(&world, "plugin", &["show", "uses"]).await?;
    assert_eq!(
        shown["helpers"],
        serde_json::json!([studio.display().to_string()])
    );

    // Away for a moment, and back as it was; nothing of that is an edit.
    let away = studio.with_extension("away");
    std::fs::rename(&studio, &away)?;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    std::fs::rename(&away, &studio)?;

    replace(&studio, "NAME = 'two'\n")?;
    says(&mut world, "which it imports, changed.", 2).await?;
    // The held one begins with the event that failed.
    says(&mut world, &format!("{first} has two"), 1).await?;
    let second = happen(world.site());
    says(&mut world, &format!("{second} has two"), 2).await?;

    // One that does not load leaves the old code running; mended, it is loaded again.
    replace(&studio, "NAME = (\n")?;
    says(&mut world, "the code that ran before keeps running", 2).await?;
    let third = happen(world.site());
    says(&mut world, &format!("{third} has two"), 2).await?;
    replace(&studio, "NAME = 'four'\n")?;
    says(&mut world, "which it imports, changed.", 6).await?;
    shows(&world, "ready again", |s| {
        is(s, "uses", "running") && plugin(s, "uses")["why"].is_null()
    })
    .await?;
    let fourth = happen(world.site());
    says(&mut world, &format!("{fourth} has four"), 2).await?;
    let status = world.status().await?;
    assert_eq!(
        plugin(&status, "quick")["pid"],
        quick,
        "it imported nothing"
    );
    assert_eq!(lines(&world, "its file changed"), 0, "{}", world.log());
    Ok(())
}

/// A folder with an `__init__.py` is a package, whatever it defines, and no plugin.
#[tokio::test(flavor = "multi_thread")]
async fn a_package_in_a_plugins_folder_is_no_plugin_but_a_helper() -> Result<()> {
    let text = "import os, sys\nsys.path.insert(0, os.path.dirname(__file__))\nimport tools\n\
                def registerCallbacks(reg):\n    tools.registerCallbacks(reg)\n";
    let mut world = world().prepare().await?;
    let package = world.folder().join("plugins/tools");
    std::fs::create_dir(&package)?;
    let tools = |name: &str| {
        format!(
            "def {name}(sg, logger, event, args):\n    logger.info('%s in {name}', event['id'])\n\
             def registerCallbacks(reg):\n    reg.registerCallback('s', 'k', {name}, {{'{WANTED}': None}})\n"
        )
    };
    std::fs::write(package.join("__init__.py"), tools("first"))?;
    world.install(Plugin::source("uses", text))?;
    world.restart()?;
    let status = shows(&world, "ready", |s| is(s, "uses", "running")).await?;
    assert_eq!(plugin(&status, "tools"), &serde_json::Value::Null);
    assert_eq!(plugin(&status, "__init__"), &serde_json::Value::Null);
    replace(&package.join("__init__.py"), &tools("second"))?;
    let second = |s: &serde_json::Value| plugin(s, "uses")["callbacks"][0]["name"] == "second";
    shows(&world, "the edited package", second).await?;
    let event = happen(world.site());
    says(&mut world, &format!("{event} in second"), 1).await
}
