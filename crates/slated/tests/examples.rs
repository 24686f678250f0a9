//! The example plugins keep what they promise: twice is once, late is no harm, their own writes
//! are not answered. `examples.py` calls them, as either daemon does, on the simulator.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use slated_sim::{SCRIPTS, Server, Site, SiteOptions};
use slated_testkit::World;
use slated_testkit::plugins::Plugin;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples.py");
const PLUGINS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/plugins");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_keep_what_they_promise() -> anyhow::Result<()> {
    let server = Server::start(Site::new(SiteOptions::default()), "127.0.0.1:0").await?;
    let mut python = Command::new(slated_testkit::python::interpreter()?);
    let work = tempfile::tempdir()?;
    python.arg(SCRIPT).arg(PLUGINS).arg(server.url());
    python.arg(work.path());
    for script in SCRIPTS.iter().filter(|script| **script != "slated") {
        python.arg(format!("{script}={}", server.key(script)));
    }
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tokio::task::spawn_blocking(move || python.output()).await??;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    // It names how many parts it has been through; none may be left out.
    assert!(
        output.status.success() && said.ends_with("18 parts passed\n"),
        "{said}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_them_run_under_the_daemon_side_by_side() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let scripts: Vec<_> = SCRIPTS.iter().filter(|s| **s != "slated").collect();
    let mut builder = World::builder(env!("CARGO_BIN_EXE_slated"))
        .setting("defaults", "env_pass", "[\"*\"]")
        .env("FOLDERS_FOR_SHOT_ROOT", &work.path().to_string_lossy())
        .env("MOVIE_OF_VERSION_COMMAND", "cp {frames} {movie}");
    for script in &scripts {
        let name = format!("SGDAEMON_{}_NAME", script.to_uppercase());
        builder = builder.env(&name, script);
        let text = std::fs::read_to_string(Path::new(PLUGINS).join(format!("{script}.py")))?;
        builder = builder.plugin(Plugin::source(script, &text));
    }
    let mut world = builder.prepare().await?;
    for script in &scripts {
        let key = world.site().key(script).unwrap_or_default();
        world.set_variable(
            &format!("SGDAEMON_{}_KEY", script.to_uppercase()),
            Some(&key),
        );
    }
    world.restart()?;
    let limit = Duration::from_secs(30);
    let end = tokio::time::Instant::now() + limit;
    while running(&world).await? < scripts.len() {
        let late = tokio::time::Instant::now() > end;
        anyhow::ensure!(!late, "not all of them run:\n{}", world.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let frames = work.path().join("frames%04d.exr");
    std::fs::write(&frames, "frames")?;
    let frames = frames.to_string_lossy();
    let site = world.site();
    let (shot, version) = (3, 1);
    for (kind, id, fields) in [
        ("Version", version, json!({"sg_path_to_frames": frames})),
        ("Version", version, json!({"sg_status_list": "apr"})),
        ("Shot", shot, json!({"sg_status_list": "hld"})),
    ] {
        site.update(kind, id, fields, "ada")?;
    }
    let project = json!({"type": "Project", "id": 1});
    let sequence = json!({"type": "Sequence", "id": 1});
    let made = json!({"code": "CK10_090", "project": project, "sg_sequence": sequence});
    site.create("Shot", made, "ada")?;
    // No address of a chat is given.
    for words in [
        "COORDINATOR_CHAT_URL is not set",
        "The movie of CK10_010_anim_v001 is ",
        "says that CK10_010_anim_v001 is approved",
        "is apr now, as CK10_010_anim_v001",
        "Tasks of CK10_030 are hld now",
        "copper_kettle/CK10/CK10_090: 4 folders made",
    ] {
        world
            .until(words, limit, |world| Ok(said(world).contains(words)))
            .await?;
    }
    let said = said(&world);
    assert!(!said.contains("ERROR"), "{said}");
    Ok(())
}

/// A line for each status, once, whatever comes between; and none in a dry run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_one_without_python_writes_each_status_once() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let journal = work.path().join("away/journal");
    let mut world = World::builder(env!("CARGO_BIN_EXE_slated"))
        .setting("defaults", "env_pass", "[\"STATUS_JOURNAL\"]")
        .setting("defaults", "within", "\"15s\"")
        .env("STATUS_JOURNAL", &journal.to_string_lossy())
        .prepare()
        .await?;
    let plugins = world.folder().join("plugins");
    for name in ["status_journal.sh", "status_journal.plugin.toml"] {
        // With its mode.
        std::fs::copy(Path::new(PLUGINS).join(name), plugins.join(name))?;
    }
    world.restart()?;
    let limit = Duration::from_secs(30);
    world
        .until("ready", limit, |world| {
            Ok(world.log().contains("plugins/status_journal: new; gets"))
        })
        .await?;

    // Its folder is not there yet: what fails so is tried again, and nothing overtakes it.
    let status = |world: &World, to: &str| {
        world
            .site()
            .update("Version", 1, json!({"sg_status_list": to}), "ada")
    };
    status(&world, "na")?;
    world
        .until("a failure", limit, |world| {
            Ok(world.log().contains("cannot be written"))
        })
        .await?;
    status(&world, "apr")?;
    std::fs::create_dir(work.path().join("away"))?;
    let lines = || -> Vec<String> {
        let text = std::fs::read_to_string(&journal).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    world
        .until("two lines", limit, |_| Ok(lines().len() >= 2))
        .await?;

    // One by one, across a kill.
    world.kill9().await?;
    status(&world, "rev")?;
    world.restart()?;
    world
        .until("three lines", limit, |_| Ok(lines().len() >= 3))
        .await?;
    let written = lines();
    assert_eq!(written.len(), 3, "{written:?}");
    for (line, to) in written.iter().zip(["na", "apr", "rev"]) {
        assert!(line.contains(&format!(" Version 1 is {to} [")), "{line}");
    }

    let flags = "--type Shotgun_Version_Change --attribute sg_status_list --entity Version:1 --new fin --offline";
    let plugin = plugins.join("status_journal.plugin.toml");
    let plugin = plugin.to_string_lossy();
    let arguments: Vec<_> = std::iter::once(&*plugin).chain(flags.split(' ')).collect();
    let tried = world.command("try", &arguments).await?;
    let said = [tried.stdout, tried.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(tried.status.success(), "{said}");
    assert!(
        said.contains("would append: ") && said.contains("is fin ["),
        "{said}"
    );
    assert_eq!(lines().len(), 3);
    Ok(())
}

/// How many plugins run.
async fn running(world: &World) -> anyhow::Result<usize> {
    // Before it listens, or has found its plugins, it cannot say.
    let Ok(status) = world.status().await else {
        return Ok(0);
    };
    let plugins = status["plugins"].as_array();
    let runs = |plugin: &&serde_json::Value| plugin["state"] == "running" && plugin["lag"] == 0;
    Ok(plugins.map_or(0, |all| all.iter().filter(runs).count()))
}

fn said(world: &World) -> String {
    std::fs::read_to_string(world.folder().join("daemon.log")).unwrap_or_default()
}
