//! What is mailed: which facts and records, what of them, and which of them are alike.

use jiff::Timestamp;
use slated_core::digest::{Example, Heard, Topic};
use slated_model::{EventId, Failure, PluginId};

use super::text::{Scrub, cut, first_line};
use crate::tell::record::{ERROR, Record, Source};
use crate::tell::{Call, Fact};
use crate::view;

/// The longest message with its traceback, and the longest list of variables, in bytes.
const MESSAGE: usize = 16 * 1024;
const LOCALS: usize = 8 * 1024;
/// The longest line that stands for something that is told no further.
const LINE: usize = 200;

/// Everything that a mail may tell of one thing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Notice {
    /// As Python numbers it: 40 or more.
    pub(super) level: u32,
    pub(super) at: Timestamp,
    /// `None` for slated itself.
    pub(super) logger: Option<String>,
    pub(super) plugin: Option<PluginId>,
    pub(super) callback: Option<String>,
    pub(super) event: Option<EventId>,
    pub(super) attempt: Option<u32>,
    /// Where the plugin logged it, or the innermost line of the plugin in the traceback.
    pub(super) source: Option<Source>,
    /// What is wrong, in a few words for a subject.
    pub(super) what: String,
    /// One sentence, below it the traceback.
    pub(super) message: String,
    /// Variables of the plugin's outermost frame.
    pub(super) locals: Option<String>,
    /// What slated does next.
    pub(super) next: Option<String>,
    /// The command that shows more.
    pub(super) look: Option<String>,
}

impl Example for Notice {
    fn size(&self) -> usize {
        size_of::<Self>() + self.message.len() + self.locals.as_ref().map_or(0, String::len)
    }
    fn shorten(&mut self) {
        self.message = cut(first_line(&self.message), LINE);
        self.locals = None;
    }
}

/// Returns what is to be mailed of a fact, if anything is; receivers are not known here.
pub(super) fn of_fact(fact: &Fact, now: Timestamp, scrub: &Scrub) -> Option<Heard<Notice>> {
    if fact.level() < ERROR || fact.is_about_mail() {
        return None;
    }
    let record = Record::of(fact, now);
    let failure = failure(fact);
    let mut notice = of(record, scrub);
    notice.next = next(fact);
    notice.look = look(fact, failure);
    if let Fact::DeadLetter { attempts, .. } = fact {
        notice.attempt = Some(*attempts);
    }
    let stem = notice.plugin.as_ref().map_or("", PluginId::stem);
    let traceback = match fact {
        Fact::PluginBroken { traceback, .. } => Some(traceback),
        _ => failure.map(|failure| &failure.traceback),
    };
    if notice.source.is_none() {
        notice.source = traceback.and_then(|text| innermost(text, stem));
    }
    let print = match (fact, failure) {
        (_, Some(failure)) => {
            let (file, func) = notice
                .source
                .as_ref()
                .map_or(("", ""), |s| (&s.path, &s.func));
            format!("{:?} {} in {func} of {file}", failure.kind, failure.error)
        }
        (Fact::PluginLog { logger, .. }, None) => format!("{logger}: {}", alike(&notice.what)),
        (_, None) => alike(first_line(&notice.message)),
    };
    if let Some(what) = what(fact, failure) {
        notice.what = what;
    }
    notice.locals = failure
        .and_then(|failure| failure.locals.as_ref())
        .map(|locals| cut(&scrub.clean(locals.clone()), LOCALS));
    Some(heard(notice, &print))
}

/// Returns what is to be mailed of what slated or a library says.
pub(super) fn of_record(record: Record, scrub: &Scrub) -> Option<Heard<Notice>> {
    if record.level < ERROR {
        return None;
    }
    let notice = of(record, scrub);
    let logger = notice.logger.as_deref().unwrap_or_default();
    let print = format!("{logger}: {}", alike(first_line(&notice.message)));
    Some(heard(notice, &print))
}

fn of(record: Record, scrub: &Scrub) -> Notice {
    // Before anything is cut: a part of a secret is one, too.
    let message = scrub.clean(record.message);
    Notice {
        level: record.level,
        at: record.at,
        logger: record.logger,
        plugin: record.plugin,
        callback: record.callback,
        event: record.event,
        attempt: record.attempt,
        source: record.source,
        what: cut(first_line(&message), LINE),
        message: cut(&message, MESSAGE),
        locals: None,
        next: None,
        look: None,
    }
}

fn heard(notice: Notice, print: &str) -> Heard<Notice> {
    Heard {
        topic: Topic {
            plugin: notice.plugin.clone(),
            print: cut(print, 4 * LINE),
        },
        to: Vec::new(),
        event: notice.event,
        at_ms: notice.at.as_millisecond(),
        example: notice,
    }
}

fn failure(fact: &Fact) -> Option<&Failure> {
    match fact {
        Fact::DeadLetter { failure, .. } | Fact::FailureLogged { failure, .. } => Some(failure),
        Fact::PluginHeld { failure, .. } => failure.as_ref(),
        _ => None,
    }
}

