//! Any valid `.conf` becomes a `slated.toml` that says the same.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::{check_equal, migrate};
use crate::conf::tests::world;

/// Keys, each with what it may be.
type Keys = &'static [(&'static str, &'static [&'static str])];

/// What a key of the Python daemon may be; the first is always there.
const OLD: &[(&str, Keys)] = &[
    (
        "shotgun",
        &[
            (
                "server",
                &[
                    "https://studio.example",
                    "%(SG_ED_SITE_URL)s",
                    "http://u:p%%w@s:8/x",
                ],
            ),
            (
                "name",
                &["events", "%(sg_ed_script_name)s", "a \"b\" \\ c", "ünï 'x'"],
            ),
            (
                "key",
                &[
                    "hush",
                    "%(SG_ED_API_KEY)s",
                    "pre%(SG_ED_API_KEY)s",
                    "a\n  b",
                ],
            ),
            (
                "proxy_server",
                &["", "p:3128", "u:pw@p:1", "%(SG_ED_API_KEY)s"],
            ),
            ("use_session_uuid", &["1", "off", "True"]),
        ],
    ),
    (
        "plugins",
        &[(
            "paths",
            &[
                "/mnt/a",
                "/mnt/a/, b, ../c",
                "x y/%(SHOW)s",
                "/a,/a/,\n  /b",
            ],
        )],
    ),
    (
        "daemon",
        &[
            ("eventIdFile", &["/var/id", "id", "./x/../id"]),
            ("logFile", &["log", "%(SHOW)s.log"]),
            ("logPath", &["/var/log", "logs", ""]),
            ("pidFile", &["/run/pid", ""]),
            ("logMode", &["0", "1"]),
            ("logging", &["10", "20", "30", "50"]),
            ("timing_log", &["on", "yes", "off"]),
            ("conn_retry_sleep", &["60"]),
            ("max_conn_retries", &["5"]),
            ("fetch_interval", &["0", "1", "5", "3600"]),
            ("max_event_batch_size", &["1_000", "1", "9000"]),
        ],
    ),
    (
        "emails",
        &[
            ("enabled", &["yes", "no"]),
            ("server", &["smtp", "%(SHOW)s.smtp"]),
            ("from", &["a@b"]),
            ("to", &["c@d", "c@d, e@f ,"]),
            ("subject", &["[SG]", "\"x\\"]),
            ("port", &["25", "587"]),
            ("useTLS", &["on", "0"]),
            ("username", &["", "u"]),
            ("password", &["pw", "100%%", "%(WEB_TOKEN)s"]),
        ],
    ),
];

/// Keys that must be there.
const NEEDED: &[&str] = &[
    "server",
    "name",
    "key",
    "paths",
    "eventIdFile",
    "logFile",
    "enabled",
    "from",
    "to",
    "subject",
];

const OURS: Keys = &[
    (
        "folders",
        &[
            "/mnt/t, own",
            "[{ path = \"/mnt/t/\", retry = \"all\", cwd = \"w\" }, \"own\"]",
            "[{ path = \"own\", env = { A = \"2\" } }]",
        ],
    ),
    ("folder", &["/srv/state", "state"]),
    ("keep_events", &["14d", "1h 30m"]),
    ("alarm_size", &["\"\"", "512MiB"]),
    ("new_plugins", &["id:77", "ago:1h30m", "now"]),
    ("order", &["serial", "independent", "pipelined"]),
    ("order_wait", &["forever", "1500ms"]),
    ("concurrent_callbacks", &["4"]),
    ("lend_key", &["yes"]),
    (
        "alerts.webhook",
        &[
            "https://hooks.example/x?y",
            "%(SG_ED_SITE_URL)s",
            "{ command = [\"pass\", \"x\"] }",
        ],
    ),
    ("control.group", &["td"]),
    ("web.listen", &["127.0.0.1:8033"]),
    (
        "token",
        &[
            "tok",
            "%(WEB_TOKEN)s",
            "{ file = \"token\" }",
            "{ env = \"WEB_TOKEN\" }",
        ],
    ),
];

const SETTINGS: Keys = &[
    (
        "python",
        &["python3.11", "/opt/py", "env/bin/python", "\"\""],
    ),
    ("import_paths", &["lib, /srv/lib", "[]"]),
    (
        "env",
        &[
            "{ A = \"1\" }",
            "{ \"B c\" = \"x\\ty\", SHOW = \"%(SHOW)s\" }",
        ],
    ),
    ("env_pass", &["HOME, PATH", "*"]),
    ("cwd", &["/", "work"]),
    ("umask", &["022", "0o002", "\"\""]),
    ("retry", &["all", "none", "transient"]),
    ("attempts", &["3"]),
    ("within", &["1h", "1500ms"]),
    ("on_error", &["log"]),
    ("deaths", &["1"]),
    ("broken_edit", &["keep"]),
    ("reload", &["stop-first"]),
    ("window", &["1", "1024"]),
    ("warn_after", &["\"\"", "90s"]),
    ("soft_timeout", &["1m"]),
    ("hard_timeout", &["10m", "\"\""]),
    ("memory_limit", &["2GiB", "64MB"]),
    ("recycle_after", &["1000"]),
    ("log_level", &["debug", "warning"]),
];

const NAMES: &[&str] = &["notes", "a b", "/mnt/a/notes", "b/notes", "o'\"dd"];

/// Writes the keys that the dice want.
fn section(text: &mut String, keys: Keys, dice: &mut impl FnMut() -> usize, of: usize) {
    for (key, values) in keys {
        let dare = dice();
        if NEEDED.contains(key) || dare.is_multiple_of(of) {
            let value = values[dice() % values.len()];
            writeln!(text, "{key} {} {value}", ["=", ":"][dare % 2]).unwrap();
        }
    }
}

fn file(dice: &[u8]) -> String {
    let mut at = 0;
    let mut dice = || {
        at += 1;
        usize::from(dice[at % dice.len()])
    };
    let mut text = String::new();
    for (name, keys) in OLD {
        if *name == "emails" && dice() % 2 == 0 {
            continue;
        }
        writeln!(text, "# of {name}\n[{name}]").unwrap();
        section(&mut text, keys, &mut dice, 2);
    }
    if dice() % 4 > 0 {
        text += "[slated]\n";
        section(&mut text, OURS, &mut dice, 3);
        section(&mut text, SETTINGS, &mut dice, 3);
    }
    for name in NAMES {
        if dice() % 3 == 0 {
            writeln!(text, "[slated plugin {name}]").unwrap();
            section(&mut text, SETTINGS, &mut dice, 4);
        }
    }
    if dice() % 4 == 0 {
        text += "[farm]\nnights: 3\n";
    }
    text
}

#[test]
fn a_valid_file_means_the_same() {
    let (all, good) = (AtomicUsize::new(0), AtomicUsize::new(0));
    proptest!(|(dice in proptest::collection::vec(any::<u8>(), 257), at in 0usize..4)| {
        let text = file(&dice);
        let folder = ["/studio", "/home/td", "/etc/slated", "/"][at];
        all.fetch_add(1, Ordering::Relaxed);
        // What slated refuses has nothing to become.
        if let Ok((loaded, made)) = migrate(&text, &world(), folder) {
            good.fetch_add(1, Ordering::Relaxed);
            check_equal(&loaded.config, &made, &world(), folder);
        }
    });
    let (all, good) = (all.into_inner(), good.into_inner());
    assert!(good * 10 > all * 8, "{good} of {all} were valid");
}
