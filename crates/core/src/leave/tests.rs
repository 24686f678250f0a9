//! What is told and what is left, case by case.

use std::collections::BTreeSet;

use slated_model::{EventId, Hole, LaneRow, LedgerState, Offset, PluginId};

use super::{MOST, Position, Stand, position};

/// A lane's surroundings; what a case does not name is not there.
#[derive(Default)]
struct Case {
    floor: Option<u64>,
    owed: Vec<u64>,
    passed: Option<u64>,
    /// Rows after the cursor; a late one is negative.
    after: Vec<i64>,
    attempts: Vec<u64>,
    unseen: Vec<u64>,
    begun: Vec<u64>,
    /// The highest id seen, unless the site was never read.
    high: Option<u64>,
    /// Low end, high end, age in seconds.
    holes: Vec<(u64, u64, u64)>,
}

fn ids(numbers: &[u64]) -> Vec<EventId> {
    numbers.iter().copied().map(EventId).collect()
}

fn set(numbers: &[u64]) -> BTreeSet<EventId> {
    numbers.iter().copied().map(EventId).collect()
}

impl Case {
    fn position(&self) -> Option<Position> {
        let mut lane = LaneRow::new(PluginId::new("/p", "notes"), Offset(7));
        lane.floor = self.floor.map(EventId);
        lane.owed = ids(&self.owed);
        let row = |row: &i64| (EventId(row.unsigned_abs()), *row < 0);
        let hole = |(lo, hi, age): &(u64, u64, u64)| Hole {
            lo: EventId(*lo),
            hi: EventId(*hi),
            age_ms: age * 1000,
            looks: 1,
        };
        let ledger = self.high.map(|high| LedgerState {
            high: EventId(high),
            holes: self.holes.iter().map(hole).collect(),
            ..LedgerState::default()
        });
        let stand = Stand {
            lane: &lane,
            passed: self.passed.map(EventId),
            after: &self.after.iter().map(row).collect::<Vec<_>>(),
            attempts: &set(&self.attempts),
            unseen: &set(&self.unseen),
            begun: &set(&self.begun),
        };
        position(&stand, ledger.as_ref())
    }

    fn check(&self, what: &str, last: u64, missing: &[u64]) {
        let found = self.position();
        let wanted = Position {
            last: EventId(last),
            missing: ids(missing),
            // Has a test of its own.
            back_to: found.as_ref().and_then(|position| position.back_to),
            ..Position::default()
        };
        assert_eq!(found, Some(wanted), "{what}");
    }
}

#[test]
fn the_last_event_is_the_highest_at_or_below_the_cursor() {
    let at = |passed, high| Case {
        passed,
        high,
        ..Case::default()
    };
    at(Some(100), Some(100)).check("all done", 100, &[]);
    at(Some(100), Some(140)).check("events above it come by themselves", 100, &[]);
    at(None, Some(140)).check("an empty log", 140, &[]);
    assert_eq!(at(None, None).position(), None, "the site was never read");
    let after = Case {
        after: vec![-90, 121, 123, -122],
        high: Some(123),
        ..Case::default()
    };
    after.check("before the first row of the log", 120, &[90]);
    let late = Case {
        after: vec![-90],
        high: Some(123),
        ..Case::default()
    };
    late.check("nothing but late rows", 123, &[90]);
    let first = Case {
        after: vec![1, 2],
        high: Some(2),
        ..Case::default()
    };
    first.check("before the first event of all", 0, &[1]);
}

#[test]
fn a_floor_counts_as_handled() {
    let imported = Case {
        floor: Some(1000),
        owed: vec![950, 970, 990],
        // 940 belongs to another lane, 950 and 970 stand and are owed, 980 filled a hole.
        after: vec![940, 950, 970, 1000, 1001, -980],
        unseen: vec![990],
        high: Some(1001),
        ..Case::default()
    };
    imported.check("as imported", 1000, &[950, 970, 980, 990]);
    let begun = Case {
        passed: Some(950),
        after: vec![970, 1000, 1001, -980],
        ..imported
    };
    begun.check("one of them is done", 1000, &[970, 980, 990]);
    let before = Case {
        floor: Some(1000),
        owed: vec![990, 1010],
        unseen: vec![990, 1010],
        ..Case::default()
    };
    before.check("the site was never read since", 1000, &[990]);
    let behind = Case {
        floor: Some(50),
        passed: Some(100),
        high: Some(100),
        ..Case::default()
    };
    behind.check("the cursor is past it", 100, &[]);
}

