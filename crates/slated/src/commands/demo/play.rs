//! The demo at work: facts to the screen, the story from rest to rest.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use slated_model::EventId;
use tokio::sync::broadcast::error::RecvError;

use super::record::Record;
use super::screen::Screen;
use super::stage::Stage;
use super::story::{Cast, Line, Story};
use crate::clock::{Clock, wall_ms};
use crate::error::CommandError;
use crate::tell::Fact;

/// How often the screen is looked at when nothing happens.
const TURN: Duration = Duration::from_millis(40);

/// Plays on a stage.
pub(super) struct Play {
    pub(super) stage: Stage,
    pub(super) record: Record,
    screen: Screen,
    clock: Clock,
    print: fn(String),
    /// A plugin was loaded since the screen learned what plugins are called with.
    reloaded: bool,
    /// The newest event before the story.
    before: EventId,
}

impl Play {
    /// `print` takes every line for people.
    pub(super) fn new(stage: Stage, print: fn(String)) -> Self {
        let before = EventId(stage.site().head().unwrap_or_default());
        Self {
            stage,
            record: Record::default(),
            screen: Screen::new(before),
            clock: Clock::start(),
            print,
            reloaded: false,
            before,
        }
    }

    /// Waits for the plugins.
    pub(super) async fn prepare(&mut self) -> Result<(), CommandError> {
        let callbacks = self.stage.ready().await?;
        self.screen.set_callbacks(callbacks);
        Ok(())
    }

    /// Plays the story to its end, until everything that follows from it is done.
    pub(super) async fn story(&mut self, mut story: Story) -> Result<Cast, CommandError> {
        let mut resting = false;
        let mut cast = None;
        loop {
            tokio::select! {
                turned = self.turn() => turned?,
                line = story.next(), if !resting && cast.is_none() => match line? {
                    Line::Say(text) => self.screen.say(&text),
                    Line::Rest(()) => resting = true,
                    Line::Cast(it) => cast = Some(it),
                },
            }
            if resting && self.is_calm()? {
                resting = false;
                story.go_on().await?;
            }
            if cast.is_some() && !self.record.has_open_retries() && self.is_calm()? {
                break;
            }
        }
        self.show();
        cast.ok_or_else(|| CommandError::internal("the story has no end"))
    }

    /// Shows what happens, for ever.
    pub(super) async fn go_on(&mut self) -> Result<(), CommandError> {
        loop {
            self.turn().await?;
        }
    }

    /// Takes the next fact, or lets a moment pass. May be dropped at any time.
    async fn turn(&mut self) -> Result<(), CommandError> {
        if self.reloaded {
            self.screen.set_callbacks(self.stage.callbacks().await?);
            self.reloaded = false;
        }
        let fact = tokio::select! {
            biased;
            fact = self.stage.facts.recv() => fact,
            () = tokio::time::sleep(TURN) => {
                self.show();
                return Ok(());
            }
        };
        match fact {
            Ok(fact) => self.take(&fact)?,
            // More in one moment than anybody could read.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Err(self.stage.failed().await),
        }
        self.show();
        Ok(())
    }

    fn take(&mut self, fact: &Fact) -> Result<(), CommandError> {
        self.record.take(fact);
        self.screen.take(fact, self.clock.now(), &time_of_day());
        match fact {
            // The chat has been restarted: the next attempt gets through.
            Fact::CallbackRetried { .. } => self.stage.chat.open(),
            Fact::PluginReady { .. } | Fact::PluginBroken { .. } => {
                self.reloaded = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn show(&mut self) {
        for line in self.screen.lines(self.clock.now()) {
            (self.print)(line);
        }
    }

    /// Says what holds the story up.
    pub(super) fn waits_for(&self) -> &'static str {
        match self.is_calm() {
            Ok(true) if self.record.has_open_retries() => "a retry is still to come",
            Ok(true) => "the story itself does not go on",
            _ => "an event on the site was not followed, or a plugin has not answered",
        }
    }

    /// Tells whether all that can be seen on the site was followed and answered.
    fn is_calm(&self) -> Result<bool, CommandError> {
        if !self.screen.is_idle() {
            return Ok(false);
        }
        let filters = json!([["id", "greater_than", self.before]]);
        let rows = self
            .stage
            .site()
            .find("EventLogEntry", &filters, &["id"])
            .map_err(CommandError::internal)?;
        let ids: BTreeSet<_> = rows
            .iter()
            .filter_map(|row| row.get("id").and_then(Value::as_u64).map(EventId))
            .collect();
        Ok(ids.is_subset(&self.record.seen))
    }
}

fn time_of_day() -> String {
    let now = jiff::Timestamp::from_millisecond(wall_ms()).unwrap_or_default();
    now.to_zoned(jiff::tz::TimeZone::system())
        .strftime("%H:%M:%S")
        .to_string()
}
