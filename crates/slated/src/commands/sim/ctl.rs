//! `slated sim ctl`: orders to a running simulator, over its own HTTP.

use std::time::Duration;

use bytes::Bytes;
use clap::{Subcommand, ValueEnum};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use slated_sim::{Command, CommitPolicy, Corruption, Effect, Fate, Fault, On};
use tokio::net::TcpStream;

use super::duration;
use crate::error::CommandError;
use crate::out;

/// Play a running simulator: late ids, outages, broken rows, restores
///
/// Prints what the simulator answers as one line of JSON.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Address of the simulator, as its first line tells it
    #[arg(long, value_name = "URL")]
    url: String,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show policy, faults, waiting transactions and the head of the log
    Show,
    /// Print every event row there ever was, with the moments it was reserved and visible
    History,
    /// Print how many requests came in, by method
    Stats,
    /// Show the rows of coming transactions at once (ends late, never and hold)
    Immediate,
    /// Show the rows of coming transactions late
    Late {
        /// By this much
        #[arg(value_parser = duration, value_name = "TIME")]
        by: Duration,
        /// At most by this much; the time is then drawn for each transaction
        #[arg(long, value_parser = duration, value_name = "TIME")]
        most: Option<Duration>,
        #[command(flatten)]
        which: Which,
    },
    /// Roll back the rows of coming transactions: their ids stay dead
    Never {
        #[command(flatten)]
        which: Which,
    },
    /// Let coming transactions wait for commit or roll-back
    Hold {
        #[command(flatten)]
        which: Which,
    },
    /// Commit a waiting transaction
    Commit {
        /// Its number, from `show`
        transaction: u64,
    },
    /// Roll back a waiting transaction
    RollBack {
        /// Its number, from `show`
        transaction: u64,
    },
    /// Leave out the next ids for ever
    SkipIds {
        /// How many
        ids: u64,
    },
    /// Answer requests wrongly until `clear`
    Fault {
        /// What happens: an HTTP status such as 503, maintenance, html, empty, reset, close, half-body,
        /// auth, hang, stale, or slow=TIME
        #[arg(value_parser = effect)]
        effect: Effect,
        /// End after this many requests
        #[arg(long, value_name = "N")]
        times: Option<u32>,
        /// Only these requests
        #[arg(long, value_enum, default_value_t = Requests::All)]
        on: Requests,
        /// Only requests of this script or login
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// End all faults
    Clear,
    /// Spoil the text of one event row in every answer
    Spoil {
        /// Its id
        event: u64,
        /// How
        #[arg(value_enum)]
        how: Spoilt,
    },
    /// Make a spoilt event row whole
    Heal {
        /// Its id
        event: u64,
    },
    /// Keep the state of the site under a name
    Snapshot {
        /// The name
        name: String,
    },
    /// Go back to a kept state: event ids since then are given out again
    Restore {
        /// Its name
        name: String,
    },
    /// Send an order as JSON, such as '{"do":"hide","first":10,"last":20}'
    Send {
        /// The order
        json: String,
    },
}

