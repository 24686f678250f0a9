//! A page that cannot be parsed, read in pieces.
//!
//! First the ids: by the same query, without the fields that spoil it. Then the rows of those
//! ids, in halves down to one. So the list of ids, and with it what is *absent*, comes from
//! one answer, as in the usual case, and the pieces only fill in what the rows say. A listed
//! row that is gone when its piece is asked for makes the whole read fail: a page without it
//! must not pass for a complete one.
//!
//! Where even the ids cannot be parsed, some row spoils every answer it is in. The list is
//! then made of answers that it is not in: the rows before it, and the empty windows between
//! them and it, which close in on its id. Each id that is absent from the list was absent in
//! one answer that covered it, which is all a follower concludes absence from.

use std::collections::BTreeSet;

use slated_model::{Event, EventId, Head};

use crate::page::{self, Fault};
use crate::query::{FIELDS, HEAD, Window};
use crate::read::{Garbled, IDS_AT_ONCE, Tally};
use crate::{Client, Error, Query};

/// How much of an unreadable row is kept, in bytes.
const KEPT: usize = 1 << 20;

/// How often a damaged row may turn out to be none within one read: a site that changes its
/// mind so often is better asked later.
const HEALED: u32 = 3;

/// The ids of a page in their order, and those known to spoil every answer they are in.
#[derive(Default)]
struct Listing {
    ids: Vec<EventId>,
    spoilt: BTreeSet<EventId>,
}

impl Listing {
    fn push_spoilt(&mut self, id: EventId) {
        self.ids.push(id);
        self.spoilt.insert(id);
    }
    /// Splits the list into pieces to ask for, the first on top of the stack.
    fn pieces(&self) -> Vec<Vec<EventId>> {
        let same = |a: &EventId, b: &EventId| !self.spoilt.contains(a) && !self.spoilt.contains(b);
        let mut pieces = Vec::new();
        for run in self.ids.chunk_by(same).rev() {
            push_halves(&mut pieces, run);
        }
        pieces
    }
}

impl Client {
    /// Lists the ids of a page, then asks for their rows in halves.
    pub(crate) async fn pieces(&self, query: &Query, tally: &mut Tally) -> Result<(), Error> {
        let mut pieces = self.list(query, tally).await?.pieces();
        let mut unread = Vec::new();
        while let Some(ids) = pieces.pop() {
            let alone = match ids.as_slice() {
                [id] => Some(*id),
                _ => None,
            };
            match self.rows(&Query::Ids(ids.clone()), &FIELDS, tally).await? {
                Ok(events) => {
                    for id in ids {
                        let row = events.iter().find(|event| event.id == id).cloned();
                        tally.events.push(row.ok_or_else(|| self.went_away(id))?);
                    }
                }
                Err(garbled) => match alone {
                    None => push_halves(&mut pieces, &ids),
                    Some(id) => {
                        let text = self.damaged_text(id, garbled, tally).await?;
                        unread.push(id);
                        tally.events.push(Event::unreadable(id, text));
                    }
                },
            }
        }
        self.heads(&unread, tally).await
    }

    fn went_away(&self, id: EventId) -> Error {
        self.down(
            format!("event {id} went away while a damaged page was read in pieces"),
            "nothing was lost: the same is asked again",
        )
    }

    /// Returns the text of a row that cannot be read. A row counts as damaged only if it comes
    /// the same twice, and nothing comes as nothing: a noisy line may look like a bad row.
    async fn damaged_text(
        &self,
        id: EventId,
        (fault, body): Garbled,
        tally: &mut Tally,
    ) -> Result<String, Error> {
        let alone = Query::Ids(vec![id]);
        let again = self.body(&alone.arguments(&FIELDS), tally).await?;
        if again.ok() != body {
            return Err(self.fault(fault));
        }
        self.control(&alone, tally).await?;
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

    /// Lists the ids of a page: in one answer, or around the rows that spoil it.
    async fn list(&self, query: &Query, tally: &mut Tally) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        match self
            .ids(&query.arguments(&["id"]), |id| query.asks_for(id), tally)
            .await?
        {
            Ok(ids) => {
                listing.ids = ids;
                return Ok(listing);
            }
            Err(_) => self.control(query, tally).await?,
        }
        if matches!(query, Query::Newest) {
            if let Some(id) = self.highest(query, tally).await? {
                listing.push_spoilt(id);
            }
            return Ok(listing);
        }
        let mut window = Window {
            query,
            least: query.least(),
            most: None,
            limit: 0,
        };
        let mut healed = 0;
        while listing.ids.len() < query.limit() {
            window.limit = query.limit() - listing.ids.len();
            let (ids, complete) = self.before_spoilt(window, tally).await?;
            if let Some(last) = ids.last() {
                window.least = last.next();
            }
            listing.ids.extend(ids);
            if complete || listing.ids.len() >= query.limit() {
                break;
            }
            let Some(id) = self.spoilt(window, tally).await? else {
                // It was healed, or others came before it: look at that part again.
                healed += 1;
                if healed > HEALED {
                    return Err(self.went_away(window.least));
                }
                continue;
            };
            listing.push_spoilt(id);
            window.least = id.next();
        }
        Ok(listing)
    }

