//! How this daemon begins: finds the state that counts, and puts the first one on record.
//!
//! `core::begin` decides; here the `eventIdFile` and our own state are read, a state that was
//! chosen against is moved aside, and what a first start begins with is written down.
//!
//! Invariant: lanes, the place to read from and what was known of the file are durable, in one
//! transaction, before anything is read from the site. A start that is killed before begins from
//! nothing, one that is killed after it goes on. Invariant: a refusal leaves no trace.

mod file;
mod first;
mod foresee;
mod refuse;

use std::path::{Path, PathBuf};

use slated_config::{Config, NewPlugins};
use slated_core::begin::{self, Asked, Ours, Present, Verdict};
use slated_core::follow;
use slated_model::{Beginning, Change, EventId, PluginId, Start};
use slated_site::{Client, Query};
use slated_store::{Error, Options, Snapshot, Sqlite, Store};

use self::file::IdFile;
use self::first::First;
pub(crate) use self::first::lane_from;
use super::since::Since;
use super::sources;
use crate::error::CommandError;

/// What a start has to go by.
pub(crate) struct Begin<'a> {
    config: &'a Config,
    asked: Asked,
    present: Vec<Present>,
    file: Option<IdFile>,
    /// Where plugins without a position begin, if the site had to be asked for it.
    since: Option<EventId>,
}

/// A state that can be worked with.
pub(crate) struct Begun {
    pub(crate) store: Sqlite,
    pub(crate) snapshot: Snapshot,
    /// Where the site is read from, if it was not read before.
    pub(crate) start: Start,
}

/// What a start comes to.
enum Plan {
    GoOn,
    Keep(Beginning),
    Anew { aside: bool, first: First },
}

impl<'a> Begin<'a> {
    /// Reads what a start of the plugins `known` goes by.
    pub(crate) fn look(
        config: &'a Config,
        known: &[PluginId],
        asked: Asked,
    ) -> Result<Self, CommandError> {
        let id_file = config
            .conf
            .as_ref()
            .and_then(|conf| conf.id_file.as_deref());
        let present = known.iter().map(|plugin| Present {
            plugin: plugin.clone(),
            registers: sources::registers(&config.plugins.folders, plugin),
        });
        Ok(Self {
            config,
            asked,
            present: present.collect(),
            file: id_file.map(IdFile::read).transpose()?.flatten(),
            since: None,
        })
    }

    /// Asks the site which event a first start begins with, where the configuration names a time.
    /// Nothing is on record yet, so the site must answer.
    pub(crate) async fn resolve(&mut self, since: &Since) -> Result<(), CommandError> {
        // Older, or damaged: not a first start.
        let Ok(state) = self.visit().await else {
            return Ok(());
        };
        let read = |(snapshot, _): &(Snapshot, Sqlite)| {
            let begun = snapshot.beginning.as_ref();
            snapshot.ledger.is_some() || begun.is_some_and(|b| b.start.is_some())
        };
        let anew = matches!(self.plan(state.as_ref()).await?, Plan::Anew { .. });
        if !anew && state.as_ref().is_some_and(read) {
            return Ok(());
        }
        self.since = since.first().await.map_err(|error| {
            CommandError::site(&error).hint(error.hint()).hint(
                "a first start with `new_plugins = \"ago:…\"` asks the site once where that is",
            )
        })?;
        Ok(())
    }

    /// Refuses what a look at the state shows to be refused. Writes nothing, and needs no lock.
    pub(crate) async fn refuse_early(&self) -> Result<(), CommandError> {
        match self.visit().await {
            Ok(state) => self.plan(state.as_ref()).await.map(drop),
            Err(error @ (Error::Newer { .. } | Error::NetworkFolder { .. })) => Err(error.into()),
            // Whoever opens it for writing can say more of it, or mend it.
            Err(_) => Ok(()),
        }
    }

    /// Refuses a site at a new address that shows nothing of what was seen: plugins would write to a
    /// stranger what the log has for them. Writes nothing.
    pub(crate) async fn recognise(&self, client: &Client) -> Result<(), CommandError> {
        let asked = self.config.site.url.identity();
        // One that cannot be read is refused when it is opened.
        let Ok(Some(state)) = self.visit().await else {
            return Ok(());
        };
        let plan = self.plan(Some(&state)).await?;
        let Some(bound) = state.0.site.as_ref().filter(|bound| **bound != asked) else {
            return Ok(());
        };
        let ledger = state.0.ledger.as_ref();
        let known = ledger.map_or(&[][..], |ledger| &ledger.anchors);
        if known.is_empty() || matches!(plan, Plan::Anew { .. }) {
            return Ok(());
        }
        let ids = known.iter().map(|anchor| anchor.id).collect();
        let page = client.read(&Query::Ids(ids)).await.map_err(|error| {
            CommandError::site(format!(
                "whether {asked} is the site that was followed at {bound} cannot be seen: {error}"
            ))
            .hint(error.hint())
        })?;
        if follow::is_known(known, &page.events) {
            return Ok(());
        }
        Err(refuse::stranger(bound, &asked, known.len()))
    }