#[test]
fn work_below_the_last_event_is_missing() {
    let case = Case {
        passed: Some(100),
        after: vec![-80, 101, -90, 102],
        attempts: vec![70, 101],
        high: Some(102),
        ..Case::default()
    };
    case.check("late rows and attempts aside", 100, &[70, 80, 90]);
}

#[test]
fn young_holes_are_sought_on() {
    let case = Case {
        passed: Some(100),
        high: Some(120),
        holes: vec![
            (10, 12, 301),
            (50, 51, 300),
            (60, 62, 299),
            (99, 105, 0),
            (110, 111, 1),
        ],
        ..Case::default()
    };
    case.check("up to the last event", 100, &[60, 61, 62, 99, 100]);
    let owed = Case {
        floor: Some(100),
        owed: vec![11, 61],
        unseen: vec![11, 61],
        ..case
    };
    owed.check(
        "an owed id is given up with its hole",
        100,
        &[60, 61, 62, 99, 100],
    );
    let all = Case {
        passed: Some(100),
        high: Some(100),
        holes: vec![(0, 2, 0)],
        ..Case::default()
    };
    all.check("there is no event 0", 100, &[1, 2]);
}

#[test]
fn what_has_no_room_is_told() {
    let many = 2 * MOST as u64;
    let found = Case {
        passed: Some(10_000),
        after: (1..=many).map(|id| -id.cast_signed()).collect(),
        high: Some(10_000),
        holes: vec![(5_000, 5_002, 0)],
        ..Case::default()
    }
    .position()
    .unwrap();
    assert_eq!(found.missing, ids(&(1_001..=2_000).collect::<Vec<_>>()));
    assert_eq!(found.left, ids(&(1..=1_000).collect::<Vec<_>>()));
    assert_eq!(found.unsought, 3);

    let found = Case {
        passed: Some(9_000_000),
        after: vec![-5],
        high: Some(9_000_000),
        holes: vec![(4, 6, 0), (1_000, 8_000_999, 0), (8_500_000, 8_500_009, 0)],
        ..Case::default()
    }
    .position()
    .unwrap();
    assert_eq!(found.missing.len(), MOST);
    assert_eq!(found.missing[..2], ids(&[5, 8_000_011])[..]);
    // All but 5, the nearest ten, and what of the big one had room.
    assert_eq!(found.unsought, 3 + 8_000_000 - (MOST as u64 - 11));
    assert_eq!(found.left, []);
}

#[test]
fn what_stands_is_gone_back_to() {
    let case = |after: Vec<i64>, attempts: Vec<u64>| {
        let case = Case {
            passed: Some(100),
            owed: vec![10],
            unseen: vec![10],
            after,
            attempts,
            high: Some(102),
            holes: vec![(20, 21, 0)],
            ..Case::default()
        };
        case.position().unwrap().back_to.map(|id| id.0)
    };
    // What nobody has seen may never come.
    assert_eq!(case(vec![101], vec![]), None);
    assert_eq!(case(vec![-80, 101, -90], vec![]), Some(80));
    assert_eq!(case(vec![-80], vec![70]), Some(70));
}

#[test]
fn what_runs_again_is_told() {
    let found = Case {
        passed: Some(100),
        after: vec![101, 102, -80],
        attempts: vec![70],
        begun: vec![70, 80, 102],
        high: Some(102),
        ..Case::default()
    }
    .position()
    .unwrap();
    assert_eq!(found.missing, ids(&[70, 80]));
    assert_eq!(found.again, ids(&[70, 80, 102]));
}

#[test]
fn an_owed_id_is_given_up_with_its_own_hole_alone() {
    let case = Case {
        floor: Some(100),
        owed: vec![11, 61],
        unseen: vec![11, 61],
        high: Some(120),
        holes: vec![(10, 12, 301), (60, 62, 299)],
        ..Case::default()
    };
    case.check("what lies above is young", 100, &[60, 61, 62]);
}

#[test]
fn there_was_room_for_an_event_that_does_not_exist() {
    let case = Case {
        passed: Some(100),
        high: Some(100),
        holes: vec![(0, 2, 0)],
        ..Case::default()
    };
    assert_eq!(case.position().map(|p| p.unsought), Some(0));
}
