//! The command line of `cargo xtask bench`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// What to measure, and how often.
#[derive(Debug)]
pub(crate) struct Options {
    pub(super) kind: Kind,
    pub(super) runs: usize,
    pub(super) json: bool,
    /// Measured instead of a fresh build.
    pub(super) binary: Option<PathBuf>,
}

/// What to measure.
#[derive(Debug)]
pub(super) enum Kind {
    Drain(Load),
    Idle(Idleness),
    /// Until all plugins run.
    Start(Load),
}

/// Events on the site, and plugins that want them.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) events: u64,
    pub(super) plugins: usize,
    pub(super) callback_ms: u64,
    pub(super) wanted: Wanted,
    /// Whether all event types are alike often, so that plugins share the work evenly.
    pub(super) even: bool,
    /// Whether the daemon is given a `slated.toml`, or the `.conf` of the Python daemon.
    pub(super) toml: bool,
    /// The order between plugins, if it is not the file's default.
    pub(super) order: Option<String>,
}

/// A daemon with nothing to do.
#[derive(Debug)]
pub(super) struct Idleness {
    pub(super) load: Load,
    pub(super) time: Duration,
}

/// Which events plugins want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Each plugin one event type, of so many in turn.
    Kinds(usize),
    /// Each plugin every event.
    All,
    /// No plugin any event.
    Nothing,
}

/// Event types of the simulator's aged events, the most frequent first.
pub(super) const KINDS: [&str; 8] = [
    "Shotgun_Task_Change",
    "Shotgun_Version_Change",
    "Shotgun_Version_New",
    "Shotgun_Shot_Change",
    "Shotgun_Note_New",
    "Shotgun_Asset_Change",
    "Shotgun_Reading_Change",
    "Shotgun_Task_New",
];

impl Load {
    pub(super) fn wants_nothing(&self) -> bool {
        self.plugins == 0 || self.wanted == Wanted::Nothing
    }
}

impl Options {
    /// Reads the command line after `bench`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let (what, rest) = words
            .split_first()
            .context("`bench` wants `drain`, `idle` or `start`; see `cargo xtask bench --help`")?;
        let (idle, start) = match *what {
            "drain" => (false, false),
            "idle" => (true, false),
            "start" => (false, true),
            other => bail!("`bench` has no `{other}`; it has `drain`, `idle` and `start`"),
        };
        let (events, plugins) = match (idle, start) {
            (true, _) => (1000, 3),
            (_, true) => (100, 20),
            _ => (50_000, 20),
        };
        let mut load = Load {
            events,
            plugins,
            callback_ms: 0,
            wanted: if start {
                Wanted::Nothing
            } else {
                Wanted::Kinds(KINDS.len())
            },
            even: false,
            toml: idle || start,
            order: None,
        };
        let mut options = (Duration::from_secs(30), 3, false, None);
        let (time, runs, json, binary) = (
            &mut options.0,
            &mut options.1,
            &mut options.2,
            &mut options.3,
        );
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("`{word}` wants a value"))
            };
            match *word {
                "--events" => load.events = number(word, value()?)?,
                "--plugins" => load.plugins = number(word, value()?)?,
                "--callback-ms" => load.callback_ms = number(word, value()?)?,
                "--kinds" => load.wanted = kinds(value()?)?,
                "--even" => load.even = true,
                "--toml" => load.toml = true,
                "--order" => load.order = Some((*value()?).to_owned()),
                "--seconds" if idle => *time = Duration::from_secs(number(word, value()?)?),
                "--runs" => *runs = number(word, value()?)?,
                "--json" => *json = true,
                "--binary" => *binary = Some(PathBuf::from(value()?)),
                other => bail!("`bench {what}` has no option `{other}`"),
            }
        }
        ensure!(*runs > 0, "`--runs` must be at least 1");
        ensure!(load.events > 0, "`--events` must be at least 1");
        ensure!(!time.is_zero(), "`--seconds` must be at least 1");
        let (time, runs, json, binary) = options;
        let kind = if idle {
            Kind::Idle(Idleness { load, time })
        } else if start {
            Kind::Start(load)
        } else {
            Kind::Drain(load)
        };
        Ok(Self {
            kind,
            runs,
            json,
            binary,
        })
    }
}

fn number<T: FromStr>(option: &str, text: &str) -> Result<T> {
    let number = text.parse().ok();
    number.with_context(|| format!("`{option}` wants a number, not `{text}`"))
}

fn kinds(text: &str) -> Result<Wanted> {
    match text {
        "all" => Ok(Wanted::All),
        "none" => Ok(Wanted::Nothing),
        _ => {
            let count: usize = number("--kinds", text)?;
            ensure!(
                (1..=KINDS.len()).contains(&count),
                "`--kinds` is 1 to {}, `all` or `none`",
                KINDS.len()
            );
            Ok(Wanted::Kinds(count))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_says_what_is_measured() {
        let line = "drain --events 10 --plugins 2 --kinds all --runs 1 --json";
        let words: Vec<_> = line.split(' ').collect();
        let options = Options::parse(&words).unwrap();
        let Kind::Drain(load) = options.kind else {
            panic!("not a drain");
        };
        assert_eq!((load.events, load.plugins), (10, 2));
        assert_eq!(load.wanted, Wanted::All);
        assert_eq!((options.runs, options.json), (1, true));
        let Kind::Start(load) = Options::parse(&["start"]).unwrap().kind else {
            panic!("not a start");
        };
        assert_eq!((load.plugins, load.wanted), (20, Wanted::Nothing));
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for line in [
            "",
            "sprint",
            "drain --kinds 9",
            "drain --kinds some",
            "drain --events",
            "drain --events 0",
            "drain --runs 0",
            "drain --seconds 3",
            "idle --seconds 0",
        ] {
            let words: Vec<_> = line.split_whitespace().collect();
            assert!(Options::parse(&words).is_err(), "{line}");
        }
    }
}
