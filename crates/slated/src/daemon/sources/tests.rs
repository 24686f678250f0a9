//! Folders on disk: what is a change of a plugin, and what is wrong with one.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use super::*;

const MANIFEST_TEXT: &str = "command = ['./notify.sh', '-v']\n";

/// A plugins folder with a plugin `notify`.
struct Place {
    folder: tempfile::TempDir,
    folders: Vec<Folder>,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap().to_owned();
        let place = Self {
            folders: vec![Folder {
                written: name.clone(),
                name,
                path: folder.path().to_owned(),
            }],
            folder,
        };
        for (name, text) in files {
            place.write(name, text);
        }
        place
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }
    fn mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }
    /// Says when a file was modified, in seconds ago.
    fn age(&self, name: &str, seconds: u64) {
        let file = File::options().append(true).open(self.path(name)).unwrap();
        let time = SystemTime::now() - Duration::from_secs(seconds);
        file.set_modified(time).unwrap();
    }
    fn id(&self) -> PluginId {
        self.folders[0].plugin("notify")
    }
    /// Returns what a look shows of the plugin, and what a reading right behind it has.
    fn look(&self) -> (Stamp, Content, Source) {
        let listing = list(&self.folders);
        let stamp = listing.folders[0].stamp(&self.id()).unwrap();
        let (content, source) = read(&self.folders, &self.id(), stamp).unwrap();
        assert_eq!(source, Source::of(&self.folders, &self.id()));
        (stamp, content, source)
    }
    /// Returns why the plugin does not run, without the folder's name.
    fn wrong(&self) -> String {
        match self.look().2.runs {
            Runs::Nothing(why) => why.replace(&format!("{}/", self.folder.path().display()), ""),
            runs => panic!("nothing is wrong: {runs:?}"),
        }
    }
}

/// A place where the plugin runs.
fn runs() -> Place {
    let place = Place::new(&[
        ("notify.plugin.toml", MANIFEST_TEXT),
        ("notify.sh", "#!/bin/sh\n"),
    ]);
    place.mode("notify.sh", 0o755);
    place
}

#[test]
fn a_python_file_alone_is_what_it_was() {
    let place = Place::new(&[("notify.py", "x = 1\n"), ("other.toml", "")]);
    let (seen, content, source) = place.look();
    let file = place.path("notify.py");
    assert_eq!(seen, stamp(&std::fs::metadata(&file).unwrap()));
    assert_eq!(content, hash(&file, seen).unwrap());
    assert_eq!(content.0, format!("{:x}", Sha256::digest("x = 1\n")));
    let runs = Runs::Python;
    assert_eq!(source, Source { file, runs });
    assert_eq!(present(&place.folders), [place.id()]);
    assert!(!registers(&place.folders, &place.id()));
}

#[test]
fn a_manifest_names_the_program_beside_it() {
    let place = runs();
    let (_, _, source) = place.look();
    assert_eq!(source.file, place.path("notify.plugin.toml"));
    let Runs::Own { program, origin } = source.runs else {
        panic!("{source:?}");
    };
    assert_eq!(program.path, place.path("notify.sh"));
    assert_eq!(program.args, ["-v"]);
    assert!(origin.ends_with("/notify.plugin.toml:1"), "{origin}");
    assert_eq!(present(&place.folders), [place.id()]);
    assert!(registers(&place.folders, &place.id()));
}

#[test]
fn an_edit_of_manifest_or_program_is_one_of_the_plugin() {
    type Change = fn(&Place);
    let changes: [(&str, Change, bool); 7] = [
        ("nothing", |_| {}, false),
        (
            "its words",
            |p| p.write("notify.plugin.toml", "command = ['notify.sh', '-q']"),
            true,
        ),
        (
            "the program",
            |p| p.write("notify.sh", "#!/bin/sh\nexit 1\n"),
            true,
        ),
        ("chmod -x", |p| p.mode("notify.sh", 0o644), true),
        (
            "it is gone",
            |p| std::fs::remove_file(p.path("notify.sh")).unwrap(),
            true,
        ),
        (
            "another comes beside it",
            |p| p.write("notify.py", ""),
            true,
        ),
        ("a file of no plugin", |p| p.write("notify.txt", ""), false),
    ];
    for (what, change, differs) in changes {
        let place = runs();
        // An older program, so that its time is not the plugin's.
        place.age("notify.sh", 3600);
        let before = place.look();
        change(&place);
        let after = place.look();
        assert_eq!(before.0 != after.0, differs, "{what}: the stamp");
        assert_eq!(before.1 != after.1, differs, "{what}: the content");
    }
}

#[test]
fn a_touch_of_the_program_is_a_touch() {
    let place = runs();
    place.age("notify.sh", 3600);
    place.age("notify.plugin.toml", 7200);
    let before = place.look();
    place.age("notify.sh", 0);
    let after = place.look();
    assert!(before.0.mtime_ns < after.0.mtime_ns);
    assert_eq!(before.1, after.1);
}

#[test]
fn what_changes_while_it_is_read_is_not_believed() {
    let place = runs();
    let (before, ..) = place.look();
    place.write("notify.sh", "#!/bin/sh\n# longer\n");
    let refused = read(&place.folders, &place.id(), before).unwrap_err();
    assert_eq!(refused, "it is being written");
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_a_way_out() {
    let sh = ("notify.sh", "#!/bin/sh\n");
    for (files, wanted) in [
        (
            &[("notify.plugin.toml", MANIFEST_TEXT), sh][..],
            "notify.plugin.toml:1: notify.sh may not be executed: chmod +x notify.sh",
        ),
        (
            &[("notify.plugin.toml", MANIFEST_TEXT)],
            "notify.plugin.toml:1: there is no notify.sh",
        ),
        (
            &[("notify.plugin.toml", "\ncommand = ['curl']")],
            "notify.plugin.toml:2: there is no curl: a program is looked for beside the manifest and not on PATH, so write its whole path or put it there",
        ),
        (
            &[("notify.plugin.toml", "command = ['/']")],
            "notify.plugin.toml:1: / is no file",
        ),
        (
            &[(
                "notify.plugin.toml",
                "command = ['/bin/sh']\nenv = {}\nfoo = 1",
            )],
            "notify.plugin.toml:2: unknown key `env` (a manifest has `command` alone; settings of the plugin stand in the configuration); notify.plugin.toml:3: unknown key `foo` (a manifest has `command` alone; settings of the plugin stand in the configuration)",
        ),
        (
            &[
                ("notify.plugin.toml", "command = ['/bin/sh']"),
                ("notify.py", ""),
            ],
            "notify.plugin.toml: notify.py stands beside it, and both would be the same plugin: rename one of them, or take it out of the folder",
        ),
    ] {
        let place = Place::new(files);
        assert_eq!(place.wrong(), wanted);
        assert_eq!(present(&place.folders), [place.id()], "{wanted}");
    }
    let place = Place::new(&[]);
    std::fs::write(place.path("notify.plugin.toml"), b"\xff").unwrap();
    assert_eq!(place.wrong(), "notify.plugin.toml: it is not UTF-8 text");
    // A folder of that name is no plugin.
    let place = Place::new(&[("notify.py", "")]);
    std::fs::create_dir(place.path("notify.plugin.toml")).unwrap();
    assert_eq!(place.look().2.runs, Runs::Python);
}
