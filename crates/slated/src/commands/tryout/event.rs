//! The event that is tried: the site's, a file's, or one that flags describe.

use std::io::Read as _;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Map, Value, json};
use slated_model::{Event, EventId};
use slated_site::{FIELDS, Query};
use slated_store::Store as _;

use super::place::{NO_SITE, Place};
use crate::commands::replay::gather;
use crate::error::CommandError;

/// The id of an event that has none, and of what it is about where nobody says.
const ONE: u64 = 1;

/// Which event.
#[derive(clap::Args)]
pub(super) struct EventArgs {
    /// An event's id, a JSON file with one EventLogEntry, or - for stdin
    #[arg(long, value_name = "ID|FILE", required_unless_present = "kind")]
    event: Option<EventName>,
    /// Build an event of this type, such as Shotgun_Task_Change
    #[arg(
        id = "kind",
        long = "type",
        value_name = "TYPE",
        conflicts_with = "event"
    )]
    kind: Option<String>,
    /// The attribute that changed, such as sg_status_list
    #[arg(long, value_name = "NAME", requires = "kind", conflicts_with = "event")]
    attribute: Option<String>,
    /// What it is about, such as Task:123; without it, number 1 of what --type names
    #[arg(
        long,
        value_name = "TYPE:ID",
        requires = "kind",
        conflicts_with = "event"
    )]
    entity: Option<Link>,
    /// The id of its project
    #[arg(long, value_name = "ID", requires = "kind", conflicts_with = "event")]
    project: Option<u64>,
    /// The value before, as JSON or as plain text
    #[arg(
        long,
        value_name = "VALUE",
        requires = "attribute",
        conflicts_with = "event",
        allow_hyphen_values = true
    )]
    old: Option<String>,
    /// The value now, as JSON or as plain text
    #[arg(
        long,
        value_name = "VALUE",
        requires = "attribute",
        conflicts_with = "event",
        allow_hyphen_values = true
    )]
    new: Option<String>,
    /// Who did it: the id of a person, or ApiUser:7
    #[arg(long, value_name = "[TYPE:]ID", requires = "kind", conflicts_with = "event", value_parser = user)]
    user: Option<Link>,
}

/// An event that was found, and where.
pub(super) struct Found {
    pub(super) event: Event,
    pub(super) from: &'static str,
}

/// How a person names an event.
#[derive(Clone, Debug)]
enum EventName {
    Id(EventId),
    Stdin,
    File(PathBuf),
}

/// An entity.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    kind: String,
    id: u64,
}

impl FromStr for EventName {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match (text, text.parse()) {
            ("-", _) => Self::Stdin,
            (_, Ok(id)) => Self::Id(EventId(id)),
            _ => Self::File(text.into()),
        })
    }
}

impl FromStr for Link {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, id) = text.split_once(':').unwrap_or_default();
        let is_kind = kind.starts_with(|c: char| c.is_ascii_uppercase())
            && kind.chars().all(|c| c.is_ascii_alphanumeric());
        match id.parse() {
            Ok(id) if is_kind => Ok(Self::of(kind, id)),
            _ => Err("write type and id, such as Task:123".into()),
        }
    }
}

/// Reads a person or another user.
fn user(text: &str) -> Result<Link, String> {
    match text.parse() {
        Ok(id) => Ok(Link::of("HumanUser", id)),
        Err(_) => text.parse(),
    }
}

impl Link {
    fn of(kind: &str, id: u64) -> Self {
        Self {
            kind: kind.to_owned(),
            id,
        }
    }
    fn value(&self) -> Value {
        let Self { kind, id } = self;
        json!({"type": kind, "id": id, "name": format!("{kind} {id}")})
    }
}

