//! A Python that imports `shotgun_api3`: found, or made.
//!
//! One that is made is a virtual environment under `$XDG_DATA_HOME/slated/demo`. It is built under a
//! temporary name and renamed when the import works, so that one that stands there is whole.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use slated_host::{Candidate, Environment, Interpreter, candidates};
use tokio::process::Command;
use tokio::time::timeout;

use crate::error::CommandError;
use crate::out;

/// The version of the official client that is installed.
const CLIENT: &str = "shotgun_api3==3.10.3";
/// The oldest Python that version runs on.
const OLDEST: (u32, u32) = (3, 9);
/// How long each step of the installation may take; it may have to download.
const PATIENCE: Duration = Duration::from_mins(5);
/// Names under which distributions keep a Python beside `python3`, the newest first.
const OTHERS: [&str; 6] = [
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python3.9",
];
/// The way out of most trouble with virtual environments.
const PACKAGE: &str = "on Debian and Ubuntu: `apt install python3-venv`";
const NAME_ONE: &str = "or name a Python that imports shotgun_api3 with `--python PATH`";

/// Variables that make a Python find other modules than its own; workers do not get them either.
pub(super) const MISLEADING: [&str; 2] = ["PYTHONPATH", "PYTHONHOME"];

/// Returns the Python of the `--python` flag or `SLATED_PYTHON`, else the first here that imports the client, else one
/// made for the demo.
pub(super) async fn find_or_make(flag: Option<&Path>) -> Result<Interpreter, CommandError> {
    let ready = home()?.join(CLIENT.replace("==", "-"));
    let mut bases = Vec::new();
    let mut rejected = Vec::new();
    let here = candidates(flag, None, |name| std::env::var_os(name));
    if let Some(one) = here.iter().find(|c| c.named) {
        return named(one).await;
    }
    for program in here
        .into_iter()
        .map(|c| c.program)
        .chain([interpreter(&ready)])
    {
        match ask(&program).await {
            Ok(found) if found.shotgun_api3.is_some() => return Ok(found),
            Ok(found) => bases.push(found),
            Err(error) => rejected.push(error),
        }
    }
    for program in OTHERS {
        if bases.iter().any(is_new_enough) {
            break;
        }
        bases.extend(ask(Path::new(program)).await.ok());
    }
    let Some(base) = bases.iter().find(|base| is_new_enough(base)) else {
        let old = bases
            .iter()
            .map(|found| format!("{} is {}", found.path.display(), found.version));
        let reasons = old.chain(rejected.iter().map(ToString::to_string));
        let message = format!("no Python from {}.{} up was found", OLDEST.0, OLDEST.1);
        let message = reasons.fold(message, |message, reason| message + "\n  " + &reason);
        return Err(CommandError::configuration(message)
            .hint("on Debian and Ubuntu: `apt install python3 python3-venv`")
            .hint(NAME_ONE));
    };
    make(base, &ready).await
}

async fn named(candidate: &Candidate) -> Result<Interpreter, CommandError> {
    let Candidate {
        program, origin, ..
    } = candidate;
    let found = ask(program).await.map_err(CommandError::configuration)?;
    if found.shotgun_api3.is_some() {
        return Ok(found);
    }
    let why = found.import_error.as_deref().unwrap_or("no reason given");
    let message = format!("{} cannot import shotgun_api3 ({why})", program.display());
    Err(CommandError::configuration(message).hint(format!(
        "install it with `{}`, or leave out {origin}",
        found.install_command()
    )))
}

async fn ask(program: &Path) -> Result<Interpreter, slated_host::InterpreterError> {
    let env = Environment {
        remove: MISLEADING.map(OsString::from).to_vec(),
        ..Environment::default()
    };
    Interpreter::probe(program, &env, &[]).await
}

fn is_new_enough(found: &Interpreter) -> bool {
    let mut numbers = found.version.split('.').map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST
}

/// Returns where the demo keeps what it makes.
fn home() -> Result<PathBuf, CommandError> {
    // The base directory specification: a relative path there is to be ignored.
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    data.or_else(|| std::env::home_dir().map(|home| home.join(".local/share")))
        .map(|data| data.join("slated/demo"))
        .ok_or_else(|| {
            CommandError::configuration("there is no home folder to make a Python environment in")
                .hint("set XDG_DATA_HOME")
        })
}

