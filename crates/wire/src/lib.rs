//! The plugin protocol: what the daemon and a worker say to each other.
//!
//! Newline-delimited JSON over pipes, one object a line. This crate holds the words and the
//! framing and does no I/O, so that both ends, tests and tools read the same definition.
//!
//! * [`ToWorker`]: what the daemon says: `hello`, `event`, `goodbye`
//! * [`FromWorker`]: what a worker says: `hello`, `ready`, `load_failed`, `result`, `done`, `log`,
//!   `write`
//! * [`encode`], [`decode`]: one message, one line
//! * [`Lines`]: bytes as they arrive, cut into lines
//! * [`Protocol`]: which versions understand each other
//!
//! **Invariant:** the text of an event passes through unchanged; nothing here parses it.
//!
//! **Compatibility:** a new field or an optional message raises the minor version; readers
//! ignore fields they do not know, and messages they do not know where `"optional": true`
//! stands in them. Everything else raises the major version. `tests/golden` keeps a sample
//! of every message of every version; they must stay readable.

mod codec;
mod down;
mod error;
mod lines;
mod up;
mod version;

pub use codec::{Message, decode, encode};
pub use down::{
    Config, EventFrame, Goodbye, Hello, Lend, Limits, PluginFile, Secret, Site, ToWorker,
};
pub use error::FrameError;
pub use lines::Lines;
pub use up::{
    CallError, CallResult, Callback, Done, Emails, FromWorker, Import, Imports, LoadFailed,
    LoadPhase, Log, Ready, WorkerHello, Write,
};
pub use version::{DRY, FEATURES, IMPORTS, PROTOCOL, Protocol, STACK, VersionMismatch};

/// The longest line either side accepts unless the hello says otherwise: 16 MiB.
pub const MAX_FRAME: usize = 16 * 1024 * 1024;
