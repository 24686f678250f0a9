//! What is said to a parent and by it: lines of JSON over a socket, and a worker's pipes.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::process::TheirEnds;

/// What a parent is told.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Request<'a> {
    Preload {
        preload: Preload<'a>,
    },
    /// The pipes come with it.
    Fork {
        fork: u64,
        cwd: Option<&'a Path>,
        grace_ms: u64,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct Preload<'a> {
    pub(super) import_paths: &'a [std::path::PathBuf],
    /// What imports may write is made with it.
    pub(super) umask: Option<u32>,
}

/// What a parent says.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// It has imported everything.
    Ready(u32),
    /// It cannot be a parent.
    Unfit(String),
    /// The worker's process.
    Forked(u32),
    /// This file is another one than it imported.
    Stale(String),
    /// The system refused a process.
    Refused(String),
    /// A worker has ended.
    Ended(Ended),
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Ended {
    pub(super) pid: u32,
    /// As `waitpid` has it.
    pub(super) status: i32,
}

/// Sends a request, and the pipes that belong to it.
pub(super) async fn send(
    socket: &UnixStream,
    request: &Request<'_>,
    pipes: Option<&TheirEnds>,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    let mut pipes = pipes;
    let mut rest = line.as_slice();
    while !rest.is_empty() {
        let sent = socket
            .async_io(Interest::WRITABLE, || send_some(socket, rest, pipes))
            .await?;
        rest = rest.get(sent..).unwrap_or_default();
        // They go with the first byte.
        pipes = None;
    }
    Ok(())
}

fn send_some(socket: &UnixStream, bytes: &[u8], pipes: Option<&TheirEnds>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = pipes.map(|ends| [&ends.input, &ends.output, &ends.errors].map(|fd| fd.as_fd()));
    if let Some(fds) = &fds
        && !control.push(SendAncillaryMessage::ScmRights(fds))
    {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let slices = [IoSlice::new(bytes)];
    Ok(sendmsg(socket, &slices, &mut control, SendFlags::NOSIGNAL)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_name_things_alike() {
        let check = |said: &str, wanted: Said| {
            assert_eq!(serde_json::from_str::<Said>(said).unwrap(), wanted);
        };
        check(r#"{"ready": 7}"#, Said::Ready(7));
        check(r#"{"stale": "/a.py"}"#, Said::Stale("/a.py".into()));
        let ended = Ended { pid: 9, status: 11 };
        check(r#"{"ended": {"pid": 9, "status": 11}}"#, Said::Ended(ended));
        let paths = ["/lib".into()];
        let preload = Request::Preload {
            preload: Preload {
                import_paths: &paths,
                umask: Some(0o22),
            },
        };
        let fork = Request::Fork {
            fork: 3,
            cwd: None,
            grace_ms: 2000,
        };
        for (request, wanted) in [
            (
                preload,
                r#"{"preload":{"import_paths":["/lib"],"umask":18}}"#,
            ),
            (fork, r#"{"fork":3,"cwd":null,"grace_ms":2000}"#),
        ] {
            assert_eq!(serde_json::to_string(&request).unwrap(), wanted);
        }
    }
}
