//! A studio's file, and the words around what is made of it.

use secrecy::ExposeSecret as _;

use super::{check_equal, migrate, read};
use crate::conf::tests::{SMALLEST, world};
use crate::tests::World;

const STOCK: &str = include_str!("../../tests/stock.conf");
const WANTED: &str = include_str!("stock.toml");

#[test]
fn a_studios_file_becomes_this_one() {
    let (loaded, made) = migrate(STOCK, &world(), "/etc/slated").unwrap();
    if std::env::var_os("SLATED_BLESS").is_some() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/conf/migrate/tests/stock.toml"
        );
        std::fs::write(path, &made.text).unwrap();
        return;
    }
    assert_eq!(made.text, WANTED, "SLATED_BLESS=1 writes it anew");
    check_equal(&loaded.config, &made, &world(), "/etc/slated");
    let secrets: Vec<_> = made.secrets.iter().map(|one| one.file.as_str()).collect();
    assert_eq!(secrets, ["mail.password"]);
    assert_eq!(made.secrets[0].value.expose_secret(), "100%secret");
    assert_eq!(made.secrets[0].stood, "[emails] password, line 47");
    // The variable in `env`.
    assert!(made.private);
    assert_eq!(made.notes.len(), 1, "{:?}", made.notes);
    assert_eq!(
        read(&made, "/etc/slated").warnings.to_string(),
        "",
        "nothing to warn of"
    );
}

#[test]
fn a_key_of_the_file_goes_to_a_file_of_its_own() {
    let text = SMALLEST.replace("key: hush", "key: hu\"sh#1");
    let (loaded, made) = migrate(&text, &world(), "/etc/slated").unwrap();
    check_equal(&loaded.config, &made, &world(), "/etc/slated");
    assert!(!made.text.contains("hu\""), "{}", made.text);
    assert!(made.text.contains("key = { file = \"site.key\" }"));
    assert!(!made.private);
    // Nor is one copied that comes from the environment in part.
    let text = SMALLEST.replace(
        "key: hush",
        "key: a%(SG_ED_API_KEY)s\nproxy_server: u:%(WEB_TOKEN)s@h:1",
    );
    let (loaded, made) = migrate(&text, &world(), "/etc/slated").unwrap();
    check_equal(&loaded.config, &made, &world(), "/etc/slated");
    assert!(!made.text.contains("hush"), "{}", made.text);
    assert_eq!(made.notes, [""; 0]);
    let keys: Vec<_> = made.secrets.iter().map(|one| one.file.as_str()).collect();
    assert_eq!(keys, ["site.proxy", "site.key"]);
}

#[test]
fn a_variable_that_plugins_no_longer_see_is_named() {
    let text = SMALLEST.replace("key: hush", "key: %(SG_ED_API_KEY)s");
    let (_, made) = migrate(&text, &world(), "/etc/slated").unwrap();
    assert!(made.text.contains("key = { env = \"SG_ED_API_KEY\" }"));
    assert!(
        made.notes[0].contains("do not see $SG_ED_API_KEY"),
        "{:?}",
        made.notes
    );
    assert!(made.text.contains("env_pass = [\"*\"]"));
}

#[test]
fn what_means_nothing_is_named_and_its_value_is_not() {
    let text = format!(
        "{SMALLEST}pidfile: /run/pid\nlogMode: 1\nfetch_intervall: 3\n[farm]\nsecret: hush-hush\n\
         [emails]\nenabled: no\nserver: smtp\n[slated]\nretyr = hush-hush\nfolders = /mnt/own\n\
         [slated plugin a/b \"c\"]\nwindwo = 4\nwindow = 4\n[DEFAULT]\nx = hush-hush\n"
    );
    let (loaded, made) = migrate(&text, &world(), "/home/td").unwrap();
    check_equal(&loaded.config, &made, &world(), "/home/td");
    let (_, tail) = made.text.split_once("# What has no place here:\n").unwrap();
    let lines: Vec<_> = tail.lines().collect();
    assert_eq!(
        lines,
        [
            "#",
            "# - [plugins] paths, line 6: [slated] has another in its place",
            "# - [daemon] eventIdFile, line 8: not read under a slated.toml; it says where the state stands, see",
            "#   [state]",
            "# - [daemon] logFile, line 9: the log is slated.log",
            "# - [daemon] pidFile, line 10: there is none, and none is needed: `slated stop` finds slated by its",
            "#   state. To remove it stops nothing",
            "# - [daemon] logMode, line 11: there is one log",
            "# - [daemon] fetch_intervall, line 12: means nothing to slated",
            "# - [farm], line 13: means nothing to slated",
            "# - [emails] enabled, line 16: no mail is sent",
            "# - [emails] server, line 17: no mail is sent",
            "# - [slated] retyr, line 19: means nothing to slated",
            "# - [slated plugin a/b \"c\"] windwo, line 22: means nothing to slated",
            "# - [DEFAULT] x, line 25: stands in what names it",
            "# - the comments of the .conf",
        ]
    );
    assert!(made.text.contains("[plugin.\"a/b \\\"c\\\"\"]\n"));
    assert!(!made.text.contains("hush-hush"), "{}", made.text);
}

#[test]
fn folders_keep_their_names_where_they_can() {
    let text = SMALLEST.replace("/mnt/plugins", "shots, /mnt/plugins/");
    let text = format!("{text}[slated plugin shots/notes]\nwindow = 3\n");
    let (loaded, made) = migrate(&text, &world(), "/home/td").unwrap();
    check_equal(&loaded.config, &made, &world(), "/home/td");
    assert!(
        made.text
            .contains("folders = [\"shots\", \"/mnt/plugins/\"]")
    );
    assert_eq!(made.notes, [""; 0]);
    let (loaded, made) = migrate(&text, &world(), "/etc").unwrap();
    check_equal(&loaded.config, &made, &world(), "/etc");
    assert!(made.text.contains("[plugin.\"/home/td/shots/notes\"]"));
    assert_eq!(made.notes.len(), 1);
    assert!(made.notes[0].contains("\"shots\" is \"/home/td/shots\" here"));
}

#[test]
fn what_stands_beside_the_old_program_is_found() {
    let mut world: World = world();
    let beside = std::path::Path::new("/studio/shotgunEventDaemon.py");
    world.files.insert(beside.into(), ("", 0o644));
    let (loaded, made) = migrate(SMALLEST, &world, "/etc").unwrap();
    check_equal(&loaded.config, &made, &world, "/etc");
    assert!(made.text.contains("import_paths = [\"/studio\"]"));
}
