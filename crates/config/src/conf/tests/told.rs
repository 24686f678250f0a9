//! What a person is told of a file: errors all together, and what is worth a word.

use std::fmt::Write as _;
use std::path::Path;

use super::{SMALLEST, parse, world};
use crate::{Config, Origin, Override, Source};

/// What is told of the smallest file with `more` behind `[daemon]`, without the file's name.
fn told(more: &str) -> String {
    let text = format!("{SMALLEST}{more}\n");
    let told = match parse(&text, &world()) {
        Ok(read) => read.warnings.to_string(),
        Err(errors) => format!("error: {errors}"),
    };
    told.replace("/studio/shotgunEventDaemon.conf", "CONF")
}

#[test]
fn what_is_missing_is_told_together() {
    let mut world = world();
    world.variables.insert("NAME", "workstation7");
    let told = parse(
        "[shotgun]\n[plugins]\npaths:\n[emails]\nenabled: 1\n",
        &world,
    );
    let told = told.unwrap_err().to_string();
    let told = told.replace("/studio/shotgunEventDaemon.conf", "CONF");
    assert_eq!(
        told,
        "CONF: `[shotgun] server` is missing (under [shotgun]: `server: https://studio.example`)\n\
         CONF: `[shotgun] name` is missing (the Python daemon takes $NAME: `name: %(NAME)s`)\n\
         CONF: `[shotgun] key` is missing (under [shotgun]: `key: %(SG_ED_API_KEY)s`)\n\
         CONF: `[emails] server` is missing (under [emails]: `server: smtp.studio.example`)\n\
         CONF: `[emails] from` is missing (under [emails]: `from: pipeline@studio.example`)\n\
         CONF: `[emails] to` is missing (under [emails]: `to: td@studio.example`)\n\
         CONF: `[emails] subject` is missing (under [emails]: `subject: [SG]`)\n\
         CONF: `[daemon] logFile` is missing (under [daemon]: `logFile: shotgunEventDaemon`)\n\
         CONF: `[daemon] eventIdFile` is missing (under [daemon]: `eventIdFile: /var/lib/slated/events.id`)\n\
         CONF:3: `[plugins] paths` must not be empty"
    );
}

#[test]
fn what_python_refuses_is_refused_with_its_line() {
    for (text, wanted) in [
        (
            "\u{feff}[daemon]\n",
            "1: begins with a byte order mark; save the file as UTF-8 without one",
        ),
        (
            "# c\nkey: v\n[daemon]\n",
            "2: stands before the first section, such as `[daemon]`",
        ),
        (
            "[daemon]\n[daemon]\n",
            "2: the section `[daemon]` also stands in line 1",
        ),
        (
            "[daemon]\nlogFile: a\nLOGFILE: b\n",
            "3: `[daemon] logfile` is also set in line 2",
        ),
        (
            "[daemon]\nlogFile\n",
            "2: is no `key: value`, no `[section]` and no comment",
        ),
        ("[daemon]\n: v\n", "2: has no key before the `:` or `=`"),
    ] {
        let error = parse(text, &world()).unwrap_err().to_string();
        assert_eq!(error, format!("/studio/shotgunEventDaemon.conf:{wanted}"));
    }
    let both = parse("[a]\nx\n[a]\n", &world()).unwrap_err();
    assert_eq!(both.0.len(), 2, "all at once: {both}");
}

