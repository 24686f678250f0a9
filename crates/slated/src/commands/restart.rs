//! `slated restart`: stop, then start.

use super::{run, start, stop};
use crate::error::CommandError;

/// Stop the running slated, if one runs, and start it in the background
///
/// What the start would be refused for is looked at first, and stops nothing: the configuration, the log,
/// the state, and which Python runs plugins.
#[derive(clap::Args)]
// The flattened ones have a group of this name.
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    run: run::Args,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    stop::stop(&args.run.foresee().await?).await?;
    start::launch().await
}
