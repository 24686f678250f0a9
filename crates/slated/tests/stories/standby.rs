//! Two daemons on one state, and one state for a site that moved.

use anyhow::{Context as _, Result};
use slated_sim::{Server, Site, SiteOptions};
use slated_testkit::plugins::{Callback, Plugin};

use crate::{LIMIT, WANTED, begins, begun, happen, lines, replace, said, says, world};

/// The one that stands by takes over from one that is killed, and nothing is lost or done twice but what
/// was under way. Told to end while it waits, it ends.
#[tokio::test(flavor = "multi_thread")]
async fn row_28_the_one_that_stands_by_takes_over_from_one_that_is_killed() -> Result<()> {
    let callback = Callback::new("f").wants(WANTED);
    let mut world = world()
        .plugin(Plugin::journal("steady").callback(callback))
        .start()
        .await?;
    let pid = world.status().await?["pid"].to_string();
    let standing = format!("Standing by: another slated (process {pid} on ");
    world.stand_by()?;
    says(&mut world, &standing, 1).await?;
    let line = said(&world);
    let line = line
        .lines()
        .find(|l| l.contains(&standing))
        .context("said")?;
    assert!(
        line.contains(", since 20") && line.contains("/state"),
        "{line}"
    );
    assert!(world.end_standby().await?.success());
    says(&mut world, "Stopped while another slated runs.", 1).await?;

    world.stand_by()?;
    says(&mut world, &standing, 2).await?;
    for _ in 0..60 {
        happen(world.site());
    }
    let last = happen(world.site());
    let begun_some = |w: &crate::World| Ok(w.journal()?.len() > 20);
    world.until("some of them", LIMIT, begun_some).await?;
    assert_eq!(lines(&world, "takes over"), 0, "one at a time");
    world.kill9().await?;
    world.takes_over()?;
    says(&mut world, "this slated takes over", 1).await?;
    begins(&mut world, "steady", last, 1).await?;
    world.caught_up(LIMIT).await?;
    let other = world.status().await?["pid"].to_string();
    assert_ne!(other, pid);
    assert_eq!(lines(&world, &standing), 2, "it is said once");
    world.verdict().await?.kept(120)
}

/// The same site under another address: refused with the choices, and gone on with on a person's word.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_moved_is_gone_on_with_by_a_person_s_word() -> Result<()> {
    let mut world = world().start().await?;
    let first = happen(world.site());
    begins(&mut world, "quick", first, 1).await?;
    assert!(world.terminate().await?.success());
    let missed = happen(world.site());
    let config = world.folder().join("slated.toml");
    let text = std::fs::read_to_string(&config)?;
    let url = world.url();
    let moved = Server::start(world.site().clone(), "127.0.0.1:0").await?;
    replace(&config, &text.replace(&url, &moved.url()))?;

    let refused = world.command("run", &[]).await?;
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{words}");
    for words_of_choice in [
        "set `site.url` back to",
        "another `state.folder`",
        "`--site-moved`",
    ] {
        assert!(words.contains(words_of_choice), "{words}");
    }
    world.restart_with(&["--site-moved"])?;
    begins(&mut world, "quick", missed, 1).await?;
    world.caught_up(LIMIT).await?;
    assert_eq!(begun(&world, "quick", first)?, 1);
    assert!(world.terminate().await?.success());
    // It is on record: no word is needed any more.
    world.restart()?;
    let next = happen(world.site());
    begins(&mut world, "quick", next, 1).await?;
    world.verdict().await?.kept(3)
}

/// Another site at the new address is refused before any plugin could write to it, and the state stays
/// what it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_only_seems_to_have_moved_is_refused_and_nothing_changes() -> Result<()> {
    let mut world = world().start().await?;
    let first = happen(world.site());
    begins(&mut world, "quick", first, 1).await?;
    world.caught_up(LIMIT).await?;
    // What is left for a stranger.
    world.kill9().await?;
    let config = world.folder().join("slated.toml");
    let text = std::fs::read_to_string(&config)?;
    let stranger = Server::start(Site::new(SiteOptions::default()), "127.0.0.1:0").await?;
    let address = stranger.url();
    replace(&config, &text.replace(&world.url(), &address))?;
    for verb in ["run", "start"] {
        let refused = world.command(verb, &["--site-moved"]).await?;
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(3), "{words}");
        assert!(words.contains("is another site than"), "{words}");
    }
    // One that does not answer says nothing of what it is.
    drop(stranger);
    let unread = world.command("run", &["--site-moved"]).await?;
    let words = String::from_utf8_lossy(&unread.stderr).into_owned();
    assert_eq!(unread.status.code(), Some(4), "{words}");
    assert!(words.contains("cannot be seen"), "{words}");
    replace(&config, &text)?;
    world.restart()?;
    let next = happen(world.site());
    begins(&mut world, "quick", next, 1).await?;
    world.verdict().await?.kept(2)
}

/// Under a `.conf` the pid file names the one that runs, and is taken over with the state.
#[tokio::test(flavor = "multi_thread")]
async fn row_28_under_a_conf_the_pid_file_is_taken_over_with_the_state() -> Result<()> {
    let mut world = world().conf(|_| {}).start().await?;
    let file = world.folder().join("daemon.pid");
    let named = move || std::fs::read_to_string(&file).unwrap_or_default();
    let pid = world.status().await?["pid"].to_string();
    assert_eq!(named().trim(), pid);
    world.stand_by()?;
    says(&mut world, "Standing by: another slated", 1).await?;
    let event = happen(world.site());
    begins(&mut world, "quick", event, 1).await?;
    assert_eq!(named().trim(), pid, "whoever waits touches nothing");
    assert!(world.terminate().await?.success());
    world.takes_over()?;
    let event = happen(world.site());
    begins(&mut world, "quick", event, 1).await?;
    let other = world.status().await?["pid"].to_string();
    assert_ne!(other, pid);
    assert_eq!(named().trim(), other);
    let refused = world.command("start", &["--standby"]).await?;
    assert_eq!(refused.status.code(), Some(2));
    world.verdict().await?.kept(2)
}
