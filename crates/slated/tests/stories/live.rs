//! The configuration is edited while slated runs, and who hears of that: people, logs, the service
//! manager.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use slated_testkit::World;
use slated_testkit::plugins::{Callback, Plugin};

use crate::{
    LIMIT, SLATED, WANTED, begins, happen, is, json_of, lines, loads, plugin, said, says, shows,
    signal, world,
};

/// Rewrites the configuration by an edit of its text.
fn configure(world: &World, edit: impl FnOnce(String) -> String) -> Result<()> {
    let path = world.folder().join("slated.toml");
    let text = edit(std::fs::read_to_string(&path)?);
    // As editors do it: nobody reads half a file.
    let new = world.folder().join("slated.toml~");
    std::fs::write(&new, text)?;
    Ok(std::fs::rename(new, path)?)
}

/// The keys of a list of an answer.
fn keys(list: &serde_json::Value) -> Vec<&str> {
    let keys = list.as_array().map(Vec::as_slice).unwrap_or_default();
    keys.iter().filter_map(|key| key["key"].as_str()).collect()
}

/// Appends the value of a variable to a file at every load.
fn tells(variable: &str, file: &Path) -> String {
    let file = file.to_string_lossy();
    format!(
        "import os\n\n\
         def registerCallbacks(reg):\n    \
             with open({file:?}, 'a') as out:\n        \
                 out.write(os.environ.get({variable:?}, 'none') + '\\n')\n    \
             reg.registerCallback('s', 'k', ignore, {{'{WANTED}': None}})\n\n\
         def ignore(sg, logger, event, args):\n    pass\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_holds_at_once_where_it_can_and_the_rest_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let told = folder.path().join("told");
    let mut world = world()
        .plugin(Plugin::source("show", &tells("SHOW", &told)))
        .start()
        .await?;
    let loaded = shows(&world, "ready", |s| {
        is(s, "quick", "running") && is(s, "show", "running")
    });
    loaded.await?;
    let nothing = world.ask("reload", &[]).await?;
    assert!(nothing.contains("nothing has changed"), "{nothing}");

    configure(&world, |text| {
        text.replace("tick = \"100ms\"", "tick = \"200ms\"")
            + "\n[plugin.show]\nenv = { SHOW = 'dune' }\nretry = 'all'\n[log]\nlevel = 'debug'\n"
    })?;
    let answer = json_of(&world, "reload", &[]).await?;
    assert_eq!(
        keys(&answer["applied"]),
        ["log.level", "plugin.\"show\".env", "plugin.\"show\".retry"]
    );
    assert_eq!(keys(&answer["restart"]), ["site.tick"], "{answer}");
    assert_eq!(answer["plugins"], json!(["plugins/show"]));
    let wanted = "the new process has the new variable";
    let has = |_: &World| Ok(std::fs::read_to_string(&told).is_ok_and(|t| t == "none\ndune\n"));
    world.until(wanted, LIMIT, has).await?;
    // The log's new level, too; and nobody else was loaded again.
    let event = happen(world.site());
    begins(&mut world, "quick", event, 1).await?;
    says(&mut world, &format!("Dispatching event {event}"), 1).await?;
    assert_eq!(loads(&world, "quick")?.len(), 1);

    // What needs no process loads none; what waits for a restart is named again.
    configure(&world, |text| text.replace("'all'", "'none'"))?;
    let answer = json_of(&world, "reload", &[]).await?;
    assert_eq!(keys(&answer["applied"]), ["plugin.\"show\".retry"]);
    assert_eq!(keys(&answer["restart"]), ["site.tick"]);
    assert_eq!(answer["plugins"], json!([]));

    // What is taken out is told as such.
    configure(&world, |text| text.replace("retry = 'none'\n", ""))?;
    let answer = json_of(&world, "reload", &[]).await?;
    assert_eq!(answer["applied"][0]["set"], false, "{answer}");
    assert_eq!(answer["restart"][0]["set"], true, "{answer}");

    // What a start would refuse changes nothing, and says why.
    for (wrong, words) in [
        ("[mail]\nserver = 'localhost'\n", "`mail.server` needs"),
        ("[plugin.quick]\nretyr = 'all'\n", "did you mean"),
        // Though it would hold from the next start on only.
        ("[control]\ngroup = 'no-such-group'\n", "no-such-group"),
        ("[log]\nfolder = '/dev/null/logs'\n", "/dev/null/logs"),
    ] {
        let before = std::fs::read_to_string(world.folder().join("slated.toml"))?;
        configure(&world, |text| match wrong.strip_prefix("[log]") {
            Some(key) => text.replace("[log]", &format!("[log]{key}")),
            None => text + wrong,
        })?;
        let refused = world.command("reload", &[]).await?;
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(3), "{error}");
        assert!(error.contains(words), "{error}");
        configure(&world, |_| before)?;
    }
    let event = happen(world.site());
    begins(&mut world, "quick", event, 1).await?;
    assert_eq!(loads(&world, "quick")?.len(), 1);
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(2)?;
    let gone = world.command("reload", &[]).await?;
    assert_eq!(gone.status.code(), Some(2));
    let error = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(error.contains("no slated runs"), "{error}");
    Ok(())
}

