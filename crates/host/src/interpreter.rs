//! Which Python runs a plugin (docs/configuration.md, "Which Python").

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use crate::Environment;

/// How long a Python may take to say who it is. Network shares are slow at first.
const PATIENCE: Duration = Duration::from_secs(20);

/// The oldest version the worker's code runs on.
const OLDEST: (u32, u32) = (3, 7);

/// What a candidate is asked. The answer stands on the last line, since whatever else runs at
/// start may print.
const QUESTION: &str = r#"
import json, sys
sys.path[:0] = sys.argv[1:]
client = why = None
try:
    import shotgun_api3
    client = str(getattr(shotgun_api3, "__version__", "of unknown version"))
except BaseException as error:
    why = "%s: %s" % (type(error).__name__, error)
print("\n" + json.dumps({"executable": sys.executable, "version": list(sys.version_info[:3]),
    "shotgun_api3": client, "why": why}))
"#;

/// A Python that was asked who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Its own `sys.executable`: no shim, and of a virtual environment the one inside.
    pub path: PathBuf,
    /// Such as `3.11.7`.
    pub version: String,
    /// The version of `shotgun_api3`, if it imports it.
    pub shotgun_api3: Option<String>,
    /// What it said when it could not import `shotgun_api3`.
    pub import_error: Option<String>,
}

/// A Python to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// A path, or a name to look for on PATH.
    pub program: PathBuf,
    /// Who named it, such as `--python`.
    pub origin: String,
    /// Whether a person named it: then no other is taken in its place.
    pub named: bool,
}

/// A candidate that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Which.
    pub candidate: Candidate,
    /// Why not.
    pub reason: String,
}

/// No Python can run plugins.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InterpreterError {
    /// It cannot be started, or gives no sensible answer.
    #[error("{} is not a Python that slated can use: {reason}", program.display())]
    Unusable {
        /// The program.
        program: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A person named this one, and it cannot run plugins.
    #[error(
        "{} ({}) cannot run plugins: {}{}",
        rejected.candidate.program.display(),
        rejected.candidate.origin,
        rejected.reason,
        advice(install)
    )]
    Unfit {
        /// Which, and why not.
        rejected: Box<Rejected>,
        /// The command that installs `shotgun_api3` for it, if that is all it lacks.
        install: Option<String>,
    },
    /// None of the candidates imports `shotgun_api3`.
    #[error(
        "no Python with shotgun_api3 was found{}{}",
        tried(rejected),
        advice(install)
    )]
    NoneFound {
        /// All that were tried, in order.
        rejected: Vec<Rejected>,
        /// The command that installs it, where there is a Python at all.
        install: Option<String>,
    },
}

fn tried(rejected: &[Rejected]) -> String {
    rejected.iter().fold(String::new(), |text, r| {
        let Candidate {
            program, origin, ..
        } = &r.candidate;
        text + &format!("\n  {} ({origin}): {}", program.display(), r.reason)
    })
}

#[expect(
    clippy::ref_option,
    reason = "called with a field by the error's format"
)]
fn advice(install: &Option<String>) -> String {
    install
        .as_ref()
        .map(|command| format!("\ninstall it with: {command}"))
        .unwrap_or_default()
}

#[derive(Deserialize)]
struct Answer {
    executable: String,
    version: (u32, u32, u32),
    shotgun_api3: Option<String>,
    why: Option<String>,
}

/// Returns what is to be tried: the Python that a person names, by the flag, else `SLATED_PYTHON`,
/// else a setting with where it stands; where nobody names one, that of `VIRTUAL_ENV`, `python3` and
/// `python`. `var` reads the environment.
pub fn candidates(
    flag: Option<&Path>,
    setting: Option<(&Path, &str)>,
    var: impl Fn(&str) -> Option<OsString>,
) -> Vec<Candidate> {
    let set = |name| var(name).filter(|value| !value.is_empty());
    let candidate = |named| {
        move |(program, origin): (PathBuf, &str)| {
            let some = !program.as_os_str().is_empty();
            some.then(|| Candidate {
                program,
                origin: origin.to_owned(),
                named,
            })
        }
    };
    let named = [
        flag.map(|program| (program.to_owned(), "--python")),
        set("SLATED_PYTHON").map(|program| (program.into(), "SLATED_PYTHON")),
        setting.map(|(program, origin)| (program.to_owned(), origin)),
    ];
    if let Some(one) = named.into_iter().flatten().find_map(candidate(true)) {
        return vec![one];
    }
    let environment = set("VIRTUAL_ENV").map(|folder| PathBuf::from(folder).join("bin/python"));
    let found = [
        environment.map(|program| (program, "VIRTUAL_ENV")),
        Some(("python3".into(), "PATH")),
        Some(("python".into(), "PATH")),
    ];
    found
        .into_iter()
        .flatten()
        .filter_map(candidate(false))
        .collect()
}

