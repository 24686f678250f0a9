//! `matchEvents` from the plugin's Python to the daemon's matcher, against a second reading of the
//! rules in the interpreter itself: `reference.py`.
//!
//! `SLATED_TEST_PYTHON` names the Python; without it `python3` is used. `SLATED_FILTER_CASES` draws
//! more filters than CI does, `SLATED_FILTER_SEED` others.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::json;
use slated_model::{AttributeRule, Matcher};

/// Filters to draw; each is tried with ten events.
const FILTERS: usize = 400;

/// A filter, and what the reference says of it.
#[derive(Debug, Deserialize)]
struct Told {
    /// As Python writes it.
    filter: String,
    /// What the worker sends to the daemon; `None` where it refuses the registration.
    rules: Option<Matcher>,
    /// Whether it is to be refused.
    refused: bool,
    /// Type, attribute, whether it is wanted.
    events: Vec<(String, Option<String>, bool)>,
}

impl Told {
    /// Holds the daemon's answers against the reference's.
    fn check(&self) {
        assert_eq!(self.rules.is_none(), self.refused, "{self:?}");
        let Some(matcher) = &self.rules else {
            return;
        };
        for (kind, attribute, wanted) in &self.events {
            assert_eq!(
                matcher.matches(Some(kind), attribute.as_deref()),
                *wanted,
                "{} with an event {kind} of attribute {attribute:?}; on the wire: {matcher:?}",
                self.filter
            );
        }
    }
}

/// Runs the reference once; `input` is its stdin.
fn reference(arguments: &[&str], input: &str) -> Vec<Told> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("SLATED_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut child = Command::new(PathBuf::from(python))
        .arg(crate_folder.join("tests/filters/reference.py"))
        .args(arguments)
        .env("PYTHONPATH", crate_folder.join("../../python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The input fits into a pipe, and dropping it ends it.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn drawn_filters_take_what_a_reading_of_the_rules_takes() {
    let filters = std::env::var("SLATED_FILTER_CASES").map_or(FILTERS, |n| n.parse().unwrap());
    let seed = std::env::var("SLATED_FILTER_SEED").unwrap_or_else(|_| "1".into());
    let told = reference(&["draw", &seed, &filters.to_string()], "");
    assert_eq!(told.len(), filters);
    let count = |fits: &dyn Fn(&Told) -> bool| told.iter().filter(|t| fits(t)).count();
    let has = |fits: fn(&AttributeRule) -> bool| {
        count(&|t| {
            t.rules
                .iter()
                .any(|matcher| matcher.rules().values().any(fits))
        })
    };
    for one in &told {
        one.check();
    }
    // What was drawn is no desert: every kind of rule, refusals, and both answers in plenty.
    let answers = |wanted| {
        let all = told.iter().flat_map(|t| &t.events);
        all.filter(|(.., answer)| *answer == wanted).count()
    };
    let seen = [
        has(|rule| matches!(rule, AttributeRule::Any(_))),
        has(|rule| matches!(rule, AttributeRule::Attrs(_))),
        has(|rule| matches!(rule, AttributeRule::Substring(_))),
        count(&|t| t.refused),
        answers(true) / 10,
        answers(false) / 10,
    ];
    assert!(seen.iter().all(|n| *n * 50 >= filters), "{seen:?}");
}

/// Takes filters as Python writes them, each with events and whether they are wanted. An event is
/// its type and its attribute, `-` for none. No events: the filter is refused.
fn check(table: &[(&str, &[(&str, &str, bool)])]) {
    let mut input = String::new();
    for (filter, events) in table {
        let attribute = |at: &str| (at != "-").then(|| at.to_owned());
        let events: Vec<_> = events.iter().map(|(t, a, _)| (t, attribute(a))).collect();
        input += &format!("{}\n", json!({"filter": filter, "events": events}));
    }
    let told = reference(&["given"], &input);
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
