//! What a worker says to the daemon.

use serde::{Deserialize, Serialize};
use slated_model::{Cause, Failure, FailureKind, Matcher};

use crate::Protocol;

/// A message from a worker to the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromWorker {
    /// The answer to the daemon's hello, before the plugin is touched.
    Hello(WorkerHello),
    /// The plugin is loaded; events may come.
    Ready(Ready),
    /// The plugin did not load; the worker exits with 78.
    LoadFailed(Box<LoadFailed>),
    /// A callback has ended: its effects are done.
    Result(CallResult),
    /// All callbacks of a frame have ended, or one of them stopped the rest.
    Done(Done),
    /// A record of the plugin's loggers.
    Log(Log),
    /// What a plugin would have written to the site, were it not dry. Said to a daemon that asked
    /// for that, alone.
    Write(Write),
    /// Calls have imported more. Said to a daemon that asked for that, alone.
    Imports(Imports),
}

/// Who the worker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerHello {
    /// The version the worker speaks.
    pub protocol: Protocol,
    /// Optional behaviour the worker knows.
    #[serde(default)]
    pub features: Vec<String>,
    /// Such as `cpython 3.11.7`.
    #[serde(default)]
    pub runtime: String,
    /// The version of the worker's own code.
    #[serde(default)]
    pub sdk_version: String,
    /// The process, as it sees itself.
    pub pid: u32,
    /// The version of `shotgun_api3`, where it could be imported.
    #[serde(default)]
    pub shotgun_api3: Option<String>,
}

/// What the plugin registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Its callbacks, in the order of their registration.
    pub callbacks: Vec<Callback>,
    /// Who gets mail about its errors: `true` the configured addresses, `false` nobody, or a list.
    #[serde(default)]
    pub emails: Emails,
    /// How many events it takes ahead.
    #[serde(default)]
    pub window: Option<u32>,
    /// What a person should know about the plugin, a sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The content that was loaded, in lower-case hexadecimal.
    #[serde(default)]
    pub sha256: String,
    /// What the plugin imported of the studio's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<Import>,
}

/// What a plugin imported of the studio's own: all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imports {
    /// Each file once.
    pub files: Vec<Import>,
}

/// A file that a plugin imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Where it stands; links are not resolved.
    pub path: String,
    /// The content that was imported, in lower-case hexadecimal; empty of one that was looked for
    /// and not there.
    pub sha256: String,
}

/// Who gets mail about a plugin's errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Emails {
    /// `true`: the configured addresses; `false`: nobody.
    Configured(bool),
    /// These addresses.
    To(Vec<String>),
}

/// One callback of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// Its number in `event` and `result`, valid for this load only.
    pub n: u32,
    /// The function's name, or the class's; never an address.
    pub name: String,
    /// Which events it asked for.
    #[serde(rename = "match")]
    pub matcher: Matcher,
    /// Whether a failure stops the plugin.
    pub stop_on_error: bool,
    /// Its `args`, printed and cut.
    #[serde(default)]
    pub args_repr: String,
}

/// A plugin that did not load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadFailed {
    /// How far it came.
    pub phase: LoadPhase,
    /// The exception's class.
    #[serde(default)]
    pub error: String,
    /// What is wrong, and what to do.
    #[serde(default)]
    pub message: String,
    /// The traceback as Python prints it, the plugin's part.
    #[serde(default)]
    pub traceback: String,
    /// The file at fault.
    #[serde(default)]
    pub file: Option<String>,
    /// The line in it, from 1.
    #[serde(default)]
    pub line: Option<u32>,
    /// What stood behind the exception: a network failure is worth another try.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// What the plugin imported of the studio's own, or tried to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<Import>,
}

/// How far a load came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadPhase {
    /// `shotgun_api3` cannot be imported by this Python.
    Client,
    /// The module does not compile, or raised while it ran.
    Import,
    /// The module has no `registerCallbacks`: a helper, perhaps.
    NoRegister,
    /// `registerCallbacks` raised, or registered what cannot be registered.
    Register,
}

/// The answer for one callback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallResult {
    /// The frame.
    pub seq: u64,
    /// The callback.
    pub n: u32,
    /// How long it ran, in microseconds.
    pub us: u64,
    /// Why it failed; absent: it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<CallError>>,
    /// Whether the worker drops what it was already sent of this turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop: bool,
}

/// A callback's failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallError {
    /// The exception's class.
    pub r#type: String,
    /// The exception's text.
    pub message: String,
    /// The traceback as Python prints it, the plugin's part.
    pub traceback: String,
    /// The local variables of the outermost frame in the plugin, one a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locals: Option<String>,
    /// What the worker saw behind the exception.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Whether the soft limit ended the call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub limit: bool,
}

/// A frame has been dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The frame.
    pub seq: u64,
}

/// A record of a plugin's logger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Python's number: 10 debug, 20 info, 30 warning, 40 error, 50 critical.
    pub level: u32,
    /// Such as `plugin.notes.on_status`.
    pub logger: String,
    /// The text, the exception's traceback below it where one was logged.
    pub message: String,
    /// When, in microseconds since 1970 (UTC).
    pub time: u64,
    /// The file that logged.
    #[serde(default)]
    pub path: String,
    /// The function that logged.
    #[serde(default)]
    pub func: String,
    /// The line that logged.
    #[serde(default)]
    pub line: u32,
    /// The frame that was being worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// A write to the site that was refused in a dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// The frame that was being worked on; none while the plugin was loading, or between frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The callback that ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// The client's method, such as `update`; each request of a `batch` for itself.
    pub method: String,
    /// The type of the entity, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// Its id, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// What was to be written, as JSON where it can be, cut where it is long.
    #[serde(default)]
    pub data: String,
}

impl Default for Emails {
    fn default() -> Self {
        Self::Configured(true)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self {
            kind: if error.limit {
                FailureKind::Limit
            } else {
                FailureKind::Raised
            },
            error: error.r#type,
            message: error.message,
            traceback: error.traceback,
            locals: error.locals,
            // A limit is never transient, whatever the call was waiting for.
            cause: error.cause.filter(|_| !error.limit),
            us: None,
            log: Vec::new(),
        }
    }
}
