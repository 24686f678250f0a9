//! What a reader may rely on: each point here is one that the official client's own tests
//! would not notice if it were wrong.

use serde_json::{Value, json};
use slated_sim::{Site, SiteOptions};

const WHO: &str = "slated";

fn empty() -> Site {
    Site::new(SiteOptions {
        production: false,
        ..SiteOptions::default()
    })
}

fn codes(site: &Site, filters: &Value) -> Vec<String> {
    let rows = site.find("Shot", filters, &["code"]).unwrap();
    rows.iter()
        .map(|row| row["code"].as_str().unwrap().to_owned())
        .collect()
}

/// Sends a `read` as the wire has it and returns its results.
fn read(site: &Site, args: &Value) -> Value {
    let auth = json!({"script_name": WHO, "script_key": site.key(WHO).unwrap()});
    let body = json!({"method_name": "read", "params": [auth, args]});
    let answer: Value = serde_json::from_slice(&site.answer(body.to_string().as_bytes())).unwrap();
    assert!(answer["exception"].is_null(), "{answer}");
    answer["results"].clone()
}

fn three_shots() -> Site {
    let site = empty();
    for (code, cut) in [("b", 30), ("A", 10), ("c", 20)] {
        let fields = json!({"code": code, "sg_cut_in": cut});
        site.create("Shot", fields, WHO).unwrap();
    }
    site
}

