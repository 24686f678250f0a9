//! The newest rows of the log, kept in memory: lanes near its end read them without the store.

use std::collections::VecDeque;
use std::sync::Arc;

use slated_model::{Offset, Row};

/// Rows kept; at about a kilobyte each, some 8 MB.
const ROWS: usize = 8192;

/// A contiguous end of the log.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    rows: VecDeque<Arc<Row>>,
    end: Offset,
}

impl Tail {
    /// Begins behind the end of the log.
    pub(crate) const fn new(end: Offset) -> Self {
        Self {
            rows: VecDeque::new(),
            end,
        }
    }
    /// Returns the end of the log.
    pub(crate) const fn end(&self) -> Offset {
        self.end
    }
    /// Takes rows that were just appended.
    pub(crate) fn push(&mut self, rows: Vec<Arc<Row>>) {
        for row in rows {
            self.end = row.offset;
            self.rows.push_back(row);
        }
        let surplus = self.rows.len().saturating_sub(ROWS);
        self.rows.drain(..surplus);
    }
    /// Returns up to `limit` rows after `after`, and the offset up to which they are complete;
    /// `None` if the store must be asked.
    pub(crate) fn rows(&self, after: Offset, limit: usize) -> Option<(Vec<Arc<Row>>, Offset)> {
        let first = self
            .rows
            .front()
            .map_or_else(|| self.end.next(), |r| r.offset);
        if after.next() < first {
            return None;
        }
        let skip = usize::try_from(after.next().0 - first.0).ok()?;
        let rows: Vec<_> = self.rows.iter().skip(skip).take(limit).cloned().collect();
        let through = rows
            .last()
            .map_or_else(|| self.end.max(after), |r| r.offset);
        Some((rows, through))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slated_model::{Event, EventId};

    fn rows(offsets: std::ops::RangeInclusive<u64>) -> Vec<Arc<Row>> {
        let row = |o| Row {
            offset: Offset(o),
            late: false,
            event: Event::unreadable(EventId(o), ""),
        };
        offsets.map(|o| Arc::new(row(o))).collect()
    }

    #[test]
    fn it_answers_for_what_it_holds_and_nothing_else() {
        let mut tail = Tail::new(Offset(10));
        assert_eq!(tail.rows(Offset(10), 5).unwrap().1, Offset(10));
        assert!(tail.rows(Offset(9), 5).is_none());
        tail.push(rows(11..=20));
        let (got, through) = tail.rows(Offset(12), 5).unwrap();
        assert_eq!(
            got.iter().map(|r| r.offset.0).collect::<Vec<_>>(),
            [13, 14, 15, 16, 17]
        );
        assert_eq!(through, Offset(17));
        assert!(tail.rows(Offset(9), 5).is_none());
    }

    #[test]
    fn it_forgets_the_oldest() {
        let mut tail = Tail::new(Offset(0));
        tail.push(rows(1..=ROWS as u64 + 3));
        assert!(tail.rows(Offset(2), 1).is_none());
        assert_eq!(tail.rows(Offset(3), 1).unwrap().1, Offset(4));
    }
}
