//! A studio's `shotgunEventDaemon.conf`, plugins and helper modules, as they are.

use anyhow::Result;
use slated_testkit::World;
use slated_testkit::plugins::Plugin;

use crate::{LIMIT, SLATED, happen, lines, said, says};

/// Imports a module that stands beside the old daemon, and reads what the shell has set.
const STUDIO: &str = "\
import os
import studio_helper

def registerCallbacks(reg):
    path = os.path.join(os.environ['STUDIO_ROOT'], 'seen.txt')
    reg.registerCallback(None, None, seen, {'Studio_Turnover': None}, path)

def seen(sg, logger, event, args):
    with open(args, 'a') as out:
        print(studio_helper.NAME, event['id'], file=out)
    raise ValueError('once')
";

#[tokio::test(flavor = "multi_thread")]
async fn a_studio_starts_slated_on_what_it_has() -> Result<()> {
    let studio = tempfile::tempdir()?;
    let root = studio.path().to_string_lossy().into_owned();
    let mut world = World::builder(SLATED)
        .plugin(Plugin::journal("quick"))
        .plugin(Plugin::source("studio", STUDIO))
        .conf(|conf| {
            conf.set("daemon", "logging", "10")
                .set("studio", "farm", "night")
                .set("emails", "enabled", "no")
                .set("slated plugin quick", "warn_after", "30s");
        })
        .setting("state", "new_plugins", "\"id:1\"")
        .env("STUDIO_ROOT", &root)
        .env("PORT", "8080")
        .prepare()
        .await?;
    std::fs::write(
        world.folder().join("shotgunEventDaemon.py"),
        "# the old one\n",
    )?;
    std::fs::write(world.folder().join("studio_helper.py"), "NAME = 'helped'\n")?;
    world.restart()?;
    says(&mut world, "ready with 1 callback", 2).await?;

    let event = happen(world.site());
    let seen = studio.path().join("seen.txt");
    let wanted = format!("helped {event}\n");
    world
        .until("the studio's plugin has seen the event", LIMIT, |_| {
            Ok(std::fs::read_to_string(&seen).is_ok_and(|text| text == wanted))
        })
        .await?;
    // `stopOnError`, and nothing is tried again.
    says(&mut world, "held", 1).await?;
    world.caught_up(LIMIT).await?;
    assert!(world.folder().join("daemon.id.slated").is_dir());

    let said = said(&world);
    assert_eq!(
        lines(&world, "[studio] means nothing to slated"),
        1,
        "{said}"
    );
    let passed = "every plugin sees $SG_ED_API_KEY, which holds `[shotgun] key`";
    assert_eq!(lines(&world, passed), 1, "{said}");
    assert_eq!(std::fs::read_to_string(&seen)?, wanted, "tried once");
    world.verdict().await?.kept(1)?;
    Ok(())
}