    /// Opens the state for writing, and puts on record how it begins.
    pub(crate) async fn open(&self) -> Result<Begun, CommandError> {
        loop {
            let store = Sqlite::open(self.folder(), &Options::default())?;
            if let Some(migrated) = store.migrated() {
                tracing::info!(
                    "The state was brought from format {} to {}; a copy of it stands in {}.",
                    migrated.from,
                    migrated.to,
                    migrated.copy.display()
                );
            }
            let state = (store.snapshot().await?, store);
            let mut changes = match self.plan(Some(&state)).await? {
                Plan::GoOn => Vec::new(),
                Plan::Keep(beginning) => {
                    tracing::warn!(
                        "slated goes on with its own state; the eventIdFile as it is now is not asked about again."
                    );
                    vec![Change::Began(beginning)]
                }
                Plan::Anew { aside: true, .. } => {
                    // Nobody will know of them afterwards.
                    super::end_stale_workers(&state.0, &state.1).await?;
                    state.1.close().await;
                    drop(state);
                    self.set_aside()?;
                    continue;
                }
                Plan::Anew { first, .. } => {
                    first.tell();
                    first.changes()
                }
            };
            let (mut snapshot, store) = state;
            changes.extend(self.moved(&snapshot));
            if !changes.is_empty() {
                store.record(changes).await?;
                snapshot = store.snapshot().await?;
            }
            let start = snapshot.beginning.as_ref().and_then(|b| b.start.clone());
            let start = start.unwrap_or_else(|| self.configured());
            return Ok(Begun {
                store,
                snapshot,
                start,
            });
        }
    }

    fn folder(&self) -> &Path {
        &self.config.state.folder
    }

    /// Reads our state without opening it for writing; `None` if there is none.
    async fn visit(&self) -> slated_store::Result<Option<(Snapshot, Sqlite)>> {
        let store = match Sqlite::open_read_only(self.folder()) {
            Err(Error::Absent { .. }) => return Ok(None),
            store => store?,
        };
        Ok(Some((store.snapshot().await?, store)))
    }

    async fn plan(&self, state: Option<&(Snapshot, Sqlite)>) -> Result<Plan, CommandError> {
        let begun = state.filter(|(snapshot, _)| has_begun(snapshot));
        let ours = begun.map(|(snapshot, _)| Ours {
            beginning: snapshot.beginning.as_ref(),
            placed: snapshot.ledger.is_some(),
        });
        let file = self.file.as_ref();
        let remembered = file.map(|file| file.read.clone());
        let verdict = begin::judge(ours, remembered.as_ref(), self.asked);
        if let (Verdict::GoOn | Verdict::Keep, Some((snapshot, _))) = (&verdict, begun) {
            self.refuse_other_site(snapshot)?;
        }
        Ok(match verdict {
            Verdict::GoOn => Plan::GoOn,
            Verdict::Keep => Plan::Keep(Beginning {
                start: ours.and_then(|ours| ours.beginning?.start.clone()),
                file: remembered,
            }),
            Verdict::Begin { aside, with } => Plan::Anew {
                aside,
                first: self.first(with),
            },
            Verdict::Refuse(why) => {
                let ours = begun.map(|(snapshot, store)| -> (&dyn Store, _) { (store, snapshot) });
                return Err(refuse::refusal(why, file, self.folder(), ours).await?);
            }
        })
    }

    /// Refuses to go on with a state of another site.
    fn refuse_other_site(&self, snapshot: &Snapshot) -> Result<(), CommandError> {
        let asked = self.config.site.url.identity();
        match snapshot.site.clone() {
            Some(bound) if bound != asked && !self.asked.site_moved => {
                Err(refuse::other_site(bound, asked, self.config.conf.is_some()))
            }
            _ => Ok(()),
        }
    }

    /// Returns what changes on record where the site has moved.
    fn moved(&self, snapshot: &Snapshot) -> Option<Change> {
        let asked = self.config.site.url.identity();
        let bound = snapshot.site.as_ref().filter(|bound| **bound != asked)?;
        tracing::warn!(
            "The state of {bound} goes on with {asked}, which shows events that were seen."
        );
        Some(Change::SiteMoved(asked))
    }

    /// Returns where the configuration has the site read from.
    const fn configured(&self) -> Start {
        match self.new_plugins() {
            begin::NewPlugins::Id(id) => Start::FromId(id),
            begin::NewPlugins::Now => Start::Latest,
        }
    }

    /// Returns where plugins without a position begin, as far as that is known.
    const fn new_plugins(&self) -> begin::NewPlugins {
        match (self.config.state.new_plugins, self.since) {
            (NewPlugins::Id(id), _) | (NewPlugins::Ago(_), Some(id)) => begin::NewPlugins::Id(id),
            (NewPlugins::Now | NewPlugins::Ago(_), _) => begin::NewPlugins::Now,
        }
    }

    /// Moves our state out of the way, under a name that nothing has.
    fn set_aside(&self) -> Result<(), CommandError> {
        let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S");
        let name = format!("{}.before-{now}", self.folder().display());
        let free = |path: &PathBuf| !path.exists();
        let others = (2..).map(|n| PathBuf::from(format!("{name}.{n}")));
        let to = std::iter::once(PathBuf::from(&name))
            .chain(others)
            .find(free);
        let to = to.unwrap_or_else(|| name.into());
        Sqlite::set_aside(self.folder(), &to)?;
        tracing::warn!("slated's own state was moved aside, to {}.", to.display());
        Ok(())
    }
}

/// Tells whether a state is more than an empty one, which a start that was killed leaves.
fn has_begun(snapshot: &Snapshot) -> bool {
    snapshot.beginning.is_some() || snapshot.ledger.is_some() || !snapshot.lanes.is_empty()
}
