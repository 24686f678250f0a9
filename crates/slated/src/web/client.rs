//! The other end of the control socket: how commands ask a running daemon.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::control;
use crate::error::CommandError;
use crate::view::Refusal;
use crate::view::refusal::Kind;

/// What a daemon answered.
pub(crate) enum Answer<T> {
    /// This.
    Found(T),
    /// It does not do that, or knows no such thing.
    Refused(Refusal),
    /// No daemon runs on this state.
    NoDaemon,
}

/// How long a daemon may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// How long it may take until a wish has come to its end: a minute for a callback that hangs, and
/// what its end takes.
const LONG_LIMIT: Duration = Duration::from_secs(90);

/// Asks the daemon of a state folder.
pub(crate) async fn get<T: DeserializeOwned>(
    state: &Path,
    path: &str,
) -> Result<Answer<T>, CommandError> {
    let request = hyper::Request::get(path).body(Full::default());
    within(LIMIT, state, exchange(state, request)).await
}

/// Tells the daemon of a state folder to do something.
pub(crate) async fn post<T: DeserializeOwned>(
    state: &Path,
    path: &str,
    body: &serde_json::Value,
) -> Result<Answer<T>, CommandError> {
    let request = hyper::Request::post(path)
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()));
    within(LONG_LIMIT, state, exchange(state, request)).await
}

/// Writes a text so that it is one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(segment, "%{byte:02X}").unwrap_or_default();
        }
    }
    segment
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
    request: hyper::http::Result<hyper::Request<Full<Bytes>>>,
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
    let mut request = request.map_err(|e| fail(&e))?;
    let host = hyper::header::HeaderValue::from_static("slated");
    request.headers_mut().insert(hyper::header::HOST, host);
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
    let mut refusal = serde_json::from_slice::<Refusal>(&body)
        .unwrap_or_else(|_| Refusal::new(Kind::Failed, format!("HTTP {status}")));
    refusal.kind = match status {
        hyper::StatusCode::NOT_FOUND => Kind::Unknown,
        hyper::StatusCode::CONFLICT => Kind::Impossible,
        _ => return Err(fail(&refusal.error)),
    };
    Ok(Answer::Refused(refusal))
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
        let request = hyper::Request::get("/api/v1/status").body(Full::default());
        let ask = exchange::<serde_json::Value>(state.path(), request);
        let error = within(limit, state.path(), ask).await.err().unwrap();
        let text = error.to_string();
        assert!(
            text.contains("process 4711") && text.contains("hint: "),
            "{text}"
        );
        drop(socket);
    }

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        assert_eq!(segment("/srv/a b/né.x"), "%2Fsrv%2Fa%20b%2Fn%C3%A9.x");
    }
}
