//! What `slated check` sees of the site: who it is, whether it lets the script read, and its clock.
//!
//! Two requests, both reads: `info`, and the newest event.

use std::time::{Duration, Instant};

use jiff::fmt::rfc2822;
use slated_site::{Client, Error};

use crate::error::CommandError;
use crate::out;
use crate::view::SiteLook;

/// How far a clock may be apart before it is worth a word: a second is lost on the way.
const APART: Duration = Duration::from_secs(5);

/// Asks the site.
pub(super) async fn look(client: &Client) -> SiteLook {
    let mut seen = SiteLook::default();
    if let Err(error) = ask(client, &mut seen).await {
        seen.error = Some(error.to_string());
        seen.hint = Some(error.hint().to_owned());
        seen.is_down = error.is_down();
    }
    seen
}

async fn ask(client: &Client, seen: &mut SiteLook) -> Result<(), Error> {
    let began = Instant::now();
    let info = client.info().await?;
    let here = jiff::Timestamp::now();
    seen.answers_in_ms = u64::try_from(began.elapsed().as_millis()).ok();
    seen.version = Some(info.version);
    seen.rows_a_page = info.max_page;
    // Seconds are all that HTTP says.
    let there = info.date.and_then(|date| rfc2822::parse(&date).ok());
    seen.clock_ahead_s = there.map(|there| there.timestamp().as_second() - here.as_second());
    let newest = client.newest().await?;
    seen.may_read = true;
    seen.newest = newest.map(|event| event.id);
    Ok(())
}

/// Says it in one line, or two.
pub(super) fn show(address: &str, seen: Option<&SiteLook>) {
    let Some(seen) = seen else {
        return out::line(format!("site           {address}, not asked"));
    };
    let mut words = vec![address.to_owned()];
    words.extend(
        seen.version
            .as_ref()
            .map(|version| format!("version {version}")),
    );
    words.extend(seen.answers_in_ms.map(|ms| format!("answers in {ms} ms")));
    if seen.may_read {
        words.push(match seen.newest {
            Some(id) => format!("the script may read events, the newest is {id}"),
            None => {
                "the script sees no events: an empty log, or no right to see EventLogEntry".into()
            }
        });
    }
    // It begins with whom it is about.
    let wrong = seen
        .error
        .as_ref()
        .map(|error| error.strip_prefix(address).unwrap_or(error));
    words.extend(wrong.map(|wrong| wrong.trim_start().to_owned()));
    out::line(format!("site           {}", words.join(", ")));
    if let Some(ahead) = seen
        .clock_ahead_s
        .filter(|s| s.unsigned_abs() > APART.as_secs())
    {
        let (s, which) = (
            ahead.unsigned_abs(),
            if ahead > 0 { "ahead of" } else { "behind" },
        );
        out::line(format!(
            "               its clock is {s} s {which} this machine's: slated does not go by it, people who compare logs do"
        ));
    }
}

/// An error where the site cannot be read.
pub(super) fn verdict(seen: Option<&SiteLook>) -> Result<(), CommandError> {
    let Some((seen, error)) = seen.and_then(|seen| Some((seen, seen.error.as_ref()?))) else {
        return Ok(());
    };
    let wait = "`run` waits for it; `--offline` does not ask it";
    let told = CommandError::site(error);
    let told = seen.hint.iter().fold(told, CommandError::hint);
    Err(if seen.is_down { told.hint(wait) } else { told })
}
