//! The sections of the configuration as types; their defaults; how each is read.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slated_model::{EventId, PluginId};

use crate::choice::{Level, LogFormat, Order};
use crate::kinds::{self, Read};
use crate::secret::{secret, secret_or_unset};
use crate::section::{Section, Wrong};
use crate::site_url::site_url;
use crate::units::parse_duration;
use crate::value::{Located, Table, Value};
use crate::{Environment, Secret, SiteUrl};

/// `[site]`: which site, and how it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// The address.
    pub url: SiteUrl,
    /// The name of the script user.
    pub script: String,
    /// Its key.
    pub key: Secret,
    /// `user:pass@host:port`, the scheme optional; a secret as a whole.
    pub proxy: Option<Secret>,
    /// Certificates to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How many rows one request asks for.
    pub page: u32,
    /// The time from the start of a look to the start of the next.
    pub tick: Duration,
    /// How long events above a fresh hole wait for one more look; zero: not at all.
    pub settle: Duration,
}

/// `[state]`: what slated remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Its folder.
    pub folder: PathBuf,
    /// How long handled events are kept.
    pub keep_events: Duration,
    /// The size in bytes past which an alarm says what holds events back; `None`: never.
    pub alarm_size: Option<u64>,
    /// Where a plugin without a position starts.
    pub new_plugins: NewPlugins,
}

/// Where a plugin without a position starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewPlugins {
    /// With what is seen from now on.
    Now,
    /// With the event after this one.
    Id(EventId),
    /// With events of that long ago.
    Ago(Duration),
}

/// `[plugins]`: where plugins are, and how they are called together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugins {
    /// The folders, in the order in which their plugins are called.
    pub folders: Vec<Folder>,
    /// In which order plugins get one event.
    pub order: Order,
    /// How long a plugin waits for those before it.
    pub order_wait: OrderWait,
    /// How many callbacks may run at the same time; 0: no limit.
    pub concurrent_callbacks: u32,
    /// Whether a callback's connection writes with the event's session.
    pub session_uuid: bool,
    /// Whether callbacks registered with no script name use the daemon's own key.
    pub lend_key: bool,
}

/// How long a plugin waits for those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderWait {
    /// That long.
    For(Duration),
    /// Until they answer.
    Forever,
}

/// A folder of plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// As it is configured: what its plugins are named by.
    pub name: String,
    /// The same with the slashes that may stand behind it: what the Python daemon names it by.
    pub written: String,
    /// Where it is. Links are not resolved.
    pub path: PathBuf,
}

/// `[log]`: slated's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How much is logged.
    pub level: Level,
    /// How a line looks.
    pub format: LogFormat,
    /// The folder of log files; `None`: stderr.
    pub folder: Option<PathBuf>,
    /// Whether a timing log is written.
    pub timing: bool,
}

/// `[mail]`: who is told of errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// The SMTP server; `None`: no mail.
    pub server: Option<String>,
    /// Its port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The name to log in with.
    pub username: Option<String>,
    /// The password to log in with.
    pub password: Option<Secret>,
    /// The sender.
    pub from: Option<String>,
    /// The receivers.
    pub to: Vec<String>,
    /// What every subject begins with.
    pub subject: String,
}

/// `[alerts]`: other ways to be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerts {
    /// An address that takes JSON. Whoever knows it may post there, so it is a secret.
    pub webhook: Option<Secret>,
}

/// `[control]`: the control socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// The group that may use it beside the owner.
    pub group: Option<String>,
}

/// `[web]`: the dashboard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Web {
    /// Where it listens; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// What a browser must show beyond loopback.
    pub token: Option<Secret>,
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
const DAY: u64 = 86_400;

