//! `slated run --shadow`: beside the Python daemon, following and matching, and calling nothing.
//!
//! It stands where the dispatcher stands in a daemon, has the same intake and the same look at files,
//! and writes a diary of what it sees. Invariant: there are no lanes and no workers to speak to, so no
//! callback can be called and no outcome be recorded. A plugin is loaded in a dry process of its own,
//! which ends when it has registered: that is all that runs of it.

mod loader;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use slated_config::{Config, Secrets};
use slated_core::begin::Asked;
use slated_host::WorkerCode;
use slated_model::{EventId, Offset, PluginId};
use slated_store::{LogEnd, Store};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::begin::{Begin, Begun};
use super::desk::{Desk, Told};
use super::inspect::{Found, Inspector, Look};
use super::intake::{Intake, IntakeStatus};
use super::message::{FileChange, Imports, Message, Question, Roll};
use super::retention::Retention;
use super::{Checked, Daemon, MESSAGES, check, folders, interpreters};
use crate::clock::{Clock, wall_ms};
use crate::error::CommandError;
use crate::service::Pulse;
use crate::shadow::diary::{Ask, Diary};
use crate::tell::Teller;
use crate::view::refusal::Kind;
use crate::view::{CallbackView, PluginState, PluginView, Refusal};
use crate::web::control;
use loader::Loader;

/// Rows read at a time to make up for what the diary lacks.
const ROWS: usize = 1000;

/// Names a file that holds the time by which the diary is written, in milliseconds since 1970: a test
/// lets a day pass in a minute.
const CLOCK: &str = "SLATED_SHADOW_CLOCK";

impl Daemon {
    /// Starts a shadow. The configuration is that of a shadow already.
    pub(crate) async fn start_shadow(
        config: Config,
        secrets: Secrets,
        python: Option<&Path>,
        teller: Teller,
    ) -> Result<Self, CommandError> {
        let Checked {
            known,
            warnings,
            client,
            group,
        } = check(&config, &secrets)?;
        for warning in &warnings.0 {
            tracing::warn!("{warning}");
        }
        // No plugin has a place in it.
        let begin = Begin::look(&config, &[], Asked::default())?;
        begin.refuse_early().await?;
        begin.recognise(&client).await?;
        let pythons = interpreters::find(&config, &known, python).await?;
        let Begun {
            store,
            snapshot,
            start,
        } = begin.open().await?;
        let store = Arc::new(store);
        let url = config.site.url.identity();
        if snapshot.site.is_some() {
            store.bind_site(url.clone()).await?;
        }
        let folder = config.state.folder.clone();
        // Not in a temporary folder, which somebody may sweep while this runs for weeks.
        let code =
            WorkerCode::install(&folder.join("worker")).map_err(CommandError::configuration)?;
        let diary = Diary::open(&folder, config.state.keep_events).map_err(|error| {
            CommandError::configuration(format!(
                "the diary in {} cannot be opened: {error}",
                crate::shadow::diary::folder(&folder).display()
            ))
        })?;

        let clock = Clock::start();
        let stop = CancellationToken::new();
        let (messages, inbox) = mpsc::channel(MESSAGES);
        let (intake_status, intake_seen) = watch::channel(IntakeStatus::default());
        let (imported, imports) = watch::channel(Imports::new());
        let (decide, decisions) = mpsc::channel(1);
        // Nobody reads the configuration again: a shadow is started anew.
        let (reload, _) = mpsc::channel(1);
        let desk = Desk::new(
            url.clone(),
            store.clone(),
            intake_seen,
            messages.clone(),
            decide,
            reload,
            Told::nobody(),
        );
        let desk = desk.of_shadow();
        let mut tasks = JoinSet::new();
        let socket = control::bind(&folder, group)?;
        let finished = CancellationToken::new();
        tasks.spawn(control::serve(socket, desk.clone(), finished.clone()));
        let scanner = folders::Scanner::new(
            &config.plugins.folders,
            &[],
            clock,
            messages.clone(),
            imports,
            teller.clone(),
        );
        tasks.spawn(scanner.run(stop.clone()));
        let intake = Intake {
            client,
            url,
            store: store.clone(),
            clock,
            dispatcher: messages.clone(),
            status: intake_status,
            teller: teller.clone(),
            bound: snapshot.site.is_some(),
            ledger: snapshot.ledger.clone(),
            start,
            pace: super::pace(&config),
            backoff: slated_site::Backoff::default(),
            trouble: None,
            decisions,
        };
        let intake = intake.run(stop.clone());
        tasks.spawn(async move { Ok(intake.await?) });
        let retention = Retention {
            store: store.clone(),
            keep: config.state.keep_events,
            alarm: config.state.alarm_size,
            dispatcher: messages,
            teller,
            large: watch::channel(None).0,
            clock,
            watched: clock.now(),
        };
        let retention = retention.run(stop.clone());
        tasks.spawn(async move {
            retention.await;
            Ok(())
        });
        let inspector = Inspector::over(&config, secrets, pythons, code);
        let (loader, loaded) = Loader::start(inspector, stop.clone(), &mut tasks);
        let shadow = Shadow {
            store: store.clone(),
            diary,
            loader,
            plugins: BTreeMap::new(),
            log: snapshot.log,
            head: EventId(0),
            listed: false,
            trouble: None,
            wall: std::env::var_os(CLOCK).map(PathBuf::from),
            clock,
            pulse: Pulse::asked_for(),
            _imported: imported,
        };
        let run = shadow.run(inbox, loaded, stop.clone());
        tasks.spawn(async move {
            let result = run.await;
            finished.cancel();
            result
        });
        Ok(Self {
            stop,
            desk,
            store,
            tasks,
        })
    }
}

