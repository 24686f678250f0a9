//! The configuration as a whole: read, checked, merged, and asked where it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use slated_model::PluginId;

use crate::changes::{Marks, mark_overrides, mark_sections};
use crate::conf::{Conf, Migration};
use crate::model::{Alerts, Control, Log, Mail, Plugins, Site, State, Web};
use crate::read::{Overrides, named, put, read};
use crate::section::{Reader, join, nearest};
use crate::value::{Table, from_toml};
use crate::{
    Diagnostic, Diagnostics, Environment, Origin, PluginSettings, Secret, SiteUrl, System,
};

/// Everything that can be configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[site]`.
    pub site: Site,
    /// `[state]`.
    pub state: State,
    /// `[plugins]`.
    pub plugins: Plugins,
    /// `[defaults]`; [`Config::effective`] tells what holds for one plugin.
    pub defaults: PluginSettings,
    /// `[log]`.
    pub log: Log,
    /// `[mail]`.
    pub mail: Mail,
    /// `[alerts]`.
    pub alerts: Alerts,
    /// `[control]`.
    pub control: Control,
    /// `[web]`.
    pub web: Web,
    /// What only a `shotgunEventDaemon.conf` says; `None` under a `slated.toml`.
    pub conf: Option<Conf>,
    pub(crate) overrides: Overrides,
    origins: BTreeMap<String, Origin>,
    pub(crate) marks: Marks,
    base: PathBuf,
}

/// A configuration that can be used, and what should be said about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What works, but should not stay so.
    pub warnings: Diagnostics,
}

/// A value from a flag or the environment, which wins over the file.
#[derive(Clone)]
pub struct Override {
    /// Such as `web.listen`.
    pub key: &'static str,
    /// As it was typed. Lists are split at commas.
    pub value: String,
    /// Which flag or variable it was.
    pub origin: Origin,
}

/// A file's text and what its facts say.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The file, as it was named; shown in errors.
    pub path: &'a Path,
    /// The folder that relative paths in it are relative to.
    pub base: &'a Path,
    /// What it says.
    pub text: &'a str,
    /// Its permission bits, where the system has them.
    pub mode: Option<u32>,
}

/// The values of all secrets that are configured. No `Debug`, and none to come.
#[derive(Default)]
pub struct Secrets {
    /// `site.key`.
    pub site_key: SecretString,
    /// `site.proxy`.
    pub proxy: Option<SecretString>,
    /// `mail.password`.
    pub mail_password: Option<SecretString>,
    /// `alerts.webhook`.
    pub webhook: Option<SecretString>,
    /// `web.token`.
    pub web_token: Option<SecretString>,
}

/// A file that was read, and what its facts say.
struct FileText {
    whole: PathBuf,
    text: String,
    mode: Option<u32>,
}

impl FileText {
    fn read(cwd: &Path, path: &Path) -> Result<Self, Diagnostic> {
        let fail = |message: String| Diagnostic::new(&Origin::file(path), "", message);
        let whole = cwd.join(path);
        let bytes = std::fs::read(&whole).map_err(|error| {
            let told = fail(format!("cannot be read: {error}"));
            match error.kind() {
                ErrorKind::NotFound => {
                    told.hint("without `--config` the usual places are looked at")
                }
                ErrorKind::PermissionDenied => told.hint("its owner is another user, perhaps"),
                ErrorKind::IsADirectory => told.hint("name the file in it"),
                _ => told,
            }
        })?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let good = e.as_bytes().get(..e.utf8_error().valid_up_to());
            let breaks = good.unwrap_or_default().iter().filter(|b| **b == b'\n');
            fail(format!("is not UTF-8 at line {}", breaks.count() + 1))
        })?;
        // Without the dots that may stand in it: messages and state name what is behind them.
        let whole = std::path::absolute(&whole).map_err(|e| fail(e.to_string()))?;
        let mode = crate::environment::mode(&whole);
        Ok(Self { whole, text, mode })
    }
    /// Returns what it says, under the name it was given.
    fn source<'a>(&'a self, path: &'a Path) -> Source<'a> {
        Source {
            path,
            base: self.whole.parent().unwrap_or(&self.whole),
            text: &self.text,
            mode: self.mode,
        }
    }
}