/// SIGHUP under load: whatever is loaded again, no event is lost, doubled or out of order.
#[tokio::test(flavor = "multi_thread")]
async fn edits_under_load_lose_and_double_nothing() -> Result<()> {
    let slow = Callback::new("f").wants(WANTED);
    let slow = slow.sleeps(Duration::from_millis(3));
    let mut world = world()
        .plugin(Plugin::journal("busy").callback(slow))
        .start()
        .await?;
    shows(&world, "ready", |s| {
        is(s, "busy", "running") && is(s, "quick", "running")
    })
    .await?;
    let pid = world.status().await?["pid"].as_u64().context("a pid")?;
    let pid = u32::try_from(pid)?;
    configure(&world, |text| {
        text + "\n[plugin.busy]\nenv = { ROUND = '0' }\n"
    })?;
    let mut events = 0;
    for round in 1..=6 {
        for _ in 0..40 {
            happen(world.site());
            events += 1;
        }
        let old = format!("'{}'", round - 1);
        configure(&world, |text| text.replace(&old, &format!("'{round}'")))?;
        signal(Some(pid), Signal::HUP)?;
        says(&mut world, "in effect from now on", round).await?;
    }
    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    verdict.kept(2 * events)?;
    assert_eq!(verdict.bodies, verdict.units, "nothing twice: {verdict}");
    assert_eq!(loads(&world, "quick")?.len(), 1, "{}", said(&world));
    assert!(loads(&world, "busy")?.len() > 2);
    assert_eq!(lines(&world, "does not hold"), 0);
    Ok(())
}

/// Writes a file that can be run.
fn script(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)?;
    Ok(std::fs::set_permissions(
        path,
        Permissions::from_mode(0o755),
    )?)
}

/// What a service manager hears, in order.
struct Manager(UnixDatagram);

