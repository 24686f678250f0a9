//! Which Python is taken, and what is said about those that are not.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use slated_host::{Candidate, Environment, Interpreter, InterpreterError};

use crate::stage::{python, tests};

/// Writes a shell script that is run in the place of a Python.
fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("python");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn probe(program: &Path, import_paths: &[PathBuf]) -> Result<Interpreter, InterpreterError> {
    Interpreter::probe(program, &Environment::default(), import_paths).await
}

#[tokio::test]
async fn a_shim_is_looked_through() {
    let real = python().await;
    let folder = tempfile::tempdir().unwrap();
    let text = format!("echo from the shim; exec '{}' \"$@\"", real.path.display());
    let found = probe(&script(folder.path(), &text), &[]).await.unwrap();
    assert_eq!((found.path, found.version), (real.path, real.version));
}

#[tokio::test]
async fn compat_4_2_a_client_may_stand_in_an_import_path() {
    let found = probe(&python().await.path, &[tests().join("fake_client")])
        .await
        .unwrap();
    assert_eq!(found.shotgun_api3.as_deref(), Some("0.0.fake"));
}

#[tokio::test]
async fn a_python_without_the_client_is_told_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("shotgun_api3");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("__init__.py"), "raise ImportError('not here')").unwrap();
    let real = python().await;
    let given = Candidate {
        program: real.path.clone(),
        origin: "VIRTUAL_ENV".into(),
        named: false,
    };
    let paths = [folder.path().to_owned()];
    let find = async |given: &[Candidate]| {
        let found = Interpreter::find(given.to_vec(), &Environment::default(), &paths).await;
        found.unwrap_err().to_string()
    };
    let python = real.path.display();
    let why = "cannot import shotgun_api3 (ImportError: not here)\ninstall it with: ";
    let error = find(std::slice::from_ref(&given)).await;
    let wanted = format!("{python} (VIRTUAL_ENV): {why}{python} -m pip install shotgun_api3");
    assert!(error.ends_with(&wanted), "{error}");

    // One that is named is not replaced by another, whatever that one could do.
    let named = Candidate {
        origin: "--python".into(),
        named: true,
        ..given.clone()
    };
    assert_eq!(
        find(&[named, given]).await,
        format!(
            "{python} (--python) cannot run plugins: {why}{python} -m pip install shotgun_api3"
        )
    );
}

#[tokio::test]
async fn an_old_python_and_no_python_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (text, reason) in [
        (
            r#"echo '{"executable":"/p","version":[3,6,15],"shotgun_api3":"3","why":null}'"#,
            "it is version 3.6, and 3.7 is the oldest that works",
        ),
        (
            "echo no module named python >&2; exit 1",
            "no module named python",
        ),
        ("exit 0", "it said nothing"),
    ] {
        let error = probe(&script(folder.path(), text), &[]).await.unwrap_err();
        assert!(error.to_string().ends_with(reason), "{error}");
    }
}
