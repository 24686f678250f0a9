//! Where a plugin is tried: its file, its settings, and the site, if there is one.

use std::path::{Path, PathBuf};

use slated_config::{Config, Folder, Secrets, SiteUrl, System};
use slated_model::PluginId;
use slated_site::Client;

use super::Args;
use crate::commands::replay::refuse_beside;
use crate::daemon;
use crate::error::CommandError;
use crate::out;
use crate::view::refusal;

/// How a site is named.
pub(super) const NO_SITE: &str = "name a site: --config FILE, or --site URL and its key in SLATED_SITE_KEY; `slated sim` serves one on this machine";

/// An address that no machine has.
const NOWHERE: &str = "https://offline.invalid";

/// Everything that a process of the plugin is started by.
pub(super) struct Place {
    pub(super) config: Config,
    /// Those of the site; they are given away once.
    pub(super) secrets: Option<Secrets>,
    pub(super) plugin: PluginId,
    pub(super) file: PathBuf,
    /// `None`: there is no site.
    pub(super) client: Option<Client>,
    /// Whether a configuration was read: then there may be a log.
    pub(super) configured: bool,
}

impl Place {
    /// Finds configuration and plugin.
    pub(super) async fn find(args: &Args) -> Result<Self, CommandError> {
        let file = is_file(&args.plugin).then(|| PathBuf::from(&args.plugin));
        let (mut config, configured) = config(args, file.is_some())?;
        let offline = args.offline || (!configured && args.site.is_none());
        let secrets = if offline {
            no_secrets()
        } else {
            let resolved = config.resolve(&System).map_err(|error| {
                CommandError::from(error).hint("`--offline` tries it without a site")
            });
            let (secrets, warnings) = resolved?;
            warnings.0.iter().for_each(out::talk);
            secrets
        };
        let plugin = if let Some(file) = &file {
            known_by_file(&mut config, file)?
        } else {
            let known = daemon::check(&config, &secrets)?.known;
            refusal::find(&args.plugin, known.iter().map(|id| (id, false)))?
        };
        if configured {
            let settings = config.effective(&plugin);
            refuse_beside(&config, &plugin, &settings).await?;
        }
        let client = if offline {
            None
        } else {
            Some(daemon::client(&config, &secrets)?)
        };
        Ok(Self {
            file: daemon::file_of(&config.plugins.folders, &plugin),
            config,
            secrets: Some(secrets),
            plugin,
            client,
            configured,
        })
    }
}

/// Returns the secrets of nobody.
pub(super) fn no_secrets() -> Secrets {
    Secrets {
        site_key: String::new().into(),
        proxy: None,
        mail_password: None,
        webhook: None,
        web_token: None,
    }
}

/// Tells whether a person means a file.
fn is_file(plugin: &str) -> bool {
    let path = Path::new(plugin);
    path.extension().is_some_and(|e| e == "py") || daemon::is_manifest(path) || path.is_file()
}

/// Returns the configuration, and whether there is a file of it. None is needed for a file.
fn config(args: &Args, file: bool) -> Result<(Config, bool), CommandError> {
    let path = match (&args.site, args.config.path()) {
        (None, Ok(path)) => path,
        (None, Err(error)) if !file || args.config.config.is_some() => return Err(error),
        (site, _) => {
            let nowhere = SiteUrl::parse(NOWHERE).map_err(CommandError::internal);
            let url = site.clone().map_or(nowhere, Ok)?;
            let base = std::env::current_dir().map_err(CommandError::internal)?;
            return Ok((without_file(url, args.script.as_deref(), &base), false));
        }
    };
    let loaded = Config::load(&path, &[])?;
    loaded.warnings.0.iter().for_each(out::talk);
    Ok((loaded.config, true))
}

/// Returns the configuration of nobody: the plugin has this shell's variables and, where it registers
/// with no script name, the site's key.
fn without_file(url: SiteUrl, script: Option<&str>, base: &Path) -> Config {
    let mut config = Config::new(url, base);
    if let Some(script) = script {
        script.clone_into(&mut config.site.script);
    }
    config.plugins.folders.clear();
    config.plugins.lend_key = true;
    config.defaults.env_pass = vec!["*".into()];
    config
}

/// Returns how a file is called: as a plugin of the configuration where it stands in one of its
/// folders, and else as that of a folder of its own.
fn known_by_file(config: &mut Config, file: &Path) -> Result<PluginId, CommandError> {
    let shown = file.display();
    if !file.is_file() {
        let error = format!("{shown} is no file");
        return Err(CommandError::usage(error)
            .hint("name a plugin's file, or a plugin of the configuration by its stem"));
    }
    let whole = std::path::absolute(file).map_err(CommandError::internal)?;
    let stem = whole.file_name().and_then(|name| name.to_str());
    let stem = stem.and_then(slated_core::scan::stem);
    let folder = whole
        .parent()
        .and_then(|folder| Some((folder, folder.to_str()?)));
    let (Some(stem), Some((folder, name))) = (stem, folder) else {
        let error = format!(
            "{shown} is no plugin: its name begins with a dot, ends neither in .py nor in .plugin.toml, or is not UTF-8"
        );
        return Err(CommandError::usage(error));
    };
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut folders = config.plugins.folders.iter();
    if let Some(own) = folders.find(|own| real(&own.path) == real(folder)) {
        return Ok(own.plugin(stem));
    }
    let own = Folder {
        name: name.to_owned(),
        written: name.to_owned(),
        path: folder.to_owned(),
    };
    let plugin = own.plugin(stem);
    config.plugins.folders.push(own);
    Ok(plugin)
}
