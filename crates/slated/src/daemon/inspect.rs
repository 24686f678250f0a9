//! A look at plugins without a daemon: each is loaded in a dry process of its own, or only parsed.
//!
//! Invariant: nothing is written to the state or the site, and no callback is called.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use slated_config::{Config, Reload, Secrets};
use slated_host::wire::{self, LoadPhase};
use slated_host::{CallbackSpec, Environment, Handle, Interpreter, Report, WorkerCode, WorkerId};
use slated_model::PluginId;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::apart::{UNKEPT, died_loading};
use super::interpreters::{self, Interpreters};
use super::plugin::Broken;
use super::sources::{Runs, Source, file_of, is_manifest};
use super::workers::{Manner, Workers, broken};
use crate::error::CommandError;

/// Reports that may wait; beyond, workers wait.
const REPORTS: usize = 256;

/// How long a process may take to end that has been seen.
const GRACE: Duration = Duration::from_secs(5);

/// The most processes at a time.
const MOST: usize = 8;

/// Looks at plugins.
pub(crate) struct Inspector {
    config: Config,
    workers: Workers,
    reports: mpsc::Receiver<(WorkerId, Report)>,
    /// Where it stands in a folder that is to end with this.
    _code: Option<TempDir>,
}

/// What was seen of a plugin.
pub(crate) struct Look {
    pub(crate) plugin: PluginId,
    pub(crate) file: PathBuf,
    /// The Python it runs with, where it is one and that could be found.
    pub(crate) python: Option<Interpreter>,
    pub(crate) found: Found,
}

/// What a file is.
pub(crate) enum Found {
    /// A plugin that loads.
    Loads {
        callbacks: Vec<CallbackSpec>,
        warnings: Vec<String>,
    },
    /// One that was parsed alone.
    Parses { warnings: Vec<String> },
    /// A module without `registerCallbacks`.
    Helper,
    /// One that a network or the site failed while it was loaded.
    Unanswered { place: String, traceback: String },
    /// One that cannot run.
    Broken { place: String, traceback: String },
}

impl Inspector {
    /// Finds the Pythons.
    pub(crate) async fn prepare(
        config: &Config,
        secrets: Secrets,
        known: &[PluginId],
        python: Option<&Path>,
    ) -> Result<Self, CommandError> {
        let pythons = interpreters::find(config, known, python).await?;
        let folder = tempfile::tempdir().map_err(|error| {
            CommandError::configuration(format!("no temporary folder can be made: {error}"))
                .hint("make room in it, or name another one: TMPDIR")
        })?;
        let code = WorkerCode::install(folder.path()).map_err(CommandError::configuration)?;
        Ok(Self {
            _code: Some(folder),
            ..Self::over(config, secrets, pythons, code)
        })
    }

    /// Makes one of what has been found.
    pub(super) fn over(
        config: &Config,
        secrets: Secrets,
        pythons: Interpreters,
        code: WorkerCode,
    ) -> Self {
        let (report, reports) = mpsc::channel(REPORTS);
        Self {
            config: config.clone(),
            workers: Workers::new(config.clone(), secrets, code, pythons, report),
            reports,
            _code: None,
        }
    }

    /// Tells whether a plugin must not be loaded beside the process that it has: it owns something.
    pub(crate) fn is_single(&self, plugin: &PluginId) -> bool {
        self.config.effective(plugin).reload == Reload::StopFirst
    }

    /// Returns the place of a plugin in the documented order.
    pub(crate) fn rank(&self, plugin: &PluginId) -> (usize, String) {
        self.workers.rank(plugin)
    }

    /// Loads plugins, several at a time; what was seen stands in their order.
    pub(crate) async fn load(&mut self, plugins: &[PluginId]) -> Vec<Look> {
        let room = std::thread::available_parallelism().map_or(2, usize::from);
        let room = room.clamp(2, MOST);
        let mut waiting: VecDeque<&PluginId> = plugins.iter().collect();
        let mut running: BTreeMap<WorkerId, Loading> = BTreeMap::new();
        let mut found: BTreeMap<PluginId, Found> = BTreeMap::new();
        let manner = Manner {
            dry: true,
            ..Manner::default()
        };
        loop {
            while running.len() < room
                && let Some(plugin) = waiting.pop_front()
            {
                let source = self.source(plugin);
                match self.workers.start_apart(plugin, &source, manner) {
                    Ok(handle) => {
                        let loading = Loading::new(plugin, source, handle);
                        running.insert(loading.handle.id(), loading);
                    }
                    Err(unstarted) => {
                        found.insert(plugin.clone(), Found::broken(unstarted.error));
                    }
                }
            }
            if running.is_empty() {
                break;
            }
            let Some((id, report)) = self.reports.recv().await else {
                break;
            };
            let Some(loading) = running.get_mut(&id) else {
                continue;
            };
            let ended = match report {
                Report::Unstarted(error) => {
                    let Loading { plugin, source, .. } = loading;
                    let why = self.workers.unstarted(plugin, source, &error).error;
                    Some(Found::broken(why))
                }
                report => loading.hear(report),
            };
            if let Some(ended) = ended
                && let Some(loading) = running.remove(&id)
            {
                found.insert(loading.plugin, ended);
            }
        }
        self.looks(plugins, found)
    }

