//! `slated status`: everything at a glance.

use comfy_table::{Cell, Color, ContentArrangement, Table};
use owo_colors::{OwoColorize as _, Style};

use super::common::{ConfigArgs, ago, ask};
use crate::clock::wall_ms;
use crate::error::CommandError;
use crate::out;
use crate::view::{
    self, AlertView, LineView, MailView, PluginState, PluginView, SiteState, StatusView,
    WebhookView,
};

/// Show the site, the log and every plugin at a glance
///
/// Asks the running daemon; where none runs, shows what stands on record.
///
/// CURSOR is the place in slated's log up to which a plugin has finished everything, LAG how many
/// events stand behind it. DONE and FAILED count callbacks since the daemon's start.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Show the shadow that runs beside the Python daemon
    #[arg(long)]
    shadow: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Columns of a terminal that the lists fit into.
const WIDTH: u16 = 100;

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let mut config = args.config.load()?.config;
    if args.shadow {
        config.shadow();
    }
    let mut status = fetch(&config).await?;
    status.shadow |= args.shadow;
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
        Some(pid) if status.shadow => format!(
            "a shadow of slated {} (process {pid}): it follows and matches, and calls nothing",
            status.version
        ),
        None if status.shadow => {
            "no shadow runs; this is what stands on record of the last one".into()
        }
        Some(pid) => format!("slated {} (process {pid})", status.version),
        None => {
            "no daemon runs; this is what stands on record: not whether plugins load and run".into()
        }
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
    if site.split {
        out::line("         slow to answer for new and old events at once: asked twice a look");
    }
    let settling = match site.settling {
        0 => String::new(),
        ids => format!("; up to {ids} events above wait for a fresh hole"),
    };
    out::line(format!(
        "head     event {}{caught_up}{settling}; {} open holes ({} ids), {} left to the audit; {} late",
        site.head, holes.open, holes.open_ids, holes.closed, site.late
    ));
    out::line(format!("log      {} events", status.log.events));
    if let Some(trouble) = &status.log.trouble {
        out::line(format!("         {}", trouble.red()));
    }
    if let Some(failures) = failures(status) {
        out::line(format!("failures {}", failures.red()));
    }
    if let Some(view) = &status.mail {
        mail(view);
    }
    if let Some(view) = &status.webhook {
        webhook(view);
    }
    alerts(&status.alerts);
    out::line("");
    plugins(&status.plugins);
    if let Some(table) = callbacks(&status.plugins) {
        out::line("");
        out::line(table);
    }
    for plugin in &status.plugins {
        detail(plugin);
    }
}

/// Says what waits for a person, if anything does.
fn failures(status: &StatusView) -> Option<String> {
    let letters = match status.letters {
        0 => None,
        1 => Some("1 dead letter".to_owned()),
        n => Some(format!("{n} dead letters")),
    };
    let held = match status.held {
        0 => None,
        1 => Some("1 held plugin".to_owned()),
        n => Some(format!("{n} held plugins")),
    };
    let words: Vec<_> = letters.into_iter().chain(held).collect();
    (!words.is_empty()).then(|| format!("{}; see `slated failures list`", words.join(", ")))
}

/// Says how mail goes.
fn mail(mail: &MailView) {
    let sent = match (mail.sent, mail.sent_at_ms) {
        (0, _) | (_, None) => "none sent yet".to_owned(),
        (n, Some(at)) => format!("{n} sent, the last {}", ago(at)),
    };
    let waiting = match mail.waiting {
        0 => String::new(),
        1 => "; 1 error waits to be told".to_owned(),
        n => format!("; {n} errors wait to be told together"),
    };
    out::line(format!("mail     by {}, {sent}{waiting}", mail.server));
    if let Some(trouble) = &mail.trouble {
        let since = mail.since_ms.map(|at| format!(" (since {})", ago(at)));
        let since = since.unwrap_or_default();
        let text = format!("no mail goes out: {trouble}{since}");
        out::line(format!("         {}", text.red()));
    }
    if let Some(hint) = &mail.hint {
        out::line(format!("         hint: {hint}"));
    }
    if let Some(refused) = &mail.refused {
        let text = format!("not taken by the server: {refused}");
        out::line(format!("         {}", text.red()));
    }
}

/// Says how the webhook goes.
fn webhook(webhook: &WebhookView) {
    let sent = match (webhook.sent, webhook.sent_at_ms) {
        (0, _) | (_, None) => "none sent yet".to_owned(),
        (n, Some(at)) => format!("{n} sent, the last {}", ago(at)),
    };
    let counts = [
        (webhook.waiting, "waiting"),
        (webhook.given_up, "given up"),
        (webhook.dropped, "dropped, since there was no room"),
    ];
    let counts = counts.into_iter().filter(|(n, _)| *n > 0);
    let counts: Vec<_> = counts.map(|(n, what)| format!("; {n} {what}")).collect();
    let counts = counts.concat();
    out::line(format!("webhook  at {}, {sent}{counts}", webhook.host));
    if let Some(trouble) = &webhook.trouble {
        let since = webhook.since_ms.map(|at| format!(" (since {})", ago(at)));
        let text = format!("takes no alerts: {trouble}{}", since.unwrap_or_default());
        out::line(format!("         {}", text.red()));
    }
    if let Some(refused) = &webhook.refused {
        let text = format!("refused the last alert: {refused}");
        out::line(format!("         {}", text.red()));
    }
}

