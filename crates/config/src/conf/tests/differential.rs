//! This reader against CPython's: the same files, the same answers.
//!
//! One process of Python reads them all. `SLATED_CONF_CASES` says how many (400), and
//! `SLATED_TEST_PYTHON` with which Python.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fastrand::Rng;
use serde_json::{Value, json};

use crate::Environment;
use crate::conf::ini::{FaultKind, Ini, is_space};
use crate::conf::value::{Unreadable, boolean, expand, int};

/// Any; a failure names the case.
const SEED: u64 = 20;

struct Case {
    text: String,
    env: BTreeMap<String, String>,
    /// A header with two `]`: before Python 3.10 the first one ended it, now the last does.
    has_odd_header: bool,
}

#[test]
fn files_read_as_in_python() {
    let cases = std::env::var("SLATED_CONF_CASES").map_or(400, |n| n.parse().unwrap());
    let mut rng = Rng::with_seed(SEED);
    let cases: Vec<_> = (0..cases).map(|_| case(&mut rng)).collect();
    let python = python(&cases);
    let version: Vec<u64> = serde_json::from_value(python["version"].clone()).unwrap();
    let answers = python["answers"].as_array().unwrap();
    assert_eq!(answers.len(), cases.len());

    let mut seen = BTreeMap::<String, usize>::new();
    for (n, (case, theirs)) in cases.iter().zip(answers).enumerate() {
        if case.has_odd_header && version < vec![3, 10] {
            continue;
        }
        let ours = ours(case);
        assert_eq!(
            &ours, theirs,
            "case {n}, left ours, right Python {version:?}:\n{}\n{:?}\nenvironment {:?}",
            case.text, case.text, case.env
        );
        count(&ours, &mut seen);
    }
    // A comparison of nothing but errors, or of none, would say little.
    for (what, least) in [
        ("file", 3),
        ("value", 2),
        ("int", 40),
        ("boolean", 40),
        ("ParsingError", 40),
        ("DuplicateOptionError", 40),
        ("DuplicateSectionError", 100),
        ("MissingSectionHeaderError", 40),
        ("InterpolationSyntaxError", 20),
        ("InterpolationMissingOptionError", 20),
        ("InterpolationDepthError", 40),
    ] {
        let found = seen.get(what).copied().unwrap_or_default();
        assert!(found >= cases.len() / least, "{what}: {seen:?}");
    }
}

/// Counts what an answer has shown.
fn count(answer: &Value, seen: &mut BTreeMap<String, usize>) {
    let mut saw = |what: &str| *seen.entry(what.to_owned()).or_default() += 1;
    let Some(sections) = answer["sections"].as_object() else {
        return saw(answer["error"].as_str().unwrap());
    };
    saw("file");
    for value in sections
        .values()
        .flat_map(|s| s.as_object().unwrap().values())
    {
        match value["text"]["error"].as_str() {
            Some(error) => saw(error),
            None => saw("value"),
        }
        for kind in ["int", "boolean"] {
            if !value[kind]["is"].is_null() {
                saw(kind);
            }
        }
    }
}

