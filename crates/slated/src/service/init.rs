//! slated as the first process of a container, or as a child subreaper: it takes the orphans.
//!
//! What plugins leave behind becomes the first process's child, and stays a zombie until somebody
//! waits for it. slated itself cannot wait for "any child", which would take the ends of its own
//! workers from those who want to know them. So the first process starts slated once more, hands its
//! signals on, waits for whatever ends, and ends as slated did.

use std::io;
use std::os::fd::AsFd as _;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::CommandError;
use crate::process;

/// Set for the slated that the first process starts: it is none itself.
pub(super) const CHILD: &str = "SLATED_INIT_CHILD";

/// Tells whether orphans come to this process, and nobody in it waits for them yet.
pub(crate) fn is_wanted() -> bool {
    std::env::var_os(CHILD).is_none() && process::gets_orphans()
}

/// Runs slated once more as it was started, and takes care of what ends until that one has.
pub(crate) fn run() -> Result<ExitCode, CommandError> {
    let fail = |what: &str, error: &dyn std::fmt::Display| {
        CommandError::internal(format!("the first process cannot {what}: {error}"))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| fail("start", &e))?;
    runtime.block_on(async {
        let listen = |kind| signal(kind).map_err(|e| fail("listen to signals", &e));
        let mut ended = listen(SignalKind::child())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut stop = listen(SignalKind::user_defined1())?;
        let mut hangup = listen(SignalKind::hangup())?;

        let program = std::env::current_exe().map_err(|e| fail("find itself", &e))?;
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1)).env(CHILD, "1");
        // A container's log is what its first process says, and stdout the stream that all keep.
        let stdout = io::stdout().as_fd().try_clone_to_owned();
        command.stderr(stdout.map_err(|e| fail("share its stdout", &e))?);
        let slated = command.spawn().map_err(|e| fail("start slated", &e))?;
        let slated = Pid::from_child(&slated);
        loop {
            let hand_on = tokio::select! {
                _ = ended.recv() => None,
                _ = terminate.recv() => Some(Signal::TERM),
                // A terminal gave it to slated, too. As a word of `slated stop` it stops once,
                // however often it comes.
                _ = interrupt.recv() => Some(Signal::USR1),
                _ = stop.recv() => Some(Signal::USR1),
                _ = hangup.recv() => Some(Signal::HUP),
            };
            if let Some(signal) = hand_on {
                // It may have ended at this moment, which is seen below.
                rustix::process::kill_process(slated, signal).unwrap_or_default();
            }
            while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
                if pid == slated {
                    return Ok(exit_code(status));
                }
            }
        }
    })
}

/// Returns the code by which a shell names an end.
fn exit_code(status: WaitStatus) -> ExitCode {
    let code = status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}
