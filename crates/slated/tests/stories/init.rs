//! The first hour: `slated init`, a simulated site, and a plugin that says hello.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use slated_testkit::python;

use crate::{LIMIT, SLATED};

/// A child that does not outlive its story.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

fn slated(folder: &Path, key: &str) -> Result<Command> {
    let mut command = Command::new(SLATED);
    command
        .current_dir(folder)
        .env("SLATED_PYTHON", python::interpreter()?)
        .env("SLATED_SITE_KEY", key)
        .stdin(Stdio::null());
    Ok(command)
}

/// Somebody at the site makes a Version, with the official client.
const SOMEBODY: &str = "
import shotgun_api3, sys
sg = shotgun_api3.Shotgun(sys.argv[1], login='mira', password='any')
sg.create('Version', {'project': sg.find_one('Project', []), 'code': 'hello_v001'})
";

#[test]
fn a_folder_is_made_checked_run_and_tested() -> Result<()> {
    let root = tempfile::tempdir()?;
    let mut sim = Running(
        slated(root.path(), "")?
            .args(["sim", "--json"])
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let mut first = String::new();
    BufReader::new(sim.0.stdout.take().context("no stdout")?).read_line(&mut first)?;
    let site: Value = serde_json::from_str(&first)?;
    let url = site["url"].as_str().context("no url")?;
    let key = site["key"].as_str().context("no key")?;

    let made = slated(root.path(), "")?
        .args(["init", "studio", "--sim", "--url", url])
        .output()?;
    ensure!(made.status.success(), "{}", said(&made));
    // The key that it tells is the simulator's.
    let told = format!("export SLATED_SITE_KEY={key}");
    assert!(said(&made).contains(&told), "{}", said(&made));
    let folder = root.path().join("studio");

    let check = slated(&folder, key)?.arg("check").output()?;
    ensure!(check.status.success(), "{}", said(&check));
    assert!(
        said(&check).contains("Shotgun_Version_New"),
        "{}",
        said(&check)
    );

    let log = root.path().join("log");
    let out = std::fs::File::create(&log)?;
    let mut daemon = slated(&folder, key)?;
    daemon.arg("run").stdout(out.try_clone()?).stderr(out);
    let _daemon = Running(daemon.spawn()?);
    let until = |words: &str| -> Result<()> {
        let end = Instant::now() + LIMIT;
        loop {
            let text = std::fs::read_to_string(&log)?;
            if text.contains(words) {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{words:?} is not in: {text}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    until("ready with 1 callback")?;
    // A new plugin gets what is seen from now on, so there must have been a look.
    let end = Instant::now() + LIMIT;
    loop {
        let status = slated(&folder, key)?.args(["status", "--json"]).output()?;
        let status: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        if status["plugins"][0]["state"] == "running" && !status["site"]["read_at_ms"].is_null() {
            break;
        }
        ensure!(Instant::now() < end, "not followed: {status}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let somebody = Command::new(python::interpreter()?)
        .args(["-c", SOMEBODY, url])
        .output()?;
    ensure!(somebody.status.success(), "{}", said(&somebody));
    until("Hello Mira Okafor, thank you for hello_v001.")?;

    // The plugin's own test, without a site.
    let test = |folder: &Path| {
        Command::new(python::interpreter()?)
            .args(["-m", "unittest", "discover", "tests"])
            .current_dir(folder)
            .env("SLATED", SLATED)
            .env("SLATED_PYTHON", python::interpreter()?)
            .env_remove("SLATED_SITE_KEY")
            .output()
            .map_err(anyhow::Error::from)
    };
    let passed = test(&folder)?;
    ensure!(passed.status.success(), "{}", said(&passed));
    assert!(said(&passed).contains("Ran 4 tests"), "{}", said(&passed));
    // It can fail: of a plugin that no longer asks for the event.
    let plugin = folder.join("plugins/hello.py");
    let text = std::fs::read_to_string(&plugin)?;
    let other = text.replace(
        "{\"Shotgun_Version_New\": None}",
        "{\"Shotgun_Task_New\": None}",
    );
    assert_ne!(text, other);
    std::fs::write(&plugin, other)?;
    let failed = test(&folder)?;
    assert!(
        said(&failed).contains("FAILED (failures=1)"),
        "{}",
        said(&failed)
    );
    Ok(())
}

#[test]
fn nothing_that_is_there_is_changed() -> Result<()> {
    let root = tempfile::tempdir()?;
    let run = |arguments: &[&str]| -> Result<Output> {
        Ok(slated(root.path(), "")?
            .arg("init")
            .args(arguments)
            .output()?)
    };
    std::fs::create_dir(root.path().join("half"))?;
    std::fs::write(root.path().join("half/.gitignore"), "mine")?;
    std::fs::write(root.path().join("half/tests"), "mine")?;
    let refused = run(&["half"])?;
    assert_eq!(refused.status.code(), Some(2));
    let told = said(&refused);
    assert!(told.contains("in the way"), "{told}");
    assert!(
        told.contains("half/.gitignore") && told.contains("half/tests"),
        "{told}"
    );
    assert_eq!(
        std::fs::read_to_string(root.path().join("half/.gitignore"))?,
        "mine"
    );
    assert_eq!(std::fs::read_dir(root.path().join("half"))?.count(), 2);
    // In a folder with other things it is made beside them; a real site's address is one's own.
    std::fs::remove_file(root.path().join("half/.gitignore"))?;
    std::fs::remove_file(root.path().join("half/tests"))?;
    std::fs::write(root.path().join("half/README"), "mine")?;
    let made = run(&[
        "half",
        "--url",
        "https://a.example/",
        "--script",
        "a \"b\" \\c",
    ])?;
    ensure!(made.status.success(), "{}", said(&made));
    let text = std::fs::read_to_string(root.path().join("half/slated.toml"))?;
    assert!(text.contains("url = \"https://a.example\"\n"), "{text}");
    assert!(text.contains(r#"script = "a \"b\" \\c""#), "{text}");
    let again = run(&["half"])?;
    assert_eq!(again.status.code(), Some(2));
    assert_eq!(said(&again).matches("half/").count(), 4, "{}", said(&again));

    // What is told to be typed can be; and no name breaks the file.
    let spaced = run(&["own's place"])?;
    let told = said(&spaced);
    assert!(told.contains("  cd 'own'\\''s place'\n"), "{told}");
    let broken = run(&["other", "--script", "a\nb"])?;
    assert_eq!(broken.status.code(), Some(2));
    assert!(!root.path().join("other").exists());

    let schema = run(&["--schema"])?;
    let schema: Value = serde_json::from_slice(&schema.stdout)?;
    assert_eq!(schema["required"][0], "site");
    Ok(())
}
