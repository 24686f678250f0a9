//! The event rows that writes make, held against rows of real sites.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use slated_sim::{Site, SiteOptions};

const FIELDS: [&str; 9] = [
    "event_type",
    "attribute_name",
    "meta",
    "entity",
    "project",
    "user",
    "session_uuid",
    "created_at",
    "description",
];

/// A site with a production, and the rows that one piece of work makes on it.
fn rows(site: &Site, work: impl FnOnce()) -> Vec<Value> {
    let before = site.head().unwrap_or(0);
    work();
    let filter = json!([["id", "greater_than", before]]);
    site.find("EventLogEntry", &filter, &FIELDS).unwrap()
}

fn site() -> Site {
    Site::new(SiteOptions::default())
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_status_change_has_the_shape_of_a_real_one() {
    let site = site();
    let made = rows(&site, || {
        site.update("Task", 1, json!({"sg_status_list": "fin"}), "mira")
            .unwrap();
    });
    let [row] = made.as_slice() else {
        panic!("{made:?}")
    };
    assert_eq!(row["event_type"], "Shotgun_Task_Change");
    assert_eq!(row["attribute_name"], "sg_status_list");
    assert_eq!(
        row["entity"],
        json!({"type": "Task", "id": 1, "name": "Model"})
    );
    assert_eq!(
        row["project"],
        json!({"type": "Project", "id": 1, "name": "Copper Kettle"})
    );
    assert_eq!(
        row["user"],
        json!({"type": "HumanUser", "id": 1, "name": "Mira Okafor"})
    );
    assert_eq!(row["session_uuid"], Value::Null);
    let at = row["created_at"].as_str().unwrap();
    assert!(at.len() == 20 && at.ends_with('Z'), "{at}");
    let meta = &row["meta"];
    assert_eq!(
        keys(meta),
        BTreeSet::from([
            "type",
            "attribute_name",
            "entity_type",
            "entity_id",
            "field_data_type",
            "old_value",
            "new_value"
        ])
    );
    assert_eq!(meta["type"], "attribute_change");
    assert_eq!(meta["field_data_type"], "status_list");
    assert_eq!(meta["new_value"], "fin");
}

#[test]
fn a_new_entity_is_told_whole_with_the_servers_defaults() {
    let site = site();
    let project = json!({"type": "Project", "id": 1});
    let made = rows(&site, || {
        let fields = json!({"content": "Roto", "project": project});
        site.create("Task", fields, "mira").unwrap();
    });
    let new = &made[0];
    assert_eq!(new["event_type"], "Shotgun_Task_New");
    assert_eq!(new["attribute_name"], Value::Null);
    assert_eq!(
        new["meta"],
        json!({"type": "new_entity", "entity_type": "Task", "entity_id": new["entity"]["id"]})
    );
    let changed: BTreeSet<&str> = made[1..]
        .iter()
        .map(|row| row["attribute_name"].as_str().unwrap())
        .collect();
    for expected in ["content", "project", "color", "sg_status_list", "milestone"] {
        assert!(
            changed.contains(expected),
            "{expected} is missing in {changed:?}"
        );
    }
    for row in &made[1..] {
        assert_eq!(row["event_type"], "Shotgun_Task_Change");
        assert_eq!(row["meta"]["in_create"], true);
        assert_eq!(row["meta"]["old_value"], Value::Null);
    }
    let color = made
        .iter()
        .find(|row| row["attribute_name"] == "color")
        .unwrap();
    assert_eq!(color["meta"]["new_value"], "pipeline_step");
    assert_eq!(color["meta"]["field_data_type"], "color");
    let link = made
        .iter()
        .find(|row| row["attribute_name"] == "project")
        .unwrap();
    assert_eq!(
        keys(&link["meta"]["new_value"]),
        BTreeSet::from(["type", "id", "name", "uuid", "valid"])
    );
}

#[test]
fn the_other_end_of_a_link_is_told_as_well() {
    let site = site();
    let shot = json!({"type": "Shot", "id": 3});
    let made = rows(&site, || {
        let fields = json!({"content": "newtask3", "entity": shot});
        site.create("Task", fields, "mira").unwrap();
    });
    let back = made
        .iter()
        .find(|row| row["attribute_name"] == "tasks")
        .unwrap();
    let origin = made
        .iter()
        .find(|row| row["attribute_name"] == "entity")
        .unwrap();
    assert_eq!(back["event_type"], "Shotgun_Shot_Change");
    assert_eq!(back["entity"]["type"], "Shot");
    let meta = &back["meta"];
    assert_eq!(meta["entity_type"], "Task");
    assert_eq!(meta["actual_attribute_changed"], "Task.entity");
    assert_eq!(meta["original_event_log_entry_id"], origin["id"]);
    assert_eq!(meta["field_data_type"], "entity");
    assert_eq!(meta["in_create"], true);
    assert_eq!(meta["removed"], json!([]));
    assert_eq!(
        keys(&meta["added"][0]),
        BTreeSet::from(["id", "name", "status", "type", "uuid", "valid"])
    );
    assert_eq!(meta["added"][0]["name"], "newtask3");
    let shot = site
        .find_one("Shot", &json!([["id", "is", 3]]), &["tasks"])
        .unwrap()
        .unwrap();
    assert_eq!(shot["tasks"].as_array().unwrap().len(), 4);
}

#[test]
fn a_link_that_moves_leaves_its_old_place() {
    let site = site();
    let tasks = |shot: u64| {
        let row = site.find_one("Shot", &json!([["id", "is", shot]]), &["tasks"]);
        row.unwrap().unwrap()["tasks"].as_array().unwrap().len()
    };
    let task = site
        .find(
            "Task",
            &json!([["entity", "is", {"type": "Shot", "id": 1}]]),
            &[],
        )
        .unwrap();
    let id = task[0]["id"].as_u64().unwrap();
    let made = rows(&site, || {
        let fields = json!({"entity": {"type": "Shot", "id": 2}});
        site.update("Task", id, fields, "mira").unwrap();
    });
    assert_eq!((tasks(1), tasks(2)), (2, 4));
    assert_eq!(made.len(), 3, "one change and two back-references");
    // And from the other end: a shot that takes a task away from another.
    let fields = json!({"tasks": [{"type": "Task", "id": id}]});
    site.update("Shot", 3, fields, "mira").unwrap();
    assert_eq!((tasks(2), tasks(3)), (3, 1));
}

#[test]
fn a_list_of_links_tells_who_came_and_who_went() {
    let site = site();
    site.update(
        "Task",
        1,
        json!({"task_assignees": [{"type": "HumanUser", "id": 1}]}),
        "ada",
    )
    .unwrap();
    let made = rows(&site, || {
        let fields = json!({"task_assignees": [{"type": "HumanUser", "id": 2}]});
        site.update("Task", 1, fields, "ada").unwrap();
    });
    let meta = &made[0]["meta"];
    assert_eq!(meta["field_data_type"], "multi_entity");
    assert_eq!(meta["added"][0]["id"], 2);
    assert_eq!(meta["removed"][0]["id"], 1);
    assert_eq!(meta["removed"][0]["status"], "act");
    assert!(meta.get("new_value").is_none() && meta.get("old_value").is_none());
}

#[test]
fn retirement_and_revival_have_the_shape_of_real_ones() {
    let site = site();
    let made = rows(&site, || assert!(site.retire("Task", 1, "mira").unwrap()));
    let [change, retirement] = made.as_slice() else {
        panic!("{made:?}")
    };
    assert_eq!(change["event_type"], "Shotgun_Task_Change");
    assert_eq!(change["entity"], Value::Null);
    assert_eq!(
        keys(&change["meta"]),
        BTreeSet::from([
            "type",
            "attribute_name",
            "entity_type",
            "entity_id",
            "old_value",
            "new_value"
        ])
    );
    let at = change["meta"]["new_value"].as_str().unwrap();
    assert!(at.len() == 23 && at.ends_with(" UTC"), "{at}");
    assert_eq!(retirement["event_type"], "Shotgun_Task_Retirement");
    assert_eq!(
        retirement["meta"],
        json!({"type": "entity_retirement", "class_name": "Task", "display_name": "Model",
               "entity_id": 1, "entity_type": "Task", "id": 1, "retirement_date": at})
    );
    let made = rows(&site, || assert!(site.revive("Task", 1, "mira").unwrap()));
    let [change, revival] = made.as_slice() else {
        panic!("{made:?}")
    };
    assert_eq!(change["meta"]["old_value"], at);
    assert_eq!(change["meta"]["new_value"], Value::Null);
    assert_eq!(revival["event_type"], "Shotgun_Task_Revival");
    assert_eq!(revival["entity"]["name"], "Model");
}

#[test]
fn a_shot_takes_its_versions_along_both_ways() {
    let site = site();
    let count = || site.find("Version", &json!([]), &[]).unwrap().len();
    let before = count();
    let made = rows(&site, || assert!(site.retire("Shot", 1, "mira").unwrap()));
    assert_eq!(count(), before - 1);
    let types: Vec<&str> = made
        .iter()
        .map(|row| row["event_type"].as_str().unwrap())
        .collect();
    assert!(types.contains(&"Shotgun_Version_Retirement"), "{types:?}");
    let made = rows(&site, || assert!(site.revive("Shot", 1, "mira").unwrap()));
    assert_eq!(count(), before);
    let last = made.last().unwrap();
    assert_eq!(
        last["event_type"], "Shotgun_Shot_Revival",
        "children come first"
    );
}

#[test]
fn what_stays_the_same_makes_no_row() {
    let site = site();
    let made = rows(&site, || {
        let fields = json!({"code": "CK10_010", "sg_status_list": "ip"});
        site.update("Shot", 1, fields, "mira").unwrap();
    });
    assert_eq!(made, Vec::<Value>::new());
}

#[test]
fn updated_at_moves_only_when_something_changed() {
    let clock = slated_sim::Clock::manual("2026-03-04T12:00:00Z".parse().unwrap());
    let site = Site::new(SiteOptions {
        clock: clock.clone(),
        ..SiteOptions::default()
    });
    let read = || {
        let row = site.find_one(
            "Shot",
            &json!([["id", "is", 1]]),
            &["updated_at", "updated_by"],
        );
        row.unwrap().unwrap()
    };
    let first = read();
    clock.advance(std::time::Duration::from_mins(1));
    site.update("Shot", 1, json!({"code": "CK10_010"}), "ada")
        .unwrap();
    assert_eq!(read(), first);
    site.update("Shot", 1, json!({"code": "CK10_011"}), "ada")
        .unwrap();
    assert_eq!(read()["updated_at"], "2026-03-04T12:01:00Z");
    assert_eq!(read()["updated_by"]["name"], "Ada Kowalska");
}

#[test]
fn a_batch_happens_whole_or_not_at_all() {
    let site = site();
    let auth = json!({"script_name": "slated", "script_key": site.key("slated").unwrap()});
    let send = |args: Value| -> Value {
        let body = json!({"method_name": "batch", "params": [auth, args]});
        serde_json::from_slice(&site.answer(body.to_string().as_bytes())).unwrap()
    };
    let rename = json!({"request_type": "update", "type": "Shot", "id": 1,
                        "fields": [{"field_name": "code", "value": "renamed"}]});
    let wrong = json!({"request_type": "delete", "type": "Shot", "id": 999});
    let next = site.next_event_id();
    let answer = send(json!([rename, wrong]));
    assert_eq!(
        (&answer["exception"], &answer["error_code"]),
        (&json!(true), &json!(103))
    );
    let code = || {
        site.find_one("Shot", &json!([]), &["code"])
            .unwrap()
            .unwrap()["code"]
            .clone()
    };
    assert_eq!(code(), "CK10_010");
    assert_eq!(site.head(), None, "no row of it is visible");
    assert_eq!(
        site.next_event_id(),
        next + 1,
        "but its id is taken for good"
    );
    let answer = send(json!([rename, {"request_type": "delete", "type": "Shot", "id": 2}]));
    assert_eq!(
        answer["results"],
        json!([{"type": "Shot", "id": 1, "code": "renamed"}, true])
    );
    assert_eq!(code(), "renamed");
}

#[test]
fn scripts_that_do_not_log_make_no_rows() {
    let site = site();
    let id = site.find_one(
        "ApiUser",
        &json!([["firstname", "is", "note_on_approval"]]),
        &[],
    );
    let id = id.unwrap().unwrap()["id"].as_u64().unwrap();
    site.update(
        "ApiUser",
        id,
        json!({"generate_event_log_entries": false}),
        "slated",
    )
    .unwrap();
    let made = rows(&site, || {
        site.update(
            "Shot",
            1,
            json!({"description": "quiet"}),
            "note_on_approval",
        )
        .unwrap();
    });
    assert_eq!(made.len(), 0);
    let made = rows(&site, || {
        site.update(
            "Shot",
            1,
            json!({"description": "loud"}),
            "notify_coordinator",
        )
        .unwrap();
    });
    assert_eq!(made.len(), 1);
}

#[test]
fn keys_and_passwords_stand_in_no_row() {
    let site = site();
    let made = rows(&site, || {
        site.create(
            "ApiUser",
            json!({"firstname": "x", "salted_password": "s3cret"}),
            "ada",
        )
        .unwrap();
        let fields = json!({"login": "new", "password_proxy": "s3cret"});
        site.create("HumanUser", fields, "ada").unwrap();
    });
    assert!(made.len() > 2);
    assert!(!json!(made).to_string().contains("s3cret"));
    assert_eq!(site.key("x").as_deref(), Some("s3cret"));
    for (kind, field) in [
        ("ApiUser", "salted_password"),
        ("HumanUser", "password_proxy"),
    ] {
        for row in site.find(kind, &json!([]), &[field]).unwrap() {
            assert_eq!(row[field], "*******");
        }
    }
}

#[test]
fn session_and_sudo_are_on_record() {
    let site = site();
    let auth = json!({
        "script_name": "slated", "script_key": site.key("slated").unwrap(),
        "session_uuid": "5a1d49b0-0c69-11e0-a24c-003048d17544", "sudo_as_login": "carla",
    });
    let args = json!({"type": "Shot", "id": 1,
                      "fields": [{"field_name": "description", "value": "as carla"}]});
    let made = rows(&site, || {
        let body = json!({"method_name": "update", "params": [auth, args]});
        site.answer(body.to_string().as_bytes());
    });
    assert_eq!(made.len(), 1);
    assert_eq!(
        made[0]["session_uuid"],
        "5a1d49b0-0c69-11e0-a24c-003048d17544"
    );
    assert_eq!(made[0]["user"]["name"], "Carla Nunes");
    assert_eq!(made[0]["meta"]["sudo_actual_user"]["type"], "ApiUser");
}

#[test]
fn custom_events_can_be_made_but_not_changed() {
    let site = site();
    let id = site
        .create(
            "EventLogEntry",
            json!({"project": {"type": "Project", "id": 1}}),
            "slated",
        )
        .unwrap();
    let row = site
        .find_one("EventLogEntry", &json!([["id", "is", id]]), &FIELDS)
        .unwrap()
        .unwrap();
    assert_eq!(row["description"], "New Event");
    assert_eq!(row["user"]["name"], "slated");
    assert_eq!(
        site.update("EventLogEntry", id, json!({}), "slated")
            .unwrap_err()
            .code,
        104
    );
    assert_eq!(
        site.retire("EventLogEntry", id, "slated").unwrap_err().code,
        104
    );
}

#[test]
fn nonsense_is_refused_and_changes_nothing() {
    let site = site();
    let next = site.next_event_id();
    for fields in [
        json!({"no_such": 1}),
        json!({"code": 7}),
        json!({"sg_status_list": "nonsense"}),
        json!({"sg_sequence": {"type": "Asset", "id": 1}}),
        json!({"sg_sequence": {"type": "Sequence", "id": 999}}),
        json!({"tasks": "all"}),
        json!({"sg_cut_in": 1.5}),
        json!({"id": 7}),
        json!([]),
    ] {
        let refusal = site.create("Shot", fields.clone(), "mira").unwrap_err();
        assert_eq!(refusal.code, 103, "{fields}");
        site.update("Shot", 1, fields, "mira").unwrap_err();
    }
    site.create("NoSuchType", json!({}), "mira").unwrap_err();
    site.update("Shot", 999, json!({}), "mira").unwrap_err();
    assert_eq!(
        site.create("Shot", json!({}), "nobody").unwrap_err().code,
        102
    );
    assert_eq!(site.next_event_id(), next);
}
