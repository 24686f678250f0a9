//! How the processes of workers are started: each by itself, or by preloaded parents.

use std::time::Duration;

use crate::parent::Parents;
use crate::process::Process;
use crate::program::Program;
use crate::{Spawn, SpawnError};

/// How long the imports of a parent may take: as long as a worker's, which would take no less,
/// but for a try by itself afterwards.
const PATIENCE: Duration = Duration::from_secs(15);

/// How the processes of workers are started. A clone is the same one; when the last is gone, so
/// are its parents, as soon as their workers are.
#[derive(Clone, Debug)]
pub struct Launch(Option<Parents>);

/// A process, and what a person should know of how it was started.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) process: Process,
    pub(crate) note: Option<String>,
}

impl Launch {
    /// Each process by itself: works everywhere.
    pub const fn plain() -> Self {
        Self(None)
    }

    /// By Pythons that have imported what every worker imports: a start takes some milliseconds,
    /// and most memory is shared. Where such a parent does not serve, or takes longer than
    /// `patience` for its imports, a process starts by itself.
    pub fn preloaded(patience: Duration) -> Self {
        Self(Some(Parents::new(patience)))
    }

    /// What suits this system: preloaded parents on Linux. Elsewhere processes do not survive a
    /// fork (the frameworks of macOS), or there is none.
    pub fn suited() -> Self {
        if cfg!(target_os = "linux") {
            Self::preloaded(PATIENCE)
        } else {
            Self::plain()
        }
    }

    /// Starts a process.
    pub(crate) async fn start(&self, spawn: &Spawn) -> Result<Launched, SpawnError> {
        let mut note = None;
        if let Some(parents) = &self.0
            && let Program::Python(python) = &spawn.program
            && !spawn.at_terminal()
        {
            match parents.fork(spawn, python).await {
                Ok(launched) => return Ok(launched),
                Err(unserved) => {
                    note = unserved
                        .note
                        .map(|why| why + "; workers start by themselves");
                }
            }
        }
        let process = spawn.run()?;
        Ok(Launched { process, note })
    }
}
