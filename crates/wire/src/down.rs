//! What the daemon says to a worker.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Protocol;

/// A message from the daemon to a worker. A worker reads them strictly in order.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToWorker {
    /// The first message: everything the worker needs to load its plugin.
    Hello(Box<Hello>),
    /// Run callbacks with an event.
    Event(EventFrame),
    /// Run what was sent before, then exit with 0.
    Goodbye(Goodbye),
}

/// The daemon's opening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version the daemon speaks.
    pub protocol: Protocol,
    /// Optional behaviour the daemon knows.
    #[serde(default)]
    pub features: Vec<String>,
    /// Such as `0.1.0`.
    #[serde(default)]
    pub daemon_version: String,
    /// The file to load.
    pub plugin: PluginFile,
    /// The site to connect to.
    pub site: Site,
    /// How to run it.
    #[serde(default)]
    pub config: Config,
    /// What must not be exceeded.
    pub limits: Limits,
}

/// A plugin's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginFile {
    /// The file's stem: the module's name, and the logger's behind `plugin.`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Its content as the daemon saw it, in lower-case hexadecimal; empty if unknown.
    #[serde(default)]
    pub sha256: String,
}

/// The site, as the client is to be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Such as `https://studio.example`.
    pub url: String,
    /// `user:password@host:port` as configured, scheme optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Secret>,
    /// A file of certificates to trust instead of the client's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Whether there is none: clients ask nobody, and say so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offline: bool,
    /// The daemon's own script, for callbacks registered without one (`lend_key`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lend: Option<Lend>,
}

/// Credentials lent to callbacks registered without a script name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lend {
    /// The script's name.
    pub script: String,
    /// Its key.
    pub key: Secret,
}

/// How the worker runs its plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The level of the plugin's logger, in Python's numbers (10..50).
    pub log_level: u32,
    /// Whether a callback's client gets the event's session id before each event.
    pub use_session_uuid: bool,
    /// Folders put in front of `sys.path`, in this order.
    pub import_paths: Vec<PathBuf>,
    /// The plugins folders: what is imported from them and from `import_paths` is told. Since 1.2.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plugin_folders: Vec<PathBuf>,
    /// The file mode creation mask, or the daemon's where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// Whether nothing may be written to the site: the client refuses every write and the worker
    /// tells it in a `write`. Only a worker that lists the feature `dry` keeps to it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry: bool,
    /// Whether a person sits at its terminal: a breakpoint stops there, and so does a callback that
    /// fails.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub debug: bool,
}

/// Limits of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The longest line either side accepts, in bytes.
    pub max_frame: usize,
    /// How many events may be sent before the first is answered.
    pub window: u32,
    /// How long a call in flight may go on after the daemon is gone, in milliseconds.
    pub orphan_grace_ms: u64,
    /// How many bytes the process may use; absent: as many as there are. Since 1.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

/// An event, and the callbacks that are due.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventFrame {
    /// Counts frames of this worker, from 1.
    pub seq: u64,
    /// Frames of a turn stand and fall together: one answer with `stop` drops the rest of it.
    pub turn: u64,
    /// The numbers of the callbacks to run, in this order.
    pub callbacks: Vec<u32>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// A name of this event for this plugin that is the same at every attempt.
    pub key: String,
    /// The soft limit of each call, in milliseconds; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Whether it is a past event run again beside the live lanes.
    #[serde(default)]
    pub replay: bool,
    /// The row, in the site's own words.
    pub event: Arc<RawValue>,
}

/// The daemon's last word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Such as `stop`, `reload` or `recycle`.
    pub reason: String,
    /// How long the daemon waits before it ends the process, in milliseconds.
    pub grace_ms: u64,
}

/// A text that never shows: its `Debug` is `***`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
    /// Returns the text. Whoever calls this must not print it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log_level: 20,
            use_session_uuid: true,
            import_paths: Vec::new(),
            plugin_folders: Vec::new(),
            umask: None,
            dry: false,
            debug: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: crate::MAX_FRAME,
            window: 16,
            orphan_grace_ms: 2000,
            memory: None,
        }
    }
}
