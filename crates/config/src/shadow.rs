//! The configuration of a shadow: the same site and plugins, and nothing that is another daemon's.
//!
//! Invariant: what a shadow writes stands in its own folder, whatever the file says of logs, mail and
//! pages; and no file of the Python daemon is named any more, so that none can be touched.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Config;
use crate::conf::{ConfLogs, LogMode};
use crate::model::{Alerts, Log, Mail, NewPlugins, Web};

impl Config {
    /// Makes this configuration that of a shadow, whose state stands beside the other one's:
    /// `<eventIdFile>.slated-shadow`, or `<state.folder>-shadow`.
    pub fn shadow(&mut self) {
        let folder = beside(&self.state.folder);
        if let Some(conf) = &mut self.conf {
            conf.id_file = None;
            conf.pid_file = None;
            conf.logs = ConfLogs {
                folder: folder.clone(),
                file: "slated.log".into(),
                mode: LogMode::One,
            };
        }
        self.log = Log {
            folder: self.log.folder.is_some().then(|| folder.clone()),
            timing: false,
            ..self.log.clone()
        };
        self.mail = Mail::default();
        self.alerts = Alerts::default();
        self.web = Web::default();
        self.state.folder = folder;
        self.state.new_plugins = NewPlugins::Now;
        // When an event was seen is what a shadow is for.
        self.site.settle = Duration::ZERO;
    }
}

/// Names the folder of a shadow beside that of a state.
fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push("-shadow");
    folder.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, System};

    const CONF: &str = "[daemon]\npidFile: /run/sg.pid\neventIdFile: /var/sg/events.id\nlogMode: 1\n\
        logPath: /var/log/sg\nlogFile: sg\ntiming_log: on\n[shotgun]\nserver: https://s.example\n\
        name: n\nkey: k\n[plugins]\npaths: /plug\n[emails]\nserver: mail\nfrom: a\nto: b\n";

    fn source(text: &'static str) -> Source<'static> {
        Source {
            path: Path::new("c"),
            base: Path::new("/etc/sg"),
            text,
            mode: None,
        }
    }

    #[test]
    fn a_shadow_has_none_of_the_python_daemons_files() {
        let loaded = Config::parse_conf(&source(CONF), Path::new("/"), &System, &[]);
        let mut config = loaded.unwrap().config;
        assert!(
            config
                .conf
                .as_ref()
                .is_some_and(|c| c.pid_file.is_some() && c.id_file.is_some())
        );
        config.shadow();
        let folder = Path::new("/var/sg/events.id.slated-shadow");
        assert_eq!(config.state.folder, folder);
        let conf = config.conf.unwrap();
        assert_eq!((conf.id_file, conf.pid_file), (None, None));
        assert_eq!(
            (conf.logs.folder.as_path(), conf.logs.mode),
            (folder, LogMode::One)
        );
        assert!(!config.log.timing && config.mail.server.is_none());
    }

    #[test]
    fn under_a_toml_it_stands_beside_the_state() {
        let text = "[site]\nurl = 'https://s.example'\nkey = 'k'\n[state]\nfolder = '/var/slated'\n\
            new_plugins = 'id:5'\n[log]\nfolder = '/var/log/slated'\n[web]\nlisten = '127.0.0.1:9000'\n";
        let mut config = Config::parse(&source(text), &[]).unwrap().config;
        config.shadow();
        assert_eq!(config.state.folder, Path::new("/var/slated-shadow"));
        assert_eq!(
            config.log.folder.as_deref(),
            Some(Path::new("/var/slated-shadow"))
        );
        assert_eq!(config.state.new_plugins, NewPlugins::Now);
        assert!(config.web.listen.is_none());
    }
}
