//! The ids that can pass a filter: what turns a read of the event log into a walk over a
//! few ranges instead of a scan.
//!
//! Invariant: every row that passes the filter lies in the ranges. If `exact`, the opposite
//! holds too and the filter need not be asked again.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::{
    filter::{Filter, Test},
    relation::Op,
};

/// Ranges of ids: sorted, without overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) ranges: Vec<RangeInclusive<u64>>,
    pub(crate) exact: bool,
}

impl Ids {
    /// Returns the ids that can pass.
    pub(crate) fn of(filter: &Filter) -> Self {
        match filter {
            Filter::All(parts) => parts
                .iter()
                .map(Self::of)
                .fold(Self::all(true), |a, b| a.intersect(&b)),
            Filter::Any(parts) if parts.is_empty() => Self::all(true),
            Filter::Any(parts) => {
                let parts: Vec<Self> = parts.iter().map(Self::of).collect();
                let exact = parts.iter().all(|part| part.exact);
                Self::union(parts.into_iter().flat_map(|part| part.ranges), exact)
            }
            Filter::Test(test) if test.path.is_own_id() => {
                Self::of_test(test).unwrap_or_else(|| Self::all(false))
            }
            Filter::Test(_) => Self::all(false),
        }
    }

    fn all(exact: bool) -> Self {
        Self {
            ranges: vec![0..=u64::MAX],
            exact,
        }
    }

    fn of_test(test: &Test) -> Option<Self> {
        let number = |value: &Value| value.as_i64();
        let first = test.values.first();
        let whole = |n: i64| u64::try_from(n).ok();
        let ranges: Vec<RangeInclusive<u64>> = match test.op {
            Op::Is => whole(number(first?)?).map(|n| n..=n).into_iter().collect(),
            Op::In => {
                let ids = test.values.iter().map(number).collect::<Option<Vec<_>>>()?;
                ids.into_iter().filter_map(whole).map(|n| n..=n).collect()
            }
            Op::LessThan => match number(first?)? {
                n if n <= 0 => Vec::new(),
                n => vec![0..=whole(n - 1)?],
            },
            Op::GreaterThan => match number(first?)? {
                n if n < 0 => vec![0..=u64::MAX],
                n => vec![whole(n.checked_add(1)?)?..=u64::MAX],
            },
            Op::Between => match test.values.as_slice() {
                [low, high] => {
                    let (low, high) = (number(low)?.max(0), number(high)?);
                    if high < low {
                        Vec::new()
                    } else {
                        vec![whole(low)?..=whole(high)?]
                    }
                }
                _ => return None,
            },
            _ => return None,
        };
        let ids = Self::union(ranges.into_iter(), true);
        Some(if test.negated { ids.complement() } else { ids })
    }

    fn union(ranges: impl Iterator<Item = RangeInclusive<u64>>, exact: bool) -> Self {
        let mut sorted: Vec<_> = ranges.filter(|r| r.start() <= r.end()).collect();
        sorted.sort_by_key(|range| *range.start());
        let mut ranges: Vec<RangeInclusive<u64>> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match ranges.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => ranges.push(range),
            }
        }
        Self { ranges, exact }
    }

    fn intersect(&self, other: &Self) -> Self {
        let mut ranges = Vec::new();
        let (mut a, mut b) = (
            self.ranges.iter().peekable(),
            other.ranges.iter().peekable(),
        );
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            let (from, to) = (*x.start().max(y.start()), *x.end().min(y.end()));
            if from <= to {
                ranges.push(from..=to);
            }
            if x.end() < y.end() {
                a.next();
            } else {
                b.next();
            }
        }
        Self {
            ranges,
            exact: self.exact && other.exact,
        }
    }

    fn complement(&self) -> Self {
        let mut ranges = Vec::new();
        let mut from = Some(0);
        for range in &self.ranges {
            if let Some(start) = from
                && start < *range.start()
            {
                ranges.push(start..=range.start() - 1);
            }
            from = range.end().checked_add(1);
        }
        ranges.extend(from.map(|start| start..=u64::MAX));
        Self {
            ranges,
            exact: self.exact,
        }
    }
}
