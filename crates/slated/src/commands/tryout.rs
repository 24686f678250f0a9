//! `slated try`: one event through one plugin file, before it ever runs under a daemon.
//!
//! Invariants as in `replay`: the state is opened for reading alone, and the plugin's process is this
//! command's own. Without a site nothing is written anywhere.

mod event;
mod place;
mod tell;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use slated_config::SiteUrl;
use slated_model::CallbackId;
use slated_site::Client;
use tokio_util::sync::CancellationToken;

use super::common::ConfigArgs;
use super::replay::gather::Matched;
use super::replay::play::{Hears as _, Player};
use super::replay::{DRY, choose, run_id};
use crate::daemon::{self, Apart, Purpose};
use crate::error::CommandError;
use crate::out;
use crate::signals::{Signals, leave_interrupts};
use event::{EventArgs, Found};
use place::Place;
use tell::{CallbackView, Teller};

/// Try a plugin with one event, and see all that it does
///
/// PLUGIN is a file, or the name of a plugin of the configuration. The event is one of the site's (its
/// id; from slated's log or from the site), one from a JSON file, or built from flags. You see which
/// callbacks ask for it, why others do not, what each call returns, logs and would write, and where it
/// fails, with traceback and variables.
///
/// Where a configuration is found, the plugin runs with the Python, variables and limits it has under
/// the daemon, and `sg` reads that site. --site names another one. With neither, or with --offline,
/// there is no site: `sg` refuses to read, and what it would write is shown.
///
/// It is dry unless --live, or the site is slated's own simulator: `sg`, and every other client of
/// shotgun_api3 that the plugin opens, refuses to write. Files, chat, subprocesses and other ways to
/// the site are NOT covered: a plugin asks for itself with `reg.isDry()`.
///
/// With --pdb the plugin has this terminal and no time limit: `breakpoint()` stops in it, and the
/// debugger opens where a callback fails.
///
/// It ends with 5 where the plugin does not load or a callback failed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slated try ./notes.py --type Shotgun_Task_Change --attribute sg_status_list --old ip --new fin
      An event of your own making; --entity Task:123 and --project 65 say what it is about
  slated try ./notes.py --event 5001
      What would it do with event 5001 of the site?
  slated try notes --event 5001 --pdb
      The same with the debugger
  slated events show 5001 --json > event.json; slated try ./notes.py --event event.json --offline
      With an event from a file, and no site
  SLATED_SITE_KEY=KEY slated try ./notes.py --site http://127.0.0.1:8090 --script SCRIPT --event 3
      On a simulator, as `slated sim` shows its address, script and key: it is written to")]
pub(crate) struct Args {
    /// The plugin: a file, or the name of one in the configured folders
    plugin: String,
    #[command(flatten)]
    event: EventArgs,
    #[command(flatten)]
    config: ConfigArgs,
    /// Ask this site instead of the configured one; its key stands in SLATED_SITE_KEY
    #[arg(long, value_name = "URL", value_parser = SiteUrl::parse, conflicts_with = "config")]
    site: Option<SiteUrl>,
    /// The name of the script user for --site
    #[arg(long, value_name = "NAME", requires = "site")]
    script: Option<String>,
    /// Ask no site, whatever is configured
    #[arg(long, conflicts_with_all = ["site", "live"])]
    offline: bool,
    /// Only this callback; can be repeated
    #[arg(long = "callback", value_name = "NAME")]
    callbacks: Vec<String>,
    /// Call those callbacks, too, that do not ask for the event
    #[arg(long)]
    all: bool,
    /// Let the plugin write to the site
    #[arg(long)]
    live: bool,
    /// Do not let it write to a simulator either
    #[arg(long, conflicts_with = "live")]
    dry: bool,
    /// Leave the terminal to Python's debugger
    #[arg(long, conflicts_with = "json")]
    pdb: bool,
    /// Run the plugin with this Python, unless it names one of its own
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    if args.pdb && !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        return Err(
            CommandError::usage("--pdb needs a terminal, and stdin or stdout is none")
                .hint("run it by hand, without a pipe before or behind it"),
        );
    }
    let mut place = Place::find(&args).await?;
    if args.pdb && daemon::is_manifest(&place.file) {
        return Err(CommandError::usage(format!(
            "--pdb is Python's debugger, and {} is a program of its own",
            place.plugin
        ))
        .hint("leave it out; what the plugin writes to stderr is shown"));
    }
    let Found { event, from } = args.event.find(&place).await?;
    let simulated = match &place.client {
        Some(client) => is_simulator(&place.config.site.url, client).await,
        None => false,
    };
    let live = !args.dry && (args.live || simulated);
    if args.live && place.client.is_none() {
        return Err(
            CommandError::usage("--live without a site: there is nothing to write to")
                .hint(place::NO_SITE),
        );
    }
    if live && !simulated {
        args.event.refuse_guess()?;
    }
    let stop = CancellationToken::new();
    if args.pdb {
        leave_interrupts()?;
    } else {
        Signals::listen()?.stop(stop.clone());
    }
    let purpose = Purpose {
        run: format!("try {}", run_id()),
        replay: false,
        debug: args.pdb,
        offline: place.client.is_none(),
    };
    let secrets = place.secrets.take().unwrap_or_else(place::no_secrets);
    let python = args.python.as_deref();
    let mut apart = Apart::prepare(&place.config, secrets, &place.plugin, python, purpose).await?;
    let mut teller = Teller::new(args.json, !live, place.plugin.clone());
    if !live {
        out::talk(DRY);
    }
    let tried = async {
        let begun = apart.start(!live, |report| teller.aside(report)).await?;
        teller.plugin(&place, &begun, simulated);
        teller.event(&event, from);
        let mut chosen = begun.callbacks.clone();
        choose(&args.callbacks, &place.plugin, &mut chosen)?;
        let head = (
            event.head.event_type.as_deref(),
            event.head.attribute_name.as_deref(),
        );
        let mut due: Vec<CallbackId> = Vec::new();
        for callback in &begun.callbacks {
            let view = CallbackView::of(callback, head, chosen.contains(callback), args.all);
            if view.called {
                due.push(callback.id.clone());
            }
            teller.callback(&view);
        }
        let mut player = Player::new(apart, !live, false, begun.callbacks, stop.clone());
        let mut events = Vec::new();
        if !due.is_empty() {
            events.push(Matched {
                event,
                callbacks: due,
            });
        }
        let ended = player.play(events, &mut teller).await;
        player.end(&mut teller).await;
        teller.end(ended)
    };
    tokio::select! {
        tried = tried => tried,
        // Its processes are ended with this one.
        () = stop.cancelled() => Err(CommandError::plugin("interrupted before it had ended")),
    }
}

/// Tells whether a site is slated's simulator: on this machine, and by its own word.
async fn is_simulator(url: &SiteUrl, client: &Client) -> bool {
    let host = url.with_credentials().host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    let here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    here && client.info().await.is_ok_and(|info| info.simulated)
}
