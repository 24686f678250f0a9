//! `slated check`: what a start would come to.

mod differs;
mod files;
mod mail;
mod probe;
mod show;
mod site;
mod state;
mod webhook;

use std::path::PathBuf;
use std::time::Duration;

use slated_config::{NewPlugins, Origin, System};

use super::common::{BeginArgs, ConfigArgs};
use crate::daemon::begin::Begin;
use crate::error::CommandError;
use crate::view::{CheckView, KeyView};
use crate::{daemon, out};

/// Show what a start would come to: configuration, state, Python, and what each plugin asks for
///
/// It may run beside a daemon, and writes nothing. Where `run` would refuse the configuration, the
/// state or Python, it says the same and ends with 3; where a plugin does not load, with 5.
///
/// Every plugin is loaded in a process of its own, which is dry: `sg` and every other client of
/// shotgun_api3 refuse to write to the site. But the plugin's module and its `registerCallbacks` DO
/// run, with all else that they do. With --no-load nothing of a plugin runs: its Python only parses
/// it, and what it registers is not known. So it is with a plugin of `reload = "stop-first"` beside a
/// daemon, since it must not run twice.
///
/// The site is asked who it is and for its newest event, and nothing else. One that cannot be read ends
/// it with 4. `--probe` watches it for a while, by reads alone, and says what it takes, what it costs and
/// what comes late.
///
/// A mail server is greeted, with STARTTLS and login where they are configured, and sent nothing; not
/// with --no-load or --offline. One that does not answer is no reason not to start. A webhook is asked nothing
/// unless by --send-test-alert.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slated check
      Would it start, where would each plugin begin, and which events does it ask for?
  slated check --no-load
      Only parse plugins: names those that are Python 2
  slated check --plugin notes --json
      One plugin, as one JSON object
  slated check --probe 10m
      Which questions does the site take, how late are events, which settings suit?")]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    begin: BeginArgs,
    /// Only this plugin: its file's stem, or FOLDER/STEM; can be repeated
    #[arg(long = "plugin", value_name = "NAME")]
    plugins: Vec<String>,
    /// Parse plugins, and run nothing of them
    #[arg(long)]
    no_load: bool,
    /// Show every key that is set, with its file and line
    #[arg(long)]
    keys: bool,
    /// Do not ask the site
    #[arg(long)]
    offline: bool,
    /// Watch the site for so long, such as 10m, instead of the rest; it is only read
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with_all = ["plugins", "no_load", "offline"])]
    probe: Option<Duration>,
    /// Send a mail to the configured addresses, to see that it arrives
    #[arg(long)]
    send_test_mail: bool,
    /// Send a test to the webhook, to see that alerts arrive
    #[arg(long)]
    send_test_alert: bool,
    /// Run plugins with this Python, unless they name one of their own
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let path = args.config.path()?;
    let loaded = args.config.load()?;
    let config = loaded.config;
    let (secrets, secret_warnings) = config.resolve(&System)?;
    let checked = daemon::check(&config, &secrets)?;
    if let Some(span) = args.probe {
        let client = daemon::client(&config, &secrets)?;
        return probe::run(&client, &config, span, args.json).await;
    }
    let client = (!args.offline).then(|| daemon::client(&config, &secrets));
    let site_look = match client.transpose()? {
        Some(client) => Some(site::look(&client).await),
        None => None,
    };
    let begin = Begin::look(&config, &checked.known, args.begin.asked())?;
    let mut foreseen = begin.foresee().await?;
    let asked = files::asked(&args.plugins, &checked.known, &foreseen.lines)?;
    foreseen.lines.retain(|line| asked.contains(&line.plugin));
    let state = state::look(&config, foreseen.begun)?;
    let ask = match (args.send_test_mail, args.no_load || args.offline) {
        (true, _) => mail::Ask::Send,
        (false, true) => mail::Ask::Nothing,
        (false, false) => mail::Ask::Greet,
    };
    let webhook = webhook::look(&config, &secrets, args.send_test_alert).await?;
    let greeting = mail::greet(&config, &secrets, ask);
    let mut seen = files::Seen::default();
    if foreseen.refusal.is_none() {
        let known = checked.known.iter().filter(|id| asked.contains(id));
        let known: Vec<_> = known.cloned().collect();
        let how = files::How {
            python: args.python.as_deref(),
            load: !args.no_load,
            beside: state.in_use,
        };
        match files::look(&config, secrets, &known, &how).await {
            Ok(looked) => seen = looked,
            Err(refusal) => foreseen.refusal = Some(refusal),
        }
    }
    let mail = match greeting {
        Some(greeting) => Some(greeting.view().await),
        None => None,
    };
    let warnings = [&loaded.warnings, &secret_warnings, &checked.warnings];
    let warnings = warnings.into_iter().flat_map(|all| &all.0);
    let shown = |keys: &mut dyn Iterator<Item = (&str, &Origin)>| -> Vec<KeyView> {
        let keys = keys.map(|(key, origin)| KeyView {
            key: key.into(),
            origin: origin.to_string(),
        });
        keys.collect()
    };
    let view = CheckView {
        configuration: path.display().to_string(),
        warnings: warnings.map(ToString::to_string).collect(),
        configured: shown(&mut config.configured_keys()),
        no_effect: shown(&mut daemon::idle_keys(&config).into_iter()),
        site: config.site.url.to_string(),
        site_look,
        state,
        begins: Some(foreseen.told).filter(|told| !told.is_empty()),
        new_plugins: match config.state.new_plugins {
            NewPlugins::Now => "now".into(),
            NewPlugins::Id(id) => format!("id:{id}"),
            NewPlugins::Ago(ago) => format!("ago:{}s", ago.as_secs()),
        },
        plugins: foreseen.lines,
        mail,
        webhook,
        pythons: seen.pythons,
        files: seen.files,
        differences: differs::from_the_python_daemon(&config),
        refusal: foreseen.refusal.as_ref().map(CommandError::told),
    };
    if args.json {
        out::json(&view)?;
    } else {
        show::show(&view, args.keys);
    }
    match foreseen.refusal {
        Some(refusal) => Err(refusal),
        None => files::verdict(&view).and_then(|()| site::verdict(view.site_look.as_ref())),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let long = |span: &Duration| *span >= Duration::from_secs(1);
    let span = slated_config::parse_duration(text).filter(long);
    span.ok_or_else(|| "takes a duration of a second or more, such as 10m".into())
}
