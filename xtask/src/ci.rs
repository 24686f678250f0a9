//! `cargo xtask ci`: what the integration machine runs, from a clean checkout.

use anyhow::Result;

use crate::command::{cargo, has_cargo, succeeds};
use crate::tally::Tally;
use crate::{lint, test};

/// Runs lint, demo and tests, prints the closing line, and tells whether all was well.
///
/// Every step runs, whatever became of those before it: one look shows all that is wrong.
pub(crate) fn run() -> Result<bool> {
    let mut total = Tally::default();
    let mut steps = Vec::new();
    let had_deny = has_cargo("deny");

    let good = lint::run()?;
    steps.push(("lint", good));
    // As a user meets it: release build, its own Python environment, the exit code is the verdict.
    let demo = [
        "run",
        "--release",
        "--locked",
        "--bin",
        "slated",
        "--",
        "demo",
        "--once",
        "--json",
    ];
    steps.push(("demo", succeeds(&mut cargo(demo))?));
    total += test::parts(test::Options::default())?;
    if !had_deny && std::env::var("CI").is_ok_and(|ci| ci == "true") {
        if succeeds(&mut cargo(["install", "--locked", "cargo-deny"]))? {
            steps.push(("licences", lint::licences()?));
        } else {
            eprintln!("\nlicences: not checked: cargo-deny could not be installed");
        }
    }

    eprintln!();
    for (name, good) in steps {
        eprintln!("{name:<28} {}", if good { "good" } else { "not good" });
        total += Tally::one(good);
    }
    println!("{total}");
    Ok(total.is_green())
}
