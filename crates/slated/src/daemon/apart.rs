//! A process of one plugin beside whatever runs: started as the daemon would start it, with the same
//! Python, variables, folder and limits, and spoken to by no lane.
//!
//! Invariant: nothing is written to the state, its folder included; the worker's code stands in a
//! folder that ends with this.

use std::path::Path;
use std::time::Duration;

use slated_config::{Config, Secrets};
use slated_host::wire::{self, EventFrame};
use slated_host::{CallbackSpec, Exit, Handle, Report, WorkerCode, WorkerId};
use slated_model::{Body, Event, PluginId};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::interpreters;
use super::sources::Source;
use super::workers::{Manner, Workers, broken};
use crate::error::CommandError;

/// Reports that may wait; beyond, the worker waits.
const REPORTS: usize = 256;

/// How long a process may take to end that was told goodbye.
const GRACE: Duration = Duration::from_secs(30);

/// What is said of a worker that is to be dry and knows no such thing.
pub(super) const UNKEPT: &str =
    "its worker cannot be kept from writing to the site: it does not list the feature `dry`";

/// What processes are started for.
pub(crate) struct Purpose {
    /// Stands in the keys that callbacks get: they are no other run's.
    pub(crate) run: String,
    /// Whether callbacks are told that it is a replay.
    pub(crate) replay: bool,
    /// Whether they have the terminal.
    pub(crate) debug: bool,
    /// Whether there is no site for them.
    pub(crate) offline: bool,
}

/// Starts processes of one plugin, one at a time.
pub(crate) struct Apart {
    plugin: PluginId,
    purpose: Purpose,
    workers: Workers,
    reports: mpsc::Receiver<(WorkerId, Report)>,
    /// Before which every key stands that a callback may take against doubles.
    space: String,
    seq: u64,
    handle: Option<Handle>,
    /// The content that was loaded first, in hexadecimal.
    content: Option<String>,
    _code: TempDir,
}

/// What a process says while its plugin is loaded, and what it does afterwards.
pub(crate) struct Ready {
    pub(crate) callbacks: Vec<CallbackSpec>,
    pub(crate) warnings: Vec<String>,
    /// Such as `cpython 3.11.7`, and the version of its client.
    pub(crate) runtime: String,
    pub(crate) shotgun_api3: Option<String>,
}

impl Apart {
    /// Finds the Python.
    pub(crate) async fn prepare(
        config: &Config,
        secrets: Secrets,
        plugin: &PluginId,
        python: Option<&Path>,
        purpose: Purpose,
    ) -> Result<Self, CommandError> {
        let known = [plugin.clone()];
        let pythons = interpreters::find(config, &known, python).await?;
        let folder = tempfile::tempdir().map_err(|error| {
            CommandError::configuration(format!("no temporary folder can be made: {error}"))
                .hint("make room in it, or name another one: TMPDIR")
        })?;
        let code = WorkerCode::install(folder.path()).map_err(CommandError::configuration)?;
        let (report, reports) = mpsc::channel(REPORTS);
        let space = format!("{} {plugin} {}", config.site.url.identity(), purpose.run);
        Ok(Self {
            plugin: plugin.clone(),
            purpose,
            workers: Workers::new(config.clone(), secrets, code, pythons, report),
            reports,
            space,
            seq: 0,
            handle: None,
            content: None,
            _code: folder,
        })
    }

