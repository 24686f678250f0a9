//! A site's table of events: ids become visible at their times, and a read is one snapshot. Times are
//! seconds.

use std::collections::HashMap;

use slated_core::follow::Request;
use slated_model::EventId;

pub(crate) struct Table {
    /// When each id becomes visible; those that never do are not in it.
    pub(crate) vis: HashMap<u64, f64>,
    /// Visible rows, ascending: id, and the number of the site's history that they are from.
    pub(crate) rows: Vec<(u64, u32)>,
    /// What becomes visible, last first.
    pub(crate) todo: Vec<(f64, u64)>,
    /// Whether `between` includes its ends: nobody knows.
    inclusive: bool,
    /// Rows with an id divisible by this cannot be read.
    odd: u64,
}

impl Table {
    pub(crate) fn new(inclusive: bool, odd: u64) -> Self {
        Self {
            vis: HashMap::new(),
            rows: Vec::new(),
            todo: Vec::new(),
            inclusive,
            odd,
        }
    }
    /// Lets ids become visible at their times.
    pub(crate) fn add(&mut self, vis: impl IntoIterator<Item = (u64, f64)>) {
        for (id, at) in vis {
            self.vis.insert(id, at);
            self.todo.push((at, id));
        }
        self.todo
            .sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    }
    /// Shows what is visible by now, as rows of the history `life`.
    pub(crate) fn reveal(&mut self, now: f64, life: u32) {
        while let Some((_, id)) = self.todo.pop_if(|(at, _)| *at <= now) {
            let place = self.rows.partition_point(|r| r.0 < id);
            self.rows.insert(place, (id, life));
        }
    }
    /// Returns the visible rows with ids `lo..=hi`.
    pub(crate) fn within(&self, lo: u64, hi: u64) -> &[(u64, u32)] {
        let from = self.rows.partition_point(|r| r.0 < lo);
        let to = self.rows.partition_point(|r| r.0 <= hi);
        &self.rows[from..to.max(from)]
    }
    /// Answers a request from what is visible; `page` is the site's own limit.
    pub(crate) fn answer(&self, request: &Request, page: usize) -> Vec<(u64, u32)> {
        match request {
            Request::Newest => self.rows.last().copied().into_iter().collect(),
            Request::Ids(ids) => ids
                .iter()
                .flat_map(|id| self.within(id.0, id.0).to_vec())
                .collect(),
            Request::Ranges {
                least,
                ranges,
                ids,
                limit,
            } => {
                assert!((2..=page).contains(limit), "limit {limit}");
                self.select(*least, ranges, ids, *limit)
            }
        }
    }
    fn select(
        &self,
        least: EventId,
        ranges: &[(EventId, Option<EventId>)],
        ids: &[EventId],
        limit: usize,
    ) -> Vec<(u64, u32)> {
        let ends = u64::from(!self.inclusive);
        let range = |&(lo, hi): &(EventId, Option<EventId>)| match hi {
            Some(hi) => (lo.0 + ends, hi.0 - ends),
            None => (lo.0, u64::MAX),
        };
        let mut all: Vec<_> = ranges
            .iter()
            .map(range)
            .chain(ids.iter().map(|i| (i.0, i.0)))
            .collect();
        all.sort_unstable();
        let (mut rows, mut from) = (Vec::new(), least.0);
        for (lo, hi) in all {
            let room = limit - rows.len();
            let found = self.within(lo.max(from), hi);
            rows.extend_from_slice(&found[..found.len().min(room)]);
            from = from.max(hi.saturating_add(1));
        }
        rows
    }
    /// Tells whether the row `id` can be read, if there is one.
    pub(crate) fn readable(&self, id: u64) -> bool {
        !id.is_multiple_of(self.odd)
    }
}
