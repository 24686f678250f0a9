//! The official Python client against the simulator: `official_client.py` does the asking.
//!
//! Needs an interpreter that imports `shotgun_api3`: the one in `SLATED_TEST_PYTHON`, or
//! `python3`.

use std::process::{Command, Output};

use slated_sim::{Server, Site, SiteOptions};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/official_client.py");

fn python() -> String {
    if let Ok(named) = std::env::var("SLATED_TEST_PYTHON") {
        return named;
    }
    let found = Command::new("python3")
        .args(["-c", "import shotgun_api3"])
        .output();
    assert!(
        found.is_ok_and(|output| output.status.success()),
        "this test needs a Python that imports shotgun_api3: name it in SLATED_TEST_PYTHON, \
         or run `cargo xtask test`, which provides it"
    );
    "python3".into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_finds_nothing_amiss() {
    let python = python();
    let site = Site::new(SiteOptions::default());
    let server = Server::start(site, "127.0.0.1:0").await.unwrap();
    let (url, key) = (server.url(), server.key("slated"));
    let other_key = server.key("notify_coordinator");
    let output: Output = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .args([SCRIPT, &url, "slated", &key, &other_key])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    // The script names each part it has been through; none may be left out.
    assert!(
        stdout.trim_end().ends_with("19 parts passed"),
        "{stdout}\n{stderr}"
    );
}
