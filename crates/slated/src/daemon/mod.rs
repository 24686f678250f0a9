//! A running slated: who owns what, how it starts, how it ends.
//!
//! Seven tasks, no shared state between them but the store:
//! * `intake` asks the site and appends to the log
//! * `dispatch` owns lanes and lives, and does what they decide; `plugin`, `workers`, `journal`,
//!   `tail` and `pages` are its parts
//! * `folders` looks at the plugins' files, which `sources` reads
//! * `retention` lets old events go
//! * `alarm` looks at what is wrong, and tells those who mend it
//! * `control` (in `web`) answers people
//! * `reload` reads the configuration again when it is told to
//!
//! In a shadow (`slated run --shadow`) `shadow` stands in the place of `dispatch`, and calls nothing.
//!
//! Beside them `apart` starts a process of one plugin for a command, and `inspect` one of each.
//!
//! They end in that order: nothing new comes in, callbacks in flight finish, everything is durable.

mod alarm;
mod apart;
pub(crate) mod begin;
mod calls;
mod checks;
mod decide;
pub(crate) mod desk;
mod dispatch;
mod environment;
mod folders;
mod inspect;
mod intake;
mod interpreters;
mod journal;
mod message;
mod pages;
mod plugin;
pub(crate) mod reload;
mod retention;
mod shadow;
mod show;
mod since;
mod sources;
mod tail;
mod workers;

pub(crate) use apart::{Apart, Purpose, Ready};
pub(crate) use dispatch::{
    LONGEST_STOP, resume_on_record, skip_on_record, stop_on_record, takes_letters,
};
pub(crate) use inspect::{Found, Inspector, Look};
pub(crate) use intake::query;
pub(crate) use message::LetterWish;
pub(crate) use sources::{file_of, is_manifest};

use std::path::Path;
use std::sync::Arc;

use slated_config::{Config, Diagnostics, Origin, Secrets};
use slated_core::begin::Asked;
use slated_core::follow::Pace;
use slated_host::{Stale, WorkerCode};
use slated_model::{Change, PluginId};
use slated_site::{Backoff, Client, Settings};
use slated_store::{Snapshot, Sqlite, Store};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::error::CommandError;
use crate::tell::{AlertSender, Hook, MailServer, Teller, Webhook};
use crate::web::control;
use alarm::Alarm;
use begin::{Begin, Begun};
use desk::{Desk, Told};
use dispatch::{Dispatcher, Feeds};
use intake::{Intake, IntakeStatus};
use message::Imports;
use reload::{Reloader, Source};
use retention::Retention;
use since::Since;
use workers::Workers;

/// Messages that may wait for the dispatcher; beyond, the intake waits.
const MESSAGES: usize = 1024;
/// Reports that may wait for the dispatcher; beyond, workers wait.
const REPORTS: usize = 4096;

/// A daemon that runs.
pub(crate) struct Daemon {
    stop: CancellationToken,
    desk: Desk,
    store: Arc<Sqlite>,
    tasks: JoinSet<Result<(), CommandError>>,
}

