//! What `slated check` sees of plugins: they are loaded, or parsed, and shown.

use std::collections::BTreeSet;
use std::path::Path;

use owo_colors::OwoColorize as _;
use slated_config::{Config, Secrets};
use slated_model::PluginId;

use crate::commands::plugin::show::wanted;
use crate::commands::replay::call::count;
use crate::daemon::{Found, Inspector, Look};
use crate::error::CommandError;
use crate::out;
use crate::view::{AsksView, CheckView, FileState, FileView, PythonView, StartView, refusal};

/// How plugins are looked at.
pub(super) struct How<'a> {
    /// The `--python` flag.
    pub(super) python: Option<&'a Path>,
    /// Whether they may run.
    pub(super) load: bool,
    /// Whether a daemon runs beside.
    pub(super) beside: bool,
}

/// What was seen.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) pythons: Vec<PythonView>,
    pub(super) files: Vec<FileView>,
}

/// Returns the plugins that are asked for: all, where none is named.
pub(super) fn asked(
    names: &[String],
    known: &[PluginId],
    lines: &[StartView],
) -> Result<BTreeSet<PluginId>, CommandError> {
    let gone = lines.iter().filter(|line| !known.contains(&line.plugin));
    let all = known.iter().map(|id| (id, false));
    let all: Vec<_> = all.chain(gone.map(|line| (&line.plugin, true))).collect();
    if names.is_empty() {
        return Ok(all.into_iter().map(|(id, _)| id.clone()).collect());
    }
    let found = names
        .iter()
        .map(|name| refusal::find(name, all.iter().copied()));
    Ok(found.collect::<Result<_, _>>()?)
}

/// Looks at plugins. An error is what a start would refuse.
pub(super) async fn look(
    config: &Config,
    secrets: Secrets,
    known: &[PluginId],
    how: &How<'_>,
) -> Result<Seen, CommandError> {
    let mut inspector = Inspector::prepare(config, secrets, known, how.python).await?;
    let may = |id: &&PluginId| how.load && !(how.beside && inspector.is_single(id));
    let (load, parse): (Vec<_>, Vec<_>) = known.iter().partition(may);
    let [load, parse] = [load, parse].map(|ids| ids.into_iter().cloned().collect::<Vec<_>>());
    if !load.is_empty() {
        let plugins = count(load.len(), "plugin");
        out::talk(format!(
            "loading {plugins} in dry processes: their modules do run; `--no-load` only parses them"
        ));
    }
    let mut looks = inspector.load(&load).await;
    let mut parsed = inspector.parse(&parse).await;
    if how.load {
        for look in &mut parsed {
            if let Found::Parses { warnings } = &mut look.found {
                warnings.push(
                    "not loaded: `reload` is \"stop-first\", and it may run under the daemon"
                        .into(),
                );
            }
        }
    }
    looks.append(&mut parsed);
    looks.sort_by_key(|look| inspector.rank(&look.plugin));
    let mut seen = Seen::default();
    for look in looks {
        seen.note_python(&look);
        seen.files.push(file(look));
    }
    Ok(seen)
}

impl Seen {
    fn note_python(&mut self, look: &Look) {
        let Some(python) = &look.python else { return };
        let path = python.path.display().to_string();
        let plugin = look.plugin.clone();
        match self.pythons.iter_mut().find(|known| known.path == path) {
            Some(known) => known.plugins.push(plugin),
            None => self.pythons.push(PythonView {
                path,
                version: python.version.clone(),
                shotgun_api3: python.shotgun_api3.clone(),
                plugins: vec![plugin],
            }),
        }
    }
}

