//! Python interpreters: the one that tests use, and all those the worker must run on.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::command::{answer, succeeds, target_dir};

/// The variable by which tests learn their interpreter.
pub(crate) const VARIABLE: &str = "SLATED_TEST_PYTHON";

/// The official client, in the version that tests are written against.
const CLIENT: &str = "shotgun_api3==3.10.3";

/// A real mail server for tests of mail.
const MAIL: &str = "aiosmtpd==1.4.6";

/// The oldest Python that the worker runs on, and that [`CLIENT`] does.
const WORKER_SINCE: Version = (3, 7);
const CLIENT_SINCE: Version = (3, 9);

/// Major and minor version.
pub(crate) type Version = (u32, u32);

/// Prints version and real path; a shim costs each start more than the interpreter itself.
const WHO: &str = "import sys; print('%d %d %s' % (sys.version_info[:2] + (sys.executable,)))";

/// Returns the interpreter for tests, which imports `shotgun_api3`; makes one if need be.
pub(crate) fn prepare() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
        let path = with_client(&named);
        return path.with_context(|| {
            format!(
                "{VARIABLE} is {}, which does not import shotgun_api3 and aiosmtpd; install `{CLIENT}` \
                 and `{MAIL}` there, or unset the variable and a private environment is made",
                named.to_string_lossy()
            )
        });
    }
    for name in ["python3", "python"] {
        if let Some(path) = with_client(name.as_ref()) {
            return Ok(path);
        }
    }
    private()
}

/// Returns every Python of this machine that the worker must run on, one of each version.
pub(crate) fn all() -> BTreeMap<Version, PathBuf> {
    let mut found = BTreeMap::new();
    for candidate in candidates() {
        if let Some((version, path)) = who(&candidate)
            && version >= WORKER_SINCE
        {
            found.entry(version).or_insert(path);
        }
    }
    found
}

/// Returns version and real path of a program, if it is a Python.
pub(crate) fn who(program: &Path) -> Option<(Version, PathBuf)> {
    let text = answer(Command::new(program).args(["-c", WHO]))?;
    let mut words = text.splitn(3, ' ');
    let version = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let path = PathBuf::from(words.next()?);
    path.is_file().then_some((version, path))
}

/// Names what may be a Python: on PATH, and where pyenv keeps its versions.
fn candidates() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    let pyenv = std::env::home_dir().map(|home| home.join(".pyenv/versions"));
    let versions = pyenv.and_then(|folder| folder.read_dir().ok());
    folders.extend(
        versions
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().join("bin")),
    );
    let names: Vec<OsString> = ["python3".to_owned(), "python".to_owned()]
        .into_iter()
        .chain((WORKER_SINCE.1..30).map(|minor| format!("python3.{minor}")))
        .map(|name| OsString::from(name + std::env::consts::EXE_SUFFIX))
        .collect();
    folders
        .iter()
        .flat_map(|folder| names.iter().map(|name| folder.join(name)))
        .filter(|path| path.is_file())
        .collect()
}

/// Returns the real path of a program if it imports the client and the mail server.
fn with_client(program: &std::ffi::OsStr) -> Option<PathBuf> {
    answer(Command::new(program).args(["-c", "import shotgun_api3, aiosmtpd"]))?;
    who(Path::new(program)).map(|(_, path)| path)
}

/// Returns the interpreter of a private environment under the target folder.
///
/// It is built under a temporary name and renamed when the import works, so that one that
/// stands there is whole.
fn private() -> Result<PathBuf> {
    let home = target_dir()?.join("test-python");
    let done = home.join(format!("{CLIENT}-{MAIL}").replace("==", "-"));
    if let Some(path) = with_client(interpreter(&done).as_os_str()) {
        return Ok(path);
    }
    let Some((_, base)) = base() else {
        bail!(
            "no Python from {}.{} up was found on PATH; install one, or name one that imports \
             shotgun_api3 in {VARIABLE}",
            CLIENT_SINCE.0,
            CLIENT_SINCE.1
        );
    };
    std::fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let draft = home.join(format!("draft-{}", std::process::id()));
    if let Err(error) = build(&base, &draft) {
        // Best effort: what is left of a draft is in nobody's way.
        drop(std::fs::remove_dir_all(&draft));
        return Err(error);
    }
    if done.exists() {
        std::fs::remove_dir_all(&done)
            .with_context(|| format!("cannot remove {}", done.display()))?;
    }
    // Another run may have been quicker; then its environment is as good as ours.
    if let Err(error) = std::fs::rename(&draft, &done)
        && !interpreter(&done).is_file()
    {
        return Err(error).with_context(|| format!("cannot rename to {}", done.display()));
    }
    with_client(interpreter(&done).as_os_str()).with_context(|| {
        format!(
            "{} does not import shotgun_api3 and aiosmtpd",
            done.display()
        )
    })
}

/// Returns the Python to build on: `python3` of PATH if it is new enough, else the newest.
fn base() -> Option<(Version, PathBuf)> {
    let fits = |found: &(Version, PathBuf)| found.0 >= CLIENT_SINCE;
    who(Path::new("python3"))
        .filter(fits)
        .or_else(|| all().into_iter().rfind(fits))
}

/// Builds an environment that imports the client.
fn build(base: &Path, folder: &Path) -> Result<()> {
    let whole = succeeds(Command::new(base).args(["-m", "venv"]).arg(folder))?;
    let python = interpreter(folder);
    let mut pip = if whole {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip"]);
        pip
    } else {
        // Some distributions ship venv without ensurepip; the base's own pip can do it.
        let bare = ["-m", "venv", "--clear", "--without-pip"];
        let made = succeeds(Command::new(base).args(bare).arg(folder))?;
        ensure!(
            made,
            "`{} -m venv` does not work; {}",
            base.display(),
            way_out()
        );
        let mut pip = Command::new(base);
        pip.args(["-m", "pip", "--python"]).arg(&python);
        pip
    };
    let install = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        CLIENT,
        MAIL,
    ];
    ensure!(
        succeeds(pip.args(install))?,
        "`{CLIENT}` and `{MAIL}` could not be installed; {}",
        way_out()
    );
    ensure!(
        with_client(python.as_os_str()).is_some(),
        "{CLIENT} and {MAIL} were installed, and cannot be imported; {}",
        way_out()
    );
    Ok(())
}

fn way_out() -> String {
    format!(
        "on Debian and Ubuntu try `apt install python3-venv`, or set {VARIABLE} to a Python that imports shotgun_api3 and aiosmtpd"
    )
}

fn interpreter(environment: &Path) -> PathBuf {
    if cfg!(windows) {
        environment.join("Scripts").join("python.exe")
    } else {
        environment.join("bin").join("python")
    }
}
