//! `slated run`: follow the site and run plugins, in the foreground. `start` leaves the same
//! behind in the background.

use std::fs::DirBuilder;
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use slated_config::{Config, Secrets, System};
use slated_core::begin::Asked;
use tokio::sync::Notify;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::common::{BeginArgs, ConfigArgs};
use crate::daemon::desk::Desk;
use crate::daemon::reload::Source;
use crate::daemon::{self, Daemon};
use crate::detach::{self, Detached};
use crate::error::CommandError;
use crate::pid_file::PidFile;
use crate::service;
use crate::signals::{self, Signals};
use crate::standby;
use crate::tell::{Log, Mail, Teller};

/// Follow the site and run plugins, until SIGTERM or Ctrl-C
///
/// A first signal lets the callbacks in flight finish, up to 30 seconds; a second one ends at once.
/// What was not finished is done after the next start.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Run plugins with this Python, unless they name one of their own
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    #[command(flatten)]
    begin: BeginArgs,
    /// Wait while another slated runs on the state, and take over when it has ended
    #[arg(long)]
    pub(super) standby: bool,
    /// Run beside the Python daemon: follow the site and match events, and call nothing
    ///
    /// Plugins are loaded, so their modules and `registerCallbacks` run, in processes that write
    /// nothing to the site and end at once. State, diary and log stand in a folder of their own,
    /// `<eventIdFile>.slated-shadow` or `<state.folder>-shadow`; no file of the Python daemon is
    /// touched. `slated shadow report` compares.
    #[arg(long, conflicts_with_all = ["standby", "state", "from_latest", "from_id"])]
    pub(super) shadow: bool,
}

impl Args {
    /// Returns the configuration, unless a start with it would be refused, as far as can be seen
    /// beside a daemon that runs.
    pub(super) async fn foresee(&self) -> Result<Config, CommandError> {
        let config = self.config.load()?.config;
        let (secrets, _) = config.resolve(&System)?;
        let python = self.python.as_deref();
        Log::foresee(&config)?;
        daemon::refuse_start(&config, &secrets, python, self.begin.asked()).await?;
        Ok(config)
    }
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    follow(args, None).await
}

/// Runs the daemon, in the foreground or as the process that `slated start` leaves behind.
pub(super) async fn follow(mut args: Args, detached: Option<Detached>) -> Result<(), CommandError> {
    let here = std::env::current_dir()
        .map_err(|e| CommandError::internal(format!("the working directory is gone: {e}")))?;
    let mut loaded = args.config.load()?;
    if args.shadow {
        loaded.config.shadow();
        own_folder(&loaded.config.state.folder)?;
    }
    let (secrets, secret_warnings) = loaded.config.resolve(&System)?;
    let file = args.config.path()?;
    if detached.is_some() {
        Detached::go_to_root()?;
        args.python = args.python.as_deref().map(detach::whole_program);
        surroundings(&mut loaded.config)?;
    }
    // Before there is a file that says whom to stop, so that a stop in the middle of the start is
    // one, too.
    let mut signals = Signals::listen()?;
    // Removed last, so that whoever waits for it can start the next one.
    let pid_file = loop {
        if args.standby {
            // What is wrong with the configuration is not found out on the day it is needed.
            daemon::check(&loaded.config, &secrets)?;
            if !standby::wait(&loaded.config, &mut signals).await? {
                return Ok(());
            }
        }
        let conf = loaded.config.conf.as_ref();
        let Some(path) = conf.and_then(|conf| conf.pid_file.as_ref()) else {
            break None;
        };
        match PidFile::take(path).await {
            // Another one that stood by was quicker.
            Err(_) if args.standby && standby::is_needed(&loaded.config).await? => {}
            taken => break Some(taken?),
        }
    };
    let log = Log::start(&loaded.config, detached.is_some())?;
    tracing_subscriber::registry().with(log.listener()).init();
    for warning in loaded.warnings.0.iter().chain(&secret_warnings.0) {
        tracing::warn!("{warning}");
    }
    if let Some(mail) = Mail::start(&loaded.config, &secrets, &log)? {
        log.mail_by(mail);
    }
    let in_background = detached.is_some();
    let again = move |path: &Path| -> Result<Config, CommandError> {
        let mut config = Config::load_in(&here, path, &[])?.config;
        if in_background {
            surroundings(&mut config)?;
        }
        Ok(config)
    };
    let source = || Source {
        path: file.clone(),
        read: Box::new({
            let (again, file) = (again.clone(), file.clone());
            move || again(&file)
        }),
        log: log.clone(),
    };
    let running = Running {
        source: &source,
        pid_file: pid_file.as_ref(),
        detached: detached.as_ref(),
        signals,
        log: &log,
        standby: args.standby,
        shadow: args.shadow,
    };
    let python = args.python.as_deref();
    let asked = args.begin.asked();
    let result = running.serve(loaded.config, secrets, python, asked).await;
    if let Some(mail) = log.mail() {
        mail.finish();
    }
    log.flush();
    result
}

