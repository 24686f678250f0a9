//! Plugin files are parsed by the Python that would run them, and not run.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use slated_wire::LoadFailed;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::program::python;
use crate::{Environment, Interpreter, WorkerCode};

/// How long it may take. Network shares are slow at first.
const PATIENCE: Duration = Duration::from_mins(1);

/// The argument by which the worker's code parses; `python/slated_worker/__main__.py` knows the same.
const PARSE: &str = "--parse";

/// What can be said of a file that was not run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Parsed {
    /// Which.
    pub file: PathBuf,
    /// Whether it has a `registerCallbacks`, as far as can be seen: else it is a module for others.
    pub registers: bool,
    /// What a person should know, a sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Why it does not compile.
    #[serde(default)]
    pub failed: Option<LoadFailed>,
}

/// Parses files; the answers stand in their order. Says why where this Python gives none.
pub async fn parse(
    interpreter: &Interpreter,
    code: &WorkerCode,
    env: &Environment,
    files: &[PathBuf],
) -> Result<Vec<Parsed>, String> {
    let said = timeout(PATIENCE, ask(&interpreter.path, code, env, files)).await;
    let said = said.map_err(|_| format!("it gave no answer in {PATIENCE:?}"))??;
    let answers = said.lines().map(serde_json::from_str);
    let answers: Result<Vec<Parsed>, _> = answers.collect();
    let answers = answers.map_err(|error| format!("its answer cannot be read: {error}"))?;
    if answers.len() != files.len() {
        let (got, of) = (answers.len(), files.len());
        return Err(format!("it answered for {got} of {of} files"));
    }
    Ok(answers)
}

async fn ask(
    program: &Path,
    code: &WorkerCode,
    env: &Environment,
    files: &[PathBuf],
) -> Result<String, String> {
    let question = serde_json::to_vec(files).map_err(|error| error.to_string())?;
    let mut child = python(program, code.folder(), env)
        .arg(PARSE)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("it does not start: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read says why by its end.
        drop(input.write_all(&question).await);
    }
    let output = child.wait_with_output().await;
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next_back().unwrap_or("it said nothing");
        return Err(format!("{}: {said}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
