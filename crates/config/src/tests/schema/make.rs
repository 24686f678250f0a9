//! The schema from what the reader says of each key, and from the comments of the reference.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::{REFERENCE, parse};
use super::as_json;

/// A duration, as the reader takes it.
const DURATION: &str = r"([0-9][0-9_]*(\.[0-9_]{1,9})? *(ms|s|m|h|d|w) *)+";

/// Asks the reader for one key; returns what it says against the value.
pub(super) fn takes(path: &str, value: &str) -> Option<String> {
    let (section, key) = path.split_once('.').unwrap();
    let text = match path {
        "site.url" => format!("[site]\nurl = {value}\n"),
        _ if section == "site" => format!("[site]\nurl = 'https://s'\n{key} = {value}\n"),
        _ => format!("[site]\nurl = 'https://s'\n[{section}]\n{key} = {value}\n"),
    };
    let wrong = parse(&text).err()?;
    // What two keys say together is no matter of one.
    let own = wrong
        .iter()
        .find(|one| one.key == path && !one.message.contains("needs"))?;
    let hint = own.hint.as_deref().unwrap_or_default();
    Some(format!("{} ({hint})", own.message))
}

/// Makes the schema.
pub(super) fn make() -> Value {
    let mut sections = Map::new();
    let told = comments();
    let defaults = as_json(REFERENCE);
    for (section, keys) in defaults.as_object().unwrap() {
        let mut properties = Map::new();
        for (key, default) in keys.as_object().unwrap() {
            let path = format!("{section}.{key}");
            let mut of = shape(&path);
            of["description"] = json!(told.get(&path).cloned().unwrap_or_default());
            if path != "site.url" {
                of["default"] = default.clone();
            }
            properties.insert(key.clone(), of);
        }
        sections.insert(section.clone(), table(&properties));
    }
    sections["site"]["required"] = json!(["url"]);
    let mut settings = sections["defaults"].clone();
    for of in settings["properties"].as_object_mut().unwrap().values_mut() {
        // Left out, it is as in the section above.
        of.as_object_mut().unwrap().remove("default");
    }
    let mut folder = settings.clone();
    folder["properties"]["path"] = json!({
        "type": "string", "minLength": 1, "description": "Where the folder is.",
    });
    folder["required"] = json!(["path"]);
    let named = |of: &str| {
        json!({
            "type": "object",
            "description": of,
            "additionalProperties": {"$ref": "#/definitions/settings"},
        })
    };
    sections.insert(
        "folder".into(),
        named(
            "Keys of [defaults] for the plugins of one folder, by its path as in plugins.folders.",
        ),
    );
    sections.insert(
        "plugin".into(),
        named("Keys of [defaults] for one plugin, by its name: NAME, or FOLDER/NAME."),
    );
    let mut schema = table(&sections);
    schema["required"] = json!(["site"]);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("slated.toml");
    schema["definitions"] = json!({"settings": settings, "folder": folder, "secret": secret()});
    schema
}

fn table(properties: &Map<String, Value>) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn secret() -> Value {
    let one = |key: &str, of: Value| {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": [key],
            "properties": {key: of},
        })
    };
    let text = json!({"type": "string", "minLength": 1});
    json!({"anyOf": [
        {"type": "string"},
        one("env", text.clone()),
        one("file", text),
        one("command", json!({"type": "array", "minItems": 1, "items": {"type": "string"}})),
    ]})
}

/// Returns what a key takes, by its reader's own word.
fn shape(path: &str) -> Value {
    // No key takes it: each says what instead.
    let why = takes(path, "-9223372036854775808").unwrap();
    let off = takes(path, "''").is_none();
    let pattern = |of: &str| {
        let maybe = if off { "?" } else { "" };
        json!({"type": "string", "pattern": format!("^({of}){maybe}$")})
    };
    let (_, takes_what) = why.split_once("takes ").unwrap();
    let (takes_what, hint) = takes_what
        .split_once(", not ")
        .unwrap_or((takes_what, &why));
    if takes_what.contains("{ env = ") {
        return json!({"$ref": "#/definitions/secret"});
    }
    if let Some(bounds) = takes_what.strip_prefix("a whole number from ") {
        let (least, most) = match bounds.split_once(" to ") {
            Some((least, most)) => (least, Some(most)),
            None => (bounds, None),
        };
        let mut of = json!({"type": "integer", "minimum": least.parse::<i64>().unwrap()});
        if let Some(most) = most {
            of["maximum"] = json!(most.parse::<i64>().unwrap());
        }
        return of;
    }
    match takes_what {
        "true or false" => json!({"type": "boolean"}),
        "a table of strings" => {
            json!({"type": "object", "additionalProperties": {"type": "string"}})
        }
        what if what.starts_with("a list ") => {
            let text = json!({"type": "string"});
            let of = if takes(path, "[{ path = 'x' }]").is_none() {
                json!({"anyOf": [text, {"$ref": "#/definitions/folder"}]})
            } else {
                text
            };
            json!({"type": "array", "items": of})
        }
        what if what.starts_with("a duration ") => {
            let word = if hint.contains("forever") {
                "forever|"
            } else {
                ""
            };
            pattern(&format!("{word} *{DURATION}"))
        }
        what if what.starts_with("a size ") => {
            pattern(r" *[0-9][0-9_]*(\.[0-9_]{1,9})? *(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB) *")
        }
        what if what.starts_with("an octal mode ") => pattern(" *(0o)?0*[0-7]{1,3} *"),
        what if what.contains("\"id:N\"") => {
            pattern(&format!(r"now|id:\+?[0-9]+|ago: *{DURATION}"))
        }
        what if what.starts_with('"') => {
            let words: Vec<_> = what
                .split(" or ")
                .map(|word| word.trim_matches('"'))
                .collect();
            json!({"type": "string", "enum": words})
        }
        _ if off => json!({"type": "string"}),
        _ => json!({"type": "string", "minLength": 1}),
    }
}

/// Returns what the reference says in front of each key, or of the ones right above it.
fn comments() -> BTreeMap<String, String> {
    let (mut section, mut told, mut all) = (String::new(), Vec::new(), BTreeMap::new());
    let mut open = false;
    for line in REFERENCE.lines() {
        if let Some(comment) = line.strip_prefix('#') {
            if !open {
                told.clear();
            }
            open = true;
            told.push(comment.trim());
        } else if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            (open, told) = (false, Vec::new());
        } else if let Some((key, _)) = line.split_once(" = ") {
            open = false;
            all.insert(format!("{section}.{key}"), told.join(" "));
        } else {
            (open, told) = (false, Vec::new());
        }
    }
    all
}
