//! A world: a simulated site, plugins that journal, and the real daemon between them.
//!
//! The site lives in the test's own process, so a test scripts it directly. The daemon is
//! the binary, in a process of its own that can be killed; its state is read from its
//! store, which is open to readers at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use slated_model::EventId;
use slated_sim::{Server, Site};
use slated_store::{Sqlite, Store as _};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::build::{Builder, FOLDER};
use crate::daemon::{self, Daemon, Recipe};
use crate::disk::{Disk, DiskFault};
use crate::history::{FaultKind, History, Line, Record, Start, Verdict, judge, parse_journal};
use crate::plugins::{Plugin, Script};
use crate::service::Services;
use crate::{observe, python};

/// How often a fact that is waited for is looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// How long a daemon may take to follow the site, or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A site, a daemon and plugins. Dropping it kills the daemon and removes all files.
#[derive(Debug)]
pub struct World {
    /// Before the folder: what runs in it ends first.
    pub(crate) services: Services,
    pub(crate) folder: TempDir,
    pub(crate) site: Site,
    pub(crate) server: Server,
    pub(crate) script: Script,
    pub(crate) recipe: Recipe,
    pub(crate) daemon: Option<Daemon>,
    pub(crate) disk: Option<Disk>,
    pub(crate) kept: Kept,
    /// One that waits for the daemon's end.
    pub(crate) standby: Option<Daemon>,
    pub(crate) plugins: Vec<Plugin>,
    /// The folder of plugins, as the configuration calls it.
    pub(crate) configured: String,
    /// The folder of the daemon's state.
    pub(crate) state: PathBuf,
    /// The window and whether failures are retried, as configured.
    pub(crate) policy: (usize, bool),
    pub(crate) start: Start,
    /// Where plugins start that start elsewhere, and what they are owed from before.
    pub(crate) starts: BTreeMap<String, (Start, Vec<EventId>)>,
}

/// What was on record before retention let it go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    log: Vec<EventId>,
    records: Vec<Record>,
}

impl World {
    /// Begins to build a world around the binary at `slated`: in a test of the package
    /// `slated`, `env!("CARGO_BIN_EXE_slated")`.
    pub fn builder(slated: impl Into<PathBuf>) -> Builder {
        Builder::new(slated.into())
    }
    /// Returns the site, to write to it, script it and break it.
    pub const fn site(&self) -> &Site {
        &self.site
    }
    /// Returns the address of the site.
    pub fn url(&self) -> String {
        self.server.url()
    }
    /// Returns the folder of the daemon's state.
    pub fn state(&self) -> &Path {
        &self.state
    }
    /// Returns the folder that holds configuration, plugins and state.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the `eventIdFile` of a world with a `.conf`.
    pub fn id_file(&self) -> PathBuf {
        self.state.with_extension("")
    }
    /// Writes the `eventIdFile` as the Python daemon does: the pickle of a Python expression, in
    /// which `plugins` is the folder of plugins and `soon` an expiry.
    pub fn write_id_file(&self, expression: &str, protocol: u8) -> Result<()> {
        let script = "\
import datetime, pickle, sys
path, folder, text, protocol = sys.argv[1:]
soon = datetime.datetime.now() + datetime.timedelta(minutes=5)
state = eval(text, {'plugins': folder, 'soon': soon})
with open(path, 'wb') as out:
    pickle.dump(state, out, protocol=int(protocol))
";
        let status = std::process::Command::new(python::interpreter()?)
            .args(["-c", script])
            .arg(self.id_file())
            .args([&self.configured, expression, &protocol.to_string()])
            .status()
            .context("cannot start Python")?;
        ensure!(status.success(), "the pickle of {expression}: {status}");
        Ok(())
    }
    /// Tells the judge that a plugin starts after an event, and which ids before that it is still
    /// owed. To be told before the daemon starts: what becomes visible later is owed to all.
    pub fn starts_after(&mut self, plugin: &str, after: u64, owed: &[u64]) {
        let start = Start {
            after: EventId(after),
            seen_by_ms: observe::now_ms(&self.site),
        };
        let owed = owed.iter().copied().map(EventId).collect();
        self.starts.insert(plugin.to_owned(), (start, owed));
        let lowest = self.starts.values().map(|(start, _)| *start);
        self.start = lowest.min_by_key(|start| start.after).unwrap_or(start);
    }

