//! What the follower asks of the site, as data; another room makes one HTTP read of it.
//!
//! Invariant: a request is answered from one snapshot of the site, or it failed.

use slated_model::{Event, EventId};

/// Ids from the first to the last.
pub(super) type Span = (EventId, EventId);

/// Holes of up to so many ids are asked for by name.
const BY_NAME: u64 = 4;

/// One read of the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The row with the highest id; no row if the log is empty.
    Newest,
    /// The first `limit` rows in ascending order, each once, of those whose id is at least
    /// `least` and is one of `ids` or in one of `ranges`.
    ///
    /// A range without an end means `id >= start`, exactly. A range with an end is one id
    /// wider on each side than what is wanted, so that it does not matter whether the site's
    /// `between` includes its ends.
    Ranges {
        /// No row below is wanted: it keeps the site's index scan short.
        least: EventId,
        /// First and last id; no last one for the head.
        ranges: Vec<(EventId, Option<EventId>)>,
        /// Single ids, ascending.
        ids: Vec<EventId>,
        /// Never above the site's own page limit: a shorter answer is taken for complete.
        limit: usize,
    },
    /// The rows with these ids, as far as they exist, in any order.
    Ids(Vec<EventId>),
}

/// A page that contradicts its request. Nothing was learned from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a full page of the event log is not in ascending order from id {least}")]
pub struct Disorder {
    /// The lowest id that was asked for.
    pub least: EventId,
}

/// Asks for `spans` from `least` on, and for all rows from `head` on.
pub(super) fn ask(least: EventId, spans: &[Span], head: Option<EventId>, limit: usize) -> Request {
    let (mut ids, mut ranges) = (Vec::new(), Vec::new());
    for &(lo, hi) in spans.iter().filter(|s| s.1 >= least) {
        if hi.0.saturating_sub(lo.0) < BY_NAME {
            ids.extend((lo.0..=hi.0).map(EventId));
        } else {
            ranges.push((lo.prev(), Some(hi.next())));
        }
    }
    ids.sort_unstable();
    ranges.extend(head.map(|h| (h, None)));
    Request::Ranges {
        least,
        ranges,
        ids,
        limit,
    }
}

/// An answer in order.
#[derive(Debug)]
pub(super) struct Page {
    /// The rows, ascending, each id once.
    pub(super) rows: Vec<Event>,
    /// Whether the site may hold back more.
    pub(super) full: bool,
}

impl Page {
    /// Puts an answer in order. Only a complete one may come in another order: of a full
    /// one nobody could say what it leaves out.
    pub(super) fn new(
        mut rows: Vec<Event>,
        least: EventId,
        limit: usize,
    ) -> Result<Self, Disorder> {
        let full = rows.len() >= limit;
        let ordered = rows.is_sorted_by(|a, b| a.id < b.id);
        if full && !(ordered && rows.first().is_none_or(|r| r.id >= least)) {
            return Err(Disorder { least });
        }
        if !ordered {
            rows.sort_by_key(|r| r.id);
            rows.dedup_by_key(|r| r.id);
        }
        Ok(Self { rows, full })
    }
    /// Tells whether the page says what stands at `id`: it says nothing above its last row
    /// if it is full.
    pub(super) fn covers(&self, id: EventId) -> bool {
        !self.full || self.rows.last().is_some_and(|r| id <= r.id)
    }
    /// Returns the row `id`.
    pub(super) fn row(&self, id: EventId) -> Option<&Event> {
        let at = self.rows.binary_search_by_key(&id, |r| r.id).ok()?;
        self.rows.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(ids: &[u64]) -> Vec<Event> {
        let row = |id: &u64| Event::unreadable(EventId(*id), "");
        ids.iter().map(row).collect()
    }
    fn ids(page: &Page) -> Vec<u64> {
        page.rows.iter().map(|r| r.id.0).collect()
    }

    #[test]
    fn small_holes_are_named_and_large_ones_widened() {
        let spans = [(20, 22), (5, 5), (1, 9), (100, 104)].map(|(a, b)| (EventId(a), EventId(b)));
        let Request::Ranges {
            least, ranges, ids, ..
        } = ask(EventId(1), &spans, Some(EventId(200)), 500)
        else {
            panic!("not a range request");
        };
        assert_eq!(least, EventId(1));
        assert_eq!(ids, [5, 20, 21, 22].map(EventId));
        let wide = [(0, Some(10)), (99, Some(105)), (200, None)];
        assert_eq!(ranges, wide.map(|(a, b)| (EventId(a), b.map(EventId))));
    }

    #[test]
    fn a_short_page_is_put_in_order_and_a_full_one_must_be() {
        let page = Page::new(rows(&[7, 3, 7, 5]), EventId(1), 500).unwrap();
        assert_eq!(ids(&page), [3, 5, 7]);
        assert!(!page.full && page.covers(EventId(1000)));
        let page = Page::new(rows(&[3, 5]), EventId(3), 2).unwrap();
        assert!(page.full && page.covers(EventId(5)) && !page.covers(EventId(6)));
        for (bad, least) in [([5, 3], 1), ([3, 3], 1), ([3, 5], 4)] {
            let least = EventId(least);
            assert_eq!(
                Page::new(rows(&bad), least, 2).unwrap_err(),
                Disorder { least }
            );
        }
    }
}
