//! `slated failures`: dead letters and held plugins, and what a person does about them.

use clap::Subcommand;
use owo_colors::OwoColorize as _;
use serde_json::json;
use slated_config::Config;
use slated_model::OutcomeRow;
use slated_store::{Sqlite, Store as _};

use super::common::{ConfigArgs, ago, ask, on_record};
use crate::daemon::{LetterWish, takes_letters};
use crate::error::CommandError;
use crate::out;
use crate::view::{self, FailuresView, GroupView, LetterView, Pick, Which, WishView};
use crate::web::client::{self, Answer, segment};

/// See what failed for good, try it again, or discard it
///
/// A callback that failed and is not tried again by itself leaves a dead letter; a plugin with
/// `stopOnError` is held instead. Dead letters of one cause are a group, with a name such as
/// f3a91c20. WHICH is a group, an event id, or `all`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List dead letters by their cause, and held plugins
    List {
        #[command(flatten)]
        config: ConfigArgs,
        /// Of this plugin alone: STEM or FOLDER/STEM
        #[arg(long, value_name = "NAME")]
        plugin: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show dead letters with traceback and local variables
    Show {
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Try dead letters once more
    ///
    /// Each runs beside the order of its plugin, as soon as that runs. One that fails again is a
    /// dead letter again. Without a daemon it is put on record for the next start.
    Retry {
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Discard dead letters: they are dealt with otherwise
    Discard {
        #[command(flatten)]
        chosen: Chosen,
        /// Why; it stays on record
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Which dead letters, and how to print what becomes of them.
#[derive(clap::Args)]
struct Chosen {
    #[command(flatten)]
    config: ConfigArgs,
    /// A group of `failures list`, an event id, or `all`
    which: Which,
    /// Of this plugin alone: STEM or FOLDER/STEM
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Dead letters that are listed below the one that is shown whole.
const LISTED: usize = 20;

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    match args.verb {
        Verb::List {
            config,
            plugin,
            json,
        } => list(&config.load()?.config, plugin, json).await,
        Verb::Show { chosen } => chosen.show().await,
        Verb::Retry { chosen } => chosen.wish(LetterWish::Retry).await,
        Verb::Discard { chosen, reason } => {
            if reason.trim().is_empty() {
                return Err(CommandError::usage("`--reason` says nothing")
                    .hint("write what was done instead; it stays on record"));
            }
            chosen.wish(LetterWish::Discard { reason }).await
        }
    }
}

async fn list(config: &Config, plugin: Option<String>, json: bool) -> Result<(), CommandError> {
    let path = format!("/api/v1/failures{}", query(plugin.as_deref()));
    let failures = ask(config, &path, async |store| {
        Ok(view::failures(&store, plugin).await?)
    });
    let failures: FailuresView = failures.await?;
    if json {
        return out::json(&failures);
    }
    for held in &failures.held {
        let state = "held".style(owo_colors::Style::new().yellow());
        out::line(format!("{} is {state} {}", held.plugin.bold(), held.why));
    }
    if failures.groups.is_empty() {
        if failures.held.is_empty() {
            out::line("No dead letter, and no plugin is held.");
        }
        return Ok(());
    }
    if !failures.held.is_empty() {
        out::line("");
    }
    let mut table = out::table(&["GROUP", "LETTERS", "LAST", "CALLBACK", "ERROR"]);
    for group in &failures.groups {
        table.add_row(row(group));
    }
    out::line(table);
    if failures.more {
        let (letters, groups) = (failures.letters, failures.groups.len());
        out::talk(format!(
            "Only the newest {groups} groups are listed; all together there are {letters} dead letters."
        ));
    }
    Ok(())
}

/// Narrows a path to a plugin.
fn query(plugin: Option<&str>) -> String {
    let plugin = plugin.map(segment);
    plugin
        .map(|name| format!("?plugin={name}"))
        .unwrap_or_default()
}

fn row(group: &GroupView) -> Vec<String> {
    vec![
        group.group.clone(),
        group.letters.to_string(),
        ago(group.last_at_ms),
        format!("{}.{}", group.plugin.stem(), group.callback),
        group.error.clone(),
    ]
}

impl Chosen {
    fn pick(&self) -> Pick {
        Pick {
            which: self.which.clone(),
            plugin: self.plugin.clone(),
        }
    }

    async fn show(&self) -> Result<(), CommandError> {
        let config = self.config.load()?.config;
        let query = query(self.plugin.as_deref());
        let path = format!("/api/v1/failures/{}{query}", self.which);
        let pick = self.pick();
        let letters = ask(&config, &path, async |store| {
            Ok(pick.letters(&store).await?)
        });
        let letters: Vec<LetterView> = letters.await?;
        if letters.len() == view::SHOWN {
            out::talk(format!("The newest {} dead letters.", letters.len()));
        }
        if self.json {
            return out::json(&letters);
        }
        let Some((newest, others)) = letters.split_first() else {
            return Ok(());
        };
        print(newest);
        if others.is_empty() {
            return Ok(());
        }
        out::line("");
        out::line(format!("{} more", others.len()).bold());
        let mut table = out::table(&[]);
        for letter in others.iter().take(LISTED) {
            table.add_row(vec![
                letter.group.clone(),
                format!("event {}", letter.event),
                ago(letter.at_ms),
                letter.failure.summary(),
            ]);
        }
        out::line(table);
        if others.len() > LISTED {
            out::talk(format!("The newest {LISTED} of them; `--json` prints all."));
        }
        Ok(())
    }

    async fn wish(&self, wish: LetterWish) -> Result<(), CommandError> {
        let config = self.config.load()?.config;
        let which = self.which.to_string();
        let (verb, body) = match &wish {
            LetterWish::Retry => ("retry", json!({"which": which, "plugin": self.plugin})),
            LetterWish::Discard { reason } => (
                "discard",
                json!({"which": which, "plugin": self.plugin, "reason": reason}),
            ),
        };
        let path = format!("/api/v1/failures/{verb}");
        let told = match client::post(&config.state.folder, &path, &body).await? {
            Answer::Found(told) => told,
            Answer::Refused(why) => return Err(why.into()),
            Answer::NoDaemon => {
                let pick = self.pick();
                on_record(&config, async |store| change(store, &pick, &wish).await).await?
            }
        };
        if self.json {
            return out::json(&told);
        }
        say(&told, &wish);
        Ok(())
    }
}

/// Prints a dead letter whole.
fn print(letter: &LetterView) {
    let failure = &letter.failure;
    out::line(format!(
        "{}  event {} in {}",
        letter.plugin.bold(),
        letter.event,
        letter.callback
    ));
    let tries = match letter.attempt {
        1 => "1 attempt".into(),
        n => format!("{n} attempts"),
    };
    out::line(format!(
        "{}, {tries}, group {}",
        ago(letter.at_ms),
        letter.group
    ));
    out::line("");
    let text = match failure.traceback.trim_end() {
        "" => failure.summary(),
        traceback => traceback.to_owned(),
    };
    out::line(text);
    if let Some(locals) = &failure.locals {
        out::line("");
        out::line("local variables".bold());
        out::line(locals.trim_end());
    }
}

fn say(told: &WishView, wish: &LetterWish) {
    let letters = view::letters_are(told.done);
    match wish {
        LetterWish::Retry if told.done > 0 => out::line(format!(
            "{letters} tried again; what fails once more is in `slated failures list`"
        )),
        LetterWish::Discard { .. } if told.done > 0 => out::line(format!("{letters} discarded")),
        _ => out::line("nothing to do"),
    }
    for waits in &told.waits {
        out::talk(format!("{waits}: they are tried when it runs."));
    }
    if told.already > 0 {
        out::talk(format!("{} were dealt with meanwhile.", told.already));
    }
    if told.impossible > 0 {
        out::talk(format!(
            "{} cannot be tried again: the plugin is gone, was moved or no longer registers the \
             callback, or nobody can read the row. `slated failures discard` takes them off the list.",
            told.impossible
        ));
    }
}

async fn change(store: &Sqlite, pick: &Pick, wish: &LetterWish) -> Result<WishView, CommandError> {
    let lanes = store.snapshot().await?.lanes;
    let lost = |letter: &OutcomeRow| {
        let mut rows = lanes.iter();
        !takes_letters(rows.find(|lane| lane.plugin == letter.plugin))
    };
    let mut told = WishView::default();
    let mut look = pick.look(store).await?;
    while let Some(letters) = look.placed().await? {
        let changes = wish.changes(letters.iter(), lost);
        let (done, impossible) = (changes.len(), letters.len() - changes.len());
        let already = store.record(changes).await?.already.len();
        told.add(WishView {
            done: done - already,
            already,
            impossible,
            waits: Vec::new(),
        });
    }
    Ok(told)
}
