//! From a `shotgunEventDaemon.conf` to a `slated.toml` that means the same.
//!
//! The file is read as ever, and what it came to is written: `values` says how each key stands
//! in TOML, `why` what a person should know of it, `page` puts the lines together.
//!
//! Invariants: a secret never stands in the text, unless the `.conf` has it in the address of the site
//! or in an `env` table, and then a note says so; values of unknown keys stand nowhere.

mod page;
#[cfg(test)]
pub(crate) mod tests;
mod values;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use secrecy::SecretString;

use self::page::Page;
use self::values::{Places, Values, list, quote, settings, values};
use super::ini;
use crate::model::tidy;
use crate::read::named;
use crate::secret::Form;
use crate::section::{Reader, join};
use crate::value::Table;
use crate::{
    Config, Diagnostic, Diagnostics, Environment, Loaded, Origin, PluginSettings, Secret, Source,
};

/// A `slated.toml` made of a `.conf`.
pub struct Migration {
    /// The file.
    pub text: String,
    /// What it takes from files beside it.
    pub secrets: Vec<SecretFile>,
    /// What a person should know before it is used.
    pub notes: Vec<String>,
    /// The text holds what came from the environment and may be a secret: for no other eyes.
    pub private: bool,
}

/// A secret that stood in the `.conf` itself. No `Debug`, and none to come.
pub struct SecretFile {
    /// The name of the file, beside the new one: `site.key`, or `studio.site.key` for a `studio.toml`.
    /// One folder may have the files of several sites.
    pub file: String,
    /// Where it stood, such as `[shotgun] key, line 4`.
    pub stood: String,
    /// What the file is to hold.
    pub value: SecretString,
}

/// What stands in a line of the `.conf`.
#[derive(Clone, Copy)]
struct Entry<'a> {
    section: &'a str,
    key: &'a str,
    raw: &'a str,
}

/// Makes a `slated.toml` that stands at `new`.
pub(crate) fn migrate(
    source: &Source<'_>,
    cwd: &Path,
    env: &dyn Environment,
    new: &Path,
) -> Result<(Loaded, Migration), Diagnostics> {
    let folder = new.parent().unwrap_or(new);
    let loaded = super::parse(source, cwd, env, &[])?;
    // It was read a moment ago, so it has the syntax.
    let ini = ini::Ini::read(source.text).unwrap_or_default();
    let mut made = Maker {
        config: &loaded.config,
        source,
        stem: new.file_stem().unwrap_or_default().to_string_lossy().into(),
        entries: entries(&ini),
        secrets: Vec::new(),
        notes: Vec::new(),
        private: false,
        used: BTreeSet::new(),
        page: Page::default(),
    };
    made.write(&ini, folder)?;
    let migration = Migration {
        text: made.page.text(),
        secrets: made.secrets,
        notes: made.notes,
        private: made.private,
    };
    Ok((loaded, migration))
}

/// Returns what stands in each line.
fn entries(ini: &ini::Ini) -> BTreeMap<u32, Entry<'_>> {
    let own = ini.sections.iter();
    let all = own.map(|(name, section)| (name.as_str(), &section.entries));
    let all = all.chain([(ini::DEFAULT, &ini.defaults)]);
    let mut lines = BTreeMap::new();
    for (section, entries) in all {
        for (key, entry) in entries {
            let raw = entry.raw.as_str();
            lines.insert(entry.line, Entry { section, key, raw });
        }
    }
    lines
}

struct Maker<'a> {
    config: &'a Config,
    source: &'a Source<'a>,
    /// The name of the new file.
    stem: String,
    /// By line.
    entries: BTreeMap<u32, Entry<'a>>,
    secrets: Vec<SecretFile>,
    notes: Vec<String>,
    private: bool,
    /// The lines whose value stands in the new file.
    used: BTreeSet<u32>,
    page: Page,
}

impl<'a> Maker<'a> {
    fn write(&mut self, ini: &ini::Ini, folder: &Path) -> Result<(), Diagnostic> {
        let config = self.config;
        let places = Places::of(config, folder)?;
        self.page.head(&why::head(self.source.path));
        let plain = Config::new(config.site.url.clone(), folder);
        let plain = values(&plain, &Places::of(&plain, folder)?, &mut |_, _| {
            String::new()
        })?;
        let all = values(config, &places, &mut |key, secret| self.secret(key, secret))?;
        let mut section = "";
        for (value, default) in all.iter().zip(&plain) {
            if value.section != section {
                section = value.section;
                self.page.section(section);
                self.page.about(&why::section(section, config));
            }
            let path = join(section, value.key);
            let origin = config.origin(&path);
            if origin.is_default() && value.text == default.text {
                continue;
            }
            let mut comment = if origin.is_default() {
                why::kept(&path, config).to_owned()
            } else {
                self.stood(&path, &origin)
            };
            if path == "defaults.env_pass"
                && let Some(withheld) = why::withheld(config)
            {
                comment.push('\n');
                comment += &withheld;
                self.notes.push(withheld);
            }
            self.page.comment(&comment);
            self.page.key(value.key, &value.text);
        }
        self.overrides(&places)?;
        self.note_places(&places);
        self.tail(ini);
        Ok(())
    }

