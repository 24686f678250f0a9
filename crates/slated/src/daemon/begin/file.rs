//! The Python daemon's `eventIdFile`, read once at the start.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use slated_model::{OldFile, OldPosition, OldState};
use slated_store::{EventIdFile, OldPlugin, Unusable};

use crate::error::CommandError;

/// More than the positions of any studio take.
const LARGEST: u64 = 64 << 20;

/// A file that was read.
pub(super) struct IdFile {
    pub(super) path: PathBuf,
    pub(super) read: OldFile,
    /// Why it cannot be used, and what could be read of it.
    pub(super) trouble: Option<Unusable>,
}

impl IdFile {
    /// Reads the file; `None` if there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, CommandError> {
        let fail = |what: &dyn std::fmt::Display| {
            CommandError::configuration(format!(
                "the eventIdFile {} cannot be read: {what}",
                path.display()
            ))
            .hint("it says where the Python daemon stood; make it readable, or correct `eventIdFile` under [daemon]")
        };
        // What is no file could keep us waiting.
        match std::fs::metadata(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(fail(&e)),
            Ok(meta) if !meta.is_file() => return Err(fail(&"it is not a file")),
            Ok(_) => {}
        }
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
            .map_err(|e| fail(&e))?;
        if bytes.len() as u64 > LARGEST {
            return Err(fail(&format!("it is longer than {} MiB", LARGEST >> 20)));
        }
        let (said, trouble) = match EventIdFile::parse(&bytes) {
            Ok(EventIdFile::Integer(id)) => (Some(OldState::Integer(id)), None),
            Ok(EventIdFile::Plugins(all)) => {
                let all = all.into_iter().map(position).collect();
                (Some(OldState::Plugins(all)), None)
            }
            Err(trouble) => (None, Some(trouble)),
        };
        Ok(Some(Self {
            path: path.into(),
            read: OldFile {
                sha256: format!("{:x}", Sha256::digest(&bytes)),
                said,
            },
            trouble,
        }))
    }

    /// Returns what it says, or as much of that as could be read.
    pub(super) fn readable(&self) -> Option<OldState> {
        let Some(trouble) = &self.trouble else {
            return self.read.said.clone();
        };
        match trouble.integer {
            Some(id) => Some(OldState::Integer(id)),
            None if trouble.readable.is_empty() => None,
            None => Some(OldState::Plugins(
                trouble.readable.iter().cloned().map(position).collect(),
            )),
        }
    }
}

fn position(old: OldPlugin) -> OldPosition {
    let OldPlugin {
        plugin,
        last,
        missing,
    } = old;
    OldPosition {
        plugin,
        last,
        missing,
    }
}

#[cfg(test)]
mod tests {
    use slated_model::EventId;

    use super::*;

    #[test]
    fn only_a_file_is_read_and_what_it_says_is_known_by_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daemon.id");
        assert!(IdFile::read(&path).unwrap().is_none());
        std::fs::write(&path, "7\n").unwrap();
        let good = IdFile::read(&path).unwrap().unwrap();
        assert_eq!(good.read.said, Some(OldState::Integer(EventId(7))));
        assert_eq!(good.read.sha256.len(), 64);
        std::fs::write(&path, "7 8\n").unwrap();
        let bad = IdFile::read(&path).unwrap().unwrap();
        assert_ne!(bad.read.sha256, good.read.sha256);
        assert_eq!(bad.read.said, None);
        // For people alone.
        assert_eq!(bad.readable(), Some(OldState::Integer(EventId(7))));
        let is = |path: &Path, words: &str| {
            let error = IdFile::read(path).err().map(|e| e.told());
            assert!(
                error.as_ref().is_some_and(|e| e.contains(words)),
                "{error:?}"
            );
        };
        is(folder.path(), "it is not a file");
        is(&path.join("below"), "cannot be read");
        let long = std::fs::File::create(&path).unwrap();
        long.set_len(LARGEST + 1).unwrap();
        is(&path, "longer than 64 MiB");
    }
}
