//! What an edit changed.

use super::config;

/// Returns the changed keys, each with the line that is named.
fn changed(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (config(old), config(new));
    let changed = old.changed(&new);
    let shown = changed.iter().map(|(key, origin)| {
        let there = if new.sets(key) { "at" } else { "was at" };
        format!("{key} {there} {origin}")
    });
    shown.collect()
}

#[test]
fn an_edit_is_known_by_its_keys() {
    for (old, new, wanted) in [
        // Comments, order and lines do not count.
        (
            "[log]\nlevel = 'info'\ntiming = true\n",
            "# quiet\n[log]\ntiming = true\nlevel = 'info'\n",
            &[][..],
        ),
        (
            "[log]\nlevel = 'info'\n",
            "[log]\n\nlevel = 'debug'\n",
            &["log.level at slated.toml:5"],
        ),
        // What is no longer set is named where it stood.
        (
            "[defaults]\nattempts = 3\n",
            "",
            &["defaults.attempts was at slated.toml:4"],
        ),
        // One plugin's, in a list and in a table.
        (
            "[plugin.notes]\nenv = { A = '1' }\nimport_paths = ['lib']\n",
            "[plugin.notes]\nenv = { A = '2' }\nimport_paths = ['lib', 'more']\n",
            &[
                "plugin.\"notes\".env at slated.toml:4",
                "plugin.\"notes\".import_paths at slated.toml:5",
            ],
        ),
        // A folder's own keys, wherever they stand, and another folder.
        (
            "[plugins]\nfolders = [{ path = 'a', attempts = 2 }]\n",
            "[plugins]\nfolders = ['a']\n[folder.a]\nattempts = 2\n",
            &[],
        ),
        (
            "[plugins]\nfolders = ['a']\n",
            "[plugins]\nfolders = [{ path = 'a', attempts = 2 }]\n",
            &["folder.\"a\".attempts at slated.toml:4"],
        ),
        (
            "[plugins]\nfolders = ['a']\n",
            "[plugins]\nfolders = ['a', 'b']\n",
            &["plugins.folders at slated.toml:4"],
        ),
        // Where a secret stands, and a secret in the file.
        (
            "key = { env = 'A' }\n",
            "key = { env = 'B' }\n",
            &["site.key at slated.toml:3"],
        ),
        (
            "key = 'one'\n",
            "key = 'two'\n",
            &["site.key at slated.toml:3"],
        ),
    ] {
        assert_eq!(changed(old, new), wanted, "{old}->\n{new}");
    }
}

#[test]
fn what_tells_edits_apart_shows_no_secret() {
    let shown = format!("{:?}", config("key = 'hunter2-hunter2'\n"));
    assert!(!shown.contains("hunter2"), "{shown}");
}
