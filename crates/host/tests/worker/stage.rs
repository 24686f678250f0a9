//! A worker under test: started with a plugin, told what to do, listened to.

use std::collections::VecDeque;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use serde_json::value::RawValue;
use slated_host::wire::{Config, EventFrame, Site};
use slated_host::{
    CallLimits, Environment, Exit, Handle, Interpreter, Own, Program, Python, Report, Spawn,
    Worker, WorkerCode, WorkerId,
};
use slated_model::PluginId;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a test waits for a fact that must come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) const QUIET: u32 = 0;
pub(crate) const ACT: u32 = 1;
pub(crate) const KEEP_GOING: u32 = 2;
pub(crate) const WRONG_ARITY: u32 = 3;

/// Returns a folder of this crate's tests.
pub(crate) fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Returns the Python that tests run workers with.
pub(crate) async fn python() -> Interpreter {
    let program = std::env::var_os("SLATED_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    Interpreter::probe(Path::new(&program), &Environment::default(), &[])
        .await
        .expect("tests need a Python: set SLATED_TEST_PYTHON")
}

/// Returns a Python with the real client.
pub(crate) async fn python_with_client() -> Interpreter {
    let found = python().await;
    assert!(
        found.shotgun_api3.is_some(),
        "{} has no shotgun_api3: `cargo xtask test` provides one that has, or set SLATED_TEST_PYTHON",
        found.path.display()
    );
    found
}

/// A plugin to start, and how.
pub(crate) struct Stage {
    pub(crate) spawn: Spawn,
    folder: tempfile::TempDir,
}

impl Stage {
    /// Prepares `tests/plugins/misbehaving.py` with the stand-in for the client.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let code = WorkerCode::install(&folder.path().join("cache")).unwrap();
        let plugins = tests().join("plugins");
        let spawn = Spawn {
            worker: WorkerId(1),
            plugin: PluginId::new(plugins.to_str().unwrap(), "misbehaving"),
            file: plugins.join("misbehaving.py"),
            sha256: String::new(),
            launch: crate::launch(),
            program: Program::Python(Python {
                code,
                interpreter: python().await,
            }),
            env: Environment {
                // A variable of the tests, not of the plugin.
                remove: vec!["SLATED_TEST_PYTHON".into()],
                ..Environment::default()
            },
            cwd: None,
            daemon_version: "0.0.0".into(),
            site: Site {
                url: "https://studio.example".into(),
                proxy: None,
                ca_file: None,
                offline: false,
                lend: None,
            },
            config: Config {
                import_paths: vec![tests().join("fake_client")],
                ..Config::default()
            },
            window: 16,
            max_frame: slated_host::wire::MAX_FRAME,
            memory: None,
            limits: CallLimits {
                hard: None,
                warn_after: None,
                ..CallLimits::default()
            },
        };
        Self { spawn, folder }
    }
    /// Replaces the plugin by this text.
    pub(crate) fn plugin(mut self, name: &str, text: &str) -> Self {
        let file = self.folder.path().join(format!("{name}.py"));
        std::fs::write(&file, text).unwrap();
        self.spawn.plugin = PluginId::new(self.folder.path().to_str().unwrap(), name);
        self.spawn.file = file;
        self
    }
    /// Returns the Python that runs it.
    pub(crate) fn python(&mut self) -> &mut Python {
        match &mut self.spawn.program {
            Program::Python(python) => python,
            Program::Own(own) => panic!("no Python: {own:?}"),
        }
    }
    /// Puts a shell script in the place of Python.
    pub(crate) fn script(mut self, script: &str, args: &[&str]) -> Self {
        let path = self.path("impostor");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let args = args.iter().map(ToString::to_string).collect();
        self.spawn.program = Program::Own(Own { path, args });
        self
    }
    /// Sets a variable.
    pub(crate) fn var(mut self, name: &str, value: &str) -> Self {
        self.spawn.env.set.insert(name.into(), value.into());
        self
    }
    /// Sets limits.
    pub(crate) fn limits(mut self, change: impl FnOnce(&mut CallLimits)) -> Self {
        change(&mut self.spawn.limits);
        self
    }
    /// Returns a path in a folder of this test's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    /// Starts the worker.
    pub(crate) fn start(&self) -> Player {
        let (sender, reports) = mpsc::channel(64);
        let handle = Worker::start(&self.spawn, sender).unwrap();
        Player {
            handle: Some(handle),
            reports,
            process: None,
            note: None,
            aside: VecDeque::new(),
            seq: 0,
        }
    }
    /// Starts the worker and waits until its plugin is loaded.
    pub(crate) async fn ready(&self) -> Player {
        let mut player = self.start();
        player
            .until(|report| matches!(report, Report::Ready { .. }))
            .await;
        // Else the tests of forked workers could be of others.
        assert_eq!(player.note, None);
        player
    }
}

