//! The index against a scan: whatever the filter, order and page, both find the same rows.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{filter::Filter, query::Query};
use crate::{CommitPolicy, Fate, Site, SiteOptions, view::EVENT};

/// Ids 1 to 40, some of which nobody will ever have or sees yet.
fn site() -> Site {
    let site = Site::new(SiteOptions {
        production: false,
        ..SiteOptions::default()
    });
    site.set_policy(
        CommitPolicy::immediate()
            .share(0.1, Fate::Never)
            .share(0.1, Fate::Hold)
            .share(0.1, Fate::Jump { ids: 2 }),
    );
    while site.next_event_id() <= 40 {
        let fields = json!({"event_type": format!("Type_{}", site.next_event_id() % 3)});
        site.create(EVENT, fields, "slated").unwrap();
    }
    site.hide(7..=9);
    site
}

fn condition() -> impl Strategy<Value = Value> {
    let id = -2..45_i64;
    let test = |relation: &'static str, values: Vec<i64>| json!({"path": "id", "relation": relation, "values": values});
    prop_oneof![
        (
            prop::sample::select(vec!["is", "is_not", "greater_than", "less_than"]),
            id.clone()
        )
            .prop_map(move |(relation, id)| test(relation, vec![id])),
        (
            prop::sample::select(vec!["between", "not_between"]),
            id.clone(),
            id.clone()
        )
            .prop_map(move |(relation, a, b)| test(relation, vec![a, b])),
        (
            prop::sample::select(vec!["in", "not_in"]),
            prop::collection::vec(id, 0..6)
        )
            .prop_map(move |(relation, ids)| test(relation, ids)),
        (0..4_u8).prop_map(|n| json!({
            "path": "event_type", "relation": "is", "values": [format!("type_{n}")],
        })),
    ]
}

fn filters() -> impl Strategy<Value = Value> {
    condition().prop_recursive(3, 24, 4, |inner| {
        (
            prop::sample::select(vec!["and", "or"]),
            prop::collection::vec(inner, 0..4),
        )
            .prop_map(|(op, conditions)| json!({"logical_operator": op, "conditions": conditions}))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_index_finds_what_a_scan_finds(
        filters in filters(),
        descending in any::<bool>(),
        page in 1..4_usize,
        size in 1..30_usize,
    ) {
        let args = json!({
            "type": EVENT,
            "filters": filters,
            "sorts": [{"field_name": "id", "direction": if descending { "desc" } else { "asc" }}],
            "paging": {"entities_per_page": size, "current_page": page},
        });
        let site = site();
        let (found, scanned): (Vec<u64>, Vec<u64>) = site.with(|state, now| {
            let schema = &state.data.schema;
            let query = Query::parse(schema, "read", &args, 500).unwrap();
            let view = state.view(now);
            let rows = query.rows(view, &query.run(view));
            let found = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
            let filter = Filter::parse(schema, "read", EVENT, &filters).unwrap();
            let mut scanned: Vec<u64> = view
                .records(EVENT, 0..=u64::MAX, false)
                .filter(|record| filter.passes(view, *record))
                .map(|record| record.id)
                .collect();
            if descending {
                scanned.reverse();
            }
            (found, scanned.into_iter().skip((page - 1) * size).take(size).collect())
        });
        prop_assert_eq!(found, scanned);
    }
}

#[test]
fn the_test_site_has_gaps_of_every_kind() {
    let site = site();
    let shown = site.find(EVENT, &json!([]), &[]).unwrap().len();
    let waiting: usize = site.waiting().iter().map(|(_, ids)| ids.len()).sum();
    assert!(waiting > 0, "nothing waits");
    assert!((10..35).contains(&shown), "{shown} rows are visible");
}

/// A follower that catches up asks in this shape: its holes, and everything from where it stands.
#[test]
fn a_page_costs_as_many_rows_as_it_holds_wherever_it_stands() {
    const EVENTS: u64 = 50_000;
    const PAGE: usize = 500;
    let site = Site::new(SiteOptions {
        production: false,
        ..SiteOptions::default()
    });
    site.seed_events(EVENTS, std::time::Duration::from_hours(24));
    // Two holes: a range, and an id asked for by its name.
    site.hide(100..=104);
    site.hide(200..=200);
    let test = |relation: &str, values: Value| json!({"path": "id", "relation": relation, "values": values});
    let (mut seen, mut last, mut pages) = (0, 200, 0);
    loop {
        let any = [
            test("between", json!([100, 104])),
            test("in", json!([200])),
            test("greater_than", json!([last])),
        ];
        let args = json!({
            "type": EVENT,
            "filters": {"logical_operator": "and", "conditions": [
                test("greater_than", json!([99])),
                {"logical_operator": "or", "conditions": any},
            ]},
            "sorts": [{"field_name": "id", "direction": "asc"}],
            "paging": {"entities_per_page": PAGE, "current_page": 1},
        });
        let (ids, visited) = site.with(|state, now| {
            let query = Query::parse(&state.data.schema, "read", &args, PAGE).unwrap();
            let view = state.view(now);
            let rows = query.rows(view, &query.run(view));
            let ids: Vec<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
            (ids, query.visited.get())
        });
        // One more tells whether there is another page.
        assert!(visited <= PAGE + 1, "page {pages} cost {visited} rows");
        let Some(newest) = ids.last() else { break };
        seen += ids.len();
        (last, pages) = (*newest, pages + 1);
    }
    assert_eq!(seen as u64, EVENTS - 200, "{pages} pages");
    assert!(pages >= 99, "{pages} pages");
}
