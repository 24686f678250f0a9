//! Looks at the plugins' files and tells the dispatcher what changed.
//!
//! `core::scan` decides what a listing means; here folders are listed and files hashed, off the
//! dispatcher's task, since both may stand on a slow network share. For the same reason what a manifest
//! says is read here and handed on: what is started is what was hashed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::path::PathBuf;
use std::time::Duration;

use slated_core::Mono;
use slated_core::scan::{Content, Effect, HelperEffect, Helpers, Scan, Stamp};
use slated_model::{LaneRow, PluginId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::message::{FileChange, Imports, Message, Text};
use super::sources::{self, Source, hash, stamp};
use crate::clock::Clock;
use crate::error::CommandError;
use crate::tell::{Fact, Teller};

/// From one look at the folders to the next.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at folders until it is told to stop.
pub(crate) struct Scanner {
    folders: Vec<slated_config::Folder>,
    scan: Scan,
    /// What runs each plugin, as it was last read.
    sources: BTreeMap<PluginId, Source>,
    /// What plugins import, as they say.
    imports: watch::Receiver<Imports>,
    helpers: Helpers,
    clock: Clock,
    dispatcher: mpsc::Sender<Message>,
    teller: Teller,
}

impl Scanner {
    /// `lanes` are on record: a plugin that does not show up again is told as gone.
    pub(crate) fn new(
        folders: &[slated_config::Folder],
        lanes: &[LaneRow],
        clock: Clock,
        dispatcher: mpsc::Sender<Message>,
        imports: watch::Receiver<Imports>,
        teller: Teller,
    ) -> Self {
        let live = lanes.iter().filter(|lane| !lane.gone);
        let content = |lane: &LaneRow| {
            Some(lane.content.clone())
                .filter(|c| !c.is_empty())
                .map(Content)
        };
        let scan = Scan::new(live.map(|lane| (lane.plugin.clone(), content(lane))));
        Self {
            folders: folders.to_vec(),
            scan,
            sources: BTreeMap::new(),
            imports,
            helpers: Helpers::default(),
            clock,
            dispatcher,
            teller,
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), CommandError> {
        loop {
            let folders = self.folders.clone();
            let listing = off_thread(move || sources::list(&folders)).await?;
            let effects = self.scan.step(self.clock.now(), &listing);
            let mut changes = self.act(effects).await?;
            changes.extend(self.look_at_helpers().await?);
            self.tell(changes).await;
            let regular = self.clock.now() + LOOK;
            let soon = [self.scan.look_again(), self.helpers.look_again()];
            let next = soon.into_iter().flatten().fold(regular, Mono::min);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(self.clock.instant(next)) => {}
            }
        }
    }

    async fn act(&mut self, effects: Vec<Effect>) -> Result<Vec<FileChange>, CommandError> {
        let mut effects = std::collections::VecDeque::from(effects);
        let mut changes = Vec::new();
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Hash { plugin, stamp } => {
                    let (folders, id) = (self.folders.clone(), plugin.clone());
                    let read = off_thread(move || sources::read(&folders, &id, stamp)).await?;
                    let content = read.map(|(content, source)| {
                        self.sources.insert(plugin.clone(), source);
                        content
                    });
                    effects.extend(self.scan.hashed(self.clock.now(), &plugin, stamp, content));
                }
                Effect::Appeared {
                    plugin,
                    content,
                    mtime_ns,
                } => {
                    changes.push(FileChange::Appeared {
                        text: self.text(&plugin, content, mtime_ns),
                        plugin,
                        from: None,
                    });
                }
                Effect::Moved {
                    from,
                    to,
                    content,
                    mtime_ns,
                } => {
                    self.sources.remove(&from);
                    changes.push(FileChange::Appeared {
                        text: self.text(&to, content, mtime_ns),
                        plugin: to,
                        from: Some(from),
                    });
                }
                Effect::Changed {
                    plugin,
                    content,
                    mtime_ns,
                } => {
                    changes.push(FileChange::Changed {
                        text: self.text(&plugin, content, mtime_ns),
                        plugin,
                    });
                }
                Effect::Touched { plugin, mtime_ns } => {
                    changes.push(FileChange::Touched { plugin, mtime_ns });
                }
                Effect::Gone { plugin } => {
                    self.sources.remove(&plugin);
                    changes.push(FileChange::Gone { plugin });
                }
                Effect::FileUnreadable { plugin, reason } => {
                    self.teller.tell(Fact::FileUnreadable {
                        plugin,
                        error: reason,
                    });
                }
                Effect::FolderUnreadable { folder, reason } => {
                    self.teller.tell(Fact::FolderUnreadable {
                        folder,
                        error: reason,
                    });
                }
                Effect::FolderReadable { folder } => {
                    self.teller.tell(Fact::FolderReadable { folder });
                }
            }
        }
        Ok(changes)
    }

    /// Looks at what plugins import; returns an edit of it for each plugin.
    async fn look_at_helpers(&mut self) -> Result<Vec<FileChange>, CommandError> {
        if self.imports.has_changed().unwrap_or_default() {
            let imports = self.imports.borrow_and_update();
            let known = self.helpers.users().cloned().collect::<BTreeSet<_>>();
            for plugin in known.iter().filter(|p| !imports.contains_key(p)) {
                self.helpers.imported(plugin, &BTreeMap::new());
            }
            for (plugin, files) in imports.iter() {
                self.helpers.imported(plugin, files);
            }
        }
        let paths: Vec<_> = self.helpers.paths().cloned().collect();
        let seen = off_thread(move || stamps(paths)).await?;
        let mut changes = Vec::new();
        for effect in self.helpers.step(self.clock.now(), &seen) {
            let effect = match effect {
                HelperEffect::Hash { path, stamp } => {
                    let file = PathBuf::from(&path);
                    let content = off_thread(move || hash(&file, stamp)).await?;
                    let now = self.clock.now();
                    self.helpers.hashed(now, &path, stamp, content)
                }
                changed @ HelperEffect::Changed { .. } => Some(changed),
            };
            if let Some(HelperEffect::Changed { path, plugins }) = effect {
                let change = |plugin| FileChange::Helper {
                    plugin,
                    path: path.clone(),
                };
                changes.extend(plugins.into_iter().map(change));
            }
        }
        Ok(changes)
    }

    async fn tell(&self, mut changes: Vec<FileChange>) {
        if changes.is_empty() {
            return;
        }
        // In the documented order, so that plugins start in it.
        let place = |c: &FileChange| self.scan.order().iter().position(|p| p == c.plugin());
        changes.sort_by_key(place);
        self.dispatcher
            .send(Message::Files(changes))
            .await
            .unwrap_or_default();
    }

    fn text(&self, plugin: &PluginId, content: Content, mtime_ns: i64) -> Text {
        Text {
            sha256: content.0,
            mtime_ns,
            source: self.sources.get(plugin).cloned().unwrap_or_default(),
        }
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CommandError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(CommandError::internal)
}

/// Returns the stamps of those files that are there.
fn stamps(paths: Vec<String>) -> BTreeMap<String, Stamp> {
    let stamp = |path: String| {
        let meta = std::fs::metadata(&path).ok().filter(Metadata::is_file)?;
        Some((path, stamp(&meta)))
    };
    paths.into_iter().filter_map(stamp).collect()
}
