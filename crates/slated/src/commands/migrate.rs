//! `slated migrate`: from the Python daemon to slated, and back.
//!
//! There: `toml` writes the new configuration. Back: what the Python daemon has to know is decided
//! in `core::leave`; `stand` reads the record for it, `put` writes the file, `tell` says what
//! became of it.

mod put;
mod stand;
mod tell;
mod toml;

use std::path::{Path, PathBuf};

use jiff::civil::DateTime;
use serde::{Serialize, Serializer};
use slated_config::Config;
use slated_core::leave::{self, Position};
use slated_model::{CallbackId, EventId, Hole, PluginId};
use slated_store::{EventIdFile, OldPlugin, Options, Sqlite};

use super::common::ConfigArgs;
use crate::error::CommandError;
use crate::pid_file::{self, Holder};
use crate::{clock, out};

/// Make a slated.toml of a shotgunEventDaemon.conf, or go back to the Python daemon
///
/// The new file means what the .conf means: each value with the line it stood in, and whatever only a
/// .conf means written out. A key or password that stands in the .conf goes to a file of its own beside
/// it, which only you may open. Nothing else changes: the state goes on where it stands, and the .conf
/// stays as it is. Files that are there already are left alone.
///
/// With --export-state it writes where every plugin stands to a file that the Python daemon begins
/// with. Stop slated first, and start the Python daemon when the file is written: it looks for ids that
/// are missing for five minutes, and what both did would be done twice.
///
/// A file that stands at PATH already is kept beside it as PATH.bak (PATH.bak.2, and so on). What
/// the Python daemon cannot be told is listed: holes older than five minutes, dead letters, more
/// than 1,000 missing ids of a plugin, events that callbacks will get again. slated's own state
/// is not changed.
///
/// When the Python daemon finds a missing id, it goes back there and runs what comes after it
/// again: best stop slated while `slated status` shows no retries.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slated migrate --output -
      What would the new file say?
  slated migrate --config /etc/shotgunEventDaemon.conf --output /etc/slated/slated.toml
      Write it
  slated migrate --export-state /var/log/shotgunEventDaemon/shotgunEventDaemon.id
      Back to the Python daemon")]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Write the new configuration to this file; - prints it
    #[arg(long, short, value_name = "FILE", default_value = "slated.toml")]
    output: PathBuf,
    /// Write it over files that are there
    #[arg(long)]
    force: bool,
    /// Write the positions to this file, mostly the `eventIdFile` of the Python daemon
    #[arg(long, value_name = "PATH", conflicts_with_all = ["output", "force"])]
    export_state: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long, requires = "export_state")]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let Some(path) = args.export_state else {
        return toml::run(&args.config, &args.output, args.force).await;
    };
    let config = args.config.load()?.config;
    let export = export(&config, &path).await?;
    if args.json {
        out::json(&export)?;
    } else {
        tell::table(&export);
    }
    tell::talk(&export);
    Ok(())
}

/// What was written, and what was left.
#[derive(Debug, Serialize)]
struct Export {
    /// The file.
    path: PathBuf,
    /// What stood there before, where it is now.
    kept: Option<PathBuf>,
    /// When the Python daemon stops looking for missing ids, in local time.
    #[serde(serialize_with = "to_the_second")]
    expires: DateTime,
    plugins: Vec<Exported>,
    /// Plugins that do not know yet where they begin.
    without_position: Vec<PluginId>,
    /// Holes that the Python daemon would not look for any more.
    old_holes: Vec<Hole>,
    dead_letters: Vec<DeadLetter>,
    /// There are more than are listed.
    more_dead_letters: bool,
}

fn to_the_second<S: Serializer>(at: &DateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&at.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// One plugin of the file.
#[derive(Debug, Serialize)]
struct Exported {
    plugin: PluginId,
    /// The folder by which it stands in the file.
    folder: String,
    #[serde(flatten)]
    position: Position,
    /// A person stopped it, which the Python daemon does not know of.
    stopped: bool,
}

/// An event that a callback failed on for good.
#[derive(Debug, Serialize)]
struct DeadLetter {
    plugin: PluginId,
    callback: CallbackId,
    event: EventId,
}

async fn export(config: &Config, path: &Path) -> Result<Export, CommandError> {
    refuse_python_daemon(config).await?;
    let folder = &config.state.folder;
    // Makes nothing where there is no state. An older one is brought up to date below.
    match Sqlite::open_read_only(folder) {
        Err(slated_store::Error::Older { .. }) | Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    // Holds the lock until the file is written: what ran meanwhile would run twice.
    let store = Sqlite::open(folder, &Options::default()).map_err(in_use)?;
    let record = stand::read(&store).await?;
    let expires = clock::local_in(leave::PATIENCE);

    let spelled: Vec<String> = config
        .plugins
        .folders
        .iter()
        .map(|folder| match &config.conf {
            Some(_) => folder.written.clone(),
            // Beside a slated.toml stands no file that says how the Python daemon names it.
            None => folder.path.to_string_lossy().into_owned(),
        })
        .collect();
    let names = config.plugins.folders.iter().zip(&spelled);
    let names: Vec<_> = names
        .map(|(folder, spelled)| (folder.plugin("").folder().to_owned(), spelled))
        .collect();
    let mut plugins = Vec::new();
    let mut written = Vec::new();
    for (lane, position) in record.positions {
        let own = lane.plugin.folder();
        let spelled = names.iter().find(|(name, _)| name == own);
        let folder = spelled.map_or(own, |(_, spelled)| spelled.as_str());
        written.push(OldPlugin {
            plugin: PluginId::new(folder, lane.plugin.stem()),
            last: Some(position.last),
            missing: position.missing.clone(),
        });
        plugins.push(Exported {
            folder: folder.to_owned(),
            position,
            stopped: lane.stopped,
            plugin: lane.plugin,
        });
    }
    if plugins.is_empty() {
        return Err(nothing(folder));
    }
    let pickle = EventIdFile::to_pickle(&written, &spelled, expires);
    let (path, kept) = put::put(path, &pickle)?;
    store.close().await;
    Ok(Export {
        path,
        kept,
        expires,
        plugins,
        without_position: record.without_position,
        old_holes: record.old_holes,
        dead_letters: record.dead_letters,
        more_dead_letters: record.more_dead_letters,
    })
}

/// Refuses to write positions beside a Python daemon that runs: it has its own in memory, and writes
/// them over the file with the next event.
async fn refuse_python_daemon(config: &Config) -> Result<(), CommandError> {
    let Some(path) = config.conf.as_ref().and_then(|conf| conf.pid_file.as_ref()) else {
        return Ok(());
    };
    let Holder::PythonDaemon(pid, stop) = pid_file::holder(path).await? else {
        return Ok(());
    };
    Err(CommandError::configuration(format!(
        "the Python event daemon runs as process {pid} ({} names it): it goes on with what it has in memory, and writes that over what is written here",
        path.display()
    ))
    .hint(format!("stop it first: {stop}")))
}

fn in_use(error: slated_store::Error) -> CommandError {
    match error {
        slated_store::Error::InUse { .. } => CommandError::configuration(error).hint(
            "stop it first: where the plugins stand is known when nothing runs, and what both daemons did would be done twice",
        ),
        other => other.into(),
    }
}

fn nothing(folder: &Path) -> CommandError {
    CommandError::configuration(format!(
        "the state in {} holds no plugin that knows where it stands; nothing was written",
        folder.display()
    ))
    .hint("slated has never read the site with it: the Python daemon goes on with what it has")
}
