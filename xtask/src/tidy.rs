//! Rules for files that no other tool knows.
//!
//! * A Rust file opens with `//!` and has at most [`LONGEST`] lines.
//! * No file names a folder of the machine it was written on.
//! * `core`, `wire` and `model` decide without a runtime, files, environment or clock.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// More lines than a reader's head holds.
const LONGEST: usize = 800;

/// What the pure crates do not name.
const IMPURE: [&str; 5] = ["tokio", "std::fs", "std::env", "Instant::now", "SystemTime"];
const PURE: [&str; 3] = ["crates/core/src/", "crates/wire/src/", "crates/model/src/"];

/// What is built or fetched, and so not ours to judge.
const SKIPPED: [&str; 4] = ["target", ".git", "__pycache__", "slated-state"];

/// Reads every file under `root` and returns what breaks a rule, one line each.
pub(crate) fn faults(root: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    walk(root, &mut paths)?;
    let folders = machine_folders(root);
    let mut faults = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // What is not text names nothing.
        if let Ok(text) = String::from_utf8(bytes) {
            let name = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .replace('\\', "/");
            judge(&name, &text, &folders, &mut faults);
        }
    }
    faults.sort();
    Ok(faults)
}

pub(crate) fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if SKIPPED.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), paths)?;
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
    Ok(())
}

/// Names the folders of this machine that a file could have picked up by accident.
fn machine_folders(root: &Path) -> Vec<String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    [Some(root.to_owned()), std::env::home_dir(), target]
        .into_iter()
        .flatten()
        .map(|path| path.to_string_lossy().into_owned())
        .filter(|path| path.len() > 1 && path.starts_with('/'))
        .collect()
}

fn judge(name: &str, text: &str, folders: &[String], faults: &mut Vec<String>) {
    for (at, line) in text.lines().enumerate() {
        if let Some(folder) = folders.iter().find(|folder| names(line, folder)) {
            faults.push(format!(
                "{name}:{}: names a folder of this machine, {folder}",
                at + 1
            ));
        }
    }
    if Path::new(name)
        .extension()
        .is_none_or(|extension| extension != "rs")
    {
        return;
    }
    if !text.starts_with("//!") {
        faults.push(format!(
            "{name}:1: does not open with `//!`: say what the file is for"
        ));
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        faults.push(format!(
            "{name}: {lines} lines, more than {LONGEST}: it has a second subject"
        ));
    }
    if PURE.iter().any(|folder| name.starts_with(folder)) {
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(word) = IMPURE.iter().find(|word| code.contains(**word)) {
                faults.push(format!(
                    "{name}:{}: `{word}` in a crate that only decides",
                    at + 1
                ));
            }
        }
    }
}

/// Tells whether a line names a folder or something in it, as a path of its own.
fn names(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line
            .get(at + folder.len()..)
            .and_then(|text| text.chars().next());
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
            && after == Some('/')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, wanted: &[&str]) {
        let mut faults = Vec::new();
        judge(name, text, &["/home/ann".into()], &mut faults);
        assert_eq!(faults, wanted, "{name}");
    }

    #[test]
    fn a_file_that_keeps_the_rules_passes() {
        check("crates/host/src/a.rs", "//! Good.\nuse std::fs;\n", &[]);
        check(
            "crates/core/src/a.rs",
            "//! Knows no tokio.\n// Nor std::fs.\n",
            &[],
        );
        check(
            "docs/a.md",
            "no comment needed: /srv/home/ann/, /home/anna\n",
            &[],
        );
    }

    #[test]
    fn each_rule_is_noticed() {
        check(
            "crates/host/src/a.rs",
            "use std::fs;\n",
            &["crates/host/src/a.rs:1: does not open with `//!`: say what the file is for"],
        );
        check(
            "a.rs",
            &"//! x\n".repeat(801),
            &["a.rs: 801 lines, more than 800: it has a second subject"],
        );
        check(
            "docs/a.md",
            "first\nsee /home/ann/slated\n",
            &["docs/a.md:2: names a folder of this machine, /home/ann"],
        );
        check(
            "crates/core/src/a.rs",
            "//! x\nlet now = Instant::now();\n",
            &["crates/core/src/a.rs:2: `Instant::now` in a crate that only decides"],
        );
    }

    #[test]
    fn this_workspace_is_read() {
        let mut paths = Vec::new();
        walk(&crate::command::root(), &mut paths).unwrap();
        assert!(
            paths
                .iter()
                .any(|path| path.ends_with("crates/model/src/lib.rs"))
        );
        assert!(
            !paths
                .iter()
                .any(|path| path.components().any(|c| c.as_os_str() == "target"))
        );
    }
}
