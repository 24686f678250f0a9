//! The scan: what changed among the plugin files, told from listings of their folders.
//!
//! Content decides, never "newer": an older file deployed over a newer one is a change.
//! A modification time alone only asks for a look at the content, or says that a person
//! touched the file. Invariant: a folder or file that cannot be read changes nothing, and
//! neither does a file that is still being written.
//!
//! The caller lists the folders about once a second, and when [`Scan::look_again`] says,
//! and gives each listing to [`Scan::step`]. It hashes what [`Effect::Hash`] asks for and
//! answers with [`Scan::hashed`].
//!
//! What counts as a plugin says [`stem`]. A plugin may have several files, a manifest and the program
//! that it names: their stamps are one stamp and their contents one content, so that all that is
//! said here of a file holds for them together.
//!
//! [`Helpers`] does so for the modules that plugins import.
//!
//! Not here: file access, loading, what becomes of a plugin's lane.
//!
//! * [`Listing`], [`Entry`], [`Stamp`], [`Content`]: what the caller saw
//! * [`Effect`]: what it means

mod file;
mod helpers;
mod listing;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use slated_model::PluginId;

use self::file::{File, Found, Sight};
pub use self::helpers::{HelperEffect, Helpers};
pub use self::listing::{Content, Entry, Folder, Listing, MANIFEST, Stamp, rank, stem};
use crate::Mono;

/// A file counts when two looks so far apart show the same stamp.
const DEBOUNCE: Duration = Duration::from_millis(250);
/// A plugin is gone when two looks so far apart do not show it.
const GONE: Duration = Duration::from_secs(5);
/// A file is hashed once more so long after a change: a second one within the same tick of
/// a coarse modification time would leave no trace in the stamp.
const CONFIRM: Duration = Duration::from_secs(3);

/// What a scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The content of this file is to be hashed; `stamp` is to be given back with it.
    Hash {
        /// The plugin.
        plugin: PluginId,
        /// The file as listed.
        stamp: Stamp,
    },
    /// A plugin is there that was not.
    Appeared {
        /// The plugin.
        plugin: PluginId,
        /// Its file.
        content: Content,
        /// When it was modified, in nanoseconds since 1970.
        mtime_ns: i64,
    },
    /// A plugin vanished, and this one of equal content or name has come.
    Moved {
        /// The plugin that is gone.
        from: PluginId,
        /// The plugin that is there.
        to: PluginId,
        /// Its file.
        content: Content,
        /// When it was modified, in nanoseconds since 1970.
        mtime_ns: i64,
    },
    /// A plugin's file has another content.
    Changed {
        /// The plugin.
        plugin: PluginId,
        /// Its file.
        content: Content,
        /// When it was modified, in nanoseconds since 1970.
        mtime_ns: i64,
    },
    /// A plugin's file has a newer modification time and the same content.
    Touched {
        /// The plugin.
        plugin: PluginId,
        /// When it was modified, in nanoseconds since 1970.
        mtime_ns: i64,
    },
    /// A plugin's file is gone.
    Gone {
        /// The plugin.
        plugin: PluginId,
    },
    /// A file cannot be read; said once until it can.
    FileUnreadable {
        /// The plugin.
        plugin: PluginId,
        /// Why.
        reason: String,
    },
    /// A folder cannot be listed; said once until it can, and when the reason changes.
    FolderUnreadable {
        /// The folder as configured.
        folder: String,
        /// Why.
        reason: String,
    },
    /// A folder can be listed again.
    FolderReadable {
        /// The folder as configured.
        folder: String,
    },
}

/// Remembers what the last listings showed.
#[derive(Debug, Default)]
pub struct Scan {
    files: BTreeMap<PluginId, File>,
    /// The plugins of the last listing in the documented order.
    order: Vec<PluginId>,
    /// Folders that cannot be listed, and why.
    unreadable: BTreeMap<String, String>,
}

impl Scan {
    /// Expects the plugins that had a lane when the daemon last ran, each with the content
    /// that ran last, if any did: those that do not show up are told as gone or moved.
    pub fn new(expected: impl IntoIterator<Item = (PluginId, Option<Content>)>) -> Self {
        let files = expected
            .into_iter()
            .map(|(plugin, content)| (plugin, File::expected(content)));
        Self {
            files: files.collect(),
            ..Self::default()
        }
    }

    /// Returns the plugins the last listing showed: folders as configured, then file names.
    pub fn order(&self) -> &[PluginId] {
        &self.order
    }

    /// Returns when a look is due earlier than the next regular one, if it is.
    pub fn look_again(&self) -> Option<Mono> {
        self.files.values().filter_map(File::look_again).min()
    }

