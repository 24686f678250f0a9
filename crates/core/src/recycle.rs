//! Recycling: when a process that runs well is to make room for a new one of the same content.
//!
//! After so many calls, or when it has grown close to its memory limit: a plugin that leaks gets a
//! fresh process between two events instead of a failure within one. How the new one takes over is
//! [`life`](crate::life)'s business.
//!
//! Invariant: a process that was as large when it was ready is not replaced for its size: the next
//! one would be no smaller.

use crate::dice::Dice;
use crate::life::Generation;

/// The share of its memory limit, in percent, beyond which a process is replaced.
const LARGE: u64 = 80;

/// When processes of a plugin are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// After so many calls at most; 0: for no number of calls.
    pub calls: u64,
    /// How many bytes a process may use.
    pub memory: Option<u64>,
}

/// Why a process is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has run so many calls.
    Calls(u64),
    /// It has grown.
    Memory {
        /// The bytes it holds.
        resident: u64,
        /// The bytes it may use.
        limit: u64,
    },
}

/// Counts what the process of one plugin has done.
#[derive(Debug)]
pub struct Recycle {
    rule: Rule,
    dice: Dice,
    /// The process that is counted for.
    generation: Generation,
    /// Its calls so far.
    calls: u64,
    /// After how many it is to be replaced.
    due: Option<u64>,
    /// Whether it was small enough when it was ready.
    was_small: bool,
    /// Its size as last seen.
    resident: Option<u64>,
}

impl Recycle {
    /// Counts for a plugin of which no process runs yet.
    pub const fn new(rule: Rule, seed: u64) -> Self {
        Self {
            rule,
            dice: Dice::new(seed),
            generation: 0,
            calls: 0,
            due: None,
            was_small: false,
            resident: None,
        }
    }

    /// Goes by another rule, for the number of calls from the next process on.
    pub const fn set_rule(&mut self, rule: Rule) {
        self.rule = rule;
    }

    /// Counts for another process from now on, of `resident` bytes when it was ready.
    pub fn begin(&mut self, generation: Generation, resident: Option<u64>) {
        // Up to a fifth earlier, so that plugins that began together do not end together.
        let spread = self.rule.calls / 5 + 1;
        let early = self.dice.roll() % spread;
        self.due = (self.rule.calls > 0).then(|| self.rule.calls - early);
        self.generation = generation;
        self.calls = 0;
        self.resident = resident;
        self.was_small = resident.is_some_and(|bytes| !self.is_large(bytes));
    }

    /// Notes that a call of this process has ended.
    pub const fn called(&mut self, generation: Generation) {
        if self.generation == generation {
            self.calls += 1;
        }
    }

    /// Takes the size of a process between two events; says why it is to be replaced, if it is.
    pub fn rests(&mut self, generation: Generation, resident: Option<u64>) -> Option<Why> {
        if self.generation != generation {
            return None;
        }
        self.resident = resident.or(self.resident);
        if self.due.is_some_and(|due| self.calls >= due) {
            return Some(Why::Calls(self.calls));
        }
        let (resident, limit) = (resident?, self.rule.memory?);
        (self.was_small && self.is_large(resident)).then_some(Why::Memory { resident, limit })
    }

    /// Returns how many calls the process has run.
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Returns how many bytes the process held when that was last looked at.
    pub const fn resident(&self) -> Option<u64> {
        self.resident
    }

    fn is_large(&self, resident: u64) -> bool {
        let limit = self.rule.memory.unwrap_or(u64::MAX);
        resident > limit / 100 * LARGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recycle(calls: u64, memory: Option<u64>, seed: u64) -> Recycle {
        Recycle::new(Rule { calls, memory }, seed)
    }

    /// After how many calls the first process is to be replaced, of 10,000.
    fn lasts(calls: u64, seed: u64) -> Option<u64> {
        let mut r = recycle(calls, None, seed);
        r.begin(1, None);
        (0..10_000).find_map(|_| {
            r.called(1);
            match r.rests(1, None) {
                Some(Why::Calls(calls)) => Some(calls),
                _ => None,
            }
        })
    }

    #[test]
    fn it_lasts_as_many_calls_as_are_wished_or_up_to_a_fifth_fewer() {
        for (calls, from) in [(1, 1), (2, 2), (5, 4), (10, 8), (1000, 800)] {
            let all: Vec<_> = (0..200).map(|seed| lasts(calls, seed).unwrap()).collect();
            let (least, most) = (*all.iter().min().unwrap(), *all.iter().max().unwrap());
            assert!(least >= from && most <= calls, "{calls}: {least} to {most}");
            assert!(calls < 5 || least < most, "{calls}: all {least}");
        }
        assert_eq!(lasts(0, 1), None);
    }

    #[test]
    fn one_that_grew_is_replaced_and_one_that_was_born_large_is_not() {
        for (memory, born, now, wanted) in [
            (Some(1000), Some(100), 800, false),
            (Some(1000), Some(100), 801, true),
            (Some(1000), Some(801), 999, false),
            (Some(1000), None, 999, false),
            (None, Some(100), u64::MAX, false),
        ] {
            let mut r = recycle(0, memory, 1);
            r.begin(1, born);
            r.called(1);
            let why = r.rests(1, Some(now));
            let name = format!("{memory:?} {born:?} {now}");
            assert_eq!(why.is_some(), wanted, "{name}");
            if wanted {
                let (resident, limit) = (now, 1000);
                assert_eq!(why, Some(Why::Memory { resident, limit }), "{name}");
            }
            assert_eq!((r.calls(), r.resident()), (1, Some(now)), "{name}");
        }
    }

    #[test]
    fn each_process_is_counted_for_itself() {
        let mut r = recycle(2, Some(1000), 1);
        r.begin(1, Some(10));
        r.called(1);
        r.called(1);
        assert_eq!(r.rests(1, Some(900)), Some(Why::Calls(2)));
        // It is asked again until another takes over.
        assert_eq!(r.rests(1, None), Some(Why::Calls(2)));
        r.begin(2, Some(10));
        r.called(1);
        assert_eq!((r.rests(1, Some(900)), r.calls()), (None, 0));
        r.called(2);
        assert_eq!(r.rests(2, Some(20)), None);
    }
}