/// Says what is wrong in a few words, where the message's first line is too long for it.
fn what(fact: &Fact, failure: Option<&Failure>) -> Option<String> {
    let words = match (fact, failure) {
        (Fact::PluginHeld { .. }, Some(failure)) => {
            return Some(format!("held, {}", failure.error));
        }
        (_, Some(failure)) => failure.error.as_str(),
        (Fact::PluginHeld { .. }, None) => "held",
        (Fact::PluginBroken { .. }, _) => "does not load",
        (Fact::PluginUnstartable { .. }, _) => "cannot be started",
        (Fact::PluginQuarantined { .. } | Fact::StillQuarantined { .. }, _) => "quarantined",
        (Fact::RowUnreadable { .. }, _) => "an event cannot be read",
        (Fact::AnchorLost { .. }, _) => "the site is not the one that was followed",
        (Fact::SiteFailed { .. }, _) => "the site refuses slated",
        (Fact::StateLarge { .. }, _) => "the state is large",
        (Fact::StateFailed { .. }, _) => "the state cannot be written",
        (Fact::LeftUnwritten, _) => "stopped with outcomes that are not on record",
        _ => return None,
    };
    Some(words.to_owned())
}

fn next(fact: &Fact) -> Option<String> {
    let text = match fact {
        Fact::DeadLetter { .. } => {
            "the event is a dead letter of this callback, kept for 30 days; the plugin goes on with the next event"
        }
        Fact::FailureLogged { .. } => {
            "nothing: the log alone keeps it (`on_error`, or a `.conf`); the plugin goes on with the next event"
        }
        Fact::PluginHeld { hold, .. } if hold.event.is_some() => {
            "the plugin gets nothing more until its file is edited or touched, or a person resumes it; then it begins with this event. The other plugins run"
        }
        Fact::PluginHeld { .. } => {
            "the plugin gets nothing until a person says where it begins. The other plugins run"
        }
        Fact::PluginBroken { kept_old: true, .. }
        | Fact::PluginUnstartable { kept_old: true, .. } => {
            "the code that ran before keeps running; the file is loaded when it changes again"
        }
        Fact::PluginBroken { .. } | Fact::PluginUnstartable { .. } => {
            "the plugin is loaded when its file changes, and then gets what it has missed. The other plugins run"
        }
        Fact::PluginQuarantined { .. } | Fact::StillQuarantined { .. } => {
            "the plugin is not started until its file is edited or touched, or a person resumes it; then it gets what it has missed. The other plugins run"
        }
        Fact::PluginLog { .. } => "nothing: the plugin logged it, and goes on",
        Fact::RowUnreadable { .. } => {
            "it is kept as it came, and is a dead letter in every plugin; the stream goes on"
        }
        Fact::SiteFailed { .. } => "it keeps asking; nothing is lost",
        _ => return None,
    };
    Some(text.to_owned())
}

fn look(fact: &Fact, failure: Option<&Failure>) -> Option<String> {
    Some(match (fact, failure) {
        (
            Fact::DeadLetter {
                plugin, callback, ..
            },
            Some(failure),
        ) => format!(
            "slated failures show {}",
            view::group(plugin, callback, failure)
        ),
        (
            Fact::RowUnreadable { event }
            | Fact::FailureLogged { event, .. }
            | Fact::PluginLog {
                call: Some(Call { event, .. }),
                ..
            },
            _,
        ) => format!("slated events show {event}"),
        (Fact::LeftUnwritten, _) => return None,
        (fact, _) => match fact.about().0 {
            Some(plugin) => format!("slated plugin show {}", plugin.stem()),
            None => "slated status".to_owned(),
        },
    })
}

/// Makes texts alike that differ in numbers alone.
fn alike(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut number = false;
    for c in text.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !number {
            out.push('#');
        }
        number = c.is_ascii_digit();
    }
    out
}

/// Returns the innermost line of a traceback that is the plugin's own, else the innermost one.
fn innermost(traceback: &str, stem: &str) -> Option<Source> {
    let frames = traceback.lines().filter_map(|line| {
        let (path, rest) = line
            .trim_start()
            .strip_prefix("File \"")?
            .split_once("\", line ")?;
        let (line, func) = rest.split_once(", in ").unwrap_or((rest, ""));
        Some(Source {
            path: path.to_owned(),
            func: func.trim_end().to_owned(),
            line: line.trim_end().parse().unwrap_or_default(),
        })
    });
    let frames: Vec<_> = frames.collect();
    let file = format!("{stem}.py");
    let own = |s: &&Source| s.path.rsplit(['/', '\\']).next() == Some(file.as_str());
    let own = frames.iter().rev().find(own);
    own.or_else(|| frames.last()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_numbers_is_alike() {
        assert_eq!(alike("Shot 4711 of 12: 0x1f"), "Shot # of #: #x#f");
    }

    #[test]
    fn the_innermost_line_is_the_plugins_own() {
        let traceback = "Traceback (most recent call last):\n  File \"/p/notes.py\", line 7, in f\n    g()\n  File \"/p/notes.py\", line 9, in g\n    sg.find()\n  File \"/lib/shotgun.py\", line 99, in find\nKeyError: 1";
        let place = |stem| innermost(traceback, stem).map(|s| (s.path, s.func, s.line));
        assert_eq!(place("notes"), Some(("/p/notes.py".into(), "g".into(), 9)));
        assert_eq!(place("x").map(|p| p.2), Some(99));
        let broken = innermost(
            "  File \"/p/notes.py\", line 3\n    print 1\nSyntaxError",
            "notes",
        );
        assert_eq!(broken.map(|s| (s.func, s.line)), Some((String::new(), 3)));
        assert_eq!(innermost("none", "notes"), None);
    }
}
