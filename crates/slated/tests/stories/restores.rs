//! The site is restored to an earlier time: the alarm, and what a person makes of it.

use anyhow::{Context as _, Result};
use slated_sim::{EventRow, Site};
use slated_testkit::Death;
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::{LIMIT, Value, WANTED, World, begins, begun, json, lines, says, shows, world};

const ALARM: &str = "The site is not the one that was followed";

/// Makes events at an hour of their own: two histories of a site differ in when things happened.
fn happen(site: &Site, hour: u32, count: u64) -> Vec<u64> {
    let row = |n| EventRow {
        event_type: json!(WANTED),
        created_at: json!(format!("2026-05-04T{hour:02}:{:02}:00Z", n % 60)),
        description: json!("a shot was turned over"),
        ..EventRow::default()
    };
    (0..count).map(|n| site.log_event(row(n))).collect()
}

async fn refused(world: &World, arguments: &[&str]) -> Result<String> {
    let error = world.ask("follow", arguments).await.err();
    Ok(format!("{:#}", error.context("it was not refused")?))
}

fn times(world: &World, events: &[u64]) -> Result<Vec<usize>> {
    events.iter().map(|id| begun(world, "quick", *id)).collect()
}

/// The site goes back by 20 events and takes 10 of their ids again: the alarm comes with the next look,
/// and after a rewind every plugin gets all ten, once.
#[tokio::test(flavor = "multi_thread")]
async fn row_31_a_restored_site_is_noticed_and_a_rewind_gives_its_new_events_once() -> Result<()> {
    let fails = Callback::new("f").wants(WANTED).does(Act::Raise, 1, None);
    let mut world = world()
        .plugin(Plugin::journal("wrong").callback(fails))
        .start()
        .await?;
    let before = happen(world.site(), 10, 5);
    begins(&mut world, "quick", before[4], 1).await?;
    let backup = world.site().snapshot();
    let lost = happen(world.site(), 11, 20);
    world.caught_up(LIMIT).await?;
    let nothing = refused(&world, &["rewind"]).await?;
    assert!(nothing.contains("nothing to decide"), "{nothing}");

    world.site().restore(&backup);
    let new = happen(world.site(), 12, 10);
    assert_eq!(new, lost[..10], "the ids are taken again");
    let asked = world.status().await?["site"]["requests"].as_u64();
    says(&mut world, ALARM, 1).await?;
    let lost_it = |s: &Value| s["site"]["state"] == "anchor_lost";
    let status = shows(&world, "anchor lost", lost_it).await?;
    let hint = status["site"]["hint"].to_string();
    assert!(hint.contains("slated follow rewind") && hint.contains("slated follow accept"));
    // The look that shows the new rows, and one for all anchors.
    let took = status["site"]["requests"].as_u64().zip(asked);
    assert!(took.is_some_and(|(now, then)| now <= then + 3), "{took:?}");
    assert_eq!(lines(&world, "slated follow rewind"), 1);

    // Looking changes nothing.
    let dry = world.ask("follow", &["rewind"]).await?;
    let agree = format!("agree up to event {};", before[4]);
    assert!(dry.contains(&agree), "{dry}");
    let given = format!("up to 10 events ({} to {})", new[0], new[9]);
    assert!(dry.contains(&given), "{dry}");
    assert!(
        dry.contains("20 events would be void (20 dead letters are discarded)"),
        "{dry}"
    );
    assert!(dry.contains("plugins/quick had handled 20 events"), "{dry}");
    assert!(!dry.contains("plugins/wrong"), "{dry}");
    assert_eq!(times(&world, &lost)?, [1; 20]);

    // Nor does a death in the middle of the decision.
    world.kill9().await?;
    let death = Death {
        point: "in_void",
        count: 1,
        both: false,
    };
    world.restart_to_die(death)?;
    says(&mut world, ALARM, 2).await?;
    refused(&world, &["rewind", "--yes"]).await?;
    assert!(world.dies(LIMIT).await?, "it made rows void and lived");
    world.restart()?;
    says(&mut world, ALARM, 3).await?;
    shows(&world, "anchor lost", lost_it).await?;
    assert_eq!(world.ask("follow", &["rewind"]).await?, dry);
    let done = world.ask("follow", &["rewind", "--yes", "--json"]).await?;
    let done: Value = serde_json::from_str(&done)?;
    assert_eq!((&done["done"], &done["void"]), (&json!(true), &json!(20)));
    for id in &new {
        begins(&mut world, "quick", *id, 2).await?;
        begins(&mut world, "wrong", *id, 2).await?;
    }
    // What follows takes the other ids; after another kill, too.
    world.kill9().await?;
    world.restart()?;
    let more = happen(world.site(), 13, 3);
    assert_eq!(more, lost[10..13]);
    begins(&mut world, "quick", more[2], 2).await?;
    begins(&mut world, "wrong", more[2], 2).await?;
    let twice = [[2; 13].as_slice(), &[1; 7]].concat();
    assert_eq!(times(&world, &lost)?, twice);
    assert_eq!(times(&world, &before)?, [1; 5]);
    let ok = |s: &Value| s["site"]["state"] == "ok";
    let status = shows(&world, "followed again", ok).await?;
    assert_eq!(status["log"]["events"], 5 + 13, "void events count no more");

    // Each new failure is a dead letter, as if the old ones had never been.
    let letters = |events: usize| move |list: &Value| list["letters"] == events;
    let list = world.ask("failures", &["list", "--json"]).await?;
    let list: Value = serde_json::from_str(&list)?;
    assert!(letters(18)(&list), "{list}");
    let old = world
        .ask("events", &["show", &lost[15].to_string()])
        .await?;
    assert!(old.contains("void since") && old.contains("done"), "{old}");
    assert!(old.contains("void: the site was restored"), "{old}");
    let now = world.ask("events", &["show", &new[0].to_string()]).await?;
    assert!(!now.contains("void"), "{now}");
    Ok(())
}

