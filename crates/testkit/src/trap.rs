//! Deaths at named points: of the daemon by its own hand, or by that of a plugin in its callback.
//!
//! Points of a body (`before_body`, `in_body`, `after_body`) are in the journalling plugin, which kills
//! the daemon that waits for it; all others are in the daemon, which a variable names them to.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::history::Line;
use crate::world::World;

/// The file beside the journal in which a plugin finds its trap.
pub(crate) const TRAP: &str = "trap.json";
/// The variable in which the daemon finds its point.
const KILL_AT: &str = "SLATED_KILL_AT";

/// A death to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// The name of the point.
    pub point: &'static str,
    /// At which passing of it, from 1.
    pub count: u32,
    /// Whether the worker dies too, as with its machine; only where the point is in a body.
    pub both: bool,
}

impl World {
    /// Starts the daemon again, to die at a point.
    pub fn restart_to_die(&mut self, death: Death) -> Result<()> {
        let in_body = death.point.ends_with("_body");
        if !in_body {
            let at = format!("{}:{}", death.point, death.count);
            self.recipe.env.push((KILL_AT.into(), at));
        }
        let started = self.restart();
        self.recipe.env.retain(|(name, _)| name != KILL_AT);
        started?;
        if in_body {
            let trap = self.folder().join(TRAP);
            for end in ["passed", "sprung"] {
                std::fs::remove_file(format!("{}.{end}", trap.display())).ok();
            }
            let pid = self.pid().context("no daemon runs")?;
            let text = serde_json::json!({
                "point": death.point, "count": death.count, "both": death.both, "pid": pid,
            });
            let draft = trap.with_extension("draft");
            std::fs::write(&draft, text.to_string())?;
            std::fs::rename(draft, trap)?;
        }
        Ok(())
    }
    /// Waits until the daemon has died at its point. False if it has not within `limit`: it runs on.
    pub async fn dies(&mut self, limit: Duration) -> Result<bool> {
        let daemon = self.daemon.as_mut().context("no daemon runs")?;
        let Some(status) = daemon.ends_within(limit).await? else {
            std::fs::remove_file(self.folder().join(TRAP)).ok();
            return Ok(false);
        };
        self.daemon = None;
        self.mark(&Line::DaemonKilled)?;
        if status.signal() != Some(Signal::KILL.as_raw()) {
            bail!("it ended with {status}\n{}", self.log());
        }
        Ok(true)
    }
    /// Runs `slated COMMAND ARGUMENTS` to die at a point; false if it did not.
    pub async fn ask_to_die(
        &self,
        death: Death,
        command: &str,
        arguments: &[&str],
    ) -> Result<bool> {
        let mut recipe = self.recipe.clone();
        let at = format!("{}:{}", death.point, death.count);
        recipe.env.push((KILL_AT.into(), at));
        let output = recipe.output(command, arguments).await?;
        Ok(output.status.signal() == Some(Signal::KILL.as_raw()))
    }
    /// Returns the daemon's process.
    pub fn pid(&self) -> Option<u32> {
        self.daemon.as_ref()?.pid()
    }
    /// Sets a variable in the environment of daemons from the next start on, or removes it.
    pub fn set_variable(&mut self, name: &str, value: Option<&str>) {
        self.recipe.env.retain(|(other, _)| other != name);
        let pair = value.map(|value| (name.to_owned(), value.to_owned()));
        self.recipe.env.extend(pair);
    }
}
