//! The life of a worker: it says hello, loads its plugin, runs events and leaves.

use crate::stage::{ACT, KEEP_GOING, QUIET, Stage, WRONG_ARITY};
use serde_json::json;
use slated_host::{End, Report, Why};
use slated_model::{AttributeRule, FailureKind, Matcher};

#[tokio::test]
async fn an_event_goes_through_a_real_worker() {
    let stage = Stage::new().await;
    let mut player = stage.start();
    let Report::Hello(hello) = player.next().await else {
        panic!("the first report is not the hello");
    };
    assert_eq!(hello.pid, player.pid());
    assert_eq!(hello.shotgun_api3.as_deref(), Some("0.0.fake"));
    assert!(hello.runtime.starts_with("cpython 3."), "{}", hello.runtime);

    let Report::Ready {
        callbacks, window, ..
    } = player.until(|r| matches!(r, Report::Ready { .. })).await
    else {
        unreachable!()
    };
    assert_eq!(window, 16);
    let ids: Vec<_> = callbacks.iter().map(|c| c.id.to_string()).collect();
    assert_eq!(ids, ["quiet", "act", "keep_going", "wrong_arity"]);
    let status = AttributeRule::Attrs(vec!["sg_status_list".into()]);
    let wanted = Matcher::new([("Shotgun_Task_Change".into(), status)]);
    assert_eq!(callbacks[1].matcher, wanted);
    assert!(callbacks[1].stop_on_error && !callbacks[2].stop_on_error);

    let seq = player.send(&[QUIET, ACT], &json!({"do": "nothing"}));
    for n in [QUIET, ACT] {
        let Report::Result {
            seq: s,
            n: at,
            error,
            stop,
            ..
        } = player.result().await
        else {
            unreachable!()
        };
        assert_eq!((s, at, error.is_none(), stop), (seq, n, true, false));
    }
    player.done(seq).await;

    let exit = player.goodbye().await;
    assert_eq!(
        (exit.end, exit.why, exit.expected),
        (End::Code(0), Why::Goodbye, true)
    );
}

#[tokio::test]
async fn a_failure_tells_what_a_person_needs() {
    let mut player = Stage::new().await.ready().await;
    player.send(&[KEEP_GOING], &json!({"do": "raise"}));
    let Report::Result {
        error: Some(failure),
        stop,
        ..
    } = player.result().await
    else {
        panic!("it did not fail");
    };
    assert!(!stop);
    assert_eq!(
        (failure.kind, failure.error.as_str()),
        (FailureKind::Raised, "ValueError")
    );
    assert_eq!(failure.message, "as asked, umlaut ä, half a pair ?");
    assert!(
        failure
            .traceback
            .starts_with("Traceback (most recent call last)")
    );
    assert!(
        failure.traceback.contains("in keep_going"),
        "{}",
        failure.traceback
    );
    assert!(
        !failure.traceback.contains("slated_worker"),
        "{}",
        failure.traceback
    );
    // The outermost frame in the plugin.
    let locals = failure.locals.unwrap();
    assert!(
        locals.contains("event = {") && locals.contains("args = None"),
        "{locals}"
    );
    player.goodbye().await;
}

#[tokio::test]
async fn compat_3_5_whatever_a_callback_raises_is_its_failure_and_nothing_more() {
    let mut player = Stage::new().await.ready().await;
    for (n, switch, class) in [
        (KEEP_GOING, "system_exit", "SystemExit"),
        (KEEP_GOING, "interrupt", "KeyboardInterrupt"),
        (WRONG_ARITY, "nothing", "TypeError"),
    ] {
        let seq = player.send(&[n, QUIET], &json!({"do": switch}));
        let Report::Result {
            error: Some(failure),
            ..
        } = player.result().await
        else {
            panic!("{switch} did not fail");
        };
        assert_eq!(failure.error, class);
        let Report::Result { n, error: None, .. } = player.result().await else {
            panic!("the next callback did not run");
        };
        assert_eq!(n, QUIET);
        player.done(seq).await;
    }
    player.goodbye().await;
}
