//! `reference.toml` says exactly what the program does.

use std::path::Path;
use std::time::Duration;

use slated_model::EventId;

use super::{REFERENCE, World, config, parse, parse_with};
use crate::{Config, NewPlugins, Order, OrderWait, Origin, Override, Retry, SiteUrl, find, places};

#[test]
fn the_reference_holds_every_key_and_its_default() {
    let loaded = parse(REFERENCE).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let read = loaded.config;
    let url = SiteUrl::parse("https://studio.example").unwrap();
    let plain = Config::new(url, Path::new("/etc/show"));
    assert_eq!(read.site, plain.site);
    assert_eq!(read.state, plain.state);
    assert_eq!(read.plugins, plain.plugins);
    assert_eq!(read.defaults, plain.defaults);
    assert_eq!(read.log, plain.log);
    assert_eq!(read.mail, plain.mail);
    assert_eq!(read.alerts, plain.alerts);
    assert_eq!(read.control, plain.control);
    assert_eq!(read.web, plain.web);

    // A short file knows of every key, set or not; the reference sets them all.
    let short = config("");
    let known: Vec<_> = short.origins().map(|(key, _)| key.to_owned()).collect();
    let set: Vec<_> = read
        .configured_keys()
        .map(|(key, _)| key.to_owned())
        .collect();
    assert_eq!(known, set);
    assert!(set.len() > 50, "{}", set.len());
}

#[test]
fn every_key_takes_another_value() {
    let read = config(
        r#"
        script = "other"
        key = "k"
        proxy = "p:1"
        ca_file = "ca.pem"
        timeout = "30s"
        page = 50
        tick = "5s"
        settle = "1s"
        [state]
        folder = "/var/lib/slated"
        keep_events = "14d"
        alarm_size = ""
        new_plugins = "id:77"
        [plugins]
        folders = ["a/", { path = "/b" }]
        order = "serial"
        order_wait = "forever"
        concurrent_callbacks = 4
        session_uuid = false
        lend_key = true
        [defaults]
        python = "python3.11"
        import_paths = ["lib"]
        env = { A = "1" }
        env_pass = ["HOME"]
        cwd = "."
        umask = "002"
        retry = "none"
        attempts = 1
        within = "1h"
        on_error = "log"
        deaths = 1
        broken_edit = "deactivate"
        reload = "stop-first"
        window = 1
        warn_after = ""
        soft_timeout = "1m"
        hard_timeout = "2m"
        memory_limit = "2GiB"
        recycle_after = 1000
        log_level = "warning"
        [log]
        level = "debug"
        format = "json"
        folder = "logs"
        timing = true
        [mail]
        server = "mail"
        port = 465
        tls = true
        username = "u"
        password = "p"
        from = "a@b"
        to = ["c@d"]
        subject = "s"
        [alerts]
        webhook = "https://hooks.example/x?y=1"
        [control]
        group = "td"
        [web]
        listen = "0.0.0.0:80"
        token = "t"
    "#,
    );
    let plain = config("");
    assert_eq!(
        read.configured_keys().count(),
        plain.origins().count(),
        "a key is not set above"
    );
    assert_eq!(read.state.folder, Path::new("/var/lib/slated"));
    assert_eq!(read.state.alarm_size, None);
    assert_eq!(read.state.new_plugins, NewPlugins::Id(EventId(77)));
    let folders: Vec<_> = read
        .plugins
        .folders
        .iter()
        .map(|f| (f.name.as_str(), f.path.to_str().unwrap()))
        .collect();
    assert_eq!(folders, [("a", "/etc/show/a"), ("/b", "/b")]);
    assert_eq!(read.plugins.order, Order::Serial);
    assert_eq!(read.plugins.order_wait, OrderWait::Forever);
    assert_eq!(
        read.defaults.python.as_deref(),
        Some(Path::new("python3.11"))
    );
    assert_eq!(read.defaults.cwd.as_deref(), Some(Path::new("/etc/show")));
    assert_eq!(read.defaults.umask, Some(0o002));
    assert_eq!(read.defaults.retry, Retry::None);
    assert_eq!(read.defaults.memory_limit, Some(2 << 30));
    assert_eq!(read.web.listen.unwrap().port(), 80);
    // No field is as it is without a file: each value was really stored.
    macro_rules! all_differ {
        ($($section:ident),*) => {$(
            let set = fields(&format!("{:#?}", read.$section));
            let unset = fields(&format!("{:#?}", plain.$section));
            assert_eq!(set.len(), unset.len());
            for (set, unset) in set.iter().zip(&unset) {
                assert!(set != unset || set.contains("url:"), "{set}");
            }
        )*};
    }
    all_differ!(
        site, state, plugins, defaults, log, mail, alerts, control, web
    );
}

