//! The coordinators' chat of the demo: a small service that is down when it is first wanted.
//!
//! Its port is taken from the start, and until [`Chat::open`] nobody listens on it: whoever connects
//! is refused, as by any service that is being restarted.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpSocket;
use tokio::task::AbortHandle;

use crate::error::CommandError;

/// What was posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notice {
    pub(super) text: String,
    /// The same for the same event.
    pub(super) key: String,
}

type Notices = Arc<Mutex<Vec<Notice>>>;

/// The service; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Chat {
    /// Its socket, until it listens.
    closed: Option<TcpSocket>,
    url: String,
    notices: Notices,
    task: Option<AbortHandle>,
}

impl Chat {
    /// Takes a port on loopback, and does not listen yet.
    pub(super) fn closed() -> Result<Self, CommandError> {
        let socket = TcpSocket::new_v4().map_err(|e| fail(&e))?;
        socket
            .bind(([127, 0, 0, 1], 0).into())
            .map_err(|e| fail(&e))?;
        let url = format!("http://{}/", socket.local_addr().map_err(|e| fail(&e))?);
        Ok(Self {
            closed: Some(socket),
            url,
            notices: Notices::default(),
            task: None,
        })
    }

    /// Listens from now on.
    pub(super) fn open(&mut self) -> Result<(), CommandError> {
        let Some(socket) = self.closed.take() else {
            return Ok(());
        };
        let listener = socket.listen(16).map_err(|e| fail(&e))?;
        let app = Router::new()
            .route("/", post(take))
            .with_state(self.notices.clone());
        let serve = tokio::spawn(async move { axum::serve(listener, app).await });
        self.task = Some(serve.abort_handle());
        Ok(())
    }

    /// Returns the address to post to.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Returns what was posted, in order.
    pub(super) fn notices(&self) -> Vec<Notice> {
        self.notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn take(State(notices): State<Notices>, Json(notice): Json<Notice>) -> &'static str {
    notices
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(notice);
    "ok"
}

fn fail(error: &std::io::Error) -> CommandError {
    CommandError::internal(format!(
        "the demo's chat service cannot listen on loopback: {error}"
    ))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn it_refuses_until_it_is_opened() {
        let mut chat = Chat::closed().unwrap();
        let address = chat
            .url()
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        let refused = TcpStream::connect(&address).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        chat.open().unwrap();
        TcpStream::connect(&address).await.unwrap();
    }
}
