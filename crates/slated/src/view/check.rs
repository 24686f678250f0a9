//! `slated check --json`.

use serde::Serialize;
use slated_model::{CallbackId, EventId, Matcher, PluginId};

use super::WebhookCheck;

/// What a start would come to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CheckView {
    /// The file that was read.
    pub(crate) configuration: String,
    /// Every key that somebody set, and where.
    pub(crate) configured: Vec<KeyView>,
    /// What works, but should not stay so.
    pub(crate) warnings: Vec<String>,
    /// Keys that do nothing in this version.
    pub(crate) no_effect: Vec<KeyView>,
    /// The address of the site.
    pub(crate) site: String,
    /// What it said; absent where it was not asked.
    pub(crate) site_look: Option<SiteLook>,
    pub(crate) state: StateView,
    /// What the state is begun with, in a sentence.
    pub(crate) begins: Option<String>,
    /// Where a plugin starts that was never seen.
    pub(crate) new_plugins: String,
    /// Where each plugin starts.
    pub(crate) plugins: Vec<StartView>,
    /// The mail server; absent where none is configured.
    pub(crate) mail: Option<MailCheck>,
    /// The webhook; absent where none is configured.
    pub(crate) webhook: Option<WebhookCheck>,
    /// The Pythons that plugins run with.
    pub(crate) pythons: Vec<PythonView>,
    /// What is in each plugin's file. Empty where nothing would start.
    pub(crate) files: Vec<FileView>,
    /// What will differ from the Python daemon.
    pub(crate) differences: Vec<String>,
    /// Why nothing would start.
    pub(crate) refusal: Option<String>,
}

/// What the site said.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct SiteLook {
    pub(crate) version: Option<String>,
    pub(crate) answers_in_ms: Option<u64>,
    /// The most rows it gives at once, if it says so.
    pub(crate) rows_a_page: Option<usize>,
    /// How far its clock is ahead of this machine's, in seconds.
    pub(crate) clock_ahead_s: Option<i64>,
    /// Whether the script may log in and read events.
    pub(crate) may_read: bool,
    /// The newest event that it sees.
    pub(crate) newest: Option<EventId>,
    /// Why it cannot be read.
    pub(crate) error: Option<String>,
    pub(crate) hint: Option<String>,
    /// Waiting alone may help.
    #[serde(skip)]
    pub(crate) is_down: bool,
}

/// A mail server.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct MailCheck {
    /// Name and port.
    pub(crate) server: String,
    /// How it is spoken to, in words.
    pub(crate) manner: String,
    /// The configured addresses.
    pub(crate) to: Vec<String>,
    /// Whether it was to take a mail.
    pub(crate) sent: bool,
    /// Whether it let slated in, or took the mail; absent where it was not asked.
    pub(crate) answers: Option<bool>,
    pub(crate) error: Option<String>,
    pub(crate) hint: Option<String>,
}

/// A Python.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PythonView {
    pub(crate) path: String,
    pub(crate) version: String,
    pub(crate) shotgun_api3: Option<String>,
    /// Who runs with it.
    pub(crate) plugins: Vec<PluginId>,
}

/// What is in a plugin's file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FileView {
    pub(crate) plugin: PluginId,
    pub(crate) file: String,
    pub(crate) state: FileState,
    /// Absent where it was not loaded.
    pub(crate) callbacks: Option<Vec<AsksView>>,
    pub(crate) warnings: Vec<String>,
    /// What is wrong, with file and line.
    pub(crate) error: Option<String>,
    pub(crate) traceback: Option<String>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileState {
    /// A plugin that loads.
    Loads,
    /// One that was parsed, and not loaded.
    Parses,
    /// No plugin: it has no `registerCallbacks`, and others may import it.
    Helper,
    /// A network or the site failed it while it was loaded: a daemon tries again by itself.
    Unanswered,
    /// It does not load, or does not parse.
    Broken,
}

/// What a callback asks for.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AsksView {
    pub(crate) name: CallbackId,
    #[serde(rename = "match")]
    pub(crate) matcher: Matcher,
    /// The same in words.
    pub(crate) asks_for: String,
    pub(crate) stop_on_error: bool,
}

/// A key, and where it stands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct KeyView {
    pub(crate) key: String,
    pub(crate) origin: String,
}

/// The state folder.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StateView {
    pub(crate) folder: String,
    /// Whether a state stands there that has begun.
    pub(crate) begun: bool,
    /// Whether a daemon runs on it.
    pub(crate) in_use: bool,
    /// That daemon's process, as far as known.
    pub(crate) pid: Option<u32>,
    /// How many bytes are free for it, where the system says.
    pub(crate) free: Option<u64>,
}

/// Where a plugin would start.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StartView {
    pub(crate) plugin: PluginId,
    /// The highest event it has handled; absent for a new plugin.
    pub(crate) after: Option<EventId>,
    /// Events below that it still gets.
    pub(crate) owed: Vec<EventId>,
    /// It waits for a person to choose, or for an edit.
    pub(crate) held: bool,
    /// Its file is not there.
    pub(crate) gone: bool,
    pub(crate) why: String,
}