fn python(cases: &[Case]) -> Value {
    let program = std::env::var("SLATED_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut python = Command::new(&program)
        .args(["-I", "-c", include_str!("configparser.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let case = |case: &Case| json!({ "text": case.text, "env": case.env });
    let text = json!(cases.iter().map(case).collect::<Vec<_>>()).to_string();
    let mut stdin = python.stdin.take().unwrap();
    // It reads everything before it writes anything.
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Answers a case as `configparser.py` does.
fn ours(case: &Case) -> Value {
    let ini = match Ini::read(&case.text) {
        Ok(ini) => ini,
        // Python stops at the first of the grave ones, and tells of the others at the end.
        Err(faults) => {
            let names = faults.iter().filter_map(|fault| match fault.kind {
                FaultKind::ByteOrderMark | FaultKind::BeforeSections => {
                    Some("MissingSectionHeaderError")
                }
                FaultKind::SectionTwice { .. } => Some("DuplicateSectionError"),
                FaultKind::KeyTwice { .. } => Some("DuplicateOptionError"),
                FaultKind::NoDelimiter | FaultKind::NoKey => None,
            });
            let name = names.into_iter().next().unwrap_or("ParsingError");
            return json!({ "error": name });
        }
    };
    let mut sections = BTreeMap::new();
    for (name, section) in &ini.sections {
        // Python cannot tell a variable from a key of [DEFAULT].
        let is_variable = |key: &&String| case.env.keys().any(|name| name.to_lowercase() == **key);
        let shared = ini.defaults.keys().filter(|key| !is_variable(key));
        let keys: BTreeSet<_> = section.entries.keys().chain(shared).collect();
        let value = |key: &String| {
            let raw = &ini.get(name, key).unwrap().raw;
            let text = match expand(&ini, &Variables(&case.env), name, raw) {
                Ok(expanded) => Ok(expanded.text),
                Err(Unreadable::Percent { .. }) => Err("InterpolationSyntaxError"),
                Err(Unreadable::Missing { .. }) => Err("InterpolationMissingOptionError"),
                Err(Unreadable::Depth) => Err("InterpolationDepthError"),
                Err(other) => panic!("{other}"),
            };
            let as_kind = |read: &dyn Fn(&str) -> Option<Value>| match &text {
                Ok(text) => match read(text) {
                    Some(value) => json!({ "is": value }),
                    None => json!({ "error": "ValueError" }),
                },
                Err(error) => json!({ "error": error }),
            };
            json!({
                "raw": raw,
                "text": as_kind(&|text| Some(json!(text))),
                "int": as_kind(&|text| int(text).map(|n| json!(n.to_string()))),
                "boolean": as_kind(&|text| boolean(text).map(|b| json!(b))),
            })
        };
        let values: BTreeMap<_, _> = keys.into_iter().map(|key| (key, value(key))).collect();
        sections.insert(name, values);
    }
    json!({ "sections": sections })
}

/// Nothing but variables.
struct Variables<'a>(&'a BTreeMap<String, String>);

impl Environment for Variables<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
    fn named(&self, name: &str) -> Vec<(String, String)> {
        let all = self.0.iter();
        all.filter(|(own, _)| own.to_lowercase() == name.to_lowercase())
            .map(|(own, value)| (own.clone(), value.clone()))
            .collect()
    }
    fn exists(&self, _: &Path) -> bool {
        false
    }
    fn program(&self) -> Option<PathBuf> {
        None
    }
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("no files".into())
    }
    fn mode(&self, _: &Path) -> Option<u32> {
        None
    }
    fn run(&self, _: &[String]) -> Result<String, String> {
        Err("no programs".into())
    }
}

const SECTIONS: &[&str] = &[
    "daemon",
    "Daemon",
    "a b",
    " s ",
    "DEFAULT",
    "ünï",
    "x:y",
    "#no",
    "default",
    "slated plugin n",
];
const KEYS: &[&str] = &[
    "a",
    "B",
    "c",
    "Key",
    "KEY2",
    "two words",
    "[k",
    "k]",
    "x.y",
    "ÄÖ",
    "İx",
    "ΟΔΟΣ",
    "-",
    "%",
    "d1",
    "d2",
    "d3",
    "d4",
    "d5",
    "d6",
    "d7",
    "d8",
    "d9",
    "d10",
    "d11",
    "d12",
];
const NAMES: &[&str] = &[
    "a",
    "b",
    "B",
    "c",
    "key",
    "KEY",
    "two words",
    "x.y",
    "äö",
    "d1",
    "d2",
    "ENV",
    "env",
    "Env_Two",
    "PER_CENT",
    "nowhere",
    "%",
];
const SPACES: &[&str] = &[
    "", "", "", " ", "  ", "\t", "\u{a0}", "\u{1c}", "\u{b}", "\u{2003}",
];
const WORDS: &[&str] = &[
    "",
    "x",
    "word",
    "1",
    "0",
    "on",
    "Off",
    "TRUE",
    "yes",
    "nö",
    "1_000",
    "+5",
    "-7",
    "007",
    "_1",
    "1_",
    "1__0",
    "+ 5",
    "--1",
    "9223372036854775807",
    "-9223372036854775808",
    "1.0",
    "0x10",
    "%%",
    "100%%",
    "a ; b",
    "a # b",
    "; c",
    "# c",
    "a=b",
    "a: b",
    "[s]",
    "é",
    "\"q\"",
    "a\u{85}b",
    "a\u{2028}b",
    "\u{200b}",
    "%%(a)s",
    "\u{1f}1",
    "1\u{1f}",
];
const BROKEN: &[&str] = &[
    "%", "%(", "%(a", "%(a)", "%(a)d", "%()s", "100%", "% (a)s", "%%%", "%s",
];
const COMMENTS: &[&str] = &["#", "# c", ";x", "#k: v", "; [s]"];
/// What breaks a whole file.
const GRAVE: &[&str] = &["word", "[]", "[open", ": v", "= v", "k", "]", "%(a)s", "@"];

/// Makes a file: most are read, some break in one place, some are all odd.
fn case(rng: &mut Rng) -> Case {
    let wild = rng.u8(..10) == 0;
    let grave = rng.u8(..5) == 0;
    let end = choose(rng, &["\n", "\n", "\n", "\r\n", "\r"]);
    let mut text = String::new();
    if rng.u8(..50) == 0 {
        text.push('\u{feff}');
    }
    let mut sections = SECTIONS.to_vec();
    rng.shuffle(&mut sections);
    for _ in 0..rng.usize(..3) {
        quiet(rng, end, &mut text);
    }
    if rng.u8(..25) == 0 {
        write!(text, "k: v{end}").unwrap();
    }
    for tidy in sections.iter().take(rng.usize(1..4)) {
        let name = if wild { choose(rng, SECTIONS) } else { tidy };
        let tail = choose(rng, &["", "", "", " ; t", " x"]);
        // One that closes again makes a longer name.
        let tail = if rng.u8(..40) == 0 { "y]" } else { tail };
        write!(text, "[{name}]{tail}{end}").unwrap();
        if rng.u8(..8) == 0 {
            chain(rng, end, &mut text);
        }
        let mut keys = KEYS[..14].to_vec();
        rng.shuffle(&mut keys);
        let mut indent = "";
        for tidy in keys.iter().take(rng.usize(..6)) {
            if rng.u8(..6) == 0 {
                indent = choose(rng, SPACES);
            }
            let key = if wild { choose(rng, KEYS) } else { tidy };
            let (before, after) = (choose(rng, SPACES), choose(rng, SPACES));
            let delimiter = choose(rng, &[":", "=", ":=", "=="]);
            write!(
                text,
                "{indent}{key}{before}{delimiter}{after}{}{end}",
                value(rng)
            )
            .unwrap();
            while rng.u8(..4) == 0 {
                if rng.u8(..3) == 0 {
                    quiet(rng, end, &mut text);
                } else {
                    let deeper = choose(rng, &[" ", "\t", "    ", "\u{a0} "]);
                    write!(text, "{indent}{deeper}{}{end}", value(rng)).unwrap();
                }
            }
        }
        if grave && rng.bool() {
            write!(text, "{}{end}", choose(rng, GRAVE)).unwrap();
        }
        if rng.u8(..30) == 0 {
            write!(text, "[daemon]{end}a: 1{end}A = 2{end}").unwrap();
        }
    }
    if rng.bool() {
        text.truncate(text.trim_end_matches(end).len());
    }
    let mut env = BTreeMap::new();
    for (name, values) in [
        ("ENV", &["from outside", "", " padded ", "%(a)s"][..]),
        ("Env_Two", &["2", "%(ENV)s", "%%"]),
        ("PER_CENT", &["50%", "50%%"]),
        ("B", &["leaked"]),
        ("PORT", &["8080"]),
    ] {
        if rng.bool() {
            env.insert(name.to_owned(), choose(rng, values).to_owned());
        }
    }
    let mut lines = text
        .split(end)
        .map(|line| line.trim_start_matches(is_space));
    let has_odd_header = lines.any(|line| line.starts_with('[') && line.matches(']').count() > 1);
    Case {
        text,
        env,
        has_odd_header,
    }
}

/// A line that says nothing.
fn quiet(rng: &mut Rng, end: &str, text: &mut String) {
    let space = choose(rng, SPACES);
    let comment = if rng.bool() {
        choose(rng, COMMENTS)
    } else {
        ""
    };
    write!(text, "{space}{comment}{end}").unwrap();
}

/// Values that lead to values, up to one too many.
fn chain(rng: &mut Rng, end: &str, text: &mut String) {
    let length = rng.usize(8..13);
    for n in 1..length {
        write!(text, "d{n} = %(d{})s{end}", n + 1).unwrap();
    }
    write!(text, "d{length} = {}{end}", choose(rng, &["end", "%%"])).unwrap();
}

fn value(rng: &mut Rng) -> String {
    let mut value = String::new();
    for _ in 0..rng.usize(1..4) {
        match rng.u8(..20) {
            0..12 => value += choose(rng, WORDS),
            12..18 => write!(value, "%({})s", choose(rng, NAMES)).unwrap(),
            18 => value += choose(rng, BROKEN),
            _ => value += choose(rng, SPACES),
        }
        // Most values are one thing.
        if rng.u8(..3) > 0 {
            break;
        }
    }
    value
}

fn choose<'a, T: ?Sized>(rng: &mut Rng, from: &[&'a T]) -> &'a T {
    from[rng.usize(..from.len())]
}
