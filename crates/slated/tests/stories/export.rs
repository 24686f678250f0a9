//! Going back: `slated migrate --export-state`, read by CPython as the Python daemon reads it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use slated_model::{
    Attempt, CallbackId, Change, Event, EventId, Failure, FailureKind, Hole, LaneRow, LedgerChange,
    Offset, Outcome, OutcomeRow, PluginId,
};
use slated_store::{Append, EventIdFile, OldPlugin, Options, Sqlite, Store as _};
use slated_testkit::plugins::{Act, Callback, Plugin};
use slated_testkit::{World, python};

use crate::{SLATED, WANTED, begins, happen, says, shows};

/// Loads a state as the Python daemon does, and prints it with what its own code would make of
/// it: whether each expiry is to come, by that daemon's clock.
const LOAD: &str = "
import datetime, json, pickle, sys
with open(sys.argv[1], 'rb') as file:
    state = pickle.load(file)
now = datetime.datetime.now()
def told(position):
    last, missing = position
    for expires in missing.values():
        left = expires - now
        assert datetime.timedelta() < left <= datetime.timedelta(minutes=5), left
    return [last, sorted(missing)]
print(json.dumps({f: {s: told(p) for s, p in plugins.items()} for f, plugins in state.items()}))
";

fn python_loads(path: &Path) -> Result<Value> {
    let output = Command::new(python::interpreter()?)
        .args(["-c", LOAD])
        .arg(path)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A studio's folder without a daemon.
struct Studio(tempfile::TempDir);

impl Studio {
    fn conf() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = folder.path().display();
        let conf = format!(
            "[daemon]\npidFile: {at}/pid\neventIdFile: {at}/events.id\nlogPath: {at}\nlogFile: log\n\
             [shotgun]\nserver: https://studio.example\nname: x\nkey: y\n\
             [plugins]\npaths: /srv/old, /srv/plug ins/\n"
        );
        std::fs::write(folder.path().join("studio.conf"), conf)?;
        Ok(Self(folder))
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn migrate(&self, config: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(SLATED);
        command
            .args(["migrate", "--config", config])
            .args(arguments);
        Ok(command.current_dir(self.0.path()).output()?)
    }
}

fn plugin(stem: &str) -> PluginId {
    PluginId::new("/srv/plug ins", stem)
}

fn failure() -> Failure {
    Failure {
        kind: FailureKind::Raised,
        error: "ValueError".into(),
        message: "no".into(),
        traceback: String::new(),
        locals: None,
        cause: None,
        us: None,
        log: Vec::new(),
    }
}

fn outcome(stem: &str, callback: &str, event: u64, outcome: Outcome) -> Change {
    Change::Outcome(OutcomeRow {
        plugin: plugin(stem),
        callback: CallbackId::new(callback, 1),
        event: EventId(event),
        attempt: 1,
        outcome,
        at_ms: 0,
    })
}

/// Makes a state with everything that matters here: rows 100, 102, 105 and 101 late.
async fn fill(folder: &Path) -> Result<()> {
    let store = Sqlite::open(folder, &Options::default())?;
    let event = |id: u64| Event::parse(&format!("{{\"id\":{id},\"event_type\":\"A\"}}"));
    let hole = |lo, hi, age_ms| Hole {
        lo: EventId(lo),
        hi: EventId(hi),
        age_ms,
        looks: 1,
    };
    store
        .append(Append {
            events: vec![
                (event(100)?, false),
                (event(102)?, false),
                (event(105)?, false),
                (event(101)?, true),
            ],
            ledger: LedgerChange {
                high: EventId(105),
                put: vec![hole(40, 49, 300_000), hole(103, 104, 2_000)],
                ..LedgerChange::default()
            },
        })
        .await?;
    let lane = |stem: &str, cursor| LaneRow::new(plugin(stem), Offset(cursor));
    let mut new = lane("new", 4);
    new.floor = Some(EventId(105));
    let mut stopped = lane("stopped", 0);
    stopped.stopped = true;
    let mut moved = LaneRow::new(PluginId::new("/srv/old", "done"), Offset(1));
    moved.moved_to = Some(plugin("done"));
    let dead = Outcome::DeadLetter {
        failure: Box::new(failure()),
    };
    let attempt = Attempt {
        plugin: plugin("done"),
        callback: CallbackId::new("slow", 1),
        event: EventId(100),
        offset: Offset(1),
        aside: true,
        failed: 1,
        deaths: 0,
        since_ms: 0,
        left_ms: 0,
        failure: failure(),
        at_ms: 0,
    };
    store
        .record(vec![
            Change::Lane(lane("done", 4)),
            Change::Lane(lane("behind", 3)),
            Change::Lane(new),
            Change::Lane(stopped),
            Change::Lane(moved),
            Change::Lane(LaneRow::new(PluginId::new("/srv/gone", "x"), Offset(2))),
            // One callback of 100 is done, the other is tried again.
            outcome("done", "quick", 100, Outcome::Done { us: 1 }),
            Change::Attempt(attempt),
            outcome("done", "quick", 102, dead),
            // Finished ahead of 101, which is not.
            outcome("stopped", "f", 105, Outcome::Done { us: 1 }),
        ])
        .await?;
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn what_stands_on_record_is_told_to_the_python_daemon() -> Result<()> {
    let studio = Studio::conf()?;
    fill(&studio.path("events.id.slated")).await?;
    std::fs::write(studio.path("events.id"), "77\n")?;
    let output = studio.migrate("studio.conf", &["--export-state", "events.id", "--json"])?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(0), "{said}");

    // By the folder as the .conf spells it.
    let wanted = json!({
        "/srv/plug ins/": {
            "behind": [105, [101, 103, 104]],
            "done": [105, [100, 103, 104]],
            "new": [105, [103, 104]],
            "stopped": [99, []],
        },
        "/srv/gone": {"x": [102, [101]]},
    });
    assert_eq!(python_loads(&studio.path("events.id"))?, wanted);
    let old = |id: PluginId, last, missing: &[u64]| OldPlugin {
        plugin: id,
        last: Some(EventId(last)),
        missing: missing.iter().copied().map(EventId).collect(),
    };
    let written = std::fs::read(studio.path("events.id"))?;
    assert_eq!(
        EventIdFile::parse(&written),
        Ok(EventIdFile::Plugins(vec![
            old(PluginId::new("/srv/gone", "x"), 102, &[101]),
            old(plugin("behind"), 105, &[101, 103, 104]),
            old(plugin("done"), 105, &[100, 103, 104]),
            old(plugin("new"), 105, &[103, 104]),
            old(plugin("stopped"), 99, &[]),
        ]))
    );
    assert_eq!(std::fs::read(studio.path("events.id.bak"))?, b"77\n");

    let told: Value = serde_json::from_slice(&output.stdout)?;
    let plugins = told["plugins"].as_array().context("no plugins")?;
    let by_name: BTreeMap<_, _> = plugins
        .iter()
        .map(|p| (p["plugin"].as_str().unwrap_or_default(), p))
        .collect();
    assert_eq!(by_name.len(), 5, "the moved one goes by its new name");
    let done = by_name["/srv/plug ins/done"];
    assert_eq!(done["folder"], "/srv/plug ins/");
    assert_eq!(done["again"], json!([100]), "{done}");
    let stopped = by_name["/srv/plug ins/stopped"];
    assert_eq!(
        (&stopped["again"], &stopped["stopped"]),
        (&json!([105]), &json!(true))
    );
    assert_eq!(told["old_holes"][0]["lo"], 40);
    let dead = json!([{"plugin": "/srv/plug ins/done", "callback": "quick", "event": 102}]);
    assert_eq!(told["dead_letters"], dead);
    assert_eq!(done["back_to"], 100, "{done}");
    for words in [
        "/srv/plug ins/behind: event 101 is still to run; the Python daemon goes back there and runs everything up to 105 again",
        "events.id; what stood there is ",
        "start the Python daemon now",
        "/srv/plug ins/done: callbacks that have finished get 1 events again: 100",
        "/srv/plug ins/stopped: was stopped by a person",
        "not told: 10 ids in 1 holes older than five minutes",
        "not told: 1 dead letters, the newest of events 102",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_slated_toml_names_folders_by_their_place() -> Result<()> {
    let studio = Studio::conf()?;
    let toml = "[site]\nurl = \"https://studio.example\"\nkey = \"y\"\n[plugins]\nfolders = [\"plug ins\"]\n";
    std::fs::write(studio.path("slated.toml"), toml)?;
    let store = Sqlite::open(&studio.path("slated-state"), &Options::default())?;
    let refused = studio.migrate("slated.toml", &["--export-state", "out.id"])?;
    let said = String::from_utf8(refused.stderr)?;
    let pid = format!("in use by another slated (pid {})", std::process::id());
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(
        said.contains(&pid) && said.contains("hint: stop it first"),
        "{said}"
    );

    // A state that has never read the site has nothing to tell.
    let id = PluginId::new("plug ins", "notes");
    let lane = LaneRow::new(id.clone(), Offset(0));
    store.record(vec![Change::Lane(lane.clone())]).await?;
    store.close().await;
    drop(store);
    let refused = studio.migrate("slated.toml", &["--export-state", "out.id"])?;
    let said = String::from_utf8(refused.stderr)?;
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(
        said.contains("no plugin that knows where it stands"),
        "{said}"
    );
    assert!(!studio.path("out.id").exists());

    let store = Sqlite::open(&studio.path("slated-state"), &Options::default())?;
    let ledger = LedgerChange {
        high: EventId(5_000_000_000),
        ..LedgerChange::default()
    };
    let append = Append {
        events: Vec::new(),
        ledger,
    };
    store.append(append).await?;
    store.close().await;
    drop(store);
    let output = studio.migrate("slated.toml", &["--export-state", "out.id"])?;
    let table = String::from_utf8(output.stdout)?;
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8(output.stderr)?
    );
    assert!(table.contains("plug ins/notes"), "{table}");
    let mut wanted = json!({});
    wanted[studio.path("plug ins").to_str().context("a path")?] =
        json!({"notes": [5_000_000_000_u64, []]});
    assert_eq!(python_loads(&studio.path("out.id"))?, wanted);
    Ok(())
}

#[test]
fn what_there_is_not_yet_is_said() -> Result<()> {
    let studio = Studio::conf()?;
    let output = studio.migrate("studio.conf", &["--export-state", "events.id"])?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("there is no state in"), "{said}");
    assert!(!studio.path("events.id").exists() && !studio.path("events.id.slated").exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_studio_goes_back() -> Result<()> {
    let fails = Callback::new("f")
        .wants(WANTED)
        .stops_on_error()
        .does(Act::Raise, 1, None);
    let mut world = World::builder(SLATED)
        .plugin(Plugin::journal("quick"))
        .plugin(Plugin::journal("held").callback(fails))
        .conf(|_| {})
        .start()
        .await?;
    let failed = happen(world.site());
    says(&mut world, "held", 1).await?;
    // A transaction takes an id and keeps it to itself.
    let hidden = world.site().next_event_id();
    world.site().skip_ids(1);
    let last = happen(world.site());
    begins(&mut world, "quick", last, 1).await?;
    let hole = |s: &Value| s["site"]["holes"]["open_ids"] == 1;
    shows(&world, "a hole", hole).await?;

    let refused = world.ask("migrate", &["--export-state", "daemon.id"]).await;
    let refused = refused.map_err(|error| error.to_string()).unwrap_err();
    assert!(
        refused.contains("exit status: 3") && refused.contains("in use"),
        "{refused}"
    );
    assert!(!world.folder().join("daemon.id").exists());

    let status = world.terminate().await?;
    assert!(status.success());
    world
        .ask("migrate", &["--export-state", "daemon.id"])
        .await?;
    let plugins = world.folder().join("plugins");
    let mut wanted = json!({});
    wanted[plugins.to_str().context("a path")?] = json!({
        "quick": [last, [hidden]],
        "held": [failed - 1, []],
    });
    assert_eq!(python_loads(&world.folder().join("daemon.id"))?, wanted);
    world.verdict().await?;
    Ok(())
}