/// While slated is down the site is restored and grows past all that was seen: the start says so, and
/// after an acceptance nothing of it is given, and everything that comes later.
#[tokio::test(flavor = "multi_thread")]
async fn row_41_a_site_restored_and_overgrown_is_noticed_and_can_be_taken_as_it_is() -> Result<()> {
    let mut world = world().start().await?;
    let before = happen(world.site(), 10, 5);
    begins(&mut world, "quick", before[4], 1).await?;
    let backup = world.site().snapshot();
    let lost = happen(world.site(), 11, 20);
    world.caught_up(LIMIT).await?;
    assert!(world.terminate().await?.success());
    world.site().restore(&backup);
    let new = happen(world.site(), 12, 30);
    assert_eq!(new[..20], lost);

    let without = refused(&world, &["accept"]).await?;
    assert!(
        without.contains("no daemon runs") && without.contains("slated run"),
        "{without}"
    );
    world.restart()?;
    says(&mut world, ALARM, 1).await?;
    let dry = world.ask("follow", &["accept"]).await?;
    assert!(dry.contains("20 events would be void"), "{dry}");
    assert!(dry.contains("handled elsewhere"), "{dry}");
    let done = world.ask("follow", &["accept", "--yes"]).await?;
    let after = format!("goes on with event {}", new[29] + 1);
    assert!(
        done.contains("20 events are void") && done.contains(&after),
        "{done}"
    );
    let later = happen(world.site(), 13, 2);
    begins(&mut world, "quick", later[1], 1).await?;
    let once = [[1; 20].as_slice(), &[0; 10]].concat();
    assert_eq!(times(&world, &new)?, once);
    assert_eq!(times(&world, &later)?, [1, 1]);
    assert_eq!(lines(&world, "A person decided about the site."), 1);
    let again = refused(&world, &["accept", "--yes"]).await?;
    assert!(again.contains("nothing to decide"), "{again}");
    Ok(())
}
