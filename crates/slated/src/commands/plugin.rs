//! `slated plugin`: the plugins and how they are, and what a person does to one.

mod act;
mod rewind;
pub(super) mod show;

use clap::Subcommand;
use slated_model::EventId;

use super::common::ConfigArgs;
use super::status;
use crate::error::CommandError;
use crate::out;
use crate::view::{Begin, skip_reason};

/// List plugins, look at one, stop, resume or reload it
///
/// NAME is a file's stem, or FOLDER/STEM with the folder as it is configured.
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
    /// Show everything about one plugin
    ///
    /// Its state and why, its callbacks and what they ask for, where it stands in the log, what is
    /// set for it and where, and its last outcomes.
    Show(Named),
    /// Stop a plugin until `plugin resume`
    ///
    /// Callbacks in flight finish, for a minute at most. It stays stopped over edits of its file and
    /// restarts of slated. Without a daemon it is put on record.
    Stop(Named),
    /// Let a stopped, held or quarantined plugin go on
    Resume {
        #[command(flatten)]
        named: Named,
        /// Where to begin: `failed`, `latest`, or an event id
        ///
        /// `failed`, without which nothing is skipped: with the event that failed, or where it
        /// stood. `latest`: with what comes next. An id: with that event of the log, or the first
        /// after it. What is skipped is on record.
        #[arg(long, value_name = "failed|latest|ID")]
        from: Option<Begin>,
    },
    /// Load a plugin's file anew, though it did not change
    ///
    /// As an edit does: the running process finishes what it was sent, and a held plugin goes on
    /// with the event that failed. For helper modules that changed.
    Reload(Named),
    /// Have a plugin not get an event
    ///
    /// What it has not finished of it is discarded, and the reason stays on record. A plugin that is
    /// held there goes on behind it. An event still ahead is skipped when its turn comes.
    Skip {
        #[command(flatten)]
        named: Named,
        /// The site's id of the event
        event: u64,
        /// Why; it stays on record
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Have a plugin go back to an event of the log, and go on from there
    ///
    /// It gets what is not done: what it skipped, what was discarded, dead letters, and what its
    /// callbacks ask for by now. What is done is left alone. Shows first what that comes to.
    Rewind {
        #[command(flatten)]
        named: Named,
        /// The event that it comes to first
        #[arg(long, value_name = "ID")]
        to: u64,
        /// Run again what is done, too
        #[arg(long)]
        again: bool,
        /// Do it without a question
        #[arg(short, long)]
        yes: bool,
    },
}

/// Which plugin, and how to print it.
#[derive(clap::Args)]
struct Named {
    #[command(flatten)]
    config: ConfigArgs,
    /// The plugin: STEM or FOLDER/STEM
    name: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    match args.verb {
        Verb::List { config, json } => {
            let status = status::fetch(&config.load()?.config).await?;
            if json {
                return out::json(&status.plugins);
            }
            status::plugins(&status.plugins);
            Ok(())
        }
        Verb::Show(named) => {
            let config = named.config.load()?.config;
            let plugin = show::fetch(&config, &named.name).await?;
            if named.json {
                return out::json(&plugin);
            }
            show::print(&plugin);
            Ok(())
        }
        Verb::Stop(named) => act::run(&named, act::Wish::Stop).await,
        Verb::Resume { named, from } => act::run(&named, act::Wish::Resume(from)).await,
        Verb::Reload(named) => act::run(&named, act::Wish::Reload).await,
        Verb::Skip {
            named,
            event,
            reason,
        } => {
            let reason = skip_reason(reason);
            let event = EventId(event);
            act::run(&named, act::Wish::Skip { event, reason }).await
        }
        Verb::Rewind {
            named,
            to,
            again,
            yes,
        } => rewind::run(&named, EventId(to), again, yes).await,
    }
}
