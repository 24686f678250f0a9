//! No secret of slated's own is anywhere but where it was put: a full run, and every trace of it.

use anyhow::{Context as _, Result, ensure};
use slated_testkit::hook::Hook;
use slated_testkit::mail::MailServer;
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::alerts::holding;
use crate::mail::{mails_by, took};
use crate::{LIMIT, WANTED, happen, said, shows, world};

/// Command lines of this world's processes, and the environments of those that run a worker.
fn processes(folder: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let read = |name: &str| {
            let bytes = std::fs::read(entry.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let command = read("cmdline");
        // The servers of the test are told more.
        if !command.contains(folder) {
            continue;
        }
        if command.contains("/worker-") {
            all.push((format!("the environment of {command}"), read("environ")));
        }
        all.push(("a command line".into(), command));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_run_leaves_no_secret_anywhere() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = MailServer::start(folder.path(), &MailServer::closed("slated", "s3cret-pass"))?;
    let authority = format!("{:?}", MailServer::authority());
    let hook = Hook::start()?;
    let fails = Callback::new("f").wants(WANTED).stops_on_error();
    let mut world = mails_by(world(), server.port())
        .plugin(Plugin::journal("wrong").callback(fails.does(Act::Raise, 1, None)))
        .no_retries()
        .setting("mail", "tls", "true")
        .setting("mail", "username", "\"slated\"")
        .setting("mail", "password", "{ env = \"MAIL_PASSWORD\" }")
        .setting("site", "ca_file", &authority)
        .setting("alerts", "webhook", "{ env = \"STUDIO_HOOK\" }")
        .setting("defaults", "env_pass", "[\"*\"]")
        .setting("log", "level", "\"trace\"")
        .setting("log", "folder", "\"logs\"")
        .env("MAIL_PASSWORD", "s3cret-pass")
        .env("STUDIO_HOOK", &hook.url())
        .env("SLATED_TEST_ALERTS_MS", "100")
        .start()
        .await?;
    let key = world.site().key("slated").context("a key")?;
    // What of the address is the secret: its path.
    let url = hook.url();
    let path = url.split_once(&hook.host()).context("a host")?.1.to_owned();
    ensure!(path.len() > 8, "{url}");
    let secrets = [key.as_str(), "s3cret-pass", path.as_str()];

    let event = happen(world.site()).to_string();
    took(&mut world, &server, 1).await?;
    world
        .until("an alert", LIMIT, |_| Ok(!hook.posts().is_empty()))
        .await?;
    shows(&world, "the hold", |s| s["held"] == 1).await?;

    let mut heard = processes(&world.folder().to_string_lossy());
    ensure!(
        heard
            .iter()
            .any(|(what, text)| what.contains("environment") && text.contains("PATH="))
    );
    let wrong = "\n[plugin.wrong]\nretyr = 'all'\n";
    let config = world.folder().join("slated.toml");
    let right = std::fs::read_to_string(&config)?;
    for (command, arguments, is_wrong) in [
        ("check", &["--keys"][..], false),
        ("check", &["--json"], false),
        ("check", &["--send-test-mail"], false),
        ("status", &[], false),
        ("status", &["--json"], false),
        ("plugin", &["list"], false),
        ("plugin", &["show", "wrong", "--json"], false),
        ("events", &["show", &event, "--json"], false),
        ("failures", &["list", "--json"], false),
        ("state", &["check"], false),
        ("migrate", &["--output", "-"], true),
        ("reload", &[], true),
        ("run", &[], true),
    ] {
        if is_wrong {
            std::fs::write(&config, format!("{right}{wrong}"))?;
        }
        let output = world.command(command, arguments).await?;
        std::fs::write(&config, &right)?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        ensure!(!text.is_empty(), "{command} says nothing");
        heard.push((format!("{command} {arguments:?}"), text));
    }
    assert!(world.terminate().await?.success());
    for secret in secrets {
        for (what, text) in &heard {
            assert!(!text.contains(secret), "{secret} stands in {what}: {text}");
        }
        // Plugins have a key of their own in their files, the same in tests.
        for folder in [world.state(), &world.folder().join("logs")] {
            let files = holding(folder, secret)?;
            assert!(files.is_empty(), "{secret} stands in {files:?}");
        }
        assert!(!said(&world).contains(secret));
    }
    let log = std::fs::read_to_string(world.folder().join("logs/slated.log"))?;
    assert!(log.contains("DEBUG"), "it was all logged");
    Ok(())
}
