//! `slated check --json`.

use serde::Serialize;
use slated_model::{EventId, PluginId};

/// What a start would come to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CheckView {
    /// The file that was read.
    pub(crate) configuration: String,
    /// What works, but should not stay so.
    pub(crate) warnings: Vec<String>,
    /// Keys that do nothing in this version.
    pub(crate) no_effect: Vec<IdleView>,
    /// The address of the site. It is not asked.
    pub(crate) site: String,
    pub(crate) state: StateView,
    /// What the state is begun with, in a sentence.
    pub(crate) begins: Option<String>,
    /// Where a plugin starts that was never seen.
    pub(crate) new_plugins: String,
    /// Where each plugin starts.
    pub(crate) plugins: Vec<StartView>,
    /// Why nothing would start.
    pub(crate) refusal: Option<String>,
}

/// A key that does nothing.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IdleView {
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
