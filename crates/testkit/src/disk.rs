//! A disk that is full, read-only or broken as a test wants, for one daemon.
//!
//! A small C library is loaded before the C library of the daemon and refuses what it does to its
//! state; so nothing need be mounted, and root fares as everybody does.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// What is wrong with the disk that the state stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// No room for a byte more.
    Full,
    /// Nothing may be written, as after an error of the file system.
    ReadOnly,
    /// Writes fail.
    Broken,
    /// Syncs fail.
    Unsynced,
}

/// Where the library and the word it looks at stand.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    word: PathBuf,
    library: PathBuf,
}

impl Disk {
    /// Makes a disk that can fail; `folder` is the world's.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let source = folder.join("disk.c");
        std::fs::write(&source, include_str!("../plugins/disk.c"))?;
        let library = folder.join("disk.so");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let output = Command::new(&compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(&source)
            .arg("-ldl")
            .output()
            .with_context(|| format!("no C compiler {}", compiler.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "disk.c: {said}");
        Ok(Self {
            word: folder.join("disk.fault"),
            library,
        })
    }
    /// Returns the variables that put it under a daemon whose state stands in `state`.
    pub(crate) fn variables(&self, state: &Path) -> [(String, String); 3] {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        [
            ("LD_PRELOAD".into(), text(&self.library)),
            ("DISK_FOLDER".into(), text(state)),
            ("DISK_FAULT".into(), text(&self.word)),
        ]
    }
    /// Breaks it, or mends it.
    pub(crate) fn set(&self, fault: Option<DiskFault>) -> Result<()> {
        let word = match fault {
            None => return Ok(std::fs::remove_file(&self.word)?),
            Some(DiskFault::Full) => "full",
            Some(DiskFault::ReadOnly) => "read-only",
            Some(DiskFault::Broken) => "broken",
            Some(DiskFault::Unsynced) => "unsynced",
        };
        // Whole at once: nobody reads half a word.
        let draft = self.word.with_extension("draft");
        std::fs::write(&draft, word)?;
        Ok(std::fs::rename(draft, &self.word)?)
    }
}
