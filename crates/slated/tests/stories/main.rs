//! The real daemon in small worlds: how it starts, stops, resumes, refuses, and speaks.
//!
//! One binary, so that everything is linked once. Each story waits for facts (a line of the journal,
//! of the log, an answer of `slated status`) and ends before the judge of the testkit.

mod afternoon;
mod alerts;
mod check_plugins;
mod check_site;
mod conf;
#[cfg(target_os = "linux")]
mod disk;
mod export;
mod failures;
mod host;
mod identity;
mod import;
mod init;
mod live;
mod logs;
mod mail;
mod migrate;
mod mischief;
mod order;
mod own;
mod plugins;
mod refusals;
mod reload;
mod replay;
mod restores;
mod resume;
mod retention;
mod rows;
mod secrets;
mod service;
mod shadow;
mod shadow_rows;
mod site;
mod standby;
mod starts;
mod state;
mod status;
mod stop;
mod tryout;
mod verbs;
mod wishes;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use slated_sim::{EventRow, Site};
use slated_testkit::history::Line;
use slated_testkit::plugins::Plugin;
use slated_testkit::{Builder, World};

/// The daemon.
pub(crate) const SLATED: &str = env!("CARGO_BIN_EXE_slated");
/// How long a fact is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// The type of the events that plugins here want; no write to the site makes one.
pub(crate) const WANTED: &str = "Studio_Turnover";

/// Begins a world with a plugin that journals everything at once.
pub(crate) fn world() -> Builder {
    World::builder(SLATED).plugin(Plugin::journal("quick"))
}

/// Makes an event of [`WANTED`] on the site; returns its id.
pub(crate) fn happen(site: &Site) -> u64 {
    site.log_event(EventRow {
        event_type: json!(WANTED),
        created_at: json!("2026-05-04T10:00:00Z"),
        description: json!("a shot was turned over"),
        ..EventRow::default()
    })
}

/// Everything the daemon wrote, over all its lives.
pub(crate) fn said(world: &World) -> String {
    std::fs::read_to_string(world.folder().join("daemon.log")).unwrap_or_default()
}

/// How many lines of the daemon's log hold `words`.
pub(crate) fn lines(world: &World, words: &str) -> usize {
    said(world).lines().filter(|l| l.contains(words)).count()
}

/// Waits until the log says `words` so many times in all.
pub(crate) async fn says(world: &mut World, words: &str, times: usize) -> Result<()> {
    let what = format!("{times} lines with {words:?} in the log");
    world
        .until(&what, LIMIT, |world| Ok(lines(world, words) >= times))
        .await
}

/// How often a plugin has begun an event, over all its callbacks.
pub(crate) fn begun(world: &World, plugin: &str, event: u64) -> Result<usize> {
    let is = |line: &&Line| matches!(line, Line::Start { plugin: p, event: e, .. } if p.stem() == plugin && e.0 == event);
    Ok(world.journal()?.iter().filter(is).count())
}

/// Waits until a plugin has begun an event so many times.
pub(crate) async fn begins(
    world: &mut World,
    plugin: &str,
    event: u64,
    times: usize,
) -> Result<()> {
    let what = format!("{plugin} begins event {event}, time {times}");
    world
        .until(&what, LIMIT, |w| Ok(begun(w, plugin, event)? >= times))
        .await
}

/// The processes that loaded a plugin, in order.
pub(crate) fn loads(world: &World, plugin: &str) -> Result<Vec<u32>> {
    let journal = world.journal()?;
    let pid = |line: &Line| match line {
        Line::Load { plugin: p, pid, .. } if p.stem() == plugin => Some(*pid),
        _ => None,
    };
    Ok(journal.iter().filter_map(pid).collect())
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: Option<u32>, signal: Signal) -> Result<()> {
    let pid = pid.and_then(|pid| Pid::from_raw(pid.cast_signed()));
    Ok(kill_process(pid.context("no process")?, signal)?)
}

/// Tells whether a process runs; one that nobody has reaped yet does not.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Waits until `slated status` shows what is wanted, and returns it.
pub(crate) async fn shows(
    world: &World,
    what: &str,
    fact: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let end = tokio::time::Instant::now() + LIMIT;
    loop {
        let status = world.status().await;
        match status {
            Ok(status) if fact(&status) => return Ok(status),
            _ if tokio::time::Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            status => bail!("{what}: not within {LIMIT:?}: {status:?}\n{}", world.log()),
        }
    }
}

/// Asks until the answer is the one wanted, and returns it.
pub(crate) async fn answers(
    world: &World,
    ask: impl AsyncFn() -> Result<Value>,
    fact: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let end = tokio::time::Instant::now() + LIMIT;
    loop {
        let answer = ask().await?;
        if fact(&answer) {
            return Ok(answer);
        }
        ensure!(
            tokio::time::Instant::now() < end,
            "{answer}\n{}",
            world.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs `slated COMMAND ARGUMENTS --json`, which succeeds, and returns its JSON.
pub(crate) async fn json_of(world: &World, command: &str, arguments: &[&str]) -> Result<Value> {
    let text = world
        .ask(command, &[arguments, &["--json"]].concat())
        .await?;
    serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
}

/// One plugin of a status. Under a `.conf` folders are called by their whole path.
pub(crate) fn plugin<'a>(status: &'a Value, name: &str) -> &'a Value {
    let id = format!("plugins/{name}");
    let plugins = status["plugins"].as_array().map(Vec::as_slice);
    let mut plugins = plugins.unwrap_or_default().iter();
    plugins
        .find(|plugin| plugin["plugin"].as_str().is_some_and(|p| p.ends_with(&id)))
        .unwrap_or(&Value::Null)
}

/// Tells whether a plugin is in a state, and its process, if it is to have one, is ready.
pub(crate) fn is(status: &Value, name: &str, state: &str) -> bool {
    let plugin = plugin(status, name);
    let ready = plugin["callbacks"]
        .as_array()
        .is_some_and(|c| !c.is_empty());
    plugin["state"] == state && (ready || state == "broken")
}

/// Edits the file of a plugin as an editor does that replaces it.
pub(crate) fn edit(world: &World, name: &str) -> Result<()> {
    let path = world.folder().join(format!("plugins/{name}.py"));
    let text = std::fs::read_to_string(&path)?;
    replace(&path, &format!("{text}# edited\n"))
}

/// Replaces a file as a whole.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let name = path.file_name().context("no file")?.to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.edit"));
    std::fs::write(&draft, text)?;
    Ok(std::fs::rename(&draft, path)?)
}

/// What became of an event in a plugin.
pub(crate) async fn fate(world: &World, event: u64, plugin: &str) -> Result<Value> {
    let shown = json_of(world, "events", &["show", &event.to_string()]).await?;
    let plugin = format!("plugins/{plugin}");
    let fates = shown["plugins"].as_array().context("plugins")?;
    let fate = fates.iter().find(|f| f["plugin"] == *plugin);
    fate.cloned().context("no such plugin")
}
