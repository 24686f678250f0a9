//! `slated replay`: past events once more through one plugin, beside whatever runs.
//!
//! Invariants: the state is opened for reading alone, so no cursor, outcome or attempt changes; the
//! plugin's process is this command's own. What is asked of the site, and what follows an answer,
//! decides `core::replay`.

pub(super) mod call;
pub(super) mod gather;
pub(super) mod play;
mod tell;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use slated_config::{Config, PluginSettings, Reload, System};
use slated_core::replay::{Span, Wanted};
use slated_model::{EventId, PluginId};
use tokio_util::sync::CancellationToken;

use super::common::ConfigArgs;
use crate::clock::wall_ms;
use crate::daemon::{self, Apart, Purpose};
use crate::error::CommandError;
use crate::out;
use crate::signals::Signals;
use crate::view::{PluginDetail, PluginState, refusal};
use crate::web::client::{self, Answer, segment};
use gather::Gathered;
use play::{Ended, Hears as _, Player};
use tell::Teller;

/// Run past events through one plugin once more, beside whatever runs
///
/// Events come from slated's log, and from the site for what the log lacks, in the order of their ids,
/// to those callbacks that ask for them. The plugin gets a process of its own, with the Python, the
/// import paths and the limits it has under the daemon, and with this shell's variables, and folder
/// where `cwd` names none. What the daemon has on
/// record stays as it is: no cursor, outcome or attempt is touched, and nothing is retried or held.
///
/// It is dry unless --live: `sg`, and every other client of shotgun_api3 that the plugin opens, reads
/// the site but refuses to write to it. What would have been written is printed instead, and the
/// plugin goes on with a made-up answer, so that all of it is seen. Files, chat, subprocesses and
/// other ways to the site are NOT covered: a plugin asks for itself with `reg.isDry()`.
///
/// Ctrl-C ends it after the event in hand and says how to go on; a second one ends it at once.
/// It ends with 5 where a callback failed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slated replay --plugin notes --from 5001 --to 5001
      What would `notes` write for event 5001?
  slated replay --plugin notes --from 5001 --to 5900 --type Shotgun_Task_Change --project 65
      The same for the changes of tasks of one project
  slated replay --plugin notes --from 5001 --to 5900 --live
      Run them: prints how many, and asks first
  slated replay --plugin notes --from 5001 --to 5900 --json > replay.ndjson
      One JSON object for each call, and one at the end")]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Replay through this plugin: its file's stem, or FOLDER/STEM
    #[arg(long, value_name = "NAME")]
    plugin: String,
    /// Begin with this event id
    #[arg(long, value_name = "ID")]
    from: u64,
    /// End with this event id
    #[arg(long, value_name = "ID")]
    to: u64,
    /// Only events of this type, such as Shotgun_Task_Change; can be repeated
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events of the project with this id; can be repeated
    #[arg(long = "project", value_name = "ID")]
    projects: Vec<u64>,
    /// Only this callback, as `slated plugin show` names it; can be repeated
    #[arg(long = "callback", value_name = "NAME")]
    callbacks: Vec<String>,
    /// Let the plugin write to the site
    #[arg(long)]
    live: bool,
    /// With --live: do not ask
    #[arg(long, requires = "live")]
    yes: bool,
    /// End after the first event in which a callback failed
    #[arg(long)]
    stop_on_error: bool,
    /// Run the plugin with this Python, unless it names one of its own
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// What every dry run must be told.
pub(super) const DRY: &str = "dry: writes through shotgun_api3 are refused and printed; files, chat, subprocesses and other ways to the site are NOT covered";

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let span = span(&args)?;
    let loaded = args.config.load()?;
    let config = loaded.config;
    let (secrets, warnings) = config.resolve(&System)?;
    for warning in loaded.warnings.0.iter().chain(&warnings.0) {
        out::talk(warning);
    }
    let checked = daemon::check(&config, &secrets)?;
    let known = checked.known.iter().map(|id| (id, false));
    let plugin = refusal::find(&args.plugin, known)?;
    let settings = config.effective(&plugin);
    refuse_beside(&config, &plugin, &settings).await?;

    let client = daemon::client(&config, &secrets)?;
    let stop = CancellationToken::new();
    Signals::listen()?.stop(stop.clone());
    let run = run_id();
    let purpose = Purpose {
        run: format!("replay {run}"),
        replay: true,
        debug: false,
        offline: false,
    };
    let python = args.python.as_deref();
    let mut apart = Apart::prepare(&config, secrets, &plugin, python, purpose).await?;
    let mut teller = Teller::new(args.json, !args.live, plugin.clone(), run);
    let narrowed =
        !(args.types.is_empty() && args.projects.is_empty() && args.callbacks.is_empty());
    if args.live {
        out::talk(format!("{plugin}: counting what would run"));
    } else {
        out::talk(DRY);
    }
    // Dry even where it will be live: whoever is asked may still say no.
    let begun = apart.start(true, |report| teller.aside(report)).await?;
    for warning in &begun.warnings {
        out::talk(format!("{plugin}: {warning}"));
    }
    let mut callbacks = begun.callbacks;
    choose(&args.callbacks, &plugin, &mut callbacks)?;
    let wanted = Wanted {
        types: args.types.iter().cloned().collect(),
        projects: args.projects.iter().copied().collect(),
    };
    let gathered = Gathered::gather(&config, &client, span, |event, project| {
        let head = &event.head;
        let (kind, attribute) = (head.event_type.as_deref(), head.attribute_name.as_deref());
        let due = callbacks
            .iter()
            .filter(|c| wanted.takes(head, project) && c.matcher.matches(kind, attribute));
        due.map(|c| c.id.clone()).collect()
    });
    let gathered = tokio::select! {
        gathered = gathered => gathered?,
        () = stop.cancelled() => {
            apart.end(|report| teller.aside(report)).await;
            out::talk("Nothing was run.");
            return Ok(());
        }
    };
    teller.found(&gathered, narrowed);
    if args.live && !gathered.events.is_empty() {
        // It was loaded to be counted; what it runs in writes.
        apart.end(|report| teller.aside(report)).await;
        if !args.yes && !agreed(&plugin, &gathered, stop.clone()).await? {
            out::talk("Nothing was run.");
            return Ok(());
        }
        // Somebody may have resumed it while this one was asked.
        refuse_beside(&config, &plugin, &settings).await?;
        apart.start(false, |report| teller.aside(report)).await?;
    }
    let mut player = Player::new(
        apart,
        !args.live,
        args.stop_on_error,
        callbacks,
        stop.clone(),
    );
    let beside = async {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Err(trouble) = refuse_beside(&config, &plugin, &settings).await {
                return trouble;
            }
        }
    };
    let played = {
        let mut play = pin!(player.play(gathered.events, &mut teller));
        tokio::select! {
            ended = &mut play => Ok(ended),
            // Somebody lets the live one go on: this one ends behind the event in hand.
            trouble = beside => {
                stop.cancel();
                Err((play.await, trouble))
            }
        }
    };
    player.end(&mut teller).await;
    let ended = match played {
        Err((ended, trouble)) if ended.go_on.is_some() => Ended {
            trouble: Some(trouble),
            ..ended
        },
        Ok(ended) | Err((ended, _)) => ended,
    };
    teller.end(ended, span)
}

