//! What a start refuses of the configuration, because the world is not as it says.

use slated_config::Config;
use slated_model::PluginId;

use crate::error::CommandError;

/// Refuses plugins folders that are none, and says so where there is none at all.
pub(super) fn plugin_folders(config: &Config) -> Result<(), CommandError> {
    let key = "plugins.folders";
    if config.plugins.folders.is_empty() {
        tracing::warn!(
            "{}: `{key}` is empty: the site is followed, and no plugin runs.",
            config.origin(key)
        );
    }
    for folder in &config.plugins.folders {
        if folder.path.is_dir() {
            continue;
        }
        let (why, make) = if folder.path.exists() {
            ("is not a folder", "")
        } else {
            ("does not exist", "make it, or ")
        };
        return Err(CommandError::configuration(format!(
            "the plugins folder {} {why} ({})",
            folder.path.display(),
            config.origin(key)
        ))
        .hint(match config.conf {
            None => {
                format!("{make}correct `{key}`; relative paths start at the configuration file")
            }
            Some(_) => format!("{make}correct `paths` under [plugins]"),
        }));
    }
    Ok(())
}

/// Refuses working directories in which no process can start.
pub(super) fn working_folders(config: &Config, known: &[PluginId]) -> Result<(), CommandError> {
    let general = "defaults.cwd".to_owned();
    let general = (
        general.clone(),
        config.origin(&general),
        config.defaults.cwd.clone(),
    );
    let own = known.iter().map(|plugin| {
        let (key, origin) = config.effective_key(plugin, "cwd");
        (key, origin, config.effective(plugin).cwd)
    });
    for (key, origin, folder) in std::iter::once(general).chain(own) {
        let Some(folder) = folder else { continue };
        if let Some(why) = slated_host::unfit_folder(&folder) {
            return Err(CommandError::configuration(format!(
                "{origin}: `{key}`: the working directory {} {why}",
                folder.display()
            ))
            .hint("make it, or correct the key; relative paths start at the configuration file"));
        }
    }
    Ok(())
}
