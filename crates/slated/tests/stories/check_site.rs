//! `slated check` of the site: who it is, whether it lets the script read, and what it does when it is
//! watched for a while.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use slated_sim::{CommitPolicy, Fate};

use crate::{happen, json_of, world};

#[tokio::test(flavor = "multi_thread")]
async fn the_site_is_asked_who_it_is_and_whether_the_script_may_read() -> Result<()> {
    let world = world().env("OTHER_KEY", "wrong").prepare().await?;
    let newest = happen(world.site());
    let check = json_of(&world, "check", &["--no-load"]).await?;
    let site = &check["site_look"];
    assert_eq!(
        (&site["may_read"], &site["newest"]),
        (&true.into(), &newest.into())
    );
    // The simulator goes by this machine's clock, which a busy machine reads late.
    let ahead = site["clock_ahead_s"].as_i64().context("a clock")?;
    assert!((-30..=1).contains(&ahead), "{site}");
    let text = world.ask("check", &["--no-load"]).await?;
    let words = format!("the script may read events, the newest is {newest}");
    assert!(text.contains(&words) && text.contains("version "), "{text}");
    let text = world.ask("check", &["--no-load", "--offline"]).await?;
    assert!(text.contains("not asked"), "{text}");
    assert!(!world.state().exists(), "it writes nothing");

    // A wrong key, and a site that is not there: the rest is shown, too.
    let config = world.folder().join("slated.toml");
    let right = std::fs::read_to_string(&config)?;
    let address = world.url();
    for (from, to, words) in [
        ("SLATED_SITE_KEY", "OTHER_KEY", "Scripts page"),
        (address.as_str(), "http://127.0.0.1:9", "`run` waits for it"),
    ] {
        assert!(right.contains(from), "{from} in {right}");
        std::fs::write(&config, right.replace(from, to))?;
        let output = world.command("check", &["--no-load"]).await?;
        let (shown, error) = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        assert_eq!(output.status.code(), Some(4), "{error}");
        assert!(error.contains(words), "{error}");
        assert!(
            shown.contains("plugins/quick") && !error.contains("wrong"),
            "{shown}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_watched_tells_of_late_and_dead_ids() -> Result<()> {
    let world = world().prepare().await?;
    for _ in 0..30 {
        happen(world.site());
    }
    let mut rows = Vec::new();
    let probe = world.command("check", &["--probe", "6s", "--json"]);
    let made = async {
        // Once it watches: what it finds at its first look is the past. It asked some questions first.
        while world.site().stats().requests.values().sum::<u64>() < 14 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let late = Fate::late(Duration::from_secs(1));
        let policy = CommitPolicy::immediate().next(1, late).next(1, Fate::Never);
        world.site().set_policy(policy);
        for _ in 0..5 {
            let first = world.site().next_event_id();
            let shot = json!({"code": format!("SH{first}")});
            world.site().create("Shot", shot, "slated")?;
            rows.push(world.site().next_event_id() - first);
        }
        anyhow::Ok(())
    };
    let (output, made) = tokio::join!(probe, made);
    made?;
    let output = output?;
    let shown: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let answers = shown["answers"].as_array().context("answers")?;
    assert_eq!(answers.len(), 3, "{shown}");
    assert!(
        answers.iter().all(|answer| answer["works"] == true),
        "{shown}"
    );
    // The first transaction came late, the second never.
    let (late, never, all) = (rows[0], rows[1], rows.iter().sum::<u64>());
    assert_eq!(
        (&shown["events"], &shown["late"], &shown["missing"]),
        (&(all - never).into(), &late.into(), &never.into()),
        "{shown}"
    );
    let late = shown["late_ms"]["worst"].as_u64().context("how late")?;
    assert!((300..3000).contains(&late), "{late}");
    assert!(shown["requests"].as_u64() > Some(10));
    assert!(
        shown["suggested"].to_string().contains("site.settle"),
        "{shown}"
    );
    assert!(!world.state().exists(), "it writes nothing");
    let nothing = world.command("check", &["--probe", "0s"]).await?;
    assert_eq!(nothing.status.code(), Some(2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_conf_a_check_says_what_will_differ() -> Result<()> {
    let world = world().conf(|_| {}).prepare().await?;
    let text = world.ask("check", &["--no-load", "--keys"]).await?;
    for words in [
        "what will differ from the Python daemon",
        "Plugins are called in the same order for one event",
        "goes on with that event",
        "slated migrate --export-state",
        "site.url  ",
        "shotgunEventDaemon.conf:",
        " free",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    // A page or so, for one plugin.
    let lines = world.ask("check", &["--no-load"]).await?.lines().count();
    assert!((15..=30).contains(&lines), "{lines} lines");
    let toml = crate::world().prepare().await?;
    let text = toml.ask("check", &["--no-load"]).await?;
    assert!(!text.contains("Python daemon"), "{text}");
    Ok(())
}
