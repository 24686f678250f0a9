//! Running other programs: where, and what they said.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result};

/// What a finished program left behind.
pub(crate) struct Finished {
    /// Whether its exit code was 0.
    pub(crate) success: bool,
    /// Everything it wrote, stdout and stderr by line as they came.
    pub(crate) said: String,
}

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Makes a cargo command that runs at the root and uses exactly the versions of Cargo.lock.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).current_dir(root());
    // Cargo sets these for us; a nested cargo would hand them on to build scripts, which
    // would then run again each time.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command with our terminal and tells whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    announce(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    Ok(status.success())
}

/// Runs a command, shows what it writes on stderr as it comes, and keeps it.
///
/// Everything goes to stderr: our stdout is for results alone.
pub(crate) fn watched(command: &mut Command) -> Result<Finished> {
    announce(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    let (lines, heard) = std::sync::mpsc::channel();
    let readers: Vec<_> = [
        child
            .stdout
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        child
            .stderr
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    ]
    .into_iter()
    .flatten()
    .map(|pipe| {
        let lines = lines.clone();
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if lines.send(text).is_err() {
                    return;
                }
                line.clear();
            }
        })
    })
    .collect();
    drop(lines);
    let mut said = String::new();
    for line in heard {
        eprintln!("{line}");
        said.push_str(&line);
        said.push('\n');
    }
    for reader in readers {
        if reader.join().is_err() {
            anyhow::bail!("the reader of {} panicked", shown(command));
        }
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for {}", shown(command)))?;
    Ok(Finished {
        success: status.success(),
        said,
    })
}

/// Runs a command without showing anything; returns its stdout if it succeeded.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Tells whether `cargo NAME` is installed.
pub(crate) fn has_cargo(name: &str) -> bool {
    answer(&mut cargo([name, "--version"])).is_some()
}

/// Returns the folder that holds what cargo builds.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let metadata = metadata()?;
    let folder = metadata.get("target_directory").and_then(|v| v.as_str());
    Ok(folder
        .context("cargo metadata names no target_directory")?
        .into())
}

/// Returns what cargo knows of the workspace's own packages.
pub(crate) fn metadata() -> Result<serde_json::Value> {
    let args = ["metadata", "--format-version", "1", "--no-deps", "--locked"];
    let output = cargo(args)
        .output()
        .context("cannot start cargo metadata")?;
    anyhow::ensure!(
        output.status.success(),
        "cargo metadata failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("cargo metadata wrote something else than JSON")
}

fn announce(command: &Command) {
    eprintln!("\n$ {}", shown(command));
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    // Which cargo is no question; which Python is.
    let is_cargo = program.file_stem().is_some_and(|stem| stem == "cargo");
    let program = if is_cargo {
        OsStr::new("cargo")
    } else {
        program.as_os_str()
    };
    std::iter::once(program)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        // A whole script as an argument says nothing here.
        .map(|word| {
            if word.contains('\n') {
                "'...'".into()
            } else {
                word
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}
