//! This reader and writer against CPython's: what either writes, the other reads.
//!
//! One process of Python does them all. `SLATED_PICKLE_CASES` says how many (30), and
//! `SLATED_TEST_PYTHON` with which Python.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use fastrand::Rng;
use jiff::civil::date;
use serde_json::{Value, json};
use slated_model::{EventId, PluginId};

use super::super::{EventIdFile, OldPlugin, Reason};

/// Any; a failure names the case.
const SEED: u64 = 7;

/// A state, with folders as they are spelled; `None` for an older daemon's plain number.
type State = BTreeMap<String, BTreeMap<String, (Option<u64>, Option<BTreeSet<u64>>)>>;

#[test]
fn either_reads_what_the_other_writes() {
    let cases = std::env::var("SLATED_PICKLE_CASES").map_or(30, |n| n.parse().unwrap());
    let mut rng = Rng::with_seed(SEED);
    let mut cases: Vec<State> = (0..cases).map(|_| state(&mut rng)).collect();
    cases.push(State::new());
    let expires = date(2026, 11, 25).at(0, 4, 59, 0);
    let questions: Vec<Value> = cases
        .iter()
        .map(|case| {
            let folders: Vec<String> = case.keys().cloned().collect();
            let pickle = EventIdFile::to_pickle(&plugins(case), &folders, expires);
            json!({ "state": as_json(case), "pickle": hex(&pickle) })
        })
        .collect();

    let mut read = 0;
    for (n, (case, answer)) in cases.iter().zip(python(&questions)).enumerate() {
        let wanted = Ok(EventIdFile::Plugins(plugins(case)));
        for (way, written) in answer["written"].as_object().unwrap() {
            let bytes = bytes(written);
            assert_eq!(EventIdFile::parse(&bytes), wanted, "case {n}, {way}");
            read += 1;
        }
        // A folder without plugins has nothing to say, and is not written.
        let mut told: State = case.clone();
        told.retain(|_, stems| !stems.is_empty());
        for (_, missing) in told.values_mut().flat_map(BTreeMap::values_mut) {
            missing.get_or_insert_default();
        }
        assert_eq!(answer["loaded"], as_json(&told), "case {n}, written here");
        let any = told.values().flat_map(BTreeMap::values);
        let any = any.flat_map(|(_, missing)| missing).flatten().count() > 0;
        let moments = if any {
            &["2026-11-25T00:04:59"][..]
        } else {
            &[]
        };
        assert_eq!(answer["expires"], json!(moments), "case {n}");
        assert_eq!(
            EventIdFile::parse(&bytes(&answer["again"])),
            wanted,
            "case {n}, loaded there and written again"
        );
        let ours = bytes(&questions[n]["pickle"]);
        assert_eq!(EventIdFile::parse(&ours), wanted, "case {n}, read again");
    }
    assert!(
        read >= 42 * cases.len(),
        "{read} pickles of {}",
        cases.len()
    );
}

#[test]
fn no_part_of_a_pickle_is_taken_for_the_whole() {
    let mut rng = Rng::with_seed(SEED);
    let small = |rng: &mut Rng| loop {
        let state = state(rng);
        let ids = state.values().flat_map(BTreeMap::values);
        let ids = ids.map(|(_, missing)| missing.iter().flatten().count());
        if (2..20).contains(&ids.sum::<usize>()) {
            return state;
        }
    };
    let cases = [small(&mut rng), small(&mut rng)];
    let pickle = hex(&EventIdFile::to_pickle(
        &[],
        &[],
        date(2026, 1, 1).at(0, 0, 0, 0),
    ));
    let questions = cases
        .iter()
        .map(|case| json!({ "state": as_json(case), "pickle": pickle }));
    let answers = python(&questions.collect::<Vec<_>>());
    let mut shown = 0;
    for (case, answer) in cases.iter().zip(answers) {
        let truth: BTreeMap<_, _> = plugins(case)
            .into_iter()
            .map(|plugin| (plugin.plugin, plugin.last))
            .collect();
        let pickles = answer["written"].as_object().unwrap().iter();
        for (way, written) in pickles {
            let whole = bytes(written);
            for end in 0..whole.len() {
                let unusable = EventIdFile::parse(&whole[..end]).unwrap_err();
                let wanted = if end == 0 {
                    Reason::Empty
                } else {
                    Reason::CutOff
                };
                assert_eq!(unusable.why, wanted, "{way}, {end} of {}", whole.len());
                for plugin in &unusable.readable {
                    assert_eq!(
                        truth.get(&plugin.plugin),
                        Some(&plugin.last),
                        "{way}, {end}"
                    );
                }
                shown += unusable.readable.len();
                if end + 1 == whole.len() {
                    assert_eq!(unusable.readable.len(), truth.len(), "{way}");
                }
            }
        }
    }
    assert!(shown > 1_000, "{shown}");
}

