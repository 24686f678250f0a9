//! The rules one by one; the numbers are those of docs/compatibility.md.

use serde_json::json;

use crate::reference::ask;

/// An event's type and its attribute, `-` for none, and whether it is wanted.
type Wanted<'a> = (&'a str, &'a str, bool);

/// Takes filters as Python writes them, each with events and whether they are wanted. No
/// events: the filter is refused.
fn check(table: &[(&str, &[Wanted])]) {
    let mut input = Vec::new();
    for (filter, events) in table {
        let attribute = |at: &str| (at != "-").then(|| at.to_owned());
        let events: Vec<_> = events.iter().map(|(t, a, _)| (t, attribute(a))).collect();
        input.push(json!({"filter": filter, "events": events}).to_string());
    }
    let told = ask(&["given"], &input.join("\n"));
    assert_eq!(told.len(), table.len());
    for (one, (filter, events)) in told.iter().zip(table) {
        assert_eq!(&one.filter, filter);
        one.check();
        assert_eq!(one.refused, events.is_empty(), "{filter}");
        // The reference is judged, too: by the table.
        let said: Vec<_> = one.events.iter().map(|(.., wanted)| *wanted).collect();
        let wanted: Vec<_> = events.iter().map(|(.., wanted)| *wanted).collect();
        assert_eq!(said, wanted, "{filter}");
    }
}

const NEW: &str = "Shotgun_Version_New";
const CHANGE: &str = "Shotgun_Task_Change";

#[test]
fn compat_1_1_nothing_is_every_event_and_none_or_a_star_any_attribute() {
    for nothing in ["None", "{}", "[]", "()", "''"] {
        check(&[(nothing, &[(NEW, "-", true), (CHANGE, "code", true)])]);
    }
    let one: &[_] = &[
        (CHANGE, "code", true),
        (CHANGE, "-", true),
        (NEW, "-", false),
    ];
    check(&[
        ("{'Shotgun_Task_Change': None}", one),
        ("{'Shotgun_Task_Change': ['*']}", one),
        ("{'Shotgun_Task_Change': ('x', '*')}", one),
        ("{'Shotgun_Task_Change': '*'}", one),
        ("{'Shotgun_Task_Change': 'sg_*'}", one),
    ]);
}

#[test]
fn compat_1_2_a_value_is_anything_that_holds_names_and_a_string_holds_parts() {
    let holds: &[_] = &[
        (CHANGE, "code", true),
        (CHANGE, "cod", false),
        (CHANGE, "-", false),
        (CHANGE, "", false),
    ];
    check(&[
        ("{'Shotgun_Task_Change': ['code', 'image']}", holds),
        ("{'Shotgun_Task_Change': ('code',)}", holds),
        ("{'Shotgun_Task_Change': {'code'}}", holds),
        ("{'Shotgun_Task_Change': {'code': 1}}", holds),
        (
            "{'Shotgun_Task_Change': 'sg_status_list'}",
            &[
                (CHANGE, "sg_status_list", true),
                (CHANGE, "status", true),
                (CHANGE, "sg_status_list_2", false),
                (CHANGE, "", false),
                (CHANGE, "-", false),
            ],
        ),
        // What stands in the text, and not the other way round.
        (
            "{'Shotgun_Task_Change': 'status'}",
            &[(CHANGE, "sg_status_list", false), (CHANGE, "stat", true)],
        ),
    ]);
}

#[test]
fn compat_1_3_a_star_as_key_makes_the_others_ignored() {
    check(&[
        (
            "{'*': ['x'], 'Shotgun_Version_New': None}",
            &[(NEW, "-", false), (NEW, "x", true), (CHANGE, "x", true)],
        ),
        (
            "{'*': None, 'Shotgun_Version_New': []}",
            &[(NEW, "-", true), (CHANGE, "x", true)],
        ),
    ]);
}

#[test]
fn compat_1_4_an_empty_list_never_matches_and_keys_know_no_globs() {
    check(&[
        ("{'Shotgun_Version_New': []}", &[(NEW, "-", false)]),
        ("{'Shotgun_Version_New': ['*']}", &[(NEW, "-", true)]),
        ("{'Shotgun_Version_New': None}", &[(NEW, "-", true)]),
        (
            "{'Shotgun_*_Change': None}",
            &[(CHANGE, "-", false), ("Shotgun_*_Change", "-", true)],
        ),
    ]);
}

#[test]
fn compat_1_5_what_holds_no_types_or_names_is_refused() {
    for wrong in [
        "['Shotgun_Task_Change']",
        "'Shotgun_Task_Change'",
        "('Shotgun_Task_Change',)",
        "{'Shotgun_Task_Change': 5}",
        "{'Shotgun_Task_Change': True}",
        "{'Shotgun_Task_Change': b'code'}",
    ] {
        check(&[(wrong, &[])]);
    }
}
