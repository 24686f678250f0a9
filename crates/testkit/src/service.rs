//! A daemon that `slated start` left in the background: found, and not left behind by a test.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::{Instant, sleep};

use crate::daemon;
use crate::history::{Line, Start};
use crate::world::World;

/// How long a killed process may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The background daemons of one configuration. Dropping it kills them.
#[derive(Debug)]
pub(crate) struct Services {
    config: PathBuf,
}

impl Services {
    pub(crate) fn of(config: &Path) -> Self {
        let config = config.to_owned();
        Self { config }
    }
    /// Returns their process ids, by command line, as `/proc` has it.
    fn running(&self) -> Vec<u32> {
        let ours = |pid: &u32| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command);
            let mut words = command.split('\0');
            let config = self.config.to_string_lossy();
            words.any(|word| word == "--detached") && command.split('\0').any(|word| word == config)
        };
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
        pids.filter(ours).collect()
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for pid in self.running() {
            daemon::kill9(pid).ok();
        }
    }
}

impl World {
    /// Runs `slated COMMAND ARGUMENTS` with this world's configuration to its end, however that
    /// is. A world is still cleaned up after a `start`.
    pub async fn command(&self, command: &str, arguments: &[&str]) -> Result<Output> {
        self.recipe.output(command, arguments).await
    }
    /// Returns the processes that `slated start` left in the background, also while they start.
    pub fn services(&self) -> Vec<u32> {
        self.services.running()
    }
    /// Starts the daemon with `slated start`; returns what that said. The first time in a world
    /// that was only prepared, the daemon then follows the site and every plugin is ready.
    pub async fn start_service(&mut self) -> Result<String> {
        let output = self.command("start", &[]).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{}: {said}", output.status);
        if self.start == Start::default() {
            self.follow().await?;
        }
        Ok(said)
    }
    /// Stops the daemon in the background with `slated stop`; returns what that said.
    pub async fn stop_service(&self) -> Result<String> {
        let output = self.command("stop", &[]).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{}: {said}", output.status);
        self.mark(&Line::DaemonStopped)?;
        Ok(said)
    }
    /// Kills every daemon in the background with SIGKILL; returns how many there were.
    pub async fn kill9_services(&self) -> Result<usize> {
        let running = self.services();
        for pid in &running {
            daemon::kill9(*pid)?;
        }
        let end = Instant::now() + PATIENCE;
        while running.iter().any(|pid| lives(*pid)) {
            ensure!(
                Instant::now() < end,
                "{running:?} were killed and are there"
            );
            sleep(Duration::from_millis(5)).await;
        }
        if !running.is_empty() {
            self.mark(&Line::DaemonKilled).context("killed")?;
        }
        Ok(running.len())
    }
}

/// Tells whether a process runs; one that nobody has collected yet does not.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}
