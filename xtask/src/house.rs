//! Which crate may know which, and how many crates of others there are.
//!
//! The arrows of the house point one way: `model` <- `core`, `wire` <- `site`, `store`,
//! `host`, `sim`, `config` <- `slated`. A test may look sideways, so development
//! dependencies are free.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::command::{cargo, metadata};

/// How many packages of others may end up in the binary on Linux.
const BUDGET: usize = 260;

/// Each crate and its floor: it may depend on crates of lower floors.
const FLOORS: [(&str, u8); 11] = [
    ("slated-model", 0),
    ("slated-core", 1),
    ("slated-wire", 1),
    ("slated-site", 2),
    ("slated-store", 2),
    ("slated-host", 2),
    ("slated-sim", 2),
    ("slated-config", 2),
    ("slated-testkit", 3),
    ("slated", 4),
    // Stands beside the house.
    ("xtask", 0),
];

/// What the crates that only decide do not depend on.
const PURE: [&str; 3] = ["slated-model", "slated-core", "slated-wire"];
const IMPURE: [&str; 6] = ["tokio", "reqwest", "rusqlite", "rustix", "hyper", "axum"];

/// Returns the arrows that point the wrong way, one line each.
pub(crate) fn wrong_arrows() -> Result<Vec<String>> {
    let metadata = metadata()?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    judge(packages.context("cargo metadata names no packages")?)
}

fn judge(packages: &[Value]) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for package in packages {
        let name = text(package, "name").context("a package without a name")?;
        let Some(floor) = floor(name) else {
            faults.push(format!(
                "{name} has no floor yet: give it one in xtask/src/house.rs"
            ));
            continue;
        };
        let dependencies = package.get("dependencies").and_then(Value::as_array);
        for dependency in dependencies.into_iter().flatten() {
            // Null is an ordinary dependency.
            if text(dependency, "kind") == Some("dev") {
                continue;
            }
            let other = text(dependency, "name").context("a dependency without a name")?;
            if self::floor(other).is_some_and(|other| other >= floor) {
                faults.push(format!("{name} -> {other} points the wrong way"));
            }
            if other == "slated-testkit" {
                faults.push(format!(
                    "{name} -> {other}: tests only, so in [dev-dependencies]"
                ));
            }
            if PURE.contains(&name) && IMPURE.contains(&other) {
                faults.push(format!("{name} -> {other}: a crate that only decides"));
            }
        }
    }
    Ok(faults)
}

/// Counts the packages of others that the binary is made of on Linux; says so if too many.
pub(crate) fn over_budget() -> Result<Vec<String>> {
    let args = [
        "tree",
        "--locked",
        "--package",
        "slated",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ];
    let output = cargo(args)
        .args(["--target", "x86_64-unknown-linux-gnu", "--format", "{p}"])
        .output()
        .context("cannot start cargo tree")?;
    ensure!(
        output.status.success(),
        "cargo tree failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = foreign(&listed);
    ensure!(count > 0, "cargo tree names no dependency:\n{listed}");
    eprintln!("{count} packages of others in the binary, of at most {BUDGET}");
    Ok((count > BUDGET)
        .then(|| format!("{count} packages of others in the binary, more than {BUDGET}"))
        .into_iter()
        .collect())
}

/// Counts distinct packages in a list of `name v1.2.3 [(path)] [(*)]`, without our own.
fn foreign(listed: &str) -> usize {
    let packages: BTreeSet<(&str, &str)> = listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name, rest.split(' ').next().unwrap_or_default()))
        .filter(|(name, _)| floor(name).is_none())
        .collect();
    packages.len()
}

fn floor(name: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(crate_name, _)| *crate_name == name)
        .map(|(_, floor)| *floor)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(name: &str, kind: Option<&str>, other: &str, faults: usize) {
        let dependency = json!({"name": other, "kind": kind});
        let package = json!({"name": name, "dependencies": [dependency]});
        let found = judge(&[package]).unwrap();
        assert_eq!(found.len(), faults, "{name} -> {other}: {found:?}");
    }

    #[test]
    fn arrows_point_down() {
        check("slated-core", None, "slated-model", 0);
        check("slated", None, "slated-host", 0);
        check("slated-site", None, "tokio", 0);
        check("slated-host", Some("dev"), "slated-sim", 0);
        check("slated-core", None, "slated-wire", 1);
        check("slated-model", None, "slated-core", 1);
        check("slated-host", None, "slated-store", 1);
        check("slated-core", None, "tokio", 1);
        check("slated", None, "slated-testkit", 1);
        check("slated-new", None, "serde", 1);
    }

    #[test]
    fn packages_are_counted_once() {
        let listed = "slated v0.1.0 (/x)\nserde v1.0.1\nserde v1.0.1 (*)\nserde v2.0.0\nrand v1.0.0 (proc-macro)\n";
        assert_eq!(foreign(listed), 3);
    }
}
