//! Trouble with the site: told once, waited out, nothing lost.

use anyhow::Result;
use slated_sim::{Corruption, Effect, Fault, On, Server};
use slated_testkit::plugins::{Callback, Plugin};

use crate::{
    Builder, LIMIT, Value, WANTED, World, begins, happen, is, json, lines, plugin, replace, said,
    says, shows, world,
};

/// What every line about a site that cannot be read ends with.
const KEEPS_ASKING: &str = "nothing is lost, slated keeps asking";

/// Lets the next `times` requests fail while something happens, and waits until all is well again.
async fn trouble(world: &mut World, effect: Effect, times: u32, words: &str) -> Result<()> {
    let told = lines(world, KEEPS_ASKING);
    let followed = lines(world, "Following");
    let fault = Fault::new(effect.clone()).on(On::Everything).times(times);
    world.site().add_fault(fault);
    happen(world.site());
    says(world, "Following", followed + 1).await?;
    world.caught_up(LIMIT).await?;
    let said = said(world);
    let new: Vec<_> = said
        .lines()
        .filter(|l| l.contains(KEEPS_ASKING))
        .skip(told)
        .collect();
    assert_eq!(new.len(), 1, "{effect:?} is told once: {new:#?}");
    assert!(new[0].contains(words), "{effect:?}: {}", new[0]);
    assert!(new[0].contains("Hint: "), "{effect:?}: {}", new[0]);
    assert_eq!(lines(world, "Following"), followed + 1, "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_told_once_and_waited_out() -> Result<()> {
    let mut world = world().start().await?;
    let maintenance = Effect::Status { code: 503 };
    trouble(&mut world, maintenance, 2, "is down: it is in maintenance").await?;
    trouble(
        &mut world,
        Effect::Html,
        1,
        "a web page came in place of an answer",
    )
    .await?;
    trouble(
        &mut world,
        Effect::HalfBody,
        1,
        "broke before the answer was whole",
    )
    .await?;
    trouble(&mut world, Effect::AuthRefused, 1, "refused: ").await?;
    assert_eq!(lines(&world, "check the script's name and its key"), 1);

    // It changes its face before it is well again: each is told.
    let told = lines(&world, KEEPS_ASKING);
    world.site().add_fault(Fault::new(Effect::Empty).times(1));
    trouble_follows(&mut world, told).await?;
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(5)
}

/// Another trouble on the heels of the first.
async fn trouble_follows(world: &mut World, told: usize) -> Result<()> {
    let refused = Fault::new(Effect::Status { code: 403 });
    world.site().add_fault(refused);
    happen(world.site());
    says(world, KEEPS_ASKING, told + 2).await?;
    let status = shows(world, "refused", |s| s["site"]["state"] == "refused").await?;
    let trouble = status["site"]["trouble"].to_string();
    assert!(trouble.contains("HTTP 403"), "{trouble}");
    let hint = status["site"]["hint"].to_string();
    assert!(hint.contains("permission group"), "{hint}");
    let shown = world.ask("status", &[]).await?;
    assert!(shown.contains(hint.trim_matches('"')), "{shown}");
    world.site().clear_faults();
    let status = shows(world, "ok", |s| s["site"]["state"] == "ok").await?;
    assert_eq!(status["site"]["trouble"], Value::Null);
    assert_eq!(lines(world, KEEPS_ASKING), told + 2);
    Ok(())
}

/// No site, a proxy that is down, a wrong key: each from the first start on.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_cannot_be_reached_at_the_start_is_waited_for() -> Result<()> {
    let from = |world: Builder| world.setting("state", "new_plugins", "\"id:1\"");
    let mut world = from(world()).prepare().await?;
    let config = world.folder().join("slated.toml");
    let good = std::fs::read_to_string(&config)?;
    let events = happen(world.site());
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;

    // A wrong key.
    let key = "{ env = \"SLATED_SITE_KEY\" }";
    assert!(good.contains(key));
    replace(&config, &good.replace(key, "\"not-the-key\""))?;
    world.restart()?;
    says(&mut world, "refused: ", 1).await?;
    let asked = |world: &World| world.site().stats().requests.values().sum::<u64>();
    let twice = asked(&world) + 1;
    world
        .until("it asks again", LIMIT, |w| Ok(asked(w) >= twice))
        .await?;
    assert_eq!(lines(&world, KEEPS_ASKING), 1, "{}", world.log());
    assert_eq!(lines(&world, "check the script's name and its key"), 1);
    assert!(world.terminate().await?.success());

    // A proxy that is down, and comes up. To the site itself leads no way.
    let proxied = good.replace("[site]\n", &format!("[site]\nproxy = \"{free}\"\n"));
    replace(
        &config,
        &proxied.replace(&world.url(), "http://site.invalid"),
    )?;
    world.restart()?;
    says(&mut world, &format!("(through proxy {free}) is down: "), 1).await?;
    let down = |s: &Value| s["site"]["state"] == "down" && is(s, "quick", "running");
    let status = shows(&world, "down", down).await?;
    assert_eq!(status["site"]["head"], 0);
    // The simulator looks at the path alone, so it can stand in for a proxy.
    let proxy = Server::start(world.site().clone(), &free.to_string()).await?;
    says(&mut world, "Following http://site.invalid", 1).await?;
    begins(&mut world, "quick", events, 1).await?;
    assert_eq!(lines(&world, KEEPS_ASKING), 2, "{}", world.log());
    assert!(world.terminate().await?.success());
    proxy.shutdown().await;
    world.verdict().await?.kept(21)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_site_at_the_start_and_then_one() -> Result<()> {
    let mut world = world()
        .setting("state", "new_plugins", "\"id:1\"")
        .prepare()
        .await?;
    let config = world.folder().join("slated.toml");
    let good = std::fs::read_to_string(&config)?;
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    replace(
        &config,
        &good.replace(&world.url(), &format!("http://{free}")),
    )?;
    world.restart()?;
    says(&mut world, "is down: ", 1).await?;
    assert!(said(&world).contains("Hint: check the address, the network and the proxy"));
    let site = Server::start(world.site().clone(), &free.to_string()).await?;
    world.caught_up(LIMIT).await?;
    assert_eq!(lines(&world, KEEPS_ASKING), 1, "{}", world.log());
    let verdict = world.verdict().await?;
    site.shutdown().await;
    verdict.kept(20)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_40_rows_that_cannot_be_read_stop_nothing() -> Result<()> {
    let mut world = world().start().await?;
    let lost = [Corruption::NotJson, Corruption::Cut];
    let mended = [
        Corruption::BadUtf8,
        Corruption::Nan,
        Corruption::ControlCharacter,
        Corruption::LoneSurrogate,
    ];
    let mut unreadable = Vec::new();
    for how in lost.into_iter().chain(mended) {
        happen(world.site());
        // Spoilt before anybody has seen it.
        world.site().spoil(world.site().next_event_id(), how);
        let event = happen(world.site());
        unreadable.extend(lost.contains(&how).then_some(event));
    }
    let last = happen(world.site());
    begins(&mut world, "quick", last, 1).await?;
    // The last one is the newest row of all, which every look shows again.
    let event = world.site().next_event_id();
    world.site().spoil(event, Corruption::NotJson);
    unreadable.push(happen(world.site()));
    let verdict = world.caught_up(LIMIT).await?;
    assert_eq!(verdict.parked, unreadable.len(), "{verdict}");

    // Some looks later nothing more was said.
    let asked = world.status().await?["site"]["requests"]
        .as_u64()
        .unwrap_or(0);
    let more = |s: &Value| s["site"]["requests"].as_u64() > Some(asked + 5);
    shows(&world, "further looks", more).await?;
    for event in &unreadable {
        assert_eq!(lines(&world, &format!("Event {event} cannot be read")), 1);
        let show = world
            .ask("events", &["show", "--json", &event.to_string()])
            .await?;
        let show: Value = serde_json::from_str(&show)?;
        assert_eq!(show["plugins"][0]["units"][0]["outcome"], "dead letter");
    }
    assert_eq!(lines(&world, "cannot be read"), unreadable.len());
    assert_eq!(lines(&world, KEEPS_ASKING), 0);
    happen(world.site());
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(15)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_writes_waits_for_a_site_that_is_down() -> Result<()> {
    let writes = |name| {
        let data = json!({"project": {"type": "Project", "id": 1}});
        Callback::new(name)
            .wants(WANTED)
            .creates("Note", "subject", "turnover {event}", &data)
    };
    let mut world = world()
        .plugin(Plugin::journal("aside").callback(writes("f")))
        .plugin(Plugin::journal("strict").callback(writes("g").stops_on_error()))
        .start()
        .await?;
    // Only writes fail at first: the follower still reads well.
    let down = Fault::new(Effect::Status { code: 503 });
    world.site().add_fault(down.clone().on(On::Writes));
    let first = happen(world.site());
    says(
        &mut world,
        &format!("f: event {first} waits for the site"),
        1,
    )
    .await?;
    says(
        &mut world,
        &format!("g: event {first} waits for the site"),
        1,
    )
    .await?;
    world.site().add_fault(down);
    says(&mut world, KEEPS_ASKING, 1).await?;
    let second = happen(world.site());
    shows(&world, "waiting", |s| {
        is(s, "aside", "waiting") && is(s, "strict", "waiting")
    })
    .await?;
    world.site().clear_faults();

    world.caught_up(LIMIT).await?;
    let status = world.status().await?;
    for name in ["aside", "strict"] {
        let plugin = plugin(&status, name);
        assert_eq!((&plugin["failed"], &plugin["done"]), (&json!(0), &json!(2)));
    }
    for event in [first, second] {
        let filter = json!([["subject", "is", format!("turnover {event}")]]);
        let notes = world.site().find("Note", &filter, &["subject"])?;
        assert_eq!(notes.len(), 2, "one by each plugin");
    }
    let verdict = world.verdict().await?;
    assert_eq!(verdict.parked, 0, "{verdict}");
    verdict.kept(6)
}