    /// Parses plugins with their Pythons, and runs none. Of one that is a program of its own the
    /// manifest is all that can be read.
    pub(crate) async fn parse(&self, plugins: &[PluginId]) -> Vec<Look> {
        let mut found = BTreeMap::new();
        let mut groups: BTreeMap<(PathBuf, Environment), Group<'_>> = BTreeMap::new();
        for plugin in plugins {
            match self.source(plugin).runs {
                Runs::Python => {}
                Runs::Own { .. } => {
                    let warnings = Vec::new();
                    found.insert(plugin.clone(), Found::Parses { warnings });
                    continue;
                }
                Runs::Nothing(why) => {
                    found.insert(plugin.clone(), Found::broken(why));
                    continue;
                }
            }
            match self.workers.parser(plugin) {
                Ok((python, code, env)) => {
                    let key = (python.path.clone(), env);
                    let group = groups.entry(key);
                    let group = group.or_insert_with(|| (python, code, Vec::new()));
                    group.2.push(plugin);
                }
                Err(unstarted) => {
                    found.insert(plugin.clone(), Found::broken(unstarted.error));
                }
            }
        }
        for ((_, env), (python, code, plugins)) in groups {
            let files: Vec<_> = plugins.iter().map(|plugin| self.file(plugin)).collect();
            let parsed = slated_host::parse(python, code, &env, &files).await;
            match parsed {
                Ok(parsed) => {
                    for (plugin, parsed) in plugins.into_iter().zip(parsed) {
                        found.insert(plugin.clone(), Found::parsed(parsed));
                    }
                }
                Err(why) => {
                    let why = format!("{} cannot parse it: {why}", python.path.display());
                    for plugin in plugins {
                        found.insert(plugin.clone(), Found::broken(why.clone()));
                    }
                }
            }
        }
        self.looks(plugins, found)
    }

    fn file(&self, plugin: &PluginId) -> PathBuf {
        file_of(&self.config.plugins.folders, plugin)
    }

    fn source(&self, plugin: &PluginId) -> Source {
        Source::of(&self.config.plugins.folders, plugin)
    }

    fn looks(&self, plugins: &[PluginId], mut found: BTreeMap<PluginId, Found>) -> Vec<Look> {
        let look = |plugin: &PluginId| {
            let file = self.file(plugin);
            let python = self.workers.python_of(plugin).ok();
            Look {
                plugin: plugin.clone(),
                python: python.filter(|_| !is_manifest(&file)).cloned(),
                file,
                found: found
                    .remove(plugin)
                    .unwrap_or_else(|| Found::broken("nobody reports of its process".into())),
            }
        };
        plugins.iter().map(look).collect()
    }
}

/// Plugins of one Python and the same variables.
type Group<'a> = (&'a Interpreter, &'a WorkerCode, Vec<&'a PluginId>);

/// A plugin that is being loaded.
struct Loading {
    plugin: PluginId,
    source: Source,
    handle: Handle,
    found: Option<Found>,
}

impl Loading {
    fn new(plugin: &PluginId, source: Source, handle: Handle) -> Self {
        Self {
            plugin: plugin.clone(),
            source,
            handle,
            found: None,
        }
    }

    /// Takes in a report; returns what was found when its process is gone.
    fn hear(&mut self, report: Report) -> Option<Found> {
        match report {
            Report::Hello(hello) if !hello.features.iter().any(|f| f == wire::DRY) => {
                self.handle.kill();
                // Nothing is wrong with it: a daemon asks nobody to be dry.
                let why = format!("not loaded: {UNKEPT}");
                let warnings = vec![why];
                self.found = Some(Found::Parses { warnings });
            }
            Report::Ready {
                callbacks,
                warnings,
                ..
            } if self.found.is_none() => {
                self.found = Some(Found::Loads {
                    callbacks,
                    warnings,
                });
                // One that is gone has no need of it.
                self.handle.goodbye("check", GRACE).ok();
            }
            Report::LoadFailed(failed) => {
                self.found = Some(match failed.phase {
                    LoadPhase::NoRegister => Found::Helper,
                    // One whose file went away has no line that failed.
                    LoadPhase::Import | LoadPhase::Register
                        if failed.cause.is_some() && failed.line.is_some() =>
                    {
                        let Broken {
                            place, traceback, ..
                        } = broken(&failed);
                        Found::Unanswered { place, traceback }
                    }
                    _ => broken(&failed).into(),
                });
            }
            Report::Exited(exit) => {
                let died = || Found::broken(died_loading(&exit));
                return Some(self.found.take().unwrap_or_else(died));
            }
            _ => {}
        }
        None
    }
}

impl Found {
    const fn broken(place: String) -> Self {
        Self::Broken {
            place,
            traceback: String::new(),
        }
    }

    fn parsed(parsed: slated_host::Parsed) -> Self {
        match parsed.failed {
            Some(failed) => broken(&failed).into(),
            None if parsed.registers => Self::Parses {
                warnings: parsed.warnings,
            },
            None => Self::Helper,
        }
    }
}

impl From<Broken> for Found {
    fn from(
        Broken {
            place, traceback, ..
        }: Broken,
    ) -> Self {
        Self::Broken { place, traceback }
    }
}
