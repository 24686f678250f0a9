//! What commands show, with a daemon and without; and what nobody may see.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use slated_model::{Change, EventId, LaneRow, Offset, PluginId};
use slated_store::{Options, Sqlite, Store as _};
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::{
    LIMIT, Value, WANTED, World, begins, begun, happen, lines, loads, said, says, shows, world,
};

/// Writes which keys a value has, on all levels: lists by their first element.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), shape(v))).collect(),
        Value::Array(list) => list.first().map_or(Value::Null, shape),
        _ => Value::Null,
    }
}

/// Like `shape`, without what only a process knows.
fn keys(value: &Value) -> Vec<String> {
    let object = value.as_object().into_iter().flatten();
    object.map(|(key, _)| key.clone()).collect()
}

async fn json(world: &World, command: &str, arguments: &[&str]) -> Result<Vec<Value>> {
    let text = world.ask(command, arguments).await?;
    let values = text.lines().map(serde_json::from_str);
    values
        .collect::<Result<_, _>>()
        .with_context(|| format!("not JSON: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_show_the_same_with_a_daemon_and_without() -> Result<()> {
    let fails = Callback::new("f").wants(WANTED).does(Act::Raise, 1, None);
    let mut world = world()
        .plugin(Plugin::journal("fails").callback(fails))
        .plugin(Plugin::source("helper", "NAME = 'no plugin'\n"))
        .start()
        .await?;
    says(&mut world, "it is taken for a helper module", 1).await?;
    let event = happen(world.site());
    world.caught_up(LIMIT).await?;
    let idle = |s: &Value| {
        let plugins = s["plugins"].as_array().into_iter().flatten();
        plugins
            .into_iter()
            .all(|p| p["lag"] == 0 && p["last"]["event"] == event)
    };
    shows(&world, "idle", idle).await?;
    let show = event.to_string();
    let commands: [(&str, &[&str]); 4] = [
        ("status", &["--json"]),
        ("plugin", &["list", "--json"]),
        ("events", &["tail", "--json"]),
        ("events", &["show", &show, "--json"]),
    ];
    let seen = world.ask("status", &[]).await?;
    let listed = |words: &str| {
        seen.lines()
            .any(|l| l.split_whitespace().eq(words.split(' ')))
    };
    assert!(
        seen.contains("CURSOR") && listed("plugins/quick seen"),
        "{seen}"
    );
    let mut running = Vec::new();
    for (command, arguments) in commands {
        running.push(json(&world, command, arguments).await?);
    }
    assert!(world.terminate().await?.success());
    let mut stopped = Vec::new();
    for (command, arguments) in commands {
        stopped.push(json(&world, command, arguments).await?);
    }

    let seen = world.ask("status", &[]).await?;
    assert!(seen.contains("not whether plugins load and run"), "{seen}");

    let (on, off) = (&running[0][0], &stopped[0][0]);
    assert_eq!(
        (&on["running"], &off["running"]),
        (&true.into(), &false.into())
    );
    assert_eq!(keys(on), keys(off));
    for part in ["site", "log"] {
        assert_eq!(shape(&on[part]), shape(&off[part]));
    }
    assert_eq!(
        (&on["log"], &on["site"]["head"]),
        (&off["log"], &off["site"]["head"])
    );
    for list in [
        [&on["plugins"], &off["plugins"]],
        [&running[1][0], &stopped[1][0]],
    ] {
        let [on, off] = list.map(|l| l.as_array().map(Vec::as_slice).unwrap_or_default());
        assert_eq!((on.len(), off.len()), (2, 2));
        for (on, off) in on.iter().zip(off) {
            assert_eq!(keys(on), keys(off));
            for same in ["plugin", "cursor", "lag", "retries"] {
                assert_eq!(on[same], off[same], "{same}");
            }
            for same in ["event", "callback", "outcome"] {
                assert_eq!(on["last"][same], off["last"][same], "{on} {off}");
            }
            assert_eq!(on["last_error"]["error"], off["last_error"]["error"]);
            // What only a daemon knows is absent without one, and not zero.
            for own in ["done", "failed", "callbacks"] {
                assert!(
                    !on[own].is_null() && off[own].is_null(),
                    "{own}: {on} {off}"
                );
            }
            let why = off["why"].as_str().unwrap_or_default();
            assert!(
                on["why"].is_null() && why.contains("no daemon runs"),
                "{off}"
            );
        }
    }
    let failing = &off["plugins"].as_array().context("plugins")?[0];
    assert_eq!(failing["plugin"], "plugins/fails");
    assert!(
        failing["last_error"]["error"]
            .to_string()
            .contains("told to fail")
    );
    // What is on record is the same to the letter.
    assert_eq!(running[2], stopped[2]);
    assert_eq!(running[2].last().context("an event")?["id"], event);
    assert_eq!(running[3], stopped[3]);
    let fates = running[3][0]["plugins"].as_array().context("plugins")?;
    let outcomes = fates.iter().map(|f| &f["units"][0]["outcome"]);
    assert_eq!(outcomes.collect::<Vec<_>>(), ["dead letter", "done"]);

    // A helper has no place in the log: once it is a plugin, it begins.
    assert_eq!(lines(&world, "plugins/helper: new"), 0, "{}", world.log());
    world.install(Plugin::journal("helper"))?;
    world.restart()?;
    says(&mut world, "plugins/helper: new", 1).await?;
    let later = happen(world.site());
    begins(&mut world, "helper", later, 1).await?;
    assert_eq!(begun(&world, "helper", event)?, 0);
    Ok(())
}

/// What keeps a place, and was never seen to be a plugin, is in no list.
#[tokio::test]
async fn a_place_that_is_no_plugins_is_listed_nowhere() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("plugins"))?;
    for (name, text) in [
        ("helper", "x = 1\n"),
        ("notes", "def registerCallbacks(reg): pass\n"),
        ("young", "def registerCallbacks(reg): pass\n"),
    ] {
        std::fs::write(path("plugins").join(format!("{name}.py")), text)?;
    }
    let here = folder.path().display();
    let conf = format!(
        "[daemon]\npidFile: {here}/pid\neventIdFile: {here}/events.id\nlogPath: {here}\nlogFile: log\n\
         [shotgun]\nserver: http://127.0.0.1:9\nname: x\nkey: y\n[plugins]\npaths: {here}/plugins\n"
    );
    std::fs::write(path("studio.conf"), conf)?;
    let lane = |stem: &str| {
        let plugin = PluginId::new(format!("{here}/plugins"), stem);
        let mut row = LaneRow::new(plugin, Offset(0));
        row.floor = Some(EventId(7));
        row
    };
    let mut notes = lane("notes");
    notes.content = "ran".into();
    // One that went before it was loaded, one that turned out to be a module, and one to be loaded.
    let mut rows = [lane("away"), lane("helper"), lane("young")];
    for row in &mut rows {
        row.gone = true;
    }
    rows[1].moved_to = Some(rows[1].plugin.clone());
    let store = Sqlite::open(&path("events.id.slated"), &Options::default())?;
    let changes = [notes].into_iter().chain(rows).map(Change::Lane);
    store.record(changes.collect()).await?;
    store.close().await;
    drop(store);

    let run = |arguments: &[&str]| -> Result<(Option<i32>, String, String)> {
        let output = std::process::Command::new(crate::SLATED)
            .args(arguments)
            .args(["--config", "studio.conf"])
            .current_dir(folder.path())
            .output()?;
        let (said, shown) = (String::from_utf8(output.stderr)?, output.stdout);
        Ok((output.status.code(), String::from_utf8(shown)?, said))
    };
    let names = |list: &Value| -> Vec<String> {
        let plugins = list.as_array().into_iter().flatten();
        let name = |p: &Value| p["plugin"].as_str()?.rsplit('/').next().map(str::to_owned);
        plugins.filter_map(name).collect()
    };
    let (_, shown, said) = run(&["check", "--json"])?;
    let check: Value = serde_json::from_str(&shown).context(said)?;
    assert_eq!(names(&check["plugins"]), ["notes", "young"], "{check}");
    for plugin in check["plugins"].as_array().context("plugins")? {
        assert_eq!(
            (&plugin["after"], &plugin["gone"]),
            (&7.into(), &false.into())
        );
    }
    let (_, shown, said) = run(&["status", "--json"])?;
    let status: Value = serde_json::from_str(&shown).context(said)?;
    assert_eq!(names(&status["plugins"]), ["notes"]);
    for verb in ["show", "stop", "resume"] {
        let (code, _, said) = run(&["plugin", verb, "away"])?;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("there is no plugin"), "{said}");
    }
    std::fs::write(path("events.id"), "5\n")?;
    let (code, _, said) = run(&["check"])?;
    assert_eq!(code, Some(3), "{said}");
    let hidden = ["/away", "/helper", "/young"].map(|name| said.contains(name));
    assert_eq!(
        (said.contains("/notes"), hidden),
        (true, [false; 3]),
        "{said}"
    );
    Ok(())
}

