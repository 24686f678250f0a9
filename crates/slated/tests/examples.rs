//! The example plugins keep what they promise: twice is once, late is no harm, their own writes
//! are not answered. `examples.py` calls them, as either daemon does, on the simulator.

use std::process::Command;

use slated_sim::{Server, Site, SiteOptions};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples.py");
const PLUGINS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/plugins");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_keep_what_they_promise() -> anyhow::Result<()> {
    let server = Server::start(Site::new(SiteOptions::default()), "127.0.0.1:0").await?;
    let mut python = Command::new(slated_testkit::python::interpreter()?);
    python.arg(SCRIPT).arg(PLUGINS).arg(server.url());
    for script in [
        "task_follows_version",
        "note_on_approval",
        "notify_coordinator",
    ] {
        python.arg(server.key(script));
    }
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tokio::task::spawn_blocking(move || python.output()).await??;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    // It names how many parts it has been through; none may be left out.
    assert!(
        output.status.success() && said.ends_with("7 parts passed\n"),
        "{said}"
    );
    Ok(())
}
