//! `slated try`: one plugin and one event, without a daemon, a site or a configuration.

use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use slated_testkit::python;

use crate::{LIMIT, SLATED, WANTED, happen, world};

/// Someone before a terminal: leads a process through a debugger and prints what stands there.
const PERSON: &str = r#"
import os, pty, sys, select, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
end = time.time() + 30
def read(words):
    seen = b""
    while words not in seen:
        if not select.select([terminal], [], [], max(0, end - time.time()))[0]:
            sys.exit("not seen: %r in %r" % (words, seen))
        try:
            part = os.read(terminal, 4096)
        except OSError:
            part = b""
        if not part:
            break
        seen += part
    sys.stdout.write(seen.decode("utf-8", "replace"))
for line in ("answer = 42", "continue", "print('value', value)", "quit"):
    read(b"(Pdb)")
    os.write(terminal, line.encode() + b"\n")
read(b"no more comes")
_, status = os.waitpid(pid, 0)
sys.exit(status >> 8)
"#;

/// A folder with a plugin, and nothing else.
fn alone(plugin: &str) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("tried.py"), plugin)?;
    Ok(folder)
}

/// A command in a folder where no configuration is found.
fn command(folder: &tempfile::TempDir, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
    let mut command = Command::new(program);
    command
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("SLATED_SITE_KEY")
        .env_remove("PYTHONBREAKPOINT")
        .env("SLATED_PYTHON", python::interpreter()?)
        .stdin(Stdio::null());
    Ok(command)
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// The lines of a kind.
fn of<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

fn lines(output: &Output) -> Result<Vec<Value>> {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    let lines = lines.map(|line| serde_json::from_slice(line).map_err(Into::into));
    lines
        .collect::<Result<_>>()
        .with_context(|| said.into_owned())
}

#[test]
fn a_file_is_tried_without_a_site_or_a_configuration() -> Result<()> {
    let folder = alone(
        r#"
def registerCallbacks(reg):
    wanted = {"Shotgun_Task_Change": ["sg_status_list"]}
    reg.registerCallback(None, None, writes, wanted)
    reg.registerCallback(None, None, reads, wanted)
    reg.registerCallback(None, None, other, {"Shotgun_Task_Change": ["content"]})
    assert reg.isDry()

def writes(sg, logger, event, args):
    print("a word")
    logger.warning("from %s", event["meta"]["old_value"])
    sg.update("Task", event["entity"]["id"], {"sg_status_list": event["meta"]["new_value"]})

def reads(sg, logger, event, args):
    mine = 17
    sg.find_one("Task", [])

def other(sg, logger, event, args):
    pass
"#,
    )?;
    let flags = "--type Shotgun_Task_Change --attribute sg_status_list --old ip --new fin --entity Task:7 --json";
    let output = command(&folder, SLATED)?
        .args(["try", "./tried.py"])
        .args(flags.split(' '))
        .output()?;
    let lines = lines(&output)?;
    assert_eq!(code(&output), Some(5), "{lines:?}");
    let plugin = of(&lines, "plugin")[0];
    assert_eq!(
        (&plugin["site"], &plugin["dry"]),
        (&Value::Null, &json!(true))
    );
    let callbacks = of(&lines, "callback");
    let called: Vec<_> = callbacks.iter().map(|c| &c["called"]).collect();
    assert_eq!(called, [&json!(true), &json!(true), &json!(false)]);
    let why = callbacks[2]["why_not"].as_str().unwrap_or_default();
    assert!(
        why.contains("content, and the event's attribute is sg_status_list"),
        "{why}"
    );
    let log = of(&lines, "log")[0];
    assert_eq!(
        (&log["level"], &log["message"]),
        (&json!("WARNING"), &json!("from ip"))
    );
    assert_eq!(of(&lines, "print")[0]["line"], "a word");
    let calls = of(&lines, "call");
    assert_eq!(calls.len(), 2, "{lines:?}");
    assert_eq!(calls[0]["outcome"], "done");
    let write =
        json!([{"method": "update", "entity": "Task", "id": 7, "data": {"sg_status_list": "fin"}}]);
    assert_eq!(calls[0]["writes"], write);
    assert_eq!(calls[1]["outcome"], "failed");
    let error = calls[1]["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("--site URL") && error.contains("--config FILE"),
        "{error}"
    );
    let locals = calls[1]["locals"].as_str().unwrap_or_default();
    assert!(locals.contains("mine = 17"), "{locals}");
    // Nothing is left behind.
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
    Ok(())
}

#[test]
fn a_breakpoint_stops_at_the_terminal_and_so_does_a_failure() -> Result<()> {
    let folder = alone(
        r#"
def registerCallbacks(reg):
    reg.registerCallback(None, None, stops)

def stops(sg, logger, event, args):
    answer = 41
    breakpoint()
    value = "was %d" % answer
    raise KeyError("boom")
"#,
    )?;
    let output = command(&folder, python::interpreter()?)?
        .args([
            "-c",
            PERSON,
            SLATED,
            "try",
            "./tried.py",
            "--type",
            "A",
            "--pdb",
        ])
        .output()?;
    let seen = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert_eq!(code(&output), Some(5), "{seen}\n{trouble}");
    assert!(seen.contains("value was 42"), "{seen}");
    // The same without a terminal says where there is one.
    let output = command(&folder, SLATED)?
        .args(["try", "./tried.py", "--type", "A"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(code(&output), Some(5), "{said}");
    assert!(said.contains("use `slated try --pdb`"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_the_log_is_tried_on_the_simulator_and_written_there() -> Result<()> {
    let text = format!(
        r#"
def registerCallbacks(reg):
    def note(sg, logger, event, args):
        assert not reg.isReplay()
        project = {{"type": "Project", "id": 1}}
        sg.create("Note", {{"subject": "tried %d" % event["id"], "project": project}})

    reg.registerCallback(None, None, note, {{"{WANTED}": None}})
"#
    );
    let mut world = world()
        .setting("plugins", "lend_key", "true")
        .start()
        .await?;
    let event = happen(world.site());
    world.caught_up(LIMIT).await?;
    // No daemon has this one.
    let tried = world.folder().join("tried.py");
    std::fs::write(&tried, text)?;
    let tried = tried.to_str().context("a path in UTF-8")?;
    let notes = || -> Result<usize> {
        let filters = json!([["subject", "is", format!("tried {event}")]]);
        Ok(world.site().find("Note", &filters, &["id"])?.len())
    };
    let id = event.to_string();
    for (flags, made) in [(&["--dry"][..], 0), (&[], 1), (&["--offline"], 1)] {
        let arguments = [&[tried, "--event", &id, "--json"], flags].concat();
        let output = world.command("try", &arguments).await?;
        let lines = lines(&output)?;
        assert_eq!(code(&output), Some(0), "{flags:?}: {lines:?}");
        assert_eq!(of(&lines, "event")[0]["from"], "from the log");
        let calls = of(&lines, "call");
        assert_eq!(calls.len(), 1, "{flags:?}: {lines:?}");
        let dry = calls[0]["writes"] != json!([]);
        assert_eq!((dry, notes()?), (!flags.is_empty(), made), "{flags:?}");
    }
    // What was before the log is the site's; and what is shown can be tried again.
    let before = world.site().history().first().map(|row| row.id);
    let before = before.context("a site with a past")?.to_string();
    let output = world
        .command("try", &[tried, "--event", &before, "--json"])
        .await?;
    let lines = lines(&output)?;
    assert_eq!(of(&lines, "event")[0]["from"], "from the site", "{lines:?}");
    let shown = world.ask("events", &["show", &id, "--json"]).await?;
    let file = world.folder().join("event.json");
    std::fs::write(&file, shown)?;
    let file = file.to_str().context("a path in UTF-8")?;
    let told = world.ask("try", &[tried, "--event", file, "--dry"]).await?;
    assert!(told.contains(&format!("create Note {{\"project\":{{\"id\":1,\"type\":\"Project\"}},\"subject\":\"tried {id}\"}}")), "{told}");
    world.verdict().await?.kept(1)
}
