//! Looks at the plugins' files and tells the dispatcher what changed.
//!
//! `core::scan` decides what a listing means; here folders are listed and files hashed, off the
//! dispatcher's task, since both may stand on a slow network share.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use slated_core::Mono;
use slated_core::scan::{
    Content, Effect, Entry, Folder, HelperEffect, Helpers, Listing, Scan, Stamp,
};
use slated_model::{LaneRow, PluginId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::message::{FileChange, Imports, Message, Text};
use crate::clock::Clock;
use crate::error::CommandError;
use crate::tell::{Fact, Teller};

/// From one look at the folders to the next.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at folders until it is told to stop.
pub(crate) struct Scanner {
    folders: Vec<slated_config::Folder>,
    scan: Scan,
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
            let listing = off_thread(move || list(&folders)).await?;
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
                    let path = self.path(&plugin);
                    let content = off_thread(move || hash(&path, stamp)).await?;
                    effects.extend(self.scan.hashed(self.clock.now(), &plugin, stamp, content));
                }
                Effect::Appeared {
                    plugin,
                    content,
                    mtime_ns,
                } => {
                    changes.push(FileChange::Appeared {
                        plugin,
                        text: text(content, mtime_ns),
                        from: None,
                    });
                }
                Effect::Moved {
                    from,
                    to,
                    content,
                    mtime_ns,
                } => {
                    changes.push(FileChange::Appeared {
                        plugin: to,
                        text: text(content, mtime_ns),
                        from: Some(from),
                    });
                }
                Effect::Changed {
                    plugin,
                    content,
                    mtime_ns,
                } => {
                    changes.push(FileChange::Changed {
                        plugin,
                        text: text(content, mtime_ns),
                    });
                }
                Effect::Touched { plugin, mtime_ns } => {
                    changes.push(FileChange::Touched { plugin, mtime_ns });
                }
                Effect::Gone { plugin } => changes.push(FileChange::Gone { plugin }),
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

    fn path(&self, plugin: &PluginId) -> PathBuf {
        file_of(&self.folders, plugin)
    }
}

fn text(content: Content, mtime_ns: i64) -> Text {
    Text {
        sha256: content.0,
        mtime_ns,
    }
}

/// Returns the plugins whose files are there now.
pub(crate) fn present(folders: &[slated_config::Folder]) -> Vec<PluginId> {
    let mut plugins = Vec::new();
    for folder in folders {
        // What cannot be listed is told of by the first scan.
        for entry in entries(&folder.path).unwrap_or_default() {
            let stem = entry
                .name
                .strip_suffix(".py")
                .filter(|s| !s.starts_with('.'));
            plugins.extend(stem.map(|stem| folder.plugin(stem)));
        }
    }
    plugins
}

/// Tells whether a plugin's file names `registerCallbacks`: one that does not is a module that
/// others import. One that cannot be read may name it.
pub(crate) fn registers(folders: &[slated_config::Folder], plugin: &PluginId) -> bool {
    let name = b"registerCallbacks";
    std::fs::read(file_of(folders, plugin))
        .map_or(true, |text| text.windows(name.len()).any(|at| at == name))
}

/// Returns the file of a plugin.
pub(crate) fn file_of(folders: &[slated_config::Folder], plugin: &PluginId) -> PathBuf {
    let folder = folders
        .iter()
        .find(|f| f.plugin("").folder() == plugin.folder());
    let folder = folder.map_or_else(|| PathBuf::from(plugin.folder()), |f| f.path.clone());
    folder.join(format!("{}.py", plugin.stem()))
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CommandError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(CommandError::internal)
}

fn list(folders: &[slated_config::Folder]) -> Listing {
    let one = |folder: &slated_config::Folder| Folder {
        path: folder.name.clone(),
        entries: entries(&folder.path).map_err(|e| e.to_string()),
    };
    Listing {
        folders: folders.iter().map(one).collect(),
    }
}

fn entries(folder: &Path) -> std::io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // A name that is not UTF-8 cannot be a module of Python's either.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let stat = std::fs::metadata(entry.path())
            .ok()
            .map(|m| (m.is_file(), stamp(&m)));
        entries.push(Entry { name, stat });
    }
    Ok(entries)
}

fn stamp(meta: &Metadata) -> Stamp {
    let mtime_ns = meta
        .mtime()
        .saturating_mul(1_000_000_000)
        .saturating_add(meta.mtime_nsec());
    Stamp {
        mtime_ns,
        size: meta.len(),
        inode: meta.ino(),
    }
}

/// Returns the stamps of those files that are there.
fn stamps(paths: Vec<String>) -> BTreeMap<String, Stamp> {
    let stamp = |path: String| {
        let meta = std::fs::metadata(&path).ok().filter(Metadata::is_file)?;
        Some((path, stamp(&meta)))
    };
    paths.into_iter().filter_map(stamp).collect()
}

/// Hashes a file, unless it is being changed.
fn hash(path: &Path, before: Stamp) -> Result<Content, String> {
    let text = std::fs::read(path).map_err(|e| e.to_string())?;
    let after = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if stamp(&after) != before {
        return Err("it is being written".into());
    }
    Ok(Content(format!("{:x}", Sha256::digest(&text))))
}
