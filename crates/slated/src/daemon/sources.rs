//! The files of a plugin: a Python file, or a manifest and the program that it names. Looked at, read
//! and hashed together, so that whatever is edited of them is an edit of the plugin.
//!
//! Invariant: what is wrong with a manifest is wrong with its plugin alone, and said with file and
//! line. Where a Python file stands beside a manifest of its stem nobody guesses which is meant.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use slated_config::{Folder, Manifest};
use slated_core::scan::{self, Content, Entry, Listing, MANIFEST, Stamp};
use slated_host::Own;
use slated_model::PluginId;

/// Whoever may execute a file, by its mode.
const EXECUTABLE: u32 = 0o111;

/// The file that a plugin is known by, and what runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Source {
    /// The Python file, or the manifest where there is one.
    pub(crate) file: PathBuf,
    pub(crate) runs: Runs,
}

/// What runs a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Runs {
    /// The worker's own code, with the plugin's Python.
    #[default]
    Python,
    /// This program, as a manifest says.
    Own { program: Arc<Own>, origin: String },
    /// Nothing, and why.
    Nothing(String),
}

impl Source {
    /// Looks at the files of a plugin.
    pub(crate) fn of(folders: &[Folder], plugin: &PluginId) -> Self {
        let files = Files::of(folders, plugin);
        files.source(&files.manifest())
    }
}

/// Returns the plugins whose files are there now, in the documented order.
pub(crate) fn present(folders: &[Folder]) -> Vec<PluginId> {
    let mut plugins = Vec::new();
    for folder in folders {
        // What cannot be listed is told of by the first scan.
        let names = names(&folder.path).unwrap_or_default();
        let mut stems: Vec<_> = names.iter().filter_map(|name| scan::stem(name)).collect();
        stems.sort_by_cached_key(|stem| scan::rank(stem));
        stems.dedup();
        plugins.extend(stems.into_iter().map(|stem| folder.plugin(stem)));
    }
    plugins
}

/// Tells whether a plugin's file names `registerCallbacks`: a Python file that does not is a module
/// that others import. One that cannot be read may name it.
pub(crate) fn registers(folders: &[Folder], plugin: &PluginId) -> bool {
    let name = b"registerCallbacks";
    let file = file_of(folders, plugin);
    is_manifest(&file)
        || std::fs::read(file).map_or(true, |text| text.windows(name.len()).any(|at| at == name))
}

/// Returns the file that a plugin is known by.
pub(crate) fn file_of(folders: &[Folder], plugin: &PluginId) -> PathBuf {
    Files::of(folders, plugin).known_by()
}

/// Tells whether a file that a plugin is known by is a manifest.
pub(crate) fn is_manifest(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.ends_with(MANIFEST))
}

/// Lists all folders.
pub(super) fn list(folders: &[Folder]) -> Listing {
    let one = |folder: &Folder| scan::Folder {
        path: folder.name.clone(),
        entries: names(&folder.path)
            .map(|names| names.into_iter().map(|n| entry(&folder.path, n)).collect())
            .map_err(|e| e.to_string()),
    };
    Listing {
        folders: folders.iter().map(one).collect(),
    }
}

/// Reads and hashes the files of a plugin, unless they are being changed.
pub(super) fn read(
    folders: &[Folder],
    plugin: &PluginId,
    before: Stamp,
) -> Result<(Content, Source), String> {
    let files = Files::of(folders, plugin);
    let manifest = files.manifest();
    let content = files.content(&manifest).map_err(|e| e.to_string())?;
    let source = files.source(&manifest);
    if files.stamp(plugin) != Some(before) {
        return Err("it is being written".into());
    }
    Ok((content, source))
}

/// Hashes a file, unless it is being changed.
pub(super) fn hash(path: &Path, before: Stamp) -> Result<Content, String> {
    let mut content = Sha256::new();
    feed(&mut content, path).map_err(|e| e.to_string())?;
    let after = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if stamp(&after) != before {
        return Err("it is being written".into());
    }
    Ok(Content(format!("{:x}", content.finalize())))
}

