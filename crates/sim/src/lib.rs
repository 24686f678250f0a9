//! A local Flow Production Tracking site: the simulator of slated.
//!
//! The official Python client talks to it unchanged. It holds a schema, entities and an
//! event log; every write makes the event rows a real site makes; and it scripts what real
//! sites do to those who follow them: ids that appear late, out of order or never, outages,
//! broken pages, restores.
//!
//! A library first. A test makes a [`Site`], writes to it directly, and starts a [`Server`]
//! only if somebody has to reach it over HTTP:
//!
//! ```
//! use serde_json::json;
//! use slated_sim::{Site, SiteOptions};
//!
//! let site = Site::new(SiteOptions::default());
//! let shot = site.create("Shot", json!({"code": "SH900"}), "slated")?;
//! let rows = site.find("EventLogEntry", &json!([["event_type", "is", "Shotgun_Shot_New"]]), &["entity"])?;
//! assert_eq!(rows[0]["entity"], json!({"type": "Shot", "id": shot, "name": "SH900"}));
//! # Ok::<(), slated_sim::Refusal>(())
//! ```
//!
//! Inside: [`Site`] is a handle on a lock; behind it plain state without I/O. Time comes
//! from a [`Clock`], chance from the seed. Not here: REST, webhooks, permissions per user.

mod access;
mod clock;
mod commit;
mod data;
mod faults;
mod link;
mod log;
mod read;
mod refusal;
mod rpc;
mod schema;
mod seed;
mod server;
mod site;
mod state;
mod value;
mod view;
mod write;

pub use clock::{Clock, Moment, Stamp};
pub use commit::{CommitPolicy, Fate, Rule, When};
pub use faults::{Corruption, Effect, Fault, On};
pub use log::EventRow;
pub use refusal::Refusal;
pub use seed::{Mix, SCRIPTS};
pub use server::{Command, Server, ServerError};
pub use site::{OpenTransaction, Site, SiteOptions};
pub use state::{HistoryRow, Snapshot, Stats};
