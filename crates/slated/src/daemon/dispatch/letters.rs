//! The dispatcher and dead letters: what a person wishes of them goes on record, and then to the
//! lane.
//!
//! Invariant: nothing is tried again whose dead letter did not stand when the wish was written.

use std::collections::{BTreeMap, BTreeSet};

use slated_core::{lane, letter};
use slated_model::{Attempt, CallbackId, Change, EventId, LaneRow, Offset, OutcomeRow, PluginId};
use slated_store::Recorded;
use tokio::sync::oneshot;

use super::Dispatcher;
use crate::clock::wall_ms;
use crate::daemon::message::LetterWish;
use crate::daemon::plugin::Plugin;
use crate::tell::Fact;
use crate::view::{Refusal, WishView};

/// A wish on its way to the record.
pub(super) struct Wish {
    /// The write that it is part of.
    write: u64,
    changes: Vec<Change>,
    told: WishView,
    reply: oneshot::Sender<Result<WishView, Refusal>>,
}

impl Dispatcher {
    /// Puts a wish on record. Dead letters whose callback is gone cannot be tried again.
    pub(super) fn wish(
        &mut self,
        letters: &[(OutcomeRow, Option<Offset>)],
        wish: &LetterWish,
        reply: oneshot::Sender<Result<WishView, Refusal>>,
    ) {
        // Whoever asked may have gone.
        if self.stopping.is_some() {
            reply.send(Err(Refusal::ending())).unwrap_or_default();
            return;
        }
        let wished: BTreeSet<Unit> = self.wishes.iter().flat_map(Wish::units).collect();
        // Somebody else was quicker, and that is not on record yet; or the event has become void.
        let (already, letters): (Vec<_>, Vec<_>) = letters.iter().partition(|(letter, offset)| {
            wished.contains(&unit(&letter.plugin, &letter.callback, letter.event))
                || offset.is_some_and(|offset| self.is_void(offset, letter.event))
        });
        let changes = wish.changes(letters.iter().copied(), |letter| self.is_lost(letter));
        let mut told = WishView {
            already: already.len(),
            impossible: letters.len() - changes.len(),
            ..WishView::default()
        };
        if matches!(wish, LetterWish::Retry) {
            let plugins: BTreeSet<_> = changes.iter().filter_map(unit_of).map(|u| u.0).collect();
            let places = plugins.iter().filter_map(|id| self.place_of(id));
            let waits = places.filter_map(|place| {
                let view = self.view(place);
                Some(format!("{} is {}", view.plugin, view.waits()?))
            });
            told.waits = waits.collect();
        }
        if changes.is_empty() {
            reply.send(Ok(told)).unwrap_or_default();
            return;
        }
        for change in &changes {
            self.journal.note(change.clone());
        }
        self.wishes.push(Wish {
            write: self.journal.last_write(),
            changes,
            told,
            reply,
        });
    }

    /// Tells whether a letter cannot be tried again: its plugin is gone or goes on elsewhere, or no
    /// longer registers the callback.
    fn is_lost(&self, letter: &OutcomeRow) -> bool {
        let place = self.place_of(&letter.plugin);
        let plugin = place.map(|place| &self.plugins[place]);
        let lane = plugin.and_then(|plugin| plugin.lane.as_ref());
        let recorded = self.recorded.get(&letter.plugin).map(|(row, ..)| row);
        let row = lane.map(lane::Lane::record_row).or(recorded);
        let callbacks = lane.and_then(lane::Lane::callbacks);
        let without = callbacks.is_some_and(|known| known.iter().all(|c| c.id != letter.callback));
        without || plugin.is_some_and(Plugin::is_gone) || !takes_letters(row)
    }

