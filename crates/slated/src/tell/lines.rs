//! How a record looks: the Python daemon's line, JSON, or a line for a person's terminal.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use owo_colors::OwoColorize as _;
use serde::Serialize;

use super::record::{DEBUG, ERROR, Record, WARNING, level_name};

/// The Python daemon's line, `time - logger - LEVEL - message`; further lines of a message stand
/// below as they are. `own` names slated itself.
pub(super) fn python(record: &Record, own: &str, zone: &TimeZone) -> String {
    format!(
        "{} - {} - {} - {}\n",
        moment(record.at, zone),
        record.logger.as_deref().unwrap_or(own),
        level_name(record.level),
        record.message
    )
}

/// A line for a terminal or a journal. What could move a terminal's cursor is shown, not obeyed.
pub(super) fn human(record: &Record, zone: &TimeZone, colour: bool) -> String {
    let level = level_name(record.level);
    let level = match record.level {
        _ if !colour => level,
        ERROR.. => level.red().to_string(),
        WARNING.. => level.yellow().to_string(),
        ..=DEBUG => level.dimmed().to_string(),
        _ => level.green().to_string(),
    };
    let logger = match (&record.logger, &record.plugin) {
        // One of another name says what it is, but not whose.
        (Some(logger), Some(plugin)) if record.is_plugins() && !logger.starts_with("plugin.") => {
            format!("{plugin}: {logger}: ")
        }
        // What slated says of a plugin names it.
        (Some(logger), _) if record.is_plugins() || record.plugin.is_none() => {
            format!("{logger}: ")
        }
        _ => String::new(),
    };
    let time = moment(record.at, zone);
    let message = tame(&record.message);
    format!("{time} {level} {logger}{message}\n")
}

#[derive(Serialize)]
struct Json<'a> {
    time: String,
    level: String,
    levelno: u32,
    logger: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    func: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

/// One object on one line; `time` is RFC 3339 in UTC.
pub(super) fn json(record: &Record, own: &str) -> String {
    let source = record.source.as_ref();
    let json = Json {
        time: format!("{:.6}", record.at),
        level: level_name(record.level),
        levelno: record.level,
        logger: record.logger.as_deref().unwrap_or(own),
        message: &record.message,
        plugin: record.plugin.as_ref().map(ToString::to_string),
        callback: record.callback.as_deref(),
        event: record.event.map(|event| event.0),
        attempt: record.attempt,
        path: source.map(|s| s.path.as_str()),
        func: source.map(|s| s.func.as_str()),
        line: source.map(|s| s.line),
    };
    // Texts and numbers have nothing that JSON cannot say.
    serde_json::to_string(&json).unwrap_or_default() + "\n"
}

/// Local time as Python's `logging` writes it: `2026-11-23 09:15:02,123`.
pub(super) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    let at = at.to_zoned(zone.clone());
    format!(
        "{},{:03}",
        at.strftime("%Y-%m-%d %H:%M:%S"),
        at.millisecond()
    )
}

/// Shows control characters that a terminal or a mail program might obey.
pub(super) fn tame(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
