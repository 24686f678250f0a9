//! How a plugin's processes are started and spoken to: the configuration turned into `host`'s terms.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use slated_config::{Config, Level, NewPlugins, OrderWait, PluginSettings, Secrets};
use slated_core::lane::Frame;
use slated_core::order::{Order, Rules};
use slated_core::scan;
use slated_host::wire::{self, EventFrame, LoadFailed, LoadPhase};
use slated_host::{
    CallLimits, Environment, Handle, Interpreter, Launch, Program, Python, Report, SendError,
    Spawn, SpawnError, WorkerCode, WorkerId,
};
use slated_model::{Body, EventId, Failure, FailureKind, PluginId};
use tokio::sync::mpsc;

use super::environment::environment;
use super::interpreters::{self, Interpreters};
use super::message::Settings;
use super::plugin::{Broken, Plugin, Worker};
use super::sources::{Runs, Source};

/// Why a process was not started.
pub(crate) struct Unstarted {
    /// In words, with the key to mend where one is to blame.
    pub(crate) error: String,
    /// Whether the system just had no room: it may have later.
    pub(crate) again: bool,
}

impl Unstarted {
    /// No plugin needed a Python when slated started, and there was none.
    fn no_python() -> Self {
        Self {
            error: "no Python with shotgun_api3 was found; `slated reload` looks again".into(),
            again: false,
        }
    }
    /// A Python that is named and was not asked who it is, which starts and reloads do.
    fn unasked(program: &Path, origin: &str) -> Self {
        let program = program.display();
        Self {
            error: format!("{origin}: {program} was not looked at; `slated reload` does"),
            again: false,
        }
    }
    /// A Python that is named and runs nothing.
    fn unfit(why: &str) -> Self {
        Self {
            error: why.into(),
            again: false,
        }
    }
}

/// A plugin that is to get a process.
struct Subject<'a> {
    id: &'a PluginId,
    source: &'a Source,
    /// Of the file's content; empty if it was not read.
    sha256: &'a str,
    settings: &'a PluginSettings,
}

/// How a process is run that no lane speaks to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// It writes nothing to the site.
    pub(crate) dry: bool,
    /// It has the terminal, and as long as it likes.
    pub(crate) debug: bool,
    /// There is no site for it.
    pub(crate) offline: bool,
}

/// Longer than anybody sits before a terminal.
const FOR_EVER: Duration = Duration::from_hours(24 * 365);

/// Starts the processes of all plugins.
pub(crate) struct Workers {
    config: Config,
    secrets: Secrets,
    launch: Launch,
    code: WorkerCode,
    pythons: Interpreters,
    reports: mpsc::Sender<(WorkerId, Report)>,
    /// The site, without a login.
    site_name: String,
    last: u64,
}

impl Workers {
    pub(crate) fn new(
        config: Config,
        secrets: Secrets,
        code: WorkerCode,
        pythons: Interpreters,
        reports: mpsc::Sender<(WorkerId, Report)>,
    ) -> Self {
        Self {
            site_name: config.site.url.identity(),
            config,
            secrets,
            launch: launch(std::env::var_os(PRELOAD).as_deref()),
            code,
            pythons,
            reports,
            last: 0,
        }
    }

    /// Starts processes by other settings from now on. Tells whether those that run, whatever their
    /// plugins', were told what no longer holds.
    pub(crate) fn apply(&mut self, settings: Settings) -> bool {
        let told = |config: &Config| (config.plugins.session_uuid, config.plugins.lend_key);
        let before = told(&self.config);
        Settings {
            config: self.config,
            pythons: self.pythons,
        } = settings;
        before != told(&self.config)
    }

    /// Returns the configuration that all of them are started by.
    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the place of a plugin in the documented order: folders as configured, then file names.
    pub(crate) fn rank(&self, plugin: &PluginId) -> (usize, String) {
        let mut folders = self.config.plugins.folders.iter();
        let folder = folders.position(|f| f.plugin("").folder() == plugin.folder());
        (folder.unwrap_or(usize::MAX), scan::rank(plugin.stem()))
    }

    /// Returns how plugins heed each other.
    pub(crate) fn rules(&self) -> Rules {
        let plugins = &self.config.plugins;
        Rules {
            order: match plugins.order {
                slated_config::Order::Independent => Order::Independent,
                slated_config::Order::Pipelined => Order::Pipelined,
                slated_config::Order::Serial => Order::Serial,
            },
            wait: match plugins.order_wait {
                OrderWait::For(wait) => Some(wait),
                OrderWait::Forever => None,
            },
            calls: usize::try_from(plugins.concurrent_callbacks).unwrap_or(usize::MAX),
        }
    }

