//! Old events go, and nobody is led past what he has not handled.

use anyhow::{Context as _, Result};
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::{LIMIT, Value, WANTED, begins, begun, happen, plugin, shows, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_returns_after_the_log_went_past_it_asks_a_person() -> Result<()> {
    let callback = || Callback::new("f").wants(WANTED);
    // Every event of these worlds is months old.
    let mut world = world()
        .setting("state", "keep_events", "\"1h\"")
        .env("SLATED_TEST_RETENTION_MS", "200")
        .plugin(Plugin::journal("away").callback(callback()))
        .plugin(Plugin::journal("wrong").callback(callback().does(Act::Raise, 1, None)))
        .start()
        .await?;
    let first = happen(world.site());
    begins(&mut world, "away", first, 1).await?;
    world.caught_up(LIMIT).await?;
    let file = world.folder().join("plugins/away.py");
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    let stands = |s: &Value, state: &str| plugin(s, "away")["state"] == state;
    shows(&world, "it is gone", |s| stands(s, "gone")).await?;
    let missed: Vec<_> = (0..5).map(|_| happen(world.site())).collect();
    begins(&mut world, "wrong", missed[4], 1).await?;
    // Rows with a dead letter stay, and are no beginning of the log.
    let small = |s: &Value| s["log"]["events"].as_u64().is_some_and(|n| n <= 1);
    shows(&world, "old events are gone", small).await?;
    let shown = world
        .ask("events", &["show", &missed[1].to_string(), "--json"])
        .await?;
    assert!(shown.contains("dead letter"), "{shown}");

    std::fs::write(&file, text)?;
    shows(&world, "it is held", |s| stands(s, "held")).await?;
    let refused = world
        .ask(
            "plugin",
            &["resume", "away", "--from", &missed[1].to_string()],
        )
        .await
        .err();
    let refused = format!("{:#}", refused.context("it was not refused")?);
    assert!(refused.contains("older than"), "{refused}");
    world
        .ask("plugin", &["resume", "away", "--from", "latest"])
        .await?;
    let last = happen(world.site());
    begins(&mut world, "away", last, 1).await?;
    for event in missed {
        assert_eq!(begun(&world, "away", event)?, 0);
    }
    Ok(())
}
