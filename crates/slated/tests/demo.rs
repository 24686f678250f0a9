//! `slated demo` as somebody at a terminal or a CI machine meets it.
//!
//! Needs a Python that imports shotgun_api3: `cargo xtask test` names one in SLATED_TEST_PYTHON.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail loudly"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A machine of its own: nothing of the tester's home, and temporary files that can be counted.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["tmp", "home", "bin"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self { root }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
    fn demo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slated"));
        command.arg("demo").args(arguments);
        command
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"));
        command
            .env_remove("XDG_DATA_HOME")
            .env_remove("SLATED_PYTHON")
            .env_remove("VIRTUAL_ENV");
        command.stdin(Stdio::null());
        command
    }
    /// Puts a `python3` on a PATH that has nothing else. `body` is what it does with anything but
    /// the question who it is.
    fn only_python(&self, command: &mut Command, body: &str) {
        let program = self.path("bin/python3");
        let text = format!(
            "#!/bin/sh\nif [ \"$1\" = -c ]; then\n\
             echo '{{\"executable\":\"{0}\",\"version\":[3,11,7],\"shotgun_api3\":null,\"why\":\"ModuleNotFoundError\"}}'\n\
             exit 0\nfi\necho \"$@\" >> {0}.calls\n{body}\n",
            program.display()
        );
        executable(&program, &text);
        command.env("PATH", self.path("bin"));
    }
    fn left_behind(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else {
            return Vec::new();
        };
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn python() -> String {
    let python = slated_testkit::python::interpreter().unwrap();
    python.into_os_string().into_string().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Presses Ctrl-C.
fn interrupt(child: &Child) {
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
}

/// Returns the one object on stdout.
fn summary(output: &Output) -> Value {
    let stdout = text(&output.stdout);
    assert_eq!(
        stdout.lines().count(),
        1,
        "one object and nothing else: {stdout}\n{}",
        text(&output.stderr)
    );
    serde_json::from_str(&stdout).unwrap()
}

fn effect<'a>(summary: &'a Value, words: &str) -> &'a Value {
    let effects = summary["effects"].as_array().unwrap();
    let found = effects
        .iter()
        .find(|effect| effect["expected"].as_str().unwrap().contains(words));
    found.unwrap_or_else(|| panic!("no effect says {words:?}: {effects:?}"))
}

#[test]
fn the_story_ends_well_and_every_effect_stands() {
    let machine = Machine::new();
    let output = machine
        .demo(&["--once", "--json", "--python", &python()])
        .output()
        .unwrap();
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");

    let summary = summary(&output);
    assert_eq!(summary["ok"], true);
    assert_eq!(summary["effects"].as_array().unwrap().len(), 14);
    for effect in summary["effects"].as_array().unwrap() {
        assert_eq!(effect["stands"], true, "{effect}");
    }
    let [retry] = summary["retries"].as_array().unwrap().as_slice() else {
        panic!("{summary}")
    };
    assert_eq!(
        (&retry["plugin"], &retry["aside"]),
        (&"notify_coordinator".into(), &true.into())
    );
    assert_eq!(retry["done_at_attempt"], 2);
    assert!(
        retry["error"].as_str().unwrap().contains("refused"),
        "{retry}"
    );
    let [late] = summary["late"].as_array().unwrap().as_slice() else {
        panic!("{summary}")
    };
    assert_eq!(summary["failures"].as_array().unwrap().len(), 0);

    // What a person sees of it.
    let said = |words: &str| assert!(told.contains(words), "no {words:?} in:\n{told}");
    said("submits CK10_010_anim_v002.");
    said("Shotgun_Version_New  Version CK10_010_anim_v002");
    said("notify_coordinator   failed: ");
    said("aside; the plugin goes on");
    said("at attempt 2");
    said(&format!("{late} is not there yet"));
    let shown = told.lines().find(|line| line.ends_with("(late)")).unwrap();
    assert!(
        shown.contains(&format!("{late}  Shotgun_Version_Change sg_status_list")),
        "{shown}"
    );
    assert!(
        !told.contains('\u{1b}'),
        "colour where there is no terminal:\n{told}"
    );

    assert_eq!(machine.left_behind("tmp"), [""; 0]);
    assert_eq!(
        machine.left_behind("home"),
        [""; 0],
        "a Python was named, so none is made"
    );
}

#[test]
fn a_plugin_that_does_not_load_is_missed_by_name() {
    let machine = Machine::new();
    let plugins = machine.path("plugins");
    fs::create_dir(&plugins).unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugins");
    for name in ["notify_coordinator.py", "task_follows_version.py"] {
        fs::copy(examples.join(name), plugins.join(name)).unwrap();
    }
    fs::write(
        plugins.join("note_on_approval.py"),
        "import no_such_module\n",
    )
    .unwrap();
    // A module that plugins import is waited for by nobody.
    fs::write(plugins.join("studio_helper.py"), "NAME = 'studio'\n").unwrap();

    let folder = plugins.to_str().unwrap();
    let output = machine
        .demo(&[
            "--once",
            "--json",
            "--python",
            &python(),
            "--plugins",
            folder,
        ])
        .output()
        .unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{told}");
    let summary = summary(&output);
    assert_eq!(summary["ok"], false);
    for approved in ["CK10_010_anim_v002", "CK20_010_anim_v001"] {
        assert_eq!(
            effect(&summary, &format!("one Note says who approved {approved}"))["stands"],
            false
        );
        assert_eq!(
            effect(&summary, &format!("the Task of {approved} is approved"))["stands"],
            true
        );
    }
    assert!(
        told.contains("error: 2 of 14 effects are missing: one Note says who approved"),
        "{told}"
    );
    assert!(told.contains("no_such_module"), "{told}");
    assert_eq!(machine.left_behind("tmp"), [""; 0]);
}