    /// Writes `[folder."PATH"]` and `[plugin."NAME"]`.
    fn overrides(&mut self, places: &Places) -> Result<(), Diagnostic> {
        let config = self.config;
        let kinds = [
            ("folder", &config.overrides.folder),
            ("plugin", &config.overrides.plugin),
        ];
        for (kind, all) in kinds {
            for (name, table) in all {
                let new = places.renamed(kind, name);
                self.page.section(&format!("{kind}.{}", quote(&new)));
                for value in set(&named(kind, name), table, self.source.base)? {
                    let path = join(&named(kind, name), value.key);
                    let comment = self.stood(&path, &config.origin(&path));
                    self.page.comment(&comment);
                    self.page.key(value.key, &value.text);
                }
            }
        }
        Ok(())
    }

    /// Says where a value stood, and remembers that it has its place.
    fn stood(&mut self, path: &str, origin: &Origin) -> String {
        let Some((line, entry)) = self.at(origin) else {
            return String::new();
        };
        self.used.insert(line);
        let takes_in = why::takes_in(entry.raw);
        let mut stood = why::place(entry.section, entry.key, line);
        let is_variable = is_secret(path) && self.is_variable(path);
        if takes_in && !is_variable {
            stood += ", with what its %(…)s stands for today";
        }
        if takes_in && path.rsplit('.').next() == Some("env") {
            self.private = true;
            self.notes.push(format!(
                "`{path}` holds what the environment had for it ({stood}): let nobody else read the file, or take it out and name the variable in `env_pass`"
            ));
        }
        if path == "site.url" && self.config.site.url.with_credentials().password().is_some() {
            self.private = true;
            self.notes
                .push("`site.url` carries a password: let nobody else read the file".into());
        }
        stood
    }

    fn at(&self, origin: &Origin) -> Option<(u32, Entry<'a>)> {
        let Origin::File {
            line: Some(line), ..
        } = origin
        else {
            return None;
        };
        Some((*line, *self.entries.get(line)?))
    }

    /// Tells whether a secret stays the variable that it was.
    fn is_variable(&self, path: &str) -> bool {
        let all = self.config.secrets().into_iter();
        let mut of = all.filter(|(key, _)| *key == path);
        of.any(|(_, secret)| secret.is_some_and(|secret| secret.variable_name().is_some()))
    }

    /// Returns how a secret is written. One that stands in the `.conf` goes to a file of its own.
    fn secret(&mut self, key: &'static str, secret: &Secret) -> String {
        match secret.form() {
            Form::Env(name) => format!("{{ env = {} }}", quote(name)),
            Form::Command(words) => format!("{{ command = {} }}", list(words)),
            Form::File(path) => {
                format!("{{ file = {} }}", quote(&path.to_string_lossy()))
            }
            Form::Literal(_) => {
                let text = secret.exposed().unwrap_or_default();
                // A proxy without a password is none.
                if key == "site.proxy" && !text.contains('@') {
                    return quote(text);
                }
                let stood = self
                    .at(secret.origin())
                    .map(|(line, entry)| why::place(entry.section, entry.key, line));
                let file = match self.stem.as_str() {
                    "slated" => key.to_owned(),
                    stem => format!("{stem}.{key}"),
                };
                let named = format!("{{ file = {} }}", quote(&file));
                self.secrets.push(SecretFile {
                    file,
                    stood: stood.unwrap_or_default(),
                    value: text.to_owned().into(),
                });
                named
            }
        }
    }

    fn note_places(&mut self, places: &Places) {
        for (old, new) in places.moved() {
            self.notes.push(format!(
                "the folder {old:?} is {new:?} here, and so its plugins have other names: slated takes them for new ones. Write the file where slated is started, or the whole path in the .conf before its first start"
            ));
        }
    }

    /// Lists what has no place in the new file.
    fn tail(&mut self, ini: &ini::Ini) {
        let known = super::old::SECTIONS.map(|(name, _)| name);
        let is_known = |name: &str| {
            name == ini::DEFAULT || known.contains(&name) || super::ours::is_ours(name)
        };
        let mut lines = BTreeMap::new();
        for (line, entry) in &self.entries {
            if is_known(entry.section) && !self.used.contains(line) {
                let place = why::place(entry.section, entry.key, *line);
                let reason = why::left(entry.section, entry.key, entry.raw, self.config);
                lines.insert(*line, format!("{place}: {reason}"));
            }
        }
        // What is read, and means something else here.
        for (line, entry) in &self.entries {
            if (entry.section, entry.key) == ("daemon", "eventidfile") {
                let place = why::place(entry.section, entry.key, *line);
                lines.insert(*line, format!("{place}: {}", why::ID_FILE));
            }
        }
        for (name, section) in &ini.sections {
            if !is_known(name) {
                lines.insert(
                    section.line,
                    format!("[{name}], line {}: means nothing to slated", section.line),
                );
            }
        }
        self.page.tail(lines.into_values());
    }
}

/// Returns the keys that a table sets.
fn set(path: &str, table: &Table, base: &Path) -> Result<Values, Diagnostic> {
    let mut own = PluginSettings::default();
    // It was read without error when the file was.
    let mut reader = Reader::new(base);
    own.read(&mut reader.overriding(path, table));
    let mut all = settings(&own)?;
    all.retain(|value| table.contains_key(value.key));
    Ok(all)
}

fn is_secret(path: &str) -> bool {
    matches!(
        path,
        "site.key" | "site.proxy" | "mail.password" | "alerts.webhook" | "web.token"
    )
}
