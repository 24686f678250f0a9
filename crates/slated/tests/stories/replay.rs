//! `slated replay`: what it runs, what it leaves alone, and how it ends.

use anyhow::{Context as _, Result};
use slated_model::{EventId, Offset};
use slated_sim::{Corruption, Effect, Fault, On};
use slated_store::{Sqlite, Store as _};
use slated_testkit::plugins::Plugin;
use slated_testkit::{Builder, World};

use crate::{LIMIT, Value, WANTED, answers, happen, is, json, shows, world};

/// A plugin that makes a Note for each event that is wanted, and does more for some of them: what
/// stands in `on.json` beside it says for which.
fn writer(also: &str) -> Plugin {
    let text = format!(
        r#"
import json, os, signal, time

def on(what):
    with open(os.path.join(os.path.dirname(os.path.dirname(__file__)), "on.json")) as file:
        return json.load(file).get(what)

def registerCallbacks(reg):
    def note(sg, logger, event, args):
        if reg.isReplay():
            logger.info("key %s attempt %s", reg.getIdempotencyKey(), reg.getAttempt())
            if event["id"] in (on("die"), on("edit")):
                if event["id"] == on("edit"):
                    with open(__file__, "a") as file:
                        file.write('# edited\n')
                os._exit(3)
            if event["id"] == on("fail"):
                raise ValueError("told to fail")
            if event["id"] >= (on("away") or 1 << 60):
                sg.config.max_rpc_attempts = 1
                sg.find_one("Shot", [])
            if event["id"] == on("wait"):
                folder = os.path.dirname(__file__)
                open(os.path.join(folder, "waits"), "w").close()
                while not os.path.exists(os.path.join(folder, "go")):
                    time.sleep(0.05)
                time.sleep(2.5)  # more than from one look of the replay to the next
            if event["id"] == on("interrupt"):
                os.kill(os.getppid(), signal.SIGINT)
            if event["id"] >= (on("interrupt") or 1 << 60):
                time.sleep(0.3)  # a callback that takes its time, as most do
        project = {{"type": "Project", "id": 1}}
        made = sg.create("Note", {{"subject": "event %d" % event["id"], "project": project}})
        assert reg.isDry() == (made["id"] < 0)

    reg.registerCallback(None, None, note, {{"{WANTED}": None}}, None, {also})
"#
    );
    Plugin::source("writer", &text)
}

/// Begins a world with that plugin, whose `stopOnError` is said.
fn writing(stop_on_error: &str) -> Builder {
    world()
        .plugin(writer(stop_on_error))
        .setting("plugins", "lend_key", "true")
}

/// Says for which events the plugin does what.
fn tell(world: &World, on: &Value) -> Result<()> {
    Ok(std::fs::write(
        world.folder().join("on.json"),
        on.to_string(),
    )?)
}

/// How many Notes there are for an event.
fn notes(world: &World, event: u64) -> Result<usize> {
    let filters = json!([["subject", "is", format!("event {event}")]]);
    Ok(world.site().find("Note", &filters, &["id"])?.len())
}

/// What a command came to: its exit code, the lines of its stdout as JSON, its stderr.
async fn replay(world: &World, arguments: &[&str]) -> Result<(i32, Vec<Value>, String)> {
    let arguments = [&["--plugin", "writer", "--json"], arguments].concat();
    let output = world.command("replay", &arguments).await?;
    let said = String::from_utf8(output.stderr)?;
    let lines = String::from_utf8(output.stdout)?;
    let lines = lines.lines().map(serde_json::from_str::<Value>);
    let lines: Result<Vec<_>, _> = lines.collect();
    let lines = lines.with_context(|| said.clone())?;
    Ok((output.status.code().context("a signal")?, lines, said))
}

fn span(from: u64, to: u64) -> Vec<String> {
    [
        "--from".into(),
        from.to_string(),
        "--to".into(),
        to.to_string(),
    ]
    .into()
}

/// Runs a replay of events, with more flags.
async fn over(
    world: &World,
    (from, to): (u64, u64),
    more: &[&str],
) -> Result<(i32, Vec<Value>, String)> {
    let span = span(from, to);
    let span = span.iter().map(String::as_str);
    replay(world, &span.chain(more.iter().copied()).collect::<Vec<_>>()).await
}

/// The calls of a replay: event and outcome.
fn calls(lines: &[Value]) -> Vec<(u64, &str)> {
    let calls = lines.iter().filter(|line| line["kind"] == "call");
    let call = |line: &'_ Value| line["event"].as_u64().unwrap_or_default();
    calls
        .map(|line| (call(line), line["outcome"].as_str().unwrap_or_default()))
        .collect()
}

