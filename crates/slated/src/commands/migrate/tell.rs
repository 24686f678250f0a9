//! What was written for the Python daemon, and what it could not be told, for people.

use comfy_table::Cell;
use slated_model::EventId;

use super::Export;
use crate::out;

/// How many ids or names are shown in a line.
const SHOWN: usize = 10;

/// Prints the positions.
pub(super) fn table(export: &Export) {
    let mut table = out::table(&["PLUGIN", "LAST", "MISSING"]);
    for plugin in &export.plugins {
        table.add_row([
            Cell::new(&plugin.plugin),
            Cell::new(plugin.position.last),
            Cell::new(plugin.position.missing.len()),
        ]);
    }
    out::line(table);
}

/// Says what became of the file, and what is not in it.
pub(super) fn talk(export: &Export) {
    let written = format!("written to {}", export.path.display());
    match &export.kept {
        Some(kept) => out::talk(format!("{written}; what stood there is {}", kept.display())),
        None => out::talk(written),
    }
    if export
        .plugins
        .iter()
        .any(|p| !p.position.missing.is_empty())
    {
        out::talk(format!(
            "start the Python daemon now: it looks for missing ids until {}",
            export.expires.strftime("%H:%M:%S")
        ));
    }
    for plugin in &export.plugins {
        let (name, position) = (&plugin.plugin, &plugin.position);
        if let Some(event) = position.back_to {
            out::talk(format!(
                "{name}: event {event} is still to run; the Python daemon goes back there and runs everything up to {} again",
                position.last
            ));
        }
        if !position.left.is_empty() {
            out::talk(format!(
                "{name}: had no room for {} events still to run: {}",
                position.left.len(),
                ids(&position.left)
            ));
        }
        if position.unsought > 0 {
            out::talk(format!(
                "{name}: had no room for {} ids that may still fill in",
                position.unsought
            ));
        }
        if !position.again.is_empty() {
            out::talk(format!(
                "{name}: callbacks that have finished get {} events again: {}",
                position.again.len(),
                ids(&position.again)
            ));
        }
        if plugin.stopped {
            out::talk(format!(
                "{name}: was stopped by a person, and the Python daemon runs it"
            ));
        }
    }
    for plugin in &export.without_position {
        out::talk(format!(
            "{plugin}: does not know yet where it begins, and is left out"
        ));
    }
    let old: u64 = export.old_holes.iter().map(|h| h.hi.0 - h.lo.0 + 1).sum();
    if old > 0 {
        out::talk(format!(
            "not told: {old} ids in {} holes older than five minutes, which slated still asks for",
            export.old_holes.len()
        ));
    }
    if !export.dead_letters.is_empty() {
        let more = if export.more_dead_letters {
            "more than "
        } else {
            ""
        };
        let events: Vec<_> = export.dead_letters.iter().map(|d| d.event).collect();
        out::talk(format!(
            "not told: {more}{} dead letters, the newest of events {}",
            events.len(),
            ids(&events)
        ));
    }
}

fn ids(all: &[EventId]) -> String {
    let shown = all.iter().take(SHOWN).map(ToString::to_string);
    let mut shown: Vec<_> = shown.collect();
    if all.len() > SHOWN {
        shown.push("… (all with --json)".into());
    }
    shown.join(", ")
}
