//! `slated follow accept` and `rewind`: how to go on after "anchor lost".

use std::io::{self, BufRead as _, IsTerminal as _};

use clap::Subcommand;
use serde_json::json;

use super::common::ConfigArgs;
use crate::error::CommandError;
use crate::out;
use crate::view::DecisionView;
use crate::web::client::{self, Answer};

/// Go on when the site is not the one that was followed
///
/// slated knows its site by events it has seen. Where those differ or are gone, the site was restored,
/// cloned or exchanged, and slated reads nothing more until a person decides. Each verb first compares
/// the site with the log, and says what it would do.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Take the site as it is: what it has now counts as handled elsewhere
    ///
    /// Where the site only hides events, nothing is skipped.
    Accept {
        #[command(flatten)]
        how: How,
    },
    /// Go back to where the site and the log agree, and read on from there
    ///
    /// For a site that was restored to an earlier time: what slated saw after that is void, and every
    /// plugin is given what the site has written since.
    Rewind {
        #[command(flatten)]
        how: How,
    },
}

#[derive(clap::Args)]
struct How {
    #[command(flatten)]
    config: ConfigArgs,
    /// Do it; without, on a terminal, you are asked
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    match args.verb {
        Verb::Accept { how } => how.decide("accept").await,
        Verb::Rewind { how } => how.decide("rewind").await,
    }
}

impl How {
    async fn decide(&self, choice: &str) -> Result<(), CommandError> {
        let mut told = self.ask(choice, self.yes).await?;
        if self.json {
            return out::json(&told);
        }
        if !told.done {
            out::line(&told);
            if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
                out::talk(format!(
                    "Nothing was changed: `slated follow {choice} --yes` does it."
                ));
                return Ok(());
            }
            out::talk(format!("Do it? Type `{choice}` to say so:"));
            let mut said = String::new();
            io::stdin().lock().read_line(&mut said).unwrap_or_default();
            if said.trim() != choice {
                out::talk("Nothing was changed.");
                return Ok(());
            }
            told = self.ask(choice, true).await?;
        }
        out::line(&told);
        Ok(())
    }

    async fn ask(&self, choice: &str, yes: bool) -> Result<DecisionView, CommandError> {
        let config = self.config.load()?.config;
        let path = format!("/api/v1/follow/{choice}");
        match client::post(&config.state.folder, &path, &json!({ "yes": yes })).await? {
            Answer::Found(told) => Ok(told),
            Answer::Refused(why) => Err(why.into()),
            Answer::NoDaemon => Err(CommandError::usage(
                "no daemon runs, and it is one that compares the site with the log",
            )
            .hint("start it with `slated run`; it reads nothing before you have decided")),
        }
    }
}
