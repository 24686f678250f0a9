//! The commands, one file each.

pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod events;
pub(crate) mod migrate;
pub(crate) mod plugin;
pub(crate) mod run;
pub(crate) mod sim;
pub(crate) mod status;

mod common;