    /// Returns the event with which new plugins start, if the configuration names one.
    pub(crate) const fn first_id(&self) -> Option<EventId> {
        match self.config.state.new_plugins {
            NewPlugins::Id(id) => Some(id),
            NewPlugins::Now | NewPlugins::Ago(_) => None,
        }
    }

    /// Begins to start a process of a plugin. The id is used up either way.
    pub(crate) fn start(&mut self, plugin: &Plugin) -> (WorkerId, Result<Worker, Unstarted>) {
        let launch = self.launch.clone();
        let subject = Subject {
            id: &plugin.id,
            source: &plugin.text.source,
            sha256: &plugin.text.sha256,
            settings: &plugin.settings,
        };
        let (id, started) = self.begin(&subject, launch, Manner::default());
        let worker = started.map(|(handle, runtime)| Worker {
            pid: None,
            handle: Some(handle),
            runtime,
            text: plugin.text.clone(),
            resident: None,
            loaded: None,
        });
        (id, worker)
    }

    /// Begins to start a process of a plugin that no lane speaks to, by itself.
    pub(super) fn start_apart(
        &mut self,
        plugin: &PluginId,
        source: &Source,
        manner: Manner,
    ) -> Result<Handle, Unstarted> {
        let settings = self.config.effective(plugin);
        let subject = Subject {
            id: plugin,
            source,
            sha256: "",
            settings: &settings,
        };
        let (_, started) = self.begin(&subject, Launch::plain(), manner);
        started.map(|(handle, _)| handle)
    }

    /// Begins to start a process; returns the version of its Python, too, where it is one.
    fn begin(
        &mut self,
        plugin: &Subject<'_>,
        launch: Launch,
        manner: Manner,
    ) -> (WorkerId, Result<(Handle, String), Unstarted>) {
        self.last += 1;
        let id = WorkerId(self.last);
        let settings = plugin.settings;
        let (program, runtime) = match self.program(plugin) {
            Ok(found) => found,
            Err(unstarted) => return (id, Err(unstarted)),
        };
        let mut limits = CallLimits {
            warn_after: settings.warn_after,
            soft: settings.soft_timeout,
            hard: settings.hard_timeout,
            ..CallLimits::default()
        };
        if manner.debug {
            limits = CallLimits {
                init: FOR_EVER,
                warn_after: None,
                soft: None,
                hard: None,
                ..limits
            };
        }
        let spawn = Spawn {
            worker: id,
            plugin: plugin.id.clone(),
            file: plugin.source.file.clone(),
            sha256: plugin.sha256.to_owned(),
            launch,
            program,
            env: environment(&self.config, settings),
            cwd: settings.cwd.clone(),
            daemon_version: env!("CARGO_PKG_VERSION").into(),
            site: wire::Site {
                offline: manner.offline,
                ..self.site()
            },
            config: wire::Config {
                log_level: python_level(settings.log_level),
                use_session_uuid: self.config.plugins.session_uuid,
                import_paths: settings.import_paths.clone(),
                plugin_folders: self.plugin_folders(),
                umask: settings.umask,
                dry: manner.dry,
                debug: manner.debug,
            },
            window: settings.window,
            max_frame: wire::MAX_FRAME,
            memory: settings.memory_limit,
            limits,
        };
        let started = slated_host::Worker::start(&spawn, self.reports.clone());
        let fail = |e| self.unstarted(plugin.id, plugin.source, &e);
        let started = started.map_err(fail);
        (id, started.map(|handle| (handle, runtime)))
    }

    /// Returns what runs a plugin, and the version of its Python.
    fn program(&self, plugin: &Subject<'_>) -> Result<(Program, String), Unstarted> {
        match &plugin.source.runs {
            Runs::Python => {
                let python = self.python_of(plugin.id)?;
                let program = Program::Python(Python {
                    code: self.code.clone(),
                    interpreter: python.clone(),
                });
                Ok((program, python.version.clone()))
            }
            Runs::Own { program, .. } => Ok((Program::Own((**program).clone()), String::new())),
            Runs::Nothing(why) => Err(Unstarted {
                error: why.clone(),
                again: false,
            }),
        }
    }

    /// Returns the Python of a plugin.
    pub(super) fn python_of(&self, plugin: &PluginId) -> Result<&Interpreter, Unstarted> {
        match interpreters::own(&self.config, plugin) {
            None => self.pythons.usual.as_ref().ok_or_else(Unstarted::no_python),
            Some((program, origin)) => {
                let named = self.pythons.named.get(&program);
                let named = named.ok_or_else(|| Unstarted::unasked(&program, &origin))?;
                named.as_ref().map_err(|why| Unstarted::unfit(why))
            }
        }
    }

