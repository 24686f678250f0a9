//! The decisions of slated, without I/O, async or clock.

pub mod follow;
pub mod time;

pub use time::Mono;
