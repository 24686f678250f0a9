//! `slated stop`: end the running daemon, and nobody else.
//!
//! Who runs is known by two locks, of the `.conf`'s pid file and of the state folder. The second
//! finds a daemon whose pid file was removed, and one under a `slated.toml`, which has none.

use std::time::Duration;

use rustix::process::Signal;
use slated_config::Config;
use tokio::time::{Instant, sleep};

use super::common::ConfigArgs;
use crate::error::CommandError;
use crate::out;
use crate::pid_file::{self, Holder, PidFile};
use crate::process::Process;
use crate::web::client::{self, Answer};

/// From the word to the kill: 30 s for callbacks in flight, 5 s for the rest, and some to spare.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long a killed process may take: its disk may hang.
const DEATH: Duration = Duration::from_secs(5);
/// After so long, people are told what is waited for.
const SILENCE: Duration = Duration::from_secs(1);
const GLANCE: Duration = Duration::from_millis(20);

/// Stop the running slated
///
/// Callbacks in flight may finish for up to 30 seconds; after 45 it is killed. Nothing to stop is
/// no error.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    stop(&args.config.load()?.config).await
}

/// Ends the daemon of a configuration, if one runs.
pub(super) async fn stop(config: &Config) -> Result<(), CommandError> {
    let Some(process) = find(config).await? else {
        out::talk("No slated runs with this configuration.");
        return Ok(());
    };
    if end(&process, PATIENCE).await? == Ended::Killed {
        // What it could not clear away, unless the next one is there already.
        if let Some(path) = config.conf.as_ref().and_then(|conf| conf.pid_file.as_ref()) {
            drop(PidFile::take(path).await);
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Asked,
    Killed,
}

/// Asks a process to end, and kills it if it does not.
async fn end(process: &Process, patience: Duration) -> Result<Ended, CommandError> {
    let pid = process.pid();
    tell(process, Signal::USR1)?;
    if ends(process, patience, true).await {
        out::talk(format!("slated (process {pid}) has stopped."));
        return Ok(Ended::Asked);
    }
    tell(process, Signal::KILL)?;
    if !ends(process, DEATH, false).await {
        return Err(
            CommandError::internal(format!("process {pid} was killed and does not end"))
                .hint("its disk may hang; nothing else can be done from here"),
        );
    }
    out::talk(format!(
        "warning: slated (process {pid}) did not end within {} seconds and was killed; callbacks that were running run again after the next start.",
        patience.as_secs()
    ));
    Ok(Ended::Killed)
}

/// Finds the daemon of a configuration.
async fn find(config: &Config) -> Result<Option<Process>, CommandError> {
    let pid_file = config.conf.as_ref().and_then(|conf| conf.pid_file.as_ref());
    let holder = match pid_file {
        Some(path) => pid_file::holder(path).await?,
        None => Holder::Nobody,
    };
    if let Holder::Process(process) = holder {
        return Ok(Some(process));
    }
    let state = &config.state.folder;
    if let Holder::Process(process) = pid_file::holder_at_a_glance(&state.join("lock"))? {
        return of_a_daemon(process).map(Some);
    }
    if let Holder::PythonDaemon(pid, stop) = holder {
        return Err(CommandError::configuration(format!(
            "no slated runs, but the Python event daemon does, as process {pid}"
        ))
        .hint(format!("slated does not end it; stop it with: {stop}")));
    }
    let answer = client::get::<serde_json::Value>(state, "/api/v1/status").await?;
    let unseen = match answer {
        Answer::Found(status) => status.get("pid").map(ToString::to_string),
        Answer::Refused(_) | Answer::NoDaemon => None,
    };
    if unseen.is_some() || matches!(holder, Holder::Unknown) {
        let pid = unseen.map_or_else(String::new, |pid| format!(" (process {pid} there)"));
        return Err(CommandError::configuration(format!(
            "slated runs where it cannot be reached from here{pid}"
        ))
        .hint("in a container, or on another machine: stop it there"));
    }
    Ok(None)
}

/// Refuses a command that holds the state for a while, since it is not to be ended in the middle.
fn of_a_daemon(process: Process) -> Result<Process, CommandError> {
    const DAEMONS: [&str; 4] = ["run", "foreground", "start", "demo"];
    let command = process.command();
    match command.get(1) {
        Some(word) if !DAEMONS.contains(&word.as_str()) => {
            Err(CommandError::configuration(format!(
                "no daemon runs; `slated {word}` (process {}) holds the state",
                process.pid()
            ))
            .hint("wait for its end"))
        }
        _ => Ok(process),
    }
}

fn tell(process: &Process, signal: Signal) -> Result<(), CommandError> {
    process.signal(signal).map_err(|error| {
        CommandError::configuration(format!(
            "process {} cannot be told to stop: {error}",
            process.pid()
        ))
        .hint("run this as the user slated runs as")
    })
}

async fn ends(process: &Process, limit: Duration, aloud: bool) -> bool {
    let begun = Instant::now();
    let mut silent = aloud;
    while !process.has_ended() {
        let waited = begun.elapsed();
        if waited >= limit {
            return false;
        }
        if silent && waited >= SILENCE {
            silent = false;
            out::talk(format!(
                "Waiting for slated (process {}): callbacks in flight may finish for up to 30 seconds.",
                process.pid()
            ));
        }
        sleep(GLANCE).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::tests::Guard;

    #[tokio::test]
    async fn one_that_does_not_listen_is_killed() {
        let quick = Guard::python("", "quick.py");
        let patience = Duration::from_secs(30);
        let ended = end(&quick.process(), patience).await.unwrap();
        assert_eq!(ended, Ended::Asked);

        let deaf = "import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)";
        let deaf = Guard::python(deaf, "deaf.py");
        let process = deaf.process();
        let ended = end(&process, Duration::from_millis(200)).await.unwrap();
        assert_eq!(ended, Ended::Killed);
        assert!(process.has_ended());
    }

    #[test]
    fn a_command_that_holds_the_state_is_not_ended() {
        // A script's name stands where `state` does in `slated state backup`.
        let backup = Guard::python("", "backup");
        let error = of_a_daemon(backup.process()).unwrap_err().to_string();
        assert!(error.contains("/backup` (process "), "{error}");
        assert!(error.contains(&backup.0.id().to_string()), "{error}");
    }
}
