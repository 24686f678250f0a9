//! What holds for one plugin: defaults, over them its folder, over them itself.

use std::collections::BTreeSet;

use slated_model::PluginId;

use super::config;
use crate::Retry;

const TEXT: &str = r#"
[plugins]
folders = ["shots", { path = "/srv/notes/", attempts = 7, env = { WHERE = "notes" } }]
[defaults]
attempts = 3
window = 4
env = { SHOW = "bunny", WHERE = "all" }
[folder."/srv/notes"]
retry = "none"
[plugin.mail]
window = 1
[plugin."/srv/notes/mail"]
attempts = 9
env = { TOKEN = "hunter2" }
"#;

#[test]
fn the_nearest_word_wins() {
    let config = config(TEXT);
    let of = |folder: &str, stem: &str| config.effective(&PluginId::new(folder, stem));

    let plain = of("shots", "other");
    assert_eq!(plain, config.defaults);

    let notes = of("/srv/notes", "other");
    assert_eq!(
        (notes.attempts, notes.window, notes.retry),
        (7, 4, Retry::None)
    );
    assert_eq!(notes.env.0["WHERE"], "notes");
    assert_eq!(notes.env.0["SHOW"], "bunny");

    let mail = of("shots", "mail");
    assert_eq!(
        (mail.attempts, mail.window, mail.retry),
        (3, 1, Retry::Transient)
    );

    let mail = of("/srv/notes", "mail");
    assert_eq!(
        (mail.attempts, mail.window, mail.retry),
        (9, 1, Retry::None)
    );
    assert_eq!(mail.env.0.len(), 3);

    let mail = PluginId::new("/srv/notes", "mail");
    let origin = |key: &str| config.effective_origin(&mail, key).to_string();
    assert_eq!(origin("attempts"), "slated.toml:15");
    assert_eq!(origin("window"), "slated.toml:13");
    assert_eq!(origin("retry"), "slated.toml:11");
    assert_eq!(origin("deaths"), "default");
    let entries = config.effective(&mail).entries();
    let shown = format!("{config:?} {:?} {entries:?}", config.effective(&mail));
    assert!(!shown.contains("hunter2"));
    let entry = |key: &str| entries.iter().find(|(k, _)| *k == key).unwrap().1.as_str();
    assert_eq!(
        [entry("env"), entry("within"), entry("hard_timeout")],
        ["SHOW, TOKEN, WHERE", "15m", "1h"]
    );
    let keys: BTreeSet<_> = entries.iter().map(|(key, _)| *key).collect();
    let known = config.origins();
    let known: BTreeSet<_> = known
        .filter_map(|(k, _)| k.strip_prefix("defaults."))
        .collect();
    assert_eq!(keys, known);
}

#[test]
fn a_folder_names_its_plugins_as_it_is_configured() {
    let config = config(TEXT);
    let names: Vec<_> = config
        .plugins
        .folders
        .iter()
        .map(|f| f.plugin("x").to_string())
        .collect();
    assert_eq!(names, ["shots/x", "/srv/notes/x"]);
}

#[test]
fn a_stem_that_names_two_plugins_is_an_error_listing_both() {
    let config = config(TEXT);
    let known =
        |names: &[&str]| -> Vec<PluginId> { names.iter().map(|n| n.parse().unwrap()).collect() };

    let warnings = config
        .check_names(&known(&["shots/other", "/srv/notes/mail"]))
        .unwrap();
    assert!(warnings.is_empty(), "{warnings}");

    let both = known(&["shots/mail", "/srv/notes/mail"]);
    assert_eq!(
        config.check_names(&both).unwrap_err().to_string(),
        "slated.toml:12: `plugin.\"mail\"` names more than one plugin: `shots/mail` and `/srv/notes/mail` \
         (write the one that is meant)"
    );

    let warnings = config
        .check_names(&known(&["/srv/notes/mails"]))
        .unwrap()
        .to_string();
    let first = warnings.lines().next().unwrap();
    assert_eq!(
        first,
        "slated.toml:12: `plugin.\"mail\"` names no plugin (did you mean `mails`?)"
    );
}
