//! From wishes to a running world.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use slated_sim::{Server, Site, SiteOptions};

use crate::conf::ConfFile;
use crate::daemon::Recipe;
use crate::disk::Disk;
use crate::history::Start;
use crate::plugins::{Plugin, Script};
use crate::python;
use crate::service::Services;
use crate::world::{Kept, World};

/// The folder of plugins, as the configuration calls it.
pub(crate) const FOLDER: &str = "plugins";

/// The variable that holds the key of the daemon's script.
const KEY: &str = "SLATED_SITE_KEY";

/// A world to be.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    slated: PathBuf,
    site: SiteOptions,
    plugins: Vec<Plugin>,
    /// TOML text by section and key.
    settings: BTreeMap<String, BTreeMap<String, String>>,
    /// What stands in a `shotgunEventDaemon.conf`, where the world has one.
    conf: Option<ConfFile>,
    window: usize,
    retries: bool,
    env: Vec<(String, String)>,
    disk: bool,
}

impl Builder {
    pub(crate) fn new(slated: PathBuf) -> Self {
        let builder = Self {
            slated,
            site: SiteOptions::default(),
            plugins: Vec::new(),
            settings: BTreeMap::new(),
            conf: None,
            window: 16,
            retries: true,
            env: Vec::new(),
            disk: false,
        };
        // Quick enough for a test that waits for a look.
        builder
            .setting("site", "tick", "\"100ms\"")
            .setting("state", "folder", "\"state\"")
            // Rows in tests are of any age, and a slow machine runs a world past the first look of
            // retention: the judge reads them in the log.
            .setting("state", "keep_events", "\"3650d\"")
            .setting("plugins", "folders", &format!("[\"{FOLDER}\"]"))
    }
    /// Changes how the site is made.
    pub fn site(mut self, change: impl FnOnce(&mut SiteOptions)) -> Self {
        change(&mut self.site);
        self
    }
    /// Adds a plugin.
    pub fn plugin(mut self, plugin: Plugin) -> Self {
        self.plugins.push(plugin);
        self
    }
    /// Sets a key of `slated.toml`; `value` is TOML, so a text has its quotes.
    ///
    /// What the judge must know has methods of its own: [`Self::window`], [`Self::no_retries`].
    pub fn setting(mut self, section: &str, key: &str, value: &str) -> Self {
        let section = self.settings.entry(section.to_owned()).or_default();
        section.insert(key.to_owned(), value.to_owned());
        self
    }
    /// Gives the world a `shotgunEventDaemon.conf` in place of a `slated.toml`: one as the Python
    /// daemon comes with, changed by `change`. Its `[slated]` section holds what
    /// [`Self::setting`] sets, as far as it can stand there.
    pub fn conf(mut self, change: impl FnOnce(&mut ConfFile)) -> Self {
        change(self.conf.get_or_insert_default());
        // As the Python daemon, which tries nothing again.
        self.retries = false;
        self
    }
    /// Sets how many events are sent ahead to plugins that take no time.
    pub fn window(mut self, window: usize) -> Self {
        self.window = window;
        self.setting("defaults", "window", &window.to_string())
    }
    /// Lets no failed callback be tried again by itself.
    pub fn no_retries(mut self) -> Self {
        self.retries = false;
        self.setting("defaults", "retry", "\"none\"")
    }
    /// Puts the state on a disk that [`World::disk`] breaks. Needs Linux and a C compiler.
    pub const fn breakable_disk(mut self) -> Self {
        self.disk = true;
        self
    }
    /// Sets a variable in the daemon's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
    /// Makes the site and the files, and starts the daemon; waits until it follows the site
    /// and every plugin is ready.
    pub async fn start(self) -> Result<World> {
        let mut world = self.prepare().await?;
        world.restart()?;
        world.follow().await?;
        Ok(world)
    }
    /// Makes the site and the files. No daemon runs yet.
    pub async fn prepare(self) -> Result<World> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let site = Site::new(self.site.clone());
        // No site is empty: its first look has something to see.
        site.seed_events(20, Duration::from_hours(1));
        let server = Server::start(site.clone(), "127.0.0.1:0")
            .await
            .context("no simulator")?;
        let name = slated_sim::SCRIPTS
            .first()
            .context("the simulator has no scripts")?;
        let script = Script {
            name: (*name).to_owned(),
            key: site
                .key(name)
                .with_context(|| format!("no script {name}"))?,
        };
        let python = quoted(&python::interpreter()?.to_string_lossy());
        let mut builder = self.setting("defaults", "python", &python);
        let mut configured = FOLDER.to_owned();
        let mut state = folder.path().join("state");
        let key;
        let config = if let Some(mut conf) = builder.conf.take() {
            conf.fill(
                folder.path(),
                &server.url(),
                &script.name,
                &builder.settings,
            );
            // Plugins stand in the first of several, unless they say otherwise.
            let first = conf.get("plugins", "paths").split(',').next();
            first.unwrap_or_default().trim().clone_into(&mut configured);
            state = format!("{}.slated", conf.get("daemon", "eventIdFile")).into();
            key = ConfFile::KEY;
            let path = folder.path().join("shotgunEventDaemon.conf");
            std::fs::write(&path, conf.text()).context("cannot write the .conf")?;
            path
        } else {
            builder = builder
                .setting("site", "url", &quoted(&server.url()))
                .setting("site", "script", &quoted(&script.name))
                .setting("site", "key", &format!("{{ env = \"{KEY}\" }}"));
            key = KEY;
            let path = folder.path().join("slated.toml");
            std::fs::write(&path, builder.toml()).context("cannot write slated.toml")?;
            path
        };
        std::fs::create_dir(folder.path().join(FOLDER))
            .context("cannot make the plugins folder")?;
        let mut env = builder.env;
        env.push((key.to_owned(), script.key.clone()));
        let disk = builder.disk.then(|| Disk::new(folder.path())).transpose()?;
        env.extend(disk.iter().flat_map(|disk| disk.variables(&state)));
        let world = World {
            services: Services::of(&config),
            recipe: Recipe {
                binary: builder.slated,
                config,
                env,
                log: folder.path().join("daemon.log"),
            },
            folder,
            site,
            server,
            script,
            daemon: None,
            disk,
            kept: Kept::default(),
            standby: None,
            plugins: builder.plugins,
            configured,
            state,
            policy: (builder.window, builder.retries),
            start: Start::default(),
            starts: BTreeMap::new(),
        };
        for plugin in &world.plugins {
            world.write_plugin(plugin)?;
        }
        Ok(world)
    }
    fn toml(&self) -> String {
        let mut text = String::new();
        for (section, keys) in &self.settings {
            // Writing to a String cannot fail.
            writeln!(text, "[{section}]").ok();
            for (key, value) in keys {
                writeln!(text, "{key} = {value}").ok();
            }
        }
        text
    }
}

/// Writes a text as a TOML string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_by_section() {
        let builder = Builder::new("slated".into())
            .window(1)
            .no_retries()
            .setting("site", "tick", "\"2s\"");
        assert_eq!(
            builder.toml(),
            "[defaults]\nretry = \"none\"\nwindow = 1\n[plugins]\nfolders = [\"plugins\"]\n\
             [site]\ntick = \"2s\"\n[state]\nfolder = \"state\"\nkeep_events = \"3650d\"\n"
        );
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
    }
}
