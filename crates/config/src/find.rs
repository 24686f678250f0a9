//! Which file is read when nobody names one.

use std::path::{Path, PathBuf};

use crate::{Diagnostic, Diagnostics, Environment, Origin};

/// The configuration of the Python event daemon.
const THEIRS: &str = "shotgunEventDaemon.conf";

/// Returns the places where a configuration is looked for, the first that exists wins: those of
/// `slated.toml`, then those of the Python daemon, next to the program and `/etc`.
pub fn places(env: &dyn Environment) -> Vec<PathBuf> {
    let ours = env.variable("XDG_CONFIG_HOME").map(PathBuf::from);
    // The base directory specification: a relative path there is to be ignored.
    let ours = ours.filter(|path| path.is_absolute()).or_else(|| {
        env.variable("HOME")
            .map(|home| Path::new(&home).join(".config"))
    });
    [
        Some(PathBuf::from("slated.toml")),
        ours.map(|path| path.join("slated/slated.toml")),
        Some(PathBuf::from("/etc/slated/slated.toml")),
        env.program().map(|program| program.with_file_name(THEIRS)),
        Some(Path::new("/etc").join(THEIRS)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Finds the file; `exists` tells whether a file is there.
pub fn find(env: &dyn Environment, exists: impl Fn(&Path) -> bool) -> Result<PathBuf, Diagnostics> {
    let places = places(env);
    let list: Vec<_> = places
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let list = list.join(", ");
    places.into_iter().find(|path| exists(path)).ok_or_else(|| {
        Diagnostic::new(
            &Origin::Default,
            "",
            format!("no configuration: none of {list} is there"),
        )
        .hint("name one with `--config FILE`")
        .into()
    })
}