    /// Starts a process and waits until its plugin is loaded. `heard` is told everything else that
    /// it says. One that is to be dry and cannot be is ended before it has loaded anything; one that
    /// loaded another file than the first did is ended, too: nobody has seen what that would do.
    pub(crate) async fn start(
        &mut self,
        dry: bool,
        mut heard: impl FnMut(Report),
    ) -> Result<Ready, CommandError> {
        let plugin = &self.plugin;
        let fail = |why: String| CommandError::plugin(format!("{plugin}: {why}"));
        let manner = Manner {
            dry,
            debug: self.purpose.debug,
            offline: self.purpose.offline,
        };
        let source = Source::of(&self.workers.config().plugins.folders, plugin);
        let started = self.workers.start_apart(plugin, &source, manner);
        let handle = self
            .handle
            .insert(started.map_err(|unstarted| fail(unstarted.error))?);
        let mut failed = None;
        let (mut runtime, mut shotgun_api3) = (String::new(), None);
        while let Some((_, report)) = self.reports.recv().await {
            match report {
                Report::Hello(hello) if dry && !hello.features.iter().any(|f| f == wire::DRY) => {
                    handle.kill();
                    failed = Some(
                        fail(UNKEPT.into())
                            .hint("only a live run is possible: with --live it may write"),
                    );
                }
                Report::Hello(hello) => {
                    (runtime, shotgun_api3) = (hello.runtime, hello.shotgun_api3);
                }
                Report::Ready {
                    callbacks,
                    warnings,
                    sha256,
                    ..
                } if failed.is_none() => {
                    if *self.content.get_or_insert_with(|| sha256.clone()) != sha256 {
                        handle.kill();
                        failed = Some(
                            fail("its file was edited meanwhile".into())
                                .hint("begin again to see what it does now"),
                        );
                        continue;
                    }
                    return Ok(Ready {
                        callbacks,
                        warnings,
                        runtime,
                        shotgun_api3,
                    });
                }
                Report::LoadFailed(load) => {
                    let broken = broken(&load);
                    let text = format!("does not load: {}\n{}", broken.place, broken.traceback);
                    failed = Some(fail(text.trim_end().to_owned()).hint("mend the file"));
                }
                Report::Unstarted(error) => {
                    self.handle = None;
                    return Err(fail(self.workers.unstarted(plugin, &source, &error).error));
                }
                Report::Exited(exit) => {
                    self.handle = None;
                    return Err(failed.unwrap_or_else(|| fail(died_loading(&exit))));
                }
                other => heard(other),
            }
        }
        Err(CommandError::internal("nobody reports of a process"))
    }

    /// Sends an event to callbacks, as its first attempt in this run; returns the frame's number.
    /// Nothing, where it cannot be written as a frame.
    pub(crate) fn send(&mut self, event: &Event, callbacks: Vec<u32>) -> Result<u64, String> {
        let Body::Json(body) = &event.body else {
            return Err("the event cannot be read".into());
        };
        self.seq += 1;
        let frame = EventFrame {
            seq: self.seq,
            // Nothing stands or falls together with another frame.
            turn: self.seq,
            callbacks,
            attempt: 1,
            key: format!("{}:{}", self.space, event.id),
            timeout_ms: None,
            replay: self.purpose.replay,
            event: body.clone(),
        };
        match self.handle.as_ref().map(|handle| handle.send(frame)) {
            // One that is gone says so by itself.
            None | Some(Ok(()) | Err(slated_host::SendError::Gone)) => Ok(self.seq),
            Some(Err(error)) => Err(error.to_string()),
        }
    }

    /// Returns the next thing that is heard of the process.
    pub(crate) async fn next(&mut self) -> Option<Report> {
        let (_, report) = self.reports.recv().await?;
        if let Report::Exited(_) = &report {
            self.handle = None;
        }
        Some(report)
    }

    /// Returns what was heard already, if anything was.
    pub(crate) fn heard(&mut self) -> Option<Report> {
        let (_, report) = self.reports.try_recv().ok()?;
        if let Report::Exited(_) = &report {
            self.handle = None;
        }
        Some(report)
    }

    /// Lets the process end, and waits for that. `heard` is told what it says meanwhile.
    pub(crate) async fn end(&mut self, mut heard: impl FnMut(Report)) {
        let Some(handle) = self.handle.take() else {
            return;
        };
        // One that is gone has no need of it.
        handle.goodbye("end", GRACE).ok();
        while let Some((_, report)) = self.reports.recv().await {
            if let Report::Exited(_) = report {
                return;
            }
            heard(report);
        }
    }
}

pub(super) fn died_loading(exit: &Exit) -> String {
    let failure = exit.failure();
    let text = format!(
        "its process ended while the plugin was loaded: {}\n{}",
        failure.summary(),
        failure.traceback
    );
    text.trim_end().to_owned()
}