pub(super) fn stamp(meta: &Metadata) -> Stamp {
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

/// Where the files of a plugin stand, or would.
struct Files {
    folder: PathBuf,
    python: String,
    manifest: String,
}

/// A manifest as it was read.
enum Read {
    /// There is none.
    Absent,
    /// It cannot be read.
    Failed(io::Error),
    Text(Vec<u8>),
}

impl Files {
    fn of(folders: &[Folder], plugin: &PluginId) -> Self {
        let folder = folders
            .iter()
            .find(|f| f.plugin("").folder() == plugin.folder());
        let stem = plugin.stem();
        Self {
            folder: folder.map_or_else(|| PathBuf::from(plugin.folder()), |f| f.path.clone()),
            python: scan::rank(stem),
            manifest: format!("{stem}{MANIFEST}"),
        }
    }

    fn known_by(&self) -> PathBuf {
        let manifest = self.folder.join(&self.manifest);
        if manifest.is_file() {
            manifest
        } else {
            self.folder.join(&self.python)
        }
    }

    fn manifest(&self) -> Read {
        let path = self.folder.join(&self.manifest);
        // A folder of that name is no manifest, as one that is called like a Python file is none.
        if !path.is_file() {
            return Read::Absent;
        }
        match std::fs::read(path) {
            Ok(text) => Read::Text(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Read::Absent,
            Err(error) => Read::Failed(error),
        }
    }

    fn stamp(&self, plugin: &PluginId) -> Option<Stamp> {
        let files = [&self.manifest, &self.python].map(|name| self.folder.join(name));
        let names = [&self.manifest, &self.python].into_iter().zip(files);
        let there = names.filter(|(_, path)| path.exists());
        let entries = there.map(|(name, _)| entry(&self.folder, name.clone()));
        let folder = scan::Folder {
            path: plugin.folder().to_owned(),
            entries: Ok(entries.collect()),
        };
        folder.stamp(plugin)
    }

    /// Returns the content of all files together; of a Python file alone it is that file's.
    fn content(&self, manifest: &Read) -> io::Result<Content> {
        let mut content = Sha256::new();
        let python = self.folder.join(&self.python);
        match manifest {
            Read::Absent => feed(&mut content, &python)?,
            Read::Failed(error) => return Err(io::Error::new(error.kind(), error.to_string())),
            Read::Text(text) => {
                content.update(text);
                let program = parse(&self.folder.join(&self.manifest), text).ok();
                if let Some((program, meta)) = program.and_then(|m| program_at(&m.program)) {
                    let may = meta.mode() & EXECUTABLE != 0;
                    let mark = if may { "program" } else { "file" };
                    content.update(format!("\0{mark}\0"));
                    if feed(&mut content, &program).is_err() {
                        // One that may be run and not be read is known by its stamp.
                        let Stamp { mtime_ns, size, .. } = stamp(&meta);
                        content.update(format!("{mtime_ns} {size}"));
                    }
                }
                if python.is_file() {
                    content.update(b"\0python\0");
                    feed(&mut content, &python)?;
                }
            }
        }
        Ok(Content(format!("{:x}", content.finalize())))
    }

    fn source(&self, manifest: &Read) -> Source {
        let (python, path) = (&self.python, self.folder.join(&self.manifest));
        let runs = match manifest {
            Read::Absent => {
                return Source {
                    file: self.folder.join(python),
                    runs: Runs::Python,
                };
            }
            Read::Failed(error) => Runs::Nothing(format!("{}: {error}", path.display())),
            Read::Text(_) if self.folder.join(python).is_file() => Runs::Nothing(format!(
                "{}: {python} stands beside it, and both would be the same plugin: rename one of them, or take it out of the folder",
                path.display()
            )),
            Read::Text(text) => match parse(&path, text).and_then(|m| fit(&m).map(|()| m)) {
                Ok(manifest) => Runs::Own {
                    program: Arc::new(Own {
                        path: manifest.program,
                        args: manifest.args,
                    }),
                    origin: manifest.origin.to_string(),
                },
                Err(why) => Runs::Nothing(why),
            },
        };
        Source { file: path, runs }
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<Manifest, String> {
    let text = std::str::from_utf8(text)
        .map_err(|_| format!("{}: it is not UTF-8 text", path.display()))?;
    Manifest::parse(path, text).map_err(|wrong| {
        let all: Vec<_> = wrong.iter().map(ToString::to_string).collect();
        all.join("; ")
    })
}

/// Says what keeps the program of a manifest from being run.
fn fit(manifest: &Manifest) -> Result<(), String> {
    let Manifest {
        program,
        written,
        origin,
        ..
    } = manifest;
    let shown = program.display();
    let meta = std::fs::metadata(program).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if !written.contains('/') => format!(
            "{origin}: there is no {shown}: a program is looked for beside the manifest and not on PATH, so write its whole path or put it there"
        ),
        io::ErrorKind::NotFound => format!("{origin}: there is no {shown}"),
        _ => format!("{origin}: {shown}: {error}"),
    })?;
    if !meta.is_file() {
        return Err(format!("{origin}: {shown} is no file"));
    }
    if meta.mode() & EXECUTABLE == 0 {
        return Err(format!(
            "{origin}: {shown} may not be executed: chmod +x {shown}"
        ));
    }
    Ok(())
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        // A name that is not UTF-8 cannot be a module of Python's either.
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

fn entry(folder: &Path, name: String) -> Entry {
    let path = folder.join(&name);
    let stat = std::fs::metadata(&path).ok();
    let stat = stat.map(|meta| (meta.is_file(), whole_stamp(&path, &name, &meta)));
    Entry { name, stat }
}

/// Returns the stamp of a file; of a manifest, that of its program, too. A manifest is read for that at
/// each look: it is a line or two, and there are few.
fn whole_stamp(path: &Path, name: &str, meta: &Metadata) -> Stamp {
    let own = stamp(meta);
    if !name.ends_with(MANIFEST) || !meta.is_file() {
        return own;
    }
    let manifest = std::fs::read(path).ok();
    let manifest = manifest.and_then(|text| parse(path, &text).ok());
    let Some((_, program)) = manifest.and_then(|m| program_at(&m.program)) else {
        return own;
    };
    let mut its = stamp(&program);
    // `chmod +x` changes no time, and mends a plugin.
    its.inode ^= u64::from(program.mode() & EXECUTABLE).rotate_right(16);
    Stamp::of_all(&[own, its]).unwrap_or(own)
}

/// Returns a program where it is a file.
fn program_at(path: &Path) -> Option<(PathBuf, Metadata)> {
    let meta = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
    Some((path.to_owned(), meta))
}

fn feed(content: &mut Sha256, path: &Path) -> io::Result<()> {
    io::copy(&mut File::open(path)?, content).map(drop)
}

#[cfg(test)]
mod tests;
