//! `slated state`: what slated remembers, looked through, copied and put back.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;
use slated_store::{Checked, Sqlite};

use super::common::ConfigArgs;
use crate::error::CommandError;
use crate::out;

/// Check, back up or restore what slated remembers
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Look through the whole state: is every row what was written?
    ///
    /// Also while a daemon runs, which it does not hold up.
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Copy the state, also of a running daemon, to a new file
    ///
    /// The copy is the state of one moment, and is looked through. It holds what the site said of its
    /// events: keep it like the state itself.
    Backup {
        #[command(flatten)]
        config: ConfigArgs,
        /// The file to make; one that stands is never replaced
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Put a backup in the place of the state, while no daemon runs
    ///
    /// What slated did since the backup is not on record in it: those events are read and handled
    /// again. The state that stood there is kept beside it.
    Restore {
        #[command(flatten)]
        config: ConfigArgs,
        /// The backup
        file: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// What a look through a state found, as `--json` prints it.
#[derive(Serialize)]
struct StateCheck {
    sound: bool,
    events: u64,
    outcomes: u64,
    /// What is wrong: the first 20.
    damage: Vec<String>,
    /// How much is wrong beyond that.
    more: u64,
    /// The file made, or the state that was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

impl StateCheck {
    fn of(checked: Checked, file: Option<PathBuf>) -> Self {
        Self {
            sound: checked.is_sound(),
            events: checked.events,
            outcomes: checked.outcomes,
            damage: checked.damage,
            more: checked.more,
            file,
        }
    }
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    // A look through a large state takes minutes.
    tokio::task::spawn_blocking(move || act(args.verb))
        .await
        .map_err(CommandError::internal)?
}

fn act(verb: Verb) -> Result<(), CommandError> {
    match verb {
        Verb::Check { config, json } => {
            let folder = config.load()?.config.state.folder;
            let checked = Sqlite::check(&folder)?;
            tell(
                &StateCheck::of(checked, None),
                json,
                "the state is sound",
                || {
                    "stop slated, keep a copy of the folder, and `slated state restore` a backup"
                        .into()
                },
            )
        }
        Verb::Backup { config, file, json } => {
            let folder = config.load()?.config.state.folder;
            if file.exists() {
                return Err(
                    CommandError::usage(format!("{} stands already", file.display()))
                        .hint("name a file that is not there: a backup never replaces one"),
                );
            }
            let checked = Sqlite::back_up(&folder, &file)?;
            let done = format!("the state was copied to {}", file.display());
            tell(&StateCheck::of(checked, Some(file)), json, &done, || {
                "the state itself is damaged: `slated state check`; an older backup may be sound"
                    .into()
            })
        }
        Verb::Restore { config, file, json } => {
            let folder = config.load()?.config.state.folder;
            let (checked, aside) = Sqlite::restore(&folder, &file)?;
            let kept = aside
                .as_ref()
                .map(|aside| format!("; the one that stood there is {}", aside.display()));
            let kept = kept.unwrap_or_default();
            let done = format!("{} is the state now{kept}", file.display());
            tell(&StateCheck::of(checked, aside), json, &done, || {
                "nothing was changed; restore another backup".into()
            })
        }
    }
}

fn tell(
    found: &StateCheck,
    json: bool,
    done: &str,
    hint: impl FnOnce() -> String,
) -> Result<(), CommandError> {
    if json {
        out::json(found)?;
    } else if found.sound {
        let (events, outcomes) = (found.events, found.outcomes);
        out::line(format!("{done} ({events} events, {outcomes} outcomes)"));
    }
    if found.sound {
        return Ok(());
    }
    let more = match found.more {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    let damage = found.damage.join("\n  ");
    Err(CommandError::configuration(format!("damaged:\n  {damage}{more}")).hint(hint()))
}
