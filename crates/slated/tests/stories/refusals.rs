//! What the daemon refuses to start with: the exit code, what happened, where, and what to do.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use slated_testkit::python;

use crate::{SLATED, begins, happen, replace, said, world};

/// A configuration that works, as far as it goes.
const GOOD: &str = "[site]\nurl = \"http://127.0.0.1:9\"\nscript = \"slated\"\nkey = { env = \"KEY\" }\n[plugins]\nfolders = [\"plugins\"]\n";

/// A folder with a plugins folder, and nothing else.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("plugins"))?;
        Ok(Self(folder))
    }
    fn path(&self) -> &Path {
        self.0.path()
    }
    /// Runs `slated` with these arguments; returns its exit code, and what it said with the folder
    /// written as `HERE`. Nothing is on stdout.
    fn run(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = Command::new(SLATED);
        for name in ["SLATED_SITE_KEY", "SLATED_PYTHON", "VIRTUAL_ENV"] {
            command.env_remove(name);
        }
        let output = command
            .args(arguments)
            .current_dir(self.path())
            .env("KEY", "secret")
            .env("PATH", self.path().join("bin"))
            .env("HOME", self.path())
            .env_remove("XDG_CONFIG_HOME")
            .output()?;
        assert_eq!(String::from_utf8(output.stdout)?, "");
        let said = String::from_utf8(output.stderr)?;
        let here = self.path().to_str().context("a path in UTF-8")?;
        let bin = Path::new(SLATED).canonicalize()?;
        let bin = bin
            .parent()
            .and_then(Path::to_str)
            .context("a folder in UTF-8")?;
        let said = said.replace(here, "HERE").replace(bin, "BIN");
        Ok((output.status.code(), said))
    }
    /// Refuses this configuration with exit code 3, in these words, and writes nothing. Lines of
    /// the log come before them; they are not compared.
    fn refuses(&self, config: &str, words: &str) -> Result<()> {
        std::fs::write(self.path().join("slated.toml"), config)?;
        self.refuses_as_it_stands(&["run"], words)
    }
    fn refuses_as_it_stands(&self, arguments: &[&str], words: &str) -> Result<()> {
        let before = self.files()?;
        let (code, said) = self.run(arguments)?;
        let from = said
            .find("error: ")
            .with_context(|| format!("no error in {said:?}"))?;
        assert_eq!(said.get(from..).unwrap_or_default().trim_end(), words);
        assert_eq!(code, Some(3), "{said}");
        assert_eq!(self.files()?, before, "nothing is left behind");
        assert!(!said.contains("secret"), "{said}");
        Ok(())
    }
    fn files(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.path())? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
    /// Puts a `python3` on the PATH that says this of itself.
    fn python(&self, body: &str) -> Result<()> {
        let path = self.path().join("bin/python3");
        std::fs::create_dir_all(self.path().join("bin"))?;
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n"))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(())
    }
}

#[test]
fn a_configuration_that_cannot_be_used() -> Result<()> {
    let place = Place::new()?;
    place.refuses_as_it_stands(
        &["run", "--config", "nowhere.toml"],
        "error: nowhere.toml: cannot be read: No such file or directory (os error 2) (without `--config` the usual places are looked at)",
    )?;
    place.refuses_as_it_stands(&["run"], "error: no configuration: none of slated.toml, HERE/.config/slated/slated.toml, /etc/slated/slated.toml, BIN/shotgunEventDaemon.conf, /etc/shotgunEventDaemon.conf is there (name one with `--config FILE`)")?;
    std::fs::write(place.path().join("shotgunEventDaemon.conf"), "[daemon]\n")?;
    place.refuses_as_it_stands(
        &["run", "--config", "shotgunEventDaemon.conf"],
        "error: shotgunEventDaemon.conf: `[shotgun] server` is missing (under [shotgun]: `server: https://studio.example`)\n\
         shotgunEventDaemon.conf: `[shotgun] name` is missing (under [shotgun]: `name: the script's name`)\n\
         shotgunEventDaemon.conf: `[shotgun] key` is missing (the Python daemon takes $KEY: `key: %(KEY)s`)\n\
         shotgunEventDaemon.conf: `[plugins] paths` is missing (under [plugins]: `paths: /usr/local/shotgun/plugins`)\n\
         shotgunEventDaemon.conf: `[daemon] logFile` is missing (under [daemon]: `logFile: shotgunEventDaemon`)\n\
         shotgunEventDaemon.conf: `[daemon] eventIdFile` is missing (under [daemon]: `eventIdFile: /var/lib/slated/events.id`)",
    )?;
    place.refuses(
        "[site\nurl = 1\n",
        "error: slated.toml:1: unclosed table, expected `]`",
    )?;
    let unknown = GOOD.replace("[plugins]", "tik = \"1s\"\n[plugins]");
    place.refuses(
        &unknown,
        "error: slated.toml:5: unknown key `site.tik` (did you mean `tick`?)",
    )?;
    place.refuses(&GOOD.replace("KEY", "NO_SUCH_VARIABLE"), "error: slated.toml:4: `site.key` is read from $NO_SUCH_VARIABLE, which is not set (set it, or name another source: { file = \"…\" } or { command = [\"…\"] } as `site.key`)")?;
    place.refuses(&GOOD.replace("\"plugins\"", "\"plugin\""), "error: the plugins folder HERE/plugin does not exist (slated.toml:6)\n\
                hint: make it, or correct `plugins.folders`; relative paths start at the configuration file")?;
    place.refuses(
        &GOOD.replace("\"plugins\"", "\"slated.toml\""),
        "error: the plugins folder HERE/slated.toml is not a folder (slated.toml:6)\n\
                hint: correct `plugins.folders`; relative paths start at the configuration file",
    )?;
    // What can be run without a plugin is, and is told.
    let none = GOOD.replace("\"plugins\"", "");
    std::fs::write(place.path().join("slated.toml"), none)?;
    let (_, said) = place.run(&["run"])?;
    let told =
        "slated.toml:6: `plugins.folders` is empty: the site is followed, and no plugin runs.";
    assert_eq!(said.matches(told).count(), 1, "{said}");
    Ok(())
}

