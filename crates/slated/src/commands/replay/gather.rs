//! The events of a replay: from the log, and from the site for what the log lacks.

use slated_config::Config;
use slated_core::replay::{Lacking, MOST, Span};
use slated_model::{CallbackId, Event, EventId};
use slated_site::{Client, Query};
use slated_store::{Sqlite, Store as _};

use super::call::count;
use crate::commands::bar::spinner;
use crate::error::CommandError;

/// Rows of the log that are read at once.
const PAGE: usize = 500;

/// An event, and the callbacks that are to get it.
pub(crate) struct Matched {
    pub(crate) event: Event,
    pub(crate) callbacks: Vec<CallbackId>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Gathered {
    /// Events that a callback gets, in the order of their ids.
    pub(super) events: Vec<Matched>,
    /// How many calls that makes.
    pub(super) calls: usize,
    /// How many events were looked at, that came from the log and from the site.
    pub(super) from_log: u64,
    pub(super) from_site: u64,
    /// Events that nobody can read.
    pub(super) unreadable: Vec<EventId>,
}

impl Gathered {
    /// Reads all events of a span; `due` says which callbacks get one, of a project.
    pub(super) async fn gather(
        config: &Config,
        client: &Client,
        span: Span,
        due: impl Fn(&Event, Option<u64>) -> Vec<CallbackId>,
    ) -> Result<Self, CommandError> {
        let mut found = Self::default();
        let bar = spinner();
        let mut lacking = Lacking::of(span);
        if let Some(store) = open(config).await? {
            let mut from = span.from;
            loop {
                let rows = store.between(from, span.to, PAGE).await?;
                let last = rows.last().map(|row| row.event.id);
                for row in rows {
                    lacking.has(row.event.id);
                    found.from_log += 1;
                    found.take(row.event, &due)?;
                }
                bar.set_position(found.from_log);
                match last {
                    Some(last) if last < span.to => from = last.next(),
                    _ => break,
                }
            }
        }
        let mut asking = lacking.asked();
        let page = usize::try_from(config.site.page).unwrap_or(PAGE);
        loop {
            let spans = asking.ask();
            let Some(first) = spans.first() else { break };
            let query = Query::Ranges {
                least: first.from,
                // A wider one: whether a site's ranges include their ends is not known.
                ranges: spans
                    .iter()
                    .map(|span| (span.from.prev(), Some(span.to.next())))
                    .collect(),
                ids: Vec::new(),
                limit: page,
            };
            let answer = client.read(&query).await.map_err(|error| {
                let hint = error.hint();
                let what = "the log does not hold all of these events, and the site cannot be read";
                CommandError::site(format!("{what}: {error}")).hint(hint)
            })?;
            asking.answered(answer.events.last().map(|event| event.id), answer.full);
            for event in answer.events {
                if spans.iter().any(|span| span.holds(event.id)) {
                    found.from_site += 1;
                    found.take(event, &due)?;
                }
            }
            bar.set_position(found.from_log + found.from_site);
        }
        bar.finish_and_clear();
        found.events.sort_by_key(|matched| matched.event.id);
        found.unreadable.sort();
        Ok(found)
    }

    fn take(
        &mut self,
        event: Event,
        due: &impl Fn(&Event, Option<u64>) -> Vec<CallbackId>,
    ) -> Result<(), CommandError> {
        if !event.is_readable() {
            self.unreadable.push(event.id);
            return Ok(());
        }
        let callbacks = due(&event, project(&event));
        if callbacks.is_empty() {
            return Ok(());
        }
        if self.events.len() == MOST {
            return Err(CommandError::usage(format!(
                "more than {MOST} of these events match, and that is the most at a time"
            ))
            .hint("replay them in parts; `--type` and `--project` narrow them, too"));
        }
        self.calls += callbacks.len();
        self.events.push(Matched { event, callbacks });
        Ok(())
    }

    /// Says how many calls of how many events: `3 calls for 2 events`.
    pub(super) fn counted(&self) -> String {
        let calls = count(self.calls, "call");
        format!("{calls} for {}", count(self.events.len(), "event"))
    }
}

/// Opens the log, if there is one, for reading alone.
pub(crate) async fn open(config: &Config) -> Result<Option<Sqlite>, CommandError> {
    let store = match Sqlite::open_read_only(&config.state.folder) {
        Ok(store) => store,
        Err(slated_store::Error::Absent { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let asked = config.site.url.identity();
    match store.snapshot().await?.site {
        Some(bound) if bound != asked => {
            Err(slated_store::Error::OtherSite { bound, asked }.into())
        }
        _ => Ok(Some(store)),
    }
}

/// Returns the id of an event's project.
fn project(event: &Event) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Row {
        project: Option<Link>,
    }
    #[derive(serde::Deserialize)]
    struct Link {
        id: u64,
    }
    let row: Row = serde_json::from_str(event.text()).ok()?;
    row.project.map(|link| link.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_fits_into_memory_is_refused() {
        let due = |_: &Event, _| vec![CallbackId::new("f", 1), CallbackId::new("g", 1)];
        let event = |id: usize| Event::parse(&format!(r#"{{"id":{id}}}"#)).unwrap();
        let mut found = Gathered::default();
        for id in 0..MOST {
            found.take(event(id), &due).unwrap();
        }
        assert_eq!(found.counted(), "200000 calls for 100000 events");
        let refused = found.take(event(MOST), &due).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.told().contains("in parts"), "{}", refused.told());
        // What nobody wants takes no room.
        found.take(event(MOST), &|_, _| Vec::new()).unwrap();
    }

    #[test]
    fn an_event_tells_its_project() {
        for (text, wanted) in [
            (
                r#"{"id":1,"project":{"type":"Project","id":65,"name":"x"}}"#,
                Some(65),
            ),
            (r#"{"id":1,"project":null}"#, None),
            (r#"{"id":1}"#, None),
            (r#"{"id":1,"project":"odd"}"#, None),
        ] {
            let event = Event::parse(text).unwrap();
            assert_eq!(project(&event), wanted, "{text}");
        }
    }
}