#[test]
fn sorts_and_their_direction_are_kept() {
    let site = three_shots();
    let order = |field: &str, direction: &str| -> Vec<String> {
        let found = read(
            &site,
            &json!({
                "type": "Shot", "return_fields": ["code"],
                "sorts": [{"field_name": field, "direction": direction}],
            }),
        );
        let rows = found["entities"].as_array().unwrap();
        rows.iter()
            .map(|row| row["code"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(order("code", "asc"), ["A", "b", "c"]);
    assert_eq!(order("code", "desc"), ["c", "b", "A"]);
    assert_eq!(order("sg_cut_in", "asc"), ["A", "c", "b"]);
    assert_eq!(order("id", "desc"), ["c", "A", "b"]);
    assert_eq!(order("no_such_field", "asc"), ["b", "A", "c"]);
}

#[test]
fn page_limit_and_next_page_are_true() {
    let site = three_shots();
    let page = |number: u32, size: u32| -> (Vec<u64>, bool) {
        let found = read(
            &site,
            &json!({
                "type": "Shot",
                "paging": {"entities_per_page": size, "current_page": number},
            }),
        );
        let rows = found["entities"].as_array().unwrap();
        let ids = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
        (
            ids,
            found["paging_info"]["has_next_page"].as_bool().unwrap(),
        )
    };
    assert_eq!(page(1, 2), (vec![1, 2], true));
    assert_eq!(page(2, 2), (vec![3], false));
    assert_eq!(page(1, 3), (vec![1, 2, 3], false));
    assert_eq!(page(3, 2), (vec![], false));
}

#[test]
fn retired_rows_are_read_only_when_asked_for() {
    let site = three_shots();
    site.retire("Shot", 2, WHO).unwrap();
    let ids = |only: &str| -> Vec<u64> {
        let found = read(&site, &json!({"type": "Shot", "return_only": only}));
        let rows = found["entities"].as_array().unwrap();
        rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids("active"), [1, 3]);
    assert_eq!(ids("retired"), [2]);
}

#[test]
fn in_looks_at_every_value_and_greater_than_excludes_its_own() {
    let site = three_shots();
    assert_eq!(
        codes(&site, &json!([["code", "in", ["c", "b"]]])),
        ["b", "c"]
    );
    assert_eq!(codes(&site, &json!([["id", "greater_than", 2]])), ["c"]);
    assert_eq!(codes(&site, &json!([["id", "less_than", 2]])), ["b"]);
    assert_eq!(
        codes(&site, &json!([["sg_cut_in", "between", [10, 20]]])),
        ["A", "c"]
    );
    assert_eq!(
        codes(&site, &json!([["sg_cut_in", "not_between", [10, 20]]])),
        ["b"]
    );
}

#[test]
fn text_is_compared_without_case() {
    let site = three_shots();
    for filter in [
        json!(["code", "is", "a"]),
        json!(["code", "in", ["a"]]),
        json!(["code", "contains", "a"]),
        json!(["code", "starts_with", "a"]),
        json!(["code", "ends_with", "a"]),
    ] {
        assert_eq!(codes(&site, &json!([filter])), ["A"], "{filter}");
    }
}

#[test]
fn null_and_the_empty_text_are_the_same_and_pass_negative_relations() {
    let site = empty();
    for (code, description) in [
        ("full", json!("x")),
        ("null", Value::Null),
        ("empty", json!("")),
    ] {
        let fields = json!({"code": code, "description": description});
        site.create("Shot", fields, WHO).unwrap();
    }
    let without = ["null", "empty"];
    assert_eq!(codes(&site, &json!([["description", "is", null]])), without);
    assert_eq!(codes(&site, &json!([["description", "is", ""]])), without);
    assert_eq!(
        codes(&site, &json!([["description", "is_not", "x"]])),
        without
    );
    assert_eq!(
        codes(&site, &json!([["description", "not_in", ["x"]]])),
        without
    );
    assert_eq!(
        codes(&site, &json!([["description", "not_contains", "x"]])),
        without
    );
    assert_eq!(
        codes(&site, &json!([["description", "is_not", null]])),
        ["full"]
    );
    assert_eq!(
        codes(
            &site,
            &json!([["sg_sequence", "is_not", {"type": "Sequence", "id": 9}]])
        )
        .len(),
        3
    );
}

#[test]
fn links_to_retired_rows_read_null_and_names_are_those_of_now() {
    let site = empty();
    let shot = site.create("Shot", json!({"code": "old"}), WHO).unwrap();
    let link = json!({"type": "Shot", "id": shot});
    let task = site
        .create("Task", json!({"content": "t", "entity": link}), WHO)
        .unwrap();
    site.update("Shot", shot, json!({"code": "new"}), WHO)
        .unwrap();
    let entity = || {
        let row = site.find_one("Task", &json!([["id", "is", task]]), &["entity"]);
        row.unwrap().unwrap()["entity"].clone()
    };
    assert_eq!(entity(), json!({"type": "Shot", "id": shot, "name": "new"}));
    let of_task = json!([["event_type", "is", "Shotgun_Task_New"]]);
    let event = || {
        let row = site.find_one("EventLogEntry", &of_task, &["entity", "meta"]);
        row.unwrap().unwrap()
    };
    assert_eq!(event()["entity"]["name"], "t");
    site.retire("Shot", shot, WHO).unwrap();
    assert_eq!(entity(), Value::Null);
    let deep = site.find_one("Task", &json!([]), &["entity.Shot.code"]);
    assert_eq!(deep.unwrap().unwrap()["entity.Shot.code"], Value::Null);
    site.retire("Task", task, WHO).unwrap();
    assert_eq!(event()["entity"], Value::Null);
    assert_eq!(event()["meta"]["entity_id"], task);
    site.revive("Task", task, WHO).unwrap();
    assert_eq!(event()["entity"]["name"], "t");
}

#[test]
fn lists_leave_out_retired_members() {
    let site = empty();
    let shot = site.create("Shot", json!({"code": "s"}), WHO).unwrap();
    let link = json!({"type": "Shot", "id": shot});
    for content in ["keep", "drop"] {
        site.create("Task", json!({"content": content, "entity": link}), WHO)
            .unwrap();
    }
    site.retire("Task", 2, WHO).unwrap();
    let row = site
        .find_one("Shot", &json!([]), &["tasks"])
        .unwrap()
        .unwrap();
    assert_eq!(
        row["tasks"],
        json!([{"type": "Task", "id": 1, "name": "keep"}])
    );
}

#[test]
fn or_is_not_and_and_groups_nest() {
    let site = three_shots();
    let any = |filters: Value| json!([{"filter_operator": "any", "filters": filters}]);
    let both = any(json!([["code", "is", "a"], ["code", "is", "c"]]));
    assert_eq!(codes(&site, &both), ["A", "c"]);
    let nested = json!([
        {"filter_operator": "any", "filters": [
            ["id", "is", 1],
            {"filter_operator": "all", "filters": [["id", "greater_than", 1], ["sg_cut_in", "is", 20]]},
        ]},
        ["id", "less_than", 4],
    ]);
    assert_eq!(codes(&site, &nested), ["b", "c"]);
}

#[test]
fn what_cannot_be_asked_is_refused_with_the_sites_words() {
    let site = empty();
    let refused = |kind: &str, filter: Value| {
        let refusal = site.find(kind, &json!([filter]), &[]).unwrap_err();
        assert_eq!(refusal.code, 103);
        refusal.message
    };
    assert_eq!(
        refused("Shot", json!(["foo", "is", 1])),
        "API read() Shot.foo doesn't exist."
    );
    assert_eq!(
        refused("EventLogEntry", json!(["meta", "is", "x"])),
        "API read() EventLogEntry.meta's 'serializable' data type cannot be used in a filter."
    );
    let text = refused("Shot", json!(["code", "x", 1]));
    assert!(
        text.starts_with("API read() Shot.code's 'text' data type doesn't support 'x' 'relation'"),
        "{text}"
    );
    assert!(text.contains("Valid relations"), "{text}");
    refused("Shot", json!(["id", "is", "seven"]));
    refused("Shot", json!(["created_at", "greater_than", "yesterday"]));
    refused("Shot", json!(["sg_sequence.Shot", "is", 1]));
}

#[test]
fn fields_that_do_not_exist_are_left_out_of_answers() {
    let site = three_shots();
    let row = site
        .find_one("Shot", &json!([]), &["code", "nonsense", "id"])
        .unwrap()
        .unwrap();
    assert_eq!(row, json!({"type": "Shot", "id": 1, "code": "b"}));
}

#[test]
fn paths_lead_there_and_back() {
    let site = Site::new(SiteOptions::default());
    let of_sequence = json!([["sg_sequence.Sequence.code", "is", "ck20"]]);
    assert_eq!(codes(&site, &of_sequence).len(), 4);
    let with_versions = json!([["$FROM$Version.entity.sg_status_list", "is", "rev"]]);
    assert_eq!(codes(&site, &with_versions).len(), 6);
    let without = json!([["$FROM$Version.entity.id", "is", null]]);
    assert_eq!(codes(&site, &without).len(), 6);
    let fields = ["entity.Shot.sg_sequence.Sequence.code", "entity.Asset.code"];
    let filter = json!([["entity", "type_is", "Shot"]]);
    let row = site.find_one("Task", &filter, &fields).unwrap().unwrap();
    assert_eq!(row[fields[0]], "CK10");
    assert_eq!(row[fields[1]], Value::Null);
}

#[test]
fn rows_of_archived_projects_can_be_left_out() {
    let site = Site::new(SiteOptions::default());
    site.update("Project", 1, json!({"archived": true}), WHO)
        .unwrap();
    let count = |args: Value| read(&site, &args)["entities"].as_array().unwrap().len();
    assert_eq!(count(json!({"type": "Shot"})), 12);
    let without = json!({"type": "Shot", "include_archived_projects": false});
    assert_eq!(count(without), 0);
}

#[test]
fn calendar_relations_follow_the_sites_clock() {
    let noon = "2026-03-04T12:00:00Z".parse().unwrap();
    let clock = slated_sim::Clock::manual(noon);
    let site = Site::new(SiteOptions {
        production: false,
        clock: clock.clone(),
        ..SiteOptions::default()
    });
    site.create("Shot", json!({"code": "wednesday"}), WHO)
        .unwrap();
    let hits = |relation: &str, value: Value| {
        !codes(&site, &json!([["created_at", relation, value]])).is_empty()
    };
    assert!(hits("in_calendar_day", json!(0)) && !hits("in_calendar_day", json!(-1)));
    assert!(hits("in_calendar_month", json!(0)) && hits("in_calendar_year", json!(0)));
    assert!(hits("in_last", json!([1, "HOUR"])) && !hits("not_in_last", json!([1, "HOUR"])));
    clock.advance(std::time::Duration::from_hours(24));
    assert!(hits("in_calendar_day", json!(-1)) && hits("in_calendar_week", json!(0)));
    assert!(!hits("in_last", json!([1, "HOUR"])) && hits("in_last", json!([2, "DAY"])));
    assert!(hits(
        "between",
        json!(["2026-03-04T12:00:00Z", "2026-03-04T12:00:01Z"])
    ));
}
