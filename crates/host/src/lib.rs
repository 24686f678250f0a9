//! Worker processes: found, started, listened to, interrupted, ended.
//!
//! A plugin runs in a process of its own, so that whatever it does (hang, crash, leak,
//! `os._exit`) happens to it alone. This room owns those processes and decides nothing about
//! events: what to send, what to retry and when to start again is said by its user.
//!
//! * [`Interpreter`]: which Python
//! * [`WorkerCode`]: the Python side of a worker, carried in this binary
//! * [`Program`]: what speaks the protocol for a plugin: that code, or a program of its own
//! * [`Launch`]: how processes are started: by themselves, or forked from preloaded parents
//! * [`Worker::start`]: a process, as a [`Handle`] to speak to and [`Report`]s to listen to
//! * [`parse`]: plugin files read by their Python, and not run
//! * [`kill_all`]: the end of all workers, at the end of their slated
//! * [`reap_stale`]: the end of a worker that outlived an earlier slated
//!
//! **Invariants.** [`Report::Exited`] comes exactly once for each start, and last: every answer the
//! worker wrote before its death is reported first. In its place comes [`Report::Unstarted`] where
//! there was no process. A [`Handle`] never waits. Every queue is bounded. A worker never outlives
//! its supervisor: it is the leader of a process group that is killed when the supervisor is dropped,
//! and it ends itself when its pipe hangs up. Only after a SIGKILL of slated does one live on whose
//! callback holds Python's lock in C code, or a program of a plugin's own that does not look at its
//! pipe: until its preloaded parent ends it, or [`reap_stale`]. (A
//! parent-death signal would come when the thread ends that started it.)
//!
//! A worker that ends by itself with exit code 0 after a goodbye may leave child processes
//! behind, which go on: a reload must not kill the transcode that a callback started. After
//! any other end the whole group is killed, since the callback may run again.

mod code;
mod group;
mod handle;
mod interpreter;
mod ladder;
mod launch;
mod parent;
mod parse;
mod pipes;
mod process;
mod program;
mod report;
mod spawn;
mod stale;
mod stderr;
mod supervisor;
mod tracker;

pub use code::{InstallError, WorkerCode};
pub use group::{Stat, kill_all, stat};
pub use handle::{Handle, SendError};
pub use interpreter::{Candidate, Interpreter, InterpreterError, Rejected, candidates};
pub use launch::Launch;
pub use parse::{Parsed, parse};
pub use program::{Own, Program, Python};
pub use report::{CallbackSpec, End, Exit, Report, Why};
pub use spawn::{CallLimits, Environment, Spawn, SpawnError, Worker, WorkerId, unfit_folder};
pub use stale::{Stale, reap_stale};

pub use slated_wire as wire;