#[test]
fn without_ensurepip_and_pip_it_says_what_to_install() {
    let machine = Machine::new();
    let mut demo = machine.demo(&["--once"]);
    // As on Debian without python3-venv and python3-pip: only a bare environment can be made.
    machine.only_python(
        &mut demo,
        "case \"$*\" in *--without-pip*) exit 0;; *) echo 'No module named pip' >&2; exit 1;; esac",
    );
    let output = demo.output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    for words in [
        "has neither ensurepip nor pip",
        "apt install python3-venv",
        "--python PATH",
    ] {
        assert!(told.contains(words), "no {words:?} in:\n{told}");
    }
    let calls = fs::read_to_string(machine.path("bin/python3.calls")).unwrap();
    let steps: Vec<_> = calls
        .lines()
        .map(|call| call.split('/').next().unwrap().trim_end())
        .collect();
    assert_eq!(
        steps,
        [
            "-m venv",
            "-m venv --clear --without-pip",
            "-m pip --version"
        ]
    );
    assert_eq!(
        machine.left_behind("home/.local/share/slated/demo"),
        [""; 0],
        "the draft is gone"
    );
}

#[test]
fn an_environment_appears_under_its_name_when_the_import_works() {
    let machine = Machine::new();
    let mut demo = machine.demo(&["--once"]);
    // Its venv module makes an environment whose Python imports the client as soon as pip ran.
    let body = format!(
        "case \"$*\" in\n\
         '-m venv --clear --without-pip '*)\n\
           /bin/mkdir -p \"$5/bin\"\n\
           printf '#!/bin/sh\\n[ -e \"%s/installed\" ] || exec {python} -S -I \"$@\"\\nexec {python} \"$@\"\\n' {root} > \"$5/bin/python\"\n\
           /bin/chmod 755 \"$5/bin/python\";;\n\
         '-m pip --version') ;;\n\
         '-m pip --python '*install*shotgun_api3==3.10.3) : > {root}/installed;;\n\
         *) exit 1;;\nesac",
        python = python(),
        root = machine.root.path().display()
    );
    machine.only_python(&mut demo, &body);
    let mut demo = demo
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let told: Vec<_> = lines
        .by_ref()
        .take_while(|line| !line.starts_with("It is ready, with Python 3."))
        .collect();
    assert!(machine.path("installed").exists(), "{told:?}");
    assert_eq!(
        machine.left_behind("home/.local/share/slated/demo"),
        ["shotgun_api3-3.10.3"]
    );
    let [making, trying, installing] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(
        making.contains("making an environment for it in"),
        "{making}"
    );
    assert_eq!(
        trying,
        "It has no ensurepip: trying without, by its own pip."
    );
    assert_eq!(installing, "Installing shotgun_api3==3.10.3.");
    // The story itself is another test's.
    interrupt(&demo);
    let last = lines.last();
    assert_eq!(last.as_deref(), Some("error: interrupted before the end"));
    assert_eq!(demo.wait().unwrap().code(), Some(1));
    assert_eq!(machine.left_behind("tmp"), [""; 0]);
}

#[test]
fn a_python_that_is_named_is_taken_at_its_word() {
    let machine = Machine::new();
    let mut demo = machine.demo(&["--once", "--python", "python3"]);
    machine.only_python(&mut demo, "exit 1");
    let output = demo.output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains("cannot import shotgun_api3") && told.contains("-m pip install shotgun_api3"),
        "{told}"
    );
    assert_eq!(machine.left_behind("home"), [""; 0]);
}

#[test]
fn without_once_it_goes_on_until_it_is_interrupted_and_leaves_nothing() {
    let machine = Machine::new();
    let mut demo = machine.demo(&["--python", &python()]);
    let mut demo = demo.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let config = lines.find_map(|line| {
        let line = line.unwrap();
        Some(line.split_once(" status --config ")?.1.to_owned())
    });
    // As it says, its daemon can be asked.
    let mut status = Command::new(env!("CARGO_BIN_EXE_slated"));
    let status = status
        .args(["status", "--json", "--config", &config.unwrap()])
        .output()
        .unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["running"], true);
    assert_eq!(status["plugins"].as_array().unwrap().len(), 3);

    interrupt(&demo);
    assert!(demo.wait().unwrap().success());
    assert_eq!(machine.left_behind("tmp"), [""; 0]);
}
