//! The JSON schema of `slated.toml`: made of the reference and of what the reader says it takes, checked
//! in as `slated.schema.json`, and held against the reader.
//!
//! Types with derived schemas would not do: the reader is written by hand and takes texts (`"1h30m"`)
//! where it keeps numbers. So each key is asked with a value that fits none, and the error says what it
//! takes. `SLATED_BLESS=1 cargo test -p slated-config schema` writes the file anew.

mod judge;
mod make;

use std::path::Path;

use serde_json::{Value, json};

use self::judge::faults;
use self::make::{make, takes};
use super::{REFERENCE, config, parse};
use crate::value::{Table, Value as Own, from_toml};

/// Returns a file as JSON, as an editor has it.
fn as_json(text: &str) -> Value {
    let Ok(table) = from_toml(text, Path::new("")) else {
        panic!("not TOML: {text}");
    };
    of_table(&table)
}

fn of_table(table: &Table) -> Value {
    let all = table.iter().map(|(key, at)| (key.clone(), of(&at.value)));
    Value::Object(all.collect())
}

fn of(value: &Own) -> Value {
    match value {
        Own::Text(text) | Own::Loose(text) => json!(text),
        Own::Place { name, .. } => json!(name),
        Own::Integer(number) => json!(number),
        Own::Boolean(flag) => json!(flag),
        Own::List(list) => list.iter().map(|one| of(&one.value)).collect(),
        Own::Table(table) => of_table(table),
        Own::Other(text) => text
            .parse::<f64>()
            .map_or_else(|_| json!(text), |n| json!(n)),
    }
}

fn schema() -> Value {
    serde_json::from_str(crate::SCHEMA).unwrap_or_default()
}

#[test]
fn the_file_is_what_is_made() {
    let made = make();
    if std::env::var_os("SLATED_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("slated.schema.json");
        let text = serde_json::to_string_pretty(&made).unwrap() + "\n";
        std::fs::write(path, text).unwrap();
        return;
    }
    assert!(
        schema() == made,
        "slated.schema.json is out of date: SLATED_BLESS=1 cargo test -p slated-config schema"
    );
}

#[test]
fn the_reference_fits_and_what_is_unknown_does_not() {
    let schema = schema();
    let fit = |text: &str| faults(&schema, &as_json(text));
    assert_eq!(fit(REFERENCE), [""; 0]);
    let sections = REFERENCE.lines().filter(|line| line.starts_with('['));
    for section in sections {
        let with = REFERENCE.replace(
            &format!("\n{section}\n"),
            &format!("\n{section}\nunheard = 1\n"),
        );
        assert_eq!(fit(&with).len(), 1, "{section}");
    }
    assert_eq!(fit(&format!("{REFERENCE}[unheard]\n")).len(), 1);
    assert_eq!(fit("unheard = 1\n[site]\nurl = 'https://s'\n").len(), 1);
    assert_eq!(fit("[site]\npage = 5\n").len(), 1, "no address");
    assert_eq!(fit("[log]\n").len(), 1, "no site");
    for part in ["[folder.\"a/b\"]", "[plugin.notes]"] {
        let with = |key: &str| format!("[site]\nurl = 'https://s'\n{part}\n{key}\n");
        assert_eq!(fit(&with("retry = 'all'\nenv = { A = '1' }")), [""; 0]);
        assert_eq!(fit(&with("retri = 'all'")).len(), 1);
        assert_eq!(fit(&with("url = 'https://s'")).len(), 1);
        assert_eq!(fit(&with("retry = 'never'")).len(), 1);
    }
    let folders = |one: &str| format!("[site]\nurl = 'https://s'\n[plugins]\nfolders = [{one}]\n");
    assert_eq!(fit(&folders("'a', { path = 'b', attempts = 2 }")), [""; 0]);
    assert!(!fit(&folders("{ attempts = 2 }")).is_empty());
    assert!(!fit(&folders("{ path = 'b', attempt = 2 }")).is_empty());
}

#[test]
fn every_key_is_described() {
    let schema = schema();
    let mut count = 0;
    for (section, of) in schema["properties"].as_object().unwrap() {
        for (key, of) in of["properties"].as_object().into_iter().flatten() {
            count += 1;
            let told = of["description"].as_str().unwrap_or_default();
            assert!(
                told.len() > 8,
                "{section}.{key}: say in reference.toml what it does"
            );
        }
    }
    assert_eq!(count, config("").origins().count());
}

/// Values of every kind, right and wrong.
const PROBES: &[&str] = &[
    "true",
    "0",
    "1",
    "2",
    "-1",
    "25",
    "5000",
    "5001",
    "65535",
    "65536",
    "70000",
    "1.5",
    "''",
    "' '",
    "'x'",
    "'human'",
    "'json'",
    "'info'",
    "'warning'",
    "'INFO'",
    "'transient'",
    "'none'",
    "'log'",
    "'dead-letter'",
    "'keep'",
    "'deactivate'",
    "'new-first'",
    "'serial'",
    "'pipelined'",
    "'forever'",
    "'2s'",
    "'1h30m'",
    "'1h 30m'",
    "'1.5s'",
    "'2'",
    "'s'",
    "'-2s'",
    "'2 weeks'",
    "'20GB'",
    "'512 MiB'",
    "'20G'",
    "'022'",
    "'0o002'",
    "'888'",
    "'now'",
    "'id:7'",
    "'id:x'",
    "'ago:2h'",
    "'ago:x'",
    "'127.0.0.1:80'",
    "'https://s.example'",
    "'s.example'",
    "'/a/b'",
    "[]",
    "['a']",
    "['a', 'b']",
    "['']",
    "[1]",
    "[['a']]",
    "[{ path = 'a' }]",
    "[{}]",
    "{}",
    "{ A = '1' }",
    "{ A = 1 }",
    "{ env = 'A' }",
    "{ env = '' }",
    "{ env = 1 }",
    "{ file = 'a' }",
    "{ command = ['a', 'b'] }",
    "{ command = [] }",
    "{ command = 'a' }",
    "{ env = 'A', file = 'a' }",
    "{ other = 'a' }",
];

/// What only the reader sees: how long, how large, whether an address is one.
const READER_ALONE: &[&str] = &[
    "takes a duration from ",
    "64 MB at least",
    "takes an address",
    "must not be empty",
    "the command is empty",
    "holds an element that must not be empty",
    "holds a folder that must not be empty",
];

#[test]
fn the_schema_and_the_reader_agree_on_every_kind_of_value() {
    let schema = schema();
    let (mut taken, mut refused) = (0, 0);
    for (path, _) in config("").origins() {
        for probe in PROBES {
            let reader = takes(path, probe);
            let (section, key) = path.split_once('.').unwrap();
            let mut file = json!({"site": {"url": "https://s"}});
            file[section][key] = as_json(&format!("v = {probe}"))["v"].clone();
            let told = faults(&schema, &file);
            match &reader {
                None => {
                    taken += 1;
                    assert!(told.is_empty(), "{path} = {probe}: {told:?}");
                }
                Some(why) if told.is_empty() => {
                    let known = READER_ALONE.iter().any(|known| why.contains(known));
                    assert!(known, "{path} = {probe} fits the schema, and: {why}");
                }
                Some(_) => refused += 1,
            }
        }
    }
    assert!(taken > 300 && refused > 2_000, "{taken} {refused}");
}

#[test]
fn what_is_written_by_migrate_fits() {
    let text = include_str!("../conf/migrate/tests/stock.toml");
    assert_eq!(faults(&schema(), &as_json(text)), [""; 0]);
    assert!(parse(text).is_ok());
}
