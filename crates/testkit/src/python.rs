//! The Python that tests run plugins with: one that imports `shotgun_api3`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow};

/// The variable that names the interpreter; `cargo xtask test` sets it.
pub const VARIABLE: &str = "SLATED_TEST_PYTHON";

/// Imports the client, then prints the interpreter's own path: a shim is slow to start.
const PROBE: &str = "import shotgun_api3, sys; print(sys.executable)";

/// Returns the interpreter that [`VARIABLE`] names, else `python3` or `python` of PATH if it
/// imports `shotgun_api3`. Asks once for each process.
pub fn interpreter() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    found.clone().map_err(|error| anyhow!(error))
}

fn find() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        let shown = named.to_string_lossy().into_owned();
        return probe(&mut Command::new(named)).with_context(|| {
            format!("{VARIABLE} is {shown}, which does not import shotgun_api3; {HINT}")
        });
    }
    ["python3", "python"]
        .into_iter()
        .find_map(|name| probe(&mut Command::new(name)))
        .with_context(|| format!("no Python on PATH imports shotgun_api3; {HINT}"))
}

const HINT: &str = "run the tests with `cargo xtask test`, which prepares one, \
                    or set SLATED_TEST_PYTHON=$(cargo xtask python)";

fn probe(python: &mut Command) -> Option<PathBuf> {
    let quiet = python
        .args(["-c", PROBE])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = quiet
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    path.is_file().then_some(path)
}