    /// Returns how a plugin's file is parsed: the Python, the worker's code, and the variables.
    pub(super) fn parser(
        &self,
        plugin: &PluginId,
    ) -> Result<(&Interpreter, &WorkerCode, Environment), Unstarted> {
        let python = self.python_of(plugin)?;
        let env = environment(&self.config, &self.config.effective(plugin));
        Ok((python, &self.code, env))
    }

    /// Sends a frame. A worker that is gone says so by itself.
    pub(crate) fn send(
        &self,
        handle: &Handle,
        plugin: &PluginId,
        frame: Frame,
    ) -> Result<(), Unsent> {
        let Body::Json(event) = &frame.row.event.body else {
            return Ok(());
        };
        let message = EventFrame {
            seq: frame.seq,
            turn: frame.turn,
            callbacks: frame.callbacks,
            attempt: frame.attempt,
            // Two sites have the same ids, and may feed one service.
            key: format!("{} {plugin}:{}", self.site_name, frame.row.event.id),
            timeout_ms: None,
            replay: false,
            event: event.clone(),
        };
        match handle.send(message) {
            Ok(()) | Err(SendError::Gone) => Ok(()),
            Err(SendError::Full) => Err(Unsent::Stuck),
            Err(error) => Err(Unsent::Event(Box::new(Failure {
                kind: FailureKind::Unreadable,
                error: "event too large".into(),
                message: error.to_string(),
                traceback: String::new(),
                locals: None,
                cause: None,
                us: None,
                log: Vec::new(),
            }))),
        }
    }

    /// Says why a process was not started, and which key is to blame.
    pub(crate) fn unstarted(
        &self,
        plugin: &PluginId,
        source: &Source,
        error: &SpawnError,
    ) -> Unstarted {
        let again = error.is_for_want_of_room();
        let key = match error {
            SpawnError::Folder { .. } => {
                let (key, origin) = self.config.effective_key(plugin, "cwd");
                Some(format!("{origin}: `{key}`"))
            }
            SpawnError::Start { .. } if !again => match &source.runs {
                Runs::Own { origin, .. } => Some(origin.clone()),
                _ => interpreters::own(&self.config, plugin).map(|(_, origin)| origin),
            },
            _ => None,
        };
        let mut told = match key {
            Some(key) => format!("{key}: {error}"),
            None => error.to_string(),
        };
        if let (Runs::Own { .. }, Some(advice)) = (&source.runs, error.advice()) {
            told = format!("{told} ({advice})");
        }
        Unstarted { error: told, again }
    }

    /// Returns the folders of all plugins: any of them may hold what any plugin imports.
    fn plugin_folders(&self) -> Vec<PathBuf> {
        let folders = self.config.plugins.folders.iter();
        folders.map(|folder| folder.path.clone()).collect()
    }

    fn site(&self) -> wire::Site {
        let secret = |s: &secrecy::SecretString| wire::Secret::new(s.expose_secret());
        wire::Site {
            // With the login in it, where a site stands behind one: no client connects without.
            url: self.config.site.url.with_credentials().to_string(),
            proxy: self.secrets.proxy.as_ref().map(secret),
            ca_file: self.config.site.ca_file.clone(),
            offline: false,
            lend: self.config.plugins.lend_key.then(|| wire::Lend {
                script: self.config.site.script.clone(),
                key: secret(&self.secrets.site_key),
            }),
        }
    }
}

/// The variable that forbids preloaded parents, by the value `0`.
const PRELOAD: &str = "SLATED_PRELOAD";

fn launch(preload: Option<&OsStr>) -> Launch {
    if preload.is_some_and(|value| value == "0") {
        Launch::plain()
    } else {
        Launch::suited()
    }
}

/// Returns a level as Python's `logging` numbers it.
const fn python_level(level: Level) -> u32 {
    match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug => 10,
        Level::Trace => 5,
    }
}

/// Why a frame was not sent.
pub(crate) enum Unsent {
    /// The event is too large for a frame: its callbacks fail.
    Event(Box<Failure>),
    /// The process does not read what it is sent.
    Stuck,
}

/// Says where a plugin does not load.
pub(crate) fn broken(failed: &LoadFailed) -> Broken {
    let at = match (&failed.file, failed.line) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        (Some(file), None) => format!("{file}: "),
        _ => String::new(),
    };
    let what = match failed.phase {
        LoadPhase::Client | LoadPhase::NoRegister => failed.message.clone(),
        LoadPhase::Import | LoadPhase::Register if failed.error.is_empty() => {
            failed.message.clone()
        }
        LoadPhase::Import | LoadPhase::Register => format!("{}: {}", failed.error, failed.message),
    };
    Broken {
        place: format!("{at}{what}"),
        traceback: failed.traceback.clone(),
        unstartable: false,
    }
}