impl EventArgs {
    /// Finds or builds the event.
    pub(super) async fn find(&self, place: &Place) -> Result<Found, CommandError> {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        let (text, from) = match &self.event {
            Some(EventName::Id(id)) => return by_id(place, *id).await,
            Some(EventName::Stdin) => {
                let mut text = String::new();
                let read = std::io::stdin().read_to_string(&mut text);
                read.map_err(|e| CommandError::usage(format!("stdin cannot be read: {e}")))?;
                (row(&text), "from stdin")
            }
            Some(EventName::File(path)) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    let path = path.display();
                    CommandError::usage(format!("the event cannot be read from {path}: {error}"))
                        .hint("--event takes an id, a JSON file, or - for stdin")
                })?;
                (row(&text), "from a file")
            }
            None => (
                Ok(self.build(&now.to_string()).to_string()),
                "built from flags",
            ),
        };
        let refuse = |why: String| {
            CommandError::usage(format!("this is no event: {why}")).hint(
                "one EventLogEntry as JSON is wanted, as `slated events show ID --json` prints it",
            )
        };
        let text = text.map_err(refuse)?;
        let event = Event::parse(&text).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            refuse(cause.unwrap_or_else(|| error.to_string()))
        })?;
        Ok(Found { event, from })
    }

    /// Refuses to guess what a live run is about.
    pub(super) fn refuse_guess(&self) -> Result<(), CommandError> {
        if self.kind.is_none() || self.entity.is_some() {
            return Ok(());
        }
        let error = "--live with an event of your own making: what is it about?";
        Err(CommandError::usage(error).hint("say it with --entity, such as --entity Task:123"))
    }

    /// Makes a row as the site would write it.
    fn build(&self, now: &str) -> Value {
        let kind = self.kind.as_deref().unwrap_or_default();
        let (of, verb) = kind
            .strip_prefix("Shotgun_")
            .and_then(|rest| rest.rsplit_once('_'))
            .unwrap_or_default();
        let guess = (!of.is_empty()).then(|| Link::of(of, ONE));
        let subject = self.entity.clone().or(guess);
        let mut meta = json!({});
        if let Some(subject) = &subject {
            meta = json!({"entity_type": subject.kind, "entity_id": subject.id});
        }
        match (verb, &self.attribute) {
            (_, Some(attribute)) => {
                put(
                    &mut meta,
                    json!({"type": "attribute_change", "attribute_name": attribute}),
                );
                put(
                    &mut meta,
                    change(attribute, self.old.as_deref(), self.new.as_deref()),
                );
            }
            ("New", None) => put(&mut meta, json!({"type": "new_entity"})),
            ("Retirement", None) => put(&mut meta, json!({"type": "entity_retirement"})),
            ("Revival", None) => put(&mut meta, json!({"type": "entity_revival"})),
            ("Change", None) => put(&mut meta, json!({"type": "attribute_change"})),
            _ => {}
        }
        // What is retired reads as nothing.
        let entity = subject.filter(|_| verb != "Retirement");
        let user = self
            .user
            .clone()
            .unwrap_or_else(|| Link::of("HumanUser", ONE));
        json!({
            "type": "EventLogEntry",
            "id": ONE,
            "event_type": kind,
            "attribute_name": self.attribute,
            "meta": meta,
            "entity": entity.as_ref().map(Link::value),
            "user": user.value(),
            "project": self.project.map(|id| Link::of("Project", id).value()),
            "session_uuid": null,
            "created_at": now,
        })
    }
}

