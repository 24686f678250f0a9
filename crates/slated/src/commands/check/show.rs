//! What `slated check` shows to people.

use super::{files, mail, site, webhook};
use crate::out;
use crate::view::{CheckView, KeyView, StartView, StateView};

/// Shows all of it; every key that is set if `keys`.
pub(super) fn show(view: &CheckView, keys: bool) {
    let state = match (&view.state, view.state.pid) {
        (StateView { in_use: true, .. }, Some(pid)) => format!(", in use by process {pid}"),
        (StateView { in_use: true, .. }, None) => ", in use".into(),
        (StateView { begun: true, .. }, _) => String::new(),
        _ => ", made at the first start".into(),
    };
    let set = view.configured.len();
    let hint = if keys { "" } else { " (`--keys` shows each)" };
    out::line(format!(
        "configuration  {}, {set} keys set{hint}",
        view.configuration
    ));
    for KeyView { key, origin } in view.configured.iter().filter(|_| keys) {
        out::line(format!("                 {key}  {origin}"));
    }
    site::show(&view.site, view.site_look.as_ref());
    let free = view
        .state
        .free
        .map(|bytes| format!(", {} free", size(bytes)));
    out::line(format!(
        "state          {}{state}{}",
        view.state.folder,
        free.unwrap_or_default()
    ));
    if let Some(begins) = &view.begins {
        out::line(format!("start          {begins}"));
    }
    files::show_pythons(view);
    if let Some(view) = &view.mail {
        mail::show(view);
    }
    if let Some(view) = &view.webhook {
        webhook::show(view);
    }
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
    if !view.differences.is_empty() {
        out::line("");
        out::line("what will differ from the Python daemon");
        let lines = view.differences.iter();
        lines.for_each(|line| out::line(format!("  {line}")));
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

/// Returns a number of bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    let unit = UNITS.into_iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| format!("{} {name}", bytes / unit),
    )
}
