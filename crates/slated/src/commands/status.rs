//! `slated status`: everything at a glance.

use comfy_table::{Cell, Color};
use owo_colors::{OwoColorize as _, Style};

use super::common::{ConfigArgs, ago, ask};
use crate::error::CommandError;
use crate::out;
use crate::view::{self, LineView, PluginState, PluginView, SiteState, StatusView};

/// Show the site, the log and every plugin at a glance
///
/// Asks the running daemon; where none runs, shows what stands on record.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let config = args.config.load()?.config;
    let status = fetch(&config).await?;
    if args.json {
        return out::json(&status);
    }
    show(&status);
    Ok(())
}

/// Returns the status, from the daemon or the store.
pub(crate) async fn fetch(config: &slated_config::Config) -> Result<StatusView, CommandError> {
    let url = config.site.url.to_string();
    ask(config, "/api/v1/status", async |store| {
        Ok(view::offline(&store, &url).await?)
    })
    .await
}

fn show(status: &StatusView) {
    let site = &status.site;
    let daemon = match status.pid {
        Some(pid) => format!("slated {} (process {pid})", status.version),
        None => "no daemon runs; this is what stands on record".into(),
    };
    out::line(daemon.bold());
    let caught_up = match (site.caught_up, status.running) {
        (true, _) => ", caught up",
        (false, true) => ", catching up",
        (false, false) => "",
    };
    let read = site
        .read_at_ms
        .map(|at| format!(", read {}", ago(at)))
        .unwrap_or_default();
    out::line(format!(
        "site     {} {}{read}",
        site.url,
        site.state.style(coloured(site_colour(site.state)))
    ));
    if let Some(trouble) = &site.trouble {
        out::line(format!("         {}", trouble.red()));
    }
    if let Some(hint) = &site.hint {
        out::line(format!("         hint: {hint}"));
    }
    let holes = &site.holes;
    out::line(format!(
        "head     event {}{caught_up}; {} open holes ({} ids), {} left to the audit; {} late",
        site.head, holes.open, holes.open_ids, holes.closed, site.late
    ));
    out::line(format!("log      {} events", status.log.events));
    out::line("");
    plugins(&status.plugins);
    for plugin in &status.plugins {
        detail(plugin);
    }
}

/// Prints plugins as a table.
pub(crate) fn plugins(plugins: &[PluginView]) {
    if plugins.is_empty() {
        out::line("no plugins");
        return;
    }
    let mut table = out::table(&[
        "PLUGIN", "STATE", "LAG", "DONE", "FAILED", "RETRIES", "LAST",
    ]);
    for plugin in plugins {
        let number = |n: Option<u64>| n.map_or_else(|| "-".into(), |n| n.to_string());
        let last = plugin.last.as_ref();
        table.add_row([
            Cell::new(&plugin.plugin),
            Cell::new(plugin.state).fg(plugin_colour(plugin.state)),
            Cell::new(number(plugin.lag)),
            Cell::new(plugin.done),
            Cell::new(plugin.failed),
            Cell::new(plugin.retries.len()),
            Cell::new(last.map_or_else(
                || "-".into(),
                |l| format!("{} {} {}", l.event, l.outcome, ago(l.at_ms)),
            )),
        ]);
    }
    out::line(table);
}

fn detail(plugin: &PluginView) {
    let mut lines = Vec::new();
    lines.extend(plugin.why.clone());
    lines.extend(plugin.line.as_ref().and_then(LineView::says));
    lines.extend(plugin.traceback.as_deref().map(|t| t.trim_end().to_owned()));
    for retry in &plugin.retries {
        let how = if retry.aside { "aside" } else { "in place" };
        lines.push(format!(
            "event {} in {} is tried again {how} (failed {}x): {}",
            retry.event, retry.callback, retry.failed, retry.error
        ));
    }
    if let Some(error) = plugin.last_error.as_ref().filter(|_| plugin.why.is_none()) {
        let event = error
            .event
            .map(|e| format!("event {e}: "))
            .unwrap_or_default();
        lines.push(format!(
            "last error, {}: {event}{}",
            ago(error.at_ms),
            error.error
        ));
    }
    if !lines.is_empty() {
        out::line("");
        out::line(plugin.plugin.to_string().bold());
        lines
            .iter()
            .flat_map(|l| l.lines())
            .for_each(|l| out::line(format!("  {l}")));
    }
}

const fn site_colour(state: SiteState) -> Color {
    match state {
        SiteState::Ok => Color::Green,
        SiteState::Unknown | SiteState::Starting => Color::Yellow,
        SiteState::Down | SiteState::Refused | SiteState::AnchorLost => Color::Red,
    }
}

pub(crate) const fn plugin_colour(state: PluginState) -> Color {
    match state {
        PluginState::Running => Color::Green,
        PluginState::Held | PluginState::Broken | PluginState::Quarantined => Color::Red,
        _ => Color::Yellow,
    }
}

pub(crate) fn coloured(colour: Color) -> Style {
    match colour {
        Color::Green => Style::new().green(),
        Color::Yellow => Style::new().yellow(),
        _ => Style::new().red().bold(),
    }
}
