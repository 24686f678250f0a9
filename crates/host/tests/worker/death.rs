//! A callback ends its process: who is to blame is exact, and nothing that was answered is lost.

use serde_json::json;
use slated_host::{End, Exit, Report, Why};
use slated_model::FailureKind;

use crate::stage::{ACT, QUIET, Stage};

/// Runs `quiet` and then `act` with this switch; returns the end and who had answered.
async fn die(switch: &str) -> (Exit, Vec<(u64, u32)>) {
    let mut player = Stage::new().await.ready().await;
    let before = player.send(&[QUIET], &json!({"do": "nothing"}));
    let fatal = player.send(&[QUIET, ACT, QUIET], &json!({"do": switch}));
    player.send(&[QUIET], &json!({"do": "nothing"}));
    let (exit, reports) = player.exit().await;
    let answered: Vec<_> = reports
        .iter()
        .filter_map(|report| match report {
            Report::Result { seq, n, .. } => Some((*seq, *n)),
            _ => None,
        })
        .collect();
    assert_eq!(answered, [(before, QUIET), (fatal, QUIET)]);
    (exit, answered)
}

#[tokio::test]
async fn os_exit_in_a_callback_is_a_death_of_the_first_callback_without_an_answer() {
    let (exit, _) = die("exit").await;
    assert_eq!(
        (exit.end, &exit.why, exit.expected),
        (End::Code(9), &Why::Itself, false)
    );
    assert_eq!(exit.failure().kind, FailureKind::Death);
    assert_eq!(exit.failure().error, "exit code 9");
}

#[tokio::test]
async fn a_segfault_leaves_the_stack_that_led_to_it() {
    let (exit, _) = die("segfault").await;
    assert_eq!((exit.end, &exit.why), (End::Signal(11), &Why::Itself));
    let failure = exit.failure();
    assert_eq!(failure.error, "signal 11 (SIGSEGV)");
    assert!(
        failure.traceback.contains("in act"),
        "{}",
        failure.traceback
    );
}

#[tokio::test]
async fn a_death_takes_the_children_along() {
    let stage = Stage::new().await;
    let mut player = stage.ready().await;
    let noted = stage.path("child");
    player.send(&[ACT], &json!({"do": "child", "note": noted.clone()}));
    let child = crate::stage::note(&noted).await.parse().unwrap();
    player.send(&[ACT], &json!({"do": "exit"}));
    player.exit().await;
    crate::stage::gone(child).await;
}

#[tokio::test]
async fn a_child_that_forks_and_returns_does_not_answer_for_its_parent() {
    let mut player = Stage::new().await.ready().await;
    for _ in 0..5 {
        let seq = player.send(&[ACT, QUIET], &json!({"do": "fork"}));
        player.done(seq).await;
    }
    // A second answer for any of them would be a breach of the protocol.
    assert!(player.goodbye().await.expected);
}

#[tokio::test]
async fn every_answer_of_a_dead_worker_reaches_a_listener_who_comes_late() {
    let stage = Stage::new().await;
    let mut player = stage.ready().await;
    let pid = player.pid();
    let many: Vec<u32> = vec![QUIET; 500];
    player.send(&many, &json!({"do": "nothing"}));
    player.send(&[ACT], &json!({"do": "exit"}));
    // The reports hold 64, so the rest waits in the pipes while the worker dies.
    crate::stage::gone(pid).await;
    let (exit, reports) = player.exit().await;
    assert_eq!((exit.end, exit.why), (End::Code(9), Why::Itself));
    let answers = reports
        .iter()
        .filter(|r| matches!(r, Report::Result { .. }));
    assert_eq!(answers.count(), 500);
}
