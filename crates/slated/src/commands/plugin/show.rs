//! `slated plugin show`: everything about one plugin, for people.

use owo_colors::OwoColorize as _;
use slated_config::Config;
use slated_host::wire::Emails;
use slated_model::{AttributeRule, Matcher};

use crate::clock::wall_ms;
use crate::commands::common::{ago, ask};
use crate::commands::status::{coloured, plugin_colour};
use crate::error::CommandError;
use crate::out;
use crate::view::{self, LineView, PluginDetail};
use crate::web::client::segment;

/// Returns everything about a plugin, from the daemon or the store.
pub(super) async fn fetch(config: &Config, name: &str) -> Result<PluginDetail, CommandError> {
    let path = format!("/api/v1/plugins/{}", segment(name));
    ask(config, &path, async |store| {
        Ok(view::plugin(&store, config, name).await??)
    })
    .await
}

/// Prints it.
pub(super) fn print(detail: &PluginDetail) {
    let plugin = &detail.plugin;
    let state = plugin.state.style(coloured(plugin_colour(plugin.state)));
    out::line(format!("{}  {state}", plugin.plugin.bold()));
    let hold = detail.hold.as_ref();
    for (name, text) in [
        ("why", plugin.why.clone()),
        ("", plugin.traceback.clone()),
        ("", hold.and_then(|h| h.traceback.clone())),
        ("locals", hold.and_then(|h| h.locals.clone())),
        ("file", plugin.file.clone()),
        ("process", process(detail)),
        (
            "slow",
            plugin.slow.as_ref().map(|slow| slow.says(wall_ms())),
        ),
        ("log", place(detail)),
        ("mail", detail.emails.as_ref().map(mail)),
    ] {
        field(name, text.as_deref().unwrap_or_default());
    }
    let callbacks = plugin.callbacks.iter().flatten().map(|c| {
        let stops = if c.stop_on_error {
            "; a failure stops the plugin"
        } else {
            ""
        };
        vec![c.name.to_string(), format!("{}{stops}", wanted(&c.matcher))]
    });
    part("callbacks", callbacks);
    part("warnings", detail.warnings.iter().map(|w| vec![w.clone()]));
    part("imports", detail.helpers.iter().map(|h| vec![h.clone()]));
    let retries = plugin.retries.iter().map(|r| {
        let how = if r.aside { "aside" } else { "in place" };
        let unit = format!("event {} in {}", r.event, r.callback);
        vec![
            unit,
            format!("again {how}, failed {}x: {}", r.failed, r.error),
        ]
    });
    part("retries", retries);
    let skipped = detail.skipped.iter();
    let skipped = skipped.map(|s| vec![format!("offsets {} to {}", s.after + 1, s.through)]);
    part("skipped by a person", skipped);
    let skips = detail.skips.iter();
    let skips = skips.map(|s| vec![format!("event {}", s.event), s.reason.clone()]);
    part("to be skipped", skips);
    let suspect = detail.suspect.iter().map(|s| {
        let ends = if s.times == 1 { "end" } else { "ends" };
        let what = format!(
            "the first without an outcome at {} unclean {ends} of slated",
            s.times
        );
        vec![format!("event {}", s.event), what]
    });
    part("suspect", suspect);
    let rewound = detail.rewound.iter().map(|r| {
        let again = if r.again { ", with what was done" } else { "" };
        vec![
            format!("from offset {} to {}{again}", r.from, r.to),
            ago(r.at_ms),
        ]
    });
    part("went back", rewound);
    let settings = detail.settings.iter().map(|s| {
        let value = Some(s.value.clone()).filter(|v| !v.is_empty());
        vec![
            s.key.clone(),
            value.unwrap_or_else(|| "-".into()),
            s.origin.clone(),
        ]
    });
    part("settings", settings);
    let outcomes = detail.outcomes.iter().map(|o| {
        let unit = &o.unit;
        let us = unit.us.map(|us| format!("{us} us"));
        let what = us.or_else(|| unit.error.clone()).unwrap_or_default();
        vec![
            format!("event {} in {}", o.event, unit.callback),
            unit.outcome.clone(),
            ago(unit.at_ms),
            what,
        ]
    });
    part("last outcomes", outcomes);
}