impl Interpreter {
    /// Returns the first candidate that imports `shotgun_api3`, and those passed over. One that a
    /// person named is not passed over: [`InterpreterError::Unfit`].
    pub async fn find(
        candidates: Vec<Candidate>,
        env: &Environment,
        import_paths: &[PathBuf],
    ) -> Result<(Self, Vec<Rejected>), InterpreterError> {
        let mut rejected = Vec::new();
        let mut install = None;
        for candidate in candidates {
            let mut lacks = None;
            let reason = match Self::probe(&candidate.program, env, import_paths).await {
                Ok(found) if found.shotgun_api3.is_some() => return Ok((found, rejected)),
                Ok(found) => {
                    lacks = Some(found.install_command());
                    format!(
                        "cannot import shotgun_api3 ({})",
                        found.import_error.as_deref().unwrap_or("no reason given")
                    )
                }
                Err(InterpreterError::Unusable { reason, .. }) => reason,
                Err(other) => return Err(other),
            };
            let one = Rejected { candidate, reason };
            if one.candidate.named {
                return Err(InterpreterError::Unfit {
                    rejected: Box::new(one),
                    install: lacks,
                });
            }
            install = install.or(lacks);
            rejected.push(one);
        }
        Err(InterpreterError::NoneFound { rejected, install })
    }

    /// Starts a Python with the plugin's variables and import paths and asks who it is.
    pub async fn probe(
        program: &Path,
        env: &Environment,
        import_paths: &[PathBuf],
    ) -> Result<Self, InterpreterError> {
        let answer = ask(program, env, import_paths).await;
        let answer = answer.map_err(|reason| InterpreterError::Unusable {
            program: program.to_owned(),
            reason,
        })?;
        let (major, minor, micro) = answer.version;
        Ok(Self {
            path: PathBuf::from(answer.executable),
            version: format!("{major}.{minor}.{micro}"),
            shotgun_api3: answer.shotgun_api3,
            import_error: answer.why,
        })
    }

    /// Returns the command that installs `shotgun_api3` for this Python.
    pub fn install_command(&self) -> String {
        format!("{} -m pip install shotgun_api3", self.path.display())
    }
}

async fn ask(
    program: &Path,
    env: &Environment,
    import_paths: &[PathBuf],
) -> Result<Answer, String> {
    let mut command = Command::new(program);
    env.apply(&mut command);
    command
        .arg("-c")
        .arg(QUESTION)
        .args(import_paths.iter().map(AsRef::<OsStr>::as_ref))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("it does not start: {error}")),
        Err(_) => return Err(format!("it gave no answer in {PATIENCE:?}")),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().next_back().unwrap_or_default();
    let Ok(answer) = serde_json::from_str::<Answer>(last) else {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next_back().unwrap_or("it said nothing");
        return Err(format!("{}: {said}", output.status));
    };
    let (major, minor, _) = answer.version;
    if (major, minor) < OLDEST {
        return Err(format!(
            "it is version {major}.{minor}, and 3.7 is the oldest that works"
        ));
    }
    if answer.executable.is_empty() {
        return Err("it does not know its own path".into());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_that_is_named_is_the_only_candidate() {
        let var = |set: &'static [(&str, &str)]| {
            move |name: &str| {
                let found = set.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| OsString::from(value))
            }
        };
        let both = var(&[("SLATED_PYTHON", "/s"), ("VIRTUAL_ENV", "/v")]);
        let flag = Some(Path::new("/f"));
        let setting = Some((Path::new("/p"), "slated.toml:8"));
        let check = |all: Vec<Candidate>, named: bool, wanted: &[(&str, &str)]| {
            assert!(all.iter().all(|c| c.named == named), "{all:?}");
            let all = all
                .iter()
                .map(|c| (c.program.to_str().unwrap(), &*c.origin));
            assert_eq!(all.collect::<Vec<_>>(), wanted);
        };
        check(candidates(flag, setting, both), true, &[("/f", "--python")]);
        check(
            candidates(None, setting, both),
            true,
            &[("/s", "SLATED_PYTHON")],
        );
        let environment = var(&[("VIRTUAL_ENV", "/v")]);
        check(
            candidates(None, setting, environment),
            true,
            &[("/p", "slated.toml:8")],
        );
        let path = [("python3", "PATH"), ("python", "PATH")];
        let searched = [&[("/v/bin/python", "VIRTUAL_ENV")], &path[..]].concat();
        check(candidates(None, None, environment), false, &searched);
        let empty = Some((Path::new(""), ""));
        check(
            candidates(None, empty, |_| Some(OsString::new())),
            false,
            &path,
        );
    }

    #[tokio::test]
    async fn every_python_that_was_passed_over_is_named_with_its_reason() {
        let given = ["/nowhere/python", "/bin/true"].map(|program| Candidate {
            program: program.into(),
            origin: "test".into(),
            named: false,
        });
        let error = Interpreter::find(given.to_vec(), &Environment::default(), &[])
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/nowhere/python (test): it does not start"),
            "{error}"
        );
        assert!(
            error.contains("/bin/true (test): exit status: 0"),
            "{error}"
        );
    }
}