fn interpreter(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}

/// Makes the environment `ready` with the modules of `base`.
async fn make(base: &Interpreter, ready: &Path) -> Result<Interpreter, CommandError> {
    let base = &base.path;
    let fail = |what: &str, path: &Path, error: &std::io::Error| {
        CommandError::configuration(format!("cannot {what} {}: {error}", path.display()))
            .hint("set XDG_DATA_HOME to a folder that you may write to")
            .hint(NAME_ONE)
    };
    let home = ready.parent().unwrap_or(ready);
    std::fs::create_dir_all(home).map_err(|e| fail("make", home, &e))?;
    out::talk(format_args!(
        "No Python here imports shotgun_api3: making an environment for it in {}, with {}.",
        ready.display(),
        base.display()
    ));
    // Removed again when anything fails.
    let draft = tempfile::Builder::new()
        .prefix("building-")
        .tempdir_in(home);
    let draft = draft.map_err(|e| fail("write to", home, &e))?;
    build(base, draft.path()).await?;
    if ready.exists() {
        // It was asked, and does not work: its Python was removed or replaced.
        std::fs::remove_dir_all(ready).map_err(|e| fail("remove", ready, &e))?;
    }
    match std::fs::rename(draft.path(), ready) {
        // The name that would be removed is gone.
        Ok(()) => drop(draft.keep()),
        // Another demo may have been quicker; then its environment is as good as ours.
        Err(_) if interpreter(ready).is_file() => {}
        Err(error) => return Err(fail("rename to", ready, &error)),
    }
    let found = ask(&interpreter(ready))
        .await
        .map_err(CommandError::configuration)?;
    out::talk(format_args!(
        "It is ready, with Python {}; the next demo starts at once.",
        found.version
    ));
    Ok(found)
}

async fn build(base: &Path, draft: &Path) -> Result<(), CommandError> {
    let python = interpreter(draft);
    let mut pip = if run(Command::new(base).args(["-m", "venv"]).arg(draft))
        .await
        .is_ok()
    {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip"]);
        pip
    } else {
        out::talk("It has no ensurepip: trying without, by its own pip.");
        let mut bare = Command::new(base);
        bare.args(["-m", "venv", "--clear", "--without-pip"])
            .arg(draft);
        run(&mut bare).await.map_err(|why| {
            trouble(format!("`{} -m venv` does not work: {why}", base.display())).hint(NAME_ONE)
        })?;
        run(Command::new(base).args(["-m", "pip", "--version"]))
            .await
            .map_err(|_| {
                trouble(format!("{} has neither ensurepip nor pip", base.display())).hint(NAME_ONE)
            })?;
        let mut pip = Command::new(base);
        pip.args(["-m", "pip", "--python"]).arg(&python);
        pip
    };
    out::talk(format_args!("Installing {CLIENT}."));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        CLIENT,
    ]);
    run(&mut pip).await.map_err(|why| {
        trouble(format!("{CLIENT} could not be installed: {why}"))
            .hint("pip needs a way to its package index; behind a proxy set HTTPS_PROXY")
            .hint(NAME_ONE)
    })?;
    let found = ask(&python).await.map_err(CommandError::configuration)?;
    match found.import_error {
        None => Ok(()),
        Some(why) => {
            let message = format!("{CLIENT} was installed, and cannot be imported: {why}");
            Err(trouble(message).hint(NAME_ONE))
        }
    }
}

fn trouble(message: String) -> CommandError {
    CommandError::configuration(message).hint(PACKAGE)
}

/// Runs a step to its end; an error is the last thing it said.
async fn run(command: &mut Command) -> Result<(), String> {
    for name in MISLEADING {
        command.env_remove(name);
    }
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(PATIENCE, output)
        .await
        .map_err(|_| format!("it did not end in {} minutes", PATIENCE.as_secs() / 60))?
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    Err(last.map_or_else(|| output.status.to_string(), str::to_owned))
}