#[test]
fn a_value_that_cannot_be_read_says_why_and_never_shows_itself() {
    for (line, wanted) in [
        (
            "pidFile: hush%",
            "`[daemon] pidFile` has a `%` that stands for nothing (write `%%` for a percent sign)",
        ),
        (
            "pidFile: hush%(ODD)s",
            "`[daemon] pidFile` has a `%` that stands for nothing, in $ODD (write `%%` for a percent sign)",
        ),
        (
            "pidFile: hush%(NOWHERE)s",
            "`[daemon] pidFile` takes in `%(NOWHERE)s`, which is no key of its section or of [DEFAULT], and no environment variable (set the variable for slated, or write the value)",
        ),
        (
            "pidFile: hush%(Twice)s",
            "`[daemon] pidFile` takes in `%(Twice)s`, and the environment has more than one of that name: $TWICE, $twice (write the one that is meant in its own case)",
        ),
        (
            "pidFile: %(pidFile)s",
            "`[daemon] pidFile` takes in values that take in values, more than 10 deep (write the value itself)",
        ),
    ] {
        assert_eq!(told(line), format!("error: CONF:10: {wanted}"));
    }
    assert_eq!(
        told("pidFile: %(TWICE)s"),
        "CONF:10: `[daemon] pidFile`: a is taken from where slated was started: /home/td/a (write the whole path: once in the background, the Python daemon takes it from /)"
    );
    // Without a bound this one would take for ever.
    let mut bomb = String::from("pidFile: %(b1)s\n");
    for n in 1..9 {
        let names = format!("%(b{})s", n + 1).repeat(50);
        writeln!(bomb, "b{n}: {names}").unwrap();
    }
    bomb += "b9: %%\n";
    assert!(told(&bomb).contains("takes in too many values"));
}

#[test]
fn a_value_that_does_not_fit_says_what_does() {
    for (line, wanted) in [
        (
            "logging: INFO",
            "`[daemon] logging` takes a whole number, not \"INFO\"",
        ),
        (
            "logMode: 1 ; per plugin",
            "`[daemon] logMode` takes a whole number, not \"1 ; per plugin\" (a comment needs a line of its own)",
        ),
        (
            "fetch_interval: -1",
            "`[daemon] fetch_interval` takes a whole number of seconds from 0 to 3600, not \"-1\"",
        ),
        (
            "max_event_batch_size: 0",
            "`[daemon] max_event_batch_size` takes a whole number from 2 to 5000, not 0",
        ),
        (
            "pidFile: ~/pid",
            "`[daemon] pidFile` takes a path without `~`, not \"~/pid\" (write the whole path)",
        ),
    ] {
        assert_eq!(told(line), format!("error: CONF:10: {wanted}"));
    }
    let with = |old: &str, new: &str| {
        let text = SMALLEST.replace(old, new);
        assert_ne!(text, SMALLEST);
        parse(&text, &world()).unwrap_err().to_string()
    };
    let server = with("https://studio.example", "studio.example");
    assert!(server.ends_with(":2: `[shotgun] server` takes an address that begins with https:// or http:// (\"https://studio.example\"?)"), "{server}");
    let paths = with("/mnt/plugins", "/mnt/a\n  /mnt/b");
    assert!(
        paths.ends_with(
            "`[plugins] paths` holds a path of several lines (put a comma between paths)"
        ),
        "{paths}"
    );
    let key = with("key: hush", "key: %(EMPTY)s");
    assert!(
        key.ends_with("`[shotgun] key` is empty, as $EMPTY is"),
        "{key}"
    );
    let flag = with("[plugins]", "use_session_uuid: maybe\n[plugins]");
    assert!(
        flag.ends_with("takes one of 1, yes, true, on, 0, no, false, off, not \"maybe\""),
        "{flag}"
    );
}

#[test]
fn what_means_nothing_is_told_and_left_alone() {
    assert_eq!(
        told(
            "loging: 20\nstudio: x\n[Emails]\nenabled: 1\n[farm]\nnights: 3\n[slated]\nretyr = all\n[slated plugin n]\nwindwo = 3"
        ),
        "CONF:10: `[daemon] loging` means nothing to slated (did you mean `logging`?)\n\
         CONF:11: `[daemon] studio` means nothing to slated\n\
         CONF:12: [Emails] means nothing to slated (did you mean [emails]?)\n\
         CONF:14: [farm] means nothing to slated\n\
         CONF:17: `[slated] retyr` means nothing to slated (did you mean `retry`?)\n\
         CONF:19: unknown key `[slated plugin n] windwo` (did you mean `window`?)"
    );
}