fn file(look: Look) -> FileView {
    let mut view = FileView {
        plugin: look.plugin,
        file: look.file.display().to_string(),
        state: FileState::Helper,
        callbacks: None,
        warnings: Vec::new(),
        error: None,
        traceback: None,
    };
    match look.found {
        Found::Helper => {}
        Found::Parses { warnings } => {
            view.state = FileState::Parses;
            view.warnings = warnings;
        }
        Found::Loads {
            callbacks,
            warnings,
        } => {
            let asks = callbacks.into_iter().map(|callback| AsksView {
                name: callback.id,
                asks_for: wanted(&callback.matcher),
                matcher: callback.matcher,
                stop_on_error: callback.stop_on_error,
            });
            view.state = FileState::Loads;
            view.callbacks = Some(asks.collect());
            view.warnings = warnings;
        }
        Found::Unanswered { place, traceback } => {
            view.state = FileState::Unanswered;
            view.error = Some(place);
            view.traceback = Some(traceback).filter(|text| !text.is_empty());
        }
        Found::Broken { place, traceback } => {
            view.state = FileState::Broken;
            view.error = Some(place);
            view.traceback = Some(traceback).filter(|text| !text.is_empty());
        }
    }
    view
}

/// An error where a plugin does not load.
pub(super) fn verdict(view: &CheckView) -> Result<(), CommandError> {
    let are = |state| view.files.iter().filter(|f| f.state == state).count();
    let not = |n| match n {
        1 => "1 plugin does not load".to_owned(),
        n => format!("{n} plugins do not load"),
    };
    match (are(FileState::Broken), are(FileState::Unanswered)) {
        (0, 0) => Ok(()),
        (0, n) => Err(CommandError::plugin(format!(
            "{}: what {} did not answer",
            not(n),
            if n == 1 { "it asks" } else { "they ask" }
        ))
        .hint("a daemon tries again by itself; is the site up, and the network?")),
        (n, _) => Err(CommandError::plugin(not(n))),
    }
}

/// Shows which Pythons run plugins, beside the fields above.
pub(super) fn show_pythons(view: &CheckView) {
    for (n, python) in view.pythons.iter().enumerate() {
        let name = if n == 0 { "python" } else { "" };
        let client = python.shotgun_api3.as_deref().unwrap_or("missing");
        let who = match (view.pythons.len(), python.plugins.as_slice()) {
            (1, _) => String::new(),
            (_, plugins) => {
                let names: Vec<_> = plugins.iter().map(ToString::to_string).collect();
                format!(": {}", names.join(", "))
            }
        };
        let (path, version) = (&python.path, &python.version);
        out::line(format!(
            "{name:<15}{path} (Python {version}, shotgun_api3 {client}){who}"
        ));
    }
}

/// Shows what is in each file.
pub(super) fn show(view: &CheckView) {
    for file in &view.files {
        out::line("");
        let plugin = file.plugin.bold();
        let what = match (file.state, &file.callbacks) {
            (FileState::Loads, Some(callbacks)) if callbacks.is_empty() => {
                "  loads, and registers nothing".into()
            }
            (FileState::Loads, _) => String::new(),
            (FileState::Parses, _) => "  parses; not loaded".into(),
            (FileState::Helper, _) => {
                "  is no plugin: it has no registerCallbacks, and is left to those that import it"
                    .into()
            }
            (FileState::Unanswered, _) => format!(
                "  {}: what it asks did not answer; a daemon tries again by itself",
                "does not load now".yellow()
            ),
            (FileState::Broken, _) => format!("  {}", "broken".red()),
        };
        out::line(format!("{plugin}{what}"));
        for callback in file.callbacks.iter().flatten() {
            let stops = if callback.stop_on_error {
                "; a failure stops the plugin"
            } else {
                ""
            };
            out::line(format!("  {}  {}{stops}", callback.name, callback.asks_for));
        }
        for warning in &file.warnings {
            out::line(format!("  {} {warning}", "warning:".yellow()));
        }
        let wrong = file.error.iter().chain(&file.traceback);
        let wrong = wrong.flat_map(|text| text.trim_end().lines());
        wrong.for_each(|line| out::line(format!("  {line}")));
    }
}
