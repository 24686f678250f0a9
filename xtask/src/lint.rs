//! `cargo xtask lint`: everything that can be said about the code without running it.

use std::process::Command;

use anyhow::Result;

use crate::command::{cargo, has_cargo, root, succeeds};
use crate::{house, named, tidy};

/// Runs every check, then tells whether all were good.
pub(crate) fn run() -> Result<bool> {
    let mut bad: Vec<&str> = Vec::new();
    let mut check = |name: &'static str, good: bool| {
        if !good {
            bad.push(name);
        }
    };
    check(
        "rustfmt",
        succeeds(&mut cargo(["fmt", "--all", "--", "--check"]))?,
    );
    check("file rules", listed("file rules", &tidy::faults(&root())?));
    check(
        "named tests",
        listed("tests that documents name", &named::missing(&root())?),
    );
    check(
        "arrows",
        listed("arrows between crates", &house::wrong_arrows()?),
    );
    check(
        "dependencies",
        listed("dependency budget", &house::over_budget()?),
    );
    check("clippy", succeeds(&mut clippy())?);
    check("rustdoc", succeeds(&mut rustdoc())?);
    check("licences", licences()?);
    if bad.is_empty() {
        eprintln!("\nlint: all good");
    } else {
        eprintln!("\nlint: not good: {}", bad.join(", "));
    }
    Ok(bad.is_empty())
}

fn clippy() -> Command {
    let args = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    cargo(args)
}

fn rustdoc() -> Command {
    let mut command = cargo(["doc", "--workspace", "--no-deps", "--locked"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// Checks licences and forbidden packages, where cargo-deny is installed.
pub(crate) fn licences() -> Result<bool> {
    if !has_cargo("deny") {
        eprintln!("\nlicences: skipped: cargo-deny is not installed");
        return Ok(true);
    }
    succeeds(&mut cargo([
        "deny", "--locked", "check", "licenses", "bans", "sources",
    ]))
}

/// Shows what broke the rules of `name`; true if nothing did.
fn listed(name: &str, faults: &[String]) -> bool {
    eprintln!(
        "\n{name}: {}",
        if faults.is_empty() {
            "good"
        } else {
            "not good"
        }
    );
    for fault in faults {
        eprintln!("  {fault}");
    }
    faults.is_empty()
}