impl Daemon {
    /// Starts everything. `python` is the `--python` flag, `asked` what a person says of the state,
    /// `source` the file that is read again on a reload, if there is one. What can be known to fail is
    /// told here, before anything runs.
    pub(crate) async fn start(
        config: Config,
        secrets: Secrets,
        python: Option<&Path>,
        asked: Asked,
        teller: Teller,
        source: Option<Source>,
    ) -> Result<Self, CommandError> {
        let flag = python.map(Path::to_owned);
        let Checked {
            known,
            warnings,
            client,
            group,
        } = check(&config, &secrets)?;
        for warning in &warnings.0 {
            tracing::warn!("{warning}");
        }
        let mut begin = Begin::look(&config, &known, asked)?;
        let url = config.site.url.identity();
        let folder = config.state.folder.clone();
        if let Err(refusal) = begin.refuse_early().await {
            // Nobody chooses a state under a daemon that runs on it.
            Sqlite::refuse_in_use(&folder)?;
            return Err(refusal);
        }
        begin.recognise(&client).await?;
        let pythons = interpreters::find(&config, &known, python).await?;
        let since = Since::of(&config, &client);
        if let Some(since) = &since {
            begin.resolve(since).await?;
        }
        let Begun {
            store,
            snapshot,
            start,
        } = begin.open().await?;
        let store = Arc::new(store);
        // A state without a site is bound by the first answer: an address that was mistyped can
        // be corrected until then.
        if snapshot.site.is_some() {
            store.bind_site(url.clone()).await?;
        }
        let code =
            WorkerCode::install(&folder.join("worker")).map_err(CommandError::configuration)?;
        end_stale_workers(&snapshot, &*store).await?;
        // Whoever reads the state after a kill knows of it by this.
        store.record(vec![Change::Running(true)]).await?;

        let clock = Clock::start();
        let stop = CancellationToken::new();
        let (messages, inbox) = mpsc::channel(MESSAGES);
        let (report, reports) = mpsc::channel(REPORTS);
        let (intake_status, intake_seen) = watch::channel(IntakeStatus::default());
        let (imported, imports) = watch::channel(Imports::new());
        let (decide, decisions) = mpsc::channel(1);
        let (reload, wishes) = mpsc::channel(1);
        let (alerts, alerts_seen) = watch::channel(Vec::new());
        let (webhook, poster, webhook_seen) = match Hook::of(&config, &secrets)? {
            Some(hook) => {
                let (webhook, poster, seen) = Webhook::new(hook, teller.clone());
                (Some(webhook), Some(poster), Some(seen))
            }
            None => (None, None, None),
        };
        let desk = Desk::new(
            url.clone(),
            store.clone(),
            intake_seen,
            messages.clone(),
            decide,
            reload,
            Told {
                mail: teller.mail_seen(),
                webhook: webhook_seen,
                alerts: alerts_seen,
            },
        );
        let mut tasks = JoinSet::new();
        if let Some(poster) = poster {
            let posts = poster.run(stop.clone());
            tasks.spawn(async move {
                posts.await;
                Ok(())
            });
        }
        let (large, large_seen) = watch::channel(None);
        let alarm = Alarm {
            desk: desk.clone(),
            store: store.clone(),
            clock,
            teller: teller.clone(),
            sender: AlertSender::of(&url),
            webhook,
            large: large_seen,
            raised: alerts,
        };
        let alarm = alarm.run(stop.clone());
        tasks.spawn(async move {
            alarm.await;
            Ok(())
        });

        let control = control::bind(&folder, group)?;
        // People can ask as long as callbacks finish.
        let finished = CancellationToken::new();
        tasks.spawn(control::serve(control, desk.clone(), finished.clone()));

        let scanner = folders::Scanner::new(
            &config.plugins.folders,
            &snapshot.lanes,
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
            pace: pace(&config),
            backoff: Backoff::default(),
            trouble: None,
            decisions,
        };
        let intake = intake.run(stop.clone());
        tasks.spawn(async move { Ok(intake.await?) });

        let retention = Retention {
            store: store.clone(),
            keep: config.state.keep_events,
            alarm: config.state.alarm_size,
            dispatcher: messages.clone(),
            teller: teller.clone(),
            large,
            clock,
            watched: clock.now(),
        };
        let retention = retention.run(stop.clone());
        tasks.spawn(async move {
            retention.await;
            Ok(())
        });

        if let Some(source) = source {
            let reloader = Reloader {
                source,
                started: config.clone(),
                current: config.clone(),
                python: flag,
                dispatcher: messages.clone(),
                wishes,
            };
            let reloader = reloader.run(stop.clone());
            tasks.spawn(async move {
                reloader.await;
                Ok(())
            });
        }

        let workers = Workers::new(config, secrets, code, pythons, report);
        let dispatcher = Dispatcher::new(
            clock,
            store.clone(),
            &snapshot,
            (workers, since),
            messages,
            imported,
            teller,
        );
        let dispatch = dispatcher.run(
            Feeds {
                messages: inbox,
                reports,
            },
            stop.clone(),
        );
        tasks.spawn(async move {
            let result = dispatch.await;
            finished.cancel();
            Ok(result?)
        });
        Ok(Self {
            stop,
            desk,
            store,
            tasks,
        })
    }

    /// Returns a token that stops the daemon cleanly.
    pub(crate) fn stopper(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Returns where questions are answered.
    pub(crate) const fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Waits until the daemon has ended, by its stopper or by a failure.
    pub(crate) async fn finish(mut self) -> Result<(), CommandError> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.unwrap_or_else(|e| {
                Err(CommandError::internal(format!(
                    "a task of the daemon broke: {e}"
                )))
            });
            if ended.is_err() && result.is_ok() {
                result = ended;
            }
            // Whatever ends, ends all: a daemon that does half its work helps nobody.
            self.stop.cancel();
        }
        if result.is_ok() {
            // Where even this cannot be written, the next start takes it for what it may be.
            self.store.record(vec![Change::Running(false)]).await.ok();
        }
        self.store.close().await;
        result
    }
}

