//! The command line: what can be asked of slated.

use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

use crate::commands::{
    check, demo, events, failures, follow, init, migrate, plugin, reload, replay, restart, run,
    shadow, sim, start, state, status, stop, tryout,
};
use crate::error::CommandError;
use crate::service;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Follow the event log of a Flow Production Tracking site and hand every event to plugins
///
/// Each plugin runs in a process of its own, gets every event it asked for, in order, and what
/// became of it is on record.
///
/// Begin with `slated demo`: it needs no site.
#[derive(Parser)]
#[command(name = "slated", version, styles = STYLES, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(visible_alias = "foreground")]
    Run(run::Args),
    Check(check::Args),
    Start(start::Args),
    Stop(stop::Args),
    Restart(restart::Args),
    Reload(reload::Args),
    Status(status::Args),
    Plugin(plugin::Args),
    Events(events::Args),
    Failures(failures::Args),
    Follow(follow::Args),
    Replay(replay::Args),
    Try(Box<tryout::Args>),
    Shadow(shadow::Args),
    State(state::Args),
    Sim(sim::Args),
    Demo(demo::Args),
    Init(init::Args),
    Migrate(migrate::Args),
}

/// Does what the command line asks.
pub(crate) fn run() -> Result<ExitCode, CommandError> {
    let cli = Cli::parse();
    if matches!(cli.command, Command::Run(_)) && service::init::is_wanted() {
        return service::init::run();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CommandError::internal(format!("cannot start: {e}")))?;
    let result = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => Box::pin(run::run(args)).await,
            Command::Check(args) => Box::pin(check::run(args)).await,
            Command::Start(args) => Box::pin(start::run(args)).await,
            Command::Stop(args) => stop::run(args).await,
            Command::Restart(args) => restart::run(args).await,
            Command::Reload(args) => reload::run(args).await,
            Command::Status(args) => status::run(args).await,
            Command::Plugin(args) => plugin::run(args).await,
            Command::Events(args) => events::run(args).await,
            Command::Failures(args) => failures::run(args).await,
            Command::Follow(args) => follow::run(args).await,
            Command::Replay(args) => Box::pin(replay::run(args)).await,
            Command::Try(args) => Box::pin(tryout::run(*args)).await,
            Command::Shadow(args) => shadow::run(args),
            Command::State(args) => state::run(args).await,
            Command::Sim(args) => Box::pin(sim::run(args)).await,
            Command::Demo(args) => Box::pin(demo::run(args)).await,
            Command::Init(args) => init::run(&args),
            Command::Migrate(args) => migrate::run(args).await,
        }
    });
    // What is still blocked (a read of a terminal, a slow disk) must not keep us.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    // Nor may workers go on, where a store that failed, or an overrun stop, left some.
    slated_host::kill_all();
    result.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_line_can_be_built() {
        Cli::command().debug_assert();
    }
}
