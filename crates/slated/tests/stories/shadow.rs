//! A shadow beside the Python daemon: a working day on the site's own clock, what that daemon's timing
//! log says of it, and a report that tells each fault and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use slated_sim::{Clock, CommitPolicy, Fate};
use slated_testkit::plugins::Plugin as PluginFile;
use slated_testkit::python_daemon::{self, Call, Entry, Function, Ms, Plugin, PythonDaemon};
use slated_testkit::{World, python};

use crate::{LIMIT, SLATED, Value, answers, json, json_of, replace};

const S: Ms = 1000;
const MIN: Ms = 60 * S;
const SHOT: &str = "Shotgun_Shot_Change";
const TASK: &str = "Shotgun_Task_Change";

/// Leaves a line in a file when it is loaded, and one when it is called.
const PLUGIN: &str = "\
import os

def registerCallbacks(reg):
    mark('loaded')
    reg.registerCallback(None, None, FUNCTION, FILTER)

def FUNCTION(sg, logger, event, args):
    mark('FUNCTION %d' % event['id'])

def mark(text):
    with open(os.environ['MARKS'], 'a') as out:
        out.write(text + '\\n')
";

fn plugin(stem: &str, function: &str, filter: &str) -> PluginFile {
    let text = PLUGIN
        .replace("FUNCTION", function)
        .replace("FILTER", filter);
    PluginFile::source(stem, &text)
}

/// A world whose site, diary and people go by one clock, which a test moves.
struct Day {
    world: World,
    clock: Clock,
    /// Where the shadow reads the time.
    wall: PathBuf,
    began: Ms,
    /// The site's highest id before it.
    head: u64,
    /// Stands in for the Python daemon.
    daemon: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Day {
    fn drop(&mut self) {
        self.daemon.kill().unwrap_or_default();
        self.daemon.wait().map(drop).unwrap_or_default();
    }
}

impl Day {
    async fn begin() -> Result<Self> {
        let clock = Clock::manual("2026-05-04T08:00:00Z".parse()?);
        let folder = tempfile::tempdir()?;
        let wall = folder.path().join("now");
        let world = World::builder(SLATED)
            .site(|options| options.clock = clock.clone())
            .conf(|conf| {
                conf.set("daemon", "timing_log", "on").set(
                    "slated plugin port",
                    "reload",
                    "stop-first",
                );
            })
            .plugin(plugin("notes", "on_shot", &format!("{{'{SHOT}': None}}")))
            .plugin(plugin("poison", "on_task", &format!("{{'{TASK}': None}}")))
            .plugin(plugin("slow", "on_all", "None"))
            .plugin(plugin("port", "on_port", "None"))
            .env("SLATED_SHADOW_CLOCK", &wall.to_string_lossy())
            .env("MARKS", &folder.path().join("marks").to_string_lossy())
            .env("TZ", "UTC")
            .prepare()
            .await?;
        let script = world.folder().join("shotgunEventDaemon.py");
        std::fs::write(&script, "import time\ntime.sleep(600)\n")?;
        let daemon = Command::new(python::interpreter()?)
            .arg(&script)
            .arg("start")
            .spawn()?;
        std::fs::write(
            world.folder().join("daemon.pid"),
            format!("{}\n", daemon.id()),
        )?;
        let head = world.site().history().iter().map(|row| row.id).max();
        let head = head.context("an empty site")?;
        std::fs::write(world.id_file(), format!("{head}\n"))?;
        let began = clock.now().stamp().wall_ms;
        std::fs::write(&wall, began.to_string())?;
        Ok(Self {
            world,
            clock,
            wall,
            began,
            head,
            daemon,
            _folder: folder,
        })
    }

    /// What the Python daemon owns, byte by byte.
    fn owned(&self) -> Result<Vec<Vec<u8>>> {
        let files = ["daemon.pid", "daemon.id"];
        files
            .iter()
            .map(|file| Ok(std::fs::read(self.world.folder().join(file))?))
            .collect()
    }

    fn marks(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.wall.with_file_name("marks"));
        text.unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn shadow_folder(&self) -> PathBuf {
        self.world.folder().join("daemon.id.slated-shadow")
    }

    /// Lets the clock go on to so many seconds after the beginning, and waits until the shadow has
    /// written down what is visible then.
    async fn to(&mut self, seconds: Ms) -> Result<()> {
        let now = self.clock.now().stamp().wall_ms;
        let then = self.began + seconds * S;
        std::fs::write(&self.wall, then.to_string())?;
        self.clock
            .advance(Duration::from_millis((then - now).unsigned_abs()));
        self.all_is_seen().await
    }

