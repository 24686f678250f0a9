//! Everything about one plugin: `slated plugin show NAME --json`.

use serde::{Deserialize, Serialize};
use slated_config::Config;
use slated_host::wire::Emails;
use slated_model::{Attempt, CallbackId, EventId, LaneRow, Offset, OutcomeRow, PluginId};
use slated_store::Store;

use super::{PluginView, Refusal, UnitView, refusal};
use crate::daemon::file_of;

/// Outcomes shown.
const OUTCOMES: usize = 10;

/// One plugin, whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PluginDetail {
    #[serde(flatten)]
    pub(crate) plugin: PluginView,
    /// Whether a person stopped it.
    pub(crate) stopped: bool,
    /// Why it waits for a person.
    pub(crate) hold: Option<HoldView>,
    /// Who gets mail about its errors: `true` the configured addresses, `false` nobody, or a list;
    /// absent until it was loaded.
    pub(crate) emails: Option<Emails>,
    /// What a person should know about how it was loaded.
    pub(crate) warnings: Vec<String>,
    /// The files it imported from the plugins folders and import paths: an edit of one reloads it.
    #[serde(default)]
    pub(crate) helpers: Vec<String>,
    /// Calls that its process has run; absent where none is in use.
    #[serde(default)]
    pub(crate) calls: Option<u64>,
    /// Bytes that its process held after the last of them; absent without a `memory_limit`.
    #[serde(default)]
    pub(crate) resident: Option<u64>,
    /// How often a process made room for a new one (`recycle_after`, `memory_limit`) since the
    /// daemon's start.
    #[serde(default)]
    pub(crate) recycled: u64,
    /// Rows of the log that a person let it skip.
    pub(crate) skipped: Vec<SkippedView>,
    /// Events ahead of it that a person wants it not to get.
    #[serde(default)]
    pub(crate) skips: Vec<SkipView>,
    /// The event that was the first without an outcome when slated ended uncleanly.
    #[serde(default)]
    pub(crate) suspect: Option<SuspectView>,
    /// The last time that a person let it go back.
    #[serde(default)]
    pub(crate) rewound: Option<RewoundView>,
    pub(crate) settings: Vec<SettingView>,
    /// The newest outcomes, newest first.
    pub(crate) outcomes: Vec<OutcomeView>,
}

/// Why a plugin waits for a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HoldView {
    /// The event that failed; absent if a person must choose where it begins.
    pub(crate) event: Option<EventId>,
    pub(crate) callback: Option<CallbackId>,
    pub(crate) reason: String,
    pub(crate) traceback: Option<String>,
    /// Local variables of the outermost frame in the plugin.
    pub(crate) locals: Option<String>,
}

/// Rows after one offset, up to another.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SkippedView {
    pub(crate) after: u64,
    pub(crate) through: u64,
}

/// An event that it does not get.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SkipView {
    pub(crate) event: EventId,
    pub(crate) reason: String,
}

/// An event that may have ended slated itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SuspectView {
    pub(crate) event: EventId,
    /// Unclean ends; three count as a death of the event.
    pub(crate) times: u32,
}

/// A way back.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct RewoundView {
    /// The offset at which it stood.
    pub(crate) from: u64,
    /// The offset at which it stood then.
    pub(crate) to: u64,
    /// Whether what was done was done again.
    pub(crate) again: bool,
    pub(crate) at_ms: i64,
}

/// One setting, and where it came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SettingView {
    pub(crate) key: String,
    /// Empty: off, or unset.
    pub(crate) value: String,
    /// `default`, `FILE:LINE`, `$VARIABLE` or a flag.
    pub(crate) origin: String,
}

/// What became of one event in one callback.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OutcomeView {
    pub(crate) event: EventId,
    #[serde(flatten)]
    pub(crate) unit: UnitView,
}

