//! Callbacks that fail, hang or do not fit: nobody else notices, and nothing is dropped.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use slated_sim::{Effect, Fault, On};
use slated_testkit::plugins::{Act, Plugin};

use super::{Kind, callback, commit, happen_unseen, plugin_of};
use crate::failures::{failures, letters};
use crate::{LIMIT, Value, begins, begun, happen, is, plugin, says, shows};

/// A plugin is held at a poisonous event, an older id commits meanwhile: it gets that id, and
/// its neighbour gets nothing twice.
async fn row_07(kind: Kind) -> Result<()> {
    let poison = 2000;
    let strict = || {
        let fails = callback("f").stops_on_error();
        plugin_of("strict", fails.does(Act::Raise, poison, Some(1)))
    };
    // Twenty seeded events, one held back, ten ordinary ones.
    let mut world = kind
        .world()
        .site(|o| o.first_event_id = 1969)
        .plugin(strict())
        .start()
        .await?;
    let (late, open) = happen_unseen(world.site())?;
    let mut last = 0;
    while last < poison + 5 {
        last = happen(world.site());
    }
    shows(&world, "held", |s| is(s, "strict", "held")).await?;
    begins(&mut world, "quick", last, 1).await?;
    commit(open)?;
    begins(&mut world, "quick", late, 1).await?;
    assert_eq!(begun(&world, "strict", poison + 1)?, 0, "it is held");
    // The hold outlives a restart, unless there is a `.conf`.
    if kind == Kind::Toml {
        assert!(world.terminate().await?.success());
        world.restart()?;
        shows(&world, "still held", |s| is(s, "strict", "held")).await?;
        world.install(strict())?;
    } else {
        assert!(world.terminate().await?.success());
        world.restart()?;
    }
    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    verdict.kept(30)?;
    assert_eq!(
        verdict.bodies,
        verdict.units + 1,
        "only the poison runs again: {verdict}"
    );
    assert_eq!(verdict.parked, 0, "{verdict}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_07_a_held_plugin_gets_what_became_visible_meanwhile() -> Result<()> {
    row_07(Kind::Toml).await
}

#[tokio::test(flavor = "multi_thread")]
async fn row_07_conf_a_held_plugin_gets_what_became_visible_meanwhile() -> Result<()> {
    row_07(Kind::Conf).await
}

/// The second of two callbacks raises: the first, which is done, does not run again.
#[tokio::test(flavor = "multi_thread")]
async fn row_08_a_callback_that_is_done_is_not_repeated_for_the_next_ones_sake() -> Result<()> {
    let two = || {
        let second = callback("second")
            .stops_on_error()
            .does(Act::Raise, 1, Some(1));
        plugin_of("two", callback("first")).callback(second)
    };
    let mut world = Kind::Toml.world().plugin(two()).start().await?;
    let event = happen(world.site());
    shows(&world, "held", |s| is(s, "two", "held")).await?;
    world.install(two())?;
    world.caught_up(LIMIT).await?;
    assert_eq!(begun(&world, "two", event)?, 3, "first once, second twice");
    let verdict = world.verdict().await?;
    assert_eq!(verdict.repeats.retried, 1, "{verdict}");
    verdict.kept(3)
}

/// A database is away for a moment: what failed is tried again, and what fails for good is kept
/// for a person. No event is dropped.
#[tokio::test(flavor = "multi_thread")]
async fn row_09_what_fails_for_a_moment_is_tried_again_and_for_good_is_kept() -> Result<()> {
    let mut world = Kind::Toml
        .world()
        .setting("defaults", "attempts", "2")
        .setting("defaults", "within", "\"1s\"")
        .plugin(plugin_of(
            "moment",
            callback("f").does(Act::Network, 1, Some(1)),
        ))
        .plugin(plugin_of("good", callback("f").does(Act::Network, 1, None)))
        .start()
        .await?;
    for _ in 0..2 {
        happen(world.site());
    }
    world.caught_up(LIMIT).await?;
    letters(&world, 2).await?;
    let verdict = world.verdict().await?;
    assert_eq!(
        (verdict.parked, verdict.repeats.retried),
        (2, 4),
        "{verdict}"
    );
    verdict.kept(6)
}

/// Under a `.conf` nothing is tried again by itself: what failed is kept for a person, who lets it
/// be tried again.
#[tokio::test(flavor = "multi_thread")]
async fn row_09_conf_what_fails_is_kept_and_delivered_when_a_person_says_so() -> Result<()> {
    let fails = callback("f").does(Act::Network, 1, Some(1));
    let mut world = Kind::Conf
        .world()
        .plugin(plugin_of("moment", fails))
        .start()
        .await?;
    let events = [happen(world.site()), happen(world.site())];
    letters(&world, 2).await?;
    for event in events {
        assert_eq!(begun(&world, "moment", event)?, 1);
    }
    failures(&world, &["retry", "all"]).await?;
    for event in events {
        begins(&mut world, "moment", event, 2).await?;
    }
    letters(&world, 0).await?;
    Ok(())
}

/// Callbacks that cannot even be called.
const MISFITS: &str = "
def registerCallbacks(reg):
    reg.registerCallback(None, None, too_few, {'Studio_Turnover': None}, None, STOPS)

def too_few(sg):
    raise AssertionError('never called')
";

/// A callback takes the wrong number of arguments: held or a dead letter, by its `stopOnError`,
/// and nobody else notices.
#[tokio::test(flavor = "multi_thread")]
async fn row_22_a_callback_that_cannot_be_called_is_held_or_a_dead_letter() -> Result<()> {
    let misfit = |name, stops| Plugin::source(name, &MISFITS.replace("STOPS", stops));
    let mut world = Kind::Toml
        .world()
        .plugin(misfit("strict", "True"))
        .plugin(misfit("lenient", "False"))
        .start()
        .await?;
    says(&mut world, "ready with 1 callback", 3).await?;
    let events = [happen(world.site()), happen(world.site())];
    let status = shows(&world, "held", |s| is(s, "strict", "held")).await?;
    let why = plugin(&status, "strict")["why"].to_string();
    assert!(why.contains("TypeError"), "{why}");
    let list = letters(&world, 2).await?;
    assert!(list.to_string().contains("too_few"), "{list}");
    begins(&mut world, "quick", events[1], 1).await?;
    // Nor after a restart, at which the Python daemon died again.
    assert!(world.terminate().await?.success());
    world.restart()?;
    let third = happen(world.site());
    begins(&mut world, "quick", third, 1).await?;
    letters(&world, 3).await?;
    world.verdict().await?.kept(3)
}

/// A plugin empties every event it gets: the plugin after it sees each as the site made it. (Two
/// callbacks of one plugin share an event, as they always did.)
#[tokio::test(flavor = "multi_thread")]
async fn row_26_what_a_plugin_does_to_an_event_no_other_sees() -> Result<()> {
    let spoils = "
def registerCallbacks(reg):
    reg.registerCallback(None, None, spoil, {'Shotgun_Shot_Change': None})

def spoil(sg, logger, event, args):
    event['attribute_name'] = None
    event['meta'].clear()
";
    let reads = "
import os

def registerCallbacks(reg):
    reg.registerCallback(None, None, read, {'Shotgun_Shot_Change': ['description']})

def read(sg, logger, event, args):
    with open(os.path.join(os.path.dirname(__file__), 'seen.txt'), 'a') as out:
        print(event['attribute_name'], event['meta']['new_value'], file=out)
";
    let mut world = Kind::Conf
        .world()
        .plugin(Plugin::source("a_spoils", spoils))
        .plugin(Plugin::source("b_reads", reads))
        .start()
        .await?;
    says(&mut world, "ready with 1 callback", 3).await?;
    let site = world.site().clone();
    let refused = |refusal| anyhow::anyhow!("{refusal:?}");
    let shot = site.create("Shot", json!({"code": "SH010"}), "slated");
    let shot = shot.map_err(refused)?;
    for n in 0..10 {
        let text = json!({"description": format!("take {n}")});
        site.update("Shot", shot, text, "slated").map_err(refused)?;
    }
    let seen = world.folder().join("plugins/seen.txt");
    let text = || std::fs::read_to_string(&seen).unwrap_or_default();
    let all: Vec<_> = (0..10).map(|n| format!("description take {n}")).collect();
    world
        .until("ten events, unspoilt", LIMIT, |_| {
            Ok(text().lines().eq(&all))
        })
        .await?;
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(11)
}

/// A callback hangs: the others go on while it hangs. `slated.toml` ends it after its time; under
/// a `.conf`, where nothing ends it by default, a person's edit does.
async fn row_29(kind: Kind) -> Result<()> {
    let hangs = |every| plugin_of("hangs", callback("f").does(Act::Hang, every, Some(1)));
    let mut builder = kind.world().site(|o| o.first_event_id = 80);
    builder = match kind {
        Kind::Toml => builder.setting("defaults", "hard_timeout", "\"3s\""),
        Kind::Conf => builder.setting("plugins", "order_wait", "\"200ms\""),
    };
    let mut world = builder.plugin(hangs(100)).start().await?;
    let first = happen(world.site());
    assert_eq!(first % 100, 0, "the seeded events are counted");
    let mut last = first;
    for _ in 0..20 {
        last = happen(world.site());
    }
    begins(&mut world, "quick", last, 1).await?;
    assert_eq!(begun(&world, "hangs", first)?, 1);
    if kind == Kind::Toml {
        begins(&mut world, "hangs", last, 1).await?;
        let list = letters(&world, 1).await?;
        assert!(list.to_string().contains("hard limit of 3s"), "{list}");
    } else {
        assert_eq!(begun(&world, "hangs", first + 1)?, 0, "it still hangs");
        assert!(world.kill_worker("hangs")?, "it is there");
        begins(&mut world, "hangs", last, 1).await?;
    }
    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    verdict.kept(42)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_29_a_callback_that_hangs_delays_nobody_and_is_ended() -> Result<()> {
    row_29(Kind::Toml).await
}

#[tokio::test(flavor = "multi_thread")]
async fn row_29_conf_a_callback_that_hangs_delays_the_others_one_wait() -> Result<()> {
    row_29(Kind::Conf).await
}

/// The site is in maintenance while twenty plugins write to it: nobody is held, nothing is a dead
/// letter, and everything is delivered afterwards. (That an hour of it changes nothing is a matter
/// of time, and stands in `core`.)
async fn row_39(kind: Kind) -> Result<()> {
    let mut builder = kind.world();
    let names: Vec<_> = (0..20).map(|n| format!("writer{n:02}")).collect();
    let data = json!({"project": {"type": "Project", "id": 1}});
    for (n, name) in names.iter().enumerate() {
        let mut writes = callback("f").creates("Note", "subject", "turnover {event}", &data);
        if n % 2 == 0 {
            writes = writes.stops_on_error();
        }
        builder = builder.plugin(plugin_of(name, writes));
    }
    let mut world = builder.start().await?;
    world
        .site()
        .add_fault(Fault::new(Effect::Status { code: 503 }).on(On::Writes));
    let first = happen(world.site());
    says(&mut world, &format!("event {first} waits for the site"), 20).await?;
    world.site().add_fault(Fault::new(Effect::Maintenance));
    let second = happen(world.site());
    let waiting = |s: &Value| names.iter().all(|name| is(s, name, "waiting"));
    shows(&world, "all wait", waiting).await?;
    // A restart in the middle changes nothing.
    assert!(world.terminate().await?.success());
    world.restart()?;
    says(&mut world, "ready with 1 callback", 42).await?;
    world.site().clear_faults();
    world.caught_up(Duration::from_mins(1)).await?;
    let status = world.status().await?;
    for name in &names {
        assert_eq!(plugin(&status, name)["state"], "running", "{name}");
    }
    letters(&world, 0).await?;
    for event in [first, second] {
        let filter = json!([["subject", "is", format!("turnover {event}")]]);
        let notes = world.site().find("Note", &filter, &["subject"])?;
        assert_eq!(notes.len(), 20, "one by each plugin");
    }
    let verdict = world.verdict().await?;
    assert_eq!(verdict.parked, 0, "{verdict}");
    verdict.kept(60)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_39_a_site_in_maintenance_holds_nobody() -> Result<()> {
    row_39(Kind::Toml).await
}

#[tokio::test(flavor = "multi_thread")]
async fn row_39_conf_a_site_in_maintenance_holds_nobody() -> Result<()> {
    row_39(Kind::Conf).await
}
