//! Pages of the log that lanes behind its newest rows have read: one read serves them all.
//!
//! After a long stop, or at a first start in the past, every lane goes the same way through
//! the log, the quick ones far ahead. Each would read and check every row of it from the store; so
//! pages are kept as long as lanes come for them, and a page that is being read is waited for.
//!
//! Invariant: every lane that asked gets one answer to each question.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use std::time::Duration;

use slated_core::Mono;
use slated_model::{Offset, Row};

use super::journal::Place;

/// Pages kept; of 500 rows at about a kilobyte each, some 50 MB while lanes catch up.
const PAGES: usize = 96;
/// How long pages are kept that nobody comes for.
const REST: Duration = Duration::from_secs(10);

/// The pages read last, and those that are being read.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// The one used last is at the back.
    kept: VecDeque<Page>,
    /// Who waits for the rows after an offset.
    asked: BTreeMap<Offset, Vec<Place>>,
    /// Somebody came since the last [`Pages::rest`].
    used: bool,
    /// The last of those that found somebody had come.
    used_at: Mono,
}

/// All rows after one offset up to another, not empty.
#[derive(Debug)]
struct Page {
    after: Offset,
    through: Offset,
    rows: Vec<Arc<Row>>,
}

impl Pages {
    /// Returns rows after `after` and the offset up to which they are complete, if they are kept.
    pub(crate) fn rows(&mut self, after: Offset) -> Option<(Vec<Arc<Row>>, Offset)> {
        self.used = true;
        let holds = |page: &Page| page.after <= after && after < page.through;
        let page = self.kept.remove(self.kept.iter().position(holds)?)?;
        let first = page.rows.partition_point(|row| row.offset <= after);
        let rows = page.rows.get(first..).unwrap_or_default().to_vec();
        let through = page.through;
        self.kept.push_back(page);
        Some((rows, through))
    }

    /// Forgets the pages once nobody has come for a while: all lanes are near the log's end, or wait
    /// for something that takes longer than a read.
    pub(crate) fn rest(&mut self, now: Mono) {
        if std::mem::take(&mut self.used) {
            self.used_at = now;
        } else if now.since(self.used_at) >= REST {
            self.kept = VecDeque::new();
        }
    }

    /// Notes that a lane waits for the rows after `after`; tells whether they must be read, since
    /// nobody else waits for them.
    pub(crate) fn ask(&mut self, place: Place, after: Offset) -> bool {
        let waiting = self.asked.entry(after).or_default();
        waiting.push(place);
        waiting.len() == 1
    }

    /// Forgets all pages: their rows may be void.
    pub(crate) fn forget(&mut self) {
        self.kept = VecDeque::new();
    }

    /// Takes the rows that were read after `after` and are complete up to `through`; returns who waits
    /// for them.
    pub(crate) fn take(&mut self, after: Offset, rows: &[Arc<Row>], through: Offset) -> Vec<Place> {
        if !rows.is_empty() {
            self.kept.push_back(Page {
                after,
                through,
                rows: rows.to_vec(),
            });
            let surplus = self.kept.len().saturating_sub(PAGES);
            self.kept.drain(..surplus);
        }
        self.asked.remove(&after).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slated_model::{Event, EventId};

    fn rows(offsets: impl IntoIterator<Item = u64>) -> Vec<Arc<Row>> {
        let row = |o| Row {
            offset: Offset(o),
            late: false,
            event: Event::unreadable(EventId(o), ""),
        };
        offsets.into_iter().map(|o| Arc::new(row(o))).collect()
    }

    fn offsets(pages: &mut Pages, after: u64) -> Option<(Vec<u64>, u64)> {
        let (rows, through) = pages.rows(Offset(after))?;
        Some((rows.iter().map(|r| r.offset.0).collect(), through.0))
    }

    #[test]
    fn one_read_serves_all_who_wait_and_all_who_follow() {
        let mut pages = Pages::default();
        assert!(pages.ask(0, Offset(10)));
        assert!(!pages.ask(1, Offset(10)));
        assert!(pages.ask(2, Offset(11)), "another question");
        let waiting = pages.take(Offset(10), &rows(11..=13), Offset(13));
        assert_eq!(waiting, [0, 1]);
        assert_eq!(offsets(&mut pages, 10), Some((vec![11, 12, 13], 13)));
        assert_eq!(offsets(&mut pages, 12), Some((vec![13], 13)));
        assert_eq!(offsets(&mut pages, 9), None);
        assert_eq!(offsets(&mut pages, 13), None);
        assert!(pages.ask(0, Offset(10)), "an answered question is new");
    }

    #[test]
    fn rows_that_are_gone_are_no_gap_in_what_is_known() {
        let mut pages = Pages::default();
        pages.take(Offset(0), &rows([5, 6]), Offset(9));
        assert_eq!(offsets(&mut pages, 2), Some((vec![5, 6], 9)));
        assert_eq!(offsets(&mut pages, 7), Some((vec![], 9)));
        assert_eq!(offsets(&mut pages, 9), None);
        assert!(pages.take(Offset(9), &[], Offset(9)).is_empty());
        pages.forget();
        assert_eq!(offsets(&mut pages, 2), None);
    }

    #[test]
    fn pages_that_nobody_comes_for_are_forgotten() {
        let mut pages = Pages::default();
        pages.take(Offset(0), &rows([1]), Offset(1));
        let start = Mono::ZERO + Duration::from_mins(1);
        assert!(offsets(&mut pages, 0).is_some());
        pages.rest(start);
        pages.rest(start + REST / 2);
        assert!(offsets(&mut pages, 0).is_some());
        pages.rest(start + REST);
        pages.rest(start + REST + REST / 2);
        assert!(offsets(&mut pages, 0).is_some(), "used since");
        pages.rest(start + REST * 2);
        pages.rest(start + REST * 3);
        assert!(offsets(&mut pages, 0).is_none());
    }

    #[test]
    fn the_page_not_used_for_longest_is_forgotten() {
        let mut pages = Pages::default();
        for page in 0..PAGES as u64 {
            pages.take(Offset(page), &rows([page + 1]), Offset(page + 1));
        }
        assert!(offsets(&mut pages, 0).is_some());
        pages.take(Offset(1000), &rows([1001]), Offset(1001));
        assert!(offsets(&mut pages, 0).is_some());
        assert!(offsets(&mut pages, 1).is_none());
    }
}