impl Site {
    /// Describes a site with the default of every other key.
    pub fn new(url: SiteUrl) -> Self {
        Self {
            url,
            script: "slated".into(),
            key: Secret::variable("SLATED_SITE_KEY"),
            proxy: None,
            ca_file: None,
            timeout: s(60),
            page: 500,
            tick: s(2),
            settle: s(0),
        }
    }
    /// Returns the file of certificates to trust: the configured one, else the one that
    /// `SHOTGUN_API_CACERTS` names for the official client.
    pub fn certificates(&self, env: &dyn Environment) -> Option<PathBuf> {
        let theirs = || env.variable("SHOTGUN_API_CACERTS").map(PathBuf::from);
        self.ca_file.clone().or_else(theirs)
    }
    /// Reads the section. The address has no default, and is read apart.
    pub(crate) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.take("script", &mut self.script, kinds::some_text);
        section.take("key", &mut self.key, secret);
        section.take("proxy", &mut self.proxy, secret_or_unset);
        section.take("ca_file", &mut self.ca_file, kinds::path_or_unset);
        section.take(
            "timeout",
            &mut self.timeout,
            kinds::duration(s(1)..=s(3_600)),
        );
        // One row is the newest known one, so a page of one would never get on.
        section.take("page", &mut self.page, kinds::number(2..=5_000));
        let tick = Duration::from_millis(100)..=s(3_600);
        section.take("tick", &mut self.tick, kinds::duration(tick));
        section.take("settle", &mut self.settle, kinds::duration(s(0)..=s(3_600)));
    }
    /// Reads the address.
    pub(crate) fn url(section: &mut Section<'_, '_>) -> Option<SiteUrl> {
        let mut url = None;
        section.take("url", &mut url, |located, base| {
            site_url(located, base).map(Some)
        });
        url
    }
}

impl State {
    pub(crate) fn new(base: &Path) -> Self {
        Self {
            folder: kinds::resolve(base, "slated-state"),
            keep_events: s(7 * DAY),
            alarm_size: Some(20_000_000_000),
            new_plugins: NewPlugins::Now,
        }
    }
    pub(crate) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.take("folder", &mut self.folder, kinds::path);
        let keep = s(3_600)..=s(3_650 * DAY);
        section.take("keep_events", &mut self.keep_events, kinds::duration(keep));
        section.take("alarm_size", &mut self.alarm_size, kinds::size_or_off);
        section.take("new_plugins", &mut self.new_plugins, new_plugins);
    }
}

fn new_plugins(located: &Located, _: &Path) -> Read<NewPlugins> {
    let wrong = || Wrong::takes("\"now\", \"id:N\" or \"ago:2h\"", located);
    let (Value::Text(text) | Value::Loose(text)) = &located.value else {
        return Err(wrong());
    };
    if text == "now" {
        return Ok(NewPlugins::Now);
    }
    let id = |n: &str| n.parse().ok().map(|n| NewPlugins::Id(EventId(n)));
    let ago = |d: &str| parse_duration(d).map(NewPlugins::Ago);
    text.strip_prefix("id:")
        .and_then(id)
        .or_else(|| text.strip_prefix("ago:").and_then(ago))
        .ok_or_else(wrong)
}

impl Plugins {
    pub(crate) fn new(base: &Path) -> Self {
        Self {
            folders: vec![Folder::new("plugins", base)],
            order: Order::Independent,
            order_wait: OrderWait::For(s(10)),
            concurrent_callbacks: 0,
            session_uuid: true,
            lend_key: false,
        }
    }
    /// Reads the section. Returns the settings that folders written as tables bring along.
    pub(crate) fn read(&mut self, section: &mut Section<'_, '_>) -> Vec<(String, Table)> {
        let mut tables = Vec::new();
        section.take("folders", &mut self.folders, |located, base| {
            let (folders, with): (Vec<_>, Vec<_>) = folders(located, base)?.into_iter().unzip();
            tables.extend(with.into_iter().flatten());
            Ok(folders)
        });
        section.take("order", &mut self.order, kinds::choice);
        section.take("order_wait", &mut self.order_wait, order_wait);
        let concurrent = kinds::number(0..=i64::from(u32::MAX));
        section.take(
            "concurrent_callbacks",
            &mut self.concurrent_callbacks,
            concurrent,
        );
        section.take("session_uuid", &mut self.session_uuid, kinds::flag);
        section.take("lend_key", &mut self.lend_key, kinds::flag);
        tables
    }
}