#[test]
fn what_works_differently_is_told() {
    for (more, wanted) in [
        (
            "timing_log: yes",
            "CONF:10: `[daemon] timing_log` is off: only `on` turns it on",
        ),
        (
            "max_event_batch_size: 9000",
            "CONF:10: `[daemon] max_event_batch_size` is 9000: slated asks for 5000",
        ),
        (
            "[emails]\nenabled: on\nserver:\nfrom: a\nto: b\nsubject: c",
            "CONF:12: no mail is sent: `[emails] server` is empty",
        ),
        // The values of the environment are not shown.
        (
            "[emails]\nenabled: on\nserver: s\nfrom: a\nto: b\nsubject: c",
            "CONF: the Python daemon takes `[emails] port` from $PORT here; slated does not (write `port: %(PORT)s` under [emails] if it is meant)",
        ),
        (
            "[slated]\nfolders = /mnt/x\nfolder = state",
            "CONF:11: `[slated] folders` stands in place of `[plugins] paths` at CONF:6",
        ),
        (
            "[slated]\norder = serial\nplugins.order = serial",
            "error: CONF:12: `[slated] plugins.order` is also set at CONF:11, as `[slated] order`",
        ),
        (
            "[slated]\norder = cereal",
            "error: CONF:11: `[slated] order` takes \"independent\" or \"pipelined\" or \"serial\", not \"cereal\" (did you mean \"serial\"?)",
        ),
        (
            "[slated plugin n]\nhard_timeout = \"10",
            "error: CONF:11: `[slated plugin n] hard_timeout` begins like a value of a slated.toml, and is none (quotes, brackets and braces come in pairs)",
        ),
    ] {
        assert_eq!(told(more), wanted, "{more}");
    }
    // Only keys that the Python daemon asks for are taken from its environment.
    assert_eq!(told("[emails]\nenabled: off"), "");
}

#[test]
fn a_variable_that_holds_the_key_is_named_and_its_value_is_not() {
    let text = SMALLEST.replace("key: hush", "key: %(SG_ED_API_KEY)s");
    let read = parse(&text, &world()).unwrap();
    let told = read.warnings.to_string();
    assert!(
        told.contains("every plugin sees $SG_ED_API_KEY, which holds `[shotgun] key`"),
        "{told}"
    );
    assert!(!format!("{told}{read:?}").contains("hush"));
    assert_eq!(read.config.secret_variables(), ["SG_ED_API_KEY"]);
    let (secrets, _) = read.config.resolve(&world()).unwrap();
    assert_eq!(
        secrecy::ExposeSecret::expose_secret(&secrets.site_key),
        "hush"
    );
    // Named variables only: then the key is withheld.
    let named = format!("{text}[slated]\nenv_pass = HOME\n");
    assert_eq!(parse(&named, &world()).unwrap().warnings.to_string(), "");
}

#[test]
fn a_file_that_others_may_read_should_hold_no_key() {
    let source = |mode| Source {
        path: Path::new("/studio/shotgunEventDaemon.conf"),
        base: Path::new("/studio"),
        text: SMALLEST,
        mode: Some(mode),
    };
    let told = |mode| {
        let read = Config::parse_conf(&source(mode), Path::new("/"), &world(), &[]).unwrap();
        read.warnings.to_string()
    };
    assert_eq!(told(0o600), "");
    assert!(told(0o644).contains("`[shotgun] key` is plain text in a file that others may read"));
}

#[test]
fn a_flag_wins_and_a_file_is_known_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("studio.conf");
    std::fs::write(&path, SMALLEST).unwrap();
    let flag = Override {
        key: "web.listen",
        value: "127.0.0.1:1".into(),
        origin: Origin::Flag("--listen".into()),
    };
    let config = Config::load(&path, &[flag]).unwrap().config;
    assert!(config.conf.is_some());
    assert_eq!(config.web.listen.unwrap().port(), 1);
}

mod any_text {
    use super::super::{parse, world};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_answered(text in "([\\[\\]a-z.=:%()#0-9 \n\"{}]|daemon|shotgun|\\[plugins\\]|\\[slated\\]|\\[slated plugin x\\]|paths|key|env|%\\(a\\)s){0,60}") {
            if let Err(told) = parse(&text, &world()) {
                prop_assert!(!told.is_empty());
            }
        }
    }
}
