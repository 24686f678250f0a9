//! What a decision about a site that became another one comes to, for people and programs.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};
use slated_core::follow::decide::{Choice, Finding};
use slated_model::{EventId, PluginId};
use slated_store::Beyond;

/// What `slated follow accept` and `rewind` answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DecisionView {
    /// `accept` or `rewind`.
    pub(crate) choice: String,
    /// Whether it was done; else this is what it would do.
    pub(crate) done: bool,
    /// The highest event seen.
    pub(crate) seen: EventId,
    /// The site's newest event; 0 for an empty log.
    pub(crate) newest: EventId,
    /// The newest event known to be the same on both sides.
    pub(crate) agree: Option<EventId>,
    /// The lowest event found to be another one.
    pub(crate) differs: Option<EventId>,
    /// Whether the site only hides rows, as far as was seen.
    pub(crate) only_hides: bool,
    /// Rows of the log that are void, or would be.
    pub(crate) void: u64,
    /// Of their dead letters and open attempts, which are discarded.
    pub(crate) dead_letters: u64,
    pub(crate) attempts: u64,
    /// Plugins that had finished with some of them.
    pub(crate) handled: Vec<HandledView>,
    /// Reading goes on with this event.
    pub(crate) reads_from: EventId,
}

/// How many void events a plugin had finished with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HandledView {
    pub(crate) plugin: PluginId,
    pub(crate) events: u64,
}

impl DecisionView {
    pub(crate) fn of(choice: Choice, finding: &Finding, beyond: Beyond) -> Self {
        let after = match choice {
            Choice::Rewind => finding.agree.unwrap_or_default(),
            Choice::Accept if finding.only_hides() => finding.high,
            Choice::Accept => finding.newest,
        };
        let handled = beyond.done.into_iter();
        Self {
            choice: match choice {
                Choice::Accept => "accept".into(),
                Choice::Rewind => "rewind".into(),
            },
            done: false,
            seen: finding.high,
            newest: finding.newest,
            agree: finding.agree,
            differs: finding.differs,
            only_hides: finding.only_hides(),
            void: beyond.rows,
            dead_letters: beyond.dead_letters,
            attempts: beyond.attempts,
            handled: handled
                .map(|(plugin, events)| HandledView { plugin, events })
                .collect(),
            reads_from: after.next(),
        }
    }
}

impl Display for DecisionView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { seen, newest, .. } = self;
        match self.agree {
            Some(agree) => write!(
                f,
                "The site and the log agree up to event {agree}; slated saw events up to {seen}, the site's newest is {newest}."
            )?,
            None => write!(
                f,
                "Nothing that slated saw is on the site as it was; slated saw events up to {seen}, the site's newest is {newest}."
            )?,
        }
        if let Some(differs) = self.differs {
            write!(f, " Event {differs} is another one now.")?;
        } else if self.only_hides {
            write!(
                f,
                " No event is another one: known events are only missing, as when permissions of the script user change."
            )?;
        }
        let will = match (self.done, self.void) {
            (false, _) => "would be",
            (true, 1) => "is",
            (true, _) => "are",
        };
        let rewinds = self.choice == "rewind";
        write!(f, "\n{}: ", self.choice)?;
        if !rewinds && self.only_hides {
            return write!(
                f,
                "the site hides events, and goes on where slated was: it is known by what it shows now. Nothing is void, skipped or given again; reading goes on with event {}.",
                self.reads_from
            );
        }
        write!(f, "{} {will} void", events(self.void))?;
        let mut parts = Vec::new();
        if self.dead_letters > 0 {
            parts.push(
                super::letters_are(usize::try_from(self.dead_letters).unwrap_or(usize::MAX))
                    + " discarded",
            );
        }
        if self.attempts > 0 {
            parts.push(format!("{} open attempts are discarded", self.attempts));
        }
        if !parts.is_empty() {
            write!(f, " ({})", parts.join(", "))?;
        }
        if rewinds {
            let from = self.reads_from;
            match newest.0.saturating_sub(from.0.saturating_sub(1)) {
                0 => write!(
                    f,
                    ", and reading goes on with event {from}; the site has nothing newer yet."
                )?,
                ids => write!(
                    f,
                    ", and reading goes on with event {from}: every plugin is given what it wants of up to {ids} events ({from} to {newest})."
                )?,
            }
            if self.only_hides {
                write!(
                    f,
                    " Should events that are only hidden come back, they are given again: `accept` is for that."
                )?;
            }
        } else {
            write!(
                f,
                ", and all that the site has now counts as handled elsewhere: no plugin is given any of it. Reading goes on with event {}.",
                self.reads_from
            )?;
            if self.differs.is_none() {
                write!(
                    f,
                    " Should the site only hide its newest events, and show them again, they are given again."
                )?;
            }
        }
        for HandledView { plugin, events: n } in &self.handled {
            let had = events(*n);
            write!(f, "\n  {plugin} had handled {had} of what {will} void")?;
        }
        Ok(())
    }
}

fn events(n: u64) -> String {
    match n {
        1 => "1 event".into(),
        n => format!("{n} events"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(choice: Choice, finding: &Finding, void: u64) -> String {
        let beyond = Beyond {
            rows: void,
            done: vec![(PluginId::new("plugins", "notes"), void)],
            dead_letters: 2,
            attempts: 0,
        };
        DecisionView::of(choice, finding, beyond).to_string()
    }

    #[test]
    fn each_case_says_which_it_is() {
        let finding = |agree: u64, newest: u64, differs: Option<u64>| Finding {
            high: EventId(1000),
            newest: EventId(newest),
            agree: Some(EventId(agree)),
            differs: differs.map(EventId),
            ..Finding::default()
        };
        let restored = || finding(900, 950, Some(901));
        let gone = || finding(900, 900, None);
        let hidden = || finding(990, 1010, None);
        use Choice::{Accept, Rewind};
        for (choice, finding, void, words) in [
            (Rewind, restored(), 100, "up to 50 events (901 to 950)"),
            (Rewind, restored(), 100, "Event 901 is another one now."),
            (
                Rewind,
                restored(),
                1,
                "1 event would be void (2 dead letters are discarded)",
            ),
            (Rewind, restored(), 7, "plugins/notes had handled 7 events"),
            (Rewind, gone(), 100, "nothing newer yet"),
            (Rewind, hidden(), 10, "`accept` is for that"),
            (Accept, restored(), 100, "handled elsewhere"),
            (Accept, restored(), 100, "goes on with event 951"),
            (Accept, gone(), 100, "only hide its newest events"),
            (
                Accept,
                hidden(),
                0,
                "Nothing is void, skipped or given again",
            ),
            (Accept, hidden(), 0, "goes on with event 1001"),
        ] {
            let told = told(choice, &finding, void);
            assert!(told.contains(words), "{told}");
        }
    }
}