/// Writes down what is seen.
struct Shadow {
    store: Arc<dyn Store>,
    diary: Diary,
    loader: Loader,
    plugins: BTreeMap<PluginId, PluginView>,
    log: LogEnd,
    /// The highest id of the site.
    head: EventId,
    /// The folders were looked at: what appears from now on is new.
    listed: bool,
    /// Why nothing can be written down, if so.
    trouble: Option<String>,
    wall: Option<PathBuf>,
    clock: Clock,
    pulse: Pulse,
    /// Without it whoever looks at files would think that nobody imports anything any more.
    _imported: watch::Sender<Imports>,
}

impl Shadow {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Message>,
        mut loaded: mpsc::Receiver<(Look, bool)>,
        stop: CancellationToken,
    ) -> Result<(), CommandError> {
        loop {
            let wake = self.clock.instant(self.pulse.wake_at());
            tokio::select! {
                () = stop.cancelled() => break,
                Some(message) = inbox.recv() => self.take(message).await?,
                Some((look, first)) = loaded.recv() => self.loaded(look, first),
                () = tokio::time::sleep_until(wake) => {}
            }
            let plugins = self.plugins.len();
            self.pulse.beat(self.clock.now(), || {
                format!("A shadow: {plugins} plugins, nothing is called.")
            });
        }
        if self.head > EventId(0) && self.trouble.is_none() {
            let written = self.diary.looked(self.now(), self.head, true);
            self.wrote(written);
        }
        Ok(())
    }

    async fn take(&mut self, message: Message) -> Result<(), CommandError> {
        match message {
            Message::Appended { rows } => {
                if let Some(last) = rows.last() {
                    self.log.end = last.offset;
                }
                let at = self.now();
                let written = self.diary.seen(rows.iter().map(|row| &**row), at);
                self.wrote(written);
            }
            Message::SiteRead { head, .. } => {
                self.head = head;
                let written = self.diary.looked(self.now(), head, false);
                self.wrote(written);
                self.catch_up().await?;
            }
            Message::Files(changes) => {
                let first = !std::mem::replace(&mut self.listed, true);
                for change in changes {
                    self.file(change, first);
                }
            }
            Message::Pruned { start } => self.log.start = start.unwrap_or(self.log.start),
            Message::NoRoom { error, .. } => {
                self.trouble = error.map(|error| error.to_string());
            }
            Message::Ask(question) => self.answer(question),
            // Those that only lanes ask for.
            Message::SiteDown
            | Message::Since { .. }
            | Message::Rows { .. }
            | Message::Recalled { .. }
            | Message::Recorded(_) => {}
        }
        Ok(())
    }

    /// Writes down what is in the log and not in the diary: it was seen by now.
    async fn catch_up(&mut self) -> Result<(), CommandError> {
        while self.diary.last() < self.log.end.0 {
            let before = self.diary.last();
            let rows = self.store.rows(Offset(before), ROWS).await?;
            let written = self.diary.seen(&rows, self.now());
            if !self.wrote(written) || self.diary.last() == before {
                break;
            }
        }
        Ok(())
    }

    /// Tells once what is wrong with the diary, and once that it is not any more.
    fn wrote(&mut self, written: io::Result<()>) -> bool {
        match written {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    tracing::info!("The diary is written again.");
                }
                true
            }
            Err(error) => {
                let text = format!("the diary cannot be written: {error}");
                if self.trouble.as_ref() != Some(&text) {
                    tracing::error!("{text}. What is seen is written when it can be.");
                }
                self.trouble = Some(text);
                false
            }
        }
    }

    fn file(&mut self, change: FileChange, first: bool) {
        match change {
            FileChange::Appeared { plugin, from, .. } => {
                if let Some(from) = from {
                    self.forget(&from);
                }
                self.load(plugin, first);
            }
            FileChange::Changed { plugin, .. } | FileChange::Helper { plugin, .. } => {
                self.load(plugin, false);
            }
            FileChange::Touched { .. } => {}
            FileChange::Gone { plugin } => self.forget(&plugin),
        }
    }

    fn load(&mut self, plugin: PluginId, first: bool) {
        let view = self.plugins.entry(plugin.clone());
        view.or_insert_with(|| blank(plugin.clone()));
        self.loader.load(plugin, first);
    }

    fn forget(&mut self, plugin: &PluginId) {
        if self.plugins.remove(plugin).is_some() {
            tracing::info!("{plugin}: its file is gone.");
            let written = self.diary.asks(self.now(), plugin, Vec::new(), false);
            self.wrote(written);
        }
    }

    fn loaded(&mut self, look: Look, first: bool) {
        let plugin = look.plugin;
        let Some(view) = self.plugins.get_mut(&plugin) else {
            return;
        };
        let mut fresh = PluginView {
            file: Some(look.file.display().to_string()),
            ..blank(plugin.clone())
        };
        let mut asks = Vec::new();
        match look.found {
            Found::Loads {
                callbacks,
                warnings,
            } => {
                for warning in warnings {
                    tracing::warn!("{plugin}: {warning}");
                }
                let (n, s) = (callbacks.len(), if callbacks.len() == 1 { "" } else { "s" });
                tracing::info!("{plugin}: watched with {n} callback{s}; none is called.");
                fresh.state = PluginState::Watched;
                let views = callbacks.iter().map(|callback| CallbackView {
                    name: callback.id.clone(),
                    matcher: callback.matcher.clone(),
                    stop_on_error: callback.stop_on_error,
                });
                fresh.callbacks = Some(views.collect());
                asks.extend(callbacks.into_iter().map(|callback| Ask {
                    name: callback.id,
                    matcher: callback.matcher,
                    stop_on_error: callback.stop_on_error,
                }));
            }
            Found::Helper => {
                self.plugins.remove(&plugin);
                let written = self.diary.asks(self.now(), &plugin, asks, first);
                self.wrote(written);
                return;
            }
            Found::Parses { warnings } => {
                fresh.state = PluginState::Broken;
                fresh.why = Some(warnings.join("; "));
            }
            Found::Broken { place, traceback } | Found::Unanswered { place, traceback } => {
                tracing::warn!("{plugin}: does not load, so nothing is matched for it: {place}");
                fresh.state = PluginState::Broken;
                fresh.why = Some(place);
                fresh.traceback = Some(traceback).filter(|text| !text.is_empty());
            }
        }
        *view = fresh;
        let written = self.diary.asks(self.now(), &plugin, asks, first);
        self.wrote(written);
    }

    fn answer(&self, question: Question) {
        let refusal = || {
            Refusal::new(Kind::Impossible, "this is a shadow: it calls nothing")
                .hint("without --shadow the daemon is meant")
        };
        match question {
            Question::Plugins(reply) => reply
                .send(Roll {
                    plugins: self.plugins.values().cloned().collect(),
                    helpers: 0,
                    log: self.log,
                    disk: self.trouble.clone(),
                })
                .unwrap_or_default(),
            // No lane keeps a row.
            Question::Needed(reply) => reply.send(None).unwrap_or_default(),
            Question::Void { reply, .. } => reply.send(()).unwrap_or_default(),
            Question::Lines { reply, .. } => reply.send(Vec::new()).unwrap_or_default(),
            Question::Settings { reply, .. } => reply.send(Vec::new()).unwrap_or_default(),
            Question::Plugin { reply, .. } | Question::Act { reply, .. } => {
                reply.send(Err(refusal())).unwrap_or_default();
            }
            Question::Standing { reply, .. } => reply.send(Err(refusal())).unwrap_or_default(),
            Question::Letters { reply, .. } => reply.send(Err(refusal())).unwrap_or_default(),
        }
    }

    /// Returns the time by which the diary is written.
    fn now(&self) -> i64 {
        let told = self.wall.as_ref().and_then(|file| {
            let text = std::fs::read_to_string(file).ok()?;
            text.trim().parse().ok()
        });
        told.unwrap_or_else(wall_ms)
    }
}

fn blank(plugin: PluginId) -> PluginView {
    PluginView {
        held_at: None,
        plugin,
        state: PluginState::Starting,
        why: None,
        traceback: None,
        file: None,
        pid: None,
        python: None,
        cursor: None,
        lag: None,
        in_flight: 0,
        slow: None,
        retries: Vec::new(),
        callbacks: None,
        line: None,
        done: None,
        failed: None,
        last: None,
        last_error: None,
        letters: 0,
    }
}