    /// Takes up what was wished by the write that has just ended.
    pub(super) fn take_up_wishes(&mut self, recorded: &Recorded) {
        for mut wish in std::mem::take(&mut self.wishes) {
            if !self.journal.has_ended(wish.write) {
                self.wishes.push(wish);
                continue;
            }
            let already: BTreeSet<&Unit> = recorded.already.iter().collect();
            let mut counts = BTreeMap::<PluginId, usize>::new();
            let mut reason = None;
            for change in wish.changes {
                let Some(unit) = unit_of(&change) else {
                    continue;
                };
                if already.contains(&unit) {
                    wish.told.already += 1;
                    continue;
                }
                wish.told.done += 1;
                *counts.entry(unit.0).or_default() += 1;
                match change {
                    Change::Retried(attempt) => self.try_again(attempt),
                    Change::Discarded(row) => reason = Some(row.outcome),
                    _ => {}
                }
            }
            for (plugin, letters) in counts {
                self.teller.tell(match &reason {
                    None => Fact::LettersRetried { plugin, letters },
                    Some(_) => Fact::LettersDiscarded { plugin, letters },
                });
            }
            wish.reply.send(Ok(wish.told)).unwrap_or_default();
        }
    }

    /// Hands on what stands on record under the name of a plugin that moved: slated ended before it
    /// could.
    pub(super) fn hand_on_stranded(&mut self) {
        let moved = |row: &LaneRow| row.moved_to.as_ref().is_some_and(|to| *to != row.plugin);
        let left = self.recorded.values_mut().filter(|(row, ..)| moved(row));
        let left = left.flat_map(|(_, attempts, _)| std::mem::take(attempts));
        for attempt in left.collect::<Vec<_>>() {
            self.try_again(attempt);
        }
    }

    /// Hands an attempt to its lane, or keeps it for the lane to come.
    fn try_again(&mut self, attempt: Attempt) {
        if self.is_void(attempt.offset, attempt.event) {
            return;
        }
        let attempt = self.handed_on(attempt);
        if let Some(place) = self.place_of(&attempt.plugin)
            && self.plugins[place].lane.is_some()
        {
            self.feed(place, lane::Input::Retried(attempt));
        } else if let Some((_, attempts, ahead)) = self.recorded.get_mut(&attempt.plugin) {
            ahead.retain(|o| (o.event, &o.callback) != (attempt.event, &attempt.callback));
            attempts.push(attempt);
        }
    }
}

type Unit = (PluginId, CallbackId, EventId);

fn unit(plugin: &PluginId, callback: &CallbackId, event: EventId) -> Unit {
    (plugin.clone(), callback.clone(), event)
}

fn unit_of(change: &Change) -> Option<Unit> {
    match change {
        Change::Retried(a) => Some(unit(&a.plugin, &a.callback, a.event)),
        Change::Discarded(o) => Some(unit(&o.plugin, &o.callback, o.event)),
        _ => None,
    }
}

/// Tells whether dead letters of the plugin with this record can be tried again: where its file is
/// gone or went elsewhere, nobody would.
pub(crate) fn takes_letters(row: Option<&LaneRow>) -> bool {
    row.is_some_and(LaneRow::is_there)
}

impl Wish {
    fn units(&self) -> impl Iterator<Item = Unit> {
        self.changes.iter().filter_map(unit_of)
    }
}

impl LetterWish {
    /// Returns what changes on record for letters, whose events stand at an offset of the log if that
    /// still holds them. One that is `lost` cannot be tried again.
    pub(crate) fn changes<'a>(
        &self,
        letters: impl Iterator<Item = &'a (OutcomeRow, Option<Offset>)>,
        lost: impl Fn(&OutcomeRow) -> bool,
    ) -> Vec<Change> {
        let change = |(letter, offset): &'a (OutcomeRow, Option<Offset>)| match self {
            Self::Retry if lost(letter) => None,
            Self::Retry => letter::retry(letter, (*offset)?, wall_ms()).map(Change::Retried),
            Self::Discard { reason } => {
                letter::discard(letter, reason, wall_ms()).map(Change::Discarded)
            }
        };
        letters.filter_map(change).collect()
    }
}
