//! Limits: a slow call is shown, a soft limit hits its own call only, a hard one the process.

use std::time::Duration;

use serde_json::json;
use slated_host::{End, Report, Why};
use slated_model::FailureKind;

use crate::stage::{ACT, KEEP_GOING, QUIET, Stage};

const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_slow_call_shows_where_it_stands_and_goes_on() {
    let stage = Stage::new().await.limits(|l| l.warn_after = Some(SHORT));
    let mut player = stage.ready().await;
    let seq = player.send(&[ACT, QUIET], &json!({"do": "sleep", "seconds": 0.8}));
    let Report::Slow {
        seq: slow,
        n,
        after,
        stack,
    } = player.until(|r| matches!(r, Report::Slow { .. })).await
    else {
        unreachable!()
    };
    assert_eq!((slow, n), (seq, ACT));
    assert!(after >= SHORT);
    assert!(
        stack.contains("misbehaving.py") && stack.contains("in act"),
        "{stack}"
    );
    assert!(!stack.contains("slated_worker"), "{stack}");
    player.done(seq).await;
    // The dump is no chatter of the plugin.
    assert!(
        !player
            .aside
            .iter()
            .any(|r| matches!(r, Report::Stderr { .. }))
    );
    assert!(player.goodbye().await.expected);
}

#[tokio::test]
async fn a_soft_limit_ends_a_call_that_sleeps_and_nothing_else() {
    let stage = Stage::new().await.limits(|l| l.soft = Some(SHORT));
    let mut player = stage.ready().await;
    let seq = player.send(&[KEEP_GOING, QUIET], &json!({"do": "sleep", "seconds": 60}));
    let Report::Result {
        error: Some(failure),
        us,
        ..
    } = player.result().await
    else {
        panic!("the limit did not strike");
    };
    assert_eq!(
        (failure.kind, failure.error.as_str()),
        (FailureKind::Limit, "PluginTimeout")
    );
    assert_eq!(failure.cause, None);
    assert!(
        failure.traceback.contains("in act"),
        "{}",
        failure.traceback
    );
    assert!((150_000..5_000_000).contains(&us), "{us}");
    let Report::Result {
        n: QUIET,
        error: None,
        ..
    } = player.result().await
    else {
        panic!("the limit struck the next callback");
    };
    player.done(seq).await;
    player.goodbye().await;
}

#[tokio::test]
async fn a_soft_limit_close_to_the_end_of_a_call_never_reaches_the_next_one() {
    let limit = Duration::from_millis(10);
    let stage = Stage::new().await.limits(|l| l.soft = Some(limit));
    let mut player = stage.ready().await;
    let mut struck = 0;
    for round in 0..60 {
        let seconds = f64::from(round).mul_add(0.000_1, 0.007);
        let seq = player.send(
            &[KEEP_GOING, QUIET, QUIET],
            &json!({"do": "sleep", "seconds": seconds}),
        );
        let mut failed = Vec::new();
        for _ in 0..3 {
            if let Report::Result {
                n,
                error: Some(failure),
                ..
            } = player.result().await
            {
                assert_eq!(failure.kind, FailureKind::Limit);
                failed.push(n);
            }
        }
        player.done(seq).await;
        assert!(failed.iter().all(|n| *n == KEEP_GOING), "{failed:?}");
        struck += failed.len();
    }
    assert!(struck > 0, "no call ran into the limit");
    assert!(player.goodbye().await.expected);
}

#[tokio::test]
async fn a_soft_limit_does_not_cut_a_log_frame_in_two() {
    let stage = Stage::new()
        .await
        .limits(|l| l.soft = Some(Duration::from_millis(20)));
    let mut player = stage.ready().await;
    for _ in 0..10 {
        let seq = player.send(&[KEEP_GOING], &json!({"do": "timeout_loop", "seconds": 60}));
        let Report::Result {
            error: Some(failure),
            ..
        } = player.result().await
        else {
            panic!("the limit did not strike");
        };
        assert_eq!(failure.kind, FailureKind::Limit);
        player.done(seq).await;
        player.aside.clear();
    }
    assert!(player.goodbye().await.expected);
}

#[tokio::test]
async fn a_hard_limit_dumps_the_stack_and_ends_the_process() {
    let stage = Stage::new().await.limits(|l| {
        // The callback swallows the soft limit.
        l.soft = Some(Duration::from_millis(50));
        l.hard = Some(SHORT);
    });
    let mut player = stage.ready().await;
    player.send(&[QUIET, ACT, QUIET], &json!({"do": "hang", "deaf": true}));
    let (exit, reports) = player.exit().await;
    assert_eq!(exit.why, Why::HardLimit(SHORT));
    assert_eq!((exit.end, exit.expected), (End::Signal(15), false));
    let failure = exit.failure();
    assert_eq!(failure.kind, FailureKind::Limit);
    assert!(
        failure.traceback.contains("in act"),
        "{}",
        failure.traceback
    );
    let answered = reports
        .iter()
        .filter(|r| matches!(r, Report::Result { .. }))
        .count();
    assert_eq!(answered, 1);
}

#[tokio::test]
async fn a_stack_is_there_even_of_c_code_that_holds_the_interpreter() {
    let stage = Stage::new().await.limits(|l| l.hard = Some(SHORT));
    let mut player = stage.ready().await;
    player.send(&[ACT], &json!({"do": "hold_the_gil"}));
    let (exit, _) = player.exit().await;
    assert!(exit.stack.is_some_and(|stack| stack.contains("in act")));
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed() {
    let text = "import signal, time\n\
                def stay(sg, logger, event, args):\n    \
                signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(60)\n\
                def registerCallbacks(reg):\n    reg.registerCallback('s', 'k', stay)\n";
    let stage = Stage::new()
        .await
        .plugin("stays", text)
        .limits(|l| l.hard = Some(SHORT));
    let mut player = stage.ready().await;
    player.send(&[0], &json!({}));
    let (exit, _) = player.exit().await;
    assert_eq!(exit.end, End::Signal(9));
}

#[tokio::test]
async fn the_hard_limit_is_each_calls_own() {
    let hard = Duration::from_millis(600);
    let stage = Stage::new().await.limits(|l| l.hard = Some(hard));
    let mut player = stage.ready().await;
    // Three frames at once, together longer than the limit.
    let sent: Vec<_> = (0..3)
        .map(|_| player.send(&[ACT, KEEP_GOING], &json!({"do": "sleep", "seconds": 0.2})))
        .collect();
    for seq in sent {
        player.done(seq).await;
    }
    assert!(player.goodbye().await.expected);
}
