//! How each key stands in a `slated.toml`, in the order of the reference.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tidy;
use crate::kinds::resolve;
use crate::{
    Config, Diagnostic, NewPlugins, OrderWait, Origin, PluginSettings, Secret, show_duration,
};

/// A key and its value as TOML.
pub(super) struct Value {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) text: String,
}

pub(super) type Values = Vec<Value>;

/// How folders of plugins are written, which is what their plugins are named by.
pub(super) struct Places(Vec<Place>);

struct Place {
    /// The name under the `.conf`.
    name: String,
    /// What is written.
    written: String,
}

impl Places {
    /// Writes folders as they were, where that leads to the same place from a file in `base`.
    pub(super) fn of(config: &Config, base: &Path) -> Result<Self, Diagnostic> {
        let one = |folder: &crate::Folder| {
            let written = if resolve(base, &folder.written) == folder.path {
                folder.written.clone()
            } else {
                path_text("plugins.folders", &folder.path)?
            };
            let name = folder.name.clone();
            Ok(Place { name, written })
        };
        let all = config.plugins.folders.iter().map(one);
        Ok(Self(all.collect::<Result<_, Diagnostic>>()?))
    }
    /// Returns the folders with another name than before, and that.
    pub(super) fn moved(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter().filter(|one| one.name != tidy(&one.written));
        all.map(|one| (one.name.as_str(), one.written.as_str()))
    }
    /// Returns the name of an override as it is now.
    pub(super) fn renamed(&self, kind: &str, name: &str) -> String {
        for one in &self.0 {
            let new = tidy(&one.written);
            match name.strip_prefix(one.name.as_str()) {
                Some("") if kind == "folder" => return new.to_owned(),
                Some(rest) if kind == "plugin" && rest.starts_with('/') => {
                    return format!("{new}{rest}");
                }
                _ => {}
            }
        }
        name.to_owned()
    }
}

