//! What must stand on the site, with the chat and on record when the story is over.
//!
//! The site is read here past client, daemon and plugins, so that none of them can vouch for itself.

use owo_colors::OwoColorize as _;
use serde::Serialize;
use serde_json::{Value, json};
use slated_sim::{Refusal, Site};

use super::chat::Notice;
use super::record::{Record, Retry};
use super::story::{Cast, Part};

/// One expectation.
#[derive(Debug, Serialize)]
pub(super) struct Effect {
    /// As a sentence.
    pub(super) expected: String,
    /// Whether it came true.
    pub(super) stands: bool,
    /// What is there.
    pub(super) found: String,
}

/// How a demo went: `slated demo --once --json`.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Whether every effect stands.
    pub(super) ok: bool,
    pub(super) effects: Vec<Effect>,
    /// Callbacks that failed once and were tried again.
    pub(super) retries: Vec<Retry>,
    /// Ids of events that arrived after higher ones.
    pub(super) late: Vec<u64>,
    /// Events followed.
    pub(super) events: usize,
    /// Callbacks that finished.
    pub(super) callbacks_done: u64,
    /// What went wrong for good.
    pub(super) failures: Vec<String>,
    /// How long the story took, in milliseconds.
    pub(super) took_ms: u64,
    /// The Python that played.
    pub(super) python: Python,
}

/// A Python, for people.
#[derive(Debug, Serialize)]
pub(super) struct Python {
    pub(super) path: String,
    pub(super) version: String,
    pub(super) shotgun_api3: Option<String>,
}

/// Compares what was expected with what is.
pub(super) fn judge(
    site: &Site,
    cast: &Cast,
    notices: &[Notice],
    record: &Record,
) -> Result<Vec<Effect>, Refusal> {
    let mut effects = Vec::new();
    for part in &cast.submitted {
        effects.push(submitted(site, part)?);
        effects.push(went_to_review(site, part)?);
    }
    for part in &cast.approved {
        effects.push(task_follows(site, part)?);
        effects.push(one_note(site, part)?);
    }
    let submissions = cast
        .submitted
        .iter()
        .map(|part| format!("{} submitted {}", part.who, part.code));
    let approvals = cast
        .approved
        .iter()
        .map(|part| format!("{} approved {}", part.who, part.code));
    effects.extend(
        submissions
            .chain(approvals)
            .map(|text| told_once(&text, notices)),
    );
    effects.push(retried_aside(record));
    effects.push(came_late(site, cast, record)?);
    Ok(effects)
}

fn submitted(site: &Site, part: &Part) -> Result<Effect, Refusal> {
    let found = site.find_one(
        "Version",
        &json!([["id", "is", part.version]]),
        &["code", "created_by"],
    )?;
    let found = found.unwrap_or_default();
    let (code, by) = (
        text(&found, "code"),
        text(found.get("created_by").unwrap_or(&Value::Null), "name"),
    );
    Ok(Effect {
        expected: format!("{} submitted {}", part.who, part.code),
        stands: code == part.code && by == part.who,
        found: if code.is_empty() {
            "no such Version".into()
        } else {
            format!("{code} by {by}")
        },
    })
}

/// The Task may have gone on since, so its past is asked.
fn went_to_review(site: &Site, part: &Part) -> Result<Effect, Refusal> {
    let task = json!({"type": "Task", "id": part.task});
    let filters = json!([
        ["entity", "is", task],
        ["event_type", "is", "Shotgun_Task_Change"],
        ["attribute_name", "is", "sg_status_list"]
    ]);
    let events = site.find("EventLogEntry", &filters, &["meta", "user"])?;
    let to_review =
        |event: &&Value| event.pointer("/meta/new_value").and_then(Value::as_str) == Some("rev");
    let by = events
        .iter()
        .find(to_review)
        .and_then(|event| event.pointer("/user/name"))
        .and_then(Value::as_str);
    Ok(Effect {
        expected: format!("the Task of {} went to review", part.code),
        stands: by.is_some(),
        found: by.map_or_else(|| "it did not".into(), |by| format!("rev by {by}")),
    })
}