/// Prints a text beside its name, further lines below it.
fn field(name: &str, text: &str) {
    for (n, line) in text.trim_end().lines().enumerate() {
        let name = if n == 0 { name } else { "" };
        out::line(format!("{name:<9}{line}"));
    }
}

/// Prints rows below their name, if there are any.
fn part(name: &str, rows: impl Iterator<Item = Vec<String>>) {
    let mut table = out::table(&[]);
    let mut any = false;
    for row in rows {
        table.add_row(row);
        any = true;
    }
    if any {
        out::line("");
        out::line(name.bold());
        out::line(table);
    }
}

fn process(detail: &PluginDetail) -> Option<String> {
    let pid = detail.plugin.pid?;
    let python = detail.plugin.python.as_deref().unwrap_or_default();
    let calls = detail.calls.map(|calls| format!("; {calls} calls"));
    let size = detail.resident.map(|held| format!(", {} MiB", held >> 20));
    let recycled = Some(detail.recycled).filter(|times| *times > 0);
    let recycled = recycled.map(|times| format!("; {times} before it made room"));
    let more = [calls, size, recycled].into_iter().flatten();
    Some(format!("{pid}, {python}{}", more.collect::<String>()))
}

fn place(detail: &PluginDetail) -> Option<String> {
    let plugin = &detail.plugin;
    let mut text = format!("at offset {}, {} behind", plugin.cursor?, plugin.lag?);
    if let (Some(done), Some(failed)) = (plugin.done, plugin.failed) {
        let out = plugin.in_flight;
        let counts = format!(", {out} in flight; {done} done and {failed} failed since the start");
        text.push_str(&counts);
    }
    let line = plugin.line.as_ref().and_then(LineView::says);
    Some(line.map_or_else(|| text.clone(), |line| format!("{text}; it {line}")))
}

fn mail(emails: &Emails) -> String {
    match emails {
        Emails::Configured(true) => "to the configured addresses".into(),
        Emails::Configured(false) => "none".into(),
        Emails::To(to) => to.join(", "),
    }
}

/// Says which events a callback asked for.
pub(crate) fn wanted(matcher: &Matcher) -> String {
    let rules = matcher.rules();
    if rules.is_empty() {
        return "every event".into();
    }
    let star = rules.get_key_value("*");
    let rules: Vec<_> = match star {
        Some(rule) => vec![rule],
        None => rules.iter().collect(),
    };
    let rules = rules.into_iter().map(|(event_type, rule)| {
        let event_type = if event_type == "*" {
            "any type"
        } else {
            event_type
        };
        match rule {
            AttributeRule::Any(true) => event_type.to_owned(),
            AttributeRule::Attrs(list) if list.iter().any(|a| a == "*") => event_type.to_owned(),
            AttributeRule::Substring(text) if text.contains('*') => event_type.to_owned(),
            AttributeRule::Attrs(list) if !list.is_empty() => {
                format!("{event_type} of {}", list.join(", "))
            }
            // What the worker makes of a filter in which nothing is a type of events.
            AttributeRule::Attrs(_) if event_type.is_empty() => "nothing".into(),
            AttributeRule::Any(false) | AttributeRule::Attrs(_) => {
                format!("{event_type} of nothing, which never comes")
            }
            AttributeRule::Substring(text) => {
                format!("{event_type} of what stands in `{text}`")
            }
        }
    });
    rules.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_readable() {
        for (filter, words) in [
            ("{}", "every event"),
            (r#"{"A":{"any":true},"B":{"attrs":["*"]}}"#, "A; B"),
            (r#"{"A":{"attrs":["x","y"]}}"#, "A of x, y"),
            (r#"{"A":{"attrs":[]}}"#, "A of nothing, which never comes"),
            (r#"{"":{"attrs":[]}}"#, "nothing"),
            (
                r#"{"A":{"substring":"sg_x"}}"#,
                "A of what stands in `sg_x`",
            ),
            (r#"{"A":{"substring":"*"}}"#, "A"),
            (r#"{"*":{"attrs":["x"]},"A":{"any":true}}"#, "any type of x"),
        ] {
            let matcher: Matcher = serde_json::from_str(filter).unwrap();
            assert_eq!(wanted(&matcher), words, "{filter}");
        }
    }
}
