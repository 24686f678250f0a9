//! `slated sim`: a local site for plugin authors, demos and tests; `slated sim ctl` plays it.

mod ctl;

use std::time::Duration;

use serde_json::json;
use slated_sim::{Mix, SCRIPTS, Server, ServerError, Site, SiteOptions};

use crate::error::CommandError;
use crate::out;
use crate::signals::Signals;

/// Serve a simulated site on this machine
///
/// The official Python client talks to it unchanged, and every write makes the event rows a real
/// site makes. The first line on stdout is one JSON object with `url`, `script` and `key`. Nothing
/// is kept: the site is gone when the command ends.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    play: Option<Play>,

    /// Listen on this port of 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// Decide names, keys and chance by this number
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Begin with this many aged events
    #[arg(long, default_value_t = 0, value_name = "N")]
    events: u64,

    /// Spread the aged events over this time
    #[arg(long, default_value = "30d", value_parser = duration, value_name = "TIME")]
    age: Duration,

    /// Aged events of an ordinary day, or of eight types alike often
    #[arg(long, default_value = "ordinary", value_enum)]
    mix: EventMix,

    /// Make every request take at least this long
    #[arg(long, default_value = "0s", value_parser = duration, value_name = "TIME")]
    latency: Duration,

    /// Print nothing but the first line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum EventMix {
    Ordinary,
    Even,
}

#[derive(clap::Subcommand)]
enum Play {
    Ctl(ctl::Args),
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    if let Some(Play::Ctl(args)) = args.play {
        return ctl::run(args).await;
    }
    let mut signals = Signals::listen()?;
    let site = Site::new(SiteOptions {
        seed: args.seed,
        ..SiteOptions::default()
    });
    let mix = match args.mix {
        EventMix::Ordinary => Mix::Ordinary,
        EventMix::Even => Mix::Even,
    };
    site.seed_events_of(mix, args.events, args.age);
    site.set_latency(args.latency);
    let server = Server::start(site, &format!("127.0.0.1:{}", args.port))
        .await
        .map_err(cannot_start)?;
    let [script, ..] = SCRIPTS;
    out::json(&json!({"url": server.url(), "script": script, "key": server.key(script)}))?;
    if !args.json {
        greet(&server);
    }
    signals.next().await;
    server.shutdown().await;
    Ok(())
}

fn greet(server: &Server) {
    let url = server.url();
    out::talk(format!(
        "A simulated site with a small production is at {url}. Ctrl-C ends it.\n\nScripts and keys:"
    ));
    for script in SCRIPTS {
        out::talk(format!("  {script:<22} {}", server.key(script)));
    }
    out::talk(format!(
        "People: mira jonas zoe tomas priya (artists), ada ben (supervisors), carla (coordination); any password.\n\
         Play it: slated sim ctl --url {url} --help"
    ));
}

fn cannot_start(error: ServerError) -> CommandError {
    match error {
        ServerError::NotLoopback(_) => CommandError::usage(error),
        ServerError::Listen { ref source, .. } => CommandError::usage(format!("{error}: {source}"))
            .hint("another program may listen there: take another --port, or 0 for a free one"),
    }
}

/// Reads a time such as `300ms`, `90s`, `2h` or `30d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a time such as 300ms, 90s, 2h or 30d");
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let duration = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_do() {
        assert_eq!(duration("300ms").unwrap(), Duration::from_millis(300));
        assert_eq!(duration("30d").unwrap(), Duration::from_hours(30 * 24));
        assert_eq!(duration("1h 30m").unwrap(), Duration::from_mins(90));
        for wrong in ["", "5", "-5s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
