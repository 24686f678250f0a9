//! What several commands share: finding the configuration, asking the daemon or the store.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use slated_config::{Config, Loaded, System};
use slated_core::begin::{Asked, Chosen, StateChoice};
use slated_model::EventId;
use slated_store::{Options, Sqlite};

use crate::error::CommandError;
use crate::web::client::{self, Answer};

/// Which configuration.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ConfigArgs {
    /// Read this configuration
    ///
    /// Without it: ./slated.toml, then slated/slated.toml in $XDG_CONFIG_HOME, then
    /// /etc/slated/slated.toml; then shotgunEventDaemon.conf beside the program, then in /etc.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl ConfigArgs {
    /// Reads the configuration.
    pub(crate) fn load(&self) -> Result<Loaded, CommandError> {
        Ok(Config::load(&self.path()?, &[])?)
    }
    /// Returns the file that is read.
    pub(crate) fn path(&self) -> Result<PathBuf, CommandError> {
        Ok(match &self.config {
            Some(path) => path.clone(),
            None => slated_config::find(&System, std::path::Path::exists)?,
        })
    }
}

/// Where a state begins, and which counts, for every command that starts a daemon.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub(crate) struct BeginArgs {
    /// Choose the state that counts, when slated has one and `eventIdFile` of the .conf has changed
    ///
    /// `keep` goes on with slated's own; `import` with the file's, and moves slated's aside. Where
    /// nothing has changed it does nothing.
    #[arg(long, value_name = "WHICH")]
    state: Option<StateArg>,
    /// Begin a new state with what is seen from now on, whatever `eventIdFile` says
    #[arg(long, conflicts_with = "from_id")]
    from_latest: bool,
    /// Begin a new state with event ID for every plugin, whatever `eventIdFile` says
    #[arg(long, value_name = "ID")]
    from_id: Option<u64>,
    /// Go on with a state that is bound to another address: the same site has moved
    ///
    /// A site that shows none of the events that were seen, as they were, is refused before anything is
    /// changed. Where the address has not changed it does nothing.
    #[arg(long)]
    site_moved: bool,
}

/// Which state.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum StateArg {
    Keep,
    Import,
}

impl BeginArgs {
    /// Returns what was asked for.
    pub(crate) fn asked(self) -> Asked {
        Asked {
            state: self.state.map(|which| match which {
                StateArg::Keep => StateChoice::Keep,
                StateArg::Import => StateChoice::Import,
            }),
            from: match self.from_id {
                Some(id) => Some(Chosen::Id(EventId(id))),
                None => self.from_latest.then_some(Chosen::Latest),
            },
            site_moved: self.site_moved,
        }
    }
}

/// Asks the daemon; where none runs, `offline` answers from the store.
pub(crate) async fn ask<T: DeserializeOwned>(
    config: &Config,
    path: &str,
    offline: impl AsyncFnOnce(Sqlite) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    match client::get(&config.state.folder, path).await? {
        Answer::Found(answer) => Ok(answer),
        Answer::Refused(why) => Err(why.into()),
        Answer::NoDaemon => offline(Sqlite::open_read_only(&config.state.folder)?).await,
    }
}

/// Changes the state under its lock, where no daemon runs. A state that is not there is not made.
pub(crate) async fn on_record<T>(
    config: &Config,
    change: impl AsyncFnOnce(&Sqlite) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let folder = &config.state.folder;
    drop(Sqlite::open_read_only(folder)?);
    let store = Sqlite::open(folder, &Options::default())?;
    let changed = change(&store).await;
    store.close().await;
    changed
}

/// Returns how long ago a moment was, for people: `3 s ago`.
pub(crate) fn ago(at_ms: i64) -> String {
    let ms = (crate::clock::wall_ms() - at_ms).max(0);
    match ms / 1000 {
        0..60 => format!("{} s ago", ms / 1000),
        60..3600 => format!("{} min ago", ms / 60_000),
        3600..172_800 => format!("{} h ago", ms / 3_600_000),
        _ => format!("{} d ago", ms / 86_400_000),
    }
}
