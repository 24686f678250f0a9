//! How an alert looks: a line for chats, a mail, and fields for programs.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use slated_core::alarm::{Alert, Kind, Notice, What};

use super::lines::tame;
use super::mail::text::{cut, in_a_line};
use crate::view::AlertView;

/// The longest detail of one alert, and the longest text of a message, in bytes.
const DETAIL: usize = 1000;
const TEXT: usize = 8000;
/// The longest subject, in characters.
const SUBJECT: usize = 150;
/// Alerts that a message about many names.
const NAMED: usize = 30;

/// What every alert says of where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    /// The machine.
    pub(crate) host: String,
    /// The address of the site.
    pub(crate) site: String,
}

impl Sender {
    /// Names this machine.
    pub(crate) fn of(site: &str) -> Self {
        let uname = rustix::system::uname();
        Self {
            host: uname.nodename().to_string_lossy().into_owned(),
            site: site.into(),
        }
    }

    /// Writes the JSON object that a webhook takes. `text` is for people, in the way of Slack.
    pub(crate) fn json(&self, notice: &Notice) -> String {
        let mut value = match notice {
            Notice::One(what, alert) => fields(*what, alert),
            Notice::More(all) => {
                let alerts = all.iter().take(10 * NAMED);
                let alerts: Vec<_> = alerts.map(|(what, alert)| fields(*what, alert)).collect();
                json!({
                    "kind": "more", "state": "more", "subject": format!("{} alerts", all.len()),
                    "count": all.len(), "alerts": alerts,
                })
            }
        };
        value["text"] = Value::from(escaped(&cut(&self.text(notice), TEXT)));
        self.sign(&mut value);
        value.to_string()
    }

    /// Writes one that only says that it arrived.
    pub(crate) fn test(&self) -> String {
        let text = format!(
            "slated on {}: a test. `slated check --send-test-alert` sent this: alerts arrive.",
            self.host
        );
        let mut value = json!({"kind": "test", "state": "test", "subject": "a test"});
        value["text"] = Value::from(escaped(&text));
        self.sign(&mut value);
        value.to_string()
    }

    fn sign(&self, value: &mut Value) {
        value["at"] = Value::from(Timestamp::now().to_string());
        value["host"] = Value::from(self.host.as_str());
        value["site"] = Value::from(self.site.as_str());
        value["version"] = Value::from(env!("CARGO_PKG_VERSION"));
    }

    /// Says it in a line, with what is wrong below.
    fn text(&self, notice: &Notice) -> String {
        format!("slated on {}: {}", self.host, said(notice))
    }

    /// Writes it as a mail: subject and body.
    pub(crate) fn mail(&self, notice: &Notice) -> (String, String) {
        let subject = in_a_line(&headline(notice), SUBJECT);
        let body = format!(
            "{}\n\nsite     {}\nhost     {}\nslated   {}\n\n`slated status` shows what is wrong now.\n",
            said(notice),
            self.site,
            self.host,
            env!("CARGO_PKG_VERSION"),
        );
        (subject, tame(&body))
    }
}

/// Says it without where it comes from.
pub(crate) fn said(notice: &Notice) -> String {
    let mut text = headline(notice);
    match notice {
        Notice::One(what, alert) => {
            if !matches!(what, What::Over | What::Passed) {
                // Writing to a String cannot fail.
                write!(text, "\n{}", detail(alert)).unwrap_or_default();
            }
        }
        Notice::More(all) => {
            for (what, alert) in all.iter().take(NAMED) {
                write!(text, "\n- {}", line(*what, alert)).unwrap_or_default();
            }
            let more = all.len().saturating_sub(NAMED);
            if more > 0 {
                write!(text, "\nand {more} more; see `slated status`").unwrap_or_default();
            }
        }
    }
    text
}

fn headline(notice: &Notice) -> String {
    match notice {
        Notice::One(what, alert) => line(*what, alert),
        Notice::More(all) => format!("{} more alerts, after too many to tell each", all.len()),
    }
}

fn line(what: What, alert: &Alert) -> String {
    let (subject, is) = (subject(alert), is(alert.condition.kind));
    let lasted = span(alert.lasted);
    let flaps = if alert.flaps {
        ", and comes and goes"
    } else {
        ""
    };
    let times = match alert.times {
        0 | 1 => String::new(),
        n => format!(", {n} times meanwhile"),
    };
    match what {
        What::Raised => format!("{subject} {is}{flaps}{times}"),
        What::Reminded => format!("{subject} still {is}, for {lasted}{flaps}"),
        What::Over => format!("over: {subject} {is} no more, after {lasted}{times}"),
        What::Passed => format!("over already: {subject} {is} for {lasted}{times}"),
    }
}

/// Who it is about.
fn subject(alert: &Alert) -> String {
    match (&alert.condition.plugin, alert.condition.kind) {
        (Some(plugin), _) => plugin.to_string(),
        (None, Kind::SiteLost | Kind::AnchorLost) => "the site".into(),
        (None, Kind::Mail) => "the mail".into(),
        (None, _) => "the state".into(),
    }
}

