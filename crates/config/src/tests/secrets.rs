//! Secrets come in four forms and go nowhere but to who asked for them.

use std::path::Path;

use secrecy::ExposeSecret as _;

use super::{World, config, parse};
use crate::{Config, Environment as _, Source, System};

fn world() -> World {
    let mut world = World::default();
    world
        .variables
        .insert("SLATED_SITE_KEY", "from the variable");
    world
        .files
        .insert("/etc/show/key".into(), ("from the file\r\n", 0o600));
    world
        .files
        .insert("/run/open".into(), ("from an open file", 0o644));
    world.files.insert("/run/empty".into(), ("\n", 0o600));
    world
}

#[test]
fn a_secret_is_fetched_from_where_it_stands() {
    for (key, wanted, warning) in [
        ("", "from the variable", ""),
        ("key = { file = 'key' }", "from the file", ""),
        (
            "key = { command = ['pass', 'show', 'sg'] }",
            "printed for show sg",
            "",
        ),
        ("key = 'plain'", "plain", ""),
        (
            "key = { file = '/run/open' }",
            "from an open file",
            "slated.toml:3: `site.key` is read from /run/open, which others may open (chmod 600 /run/open)",
        ),
    ] {
        let (secrets, warnings) = config(key).resolve(&world()).unwrap();
        assert_eq!(secrets.site_key.expose_secret(), wanted);
        assert_eq!(warnings.to_string(), warning);
    }
}

#[test]
fn all_secrets_that_cannot_be_fetched_are_told_together() {
    let config = config(
        "key = { env = 'NO_KEY' }\nproxy = { file = '/run/empty' }\n\
         [mail]\npassword = { command = ['false', 'hunter2'] }\n[web]\ntoken = { file = '/none' }",
    );
    let Err(told) = config.resolve(&world()) else {
        panic!("resolved");
    };
    let told = told.to_string();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    assert!(
        lines[0].starts_with("slated.toml:3: `site.key` is read from $NO_KEY, which is not set")
    );
    assert!(lines[1].starts_with("slated.toml:4: `site.proxy` is empty"));
    assert!(
        lines[2].starts_with("slated.toml:6: `mail.password` is printed by `false`, which failed")
    );
    assert!(lines[3].starts_with("slated.toml:8: `web.token` is read from /none: no such file"));
    assert!(!told.contains("hunter2"));
}

#[test]
fn a_literal_is_warned_of_and_more_so_where_others_may_read_it() {
    let text = "[site]\nurl = 'https://s'\nkey = 'hunter2'\nproxy = 'host:1'\n[alerts]\nwebhook = 'https://h/x'";
    let quiet = parse(text).unwrap().warnings.to_string();
    assert_eq!(quiet.lines().count(), 1, "{quiet}");
    assert!(
        quiet.starts_with("slated.toml:3: `site.key` is plain text ("),
        "{quiet}"
    );

    let source = Source {
        path: Path::new("slated.toml"),
        base: Path::new("/"),
        text,
        mode: Some(0o644),
    };
    let loud = Config::parse(&source, &[]).unwrap().warnings.to_string();
    assert_eq!(loud.lines().count(), 2, "{loud}");
    assert!(loud.contains(
        "`site.key` is plain text in a file that others may read (chmod 600 slated.toml"
    ));
    assert!(loud.contains("slated.toml:6: `alerts.webhook` is plain text in a file"));
}

#[test]
fn no_secret_is_shown() {
    let text = "[site]\nurl = 'https://who:hunter2@s'\nkey = 'hunter2'\nproxy = 'u:hunter2@h:1'\n\
        [mail]\npassword = 'hunter2'\n[alerts]\nwebhook = 'https://hooks/hunter2'\n[web]\ntoken = 'hunter2'\n\
        [defaults]\nenv = { TOKEN = 'hunter2' }\n[plugin.x]\nenv = { TOKEN = 'hunter2' }";
    let loaded = parse(text).unwrap();
    let shown = format!("{loaded:?} {}", loaded.config.site.url);
    assert!(
        shown.contains("https://s") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert_eq!(
        loaded.config.site.url.with_credentials().password(),
        Some("hunter2")
    );

    // Nor where a value is refused.
    for wrong in [
        "key = { hunter2 = 'x' }",
        "key = ['hunter2']",
        "key = { env = 'A', file = 'hunter2' }",
        "proxy = { command = 'hunter2' }",
        "url = 'ftp://who:hunter2@s'",
        "[alerts]\nwebhook = 'hunter2'",
        "[defaults]\nenv = { TOKEN = ['hunter2'] }",
        "[defaults]\nenv = 'hunter2'",
        "[web]\ntoken = { command = [] }",
    ] {
        let site = if wrong.starts_with("url") {
            ""
        } else {
            "url = 'https://s'\n"
        };
        let told = parse(&format!("[site]\n{site}{wrong}"))
            .unwrap_err()
            .to_string();
        assert!(!told.contains("hunter2"), "{told}");
        assert!(told.contains("takes"), "{told}");
    }
}

#[test]
fn the_variables_that_feed_secrets_are_known() {
    let config = config("proxy = { env = 'STUDIO_PROXY' }");
    assert_eq!(
        config.secret_variables(),
        ["SLATED_SITE_KEY", "STUDIO_PROXY"]
    );
}

#[test]
fn certificates_are_found_as_the_official_client_finds_them() {
    let mut world = World::default();
    assert_eq!(config("").site.certificates(&world), None);
    world.variables.insert("SHOTGUN_API_CACERTS", "/theirs.pem");
    assert_eq!(
        config("").site.certificates(&world).unwrap(),
        Path::new("/theirs.pem")
    );
    let ours = config("ca_file = 'ours.pem'")
        .site
        .certificates(&world)
        .unwrap();
    assert_eq!(ours, Path::new("/etc/show/ours.pem"));
}

#[cfg(unix)]
#[test]
fn the_system_runs_programs_and_reads_files() {
    let run =
        |words: &[&str]| System.run(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(run(&["sh", "-c", "printf 'a b'"]).unwrap(), "a b");
    assert!(
        run(&["sh", "-c", "echo hunter2; exit 3"])
            .unwrap_err()
            .contains('3')
    );
    assert!(run(&["/no/such/program"]).is_err());
    assert!(run(&["sh", "-c", "head -c 70000 /dev/zero"]).is_err());

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "k\n").unwrap();
    assert_eq!(System.read(&path).unwrap(), "k\n");
    assert!(System.mode(&path).is_some());
    assert!(System.read(folder.path()).is_err());
}
