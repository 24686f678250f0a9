//! When event rows become visible: commit policies, transactions by hand, restores, and the
//! history that tells a checker what was there.

use std::time::Duration;

use serde_json::{Value, json};
use slated_sim::{Clock, CommitPolicy, EventRow, Fate, Mix, Site, SiteOptions};

const WHO: &str = "slated";

/// A site on virtual time. Every `event` makes exactly one row.
fn site() -> Site {
    Site::new(SiteOptions {
        production: false,
        clock: Clock::manual("2026-03-04T12:00:00Z".parse().unwrap()),
        ..SiteOptions::default()
    })
}

fn event(site: &Site) -> u64 {
    site.create("EventLogEntry", json!({"event_type": "Test"}), WHO)
        .unwrap()
}

fn visible(site: &Site) -> Vec<u64> {
    let rows = site.find("EventLogEntry", &json!([]), &[]).unwrap();
    rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[test]
fn rows_are_visible_at_once_unless_told_otherwise() {
    let site = site();
    assert_eq!((event(&site), event(&site)), (1, 2));
    assert_eq!(visible(&site), [1, 2]);
    assert_eq!(site.head(), Some(2));
}

#[test]
fn the_next_transactions_come_late_and_then_no_more() {
    let site = site();
    site.set_policy(CommitPolicy::immediate().next(2, Fate::late(Duration::from_secs(5))));
    for _ in 0..3 {
        event(&site);
    }
    assert_eq!(visible(&site), [3]);
    site.clock().advance(Duration::from_millis(4999));
    assert_eq!(visible(&site), [3]);
    site.clock().advance(Duration::from_millis(1));
    assert_eq!(visible(&site), [1, 2, 3]);
    assert_eq!(site.policy(), CommitPolicy::immediate());
}

#[test]
fn a_share_comes_late_each_by_its_own_time_and_all_of_them_in_the_end() {
    let site = site();
    let late = Fate::Late {
        min_ms: 10_000,
        max_ms: 120_000,
    };
    site.set_policy(CommitPolicy::immediate().share(0.2, late));
    for _ in 0..1000 {
        event(&site);
    }
    let at_once = visible(&site).len();
    assert!((700..900).contains(&at_once), "{at_once}");
    site.clock().advance(Duration::from_mins(1));
    let in_between = visible(&site).len();
    assert!(at_once < in_between && in_between < 1000, "{in_between}");
    site.clock().advance(Duration::from_mins(1));
    assert_eq!(visible(&site).len(), 1000);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed: u64| {
        let site = Site::new(SiteOptions {
            seed,
            clock: Clock::manual("2026-03-04T12:00:00Z".parse().unwrap()),
            ..SiteOptions::default()
        });
        site.set_policy(CommitPolicy::immediate().share(0.5, Fate::Never));
        for _ in 0..50 {
            event(&site);
        }
        site.seed_events(50, Duration::from_hours(1));
        (site.key(WHO), serde_json::to_value(site.history()).unwrap())
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}

#[test]
fn ids_of_transactions_that_were_rolled_back_stay_dead() {
    let site = site();
    site.set_policy(CommitPolicy::immediate().next(1, Fate::Never));
    event(&site);
    event(&site);
    site.clock().advance(Duration::from_secs(1_000_000));
    assert_eq!(visible(&site), [2]);
    assert_eq!(site.history()[0].visible_at, None);
}

#[test]
fn ids_can_jump() {
    let site = site();
    event(&site);
    site.set_policy(CommitPolicy::immediate().next(1, Fate::Jump { ids: 300_000 }));
    event(&site);
    site.skip_ids(10);
    event(&site);
    assert_eq!(visible(&site), [1, 300_002, 300_013]);
}

#[test]
fn transactions_can_commit_in_reverse() {
    let site = site();
    site.set_policy(CommitPolicy::immediate().always(Fate::Reorder {
        group: 3,
        gap_ms: 1000,
    }));
    let seen: Vec<Vec<u64>> = (0..3)
        .map(|_| {
            event(&site);
            visible(&site)
        })
        .collect();
    assert_eq!(seen, [vec![], vec![], vec![3]]);
    site.clock().advance(Duration::from_secs(1));
    assert_eq!(visible(&site), [2, 3]);
    site.clock().advance(Duration::from_secs(1));
    assert_eq!(visible(&site), [1, 2, 3]);
}

#[test]
fn a_transaction_by_hand_holds_its_rows_together() {
    let site = site();
    let held = site.begin(WHO);
    held.create("Shot", json!({"code": "s"})).unwrap();
    let other = event(&site);
    held.update("Shot", 1, json!({"code": "t"})).unwrap();
    assert_eq!(visible(&site), [other], "ids below and above it are taken");
    let ids: Vec<u64> = site
        .waiting()
        .into_iter()
        .flat_map(|(_, ids)| ids)
        .collect();
    assert!(ids.iter().any(|id| *id < other) && ids.iter().any(|id| *id > other));
    assert_eq!(held.commit().unwrap(), ids.len());
    assert_eq!(visible(&site).len(), ids.len() + 1);
    let dropped = site.begin(WHO);
    dropped.retire("Shot", 1).unwrap();
    let number = dropped.number();
    dropped.roll_back().unwrap();
    site.commit(number).unwrap_err();
    assert_eq!(visible(&site).len(), ids.len() + 1);
}

#[test]
fn what_waits_can_be_committed_in_any_order() {
    let site = site();
    site.set_policy(CommitPolicy::immediate().next(2, Fate::Hold));
    event(&site);
    event(&site);
    let waiting = site.waiting();
    site.commit(waiting[1].0).unwrap();
    assert_eq!(visible(&site), [2]);
    site.commit(waiting[0].0).unwrap();
    assert_eq!(visible(&site), [1, 2]);
}

#[test]
fn the_history_knows_when_each_id_was_taken_and_shown() {
    let site = site();
    site.set_policy(CommitPolicy::immediate().next(1, Fate::late(Duration::from_secs(9))));
    event(&site);
    site.clock().advance(Duration::from_secs(1));
    event(&site);
    let history = site.history();
    let times: Vec<(u64, u64, Option<u64>)> = history
        .iter()
        .map(|row| {
            (
                row.id,
                row.reserved_at.mono_ms,
                row.visible_at.map(|at| at.mono_ms),
            )
        })
        .collect();
    assert_eq!(times, [(1, 0, Some(9000)), (2, 1000, Some(1000))]);
    let first = &history[0];
    assert_eq!(
        first.visible_at.unwrap().wall_ms - first.reserved_at.wall_ms,
        9000
    );
    assert_eq!(first.row["event_type"], "Test");
    assert_eq!(first.row["id"], 1);
}

#[test]
fn a_restored_site_gives_its_ids_out_again() {
    let site = site();
    event(&site);
    let held = site.begin(WHO);
    held.create("Shot", json!({"code": "in flight"})).unwrap();
    let backup = site.snapshot();
    let taken = site.next_event_id();
    site.create("Shot", json!({"code": "lost"}), WHO).unwrap();
    held.commit().unwrap();
    let before = site.history().len();
    site.restore(&backup);
    assert_eq!(visible(&site), [1], "what was in flight is gone as well");
    assert_eq!(site.next_event_id(), taken);
    assert_eq!(event(&site), taken);
    assert!(
        site.find("Shot", &json!([["code", "is", "lost"]]), &[])
            .unwrap()
            .is_empty()
    );
    let history = site.history();
    let of_taken: Vec<(u32, &Value)> = history
        .iter()
        .filter(|row| row.id == taken)
        .map(|row| (row.life, &row.row["event_type"]))
        .collect();
    assert_eq!(
        of_taken,
        [(0, &json!("Shotgun_Shot_New")), (1, &json!("Test"))]
    );
    assert!(history.len() > before, "both lives are in the history");
}

#[test]
fn rows_can_be_hidden_and_archived() {
    let site = site();
    for _ in 0..6 {
        event(&site);
    }
    site.hide(3..=4);
    assert_eq!(visible(&site), [1, 2, 5, 6]);
    site.show_hidden();
    site.archive_below(3);
    assert_eq!(visible(&site), [3, 4, 5, 6]);
    site.archive_below(100);
    assert_eq!(site.head(), None);
}

#[test]
fn rows_no_write_would_make_can_be_put_in() {
    let site = site();
    let id = site.log_event(EventRow {
        meta: json!("a text"),
        ..EventRow::default()
    });
    let fields = ["event_type", "created_at", "meta", "user"];
    let row = site
        .find_one("EventLogEntry", &json!([["id", "is", id]]), &fields)
        .unwrap()
        .unwrap();
    assert_eq!(
        row,
        json!({"type": "EventLogEntry", "id": id, "event_type": null, "created_at": null,
               "meta": "a text", "user": null})
    );
}

#[test]
fn aged_events_look_like_a_log_in_use() {
    let site = Site::new(SiteOptions {
        clock: Clock::manual("2026-03-04T12:00:00Z".parse().unwrap()),
        ..SiteOptions::default()
    });
    let ids = site.seed_events(2000, Duration::from_hours(24)).unwrap();
    let fields = [
        "event_type",
        "created_at",
        "meta",
        "entity",
        "user",
        "project",
    ];
    let rows = site.find("EventLogEntry", &json!([]), &fields).unwrap();
    assert_eq!(rows.len(), 2000);
    assert_eq!((*ids.start(), *ids.end()), (1, 2000));
    let types: std::collections::BTreeSet<&str> = rows
        .iter()
        .map(|row| row["event_type"].as_str().unwrap())
        .collect();
    assert!(types.len() >= 8, "{types:?}");
    assert_eq!(rows[0]["created_at"], "2026-03-03T12:00:00Z");
    let times: Vec<&str> = rows
        .iter()
        .map(|row| row["created_at"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted());
    for row in &rows {
        assert!(
            row["meta"].is_object() && row["entity"].is_object() && row["user"].is_object(),
            "{row}"
        );
    }
    assert_eq!(site.seed_events(0, Duration::ZERO), None);
}

#[test]
fn an_even_mix_has_eight_types_alike_often() {
    let site = Site::new(SiteOptions::default());
    site.seed_events_of(Mix::Even, 4000, Duration::from_hours(24));
    let rows = site
        .find("EventLogEntry", &json!([]), &["event_type"])
        .unwrap();
    let mut types = std::collections::BTreeMap::<&str, usize>::new();
    for row in &rows {
        *types
            .entry(row["event_type"].as_str().unwrap())
            .or_default() += 1;
    }
    assert_eq!(types.len(), 8, "{types:?}");
    // Each is drawn 500 times, give or take five standard deviations.
    assert!(types.values().all(|n| (395..=605).contains(n)), "{types:?}");
}