/// What is different for a process in the background: it begins in `/`, plugins of a `.conf` with
/// umask 0 as well, as the Python daemon has it, and it has nothing but files to say anything in.
/// Its own files keep the umask it was started with: nobody else need write to them.
fn surroundings(config: &mut Config) -> Result<(), CommandError> {
    if config.conf.is_some() {
        config.defaults.umask.get_or_insert(0);
    } else if config.log.folder.is_none() {
        let folder = &config.state.folder;
        own_folder(folder).map_err(|error| {
            error.hint(
                "`slated start` logs to files, there unless `log.folder` names another folder",
            )
        })?;
        config.log.folder = Some(folder.clone());
    }
    Ok(())
}

/// Makes a state folder for the log in it. As the store makes it: readable by its owner alone.
fn own_folder(folder: &Path) -> Result<(), CommandError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| {
        CommandError::configuration(format!("{} cannot be made: {error}", folder.display()))
    })
}

/// What a daemon has around it while it runs.
struct Running<'a> {
    pid_file: Option<&'a PidFile>,
    detached: Option<&'a Detached>,
    signals: Signals,
    log: &'a Log,
    standby: bool,
    shadow: bool,
    /// What is read again on a reload.
    source: &'a dyn Fn() -> Source,
}

impl Running<'_> {
    /// Runs the daemon until it ends.
    async fn serve(
        mut self,
        config: Config,
        secrets: Secrets,
        python: Option<&Path>,
        asked: Asked,
    ) -> Result<(), CommandError> {
        let log = self.log;
        daemon::warn_of_idle_keys(&config);
        tracing::info!(
            "slated {} (process {}) starts.",
            env!("CARGO_PKG_VERSION"),
            std::process::id()
        );
        if self.shadow {
            tracing::info!(
                "This is a shadow: it follows and matches, and calls nothing. What it sees stands in {}.",
                config.state.folder.display()
            );
        }
        if let Some(notice) = self.pid_file.and_then(|file| file.notice.as_ref()) {
            tracing::info!("{notice}");
        }
        let hangups = Arc::new(Notify::new());
        // A closed terminal that has the log ends slated, as it ends any command.
        if log.outlives_terminal() || !io::stderr().is_terminal() {
            let (log, hangups) = (log.clone(), hangups.clone());
            signals::on_hangup(move || {
                log.reopen();
                hangups.notify_one();
            })?;
        }
        let mut secrets = secrets;
        let daemon = loop {
            let teller = Teller::logging(log.clone());
            let source = Some((self.source)());
            let own = config.clone();
            let start: Pin<Box<dyn Future<Output = _>>> = if self.shadow {
                Box::pin(Daemon::start_shadow(own, secrets, python, teller))
            } else {
                Box::pin(Daemon::start(own, secrets, python, asked, teller, source))
            };
            let started = tokio::select! {
                daemon = start => daemon,
                _ = self.signals.next() => {
                    tracing::info!("Stopped before it had started.");
                    return Ok(());
                }
            };
            match started {
                // Another one that stood by was quicker.
                Err(_) if self.standby && standby::is_needed(&config).await? => {
                    if !standby::wait(&config, &mut self.signals).await? {
                        return Ok(());
                    }
                    secrets = config.resolve(&System)?.0;
                }
                started => break started?,
            }
        };
        service::ready();
        tokio::spawn(reload_on(hangups, daemon.desk().clone()));
        self.signals.stop(daemon.stopper());
        if let Some(file) = self.pid_file {
            let (removed, stop) = (file.removed(), daemon.stopper());
            tokio::spawn(async move {
                removed.await;
                if !stop.is_cancelled() {
                    tracing::warn!("The pid file was removed: stopping.");
                    stop.cancel();
                }
            });
        }
        if let Some(detached) = self.detached
            && detached.ready().is_err()
        {
            tracing::warn!("`slated start` was interrupted: stopping.");
            daemon.stopper().cancel();
        }
        let stop = daemon.stopper();
        tokio::spawn(async move {
            stop.cancelled().await;
            service::stopping(daemon::LONGEST_STOP);
        });
        let result = daemon.finish().await;
        match &result {
            Ok(()) => tracing::info!("Stopped; everything is on record."),
            // Nobody sees what is printed.
            Err(error) if self.detached.is_some() => tracing::error!("{error}"),
            Err(error) => {
                if let Some(mail) = self.log.mail() {
                    mail.hear_end(error);
                }
            }
        }
        result
    }
}

/// Has the configuration read again at every SIGHUP. What becomes of it stands in the log.
async fn reload_on(hangups: Arc<Notify>, desk: Desk) {
    loop {
        hangups.notified().await;
        service::reloading();
        desk.read_configuration()
            .await
            .map(drop)
            .unwrap_or_default();
        service::ready();
    }
}
