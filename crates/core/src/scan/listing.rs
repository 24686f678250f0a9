//! What the caller saw of the plugin folders.

use slated_model::PluginId;

use super::file::Sight;

/// All folders, in the order in which they are configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The folders.
    pub folders: Vec<Folder>,
}

/// One folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its path as configured; links are not resolved.
    pub path: String,
    /// What stands in it, in any order, or why it cannot be listed.
    pub entries: Result<Vec<Entry>, String>,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file name.
    pub name: String,
    /// Whether it is a file, links followed, and its stamp; `None` if that could not be
    /// read, as while a link is being flipped.
    pub stat: Option<(bool, Stamp)>,
}

/// What tells that a file may have changed, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Modification time, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Size in bytes.
    pub size: u64,
    /// Inode, or 0 where there is none.
    pub inode: u64,
}

/// The content of a file: its SHA-256 in hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content(pub String);

impl Folder {
    /// Returns the plugins in the order of their file names; `None` if that is not known.
    pub(super) fn plugins(&self) -> Option<Vec<(PluginId, Sight)>> {
        let mut entries: Vec<_> = self.entries.as_ref().ok()?.iter().collect();
        // By file name, not by stem: `a-b.py` comes before `a.py`.
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let plugin = |entry: &Entry| {
            let stem = entry
                .name
                .strip_suffix(".py")
                .filter(|s| !s.starts_with('.'))?;
            let sight = match entry.stat {
                None => Sight::Unknown,
                Some((true, stamp)) => Sight::There(stamp),
                Some((false, _)) => return None,
            };
            (!stem.is_empty()).then(|| (PluginId::new(&self.path, stem), sight))
        };
        Some(entries.into_iter().filter_map(plugin).collect())
    }
}
