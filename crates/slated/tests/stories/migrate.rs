//! Moving on: from a `shotgunEventDaemon.conf` to the `slated.toml` that is made of it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use slated_testkit::World;
use slated_testkit::plugins::{Callback, Plugin};

use crate::{LIMIT, SLATED, WANTED, happen, lines};

fn journal(name: &str) -> Plugin {
    Plugin::journal(name).callback(Callback::new("f").wants(WANTED).wants("Shotgun_Note_New"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_studio_goes_on_under_a_slated_toml_and_nothing_is_lost_or_repeated() -> Result<()> {
    let mut world = World::builder(SLATED)
        .conf(|conf| {
            conf.set("slated plugin second", "warn_after", "30s");
        })
        .plugin(journal("first"))
        .plugin(journal("second"))
        .start()
        .await?;
    for _ in 0..3 {
        happen(world.site());
    }
    world.caught_up(LIMIT).await?;
    assert!(world.terminate().await?.success());
    // Nobody runs, and the site goes on.
    let between = happen(world.site());
    world
        .site()
        .seed_events(30, std::time::Duration::from_secs(5));

    let said_of = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let made = world.command("migrate", &[]).await?;
    let talk = said_of(&made);
    ensure!(made.status.success(), "{talk}");
    assert!(talk.contains("goes on under the new file"), "{talk}");
    let toml = std::fs::read_to_string(world.folder().join("slated.toml"))?;
    assert!(toml.contains("key = { env = \"SG_ED_API_KEY\" }"), "{toml}");
    // Once is enough.
    let again = world.command("migrate", &[]).await?;
    assert_eq!(again.status.code(), Some(2));
    assert!(said_of(&again).contains("slated.toml is there already"));
    // Printed, it is the same.
    let printed = world.ask("migrate", &["--output", "-"]).await?;
    assert_eq!(printed, toml);

    world.configure("slated.toml");
    world.restart()?;
    let after = happen(world.site());
    assert!(after > between);
    world.caught_up(LIMIT).await?;
    let verdict = world.verdict().await?;
    verdict.kept(0)?;
    // It was the new file, and the old state.
    let log = std::fs::read_to_string(world.folder().join("logs/slated.log"))?;
    assert!(log.contains("first"), "{log}");
    // The first start was the only one that found none.
    assert!(!log.contains("There is no state yet"), "{log}");
    assert_eq!(lines(&world, "There is no state yet"), 1);
    Ok(())
}

#[test]
fn a_key_leaves_the_file_and_a_state_that_is_not_there_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = folder.path().display();
    let conf = format!(
        "[daemon]\neventIdFile: {at}/events.id\nlogPath: {at}\nlogFile: log\n\
         [shotgun]\nserver: https://studio.example\nname: x\nkey: hush-hush\n[plugins]\npaths: {at}\n"
    );
    std::fs::write(folder.path().join("studio.conf"), conf)?;
    std::fs::write(folder.path().join("events.id"), "1234")?;
    let run = |arguments: &[&str]| {
        Command::new(SLATED)
            .args(arguments)
            .current_dir(folder.path())
            .output()
    };
    let migrate = ["migrate", "--config", "studio.conf", "--output"];
    let dry = run(&[&migrate[..], &["-"]].concat())?;
    let shown = format!(
        "{}{}",
        String::from_utf8_lossy(&dry.stdout),
        String::from_utf8_lossy(&dry.stderr)
    );
    ensure!(dry.status.success(), "{shown}");
    assert!(shown.contains("key = { file = \"site.key\" }"), "{shown}");
    assert!(!shown.contains("hush-hush"), "{shown}");
    assert!(
        shown.contains("does not take over what stands in"),
        "{shown}"
    );
    assert!(!folder.path().join("site.key").exists());
    // A key that is there already is somebody's; and that of another site stays its own.
    std::fs::write(folder.path().join("site.key"), "another's")?;
    std::fs::write(folder.path().join("new.site.key"), "other")?;
    let new = run(&[&migrate[..], &["new.toml"]].concat())?;
    assert_eq!(new.status.code(), Some(2));
    assert!(!folder.path().join("new.toml").exists());
    let new = run(&[&migrate[..], &["new.toml", "--force"]].concat())?;
    ensure!(
        new.status.success(),
        "{}",
        String::from_utf8_lossy(&new.stderr)
    );
    let another = std::fs::read_to_string(folder.path().join("site.key"))?;
    assert_eq!(another, "another's");
    let toml = std::fs::read_to_string(folder.path().join("new.toml"))?;
    assert!(toml.contains("{ file = \"new.site.key\" }"), "{toml}");
    let key = folder.path().join("new.site.key");
    assert_eq!(std::fs::read_to_string(&key)?, "hush-hush\n");
    assert_eq!(key.metadata()?.permissions().mode() & 0o777, 0o600);
    let mode = |name: &str| -> Result<u32> {
        let data = folder.path().join(name).metadata()?;
        Ok(data.permissions().mode() & 0o777)
    };
    let conf = folder.path().join("studio.conf");
    assert_eq!(mode("new.toml")?, mode("studio.conf")?);
    // What came from the environment may be a secret, too.
    let text = std::fs::read_to_string(&conf)?;
    std::fs::write(
        &conf,
        format!("{text}[slated]\nenv = {{ TOKEN = \"%(TOKEN)s\" }}\n"),
    )?;
    let with = Command::new(SLATED)
        .args([
            "migrate",
            "--config",
            "studio.conf",
            "--output",
            "token.toml",
            "--force",
        ])
        .env("TOKEN", "hush-token")
        .current_dir(folder.path())
        .output()?;
    let told = String::from_utf8_lossy(&with.stderr).into_owned();
    ensure!(with.status.success(), "{told}");
    assert!(
        told.contains("let nobody else read the file") && !told.contains("hush"),
        "{told}"
    );
    assert_eq!(mode("token.toml")?, 0o600);
    let wrong = run(&["migrate", "--config", "new.toml"])?;
    assert_eq!(wrong.status.code(), Some(2));
    // What cannot be read becomes nothing.
    std::fs::write(folder.path().join("bad.conf"), "[daemon]\nlogFile\n")?;
    let wrong = run(&["migrate", "--config", "bad.conf", "--output", "bad.toml"])?;
    assert_eq!(wrong.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("bad.conf:2: "));
    assert!(!folder.path().join("bad.toml").exists());
    Ok(())
}