    /// Kills the daemon with SIGKILL; it is gone when this returns. Its workers may run on
    /// for the moment that an orphan has.
    pub async fn kill9(&mut self) -> Result<()> {
        let daemon = self.daemon.take().context("no daemon runs")?;
        let killed = daemon.kill9().await;
        self.mark(&Line::DaemonKilled)?;
        self.explained(killed)
    }
    /// Waits until the daemon has ended badly by itself; returns its exit code.
    pub async fn failed(&mut self) -> Result<i32> {
        let daemon = self.daemon.take().context("no daemon runs")?;
        let ended = daemon.wait(PATIENCE).await;
        // What was in flight is not on record, as after a kill.
        self.mark(&Line::DaemonKilled)?;
        let status = self.explained(ended)?;
        let code = status.code().filter(|code| *code != 0);
        code.with_context(|| format!("it ended with {status}\n{}", self.log()))
    }
    /// Breaks the disk that the state stands on, or mends it.
    pub fn disk(&self, fault: Option<DiskFault>) -> Result<()> {
        let disk = self.disk.as_ref().context("its disk cannot break")?;
        disk.set(fault)
    }
    /// Remembers what is on record for the judge, before retention lets go of it.
    pub async fn keep(&mut self) -> Result<()> {
        let (history, _) = self.history().await?;
        self.kept = Kept {
            log: history.log.unwrap_or_default(),
            records: history.records.unwrap_or_default(),
        };
        Ok(())
    }
    /// Asks the daemon to end with SIGTERM; returns how it did.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        let daemon = self.daemon.take().context("no daemon runs")?;
        let ended = daemon.terminate(PATIENCE).await;
        self.mark(&Line::DaemonStopped)?;
        self.explained(ended)
    }
    /// Waits until the daemon has ended by itself, and well.
    pub async fn ended(&mut self) -> Result<()> {
        let daemon = self.daemon.take().context("no daemon runs")?;
        let ended = daemon.wait(PATIENCE).await;
        self.mark(&Line::DaemonStopped)?;
        let status = self.explained(ended)?;
        ensure!(status.success(), "{status}\n{}", self.log());
        Ok(())
    }
    /// Has the daemon, and every command, read another file of the world's folder from now on. The state
    /// must stay the same.
    pub fn configure(&mut self, name: &str) {
        self.recipe.config = self.folder().join(name);
    }
    /// Starts the daemon again after its end.
    pub fn restart(&mut self) -> Result<()> {
        self.restart_with(&[])
    }
    /// Starts the daemon again with more arguments to `slated run`.
    pub fn restart_with(&mut self, arguments: &[&str]) -> Result<()> {
        ensure!(self.daemon.is_none(), "a daemon runs already");
        self.daemon = Some(self.recipe.start(arguments)?);
        Ok(())
    }
    /// Kills the worker that loaded a plugin last; false if none has, or it is gone.
    pub fn kill_worker(&self, plugin: &str) -> Result<bool> {
        let journal = self.journal()?;
        let last = journal.iter().rev().find_map(|line| match line {
            Line::Load {
                plugin: id, pid, ..
            } if id.stem() == plugin => Some(*pid),
            _ => None,
        });
        let Some(pid) = last.filter(|pid| daemon::is_there(*pid)) else {
            return Ok(false);
        };
        self.mark(&Line::WorkerKilled { pid })?;
        daemon::kill9(pid)?;
        Ok(true)
    }

    /// Adds a plugin, or replaces the file of one of the same name, while the daemon runs.
    ///
    /// The judge holds a plugin to its newest form, over the whole run: let what it wants
    /// stay the same.
    pub fn install(&mut self, plugin: Plugin) -> Result<()> {
        self.write_plugin(&plugin)?;
        let id = plugin.id(&self.configured);
        self.plugins
            .retain(|other| other.id(&self.configured) != id);
        self.plugins.push(plugin);
        Ok(())
    }
    pub(crate) fn write_plugin(&self, plugin: &Plugin) -> Result<()> {
        let folder = self.folder().join(plugin.folder().unwrap_or(FOLDER));
        std::fs::create_dir_all(&folder)?;
        plugin.write(
            &folder,
            &self.configured,
            &self.script,
            &self.journal_path(),
        )
    }
    /// Writes to the site through the official client, in a process of its own: `count`
    /// changes with a pause after each. Wait for the child, or kill it.
    pub fn client(&self, count: usize, pause: Duration) -> Result<tokio::process::Child> {
        let mut command = tokio::process::Command::new(python::interpreter()?);
        command
            .args(["-c", include_str!("../plugins/writer.py")])
            .args([&self.server.url(), &self.script.name, &self.script.key])
            .args([count.to_string(), pause.as_millis().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command.spawn().context("cannot start the client")
    }

    /// Runs `slated COMMAND ARGUMENTS` with this world's configuration; returns its stdout.
    pub async fn ask(&self, command: &str, arguments: &[&str]) -> Result<String> {
        self.recipe.ask(command, arguments).await
    }
    /// Returns what `slated status --json` says.
    pub async fn status(&self) -> Result<serde_json::Value> {
        let text = self.ask("status", &["--json"]).await?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }
    /// Returns the end of what the daemon wrote to stderr, over all its lives.
    pub fn log(&self) -> String {
        self.recipe.tail()
    }
    /// Returns the journal so far.
    pub fn journal(&self) -> Result<Vec<Line>> {
        let path = self.journal_path();
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        // A reader may meet a line of which only the first page is there.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        parse_journal(text.get(..whole).unwrap_or_default())
    }

    /// Waits until everything the site shows, and is going to show, is on record in every
    /// plugin that wants it; fails with what is missing when `limit` is over.
    ///
    /// Transactions that are held open are not waited for.
    pub async fn caught_up(&mut self, limit: Duration) -> Result<Verdict> {
        let end = Instant::now() + limit;
        loop {
            let (history, pending) = self.history().await?;
            let verdict = judge(&history);
            let open = [FaultKind::NotCaptured, FaultKind::Lost, FaultKind::Record];
            if pending == 0 && open.iter().all(|kind| verdict.count(*kind) == 0) {
                return Ok(verdict);
            }
            if Instant::now() > end {
                let text =
                    format!("not caught up after {limit:?}, {pending} rows to come: {verdict}");
                return self.explained(Err(anyhow!(text)));
            }
            self.alive()?;
            // Judging a long history takes its time; the daemon needs the processor more.
            let rest = u32::try_from(history.shown.len() / 500).unwrap_or(50);
            sleep(GLANCE * (1 + rest.min(50))).await;
        }
    }
    /// Waits until a fact about the world holds; fails with `what` when `limit` is over.
    pub async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut fact: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<()> {
        let end = Instant::now() + limit;
        while !fact(self)? {
            if Instant::now() > end {
                let text = format!("not after {limit:?}: {what}");
                return self.explained(Err(anyhow!(text)));
            }
            self.alive()?;
            sleep(GLANCE).await;
        }
        Ok(())
    }
    /// Asks the daemon to end, if it runs, and judges what happened from the beginning.
    pub async fn verdict(&mut self) -> Result<Verdict> {
        if self.daemon.is_some() {
            let status = self.terminate().await?;
            ensure!(
                status.success(),
                "the daemon ended with {status}\n{}",
                self.log()
            );
        }
        let (history, _) = self.history().await?;
        Ok(judge(&history))
    }
    /// Returns what the judge is given, and how many rows are going to become visible.
    pub async fn history(&self) -> Result<(History, usize)> {
        let store = self.store()?;
        // Records first: a body that is on record has ended in a journal read after it.
        let mut records = observe::records(&store).await?;
        let mut log = observe::log(&store).await?;
        store.close().await;
        // Rows go from the log's beginning.
        let here: BTreeSet<_> = log.iter().copied().collect();
        let gone = self.kept.log.iter().filter(|id| !here.contains(id));
        log.splice(0..0, gone.copied());
        let gone = |record: &&Record| !here.contains(&record.event);
        records.extend(self.kept.records.iter().filter(gone).cloned());
        let journal = self.journal()?;
        let (shown, pending) = observe::shown(&self.site);
        let (window, retries) = self.policy;
        let lanes = self.plugins.iter().filter_map(|plugin| {
            let mut lane = plugin.lane(&self.configured, window, retries)?;
            if let Some((start, owed)) = self.starts.get(plugin.name()) {
                (lane.start, lane.owed) = (Some(*start), owed.clone());
            }
            Some(lane)
        });
        let history = History {
            shown,
            start: self.start,
            lanes: lanes.collect(),
            journal,
            log: Some(log),
            records: Some(records),
        };
        Ok((history, pending))
    }

    /// Waits until the daemon follows the site and every plugin has its lane: from here on
    /// everything that becomes visible is owed.
    pub(crate) async fn follow(&mut self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(after) = self.following().await? {
                self.start = Start {
                    after,
                    seen_by_ms: observe::now_ms(&self.site),
                };
                return Ok(());
            }
            if Instant::now() > end {
                bail!(
                    "the daemon did not follow within {PATIENCE:?}\n{}",
                    self.log()
                );
            }
            self.alive()?;
            sleep(GLANCE).await;
        }
    }
    /// Returns the highest id the daemon has seen, once every journalling plugin has a lane
    /// and a worker.
    async fn following(&self) -> Result<Option<EventId>> {
        let Ok(store) = self.store() else {
            return Ok(None);
        };
        let snapshot = store.snapshot().await;
        store.close().await;
        // A store that is being made is not there yet.
        let Ok(snapshot) = snapshot else {
            return Ok(None);
        };
        let Some(ledger) = snapshot.ledger else {
            return Ok(None);
        };
        let journal = self.journal()?;
        let ready = self.plugins.iter().all(|plugin| {
            let id = plugin.id(&self.configured);
            let loaded = |line: &Line| matches!(line, Line::Load { plugin, .. } if *plugin == id);
            plugin.lane(&self.configured, 1, false).is_none()
                || (snapshot.lanes.iter().any(|lane| lane.plugin == id)
                    && journal.iter().any(loaded))
        });
        Ok(ready.then_some(ledger.high))
    }

    fn store(&self) -> Result<Sqlite> {
        Sqlite::open_read_only(&self.state).context("cannot read the state")
    }
    fn journal_path(&self) -> PathBuf {
        self.folder().join("journal.jsonl")
    }
    /// Writes down what the test did, between what plugins write.
    pub(crate) fn mark(&self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.journal_path())
            .context("cannot open the journal")?;
        file.write_all(text.as_bytes())
            .context("cannot write to the journal")
    }
    /// Fails if the daemon ended by itself.
    fn alive(&mut self) -> Result<()> {
        let ended = self
            .daemon
            .as_mut()
            .map(Daemon::ended)
            .transpose()?
            .flatten();
        match ended {
            Some(status) => bail!("the daemon ended by itself: {status}\n{}", self.log()),
            None => Ok(()),
        }
    }
    /// Adds what the daemon wrote last to an error.
    fn explained<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| anyhow!("{error:#}\nthe daemon's log ends:\n{}", self.log()))
    }
}

