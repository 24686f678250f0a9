//! Plugins that are programs with a manifest: checked, tried, run, edited, broken, as others are.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use slated_testkit::{World, python};

use crate::{
    SLATED, WANTED, answers, begins, fate, happen, is, json_of, plugin, replace, said, says, shows,
    world,
};

const MANIFEST: &str = "command = ['./own.sh', 'one']\n";

/// A program that answers each event, and says on stderr that it did.
fn program(features: &str, act: &str) -> String {
    format!(
        r#"#!/bin/sh
while read -r line; do
    case $line in
    '{{"type":"hello",'*)
        echo '{{"type":"hello","protocol":{{"major":1,"minor":3}},"features":[{features}],"pid":'$$'}}'
        echo '{{"type":"ready","callbacks":[{{"n":0,"name":"acts","match":{{"{WANTED}":{{"any":true}}}},"stop_on_error":true}}],"warnings":["a word to people"]}}' ;;
    '{{"type":"event",'*)
        seq=${{line#*'"seq":'}}; seq=${{seq%%,*}}
        id=${{line#*'"event":{{'}}; id=${{id#*'"id":'}}; id=${{id%%[!0-9]*}}
        {act}
        echo '{{"type":"result","seq":'"$seq"',"n":0,"us":900}}'
        echo '{{"type":"done","seq":'"$seq"'}}' ;;
    '{{"type":"goodbye",'*) exit 0 ;;
    esac
done
"#
    )
}

fn put(folder: &Path, name: &str, text: &str, mode: u32) -> Result<()> {
    let path = folder.join(name);
    let draft = folder.join(format!(".{name}"));
    std::fs::write(&draft, text)?;
    std::fs::set_permissions(&draft, Permissions::from_mode(mode))?;
    Ok(std::fs::rename(draft, path)?)
}

/// A folder with a configuration whose site is never asked, and this program with its manifest.
fn place(manifest: &str, program: &str) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let config = "[site]\nurl = 'http://127.0.0.1:9'\nkey = { env = 'KEY' }\n";
    std::fs::write(folder.path().join("slated.toml"), config)?;
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins)?;
    put(&plugins, "own.sh", program, 0o755)?;
    put(&plugins, "own.plugin.toml", manifest, 0o644)?;
    Ok(folder)
}