fn plugins(state: &State) -> Vec<OldPlugin> {
    let mut plugins: Vec<_> = state
        .iter()
        .flat_map(|(folder, stems)| stems.iter().map(move |(stem, at)| (folder, stem, at)))
        .map(|(folder, stem, (last, missing))| OldPlugin {
            plugin: PluginId::new(folder.as_str(), stem.as_str()),
            last: last.map(EventId),
            missing: missing.iter().flatten().copied().map(EventId).collect(),
        })
        .collect();
    plugins.sort_by(|a, b| a.plugin.cmp(&b.plugin));
    plugins
}

fn as_json(state: &State) -> Value {
    let position = |(last, missing): &(Option<u64>, Option<BTreeSet<u64>>)| match missing {
        Some(missing) => json!([last, missing]),
        None => json!(last),
    };
    let stems = |stems: &BTreeMap<String, _>| -> Value {
        let stems = stems.iter().map(|(stem, at)| (stem.clone(), position(at)));
        Value::Object(stems.collect())
    };
    let folders = state
        .iter()
        .map(|(folder, plugins)| (folder.clone(), stems(plugins)));
    Value::Object(folders.collect())
}

fn python(questions: &[Value]) -> Vec<Value> {
    let program = std::env::var("SLATED_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut python = Command::new(&program)
        .args(["-I", "-c", include_str!("pickles.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let mut stdin = python.stdin.take().unwrap();
    // It reads everything before it writes anything.
    let text = json!(questions).to_string();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), questions.len());
    answers
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap();
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap();
    let (pairs, []) = hex.as_str().unwrap().as_bytes().as_chunks() else {
        panic!("half a byte");
    };
    pairs
        .iter()
        .map(|[high, low]| digit(*high) << 4 | digit(*low))
        .collect()
}

const FOLDERS: &[&str] = &[
    "/srv/plugins",
    "/srv/plugins two/",
    "plugins",
    "/",
    "C:\\shotgun\\plugins",
    "/mnt/p\u{eb}/\u{43f}\u{43b}\u{430}\u{433}/\u{65e5}",
    "/srv/\u{1f3ac}",
    "/odd/'quoted\" \\u0041\\",
];
const STEMS: &[&str] = &[
    "notes",
    "shotgun_AS_T ",
    "a-b.c",
    "\u{e9}t\u{e9}",
    "\u{1f3ac} take",
    "datetime",
    "it's \"so\"",
    "line\nbreak\tand\rreturn\u{1a}\u{0}",
    "\\x41\\U00000041",
    "L",
    ".",
];

fn state(rng: &mut Rng) -> State {
    let mut state = State::new();
    for _ in 0..rng.usize(1..4) {
        let stems = state.entry(choose(rng, FOLDERS)).or_default();
        for _ in 0..rng.usize(..6) {
            let long = "x".repeat(rng.usize(200..400));
            let stem = if rng.u8(..20) == 0 {
                long
            } else {
                choose(rng, STEMS)
            };
            let last = id(rng);
            let count = match rng.u8(..50) {
                0..25 => 0,
                25..49 => rng.usize(..20),
                // More than one batch, and than one byte of memo.
                _ => rng.usize(1_000..1_300),
            };
            let missing = (0..count).map(|_| id(rng)).collect();
            let position = match rng.u8(..8) {
                0 => (None, Some(missing)),
                1 => (Some(last), None),
                _ => (Some(last), Some(missing)),
            };
            stems.insert(stem, position);
        }
    }
    state
}

fn id(rng: &mut Rng) -> u64 {
    let bits = *rng
        .choice(&[1, 7, 8, 9, 15, 16, 17, 30, 31, 32, 33, 40, 62, 63])
        .unwrap();
    rng.u64(..1 << bits)
}

fn choose(rng: &mut Rng, from: &[&str]) -> String {
    from[rng.usize(..from.len())].to_owned()
}
