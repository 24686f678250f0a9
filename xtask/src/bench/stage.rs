//! A site, plugins and a daemon in a folder of their own.
//!
//! Invariant: no process and no file outlives the stage.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::LOOK;
use super::cost::Cost;
use super::options::{KINDS, Load, Wanted};
use super::status::Status;
use crate::python;

/// The variable that holds the key of the daemon's script.
const KEY: &str = "SLATED_SITE_KEY";
/// The configuration of the Python daemon.
const CONF: &str = "shotgunEventDaemon.conf";
/// How long a daemon may take to stop.
const STOP: Duration = Duration::from_secs(40);

/// What a run is measured on.
pub(super) struct Stage {
    slated: PathBuf,
    key: String,
    /// The name of the configuration.
    config: &'static str,
    daemon: Option<Running>,
    sim: Running,
    /// What the simulator cost before the daemon came.
    pub(super) sim_before: Cost,
    /// Declared last: removed when nobody uses it.
    folder: Folder,
}

/// A process that is killed with its handle.
struct Running(Child);

/// A folder that is removed with its handle.
struct Folder(PathBuf);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Best effort: workers of a killed daemon may still be writing.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

impl Stage {
    /// Starts the simulator and writes plugins and configuration.
    pub(super) fn set(slated: &Path, load: &Load) -> Result<Self> {
        let folder =
            Folder(std::env::temp_dir().join(format!("slated-bench-{}", std::process::id())));
        let plugins = folder.0.join("plugins");
        std::fs::create_dir_all(&plugins)
            .with_context(|| format!("cannot make {}", plugins.display()))?;
        let mut sim = Command::new(slated)
            .args(["sim", "--json", "--age", "10d"])
            .args(load.even.then_some("--mix=even"))
            .arg("--events")
            .arg(load.events.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map(Running)
            .with_context(|| format!("cannot start {}", slated.display()))?;
        let mut first = String::new();
        let said = sim.0.stdout.take().context("the simulator has no stdout")?;
        BufReader::new(said).read_line(&mut first)?;
        let site: Value = serde_json::from_str(&first).context("the simulator's first line")?;
        let text = |name: &str| site[name].as_str().unwrap_or_default().to_owned();
        for number in 0..load.plugins {
            let file = plugins.join(format!("plugin_{number:02}.py"));
            std::fs::write(&file, plugin(number, load))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        let python = python::prepare()?;
        let site = (text("url"), text("script"));
        let (name, config) = if load.toml {
            ("slated.toml", toml(&site, &python, load))
        } else {
            (CONF, conf(&site, &folder.0, &python, load))
        };
        std::fs::write(folder.0.join(name), config)?;
        Ok(Self {
            slated: slated.to_owned(),
            key: text("key"),
            config: name,
            daemon: None,
            sim_before: Cost::of(sim.0.id())?,
            sim,
            folder,
        })
    }

    /// Starts the daemon; returns when.
    pub(super) fn start(&mut self) -> Result<Instant> {
        let log = File::create(self.log()).context("cannot write the daemon's log")?;
        let mut command = Command::new(&self.slated);
        command
            .args(["run", "--config"])
            .arg(self.folder.0.join(self.config))
            .env(KEY, &self.key)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let begun = Instant::now();
        let daemon = command.spawn().context("cannot start the daemon")?;
        self.daemon = Some(Running(daemon));
        Ok(begun)
    }

    /// Asks the daemon how it is; `None` while it does not answer yet.
    pub(super) fn ask(&mut self) -> Result<Option<Status>> {
        let daemon = self.daemon.as_mut().context("no daemon runs")?;
        if let Some(status) = daemon.0.try_wait()? {
            bail!("the daemon ended: {status}\n{}", self.last_words());
        }
        let state = if self.config == CONF {
            "daemon.id.slated"
        } else {
            "state"
        };
        let status = Status::ask(&self.folder.0.join(state).join("control.sock"))?;
        if let Some(trouble) = status.as_ref().and_then(|s| s.trouble.as_ref()) {
            bail!("a plugin is not well: {trouble}\n{}", self.last_words());
        }
        Ok(status)
    }

    /// Returns the daemon's process.
    pub(super) fn daemon(&self) -> Result<u32> {
        let daemon = self.daemon.as_ref().context("no daemon runs")?;
        Ok(daemon.0.id())
    }

    /// Returns the simulator's process.
    pub(super) fn sim(&self) -> u32 {
        self.sim.0.id()
    }

    /// Stops the daemon as a service manager would.
    pub(super) fn end(mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("no daemon runs")?;
        let pid = daemon.0.id().to_string();
        ensure!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()?
                .success(),
            "the daemon cannot be signalled"
        );
        let until = Instant::now() + STOP;
        while Instant::now() < until {
            if let Some(status) = daemon.0.try_wait()? {
                ensure!(
                    status.success(),
                    "the daemon ended with {status}\n{}",
                    self.last_words()
                );
                return Ok(());
            }
            sleep(LOOK);
        }
        bail!("the daemon did not stop\n{}", self.last_words())
    }

    /// Returns the end of the daemon's log.
    pub(super) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(20);
        lines.get(from..).unwrap_or_default().join("\n")
    }