/// Runs a command where no Python is.
fn slated(folder: &tempfile::TempDir, arguments: &[&str]) -> Result<Output> {
    let empty = folder.path().join("plugins");
    let mut command = Command::new(SLATED);
    let own = std::env::vars_os().map(|(name, _)| name);
    for name in own.filter(|name| name.to_string_lossy().starts_with("SLATED_")) {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .current_dir(folder.path())
        .env("KEY", "secret")
        .env("PATH", empty)
        .env_remove("VIRTUAL_ENV");
    Ok(command.output()?)
}

/// What `slated check --json` says, and its exit code.
fn check(folder: &tempfile::TempDir, flags: &[&str]) -> Result<(Option<i32>, Value)> {
    let output = slated(folder, &[&["check", "--offline", "--json"], flags].concat())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let view = serde_json::from_slice(&output.stdout).context(said)?;
    Ok((output.status.code(), view))
}

#[test]
fn check_loads_it_where_it_can_be_dry_and_no_python_is_needed() -> Result<()> {
    let act = "echo called >&2";
    for (features, flags, state) in [
        ("\"dry\"", &[][..], "loads"),
        ("\"dry\"", &["--no-load"], "parses"),
        ("", &[], "parses"),
    ] {
        let folder = place(MANIFEST, &program(features, act))?;
        let (code, all) = check(&folder, flags)?;
        assert_eq!((code, &all["refusal"]), (Some(0), &Value::Null), "{all}");
        let file = &all["files"][0];
        assert_eq!(
            (&file["plugin"], &file["state"]),
            (&json!("plugins/own"), &json!(state))
        );
        let name = file["file"].as_str().unwrap_or_default();
        assert!(name.ends_with("plugins/own.plugin.toml"), "{file}");
        if state == "loads" {
            let callback = &file["callbacks"][0];
            assert_eq!(
                (&callback["name"], &callback["asks_for"]),
                (&json!("acts"), &json!(WANTED))
            );
            assert_eq!(file["warnings"], json!(["a word to people"]));
        }
        if features.is_empty() {
            let warnings = file["warnings"].to_string();
            assert!(
                warnings.contains("it does not list the feature `dry`"),
                "{warnings}"
            );
        }
        assert_eq!(all["pythons"], json!([]));
        // A plugin that needs one is a reason to refuse, as ever.
        std::fs::write(folder.path().join("plugins/python.py"), "")?;
        let (code, all) = check(&folder, flags)?;
        assert_eq!(code, Some(3), "{all}");
        assert!(all["refusal"].to_string().contains("shotgun_api3"), "{all}");
    }
    Ok(())
}

#[test]
fn what_is_wrong_with_a_manifest_is_wrong_with_its_plugin() -> Result<()> {
    for (manifest, words) in [
        ("command = ['./gone.sh']", "own.plugin.toml:1: there is no "),
        (
            "\ncommnd = ['./own.sh']",
            "own.plugin.toml:2: unknown key `commnd` (did you mean `command`?)",
        ),
        ("command = ['slated.toml']", "there is no "),
        ("command = ['.draft']", "chmod +x "),
    ] {
        let folder = place(manifest, &program("\"dry\"", ""))?;
        put(&folder.path().join("plugins"), ".draft", "", 0o644)?;
        for flags in [&[][..], &["--no-load"]] {
            let (code, all) = check(&folder, flags)?;
            assert_eq!(code, Some(5), "{all}");
            let file = &all["files"][0];
            assert_eq!(file["state"], "broken");
            assert!(
                file["error"].to_string().contains(words),
                "{manifest}: {file}"
            );
        }
    }
    // The system has the last word.
    let folder = place(MANIFEST, "#!/no/such/shell\n")?;
    let (code, all) = check(&folder, &[])?;
    let error = all["files"][0]["error"].as_str().unwrap_or_default();
    assert_eq!(code, Some(5), "{all}");
    assert!(
        error.contains("own.plugin.toml:1: cannot start ") && error.contains("`#!`"),
        "{error}"
    );
    Ok(())
}

#[test]
fn it_is_tried_dry_where_it_can_be_and_live_where_a_person_says_so() -> Result<()> {
    let act = "echo \"called with $1, $id\" >&2";
    let event = ["--type", WANTED, "--json"];
    let tried = |folder: &tempfile::TempDir, name: &str, flags: &[&str]| -> Result<_> {
        let output = slated(folder, &[&["try", name], &event[..], flags].concat())?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8(said)?))
    };
    let folder = place(MANIFEST, &program("\"dry\"", act))?;
    for name in ["own", "plugins/own.plugin.toml"] {
        let (code, said) = tried(&folder, name, &["--offline"])?;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("called with one, 1"), "{said}");
    }
    let folder = place(MANIFEST, &program("", act))?;
    let (code, said) = tried(&folder, "own", &["--offline"])?;
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("does not list the feature `dry`") && said.contains("--live"),
        "{said}"
    );
    assert!(!said.contains("called with"), "{said}");
    Ok(())
}

