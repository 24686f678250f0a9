//! The decisions of slated, without I/O, async or clock.

pub mod alarm;
pub mod begin;
pub mod dice;
pub mod digest;
pub mod follow;
pub mod lane;
pub mod leave;
pub mod letter;
pub mod life;
pub mod order;
pub mod recycle;
pub mod replay;
pub mod resume;
pub mod retry;
pub mod rewind;
pub mod scan;
pub mod shadow;
pub mod skip;
pub mod time;

pub use time::Mono;