fn order_wait(located: &Located, base: &Path) -> Read<OrderWait> {
    match &located.value {
        Value::Text(text) | Value::Loose(text) if text == "forever" => Ok(OrderWait::Forever),
        _ => kinds::duration(s(0)..=s(DAY))(located, base)
            .map(OrderWait::For)
            .map_err(|wrong| wrong.hint("or \"forever\"")),
    }
}

impl Folder {
    pub(crate) fn new(name: &str, base: &Path) -> Self {
        Self {
            name: tidy(name).into(),
            written: name.into(),
            path: kinds::resolve(base, name),
        }
    }
    /// Names the plugin of this folder whose file is called `stem`.
    pub fn plugin(&self, stem: &str) -> PluginId {
        PluginId::new(&self.name, stem)
    }
}

/// Takes off the slashes behind a folder's name, which do not count.
pub(crate) fn tidy(folder: &str) -> &str {
    match folder.trim_end_matches('/') {
        "" => folder,
        name => name,
    }
}

type FolderAndTable = (Folder, Option<(String, Table)>);

fn folders(located: &Located, base: &Path) -> Read<Vec<FolderAndTable>> {
    let mut all: Vec<FolderAndTable> = Vec::new();
    for one in kinds::elements(located)? {
        let at = |mut wrong: Wrong| {
            wrong.origin.get_or_insert_with(|| one.origin.clone());
            wrong
        };
        let (place, table) = match &one.value {
            Value::Table(table) => {
                let mut table = table.clone();
                let place = table
                    .remove("path")
                    .ok_or_else(|| at(Wrong::new("holds a table without `path`")))?;
                (place, Some(table))
            }
            _ => (one.clone(), None),
        };
        let path = kinds::path(&place, base).map_err(|mut wrong| {
            wrong.message = format!("holds a folder that {}", wrong.message);
            at(wrong)
        })?;
        let (Value::Text(name) | Value::Loose(name) | Value::Place { name, .. }) = &place.value
        else {
            continue;
        };
        let folder = Folder {
            name: tidy(name).into(),
            written: name.clone(),
            path,
        };
        if all.iter().any(|(other, _)| other.path == folder.path) {
            return Err(at(Wrong::new(format!("holds the folder {name:?} twice"))));
        }
        let table = table.map(|table| (folder.name.clone(), table));
        all.push((folder, table));
    }
    Ok(all)
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: LogFormat::Human,
            folder: None,
            timing: false,
        }
    }
}

impl Log {
    pub(crate) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.take("level", &mut self.level, kinds::choice);
        section.take("format", &mut self.format, kinds::choice);
        section.take("folder", &mut self.folder, kinds::path_or_unset);
        section.take("timing", &mut self.timing, kinds::flag);
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            server: None,
            port: 25,
            tls: false,
            username: None,
            password: None,
            from: None,
            to: Vec::new(),
            subject: "[slated]".into(),
        }
    }
}

impl Mail {
    pub(crate) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.take("server", &mut self.server, kinds::text_or_off);
        section.take("port", &mut self.port, kinds::number(1..=65_535));
        section.take("tls", &mut self.tls, kinds::flag);
        section.take("username", &mut self.username, kinds::text_or_off);
        section.take("password", &mut self.password, secret_or_unset);
        section.take("from", &mut self.from, kinds::text_or_off);
        section.take("to", &mut self.to, kinds::list(kinds::some_text));
        section.take("subject", &mut self.subject, kinds::text);
    }
}

impl Alerts {
    pub(crate) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.take("webhook", &mut self.webhook, |located, base| {
            let webhook = secret_or_unset(located, base)?;
            if let Some(text) = webhook.as_ref().and_then(Secret::exposed)
                && SiteUrl::parse(text.split(['?', '#']).next().unwrap_or(text)).is_err()
            {
                return Err(Wrong::new("takes an address that begins with https://"));
            }
            Ok(webhook)
        });
    }
}

impl Control {
    pub(crate) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.take("group", &mut self.group, kinds::text_or_off);
    }
}

impl Web {
    pub(crate) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.take("listen", &mut self.listen, kinds::listen_or_off);
        section.take("token", &mut self.token, secret_or_unset);
    }
}
