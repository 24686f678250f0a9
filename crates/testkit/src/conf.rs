//! A `shotgunEventDaemon.conf` as a studio has it: what a world writes, and a test changes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::build::FOLDER;

/// A `shotgunEventDaemon.conf`: keys by section.
#[derive(Clone, Debug, Default)]
pub struct ConfFile {
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

impl ConfFile {
    /// The variable that holds the key of the daemon's script, as the example that the Python
    /// daemon comes with names it.
    pub const KEY: &str = "SG_ED_API_KEY";

    /// Sets a key, as it stands in the file. Left alone, the keys of the example are there, with
    /// files in the world's folder.
    pub fn set(&mut self, section: &str, key: &str, value: &str) -> &mut Self {
        let section = self.sections.entry(section.to_owned()).or_default();
        section.insert(key.to_owned(), value.to_owned());
        self
    }
    /// Returns what a key is set to; nothing where it is not.
    pub(crate) fn get(&self, section: &str, key: &str) -> &str {
        let section = self.sections.get(section);
        section.and_then(|s| s.get(key)).map_or("", String::as_str)
    }
    /// Fills in what is not set. Settings of a `slated.toml` go to `[slated]`.
    pub(crate) fn fill(
        &mut self,
        folder: &Path,
        url: &str,
        script: &str,
        settings: &BTreeMap<String, BTreeMap<String, String>>,
    ) {
        let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let key = format!("%({})s", Self::KEY);
        for (section, name, value) in [
            ("daemon", "pidFile", at("daemon.pid")),
            ("daemon", "eventIdFile", at("daemon.id")),
            ("daemon", "logMode", "1".into()),
            ("daemon", "logPath", at("logs")),
            ("daemon", "logFile", "shotgunEventDaemon".into()),
            ("daemon", "logging", "20".into()),
            ("daemon", "timing_log", "off".into()),
            ("daemon", "conn_retry_sleep", "60".into()),
            ("daemon", "max_conn_retries", "5".into()),
            // The shortest there is: ten looks a second.
            ("daemon", "fetch_interval", "0".into()),
            ("daemon", "max_event_batch_size", "500".into()),
            ("shotgun", "server", url.into()),
            ("shotgun", "name", script.into()),
            ("shotgun", "key", key),
            ("shotgun", "proxy_server", String::new()),
            ("shotgun", "use_session_uuid", "True".into()),
            ("plugins", "paths", at(FOLDER)),
            ("emails", "enabled", "False".into()),
        ] {
            let section = self.sections.entry(section.to_owned()).or_default();
            section.entry(name.to_owned()).or_insert(value);
        }
        for table in ["state", "plugins", "defaults", "alerts", "control", "web"] {
            for (key, value) in settings.get(table).into_iter().flatten() {
                let path = format!("{table}.{key}");
                if path != "state.folder" && path != "plugins.folders" {
                    self.set("slated", &path, &value.replace('%', "%%"));
                }
            }
        }
    }
    /// Returns the file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (section, keys) in &self.sections {
            // Writing to a String cannot fail.
            writeln!(text, "[{section}]").ok();
            for (key, value) in keys {
                writeln!(text, "{key}: {value}").ok();
            }
        }
        text
    }
}
