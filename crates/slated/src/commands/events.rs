//! `slated events`: the log, and what became of one event in every plugin.

use std::time::Duration;

use clap::Subcommand;
use owo_colors::OwoColorize as _;
use slated_config::Config;
use slated_model::{EventId, Offset};
use slated_store::Store as _;

use super::common::{ConfigArgs, ago, ask};
use super::plugin::show::wanted;
use crate::error::CommandError;
use crate::out;
use crate::view::{self, EventLine, EventView};

/// Look into the event log
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Print the newest events, in the order of their arrival
    Tail {
        #[command(flatten)]
        config: ConfigArgs,
        /// Print so many
        #[arg(short, long, default_value_t = 20, value_name = "COUNT")]
        number: usize,
        /// Go on printing as events arrive
        #[arg(short, long)]
        follow: bool,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show an event, and what became of it in every plugin
    Show {
        #[command(flatten)]
        config: ConfigArgs,
        /// The site's id of the event
        id: u64,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// How often `--follow` looks.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    match args.verb {
        Verb::Tail {
            config,
            number,
            follow,
            json,
        } => {
            let config = config.load()?.config;
            tail(&config, number.clamp(1, 1000), follow, json).await
        }
        Verb::Show { config, id, json } => {
            let config = config.load()?.config;
            let path = format!("/api/v1/events/{id}");
            let view = ask(&config, &path, async |store| {
                let view = view::event(&store, EventId(id)).await?;
                view.ok_or_else(|| {
                    CommandError::usage(format!("the log does not hold event {id}"))
                        .hint("it may be older than the log, not visible yet, or from before slated's first start")
                })
            });
            let view: EventView = view.await?;
            if json {
                return out::json(&view);
            }
            show(&view);
            Ok(())
        }
    }
}

async fn tail(
    config: &Config,
    number: usize,
    follow: bool,
    json: bool,
) -> Result<(), CommandError> {
    let mut after = None;
    loop {
        for event in page(config, after, number).await? {
            after = Some(event.offset);
            if json {
                out::json(&event)?;
            } else {
                out::line(one_line(&event));
            }
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn page(
    config: &Config,
    after: Option<u64>,
    limit: usize,
) -> Result<Vec<EventLine>, CommandError> {
    let from = after.map(|a| format!("after={a}&")).unwrap_or_default();
    ask(
        config,
        &format!("/api/v1/events?{from}limit={limit}"),
        async |store| {
            let after = match after {
                Some(after) => after,
                None => store
                    .snapshot()
                    .await?
                    .log
                    .end
                    .0
                    .saturating_sub(limit as u64),
            };
            Ok(store
                .rows(Offset(after), limit)
                .await?
                .iter()
                .map(EventLine::of)
                .collect())
        },
    )
    .await
}

fn one_line(event: &EventLine) -> String {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let what = match &event.attribute_name {
        Some(attribute) => format!("{} {attribute}", or_dash(&event.event_type)),
        None => or_dash(&event.event_type),
    };
    let late = if event.late {
        " late".yellow().to_string()
    } else {
        String::new()
    };
    let user = event
        .user
        .as_ref()
        .map(|u| format!(" by {u}"))
        .unwrap_or_default();
    format!(
        "{} {} {what}  {}{user}{late}",
        or_dash(&event.created_at).dimmed(),
        event.id.bold(),
        or_dash(&event.entity)
    )
}

fn show(view: &EventView) {
    out::line(one_line(&view.line));
    let pretty =
        serde_json::to_string_pretty(&view.event).unwrap_or_else(|_| view.event.to_string());
    out::line(pretty);
    if let Some(at_ms) = view.void_at_ms {
        let since = ago(at_ms);
        out::line("");
        out::line(
            format!("void since a decision {since}: the site was restored to before it").yellow(),
        );
    }
    for plugin in &view.plugins {
        out::line("");
        let fate = if plugin.units.is_empty() {
            let waits = plugin.waits.as_ref();
            let waits = waits.map(|w| format!("; {w}")).unwrap_or_default();
            format!(": {}{waits}", plugin.fate)
        } else {
            String::new()
        };
        out::line(format!("{}{fate}", plugin.plugin.bold()));
        if let Some(times) = plugin.suspect {
            let s = if times == 1 { "" } else { "s" };
            out::line(format!(
                "  suspect: slated ended uncleanly {times} time{s} while it was the first without an outcome"
            ));
        }
        for callback in plugin.callbacks.iter().flatten() {
            let (kind, attribute) = (&view.line.event_type, &view.line.attribute_name);
            let matches = callback
                .matcher
                .matches(kind.as_deref(), attribute.as_deref());
            let words = if matches {
                "asks for it by now; it did not when the event came, or that was before its start"
                    .into()
            } else {
                format!("asks for {}", wanted(&callback.matcher))
            };
            out::line(format!("  {} {words}", callback.name));
        }
        for unit in &plugin.units {
            let us = unit
                .us
                .map(|us| format!(" in {:.1} ms", us as f64 / 1000.0))
                .unwrap_or_default();
            let at = jiff::Timestamp::from_millisecond(unit.at_ms)
                .map(|t| t.to_string())
                .unwrap_or_default();
            let tries = match unit.attempt {
                0 => "never tried".into(),
                n => format!("attempt {n}"),
            };
            out::line(format!(
                "  {}: {}{us}, {tries}, {at}",
                unit.callback, unit.outcome
            ));
            let texts = unit.error.iter().chain(&unit.traceback);
            texts
                .flat_map(|t| t.trim_end().lines())
                .for_each(|l| out::line(format!("    {l}")));
            if !unit.log.is_empty() {
                out::line("    logged in the call:");
                let lines = unit.log.iter().flat_map(|l| l.lines());
                lines.for_each(|l| out::line(format!("      {l}")));
            }
        }
    }
}
