//! How mails look, byte for byte, and what becomes of them without a server.

use jiff::tz::TimeZone;
use slated_core::Mono;
use slated_core::digest::{Digests, Fate, Rules};
use slated_model::{CallbackId, EventId, Failure, FailureKind, HoldRow};

use super::letter::Style;
use super::text::Scrub;
use super::*;
use crate::tell::record::{ERROR, INFO, Source};
use crate::tell::{Call, Fact};

fn at(second: u32) -> Timestamp {
    let text = format!("2026-11-23T08:15:{second:02}.123Z");
    text.parse().expect("a time")
}

fn notes() -> PluginId {
    PluginId::new("/studio/plugins", "notes")
}

fn on_status() -> CallbackId {
    CallbackId::new("on_status", 1)
}

fn failure(event: u64) -> Failure {
    Failure {
        kind: FailureKind::Raised,
        error: "KeyError".into(),
        message: format!("'shot {event}'"),
        traceback: format!(
            "Traceback (most recent call last):\n  File \"/studio/plugins/notes.py\", line 12, in on_status\n    shots[name]\n    ~~~~~^^^^^^\nKeyError: 'shot {event}'\n"
        ),
        locals: Some(format!("event = {{'id': {event}}}\nname = 'shot {event}'")),
        cause: None,
        us: None,
        log: Vec::new(),
    }
}

fn letter(event: u64) -> Fact {
    Fact::DeadLetter {
        plugin: notes(),
        callback: on_status(),
        event: EventId(event),
        failure: failure(event),
        attempts: 3,
    }
}

fn held() -> Fact {
    Fact::PluginHeld {
        plugin: notes(),
        hold: HoldRow {
            event: Some(EventId(7)),
            callback: Some(on_status()),
            reason: "KeyError: 'shot 7'".into(),
        },
        failure: Some(failure(7)),
    }
}

fn logged(level: u32, message: &str) -> Fact {
    Fact::PluginLog {
        plugin: notes(),
        level,
        logger: "plugin.notes.on_status".into(),
        message: message.into(),
        call: Some(Call {
            event: EventId(7),
            callback: on_status(),
            attempt: 1,
        }),
        at_us: 1_795_421_702_007_000,
        source: Source {
            path: "/studio/plugins/notes.py".into(),
            func: "on_status".into(),
            line: 9,
        },
    }
}

fn broken() -> Fact {
    Fact::PluginBroken {
        plugin: notes(),
        place: "/studio/plugins/notes.py:3: SyntaxError: invalid syntax".into(),
        traceback: "  File \"/studio/plugins/notes.py\", line 3\n    def f(:\n          ^\nSyntaxError: invalid syntax\n".into(),
        kept_old: true,
    }
}

fn style(python: bool) -> Style {
    Style {
        python,
        subject: if python { "[SG]" } else { "[slated]" }.into(),
        own: if python { "engine" } else { "slated" },
        zone: TimeZone::get("Europe/Berlin").expect("the system's time zones"),
    }
}

/// Has facts heard one after another, each a second later; what goes out at the end.
fn written(python: bool, facts: &[Fact], together: bool) -> String {
    let mut digests = Digests::new(Rules::default());
    let hear = |digests: &mut Digests<Notice>, facts: &[Fact]| {
        for (n, fact) in facts.iter().enumerate() {
            let second = u32::try_from(n).expect("few");
            let heard = notice::of_fact(fact, at(second), &Scrub::default());
            digests.hear(Mono::ZERO, heard.expect("it is mailed"));
        }
    };
    hear(&mut digests, facts);
    if together {
        // Everything that has a letter out waits behind it.
        while let Some(letter) = digests.take(Mono::ZERO) {
            digests.settle(Mono::ZERO, letter, Fate::Sent);
        }
        hear(&mut digests, facts);
        digests.drain();
    }
    let letter = digests.take(Mono::ZERO).expect("a letter");
    let (subject, body) = style(python).write(&letter);
    format!("Subject: {subject}\n\n{body}")
}

#[track_caller]
fn looks(is: &str, wanted: &str) {
    assert!(is == wanted, "---- it is\n{is}\n---- wanted\n{wanted}");
}

#[test]
fn under_a_conf_mail_is_the_python_daemons() {
    looks(
        &written(true, &[letter(7)], false),
        include_str!("golden/conf_failure.txt"),
    );
    let error = logged(ERROR, "the farm is away\nTraceback …");
    looks(
        &written(true, &[error], false),
        include_str!("golden/conf_logged.txt"),
    );
    let facts = [letter(7), letter(9), letter(12)];
    looks(
        &written(true, &facts, false),
        include_str!("golden/conf_digest.txt"),
    );
}

#[test]
fn otherwise_mail_says_what_slated_does_next_and_where_to_look() {
    for (facts, wanted) in [
        (&[letter(7)][..], include_str!("golden/toml_failure.txt")),
        (&[held()], include_str!("golden/toml_held.txt")),
        (&[broken()], include_str!("golden/toml_broken.txt")),
        (
            &[letter(7), letter(9), letter(12)],
            include_str!("golden/toml_digest.txt"),
        ),
    ] {
        looks(&written(false, facts, false), wanted);
    }
    let lost = Fact::StateFailed {
        error: "the disk is full".into(),
    };
    let facts = [letter(7), logged(45, "odd"), lost];
    looks(
        &written(false, &facts, true),
        include_str!("golden/toml_together.txt"),
    );
}

#[test]
fn levels_below_error_are_not_mailed_and_mail_about_mail_neither() {
    let of = |fact: &Fact| notice::of_fact(fact, at(0), &Scrub::default());
    let failed = Fact::MailFailed {
        server: "smtp:25".into(),
        error: "connecting: refused".into(),
        hint: None,
    };
    assert!(failed.level() >= ERROR && of(&failed).is_none());
    assert!(of(&logged(INFO, "all is well")).is_none());
    assert!(of(&logged(ERROR, "it is not")).is_some());
}

#[test]
fn failures_are_alike_by_error_and_line_of_the_plugin() {
    let print = |fact: &Fact| {
        let heard = notice::of_fact(fact, at(0), &Scrub::default());
        heard.expect("it is mailed").topic.print
    };
    assert_eq!(print(&letter(7)), print(&letter(8)));
    assert_eq!(print(&letter(7)), print(&held()));
    let words = |message: &str| print(&logged(ERROR, message));
    assert_eq!(words("job 12 is lost\n1"), words("job 4 is lost\n2"));
    assert_ne!(words("job 12 is lost"), words("job 12 is late"));
    let mut other = failure(7);
    other.error = "ValueError".into();
    let other = Fact::FailureLogged {
        plugin: notes(),
        callback: on_status(),
        event: EventId(7),
        failure: other,
    };
    assert_ne!(print(&letter(7)), print(&other));
}

#[test]
fn a_secret_that_would_be_cut_in_two_is_not_shown_in_part() {
    let secrets = Secrets {
        site_key: "0123456789abcdef".into(),
        ..Secrets::default()
    };
    let scrub = Scrub::of(&secrets);
    for ahead in 0..400 {
        let message = format!(
            "{}0123456789abcdef{}",
            "x".repeat(ahead),
            "y".repeat(20_000)
        );
        let fact = logged(ERROR, &message);
        let heard = notice::of_fact(&fact, at(0), &scrub).expect("it is mailed");
        for text in [
            &heard.example.what,
            &heard.example.message,
            &heard.topic.print,
        ] {
            assert!(!text.contains("01234") && !text.contains("bcdef"), "{text}");
        }
    }
}
