//! The scenarios that break the Python daemon, by their numbers in the table of the
//! delivery promises, as far as processes, files and people take part in them.
//!
//! Those that are about ids and time stand in `core/tests/whole_worlds/rows.rs`, where a
//! day takes a second. A row that holds for both kinds of configuration is told twice.
//! Rows that another story tells anyway have their number in its name.

mod failures;
mod files;
mod state;
mod values;

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use slated_sim::{OpenTransaction, Site};
use slated_testkit::Builder;
use slated_testkit::plugins::{Callback, Plugin};

use crate::{WANTED, world};

/// The kinds of configuration a row holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Toml,
    Conf,
}

impl Kind {
    /// Begins a world of this kind, with a plugin that is always well.
    fn world(self) -> Builder {
        match self {
            Self::Toml => world(),
            Self::Conf => world().conf(|_| {}),
        }
    }
}

/// A callback that is no trivial one: nothing is sent ahead to it.
fn callback(name: &str) -> Callback {
    Callback::new(name)
        .wants(WANTED)
        .wants("Shotgun_Shot_New")
        .sleeps(Duration::from_millis(5))
}

/// A plugin with one such callback.
fn plugin_of(name: &str, callback: Callback) -> Plugin {
    Plugin::journal(name).callback(callback)
}

/// Writes to the site in a transaction that stays open; returns its first event, which a
/// [`callback`] wants.
fn happen_unseen(site: &Site) -> Result<(u64, OpenTransaction)> {
    let late = site.next_event_id();
    let open = site.begin("slated");
    let made = open.create("Shot", json!({"code": format!("SH{late}")}));
    made.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    Ok((late, open))
}

/// Commits an open transaction.
fn commit(open: OpenTransaction) -> Result<()> {
    let committed = open.commit();
    committed.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    Ok(())
}
