//! What runs slated: a service manager that wants to hear of it, and a container that has no other
//! first process.

pub(crate) mod init;
mod notify;

pub(crate) use notify::{Pulse, VARIABLES, ready, reloading, standing_by, stopping};
