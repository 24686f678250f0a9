//! `slated run`: follow the site and run plugins, in the foreground.

use std::path::{Path, PathBuf};

use slated_config::{Config, Secrets, System};
use slated_core::begin::Asked;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::common::{BeginArgs, ConfigArgs};
use crate::daemon::{self, Daemon};
use crate::error::CommandError;
use crate::signals::{self, Signals};
use crate::tell::{Log, Teller};

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
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let loaded = args.config.load()?;
    let (secrets, secret_warnings) = loaded.config.resolve(&System)?;
    let log = Log::start(&loaded.config)?;
    tracing_subscriber::registry().with(log.listener()).init();
    for warning in loaded.warnings.0.iter().chain(&secret_warnings.0) {
        tracing::warn!("{warning}");
    }
    let python = args.python.as_deref();
    let asked = args.begin.asked();
    let result = serve(loaded.config, secrets, python, asked, &log).await;
    log.flush();
    result
}

/// Runs the daemon until it ends.
async fn serve(
    config: Config,
    secrets: Secrets,
    python: Option<&Path>,
    asked: Asked,
    log: &Log,
) -> Result<(), CommandError> {
    daemon::warn_of_idle_keys(&config);
    tracing::info!(
        "slated {} (process {}) starts.",
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    );
    // From here on, so that a stop in the middle of the start is one, too.
    let mut signals = Signals::listen()?;
    // Without files a closed terminal ends slated, as it ends any command.
    if log.outlives_terminal() {
        let log = log.clone();
        signals::on_hangup(move || log.reopen())?;
    }
    let start = Daemon::start(config, secrets, python, asked, Teller::logging(log.clone()));
    let daemon = tokio::select! {
        daemon = Box::pin(start) => daemon?,
        _ = signals.next() => {
            tracing::info!("Stopped before it had started.");
            return Ok(());
        }
    };
    signals.stop(daemon.stopper());
    let result = daemon.finish().await;
    if result.is_ok() {
        tracing::info!("Stopped; everything is on record.");
    }
    result
}
