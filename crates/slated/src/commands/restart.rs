//! `slated restart`: stop, then start.

use super::{run, start, stop};
use crate::error::CommandError;

/// Stop the running slated, if one runs, and start it in the background
///
/// A configuration that cannot be read stops nothing.
#[derive(clap::Args)]
// The flattened ones have a group of this name.
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    run: run::Args,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    stop::stop(&args.run.check()?).await?;
    start::launch().await
}
