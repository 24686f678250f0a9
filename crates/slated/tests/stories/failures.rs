//! What a person does about what failed for good: the list of it, another try, an end.

use anyhow::{Context as _, Result, ensure};
use slated_core::letter;
use slated_model::{Change, Offset, Outcome, OutcomeRow};
use slated_store::{Options, Sqlite, Store as _};
use slated_testkit::history::Line;
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::{
    LIMIT, Value, WANTED, World, answers, begins, fate, happen, is, json_of, plugin, replace,
    shows, world,
};

/// Runs `slated failures VERB …`, which succeeds, and returns its JSON.
pub(crate) async fn failures(world: &World, arguments: &[&str]) -> Result<Value> {
    json_of(world, "failures", arguments).await
}

/// Waits until so many dead letters are listed; returns the list.
pub(crate) async fn letters(world: &World, wanted: usize) -> Result<Value> {
    let list = async || failures(world, &["list"]).await;
    answers(world, list, |list| list["letters"] == wanted).await
}

/// The group of a plugin's dead letters.
fn group<'a>(list: &'a Value, plugin: &str) -> Result<&'a Value> {
    let groups = list["groups"].as_array().context("groups")?;
    let plugin = format!("plugins/{plugin}");
    let mut own = groups.iter().filter(|g| g["plugin"] == *plugin);
    let group = own.next().with_context(|| format!("no group: {list}"))?;
    ensure!(own.next().is_none(), "one cause is one group: {list}");
    Ok(group)
}

