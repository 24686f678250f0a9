//! What a start refuses of the configuration, because the world is not as it says.

use slated_config::Config;
use slated_model::PluginId;

use crate::error::CommandError;

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
