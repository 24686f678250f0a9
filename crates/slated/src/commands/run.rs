//! `slated run`: follow the site and run plugins, in the foreground.

use std::path::PathBuf;

use slated_config::{Level, LogFormat, System};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::common::ConfigArgs;
use crate::daemon::{self, Daemon};
use crate::error::CommandError;
use crate::signals::Signals;
use crate::tell::Teller;

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
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let loaded = args.config.load()?;
    let (secrets, secret_warnings) = loaded.config.resolve(&System)?;
    start_log(loaded.config.log.level, loaded.config.log.format);
    for warning in loaded.warnings.0.iter().chain(&secret_warnings.0) {
        tracing::warn!("{warning}");
    }
    daemon::warn_of_idle_keys(&loaded.config);
    tracing::info!(
        "slated {} (process {}) starts.",
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    );
    // From here on, so that a stop in the middle of the start is one, too.
    let mut signals = Signals::listen()?;
    let python = args.python.as_deref();
    let start = Daemon::start(loaded.config, secrets, python, Teller::new());
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

/// Sends the log to stderr. What libraries say of themselves is left out, short of a warning.
fn start_log(level: Level, format: LogFormat) {
    let level = match level {
        Level::Trace => LevelFilter::TRACE,
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    let filter = Targets::new()
        .with_target("slated", level)
        .with_default(level.min(LevelFilter::WARN));
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => log.json().finish().with(filter).init(),
        LogFormat::Human => log.finish().with(filter).init(),
    }
}
