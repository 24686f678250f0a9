//! Each error says where, which key, and what is accepted.

use super::parse;
use crate::Config;

/// Checks what is told of sections behind a `[site]` of two lines.
fn check(text: &str, wanted: &[&str]) {
    let whole = format!("[site]\nurl = \"https://studio.example\"\n{text}");
    let told = parse(&whole).unwrap_err().to_string();
    let told: Vec<_> = told.lines().collect();
    assert_eq!(told, wanted, "{text}");
}

#[test]
fn an_unknown_key_comes_with_the_one_that_was_meant() {
    check(
        "tik = '2s'",
        &["slated.toml:3: unknown key `site.tik` (did you mean `tick`?)"],
    );
    check(
        "[defaults]\ntick = '2s'\nzzz = 1",
        &[
            "slated.toml:4: unknown key `defaults.tick` (`tick` stands in [site])",
            "slated.toml:5: unknown key `defaults.zzz`",
        ],
    );
    check(
        "[plugin.notes]\nretri = 'all'",
        &["slated.toml:4: unknown key `plugin.\"notes\".retri` (did you mean `retry`?)"],
    );
    check(
        "[plugns]\nfolders = []",
        &["slated.toml:3: unknown section `plugns` (did you mean `[plugins]`?)"],
    );
    let told = parse("url = 'https://s'").unwrap_err().to_string();
    assert_eq!(
        told,
        "slated.toml: `site.url` is missing (the address of your site: url = \"https://studio.example\" under [site])\n\
         slated.toml:1: unknown key `url` (every key stands in a section)"
    );
}

#[test]
fn a_wrong_value_comes_with_what_is_accepted() {
    check(
        "tick = 2",
        &[
            "slated.toml:3: `site.tick` takes a duration such as \"2s\", \"15m\" or \"1h\", not 2 (with its unit: \"2s\"?)",
        ],
    );
    check(
        "tick = '0s'",
        &["slated.toml:3: `site.tick` takes a duration from 100ms to 1h, not \"0s\""],
    );
    check(
        "page = 1",
        &["slated.toml:3: `site.page` takes a whole number from 2 to 5000, not 1"],
    );
    check(
        "page = 99999999999999999999",
        &[
            "slated.toml:3: `site.page` takes a whole number from 2 to 5000, not 99999999999999999999",
        ],
    );
    check(
        "page = 0.5",
        &["slated.toml:3: `site.page` takes a whole number from 2 to 5000, not 0.5"],
    );
    check(
        "[defaults]\nretry = 'transent'",
        &[
            "slated.toml:4: `defaults.retry` takes \"transient\" or \"all\" or \"none\", not \"transent\" (did you mean \"transient\"?)",
        ],
    );
    check(
        "[defaults]\nmemory_limit = '512kB'",
        &["slated.toml:4: `defaults.memory_limit` takes 64 MB at least, or \"\", not \"512kB\""],
    );
    check(
        "[defaults]\numask = 18",
        &[
            "slated.toml:4: `defaults.umask` takes an octal mode as a string, such as \"022\", not 18",
        ],
    );
    check(
        "[state]\nnew_plugins = 'id:x'\nalarm_size = '20 gigs'\nfolder = '~/s'",
        &[
            "slated.toml:4: `state.new_plugins` takes \"now\", \"id:N\" or \"ago:2h\", not \"id:x\"",
            "slated.toml:5: `state.alarm_size` takes a size such as \"20GB\" or \"512MiB\", not \"20 gigs\"",
            "slated.toml:6: `state.folder` takes a path without `~`, not \"~/s\" (write the whole path)",
        ],
    );
    check(
        "[plugins]\nfolders = [\n  'a',\n  'a/',\n]\norder_wait = 'never'",
        &[
            "slated.toml:6: `plugins.folders` holds the folder \"a/\" twice",
            "slated.toml:8: `plugins.order_wait` takes a duration such as \"2s\", \"15m\" or \"1h\", not \"never\" (or \"forever\")",
        ],
    );
    check(
        "[plugins]\nfolders = 'a'",
        &["slated.toml:4: `plugins.folders` takes a list such as [\"a\", \"b\"], not \"a\""],
    );
    check(
        "[defaults]\nenv_pass = ['HOME',\n3]",
        &["slated.toml:5: `defaults.env_pass` holds an element that takes a string, not 3"],
    );
    check("log = 'info'", &["slated.toml:3: unknown key `site.log`"]);
}