fn task_follows(site: &Site, part: &Part) -> Result<Effect, Refusal> {
    let found = site.find_one(
        "Task",
        &json!([["id", "is", part.task]]),
        &["sg_status_list"],
    )?;
    let status = found
        .as_ref()
        .map_or("no such Task", |task| text(task, "sg_status_list"));
    Ok(Effect {
        expected: format!("the Task of {} is approved", part.code),
        stands: status == "apr",
        found: status.to_owned(),
    })
}

fn one_note(site: &Site, part: &Part) -> Result<Effect, Refusal> {
    let version = json!({"type": "Version", "id": part.version});
    let notes = site.find(
        "Note",
        &json!([
            ["note_links", "is", version],
            ["subject", "ends_with", "is approved"]
        ]),
        &["subject", "content"],
    )?;
    let said = notes.first().map_or("", |note| text(note, "content"));
    Ok(Effect {
        expected: format!("one Note says who approved {}", part.code),
        stands: notes.len() == 1 && said.contains(&part.who),
        found: format!("{}: {said}", count(notes.len(), "Note")),
    })
}

fn told_once(wanted: &str, notices: &[Notice]) -> Effect {
    let times = notices
        .iter()
        .filter(|notice| notice.text == wanted)
        .count();
    Effect {
        expected: format!("the chat was told once that {wanted}"),
        stands: times == 1,
        found: count(times, "time"),
    }
}

fn retried_aside(record: &Record) -> Effect {
    let done = |retry: &&Retry| retry.aside && retry.done_at_attempt.is_some();
    let found = record.retries.iter().find(done);
    Effect {
        expected: "a refused connection was retried aside".into(),
        stands: found.is_some(),
        found: found.map_or_else(
            || count(record.retries.len(), "unfinished retry"),
            |r| {
                format!(
                    "{} at event {}, done at attempt {}",
                    r.plugin,
                    r.event,
                    r.done_at_attempt.unwrap_or_default()
                )
            },
        ),
    }
}

fn came_late(site: &Site, cast: &Cast, record: &Record) -> Result<Effect, Refusal> {
    let version = json!({"type": "Version", "id": cast.late});
    let filters = json!([
        ["entity", "is", version],
        ["attribute_name", "is", "sg_status_list"]
    ]);
    let events = site.find("EventLogEntry", &filters, &["id"])?;
    let ids = events.iter().filter_map(|event| event.get("id")?.as_u64());
    let late: Vec<_> = ids
        .filter(|id| record.late.contains(&slated_model::EventId(*id)))
        .collect();
    Ok(Effect {
        expected: "an event that was committed late was followed".into(),
        stands: !late.is_empty(),
        found: late
            .first()
            .map_or_else(|| "it was not".into(), |id| format!("event {id}")),
    })
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn count(n: usize, what: &str) -> String {
    match (n, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{n} {stem}ies"),
        _ => format!("{n} {what}s"),
    }
}

impl Summary {
    /// Returns a line for each effect, for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let width = self
            .effects
            .iter()
            .map(|effect| effect.expected.chars().count())
            .max()
            .unwrap_or_default();
        let line = |effect: &Effect| {
            let mark = if effect.stands {
                "ok     ".green().to_string()
            } else {
                "missing".red().bold().to_string()
            };
            format!(
                "  {mark}  {:<width$}  {}",
                effect.expected,
                effect.found.dimmed()
            )
        };
        self.effects.iter().map(line).collect()
    }

    /// Returns it in a line.
    pub(super) fn line(&self) -> String {
        let stands = self.effects.iter().filter(|effect| effect.stands).count();
        format!(
            "{stands} of {} effects stand; {} followed, {} late; {} done, {}; {:.1} s.",
            self.effects.len(),
            count(self.events, "event"),
            self.late.len(),
            count(
                usize::try_from(self.callbacks_done).unwrap_or(usize::MAX),
                "callback"
            ),
            count(self.retries.len(), "retry"),
            self.took_ms as f64 / 1000.0
        )
    }

    /// Returns what is missing.
    pub(super) fn missing(&self) -> Vec<&str> {
        self.effects
            .iter()
            .filter(|effect| !effect.stands)
            .map(|effect| effect.expected.as_str())
            .collect()
    }
}
