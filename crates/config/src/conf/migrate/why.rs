//! What a person should know of a key: where it stood, why it is there, why it is not.

use std::path::Path;

use super::super::old::SECTIONS;
use super::super::value::{boolean, is_blank};
use super::ini;
use crate::Config;

/// What became of `eventIdFile`.
pub(super) const ID_FILE: &str =
    "not read under a slated.toml; it says where the state stands, see [state]";

/// Opens the file.
pub(super) fn head(path: &Path) -> String {
    format!(
        "Made by `slated migrate` of {}.\n\n\
         Under this file slated does what it does under that one. Above each value stands where it comes from; \
         \"kept\" marks what a .conf means without saying it, and a slated.toml does not. \
         A key that is not here has its default (docs/configuration.md). \
         What has no place here is listed at the end.",
        path.display()
    )
}

/// Says what holds for a whole section.
pub(super) fn section(name: &str, config: &Config) -> String {
    match name {
        "state" => match config.conf.as_ref().and_then(|conf| conf.id_file.as_ref()) {
            Some(file) => format!(
                "The state goes on where it stands. A slated.toml does not take over what stands in {}: \
                 where slated has never run under the .conf, let it start with that once.",
                file.display()
            ),
            None => String::new(),
        },
        "plugins" => "\
            Under a .conf a restart ends a hold and a quarantine. Here a changed or touched file does, or \
            `slated plugin resume`."
            .into(),
        "defaults" if config.defaults.umask.is_none() => "\
            After `slated start` plugins have umask 0 under a .conf, so that anybody may write to what they make; \
            here they have that of whoever starts it. To keep the old rule:\n\
            umask = \"000\""
            .into(),
        "log" => "\
            Lines look otherwise than under a .conf, and stand in slated.log, those of plugins too. \
            The timing log has the same form."
            .into(),
        "mail" => "Mails are worded as slated's own, not as those of the Python daemon.".into(),
        _ => String::new(),
    }
}

/// Says why a key is written that the `.conf` does not set.
pub(super) fn kept(path: &str, config: &Config) -> &'static str {
    match path {
        "plugins.order" => {
            "kept: for one event, plugins are called in the documented order. The default, \"independent\", lets each go at its own pace"
        }
        "defaults.retry" => {
            "kept: a callback that fails is not tried again. The default, \"transient\", tries again after errors of the network"
        }
        "defaults.broken_edit" => {
            "kept: a plugin whose edit does not load stops. The default, \"keep\", goes on with the old code"
        }
        "defaults.hard_timeout" => {
            "kept: a call may take for ever. The default, \"1h\", ends the process of one that hangs"
        }
        "defaults.env_pass" => {
            "kept: plugins see the whole environment. The default is a short list"
        }
        "defaults.import_paths" => "kept: plugins import what stands beside shotgunEventDaemon.py",
        "log.folder" if config.log.folder.is_none() => {
            "kept: without logPath the log stands where slated is started"
        }
        _ => "kept",
    }
}

/// Names the variables that plugins no longer see.
pub(super) fn withheld(config: &Config) -> Option<String> {
    let names = config.secret_variables();
    if names.is_empty() || !config.defaults.env_pass.iter().any(|name| name == "*") {
        return None;
    }
    let names: Vec<_> = names.iter().map(|name| format!("${name}")).collect();
    Some(format!(
        "unlike under the .conf, plugins do not see {}, which feeds a secret of slated: one that reads it needs a script user of its own, or the key by another name",
        names.join(", ")
    ))
}

/// Names a line of the `.conf`, with its key as the documentation spells it.
pub(super) fn place(section: &str, key: &str, line: u32) -> String {
    let keys = SECTIONS.iter().find(|(name, _)| *name == section);
    let mut keys = keys.iter().flat_map(|(_, keys)| keys.iter());
    let key = keys
        .find(|known| known.to_lowercase() == key)
        .copied()
        .unwrap_or(key);
    format!("[{section}] {key}, line {line}")
}

/// Tells whether a value takes in others.
pub(super) fn takes_in(raw: &str) -> bool {
    raw.replace("%%", "").contains("%(")
}

/// Says why a key has no place.
pub(super) fn left(section: &str, key: &str, raw: &str, config: &Config) -> &'static str {
    let known = SECTIONS.iter().find(|(name, _)| *name == section);
    match (section, key) {
        (ini::DEFAULT, _) => "stands in what names it",
        ("daemon", "pidfile") => {
            "there is none, and none is needed: `slated stop` finds slated by its state. To remove it stops nothing"
        }
        ("daemon", "logfile") => "the log is slated.log",
        ("daemon", "logmode") => "there is one log",
        ("daemon", "conn_retry_sleep" | "max_conn_retries") => "slated paces its own attempts",
        ("emails", "enabled") if boolean(raw) != Some(false) => {
            "[mail] is on where it has a server"
        }
        ("emails", _) if config.mail.server.is_none() => "no mail is sent",
        _ if known.is_some_and(|(_, keys)| !keys.iter().any(|k| k.to_lowercase() == key)) => {
            "means nothing to slated"
        }
        _ if is_blank(raw) => "empty",
        ("slated", _) => "means nothing to slated",
        _ if known.is_none() => "means nothing to slated",
        _ => "[slated] has another in its place",
    }
}
