//! The history checker: what the site showed, held against what callbacks did.
//!
//! Every test that runs a daemon is judged here, by one rule for all (promises P1 to P5).
//! The checker is a pure function over a [`History`]; it knows nothing of the daemon's
//! inside and trusts no clock for a verdict: order and cause are read from the order of
//! lines in one append-only [journal](Line), to which plugins write when a body starts and
//! ends, and the test when it kills something. Clocks only say how late things were.
//!
//! Words: a *unit* is one event for one callback that wants it. A *body* is one run of a
//! callback. A *life* is the time of one daemon process.
//!
//! ```
//! use slated_model::{CallbackId, EventId, Matcher, PluginId};
//! use slated_testkit::history::{FaultKind, History, Lane, Line, Shown, Start, judge};
//!
//! let plugin = PluginId::new("plugins", "notes");
//! let callback = CallbackId::new("f", 1);
//! let history = History {
//!     shown: vec![Shown::new(7, 1_000, "Shotgun_Note_New"), Shown::new(8, 1_000, "Shotgun_Note_New")],
//!     lanes: vec![Lane::new(plugin.clone()).wants(callback.clone(), Matcher::everything())],
//!     journal: vec![
//!         Line::load(&plugin, "run-1", 41),
//!         Line::start(&plugin, "run-1", 1, &callback, 7, 1_004),
//!         Line::end("run-1", 1, true, 1_005),
//!     ],
//!     ..History::default()
//! };
//! let verdict = judge(&history);
//! assert_eq!(verdict.count(FaultKind::Lost), 1);
//! assert!(verdict.kept(1).is_err());
//! ```

mod bodies;
mod input;
mod judge;
mod repeats;
#[cfg(test)]
mod tests;
mod verdict;

pub use input::{History, Lane, Line, Record, Recorded, Shown, Start, parse_journal};
pub use judge::judge;
pub use verdict::{Delay, Fault, FaultKind, Repeats, Verdict};
