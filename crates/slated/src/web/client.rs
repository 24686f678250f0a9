//! The other end of the control socket: how commands ask a running daemon.

use std::path::Path;

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

/// Asks the daemon of a state folder.
pub(crate) async fn get<T: DeserializeOwned>(
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
