//! How plugins' processes are started: forked by preloaded parents, or by themselves.
#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use slated_testkit::plugins::{Callback, Plugin};

use crate::{
    LIMIT, Value, WANTED, begins, edit, happen, is, lines, loads, plugin, runs, says, shows, world,
};

fn callback() -> Callback {
    Callback::new("f").wants(WANTED)
}

/// Returns the process and the parent of what loaded a plugin last.
fn process(status: &Value, name: &str) -> Result<(u32, u32)> {
    let pid = plugin(status, name)["pid"].as_u64().context("no process")?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").context("no stat")?;
    let parent = rest.split(' ').nth(1).context("no parent")?;
    Ok((u32::try_from(pid)?, parent.parse()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preloaded_parent_that_is_killed_harms_no_plugin() -> Result<()> {
    let mut world = world()
        .plugin(Plugin::journal("edited").callback(callback()))
        .plugin(Plugin::journal("killed").callback(callback()))
        .start()
        .await?;
    let first = happen(world.site());
    for name in ["edited", "killed"] {
        begins(&mut world, name, first, 1).await?;
    }
    let status = world.status().await?;
    let (_, parent) = process(&status, "edited")?;
    assert_eq!(process(&status, "killed")?.1, parent);
    let line = std::fs::read_to_string(format!("/proc/{parent}/cmdline"))?;
    ensure!(line.ends_with("--preload\0"), "it was not forked: {line:?}");

    // Who runs, runs on.
    let killed = Command::new("kill")
        .args(["-KILL", &parent.to_string()])
        .status()?;
    ensure!(killed.success(), "the parent cannot be killed");
    let second = happen(world.site());
    for name in ["edited", "killed"] {
        begins(&mut world, name, second, 1).await?;
        assert_eq!(loads(&world, name)?.len(), 1);
    }

    // A death is seen, though nobody can say which; new processes have a new parent.
    ensure!(world.kill_worker("killed")?, "no process to kill");
    says(
        &mut world,
        "plugins/killed: its process died (an unknown end)",
        1,
    )
    .await?;
    edit(&world, "edited")?;
    let third = happen(world.site());
    for name in ["edited", "killed"] {
        begins(&mut world, name, third, 1).await?;
    }
    let both = |s: &Value| is(s, "killed", "running") && is(s, "edited", "running");
    let status = shows(&world, "both again", both).await?;
    let (_, next) = process(&status, "killed")?;
    assert!(runs(next) && next != parent);
    assert_eq!(lines(&world, "it ended (signal 9 (SIGKILL))"), 1);
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(6)
}

/// Makes a Python in a folder of its own that is the tests' by a link; returns the link.
fn linked_python(folder: &std::path::Path) -> Result<(PathBuf, PathBuf)> {
    let real =
        PathBuf::from(std::env::var_os("SLATED_TEST_PYTHON").unwrap_or_else(|| "python3".into()));
    let asked = Command::new(real)
        .args(["-c", "import sys; print(sys.executable)"])
        .output()?;
    let real = PathBuf::from(String::from_utf8(asked.stdout)?.trim());
    let link = folder.join("bin/python");
    std::fs::create_dir(folder.join("bin"))?;
    std::os::unix::fs::symlink(&real, &link)?;
    // One of a virtual environment finds its packages beside itself.
    let home = real
        .parent()
        .and_then(|bin| bin.parent())
        .context("no home")?;
    if home.join("pyvenv.cfg").is_file() {
        std::fs::copy(home.join("pyvenv.cfg"), folder.join("pyvenv.cfg"))?;
        std::os::unix::fs::symlink(home.join("lib"), folder.join("lib"))?;
    }
    Ok((link, real))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_whose_python_vanished_says_which_key_names_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (link, real) = linked_python(folder.path())?;
    let mut world = world()
        .setting("plugin.own", "python", &format!("{link:?}"))
        .plugin(Plugin::journal("own").callback(callback()))
        .start()
        .await?;
    let first = happen(world.site());
    begins(&mut world, "own", first, 1).await?;
    std::fs::remove_file(&link)?;
    ensure!(world.kill_worker("own")?, "no process to kill");
    let status = shows(&world, "broken", |s| is(s, "own", "broken")).await?;
    let why = plugin(&status, "own")["why"].to_string();
    let words = format!("cannot start {}", link.display());
    for words in ["slated.toml:", "plugin.", "own", ".python`", &words] {
        assert!(why.contains(words), "{words:?} in {why}");
    }
    assert_eq!(
        lines(&world, "plugins/own: its process cannot be started"),
        1
    );

    std::os::unix::fs::symlink(&real, &link)?;
    let second = happen(world.site());
    edit(&world, "own")?;
    begins(&mut world, "own", second, 1).await?;
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(4)
}
