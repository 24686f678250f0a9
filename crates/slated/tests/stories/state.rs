//! What slated remembers: looked through, copied beside a running daemon, put back.

use anyhow::{Context as _, Result};
use slated_testkit::plugins::{Callback, Plugin};

use crate::{LIMIT, Value, WANTED, begins, happen, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_daemon_is_put_back_and_what_came_after_is_handled_again()
-> Result<()> {
    let mut world = world()
        .plugin(Plugin::journal("notes").callback(Callback::new("f").wants(WANTED)))
        .start()
        .await?;
    let before = happen(world.site());
    begins(&mut world, "notes", before, 1).await?;
    world.caught_up(LIMIT).await?;
    let file = world.folder().join("backup.db");
    let path = file.to_str().context("a path")?.to_owned();
    let told = world.ask("state", &["backup", &path, "--json"]).await?;
    let told: Value = serde_json::from_str(&told)?;
    assert_eq!(
        (&told["sound"], &told["file"]),
        (&true.into(), &path.clone().into())
    );
    let refused = world.ask("state", &["backup", &path]).await.err();
    let refused = format!("{:#}", refused.context("it was not refused")?);
    assert!(refused.contains("stands already"), "{refused}");

    let after = happen(world.site());
    begins(&mut world, "notes", after, 1).await?;
    world.caught_up(LIMIT).await?;
    let refused = world.ask("state", &["restore", &path]).await.err();
    let refused = format!("{:#}", refused.context("it was not refused")?);
    assert!(refused.contains("in use by another slated"), "{refused}");
    let sound = world.ask("state", &["check"]).await?;
    assert!(sound.contains("the state is sound"), "{sound}");

    assert!(world.terminate().await?.success());
    let told = world.ask("state", &["restore", &path]).await?;
    assert!(told.contains("state.db.replaced-1"), "{told}");
    world.restart()?;
    // It is handled again, what was handled before the backup is not.
    begins(&mut world, "notes", after, 2).await?;
    world.caught_up(LIMIT).await?;
    assert_eq!(crate::begun(&world, "notes", before)?, 1);

    // Damage is named, and nothing is put in the place of a state at a guess.
    assert!(world.terminate().await?.success());
    let mut bytes = std::fs::read(&file)?;
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&file, bytes)?;
    let refused = world.ask("state", &["restore", &path]).await.err();
    let refused = format!("{:#}", refused.context("it was not refused")?);
    assert!(refused.contains("exit status: 3"), "{refused}");
    let sound = world.ask("state", &["check", "--json"]).await?;
    let sound: Value = serde_json::from_str(&sound)?;
    assert_eq!(sound["sound"], true, "{sound}");
    Ok(())
}
