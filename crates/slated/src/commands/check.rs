//! `slated check`: what a start would come to.

use slated_config::{Config, NewPlugins, System};
use slated_store::Sqlite;

use super::common::{BeginArgs, ConfigArgs};
use crate::daemon::begin::Begin;
use crate::error::CommandError;
use crate::view::{CheckView, IdleView, StartView, StateView};
use crate::{daemon, out};

/// Show what a start would come to: configuration, state, and where each plugin starts
///
/// Writes nothing and asks nobody: it may run beside a daemon. Where `run` would refuse the
/// configuration or the state, it says the same and ends with 3.
///
/// This version does not log in to the site, and neither looks for Python nor loads plugins.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    begin: BeginArgs,
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
    let foreseen = begin.foresee().await?;
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
        state: state(&config, foreseen.begun)?,
        begins: Some(foreseen.told).filter(|told| !told.is_empty()),
        new_plugins: match config.state.new_plugins {
            NewPlugins::Now => "now".into(),
            NewPlugins::Id(id) => format!("id:{id}"),
            NewPlugins::Ago(ago) => format!("ago:{}s", ago.as_secs()),
        },
        plugins: foreseen.lines,
        refusal: foreseen.refusal.as_ref().map(CommandError::told),
    };
    if args.json {
        out::json(&view)?;
    } else {
        show(&view);
    }
    foreseen.refusal.map_or(Ok(()), Err)
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
    if !view.plugins.is_empty() {
        out::line("");
        plugins(view);
    }
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
