//! What a person reads where nothing begins unasked: what is known of both states, and the choices.

use std::collections::BTreeMap;
use std::path::Path;

use slated_core::begin::Refusal;
use slated_model::{EventId, LaneRow, OldState, PluginId};
use slated_store::{Snapshot, Store};

use super::file::IdFile;
use crate::error::CommandError;
use crate::out;

/// More plugins than these are only counted.
const LISTED: usize = 50;

/// Says why nothing begins. `ours` is our state, if there is one.
pub(super) async fn refusal(
    why: Refusal,
    file: Option<&IdFile>,
    folder: &Path,
    ours: Option<(&dyn Store, &Snapshot)>,
) -> Result<CommandError, CommandError> {
    let at = folder.display();
    Ok(match (why, file) {
        (Refusal::HasBegun, _) | (_, None) => CommandError::configuration(format!(
            "`--from-latest` and `--from-id` say where a state begins, and the one in {at} has begun"
        ))
        .hint("start without the flag; to begin anew, stop slated and move that folder away"),
        (Refusal::Unusable, Some(file)) => {
            let what = format!(
                "{} says where the Python daemon stood, and cannot be used: {}{}",
                file.path.display(),
                trouble(file),
                readable(file)
            );
            from(
                CommandError::configuration(what)
                    .hint("put back a good copy of it, or choose where every plugin starts:"),
                file,
                "",
            )
        }
        (Refusal::NothingToImport, Some(file)) => {
            let what = format!(
                "`--state import` takes over {}, which cannot be used: {}{}",
                file.path.display(),
                trouble(file),
                readable(file)
            );
            from(
                CommandError::configuration(what)
                    .hint(format!("`--state keep` goes on with slated's own state in {at}")),
                file,
                "--state import ",
            )
        }
        (Refusal::Changed, Some(file)) => changed(file, folder, ours).await?,
    })
}

async fn changed(
    file: &IdFile,
    folder: &Path,
    ours: Option<(&dyn Store, &Snapshot)>,
) -> Result<CommandError, CommandError> {
    let (path, at) = (file.path.display(), folder.display());
    let mut stand = BTreeMap::new();
    let mut known = false;
    if let Some((store, snapshot)) = ours {
        known = snapshot
            .beginning
            .as_ref()
            .is_some_and(|b| b.file.is_some());
        for lane in snapshot.lanes.iter().filter(|l| l.is_listed()) {
            stand.insert(lane.plugin.clone(), stands(store, lane).await?);
        }
    }
    let since = if known {
        "is not what it was when slated took it over"
    } else {
        "is there, and slated began without it"
    };
    let mut what = format!("{path} {since}: the Python daemon has run since, or somebody wrote it");
    if file.trouble.is_some() {
        what = format!("{what}. It cannot be used: {}", trouble(file));
    }
    what = format!("{what}{}", both(file.readable().as_ref(), &stand));
    let error = CommandError::configuration(what).hint(format!(
        "`--state keep` goes on with slated's state in {at}: what the Python daemon has handled since then runs again"
    ));
    if file.trouble.is_some() {
        return Ok(from(error, file, "--state import "));
    }
    Ok(error.hint(format!(
        "`--state import` goes on where the file says; slated's state is moved aside, not deleted, to {at}.before-…"
    )))
}