fn install(world: &World, act: &str) -> Result<()> {
    let plugins = world.folder().join("plugins");
    put(&plugins, "own.sh", &program("\"dry\"", act), 0o755)?;
    put(&plugins, "own.plugin.toml", MANIFEST, 0o644)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_its_program_or_manifest_replaces_it_and_a_broken_one_does_not() -> Result<()> {
    let act = |word: &str| format!("echo \"$id is {word}, $1\" >&2");
    let mut world = world().prepare().await?;
    install(&world, &act("first"))?;
    // One that is wrong from the start stops nobody.
    let plugins = world.folder().join("plugins");
    put(
        &plugins,
        "bad.plugin.toml",
        "\ncommand = './own.sh'\n",
        0o644,
    )?;
    world.restart()?;
    let status = shows(&world, "ready", |s| {
        is(s, "own", "running") && is(s, "quick", "running")
    });
    let status = status.await?;
    let quick = plugin(&status, "quick")["pid"].clone();
    let bad = plugin(&status, "bad");
    assert_eq!(bad["state"], "broken", "{bad}");
    let why = bad["why"].as_str().unwrap_or_default();
    assert!(
        why.contains("bad.plugin.toml:2: `command` takes a list"),
        "{bad}"
    );
    let event = happen(world.site());
    says(&mut world, &format!("{event} is first, one"), 1).await?;

    let program_file = plugins.join("own.sh");
    put(
        &plugins,
        "own.sh",
        &program("\"dry\"", &act("second")),
        0o755,
    )?;
    says(&mut world, "plugins/own: its file changed", 1).await?;
    says(&mut world, "plugins/own: ready", 2).await?;
    let event = happen(world.site());
    says(&mut world, &format!("{event} is second, one"), 1).await?;

    replace(
        &plugins.join("own.plugin.toml"),
        "command = ['./own.sh', 'two']\n",
    )?;
    says(&mut world, "plugins/own: ready", 3).await?;
    let event = happen(world.site());
    says(&mut world, &format!("{event} is second, two"), 1).await?;

    // What cannot be started leaves what runs, and says what to do. Doing that is noticed.
    std::fs::set_permissions(&program_file, Permissions::from_mode(0o644))?;
    says(&mut world, "own.plugin.toml:1: ", 1).await?;
    let shown = answers(
        &world,
        async || json_of(&world, "plugin", &["show", "own"]).await,
        |shown| shown["why"].to_string().contains("chmod +x "),
    );
    let shown = shown.await?;
    assert_eq!(shown["state"], "running", "{shown}");
    assert!(
        shown["file"].to_string().contains("own.plugin.toml"),
        "{shown}"
    );
    assert_eq!(shown["python"], Value::Null);
    let event = happen(world.site());
    says(&mut world, &format!("{event} is second, two"), 1).await?;
    std::fs::set_permissions(&program_file, Permissions::from_mode(0o755))?;
    says(&mut world, "plugins/own: ready", 4).await?;

    // Nobody guesses which of two is meant.
    std::fs::write(
        plugins.join("own.py"),
        "def registerCallbacks(reg): raise KeyError\n",
    )?;
    says(&mut world, "own.py stands beside it", 1).await?;
    std::fs::remove_file(plugins.join("own.py"))?;
    says(&mut world, "plugins/own: ready", 5).await?;
    let status = shows(&world, "well again", |s| plugin(s, "own")["why"].is_null()).await?;
    let event = happen(world.site());
    says(&mut world, &format!("{event} is second, two"), 1).await?;
    assert_eq!(
        plugin(&status, "quick")["pid"],
        quick,
        "others are not touched"
    );
    assert!(!said(&world).contains("KeyError"));
    begins(&mut world, "quick", event, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_failures_and_deaths_are_those_of_any_plugin() -> Result<()> {
    let act = r#"
        case $(cat "$FATE") in
        fails)
            echo '{"type":"result","seq":'"$seq"',"n":0,"us":9,"stop":true,"error":{"type":"Odd","message":"no such thing"}}'
            echo '{"type":"done","seq":'"$seq"'}'
            continue ;;
        dies) exit 3 ;;
        hangs) sleep 600 ;;
        esac"#;
    let mut world = world()
        .setting("defaults", "env_pass", "[\"FATE\"]")
        .setting("plugin.own", "hard_timeout", "\"2s\"")
        .setting("plugin.own", "warn_after", "\"1s\"")
        .prepare()
        .await?;
    let word = world.folder().join("fate");
    std::fs::write(&word, "well")?;
    world.set_variable("FATE", word.to_str());
    install(&world, act)?;
    world.restart()?;
    shows(&world, "ready", |s| is(s, "own", "running")).await?;
    for (fate_of_call, error) in [
        ("fails", "Odd: no such thing"),
        ("hangs", "HardTimeout: "),
        ("dies", "exit code 3"),
    ] {
        std::fs::write(&word, fate_of_call)?;
        let event = happen(world.site());
        let held = shows(&world, "held", |s| plugin(s, "own")["state"] == "held").await?;
        let why = plugin(&held, "own")["why"].to_string();
        assert!(why.contains(&event.to_string()), "{fate_of_call}: {why}");
        let last = plugin(&held, "own")["last_error"]["error"].to_string();
        assert!(last.contains(error), "{fate_of_call}: {last}");
        std::fs::write(&word, "well")?;
        world.ask("plugin", &["resume", "own"]).await?;
        answers(
            &world,
            async || fate(&world, event, "own").await,
            |fate| fate["units"].to_string().contains("\"done\""),
        )
        .await?;
    }
    Ok(())
}

#[test]
fn a_debugger_of_pythons_is_refused() -> Result<()> {
    let folder = place(MANIFEST, &program("\"dry\"", ""))?;
    // It needs a terminal before it looks at the plugin.
    let script = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
    let output = Command::new(python::interpreter()?)
        .args([
            "-c",
            script,
            SLATED,
            "try",
            "own",
            "--type",
            "A",
            "--offline",
            "--pdb",
        ])
        .current_dir(folder.path())
        .env("KEY", "secret")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("is a program of its own"), "{said}");
    Ok(())
}