#[cfg(test)]
mod tests {
    use slated_sim::{CommitPolicy, Fate};

    use super::*;
    use crate::plugins::Callback;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_official_client_writes_and_the_site_shows_it() {
        let plugin =
            Plugin::journal("notes").callback(Callback::new("f").wants("Shotgun_Note_New"));
        let world = World::builder("slated")
            .plugin(plugin)
            .prepare()
            .await
            .unwrap();
        let before = observe::shown(world.site()).0.len();
        let mut client = world.client(4, Duration::ZERO).unwrap();
        assert!(client.wait().await.unwrap().success());
        // What a late row adds is to come, and not shown yet.
        let late = Fate::late(Duration::from_hours(1));
        world
            .site()
            .set_policy(CommitPolicy::immediate().always(late));
        let project = world
            .site()
            .find_one("Project", &serde_json::json!([]), &[])
            .unwrap()
            .unwrap();
        let note = serde_json::json!({"project": project, "subject": "late"});
        world
            .site()
            .create("Note", note, &world.script.name)
            .unwrap();
        let (shown, pending) = observe::shown(world.site());
        assert!(
            shown.len() >= before + 5 && pending >= 1,
            "{} {pending}",
            shown.len()
        );
        let notes = shown
            .iter()
            .filter(|event| event.event_type.as_deref() == Some("Shotgun_Note_New"));
        assert!(notes.count() >= 2);
        assert!(world.folder().join("plugins/notes.py").is_file());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_world_without_a_binary_says_so() {
        let error = World::builder("/nowhere/slated").start().await.unwrap_err();
        assert!(
            format!("{error:#}").contains("/nowhere/slated"),
            "{error:#}"
        );
    }
}