impl Manager {
    fn listens(at: &Path) -> Result<Self> {
        let socket = UnixDatagram::bind(at)?;
        socket.set_read_timeout(Some(LIMIT))?;
        Ok(Self(socket))
    }
    /// Waits for a message with this line; returns what came until then, it included.
    fn hears(&self, line: &str) -> Result<Vec<String>> {
        let mut heard = Vec::new();
        loop {
            let mut buffer = [0; 4096];
            let size = self.0.recv(&mut buffer);
            let size = size.with_context(|| format!("{line} did not come, but {heard:?}"))?;
            let text = String::from_utf8_lossy(&buffer[..size]).into_owned();
            let found = text.lines().any(|own| own == line);
            heard.push(text);
            if found {
                return Ok(heard);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_hears_of_every_turn_and_plugins_cannot_speak_for_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (socket, told) = (folder.path().join("notify"), folder.path().join("told"));
    let manager = Manager::listens(&socket)?;
    let mut world = world()
        .conf(|_| {})
        .plugin(Plugin::source("show", &tells("NOTIFY_SOCKET", &told)))
        .env("NOTIFY_SOCKET", &socket.to_string_lossy())
        .env("WATCHDOG_USEC", "300000")
        .start()
        .await?;
    let ready = manager.hears("READY=1")?;
    assert!(!ready.iter().any(|text| text.contains("RELOADING")));
    // Signs of life come by themselves, with how things are.
    shows(&world, "ready", |s| is(s, "show", "running")).await?;
    manager.hears("STATUS=Plugins: 2 running.")?;
    for _ in 0..3 {
        manager.hears("WATCHDOG=1")?;
    }
    let text = std::fs::read_to_string(&told)?;
    assert_eq!(text, "none\n", "the whole environment passes, but not that");

    let pid = world.status().await?["pid"].as_u64().context("a pid")?;
    let pid = Some(u32::try_from(pid)?);
    signal(pid, Signal::HUP)?;
    let reload = manager.hears("RELOADING=1")?;
    let last = reload.last().context("a message")?;
    ensure!(last.contains("MONOTONIC_USEC="), "{last}");
    manager.hears("READY=1")?;
    signal(pid, Signal::TERM)?;
    manager.hears("STOPPING=1")?;
    world.ended().await
}

/// A first process of a container has no other that waits for what plugins leave behind.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn as_the_first_process_it_takes_the_orphans() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let first = folder.path().join("first");
    // Orphans come to a child subreaper as they do to the first process.
    let python = slated_testkit::python::interpreter()?;
    let text = format!(
        "#!{}\nimport ctypes, os, sys\n\
         assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0\n\
         os.execv({SLATED:?}, [{SLATED:?}] + sys.argv[1:])\n",
        python.display()
    );
    script(&first, &text)?;
    let orphan = folder.path().join("orphan");
    let leaves = format!(
        "import subprocess\n\n\
         def registerCallbacks(reg):\n    \
             reg.registerCallback('s', 'k', leave, {{'{WANTED}': None}})\n\n\
         def leave(sg, logger, event, args):\n    \
             subprocess.check_call(['setsid', '-f', 'sh', '-c', 'echo $$ > {}'])\n",
        orphan.display()
    );
    let mut world = World::builder(&first)
        .plugin(Plugin::source("leaves", &leaves))
        .plugin(Plugin::journal("quick"))
        .start()
        .await?;
    shows(&world, "ready", |s| is(s, "leaves", "running")).await?;
    let slated = world.status().await?["pid"].as_u64().context("a pid")?;
    let parent = |pid: u64| -> Option<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let init = parent(slated).context("its parent")?;
    let event = happen(world.site());
    begins(&mut world, "quick", event, 1).await?;
    let gone = |_: &World| {
        let text = std::fs::read_to_string(&orphan).unwrap_or_default();
        let pid = text.trim().parse::<u64>().ok();
        // Not even a zombie is left.
        Ok(pid.is_some_and(|pid| parent(pid).is_none()))
    };
    world.until("the orphan is gone", LIMIT, gone).await?;
    // A stop of the first process is a clean stop of slated, and its end.
    assert_eq!(parent(slated), Some(init));
    assert!(world.terminate().await?.success());
    assert!(parent(init).is_none() && parent(slated).is_none());
    Ok(())
}

/// What single plugins lack is theirs to miss: an environment that is not mounted stops nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_python_or_folder_of_one_plugin_that_is_missing_stops_no_other() -> Result<()> {
    let mut world = world()
        .plugin(Plugin::journal("rez"))
        .plugin(Plugin::journal("placed"))
        .setting("plugin.rez", "python", "\"env/python\"")
        .setting("plugin.placed", "cwd", "\"mount/work\"")
        .prepare()
        .await?;
    world.restart()?;
    let broken = shows(&world, "two are broken", |s| {
        is(s, "quick", "running") && is(s, "rez", "broken") && is(s, "placed", "broken")
    });
    let status = broken.await?;
    for (name, words) in [
        (
            "rez",
            "`plugin.\"rez\".python`) cannot run plugins: it does not start",
        ),
        ("placed", "`plugin.\"placed\".cwd`"),
    ] {
        let why = plugin(&status, name)["why"]
            .to_string()
            .replace("\\\"", "\"");
        assert!(why.contains(words), "{why}");
    }
    let event = happen(world.site());
    begins(&mut world, "quick", event, 1).await?;
    // Whoever has it read again is told, too.
    let answer = json_of(&world, "reload", &[]).await?;
    let told = answer["warnings"].to_string();
    assert!(told.contains("env/python"), "{answer}");

    // The environment is mounted, and somebody says so.
    let env = world.folder().join("env");
    std::fs::create_dir_all(world.folder().join("mount/work"))?;
    std::fs::create_dir(&env)?;
    let python = slated_testkit::python::interpreter()?;
    script(
        &env.join("python"),
        &format!("#!/bin/sh\nexec {} \"$@\"\n", python.display()),
    )?;
    let answer = json_of(&world, "reload", &[]).await?;
    assert_eq!(answer["plugins"], json!(["plugins/placed", "plugins/rez"]));
    // What happened meanwhile is theirs, too.
    begins(&mut world, "rez", event, 1).await?;
    begins(&mut world, "placed", event, 1).await
}
