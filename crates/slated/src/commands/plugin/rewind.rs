//! `slated plugin rewind`: what it comes to, a question, and then it is done, by the daemon or on
//! record where none runs.

use std::io::IsTerminal as _;

use serde_json::json;
use slated_config::Config;
use slated_core::rewind;
use slated_model::EventId;
use slated_store::{Sqlite, Store as _};

use super::Named;
use crate::clock::wall_ms;
use crate::commands::common;
use crate::error::CommandError;
use crate::out;
use crate::view::refusal::{self, Kind};
use crate::view::{self, Refusal, RewindView, Subject, Survey};
use crate::web::client::{self, Answer, segment};

/// What is asked for.
#[derive(Clone, Copy)]
struct Wish<'a> {
    name: &'a str,
    to: EventId,
    again: bool,
}

pub(super) async fn run(
    named: &Named,
    to: EventId,
    again: bool,
    yes: bool,
) -> Result<(), CommandError> {
    let config = named.config.load()?.config;
    let name = &named.name;
    let wish = Wish { name, to, again };
    if !yes {
        let view = wish.ask(&config, true).await?;
        if named.json {
            return out::json(&view);
        }
        view.says().iter().for_each(out::line);
        if !std::io::stdin().is_terminal() {
            out::talk("Nothing was changed; `--yes` does it.");
            return Ok(());
        }
        if !confirmed()? {
            out::talk("Nothing was changed.");
            return Ok(());
        }
    }
    let view = wish.ask(&config, false).await?;
    if named.json {
        return out::json(&view);
    }
    if yes {
        view.says().iter().for_each(out::line);
    }
    out::line(format!("{} goes on with event {}", view.plugin, view.to));
    Ok(())
}

/// Asks whoever sits at the terminal.
fn confirmed() -> Result<bool, CommandError> {
    out::talk("Shall it go back? [y/N]");
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(CommandError::internal)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

impl Wish<'_> {
    async fn ask(self, config: &Config, dry: bool) -> Result<RewindView, CommandError> {
        let path = format!("/api/v1/plugins/{}/rewind", segment(self.name));
        let body = json!({"to": self.to, "again": self.again, "dry": dry});
        match client::post(&config.state.folder, &path, &body).await? {
            Answer::Found(view) => Ok(view),
            Answer::Refused(why) => Err(why.into()),
            Answer::NoDaemon if dry => {
                let store = Sqlite::open_read_only(&config.state.folder)?;
                Ok(self.survey(&store).await?.0.view)
            }
            Answer::NoDaemon => {
                common::on_record(config, async |store| self.on_record(store).await).await
            }
        }
    }

    async fn survey(self, store: &Sqlite) -> Result<(Survey, slated_model::LaneRow), Refusal> {
        let snapshot = store.snapshot().await?;
        let lanes = snapshot.lanes.iter().filter(|l| l.is_listed());
        let id = refusal::find(self.name, lanes.clone().map(|l| (&l.plugin, l.gone)))?;
        let row = lanes.clone().find(|l| l.plugin == id);
        let row =
            row.ok_or_else(|| Refusal::new(Kind::Unknown, format!("there is no plugin {id}")))?;
        let own = snapshot
            .attempts
            .iter()
            .filter(|a| a.plugin == id && a.aside);
        let aside: Vec<_> = own.map(|a| (a.event, a.callback.clone())).collect();
        let subject = Subject {
            row,
            aside: &aside,
            callbacks: None,
            log_start: snapshot.log.start,
        };
        let survey = view::survey(store, &subject, self.to, self.again).await?;
        Ok((survey, row.clone()))
    }

    async fn on_record(self, store: &Sqlite) -> Result<RewindView, CommandError> {
        let (mut survey, mut row) = self.survey(store).await?;
        let changes = rewind::on_record(&mut row, survey.to, self.again, wall_ms());
        store.record(changes).await?;
        survey.view.rewound = true;
        Ok(survey.view)
    }
}
