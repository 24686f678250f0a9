//! The reads of the event log.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;
use slated_model::{Event, EventId};

use crate::client::{Answer, too_long};
use crate::page::{self, Fault};
use crate::query::{FIELDS, HEAD};
use crate::{Client, Error, Query};

/// How many ids are asked for by name in one request; the official client's page.
pub(crate) const IDS_AT_ONCE: usize = 500;

/// What a read brought.
#[derive(Clone, Debug)]
pub struct Page {
    /// The rows, in the order of the query.
    pub events: Vec<Event>,
    /// Whether the site may hold more rows: nothing is said of ids above the last row.
    pub full: bool,
    /// Rows that could not be read; they stand among `events` with their raw text.
    pub damaged: Vec<EventId>,
    /// Whether something had to be read leniently.
    pub lenient: bool,
    /// How many requests it took.
    pub requests: u32,
    /// How many bytes the answers had, unpacked.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// What a read has gathered so far.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) events: Vec<Event>,
    lenient: bool,
    requests: u32,
    bytes: u64,
}

/// What is wrong with a body that cannot be parsed, and the body if it was kept.
pub(crate) type Garbled = (Fault, Option<Vec<u8>>);

impl Client {
    /// Reads rows of the event log: one request, but for the two exceptions below.
    ///
    /// More than 500 [`Query::Ids`] are asked for 500 at a time. A page that cannot be parsed,
    /// even leniently, is asked for in pieces; a row that cannot be read alone either is
    /// [`Event::unreadable`], with as much of its head as the site tells without the rest.
    pub async fn read(&self, query: &Query) -> Result<Page, Error> {
        let began = Instant::now();
        let most = self.max_page.load(Ordering::Relaxed);
        if most > 0 && query.limit() > most && matches!(query, Query::Ranges { .. }) {
            return Err(self.not_understood(
                format!(
                    "it gives {most} rows a page, and {} were to be read",
                    query.limit()
                ),
                "ask for fewer rows a page: a cut page would look complete",
            ));
        }
        let at_once = if most > 0 {
            most.min(IDS_AT_ONCE)
        } else {
            IDS_AT_ONCE
        };
        let mut tally = Tally::default();
        match query {
            Query::Ids(ids) if ids.len() > at_once => {
                for some in ids.chunks(at_once) {
                    self.whole(&Query::Ids(some.to_vec()), &mut tally).await?;
                }
                tally.events.sort_by_key(|event| event.id);
            }
            query if query.is_empty() => {}
            query => self.whole(query, &mut tally).await?,
        }
        let full = matches!(query, Query::Ranges { limit, .. } if tally.events.len() >= *limit);
        let damaged = tally.events.iter().filter(|event| !event.is_readable());
        Ok(Page {
            full,
            damaged: damaged.map(|event| event.id).collect(),
            events: tally.events,
            lenient: tally.lenient,
            requests: tally.requests,
            bytes: tally.bytes,
            took: began.elapsed(),
        })
    }

    /// Reads the row with the highest id; none if the log is empty.
    pub async fn newest(&self) -> Result<Option<Event>, Error> {
        Ok(self.read(&Query::Newest).await?.events.pop())
    }

    /// Returns the lowest id of the events made after a moment (`YYYY-MM-DDThh:mm:ssZ`); none if
    /// nothing was.
    pub async fn first_after(&self, moment: &str) -> Result<Option<EventId>, Error> {
        let query = Query::FirstAfter(moment.to_owned());
        match self.rows(&query, &HEAD, &mut Tally::default()).await? {
            Ok(rows) => Ok(rows.first().map(|event| event.id)),
            Err((fault, _)) => Err(self.fault(fault)),
        }
    }

    /// Asks for a page at once, and in pieces if it cannot be parsed.
    async fn whole(&self, query: &Query, tally: &mut Tally) -> Result<(), Error> {
        match self.rows(query, &FIELDS, tally).await? {
            Ok(events) => {
                tally.events.extend(events);
                Ok(())
            }
            Err(_) => self.pieces(query, tally).await,
        }
    }

    /// Makes one request for rows. The inner error is a page that cannot be parsed.
    pub(crate) async fn rows(
        &self,
        query: &Query,
        fields: &[&str],
        tally: &mut Tally,
    ) -> Result<Result<Vec<Event>, Garbled>, Error> {
        let body = match self.body(&query.arguments(fields), tally).await? {
            Ok(body) => body,
            Err(fault) => return Ok(Err((fault, None))),
        };
        match page::rows(&body) {
            Ok(rows) => {
                let mut ids = rows.events.iter().map(|event| event.id);
                if let Some(id) = ids.find(|id| !query.asks_for(*id)) {
                    return Err(self.other_question(id));
                }
                tally.lenient |= rows.lenient;
                Ok(Ok(rows.events))
            }
            Err(fault @ Fault::Garbled { .. }) => Ok(Err((fault, Some(body)))),
            Err(fault) => Err(self.fault(fault)),
        }
    }

    /// Makes one request. The inner error is a body that is too long.
    pub(crate) async fn body(
        &self,
        arguments: &Value,
        tally: &mut Tally,
    ) -> Result<Result<Vec<u8>, Fault>, Error> {
        tally.requests += 1;
        Ok(match self.post("read", arguments, true).await? {
            Answer::Whole { body, .. } => {
                tally.bytes += body.len() as u64;
                Ok(body)
            }
            Answer::TooLong => Err(too_long(self.body_limit())),
        })
    }

    /// Refuses an answer to another question, such as one that a gateway kept: what it
    /// lacks says nothing about the site.
    pub(crate) fn other_question(&self, id: EventId) -> Error {
        self.not_understood(
            format!("it answers with event {id}, which was not asked for"),
            "look for a gateway in between that keeps answers",
        )
    }
}