    /// Takes a listing of all folders, made at `now`.
    pub fn step(&mut self, now: Mono, listing: &Listing) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut sights = self.sights(listing, &mut effects);
        self.order
            .retain(|plugin| !matches!(sights.get(plugin), None | Some(Sight::Absent)));
        for plugin in self.files.keys() {
            // A folder that is no longer configured has no files.
            sights.entry(plugin.clone()).or_insert(Sight::Absent);
        }
        for plugin in &self.order {
            let Some(Sight::There(stamp)) = sights.remove(plugin) else {
                continue;
            };
            let file = self.files.entry(plugin.clone()).or_default();
            if file.seen(stamp, now) {
                let plugin = plugin.clone();
                effects.push(Effect::Hash { plugin, stamp });
            }
        }
        let mut gone = Vec::new();
        for (plugin, sight) in sights {
            // What nobody was told of needs no farewell: editors leave such files.
            if sight == Sight::Absent && !self.files.get(&plugin).is_some_and(File::is_known) {
                self.files.remove(&plugin);
            } else if let Some(file) = self.files.get_mut(&plugin)
                && file.not_seen(sight, now)
            {
                gone.push(plugin);
            }
        }
        self.leave(gone, &mut effects);
        self.arrive(&mut effects);
        effects
    }

    /// Takes the content of a file whose stamp was `stamp` before and after it was read, or
    /// why it could not be read.
    pub fn hashed(
        &mut self,
        now: Mono,
        plugin: &PluginId,
        stamp: Stamp,
        content: Result<Content, String>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(file) = self.files.get_mut(plugin) {
            let plugin = plugin.clone();
            effects.extend(match file.hashed(stamp, content, now) {
                Found::Nothing => None,
                Found::Changed(content, mtime_ns) => Some(Effect::Changed {
                    plugin,
                    content,
                    mtime_ns,
                }),
                Found::Touched(mtime_ns) => Some(Effect::Touched { plugin, mtime_ns }),
                Found::Unreadable(reason) => Some(Effect::FileUnreadable { plugin, reason }),
            });
        }
        self.arrive(&mut effects);
        effects
    }

    /// Says of each plugin what the listing shows of it, and sets the order.
    fn sights(
        &mut self,
        listing: &Listing,
        effects: &mut Vec<Effect>,
    ) -> BTreeMap<PluginId, Sight> {
        let (mut sights, mut order) = (BTreeMap::new(), Vec::new());
        for folder in &listing.folders {
            let path = folder.path.clone();
            match &folder.entries {
                Ok(_) => {
                    if self.unreadable.remove(&path).is_some() {
                        effects.push(Effect::FolderReadable { folder: path });
                    }
                }
                Err(reason) => {
                    let known = self.unreadable.insert(path.clone(), reason.clone());
                    if known.as_ref() != Some(reason) {
                        let reason = reason.clone();
                        effects.push(Effect::FolderUnreadable {
                            folder: path,
                            reason,
                        });
                    }
                }
            }
            let shown = folder.plugins().unwrap_or_else(|| {
                let here = |p: &&PluginId| p.folder() == PluginId::new(&folder.path, "").folder();
                let known = self.order.iter().filter(here);
                let known: Vec<_> = known.map(|p| (p.clone(), Sight::Unknown)).collect();
                let all = self.files.keys().filter(here);
                sights.extend(all.map(|p| (p.clone(), Sight::Unknown)));
                known
            });
            for (plugin, sight) in shown {
                if !order.contains(&plugin) {
                    order.push(plugin.clone());
                }
                sights.insert(plugin, sight);
            }
        }
        let configured: BTreeSet<_> = listing.folders.iter().map(|f| &f.path).collect();
        self.unreadable
            .retain(|folder, _| configured.contains(folder));
        self.order = order;
        sights
    }

    /// Tells which plugins are gone, or moved to a new one that waits for that.
    fn leave(&mut self, gone: Vec<PluginId>, effects: &mut Vec<Effect>) {
        for from in gone {
            let old = self.files.remove(&from);
            let content = old.as_ref().and_then(File::content);
            let new = |of: &dyn Fn(&PluginId, &File) -> bool| {
                let waits = |to: &&PluginId| {
                    self.files
                        .get(*to)
                        .is_some_and(|file| file.waits() && of(to, file))
                };
                self.order.iter().find(waits).cloned()
            };
            let to = new(&|_, file| content.is_some() && file.content() == content)
                .or_else(|| new(&|to, _| to.stem() == from.stem()));
            let arrived = to.and_then(|to| {
                let (content, mtime_ns) = self.files.get_mut(&to)?.announce()?;
                Some((to, content, mtime_ns))
            });
            effects.push(match arrived {
                Some((to, content, mtime_ns)) => Effect::Moved {
                    from,
                    to,
                    content,
                    mtime_ns,
                },
                None => Effect::Gone { plugin: from },
            });
        }
    }

    /// Tells which plugins are new. One that may be a move waits until the other is gone or
    /// back.
    fn arrive(&mut self, effects: &mut Vec<Effect>) {
        let missing: Vec<_> = self.files.iter().filter(|(_, f)| f.is_missing()).collect();
        let may_be_moved = |plugin: &PluginId, file: &File| {
            missing.iter().any(|(from, old)| {
                from.stem() == plugin.stem()
                    || old.content().is_some() && old.content() == file.content()
            })
        };
        let new = |plugin: &&PluginId| {
            let file = self.files.get(*plugin);
            file.is_some_and(|file| file.waits() && !may_be_moved(plugin, file))
        };
        let new: Vec<_> = self.order.iter().filter(new).cloned().collect();
        for plugin in new {
            let announced = self.files.get_mut(&plugin).and_then(File::announce);
            effects.extend(announced.map(|(content, mtime_ns)| Effect::Appeared {
                plugin,
                content,
                mtime_ns,
            }));
        }
    }
}

#[cfg(test)]
mod tests;
