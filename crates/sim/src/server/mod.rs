//! The site over HTTP: api3 for clients, `/sim/...` for whoever plays the site.
//!
//! Listens on loopback only: nothing here is meant to be reached from elsewhere.

mod api3;
mod control;
mod line;

use std::{
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

pub use control::Command;

use crate::{Site, refusal::Refusal};

/// Largest request, in bytes.
const LARGEST_REQUEST: usize = 64 << 20;

/// A site that can be reached over HTTP until it is shut down or dropped.
#[derive(Debug)]
pub struct Server {
    site: Site,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address has no meaning or is not on this machine.
    #[error("the simulator listens on loopback only, not on '{0}'")]
    NotLoopback(String),
    /// The address is in use or cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// What was asked for.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// What the handlers share.
#[derive(Clone, Debug)]
struct Shared {
    site: Site,
    stopped: Arc<watch::Receiver<bool>>,
}

impl Server {
    /// Serves a site at an address such as `127.0.0.1:0`.
    pub async fn start(site: Site, address: &str) -> Result<Self, ServerError> {
        let place = address
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.find(|at| at.ip().is_loopback()))
            .ok_or_else(|| ServerError::NotLoopback(address.to_owned()))?;
        let failed = |source| ServerError::Listen {
            address: address.to_owned(),
            source,
        };
        let listener = TcpListener::bind(place).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = watch::channel(false);
        let shared = Shared {
            site: site.clone(),
            stopped: Arc::new(stopped.clone()),
        };
        let app = Router::new()
            .route("/api3/json", post(api3::handle))
            .route("/upload/{*what}", post(no_files))
            .route("/sim/control", post(control_handler))
            .route("/sim/history", get(history))
            .route("/sim/stats", get(stats))
            .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
            .with_state(shared)
            .into_make_service_with_connect_info::<line::Switch>();
        let task = tokio::spawn(async move {
            let mut stopped = stopped;
            let until = async move {
                // An error means the server was dropped, which is a stop as well.
                stopped.wait_for(|stop| *stop).await.ok();
            };
            let served = axum::serve(line::Listener(listener), app);
            if let Err(error) = served.with_graceful_shutdown(until).await {
                tracing::warn!(%error, "The simulator stopped serving.");
            }
        });
        Ok(Self {
            site,
            address,
            stop,
            task: Some(task),
        })
    }

    /// Returns the address of the site, such as `http://127.0.0.1:40101`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
    /// Returns the socket's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
    /// Returns the site that is served.
    pub fn site(&self) -> &Site {
        &self.site
    }
    /// Returns the key of a script, empty if there is no such script.
    pub fn key(&self, script: &str) -> String {
        self.site.key(script).unwrap_or_default()
    }
    /// Stops listening, ends open requests, and waits until the port is free.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            // A failed task has ended as well.
            task.await.ok();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn control_handler(
    State(shared): State<Shared>,
    Json(command): Json<Command>,
) -> Result<Response, Refusal> {
    Ok(Json(shared.site.control(command)?).into_response())
}

async fn history(State(shared): State<Shared>) -> Response {
    Json(shared.site.history()).into_response()
}

/// Refuses a file in the words that clients show: what they are told otherwise makes them try again
/// and again, and then say no more than that. The file is read, or the answer would not be.
async fn no_files(_: Result<Bytes, BytesRejection>) -> &'static str {
    "0\nthe simulator keeps no files\n"
}

async fn stats(State(shared): State<Shared>) -> Response {
    Json(shared.site.stats()).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(self.envelope())).into_response()
    }
}
