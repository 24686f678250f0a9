//! Known rows that the site did not show when it was recognised by others.
//!
//! As a rule they are hidden, or lag behind on a replica. But a restore of a few rows looks the same
//! until their ids are taken again, and that may happen above them first. So they are asked for along
//! with each look until they show, or the site has gone on for longer than ids are in flight.

use slated_model::{Anchor, Event, EventId};

use super::AnchorLost;
use super::anchors;
use super::request::Span;

/// Known rows to ask for again.
#[derive(Debug, Default)]
pub(super) struct Doubt(Vec<Anchor>);

impl Doubt {
    /// Doubts the anchors above the newest that the site shows.
    pub(super) fn of(anchors: &[Anchor], rows: &[Event]) -> Self {
        let shown = |anchor: &Anchor| rows.iter().any(|row| row.id == anchor.id);
        let known = anchors.iter().rposition(shown).map_or(0, |at| at + 1);
        Self(anchors[known..].to_vec())
    }

    /// Keeps what is doubted among the anchors, so that it is asked for after a restart, too, and
    /// compared when a person decides.
    pub(super) fn stay(&self, anchors: &mut Vec<Anchor>) {
        anchors.extend_from_slice(&self.0);
        anchors.sort_by_key(|anchor| anchor.id);
        anchors.dedup_by_key(|anchor| anchor.id);
    }

    /// Returns what to ask for.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span> {
        self.0.iter().map(|anchor| (anchor.id, anchor.id))
    }

    /// Takes the rows of a look, in which the site's highest is `high`: rows that are as they were are
    /// doubted no more, and another one in the place of one is an error.
    pub(super) fn look(
        &mut self,
        rows: &[Event],
        high: EventId,
        lookback: u64,
    ) -> Result<(), AnchorLost> {
        let there = |anchor: &Anchor| rows.iter().find(|row| row.id == anchor.id);
        for anchor in &self.0 {
            if let Some(row) = there(anchor) {
                anchors::judge(std::slice::from_ref(anchor), std::slice::from_ref(row))?;
            }
        }
        let in_flight = |anchor: &Anchor| high.0.saturating_sub(anchor.id.0) <= lookback;
        self.0.retain(|a| there(a).is_none() && in_flight(a));
        Ok(())
    }
}