/// What it is, so that "no more" may follow it.
const fn is(kind: Kind) -> &'static str {
    match kind {
        Kind::Storage => "cannot be written",
        Kind::AnchorLost => "is not the one that was followed",
        Kind::SiteLost => "cannot be read",
        Kind::Quarantine => "is quarantined",
        Kind::Hold => "is held",
        Kind::Broken => "does not load",
        Kind::Backlog => "falls behind",
        Kind::Letters => "has many dead letters",
        Kind::StateLarge => "is larger than it should be",
        Kind::Mail => "does not go out",
    }
}

fn detail(alert: &Alert) -> String {
    cut(&tame(&alert.condition.detail), DETAIL)
}

const fn state(what: What) -> &'static str {
    match what {
        What::Raised => "raised",
        What::Reminded => "reminded",
        What::Over => "recovered",
        What::Passed => "passed",
    }
}

fn fields(what: What, alert: &Alert) -> Value {
    let condition = &alert.condition;
    json!({
        "kind": condition.kind.name(),
        "state": state(what),
        "subject": subject(alert),
        "detail": detail(alert),
        "plugin": condition.plugin,
        "event": condition.event,
        "since": since(alert),
        "lasted_s": alert.lasted.as_secs(),
        "flapping": alert.flaps,
        "times": alert.times,
    })
}

fn since(alert: &Alert) -> Option<String> {
    let at = Timestamp::from_millisecond(alert.since_ms).ok()?;
    Some(at.to_string())
}

/// Shows an alert that is raised.
pub(crate) fn view(alert: &Alert) -> AlertView {
    AlertView {
        kind: alert.condition.kind.name().into(),
        what: line(What::Raised, alert),
        plugin: alert.condition.plugin.clone(),
        event: alert.condition.event,
        detail: detail(alert),
        since_ms: alert.since_ms,
        flapping: alert.flaps,
    }
}

/// Keeps a text from meaning more to a chat than it says: nobody is called by what a plugin logs.
fn escaped(text: &str) -> String {
    let text = tame(text).replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// Returns a span for people.
fn span(span: Duration) -> String {
    match span.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use slated_core::alarm::Condition;
    use slated_model::{EventId, PluginId};

    use super::*;

    fn alert(detail: &str) -> Alert {
        Alert {
            condition: Condition {
                kind: Kind::Hold,
                plugin: Some(PluginId::new("plugins", "notes")),
                event: Some(EventId(7)),
                detail: detail.into(),
            },
            since_ms: 1_790_000_000_000,
            lasted: Duration::from_mins(5),
            flaps: false,
            times: 1,
        }
    }

    fn sender() -> Sender {
        Sender {
            host: "farm1".into(),
            site: "https://studio.example".into(),
        }
    }

    fn object(notice: &Notice) -> Value {
        serde_json::from_str(&sender().json(notice)).expect("JSON")
    }

    #[test]
    fn a_webhook_gets_a_line_and_fields() {
        let value = object(&Notice::One(What::Raised, alert("held at event 7")));
        assert_eq!(
            value["text"],
            "slated on farm1: plugins/notes is held\nheld at event 7"
        );
        for (field, wanted) in [
            ("kind", json!("hold")),
            ("state", json!("raised")),
            ("subject", json!("plugins/notes")),
            ("plugin", json!("plugins/notes")),
            ("event", json!(7)),
            ("since", json!("2026-09-21T14:13:20Z")),
            ("host", json!("farm1")),
            ("site", json!("https://studio.example")),
            ("version", json!(env!("CARGO_PKG_VERSION"))),
        ] {
            assert_eq!(value[field], wanted, "{field}");
        }
        let value = object(&Notice::One(What::Over, alert("")));
        let text = "slated on farm1: over: plugins/notes is held no more, after 5 min";
        assert_eq!(value["text"], text);
        assert_eq!(value["state"], "recovered");
    }

    #[test]
    fn what_a_plugin_says_calls_nobody_and_ends() {
        let long = format!("<!channel> & \u{1b}[31m {}", "x".repeat(20_000));
        let value = object(&Notice::One(What::Raised, alert(&long)));
        let text = value["text"].as_str().expect("a text");
        assert!(
            text.contains("&lt;!channel&gt; &amp; \\u{1b}[31m"),
            "{text}"
        );
        assert!(text.len() < 2000);
    }

    #[test]
    fn many_are_told_in_one() {
        let all = vec![(What::Raised, alert("x")); 40];
        let value = object(&Notice::More(all.clone()));
        let text = value["text"].as_str().expect("a text");
        assert!(
            text.starts_with("slated on farm1: 40 more alerts"),
            "{text}"
        );
        assert!(text.ends_with("and 10 more; see `slated status`"), "{text}");
        assert_eq!(value["alerts"].as_array().map(Vec::len), Some(40));
        let (subject, body) = sender().mail(&Notice::More(all));
        assert!(subject.starts_with("40 more alerts"), "{subject}");
        assert!(body.contains("- plugins/notes is held\n"), "{body}");
    }
}