    fn log(&self) -> PathBuf {
        self.folder.0.join("daemon.log")
    }
}

/// Writes a plugin whose callback does nothing, or sleeps.
fn plugin(number: usize, load: &Load) -> String {
    let wanted = match load.wanted {
        Wanted::Kinds(count) => {
            let kind = KINDS.iter().take(count).cycle().nth(number);
            format!("{{{:?}: ['*']}}", kind.copied().unwrap_or_default())
        }
        Wanted::All => "{}".to_owned(),
        Wanted::Nothing => "{'Nobody_Makes_This': ['*']}".to_owned(),
    };
    let body = match load.callback_ms {
        0 => "pass".to_owned(),
        ms => format!("time.sleep({})", ms as f64 / 1000.0),
    };
    format!(
        "import time\n\n\n\
         def registerCallbacks(reg):\n    \
             reg.registerCallback('bench', 'bench', callback, {wanted}, None)\n\n\n\
         def callback(sg, logger, event, args):\n    {body}\n"
    )
}

fn toml((url, script): &(String, String), python: &Path, load: &Load) -> String {
    let python = python.to_string_lossy();
    let order = load.order.as_deref().unwrap_or("independent");
    format!(
        "[site]\nurl = {url:?}\nscript = {script:?}\nkey = {{ env = \"{KEY}\" }}\n\n\
         [state]\nfolder = \"state\"\nnew_plugins = \"id:1\"\n\n\
         [plugins]\nfolders = [\"plugins\"]\norder = {order:?}\n\n\
         [defaults]\npython = {python:?}\n"
    )
}

/// Writes the file as the Python daemon ships it, but for the places, and where plugins start.
fn conf((url, script): &(String, String), folder: &Path, python: &Path, load: &Load) -> String {
    let (folder, python) = (folder.display(), python.display());
    let order = load.order.as_deref().unwrap_or("pipelined");
    format!(
        "[daemon]\npidFile: {folder}/daemon.pid\neventIdFile: {folder}/daemon.id\n\
         logMode: 0\nlogPath: {folder}\nlogFile: shotgunEventDaemon\nlogging: 20\n\
         conn_retry_sleep: 60\nmax_conn_retries: 5\nfetch_interval: 5\n\
         max_event_batch_size: 500\n\n\
         [shotgun]\nserver: {url}\nname: {script}\nkey: %({KEY})s\nuse_session_uuid: True\n\n\
         [plugins]\npaths: {folder}/plugins\n\n[emails]\nenabled: no\n\n\
         [slated]\npython = {python}\nnew_plugins = id:1\norder = {order}\n"
    )
}
