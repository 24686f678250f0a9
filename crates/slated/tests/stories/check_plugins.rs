//! `slated check` of plugins: what each asks for, what is wrong with it, and that parsing runs nothing.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use slated_testkit::python;

use crate::{LIMIT, SLATED, begins, happen, json_of, loads, world};

/// A folder with a configuration, whose site is never asked, and these plugins.
fn place(plugins: &[(&str, &str)]) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let config = "[site]\nurl = 'http://127.0.0.1:9'\nkey = { env = 'KEY' }\n[defaults]\nenv_pass = ['MARK']\n";
    std::fs::write(folder.path().join("slated.toml"), config)?;
    std::fs::create_dir(folder.path().join("plugins"))?;
    for (name, text) in plugins {
        std::fs::write(folder.path().join(format!("plugins/{name}.py")), text)?;
    }
    Ok(folder)
}

/// Runs `slated check`; returns its exit code, stdout and stderr.
fn check(folder: &tempfile::TempDir, flags: &[&str]) -> Result<(Option<i32>, String, String)> {
    let output = Command::new(SLATED)
        .args(["check", "--offline"])
        .args(flags)
        .current_dir(folder.path())
        .env("KEY", "secret")
        .env("MARK", folder.path().join("ran"))
        .env("SLATED_PYTHON", python::interpreter()?)
        .output()?;
    Ok((
        output.status.code(),
        String::from_utf8(output.stdout)?,
        String::from_utf8(output.stderr)?,
    ))
}

/// What is said of a plugin's file.
fn file<'a>(check: &'a Value, name: &str) -> &'a Value {
    let files = check["files"].as_array().map(Vec::as_slice);
    let id = format!("plugins/{name}");
    let mut files = files.unwrap_or_default().iter();
    files.find(|f| f["plugin"] == *id).unwrap_or(&Value::Null)
}

const PLUGINS: [(&str, &str); 6] = [
    (
        "asks",
        "import os\nopen(os.environ['MARK'], 'a').write('x')\n\
         def registerCallbacks(reg):\n    reg.registerCallback('s', 'k', f, {'A': ['x'], 'B': 'sg_y'})\n    \
         reg.registerCallback('s', 'k', f, stopOnError=False)\n\
         def f(sg, logger, event, args): pass\n",
    ),
    (
        "dies",
        "import os\nos._exit(9)\ndef registerCallbacks(reg): pass\n",
    ),
    ("helper", "def helps(): pass\n"),
    (
        "old",
        "import os\n\ndef registerCallbacks(reg):\n    print 'x'\n",
    ),
    (
        "raises",
        "def registerCallbacks(reg):\n    x = 1\n    reg.nothing()\n",
    ),
    ("silent", "def registerCallbacks(reg): pass\n"),
];

#[test]
fn every_plugin_is_loaded_and_what_is_wrong_has_its_line() -> Result<()> {
    let folder = place(&PLUGINS)?;
    let (code, shown, said) = check(&folder, &["--json"])?;
    let check_all: Value = serde_json::from_str(&shown).context(said.clone())?;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("3 plugins do not load"), "{said}");
    assert!(said.contains("modules do run"), "{said}");
    assert!(folder.path().join("ran").exists(), "it was not run");
    let states = PLUGINS.map(|(name, _)| file(&check_all, name)["state"].clone());
    assert_eq!(
        json!(states),
        json!(["loads", "broken", "helper", "broken", "broken", "loads"])
    );
    let asks = file(&check_all, "asks");
    let callbacks = asks["callbacks"].as_array().context("callbacks")?;
    let callback = |n: usize| {
        (
            &callbacks[n]["name"],
            &callbacks[n]["asks_for"],
            &callbacks[n]["stop_on_error"],
        )
    };
    assert_eq!(
        callback(0),
        (
            &json!("f"),
            &json!("A of x; B of what stands in `sg_y`"),
            &json!(true)
        )
    );
    assert_eq!(
        callback(1),
        (&json!("f#2"), &json!("every event"), &json!(false))
    );
    assert!(
        asks["warnings"].to_string().contains("plain string"),
        "{asks}"
    );
    for (name, words) in [
        ("old", "plugins/old.py:4: SyntaxError: Python 2 syntax"),
        ("raises", "plugins/raises.py:3: AttributeError"),
        ("dies", "its process ended while the plugin was loaded"),
    ] {
        let error = file(&check_all, name)["error"].as_str().unwrap_or_default();
        assert!(error.contains(words), "{name}: {error}");
    }
    let python = &check_all["pythons"][0];
    assert_eq!(
        python["plugins"].as_array().map(Vec::len),
        Some(6),
        "{python}"
    );
    assert!(python["shotgun_api3"].is_string() && python["version"].is_string());

    let starts = check_all["plugins"].as_array().context("plugins")?;
    let starts: Vec<_> = starts.iter().filter_map(|s| s["plugin"].as_str()).collect();
    assert!(starts.len() > 3 && starts.is_sorted(), "{starts:?}");

    // People see the same, in the order of the folder.
    let (_, shown, _) = check(&folder, &[])?;
    let at = |words: &str| {
        shown
            .find(words)
            .with_context(|| format!("{words:?} in {shown}"))
    };
    let order = [
        at("python  ")?,
        at("PLUGIN")?,
        at("f  A of x")?,
        at("plugins/helper  is no plugin")?,
        at("old.py:4:")?,
    ];
    assert!(order.is_sorted(), "{shown}");

    // One that is sound.
    let (code, shown, said) = check(&folder, &["--plugin", "asks", "--json"])?;
    let one: Value = serde_json::from_str(&shown).context(said.clone())?;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(one["files"].as_array().map(Vec::len), Some(1), "{one}");
    assert_eq!(one["plugins"].as_array().map(Vec::len), Some(1), "{one}");
    let (code, _, said) = check(&folder, &["--plugin", "ask"])?;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("did you mean `asks`?"), "{said}");
    // No trace of all that.
    assert!(!folder.path().join("slated-state").exists());
    Ok(())
}

