//! What a start would come to, for `slated check`. Nothing here writes.

use std::collections::{BTreeMap, BTreeSet};

use slated_core::begin::{At, Line};
use slated_store::{Snapshot, Store};

use super::{Begin, Plan, refuse};
use crate::error::CommandError;
use crate::view::StartView;

/// What a start would come to.
pub(crate) struct Foreseen {
    /// Whether there is a state of ours that has begun.
    pub(crate) begun: bool,
    /// What is told of all plugins.
    pub(crate) told: String,
    /// Where each starts, and why.
    pub(crate) lines: Vec<StartView>,
    /// Why nothing would start.
    pub(crate) refusal: Option<CommandError>,
}

impl Begin<'_> {
    /// Says what a start would come to.
    pub(crate) async fn foresee(&self) -> Result<Foreseen, CommandError> {
        let state = self.visit().await?;
        let begun = state.as_ref().filter(|(s, _)| super::has_begun(s));
        let mut seen = Foreseen {
            begun: begun.is_some(),
            told: String::new(),
            lines: Vec::new(),
            refusal: None,
        };
        match self.plan(state.as_ref()).await {
            Err(refusal) => seen.refusal = Some(refusal),
            Ok(Plan::Anew { first, aside }) => {
                seen.told = first.told;
                if aside {
                    seen.told.push_str(" slated's own state is moved aside.");
                }
                seen.lines = first.lines.into_iter().map(line).collect();
            }
            Ok(plan @ (Plan::GoOn | Plan::Keep(_))) => {
                seen.told = "slated goes on with its own state.".into();
                if matches!(plan, Plan::Keep(_)) {
                    seen.told
                        .push_str(" The changed eventIdFile is not asked about again.");
                }
                if let Some((snapshot, store)) = begun {
                    seen.lines = self.on_record(snapshot, store).await?;
                }
            }
        }
        Ok(seen)
    }

    /// Says where the lanes on record go on, and which plugins are new.
    async fn on_record(
        &self,
        snapshot: &Snapshot,
        store: &dyn Store,
    ) -> Result<Vec<StartView>, CommandError> {
        let there: BTreeMap<_, _> = self
            .present
            .iter()
            .map(|p| (&p.plugin, p.registers))
            .collect();
        let mut lines = Vec::new();
        let mut known = BTreeSet::new();
        for lane in snapshot.lanes.iter().filter(|l| l.moved_to.is_none()) {
            let gone = !there.contains_key(&lane.plugin);
            // One that was never loaded is no plugin until its file says that it may be one.
            let begins = there.get(&lane.plugin) == Some(&true);
            if !lane.is_listed() && !begins {
                continue;
            }
            known.insert(&lane.plugin);
            let why = match &lane.hold {
                _ if lane.stopped => "stopped by a person".into(),
                Some(hold) => crate::view::hold(lane.plugin.stem(), hold),
                None if gone => crate::view::GONE.into(),
                None if lane.is_only_a_place() => "has a place, and was not loaded yet".into(),
                None => "goes on where it stood".into(),
            };
            lines.push(StartView {
                plugin: lane.plugin.clone(),
                after: refuse::position(store, lane).await?,
                owed: lane.owed.clone(),
                held: lane.hold.is_some(),
                gone,
                why,
            });
        }
        let new = self.present.iter().filter(|p| !known.contains(&p.plugin));
        lines.extend(new.filter(|p| p.registers).map(|p| StartView {
            plugin: p.plugin.clone(),
            after: None,
            owed: Vec::new(),
            held: false,
            gone: false,
            why: "was never seen".into(),
        }));
        Ok(lines)
    }
}

fn line(line: Line) -> StartView {
    let why = line.why.to_string();
    let new = StartView {
        plugin: line.plugin,
        after: None,
        owed: Vec::new(),
        held: false,
        gone: false,
        why,
    };
    match line.at {
        At::New => new,
        At::After {
            last,
            owed,
            hold,
            absent,
            helper,
        } => StartView {
            after: Some(last),
            owed,
            held: hold.is_some(),
            gone: absent,
            why: match hold {
                Some(hold) => format!("{}; {hold}", new.why),
                None if absent => format!("{}; its file is not there", new.why),
                None if helper => format!("{}; it names no registerCallbacks", new.why),
                None => new.why,
            },
            ..new
        },
    }
}