fn working_directory(path: &Path) -> Result<PathBuf, Diagnostic> {
    std::env::current_dir().map_err(|error| {
        let message = format!("the working directory is gone: {error}");
        Diagnostic::new(&Origin::file(path), "", message)
    })
}

impl Config {
    /// Makes the configuration of a site in which every other key has its default.
    /// Relative paths are relative to `base`.
    pub fn new(url: SiteUrl, base: &Path) -> Self {
        Self {
            site: Site::new(url),
            state: State::new(base),
            plugins: Plugins::new(base),
            defaults: PluginSettings::default(),
            log: Log::default(),
            mail: Mail::default(),
            alerts: Alerts::default(),
            control: Control::default(),
            web: Web::default(),
            conf: None,
            overrides: Overrides::default(),
            origins: BTreeMap::new(),
            marks: Marks::new(),
            base: base.into(),
        }
    }

    /// Reads the file at `path`: one whose name ends in `.conf` as the Python daemon reads it,
    /// any other as TOML.
    pub fn load(path: &Path, overrides: &[Override]) -> Result<Loaded, Diagnostics> {
        Self::load_in(&working_directory(path)?, path, overrides)
    }

    /// Reads the file at `path` as a process whose working directory is `cwd` would.
    pub fn load_in(cwd: &Path, path: &Path, overrides: &[Override]) -> Result<Loaded, Diagnostics> {
        let file = FileText::read(cwd, path)?;
        if path.extension().is_some_and(|e| e == "conf") {
            return Self::parse_conf(&file.source(path), cwd, &System, overrides);
        }
        Self::parse(&file.source(path), overrides)
    }

    /// Reads the `.conf` at `path`, and makes a `slated.toml` for `folder` that means the same.
    pub fn migrate(path: &Path, new: &Path) -> Result<(Loaded, Migration), Diagnostics> {
        let cwd = working_directory(path)?;
        let new = std::path::absolute(new)
            .map_err(|e| Diagnostic::new(&Origin::file(new), "", e.to_string()))?;
        let file = FileText::read(&cwd, path)?;
        Self::migrate_text(&file.source(path), &cwd, &System, &new)
    }

    /// Makes the `slated.toml` at `new` of the text of a `.conf`, as [`Config::parse_conf`] reads it.
    pub fn migrate_text(
        source: &Source<'_>,
        cwd: &Path,
        env: &dyn Environment,
        new: &Path,
    ) -> Result<(Loaded, Migration), Diagnostics> {
        crate::conf::migrate(source, cwd, env, new)
    }

    /// Reads a configuration from its text, without any look at the world. Everything
    /// that is wrong is told together.
    pub fn parse(source: &Source<'_>, overrides: &[Override]) -> Result<Loaded, Diagnostics> {
        let mut tree = from_toml(source.text, source.path)?;
        for one in overrides {
            put(&mut tree, one);
        }
        Self::finish(source, Reader::new(source.base), &mut tree, None)
    }

    /// Reads the text of a `shotgunEventDaemon.conf`. Relative paths in the sections of the
    /// Python daemon start at `cwd`; `env` has the variables that a `%(NAME)s` names.
    pub fn parse_conf(
        source: &Source<'_>,
        cwd: &Path,
        env: &dyn Environment,
        overrides: &[Override],
    ) -> Result<Loaded, Diagnostics> {
        crate::conf::parse(source, cwd, env, overrides)
    }

