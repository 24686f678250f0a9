//! Measurements, run by hand:
//! `cargo test --release -p slated-host --test worker speed -- --ignored --nocapture`

use std::time::{Duration, Instant};

use serde_json::json;
use slated_host::Report;

use crate::stage::{Player, Stage, frame, python_with_client};

const PLUGIN: &str = "def nothing(sg, logger, event, args): pass\n\
                      def registerCallbacks(reg):\n    \
                      reg.registerCallback('s', 'k', nothing)\n";

async fn stage() -> Stage {
    let mut stage = Stage::new().await.plugin("nothing", PLUGIN);
    stage.python().interpreter = python_with_client().await;
    stage.spawn.config.import_paths.clear();
    stage
}

/// Sends events with so many in flight, each with its answer read before the next goes out.
async fn run(player: &mut Player, window: u64, total: u64) -> f64 {
    // As long as an event of a site: about 680 bytes.
    let meta = json!({"type": "attribute_change", "padding": "x".repeat(400)});
    let begun = Instant::now();
    let first = player.seq;
    let (mut sent, mut done) = (0, 0);
    while done < total {
        while sent < total && sent - done < window {
            sent += 1;
            player
                .handle()
                .send(frame(first + sent, 1, &[0], &meta))
                .unwrap();
        }
        match player.next().await {
            Report::Done { .. } => done += 1,
            Report::Result { error: None, .. } => {}
            other => panic!("{other:?}"),
        }
    }
    player.seq += total;
    total as f64 / begun.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn callbacks_a_second_through_one_worker() {
    let mut player = stage().await.ready().await;
    run(&mut player, 16, 2_000).await;
    for window in [1, 4, 16] {
        let mut rates = Vec::new();
        for _ in 0..5 {
            rates.push(run(&mut player, window, 20_000).await);
        }
        rates.sort_by(f64::total_cmp);
        println!(
            "window {window:>2}: {:>7.0} callbacks/s (median of 5)",
            rates[2]
        );
    }
    player.goodbye().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn from_spawn_to_ready() {
    let stage = stage().await;
    let mut times = Vec::new();
    for _ in 0..11 {
        let begun = Instant::now();
        let player = stage.ready().await;
        times.push(begun.elapsed());
        player.goodbye().await;
    }
    times.sort();
    println!(
        "spawn to ready: {:?} (median), {:?} (best)",
        times[5], times[0]
    );
    assert!(times[5] < Duration::from_secs(5));
}
