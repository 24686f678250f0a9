//! What speaks the worker protocol for a plugin: Python with the worker's code, or a program of the
//! plugin's own.

use std::path::{Path, PathBuf};

use slated_wire::PROTOCOL;
use tokio::process::Command;

use crate::{Environment, Interpreter, WorkerCode};

/// The variable by which the worker knows that it was not started by hand, and its value.
/// `python/slated_worker/__main__.py` knows the same.
const COOKIE: (&str, &str) = ("SLATED_WORKER_COOKIE", "7d0c1c52-plugin-worker");

/// Sets the mask that stands first and becomes the program behind it. A mask is set by the process
/// itself, between fork and exec, where nothing of ours can run without unsafe code.
const MASKED: &str = "umask \"$0\" && exec \"$@\"";

/// What speaks the protocol for a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The worker's own code.
    Python(Python),
    /// A program that is the plugin.
    Own(Own),
}

/// A Python that runs a plugin's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// The worker's own code.
    pub code: WorkerCode,
    /// The Python to run it with.
    pub interpreter: Interpreter,
}

/// A program that speaks the protocol itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The program, absolute: no PATH is searched.
    pub path: PathBuf,
    /// What it is called with.
    pub args: Vec<String>,
}

impl Program {
    /// Returns the file that is executed.
    pub fn path(&self) -> &Path {
        match self {
            Self::Python(python) => &python.interpreter.path,
            Self::Own(own) => &own.path,
        }
    }

    /// Returns the command of a worker. Python sets its `umask` itself: a preloaded one cannot be
    /// told beforehand.
    pub(crate) fn command(&self, env: &Environment, umask: Option<u32>) -> Command {
        let own = match self {
            Self::Python(Python { interpreter, code }) => {
                return python(&interpreter.path, code.folder(), env);
            }
            Self::Own(own) => own,
        };
        let mut command = match umask {
            None => Command::new(&own.path),
            Some(umask) => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", MASKED]).arg(format!("{umask:04o}"));
                command.arg(&own.path);
                command
            }
        };
        command.args(&own.args);
        announced(command, env)
    }
}

/// Returns the command that runs a Python with the worker's code.
pub(crate) fn python(interpreter: &Path, code: &Path, env: &Environment) -> Command {
    // No flags: `-I` and `-E` would take away what studios set (PYTHONPATH, user site),
    // and `-u` would let what a sitecustomize prints into the protocol.
    let mut command = Command::new(interpreter);
    command.arg(code);
    announced(command, env)
}

/// Gives a command the variables, and those by which a worker knows who started it.
fn announced(mut command: Command, env: &Environment) -> Command {
    env.apply(&mut command);
    command
        .env(COOKIE.0, COOKIE.1)
        .env("SLATED_PROTOCOL", PROTOCOL.major.to_string())
        .kill_on_drop(true);
    command
}
