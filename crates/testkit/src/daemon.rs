//! The real daemon as a child process: started, asked, ended, killed.
//!
//! Invariant: it does not outlive its handle; dropping one kills the process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::process::{Child, Command};

/// How a daemon is started.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// The binary.
    pub(crate) binary: PathBuf,
    /// Its configuration.
    pub(crate) config: PathBuf,
    /// Variables beside those of this process.
    pub(crate) env: Vec<(String, String)>,
    /// Where stdout and stderr go, over all its lives.
    pub(crate) log: PathBuf,
}

/// One running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
}

impl Recipe {
    /// Starts `slated run`.
    pub(crate) fn start(&self, arguments: &[&str]) -> Result<Daemon> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot open {}", self.log.display()))?;
        let mut command = self.command("run", arguments);
        command.stdout(log.try_clone()?).stderr(log);
        // A group of its own, so that a signal to the test's group is not one to it.
        command.process_group(0).kill_on_drop(true);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        Ok(Daemon { child })
    }
    /// Runs another command of the binary to its end; returns what it wrote on stdout.
    pub(crate) async fn ask(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let output = self.output(command, arguments).await?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!(
                "slated {command} {}: {}: {stderr}",
                arguments.join(" "),
                output.status
            );
        }
        String::from_utf8(output.stdout).context("stdout is not UTF-8")
    }
    /// Runs another command of the binary to its end, however that is. What it leaves behind
    /// holds none of its pipes: else this would wait for that, too.
    pub(crate) async fn output(&self, command: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(command, arguments);
        command.kill_on_drop(true);
        let started = command.output().await;
        started.with_context(|| format!("cannot start {}", self.binary.display()))
    }
    /// Returns the end of what daemons wrote.
    pub(crate) fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(40);
        lines.get(from..).unwrap_or_default().join("\n")
    }
    /// The configuration comes last: a command of two words takes it after the second.
    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        // A developer's own settings have no say in a test.
        let own = std::env::vars_os().map(|(name, _)| name);
        for name in own.filter(|name| name.to_string_lossy().starts_with("SLATED_")) {
            command.env_remove(name);
        }
        command
            .arg(name)
            .args(arguments)
            .arg("--config")
            .arg(&self.config)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.config.parent().unwrap_or_else(|| Path::new(".")))
            .stdin(Stdio::null());
        command
    }
}

impl Daemon {
    /// Returns how it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .context("cannot ask for the daemon's end")
    }
    /// Kills it with SIGKILL and waits until it is gone.
    pub(crate) async fn kill9(mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("the daemon was gone before it was killed: {status}");
        }
        self.child.kill().await.context("cannot kill the daemon")
    }
    /// Sends SIGTERM and waits until it is gone.
    pub(crate) async fn terminate(self, limit: Duration) -> Result<ExitStatus> {
        let id = self.child.id().and_then(process);
        let id = id.context("the daemon was gone before it was asked to end")?;
        kill_process(id, Signal::TERM).context("cannot signal the daemon")?;
        self.wait(limit).await
    }
    /// Returns its process, while it has one.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }
    /// Waits until it is gone; `None` if it is not within `limit`.
    pub(crate) async fn ends_within(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => Ok(Some(status.context("cannot wait for the daemon")?)),
            Err(_) => Ok(None),
        }
    }
    /// Waits until it is gone.
    pub(crate) async fn wait(mut self, limit: Duration) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(limit, self.child.wait()).await;
        ended
            .with_context(|| format!("the daemon did not end within {limit:?}"))?
            .context("cannot wait for the daemon")
    }
}

/// Tells whether there is a process of this id.
pub(crate) fn is_there(pid: u32) -> bool {
    process(pid).is_some_and(|id| test_kill_process(id).is_ok())
}

/// Kills a process that may be gone already.
pub(crate) fn kill9(pid: u32) -> Result<()> {
    let id = process(pid).with_context(|| format!("{pid} is no process id"))?;
    match kill_process(id, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot kill process {pid}")),
    }
}

fn process(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A stand-in for the binary: a shell script that is given the command line.
    fn recipe(folder: &Path, script: &str) -> Recipe {
        let binary = folder.join("slated");
        std::fs::write(&binary, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
        Recipe {
            binary,
            config: folder.join("slated.toml"),
            env: vec![("WHO".into(), "test".into())],
            log: folder.join("daemon.log"),
        }
    }

    async fn said(recipe: &Recipe, text: &str) {
        let limit = tokio::time::Instant::now() + Duration::from_secs(10);
        while !recipe.tail().contains(text) {
            assert!(
                tokio::time::Instant::now() < limit,
                "{text:?} not in: {}",
                recipe.tail()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_daemon_is_asked_to_end_and_may_answer() {
        let folder = tempfile::tempdir().unwrap();
        let script =
            r#"trap 'echo bye; exit 7' TERM; echo "$WHO $1"; while :; do sleep 0.01; done"#;
        let recipe = recipe(folder.path(), script);
        let daemon = recipe.start(&[]).unwrap();
        said(&recipe, "test run").await;
        let status = daemon.terminate(Duration::from_secs(10)).await.unwrap();
        assert_eq!(status.code(), Some(7));
        assert!(recipe.tail().ends_with("bye"));
    }

    #[tokio::test]
    async fn a_kill_is_not_taken_for_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let gone = recipe(folder.path(), "exit 3");
        let mut daemon = gone.start(&[]).unwrap();
        daemon.child.wait().await.unwrap();
        assert!(daemon.kill9().await.is_err());
        let stays = recipe(folder.path(), "exec sleep 60");
        stays.start(&[]).unwrap().kill9().await.unwrap();
    }

    #[tokio::test]
    async fn a_command_that_fails_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = recipe(
            folder.path(),
            r#"test "$1" = status && echo "{}" || { echo no >&2; exit 3; }"#,
        );
        assert_eq!(recipe.ask("status", &["--json"]).await.unwrap(), "{}\n");
        let error = recipe.ask("check", &[]).await.unwrap_err().to_string();
        assert!(
            error.contains("slated check") && error.contains("no"),
            "{error}"
        );
    }
}
