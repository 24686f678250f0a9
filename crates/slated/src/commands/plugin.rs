//! `slated plugin`: the plugins and how they are.

use clap::Subcommand;

use super::common::ConfigArgs;
use super::status;
use crate::error::CommandError;
use crate::out;

/// List plugins
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List all plugins with their state, lag and last outcome
    List {
        #[command(flatten)]
        config: ConfigArgs,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let Verb::List { config, json } = args.verb;
    let status = status::fetch(&config.load()?.config).await?;
    if json {
        return out::json(&status.plugins);
    }
    status::plugins(&status.plugins);
    Ok(())
}
