//! Workers that break the protocol are ended, and that is a death, never a wrong answer.

use serde_json::json;
use slated_host::wire::FrameError;
use slated_host::{End, Exit, Report, SendError, SpawnError, Why};

use crate::stage::{ACT, QUIET, Stage, frame};

const HELLO: &str = r#"{"type":"hello","protocol":{"major":1,"minor":0},"pid":1}"#;
const READY: &str = r#"{"type":"ready","callbacks":[]}"#;

/// Starts a shell script in the place of Python; returns how it ended and what it said.
async fn impostor(script: &str) -> (Exit, Vec<Report>) {
    Stage::new().await.script(script, &[]).start().exit().await
}

fn wrong(exit: &Exit) -> &str {
    assert!(!exit.expected);
    match &exit.why {
        Why::Protocol(what) => what,
        other => panic!("not a breach of the protocol: {other:?}"),
    }
}

#[tokio::test]
async fn garbage_in_the_middle_is_shown_and_ends_the_worker() {
    let mut player = Stage::new().await.ready().await;
    player.send(&[QUIET, ACT, QUIET], &json!({"do": "garbage"}));
    let (exit, reports) = player.exit().await;
    assert!(wrong(&exit).contains("this is no message"), "{exit:?}");
    assert!(
        reports
            .iter()
            .any(|r| matches!(r, Report::Result { n: QUIET, .. }))
    );
}

#[tokio::test]
async fn an_end_before_the_hello_is_a_death() {
    let (exit, reports) = impostor("echo oops >&2; exit 3").await;
    assert_eq!(
        (exit.end, &exit.why, exit.expected),
        (End::Code(3), &Why::Itself, false)
    );
    assert_eq!(exit.stderr, "oops\n");
    assert!(!reports.iter().any(|r| matches!(r, Report::Hello(_))));
}

#[tokio::test]
async fn another_major_version_is_refused() {
    let hello = HELLO.replace("\"major\":1", "\"major\":2");
    let (exit, _) = impostor(&format!("echo '{hello}'; sleep 60")).await;
    assert_eq!(
        wrong(&exit),
        "the worker speaks protocol 2.0, slated speaks 1.3"
    );
}

#[tokio::test]
async fn a_frame_of_17_mib_is_refused_in_both_directions() {
    let (exit, _) = impostor(&format!(
        "echo '{HELLO}'; head -c 17825792 /dev/zero | tr '\\0' x; sleep 60"
    ))
    .await;
    assert_eq!(wrong(&exit), "a frame of more than 16777216 bytes");

    let player = Stage::new().await.ready().await;
    let big = frame(1, 1, &[QUIET], &json!({"big": "x".repeat(17 << 20)}));
    let refused = player.handle().send(big);
    assert!(matches!(
        refused,
        Err(SendError::Frame(FrameError::TooLong { .. }))
    ));
    assert!(player.goodbye().await.expected);
}

#[tokio::test]
async fn half_a_frame_is_a_death() {
    let (exit, _) = impostor(&format!(
        "echo '{HELLO}'; echo '{READY}'; printf '{{\"type\"'; exit 1"
    ))
    .await;
    assert_eq!((exit.end, exit.why), (End::Code(1), Why::Itself));
}

#[tokio::test]
async fn messages_out_of_place_end_the_worker() {
    for (said, why) in [
        (READY.to_owned(), "`ready` while a hello was awaited"),
        (
            format!("{HELLO}\n{HELLO}"),
            "`hello` while the plugin was loading",
        ),
        (
            format!("{HELLO}\n{READY}\n{{\"type\":\"done\",\"seq\":4}}"),
            "`done` for frame 4, which is not done",
        ),
        (
            format!("{HELLO}\n{{\"type\":\"surprise\"}}"),
            "unknown message type `surprise`",
        ),
    ] {
        let (exit, _) = impostor(&format!("cat <<'END'\n{said}\nEND\nsleep 60")).await;
        assert!(wrong(&exit).starts_with(why), "{exit:?}");
    }
}

#[tokio::test]
async fn a_pipe_that_is_closed_by_a_living_process_ends_it() {
    let (exit, _) = impostor(&format!("echo '{HELLO}'; exec 1>&-; sleep 60")).await;
    assert_eq!(wrong(&exit), "it closed its pipe and lived on");
}

#[tokio::test]
async fn chatter_before_the_hello_and_optional_messages_are_borne() {
    let script = format!(
        "echo welcome to the studio; echo; echo '{HELLO}'; \
         echo '{{\"type\":\"news\",\"optional\":true}}'; echo '{READY}'; exit 0"
    );
    let (_, reports) = impostor(&script).await;
    assert!(matches!(&reports[0], Report::Stderr { line } if line == "welcome to the studio"));
    assert!(matches!(&reports[2], Report::Ready { .. }), "{reports:?}");
}

#[tokio::test]
async fn what_cannot_be_started_is_said() {
    let mut stage = Stage::new().await;
    let (sender, _reports) = tokio::sync::mpsc::channel(1);
    stage.spawn.cwd = Some("/no/such/folder".into());
    let error = slated_host::Worker::start(&stage.spawn, sender).unwrap_err();
    assert!(matches!(error, SpawnError::Folder { .. }));
    stage.spawn.cwd = None;
    stage.python().interpreter.path = "/no/such/python".into();
    let mut player = stage.start();
    let Report::Unstarted(error) = player.next().await else {
        panic!("it was started");
    };
    assert!(
        error
            .to_string()
            .starts_with("cannot start /no/such/python"),
        "{error}"
    );
    assert!(player.reports.recv().await.is_none(), "that is the last");
}
