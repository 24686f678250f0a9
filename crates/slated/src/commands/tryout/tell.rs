//! What a try says: what is tried, who asks for it and who does not, and each call.

use owo_colors::OwoColorize as _;
use serde::Serialize;
use serde_json::Value;
use slated_core::replay::{DEATHS, Why};
use slated_host::{CallbackSpec, Report};
use slated_model::{CallbackId, Event, Matcher, PluginId};

use super::place::Place;
use crate::commands::plugin::show::wanted;
use crate::commands::replay::call::{self, Call, CallView, WriteView, count};
use crate::commands::replay::play::{Ended, Hears};
use crate::daemon::{self, Ready};
use crate::error::CommandError;
use crate::out;
use crate::tell::level_name;

/// A line of `--json`. A field is added, never renamed.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    /// The plugin is loaded.
    Plugin {
        plugin: &'a PluginId,
        file: String,
        runtime: &'a str,
        shotgun_api3: Option<&'a str>,
        /// Absent: there is none.
        site: Option<String>,
        simulator: bool,
        dry: bool,
        warnings: &'a [String],
    },
    /// What is tried.
    Event { from: &'a str, event: Value },
    /// What a callback asks for.
    Callback(&'a CallbackView<'a>),
    /// A record of the plugin's loggers.
    Log {
        level: &'a str,
        logger: &'a str,
        message: &'a str,
    },
    /// A line that the plugin printed.
    Print { line: &'a str },
    /// A call takes long.
    Slow { seconds: u64, stack: &'a str },
    /// A write that was refused in no call: while the plugin was loaded, or in a thread.
    Write(&'a WriteView),
    /// A call that ended.
    Call(&'a CallView<'a>),
    /// The last line.
    Summary {
        calls: usize,
        failed: usize,
        writes: usize,
        dry: bool,
    },
}

/// What a callback asks for, and whether it gets the event.
#[derive(Serialize)]
pub(super) struct CallbackView<'a> {
    callback: &'a CallbackId,
    /// Whether its filter takes the event.
    matches: bool,
    pub(super) called: bool,
    asks_for: String,
    /// Why it is not called.
    why_not: Option<String>,
}

impl<'a> CallbackView<'a> {
    /// Looks at a callback; `chosen`: no flag rules it out; `all`: its filter does not count.
    pub(super) fn of(
        spec: &'a CallbackSpec,
        (kind, attribute): (Option<&str>, Option<&str>),
        chosen: bool,
        all: bool,
    ) -> Self {
        let matches = spec.matcher.matches(kind, attribute);
        let why_not = if !chosen {
            Some("--callback names others".into())
        } else if !matches && !all {
            Some(unwanted(&spec.matcher, kind, attribute))
        } else {
            None
        };
        Self {
            callback: &spec.id,
            matches,
            called: why_not.is_none(),
            asks_for: wanted(&spec.matcher),
            why_not,
        }
    }

    fn told(&self) -> String {
        match &self.why_not {
            Some(why) => format!("  {}  not called: {why}", self.callback),
            None if self.matches => {
                format!("  {}  asks for {}", self.callback.bold(), self.asks_for)
            }
            None => format!(
                "  {}  called in spite of its filter: it asks for {}",
                self.callback.bold(),
                self.asks_for
            ),
        }
    }
}

/// Says why a filter does not take an event.
fn unwanted(matcher: &Matcher, kind: Option<&str>, attribute: Option<&str>) -> String {
    let asks = wanted(matcher);
    let rules = matcher.rules();
    let same_kind = rules.contains_key("*") || kind.is_some_and(|kind| rules.contains_key(kind));
    match (same_kind, attribute) {
        (true, Some(attribute)) => {
            format!("it asks for {asks}, and the event's attribute is {attribute}")
        }
        (true, None) => format!("it asks for {asks}, and the event has no attribute"),
        (false, _) => format!("it asks for {asks}"),
    }
}

/// Says what happens, and counts it.
pub(super) struct Teller {
    json: bool,
    dry: bool,
    plugin: PluginId,
    /// Writes since the last call.
    pending: Vec<WriteView>,
    calls: usize,
    failed: usize,
    writes: usize,
}

impl Teller {
    pub(super) fn new(json: bool, dry: bool, plugin: PluginId) -> Self {
        Self {
            json,
            dry,
            plugin,
            pending: Vec::new(),
            calls: 0,
            failed: 0,
            writes: 0,
        }
    }

    /// The plugin is loaded.
    pub(super) fn plugin(&self, place: &Place, begun: &Ready, simulator: bool) {
        let site = place.client.as_ref().map(|c| c.site().to_owned());
        let file = place.file.display().to_string();
        let shotgun_api3 = begun.shotgun_api3.as_deref();
        if self.json {
            return print(&Line::Plugin {
                plugin: &self.plugin,
                file,
                runtime: &begun.runtime,
                shotgun_api3,
                site,
                simulator,
                dry: self.dry,
                warnings: &begun.warnings,
            });
        }
        let client = shotgun_api3.unwrap_or("missing");
        let runtime = &begun.runtime;
        let own = daemon::is_manifest(&place.file);
        let about = match (own, runtime.as_str()) {
            (false, _) => format!(" ({runtime}, shotgun_api3 {client})"),
            (true, "") => String::new(),
            (true, _) => format!(" ({runtime})"),
        };
        out::line(format!("plugin     {file}{about}"));
        let kind = if simulator { " (a simulator)" } else { "" };
        let how = if self.dry {
            "dry"
        } else {
            "live: it may write"
        };
        let site = match site {
            Some(site) => format!("{site}{kind}, {how}"),
            None if own => "none".into(),
            None => "none: `sg` reads nothing, and what it would write is shown".into(),
        };
        out::line(format!("site       {site}"));
        for warning in &begun.warnings {
            out::line(format!("warning    {warning}"));
        }
    }

    /// Says what is tried.
    pub(super) fn event(&self, event: &Event, from: &str) {
        let row: Value = serde_json::from_str(event.text()).unwrap_or_default();
        if self.json {
            return print(&Line::Event { from, event: row });
        }
        let head = &event.head;
        let kind = [head.event_type.as_deref(), head.attribute_name.as_deref()];
        let kind: Vec<_> = kind.into_iter().flatten().collect();
        let entity = &row["entity"];
        let entity = match (entity["type"].as_str(), entity["id"].as_u64()) {
            (Some(kind), Some(id)) => format!("  {kind} {id}"),
            _ => String::new(),
        };
        let id = event.id.bold();
        out::line(format!(
            "event      {id} {}{entity} ({from})",
            kind.join(" ")
        ));
        out::line("callbacks");
    }

    /// Says who asks for it.
    pub(super) fn callback(&self, view: &CallbackView<'_>) {
        if self.json {
            return print(&Line::Callback(view));
        }
        out::line(view.told());
    }

    /// Says what it came to. An error where a callback failed.
    pub(super) fn end(self, ended: Ended) -> Result<(), CommandError> {
        let Self { calls, failed, .. } = self;
        if self.json {
            print(&Line::Summary {
                calls,
                failed,
                writes: self.writes,
                dry: self.dry,
            });
        } else if calls == 0 && ended.trouble.is_none() {
            out::talk("no callback gets the event; `--all` calls them in spite of their filters");
        }
        match (ended.trouble, ended.why) {
            (Some(trouble), _) => Err(trouble),
            (None, Some(Why::Site)) => Err(CommandError::site(format!(
                "{}: its calls could not reach the site",
                self.plugin
            ))),
            (None, Some(Why::Deaths)) => Err(CommandError::plugin(format!(
                "{}: its process died {DEATHS} times",
                self.plugin
            ))),
            _ if failed > 0 => Err(CommandError::plugin(format!(
                "{}: {failed} of {} failed",
                self.plugin,
                count(calls, "call")
            ))),
            _ => Ok(()),
        }
    }
}

impl Hears for Teller {
    fn handled(&mut self) {}

    fn aside(&mut self, report: Report) {
        match &report {
            Report::Write(write) => {
                self.writes += 1;
                let view = WriteView::of(write);
                match (write.seq, self.json) {
                    (Some(_), _) => self.pending.push(view),
                    (None, true) => print(&Line::Write(&view)),
                    (None, false) => out::line(format!("in no call: {}", view.told())),
                }
            }
            Report::Log(log) if self.json => print(&Line::Log {
                level: &level_name(log.level),
                logger: &log.logger,
                message: &log.message,
            }),
            Report::Stderr { line } if self.json => print(&Line::Print { line }),
            Report::Slow { after, stack, .. } if self.json => print(&Line::Slow {
                seconds: after.as_secs(),
                stack,
            }),
            other => {
                if let Some(line) = call::aside(&self.plugin, other) {
                    out::talk(line.trim_end().dimmed());
                }
            }
        }
    }

    fn call(&mut self, call: &Call<'_>) {
        let writes = std::mem::take(&mut self.pending);
        self.calls += 1;
        let view = CallView::of(call, &writes);
        if view.outcome != "done" {
            self.failed += 1;
        }
        if self.json {
            return print(&Line::Call(&view));
        }
        let mut lines = view.told();
        let locals = view.locals.filter(|text| !text.is_empty());
        if let Some(locals) = locals {
            lines.push("    with".into());
            lines.extend(locals.lines().map(|line| format!("      {line}")));
        }
        lines.iter().for_each(out::line);
    }
}

/// Prints a line of JSON. What is printed here has nothing that JSON lacks.
fn print(line: &Line<'_>) {
    out::json(line).unwrap_or_else(|error| out::error(&error));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_ask_says_why() {
        let check = |filter: &str, kind: &str, attribute: Option<&str>, words: &str| {
            let matcher: Matcher = serde_json::from_str(filter).unwrap();
            assert!(!matcher.matches(Some(kind), attribute), "{filter}");
            assert_eq!(unwanted(&matcher, Some(kind), attribute), words);
        };
        check(r#"{"A":{"any":true}}"#, "B", Some("x"), "it asks for A");
        check(
            r#"{"A":{"attrs":["x"]}}"#,
            "A",
            Some("y"),
            "it asks for A of x, and the event's attribute is y",
        );
        check(
            r#"{"*":{"attrs":["x"]}}"#,
            "A",
            None,
            "it asks for any type of x, and the event has no attribute",
        );
    }

    #[test]
    fn all_overrules_a_filter_and_no_choice() {
        let spec = CallbackSpec {
            n: 0,
            id: CallbackId::new("f", 1),
            matcher: serde_json::from_str(r#"{"A":{"any":true}}"#).unwrap(),
            stop_on_error: true,
            args_repr: String::new(),
        };
        for (kind, chosen, all, called) in [
            ("A", true, false, true),
            ("B", true, false, false),
            ("B", true, true, true),
            ("A", false, true, false),
        ] {
            let view = CallbackView::of(&spec, (Some(kind), None), chosen, all);
            assert_eq!(view.called, called, "{kind} {chosen} {all}");
            assert_eq!(view.why_not.is_none(), called);
        }
    }
}
