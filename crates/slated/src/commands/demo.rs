//! `slated demo`: everything from nothing, on one machine, in half a minute.
//!
//! * [`python`]: a Python with the official client, found or made
//! * [`stage`]: the simulator, three example plugins, a chat of theirs, and the daemon
//! * [`story`]: people at work, played by `story.py` through the official client
//! * [`play`], [`screen`], [`record`]: what happens, as lines and as figures
//! * [`effects`]: whether what was expected stands on the site
//!
//! Nothing stays behind but the Python environment, if one was made.

mod chat;
mod effects;
mod play;
mod python;
mod record;
mod screen;
mod stage;
mod story;

use std::path::PathBuf;
use std::time::Duration;

use owo_colors::OwoColorize as _;
use slated_host::Interpreter;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::error::CommandError;
use crate::out;
use crate::signals::Signals;
use effects::{Python, Summary};
use play::Play;
use stage::Stage;
use story::{Cast, Story};

/// How long stage and story may take together.
const LIMIT: Duration = Duration::from_mins(1);

/// See slated at work: a simulated site, example plugins and a short story, from nothing
///
/// Needs a Python 3. Where none imports shotgun_api3, a private environment is made under
/// $XDG_DATA_HOME/slated/demo. The story: an artist submits a Version, a supervisor approves it,
/// plugins let its Task follow and write a Note; one transaction is committed late, and one plugin
/// is refused a connection and tried again. Afterwards the site stays open until Ctrl-C.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// End after the story, with a summary; the exit code is 0 only if every effect stands
    #[arg(long)]
    once: bool,
    /// Print the summary as one JSON object on stdout; the story goes to stderr
    #[arg(long, requires = "once")]
    json: bool,
    /// Use this Python, which imports shotgun_api3
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Play with the plugins of this folder in place of the examples
    #[arg(long, value_name = "FOLDER")]
    plugins: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    if let Some(folder) = args.plugins.as_deref().filter(|folder| !folder.is_dir()) {
        return Err(CommandError::usage(format!(
            "{} is not a folder",
            folder.display()
        )));
    }
    let quit = CancellationToken::new();
    Signals::listen()?.stop(quit.clone());
    let python = tokio::select! {
        found = python::find_or_make(args.python.as_deref()) => found?,
        () = quit.cancelled() => return Err(interrupted()),
    };
    let print: fn(String) = if args.json {
        |line| out::talk(line)
    } else {
        |line| out::line(line)
    };
    let stage = Stage::build(&python, args.plugins.as_deref()).await?;
    let mut play = Play::new(stage, print);
    let ended = tokio::select! {
        ended = whole(&mut play, &python, &args, print) => ended,
        () = quit.cancelled() => Err(interrupted()),
    };
    // Ctrl-C is how a demo without `--once` is meant to end.
    let ended = if quit.is_cancelled() && !args.once {
        Ok(())
    } else {
        ended
    };
    let struck = play.stage.strike().await;
    ended.and(struck)
}

/// Plays, judges, and goes on unless it was for once.
async fn whole(
    play: &mut Play,
    python: &Interpreter,
    args: &Args,
    print: fn(String),
) -> Result<(), CommandError> {
    greet(play, python, print);
    let clock = Clock::start();
    let Ok(cast) = tokio::time::timeout(LIMIT, tell(play, python)).await else {
        let seconds = LIMIT.as_secs();
        let message = format!("the story did not come to its end in {seconds} seconds");
        let error = CommandError::internal(message).hint(play.waits_for());
        return Err(play.record.failures.iter().fold(error, CommandError::hint));
    };
    let cast = cast?;
    let summary = summary(play, &cast, python, clock.now().0)?;
    if args.json {
        out::json(&summary)?;
    } else {
        print(format!(
            "\n{}",
            "What was expected, and what is there:".bold()
        ));
        summary.lines().into_iter().for_each(print);
        print(format!("\n{}", summary.line()));
    }
    if args.once {
        return if summary.ok {
            Ok(())
        } else {
            Err(missing(&summary))
        };
    }
    show_around(play, print);
    play.go_on().await
}

async fn tell(play: &mut Play, python: &Interpreter) -> Result<Cast, CommandError> {
    play.prepare().await?;
    let story = Story::begin(python, &play.stage.url(), play.stage.folder())?;
    play.story(story).await
}

fn summary(
    play: &Play,
    cast: &Cast,
    python: &Interpreter,
    took: Duration,
) -> Result<Summary, CommandError> {
    let (record, notices) = (&play.record, play.stage.chat.notices());
    let effects = effects::judge(play.stage.site(), cast, &notices, record)
        .map_err(CommandError::internal)?;
    Ok(Summary {
        ok: effects.iter().all(|effect| effect.stands),
        effects,
        retries: record.retries.clone(),
        late: record.late.iter().map(|id| id.0).collect(),
        events: record.seen.len(),
        callbacks_done: record.done,
        failures: record.failures.clone(),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        python: Python {
            path: python.path.display().to_string(),
            version: python.version.clone(),
            shotgun_api3: python.shotgun_api3.clone(),
        },
    })
}

fn missing(summary: &Summary) -> CommandError {
    let missing = summary.missing();
    let message = format!(
        "{} of {} effects are missing: {}",
        missing.len(),
        summary.effects.len(),
        missing.join("; ")
    );
    summary
        .failures
        .iter()
        .fold(CommandError::plugin(message), CommandError::hint)
}

fn greet(play: &Play, python: &Interpreter, print: fn(String)) {
    let client = python.shotgun_api3.as_deref().unwrap_or_default();
    print(format!("{} {}", "site   ".dimmed(), play.stage.url()));
    print(format!(
        "{} {} {}, shotgun_api3 {client}",
        "python ".dimmed(),
        python.path.display(),
        python.version
    ));
    print(format!(
        "{} {}",
        "plugins".dimmed(),
        play.stage.plugins().display()
    ));
    print(String::new());
}

fn show_around(play: &Play, print: fn(String)) {
    let (stage, config) = (&play.stage, play.stage.config());
    let config = config.display();
    // It may not stand on PATH.
    let slated =
        std::env::current_exe().map_or_else(|_| "slated".into(), |exe| exe.display().to_string());
    print(format!(
        "\n{}",
        "The daemon goes on until Ctrl-C. Meanwhile:".bold()
    ));
    print(format!("  {slated} status --config {config}"));
    print(format!("  {slated} events tail --config {config}"));
    print(format!("  edit a plugin in {}", stage.plugins().display()));
    print("  or write to the site with the official client:".into());
    print(format!(
        "    shotgun_api3.Shotgun(\"{}\", script_name=\"slated\", api_key=\"{}\")\n",
        stage.url(),
        stage.key("slated")
    ));
}

fn interrupted() -> CommandError {
    CommandError::internal("interrupted before the end")
}