fn summary(lines: &[Value]) -> &Value {
    lines
        .last()
        .filter(|l| l["kind"] == "summary")
        .unwrap_or(&Value::Null)
}

/// Everything that is on record, as text: lanes, attempts and outcomes to the last field.
async fn record(world: &World) -> Result<String> {
    let store = Sqlite::open_read_only(world.state())?;
    let snapshot = store.snapshot().await?;
    let outcomes = store.latest(None, 100_000).await?;
    let rows = store.rows(Offset(0), 100_000).await?.len();
    anyhow::ensure!(!outcomes.is_empty() && !snapshot.lanes.is_empty());
    let lanes = (&snapshot.lanes, &snapshot.attempts, &snapshot.ahead);
    let state = (&snapshot.workers, snapshot.epoch, &snapshot.ledger, rows);
    Ok(format!("{lanes:#?}\n{outcomes:#?}\n{state:#?}"))
}

/// Lets events happen, and waits until the plugin has run the last of them.
async fn ran(world: &mut World, count: usize) -> Result<(u64, u64)> {
    let ids: Vec<_> = (0..count).map(|_| happen(world.site())).collect();
    let (first, last) = (ids[0], ids[count - 1]);
    let made = |world: &World| Ok(notes(world, last)? == 1);
    world
        .until("a Note for the last event", LIMIT, made)
        .await?;
    Ok((first, last))
}

