//! What the Python daemon left on disk, where it misled that daemon itself.

use anyhow::{Context as _, Result};
use slated_testkit::World;

use super::{callback, plugin_of};
use crate::{LIMIT, SLATED, begun, happen, shows};

/// The file was written by a Python of a later protocol, in words that no Python knows yet: nothing
/// starts, and the error says what may be chosen. (In words that are known it is simply read.)
#[tokio::test(flavor = "multi_thread")]
async fn row_37_a_pickle_of_a_newer_python_is_refused_with_the_choices() -> Result<()> {
    let world = World::builder(SLATED)
        .conf(|_| {})
        .plugin(plugin_of("notes", callback("f")))
        .prepare()
        .await?;
    world.write_id_file("{plugins: {'notes': (7, {})}}", 2)?;
    let mut bytes = std::fs::read(world.id_file())?;
    assert_eq!(
        bytes.get(..2),
        Some(&[0x80, 2][..]),
        "the protocol stands in front"
    );
    bytes.splice(1..2, [9]);
    std::fs::write(world.id_file(), &bytes)?;
    let told = world.ask("check", &[]).await?;
    assert!(told.contains("after event 7"), "{told}");
    bytes.insert(2, 0xf0);
    std::fs::write(world.id_file(), bytes)?;
    for command in ["check", "run"] {
        let said = world.ask(command, &[]).await;
        let said = said.err().context("it was not refused")?.to_string();
        for words in ["exit status: 3", "`--from-latest`", "`--from-id N`"] {
            assert!(said.contains(words), "{words} in {said}");
        }
    }
    Ok(())
}

/// A folder of plugins was moved, and a namesake elsewhere stands further on: the moved plugin goes
/// on where it stood itself, and not where its namesake does.
#[tokio::test(flavor = "multi_thread")]
async fn row_38_a_moved_plugin_does_not_jump_to_its_namesakes_position() -> Result<()> {
    let mut world = World::builder(SLATED)
        .conf(|conf| {
            conf.set("plugins", "paths", "plugins, elsewhere");
        })
        .plugin(plugin_of("notes", callback("f")))
        .plugin(plugin_of("notes", callback("f")).in_folder("elsewhere"))
        .prepare()
        .await?;
    let ids: Vec<_> = (0..6).map(|_| happen(world.site())).collect();
    // The folder `plugins` was called `shots` when the Python daemon stopped.
    let state = format!(
        "{{'shots': {{'notes': ({}, {{}})}}, 'elsewhere': {{'notes': ({}, {{}})}}}}",
        ids[1], ids[4]
    );
    world.write_id_file(&state, 2)?;
    world.restart()?;
    shows(&world, "follows", |s| s["site"]["caught_up"] == true).await?;
    let all_begun = |w: &World| Ok(begun(w, "notes", ids[5])? == 2);
    world.until("both at the end", LIMIT, all_begun).await?;
    let times: Vec<_> = ids
        .iter()
        .map(|id| begun(&world, "notes", *id))
        .collect::<Result<_>>()?;
    assert_eq!(times, [0, 0, 1, 1, 1, 2], "{}", world.log());
    Ok(())
}
