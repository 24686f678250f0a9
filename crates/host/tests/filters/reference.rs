//! The second reading: `reference.py`, run once for many filters.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use slated_model::Matcher;

/// A filter, and what the reference says of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    /// As Python writes it.
    pub(crate) filter: String,
    /// What the worker sends to the daemon; `None` where it refuses the registration.
    pub(crate) rules: Option<Matcher>,
    /// Whether it is to be refused.
    pub(crate) refused: bool,
    /// Type, attribute, whether it is wanted.
    pub(crate) events: Vec<(String, Option<String>, bool)>,
}

impl Told {
    /// Holds the daemon's answers against the reference's.
    pub(crate) fn check(&self) {
        assert_eq!(self.rules.is_none(), self.refused, "{self:?}");
        let Some(matcher) = &self.rules else {
            return;
        };
        for (kind, attribute, wanted) in &self.events {
            assert_eq!(
                matcher.matches(Some(kind), attribute.as_deref()),
                *wanted,
                "{} with an event {kind} of attribute {attribute:?}; on the wire: {matcher:?}",
                self.filter
            );
        }
    }
}

/// Runs the reference once; `input` is its stdin.
pub(crate) fn ask(arguments: &[&str], input: &str) -> Vec<Told> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("SLATED_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut child = Command::new(PathBuf::from(python))
        .arg(crate_folder.join("tests/filters/reference.py"))
        .args(arguments)
        .env("PYTHONPATH", crate_folder.join("../../python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The input fits into a pipe, and dropping it ends it.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