/// What became of an event in a plugin: its unit.
async fn unit(world: &World, event: u64, plugin: &str) -> Result<Value> {
    Ok(fate(world, event, plugin).await?["units"][0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_listed_by_its_cause_tried_again_and_discarded() -> Result<()> {
    let fails = |times| Callback::new("f").wants(WANTED).does(Act::Raise, 1, times);
    let mut world = world()
        .plugin(Plugin::journal("unlucky").callback(fails(Some(1))))
        .plugin(Plugin::journal("wrong").callback(fails(None)))
        .start()
        .await?;
    let events: Vec<_> = (0..3).map(|_| happen(world.site())).collect();
    let list = letters(&world, 6).await?;
    let (unlucky, wrong) = (group(&list, "unlucky")?, group(&list, "wrong")?);
    assert_eq!(
        (&unlucky["letters"], &wrong["letters"]),
        (&3.into(), &3.into())
    );
    let name = unlucky["group"].as_str().context("a name")?;
    let text = world.ask("failures", &["show", name]).await?;
    for words in ["told to fail", "Traceback", "2 more"] {
        assert!(text.contains(words), "{words:?} not in\n{text}");
    }
    let one = failures(&world, &["list", "--plugin", "wrong"]).await?;
    assert_eq!((&one["letters"], &one["groups"][0]), (&3.into(), wrong));
    let status = world.status().await?;
    let own = &plugin(&status, "wrong")["letters"];
    assert_eq!((&status["letters"], own), (&6.into(), &3.into()));

    // A group is tried again, each of it once, also where two ask for it.
    let wishes = ["retry", name];
    let (one, other) = tokio::join!(failures(&world, &wishes), failures(&world, &wishes));
    let done = |told: Result<Value>| told.map_or(0, |told| told["done"].as_u64().unwrap_or(0));
    assert_eq!(done(one) + done(other), 3);
    letters(&world, 3).await?;
    for event in &events {
        begins(&mut world, "unlucky", *event, 2).await?;
    }
    world.caught_up(LIMIT).await?;
    for event in &events {
        let unit = unit(&world, *event, "unlucky").await?;
        assert_eq!(
            (&unit["outcome"], &unit["attempt"]),
            (&"done".into(), &2.into())
        );
    }
    // One that does not run is said to wait, and tries it when it does.
    world.ask("plugin", &["stop", "wrong"]).await?;
    let first = events[0].to_string();
    let text = world.ask("failures", &["retry", &first, "--json"]).await?;
    assert!(text.contains("plugins/wrong is stopped"), "{text}");
    world.ask("plugin", &["resume", "wrong"]).await?;
    begins(&mut world, "wrong", events[0], 2).await?;
    // What fails once more is a dead letter once more.
    let event = events[1].to_string();
    failures(&world, &["retry", &event, "--plugin", "wrong"]).await?;
    begins(&mut world, "wrong", events[1], 2).await?;
    letters(&world, 3).await?;
    assert_eq!(unit(&world, events[1], "wrong").await?["attempt"], 2);

    let refused = world.ask("failures", &["retry", name]).await.err();
    let refused = format!("{:#}", refused.context("it was not refused")?);
    assert!(refused.contains("no dead letter for") && refused.contains("failures list"));

    let why = ["discard", "all", "--reason", "made by hand"];
    assert_eq!(failures(&world, &why).await?["done"], 3);
    letters(&world, 0).await?;
    let unit = unit(&world, events[0], "wrong").await?;
    assert_eq!(unit["outcome"], "discarded");
    assert!(unit["error"].to_string().contains("made by hand"), "{unit}");
    let text = world.ask("failures", &["list"]).await?;
    assert!(text.contains("No dead letter"), "{text}");
    let log = world.log();
    assert!(log.contains("3 dead letters are tried again"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_without_a_daemon_is_done_at_the_next_start() -> Result<()> {
    let unlucky = Callback::new("f")
        .wants(WANTED)
        .does(Act::Raise, 1, Some(1));
    let mut world = world()
        .plugin(Plugin::journal("unlucky").callback(unlucky))
        .start()
        .await?;
    let (again, given_up) = (happen(world.site()), happen(world.site()));
    letters(&world, 2).await?;
    assert!(world.terminate().await?.success());
    let told = failures(&world, &["retry", &again.to_string()]).await?;
    assert_eq!(told["done"], 1, "{told}");
    let reason = ["discard", &given_up.to_string(), "--reason", "too late"];
    assert_eq!(failures(&world, &reason).await?["done"], 1);
    assert_eq!(failures(&world, &["list"]).await?["letters"], 0);
    world.restart()?;
    begins(&mut world, "unlucky", again, 2).await?;
    world.caught_up(LIMIT).await?;
    assert_eq!(unit(&world, again, "unlucky").await?["outcome"], "done");

    // A callback that is gone is not tried again, and says so.
    let last = happen(world.site());
    letters(&world, 1).await?;
    let path = world.folder().join("plugins/unlucky.py");
    let text = std::fs::read_to_string(&path)?;
    let name = "str(settings[\"name\"])";
    ensure!(text.contains(name), "{text}");
    let text = text.replacen(name, "\"g\"", 1);
    replace(&path, &text)?;
    shows(&world, "the other callback", |s| {
        let plugins = s["plugins"].as_array().cloned().unwrap_or_default();
        let names = |p: &Value| p["callbacks"][0]["name"] == "g";
        plugins.iter().any(names)
    })
    .await?;
    let told = failures(&world, &["retry", &last.to_string()]).await?;
    assert_eq!((&told["done"], &told["impossible"]), (&0.into(), &1.into()));

    // Nor one of a plugin that goes on under another name: nobody would run it.
    let moved = path.with_file_name("luckless.py");
    std::fs::copy(path.with_extension("json"), moved.with_extension("json"))?;
    std::fs::rename(&path, &moved)?;
    shows(&world, "it was moved", |s| is(s, "luckless", "running")).await?;
    let told = failures(&world, &["retry", "all"]).await?;
    assert_eq!((&told["done"], &told["impossible"]), (&0.into(), &1.into()));
    letters(&world, 1).await?;
    let reason = ["discard", "all", "--reason", "renamed"];
    assert_eq!(failures(&world, &reason).await?["done"], 1);
    assert_eq!(failures(&world, &["retry", "all"]).await?["done"], 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_renamed_takes_its_dead_letters_along() -> Result<()> {
    let fails = Callback::new("f").wants(WANTED).does(Act::Raise, 1, None);
    let mut world = world()
        .plugin(Plugin::journal("first").callback(fails))
        .start()
        .await?;
    let event = happen(world.site());
    letters(&world, 1).await?;
    let path = |name: &str, kind: &str| world.folder().join(format!("plugins/{name}.{kind}"));
    std::fs::copy(path("first", "json"), path("second", "json"))?;
    std::fs::rename(path("first", "py"), path("second", "py"))?;
    shows(&world, "moved", |s| is(s, "second", "running")).await?;
    let list = letters(&world, 1).await?;
    assert_eq!(group(&list, "second")?["events"][0], event);
    assert_eq!(failures(&world, &["retry", "all"]).await?["done"], 1);
    let again = async || unit(&world, event, "second").await;
    answers(&world, again, |unit| unit["attempt"] == 2).await?;
    letters(&world, 1).await?;

    // A wish that came to be on record under the old name, just before slated was killed.
    assert!(world.terminate().await?.success());
    let store = Sqlite::open(world.state(), &Options::default())?;
    let letter = store.latest(None, 10).await?;
    let letter = letter
        .iter()
        .find(|o| letter::retry(o, Offset(1), 0).is_some());
    let mut attempt = letter
        .and_then(|letter| letter::retry(letter, Offset(1), 0))
        .context("a dead letter")?;
    let lanes = store.snapshot().await?.lanes;
    let old = lanes.iter().find(|lane| lane.moved_to.is_some());
    store.record(vec![Change::Retried(attempt.clone())]).await?;
    let end = Change::Outcome(OutcomeRow {
        plugin: attempt.plugin,
        callback: attempt.callback.clone(),
        event: attempt.event,
        attempt: attempt.failed,
        outcome: Outcome::Done { us: 1 },
        at_ms: 0,
    });
    attempt.plugin = old.context("the old name")?.plugin.clone();
    store.record(vec![end, Change::Attempt(attempt)]).await?;
    store.close().await;
    drop(store);
    world.restart()?;
    begins(&mut world, "first", event, 3).await?;
    Ok(())
}

/// One callback has finished with an event, the next one failed and holds the plugin, and then its file is
/// renamed: under the new name the one that failed runs again, and the one that finished does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_renamed_half_way_through_an_event_does_the_other_half() -> Result<()> {
    let first = Callback::new("f").wants(WANTED);
    let fails = Callback::new("g").wants(WANTED).stops_on_error();
    let mut world = world()
        .plugin(
            Plugin::journal("old")
                .callback(first)
                .callback(fails.does(Act::Raise, 1, Some(1))),
        )
        .start()
        .await?;
    let event = happen(world.site());
    shows(&world, "held", |s| is(s, "old", "held")).await?;
    for kind in ["json", "tries", "py"] {
        let path = |name: &str| world.folder().join(format!("plugins/{name}.{kind}"));
        std::fs::rename(path("old"), path("new"))?;
    }
    shows(&world, "moved", |s| is(s, "new", "running")).await?;
    // In the journal it keeps its old name: three runs, two of them of the one that failed.
    begins(&mut world, "old", event, 3).await?;
    let next = happen(world.site());
    begins(&mut world, "old", next, 2).await?;
    let journal = world.journal()?;
    let runs = |name: &str| {
        let of = |line: &&Line| matches!(line, Line::Start { callback: c, event: e, .. } if c.name() == name && e.0 == event);
        journal.iter().filter(of).count()
    };
    assert_eq!((runs("f"), runs("g")), (1, 2));
    Ok(())
}