    /// Lists the ids of a window up to the first row that spoils its answer. Tells whether
    /// none did, so that the list is the whole answer.
    async fn before_spoilt(
        &self,
        window: Window<'_>,
        tally: &mut Tally,
    ) -> Result<(Vec<EventId>, bool), Error> {
        let mut good = Vec::new();
        // So many rows can be read, and so many cannot.
        let (mut some, mut many) = (0, window.limit + 1);
        while some + 1 < many {
            let limit = if some == 0 && many > window.limit {
                window.limit
            } else {
                usize::midpoint(some, many)
            };
            match self.window(&Window { limit, ..window }, tally).await? {
                Ok(ids) if ids.len() < limit || limit == window.limit => return Ok((ids, true)),
                Ok(ids) => (good, some) = (ids, limit),
                Err(_) => many = limit,
            }
        }
        Ok((good, false))
    }

    /// Finds the id of a row that spoils its answer and is the first of the window. None if
    /// there is no such row any more.
    async fn spoilt(
        &self,
        window: Window<'_>,
        tally: &mut Tally,
    ) -> Result<Option<EventId>, Error> {
        let (mut low, mut span) = (window.least, 1u64);
        // The first window that is not empty, each twice as wide as the one before.
        let mut high = loop {
            let high = EventId(low.0.saturating_add(span - 1));
            match self.peek(window, low, high, tally).await? {
                Peek::Empty if high.0 == u64::MAX => return Ok(None),
                Peek::Empty => (low, span) = (high.next(), span.saturating_mul(2)),
                Peek::Good => return Ok(None),
                Peek::Spoilt => break high,
            }
        };
        while low < high {
            let middle = EventId(u64::midpoint(low.0, high.0));
            match self.peek(window, low, middle, tally).await? {
                Peek::Empty => low = middle.next(),
                Peek::Good => return Ok(None),
                Peek::Spoilt => high = middle,
            }
        }
        // Had the line been noisy all along, any id would have been found.
        self.control(window.query, tally).await?;
        Ok(Some(low))
    }

    /// Finds the highest id of the log where its row spoils every answer.
    async fn highest(&self, query: &Query, tally: &mut Tally) -> Result<Option<EventId>, Error> {
        let window = Window {
            query,
            least: EventId(1),
            most: None,
            limit: 1,
        };
        let top = EventId(i64::MAX as u64);
        let (mut low, mut high) = (EventId(0), EventId(1));
        while self.peek(window, high, top, tally).await?.is_there() {
            (low, high) = (high, EventId(high.0.saturating_mul(2).min(top.0)));
            if low == high {
                break;
            }
        }
        // There is a row at or above `low`, and none at or above `high`.
        while low.next() < high {
            let middle = EventId(u64::midpoint(low.0, high.0));
            if self.peek(window, middle, top, tally).await?.is_there() {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.control(query, tally).await?;
        Ok((low.0 > 0).then_some(low))
    }

    /// Asks for nothing, to see whether the site can say so: only then does an answer that
    /// cannot be parsed tell of a row.
    async fn control(&self, query: &Query, tally: &mut Tally) -> Result<(), Error> {
        let nothing = Window {
            query,
            least: query.least().next(),
            most: Some(query.least()),
            limit: 1,
        };
        let answer = self.window(&nothing, tally).await?;
        answer.map(|_| ()).map_err(|fault| self.fault(fault))
    }

    /// Looks what stands first from `low` to `high`.
    async fn peek(
        &self,
        window: Window<'_>,
        low: EventId,
        high: EventId,
        tally: &mut Tally,
    ) -> Result<Peek, Error> {
        let one = Window {
            least: low,
            most: Some(high),
            limit: 1,
            ..window
        };
        Ok(match self.window(&one, tally).await? {
            Ok(ids) if ids.is_empty() => Peek::Empty,
            Ok(_) => Peek::Good,
            Err(_) => Peek::Spoilt,
        })
    }

    async fn window(
        &self,
        window: &Window<'_>,
        tally: &mut Tally,
    ) -> Result<Result<Vec<EventId>, Fault>, Error> {
        let arguments = window.arguments(&["id"]);
        self.ids(&arguments, |id| window.asks_for(id), tally).await
    }

    /// Makes one request for ids. The inner error is an answer that cannot be parsed.
    async fn ids(
        &self,
        arguments: &serde_json::Value,
        asked_for: impl Fn(EventId) -> bool,
        tally: &mut Tally,
    ) -> Result<Result<Vec<EventId>, Fault>, Error> {
        let body = self.body(arguments, tally).await?;
        match body.and_then(|body| page::ids(&body)) {
            Ok(ids) => match ids.iter().find(|id| !asked_for(**id)) {
                Some(id) => Err(self.other_question(*id)),
                None => Ok(Ok(ids)),
            },
            Err(fault @ Fault::Garbled { .. }) => Ok(Err(fault)),
            Err(fault) => Err(self.fault(fault)),
        }
    }
}

/// What the first row of a window does to its answer.
enum Peek {
    Empty,
    Good,
    Spoilt,
}

impl Peek {
    const fn is_there(&self) -> bool {
        !matches!(self, Self::Empty)
    }
}

/// Puts the halves of a list on a stack, the first on top. A single id is its own half.
fn push_halves(stack: &mut Vec<Vec<EventId>>, ids: &[EventId]) {
    let (first, second) = ids.split_at(ids.len().div_ceil(2));
    for half in [second, first] {
        if !half.is_empty() {
            stack.push(half.to_vec());
        }
    }
}
