//! `slated plugin stop`, `resume`, `reload` and `skip`: by the daemon, or on record where none runs.

use serde_json::json;
use slated_config::Config;
use slated_model::{Change, EventId, Offset};
use slated_store::{Sqlite, Store as _};

use super::Named;
use crate::commands::common;
use crate::daemon::{resume_on_record, skip_on_record, stop_on_record};
use crate::error::CommandError;
use crate::out;
use crate::view::refusal::{self, Kind};
use crate::view::{self, Begin, PluginDetail, PluginState, Refusal};
use crate::web::client::{self, Answer, segment};

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Stop,
    Resume(Option<Begin>),
    Reload,
    Skip { event: EventId, reason: String },
}

pub(super) async fn run(named: &Named, wish: Wish) -> Result<(), CommandError> {
    let config = named.config.load()?.config;
    let (verb, body) = match &wish {
        Wish::Stop => ("stop", json!({})),
        Wish::Reload => ("reload", json!({})),
        Wish::Resume(None) => ("resume", json!({})),
        Wish::Skip { event, reason } => ("skip", json!({"event": event, "reason": reason})),
        Wish::Resume(Some(begin)) => ("resume", json!({"from": begin.to_string()})),
    };
    let path = format!("/api/v1/plugins/{}/{verb}", segment(&named.name));
    let plugin = match client::post(&config.state.folder, &path, &body).await? {
        Answer::Found(plugin) => plugin,
        Answer::Refused(why) => return Err(why.into()),
        Answer::NoDaemon => on_record(&config, &named.name, &wish).await?,
    };
    if named.json {
        out::json(&plugin)?;
    } else {
        out::line(told(&plugin));
    }
    // The verb did its part; that the file does not load is the plugin's trouble.
    match (&wish, &plugin.plugin.traceback) {
        (Wish::Resume(_) | Wish::Reload, Some(traceback)) => {
            let why = plugin.plugin.why.as_deref().unwrap_or_default();
            let text = format!(
                "{}: does not load: {why}\n{}",
                plugin.plugin.plugin,
                traceback.trim_end()
            );
            Err(CommandError::plugin(text).hint("mend the file; it is loaded then by itself"))
        }
        _ => Ok(()),
    }
}

/// Says in a line how the plugin is now.
fn told(detail: &PluginDetail) -> String {
    let plugin = &detail.plugin;
    let name = &plugin.plugin;
    let wait = match plugin.lag {
        None | Some(0) => String::new(),
        Some(1) => "; 1 event of the log waits".into(),
        Some(lag) => format!("; {lag} events of the log wait"),
    };
    match (plugin.state, plugin.pid) {
        (PluginState::Unknown, _) => format!("{name} goes on with the next `slated run`{wait}"),
        (PluginState::Stopped, _) => format!("{name} is stopped{wait}"),
        (state, Some(pid)) => format!("{name} is {state} (process {pid})"),
        (state, None) => match &plugin.why {
            Some(why) => format!("{name} is {state}: {why}"),
            None => format!("{name} is {state}"),
        },
    }
}

/// Does it under the state's lock, where no daemon runs.
async fn on_record(config: &Config, name: &str, wish: &Wish) -> Result<PluginDetail, CommandError> {
    if let Wish::Reload = wish {
        return Err(CommandError::usage(
            "no daemon runs, so nothing is loaded that could be loaded again",
        )
        .hint("`slated run` loads every file"));
    }
    common::on_record(config, async |store| {
        change(store, name, wish).await?;
        Ok(view::plugin(store, config, name).await??)
    })
    .await
}

async fn change(store: &Sqlite, name: &str, wish: &Wish) -> Result<(), CommandError> {
    let snapshot = store.snapshot().await?;
    let lanes = snapshot.lanes.iter().filter(|l| l.is_listed());
    let id = refusal::find(name, lanes.clone().map(|l| (&l.plugin, l.gone)))?;
    let row = lanes.clone().find(|l| l.plugin == id).cloned();
    let mut row =
        row.ok_or_else(|| Refusal::new(Kind::Unknown, format!("there is no plugin {id}")))?;
    let own = snapshot.attempts.iter().filter(|a| a.plugin == id);
    let attempts: Vec<_> = own.cloned().collect();
    let changes: Vec<Change> = match wish {
        Wish::Stop => stop_on_record(&mut row),
        Wish::Reload => Vec::new(),
        Wish::Skip { event, reason } => {
            let found = store.event(*event).await?;
            let found = found.ok_or_else(|| Refusal::no_event(*event))?;
            skip_on_record(&mut row, &attempts, &found, reason)?
        }
        Wish::Resume(begin) => {
            let from = match begin {
                Some(begin) => Some((*begin).place(store, &id, row.cursor).await?),
                None => None,
            };
            resume_on_record(&mut row, &attempts, from, Offset(snapshot.log.end.0))?
        }
    };
    if !changes.is_empty() {
        store.record(changes).await?;
    }
    Ok(())
}