/// Which coming transactions; without either, all of them.
#[derive(clap::Args)]
struct Which {
    /// Only the next N
    #[arg(long, value_name = "N", conflicts_with = "share")]
    next: Option<u32>,
    /// Only a random share, 0 to 1
    #[arg(long, value_name = "P")]
    share: Option<f64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Requests {
    All,
    EventReads,
    AllButEventReads,
    Writes,
}

#[derive(Clone, Copy, ValueEnum)]
enum Spoilt {
    BadUtf8,
    Nan,
    Infinity,
    ControlCharacter,
    LineBreak,
    LoneSurrogate,
    Cut,
    NotJson,
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let command = match args.verb {
        Verb::History => return print(&args.url, "/sim/history", None).await,
        Verb::Stats => return print(&args.url, "/sim/stats", None).await,
        Verb::Show => Command::Show,
        Verb::Immediate => Command::Policy {
            policy: CommitPolicy::immediate(),
        },
        Verb::Late { by, most, which } => {
            let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            which.policy(Fate::Late {
                min_ms: ms(by),
                max_ms: ms(most.unwrap_or(by).max(by)),
            })
        }
        Verb::Never { which } => which.policy(Fate::Never),
        Verb::Hold { which } => which.policy(Fate::Hold),
        Verb::Commit { transaction } => Command::Commit { transaction },
        Verb::RollBack { transaction } => Command::RollBack { transaction },
        Verb::SkipIds { ids } => Command::SkipIds { ids },
        Verb::Fault {
            effect,
            times,
            on,
            by,
        } => Command::Fault {
            fault: Fault {
                effect,
                on: on.into(),
                by,
                times,
            },
        },
        Verb::Clear => Command::ClearFaults,
        Verb::Spoil { event, how } => Command::Spoil {
            event,
            how: how.into(),
        },
        Verb::Heal { event } => Command::Heal { event },
        Verb::Snapshot { name } => Command::Snapshot { name },
        Verb::Restore { name } => Command::Restore { name },
        Verb::Send { json } => serde_json::from_str(&json)
            .map_err(|e| CommandError::usage(format!("this is no order to the simulator: {e}")))?,
    };
    let body = serde_json::to_vec(&command).map_err(CommandError::internal)?;
    print(&args.url, "/sim/control", Some(body)).await
}

impl Which {
    fn policy(&self, fate: Fate) -> Command {
        let policy = CommitPolicy::immediate();
        let policy = match (self.next, self.share) {
            (Some(count), _) => policy.next(count, fate),
            (None, Some(share)) => policy.share(share, fate),
            (None, None) => policy.always(fate),
        };
        Command::Policy { policy }
    }
}

fn effect(text: &str) -> Result<Effect, String> {
    Ok(match text {
        "maintenance" => Effect::Maintenance,
        "html" => Effect::Html,
        "empty" => Effect::Empty,
        "reset" => Effect::Reset { applied: false },
        "close" => Effect::Close { applied: false },
        "half-body" => Effect::HalfBody,
        "auth" => Effect::AuthRefused,
        "hang" => Effect::Hang,
        "stale" => Effect::Stale,
        _ => match (text.parse::<u16>(), text.strip_prefix("slow=")) {
            (Ok(code @ 300..=599), _) => Effect::Status { code },
            (_, Some(time)) => Effect::Slow {
                ms: u64::try_from(duration(time)?.as_millis()).unwrap_or(u64::MAX),
            },
            _ => return Err("not a fault the simulator knows".to_owned()),
        },
    })
}

/// Asks the simulator and prints what it answers.
async fn print(url: &str, path: &str, body: Option<Vec<u8>>) -> Result<(), CommandError> {
    let host = url
        .strip_prefix("http://")
        .unwrap_or(url)
        .trim_end_matches('/');
    let gone = |e: &dyn std::fmt::Display| {
        CommandError::site(format!("no simulator answers at {url}: {e}")).hint(
            "`slated sim` prints its url as the first line; it lasts as long as that command runs",
        )
    };
    let stream = TcpStream::connect(host).await.map_err(|e| gone(&e))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| gone(&e))?;
    tokio::spawn(async move { connection.await.unwrap_or_default() });
    let method = if body.is_some() {
        hyper::Method::POST
    } else {
        hyper::Method::GET
    };
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header("host", host)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.unwrap_or_default())))
        .map_err(|e| gone(&e))?;
    let response = sender.send_request(request).await.map_err(|e| gone(&e))?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|e| gone(&e))?
        .to_bytes();
    let answer: Value = serde_json::from_slice(&body).map_err(|e| gone(&e))?;
    if status.is_success() {
        return out::json(&answer);
    }
    let message = answer
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or("it gave no reason");
    Err(CommandError::usage(format!(
        "the simulator refuses: {message}"
    )))
}

impl From<Requests> for On {
    fn from(requests: Requests) -> Self {
        match requests {
            Requests::All => Self::Everything,
            Requests::EventReads => Self::EventReads,
            Requests::AllButEventReads => Self::AllButEventReads,
            Requests::Writes => Self::Writes,
        }
    }
}

impl From<Spoilt> for Corruption {
    fn from(spoilt: Spoilt) -> Self {
        match spoilt {
            Spoilt::BadUtf8 => Self::BadUtf8,
            Spoilt::Nan => Self::Nan,
            Spoilt::Infinity => Self::Infinity,
            Spoilt::ControlCharacter => Self::ControlCharacter,
            Spoilt::LineBreak => Self::LineBreak,
            Spoilt::LoneSurrogate => Self::LoneSurrogate,
            Spoilt::Cut => Self::Cut,
            Spoilt::NotJson => Self::NotJson,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named_in_a_word() {
        assert_eq!(effect("503").unwrap(), Effect::Status { code: 503 });
        assert_eq!(effect("half-body").unwrap(), Effect::HalfBody);
        assert_eq!(effect("slow=2s").unwrap(), Effect::Slow { ms: 2000 });
        for wrong in ["200", "slow=", "slow=x", "flood"] {
            assert!(effect(wrong).is_err(), "{wrong}");
        }
    }
}