#[test]
fn a_working_directory_that_does_not_do() -> Result<()> {
    let place = Place::new()?;
    std::fs::write(place.path().join("plugins/notes.py"), "")?;
    place.refuses(
        &format!("{GOOD}[defaults]\ncwd = \"work\"\n"),
        "error: slated.toml:8: `defaults.cwd`: the working directory HERE/work does not exist\n\
         hint: make it, or correct the key; relative paths start at the configuration file",
    )?;
    Ok(())
}

#[test]
fn a_machine_without_a_python_for_plugins() -> Result<()> {
    let place = Place::new()?;
    place.refuses(GOOD, "error: no Python with shotgun_api3 was found\n\
                \x20 python3 (PATH): it does not start: No such file or directory (os error 2)\n\
                \x20 python (PATH): it does not start: No such file or directory (os error 2)\n\
                hint: install Python 3 and shotgun_api3, or name a Python with --python or `defaults.python`")?;
    // What is named is not replaced by what is found.
    let hint = "hint: no other is taken for one that is named: correct it, or leave it out";
    place.refuses_as_it_stands(&["run", "--python", "/nowhere/python3"], &format!("error: /nowhere/python3 (--python) cannot run plugins: it does not start: No such file or directory (os error 2)\n{hint}"))?;
    place.refuses(&format!("{GOOD}[defaults]\npython = \"/nowhere/python3\"\n"), &format!("error: /nowhere/python3 (slated.toml:8: `defaults.python`) cannot run plugins: it does not start: No such file or directory (os error 2)\n{hint}"))?;
    let answer = format!(
        "echo '{{\"executable\":\"{}/bin/python3\",\"version\":[3,11,7],\"shotgun_api3\":null,\"why\":\"ModuleNotFoundError: No module named shotgun_api3\"}}'",
        place.path().display()
    );
    place.python(&answer)?;
    place.refuses(GOOD, "error: no Python with shotgun_api3 was found\n\
         \x20 python3 (PATH): cannot import shotgun_api3 (ModuleNotFoundError: No module named shotgun_api3)\n\
         \x20 python (PATH): it does not start: No such file or directory (os error 2)\n\
         install it with: HERE/bin/python3 -m pip install shotgun_api3\n\
         hint: or name another Python with --python or `defaults.python`")?;
    Ok(())
}

#[test]
fn a_check_says_what_a_start_would_refuse() -> Result<()> {
    let place = Place::new()?;
    let missing = GOOD.replace("\"plugins\"", "\"plugin\"");
    std::fs::write(place.path().join("slated.toml"), missing)?;
    place.refuses_as_it_stands(&["check", "--offline"], "error: the plugins folder HERE/plugin does not exist (slated.toml:6)\n\
                hint: make it, or correct `plugins.folders`; relative paths start at the configuration file")?;
    let mail = "[mail]\nserver = \"smtp\"\nfrom = \"x y\"\nto = [\"td@studio.example\"]\n";
    std::fs::write(place.path().join("slated.toml"), format!("{GOOD}{mail}"))?;
    place.refuses_as_it_stands(
        &["check"],
        "error: slated.toml:9: `mail.from` is not a mail address: \"x y\" (Invalid email user)\n\
                hint: write an address such as pipeline@studio.example",
    )?;
    // A good one is shown, with neither site nor state, and leaves no trace.
    std::fs::write(
        place.path().join("plugins/notes.py"),
        "registerCallbacks = None\n",
    )?;
    std::fs::write(place.path().join("plugins/helper.py"), "x = 1\n")?;
    std::fs::write(
        place.path().join("slated.toml"),
        format!("{GOOD}[web]\nlisten = \"127.0.0.1:8033\"\n"),
    )?;
    let before = place.files()?;
    let output = Command::new(SLATED)
        .args(["check", "--offline", "--from-id", "7"])
        .current_dir(place.path())
        .env("KEY", "secret")
        .env("SLATED_PYTHON", python::interpreter()?)
        .output()?;
    let said = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{said}");
    for words in [
        "slated-state, made at the first start",
        "Every plugin starts with event 7.",
        "plugins/notes",
        "after event 6",
        "web.listen (slated.toml:8)",
    ] {
        assert!(said.contains(words), "{words} not in {said}");
    }
    assert!(!said.contains("secret"), "{said}");
    assert_eq!(place.files()?, before);
    Ok(())
}

