//! `slated run --standby`: waits until no other slated runs on the state, and then is the one.
//!
//! Invariant: while it waits it writes nothing and takes no lock, so whoever starts or stops the other
//! notices nothing. The lock says who runs; a process that is killed lets go of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use slated_config::Config;
use slated_store::{Error, Sqlite};

use crate::error::CommandError;
use crate::out;
use crate::pid_file::{self, Holder};
use crate::service;
use crate::signals::Signals;

/// From one look to the next.
const LOOK: Duration = Duration::from_millis(500);

/// Somebody else runs.
#[derive(Debug, PartialEq, Eq)]
struct Other {
    pid: Option<u32>,
    /// Written when it began.
    file: PathBuf,
}

/// Waits until nobody else runs; says once who does. False if a signal ended the wait.
pub(crate) async fn wait(config: &Config, signals: &mut Signals) -> Result<bool, CommandError> {
    let mut told = None;
    while let Some(other) = other(config).await? {
        if told.as_ref() != Some(&other) {
            out::talk(says(&other, &config.state.folder));
            told = Some(other);
        }
        // A wait is no start that hangs.
        service::standing_by();
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = signals.next() => {
                out::talk("Stopped while another slated runs.");
                return Ok(false);
            }
        }
    }
    if told.is_some() {
        out::talk("Nobody runs on the state any more: this slated takes over.");
    }
    Ok(true)
}

/// Tells whether another slated runs.
pub(crate) async fn is_needed(config: &Config) -> Result<bool, CommandError> {
    Ok(other(config).await?.is_some())
}

async fn other(config: &Config) -> Result<Option<Other>, CommandError> {
    let folder = &config.state.folder;
    match Sqlite::refuse_in_use(folder) {
        Err(Error::InUse { pid, .. }) => {
            let file = folder.join("lock");
            return Ok(Some(Other { pid, file }));
        }
        other => other?,
    }
    // It lets go of the state before its pid file.
    let Some(file) = config.conf.as_ref().and_then(|conf| conf.pid_file.clone()) else {
        return Ok(None);
    };
    Ok(match pid_file::holder(&file).await? {
        Holder::Process(process) => Some(Other {
            pid: Some(process.pid()),
            file,
        }),
        Holder::Unknown => Some(Other { pid: None, file }),
        // The Python daemon is not waited for: a start says how it is stopped.
        Holder::Nobody | Holder::PythonDaemon(..) => None,
    })
}

fn says(other: &Other, folder: &Path) -> String {
    let pid = other.pid.map_or_else(
        || "an unknown process".into(),
        |pid| format!("process {pid}"),
    );
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    let since = std::fs::metadata(&other.file).and_then(|meta| meta.modified());
    let since = since.ok().and_then(|at| jiff::Timestamp::try_from(at).ok());
    let since = since.map(|at| format!(", since {}", at.strftime("%Y-%m-%dT%H:%M:%SZ")));
    format!(
        "Standing by: another slated ({pid} on {host}{}) runs on the state in {}.",
        since.unwrap_or_default(),
        folder.display()
    )
}
