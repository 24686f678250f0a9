//! What a start refuses of the configuration, because the world is not as it says.

use slated_config::Config;

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

/// Refuses a working directory of all plugins in which no process can start. That of single ones is
/// theirs to miss: the others start.
pub(super) fn working_folder(config: &Config) -> Result<(), CommandError> {
    let key = "defaults.cwd";
    let Some(folder) = &config.defaults.cwd else {
        return Ok(());
    };
    let Some(why) = slated_host::unfit_folder(folder) else {
        return Ok(());
    };
    let (origin, folder) = (config.origin(key), folder.display());
    Err(CommandError::configuration(format!(
        "{origin}: `{key}`: the working directory {folder} {why}"
    ))
    .hint("make it, or correct the key; relative paths start at the configuration file"))
}
