//! What the caller saw of the plugin folders.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use slated_model::PluginId;

use super::file::Sight;

/// How the name of a plugin's manifest ends.
pub const MANIFEST: &str = ".plugin.toml";
/// How the name of a Python file ends.
const PYTHON: &str = ".py";

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
    /// read, as while a link is being flipped. Of a manifest: the stamp of it and of the program
    /// that it names.
    pub stat: Option<(bool, Stamp)>,
}

/// What tells that a file may have changed, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// Returns the stem of the plugin that a file of this name belongs to: `notes.py`, or the manifest
/// `notes.plugin.toml`.
pub fn stem(file_name: &str) -> Option<&str> {
    let stem = file_name.strip_suffix(PYTHON);
    let stem = stem.or_else(|| file_name.strip_suffix(MANIFEST))?;
    (!stem.is_empty() && !stem.starts_with('.')).then_some(stem)
}

/// Returns what plugins of a folder are ordered by: file names, and a manifest stands where a Python
/// file of that stem would. Not the stem: `a-b.py` comes before `a.py`.
pub fn rank(stem: &str) -> String {
    format!("{stem}{PYTHON}")
}

impl Stamp {
    /// Returns what tells that any of several files may have changed: the newest modification time, and
    /// a number that is another one when anything of them is.
    pub fn of_all(parts: &[Self]) -> Option<Self> {
        if let [one] = parts {
            return Some(*one);
        }
        let mut all = DefaultHasher::new();
        parts.hash(&mut all);
        Some(Self {
            mtime_ns: parts.iter().map(|part| part.mtime_ns).max()?,
            size: parts
                .iter()
                .fold(0, |sum, part| sum.saturating_add(part.size)),
            inode: all.finish(),
        })
    }
}

impl Folder {
    /// Returns the stamp of a plugin's files, where there are any.
    pub fn stamp(&self, plugin: &PluginId) -> Option<Stamp> {
        let found = self.plugins()?.into_iter().find(|(id, _)| id == plugin)?;
        match found.1 {
            Sight::There(stamp) => Some(stamp),
            Sight::Absent | Sight::Unknown => None,
        }
    }

    /// Returns the plugins in the order of their file names; `None` if that is not known.
    pub(super) fn plugins(&self) -> Option<Vec<(PluginId, Sight)>> {
        let mut entries: Vec<_> = self.entries.as_ref().ok()?.iter().collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        // A Python file and a manifest of one stem are one plugin, whose files disagree.
        let mut files: BTreeMap<String, (&str, Option<Vec<Stamp>>)> = BTreeMap::new();
        for entry in entries {
            let Some(stem) = stem(&entry.name) else {
                continue;
            };
            let stamp = match entry.stat {
                None => None,
                Some((true, stamp)) => Some(stamp),
                Some((false, _)) => continue,
            };
            let known = files.entry(rank(stem));
            let (_, stamps) = known.or_insert_with(|| (stem, Some(Vec::new())));
            match (stamp, stamps.as_mut()) {
                (Some(stamp), Some(stamps)) => stamps.push(stamp),
                _ => *stamps = None,
            }
        }
        let plugin = |(stem, stamps): (&str, Option<Vec<Stamp>>)| {
            let stamp = stamps.and_then(|stamps| Stamp::of_all(&stamps));
            let sight = stamp.map_or(Sight::Unknown, Sight::There);
            (PluginId::new(&self.path, stem), sight)
        };
        Some(files.into_values().map(plugin).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mtime_ns: i64, size: u64, inode: u64) -> Stamp {
        Stamp {
            mtime_ns,
            size,
            inode,
        }
    }

    #[test]
    fn a_python_file_or_a_manifest_is_a_plugin_and_nothing_else() {
        for (name, wanted) in [
            ("notes.py", Some("notes")),
            ("notes.plugin.toml", Some("notes")),
            ("a.b.py", Some("a.b")),
            ("notes.plugin.py", Some("notes.plugin")),
            ("notes.toml", None),
            ("plugin.toml", None),
            (".plugin.toml", None),
            (".notes.plugin.toml", None),
            ("notes.plugin.toml~", None),
            (".py", None),
            ("notes.sh", None),
        ] {
            assert_eq!(stem(name), wanted, "{name}");
        }
    }

    #[test]
    fn a_change_of_any_part_is_one_of_the_whole() {
        let (a, b) = (at(5, 10, 1), at(7, 20, 2));
        let both = Stamp::of_all(&[a, b]).unwrap();
        assert_eq!((both.mtime_ns, both.size), (7, 30));
        assert_eq!(Stamp::of_all(&[a]), Some(a));
        assert_eq!(Stamp::of_all(&[]), None);
        // Older than the other, of the same size, in place: the sum and the maximum show nothing.
        for other in [at(6, 10, 1), at(4, 10, 1), at(5, 10, 3)] {
            assert_ne!(Stamp::of_all(&[other, b]), Some(both), "{other:?}");
        }
        let moved = [at(5, 11, 1), at(7, 19, 2)];
        assert_ne!(Stamp::of_all(&moved), Some(both));
    }

    #[test]
    fn files_of_one_stem_are_one_plugin_in_the_place_of_the_python_file() {
        let entry = |name: &str, ns: i64| Entry {
            name: name.into(),
            stat: (ns >= 0).then(|| (true, at(ns, 1, 1))),
        };
        let folder = Folder {
            path: "p".into(),
            entries: Ok(vec![
                entry("a.py", 1),
                entry("b.plugin.toml", 2),
                entry("b.py", 3),
                entry("a-b.plugin.toml", 4),
                entry("b.ok.py", 5),
                entry("c.plugin.toml", -1),
                entry("c.py", 6),
            ]),
        };
        let shown = folder.plugins().unwrap();
        let names: Vec<_> = shown.iter().map(|(id, _)| id.stem()).collect();
        assert_eq!(names, ["a-b", "a", "b.ok", "b", "c"]);
        let both = Stamp::of_all(&[at(2, 1, 1), at(3, 1, 1)]);
        assert_eq!(folder.stamp(&PluginId::new("p", "b")), both);
        assert_eq!(shown[4].1, Sight::Unknown);
        assert_eq!(folder.stamp(&PluginId::new("p", "c")), None);
        assert_eq!(folder.stamp(&PluginId::new("p", "d")), None);
    }
}
