//! A sample of every message of every version, and what must hold for any message.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::value::RawValue;
    use slated_model::{AttributeRule, Cause, Failure, FailureKind, Matcher};
    use slated_wire::{
        CallError, CallResult, Callback, Emails, EventFrame, FrameError, FromWorker, Lines, Log,
        MAX_FRAME, Message, Ready, Secret, ToWorker, Write, decode, encode,
    };

    fn samples(direction: &str) -> Vec<(PathBuf, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let mut found = Vec::new();
        for version in std::fs::read_dir(folder).unwrap() {
            for file in std::fs::read_dir(version.unwrap().path().join(direction)).unwrap() {
                let path = file.unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
        found
    }

    /// Returns the types of all samples, after reading each and writing it again.
    fn read_and_write<M: Message>(direction: &str) -> BTreeSet<String> {
        let mut types = BTreeSet::new();
        for (path, text) in samples(direction) {
            let message: M = decode(text.as_bytes()).unwrap().unwrap();
            let written = encode(&message, MAX_FRAME).unwrap();
            let meant: serde_json::Value = serde_json::from_str(&text).unwrap();
            let wrote: serde_json::Value = serde_json::from_slice(&written).unwrap();
            assert_eq!(meant, wrote, "{}", path.display());
            types.insert(meant["type"].as_str().unwrap().to_owned());
        }
        types
    }

    /// Collects the names of the fields of a message, but for those inside an event or a filter,
    /// which are not the protocol's.
    fn fields(value: &serde_json::Value, into: &mut BTreeSet<String>) {
        let inner = value.as_object().into_iter().flatten();
        for (name, value) in inner {
            into.insert(name.clone());
            if !["event", "match"].contains(&name.as_str()) {
                fields(value, into);
            }
        }
        for value in value.as_array().into_iter().flatten() {
            fields(value, into);
        }
    }

    #[test]
    fn every_message_and_field_is_documented() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
        let document = std::fs::read_to_string(path).unwrap();
        let mut wanted = BTreeSet::new();
        for (_, text) in [samples("down"), samples("up")].concat() {
            let message: serde_json::Value = serde_json::from_str(&text).unwrap();
            let kind = message["type"].as_str().unwrap();
            assert!(
                document.contains(&format!(r#"{{"type":"{kind}""#)),
                "{kind}"
            );
            fields(&message, &mut wanted);
        }
        assert!(wanted.len() > 50, "{wanted:?}");
        for name in wanted {
            assert!(document.contains(&format!(r#""{name}":"#)), "{name}");
        }
    }

    #[test]
    fn every_message_of_every_version_is_read_and_written() {
        let down = read_and_write::<ToWorker>("down");
        assert_eq!(
            down,
            BTreeSet::from(["event", "goodbye", "hello"].map(String::from))
        );
        let up = read_and_write::<FromWorker>("up");
        let wanted = [
            "done",
            "hello",
            "imports",
            "load_failed",
            "log",
            "ready",
            "result",
            "write",
        ];
        assert_eq!(up, BTreeSet::from(wanted.map(String::from)));
    }

    #[test]
    fn a_script_tells_messages_apart_by_how_they_begin() {
        let mut seen = 0;
        for (path, text) in samples("down") {
            let message: ToWorker = decode(text.as_bytes()).unwrap().unwrap();
            let line = String::from_utf8(encode(&message, MAX_FRAME).unwrap()).unwrap();
            let begins = match &message {
                ToWorker::Hello(_) => r#"{"type":"hello","protocol":{"major":1,"#.to_owned(),
                ToWorker::Event(event) => format!(r#"{{"type":"event","seq":{},"#, event.seq),
                ToWorker::Goodbye(_) => r#"{"type":"goodbye","#.to_owned(),
            };
            assert!(line.starts_with(&begins), "{}: {line}", path.display());
            if let ToWorker::Event(event) = &message {
                let ends = format!(r#","event":{}}}"#, event.event.get());
                assert!(line.trim_end().ends_with(&ends), "{line}");
                seen += 1;
            }
        }
        assert!(seen > 0);
    }

    #[test]
    fn an_events_text_passes_through_untouched() {
        let text = r#"{"id":1,"x":1.10,"y":123456789012345678901,"z":"\u00e4ä"}"#;
        let frame = EventFrame {
            seq: 1,
            turn: 1,
            callbacks: vec![0],
            attempt: 1,
            key: "k".into(),
            timeout_ms: None,
            replay: false,
            event: Arc::from(RawValue::from_string(text.into()).unwrap()),
        };
        let line = encode(&ToWorker::Event(frame), MAX_FRAME).unwrap();
        let written = String::from_utf8(line.clone()).unwrap();
        assert!(written.contains(text), "{written}");
        let Some(ToWorker::Event(read)) = decode(&line).unwrap() else {
            panic!("not read as an event");
        };
        assert_eq!(read.event.get(), text);
    }

    #[test]
    fn a_line_break_between_tokens_does_not_break_the_framing() {
        let raw = RawValue::from_string("{\n \"id\":\r\n1}".into()).unwrap();
        let message = ToWorker::Event(EventFrame {
            seq: 1,
            turn: 1,
            callbacks: vec![],
            attempt: 1,
            key: "a\nb".into(),
            timeout_ms: None,
            replay: true,
            event: Arc::from(raw),
        });
        let line = encode(&message, MAX_FRAME).unwrap();
        assert_eq!(line.iter().position(|b| *b == b'\n'), Some(line.len() - 1));
        let Some(ToWorker::Event(read)) = decode(&line).unwrap() else {
            panic!("not read as an event");
        };
        assert_eq!(read.key, "a\nb");
    }

    #[test]
    fn what_is_too_long_is_not_written() {
        let message = ToWorker::Goodbye(slated_wire::Goodbye {
            reason: "x".repeat(100),
            grace_ms: 1,
        });
        assert!(matches!(
            encode(&message, 100),
            Err(FrameError::TooLong { max: 100 })
        ));
        assert!(encode(&message, 200).is_ok());
    }

    #[test]
    fn secrets_do_not_show() {
        let (_, hello) = samples("down")
            .into_iter()
            .find(|(path, _)| path.ends_with("hello.json"))
            .unwrap();
        let message: ToWorker = decode(hello.as_bytes()).unwrap().unwrap();
        let shown = format!("{message:?}");
        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(Secret::new("x").reveal(), "x");
    }

    #[test]
    fn lines_that_are_no_messages_are_shown_in_part() {
        let read = |text: &str| decode::<FromWorker>(text.as_bytes());
        assert!(read("").unwrap().is_none() && read("  \r").unwrap().is_none());
        assert!(
            read(r#"{"type":"news","optional":true}"#)
                .unwrap()
                .is_none()
        );
        assert!(
            matches!(read(r#"{"type":"news"}"#), Err(FrameError::UnknownType { name, .. }) if name == "news")
        );
        for text in [
            "x",
            "[]",
            "{}",
            r#"{"type":"done"}"#,
            r#"{"type":"done","seq":-1}"#,
            "\u{0}",
        ] {
            assert!(
                matches!(read(text), Err(FrameError::NotAMessage { .. })),
                "{text}"
            );
        }
        let error = read(&"ä\u{7}".repeat(5000)).unwrap_err().to_string();
        assert!(error.len() < 1000 && error.ends_with('…'), "{error}");
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let line = br#"{"type":"done","seq":7,"mood":"good","optional":true}"#;
        let read: Option<FromWorker> = decode(line).unwrap();
        assert!(matches!(read, Some(FromWorker::Done(done)) if done.seq == 7));
    }

    #[test]
    fn an_error_becomes_a_failure_and_a_limit_is_never_transient() {
        let error = CallError {
            r#type: "OSError".into(),
            cause: Some(Cause::Transient),
            ..CallError::default()
        };
        let failure = Failure::from(error.clone());
        assert_eq!(
            (failure.kind, failure.cause),
            (FailureKind::Raised, Some(Cause::Transient))
        );
        let failure = Failure::from(CallError {
            limit: true,
            ..error
        });
        assert_eq!((failure.kind, failure.cause), (FailureKind::Limit, None));
    }

    fn rule() -> impl Strategy<Value = AttributeRule> {
        prop_oneof![
            Just(AttributeRule::Any(true)),
            prop::collection::vec(".{0,8}", 0..4).prop_map(AttributeRule::Attrs),
            ".{0,8}".prop_map(AttributeRule::Substring),
        ]
    }

    fn from_worker() -> impl Strategy<Value = FromWorker> {
        let error = (".*", ".*", ".*", proptest::option::of(".*"), any::<bool>()).prop_map(
            |(kind, message, traceback, locals, limit)| {
                Box::new(CallError {
                    r#type: kind,
                    message,
                    traceback,
                    locals,
                    cause: None,
                    limit,
                })
            },
        );
        let result = (
            any::<u64>(),
            any::<u32>(),
            any::<u64>(),
            proptest::option::of(error),
            any::<bool>(),
        )
            .prop_map(|(seq, n, us, error, stop)| {
                FromWorker::Result(CallResult {
                    seq,
                    n,
                    us,
                    error,
                    stop,
                })
            });
        let callback = (
            any::<u32>(),
            ".*",
            prop::collection::btree_map(".{0,8}", rule(), 0..4),
        )
            .prop_map(|(n, name, rules)| Callback {
                n,
                name,
                matcher: Matcher::new(rules),
                stop_on_error: true,
                args_repr: String::new(),
            });
        let ready = prop::collection::vec(callback, 0..4).prop_map(|callbacks| {
            FromWorker::Ready(Ready {
                callbacks,
                emails: Emails::Configured(false),
                window: None,
                warnings: Vec::new(),
                sha256: String::new(),
                imports: Vec::new(),
            })
        });
        let log =
            (".*", ".*", any::<u32>(), any::<u64>()).prop_map(|(logger, message, level, time)| {
                FromWorker::Log(Log {
                    level,
                    logger,
                    message,
                    time,
                    path: String::new(),
                    func: String::new(),
                    line: 0,
                    seq: Some(1),
                })
            });
        let write = (".*", proptest::option::of(".*"), any::<i64>(), ".*").prop_map(
            |(method, entity, id, data)| {
                FromWorker::Write(Write {
                    seq: None,
                    n: None,
                    method,
                    entity,
                    id: Some(id),
                    data,
                })
            },
        );
        prop_oneof![result, ready, log, write]
    }

    proptest! {
        #[test]
        fn any_message_is_one_line_and_reads_back(messages in prop::collection::vec(from_worker(), 1..4)) {
            let mut lines = Lines::new(MAX_FRAME);
            for message in &messages {
                lines.push(&encode(message, MAX_FRAME).unwrap());
            }
            for message in messages {
                let line = lines.next_line().unwrap().unwrap();
                prop_assert_eq!(decode::<FromWorker>(line).unwrap(), Some(message));
            }
            prop_assert!(lines.next_line().unwrap().is_none());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _read = decode::<FromWorker>(&bytes).is_ok() | decode::<ToWorker>(&bytes).is_ok();
        }
    }
}
