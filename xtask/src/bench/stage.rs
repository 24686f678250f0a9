//! A site, plugins and a daemon in a folder of their own.
//!
//! Invariant: no process and no file outlives the stage.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};

use super::LOOK;
use super::cost::Cost;
use super::files::{self, KEY};
use super::judge::{self, Journal};
use super::options::Load;
use super::site::Site;
use super::status::Status;
use crate::python;

/// The configuration of the Python daemon.
const CONF: &str = "shotgunEventDaemon.conf";
/// How long a daemon may take to stop.
const STOP: Duration = Duration::from_secs(40);

/// What a run is measured on.
pub(super) struct Stage {
    slated: PathBuf,
    pub(super) site: Site,
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
    ///
    /// The seed decides what the site leaves to chance.
    pub(super) fn set(slated: &Path, load: &Load, seed: usize) -> Result<Self> {
        let folder =
            Folder(std::env::temp_dir().join(format!("slated-bench-{}", std::process::id())));
        let plugins = folder.0.join("plugins");
        std::fs::create_dir_all(&plugins)
            .with_context(|| format!("cannot make {}", plugins.display()))?;
        let mut sim = Command::new(slated)
            .args(["sim", "--json", "--age", "10d"])
            .args(load.even.then_some("--mix=even"))
            .arg(format!("--latency={}ms", load.latency_ms))
            .arg(format!("--seed={seed}"))
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
        let site = Site::of(&first)?;
        for number in 0..load.plugins {
            let file = plugins.join(format!("plugin_{number:02}.py"));
            std::fs::write(&file, files::plugin(number, load))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        let python = python::prepare()?;
        let (name, config) = if load.toml {
            ("slated.toml", files::toml(&site, &python, load))
        } else {
            (CONF, files::conf(&site, &folder.0, &python, load))
        };
        std::fs::write(folder.0.join(name), config)?;
        Ok(Self {
            slated: slated.to_owned(),
            site,
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
            .env(KEY, &self.site.key)
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
        let status = Status::ask(&self.state().join("control.sock"))?;
        if let Some(trouble) = status.as_ref().and_then(|s| s.trouble.as_ref()) {
            bail!("a plugin is not well: {trouble}\n{}", self.last_words());
        }
        Ok(status)
    }

    /// Returns what callbacks of each plugin noted so far.
    pub(super) fn journals(&self, plugins: usize) -> Result<Vec<Journal>> {
        let read = |number| {
            let file = self
                .folder
                .0
                .join(format!("plugins/plugin_{number:02}.journal"));
            match std::fs::read_to_string(&file) {
                Ok(text) => judge::journal(&text),
                // No callback of it ran yet.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Journal::new()),
                Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
            }
        };
        (0..plugins).map(read).collect()
    }

    /// Returns when the daemon last committed: every commit writes to this file, nothing else does.
    pub(super) fn committed(&self) -> Result<SystemTime> {
        let file = self.state().join("state.db-wal");
        let seen = std::fs::metadata(&file).and_then(|file| file.modified());
        seen.with_context(|| format!("cannot look at {}", file.display()))
    }

    fn state(&self) -> PathBuf {
        let name = if self.config == CONF {
            "daemon.id.slated"
        } else {
            "state"
        };
        self.folder.0.join(name)
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
