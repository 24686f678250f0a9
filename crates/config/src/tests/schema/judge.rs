//! As much of JSON schema as the file uses, so that a test can say what an editor would.

use regex_automata::dfa::Automaton as _;
use regex_automata::dfa::dense::DFA;
use regex_automata::{Anchored, Input};
use serde_json::Value;

/// Every word of JSON schema that is known here.
const KNOWN: &[&str] = &[
    "$schema",
    "title",
    "description",
    "default",
    "definitions",
    "$ref",
    "type",
    "enum",
    "pattern",
    "minLength",
    "minimum",
    "maximum",
    "items",
    "minItems",
    "properties",
    "required",
    "additionalProperties",
    "anyOf",
];

/// Returns what is wrong with a value, each with its place.
pub(super) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    judge(schema, schema, value, "", &mut faults);
    faults
}

fn judge(root: &Value, of: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let of = of.as_object().unwrap();
    for word in of.keys() {
        assert!(KNOWN.contains(&word.as_str()), "{word} at {at}");
    }
    let mut wrong = |what: &str| faults.push(format!("{at}: {what}"));
    if let Some(to) = of.get("$ref").and_then(Value::as_str) {
        let to = root.pointer(to.trim_start_matches('#')).unwrap();
        return judge(root, to, value, at, faults);
    }
    if let Some(all) = of.get("anyOf").and_then(Value::as_array) {
        let fits = |one: &Value| {
            let mut own = Vec::new();
            judge(root, one, value, at, &mut own);
            own.is_empty()
        };
        if !all.iter().any(fits) {
            wrong("none of those");
        }
        return;
    }
    let kind = match value {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Null => "null",
    };
    if of["type"] != kind {
        return wrong(&format!("{kind}, not {}", of["type"]));
    }
    if let Some(words) = of.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        wrong("another word");
    }
    if let (Some(pattern), Some(text)) = (of.get("pattern"), value.as_str())
        && !is_match(pattern.as_str().unwrap(), text)
    {
        wrong("another form");
    }
    if let (Some(least), Some(text)) = (of.get("minLength"), value.as_str())
        && (text.chars().count() as u64) < least.as_u64().unwrap()
    {
        wrong("too short");
    }
    if let Some(number) = value.as_i64() {
        if of
            .get("minimum")
            .is_some_and(|least| number < least.as_i64().unwrap())
        {
            wrong("too small");
        }
        if of
            .get("maximum")
            .is_some_and(|most| number > most.as_i64().unwrap())
        {
            wrong("too large");
        }
    }
    if let Some(list) = value.as_array() {
        if of
            .get("minItems")
            .is_some_and(|least| (list.len() as u64) < least.as_u64().unwrap())
        {
            wrong("too few");
        }
        for (n, one) in list.iter().enumerate() {
            judge(root, &of["items"], one, &format!("{at}[{n}]"), faults);
        }
    }
    if let Some(table) = value.as_object() {
        let known = of.get("properties").and_then(Value::as_object);
        let required = of.get("required").and_then(Value::as_array);
        for key in required.into_iter().flatten() {
            if !table.contains_key(key.as_str().unwrap()) {
                faults.push(format!("{at}: no {key}"));
            }
        }
        for (key, one) in table {
            let place = format!("{at}.{key}");
            match (
                known.and_then(|known| known.get(key)),
                &of["additionalProperties"],
            ) {
                (Some(own), _) => judge(root, own, one, &place, faults),
                (None, Value::Bool(false)) => faults.push(format!("{place}: unknown")),
                (None, other) => judge(root, other, one, &place, faults),
            }
        }
    }
}

fn is_match(pattern: &str, text: &str) -> bool {
    let dfa = DFA::new(pattern).unwrap();
    let input = Input::new(text).anchored(Anchored::Yes);
    dfa.try_search_fwd(&input).unwrap().is_some()
}