/// Splits the long `Debug` of a struct into its fields.
fn fields(shown: &str) -> Vec<String> {
    let mut fields = Vec::<String>::new();
    for line in shown.lines().filter(|line| line.starts_with("    ")) {
        match fields.last_mut() {
            Some(field) if line.starts_with("     ") || line.starts_with("    }") => {
                field.push_str(line);
            }
            Some(field) if line.starts_with("    )") || line.starts_with("    ]") => {
                field.push_str(line);
            }
            _ => fields.push(line.to_owned()),
        }
    }
    fields
}

#[test]
fn every_value_knows_where_it_came_from() {
    let listen = Override {
        key: "web.listen",
        value: "localhost:9000".into(),
        origin: Origin::Flag("--listen".into()),
    };
    let folders = Override {
        key: "plugins.folders",
        value: "here, there".into(),
        origin: Origin::Environment("SLATED_PLUGINS".into()),
    };
    let text = "[site]\nurl = \"http://s\"\ntick = '1s'\n[web]\nlisten = ''\n[plugin.notes]\nretry = 'all'";
    let read = parse_with(text, &[listen, folders]).unwrap().config;
    assert_eq!(read.origin("site.tick").to_string(), "slated.toml:3");
    assert_eq!(read.origin("site.page"), Origin::Default);
    assert_eq!(read.origin("web.listen").to_string(), "--listen");
    assert_eq!(
        read.origin("plugins.folders").to_string(),
        "$SLATED_PLUGINS"
    );
    assert_eq!(
        read.origin("plugin.\"notes\".retry").to_string(),
        "slated.toml:7"
    );
    assert_eq!(read.web.listen.unwrap().to_string(), "127.0.0.1:9000");
    // What is typed in a shell is relative to the shell's folder, not to the file's.
    assert_eq!(read.plugins.folders[1].path, Path::new("there"));

    let idle = read.without_effect(&["web.*", "defaults.retry", "site.settle"]);
    let idle: Vec<_> = idle
        .iter()
        .map(|(key, origin)| format!("{key} {origin}"))
        .collect();
    assert_eq!(
        idle,
        [
            "plugin.\"notes\".retry slated.toml:7",
            "web.listen --listen"
        ]
    );
}

#[test]
fn the_file_is_looked_for_nearby_then_at_home_then_in_etc_then_where_the_python_daemon_has_it() {
    let mut world = World::default();
    let shown = |world: &World| -> Vec<String> {
        places(world)
            .iter()
            .map(|p| p.display().to_string())
            .collect()
    };
    let places = [
        "slated.toml",
        "/etc/slated/slated.toml",
        "/opt/studio/shotgunEventDaemon.conf",
        "/etc/shotgunEventDaemon.conf",
    ];
    assert_eq!(shown(&world), places);
    world.variables.insert("HOME", "/home/td");
    assert_eq!(shown(&world)[1], "/home/td/.config/slated/slated.toml");
    world.variables.insert("XDG_CONFIG_HOME", "/x");
    assert_eq!(shown(&world)[1], "/x/slated/slated.toml");

    let found = find(&world, |path| path.starts_with("/etc")).unwrap();
    assert_eq!(found, Path::new("/etc/slated/slated.toml"));
    let error = find(&world, |_| false).unwrap_err().to_string();
    assert!(
        error.contains("/x/slated/slated.toml") && error.contains("--config"),
        "{error}"
    );
}

#[test]
fn a_file_on_disk_is_read_relative_to_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slated.toml");
    std::fs::write(&path, "[site]\nurl = 'https://s'\ntick = '1s'").unwrap();
    let read = Config::load(&path, &[]).unwrap().config;
    assert_eq!(read.site.tick, Duration::from_secs(1));
    assert_eq!(read.state.folder, folder.path().join("slated-state"));
}