#[test]
fn commands_without_a_state() -> Result<()> {
    let place = Place::new()?;
    std::fs::write(place.path().join("slated.toml"), GOOD)?;
    for arguments in [
        &["status"][..],
        &["plugin", "list"],
        &["events", "tail"],
        &["events", "show", "1"],
    ] {
        place.refuses_as_it_stands(arguments, "error: there is no state in HERE/slated-state\n\
                hint: `slated run` makes it at its first start; check `state.folder` and `--config`")?;
    }
    Ok(())
}

#[test]
fn a_control_socket_that_cannot_be_made() -> Result<()> {
    let place = Place::new()?;
    let python = python::interpreter()?;
    let python = format!("[defaults]\npython = \"{}\"\n", python.display());
    let group = format!("{GOOD}{python}[control]\ngroup = \"no such group\"\n");
    place.refuses(
        &group,
        "error: there is no group `no such group` (`control.group`)\n\
                hint: name a group of /etc/group, or give its number",
    )?;
    let long = format!(
        "{GOOD}{python}[state]\nfolder = \"{}\"\n",
        "long/".repeat(30)
    );
    let socket = format!("HERE/{}control.sock", "long/".repeat(30));
    place.refuses(
        &long,
        &format!(
            "error: the control socket {socket} cannot be made: its path is longer than a socket's may be\n\
             hint: choose a shorter `state.folder`"
        ),
    )
}

#[test]
fn a_state_folder_that_cannot_be_made() -> Result<()> {
    let place = Place::new()?;
    std::fs::write(place.path().join("file"), "")?;
    let python = python::interpreter()?;
    let python = format!("[defaults]\npython = \"{}\"\n", python.display());
    place.refuses(
        &format!("{GOOD}{python}[state]\nfolder = \"file/state\"\n"),
        "error: the state folder HERE/file/state cannot be used: Not a directory (os error 20)\n\
         hint: let the user slated runs as make and write it, or name another: `state.folder`; in a .conf, `eventIdFile`",
    )
}

#[test]
fn log_files_that_cannot_be_written() -> Result<()> {
    let place = Place::new()?;
    std::fs::write(place.path().join("logs"), "a file")?;
    place.refuses(
        &format!("{GOOD}[log]\nfolder = \"logs\"\n"),
        "error: the log file HERE/logs/slated.log cannot be written: File exists (os error 17)\n\
         hint: make its folder writable for the user slated runs as, or name another: `log.folder`; in a .conf, `logPath`",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn row_28_a_state_of_another_daemon_or_another_site() -> Result<()> {
    let mut world = world().start().await?;
    let config = world.folder().join("slated.toml");
    let run = || {
        let output = Command::new(SLATED)
            .arg("run")
            .arg("--config")
            .arg(&config)
            .env("SLATED_SITE_KEY", "secret")
            .output()?;
        let said = String::from_utf8(output.stderr)?;
        let error = said.lines().skip_while(|line| !line.starts_with("error: "));
        let error = error.collect::<Vec<_>>().join("\n");
        anyhow::Ok((output.status.code(), error))
    };
    let state = world.folder().join("state");
    let pid = world.status().await?["pid"].to_string();
    let (code, error) = run()?;
    assert_eq!(code, Some(3), "{error}");
    let error = error
        .replace(state.to_str().context("UTF-8")?, "STATE")
        .replace(&pid, "PID");
    assert_eq!(
        error,
        "error: the state in STATE is in use by another slated (pid PID)\n\
                hint: `slated status` shows the running one; stop it first, or give this one a state folder of its own"
    );
    // The one that runs was not disturbed.
    let event = happen(world.site());
    begins(&mut world, "quick", event, 1).await?;
    assert_eq!(world.status().await?["pid"].to_string(), pid);

    assert!(world.terminate().await?.success());
    let url = world.url();
    let text = std::fs::read_to_string(&config)?;
    replace(&config, &text.replace(&url, "http://127.0.0.1:9"))?;
    let (code, error) = run()?;
    assert_eq!(code, Some(3), "{error}");
    let error = error
        .replace(state.to_str().context("UTF-8")?, "STATE")
        .replace(&url, "URL");
    assert_eq!(
        error,
        "error: the state belongs to URL, not to http://127.0.0.1:9\n\
                hint: if it is a mistake, set `site.url` back to URL\n\
                hint: if it is another site, name another `state.folder` for it\n\
                hint: if the same site has a new address, start once with `--site-moved`: its events must be those that were seen"
    );
    replace(&config, &text)?;
    world.restart()?;
    happen(world.site());
    world.caught_up(crate::LIMIT).await?;
    assert!(!said(&world).contains("error"), "{}", world.log());
    world.verdict().await?.kept(2)
}
