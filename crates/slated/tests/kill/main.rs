//! The daemon and its workers die again and again while people work on the site: nothing is lost,
//! nothing comes out of order, and no more runs again than promise P4 allows.

#[cfg(debug_assertions)]
mod points;

use std::time::Duration;

use slated_sim::{CommitPolicy, Fate};
use slated_testkit::World;
use slated_testkit::plugins::{Act, Callback, Plugin};

/// Ten kills at random moments, a fifth of the transactions late: nothing is lost, nothing comes
/// out of order, and only what was in flight at a kill is repeated (promises P1, P2, P4, P5).
#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_lose_nothing() -> anyhow::Result<()> {
    let seed = std::env::var("SLATED_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SLATED_SEED={seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    // A plugin that takes its time, and one so quick that events are sent ahead to it.
    let slow = Callback::new("slow")
        .wants("Shotgun_Note_New")
        .sleeps(Duration::from_millis(10));
    let mut world = World::builder(env!("CARGO_BIN_EXE_slated"))
        .plugin(Plugin::journal("slow").callback(slow))
        .plugin(Plugin::journal("quick"))
        .start()
        .await?;
    let late = Fate::Late {
        min_ms: 20,
        max_ms: 2_000,
    };
    world
        .site()
        .set_policy(CommitPolicy::immediate().share(0.2, late));
    let mut client = world.client(500, Duration::from_millis(20))?;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(dice.u64(300..2_500))).await;
        world.kill9().await?;
        world.restart()?;
    }
    assert!(client.wait().await?.success(), "the client failed");
    world.caught_up(Duration::from_mins(1)).await?;
    let verdict = world.verdict().await?;
    eprintln!("{verdict}");
    verdict.kept(500)?;
    Ok(())
}

/// Workers that are killed or exit under a callback repeat that callback and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn workers_that_die_repeat_one_body() -> anyhow::Result<()> {
    let exits = Callback::new("f").does(Act::Exit, 130, Some(1));
    let mut world = World::builder(env!("CARGO_BIN_EXE_slated"))
        .plugin(
            Plugin::journal("exits")
                .callback(exits)
                .callback(Callback::new("g")),
        )
        .plugin(Plugin::journal("shot"))
        .plugin(Plugin::journal("calm"))
        .start()
        .await?;
    let mut client = world.client(150, Duration::from_millis(10))?;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..800))).await;
        world.kill_worker("shot")?;
    }
    assert!(client.wait().await?.success(), "the client failed");
    world.caught_up(Duration::from_mins(1)).await?;
    let verdict = world.verdict().await?;
    verdict.kept(500)?;
    assert!(verdict.repeats.worker_died >= 1, "{verdict}");
    Ok(())
}

/// A clean stop under load repeats nothing at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_repeats_nothing() -> anyhow::Result<()> {
    let slow = Callback::new("f").sleeps(Duration::from_millis(20));
    let mut world = World::builder(env!("CARGO_BIN_EXE_slated"))
        .plugin(Plugin::journal("slow").callback(slow))
        .start()
        .await?;
    let mut client = world.client(100, Duration::ZERO)?;
    for lines in [20, 60] {
        let patience = Duration::from_secs(30);
        world
            .until("bodies run", patience, |w| Ok(w.journal()?.len() > lines))
            .await?;
        assert!(world.terminate().await?.success(), "{}", world.log());
        world.restart()?;
    }
    assert!(client.wait().await?.success(), "the client failed");
    world.caught_up(Duration::from_mins(1)).await?;
    let verdict = world.verdict().await?;
    verdict.kept(100)?;
    assert_eq!(verdict.bodies, verdict.units, "{verdict}");
    Ok(())
}
