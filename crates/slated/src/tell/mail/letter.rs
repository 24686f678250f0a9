//! How a mail looks: as the Python daemon's under a `.conf`, else with all there is to know.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use slated_core::digest::{Letter, Part, Pile};
use slated_model::{EventId, PluginId};

use super::notice::Notice;
use super::text::in_a_line;
use crate::tell::lines::moment;
use crate::tell::lines::tame;
use crate::tell::record::{CRITICAL, ERROR, level_name};

/// The longest subject, in characters.
const SUBJECT: usize = 150;
/// Plugins that a subject names.
const NAMED: usize = 3;
/// Parts that are told in full; of the rest a line each.
const FULL: usize = 20;

/// How mails look.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// Whether they look as the Python daemon's.
    pub(super) python: bool,
    /// What every subject begins with.
    pub(super) subject: String,
    /// What slated's own logger is called.
    pub(super) own: &'static str,
    pub(super) zone: TimeZone,
}

impl Style {
    /// Writes a letter: its subject, in one line, and its body.
    pub(super) fn write(&self, letter: &Letter<Notice>) -> (String, String) {
        let mut body = String::new();
        for (n, part) in letter.parts.iter().enumerate() {
            if n > 0 {
                body.push_str(
                    "\n======================================================================\n\n",
                );
            }
            if n >= FULL {
                let notice = newest(&part.pile);
                let line = format!("{}: {} ({})\n", name(part), notice.what, part.pile.count);
                body.push_str(&line);
            } else if self.python {
                self.as_python(&mut body, part);
            } else {
                self.part(&mut body, part);
            }
        }
        let subject = if self.python {
            self.python_subject(letter)
        } else {
            format!("{} {}", self.subject, subject(letter))
        };
        (in_a_line(&subject, SUBJECT), tame(&body))
    }

    fn python_subject(&self, letter: &Letter<Notice>) -> String {
        let levels = letter.parts.iter().map(|part| newest(&part.pile).level);
        // As there, others have none.
        match levels.max() {
            Some(level @ (ERROR | CRITICAL)) => {
                format!("{} {} - SG event daemon.", self.subject, level_name(level))
            }
            _ => self.subject.clone(),
        }
    }

    fn as_python(&self, body: &mut String, part: &Part<Notice>) {
        let pile = &part.pile;
        let notice = newest(pile);
        let source = notice.source.clone().unwrap_or_default();
        let lines = format!(
            "Time: {}\nLogger: {}\nPath: {}\nFunction: {}\nLine: {}\n\n{}\n",
            moment(notice.at, &self.zone),
            notice.logger.as_deref().unwrap_or(self.own),
            source.path,
            source.func,
            source.line,
            notice.message.trim_end(),
        );
        body.push_str(&lines);
        if let Some(locals) = &notice.locals {
            body.push_str("\nLocal variables at outer most frame in plugin:\n\n");
            body.push_str(locals.trim_end());
            body.push('\n');
        }
        if pile.count > 1 {
            body.push_str("\n-- \n");
            self.count(body, part);
            self.oldest(body, pile);
        }
    }

    fn part(&self, body: &mut String, part: &Part<Notice>) {
        let pile = &part.pile;
        let notice = newest(pile);
        if pile.count > 1 {
            self.count(body, part);
            body.push('\n');
        }
        let text = |text: Option<&String>| text.cloned();
        let fields = [
            ("Plugin", notice.plugin.as_ref().map(PluginId::to_string)),
            ("Callback", text(notice.callback.as_ref())),
            ("Event", notice.event.map(|event| event.to_string())),
            ("Attempt", notice.attempt.map(|attempt| attempt.to_string())),
            ("Time", Some(self.time(notice.at))),
            ("Level", Some(level_name(notice.level))),
            ("Logger", text(notice.logger.as_ref())),
            (
                "Place",
                notice.source.as_ref().map(|source| {
                    let func = Some(&source.func).filter(|func| !func.is_empty());
                    let func = func.map(|func| format!(", in {func}"));
                    format!(
                        "{}:{}{}",
                        source.path,
                        source.line,
                        func.unwrap_or_default()
                    )
                }),
            ),
            ("Next", text(notice.next.as_ref())),
            ("Look", text(notice.look.as_ref())),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                let field = format!("{name:<9} {value}\n");
                body.push_str(&field);
            }
        }
        body.push('\n');
        body.push_str(notice.message.trim_end());
        body.push('\n');
        if let Some(locals) = &notice.locals {
            body.push_str("\nVariables of the plugin's outermost frame:\n");
            body.push_str(locals.trim_end());
            body.push('\n');
        }
        if pile.count > 1 {
            self.oldest(body, pile);
        }
    }

    /// Says how many there were, where they began and ended.
    fn count(&self, body: &mut String, part: &Part<Notice>) {
        let pile = &part.pile;
        let more = if part.letters > 0 { " more" } else { "" };
        let at = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
        let (first, last) = pile.span_ms;
        let events = match pile.events {
            Some((first, last)) if first != last => format!(", events {first} to {last}"),
            Some((event, _)) => format!(", event {event}"),
            None => String::new(),
        };
        let text = format!(
            "{}{more} like this, from {} to {}{events}. slated mails the first at once, and the next ones together, ever more rarely.\n",
            pile.count,
            self.time(at(first)),
            self.time(at(last)),
        );
        body.push_str(&text);
    }

    /// Tells of the oldest, where it says something else than the newest.
    fn oldest(&self, body: &mut String, pile: &Pile<Notice>) {
        let first = &pile.first;
        if pile.last.is_some() && first.message != newest(pile).message {
            let event = first.event.map(|event| format!(", event {event}"));
            let text = format!(
                "\nThe first of them, {}{}:\n\n{}\n",
                self.time(first.at),
                event.unwrap_or_default(),
                first.message.trim_end()
            );
            body.push_str(&text);
        }
    }

    fn time(&self, at: Timestamp) -> String {
        let at = at.to_zoned(self.zone.clone());
        at.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }
}

/// Says in a line what a letter is about.
fn subject(letter: &Letter<Notice>) -> String {
    let [part] = letter.parts.as_slice() else {
        let errors: u64 = letter.parts.iter().map(|part| part.pile.count).sum();
        let mut names: Vec<_> = letter.parts.iter().map(name).collect();
        names.dedup();
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        return format!("{errors} errors: {}{more}", names.join(", "));
    };
    let notice = newest(&part.pile);
    let mut text = String::new();
    if let Some(plugin) = &notice.plugin {
        text.push_str(plugin.stem());
        text.push_str(": ");
    }
    text.push_str(&in_a_line(&notice.what, SUBJECT / 2));
    let logged = notice.next.is_none() && notice.plugin.is_none();
    if let Some(callback) = notice.callback.as_ref().filter(|_| !logged) {
        text.push_str(" in ");
        text.push_str(callback);
    }
    if part.topic.print.is_empty() {
        text.push_str(" and others");
    }
    let events = match part.pile.events {
        Some((first, last)) if first != last => format!(" (events {first} to {last})"),
        Some((EventId(event), _)) => format!(" (event {event})"),
        None => String::new(),
    };
    if part.pile.count > 1 {
        let times = format!(", {} times", part.pile.count);
        text.push_str(&times);
    }
    text + &events
}

fn newest(pile: &Pile<Notice>) -> &Notice {
    pile.last.as_ref().unwrap_or(&pile.first)
}

fn name(part: &Part<Notice>) -> String {
    let plugin = part.topic.plugin.as_ref();
    plugin.map_or_else(|| "slated".into(), |plugin| plugin.stem().to_owned())
}
