//! The Pythons of a daemon, found and asked at its start: that of most plugins, and those that
//! single folders and plugins name.
//!
//! Invariant: a Python that somebody named runs those plugins or none. A typo must not run them in
//! another environment. And one that single plugins name and that is not there is theirs to miss: all
//! others start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use slated_config::Config;
use slated_host::{Candidate, Interpreter, InterpreterError};
use slated_model::PluginId;

use super::environment::environment;
use super::sources::{file_of, is_manifest};
use crate::error::CommandError;

/// The Pythons of plugins.
pub(super) struct Interpreters {
    /// That of plugins that name none of their own; none, where no plugin is a Python file and there is
    /// no Python either.
    pub(super) usual: Option<Interpreter>,
    /// Those that are named, by the name; or why they run nothing.
    pub(super) named: BTreeMap<PathBuf, Result<Interpreter, String>>,
}

/// Returns the Python that a plugin or its folder names, with the key and where it stands.
pub(super) fn own(config: &Config, plugin: &PluginId) -> Option<(PathBuf, String)> {
    let (key, origin) = config.effective_key(plugin, "python");
    let named = config.effective(plugin).python?;
    // That one is behind `--python` and `SLATED_PYTHON`.
    (key != DEFAULT).then(|| (named, format!("{origin}: `{key}`")))
}

/// The key that names the Python of plugins that name none.
const DEFAULT: &str = "defaults.python";

/// Finds the Python of plugins that name none, and asks each that is named who it is.
pub(super) async fn find(
    config: &Config,
    known: &[PluginId],
    flag: Option<&Path>,
) -> Result<Interpreters, CommandError> {
    let env = environment(config, &config.defaults);
    let paths = &config.defaults.import_paths;
    let origin = format!("{}: `{DEFAULT}`", config.origin(DEFAULT));
    let setting = config.defaults.python.as_deref();
    let setting = setting.map(|program| (program, origin.as_str()));
    let candidates = slated_host::candidates(flag, setting, |name| std::env::var_os(name));
    let (usual, passed) = match Interpreter::find(candidates, &env, paths).await {
        Ok((found, passed)) => (Some(found), passed),
        // One that is named and unfit is an error all the same.
        Err(InterpreterError::NoneFound { rejected, .. }) if none_needed(config, known) => {
            (None, rejected)
        }
        Err(error) => return Err(no_python(error)),
    };
    for rejected in passed {
        let Candidate {
            program, origin, ..
        } = rejected.candidate;
        tracing::info!(
            "{} ({origin}) was passed over: {}.",
            program.display(),
            rejected.reason
        );
    }
    let told = usual.as_ref().map_or_else(
        || "No Python is there, and no plugin needs one. `slated reload` looks again.".into(),
        |python| format!("Plugins run with {}.", described(python)),
    );
    tracing::info!("{told}");
    let mut named = BTreeMap::new();
    for plugin in known.iter().cloned().chain(to_come(config)) {
        let Some((program, origin)) = own(config, &plugin) else {
            continue;
        };
        if named.contains_key(&program) {
            continue;
        }
        let settings = config.effective(&plugin);
        let env = environment(config, &settings);
        let candidate = Candidate {
            program: program.clone(),
            origin,
            named: true,
        };
        let found = Interpreter::find(vec![candidate.clone()], &env, &settings.import_paths).await;
        let found = found.map(|(found, _)| found).map_err(|why| why.to_string());
        match &found {
            Ok(found) => tracing::info!("{} is {}.", candidate.origin, described(found)),
            Err(why) => tracing::error!("{why}"),
        }
        named.insert(program, found);
    }
    Ok(Interpreters { usual, named })
}

/// Tells whether there are plugins, and each has a program or a Python of its own.
fn none_needed(config: &Config, known: &[PluginId]) -> bool {
    let folders = &config.plugins.folders;
    let has_own =
        |plugin: &PluginId| is_manifest(&file_of(folders, plugin)) || own(config, plugin).is_some();
    !known.is_empty() && known.iter().all(has_own)
}

/// Returns plugins whose files may come later, as far as the configuration speaks of them: one in
/// each folder, and those it names.
fn to_come(config: &Config) -> impl Iterator<Item = PluginId> {
    let folders = config.plugins.folders.iter();
    folders.flat_map(|folder| {
        let named = config.plugin_names().filter_map(|name| {
            let stem = name.rsplit('/').next().unwrap_or(name);
            Some(folder.plugin(stem)).filter(|id| id.answers_to(name))
        });
        std::iter::once(folder.plugin("")).chain(named)
    })
}

fn described(python: &Interpreter) -> String {
    let client = python.shotgun_api3.as_deref().unwrap_or("missing");
    let path = python.path.display();
    format!("{path} (Python {}, shotgun_api3 {client})", python.version)
}

fn no_python(error: InterpreterError) -> CommandError {
    let hint = match &error {
        // The command stands in the error.
        InterpreterError::NoneFound {
            install: Some(_), ..
        } => "or name another Python with --python or `defaults.python`",
        InterpreterError::Unfit { .. } => {
            "no other is taken for one that is named: correct it, or leave it out"
        }
        _ => {
            "install Python 3 and shotgun_api3, or name a Python with --python or `defaults.python`"
        }
    };
    CommandError::configuration(error).hint(hint)
}
