//! From the tree of a file to a [`Config`]: which sections there are, and what stands in them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::model::{Site, tidy};
use crate::section::{EMPTY, Reader, join, nearest};
use crate::value::{Located, Table, Value};
use crate::{Config, Diagnostic, Origin, Override, PluginSettings, SiteUrl};

/// The tables of `[folder."PATH"]` and `[plugin."NAME"]`, checked, by PATH and NAME.
#[derive(Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) folder: BTreeMap<String, Table>,
    pub(crate) plugin: BTreeMap<String, Table>,
}

impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.folder.keys().map(|name| named("folder", name));
        let names = names.chain(self.plugin.keys().map(|name| named("plugin", name)));
        f.debug_set().entries(names).finish()
    }
}

/// Reads every section; `None` where there is no usable address of the site.
pub(crate) fn read(reader: &mut Reader, tree: &mut Table, path: &Path) -> Option<Config> {
    let mut tables = Tables::sort(reader, tree);
    let base = reader.base.clone();
    let mut section = |name: &'static str| tables.one.remove(name).unwrap_or_default();

    let table = section("site");
    let mut site = reader.section("site", &table);
    let url = Site::url(&mut site);
    // A stand-in, so that whatever else is wrong is told as well.
    let stand_in = || SiteUrl::parse("https://site.invalid").ok();
    let is_missing = url.is_none();
    let mut config = Config::new(url.or_else(stand_in)?, &base);
    config.site.read(&mut site);
    site.finish();
    if is_missing && !table.contains_key("url") {
        reader.errors.push(
            Diagnostic::new(&Origin::file(path), "site.url", "`site.url` is missing")
                .hint("the address of your site: url = \"https://studio.example\" under [site]"),
        );
    }
    macro_rules! sections {
        ($($name:ident),*) => {$(
            let table = section(stringify!($name));
            let mut open = reader.section(stringify!($name), &table);
            config.$name.read(&mut open);
            open.finish();
        )*};
    }
    sections!(state, defaults, log, mail, alerts, control, web);
    let table = section("plugins");
    let mut plugins = reader.section("plugins", &table);
    let inline = config.plugins.read(&mut plugins);
    plugins.finish();

    config.overrides = overrides(reader, &config, &tables, inline);
    (!is_missing).then_some(config)
}

/// The tables at the top of the file.
struct Tables {
    one: BTreeMap<&'static str, Table>,
    folder: BTreeMap<String, Located>,
    plugin: BTreeMap<String, Located>,
}

const SECTIONS: [&str; 9] = [
    "site", "state", "plugins", "defaults", "log", "mail", "alerts", "control", "web",
];

impl Tables {
    /// Sorts what stands at the top, and reports what has no business there.
    fn sort(reader: &mut Reader, tree: &mut Table) -> Self {
        let mut one = BTreeMap::new();
        for name in SECTIONS {
            match tree.remove(name) {
                None => {}
                Some(Located {
                    value: Value::Table(table),
                    ..
                }) => {
                    one.insert(name, table);
                }
                Some(other) => {
                    let message = format!("`{name}` is a section, not {}", other.value.kind());
                    let one = Diagnostic::new(&other.origin, name, message);
                    reader.errors.push(one.hint(format!("write [{name}]")));
                }
            }
        }
        let mut named = |name: &str| match tree.remove(name) {
            None => BTreeMap::new(),
            Some(Located {
                value: Value::Table(table),
                ..
            }) => table,
            Some(other) => {
                let message = format!("`{name}` takes tables by name");
                let one = Diagnostic::new(&other.origin, name, message);
                reader
                    .errors
                    .push(one.hint(format!("write [{name}.\"…\"]")));
                BTreeMap::new()
            }
        };
        let (folder, plugin) = (named("folder"), named("plugin"));
        for (name, located) in tree.iter() {
            let mut one = match located.value {
                Value::Table(_) => {
                    Diagnostic::new(&located.origin, name, format!("unknown section `{name}`"))
                }
                _ => Diagnostic::new(&located.origin, name, format!("unknown key `{name}`"))
                    .hint("every key stands in a section"),
            };
            let known = SECTIONS.into_iter().chain(["folder", "plugin"]);
            if let Some(near) = nearest(name, known) {
                one.hint = Some(format!("did you mean `[{near}]`?"));
            }
            reader.errors.push(one);
        }
        Self {
            one,
            folder,
            plugin,
        }
    }
}

/// Reads the overrides once, so that what is wrong in them is told when the file is read.
fn overrides(
    reader: &mut Reader,
    config: &Config,
    tables: &Tables,
    inline: Vec<(String, Table)>,
) -> Overrides {
    let mut overrides = Overrides::default();
    overrides.folder.extend(inline);
    for (name, located) in &tables.folder {
        let key = named("folder", name);
        reader.origins.insert(key.clone(), located.origin.clone());
        let Some(table) = table_of(reader, &key, located) else {
            continue;
        };
        let folder = tidy(name);
        if !config.plugins.folders.iter().any(|f| f.name == folder) {
            let mut one = Diagnostic::new(
                &located.origin,
                &key,
                format!("`{key}` is none of `plugins.folders`"),
            );
            let names = config.plugins.folders.iter().map(|f| f.name.as_str());
            one.hint = nearest(folder, names).map(|near| format!("did you mean `{near}`?"));
            reader.errors.push(one);
        }
        let all = overrides.folder.entry(folder.to_owned()).or_default();
        for (setting, located) in table {
            if let Some(before) = all.insert(setting.clone(), located.clone()) {
                let key = join(&key, setting);
                let message = format!("`{key}` is also set at {}", before.origin);
                reader
                    .errors
                    .push(Diagnostic::new(&located.origin, key, message));
            }
        }
    }
    for (name, located) in &tables.plugin {
        let key = named("plugin", name);
        reader.origins.insert(key.clone(), located.origin.clone());
        if let Some(table) = table_of(reader, &key, located) {
            overrides.plugin.insert(name.clone(), table.clone());
        }
    }
    let kinds = [("folder", &overrides.folder), ("plugin", &overrides.plugin)];
    for (kind, all) in kinds {
        for (name, table) in all {
            let mut section = reader.overriding(&named(kind, name), table);
            PluginSettings::default().read(&mut section);
            section.finish();
        }
    }
    overrides
}

fn table_of<'a>(reader: &mut Reader, key: &str, located: &'a Located) -> Option<&'a Table> {
    if let Value::Table(table) = &located.value {
        return Some(table);
    }
    let message = format!("`{key}` takes a table of the keys of [defaults]");
    reader
        .errors
        .push(Diagnostic::new(&located.origin, key, message));
    None
}

/// Puts a flag's or variable's value into the tree.
pub(crate) fn put(tree: &mut Table, one: &Override) {
    let located = |value| Located {
        value,
        origin: one.origin.clone(),
    };
    let value = located(Value::Loose(one.value.clone()));
    match one.key.split_once('.') {
        None => {
            tree.insert(one.key.into(), value);
        }
        Some((section, key)) => {
            let table = tree
                .entry(section.into())
                .or_insert_with(|| located(Value::Table(EMPTY.clone())));
            // A section that is no table is reported when it is read.
            if let Value::Table(table) = &mut table.value {
                table.insert(key.into(), value);
            }
        }
    }
}

/// Returns the path of a named section, such as `plugin."notes"`.
pub(crate) fn named(kind: &str, name: &str) -> String {
    format!("{kind}.\"{name}\"")
}
