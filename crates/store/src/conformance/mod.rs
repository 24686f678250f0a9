//! What every backend must do, as a suite that any of them can be put through.
//!
//! A backend shows where its states live by [`Place`]; [`run`] asks for a new one for each
//! check. A check answers with [`Broken`] instead of panicking, so that the suite can also
//! be turned on a store in the field, and tests can show that it finds what it should.

mod lanes;
mod life;
mod log;
mod retention;
mod sample;
mod void;

use std::fmt::Debug;

use futures_util::future::BoxFuture;

use crate::{Result, Store};

/// Where one state lives. Nothing stands there when it is handed to a check.
pub trait Place: Send + Sync {
    /// Opens the state for writing. Earlier openings were dropped, and dropping one ends it.
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Store>>>;
    /// Opens the state for writing while another opening lives and takes itself for the
    /// only one, as after a lock that failed.
    fn seize(&self) -> BoxFuture<'_, Result<Box<dyn Store>>>;
}

/// What a backend does not do as it must.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{check}: {what}")]
pub struct Broken {
    /// The check that found it.
    pub check: &'static str,
    /// What was seen.
    pub what: String,
}

/// Puts a backend through every check, each at a new place; returns how many there are.
///
/// # Errors
///
/// The first check that found something.
pub async fn run<P: Place>(new: impl Fn() -> P) -> std::result::Result<usize, Broken> {
    for (check, body) in CHECKS {
        let place = new();
        body(&place).await.map_err(|what| Broken { check, what })?;
    }
    Ok(CHECKS.len())
}

/// What a check says: nothing, or what it saw.
type Verdict = std::result::Result<(), String>;
type Check = fn(&dyn Place) -> BoxFuture<'_, Verdict>;

/// Every check by name.
const CHECKS: &[(&str, Check)] = &[
    ("a new state is empty", |p| Box::pin(life::empty(p))),
    ("a state reads back after it was closed", |p| {
        Box::pin(life::reopened(p))
    }),
    ("a second opening ends the first one's writes", |p| {
        Box::pin(life::fenced(p))
    }),
    ("a state belongs to one site", |p| Box::pin(life::bound(p))),
    ("a dropped future writes all or nothing", |p| {
        Box::pin(life::dropped(p))
    }),
    ("many writers at once are all served", |p| {
        Box::pin(life::crowd(p))
    }),
    ("the log keeps arrival order and text", |p| {
        Box::pin(log::order(p))
    }),
    ("rows are found by their ids, in the order of ids", |p| {
        Box::pin(log::between(p))
    }),
    ("the highest id up to an offset is found", |p| {
        Box::pin(log::highest(p))
    }),
    ("an event enters the log once", |p| {
        Box::pin(log::duplicate(p))
    }),
    ("an unreadable row keeps its text", |p| {
        Box::pin(log::unreadable(p))
    }),
    ("the ledger follows its changes", |p| {
        Box::pin(log::ledger(p))
    }),
    ("a big look is one transaction", |p| Box::pin(log::big(p))),
    ("numbers at the edge are kept or refused", |p| {
        Box::pin(log::edges(p))
    }),
    ("the first outcome stands", |p| {
        Box::pin(lanes::first_stands(p))
    }),
    ("an outcome ends its attempt", |p| {
        Box::pin(lanes::attempts(p))
    }),
    ("a cursor never goes back", |p| Box::pin(lanes::cursor(p))),
    ("a lane keeps what it was told", |p| {
        Box::pin(lanes::lanes(p))
    }),
    ("outcomes after the cursor are found", |p| {
        Box::pin(lanes::ahead(p))
    }),
    ("the newest outcomes come first", |p| {
        Box::pin(lanes::latest(p))
    }),
    ("dead letters are told from other outcomes", |p| {
        Box::pin(lanes::dead_letters(p))
    }),
    ("a person's wish changes dead letters alone", |p| {
        Box::pin(lanes::wishes(p))
    }),
    ("a moved plugin's dead letters go along", |p| {
        Box::pin(lanes::letters_moved(p))
    }),
    ("a lane goes back where a person wishes it", |p| {
        Box::pin(lanes::rewound(p))
    }),
    ("a state knows whether slated runs on it", |p| {
        Box::pin(life::running(p))
    }),
    ("retention leaves what is needed", |p| {
        Box::pin(retention::needs(p))
    }),
    ("retention goes by age, and by a look at a time", |p| {
        Box::pin(retention::age(p))
    }),
    ("dead letters grow old while somebody watches", |p| {
        Box::pin(retention::old_letters(p))
    }),
    ("what is on record of rows that went is swept", |p| {
        Box::pin(retention::sweeps(p))
    }),
    ("too many dead letters are discarded", |p| {
        Box::pin(retention::letters(p))
    }),
    (
        "void rows free their ids, and what is on record of them",
        |p| Box::pin(void::frees(p)),
    ),
    ("void rows keep their offsets", |p| {
        Box::pin(void::offsets(p))
    }),
    ("a site may move", |p| Box::pin(void::moved(p))),
    ("workers are remembered until they are gone", |p| {
        Box::pin(lanes::workers(p))
    }),
    ("a refused change leaves nothing", |p| {
        Box::pin(lanes::refused(p))
    }),
];

/// Turns an error of the store into what a check says.
trait Fine<T> {
    fn fine(self, doing: &str) -> std::result::Result<T, String>;
}

impl<T> Fine<T> for Result<T> {
    fn fine(self, doing: &str) -> std::result::Result<T, String> {
        self.map_err(|err| format!("{doing}: {err}"))
    }
}

/// Says what was seen unless it is what was wanted.
fn same<T: PartialEq + Debug>(what: &str, seen: &T, wanted: &T) -> Verdict {
    if seen == wanted {
        return Ok(());
    }
    Err(format!("{what}: {seen:?} instead of {wanted:?}"))
}

/// Says `what` unless it holds.
fn holds(what: &str, it: bool) -> Verdict {
    if it { Ok(()) } else { Err(what.to_owned()) }
}