/// A started worker.
pub(crate) struct Player {
    pub(crate) handle: Option<Handle>,
    pub(crate) reports: mpsc::Receiver<(WorkerId, Report)>,
    /// The process and when it started, once it has.
    pub(crate) process: Option<(u32, u64)>,
    /// What was said of its start.
    pub(crate) note: Option<String>,
    /// Reports that were passed over while another was awaited.
    pub(crate) aside: VecDeque<Report>,
    pub(crate) seq: u64,
}

impl Player {
    pub(crate) fn handle(&self) -> &Handle {
        self.handle.as_ref().unwrap()
    }
    /// Returns the process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.expect("no process has started").0
    }
    /// Returns the next report after that of the start.
    pub(crate) async fn next(&mut self) -> Report {
        loop {
            let next = timeout(SOON, self.reports.recv()).await;
            let next = next.expect("no report came in time");
            match next.expect("no report after the last").1 {
                Report::Started { pid, started, note } => {
                    assert!(self.process.is_none(), "it was started twice");
                    self.process = Some((pid, started.unwrap()));
                    self.note = note;
                }
                other => return other,
            }
        }
    }
    /// Returns the first report that fits, and keeps the others aside.
    pub(crate) async fn until(&mut self, fits: impl Fn(&Report) -> bool) -> Report {
        loop {
            let report = self.next().await;
            if fits(&report) {
                return report;
            }
            assert!(
                !matches!(report, Report::Exited(_)),
                "the worker ended: {report:?}\nbefore that: {:?}",
                self.aside
            );
            self.aside.push_back(report);
        }
    }
    /// Sends an event to these callbacks; returns the frame's number.
    pub(crate) fn send(&mut self, callbacks: &[u32], meta: &serde_json::Value) -> u64 {
        self.send_in_turn(1, callbacks, meta)
    }
    pub(crate) fn send_in_turn(
        &mut self,
        turn: u64,
        callbacks: &[u32],
        meta: &serde_json::Value,
    ) -> u64 {
        self.seq += 1;
        let frame = frame(self.seq, turn, callbacks, meta);
        self.handle().send(frame).unwrap();
        self.seq
    }
    /// Returns the answer of the next callback.
    pub(crate) async fn result(&mut self) -> Report {
        self.until(|report| matches!(report, Report::Result { .. }))
            .await
    }
    /// Waits for the end of a frame.
    pub(crate) async fn done(&mut self, wanted: u64) {
        self.until(|report| matches!(report, Report::Done { seq, .. } if *seq == wanted))
            .await;
    }
    /// Says goodbye and expects a clean end.
    pub(crate) async fn goodbye(mut self) -> Exit {
        self.handle().goodbye("test", SOON).unwrap();
        let (exit, _) = self.exit().await;
        exit
    }
    /// Reads to the end; returns it and what came before it. Nothing may come after it.
    pub(crate) async fn exit(&mut self) -> (Exit, Vec<Report>) {
        let mut before: Vec<Report> = self.aside.drain(..).collect();
        loop {
            match self.next().await {
                Report::Exited(exit) => {
                    let after = timeout(SOON, self.reports.recv()).await.unwrap();
                    assert!(after.is_none(), "after the end: {after:?}");
                    return (*exit, before);
                }
                other => before.push(other),
            }
        }
    }
}

/// Makes a frame of an event with this `meta`.
pub(crate) fn frame(
    seq: u64,
    turn: u64,
    callbacks: &[u32],
    meta: &serde_json::Value,
) -> EventFrame {
    let event = json!({
        "id": 1000 + seq, "type": "EventLogEntry", "event_type": "Shotgun_Task_Change",
        "attribute_name": "sg_status_list", "meta": meta, "entity": null, "user": null,
        "project": null, "session_uuid": null, "created_at": "2026-11-23T09:15:02Z",
    });
    EventFrame {
        seq,
        turn,
        callbacks: callbacks.to_vec(),
        attempt: 1,
        key: format!("plugin/{seq}"),
        timeout_ms: None,
        replay: false,
        event: Arc::from(RawValue::from_string(event.to_string()).unwrap()),
    }
}

/// Waits for a file to hold something.
pub(crate) async fn note(path: &Path) -> String {
    let found = timeout(SOON, async {
        loop {
            match std::fs::read_to_string(path) {
                Ok(text) => return text,
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    });
    found.await.expect("the note did not appear")
}

/// Tells whether a process is there and not only waiting to be collected.
pub(crate) fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| !rest.trim_start().starts_with('Z'))
    })
}

/// Waits until a process is gone.
pub(crate) async fn gone(pid: u32) {
    let gone = timeout(SOON, async {
        while lives(pid) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    gone.await.expect("the process is still there");
}
