//! What a shadow writes down, and how it is read beside the Python daemon's timing log.
//!
//! * `diary`: the lines that `slated run --shadow` writes, and their files
//! * `book`: the same as `core::shadow` takes it
//! * `timing_log`: the other side
//!
//! The daemon's part is `daemon/shadow`, the command's `commands/shadow`.

pub(crate) mod book;
pub(crate) mod diary;
pub(crate) mod timing_log;