/// Lets events happen, and waits until the daemon has done all there is.
async fn settled(world: &mut World, count: usize) -> Result<(u64, u64)> {
    let (first, last) = ran(world, count).await?;
    world.caught_up(LIMIT).await?;
    let still = |status: &Value| {
        let plugins = status["plugins"].as_array();
        let mut plugins = plugins.into_iter().flatten();
        plugins.all(|plugin| plugin["lag"] == 0 && plugin["in_flight"] == 0)
    };
    shows(world, "everything is on record", still).await?;
    Ok((first, last))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_replay_writes_nowhere_and_a_live_one_once_for_each_event() -> Result<()> {
    let mut world = writing("False").start().await?;
    tell(&world, &json!({}))?;
    let span = settled(&mut world, 4).await?;
    // Cursors over what nobody wants are written about once a second.
    let mut before = record(&world).await?;
    let same = async |before: &mut String| -> Result<bool> {
        let now = record(&world).await?;
        Ok(std::mem::replace(before, now.clone()) == now)
    };
    while !{
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        same(&mut before).await?
    } {}

    let site = world.site().history().len();
    let asked = world.site().stats().requests;
    let (code, lines, said) = over(&world, span, &[]).await?;
    assert_eq!(code, 0, "{said}");
    let wanted: Vec<_> = [0, 1, 2, 3]
        .map(|n| (lines[n]["event"].as_u64().unwrap(), "done"))
        .into();
    assert_eq!(calls(&lines), wanted);
    assert_eq!((wanted[0].0, wanted[3].0), span);
    let write = &lines[0]["writes"][0];
    assert_eq!(
        (&write["method"], &write["entity"]),
        (&json!("create"), &json!("Note"))
    );
    assert_eq!(write["data"]["subject"], json!(format!("event {}", span.0)));
    let end = summary(&lines);
    assert_eq!(
        (&end["dry"], &end["calls"], &end["writes"]),
        (&json!(true), &json!(4), &json!({"create": 4}))
    );
    assert!(said.contains("NOT covered"), "{said}");
    let run = end["run"].as_str().unwrap_or_default();
    assert!(
        said.contains(&format!("replay {run}:{}:note attempt 1", span.0)),
        "{said}"
    );

    assert_eq!(world.site().history().len(), site, "an event of a write");
    let wrote = world.site().stats().requests;
    assert_eq!(wrote.get("create"), asked.get("create"));
    assert_eq!(
        record(&world).await?,
        before,
        "the record of a daemon that runs"
    );

    // Nobody is there to be asked.
    let (code, lines, said) = over(&world, span, &["--live"]).await?;
    assert_eq!(
        (code, lines.len(), notes(&world, span.0)?),
        (2, 0, 1),
        "{said}"
    );
    assert!(
        said.contains("4 calls for 4 events") && said.contains("--yes"),
        "{said}"
    );

    let fates = async || -> Result<String> {
        let store = Sqlite::open_read_only(world.state())?;
        let mut fates = Vec::new();
        for id in span.0..=span.1 {
            fates.push(store.fate(EventId(id)).await?);
        }
        Ok(format!("{fates:#?}"))
    };
    let on_record = fates().await?;
    let (code, lines, said) = over(&world, span, &["--live", "--yes"]).await?;
    assert_eq!((code, calls(&lines)), (0, wanted.clone()), "{said}");
    assert_eq!(summary(&lines)["writes"], json!({}));
    for (event, _) in &wanted {
        assert_eq!(
            notes(&world, *event)?,
            2,
            "one of the daemon, one of the replay"
        );
    }
    assert_eq!(fates().await?, on_record);
    assert!(
        said.contains(&format!(":{}:note attempt 1", span.0)),
        "{said}"
    );

    // The daemon goes on as if nothing had been.
    let next = settled(&mut world, 1).await?.0;
    assert_eq!(notes(&world, next)?, 1);
    world.verdict().await?.kept(5)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_site_fills_what_the_log_lacks() -> Result<()> {
    // Small pages, so that there are several.
    let world = writing("False").setting("site", "page", "5");
    let mut world = world.prepare().await?;
    tell(&world, &json!({}))?;
    world.site().spoil(2, Corruption::Cut);
    let before: Vec<_> = (0..3).map(|_| happen(world.site())).collect();
    // Without a state all of it comes from the site.
    let (code, lines, said) = over(&world, (1, before[2]), &[]).await?;
    assert_eq!((code, calls(&lines).len()), (0, 3), "{said}");
    assert_eq!(summary(&lines)["from_log"], 0);
    assert_eq!(summary(&lines)["unreadable"], json!([2]));
    assert!(said.contains("nobody can read 2: left out"), "{said}");

    world.restart()?;
    crate::says(&mut world, "Following", 1).await?;
    shows(&world, "ready", |status| is(status, "writer", "running")).await?;
    let after = ran(&mut world, 2).await?;
    let (code, lines, said) = over(&world, (1, after.1), &["--type", WANTED]).await?;
    assert_eq!(code, 0, "{said}");
    let events: Vec<_> = calls(&lines).iter().map(|(event, _)| *event).collect();
    let mut wanted = before.clone();
    wanted.extend(
        world.site().history().iter().map(|r| r.id).filter(|id| {
            (after.0..=after.1).contains(id) && notes(&world, *id).is_ok_and(|n| n == 1)
        }),
    );
    assert_eq!(events, wanted, "all of them once, by their ids");
    let end = summary(&lines);
    assert!(
        end["from_log"].as_u64() >= Some(2) && end["from_site"].as_u64() >= Some(23),
        "{end}"
    );

    // No project made these events.
    let (code, lines, _) = over(&world, (1, after.1), &["--project", "1"]).await?;
    assert_eq!((code, calls(&lines).len()), (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_or_dies_is_told_and_the_rest_runs() -> Result<()> {
    // Its failures stop it in a lane; a replay holds nothing.
    let mut world = writing("True").start().await?;
    tell(&world, &json!({}))?;
    let (first, last) = settled(&mut world, 8).await?;
    let ids: Vec<_> = {
        let (_, lines, _) = over(&world, (first, last), &[]).await?;
        calls(&lines).iter().map(|(event, _)| *event).collect()
    };
    assert_eq!(ids.len(), 8);

    tell(&world, &json!({"fail": ids[1], "die": ids[3]}))?;
    let (code, lines, said) = over(&world, (first, last), &[]).await?;
    let outcomes: Vec<_> = calls(&lines).iter().map(|(_, outcome)| *outcome).collect();
    assert_eq!(
        outcomes,
        [
            "done", "failed", "done", "died", "done", "done", "done", "done"
        ]
    );
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("2 of 8 calls failed"), "{said}");
    assert!(
        lines[1]["traceback"]
            .as_str()
            .is_some_and(|t| t.contains("told to fail"))
    );
    assert_eq!(lines[3]["error"], "exit code 3");
    assert_eq!(summary(&lines)["writes"], json!({"create": 6}));

    let (code, lines, said) = over(&world, (first, last), &["--stop-on-error"]).await?;
    assert_eq!((code, calls(&lines).len()), (5, 2));
    let go_on = format!("--from {} --to {last}", ids[2]);
    assert!(said.contains(&go_on), "{said}");
    assert_eq!(summary(&lines)["go_on"], json!(ids[2]));

    // Ctrl-C, in the middle of a callback.
    tell(&world, &json!({"interrupt": ids[2]}))?;
    let (code, lines, said) = over(&world, (first, last), &[]).await?;
    let ran = calls(&lines);
    let (end, ran_last) = (summary(&lines), ran[ran.len() - 1]);
    assert_eq!((code, &end["ended"]), (0, &json!("stopped")), "{said}");
    assert!(
        ran.len() < 8 && ran_last.0 >= ids[2] && ran_last.1 == "done",
        "{ran:?}"
    );
    assert_eq!(end["go_on"], json!(ids[ran.len()]));

    // It ran as it is now; what it would do as another was not asked for.
    tell(&world, &json!({"edit": ids[1]}))?;
    let (code, lines, said) = over(&world, (first, last), &[]).await?;
    assert_eq!((code, calls(&lines).len()), (5, 2), "{said}");
    assert!(said.contains("its file was edited meanwhile"), "{said}");
    assert_eq!(summary(&lines)["go_on"], json!(ids[2]));

    // The site goes away under it: it gives up, and begins with the first that had no site.
    tell(&world, &json!({"away": ids[3]}))?;
    world
        .site()
        .add_fault(Fault::new(Effect::Status { code: 503 }).on(On::AllButEventReads));
    let (code, lines, said) = over(&world, (first, last), &[]).await?;
    assert_eq!((code, calls(&lines).len()), (4, 6), "{said}");
    assert_eq!(summary(&lines)["go_on"], json!(ids[3]), "{said}");
    world.site().clear_faults();
    world.verdict().await?.kept(8)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_can_run_but_once_is_replayed_while_it_is_stopped() -> Result<()> {
    let mut world = writing("False")
        .setting("plugin.\"writer\"", "reload", "\"stop-first\"")
        .start()
        .await?;
    tell(&world, &json!({}))?;
    let span = settled(&mut world, 2).await?;
    let (code, lines, said) = over(&world, span, &[]).await?;
    assert_eq!((code, lines.len()), (2, 0), "{said}");
    for words in [
        "plugins/writer is running",
        "\"stop-first\"",
        "slated plugin stop writer",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    world.ask("plugin", &["stop", "writer"]).await?;
    let (code, lines, said) = over(&world, span, &[]).await?;
    let both = vec![(span.0, "done"), (span.1, "done")];
    assert_eq!((code, calls(&lines)), (0, both), "{said}");

    // Somebody lets the live one go on meanwhile.
    tell(&world, &json!({"wait": span.0}))?;
    let played = over(&world, span, &[]);
    let plugins = world.folder().join("plugins");
    let resumed = async {
        let waits = async || Ok(json!(plugins.join("waits").exists()));
        answers(&world, waits, |waits| *waits == json!(true)).await?;
        world.ask("plugin", &["resume", "writer"]).await?;
        anyhow::Ok(std::fs::write(plugins.join("go"), "")?)
    };
    let (played, resumed) = tokio::join!(played, resumed);
    resumed?;
    let (code, lines, said) = played?;
    assert_eq!((code, calls(&lines)), (2, vec![(span.0, "done")]), "{said}");
    assert!(said.contains("plugins/writer is running"), "{said}");
    assert!(said.contains(&format!("--from {}", span.1)), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replayed_is_refused_with_a_way_on() -> Result<()> {
    let world = writing("False").prepare().await?;
    tell(&world, &json!({}))?;
    let refused = async |arguments: &[&str], code: i32, words: &[&str]| -> Result<()> {
        let output = world.command("replay", arguments).await?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(code), 0),
            "{said}"
        );
        for words in words {
            assert!(said.contains(words), "{words} in {said}");
        }
        Ok(())
    };
    let one = ["--from", "5", "--to", "5"];
    let with = |more: &[&'static str]| [more, &one].concat();
    let near = ["there is no plugin `writr`", "did you mean `writer`?"];
    refused(&with(&["--plugin", "writr"]), 2, &near).await?;
    let back = ["--plugin", "writer", "--from", "6", "--to", "5"];
    refused(
        &back,
        2,
        &["--from 6 is behind --to 5", "slated events tail"],
    )
    .await?;
    let callback = with(&["--plugin", "writer", "--callback", "notes"]);
    refused(
        &callback,
        2,
        &["registers no callback `notes`", "did you mean `note`?"],
    )
    .await?;
    refused(&with(&["--plugin", "writer", "--yes"]), 2, &["--live"]).await?;
    let file = world.folder().join("plugins/writer.py");
    std::fs::write(
        &file,
        "def registerCallbacks(reg):\n    raise ValueError('no')\n",
    )?;
    let broken = [
        "plugins/writer: does not load",
        "ValueError: no",
        "mend the file",
    ];
    refused(&with(&["--plugin", "writer"]), 5, &broken).await?;
    Ok(())
}
