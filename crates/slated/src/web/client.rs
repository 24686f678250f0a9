//! The other end of the control socket: how commands ask a running daemon.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::control;
use crate::error::CommandError;

/// What a daemon answered.
pub(crate) enum Answer<T> {
    /// This.
    Found(T),
    /// It knows no such thing, for this reason.
    NotFound(String),
    /// No daemon runs on this state.
    NoDaemon,
}

/// How long a daemon may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks the daemon of a state folder.
pub(crate) async fn get<T: DeserializeOwned>(
    state: &Path,
    path: &str,
) -> Result<Answer<T>, CommandError> {
    within(LIMIT, state, exchange(state, path)).await
}

/// A daemon that hangs must not hang whoever looks why.
async fn within<T>(
    limit: Duration,
    state: &Path,
    exchange: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| {
        let pid = std::fs::read_to_string(state.join("lock")).unwrap_or_default();
        let pid = Some(pid.trim()).filter(|p| !p.is_empty()).unwrap_or("unknown");
        Err(CommandError::internal(format!(
            "the daemon (process {pid}) did not answer within {} seconds",
            limit.as_secs_f32()
        ))
        .hint("it may be suspended, or its disk may hang; see its log. `kill -9` loses nothing, and the next start goes on"))
    })
}

async fn exchange<T: DeserializeOwned>(
    state: &Path,
    path: &str,
) -> Result<Answer<T>, CommandError> {
    let socket = control::path(state);
    let stream = match UnixStream::connect(&socket).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(CommandError::configuration(format!(
                "{} may not be opened: {error}",
                socket.display()
            ))
            .hint("run it as slated's user, or set `control.group` to a group of yours"));
        }
        Err(_) => return Ok(Answer::NoDaemon),
    };
    let fail = |e: &dyn std::fmt::Display| {
        CommandError::internal(format!("the daemon did not answer: {e}"))
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| fail(&e))?;
    tokio::spawn(async move { connection.await.unwrap_or_default() });
    let request = hyper::Request::get(path)
        .header("host", "slated")
        .body(Empty::<Bytes>::new())
        .map_err(|e| fail(&e))?;
    let response = sender.send_request(request).await.map_err(|e| fail(&e))?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|e| fail(&e))?
        .to_bytes();
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map(Answer::Found)
            .map_err(|e| fail(&e));
    }
    let error = serde_json::from_slice::<serde_json::Value>(&body).ok();
    let error = error.and_then(|v| Some(v.get("error")?.as_str()?.to_owned()));
    let error = error.unwrap_or_else(|| format!("HTTP {status}"));
    if status.as_u16() == 404 {
        Ok(Answer::NotFound(error))
    } else {
        Err(fail(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_daemon_that_hangs_is_told_of() {
        let state = tempfile::tempdir().unwrap();
        let socket = tokio::net::UnixListener::bind(control::path(state.path())).unwrap();
        std::fs::write(state.path().join("lock"), "4711\n").unwrap();
        let limit = Duration::from_millis(50);
        let ask = exchange::<serde_json::Value>(state.path(), "/api/v1/status");
        let error = within(limit, state.path(), ask).await.err().unwrap();
        let text = error.to_string();
        assert!(
            text.contains("process 4711") && text.contains("hint: "),
            "{text}"
        );
        drop(socket);
    }
}