#[test]
fn a_plugin_that_a_network_fails_is_not_called_broken() -> Result<()> {
    let asks = "import socket\ndef registerCallbacks(reg):\n    \
                socket.create_connection(('127.0.0.1', 9))\n";
    let folder = place(&[("asks", asks)])?;
    let (code, shown, said) = check(&folder, &[])?;
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("1 plugin does not load: what it asks"),
        "{said}"
    );
    assert!(
        shown.contains("plugins/asks  does not load now: "),
        "{shown}"
    );
    assert!(shown.contains("ConnectionRefusedError"), "{shown}");
    assert!(!shown.contains("broken"), "{shown}");
    let (_, shown, _) = check(&folder, &["--json"])?;
    let checked: Value = serde_json::from_str(&shown)?;
    assert_eq!(file(&checked, "asks")["state"], "unanswered", "{checked}");
    Ok(())
}

#[test]
fn nothing_of_a_plugin_runs_where_it_is_only_parsed() -> Result<()> {
    let folder = place(&PLUGINS)?;
    let (code, shown, said) = check(&folder, &["--no-load", "--json"])?;
    let parsed: Value = serde_json::from_str(&shown).context(said.clone())?;
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("1 plugin does not load") && !said.contains("do run"),
        "{said}"
    );
    assert!(!folder.path().join("ran").exists(), "it was run");
    let states = PLUGINS.map(|(name, _)| file(&parsed, name)["state"].clone());
    assert_eq!(
        json!(states),
        json!(["parses", "parses", "helper", "broken", "parses", "parses"])
    );
    let error = file(&parsed, "old")["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("plugins/old.py:4: SyntaxError: Python 2 syntax"),
        "{error}"
    );
    assert_eq!(file(&parsed, "asks")["callbacks"], Value::Null);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_must_not_run_twice_is_not_loaded_beside_a_daemon() -> Result<()> {
    let mut world = world()
        .setting("defaults", "reload", "\"stop-first\"")
        .start()
        .await?;
    let event = happen(world.site());
    begins(&mut world, "quick", event, 1).await?;
    world.caught_up(LIMIT).await?;
    let beside = json_of(&world, "check", &[]).await?;
    assert_eq!(beside["state"]["in_use"], true, "{beside}");
    assert_eq!(file(&beside, "quick")["state"], "parses", "{beside}");
    let warnings = file(&beside, "quick")["warnings"].to_string();
    assert!(warnings.contains("stop-first"), "{warnings}");
    assert_eq!(loads(&world, "quick")?.len(), 1);
    // Nobody is disturbed once the daemon has ended.
    assert!(world.terminate().await?.success());
    let alone = json_of(&world, "check", &[]).await?;
    assert_eq!(file(&alone, "quick")["state"], "loads", "{alone}");
    assert_eq!(loads(&world, "quick")?.len(), 2);
    Ok(())
}