/// Adds fields to an object.
fn put(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

/// Describes a change as the site's `meta` does: lists by what was added and removed.
fn change(attribute: &str, old: Option<&str>, new: Option<&str>) -> Value {
    let [old, new] = [old, new].map(|value| value.map_or(Value::Null, value_of));
    let kind = match (attribute, &old, &new) {
        (_, Value::Array(_), _) | (_, _, Value::Array(_)) => "multi_entity",
        ("sg_status_list", _, _) => "status_list",
        (_, Value::Object(_), _) | (_, _, Value::Object(_)) => "entity",
        (_, Value::Bool(_), _) | (_, _, Value::Bool(_)) => "checkbox",
        (_, Value::Number(_), _) | (_, _, Value::Number(_)) => "number",
        _ => "text",
    };
    if kind != "multi_entity" {
        return json!({"field_data_type": kind, "old_value": old, "new_value": new});
    }
    let list = |value: &Value| match value {
        Value::Array(list) => list.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let (old, new) = (list(&old), list(&new));
    let less = |these: &[Value], those: &[Value]| -> Vec<Value> {
        let left = these.iter().filter(|value| !those.contains(value));
        left.cloned().collect()
    };
    json!({"field_data_type": kind, "added": less(&new, &old), "removed": less(&old, &new)})
}

/// Reads a value: JSON where it is some, else the text.
fn value_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// Returns the row that a text holds: itself, the event of an `events show --json`, or the only one of
/// a list. Fields that are missing are null.
fn row(text: &str) -> Result<String, String> {
    let whole: Value =
        serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let inner = match &whole {
        Value::Array(list) => match list.as_slice() {
            [one] => one,
            list => return Err(format!("it is a list of {}, and one is tried", list.len())),
        },
        one => one,
    };
    let inner = match inner.get("event") {
        Some(event @ Value::Object(_)) => event,
        Some(_) => return Err("its row cannot be read".into()),
        None => inner,
    };
    let Value::Object(fields) = inner else {
        return Err("it is no object".into());
    };
    if !fields.contains_key("event_type") {
        return Err("it has no `event_type`".into());
    }
    let missing = FIELDS.iter().filter(|name| !fields.contains_key(**name));
    let missing: Map<String, Value> = missing
        .map(|name| {
            (
                (*name).to_owned(),
                if *name == "id" {
                    ONE.into()
                } else {
                    Value::Null
                },
            )
        })
        .collect();
    if missing.is_empty() && std::ptr::eq(inner, &raw const whole) {
        // With every number and text as it was spelt.
        return Ok(text.to_owned());
    }
    let mut fields = fields.clone();
    fields.extend(missing);
    Ok(Value::Object(fields).to_string())
}

/// Finds an event of the site: in the log, where there is one, else there.
async fn by_id(place: &Place, id: EventId) -> Result<Found, CommandError> {
    let readable = |event: Event, from| {
        if event.is_readable() {
            return Ok(Found { event, from });
        }
        Err(CommandError::usage(format!("nobody can read event {id}")))
    };
    if place.configured
        && let Some(store) = gather::open(&place.config).await?
        && let Some(row) = store.between(id, id, 1).await?.into_iter().next()
    {
        return readable(row.event, "from the log");
    }
    let Some(client) = &place.client else {
        let error = format!("event {id} stands in no log here, and there is no site to ask for it");
        return Err(CommandError::usage(error).hint(NO_SITE));
    };
    let answer = client.read(&Query::Ids(vec![id])).await;
    let answer = answer.map_err(|error| {
        let hint = error.hint();
        CommandError::site(format!("event {id} cannot be read: {error}")).hint(hint)
    })?;
    if let Some(event) = answer.events.into_iter().next() {
        return readable(event, "from the site");
    }
    let error = format!("neither the log nor the site has event {id}, as far as they show");
    Err(CommandError::usage(error).hint("`slated events tail` shows some"))
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn args(flags: &str) -> Result<EventArgs, String> {
        let command = EventArgs::augment_args(clap::Command::new("try").no_binary_name(true));
        let matches = command.try_get_matches_from(flags.split_whitespace());
        let matches = matches.map_err(|error| error.to_string())?;
        EventArgs::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_build_the_row_that_a_site_would_write() {
        let user = json!({"type": "HumanUser", "id": 1, "name": "HumanUser 1"});
        let task = |id: u64| json!({"type": "Task", "id": id, "name": format!("Task {id}")});
        for (flags, wanted) in [
            (
                "--type Shotgun_Task_Change --attribute sg_status_list --old ip --new fin",
                json!({"attribute_name": "sg_status_list", "entity": task(1), "user": user, "project": null,
                    "meta": {"type": "attribute_change", "attribute_name": "sg_status_list",
                        "entity_type": "Task", "entity_id": 1, "field_data_type": "status_list",
                        "old_value": "ip", "new_value": "fin"}}),
            ),
            (
                "--type Shotgun_Task_New --entity Task:123 --project 65 --user 7",
                json!({"attribute_name": null, "entity": task(123),
                    "user": {"type": "HumanUser", "id": 7, "name": "HumanUser 7"},
                    "project": {"type": "Project", "id": 65, "name": "Project 65"},
                    "meta": {"type": "new_entity", "entity_type": "Task", "entity_id": 123}}),
            ),
            (
                "--type Shotgun_Task_Change",
                json!({"attribute_name": null,
                    "meta": {"type": "attribute_change", "entity_type": "Task", "entity_id": 1}}),
            ),
            (
                "--type Shotgun_Task_Retirement --entity Task:5",
                json!({"entity": null,
                    "meta": {"type": "entity_retirement", "entity_type": "Task", "entity_id": 5}}),
            ),
            (
                "--type Studio_Turnover",
                json!({"entity": null, "user": user, "meta": {}}),
            ),
            (
                "--type Studio_Turnover --entity Shot:2 --user ApiUser:9",
                json!({"entity": {"type": "Shot", "id": 2, "name": "Shot 2"},
                    "user": {"type": "ApiUser", "id": 9, "name": "ApiUser 9"},
                    "meta": {"entity_type": "Shot", "entity_id": 2}}),
            ),
        ] {
            let row = args(flags).unwrap().build("2026-05-04T10:00:00Z");
            for (field, wanted) in wanted.as_object().unwrap() {
                assert_eq!(row[field], *wanted, "{flags}: {field}");
            }
            assert_eq!(row["created_at"], "2026-05-04T10:00:00Z");
            let event = Event::parse(&row.to_string()).unwrap();
            assert_eq!(event.id, EventId(1), "{flags}");
            assert!(flags.contains(event.head.event_type.as_deref().unwrap()));
        }
    }

    #[test]
    fn a_change_is_told_as_the_site_tells_it() {
        for (attribute, old, new, wanted) in [
            ("sg_cut_in", Some("1"), Some("2"), json!(["number", 1, 2])),
            ("code", None, Some("a 1"), json!(["text", null, "a 1"])),
            (
                "sg_status_list",
                None,
                None,
                json!(["status_list", null, null]),
            ),
            (
                "sg_done",
                Some("false"),
                Some("true"),
                json!(["checkbox", false, true]),
            ),
            (
                "sg_shot",
                Some("null"),
                Some(r#"{"type":"Shot","id":1}"#),
                json!(["entity", null, {"type": "Shot", "id": 1}]),
            ),
            ("code", None, Some("\"7\""), json!(["text", null, "7"])),
            ("sg_cut_in", None, Some("-3"), json!(["number", null, -3])),
        ] {
            let change = change(attribute, old, new);
            let told = json!([
                change["field_data_type"],
                change["old_value"],
                change["new_value"]
            ]);
            assert_eq!(told, wanted, "{attribute}");
        }
        let lists = change("task_assignees", Some("[1,2]"), Some("[2,3]"));
        assert_eq!(
            lists,
            json!({"field_data_type": "multi_entity", "added": [3], "removed": [1]})
        );
    }

    #[test]
    fn flags_that_say_nothing_or_two_things_are_refused() {
        for flags in [
            "",
            "--attribute x",
            "--event 5 --type A",
            "--event 5 --entity Task:1",
            "--type A --old 1",
            "--type A --entity Task",
            "--type A --entity task:1",
            "--type A --entity Task:x",
            "--type A --user Anna",
        ] {
            assert!(args(flags).is_err(), "{flags}");
        }
        assert!(args("--type A").unwrap().refuse_guess().is_err());
        assert!(
            args("--type A --entity Task:1")
                .unwrap()
                .refuse_guess()
                .is_ok()
        );
        assert!(args("--event 5").unwrap().refuse_guess().is_ok());
    }

    #[test]
    fn a_file_holds_a_row_or_what_events_show_prints() {
        let whole = r#"{"id":7,"event_type":"A","attribute_name":null,"meta":{"x":1.10},"entity":null,"user":null,"project":null,"session_uuid":null,"created_at":null}"#;
        assert_eq!(row(whole).unwrap(), whole);
        for text in [
            r#"{"id":7,"event_type":"A"}"#,
            r#"[{"id":7,"event_type":"A"}]"#,
            r#"{"offset":3,"id":7,"event":{"id":7,"event_type":"A"}}"#,
        ] {
            let row: Value = serde_json::from_str(&row(text).unwrap()).unwrap();
            assert_eq!(
                (&row["id"], &row["event_type"]),
                (&json!(7), &json!("A")),
                "{text}"
            );
            assert!(FIELDS.iter().all(|field| row.get(field).is_some()), "{row}");
        }
        let built: Value = serde_json::from_str(&row(r#"{"event_type":"A"}"#).unwrap()).unwrap();
        assert_eq!(built["id"], 1);
        for text in [
            "",
            "{}",
            "7",
            "[]",
            r#"[{"event_type":"A"},{"event_type":"B"}]"#,
            r#"{"event":"x"}"#,
        ] {
            assert!(row(text).is_err(), "{text}");
        }
    }
}
