//! A whole file, and the configuration it makes.

use std::path::Path;
use std::time::Duration;

use slated_model::PluginId;

use super::{parse, world};
use crate::{
    Alerts, BrokenEdit, Conf, ConfLogs, Config, Control, Folder, Level, Log, LogFormat, LogMode,
    Mail, NewPlugins, Order, OrderWait, PluginSettings, Plugins, Retry, Secret, Site, SiteUrl,
    State, Variables, Web,
};

const STOCK: &str = include_str!("stock.conf");

fn stock() -> Config {
    parse(STOCK, &world()).unwrap().config
}

#[test]
fn every_key_of_a_studios_file_has_its_place() {
    let config = stock();
    let site = Site {
        script: "events".into(),
        key: Secret::variable("SG_ED_API_KEY"),
        proxy: Some(Secret::literal("proxy.studio.example:3128")),
        page: 1_000,
        tick: Duration::from_secs(5),
        ..Site::new(SiteUrl::parse("https://studio.example").unwrap())
    };
    assert_eq!(config.site, site);
    let state = State {
        folder: "/var/log/shotgunEventDaemon/shotgunEventDaemon.id.slated".into(),
        keep_events: Duration::from_hours(7 * 24),
        alarm_size: Some(20_000_000_000),
        new_plugins: NewPlugins::Now,
    };
    assert_eq!(config.state, state);
    let folder = |written: &str| Folder {
        name: written.trim_end_matches('/').into(),
        written: written.into(),
        path: written.into(),
    };
    let plugins = Plugins {
        folders: vec![folder("/mnt/tools/plugins/"), folder("/mnt/dune/plugins")],
        order: Order::Pipelined,
        order_wait: OrderWait::For(Duration::from_secs(30)),
        concurrent_callbacks: 0,
        session_uuid: false,
        lend_key: false,
    };
    assert_eq!(config.plugins, plugins);
    let defaults = PluginSettings {
        python: Some("/opt/python3/bin/python3".into()),
        env: Variables([("SHOW".to_owned(), "dune".to_owned())].into()),
        env_pass: vec!["HOME".into(), "PATH".into()],
        retry: Retry::Transient,
        broken_edit: BrokenEdit::Deactivate,
        hard_timeout: None,
        log_level: Level::Warn,
        ..PluginSettings::default()
    };
    assert_eq!(config.defaults, defaults);
    let log = Log {
        level: Level::Warn,
        format: LogFormat::Human,
        folder: Some("/var/log/shotgunEventDaemon".into()),
        timing: true,
    };
    assert_eq!(config.log, log);
    let mail = Mail {
        server: Some("smtp.studio.example".into()),
        port: 587,
        tls: true,
        username: Some("events".into()),
        password: Some(Secret::literal("100%secret")),
        from: Some("events@studio.example".into()),
        to: vec!["td@studio.example".into(), "it@studio.example".into()],
        subject: "[SG]".into(),
    };
    assert_eq!(config.mail, mail);
    assert_eq!(config.alerts, Alerts::default());
    assert_eq!(config.control, Control::default());
    let web = Web {
        listen: Some("127.0.0.1:8033".parse().unwrap()),
        token: Some(Secret::variable("WEB_TOKEN")),
    };
    assert_eq!(config.web, web);
    let conf = Conf {
        id_file: Some("/var/log/shotgunEventDaemon/shotgunEventDaemon.id".into()),
        pid_file: Some("/var/log/shotgunEventDaemon/shotgunEventDaemon.pid".into()),
        logs: ConfLogs {
            folder: "/var/log/shotgunEventDaemon".into(),
            file: "shotgunEventDaemon".into(),
            mode: LogMode::PerPlugin,
        },
    };
    assert_eq!(config.conf, Some(conf));
    let notes = PluginId::new("/mnt/dune/plugins", "notes 2");
    let limit = Some(Duration::from_mins(10));
    assert_eq!(config.effective(&notes).hard_timeout, limit);
}

#[test]
fn every_value_knows_its_line() {
    let config = stock();
    let line_of = |start: &str| {
        let lines = STOCK.lines().zip(1..);
        let mut found = lines.filter(|(line, _)| line.starts_with(start));
        let (_, line) = found.next().unwrap();
        format!("/studio/shotgunEventDaemon.conf:{line}")
    };
    for (key, start) in [
        ("site.url", "server: %"),
        ("site.script", "name"),
        ("site.key", "key"),
        ("site.proxy", "proxy_server"),
        ("site.page", "max_event"),
        ("site.tick", "fetch_interval"),
        ("state.folder", "eventIdFile"),
        ("plugins.folders", "paths"),
        ("plugins.session_uuid", "use_session"),
        ("plugins.order_wait", "plugins.order_wait"),
        ("defaults.log_level", "logging"),
        ("defaults.retry", "retry"),
        ("log.level", "logging"),
        ("log.folder", "logPath"),
        ("log.timing", "timing_log"),
        ("mail.server", "server: smtp"),
        ("mail.to", "to"),
        ("web.token", "token"),
        ("daemon.max_conn_retries", "max_conn"),
        ("plugin.\"notes 2\".hard_timeout", "hard_timeout"),
    ] {
        assert_eq!(config.origin(key).to_string(), line_of(start), "{key}");
    }
    for key in ["plugins.order", "defaults.hard_timeout", "site.timeout"] {
        assert!(config.origin(key).is_default(), "{key}");
    }
}

#[test]
fn the_smallest_file_works_as_the_python_daemon_did() {
    let mut world = world();
    let beside = Path::new("/studio/shotgunEventDaemon.py");
    world.files.insert(beside.into(), ("", 0o644));
    let read = parse(super::SMALLEST, &world).unwrap();
    assert_eq!(read.warnings.to_string(), "");
    let config = read.config;
    let defaults = PluginSettings {
        import_paths: vec!["/studio".into()],
        env_pass: vec!["*".into()],
        retry: Retry::None,
        broken_edit: BrokenEdit::Deactivate,
        hard_timeout: None,
        ..PluginSettings::default()
    };
    assert_eq!(config.defaults, defaults);
    assert_eq!(config.plugins.order, Order::Pipelined);
    assert_eq!(config.mail, Mail::default());
    let conf = config.conf.unwrap();
    assert_eq!((conf.pid_file, conf.logs.mode), (None, LogMode::One));
    assert_eq!(
        conf.logs.folder,
        Path::new("/home/td"),
        "where it was started"
    );
}

#[test]
fn levels_are_pythons_numbers() {
    for (number, level) in [
        ("-1", Level::Debug),
        ("0", Level::Warn),
        ("5", Level::Debug),
        ("10", Level::Debug),
        ("11", Level::Info),
        ("20", Level::Info),
        ("30", Level::Warn),
        ("40", Level::Error),
        ("50", Level::Error),
        ("99", Level::Error),
    ] {
        let text = format!("{}logging: {number}\n", super::SMALLEST);
        let config = parse(&text, &world()).unwrap().config;
        assert_eq!(config.log.level, level, "{number}");
    }
}
