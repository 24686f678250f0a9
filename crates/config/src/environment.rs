//! The world outside a configuration, as a parameter: variables, files, programs.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a command may take to print a secret.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// How much of a file or of a command's output is read.
const SIZE_LIMIT: u64 = 64 * 1024;

/// What the configuration asks of its surroundings.
pub trait Environment {
    /// Returns an environment variable; an empty one counts as unset.
    fn variable(&self, name: &str) -> Option<String>;
    /// Returns the environment variables of that name in any case, each with its own spelling
    /// and its value, empty ones too.
    fn named(&self, name: &str) -> Vec<(String, String)>;
    /// Tells whether a file or folder is there.
    fn exists(&self, path: &Path) -> bool;
    /// Returns the file of the running program, links resolved.
    fn program(&self) -> Option<PathBuf>;
    /// Reads a small text file.
    fn read(&self, path: &Path) -> Result<String, String>;
    /// Returns the permission bits of a file, where the system has them.
    fn mode(&self, path: &Path) -> Option<u32>;
    /// Runs a program and returns what it printed. `command` is not empty.
    fn run(&self, command: &[String]) -> Result<String, String>;
}

/// The process's own surroundings.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Environment for System {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
    fn named(&self, name: &str) -> Vec<(String, String)> {
        let name = name.to_lowercase();
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let all = std::env::vars_os().filter_map(text);
        all.filter(|(own, _)| own.to_lowercase() == name).collect()
    }
    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
    fn program(&self) -> Option<PathBuf> {
        let program = std::env::current_exe().ok()?;
        Some(program.canonicalize().unwrap_or(program))
    }
    fn read(&self, path: &Path) -> Result<String, String> {
        let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
        read_text(file)
    }
    fn mode(&self, path: &Path) -> Option<u32> {
        mode(path)
    }
    fn run(&self, command: &[String]) -> Result<String, String> {
        let (program, arguments) = command.split_first().ok_or("the command is empty")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // What it has to say to a person goes where slated's own talk goes.
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|e| e.to_string())?;
        let output = child.stdout.take().ok_or("it has no output")?;
        let (done, printed) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // Nobody listens any more when the limit has passed.
            drop(done.send(read_text(output)));
        });
        let end = Instant::now() + COMMAND_LIMIT;
        let text = printed.recv_timeout(COMMAND_LIMIT);
        let status = loop {
            match child.try_wait().map_err(|e| e.to_string())? {
                Some(status) => break status,
                None if text.is_err() || Instant::now() >= end => {
                    // It may have ended by itself in between.
                    drop(child.kill());
                    drop(child.wait());
                    return Err(format!("it did not end within {COMMAND_LIMIT:?}"));
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        if !status.success() {
            return Err(status.to_string());
        }
        text.map_err(|e| e.to_string())?
    }
}

fn read_text(from: impl std::io::Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(SIZE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(format!("more than {SIZE_LIMIT} bytes"));
    }
    // The bytes are a secret, so the error must not show them.
    String::from_utf8(bytes).map_err(|_| "not UTF-8".into())
}

#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(std::fs::metadata(path).ok()?.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
pub(crate) fn mode(_: &Path) -> Option<u32> {
    None
}
