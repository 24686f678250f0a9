//! Alerts in `slated status --json`, and the webhook in it and in `slated check --json`.

use serde::{Deserialize, Serialize};
use slated_model::{EventId, PluginId};

/// Something that is wrong, and was told or is about to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AlertView {
    /// `storage`, `anchor_lost`, `site_lost`, `quarantine`, `hold`, `broken`, `backlog`,
    /// `dead_letters`, `state_large` or `mail`.
    pub(crate) kind: String,
    /// What is wrong in a line.
    pub(crate) what: String,
    pub(crate) plugin: Option<PluginId>,
    pub(crate) event: Option<EventId>,
    pub(crate) detail: String,
    pub(crate) since_ms: i64,
    /// Whether it comes and goes.
    pub(crate) flapping: bool,
}

/// How the webhook goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WebhookView {
    /// Its host; the rest of the address is a secret.
    pub(crate) host: String,
    /// Why it does not take alerts just now.
    pub(crate) trouble: Option<String>,
    /// Since when.
    pub(crate) since_ms: Option<i64>,
    /// Why it refused the last one.
    pub(crate) refused: Option<String>,
    /// Alerts that wait for it.
    pub(crate) waiting: u64,
    /// Alerts it took since the daemon's start.
    pub(crate) sent: u64,
    /// When it took the newest.
    pub(crate) sent_at_ms: Option<i64>,
    /// Alerts that were given up, since it refused them.
    pub(crate) given_up: u64,
    /// Alerts that waited until there was no room.
    pub(crate) dropped: u64,
}

/// The webhook, as `slated check` sees it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct WebhookCheck {
    /// Its host; the rest of the address is a secret.
    pub(crate) host: String,
    /// Whether the site's proxy leads there.
    pub(crate) proxied: bool,
    /// Whether it took a test; absent where it was not asked.
    pub(crate) takes: Option<bool>,
    pub(crate) error: Option<String>,
}
