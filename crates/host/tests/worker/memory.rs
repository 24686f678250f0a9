//! The memory limit: a plugin that grows gets a `MemoryError`, and the worker lives on.

use serde_json::json;
use slated_host::Report;
use slated_model::FailureKind;

use crate::stage::{Player, QUIET, Stage};

const LIMIT: u64 = 200 << 20;

const PLUGIN: &str = r"

kept = []

def quiet(sg, logger, event, args):
    pass

def grow(sg, logger, event, args):
    meta = event['meta']
    held = kept if meta.get('keep') else []
    for _ in range(meta['mib']):
        held.append(bytearray(1 << 20))

def registerCallbacks(reg):
    reg.registerCallback('s', 'k', quiet)
    reg.registerCallback('s', 'k', grow, stopOnError=False)
";
const GROW: u32 = 1;

async fn stage() -> Stage {
    let mut stage = Stage::new().await.plugin("grows", PLUGIN);
    stage.spawn.memory = Some(LIMIT);
    stage
}

/// Lets it grow; returns how that failed, and what the process holds after it.
async fn grow(
    player: &mut Player,
    mib: u32,
    keep: bool,
) -> (Option<Box<slated_model::Failure>>, u64) {
    player.send(&[GROW], &json!({"mib": mib, "keep": keep}));
    let Report::Result { error, .. } = player.result().await else {
        unreachable!()
    };
    let done = player.until(|r| matches!(r, Report::Done { .. })).await;
    let Report::Done {
        resident: Some(resident),
        ..
    } = done
    else {
        panic!("{done:?}");
    };
    (error, resident)
}

#[tokio::test]
async fn growth_to_the_limit_is_a_failure_of_that_call_which_says_so() {
    let mut player = stage().await.ready().await;
    for round in 0..3 {
        // Well below it nothing happens.
        let (error, _) = grow(&mut player, 100, false).await;
        assert!(error.is_none(), "round {round}: {error:?}");
        let (error, resident) = grow(&mut player, 1000, false).await;
        let failure = error.expect("nothing stopped it");
        assert_eq!(
            (failure.kind, failure.error.as_str()),
            (FailureKind::Raised, "MemoryError")
        );
        let words = "the process reached its memory_limit of 200 MiB";
        assert!(failure.message.contains(words), "{}", failure.message);
        assert!(failure.traceback.contains("in grow"), "{failure:?}");
        // What filled it is not kept by its report.
        assert!(resident < LIMIT / 2, "round {round}: {resident}");
        let seq = player.send(&[QUIET], &json!({}));
        player.done(seq).await;
    }
    assert!(player.goodbye().await.expected);
}

#[tokio::test]
async fn what_a_plugin_keeps_is_seen_after_each_call() {
    let mut player = stage().await.ready().await;
    let (_, before) = grow(&mut player, 1, true).await;
    let (error, after) = grow(&mut player, 80, true).await;
    assert!(error.is_none());
    assert!(after > before + (79 << 20), "{before} {after}");
    // It holds all there is, and can still be told goodbye.
    let (error, full) = grow(&mut player, 1000, true).await;
    assert!(error.is_some_and(|e| e.error == "MemoryError"));
    assert!(full > LIMIT / 10 * 7, "{full}");
    let exit = player.goodbye().await;
    assert!(exit.expected, "{exit:?}");
}

#[tokio::test]
async fn without_a_limit_there_is_none_and_nothing_is_measured() {
    let mut player = Stage::new().await.plugin("grows", PLUGIN).ready().await;
    player.send(&[GROW], &json!({"mib": 300}));
    let Report::Result { error: None, .. } = player.result().await else {
        panic!("it failed");
    };
    let done = player.until(|r| matches!(r, Report::Done { .. })).await;
    assert!(matches!(done, Report::Done { resident: None, .. }));
    player.goodbye().await;
}
