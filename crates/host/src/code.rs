//! The Python side of a worker, carried in this binary and written once to a private folder.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Every file of `python/slated_worker`.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$((
            concat!("slated_worker/", $name),
            include_str!(concat!("../../../python/slated_worker/", $name)),
        )),*]
    };
}

const PACKAGE: &[(&str, &str)] = files![
    "__init__.py",
    "__main__.py",
    "calls.py",
    "cause.py",
    "channel.py",
    "clients.py",
    "debugger.py",
    "dry.py",
    "events.py",
    "failure.py",
    "imports.py",
    "loading.py",
    "logs.py",
    "matching.py",
    "memory.py",
    "parent.py",
    "parsing.py",
    "registrar.py",
    "serve.py",
    "surroundings.py",
    "texts.py",
    "watch.py",
];

/// What `python FOLDER` runs. The package stands one level below, so that its modules never
/// hide a studio's modules of the same name.
const START: (&str, &str) = (
    "__main__.py",
    "\"\"\"Starts the worker.\"\"\"\nimport sys\n\nif __name__ == \"__main__\":\n    from \
     slated_worker.__main__ import main\n\n    sys.exit(main())\n",
);

/// The installed Python side of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerCode {
    folder: PathBuf,
}

/// The Python side could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the worker's code cannot be written to {}: {source}", folder.display())]
pub struct InstallError {
    /// Where to.
    pub folder: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl WorkerCode {
    /// Writes the code below `cache`, which is made where it is missing, unless it stands
    /// there already. The folder's name holds a hash of the code: several versions of slated
    /// share a cache. It appears in one step and only its owner may enter it.
    pub fn install(cache: &Path) -> Result<Self, InstallError> {
        let folder = cache.join(format!("worker-{}", hash()));
        Self::install_at(cache, &folder).map_err(|source| InstallError {
            folder: folder.clone(),
            source,
        })?;
        Ok(Self { folder })
    }

    /// Returns the folder that Python is started with.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn install_at(cache: &Path, folder: &Path) -> io::Result<()> {
        if is_complete(folder) {
            return Ok(());
        }
        fs::create_dir_all(cache)?;
        let fresh = tempfile::Builder::new()
            .prefix(".worker-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(cache)?;
        for (name, text) in all() {
            let path = fresh.path().join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, text)?;
        }
        if folder.exists() {
            // Somebody changed it. It steps aside, since a running worker may still read it.
            let aside = tempfile::Builder::new()
                .prefix(".changed-")
                .tempdir_in(cache)?;
            fs::rename(folder, aside.path().join("worker"))?;
        }
        match fs::rename(fresh.path(), folder) {
            // Another slated was faster.
            Err(_) if is_complete(folder) => Ok(()),
            other => other,
        }
    }
}

fn all() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    PACKAGE.iter().chain([&START])
}

fn is_complete(folder: &Path) -> bool {
    all().all(|(name, text)| fs::read(folder.join(name)).is_ok_and(|had| had == text.as_bytes()))
}

fn hash() -> String {
    let mut hasher = Sha256::new();
    for (name, text) in all() {
        hasher.update(name);
        hasher.update([0]);
        hasher.update(text);
        hasher.update([0]);
    }
    let head: [u8; 8] = std::array::from_fn({
        let all = hasher.finalize();
        move |at| all.get(at).copied().unwrap_or_default()
    });
    format!("{:016x}", u64::from_be_bytes(head))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_package_is_carried() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/slated_worker");
        let there: BTreeSet<String> = fs::read_dir(source)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| Path::new(name).extension().is_some_and(|e| e == "py"))
            .collect();
        let carried = PACKAGE
            .iter()
            .map(|(name, _)| name.trim_start_matches("slated_worker/").to_owned())
            .collect();
        assert_eq!(there, carried);
    }

    #[test]
    fn the_code_is_private_shared_and_repaired() {
        let cache = tempfile::tempdir().unwrap();
        let code = WorkerCode::install(cache.path()).unwrap();
        let mode = fs::metadata(code.folder()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(WorkerCode::install(cache.path()).unwrap(), code);
        let changed = code.folder().join("slated_worker/serve.py");
        fs::write(&changed, "raise SystemExit").unwrap();
        assert_eq!(WorkerCode::install(cache.path()).unwrap(), code);
        assert!(fs::read_to_string(&changed).unwrap().contains("def serve"));
        let left: Vec<_> = fs::read_dir(cache.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
