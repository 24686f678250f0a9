//! How the follower knows its site again: rows seen before must still be what they were.
//!
//! A site that was restored or cloned has other rows at the same ids, or none. Following
//! it would skip all that it writes up to the highest id seen. Invariant: a row that cannot
//! be read is no anchor, and is present but not judged where one is expected.

use slated_model::{Anchor, Event, EventId, Fingerprint};

/// No more anchors are kept.
const ANCHORS: usize = 21;
/// The distance of an anchor from the newest is at most so many times that of the next.
const GROWTH: u64 = 4;

/// This is not the event log that was followed: a person must decide.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorLost {
    /// Another row stands where one was seen.
    #[error(
        "event {id} is another one than slated saw: it was {}, and is {}",
        words(expected),
        words(found)
    )]
    Differs {
        /// The row.
        id: EventId,
        /// What it was.
        expected: Fingerprint,
        /// What it is.
        found: Fingerprint,
    },
    /// Most of the rows seen are gone.
    #[error(
        "only {found} of {asked} known events are still on the site; event {first} is the newest missing"
    )]
    Missing {
        /// How many were asked for.
        asked: usize,
        /// How many are there.
        found: usize,
        /// The newest one that is gone.
        first: EventId,
    },
    /// The site's log ends before a position taken over from another daemon.
    #[error("the site's newest event is {newest}, and the position to start from is {cursor}")]
    Behind {
        /// The highest id on the site; 0 for an empty log.
        newest: EventId,
        /// The position taken over.
        cursor: EventId,
    },
}

/// Says what a row is.
fn words(print: &Fingerprint) -> String {
    let or = |text: &Option<String>, none: &str| text.clone().unwrap_or_else(|| none.into());
    let kind = or(&print.event_type, "an event without type");
    format!("{kind} of {}", or(&print.created_at, "no date"))
}

/// Returns the anchor a row makes, if it can be read.
pub(super) fn of(row: &Event) -> Option<Anchor> {
    row.is_readable().then(|| Anchor {
        id: row.id,
        print: row.fingerprint(),
    })
}

/// Keeps the newest of ascending anchors, and older ones at growing distances: near ones
/// notice a small restore as its ids are taken again, far ones are the majority that a few
/// hidden or lagging rows cannot outvote.
pub(super) fn thin(anchors: Vec<Anchor>) -> Vec<Anchor> {
    let Some(newest) = anchors.last().map(|a| a.id.0) else {
        return anchors;
    };
    let mut rest = anchors.into_iter().rev().peekable();
    let mut kept: Vec<Anchor> = rest.next().into_iter().collect();
    let mut distance = 0;
    while let Some(anchor) = rest.next() {
        let far = rest.peek().map(|older| newest.saturating_sub(older.id.0));
        if kept.len() < ANCHORS && far.is_none_or(|far| far > GROWTH.saturating_mul(distance)) {
            distance = newest.saturating_sub(anchor.id.0);
            kept.push(anchor);
        }
    }
    kept.reverse();
    kept
}

/// Tells whether the rows found where anchors were asked for are those that were seen.
pub(super) fn judge(anchors: &[Anchor], rows: &[Event]) -> Result<(), AnchorLost> {
    let (mut there, mut gone) = (0, None);
    for anchor in anchors {
        let Some(row) = rows.iter().find(|r| r.id == anchor.id) else {
            gone = Some(anchor.id);
            continue;
        };
        there += 1;
        let found = row.fingerprint();
        if row.is_readable() && found != anchor.print {
            return Err(AnchorLost::Differs {
                id: anchor.id,
                expected: anchor.print.clone(),
                found,
            });
        }
    }
    match gone {
        Some(first) if 2 * there < anchors.len() => Err(AnchorLost::Missing {
            asked: anchors.len(),
            found: there,
            first,
        }),
        _ => Ok(()),
    }
}