impl PluginDetail {
    /// Describes a plugin by its view, and what stands on record of it.
    pub(crate) fn new<'a>(
        plugin: PluginView,
        row: Option<&LaneRow>,
        mut attempts: impl Iterator<Item = &'a Attempt>,
        config: &Config,
    ) -> Self {
        let hold = row.and_then(|row| row.hold.as_ref());
        let failure = attempts.find(|a| !a.aside).map(|a| &a.failure);
        let hold = hold.map(|hold| HoldView {
            event: hold.event,
            callback: hold.callback.clone(),
            reason: hold.reason.clone(),
            traceback: failure
                .map(|f| f.traceback.clone())
                .filter(|t| !t.is_empty()),
            locals: failure.and_then(|f| f.locals.clone()),
        });
        let skipped = row.into_iter().flat_map(|row| &row.skipped);
        Self {
            stopped: row.is_some_and(|row| row.stopped),
            hold,
            emails: None,
            warnings: Vec::new(),
            helpers: Vec::new(),
            calls: None,
            resident: None,
            recycled: 0,
            skipped: skipped
                .map(|(after, through)| SkippedView {
                    after: after.0,
                    through: through.0,
                })
                .collect(),
            skips: row
                .into_iter()
                .flat_map(|row| &row.skips)
                .map(|skip| SkipView {
                    event: skip.event,
                    reason: skip.reason.clone(),
                })
                .collect(),
            suspect: row.and_then(|row| row.suspect).map(|s| SuspectView {
                event: s.event,
                times: s.times,
            }),
            rewound: row.and_then(|row| row.rewound).map(|r| RewoundView {
                from: r.from.0,
                to: r.to.0,
                again: r.again,
                at_ms: r.at_ms,
            }),
            settings: settings(config, &plugin.plugin),
            outcomes: Vec::new(),
            plugin,
        }
    }

    /// Adds the newest outcomes, and how many dead letters there are.
    pub(crate) async fn with_outcomes(mut self, store: &dyn Store) -> slated_store::Result<Self> {
        let latest = store
            .latest(Some(self.plugin.plugin.clone()), OUTCOMES)
            .await?;
        self.outcomes = latest.iter().map(OutcomeView::of).collect();
        let counts = store.count_letters().await?;
        let letters = counts.get(&self.plugin.plugin);
        self.plugin.letters = letters.copied().unwrap_or_default();
        Ok(self)
    }
}

impl OutcomeView {
    fn of(row: &OutcomeRow) -> Self {
        Self {
            event: row.event,
            unit: UnitView::finished(row),
        }
    }
}

/// Returns what is set for a plugin.
fn settings(config: &Config, plugin: &PluginId) -> Vec<SettingView> {
    let entries = config.effective(plugin).entries().into_iter();
    entries
        .map(|(key, value)| SettingView {
            key: key.into(),
            value,
            origin: config.effective_origin(plugin, key).to_string(),
        })
        .collect()
}

/// Finds a plugin in a store and describes it by what stands on record.
pub(crate) async fn recorded(
    store: &dyn Store,
    config: &Config,
    name: &str,
) -> slated_store::Result<Result<PluginDetail, Refusal>> {
    let snapshot = store.snapshot().await?;
    let lanes = snapshot.lanes.iter().filter(|l| l.is_listed());
    let id = match refusal::find(name, lanes.clone().map(|l| (&l.plugin, l.gone))) {
        Ok(id) => id,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let latest = store.latest(Some(id.clone()), 50).await?;
    let attempts = snapshot.attempts.iter().filter(|a| a.plugin == id);
    let row = lanes.clone().find(|l| l.plugin == id);
    let unknown = LaneRow::new(id.clone(), Offset(0));
    let mut view = PluginView::recorded(
        row.unwrap_or(&unknown),
        snapshot.log.end,
        &snapshot.attempts,
        &latest,
    );
    let file = file_of(&config.plugins.folders, &id);
    view.file = file.exists().then(|| file.display().to_string());
    let detail = PluginDetail::new(view, row, attempts, config);
    Ok(Ok(detail.with_outcomes(store).await?))
}
