//! `cargo xtask test`: every test there is, and one line that says how it went.
//!
//! Invariant: a part of which no test ran is a failure. What a machine cannot run is said.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command::{cargo, has_cargo, root, watched};
use crate::python::{self, Version};
use crate::tally::{self, Tally};

/// Which tests to run, and with what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    rust: bool,
    python: bool,
    nextest: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rust: true,
            python: true,
            nextest: true,
        }
    }
}

impl Options {
    /// Reads the command line after `test`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        for word in words {
            match *word {
                "--rust" => options.python = false,
                "--python" => options.rust = false,
                "--cargo-test" => options.nextest = false,
                other => bail!("`test` has no option `{other}`; see `cargo xtask test --help`"),
            }
        }
        if !options.rust && !options.python {
            bail!("--rust and --python exclude each other; without both, everything runs");
        }
        Ok(options)
    }
}

/// A part of the tests, and how it went.
type Part = (String, Tally);

/// Runs the tests, prints the closing line, and tells whether all passed.
pub(crate) fn run(options: Options) -> Result<bool> {
    let total = parts(options)?;
    println!("{total}");
    Ok(total.is_green())
}

/// Runs the tests, shows a table of the parts, and returns their sum.
pub(crate) fn parts(options: Options) -> Result<Tally> {
    let interpreter = python::prepare()?;
    eprintln!("Python of the tests: {}", interpreter.display());
    let mut parts = Vec::new();
    if options.python {
        parts.extend(worker(&interpreter)?);
    }
    if options.rust {
        parts.extend(rust(&interpreter, options.nextest)?);
    }
    eprintln!();
    let mut total = Tally::default();
    for (name, tally) in parts {
        eprintln!("{name:<28} {tally}");
        total += tally;
    }
    Ok(total)
}

/// Runs the Rust tests and the documentation examples.
fn rust(interpreter: &Path, nextest: bool) -> Result<Vec<Part>> {
    let with_python = |mut command: Command| {
        command.env(python::VARIABLE, interpreter);
        command
    };
    if nextest && has_cargo("nextest") {
        let args = [
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
        ];
        let tests = watched(with_python(cargo(args)).args(["--color", "never"]))?;
        let args = ["test", "--workspace", "--doc", "--locked", "--no-fail-fast"];
        let docs = watched(&mut with_python(cargo(args)))?;
        return Ok(vec![
            ("Rust".into(), tally::nextest(&tests)),
            ("documentation examples".into(), tally::cargo_test(&docs)),
        ]);
    }
    let args = ["test", "--workspace", "--locked", "--no-fail-fast"];
    let tests = watched(&mut with_python(cargo(args)))?;
    Ok(vec![(
        "Rust, with examples".into(),
        tally::cargo_test(&tests),
    )])
}

/// Runs the worker's own tests on every Python of this machine, and reads every Python file
/// of ours with the oldest syntax we promise.
fn worker(interpreter: &Path) -> Result<Vec<Part>> {
    let mut pythons = python::all();
    if let Some((version, path)) = python::who(interpreter) {
        // The only one that has the client: some tests compare with it.
        pythons.insert(version, path);
    }
    let mut parts = vec![("Python syntax".into(), syntax(&pythons, interpreter)?)];
    for ((major, minor), path) in &pythons {
        let tally = unittest(path, "tests")?;
        parts.push((format!("worker, Python {major}.{minor}"), tally));
    }
    let tally = unittest(interpreter, "tests_with_client")?;
    parts.push(("worker, with the client".into(), tally));
    Ok(parts)
}

/// Runs the tests of a folder below `python`.
fn unittest(interpreter: &Path, folder: &str) -> Result<Tally> {
    let mut command = Command::new(interpreter);
    command
        .args(["-m", "unittest", "discover", "-s", folder])
        .current_dir(root().join("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(tally::unittest(&watched(&mut command)?))
}

/// Parses all Python files, with Python 3.7 itself where there is one.
fn syntax(pythons: &BTreeMap<Version, std::path::PathBuf>, interpreter: &Path) -> Result<Tally> {
    let oldest = pythons
        .get(&(3, 7))
        .map_or(interpreter, |path| path.as_path());
    let run = watched(
        Command::new(oldest)
            .args(["-c", SYNTAX, "python", "examples", "crates"])
            .current_dir(root()),
    )?;
    Ok(Tally::one(run.success))
}

/// `feature_version` makes a newer Python refuse most of what 3.7 does not know; an older
/// one has no such argument.
const SYNTAX: &str = r#"
import ast, os, sys
how = {"feature_version": (3, 7)} if sys.version_info >= (3, 8) else {}
parsed = unreadable = 0
for top in sys.argv[1:]:
    for folder, _, names in os.walk(top):
        for name in sorted(names):
            path = os.path.join(folder, name)
            # Fixtures of broken plugins say so in their names.
            if not name.endswith(".py") or "broken" in name:
                continue
            try:
                with open(path, "rb") as file:
                    ast.parse(file.read(), path, **how)
                parsed += 1
            except SyntaxError as error:
                unreadable += 1
                print("%s:%s: %s" % (path, error.lineno, error.msg))
print("%d files read with the syntax of 3.7, by Python %d.%d, %d of them unreadable"
      % ((parsed + unreadable,) + sys.version_info[:2] + (unreadable,)))
# Nothing read is nothing checked.
sys.exit(unreadable > 0 or parsed == 0)
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_narrow_the_run() {
        let all = Options::parse(&[]).unwrap();
        assert!(all.rust && all.python && all.nextest);
        assert!(!Options::parse(&["--rust"]).unwrap().python);
        assert!(!Options::parse(&["--cargo-test"]).unwrap().nextest);
        assert!(Options::parse(&["--rust", "--python"]).is_err());
        assert!(Options::parse(&["--quick"]).is_err());
    }
}
