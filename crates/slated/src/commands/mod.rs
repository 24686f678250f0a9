//! The commands, one file each.

mod bar;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod events;
pub(crate) mod failures;
pub(crate) mod follow;
pub(crate) mod init;
pub(crate) mod migrate;
pub(crate) mod plugin;
pub(crate) mod reload;
pub(crate) mod replay;
pub(crate) mod restart;
pub(crate) mod run;
pub(crate) mod shadow;
pub(crate) mod sim;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod tryout;

mod common;
mod new_files;
