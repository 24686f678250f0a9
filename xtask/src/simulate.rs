//! `cargo xtask simulate`: whole worlds around `core`, each from a seed; or one of them, told.
//!
//! The worlds are a test target of `core` (`crates/core/tests/whole_worlds`), which takes its orders
//! from the environment; this builds it optimised and hands them over.

use anyhow::{Context as _, Result, bail};

use crate::command::{cargo, succeeds};

/// The test that plays drawn worlds.
const TEST: &str = "runs::drawn_worlds_lose_and_repeat_nothing";

/// Which worlds to play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    seed: Option<u64>,
    seeds: Option<u64>,
    minutes: Option<u64>,
    from: Option<u64>,
}

impl Options {
    /// Reads the command line after `simulate`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let place = match *word {
                "--seed" => &mut options.seed,
                "--seeds" => &mut options.seeds,
                "--minutes" => &mut options.minutes,
                "--from" => &mut options.from,
                other => {
                    bail!("`simulate` has no option `{other}`; see `cargo xtask simulate --help`")
                }
            };
            let number = words.next().and_then(|text| text.parse().ok());
            *place = Some(number.with_context(|| format!("{word} needs a number"))?);
        }
        let many = options.seeds.or(options.minutes).or(options.from);
        if options.seed.is_some() && many.is_some() {
            bail!("--seed plays one world; --seeds, --minutes and --from are for many");
        }
        Ok(options)
    }

    /// Returns what the test is told, by the names that it knows.
    fn variables(self) -> Vec<(&'static str, u64)> {
        // As many as a minute allows, unless somebody says how many.
        let minutes = self.minutes.or_else(|| self.seeds.is_none().then_some(1));
        let all = [
            ("SLATED_SEED", self.seed),
            ("SLATED_SEEDS", self.seeds),
            ("SLATED_MINUTES", minutes),
            ("SLATED_FROM", self.from),
        ];
        let set = all.into_iter().filter_map(|(name, n)| Some((name, n?)));
        set.collect()
    }
}

/// Plays the worlds, and tells whether all was well in them.
pub(crate) fn run(options: Options) -> Result<bool> {
    let build = ["test", "--release", "--locked", "-p", "slated-core"];
    let mut command = cargo(build);
    command.args([
        "--test",
        "whole_worlds",
        "--",
        "--exact",
        TEST,
        "--nocapture",
    ]);
    for (name, number) in options.variables() {
        command.env(name, number.to_string());
    }
    succeeds(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_says_which_worlds() {
        for (line, wanted) in [
            ("", vec![("SLATED_MINUTES", 1)]),
            ("--seed 7", vec![("SLATED_SEED", 7), ("SLATED_MINUTES", 1)]),
            (
                "--seeds 9 --from 3",
                vec![("SLATED_SEEDS", 9), ("SLATED_FROM", 3)],
            ),
            ("--minutes 15", vec![("SLATED_MINUTES", 15)]),
        ] {
            let words: Vec<_> = line.split_whitespace().collect();
            let options = Options::parse(&words).unwrap();
            assert_eq!(options.variables(), wanted, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_played_is_refused() {
        for line in ["--seed", "--seed x", "--seed 1 --seeds 2", "7"] {
            let words: Vec<_> = line.split_whitespace().collect();
            assert!(Options::parse(&words).is_err(), "{line}");
        }
    }
}