fn mode(path: &Path) -> Result<u32> {
    let meta = std::fs::metadata(path).with_context(|| path.display().to_string())?;
    Ok(meta.permissions().mode() & 0o777)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_nowhere_and_the_state_is_private() -> Result<()> {
    // Its code has no key of its own: only the daemon knows one.
    let text = "def registerCallbacks(reg):\n    reg.registerCallback('slated', 'x', f, None, None, False)\n\ndef f(sg, logger, event, args):\n    logger.info('event %d', event['id'])\n    raise ValueError(event['id'])\n";
    let mut world = world()
        .plugin(Plugin::source("plain", text))
        .setting("log", "level", "\"trace\"")
        .env("SLATED_OTHER", "a setting of slated's own")
        .start()
        .await?;
    let key = world.site().key("slated").context("a key")?;
    let event = happen(world.site());
    world.caught_up(LIMIT).await?;
    let failed = |s: &Value| crate::plugin(s, "plain")["failed"] == 1;
    let status = shows(&world, "a failure", failed).await?;

    let state = world.folder().join("state");
    assert_eq!(mode(&state)?, 0o700);
    assert_eq!(mode(&state.join("control.sock"))?, 0o600);
    let pid = crate::plugin(&status, "plain")["pid"]
        .as_u64()
        .context("pid")?;
    for pid in [pid, u64::from(loads(&world, "quick")?[0])] {
        let environ = std::fs::read(format!("/proc/{pid}/environ"))?;
        let environ = String::from_utf8_lossy(&environ).replace('\0', "\n");
        assert!(environ.contains("PATH="), "{environ}");
        for withheld in ["SLATED_SITE_KEY", "SLATED_OTHER", &key] {
            assert!(!environ.contains(withheld), "{environ}");
        }
        let command = std::fs::read(format!("/proc/{pid}/cmdline"))?;
        assert!(!String::from_utf8_lossy(&command).contains(&key));
    }
    let mut heard = vec![("status".to_owned(), status.to_string().into_bytes())];
    for arguments in [&["show", "--json"][..], &["show"]] {
        let id = event.to_string();
        let arguments = [arguments, &[&id]].concat();
        let shown = world.ask("events", &arguments).await?;
        assert!(shown.contains("ValueError"), "{shown}");
        heard.push(("events show".into(), shown.into_bytes()));
    }
    for entry in std::fs::read_dir(&state)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_file() {
            assert_eq!(mode(&path)? & 0o077, 0, "{}", path.display());
            heard.push((path.display().to_string(), std::fs::read(&path)?));
        }
    }
    assert!(heard.iter().any(|(name, _)| name.ends_with("state.db")));
    assert!(world.terminate().await?.success());
    let log = said(&world);
    assert!(
        log.contains("DEBUG") && log.contains(&format!("event {event}")),
        "{log}"
    );
    heard.push(("the log".into(), log.into_bytes()));
    for (what, text) in heard {
        let found = text.windows(key.len()).any(|w| w == key.as_bytes());
        assert!(!found, "the key stands in {what}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_may_be_let_in() -> Result<()> {
    // A group everybody who runs this is in.
    let gid = std::fs::metadata(tempfile::tempdir()?.path())?.gid();
    let world = world()
        .setting("control", "group", &format!("\"{gid}\""))
        .start()
        .await?;
    let state = world.folder().join("state");
    let socket = state.join("control.sock");
    assert_eq!((mode(&socket)?, mode(&state)?), (0o660, 0o710));
    assert_eq!(std::fs::metadata(&socket)?.gid(), gid);
    assert_eq!(world.status().await?["running"], true);
    Ok(())
}
