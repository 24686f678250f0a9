//! `cargo xtask`: what developers and the integration machine run.
//!
//! Nothing here is part of the product. Every subcommand works from any folder of the
//! workspace and needs cargo and Python 3, nothing more; tools that would help and are
//! missing are named, not required.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool talks to its terminal"
)]

mod bench;
mod ci;
mod command;
mod house;
mod lint;
mod named;
mod python;
mod simulate;
mod tally;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask <COMMAND>

Commands:
  test      run every test; ends with the line `N passed, N failed`
  lint      check format, lints, documentation, house rules and licences
  ci        lint, demo and test, as the integration machine does
  bench     measure a whole daemon
  simulate  play simulated worlds around the decisions, each from a seed
  python    prepare the tests' Python interpreter and print its path
  help      print this text, or that of a command
";

const TEST_HELP: &str = "\
cargo xtask test [--rust | --python] [--cargo-test]

Runs every test of the workspace: Rust tests, documentation examples, and the worker's own
tests on each Python from 3.7 up that this machine has. Prepares a Python that imports
shotgun_api3 and aiosmtpd: SLATED_TEST_PYTHON if it is set, else python3 or python on PATH, else a
private environment under the target folder. Exits with 1 when a test failed or a part ran none.

Options:
  --rust         only the Rust side
  --python       only the Python side
  --cargo-test   use `cargo test` although cargo-nextest is installed
";

const LINT_HELP: &str = "\
cargo xtask lint

Checks, and goes through all of them before it fails: rustfmt, clippy and rustdoc without a
warning; the rules for files (xtask/src/tidy.rs) and for arrows between crates
(xtask/src/house.rs); the number of dependencies; their licences, if cargo-deny is installed.
";

const CI_HELP: &str = "\
cargo xtask ci

Runs `lint`, the demo once as a user would (release build), and `test`. Every step runs,
whatever became of those before it. With CI=true a missing cargo-deny is installed for the
licence check. Ends with the line `N passed, N failed`, where each step beside the tests
counts as one.
";

const BENCH_HELP: &str = "\
cargo xtask bench drain [--events N] [--plugins N] [--kinds N|all|none] [--callback-ms N]
                        [--even] [--order ORDER] [--toml] [--window N] [--latency-ms N]
cargo xtask bench follow [--rate N] [--seconds N] [--late PERCENT] [--dead PERCENT] [--holes N]
                         [--plugins N] [--latency-ms N]
cargo xtask bench idle [--seconds N] [--plugins N] [--events N]
cargo xtask bench start [--plugins N]

Builds a release, starts a simulated site with aged events and a daemon with plugins, each in
its own process, and measures them from outside (Linux). `drain`: from the start of the daemon's
process to the last durable outcome. `idle`: what a daemon costs that has caught up. `start`:
until all plugins run, and what their processes cost and hold by then; with SLATED_PRELOAD=0
each Python starts by itself. `follow`: people change things at a steady rate, some changes show
late and some never; the seconds from visible to callback, of events that show at once and of late
ones, and requests a tick of 2 s. It fails when an event is lost or runs twice.

Options:
  --events N        events on the site (50000; idle, follow: 1000; start: 100)
  --plugins N       plugins, each a process (20; idle: 3; follow: 1)
  --kinds N         each plugin wants one event type, of N (8) in turn; `all`: every event;
                    `none`: nothing
  --even            all event types alike often; else as on an ordinary day, where two of five
                    events are changes of tasks
  --callback-ms N   how long a callback sleeps (0)
  --order ORDER     independent, pipelined or serial (the default of the file)
  --window N        how many events are sent ahead to a plugin; 1: one by one (the default of slated)
  --latency-ms N    how long every request to the site takes at least (0; follow: 330)
  --rate N          changes a second, each one event (10)
  --late PERCENT    of the changes, these show 10 to 40 s late (2)
  --dead PERCENT    of the changes, these never show: their ids stay dead (1)
  --holes N         so many ids below the head are missing at the start and show half-way, and as
                    many never do (25); more than 100 fresh ones are more than a request asks for
  --toml            configure with a slated.toml, not with the Python daemon's .conf
  --seconds N       how long an idle daemon is watched (30), or people work (60)
  --runs N          how often; the median of each figure is shown beside the runs (3)
  --binary PATH     measure this slated instead of building one
  --json            one object on stdout: `median` and `runs`

State is written to a folder under TMPDIR; what is measured is also that disk's sync.
";

const SIMULATE_HELP: &str = "\
cargo xtask simulate [--seeds N | --minutes N] [--from N]
cargo xtask simulate --seed N

Plays whole worlds in an optimised build: a site, the follower, the log, plugins, people and
retention on one virtual clock, and a daemon that is killed at any step. Everything in a world
follows from its seed. A judge says what was lost, repeated or out of order; seeds that fail are
printed, and the command exits with 1. Without options it plays for a minute.

Options:
  --seeds N     play so many worlds
  --minutes N   play for so long
  --from N      begin with this seed (1)
  --seed N      play this one, and tell every event of it in a line: seconds, what happened
";

const PYTHON_HELP: &str = "\
cargo xtask python

Prints the path of the interpreter that tests use, after preparing it. To run one test by hand:
  SLATED_TEST_PYTHON=$(cargo xtask python) cargo test -p slated-host
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs one subcommand and tells whether all was well.
fn run(args: &[String]) -> Result<bool> {
    let mut words = args.iter().map(String::as_str);
    let command = words.next().unwrap_or("help");
    let rest: Vec<&str> = words.collect();
    if rest.iter().any(|word| matches!(*word, "-h" | "--help")) {
        print!("{}", help(command));
        return Ok(true);
    }
    match command {
        "test" => test::run(test::Options::parse(&rest)?),
        "bench" => bench::run(&bench::Options::parse(&rest)?),
        "simulate" => simulate::run(simulate::Options::parse(&rest)?),
        "help" | "-h" | "--help" => {
            print!("{}", help(rest.first().copied().unwrap_or_default()));
            Ok(true)
        }
        "lint" | "ci" | "python" if !rest.is_empty() => {
            bail!("`{command}` takes no arguments\n\n{}", help(command))
        }
        "lint" => lint::run(),
        "ci" => ci::run(),
        "python" => {
            println!("{}", python::prepare()?.display());
            Ok(true)
        }
        other => bail!("there is no command `{other}`\n\n{HELP}"),
    }
}

fn help(command: &str) -> &'static str {
    match command {
        "test" => TEST_HELP,
        "lint" => LINT_HELP,
        "ci" => CI_HELP,
        "bench" => BENCH_HELP,
        "simulate" => SIMULATE_HELP,
        "python" => PYTHON_HELP,
        _ => HELP,
    }
}
