//! HTTP: the control socket and its API.

pub(crate) mod client;
pub(crate) mod control;
mod failures;
mod follow;
mod plugins;