#[test]
fn an_address_is_http() {
    for (url, wanted) in [
        (
            "studio.example",
            "takes an address that begins with https:// or http:// (\"https://studio.example\"?)",
        ),
        (
            "ftp://studio.example",
            "takes an address that begins with https:// or http://",
        ),
        (
            "user:hunter2@studio",
            "takes an address that begins with https:// or http://",
        ),
        (
            "https://",
            "takes an address such as \"https://studio.example\"; this is not one: empty host",
        ),
        ("https://s/?page=1", "takes an address without `?` and `#`"),
    ] {
        let told = parse(&format!("[site]\nurl = '{url}'"))
            .unwrap_err()
            .to_string();
        assert_eq!(told, format!("slated.toml:2: `site.url` {wanted}"));
    }
}

#[test]
fn keys_that_need_each_other_say_so() {
    check(
        "[web]\nlisten = '0.0.0.0:80'",
        &[
            "slated.toml:4: `web.listen` beyond loopback needs `web.token` (set a token, or listen at 127.0.0.1)",
        ],
    );
    check(
        "[mail]\nserver = 'm'",
        &["slated.toml:4: `mail.server` needs `mail.from` and `mail.to`"],
    );
}

#[test]
fn a_port_behind_the_mail_servers_name_is_warned_of() {
    for (server, wrong) in [
        ("m:25", true),
        ("m", false),
        ("::1", false),
        ("fe80::1", false),
    ] {
        let text = format!(
            "[site]\nurl = 'https://s'\n[mail]\nserver = '{server}'\nfrom = 'a@b'\nto = ['c@d']\n"
        );
        let warnings = parse(&text).unwrap().warnings.to_string();
        let told = warnings.contains("slated.toml:4: the mail server has a port behind its name");
        assert_eq!(told, wrong, "{server}: {warnings}");
    }
}

#[test]
fn overrides_name_folders_and_set_a_key_once() {
    check(
        "[folder.plugin]\nretry = 'all'",
        &[
            "slated.toml:3: `folder.\"plugin\"` is none of `plugins.folders` (did you mean `plugins`?)",
        ],
    );
    check(
        "[plugins]\nfolders = [{ path = 'a', retry = 'all' }]\n[folder.a]\nretry = 'none'",
        &["slated.toml:6: `folder.\"a\".retry` is also set at slated.toml:4"],
    );
    check(
        "[plugin]\nnotes = 3\n[plugins]\nfolders = [{ retry = 'all' }]",
        &[
            "slated.toml:4: `plugin.\"notes\"` takes a table of the keys of [defaults]",
            "slated.toml:6: `plugins.folders` holds a table without `path`",
        ],
    );
    check(
        "[plugins]\nfolders = [{ path = 'a', retri = 'all' }]",
        &["slated.toml:4: unknown key `folder.\"a\".retri` (did you mean `retry`?)"],
    );
}

#[test]
fn what_is_not_toml_is_told_by_line() {
    let told = parse("[site]\nurl = 'https://s'\n\ntick = \n[x\n").unwrap_err();
    assert!(told.0.len() >= 2, "{told}");
    assert!(told.to_string().starts_with("slated.toml:4: "), "{told}");
    let told = parse("[site]\nurl = 'a'\nurl = 'b'")
        .unwrap_err()
        .to_string();
    assert!(told.starts_with("slated.toml:3: duplicate key"), "{told}");
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let load = |name: &str, bytes: Option<&[u8]>| {
        let path = folder.path().join(name);
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        Config::load(&path, &[]).unwrap_err().to_string()
    };
    let told = load("none.toml", None);
    assert!(told.contains("cannot be read: No such file"), "{told}");
    assert!(
        told.ends_with("(without `--config` the usual places are looked at)"),
        "{told}"
    );
    let told = Config::load(folder.path(), &[]).unwrap_err().to_string();
    assert!(told.ends_with("(name the file in it)"), "{told}");
    assert!(load("odd.toml", Some(b"# a\n# \xff")).contains("is not UTF-8 at line 2"));
    let told = load("studio.conf", Some(b"[daemon]\nlogFile\n"));
    assert!(
        told.ends_with("studio.conf:2: is no `key: value`, no `[section]` and no comment"),
        "{told}"
    );
}

mod any_text {
    use super::parse;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_answered(text in "([\\[\\]a-z.=\"'{}#0-9 \n]|site|url|plugins|folders|defaults|env){0,60}") {
            if let Err(told) = parse(&text) {
                prop_assert!(!told.is_empty());
            }
        }
    }
}
