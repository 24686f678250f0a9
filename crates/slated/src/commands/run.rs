//! `slated run`: follow the site and run plugins, in the foreground.

use std::path::PathBuf;

use slated_config::{Level, LogFormat, System};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use super::common::ConfigArgs;
use crate::daemon::{self, Daemon};
use crate::error::CommandError;
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
    let daemon = Daemon::start(
        loaded.config,
        secrets,
        args.python.as_deref(),
        Teller::new(),
    )
    .await?;
    stop_on_signals(&daemon)?;
    let result = daemon.finish().await;
    if result.is_ok() {
        tracing::info!("Stopped; everything is on record.");
    }
    result
}

/// Sends the log to stderr.
fn start_log(level: Level, format: LogFormat) {
    let level = match level {
        Level::Trace => LevelFilter::TRACE,
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => log.json().init(),
        LogFormat::Human => log.init(),
    }
}

/// Stops the daemon at the first signal, and the process at the second.
pub(crate) fn stop_on_signals(daemon: &Daemon) -> Result<(), CommandError> {
    let fail = |e| CommandError::internal(format!("cannot listen to signals: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    let stop = daemon.stopper();
    tokio::spawn(async move {
        let mut first = true;
        loop {
            let number = tokio::select! {
                _ = terminate.recv() => 15,
                _ = interrupt.recv() => 2,
            };
            if !std::mem::replace(&mut first, false) {
                at_once(number);
            }
            stop.cancel();
        }
    });
    Ok(())
}

/// Ends without waiting. Workers see their pipe hang up and end themselves; what they had not
/// answered counts as not done.
#[expect(clippy::exit, reason = "a person who asks twice wants no further word")]
fn at_once(signal: i32) {
    std::process::exit(128 + signal)
}