/// Returns every key but those of folders and plugins; `secret` writes a secret.
pub(super) fn values(
    config: &Config,
    places: &Places,
    secret: &mut dyn FnMut(&'static str, &Secret) -> String,
) -> Result<Values, Diagnostic> {
    let Config {
        site,
        state,
        plugins,
        log,
        mail,
        alerts,
        control,
        web,
        ..
    } = config;
    let mut maybe = |key, of: &Option<Secret>| match of {
        Some(of) => secret(key, of),
        None => quote(""),
    };
    let (proxy, password) = (
        maybe("site.proxy", &site.proxy),
        maybe("mail.password", &mail.password),
    );
    let (webhook, token) = (
        maybe("alerts.webhook", &alerts.webhook),
        maybe("web.token", &web.token),
    );
    let mut all = Values::new();
    let mut put = |section, keys: Vec<(&'static str, String)>| {
        all.extend(
            keys.into_iter()
                .map(|(key, text)| Value { section, key, text }),
        );
    };
    let ca_file = path_or_unset("site.ca_file", site.ca_file.as_ref())?;
    put(
        "site",
        vec![
            (
                "url",
                quote(site.url.with_credentials().as_str().trim_end_matches('/')),
            ),
            ("script", quote(&site.script)),
            ("key", secret("site.key", &site.key)),
            ("proxy", proxy),
            ("ca_file", ca_file),
            ("timeout", duration(site.timeout)),
            ("page", site.page.to_string()),
            ("tick", duration(site.tick)),
            ("settle", duration(site.settle)),
        ],
    );
    put(
        "state",
        vec![
            ("folder", quote(&path_text("state.folder", &state.folder)?)),
            ("keep_events", duration(state.keep_events)),
            ("alarm_size", size(state.alarm_size)),
            (
                "new_plugins",
                quote(&match state.new_plugins {
                    NewPlugins::Now => "now".into(),
                    NewPlugins::Id(id) => format!("id:{id}"),
                    NewPlugins::Ago(ago) => format!("ago:{}", show_duration(ago)),
                }),
            ),
        ],
    );
    put(
        "plugins",
        vec![
            ("folders", list(places.0.iter().map(|one| &one.written))),
            ("order", quote(plugins.order.as_str())),
            (
                "order_wait",
                match plugins.order_wait {
                    OrderWait::Forever => quote("forever"),
                    OrderWait::For(wait) => duration(wait),
                },
            ),
            (
                "concurrent_callbacks",
                plugins.concurrent_callbacks.to_string(),
            ),
            ("session_uuid", plugins.session_uuid.to_string()),
            ("lend_key", plugins.lend_key.to_string()),
        ],
    );
    let own = settings(&config.defaults)?;
    put(
        "defaults",
        own.into_iter().map(|one| (one.key, one.text)).collect(),
    );
    // Without `logPath` the old log stands where the daemon was started.
    let folder = log.folder.as_ref();
    let folder = folder.or_else(|| config.conf.as_ref().map(|conf| &conf.logs.folder));
    put(
        "log",
        vec![
            ("level", quote(log.level.as_str())),
            ("format", quote(log.format.as_str())),
            ("folder", path_or_unset("log.folder", folder)?),
            ("timing", log.timing.to_string()),
        ],
    );
    put(
        "mail",
        vec![
            ("server", maybe_text(mail.server.as_ref())),
            ("port", mail.port.to_string()),
            ("tls", mail.tls.to_string()),
            ("username", maybe_text(mail.username.as_ref())),
            ("password", password),
            ("from", maybe_text(mail.from.as_ref())),
            ("to", list(&mail.to)),
            ("subject", quote(&mail.subject)),
        ],
    );
    put("alerts", vec![("webhook", webhook)]);
    put(
        "control",
        vec![("group", maybe_text(control.group.as_ref()))],
    );
    let listen = web.listen.map(|at| at.to_string()).unwrap_or_default();
    put("web", vec![("listen", quote(&listen)), ("token", token)]);
    Ok(all)
}

/// Returns every key of `[defaults]`.
pub(super) fn settings(of: &PluginSettings) -> Result<Values, Diagnostic> {
    // A key that is added must be named here.
    let PluginSettings {
        python,
        import_paths,
        env,
        env_pass,
        cwd,
        umask,
        retry,
        attempts,
        within,
        on_error,
        deaths,
        broken_edit,
        reload,
        window,
        warn_after,
        soft_timeout,
        hard_timeout,
        memory_limit,
        recycle_after,
        log_level,
    } = of;
    let paths = import_paths
        .iter()
        .map(|path| path_text("import_paths", path));
    let paths: Vec<_> = paths.collect::<Result<_, _>>()?;
    let limit = |of: &Option<Duration>| of.map_or_else(|| quote(""), duration);
    let all = vec![
        ("python", path_or_unset("python", python.as_ref())?),
        ("import_paths", list(&paths)),
        ("env", table(env.0.iter())),
        ("env_pass", list(env_pass)),
        ("cwd", path_or_unset("cwd", cwd.as_ref())?),
        (
            "umask",
            quote(&umask.map(|m| format!("{m:03o}")).unwrap_or_default()),
        ),
        ("retry", quote(retry.as_str())),
        ("attempts", attempts.to_string()),
        ("within", duration(*within)),
        ("on_error", quote(on_error.as_str())),
        ("deaths", deaths.to_string()),
        ("broken_edit", quote(broken_edit.as_str())),
        ("reload", quote(reload.as_str())),
        ("window", window.to_string()),
        ("warn_after", limit(warn_after)),
        ("soft_timeout", limit(soft_timeout)),
        ("hard_timeout", limit(hard_timeout)),
        ("memory_limit", size(*memory_limit)),
        ("recycle_after", recycle_after.to_string()),
        ("log_level", quote(log_level.as_str())),
    ];
    let one = |(key, text)| Value {
        section: "defaults",
        key,
        text,
    };
    Ok(all.into_iter().map(one).collect())
}

fn duration(of: Duration) -> String {
    quote(&show_duration(of))
}

fn size(of: Option<u64>) -> String {
    quote(&of.map(|bytes| format!("{bytes}B")).unwrap_or_default())
}

fn maybe_text(of: Option<&String>) -> String {
    quote(of.map_or("", String::as_str))
}

fn path_or_unset(key: &str, path: Option<&PathBuf>) -> Result<String, Diagnostic> {
    path.map_or_else(|| Ok(quote("")), |path| Ok(quote(&path_text(key, path)?)))
}

fn path_text(key: &str, path: &Path) -> Result<String, Diagnostic> {
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| {
        let message = format!(
            "`{key}` is {}, which is not UTF-8, and a slated.toml is",
            path.display()
        );
        Diagnostic::new(&Origin::Default, key, message)
    })
}

/// Writes a list of strings.
pub(super) fn list<T: AsRef<str>>(all: impl IntoIterator<Item = T>) -> String {
    let all = all.into_iter().map(|one| quote(one.as_ref()));
    format!("[{}]", all.collect::<Vec<_>>().join(", "))
}

fn table<'a>(all: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let all = all.map(|(name, value)| format!("{} = {}", quote(name), quote(value)));
    let all = all.collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        return "{}".into();
    }
    format!("{{ {all} }}")
}

fn escaped(c: char) -> String {
    format!("\\u{:04X}", u32::from(c))
}

/// Writes a string of one line.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\r' => quoted += "\\r",
            '\t' => quoted += "\\t",
            // TOML refuses them as they are.
            '\0'..='\x1f' | '\x7f' => quoted += &escaped(c),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