    /// Makes the configuration of a tree, with what the reader has found so far.
    pub(crate) fn finish(
        source: &Source<'_>,
        mut reader: Reader,
        tree: &mut Table,
        conf: Option<Conf>,
    ) -> Result<Loaded, Diagnostics> {
        let mut marks = mark_sections(tree);
        let config = read(&mut reader, tree, source.path);
        reader.report_unknown();
        let Reader {
            mut errors,
            mut warnings,
            origins,
            written,
            ..
        } = reader;
        let Some(mut config) = config else {
            return Err(errors.sorted());
        };
        mark_overrides(&mut marks, &config.overrides, &config.plugins.folders);
        config.marks = marks;
        config.origins = origins;
        config.conf = conf;
        config.check(&mut errors, &mut warnings);
        config.warn_of_literals(source, &written, &mut warnings);
        config.warn_of_passed_secrets(&written, &mut warnings);
        let warnings = warnings.sorted();
        errors.or(Loaded { config, warnings })
    }

    /// Returns the settings of a plugin: `[defaults]`, over them its folder's, over them its
    /// own. Lists are replaced as a whole; `env` is merged by name.
    pub fn effective(&self, plugin: &PluginId) -> PluginSettings {
        let mut settings = self.defaults.clone();
        // What is put over was read without error when the file was.
        let mut reader = Reader::new(&self.base);
        for (path, table) in self.layers(plugin) {
            settings.read(&mut reader.overriding(&path, table));
        }
        settings
    }

    /// Returns where a setting of a plugin came from; `key` is one of `[defaults]`. For
    /// `env`: where its last part came from.
    pub fn effective_origin(&self, plugin: &PluginId, key: &str) -> Origin {
        self.effective_key(plugin, key).1
    }

    /// Returns the whole key that a setting of a plugin has its value from, such as
    /// `plugin."notes".cwd`, and where that stands.
    pub fn effective_key(&self, plugin: &PluginId, key: &str) -> (String, Origin) {
        let mut over = self.layers(plugin).into_iter().rev();
        let found = |(path, table): (String, &Table)| {
            Some((join(&path, key), table.get(key)?.origin.clone()))
        };
        over.find_map(found).unwrap_or_else(|| {
            let key = join("defaults", key);
            let origin = self.origin(&key);
            (key, origin)
        })
    }

    /// Returns the names of `[plugin."NAME"]`, whether or not there is such a plugin.
    pub fn plugin_names(&self) -> impl Iterator<Item = &str> {
        self.overrides.plugin.keys().map(String::as_str)
    }

    /// Returns the tables that hold for a plugin, the one that wins last.
    fn layers(&self, plugin: &PluginId) -> Vec<(String, &Table)> {
        let mut layers = Vec::new();
        if let Some(table) = self.overrides.folder.get(plugin.folder()) {
            layers.push((named("folder", plugin.folder()), table));
        }
        for name in [plugin.stem().to_owned(), plugin.to_string()] {
            if let Some(table) = self.overrides.plugin.get(&name) {
                layers.push((named("plugin", &name), table));
            }
        }
        layers
    }

    /// Checks the names of `[plugin."NAME"]` against the plugins that were found. A stem
    /// that names two of them is an error; a name of none is a warning, since the file may
    /// come later.
    pub fn check_names(&self, known: &[PluginId]) -> Result<Diagnostics, Diagnostics> {
        let (mut errors, mut warnings) = (Diagnostics::default(), Diagnostics::default());
        for name in self.overrides.plugin.keys() {
            let meant: Vec<_> = known.iter().filter(|id| id.answers_to(name)).collect();
            let key = named("plugin", name);
            let one = |message| Diagnostic::new(&self.origin(&key), key.clone(), message);
            match meant.as_slice() {
                [_] => {}
                [] => {
                    let names = known
                        .iter()
                        .flat_map(|id| [id.stem().to_owned(), id.to_string()]);
                    let names: BTreeSet<_> = names.collect();
                    let mut none = one(format!("`{key}` names no plugin"));
                    none.hint = nearest(name, names.iter().map(String::as_str))
                        .map(|near| format!("did you mean `{near}`?"));
                    warnings.push(none);
                }
                several => {
                    let list: Vec<_> = several.iter().map(ToString::to_string).collect();
                    let list = list.join("` and `");
                    errors.push(
                        one(format!("`{key}` names more than one plugin: `{list}`"))
                            .hint("write the one that is meant"),
                    );
                }
            }
        }
        errors.or(warnings.sorted())
    }

