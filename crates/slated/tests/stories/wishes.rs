//! What a person wishes of events: that a plugin does not get one, and that it goes back. And events
//! that slated itself may have ended with.

use anyhow::{Context as _, Result};
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::{
    Value, WANTED, World, answers, begins, begun, fate, happen, is, json_of, plugin, says, shows,
    world,
};

async fn verb(world: &World, arguments: &[&str]) -> Result<Value> {
    json_of(world, "plugin", arguments).await
}

async fn refused(world: &World, arguments: &[&str], words: &str) -> Result<()> {
    let refused = world.ask("plugin", arguments).await.err();
    let error = format!("{:#}", refused.context("it was not refused")?);
    assert!(error.contains("exit status: 2"), "{error}");
    assert!(error.contains(words), "{words:?} not in {error}");
    Ok(())
}

/// Waits until a plugin is held at an event.
async fn held(world: &World, name: &str, event: u64) -> Result<()> {
    let words = format!("at event {event} ");
    let held = |s: &Value| {
        let of = plugin(s, name);
        of["state"] == "held" && of["why"].to_string().contains(&words)
    };
    shows(world, "held", held).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_skips_events_and_goes_back_to_them() -> Result<()> {
    let fails = Callback::new("f")
        .wants(WANTED)
        .does(Act::Raise, 1, None)
        .stops_on_error();
    let mut world = world()
        .plugin(Plugin::journal("holds").callback(fails))
        .start()
        .await?;
    let events: Vec<_> = (0..3).map(|_| happen(world.site())).collect();
    let ids: Vec<_> = events.iter().map(u64::to_string).collect();
    held(&world, "holds", events[0]).await?;
    // Where it is held: it goes on behind that.
    let why = ["skip", "holds", &ids[0], "--reason", "made by hand"];
    verb(&world, &why).await?;
    held(&world, "holds", events[1]).await?;
    let unit = &fate(&world, events[0], "holds").await?["units"][0];
    assert_eq!(unit["outcome"], "discarded");
    assert!(unit["error"].to_string().contains("made by hand"), "{unit}");
    refused(&world, &["skip", "holds", &ids[0]], "finished with event").await?;
    refused(&world, &["skip", "holds", "999999"], "does not hold event").await?;
    // Ahead: when its turn comes, also after a kill.
    verb(&world, &["skip", "holds", &ids[2]]).await?;
    world.kill9().await?;
    let ahead = fate(&world, events[2], "holds").await?;
    assert!(ahead["fate"].to_string().contains("to be skipped") || !ahead["units"][0].is_null());
    world.restart()?;
    held(&world, "holds", events[1]).await?;
    verb(&world, &["skip", "holds", &ids[1]]).await?;
    shows(&world, "it goes on", |s| {
        is(s, "holds", "running") && plugin(s, "holds")["lag"] == 0
    })
    .await?;
    assert_eq!(begun(&world, "holds", events[2])?, 0);
    let unit = &fate(&world, events[2], "holds").await?["units"][0];
    assert_eq!(unit["outcome"], "discarded", "{unit}");

    // Back: what is done is left alone, and nothing happens without a word.
    let back = ["rewind", "quick", "--to", &ids[0]];
    let would = verb(&world, &back).await?;
    assert_eq!(
        (&would["rewound"], &would["done"], &would["calls"]),
        (&false.into(), &3.into(), &0.into()),
        "{would}"
    );
    let would = world
        .ask("plugin", &["rewind", "holds", "--to", &ids[0]])
        .await?;
    assert!(would.contains("calls          3"), "{would}");
    assert_eq!(begun(&world, "holds", events[2])?, 0);
    let did = verb(&world, &[&back[..], &["--yes"]].concat()).await?;
    assert_eq!(did["rewound"], true);
    let last = happen(world.site());
    begins(&mut world, "quick", last, 1).await?;
    assert_eq!(begun(&world, "quick", events[0])?, 1);
    verb(&world, &[&back[..], &["--again", "--yes"]].concat()).await?;
    begins(&mut world, "quick", last, 2).await?;
    assert_eq!(begun(&world, "quick", events[0])?, 2);
    let shown = verb(&world, &["show", "quick"]).await?;
    assert_eq!(shown["rewound"]["again"], true, "{shown}");
    // What was discarded is given, and fails again.
    held(&world, "holds", last).await?;
    verb(&world, &["rewind", "holds", "--to", &ids[2], "--yes"]).await?;
    held(&world, "holds", events[2]).await?;
    refused(
        &world,
        &["rewind", "holds", "--to", "999999"],
        "the log does not hold event 999999",
    )
    .await?;

    // Without a daemon on record.
    assert!(world.terminate().await?.success());
    refused(
        &world,
        &["rewind", "quick", "--to", "1"],
        "the log does not hold event 1",
    )
    .await?;
    let would = verb(&world, &["rewind", "holds", "--to", &ids[1]]).await?;
    assert_eq!(
        (&would["calls"], &would["discarded"]),
        (&Value::Null, &1.into())
    );
    verb(&world, &["rewind", "holds", "--to", &ids[1], "--yes"]).await?;
    verb(&world, &["skip", "holds", &ids[1]]).await?;
    world.restart()?;
    held(&world, "holds", events[2]).await?;
    assert_eq!(begun(&world, "holds", events[1])?, 1);
    assert_eq!(begun(&world, "holds", last)?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_slated_ends_with_is_suspect_and_then_counts_as_a_death() -> Result<()> {
    let hangs = Callback::new("f").wants(WANTED).does(Act::Hang, 1, None);
    let mut world = world()
        .plugin(Plugin::journal("hangs").callback(hangs))
        .start()
        .await?;
    let event = happen(world.site());
    begins(&mut world, "hangs", event, 1).await?;
    begins(&mut world, "quick", event, 1).await?;
    for times in 1..=2_u32 {
        world.kill9().await?;
        world.restart()?;
        begins(&mut world, "hangs", event, 1 + times as usize).await?;
        assert_eq!(fate(&world, event, "hangs").await?["suspect"], times);
        let shown = verb(&world, &["show", "hangs"]).await?;
        assert_eq!(shown["suspect"]["times"], times, "{shown}");
    }
    world.kill9().await?;
    world.restart()?;
    says(&mut world, "slated ended", 1).await?;
    let hangs = async || fate(&world, event, "hangs").await;
    let in_place = |fate: &Value| fate["units"][0]["outcome"] == "retry in place";
    answers(&world, hangs, in_place).await?;
    let calm = |s: &Value| is(s, "quick", "running");
    shows(&world, "the other is beyond suspicion", calm).await?;
    assert_eq!(fate(&world, event, "quick").await?["suspect"], Value::Null);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_shown_with_what_its_calls_logged_and_with_what_others_ask_for() -> Result<()> {
    let text = format!(
        "def registerCallbacks(reg):\n    \
             reg.registerCallback(None, None, fails, {{'{WANTED}': None}}, stopOnError=False)\n    \
             reg.registerCallback(None, None, works, {{'{WANTED}': None}}, stopOnError=False)\n\
         def fails(sg, logger, event, args):\n    \
             logger.info('half way')\n    raise ValueError('no')\n\
         def works(sg, logger, event, args):\n    logger.warning('well')\n"
    );
    let other = Callback::new("other").wants("Studio_Dailies");
    let mut world = world()
        .plugin(Plugin::source("talks", &text))
        .plugin(Plugin::journal("elsewhere").callback(other))
        .start()
        .await?;
    let event = happen(world.site());
    shows(&world, "it failed", |s| plugin(s, "talks")["letters"] == 1).await?;
    // That a row was passed without a call is on record within a second.
    let elsewhere = async || fate(&world, event, "elsewhere").await;
    answers(&world, elsewhere, |fate| fate["fate"] == "no match").await?;
    let talks = async || fate(&world, event, "talks").await;
    answers(&world, talks, |fate| fate["units"][1]["outcome"] == "done").await?;
    let units = fate(&world, event, "talks").await?["units"].clone();
    assert_eq!(
        (&units[0]["outcome"], &units[0]["log"][0]),
        (&"dead letter".into(), &"INFO half way".into()),
        "{units}"
    );
    assert_eq!(
        (&units[1]["outcome"], &units[1]["log"][0]),
        (&"done".into(), &"WARNING well".into()),
        "{units}"
    );
    assert!(
        units[0]["us"].is_u64() && units[1]["us"].is_u64(),
        "{units}"
    );
    let shown = world.ask("events", &["show", &event.to_string()]).await?;
    for words in ["no match", "asks for Studio_Dailies", "      INFO half way"] {
        assert!(shown.contains(words), "{words:?} not in {shown}");
    }
    // A failure keeps its lines, a success does not outlive the daemon that saw it.
    assert!(world.terminate().await?.success());
    let units = fate(&world, event, "talks").await?["units"].clone();
    assert_eq!(units[0]["log"][0], "INFO half way");
    assert_eq!(units[1]["log"][0], Value::Null);
    Ok(())
}
