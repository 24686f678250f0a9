//! Plugins' files that vanish or have namesakes.

use anyhow::Result;

use super::{Kind, callback, commit, happen_unseen, plugin_of};
use crate::{LIMIT, SLATED, World, begins, happen, lines, loads, said, says};

/// A plugin's file is absent for a moment, and so is the whole folder: the code that runs goes on,
/// and nothing is loaded anew for it.
async fn row_23(kind: Kind) -> Result<()> {
    let mut world = kind
        .world()
        .plugin(plugin_of("notes", callback("f")))
        .start()
        .await?;
    let folder = world.folder().join("plugins");
    let (file, aside) = (folder.join("notes.py"), world.folder().join("notes.aside"));
    std::fs::rename(&file, &aside)?;
    let first = happen(world.site());
    begins(&mut world, "notes", first, 1).await?;
    std::fs::rename(&aside, &file)?;
    let away = world.folder().join("away");
    std::fs::rename(&folder, &away)?;
    says(&mut world, "cannot be read", 1).await?;
    let second = happen(world.site());
    begins(&mut world, "notes", second, 1).await?;
    std::fs::rename(&away, &folder)?;
    says(&mut world, "can be read again", 1).await?;
    let third = happen(world.site());
    begins(&mut world, "notes", third, 1).await?;
    world.caught_up(LIMIT).await?;
    assert_eq!(loads(&world, "notes")?.len(), 1, "{}", world.log());
    assert_eq!(lines(&world, "is gone"), 0, "{}", said(&world));
    let verdict = world.verdict().await?;
    assert_eq!(verdict.bodies, verdict.units, "{verdict}");
    verdict.kept(6)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_23_a_file_that_is_absent_for_a_moment_stops_nothing() -> Result<()> {
    row_23(Kind::Toml).await
}

#[tokio::test(flavor = "multi_thread")]
async fn row_23_conf_a_file_that_is_absent_for_a_moment_stops_nothing() -> Result<()> {
    row_23(Kind::Conf).await
}

/// One name in two folders: each has its own place, and a late id reaches both once.
#[tokio::test(flavor = "multi_thread")]
async fn row_25_namesakes_in_two_folders_both_get_a_late_id() -> Result<()> {
    let namesake = |folder| plugin_of("notes", callback("f")).in_folder(folder);
    let mut world = World::builder(SLATED)
        .setting("plugins", "folders", "[\"shots\", \"assets\"]")
        .plugin(namesake("shots"))
        .plugin(namesake("assets"))
        .start()
        .await?;
    let (late, open) = happen_unseen(world.site())?;
    for _ in 0..5 {
        happen(world.site());
    }
    world.caught_up(LIMIT).await?;
    commit(open)?;
    world.caught_up(LIMIT).await?;
    begins(&mut world, "notes", late, 2).await?;
    let verdict = world.verdict().await?;
    assert_eq!(verdict.bodies, verdict.units, "{verdict}");
    verdict.kept(12)
}