    /// Returns where the value of a key came from, such as `site.tick` or
    /// `plugin."notes".retry`.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or_default()
    }

    /// Returns every key, set or not, with where its value came from.
    pub fn origins(&self) -> impl Iterator<Item = (&str, &Origin)> {
        let all = self.origins.iter().filter(|(key, _)| !key.ends_with('"'));
        all.map(|(key, origin)| (key.as_str(), origin))
    }

    /// Returns every key that somebody set, and where.
    pub fn configured_keys(&self) -> impl Iterator<Item = (&str, &Origin)> {
        let set = self
            .origins
            .iter()
            .filter(|(_, origin)| !origin.is_default());
        set.filter(|(key, _)| !key.ends_with('"'))
            .map(|(key, origin)| (key.as_str(), origin))
    }

    /// Returns the keys that somebody set and that do nothing in this version. `idle` lists
    /// those: `mail.server`, `mail.*` for a section, `defaults.window` for the key in
    /// `[defaults]` and in every override.
    pub fn without_effect(&self, idle: &[&str]) -> Vec<(&str, &Origin)> {
        let is_idle = |key: &str| {
            let general = match key.rsplit_once("\".") {
                Some((_, setting)) => join("defaults", setting),
                None => key.to_owned(),
            };
            idle.iter().any(|idle| match idle.strip_suffix(".*") {
                Some(section) => general.split('.').next() == Some(section),
                None => *idle == general,
            })
        };
        self.configured_keys()
            .filter(|(key, _)| is_idle(key))
            .collect()
    }

    /// Returns the environment variables that feed a secret: no plugin may see them.
    pub fn secret_variables(&self) -> Vec<&str> {
        let secrets = self.secrets().into_iter();
        secrets
            .filter_map(|(_, secret)| secret?.variable_name())
            .collect()
    }

    /// Fetches the values of all secrets, and says what is wrong with all of them together.
    pub fn resolve(&self, env: &dyn Environment) -> Result<(Secrets, Diagnostics), Diagnostics> {
        let (mut errors, mut warnings) = (Diagnostics::default(), Diagnostics::default());
        let mut fetch = |(key, secret): (&str, Option<&Secret>)| match secret?.resolve(key, env) {
            Ok(resolved) => {
                warnings.0.extend(resolved.warning);
                Some(resolved.value)
            }
            Err(wrong) => {
                errors.push(wrong);
                None
            }
        };
        let [site_key, proxy, mail_password, webhook, web_token] = self.secrets().map(&mut fetch);
        // Where the key is missing, `errors` says so.
        let site_key = site_key.unwrap_or_default();
        let secrets = Secrets {
            site_key,
            proxy,
            mail_password,
            webhook,
            web_token,
        };
        errors.or((secrets, warnings))
    }

    pub(crate) fn secrets(&self) -> [(&'static str, Option<&Secret>); 5] {
        [
            ("site.key", Some(&self.site.key)),
            ("site.proxy", self.site.proxy.as_ref()),
            ("mail.password", self.mail.password.as_ref()),
            ("alerts.webhook", self.alerts.webhook.as_ref()),
            ("web.token", self.web.token.as_ref()),
        ]
    }

    /// Checks what two keys say together.
    fn check(&self, errors: &mut Diagnostics, warnings: &mut Diagnostics) {
        let one = |key: &str, message: &str| Diagnostic::new(&self.origin(key), key, message);
        if self.web.listen.is_some_and(|at| !at.ip().is_loopback()) && self.web.token.is_none() {
            errors.push(
                one(
                    "web.listen",
                    "`web.listen` beyond loopback needs `web.token`",
                )
                .hint("set a token, or listen at 127.0.0.1"),
            );
        }
        if self.mail.server.is_some() && (self.mail.from.is_none() || self.mail.to.is_empty()) {
            errors.push(one(
                "mail.server",
                "`mail.server` needs `mail.from` and `mail.to`",
            ));
        }
        let port = |server: &str| {
            let (host, port) = server.split_once(':')?;
            (!host.is_empty() && port.parse::<u16>().is_ok()).then_some(())
        };
        if self.mail.server.as_deref().and_then(port).is_some() {
            warnings.push(one(
                "mail.server",
                "the mail server has a port behind its name, and so no mail goes out: write that as `port`",
            ));
        }
        if let (Some(soft), Some(hard)) = (self.defaults.soft_timeout, self.defaults.hard_timeout)
            && soft >= hard
        {
            warnings.push(one(
                "defaults.soft_timeout",
                "`defaults.soft_timeout` is not below `defaults.hard_timeout`, so it never acts",
            ));
        }
    }

    /// Warns of secrets that stand in the file, more so if others may read it.
    fn warn_of_literals(
        &self,
        source: &Source<'_>,
        written: &BTreeMap<String, String>,
        warnings: &mut Diagnostics,
    ) {
        let open = source.mode.is_some_and(|mode| mode & 0o044 != 0);
        let file = source.path.display();
        for (key, secret) in self.secrets() {
            let Some(secret) = secret.filter(|secret| secret.is_literal()) else {
                continue;
            };
            // A proxy without a password is none, and one way to give a webhook is plainly.
            let harmless = match key {
                "site.proxy" => !secret.exposed().is_some_and(|text| text.contains('@')),
                "alerts.webhook" => !open,
                // A `.conf` has no other way to write a password that is not a variable's.
                _ => self.conf.is_some() && !open,
            };
            if harmless || !secret.origin().is_file() {
                continue;
            }
            let one =
                |message, hint: String| Diagnostic::new(secret.origin(), key, message).hint(hint);
            let name = written.get(key).map_or(key, String::as_str);
            warnings.push(if self.conf.is_some() {
                one(
                    format!("`{name}` is plain text in a file that others may read"),
                    format!("chmod 600 {file}, or take it from a variable: %(NAME)s"),
                )
            } else if open {
                one(
                    format!("`{key}` is plain text in a file that others may read"),
                    format!("chmod 600 {file}, and better name where it stands: {{ env = \"…\" }}, {{ file = \"…\" }}, {{ command = [\"…\"] }}"),
                )
            } else {
                one(
                    format!("`{key}` is plain text"),
                    "better name where it stands: { env = \"…\" }, { file = \"…\" }, { command = [\"…\"] }".into(),
                )
            });
        }
    }

    /// Warns of a variable that holds a secret and that plugins see, as the Python daemon lets
    /// them.
    fn warn_of_passed_secrets(
        &self,
        written: &BTreeMap<String, String>,
        warnings: &mut Diagnostics,
    ) {
        if self.conf.is_none() || !self.defaults.env_pass.iter().any(|name| name == "*") {
            return;
        }
        for (key, secret) in self.secrets() {
            if key != "site.proxy"
                && let Some(secret) = secret
                && let Some(variable) = secret.variable_name()
                && !secret.origin().is_default()
            {
                let name = written.get(key).map_or(key, String::as_str);
                let message = format!("every plugin sees ${variable}, which holds `{name}`");
                let hint = "as under the Python daemon; `env_pass` under [slated] names what plugins may see";
                warnings.push(Diagnostic::new(secret.origin(), key, message).hint(hint));
            }
        }
    }
}
