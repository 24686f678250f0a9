//! What a configuration that was read again comes to, for people and programs.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};
use slated_model::PluginId;

/// What `slated reload` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReloadView {
    /// The file.
    pub(crate) file: String,
    /// Keys with other values that hold from now on.
    pub(crate) applied: Vec<ChangedKey>,
    /// Plugins that are loaded again for that, in their documented order.
    pub(crate) plugins: Vec<PluginId>,
    /// Keys with other values that hold from the next start on.
    pub(crate) restart: Vec<ChangedKey>,
    /// What works, but should not stay so.
    pub(crate) warnings: Vec<String>,
}

/// A key with another value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangedKey {
    pub(crate) key: String,
    /// Where it stands, or stood.
    pub(crate) at: String,
    /// It stands there: otherwise its default holds now.
    pub(crate) set: bool,
}

impl Display for ReloadView {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            applied,
            plugins,
            restart,
            ..
        } = self;
        let nothing = applied.is_empty() && restart.is_empty();
        let keys = |f: &mut Formatter<'_>, keys: &[ChangedKey]| {
            let mut keys = keys.iter();
            keys.try_for_each(|ChangedKey { key, at, set }| {
                let was = if *set { "" } else { "no longer set; was " };
                write!(f, "\n  {key}  ({was}{at})")
            })
        };
        if nothing {
            write!(f, "{file}: nothing has changed")?;
        } else if applied.is_empty() {
            write!(f, "{file}: nothing that holds at once has changed")?;
        } else {
            write!(f, "{file}: in effect from now on:")?;
            keys(f, applied)?;
        }
        if !plugins.is_empty() {
            let names: Vec<_> = plugins.iter().map(ToString::to_string).collect();
            let why = if nothing { "" } else { " for it" };
            write!(f, "\nloaded again{why}: {}", names.join(", "))?;
        }
        if !restart.is_empty() {
            write!(
                f,
                "\nin effect after a restart (`slated restart`, or of the service):"
            )?;
            keys(f, restart)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_holds_and_what_does_not() {
        let key = |key: &str, line: u32| ChangedKey {
            key: key.into(),
            at: format!("slated.toml:{line}"),
            set: key != "log.level",
        };
        let mut view = ReloadView {
            file: "slated.toml".into(),
            ..ReloadView::default()
        };
        assert_eq!(view.to_string(), "slated.toml: nothing has changed");
        view.restart = vec![key("site.tick", 4)];
        assert_eq!(
            view.to_string(),
            "slated.toml: nothing that holds at once has changed\n\
             in effect after a restart (`slated restart`, or of the service):\n  \
             site.tick  (slated.toml:4)"
        );
        view.restart.clear();
        // What a plugin lacked is there by now.
        view.plugins = vec![PluginId::new("plugins", "notes")];
        assert_eq!(
            view.to_string(),
            "slated.toml: nothing has changed\nloaded again: plugins/notes"
        );
        view.applied = vec![key("defaults.umask", 9), key("log.level", 2)];
        view.plugins = vec![PluginId::new("plugins", "notes")];
        assert_eq!(
            view.to_string(),
            "slated.toml: in effect from now on:\n  \
             defaults.umask  (slated.toml:9)\n  log.level  (no longer set; was slated.toml:2)\n\
             loaded again for it: plugins/notes"
        );
    }
}