/// Names what is wrong.
fn alerts(alerts: &[AlertView]) {
    let mut label = "alerts  ";
    for alert in alerts {
        let text = format!("{} (since {})", alert.what, ago(alert.since_ms));
        out::line(format!("{label} {}", text.red()));
        label = "        ";
    }
}

/// Prints plugins as a table.
pub(crate) fn plugins(plugins: &[PluginView]) {
    if plugins.is_empty() {
        out::line("no plugins");
        return;
    }
    out::line(overview(plugins));
}

fn overview(plugins: &[PluginView]) -> Table {
    let mut table = out::table(&[
        "PLUGIN", "STATE", "CURSOR", "LAG", "DONE", "FAILED", "RETRIES", "LAST",
    ]);
    for plugin in plugins {
        let number = |n: Option<u64>| n.map_or_else(|| "-".into(), |n| n.to_string());
        let last = plugin.last.as_ref();
        table.add_row([
            Cell::new(&plugin.plugin),
            Cell::new(plugin.state).fg(plugin_colour(plugin.state)),
            Cell::new(number(plugin.cursor)),
            Cell::new(number(plugin.lag)),
            Cell::new(number(plugin.done)),
            Cell::new(number(plugin.failed)),
            Cell::new(plugin.retries.len()),
            Cell::new(last.map_or_else(
                || "-".into(),
                |l| format!("{} {} {}", l.event, l.outcome, ago(l.at_ms)),
            )),
        ]);
    }
    table
}

/// Makes a table of what plugins are called with, where that is known.
fn callbacks(plugins: &[PluginView]) -> Option<Table> {
    let mut table = out::table(&["PLUGIN", "CALLBACKS"]);
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    for plugin in plugins {
        if let Some(callbacks) = &plugin.callbacks {
            let names = callbacks.iter().map(|c| c.name.to_string());
            let names = names.collect::<Vec<_>>().join(", ");
            let names = if names.is_empty() { "none" } else { &names };
            table.add_row([plugin.plugin.to_string().as_str(), names]);
        }
    }
    (!table.is_empty()).then_some(table)
}

fn detail(plugin: &PluginView) {
    let mut lines = Vec::new();
    // What holds for all of them stands above.
    let why = plugin.why.as_ref();
    let why = why.filter(|_| plugin.state != PluginState::Unknown);
    lines.extend(why.cloned());
    lines.extend(plugin.line.as_ref().and_then(LineView::says));
    lines.extend(plugin.traceback.as_deref().map(|t| t.trim_end().to_owned()));
    lines.extend(plugin.slow.as_ref().map(|slow| slow.says(wall_ms())));
    for retry in &plugin.retries {
        let how = if retry.aside { "aside" } else { "in place" };
        lines.push(format!(
            "event {} in {} is tried again {how} (failed {}x): {}",
            retry.event, retry.callback, retry.failed, retry.error
        ));
    }
    if plugin.letters > 0 {
        let s = if plugin.letters == 1 { "" } else { "s" };
        lines.push(format!(
            "{} dead letter{s}; `slated failures list --plugin {}` shows why",
            plugin.letters,
            plugin.plugin.stem()
        ));
    }
    if let Some(error) = plugin.last_error.as_ref().filter(|_| why.is_none()) {
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
        PluginState::Running | PluginState::Watched => Color::Green,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_busy_night_fits_a_terminal() {
        let callbacks: Vec<_> = (0..30)
            .map(|n| json!({"name": format!("on_status_{n}"), "match": {}, "stop_on_error": true}))
            .collect();
        let view = json!({
            "plugin": "plugins/version_review", "state": "quarantined", "why": null, "traceback": null,
            "file": null, "pid": null, "python": null, "cursor": 1_234_567, "lag": 1234, "in_flight": 0,
            "retries": [], "callbacks": callbacks, "done": 45_678, "failed": 12,
            "last": {"event": 12_345_678, "callback": "f", "outcome": "done",
                     "at_ms": wall_ms() - 40_000},
            "last_error": null,
        });
        let plugins = [serde_json::from_value::<PluginView>(view).unwrap()];
        let lists = format!("{}\n{}", overview(&plugins), callbacks_of(&plugins));
        for line in lists.lines() {
            assert!(line.trim_end().chars().count() <= WIDTH.into(), "{line:?}");
        }
        for words in ["CURSOR", "1234567", "on_status_0,", "on_status_29"] {
            assert!(lists.contains(words), "{words:?} in {lists}");
        }
    }

    fn callbacks_of(plugins: &[PluginView]) -> String {
        callbacks(plugins).unwrap().to_string()
    }
}
