//! `slated start`: run in the background.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::run;
use crate::detach::{self, Detached, READY};
use crate::error::CommandError;
use crate::out;

/// Follow the site and run plugins, in the background
///
/// Returns when it runs, or says why it does not, with the exit code of `run`. Its log goes to
/// files: of a .conf, to `log.folder`, or to the state folder.
#[derive(clap::Args)]
// The flattened ones have a group of this name.
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    run: run::Args,
    /// Be the process that is left behind
    #[arg(long, hide = true)]
    detached: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    if args.run.standby {
        return Err(CommandError::usage(
            "`--standby` waits in the foreground: a start in the background has an end",
        )
        .hint("`slated run --standby`, as a service of its own"));
    }
    if args.run.shadow {
        return Err(CommandError::usage(
            "a shadow runs in the foreground: `slated stop` does not know it",
        )
        .hint("`slated run --shadow`, under a supervisor or in a terminal that stays"));
    }
    if !args.detached {
        return launch().await;
    }
    let detached = Detached::leave()?;
    run::follow(args.run, Some(detached)).await
}

/// Runs this program once more, with this command line, and waits until it runs or has failed.
pub(super) async fn launch() -> Result<(), CommandError> {
    let fail = |error| CommandError::internal(format!("cannot start slated: {error}"));
    let program = std::env::current_exe().map_err(fail)?;
    let mut command = Command::new(program);
    // Behind our name and the command's.
    command
        .arg("start")
        .args(std::env::args_os().skip(2))
        .arg("--detached")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    // It goes elsewhere before it looks at these.
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    if let Some(python) = variable("SLATED_PYTHON") {
        command.env("SLATED_PYTHON", detach::whole_program(&python));
    }
    for name in ["VIRTUAL_ENV", "SHOTGUN_API_CACERTS"] {
        if let Some(path) = variable(name) {
            command.env(name, detach::whole(&path));
        }
    }
    let mut child = command.spawn().map_err(fail)?;
    let pid = child.id().unwrap_or_default();
    let mut word = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut word).await.map_err(fail)?;
    }
    if word == READY {
        out::talk(format!("slated runs as process {pid}."));
        return Ok(());
    }
    let status = child.wait().await.map_err(fail)?;
    match status.code() {
        Some(0) => Err(CommandError::internal("slated was stopped before it ran")),
        Some(code) => leave(code),
        None => Err(CommandError::internal(format!(
            "slated died before it ran: {status}"
        ))),
    }
}

#[expect(clippy::exit, reason = "the process we started has said why it failed")]
fn leave(code: i32) -> ! {
    std::process::exit(code)
}
