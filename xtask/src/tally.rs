//! How many tests passed and failed, read from what the test runners write.
//!
//! Invariant: a part whose runner failed, or in which no test ran, has at least one failure,
//! whatever its output looks like. Reading too little can make a tally wrong, never green.

use std::fmt;
use std::ops::AddAssign;

use crate::command::Finished;

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// One thing that went well or did not.
    pub(crate) fn one(good: bool) -> Self {
        Self {
            passed: u64::from(good),
            failed: u64::from(!good),
        }
    }
    /// Tells whether nothing failed.
    pub(crate) const fn is_green(self) -> bool {
        self.failed == 0
    }
    /// Holds the invariant of this module.
    fn closed(self, success: bool) -> Self {
        let vacuous = self.passed == 0;
        Self {
            failed: if success && !vacuous {
                self.failed
            } else {
                self.failed.max(1)
            },
            ..self
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Reads the summary of cargo-nextest:
/// `Summary [ 1.2s] 9 tests run: 7 passed (1 slow), 1 failed, 1 timed out, 3 skipped`.
pub(crate) fn nextest(run: &Finished) -> Tally {
    let mut tally = Tally::default();
    let summary = run
        .said
        .lines()
        .rev()
        .find(|line| line.trim_start().starts_with("Summary ["));
    let counts = summary
        .and_then(|line| line.split_once(" run: "))
        .map_or("", |(_, rest)| rest);
    for (count, what) in counted(&without_brackets(counts)) {
        match what {
            "passed" => tally.passed += count,
            "skipped" => {}
            // Failed, timed out, failed to start: whatever else a test can come to.
            _ => tally.failed += count,
        }
    }
    tally.closed(run.success)
}

/// Adds up the lines of cargo test, one for each test program:
/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0s`.
pub(crate) fn cargo_test(run: &Finished) -> Tally {
    let mut tally = Tally::default();
    let results = run
        .said
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("test result: "));
    for result in results {
        for (count, what) in counted(result.split_once(". ").map_or("", |(_, rest)| rest)) {
            match what {
                "passed" => tally.passed += count,
                "failed" => tally.failed += count,
                _ => {}
            }
        }
    }
    tally.closed(run.success)
}

/// Reads the two lines with which Python's unittest ends: `Ran 9 tests in 0.1s` and
/// `FAILED (failures=1, errors=2, skipped=3)`.
pub(crate) fn unittest(run: &Finished) -> Tally {
    let ran = run.said.lines().rev().find_map(|line| {
        let count = line.strip_prefix("Ran ")?.split(' ').next()?;
        count.parse::<u64>().ok()
    });
    let verdict = run
        .said
        .lines()
        .rev()
        .find(|line| line.starts_with("FAILED (") || line.starts_with("OK"))
        .unwrap_or_default();
    let count_of = |name: &str| {
        verdict
            .split(['(', ')', ','])
            .filter_map(|part| part.trim().split_once('='))
            .filter(|(key, _)| *key == name)
            .filter_map(|(_, value)| value.parse::<u64>().ok())
            .sum::<u64>()
    };
    let failed = count_of("failures") + count_of("errors") + count_of("unexpected successes");
    let passed = ran
        .unwrap_or(0)
        .saturating_sub(failed + count_of("skipped"));
    Tally { passed, failed }.closed(run.success)
}

/// Splits `3 passed, 1 timed out; 2 skipped` into counts and what they count.
fn counted(text: &str) -> Vec<(u64, &str)> {
    text.split([',', ';'])
        .filter_map(|part| part.trim().split_once(' '))
        .filter_map(|(count, what)| Some((count.parse().ok()?, what.trim())))
        .collect()
}

/// Takes `(1 slow, 2 leaky)` out of a text.
fn without_brackets(text: &str) -> String {
    let mut depth = 0_u32;
    text.chars()
        .filter(|c| {
            depth += u32::from(*c == '(');
            let keep = depth == 0;
            depth = depth.saturating_sub(u32::from(*c == ')'));
            keep
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: fn(&Finished) -> Tally, success: bool, said: &str, wanted: (u64, u64)) {
        let run = Finished {
            success,
            said: said.into(),
        };
        let tally = read(&run);
        assert_eq!((tally.passed, tally.failed), wanted, "{said}");
    }

    #[test]
    fn nextest_summaries_are_read() {
        check(
            nextest,
            true,
            "     Summary [   0.1s] 5 tests run: 5 passed, 0 skipped",
            (5, 0),
        );
        check(
            nextest,
            true,
            "Summary [   9.1s] 1 test run: 1 passed, 3 skipped\n",
            (1, 0),
        );
        check(
            nextest,
            false,
            "  FAIL x\n Summary [ 1s] 9/12 tests run: 5 passed (1 slow, 2 leaky), 2 failed, 1 timed out, 1 exec failed, 3 skipped\n FAIL x",
            (5, 4),
        );
    }

    #[test]
    fn all_programs_of_cargo_test_are_added() {
        let said = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                    test a ... FAILED\n\
                    test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        check(cargo_test, false, said, (4, 2));
    }

    #[test]
    fn unittest_endings_are_read() {
        check(
            unittest,
            true,
            "Ran 9 tests in 0.1s\n\nOK (skipped=2, expected failures=1)",
            (7, 0),
        );
        check(
            unittest,
            false,
            "Ran 9 tests in 0.1s\n\nFAILED (failures=1, errors=2, unexpected successes=1)",
            (5, 4),
        );
    }

    #[test]
    fn nothing_run_is_a_failure() {
        for read in [nextest, cargo_test, unittest] {
            check(read, true, "", (0, 1));
        }
        check(
            nextest,
            true,
            "Summary [0s] 0 tests run: 0 passed, 7 skipped",
            (0, 1),
        );
        check(
            cargo_test,
            true,
            "test result: ok. 0 passed; 0 failed; 3 ignored",
            (0, 1),
        );
        check(
            unittest,
            true,
            "Ran 3 tests in 0s\n\nOK (skipped=3)",
            (0, 1),
        );
    }

    #[test]
    fn a_runner_that_failed_is_a_failure() {
        check(
            nextest,
            false,
            "Summary [0s] 2 tests run: 2 passed, 0 skipped",
            (2, 1),
        );
        check(cargo_test, false, "error[E0432]: unresolved import", (0, 1));
        check(unittest, false, "Segmentation fault", (0, 1));
    }
}