fn trouble(file: &IdFile) -> String {
    file.trouble
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// Says that a start may be named, with the flags that come before it.
fn from(error: CommandError, file: &IdFile, flags: &str) -> CommandError {
    let lowest = match file.readable() {
        Some(OldState::Integer(id)) => Some(id),
        Some(OldState::Plugins(all)) => all.iter().filter_map(|p| p.last).min(),
        None => None,
    };
    let lowest = lowest.map(|id| format!("; {} follows the lowest that could be read", id.next()));
    error
        .hint(format!(
            "`{flags}--from-latest` starts with what is seen from now on"
        ))
        .hint(format!(
            "`{flags}--from-id N` starts with event N{}",
            lowest.unwrap_or_default()
        ))
}

/// Refuses to follow another address than the one the state is bound to: a person knows whether that is
/// a mistake, another site, or the same one.
pub(super) fn other_site(bound: String, asked: String, conf: bool) -> CommandError {
    let (url, folder) = if conf {
        ("[shotgun] server", "eventIdFile")
    } else {
        ("site.url", "state.folder")
    };
    let same = format!("if it is a mistake, set `{url}` back to {bound}");
    let error = slated_store::Error::OtherSite { bound, asked };
    CommandError::configuration(error)
        .hint(same)
        .hint(format!("if it is another site, name another `{folder}` for it"))
        .hint("if the same site has a new address, start once with `--site-moved`: its events must be those that were seen")
}

/// Refuses a new address behind which stands another site.
pub(super) fn stranger(bound: &str, asked: &str, known: usize) -> CommandError {
    CommandError::configuration(format!(
        "{asked} is another site than {bound}: it shows none of {known} events that were seen there, as they were"
    ))
    .hint(format!(
        "nothing was changed: the state still belongs to {bound}"
    ))
    .hint("for another site name another `state.folder`; in a .conf, another `eventIdFile`")
}

/// Lists what could be read of a file.
fn readable(file: &IdFile) -> String {
    match file.readable() {
        None => ". Nothing could be read of it".into(),
        Some(OldState::Integer(id)) => format!(". It begins with the number {id}"),
        Some(said) => format!(
            ". What could be read, which may be the lesser part:{}",
            both(Some(&said), &BTreeMap::new())
        ),
    }
}

/// Puts the positions of both sides beside each other.
fn both(file: Option<&OldState>, ours: &BTreeMap<PluginId, String>) -> String {
    let mut rows: BTreeMap<&PluginId, [Option<String>; 2]> = BTreeMap::new();
    for (plugin, stands) in ours {
        rows.entry(plugin).or_default()[1] = Some(stands.clone());
    }
    match file {
        None => {}
        Some(OldState::Integer(id)) => {
            for row in rows.values_mut() {
                row[0] = Some(after(*id));
            }
            if rows.is_empty() {
                return format!("\n  every plugin: {}", after(*id));
            }
        }
        Some(OldState::Plugins(all)) => {
            for position in all {
                let last = position.last.map_or_else(|| "new".into(), after);
                rows.entry(&position.plugin).or_default()[0] = Some(last);
            }
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let head: &[&str] = if ours.is_empty() {
        &["PLUGIN", "IN THE FILE"]
    } else {
        &["PLUGIN", "IN THE FILE", "IN SLATED"]
    };
    let mut table = out::table(head);
    let dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let more = rows.len().saturating_sub(LISTED);
    for (plugin, [file, own]) in rows.into_iter().take(LISTED) {
        let mut cells = vec![plugin.to_string(), dash(file)];
        if !ours.is_empty() {
            cells.push(dash(own));
        }
        table.add_row(cells);
    }
    let lines: Vec<_> = table
        .lines()
        .map(|l| format!("\n {}", l.trim_end()))
        .collect();
    let more = match more {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    format!("{}{more}", lines.concat())
}

fn after(id: EventId) -> String {
    format!("after event {id}")
}

/// Says where a lane of ours stands.
async fn stands(store: &dyn Store, lane: &LaneRow) -> Result<String, CommandError> {
    let position = position(store, lane).await?;
    let mut text = position.map_or_else(|| "at its beginning".into(), after);
    if lane.hold.is_some() {
        text.push_str(", held");
    } else if lane.gone {
        text.push_str(", gone");
    }
    Ok(text)
}

/// Returns the highest event that a lane has passed.
pub(super) async fn position(
    store: &dyn Store,
    lane: &LaneRow,
) -> slated_store::Result<Option<EventId>> {
    let passed = store.highest(lane.cursor).await?;
    Ok(passed.map(|row| row.event.id).max(lane.floor))
}
