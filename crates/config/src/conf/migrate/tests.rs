//! The new file against the old one: the same configuration, and nothing lost on the way.

mod any;
mod stock;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;
use slated_model::PluginId;

use super::Migration;
use crate::tests::World;
use crate::{Config, Diagnostics, Environment, Loaded, Source};

/// Makes a `slated.toml` in `folder` of a `.conf` in `/studio` that is read in `/home/td`.
pub(crate) fn migrate(
    text: &str,
    world: &World,
    folder: &str,
) -> Result<(Loaded, Migration), Diagnostics> {
    let source = Source {
        path: Path::new("/studio/shotgunEventDaemon.conf"),
        base: Path::new("/studio"),
        text,
        mode: Some(0o600),
    };
    Config::migrate_text(
        &source,
        Path::new("/home/td"),
        world,
        &Path::new(folder).join("slated.toml"),
    )
}

/// Reads what was made, as it stands in `folder`.
fn read(made: &Migration, folder: &str) -> Loaded {
    let source = Source {
        path: Path::new("slated.toml"),
        base: Path::new(folder),
        text: &made.text,
        mode: Some(0o600),
    };
    Config::parse(&source, &[]).unwrap_or_else(|wrong| panic!("{wrong}\n{}", made.text))
}

/// Checks that both files say the same.
pub(crate) fn check_equal(old: &Config, made: &Migration, world: &World, folder: &str) {
    let mut new = read(made, folder).config;
    let text = &made.text;
    // A secret is the same where the same is fetched.
    let beside = Beside::of(made, world, folder);
    assert_eq!(fetched(old, &beside), fetched(&new, &beside), "{text}");
    new.site.key.clone_from(&old.site.key);
    new.site.proxy.clone_from(&old.site.proxy);
    new.mail.password.clone_from(&old.mail.password);
    new.alerts.webhook.clone_from(&old.alerts.webhook);
    new.web.token.clone_from(&old.web.token);
    // The log of a .conf without `logPath` stands where slated was started.
    let logs = &old.conf.as_ref().unwrap().logs.folder;
    assert_eq!(new.log.folder.as_ref(), Some(logs), "{text}");
    new.log.folder.clone_from(&old.log.folder);
    // A folder is called as it was, where that leads to it from there.
    let folders = old.plugins.folders.iter().zip(&new.plugins.folders);
    let mut names = Vec::new();
    for (was, is) in folders {
        assert_eq!(was.path, is.path, "{text}");
        let name = if Path::new(folder).join(&was.name) == was.path {
            was.name.clone()
        } else {
            was.path.to_string_lossy().into_owned()
        };
        assert_eq!(is.name, name, "{text}");
        names.push((was.name.clone(), name));
    }
    assert_eq!(old.plugins.folders.len(), new.plugins.folders.len());
    new.plugins.folders.clone_from(&old.plugins.folders);

    assert_eq!(old.site, new.site, "{text}");
    assert_eq!(old.state, new.state, "{text}");
    assert_eq!(old.plugins, new.plugins, "{text}");
    assert_eq!(old.defaults, new.defaults, "{text}");
    assert_eq!(old.log, new.log, "{text}");
    assert_eq!(old.mail, new.mail, "{text}");
    assert_eq!(old.alerts, new.alerts, "{text}");
    assert_eq!(old.control, new.control, "{text}");
    assert_eq!(old.web, new.web, "{text}");
    // And what holds for each plugin that is named, in each of the folders, and for any other.
    let named = old
        .plugin_names()
        .filter_map(|name| name.rsplit('/').next());
    for stem in named.chain(["any"]).filter(|stem| !stem.is_empty()) {
        for (was, is) in &names {
            let (was, is) = (PluginId::new(was, stem), PluginId::new(is, stem));
            assert_eq!(old.effective(&was), new.effective(&is), "{was} {text}");
        }
    }
}

/// Returns what each secret is, or that it cannot be fetched.
fn fetched(config: &Config, env: &dyn Environment) -> Vec<Option<String>> {
    let all = config.secrets().into_iter();
    all.map(|(key, secret)| {
        let found = secret.map(|secret| secret.resolve(key, env));
        found.map(|found| match found {
            Ok(found) => found.value.expose_secret().to_owned(),
            Err(_) => "nothing".into(),
        })
    })
    .collect()
}

/// A world with the secrets that were put beside the new file.
struct Beside<'a> {
    world: &'a World,
    secrets: BTreeMap<PathBuf, String>,
}

impl<'a> Beside<'a> {
    fn of(made: &Migration, world: &'a World, folder: &str) -> Self {
        let one = |secret: &super::SecretFile| {
            let value = secret.value.expose_secret().to_owned();
            (Path::new(folder).join(&secret.file), value)
        };
        let secrets = made.secrets.iter().map(one).collect();
        Self { world, secrets }
    }
}

impl Environment for Beside<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.world.variable(name)
    }
    fn named(&self, name: &str) -> Vec<(String, String)> {
        self.world.named(name)
    }
    fn exists(&self, path: &Path) -> bool {
        self.world.exists(path)
    }
    fn program(&self) -> Option<PathBuf> {
        self.world.program()
    }
    fn read(&self, path: &Path) -> Result<String, String> {
        match self.secrets.get(path) {
            Some(secret) => Ok(secret.clone()),
            None => self.world.read(path),
        }
    }
    fn mode(&self, _: &Path) -> Option<u32> {
        Some(0o600)
    }
    fn run(&self, command: &[String]) -> Result<String, String> {
        self.world.run(command)
    }
}
