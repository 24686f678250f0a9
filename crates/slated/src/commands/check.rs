//! `slated check`: what a start would come to.

mod files;

use std::path::PathBuf;

use slated_config::{Config, NewPlugins, System};
use slated_store::Sqlite;

use super::common::{BeginArgs, ConfigArgs};
use crate::daemon::begin::Begin;
use crate::error::CommandError;
use crate::view::{CheckView, IdleView, StartView, StateView};
use crate::{daemon, out};

/// Show what a start would come to: configuration, state, Python, and what each plugin asks for
///
/// It may run beside a daemon, and writes nothing. Where `run` would refuse the configuration, the
/// state or Python, it says the same and ends with 3; where a plugin does not load, with 5.
///
/// Every plugin is loaded in a process of its own, which is dry: `sg` and every other client of
/// shotgun_api3 refuse to write to the site. But the plugin's module and its `registerCallbacks` DO
/// run, with all else that they do. With --no-load nothing of a plugin runs: its Python only parses
/// it, and what it registers is not known. So it is with a plugin of `reload = "stop-first"` beside a
/// daemon, since it must not run twice.
///
/// This version does not log in to the site.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slated check
      Would it start, where would each plugin begin, and which events does it ask for?
  slated check --no-load
      Only parse plugins: names those that are Python 2
  slated check --plugin notes --json
      One plugin, as one JSON object")]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    begin: BeginArgs,
    /// Only this plugin: its file's stem, or FOLDER/STEM; can be repeated
    #[arg(long = "plugin", value_name = "NAME")]
    plugins: Vec<String>,
    /// Parse plugins, and run nothing of them
    #[arg(long)]
    no_load: bool,
    /// Run plugins with this Python, unless they name one of their own
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let path = args.config.path()?;
    let loaded = args.config.load()?;
    let config = loaded.config;
    let (secrets, secret_warnings) = config.resolve(&System)?;
    let checked = daemon::check(&config, &secrets)?;
    let begin = Begin::look(&config, &checked.known, args.begin.asked())?;
    let mut foreseen = begin.foresee().await?;
    let asked = files::asked(&args.plugins, &checked.known, &foreseen.lines)?;
    foreseen.lines.retain(|line| asked.contains(&line.plugin));
    let state = state(&config, foreseen.begun)?;
    let mut seen = files::Seen::default();
    if foreseen.refusal.is_none() {
        let known = checked.known.iter().filter(|id| asked.contains(id));
        let known: Vec<_> = known.cloned().collect();
        let how = files::How {
            python: args.python.as_deref(),
            load: !args.no_load,
            beside: state.in_use,
        };
        match files::look(&config, secrets, &known, &how).await {
            Ok(looked) => seen = looked,
            Err(refusal) => foreseen.refusal = Some(refusal),
        }
    }
    let warnings = [&loaded.warnings, &secret_warnings, &checked.warnings];
    let warnings = warnings.into_iter().flat_map(|all| &all.0);
    let idle = daemon::idle_keys(&config).into_iter();
    let view = CheckView {
        configuration: path.display().to_string(),
        warnings: warnings.map(ToString::to_string).collect(),
        no_effect: idle
            .map(|(key, origin)| IdleView {
                key: key.into(),
                origin: origin.to_string(),
            })
            .collect(),
        site: config.site.url.to_string(),
        state,
        begins: Some(foreseen.told).filter(|told| !told.is_empty()),
        new_plugins: match config.state.new_plugins {
            NewPlugins::Now => "now".into(),
            NewPlugins::Id(id) => format!("id:{id}"),
            NewPlugins::Ago(ago) => format!("ago:{}s", ago.as_secs()),
        },
        plugins: foreseen.lines,
        pythons: seen.pythons,
        files: seen.files,
        refusal: foreseen.refusal.as_ref().map(CommandError::told),
    };
    if args.json {
        out::json(&view)?;
    } else {
        show(&view);
    }
    foreseen.refusal.map_or_else(|| files::verdict(&view), Err)
}

fn state(config: &Config, begun: bool) -> Result<StateView, CommandError> {
    let folder = &config.state.folder;
    let (in_use, pid) = match Sqlite::refuse_in_use(folder) {
        Ok(()) => (false, None),
        Err(slated_store::Error::InUse { pid, .. }) => (true, pid),
        Err(error) => return Err(error.into()),
    };
    Ok(StateView {
        folder: folder.display().to_string(),
        begun,
        in_use,
        pid,
    })
}

fn show(view: &CheckView) {
    let state = match (&view.state, view.state.pid) {
        (StateView { in_use: true, .. }, Some(pid)) => format!(", in use by process {pid}"),
        (StateView { in_use: true, .. }, None) => ", in use".into(),
        (StateView { begun: true, .. }, _) => String::new(),
        _ => ", made at the first start".into(),
    };
    out::line(format!("configuration  {}", view.configuration));
    out::line(format!("site           {}", view.site));
    out::line(format!("state          {}{state}", view.state.folder));
    if let Some(begins) = &view.begins {
        out::line(format!("start          {begins}"));
    }
    files::show_pythons(view);
    if !view.plugins.is_empty() {
        out::line("");
        plugins(view);
    }
    files::show(view);
    if !view.warnings.is_empty() {
        out::line("");
        out::line("warnings");
        view.warnings
            .iter()
            .for_each(|w| out::line(format!("  {w}")));
    }
    if !view.no_effect.is_empty() {
        out::line("");
        out::line("without effect in this version");
        for idle in &view.no_effect {
            out::line(format!("  {} ({})", idle.key, idle.origin));
        }
    }
}

fn plugins(view: &CheckView) {
    let mut table = out::table(&["PLUGIN", "STARTS", "STILL GETS", "WHY"]);
    for line in &view.plugins {
        let StartView {
            plugin,
            after,
            owed,
            held,
            gone,
            why,
        } = line;
        let after = match after {
            Some(id) => format!("after event {id}"),
            None => format!("new: {}", view.new_plugins),
        };
        let starts = match (held, gone) {
            (true, false) => format!("held, {after}"),
            (true, true) => format!("gone and held, {after}"),
            (false, true) => format!("gone, {after}"),
            (false, false) => after,
        };
        let named: Vec<_> = owed.iter().take(5).map(ToString::to_string).collect();
        let more = match owed.len().saturating_sub(named.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let owed = format!("{}{more}", named.join(" "));
        table.add_row([plugin.to_string(), starts, owed, why.clone()]);
    }
    for line in table.lines() {
        out::line(line.trim_end());
    }
}
