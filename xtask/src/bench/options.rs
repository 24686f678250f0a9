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
    Follow(Following),
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
    /// How many events are sent ahead to a plugin, if it is not the default.
    pub(super) window: Option<u32>,
    /// How long every request to the site takes at least.
    pub(super) latency_ms: u64,
    /// Where plugins start, as the configuration spells it.
    pub(super) new_plugins: &'static str,
    /// Whether callbacks note each event and the time.
    pub(super) journal: bool,
}

/// A daemon with nothing to do.
#[derive(Debug)]
pub(super) struct Idleness {
    pub(super) load: Load,
    pub(super) time: Duration,
}

/// A daemon that has caught up with a site where people work.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) load: Load,
    pub(super) time: Duration,
    /// Changes a second, each an event of its own.
    pub(super) rate: f64,
    /// Of a hundred changes, how many show late, and how many never.
    pub(super) late_percent: f64,
    pub(super) dead_percent: f64,
    /// Ids missing below the head when the daemon starts: so many that show half-way through the
    /// time, and as many that never do.
    pub(super) holes: u64,
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

/// What there is to measure.
const WHATS: &str = "`drain`, `follow`, `idle` and `start`";

impl Load {
    /// Returns what is measured if nothing else is said.
    fn of(what: &str) -> Self {
        let (events, plugins) = match what {
            "idle" => (1000, 3),
            "start" => (100, 20),
            "follow" => (1000, 1),
            _ => (50_000, 20),
        };
        let follow = what == "follow";
        Self {
            events,
            plugins,
            callback_ms: 0,
            wanted: match what {
                "start" => Wanted::Nothing,
                "follow" => Wanted::All,
                _ => Wanted::Kinds(KINDS.len()),
            },
            even: false,
            toml: what != "drain",
            order: None,
            window: None,
            latency_ms: if follow { 330 } else { 0 },
            new_plugins: if follow { "now" } else { "id:1" },
            journal: follow,
        }
    }

    pub(super) fn wants_nothing(&self) -> bool {
        self.plugins == 0 || self.wanted == Wanted::Nothing
    }
}

impl Following {
    fn check(&self) -> Result<()> {
        let percents = 0.0..=100.0;
        ensure!(self.load.plugins > 0, "`--plugins` must be at least 1");
        ensure!(
            self.rate > 0.0 && self.rate <= 1000.0,
            "`--rate` is up to 1000 changes a second"
        );
        ensure!(
            percents.contains(&self.late_percent) && percents.contains(&self.dead_percent),
            "`--late` and `--dead` are percents"
        );
        // They lie in four times as many ids, all of which a first start must look back on.
        ensure!(self.holes <= 1000, "`--holes` is at most 1000");
        Ok(())
    }
}

impl Options {
    /// Reads the command line after `bench`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let (what, rest) = words.split_first().with_context(|| {
            format!("`bench` wants one of {WHATS}; see `cargo xtask bench --help`")
        })?;
        let (idle, start, follow) = (*what == "idle", *what == "start", *what == "follow");
        ensure!(
            idle || start || follow || *what == "drain",
            "`bench` has no `{what}`; it has {WHATS}"
        );
        let mut load = Load::of(what);
        let mut time = Duration::from_secs(if follow { 60 } else { 30 });
        let (mut rate, mut late_percent, mut dead_percent, mut holes) = (10.0, 2.0, 1.0, 25);
        let (mut runs, mut json, mut binary) = (3, false, None);
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
                "--kinds" if !follow => load.wanted = kinds(value()?)?,
                "--even" if !follow => load.even = true,
                "--toml" if !follow => load.toml = true,
                "--order" => load.order = Some((*value()?).to_owned()),
                "--window" => load.window = Some(number(word, value()?)?),
                "--latency-ms" => load.latency_ms = number(word, value()?)?,
                "--seconds" if idle || follow => {
                    time = Duration::from_secs(number(word, value()?)?);
                }
                "--rate" if follow => rate = number(word, value()?)?,
                "--late" if follow => late_percent = number(word, value()?)?,
                "--dead" if follow => dead_percent = number(word, value()?)?,
                "--holes" if follow => holes = number(word, value()?)?,
                "--runs" => runs = number(word, value()?)?,
                "--json" => json = true,
                "--binary" => binary = Some(PathBuf::from(value()?)),
                other => bail!("`bench {what}` has no option `{other}`"),
            }
        }
        ensure!(runs > 0, "`--runs` must be at least 1");
        ensure!(load.events > 0, "`--events` must be at least 1");
        ensure!(!time.is_zero(), "`--seconds` must be at least 1");
        let kind = match *what {
            "idle" => Kind::Idle(Idleness { load, time }),
            "start" => Kind::Start(load),
            "follow" => Kind::Follow(Following {
                load,
                time,
                rate,
                late_percent,
                dead_percent,
                holes,
            }),
            _ => Kind::Drain(load),
        };
        if let Kind::Follow(following) = &kind {
            following.check()?;
        }
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
        let line = "follow --rate 0.5 --dead 0.2 --holes 7 --seconds 9 --window 1";
        let words: Vec<_> = line.split(' ').collect();
        let Kind::Follow(following) = Options::parse(&words).unwrap().kind else {
            panic!("no following");
        };
        assert_eq!((following.rate, following.dead_percent), (0.5, 0.2));
        assert_eq!((following.holes, following.time.as_secs()), (7, 9));
        let load = following.load;
        assert_eq!((load.window, load.latency_ms), (Some(1), 330));
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
            "drain --rate 3",
            "idle --seconds 0",
            "follow --rate 0",
            "follow --rate -1",
            "follow --late 101",
            "follow --dead NaN",
            "follow --holes 1001",
            "follow --plugins 0",
            "follow --kinds 3",
        ] {
            let words: Vec<_> = line.split_whitespace().collect();
            assert!(Options::parse(&words).is_err(), "{line}");
        }
    }
}
