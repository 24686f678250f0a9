//! The sections of the Python daemon: what each key means for slated.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::value::{boolean, elements, is_blank};
use super::{Conf, ConfLogs, Found, LogMode, Map};
use crate::Origin;
use crate::section::nearest;
use crate::value::{Located, Value};

/// Every key the Python daemon knows, as its documentation spells them.
pub(super) const SECTIONS: [(&str, &[&str]); 4] = [
    (
        "daemon",
        &[
            "pidFile",
            "eventIdFile",
            "logMode",
            "logPath",
            "logFile",
            "logging",
            "timing_log",
            "conn_retry_sleep",
            "max_conn_retries",
            "fetch_interval",
            "max_event_batch_size",
        ],
    ),
    (
        "shotgun",
        &["server", "name", "key", "proxy_server", "use_session_uuid"],
    ),
    ("plugins", &["paths"]),
    (
        "emails",
        &[
            "enabled", "server", "port", "useTLS", "username", "password", "from", "to", "subject",
        ],
    ),
];

impl Map<'_> {
    /// Puts in what slated does differently under a `.conf`, to be what the Python daemon was.
    pub(super) fn defaults(&mut self, folder: &Path) {
        let text = |text: &str| Value::Loose(text.into());
        for (key, value) in [
            ("plugins.order", text("pipelined")),
            ("defaults.retry", text("none")),
            ("defaults.broken_edit", text("deactivate")),
            ("defaults.hard_timeout", text("")),
            ("defaults.env_pass", text("*")),
        ] {
            let origin = Origin::Default;
            self.put(key, Located { value, origin });
        }
        // The folder of the script is the first that Python imports from.
        if self.env.exists(&folder.join("shotgunEventDaemon.py")) {
            let origin = Origin::Default;
            let place = Value::Place {
                name: folder.to_string_lossy().into_owned(),
                path: folder.into(),
            };
            let place = Located {
                value: place,
                origin: origin.clone(),
            };
            let value = Value::List(vec![place]);
            self.put("defaults.import_paths", Located { value, origin });
        }
    }

    /// Reads the four sections.
    pub(super) fn old_sections(&mut self) -> Conf {
        self.site();
        self.plugins();
        if self.ini.sections.contains_key("emails") {
            self.emails();
        }
        self.daemon()
    }

    fn site(&mut self) {
        match self.needed("shotgun", "server", "https://studio.example") {
            Some(found) => {
                let text = Value::Text(found.text.clone());
                self.put_as("site.url", &found, text);
            }
            None => self.stand_in(),
        }
        if let Some(found) = self.needed("shotgun", "name", "the script's name") {
            let text = Value::Text(found.text.clone());
            self.put_as("site.script", &found, text);
        }
        if let Some(found) = self.needed("shotgun", "key", "%(SG_ED_API_KEY)s") {
            self.put_as("site.key", &found, found.secret());
        }
        if let Some(found) = self.get("shotgun", "proxy_server")
            && !is_blank(&found.text)
        {
            self.put_as("site.proxy", &found, found.secret());
        }
        if let Some((found, flag)) = self.flag("shotgun", "use_session_uuid") {
            self.put_as("plugins.session_uuid", &found, Value::Boolean(flag));
        }
    }

    /// Puts an address where there is none, so that whatever else is wrong is told as well.
    fn stand_in(&mut self) {
        let value = Value::Text("https://site.invalid".into());
        let origin = Origin::Default;
        self.put("site.url", Located { value, origin });
    }

    fn plugins(&mut self) {
        let found = if self.slated_says("folders", "plugins.folders") {
            self.get("plugins", "paths")
        } else {
            self.needed("plugins", "paths", "/usr/local/shotgun/plugins")
        };
        let Some(found) = found else { return };
        let mut list: Vec<Located> = Vec::new();
        let mut seen: Vec<PathBuf> = Vec::new();
        for one in elements(&found.text) {
            let Some(path) = self.place(&found, one) else {
                continue;
            };
            if seen.contains(&path) {
                let message = format!("`{}` holds {one} twice", found.name);
                let hint = "the Python daemon calls its plugins twice for every event, slated once";
                self.warn(&found.origin, &found.name, message, Some(hint.into()));
                continue;
            }
            seen.push(path.clone());
            let name = one.to_owned();
            list.push(found.located(Value::Place { name, path }));
        }
        self.put_as("plugins.folders", &found, Value::List(list));
    }

    fn emails(&mut self) {
        let Some((_, true)) = self.flag("emails", "enabled") else {
            return;
        };
        let server = self.present("emails", "server", "smtp.studio.example");
        let from = self.present("emails", "from", "pipeline@studio.example");
        let to = self.present("emails", "to", "td@studio.example");
        let subject = self.present("emails", "subject", "[SG]");
        if let (Some(server), Some(from), Some(to), Some(subject)) = (server, from, to, subject) {
            let all = [&server, &from, &to, &subject];
            if let Some(empty) = all.into_iter().find(|found| is_blank(&found.text)) {
                let message = format!("no mail is sent: `{}` is empty", empty.name);
                self.warn(&empty.origin, &empty.name, message, None);
                return;
            }
            let text = |found: &Found| Value::Text(found.text.clone());
            let receivers = elements(&to.text).filter(|one| !one.is_empty());
            let receivers = receivers.map(|one| to.located(Value::Text(one.into())));
            let list = Value::List(receivers.collect());
            self.put_as("mail.server", &server, text(&server));
            self.put_as("mail.from", &from, text(&from));
            self.put_as("mail.to", &to, list);
            self.put_as("mail.subject", &subject, text(&subject));
        }
        if let Some((found, port)) = self.number("emails", "port") {
            self.put_as("mail.port", &found, Value::Integer(port));
        }
        if let Some((found, flag)) = self.flag("emails", "useTLS") {
            self.put_as("mail.tls", &found, Value::Boolean(flag));
        }
        if let Some(found) = self.get("emails", "username") {
            let text = Value::Text(found.text.clone());
            self.put_as("mail.username", &found, text);
        }
        if let Some(found) = self.get("emails", "password") {
            self.put_as("mail.password", &found, found.secret());
        }
    }

    fn daemon(&mut self) -> Conf {
        if let Some((found, seconds)) = self.number("daemon", "fetch_interval") {
            match seconds {
                // The Python daemon then asks again at once.
                0 => self.put_as("site.tick", &found, Value::Loose("100ms".into())),
                1..=3600 => self.put_as("site.tick", &found, Value::Loose(format!("{seconds}s"))),
                _ => self.not(&found, "a whole number of seconds from 0 to 3600"),
            }
        }
        if let Some((found, rows)) = self.number("daemon", "max_event_batch_size") {
            let usable = rows.clamp(2, 5_000);
            if rows != usable && rows > 0 {
                let message = format!("`{}` is {rows}: slated asks for {usable}", found.name);
                self.warn(&found.origin, &found.name, message, None);
            }
            let rows = if rows > 0 { usable } else { rows };
            self.put_as("site.page", &found, Value::Integer(rows));
        }
        if let Some((found, number)) = self.number("daemon", "logging") {
            let word = Value::Loose(level(number).into());
            self.put_as("log.level", &found, word.clone());
            self.put_as("defaults.log_level", &found, word);
        }
        if let Some(found) = self.get("daemon", "timing_log") {
            let on = found.text == "on";
            if !on && boolean(&found.text) == Some(true) {
                let message = format!("`{}` is off: only `on` turns it on", found.name);
                self.warn(&found.origin, &found.name, message, None);
            }
            self.put_as("log.timing", &found, Value::Boolean(on));
        }
        for key in ["conn_retry_sleep", "max_conn_retries"] {
            if let Some((found, _)) = self.number("daemon", key) {
                // Known to have no effect: said at start, with the others.
                let name = format!("daemon.{key}");
                self.reader.origins.insert(name, found.origin);
            }
        }
        let pid_file = self.path("daemon", "pidFile");
        let mode = match self.number("daemon", "logMode") {
            None | Some((_, 0)) => LogMode::One,
            Some(_) => LogMode::PerPlugin,
        };
        let file = self.needed("daemon", "logFile", "shotgunEventDaemon");
        let folder = self.path("daemon", "logPath");
        if let Some((found, path)) = &folder {
            let name = found.text.clone();
            let path = path.clone();
            self.put_as("log.folder", found, Value::Place { name, path });
        }
        let id_file = self.id_file();
        Conf {
            id_file,
            pid_file: pid_file.map(|(_, path)| path),
            logs: ConfLogs {
                folder: folder.map_or_else(|| self.cwd.into(), |(_, path)| path),
                // Where it is missing, an error says so.
                file: file.map_or_else(String::new, |found| found.text),
                mode,
            },
        }
    }

    /// Reads `eventIdFile`, beside which the state stands unless `[slated]` says where.
    fn id_file(&mut self) -> Option<PathBuf> {
        if !self.slated_says("folder", "state.folder") {
            self.needed("daemon", "eventIdFile", "/var/lib/slated/events.id")?;
        }
        let (found, path) = self.path("daemon", "eventIdFile")?;
        let mut folder = OsString::from(path.clone());
        folder.push(".slated");
        let name = folder.to_string_lossy().into_owned();
        let folder = PathBuf::from(folder);
        self.put_as("state.folder", &found, Value::Place { name, path: folder });
        Some(path)
    }
    /// Tells whether `[slated]` sets a key, by either of its names.
    fn slated_says(&self, bare: &str, whole: &str) -> bool {
        let ours = self.ini.sections.get("slated");
        ours.is_some_and(|ours| ours.entries.contains_key(bare) || ours.entries.contains_key(whole))
    }

    /// Says what stands in the file and means nothing to slated.
    pub(super) fn foreign_sections(&mut self) {
        let known = SECTIONS.map(|(name, _)| name);
        for (name, section) in &self.ini.sections {
            if super::ours::is_ours(name) {
                continue;
            }
            let Some((_, keys)) = SECTIONS.iter().find(|(known, _)| known == name) else {
                let near = nearest(name, known.into_iter().chain(["slated"]));
                let hint = near.map(|near| format!("did you mean [{near}]?"));
                let message = format!("[{name}] means nothing to slated");
                let origin = super::line(&self.path, section.line);
                self.warn(&origin, name, message, hint);
                continue;
            };
            for (key, entry) in &section.entries {
                if keys.iter().any(|known| known.to_lowercase() == *key) {
                    continue;
                }
                let near = keys.iter().map(|known| known.to_lowercase());
                let near: Vec<_> = near.collect();
                let hint = nearest(key, near.iter().map(String::as_str))
                    .and_then(|near| keys.iter().find(|known| known.to_lowercase() == near))
                    .map(|near| format!("did you mean `{near}`?"));
                let message = format!("`[{name}] {key}` means nothing to slated");
                let origin = super::line(&self.path, entry.line);
                self.warn(&origin, key, message, hint);
            }
        }
    }
}

/// Returns the level that shows what `number` shows in Python's `logging`.
const fn level(number: i64) -> &'static str {
    match number {
        // Not set: Python then asks the root logger, which shows warnings.
        0 | 21..=30 => "warn",
        ..=10 => "debug",
        11..=20 => "info",
        31.. => "error",
    }
}