    async fn all_is_seen(&mut self) -> Result<()> {
        let visible = self
            .entries()
            .iter()
            .filter(|e| e.visible <= self.clock.now().stamp().wall_ms)
            .count();
        let diary = self.shadow_folder().join("diary");
        let what = format!("{visible} events in the diary");
        self.world
            .until(&what, LIMIT, |_| Ok(seen(&diary) == visible))
            .await
    }

    /// Somebody changes a shot or a task; the row's fate is as the site has it.
    fn change(&self, kind: &str, fate: Option<Fate>) -> Result<()> {
        let site = self.world.site();
        let policy = CommitPolicy::immediate();
        site.set_policy(match fate {
            Some(fate) => policy.always(fate),
            None => policy,
        });
        let found = site
            .find_one(kind, &json!([]), &[])?
            .context("an empty production")?;
        let id = found["id"].as_u64().context("no id")?;
        // Another one each time, so that there is a change.
        let field = if kind == "Shot" {
            "description"
        } else {
            "content"
        };
        let text = format!("change {}", site.history().len());
        site.update(kind, id, json!({ field: text }), "slated")?;
        Ok(())
    }

    /// The rows of the day that are or will be visible.
    fn entries(&self) -> Vec<Entry> {
        let rows = self
            .world
            .site()
            .history()
            .into_iter()
            .filter(|row| row.id > self.head);
        let entry = |row: slated_sim::HistoryRow| {
            Some(Entry {
                id: row.id,
                kind: row.row["event_type"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                created: row.reserved_at.wall_ms,
                visible: row.visible_at?.wall_ms,
            })
        };
        rows.filter_map(entry).collect()
    }
}

/// Counts the events in a diary.
fn seen(diary: &Path) -> usize {
    let files = std::fs::read_dir(diary).into_iter().flatten().flatten();
    let texts = files.map(|file| std::fs::read_to_string(file.path()).unwrap_or_default());
    texts
        .map(|text| text.matches("\"what\":\"seen\"").count())
        .sum()
}

fn function(name: &str, wants: &[&str], takes: Ms) -> Function {
    Function {
        name: name.into(),
        wants: wants.iter().map(|&kind| kind.to_owned()).collect(),
        takes,
        stops: true,
        ..Function::default()
    }
}

/// The findings of a kind, by callback and event, with a figure of each.
fn findings(report: &Value, fault: &str, figure: &str) -> BTreeMap<(String, u64), i64> {
    let findings = report["findings"].as_array().into_iter().flatten();
    let findings = findings.filter(|f| f["fault"] == fault);
    let of = |f: &Value| {
        let callback = f["callback"].as_str().unwrap_or_default().to_owned();
        let event = f["event"].as_u64().unwrap_or_default();
        ((callback, event), f[figure].as_i64().unwrap_or(1))
    };
    findings.map(of).collect()
}

/// Puts a timing log where the Python daemon has it, in two files, with a line that is torn.
fn write_log(world: &World, calls: &[Call]) -> Result<()> {
    let lines: Vec<_> = calls.iter().map(Call::line).collect();
    let (old, new) = lines.split_at(lines.len() / 2);
    let folder = world.folder().join("logs");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(
        folder.join("shotgunEventDaemon.timing.2026-05-03"),
        old.join("\n") + "\n",
    )?;
    let new = format!("{}\n2026-05-04 18:00:00,0", new.join("\n"));
    std::fs::write(folder.join("shotgunEventDaemon.timing"), new)?;
    Ok(())
}

async fn refused(world: &World, arguments: &[&str]) -> Result<String> {
    match world
        .ask("shadow", &[&["report"], arguments].concat())
        .await
    {
        Ok(said) => anyhow::bail!("it was not refused: {said}"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_beside_the_python_daemon_is_told_as_it_was() -> Result<()> {
    let mut day = Day::begin().await?;
    let owned = day.owned()?;
    let said = refused(&day.world, &["--timing-log", "/dev/null"]).await?;
    ensure!(said.contains("no shadow has run"), "{said}");
    let said = refused(&day.world, &[]).await?;
    ensure!(said.contains("there is no timing log at"), "{said}");
    // The Python daemon runs: a start of slated is refused, a shadow's is not.
    let error = day.world.ask("run", &[]).await.unwrap_err();
    ensure!(format!("{error:#}").contains("stop"), "{error:#}");
    day.world.restart_with(&["--shadow"])?;
    let status = async || {
        json_of(&day.world, "status", &["--shadow"])
            .await
            .or(Ok(json!(null)))
    };
    let watched = |status: &Value| {
        let plugins = status["plugins"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let watched = plugins.iter().filter(|p| p["state"] == "watched");
        watched.count() == 3 && status["site"]["state"] == "ok"
    };
    let status = answers(&day.world, status, watched).await?;
    assert_eq!(status["shadow"], true, "{status}");
    let port = crate::plugin(&status, "port")["why"].as_str();
    ensure!(
        port.is_some_and(|why| why.contains("stop-first")),
        "{status}"
    );

    // A shot each six minutes, and a task now and then.
    let mut slow = Vec::new();
    let mut poison = 0;
    for n in 0..60 {
        let at = 60 + n * 360;
        day.to(at).await?;
        day.change("Shot", None)?;
        match n {
            // Three rows of a transaction of nearly six minutes.
            10 => {
                (0..3).try_for_each(|_| {
                    day.change("Shot", Some(Fate::late(Duration::from_secs(350))))
                })?;
                day.change("Task", None)?;
                day.all_is_seen().await?;
                day.to(at + 350).await?;
                day.change("Task", None)?;
            }
            // One that is late by 45 seconds, below five others.
            20 => {
                day.change("Shot", Some(Fate::late(Duration::from_secs(45))))?;
                (0..5).try_for_each(|_| day.change("Task", None))?;
                day.all_is_seen().await?;
                day.to(at + 45).await?;
            }
            // The shadow is killed, and comes back to what it has missed.
            25 => {
                day.world.kill9().await?;
                day.change("Task", None)?;
                day.world.restart_with(&["--shadow"])?;
            }
            // Three that take `slow` a minute and a half each.
            30 => {
                (0..3).try_for_each(|_| day.change("Task", None))?;
                slow = day
                    .entries()
                    .iter()
                    .rev()
                    .take(3)
                    .map(|entry| entry.id)
                    .collect();
            }
            // Ids that nobody will ever see do no harm.
            40 => (0..4).try_for_each(|_| day.change("Task", Some(Fate::Never)))?,
            // `poison` fails here, and is never touched.
            50 => {
                day.change("Task", None)?;
                poison = day
                    .entries()
                    .iter()
                    .map(|entry| entry.id)
                    .max()
                    .context("no rows")?;
            }
            n if n % 7 == 0 => day.change("Task", None)?,
            _ => {}
        }
        day.all_is_seen().await?;
    }
    let last = 60 + 60 * 360;
    day.to(last).await?;
    day.change("Shot", None)?;
    day.all_is_seen().await?;
    // An edit is looked at, too.
    day.to(last + 600).await?;
    let edited = PLUGIN
        .replace("FUNCTION", "on_note")
        .replace("FILTER", "None");
    replace(&day.world.folder().join("plugins/notes.py"), &edited)?;
    let diary = day.shadow_folder().join("diary/2026-05-04.jsonl");
    let has_it = |_: &World| Ok(std::fs::read_to_string(&diary)?.contains("\"on_note\""));
    day.world
        .until("the edit in the diary", LIMIT, has_it)
        .await?;
    assert!(day.world.terminate().await?.success());
    assert_eq!(
        day.owned()?,
        owned,
        "it touched what is the Python daemon's"
    );
    let marks = day.marks();
    // Twice all three, and one that was edited.
    assert_eq!(marks, ["loaded"; 7], "something was called");
    let logs = std::fs::read_dir(day.world.folder().join("logs"));
    assert!(logs.is_err(), "it logged beside the Python daemon");
    assert!(day.shadow_folder().join("slated.log").is_file());

    // What the Python daemon makes of that day.
    let entries = day.entries();
    let mut plugins = vec![
        Plugin {
            stem: "notes".into(),
            functions: vec![function("on_shot", &[SHOT], 20)],
            touched: Vec::new(),
        },
        Plugin {
            stem: "poison".into(),
            functions: vec![function("on_task", &[TASK], 20)],
            touched: Vec::new(),
        },
        Plugin {
            stem: "slow".into(),
            functions: vec![function("on_all", &[], 20)],
            touched: Vec::new(),
        },
    ];
    plugins[1].functions[0].raises.insert(poison, 1);
    plugins[2].functions[0]
        .slow
        .extend(slow.iter().map(|id| (*id, 90 * S)));
    let functions: Vec<_> = plugins
        .iter()
        .map(|p| {
            (
                format!("{}.{}", p.stem, p.functions[0].name),
                p.functions[0].clone(),
            )
        })
        .collect();
    let daemon = PythonDaemon::new(plugins);
    let calls = daemon.run(&entries, day.began, day.began + last * S + 10 * MIN);
    write_log(&day.world, &calls)?;

    let report = json_of(&day.world, "shadow", &["report"]).await?;
    // The first row is older than the log by as much as a look may take.
    let judged: Vec<_> = entries
        .iter()
        .filter(|e| e.visible > calls[0].start)
        .cloned()
        .collect();
    assert_eq!(report["events"], judged.len(), "{report}");
    let (mut missed, mut again, mut late, mut off) = (
        BTreeMap::new(),
        BTreeMap::new(),
        BTreeSet::new(),
        BTreeSet::new(),
    );
    for (name, function) in &functions {
        let wanted: Vec<_> = judged
            .iter()
            .filter(|e| function.is_wanted(e))
            .cloned()
            .collect();
        for id in python_daemon::lost(&wanted, &calls, name) {
            if name == "poison.on_task" && id > poison {
                off.insert((name.clone(), id));
            } else {
                missed.insert((name.clone(), id), 1);
            }
        }
        let known: BTreeSet<_> = wanted.iter().map(|e| e.id).collect();
        let repeats = python_daemon::repeats(&calls, name)
            .into_iter()
            .filter(|(id, _)| known.contains(id));
        again.extend(repeats.map(|(id, times)| ((name.clone(), id), i64::from(times))));
        for entry in &wanted {
            let first = calls
                .iter()
                .find(|c| c.event == entry.id && c.callback == *name);
            if first.is_some_and(|call| call.start - entry.visible > MIN) {
                late.insert((name.clone(), entry.id));
            }
        }
    }
    // Each kind was seeded.
    assert_eq!(missed.len(), 6, "three rows for two callbacks: {missed:?}");
    assert!(
        again.len() >= 10 && late.len() >= 3 && !off.is_empty(),
        "{again:?} {late:?} {off:?}"
    );
    assert_eq!(findings(&report, "missed", "times"), missed);
    assert_eq!(findings(&report, "repeated", "times"), again);
    assert_eq!(
        findings(&report, "late", "by_ms")
            .into_keys()
            .collect::<BTreeSet<_>>(),
        late
    );
    assert_eq!(
        findings(&report, "off", "")
            .into_keys()
            .collect::<BTreeSet<_>>(),
        off
    );
    let failed = BTreeMap::from([(("poison.on_task".to_owned(), poison), 1)]);
    assert_eq!(findings(&report, "failed", "times"), failed);
    assert_eq!(
        (&report["unknown"], &report["unasked"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(report["off"][0]["failed_event"], poison, "{report}");
    assert_eq!(report["unread"][0]["lines"], 1, "{report}");

    // The same for people.
    let told = day.world.ask("shadow", &["report", "--events"]).await?;
    for words in [
        "6 never made",
        &format!(
            "poison is off since 2026-05-04 13:0{}",
            told_minute(&calls, poison)
        ),
        &format!("event {poison} failed in poison.on_task"),
        "its id came late",
        "1 line cannot be read",
        "once too often",
    ] {
        ensure!(told.contains(words), "{words:?} not in\n{told}");
    }
    // A time that is asked for narrows it.
    let evening = ["report", "--from", "2026-05-04T13:30"];
    let evening = json_of(&day.world, "shadow", &evening).await?;
    assert_eq!(evening["all"]["missed"], 0, "{evening}");
    assert!(evening["all"]["off"].as_u64() > Some(0), "{evening}");

    // What cannot be compared is said.
    let said = refused(&day.world, &["--from", "2030-01-01"]).await?;
    ensure!(
        said.contains("nothing can be compared") && said.contains("asked for"),
        "{said}"
    );
    let log = day.shadow_folder().join("slated.log");
    let said = refused(&day.world, &["--timing-log", &log.to_string_lossy()]).await?;
    ensure!(said.contains("is not a timing log"), "{said}");

    // Going live begins where the Python daemon stood, whatever the shadow saw.
    day.daemon.kill()?;
    day.daemon.wait()?;
    day.world.restart()?;
    let first = entries.iter().map(|e| e.id).min().context("no rows")?;
    let wanted = format!("on_all {first}");
    let what = "its own first event is called";
    let marks = day.wall.with_file_name("marks");
    day.world
        .until(what, LIMIT, |_| {
            let text = std::fs::read_to_string(&marks).unwrap_or_default();
            Ok(text.lines().any(|line| line == wanted))
        })
        .await?;
    assert!(day.world.terminate().await?.success());
    Ok(())
}

/// The last digit of the minute in which `poison` failed.
fn told_minute(calls: &[Call], event: u64) -> i64 {
    let failed = calls.iter().find(|call| call.event == event && call.failed);
    failed.map_or(0, |call| call.end / MIN % 10)
}
