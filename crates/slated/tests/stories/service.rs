//! `start`, `stop`, `restart` and the pid file, as a studio's init script uses them.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use slated_testkit::plugins::{Callback, Plugin};
use slated_testkit::{Builder, World, python};

use crate::{LIMIT, WANTED, begins, begun, happen, lines, loads, runs, world};

/// A world with a `.conf` and its pid file.
fn studio() -> Builder {
    world().conf(|_| {})
}

fn pid_file(world: &World) -> PathBuf {
    world.folder().join("daemon.pid")
}

fn named(world: &World) -> Option<u32> {
    let text = std::fs::read_to_string(pid_file(world)).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that is to be refused with exit code 3; returns what it said.
async fn refused(world: &World, command: &str) -> Result<String> {
    refused_with(world, command, &[]).await
}

async fn refused_with(world: &World, command: &str, arguments: &[&str]) -> Result<String> {
    let output = world.command(command, arguments).await?;
    let said = stderr(&output);
    ensure!(output.status.code() == Some(3), "{}: {said}", output.status);
    Ok(said)
}

/// A process of somebody else.
struct Stranger(Child);

impl Stranger {
    fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        Ok(Self(command.spawn()?))
    }
    fn lives(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Writes down where it runs and with which umask.
const PLACE: &str = "\
import os

def registerCallbacks(reg):
    umask = os.umask(0)
    os.umask(umask)
    with open(os.environ['PLACE'], 'w') as out:
        out.write('%s %o' % (os.getcwd(), umask))
";

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_in_the_background_is_started_once_and_leaves_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("place");
    let mut world = studio()
        .plugin(Plugin::source("place", PLACE))
        .env("PLACE", &place.to_string_lossy())
        .prepare()
        .await?;
    // It returns though its pipes are read to their end.
    let said = world.start_service().await?;
    let pid = named(&world).context("a pid file")?;
    assert_eq!(world.services(), [pid]);
    assert!(
        said.ends_with(&format!("slated runs as process {pid}.\n")),
        "{said}"
    );
    assert!(!said.contains(" INFO "), "{said}");
    let status = world.status().await?;
    assert_eq!(status["pid"], pid);
    let wanted = "the plugin runs as under the Python daemon";
    world
        .until(wanted, LIMIT, |_| {
            Ok(std::fs::read_to_string(&place).is_ok_and(|text| text == "/ 0"))
        })
        .await?;
    // Its own files are not everybody's.
    let log = world.folder().join("logs/shotgunEventDaemon");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&log)?.permissions());
    assert_eq!(mode & 0o002, 0, "{mode:o}");

    for command in ["start", "run"] {
        let said = refused(&world, command).await?;
        let words = format!("slated runs already, as process {pid}");
        assert!(said.contains(&words) && said.contains("hint: "), "{said}");
    }
    happen(world.site());
    world.caught_up(LIMIT).await?;

    let said = world.stop_service().await?;
    assert_eq!(said, format!("slated (process {pid}) has stopped.\n"));
    assert!(!pid_file(&world).exists());
    for pid in [vec![pid], loads(&world, "quick")?].concat() {
        assert!(!runs(pid), "process {pid} is left");
    }
    let text = std::fs::read_to_string(log)?;
    assert!(text.contains("everything is on record"), "{text}");
    let said = world.stop_service().await?;
    assert_eq!(said, "No slated runs with this configuration.\n");
    world.verdict().await?.kept(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_says_why_as_run_does() -> Result<()> {
    let world = studio().prepare().await?;
    let plugins = world.folder().join("plugins");
    let elsewhere = world.folder().join("elsewhere");
    let error = |said: &str| {
        said.split_once("error: ")
            .map(|(_, error)| error.to_owned())
    };
    let both = async || -> Result<String> {
        let (start, run) = (
            refused(&world, "start").await?,
            refused(&world, "run").await?,
        );
        ensure!(error(&start) == error(&run), "{start}\n{run}");
        assert!(!pid_file(&world).exists() && world.services().is_empty());
        error(&start).context(start)
    };
    // What fails late: the daemon itself has begun to start.
    std::fs::rename(&plugins, &elsewhere)?;
    let said = both().await?;
    assert!(
        said.contains("does not exist") && said.contains("hint: "),
        "{said}"
    );
    std::fs::rename(&elsewhere, &plugins)?;
    // What fails early.
    let conf = world.folder().join("shotgunEventDaemon.conf");
    let text = std::fs::read_to_string(&conf)?;
    std::fs::write(&conf, text.replace("daemon.pid", "run/daemon.pid"))?;
    let said = both().await?;
    assert!(
        said.contains("run/daemon.pid cannot be written") && said.contains("hint: make its folder"),
        "{said}"
    );
    std::fs::write(&conf, text.replace("server:", "serves:"))?;
    let said = both().await?;
    assert!(said.contains("`[shotgun] server` is missing"), "{said}");
    // A restart with it stops nothing, and neither does it start anything.
    assert!(refused(&world, "restart").await?.contains("is missing"));
    Ok(())
}

/// What the new one would be refused for ends no old one: not the studio's events pay for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_would_be_refused_stops_nothing() -> Result<()> {
    let mut world = studio().prepare().await?;
    world.start_service().await?;
    let pid = named(&world).context("a pid file")?;
    let conf = world.folder().join("shotgunEventDaemon.conf");
    let text = std::fs::read_to_string(&conf)?;
    let url = world.url();

    std::fs::write(world.id_file(), "1\n")?;
    let said = refused(&world, "restart").await?;
    assert!(said.contains("slated began without it"), "{said}");
    assert!(said.contains("hint: `--state keep`"), "{said}");
    let keep = ["--state", "keep", "--python", "/nowhere/python"];
    let said = refused_with(&world, "restart", &keep).await?;
    assert!(said.contains("/nowhere/python"), "{said}");
    std::fs::remove_file(world.id_file())?;
    let said = refused_with(&world, "restart", &["--from-latest"]).await?;
    assert!(said.contains("has begun"), "{said}");
    assert!(text.contains(&url), "{text}");
    std::fs::write(&conf, text.replace(&url, "http://127.0.0.2:9"))?;
    let said = refused(&world, "restart").await?;
    assert!(said.contains("belongs to"), "{said}");
    let line = text.lines().find(|line| line.starts_with("logPath"));
    let line = line.context("a logPath")?;
    std::fs::write(&conf, text.replace(line, "logPath: /dev/null/logs"))?;
    let said = refused(&world, "restart").await?;
    assert!(said.contains("/dev/null/logs"), "{said}");
    std::fs::write(&conf, &text)?;

    assert_eq!((named(&world), world.services()), (Some(pid), vec![pid]));
    assert_eq!(loads(&world, "quick")?.len(), 1);
    happen(world.site());
    world.caught_up(LIMIT).await?;
    let output = world.command("restart", &[]).await?;
    ensure!(output.status.success(), "{}", stderr(&output));
    assert_ne!(named(&world), Some(pid));
    world.stop_service().await?;
    world.verdict().await?.kept(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_nobody_waits_for_any_more_ends() -> Result<()> {
    let world = studio().prepare().await?;
    let signal = |pid: u32, signal| -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(pid)?).context("pid")?;
        Ok(kill_process(pid, signal)?)
    };
    let begun = async {
        loop {
            if let [pid] = world.services()[..] {
                signal(pid, Signal::STOP)?;
                return anyhow::Ok(pid);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // Whoever waits for the start goes away, as with Ctrl-C.
    let pid = tokio::select! {
        output = world.command("start", &[]) => anyhow::bail!("{output:?}"),
        pid = begun => pid?,
    };
    signal(pid, Signal::CONT)?;
    let end = tokio::time::Instant::now() + LIMIT;
    while runs(pid) {
        ensure!(tokio::time::Instant::now() < end, "{}", log(&world));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let said = log(&world);
    assert!(
        said.contains("`slated start` was interrupted: stopping."),
        "{said}"
    );
    assert!(!pid_file(&world).exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pid_file_the_state_says_who_runs() -> Result<()> {
    let mut world = world().prepare().await?;
    let said = world.start_service().await?;
    let [pid] = world.services()[..] else {
        anyhow::bail!("{said}");
    };
    let state = std::fs::metadata(world.state())?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&state.permissions());
    assert_eq!(mode & 0o777, 0o700);
    let log = world.state().join("slated.log");
    let text = std::fs::read_to_string(log)?;
    assert!(text.contains(&format!("process {pid}) starts")), "{text}");
    assert!(refused(&world, "start").await?.contains(&format!("{pid}")));
    happen(world.site());
    world.caught_up(LIMIT).await?;
    let said = world.stop_service().await?;
    assert_eq!(said, format!("slated (process {pid}) has stopped.\n"));
    world.verdict().await?.kept(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_pid_file_stops_the_daemon() -> Result<()> {
    let mut world = studio().start().await?;
    assert_eq!(world.status().await?["pid"], named(&world).unwrap_or(0));
    happen(world.site());
    world.caught_up(LIMIT).await?;
    std::fs::remove_file(pid_file(&world))?;
    // By itself; asked to end after that, it would say so.
    let end = tokio::time::Instant::now() + LIMIT;
    while lines(&world, "everything is on record") == 0 {
        ensure!(tokio::time::Instant::now() < end, "{}", world.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(lines(&world, "The pid file was removed: stopping."), 1);
    world.ended().await?;
    world.restart()?;
    happen(world.site());
    world.caught_up(LIMIT).await?;
    assert!(named(&world).is_some());
    world.verdict().await?.kept(2)?;
    assert!(!pid_file(&world).exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_lose_and_repeat_nothing() -> Result<()> {
    let slow = Callback::new("f").sleeps(Duration::from_millis(20));
    let mut world = studio()
        .plugin(Plugin::journal("slow").callback(slow))
        .prepare()
        .await?;
    world.start_service().await?;
    let mut client = world.client(100, Duration::from_millis(10))?;
    let mut pids = world.services();
    for journalled in [20, 60, 100] {
        let what = "plugins work";
        world
            .until(what, LIMIT, |w| Ok(w.journal()?.len() > journalled))
            .await?;
        let output = world.command("restart", &[]).await?;
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("has stopped.\n"),
            "{}",
            stderr(&output)
        );
        pids.extend(world.services());
    }
    assert!(client.wait().await?.success(), "the client failed");
    world.caught_up(LIMIT).await?;
    pids.dedup();
    assert_eq!(pids.len(), 4, "{pids:?}");
    world.stop_service().await?;
    let verdict = world.verdict().await?;
    verdict.kept(100)?;
    assert_eq!(verdict.bodies, verdict.units, "{verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_stop_it_wait_for_the_callback_in_flight() -> Result<()> {
    let slow = Callback::new("f")
        .wants(WANTED)
        .sleeps(Duration::from_secs(2));
    let mut world = studio()
        .plugin(Plugin::journal("slow").callback(slow))
        .prepare()
        .await?;
    world.start_service().await?;
    let event = happen(world.site());
    begins(&mut world, "slow", event, 1).await?;
    let (first, second) = tokio::join!(world.command("stop", &[]), world.stop_service());
    let first = first?;
    assert!(first.status.success(), "{}", stderr(&first));
    for said in [stderr(&first), second?] {
        assert!(said.contains("callbacks in flight may finish"), "{said}");
        assert!(said.ends_with("has stopped.\n"), "{said}");
    }
    world.start_service().await?;
    world.caught_up(LIMIT).await?;
    assert_eq!(begun(&world, "slow", event)?, 1, "it had finished");
    world.stop_service().await?;
    world.verdict().await?.kept(2)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_35_a_stranger_with_the_number_of_a_killed_daemon_is_left_alone() -> Result<()> {
    let mut world = studio().prepare().await?;
    world.start_service().await?;
    assert_eq!(world.kill9_services().await?, 1);
    let mut stranger = Stranger::run("sleep", &["600"])?;
    let number = format!("{}\n", stranger.0.id());
    std::fs::write(pid_file(&world), &number)?;
    std::fs::write(world.state().join("lock"), &number)?;
    let said = world.stop_service().await?;
    assert_eq!(said, "No slated runs with this configuration.\n");
    world.start_service().await?;
    assert_ne!(std::fs::read_to_string(pid_file(&world))?, number);
    let log = std::fs::read_to_string(world.folder().join("logs/shotgunEventDaemon"))?;
    assert!(
        log.contains("a process that is another program's now"),
        "{log}"
    );

    // And where somebody writes it into the file of one that runs, the state still knows better.
    std::fs::write(pid_file(&world), &number)?;
    let said = world.stop_service().await?;
    assert!(said.ends_with("has stopped.\n"), "{said}");
    assert!(stranger.lives()?);
    happen(world.site());
    world.start_service().await?;
    world.caught_up(LIMIT).await?;
    world.stop_service().await?;
    world.verdict().await?.kept(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_python_daemon_is_neither_joined_nor_stopped() -> Result<()> {
    let mut world = studio().prepare().await?;
    let script = world.folder().join("shotgunEventDaemon.py");
    std::fs::write(
        &script,
        "import sys, time\nopen(sys.argv[2], 'w').close()\ntime.sleep(600)\n",
    )?;
    let here = world.folder().join("here");
    let script = script.to_string_lossy().into_owned();
    let mut daemon = Stranger::run(
        python::interpreter()?,
        &[&script, "start", &here.to_string_lossy()],
    )?;
    let runs = "the Python daemon runs";
    world.until(runs, LIMIT, |_| Ok(here.exists())).await?;
    let pid = daemon.0.id();
    std::fs::write(pid_file(&world), format!("{pid}\n"))?;
    for command in ["start", "run", "foreground", "stop", "restart"] {
        let said = refused(&world, command).await?;
        assert!(
            said.contains(&format!("process {pid}")),
            "{command}: {said}"
        );
        assert!(
            said.contains(&format!("{script} stop")),
            "{command}: {said}"
        );
    }
    assert!(daemon.lives()?);
    assert_eq!(named(&world), Some(pid));
    assert!(!world.state().exists(), "nothing was touched");
    // Nor is a file written that it would write over.
    let export = ["--export-state", "back.id"];
    let said = refused_with(&world, "migrate", &export).await?;
    assert!(said.contains(&format!("{script} stop")), "{said}");
    assert!(!world.folder().join("back.id").exists());
    daemon.0.kill()?;
    daemon.0.wait()?;
    let said = refused_with(&world, "migrate", &export).await?;
    assert!(said.contains("there is no state in"), "{said}");
    Ok(())
}

/// One of the things people and machines do, whatever another one does at the same time.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Start,
    Stop,
    Restart,
    Kill,
    RemovePidFile,
}

impl Deed {
    fn any(dice: &mut fastrand::Rng) -> Self {
        match dice.u8(0..10) {
            0..=2 => Self::Start,
            3..=4 => Self::Stop,
            5..=6 => Self::Restart,
            7..=8 => Self::Kill,
            _ => Self::RemovePidFile,
        }
    }
    async fn act(self, world: &World, after: Duration) -> Result<()> {
        tokio::time::sleep(after).await;
        let command = match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Kill => {
                world.kill9_services().await?;
                return Ok(());
            }
            Self::RemovePidFile => {
                // There may be none.
                std::fs::remove_file(pid_file(world)).ok();
                return Ok(());
            }
        };
        let limit = Duration::from_mins(1);
        let output = tokio::time::timeout(limit, world.command(command, &[])).await;
        let output = output.with_context(|| format!("{command} hangs"))??;
        let said = stderr(&output);
        // Another one's start, or another one's end, got in between.
        let fair = match output.status.code() {
            Some(0) => true,
            Some(1) => said.contains("before it ran"),
            Some(3) => said.contains("slated runs already") || said.contains("in use by"),
            _ => false,
        };
        ensure!(fair, "{command}: {}: {said}", output.status);
        Ok(())
    }
}

/// Starts, stops, restarts, kills and removals in any order, two at a time, while events happen:
/// none hangs, never do two daemons work, no stranger is touched, and nothing is lost.
///
/// `SLATED_RACES` says how many rounds, `SLATED_SEED` which ones.
#[tokio::test(flavor = "multi_thread")]
async fn starts_and_stops_may_race() -> Result<()> {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let rounds: u64 = number("SLATED_RACES").unwrap_or(10);
    let seed = number("SLATED_SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SLATED_SEED={seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let slow = Callback::new("f")
        .wants(WANTED)
        .sleeps(Duration::from_millis(100));
    let mut world = studio()
        .plugin(Plugin::journal("slow").callback(slow))
        .prepare()
        .await?;
    world.start_service().await?;
    let mut stranger = Stranger::run("sleep", &["6000"])?;
    let number = format!("{}\n", stranger.0.id());
    for round in 0..rounds {
        let event = happen(world.site());
        let context = |world: &World| format!("round {round}\n{}", log(world));
        // Now and then in the middle of the work.
        if dice.u8(0..3) == 0 {
            // One whose pid file was removed may be about to end.
            let end = tokio::time::Instant::now() + LIMIT;
            while !named(&world).is_some_and(|pid| world.services().contains(&pid)) {
                ensure!(tokio::time::Instant::now() < end, "{}", context(&world));
                Deed::Start.act(&world, Duration::ZERO).await?;
            }
            let begins = begins(&mut world, "slow", event, 1).await;
            begins.with_context(|| context(&world))?;
        }
        let deeds = [Deed::any(&mut dice), Deed::any(&mut dice)];
        let pauses = [(); 2].map(|()| Duration::from_millis(dice.u64(0..400)));
        // What a crash and a busy machine may leave behind.
        if dice.u8(0..4) == 0 && world.services().is_empty() {
            std::fs::write(pid_file(&world), &number)?;
            std::fs::write(world.state().join("lock"), &number)?;
        }
        let (one, two) = tokio::join!(
            deeds[0].act(&world, pauses[0]),
            deeds[1].act(&world, pauses[1])
        );
        let context = || format!("{deeds:?} {pauses:?} {}", context(&world));
        one.with_context(context)?;
        two.with_context(context)?;
        assert!(stranger.lives()?, "{}", context());
        // A stop that a removed file has begun may go on; it has let go of the file.
        let named = named(&world).filter(|pid| runs(*pid) && *pid != stranger.0.id());
        if let Some(pid) = named {
            let running = world.services();
            ensure!(running.contains(&pid), "{running:?}, {}", context());
        }
    }
    let output = world.command("restart", &[]).await?;
    ensure!(
        output.status.success(),
        "{}\n{}",
        stderr(&output),
        log(&world)
    );
    assert_eq!(world.services(), [named(&world).context("a pid file")?]);
    world.caught_up(LIMIT).await?;
    world.stop_service().await?;
    assert!(world.services().is_empty() && !pid_file(&world).exists());
    assert!(stranger.lives()?);
    for pid in loads(&world, "quick")? {
        assert!(!runs(pid), "worker {pid} is left");
    }
    let verdict = world.verdict().await?;
    eprintln!("{verdict}");
    verdict.kept(usize::try_from(rounds)?)
}

/// The end of the log's main file.
fn log(world: &World) -> String {
    let text = std::fs::read_to_string(world.folder().join("logs/shotgunEventDaemon"));
    let text = text.unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(60).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
