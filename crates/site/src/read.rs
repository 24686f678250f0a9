//! The reads of the event log, whole or in pieces.
//!
//! A page that cannot be parsed must not stop the stream. It is asked for again in pieces:
//! first the ids alone, by the same query; then the rows of those ids, in halves down to one.
//! So the list of ids, and with it what is *absent*, comes from one answer to one query, as in
//! the usual case, and the pieces only fill in what the rows say. A listed row that is gone
//! when its piece is asked for makes the whole read fail: the follower must not take a page
//! that lacks it for a complete one.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use slated_model::{Event, EventId, Head};

use crate::client::{Answer, too_long};
use crate::page::{self, Fault};
use crate::query::{FIELDS, HEAD};
use crate::{Client, Error, Query};

/// How many ids are asked for by name in one request; the official client's page.
const IDS_AT_ONCE: usize = 500;
/// How much of an unreadable row is kept, in bytes.
const KEPT: usize = 1 << 20;

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
struct Tally {
    events: Vec<Event>,
    lenient: bool,
    requests: u32,
    bytes: u64,
}

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

    /// Asks for the ids of a page, then for their rows in halves.
    async fn pieces(&self, query: &Query, tally: &mut Tally) -> Result<(), Error> {
        let body = self.body(query, &["id"], tally).await?;
        let listed = body.and_then(|body| page::ids(&body));
        let listed = listed.map_err(|fault| self.fault(fault))?;
        self.fits(query, listed.iter().copied())?;
        let mut unread = Vec::new();
        let mut pieces = Vec::new();
        push_halves(&mut pieces, &listed);
        while let Some(ids) = pieces.pop() {
            let alone = match ids.as_slice() {
                [id] => Some(*id),
                _ => None,
            };
            match self.rows(&Query::Ids(ids.clone()), &FIELDS, tally).await? {
                Ok(events) => {
                    for id in ids {
                        let row = events.iter().find(|event| event.id == id);
                        tally
                            .events
                            .push(row.cloned().ok_or_else(|| self.went_away(id))?);
                    }
                }
                Err(fault) => match alone {
                    None => push_halves(&mut pieces, &ids),
                    Some(id) => {
                        let text = self.damaged_text(id, fault, tally).await?;
                        unread.push(id);
                        tally.events.push(Event::unreadable(id, text));
                    }
                },
            }
        }
        self.heads(&unread, tally).await
    }

    /// Refuses an answer to another question, such as one that a gateway kept: what it
    /// lacks says nothing about the site.
    fn fits(&self, query: &Query, mut ids: impl Iterator<Item = EventId>) -> Result<(), Error> {
        match ids.find(|id| !query.asks_for(*id)) {
            None => Ok(()),
            Some(id) => Err(self.not_understood(
                format!("it answers with event {id}, which was not asked for"),
                "look for a gateway in between that keeps answers",
            )),
        }
    }

    fn went_away(&self, id: EventId) -> Error {
        self.down(
            format!("event {id} went away while a damaged page was read in pieces"),
            "nothing was lost: the same is asked again",
        )
    }

    /// Returns the text of a row that cannot be read. One that seems cut is asked for once
    /// more: it counts as damaged only if it comes the same again, since a line that breaks
    /// looks just so.
    async fn damaged_text(
        &self,
        id: EventId,
        (fault, body): Garbled,
        tally: &mut Tally,
    ) -> Result<String, Error> {
        if let Fault::Garbled { cut: true, .. } = fault {
            let again = self.body(&Query::Ids(vec![id]), &FIELDS, tally).await?;
            if again.ok() != body {
                return Err(self.fault(fault));
            }
        }
        Ok(match body {
            Some(body) => {
                let kept = body.get(..KEPT).unwrap_or(&body);
                String::from_utf8_lossy(kept).into_owned()
            }
            // Nothing of it was kept; say why where its text would stand.
            None => match fault {
                Fault::Garbled { why, .. } => why,
                _ => String::new(),
            },
        })
    }

    /// Fills in the heads of rows that cannot be read, as far as the site tells them alone:
    /// which callbacks want such a row can then still be decided.
    async fn heads(&self, unread: &[EventId], tally: &mut Tally) -> Result<(), Error> {
        for some in unread.chunks(IDS_AT_ONCE) {
            // What cannot be read here stays unknown.
            let Ok(heads) = self.rows(&Query::Ids(some.to_vec()), &HEAD, tally).await? else {
                continue;
            };
            for head in heads.into_iter().filter(Event::is_readable) {
                let row = tally.events.iter_mut().find(|event| event.id == head.id);
                if let Some(row) = row.filter(|row| row.head == Head::default()) {
                    row.head = head.head;
                }
            }
        }
        Ok(())
    }

    /// Makes one request for rows. The inner error is a page that cannot be parsed.
    async fn rows(
        &self,
        query: &Query,
        fields: &[&str],
        tally: &mut Tally,
    ) -> Result<Result<Vec<Event>, Garbled>, Error> {
        let body = match self.body(query, fields, tally).await? {
            Ok(body) => body,
            Err(fault) => return Ok(Err((fault, None))),
        };
        match page::rows(&body) {
            Ok(rows) => {
                self.fits(query, rows.events.iter().map(|event| event.id))?;
                tally.lenient |= rows.lenient;
                Ok(Ok(rows.events))
            }
            Err(fault @ Fault::Garbled { .. }) => Ok(Err((fault, Some(body)))),
            Err(fault) => Err(self.fault(fault)),
        }
    }

    /// Makes one request. The inner error is a body that is too long.
    async fn body(
        &self,
        query: &Query,
        fields: &[&str],
        tally: &mut Tally,
    ) -> Result<Result<Vec<u8>, Fault>, Error> {
        tally.requests += 1;
        let arguments = query.arguments(fields);
        Ok(match self.post("read", &arguments, true).await? {
            Answer::Whole(body) => {
                tally.bytes += body.len() as u64;
                Ok(body)
            }
            Answer::TooLong => Err(too_long(self.body_limit())),
        })
    }
}

/// What is wrong with a body, and the body if it was kept.
type Garbled = (Fault, Option<Vec<u8>>);

/// Puts the halves of a list on a stack, the first on top. A single id is its own half.
fn push_halves(stack: &mut Vec<Vec<EventId>>, ids: &[EventId]) {
    let (first, second) = ids.split_at(ids.len().div_ceil(2));
    for half in [second, first] {
        if !half.is_empty() {
            stack.push(half.to_vec());
        }
    }
}