/// What a configuration comes to before anything is opened.
pub(crate) struct Checked {
    /// The plugins whose files are there.
    pub(crate) known: Vec<PluginId>,
    pub(crate) warnings: Diagnostics,
    client: Client,
    /// The group that may use the control socket.
    group: Option<u32>,
}

/// Refuses what cannot work, before anything is opened.
pub(crate) fn check(config: &Config, secrets: &Secrets) -> Result<Checked, CommandError> {
    checks::plugin_folders(config)?;
    let known = sources::present(&config.plugins.folders);
    let warnings = config.check_names(&known)?;
    checks::working_folder(config)?;
    if config.conf.is_none() {
        MailServer::of(config, secrets)?;
    }
    Hook::of(config, secrets)?;
    Ok(Checked {
        warnings,
        known,
        client: client(config, secrets)?,
        group: control::check(&config.state.folder, config.control.group.as_deref())?,
    })
}

/// Refuses what [`Daemon::start`] would refuse, as far as can be seen beside a daemon that runs on
/// the state. Writes nothing.
pub(crate) async fn refuse_start(
    config: &Config,
    secrets: &Secrets,
    python: Option<&Path>,
    asked: Asked,
) -> Result<(), CommandError> {
    let Checked { known, client, .. } = check(config, secrets)?;
    let begin = Begin::look(config, &known, asked)?;
    begin.refuse_early().await?;
    begin.recognise(&client).await?;
    interpreters::find(config, &known, python).await?;
    Ok(())
}

/// Returns how the site is read.
fn pace(config: &Config) -> Pace {
    Pace {
        page: usize::try_from(config.site.page).unwrap_or(usize::MAX),
        tick: config.site.tick,
        settle: config.site.settle,
        ..Pace::default()
    }
}

pub(crate) fn client(config: &Config, secrets: &Secrets) -> Result<Client, CommandError> {
    let mut settings = Settings::new(
        config.site.url.with_credentials().clone(),
        config.site.script.as_str(),
        secrets.site_key.clone(),
    );
    settings.proxy.clone_from(&secrets.proxy);
    settings.ca_file = config.site.certificates(&slated_config::System);
    settings.timeout = config.site.timeout;
    Client::new(settings).map_err(|e| {
        let cause = std::error::Error::source(&e)
            .map(|s| format!(": {s}"))
            .unwrap_or_default();
        CommandError::configuration(format!("{e}{cause}"))
    })
}

/// Ends workers of a slated that was killed: a callback must not run twice at a time.
async fn end_stale_workers(snapshot: &Snapshot, store: &dyn Store) -> Result<(), CommandError> {
    // All at a time: each may take the time of two signals.
    let mut reaps = JoinSet::new();
    for worker in snapshot.workers.clone() {
        reaps.spawn(async move {
            let end = slated_host::reap_stale(worker.pid, worker.started).await;
            (worker, end)
        });
    }
    while let Some(reaped) = reaps.join_next().await {
        let (worker, end) = reaped.map_err(CommandError::internal)?;
        match end {
            Stale::Gone => {}
            Stale::Ended => tracing::warn!(
                "{}: process {} of an earlier slated was still running and was ended.",
                worker.plugin,
                worker.pid
            ),
            Stale::Stays => {
                return Err(CommandError::plugin(format!(
                    "process {} of {} still runs, left by an earlier slated, and cannot be ended",
                    worker.pid, worker.plugin
                ))
                .hint("end it by hand; slated does not run a callback twice at a time"));
            }
        }
        store
            .record(vec![Change::WorkerGone { pid: worker.pid }])
            .await?;
    }
    Ok(())
}

/// Tells what the configuration asks for and this version does not do.
pub(crate) fn warn_of_idle_keys(config: &Config) {
    for (key, origin) in idle_keys(config) {
        tracing::warn!("{origin}: `{key}` has no effect in this version.");
    }
}

/// Returns what the configuration asks for and this version does not do.
pub(crate) fn idle_keys(config: &Config) -> Vec<(&str, &Origin)> {
    config.without_effect(&IDLE)
}

/// Keys that do nothing yet.
const IDLE: [&str; 2] = [
    // slated paces its own attempts.
    "daemon.*", "web.*",
];
