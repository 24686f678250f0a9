//! Worlds for tests of slated: a site, a daemon, plugins, and a judge.
//!
//! * [`World`]: a simulated site and the real daemon, started, killed and asked.
//! * [`plugins`]: plugin files that journal what they do, and misbehave by rule.
//! * [`history`]: the judge. What the site showed, held against what callbacks journalled.
//! * [`python`]: the interpreter that runs plugins.
//!
//! A whole test, as it stands in `crates/slated/tests`, where the binary is
//! `env!("CARGO_BIN_EXE_slated")`:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use slated_sim::{CommitPolicy, Fate};
//! use slated_testkit::World;
//! use slated_testkit::plugins::{Callback, Plugin};
//!
//! # async fn story(binary: &str) -> anyhow::Result<()> {
//! // A plugin that takes its time, and one so quick that events are sent ahead to it.
//! let slow = Callback::new("f").wants("Shotgun_Note_New").sleeps(Duration::from_millis(10));
//! let mut world = World::builder(binary)
//!     .plugin(Plugin::journal("slow").callback(slow))
//!     .plugin(Plugin::journal("quick"))
//!     .start()
//!     .await?;
//! // A fifth of the transactions commits late, so ids appear out of order.
//! let late = Fate::Late { min_ms: 20, max_ms: 2_000 };
//! world.site().set_policy(CommitPolicy::immediate().share(0.2, late));
//! let mut client = world.client(300, Duration::from_millis(10))?;
//! for _ in 0..10 {
//!     tokio::time::sleep(Duration::from_millis(fastrand::u64(50..500))).await;
//!     world.kill9().await?;
//!     world.restart()?;
//! }
//! assert!(client.wait().await?.success());
//! world.caught_up(Duration::from_secs(60)).await?;
//! // Nothing lost, nothing out of order, repeats within promise P4.
//! world.verdict().await?.kept(300)?;
//! # Ok(())
//! # }
//! ```

mod build;
mod conf;
mod daemon;
mod disk;
pub mod history;
pub mod hook;
pub mod mail;
mod observe;
pub mod plugins;
pub mod python;
pub mod python_daemon;
mod service;
mod standby;
mod trap;
mod world;

pub use build::Builder;
pub use conf::ConfFile;
pub use disk::DiskFault;
pub use trap::Death;
pub use world::World;
