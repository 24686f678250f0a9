//! What a first start puts on record, and says.

use slated_core::begin::{self, At, Chosen, Line, Why, With};
use slated_model::{Beginning, Change, EventId, LaneRow, Offset, PluginId, Start};

use super::Begin;

/// What a first start puts on record.
pub(super) struct First {
    beginning: Beginning,
    lanes: Vec<LaneRow>,
    /// What is told of all plugins.
    pub(super) told: String,
    /// Where each starts, and why.
    pub(super) lines: Vec<Line>,
}

impl Begin<'_> {
    /// Says what a first start puts on record.
    pub(super) fn first(&self, with: With<'_>) -> First {
        let file = self.file.as_ref();
        let (start, lanes, told, lines) = match with {
            With::Import(old) => {
                let import = begin::import(old, &self.present, self.new_plugins());
                let path = file.map(|f| f.path.display().to_string());
                let told = format!(
                    "The state of the Python daemon is taken over from {}.",
                    path.unwrap_or_default()
                );
                (Some(import.start), import.lanes, told, import.lines)
            }
            With::Chosen(Chosen::Latest) => {
                let told = "Every plugin starts with what is seen from now on.";
                let start = Some(Chosen::Latest.start());
                (
                    start,
                    Vec::new(),
                    told.into(),
                    self.all(&At::New, &Why::Asked),
                )
            }
            With::Chosen(Chosen::Id(id)) => {
                let told = format!("Every plugin starts with event {id}.");
                let lanes = self
                    .present
                    .iter()
                    .map(|p| lane_from(p.plugin.clone(), id, Offset(0)));
                let at = At::After {
                    last: id.prev(),
                    owed: Vec::new(),
                    hold: None,
                    absent: false,
                    helper: false,
                };
                let start = Some(Chosen::Id(id).start());
                (start, lanes.collect(), told, self.all(&at, &Why::Asked))
            }
            With::Nothing => {
                let told = "There is no state yet.".into();
                // What the clock said is on record before anything is read.
                let start = self.since.map(Start::FromId);
                (start, Vec::new(), told, self.all(&At::New, &Why::NoState))
            }
        };
        First {
            beginning: Beginning {
                start,
                file: file.map(|file| file.read.clone()),
            },
            lanes,
            told,
            lines,
        }
    }

    /// Says the same of all plugins.
    fn all(&self, at: &At, why: &Why) -> Vec<Line> {
        let line = |plugin: &PluginId| Line {
            plugin: plugin.clone(),
            at: at.clone(),
            why: why.clone(),
        };
        self.present.iter().map(|p| line(&p.plugin)).collect()
    }
}

impl First {
    pub(super) fn tell(&self) {
        tracing::info!("{}", self.told);
        for line in &self.lines {
            let At::After { hold, absent, .. } = &line.at else {
                tracing::info!("{line}.");
                continue;
            };
            // Nothing broke, but a person must choose.
            if hold.is_some() && !absent {
                tracing::warn!("{line}.");
            } else {
                tracing::info!("{line}.");
            }
        }
    }

    pub(super) fn changes(self) -> Vec<Change> {
        let lanes = self.lanes.into_iter().map(Change::Lane);
        lanes.chain([Change::Began(self.beginning)]).collect()
    }
}

/// Returns the lane of a plugin that begins with an event, wherever the log begins. Where the log
/// holds rows already others are ahead, and do not wait for it until it has caught up.
pub(crate) fn lane_from(plugin: PluginId, id: EventId, end: Offset) -> LaneRow {
    let behind = end > Offset(0);
    LaneRow {
        floor: Some(id.prev()),
        in_line_from: if behind { LaneRow::OUT_OF_LINE } else { end },
        ..LaneRow::new(plugin, Offset(0))
    }
}
