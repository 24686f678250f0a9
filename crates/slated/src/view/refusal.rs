//! Why a question or a wish was refused, and which plugin a person's name means.

use serde::{Deserialize, Serialize};
use slated_core::{resume, rewind, skip};
use slated_model::{EventId, PluginId};

/// Why something was refused: the body of an answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    #[serde(skip)]
    pub(crate) kind: Kind,
    pub(crate) error: String,
    /// What to do instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

/// Whose doing it is; the status of an HTTP answer says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// There is no such thing.
    Unknown,
    /// It is there, and that cannot be done.
    Impossible,
    /// The daemon could not answer.
    #[default]
    Failed,
}

impl Refusal {
    pub(crate) fn new(kind: Kind, error: impl Into<String>) -> Self {
        Self {
            kind,
            error: error.into(),
            hint: None,
        }
    }
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// A daemon that ends takes no wishes.
    pub(crate) fn ending() -> Self {
        Self::new(Kind::Failed, "slated is stopping")
    }
    /// A plugin that has not begun has no place to do something at.
    pub(crate) fn no_place(plugin: &PluginId) -> Self {
        Self::new(
            Kind::Impossible,
            format!("{plugin}: it has no place in the log yet"),
        )
        .hint("it gets one when the site was read")
    }
    /// The log does not hold an event.
    pub(crate) fn no_event(id: EventId) -> Self {
        Self::new(Kind::Unknown, format!("the log does not hold event {id}")).hint(
            "it may be older than the log, not visible yet, or from before slated's first start",
        )
    }
    /// Says why a plugin does not skip an event.
    pub(crate) fn of_skip(plugin: &PluginId, why: skip::Refusal) -> Self {
        use skip::Refusal as R;
        let hint = match why {
            R::InHand(_) => format!(
                "wait for its end, or stop the plugin first: `slated plugin stop {}`",
                plugin.stem()
            ),
            R::Finished(id) | R::Unwanted(id) | R::BeforeStart(id) => {
                format!("`slated events show {id}` shows what became of it")
            }
        };
        Self::new(Kind::Impossible, format!("{plugin}: {why}")).hint(hint)
    }
    /// Says why a plugin does not go back.
    pub(crate) fn of_rewind(plugin: &PluginId, why: rewind::Refusal) -> Self {
        use rewind::Refusal as R;
        let name = plugin.stem();
        let hint = match why {
            R::Ahead(id) => format!(
                "`slated plugin resume {name} --from {id}` lets one that stands still go on there"
            ),
            R::NotInLog(_) | R::OlderThanLog(_) => {
                format!(
                    "it goes back to an event that the log holds; `slated replay --plugin {name}` runs older ones, from the site"
                )
            }
            R::TooFar(..) => "go back to a later event".into(),
            R::Busy => format!(
                "stop it first: `slated plugin stop {name}`; then it goes back, and on with `slated plugin resume {name}`"
            ),
        };
        Self::new(Kind::Impossible, format!("{plugin}: {why}")).hint(hint)
    }
    /// Says why a plugin does not resume so.
    pub(crate) fn of_resume(plugin: &PluginId, why: resume::Refusal) -> Self {
        use resume::Refusal as R;
        let name = plugin.stem();
        let hint = match why {
            R::Choose | R::NoneFailed => format!(
                "`slated plugin resume {name} --from latest` begins with what comes next, `--from ID` with an event of the log; what is before it is skipped"
            ),
            R::Runs => format!("stop it first: `slated plugin stop {name}`"),
            R::Calling => format!(
                "ask again when `slated plugin show {name}` names no process; a callback that hangs is ended after a minute"
            ),
            R::Passed(_) => {
                format!(
                    "what is on record is not run again by a resume; `slated plugin rewind {name} --to ID` goes back"
                )
            }
            R::OlderThanLog(id, first) => format!(
                "`--from {first}` begins with the oldest there is; `slated replay --plugin {name} --from {id} --to {} --live` runs what is before it, from the site",
                first.prev()
            ),
            R::NotYet(_) => "`--from latest` begins with what comes next".into(),
        };
        Self::new(Kind::Impossible, format!("{plugin}: {why}")).hint(hint)
    }
}

impl From<slated_store::Error> for Refusal {
    fn from(error: slated_store::Error) -> Self {
        Self::new(Kind::Failed, error.to_string())
    }
}

/// Finds the plugin that a person means: its stem, or FOLDER/STEM. `known` says of each whether its
/// file is gone; one that is there is meant rather than one that is not.
pub(crate) fn find<'a>(
    name: &str,
    known: impl Iterator<Item = (&'a PluginId, bool)>,
) -> Result<PluginId, Refusal> {
    let known: Vec<_> = known.collect();
    let meant = known.iter().filter(|(id, _)| id.answers_to(name));
    let meant: Vec<_> = meant.collect();
    let there: Vec<_> = meant.iter().filter(|(_, gone)| !gone).collect();
    match (meant.as_slice(), there.as_slice()) {
        ([(one, _)], _) | (_, [(one, _)]) => Ok((*one).clone()),
        ([], _) => {
            let names = known.iter().map(|(id, _)| (id.stem(), id.to_string()));
            let names: Vec<_> = names.flat_map(|(stem, id)| [stem.to_owned(), id]).collect();
            let near = slated_config::nearest(name, names.iter().map(String::as_str));
            let hint = near.map_or_else(
                || "`slated plugin list` shows all plugins".into(),
                |near| format!("did you mean `{near}`?"),
            );
            Err(Refusal::new(Kind::Unknown, format!("there is no plugin `{name}`")).hint(hint))
        }
        (several, _) => {
            let names: Vec<_> = several.iter().map(|(id, _)| id.to_string()).collect();
            let names = names.join("` and `");
            let error = format!("`{name}` names more than one plugin: `{names}`");
            Err(Refusal::new(Kind::Impossible, error).hint("write the one that is meant"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_one_plugin_or_says_which() {
        let id = PluginId::new;
        let known = [
            (id("a", "notes"), false),
            (id("b", "notes"), false),
            (id("a", "mail"), false),
            (id("b", "mail"), true),
            (id("b", "old"), true),
        ];
        for (name, wanted) in [
            ("a/notes", Ok("a/notes")),
            (
                "notes",
                Err(
                    "`notes` names more than one plugin: `a/notes` and `b/notes` (write the one that is meant)",
                ),
            ),
            ("mail", Ok("a/mail")),
            ("b/mail", Ok("b/mail")),
            ("old", Ok("b/old")),
            (
                "nots",
                Err("there is no plugin `nots` (did you mean `notes`?)"),
            ),
            (
                "a/note",
                Err("there is no plugin `a/note` (did you mean `a/notes`?)"),
            ),
            (
                "x",
                Err("there is no plugin `x` (`slated plugin list` shows all plugins)"),
            ),
        ] {
            let found = find(name, known.iter().map(|(id, gone)| (id, *gone)));
            let found = found.map(|id| id.to_string());
            let found = found.map_err(|r| format!("{} ({})", r.error, r.hint.unwrap_or_default()));
            assert_eq!(found.as_deref().map_err(String::as_str), wanted);
        }
    }
}
