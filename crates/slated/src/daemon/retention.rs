//! Retention: lets old events go, and says when the state grows past a size.
//!
//! It may use the clock, over rows no lane needs; the store sees to that (`store/src/sqlite/prune.rs`).
//! It never stands in the way: a look at a time, between the writes of others, and a failure is left to
//! the next hour. What is wrong with the disk is told by those who must write.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use slated_core::Mono;
use slated_model::PluginId;
use slated_store::{Keep, KeepLetters, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::message::{Message, Question};
use crate::clock::{Clock, as_the_site_writes};
use crate::tell::{Fact, Teller};

/// How long after the start, when nobody catches up any more as a rule.
const FIRST: Duration = Duration::from_mins(1);
const EVERY: Duration = Duration::from_hours(1);
/// The variable that has tests wait so many milliseconds instead, before each look.
const PACE: &str = "SLATED_TEST_RETENTION_MS";
/// Rows looked at in one transaction: some tens of milliseconds.
const ROWS: u64 = 2000;
/// How far the clocks of site and host may be apart.
const CLOCKS: Duration = Duration::from_hours(24);
/// Before this moment there was no slated: a clock that shows an earlier one is wrong.
const LEAST: Timestamp = Timestamp::constant(1_767_225_600, 0);
/// Left to others between two.
const REST: Duration = Duration::from_millis(100);
/// How long dead letters are kept, of the time that slated runs, and how many of a plugin
/// (ARCHITECTURE.md, "Retention").
const LETTERS_FOR: Duration = Duration::from_hours(30 * 24);
const LETTERS: u64 = 10_000;

/// What lets old events go.
pub(super) struct Retention {
    pub(super) store: Arc<dyn Store>,
    /// How long events are kept (`state.keep_events`).
    pub(super) keep: Duration,
    /// The size past which people are told (`state.alarm_size`), in bytes.
    pub(super) alarm: Option<u64>,
    pub(super) dispatcher: mpsc::Sender<Message>,
    pub(super) teller: Teller,
    /// Why the state is larger than it should be, once people were told.
    pub(super) large: watch::Sender<Option<String>>,
    pub(super) clock: Clock,
    /// Until when dead letters have grown older: by this clock, which no host sets. What lies there
    /// while slated is down does not grow old, and the wall's clock may jump as it likes.
    pub(super) watched: Mono,
}

impl Retention {
    /// Runs until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let pace = std::env::var(PACE).ok().and_then(|ms| ms.parse().ok());
        let pace: Option<Duration> = pace.map(Duration::from_millis);
        let work = async {
            sleep(pace.unwrap_or(FIRST)).await;
            loop {
                if let Some((held_back_by, size)) = self.pass().await {
                    self.look_at_the_size(size, held_back_by);
                }
                sleep(pace.unwrap_or(EVERY)).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    /// Lets go what may go; returns the plugin that keeps more from it, and the bytes in use.
    async fn pass(&mut self) -> Option<(Option<PluginId>, u64)> {
        let now = Timestamp::now();
        // A host that has not been told the date yet knows of no row whether it is old.
        let now = now.max(LEAST);
        let since = now.checked_sub(self.keep).unwrap_or(Timestamp::MIN);
        let seen = self.clock.now();
        let letters = KeepLetters {
            each: LETTERS,
            for_ms: millis(LETTERS_FOR),
            watched_ms: millis(seen.since(self.watched)),
        };
        let letters = self.store.expire(letters).await.ok()?;
        self.watched = seen;
        if letters > 0 {
            self.teller.tell(Fact::LettersExpired { letters });
        }
        let mut keep = Keep {
            since: as_the_site_writes(since),
            until: as_the_site_writes(now.checked_add(CLOCKS).unwrap_or(Timestamp::MAX)),
            rows: ROWS,
            needed: None,
        };
        loop {
            // The record may be behind what lanes are about to read.
            let (reply, answer) = oneshot::channel();
            let question = Message::Ask(Question::Needed(reply));
            self.dispatcher.send(question).await.ok()?;
            keep.needed = answer.await.ok()?;
            let pruned = self.store.prune(keep.clone()).await;
            let start = pruned.as_ref().ok().map(|pruned| pruned.start);
            let news = Message::Pruned { start };
            self.dispatcher.send(news).await.ok()?;
            let pruned = pruned.ok()?;
            if !pruned.more {
                return Some((pruned.held_back_by, pruned.bytes));
            }
            sleep(REST).await;
        }
    }

    /// Tells once that the state is larger than it should be, and again after it was well below.
    fn look_at_the_size(&mut self, size: u64, held_back_by: Option<PluginId>) {
        let Some(alarm) = self.alarm else { return };
        let told = self.large.borrow().is_some();
        if size > alarm && !told {
            let fact = Fact::StateLarge {
                size,
                alarm,
                held_back_by,
            };
            self.large.send_replace(Some(fact.to_string()));
            self.teller.tell(fact);
        } else if told && size < alarm - alarm / 10 {
            self.large.send_replace(None);
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slated_model::{Change, Event, LaneRow, LedgerChange, Offset};
    use slated_store::{Append, Options, Sqlite};

    /// A state with old events and a young one, and a plugin that has passed some.
    async fn state(folder: &std::path::Path) -> Arc<Sqlite> {
        let store = Sqlite::open(folder, &Options::default()).unwrap();
        let young = as_the_site_writes(Timestamp::now());
        let made = |id: u64| {
            if id == 6000 {
                young.as_str()
            } else {
                "2026-01-01T00:00:00Z"
            }
        };
        let event = |id| {
            let text = format!(r#"{{"id":{id},"created_at":"{}"}}"#, made(id));
            (Event::parse(&text).unwrap(), false)
        };
        let append = Append {
            events: (1..=6001).map(event).collect(),
            ledger: LedgerChange::default(),
        };
        store.append(append).await.unwrap();
        Arc::new(store)
    }

    /// Answers what the dispatcher is asked until the log starts after `last`; returns where it did.
    async fn starts(inbox: &mut mpsc::Receiver<Message>, last: u64) -> Vec<u64> {
        let mut starts = Vec::new();
        while starts.last() != Some(&last) {
            match inbox.recv().await {
                Some(Message::Ask(Question::Needed(reply))) => drop(reply.send(None)),
                Some(Message::Pruned { start: Some(start) }) => starts.push(start.0),
                _ => panic!("something else was said"),
            }
        }
        starts
    }

    #[tokio::test(start_paused = true)]
    async fn it_lets_old_events_go_and_names_who_keeps_them() {
        let folder = tempfile::tempdir().unwrap();
        let store = state(folder.path()).await;
        let slow = PluginId::new("plugins", "slow");
        let lane = Change::Lane(LaneRow::new(slow.clone(), Offset(4500)));
        store.record(vec![lane]).await.unwrap();
        let (dispatcher, mut inbox) = mpsc::channel(64);
        let teller = Teller::new();
        let mut facts = teller.listen();
        let retention = Retention {
            store: store.clone(),
            keep: Duration::from_hours(24),
            alarm: Some(1),
            dispatcher,
            teller,
            large: watch::channel(None).0,
            clock: Clock::start(),
            watched: Mono::ZERO,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(retention.run(stop.clone()));
        // Nothing goes that the plugin has not passed; then everything up to the young event.
        assert_eq!(starts(&mut inbox, 4500).await, [2000, 4000, 4500]);
        let cursor = Change::Cursor {
            plugin: slow.clone(),
            cursor: Offset(6001),
        };
        store.record(vec![cursor]).await.unwrap();
        assert_eq!(starts(&mut inbox, 5999).await, [5999]);
        let rows = store.rows(Offset(0), 9).await.unwrap();
        assert_eq!(
            rows.iter().map(|r| r.event.id.0).collect::<Vec<_>>(),
            [5999, 6000, 6001]
        );
        // The size is told once, with the name of who kept it from going.
        let fact = facts.recv().await.unwrap();
        assert!(
            matches!(&fact, Fact::StateLarge { held_back_by: Some(p), .. } if *p == slow),
            "{fact:?}"
        );
        stop.cancel();
        task.await.unwrap();
        assert!(facts.try_recv().is_err());
    }
}
