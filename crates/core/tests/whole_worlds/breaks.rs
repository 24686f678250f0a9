//! The judge notices what is wrong: worlds in which one rule is broken.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::draw;
use crate::judge::Kind;
use crate::world::Break;

/// Plays worlds until one is found wrong in one of these ways; a few may be as they should.
fn notices(breaks: Break, kinds: &[Kind]) {
    let seen = (1..200).any(|seed| {
        let mut world = draw::world(seed, Some(breaks));
        // What is broken enough ends it early.
        let played = catch_unwind(AssertUnwindSafe(|| world.play()));
        let faults = &world.judge.faults;
        drop(played);
        faults.iter().any(|(kind, _)| kinds.contains(kind))
    });
    assert!(seen, "{breaks:?} was not noticed");
}

#[test]
fn an_outcome_that_is_not_written() {
    notices(Break::DropOutcome, &[Kind::Lost, Kind::Repeated]);
}
#[test]
fn a_row_too_many_that_is_let_go() {
    notices(Break::PruneTooMuch, &[Kind::Pruned]);
}
#[test]
fn rows_that_nobody_lets_go() {
    notices(Break::NeverPrune, &[Kind::Kept]);
}
#[test]
fn a_hole_that_a_start_forgets() {
    notices(Break::ForgetHole, &[Kind::Lost]);
}
#[test]
fn going_on_before_the_disk_has_it() {
    notices(Break::AckTooEarly, &[Kind::TooMany]);
}
#[test]
fn a_cursor_that_is_durable_without_its_outcomes() {
    notices(Break::CursorAlone, &[Kind::Lost]);
}
#[test]
fn an_answer_to_a_call_that_was_not_made() {
    notices(Break::SkipCall, &[Kind::Untrue]);
}
#[test]
fn a_row_that_is_in_the_log_twice() {
    notices(Break::AppendTwice, &[Kind::Repeated]);
}
#[test]
fn attempts_that_a_start_forgets() {
    notices(Break::ForgetAttempts, &[Kind::Lost, Kind::TooMany]);
}
#[test]
fn outcomes_ahead_that_a_start_forgets() {
    notices(Break::ForgetOutcomes, &[Kind::Repeated]);
}
#[test]
fn a_process_that_calls_the_newest_first() {
    notices(Break::CallNewestFirst, &[Kind::OutOfOrder]);
}
#[test]
fn failures_that_nobody_writes_down() {
    notices(Break::LogNothing, &[Kind::Lost, Kind::TooMany]);
}