/// Tells whether a site that has another address may be the one that was followed: a row that was seen
/// is there as it was. One that was restored meanwhile still shows its older ones.
pub fn is_known(anchors: &[Anchor], rows: &[Event]) -> bool {
    let same = |anchor: &Anchor| {
        rows.iter().any(|row| {
            row.id == anchor.id && row.is_readable() && row.fingerprint() == anchor.print
        })
    };
    anchors.is_empty() || anchors.iter().any(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u64, kind: &str) -> Event {
        Event::parse(&format!(r#"{{"id":{id},"event_type":"{kind}"}}"#)).unwrap()
    }
    fn anchors(ids: impl IntoIterator<Item = u64>) -> Vec<Anchor> {
        let anchor = |id| of(&row(id, "A")).unwrap();
        ids.into_iter().map(anchor).collect()
    }
    fn ids(anchors: &[Anchor]) -> Vec<u64> {
        anchors.iter().map(|a| a.id.0).collect()
    }

    #[test]
    fn distances_grow_up_to_fourfold() {
        let kept = thin(anchors(1..=5000));
        assert_eq!(
            ids(&kept),
            [1, 904, 3976, 4744, 4936, 4984, 4996, 4999, 5000]
        );
        assert_eq!(ids(&thin(anchors([9]))), [9]);
        assert_eq!(ids(&thin(anchors([1, 2, 9]))), [1, 2, 9]);
        assert!(thin(Vec::new()).is_empty());
    }

    #[test]
    fn many_steps_later_the_spacing_holds_and_the_number_is_bounded() {
        let mut kept = Vec::new();
        for id in 1..=200_000 {
            kept.extend(anchors([id]));
            kept = thin(kept);
        }
        let ids = ids(&kept);
        assert!(ids.len() <= 16, "{ids:?}");
        let far: Vec<_> = ids.iter().rev().map(|id| 200_000 - id).collect();
        let fit = far.windows(2).skip(1).all(|d| d[1] <= GROWTH * d[0] + 4);
        assert!(fit, "{far:?}");
        let powers = anchors((0..63).map(|n| u64::MAX - (1 << n)).rev());
        assert!(thin(powers).len() <= ANCHORS);
    }

    #[test]
    fn another_row_or_most_rows_gone_is_another_log() {
        let known = anchors([10, 20, 30, 40]);
        let all = [10, 20, 30, 40].map(|id| row(id, "A"));
        assert_eq!(judge(&known, &all), Ok(()));
        assert_eq!(judge(&known, &all[..2]), Ok(()), "half may be hidden");
        assert_eq!(
            judge(&known, &all[..1]),
            Err(AnchorLost::Missing {
                asked: 4,
                found: 1,
                first: EventId(40)
            })
        );
        let mut other = all;
        other[2] = row(30, "B");
        let lost = judge(&known, &other).unwrap_err();
        assert!(matches!(
            &lost,
            AnchorLost::Differs {
                id: EventId(30),
                ..
            }
        ));
        assert!(
            lost.to_string().contains("it was A of no date, and is B"),
            "{lost}"
        );
        assert_eq!(judge(&[], &[]), Ok(()));
    }

    #[test]
    fn half_of_many_rows_may_be_hidden() {
        let known = anchors(1..=20);
        let there = |n: u64| -> Vec<_> { (1..=n).map(|id| row(id, "A")).collect() };
        assert_eq!(judge(&known, &there(10)), Ok(()));
        assert!(judge(&known, &there(9)).is_err());
    }

    #[test]
    fn a_site_that_shows_one_known_row_as_it_was_is_known() {
        let known = anchors([10, 20, 30]);
        let cases: &[(&[Event], bool)] = &[
            (&[row(10, "A"), row(20, "A"), row(30, "A")], true),
            (&[row(10, "A"), row(20, "B")], true),
            (&[row(10, "B"), row(20, "B"), row(30, "B")], false),
            (&[Event::unreadable(EventId(10), "{")], false),
            (&[row(11, "A")], false),
            (&[], false),
        ];
        for (rows, wanted) in cases {
            assert_eq!(is_known(&known, rows), *wanted, "{rows:?}");
        }
        assert!(is_known(&[], &[]), "nothing was seen");
    }

    #[test]
    fn an_unreadable_row_is_no_anchor_and_no_proof() {
        assert_eq!(of(&Event::unreadable(EventId(7), "{")), None);
        let known = anchors([10, 20]);
        let rows = [row(10, "A"), Event::unreadable(EventId(20), "{")];
        assert_eq!(judge(&known, &rows), Ok(()));
    }
}
