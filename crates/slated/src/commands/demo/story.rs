//! The story, as a program that the found Python runs: what it says is heard here.

use std::path::Path;
use std::process::Stdio;

use serde::Deserialize;
use slated_host::Interpreter;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::python::MISLEADING;
use crate::error::CommandError;

const TEXT: &str = include_str!("story.py");
/// The site is on this machine, which no proxy reaches.
const PROXIES: [&str; 6] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
];

/// The running story; its process ends when this is dropped.
#[derive(Debug)]
pub(super) struct Story {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stdin: ChildStdin,
    stderr: ChildStderr,
}

/// What the story says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// Something happens.
    Say(String),
    /// Nothing more happens until [`Story::go_on`].
    Rest(()),
    /// It is over; this is what it was played with.
    Cast(Cast),
}

/// What the story was played with.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Cast {
    pub(super) submitted: Vec<Part>,
    pub(super) approved: Vec<Part>,
    /// The Version whose approval was committed late.
    pub(super) late: u64,
}

/// A Version, the Task it was made for, and who did something with it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Part {
    pub(super) version: u64,
    pub(super) code: String,
    pub(super) task: u64,
    pub(super) who: String,
}

impl Story {
    /// Begins it on the site at `url`.
    pub(super) fn begin(
        python: &Interpreter,
        url: &str,
        folder: &Path,
    ) -> Result<Self, CommandError> {
        let file = folder.join("story.py");
        std::fs::write(&file, TEXT).map_err(|e| broke(&e))?;
        let mut command = Command::new(&python.path);
        command.arg(&file).arg(url).kill_on_drop(true);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in MISLEADING.into_iter().chain(PROXIES) {
            command.env_remove(name);
        }
        // A Ctrl-C at the terminal is for us alone.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|e| broke(&e))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(broke(&"it has no pipes"));
        };
        let lines = BufReader::new(stdout).lines();
        Ok(Self {
            child,
            lines,
            stdin,
            stderr,
        })
    }

    /// Returns what it says next. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Result<Line, CommandError> {
        match self.lines.next_line().await.map_err(|e| broke(&e))? {
            Some(line) => serde_json::from_str(&line).map_err(|_| broke(&line)),
            None => Err(self.end().await),
        }
    }

    /// Lets it go on after a rest.
    pub(super) async fn go_on(&mut self) -> Result<(), CommandError> {
        if self.stdin.write_all(b"\n").await.is_err() {
            return Err(self.end().await);
        }
        Ok(())
    }

    /// Says how it ended without a cast.
    async fn end(&mut self) -> CommandError {
        let mut said = Vec::new();
        // What cannot be read is not told; the exit status is.
        drop(self.stderr.read_to_end(&mut said).await);
        let said = String::from_utf8_lossy(&said);
        match (said.trim_end(), self.child.wait().await) {
            ("", Ok(status)) => broke(&status),
            ("", Err(error)) => broke(&error),
            (said, _) => broke(&said),
        }
    }
}

fn broke(why: &dyn std::fmt::Display) -> CommandError {
    CommandError::internal(format!("the story broke off: {why}"))
}