/// Reads the ids.
fn span(args: &Args) -> Result<Span, CommandError> {
    if args.from > args.to {
        return Err(CommandError::usage(format!(
            "--from {} is behind --to {}",
            args.from, args.to
        ))
        .hint("both are event ids, the lower one first; `slated events tail` shows some"));
    }
    Ok(Span {
        from: EventId(args.from),
        to: EventId(args.to),
    })
}

/// Leaves the callbacks that were asked for.
pub(super) fn choose(
    chosen: &[String],
    plugin: &PluginId,
    callbacks: &mut Vec<slated_host::CallbackSpec>,
) -> Result<(), CommandError> {
    let names: Vec<_> = callbacks.iter().map(|c| c.id.to_string()).collect();
    for name in chosen {
        if !names.contains(name) {
            let near = slated_config::nearest(name, names.iter().map(String::as_str));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", names.join(", ")),
            };
            let error = format!("{plugin} registers no callback `{name}`");
            return Err(CommandError::usage(error).hint(hint));
        }
    }
    if !chosen.is_empty() {
        callbacks.retain(|c| chosen.contains(&c.id.to_string()));
    }
    Ok(())
}

/// From one look at the live process of a plugin that must not run twice to the next.
const LOOK: Duration = Duration::from_secs(1);

/// Refuses a second process of a plugin that can have but one.
pub(super) async fn refuse_beside(
    config: &Config,
    plugin: &PluginId,
    settings: &PluginSettings,
) -> Result<(), CommandError> {
    if settings.reload != Reload::StopFirst {
        return Ok(());
    }
    let path = format!("/api/v1/plugins/{}", segment(&plugin.to_string()));
    let detail: PluginDetail = match client::get(&config.state.folder, &path).await? {
        Answer::Found(detail) => detail,
        // It runs nothing that it does not know, and nothing where it does not run.
        Answer::Refused(_) | Answer::NoDaemon => return Ok(()),
    };
    let state = detail.plugin.state;
    if matches!(state, PluginState::Stopped | PluginState::Gone) && detail.plugin.pid.is_none() {
        return Ok(());
    }
    let (key, origin) = config.effective_key(plugin, "reload");
    let name = plugin.stem();
    Err(CommandError::usage(format!(
        "{plugin} is {state}, and must not run twice at a time: `{key}` is \"stop-first\" ({origin})"
    ))
    .hint(format!(
        "stop it meanwhile: `slated plugin stop {name}`; afterwards `slated plugin resume {name}` lets it go on where it stood"
    )))
}

/// Asks whether it shall write. Only the whole word does.
async fn agreed(
    plugin: &PluginId,
    gathered: &Gathered,
    stop: CancellationToken,
) -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandError::usage(format!(
            "{} would run and may write to the site; nobody is at a terminal to be asked",
            gathered.counted()
        ))
        .hint("`--yes` runs them; without `--live` it is seen what they would write"));
    }
    out::talk(format!(
        "{plugin}: {} will run and may write to the site. Nothing undoes that. Write `yes` to run them:",
        gathered.counted()
    ));
    let read = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    });
    tokio::select! {
        answer = read => {
            let answer = answer.map_err(CommandError::internal)?;
            Ok(answer.map_err(CommandError::internal)?.trim() == "yes")
        }
        () = stop.cancelled() => Ok(false),
    }
}

/// Returns a name that no other run has.
pub(super) fn run_id() -> String {
    let at = jiff::Timestamp::from_millisecond(wall_ms()).unwrap_or_default();
    let chance = fastrand::u32(..);
    format!("{}-{chance:08x}", at.strftime("%Y%m%dT%H%M%SZ"))
}
