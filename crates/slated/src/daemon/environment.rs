//! Which variables the processes of plugins have.
//!
//! Invariant: under a `slated.toml` none that feeds a secret, and nowhere one by which a service manager
//! speaks to slated.

use std::ffi::OsString;

use slated_config::{Config, PluginSettings};
use slated_host::Environment;

use crate::service;

/// Variables a worker gets of slated's own without being asked for: those that programs need to
/// find files, show text and trust servers. Everything else is named in `env_pass`.
const BASICS: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SHOTGUN_API_CACERTS",
    "XDG_RUNTIME_DIR",
];

/// Returns a worker's variables: the basics and those named, never what feeds a secret. Where a
/// `.conf` passes everything, so do we, as the Python daemon does: plugins rely on it.
pub(crate) fn environment(config: &Config, settings: &PluginSettings) -> Environment {
    let withheld = config.secret_variables();
    if settings.env_pass.iter().any(|name| name == "*") {
        let set = settings.env.0.iter();
        let mut remove: Vec<OsString> = service::VARIABLES.iter().map(OsString::from).collect();
        if config.conf.is_none() {
            let names = std::env::vars_os().map(|(name, _)| name);
            remove.extend(names.filter(|name| is_withheld(&name.to_string_lossy(), &withheld)));
        }
        return Environment {
            clear: false,
            set: set.map(|(k, v)| (k.into(), v.into())).collect(),
            remove,
        };
    }
    let passed = BASICS
        .iter()
        .copied()
        .chain(settings.env_pass.iter().map(String::as_str));
    let passed = passed
        .filter(|name| !is_withheld(name, &withheld))
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    let own = settings
        .env
        .0
        .iter()
        .map(|(k, v)| (OsString::from(k), OsString::from(v)));
    Environment {
        clear: true,
        set: passed.chain(own).collect(),
        remove: Vec::new(),
    }
}

/// Tells whether no plugin may see a variable.
fn is_withheld(name: &str, secrets: &[&str]) -> bool {
    name.starts_with("SLATED_") || service::VARIABLES.contains(&name) || secrets.contains(&name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use slated_config::{Source, System};

    use super::*;

    fn read(text: &str) -> Source<'_> {
        Source {
            path: Path::new("/studio/file"),
            base: Path::new("/studio"),
            text,
            mode: None,
        }
    }

    #[test]
    fn the_whole_environment_is_all_but_secrets_and_under_a_conf_all() {
        // A variable that every test process has stands for one with a key.
        let toml = "[site]\nurl = 'https://s'\nkey = { env = 'PATH' }\n[defaults]\nenv_pass = ['*']\nenv = { A = '1' }";
        let config = Config::parse(&read(toml), &[]).unwrap().config;
        let env = environment(&config, &config.defaults);
        assert!(!env.clear && env.remove.contains(&"PATH".into()));
        assert_eq!(env.set.get(&OsString::from("A")), Some(&"1".into()));

        let conf = "[shotgun]\nserver: https://s\nname: n\nkey: %(PATH)s\n[plugins]\npaths: /p\n[daemon]\neventIdFile: /i\nlogFile: l\n";
        let config = |text| Config::parse_conf(&read(text), Path::new("/"), &System, &[]);
        let all = config(conf).unwrap().config;
        assert_eq!(all.secret_variables(), ["PATH"]);
        let env = environment(&all, &all.defaults);
        assert!(!env.clear && !env.remove.contains(&"PATH".into()));
        // But nobody answers the service manager in slated's place.
        assert!(env.remove.contains(&"NOTIFY_SOCKET".into()));

        // Named variables end that, and with it the key.
        let named = format!("{conf}[slated]\nenv_pass = HOME, PATH\n");
        let named = config(&named).unwrap().config;
        let env = environment(&named, &named.defaults);
        assert!(env.clear && !env.set.contains_key(&OsString::from("PATH")));
    }
}
