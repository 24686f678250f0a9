//! The control socket: `/api/v1` over a unix socket in the state folder.
//!
//! Whoever may open the socket may ask: its mode is 0600, or 0660 with `[control] group`.
//!
//! * `GET /api/v1/status`
//! * `GET /api/v1/events?after=OFFSET&limit=N` (without `after`: the newest)
//! * `GET /api/v1/events/{id}`
//! * `POST /api/v1/reload`: the configuration is read again
//! * those of `plugins`, `failures` and `follow`

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::{Path as Segment, Query, State};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use slated_model::{EventId, Offset};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::daemon::desk::Desk;
use crate::error::CommandError;
use crate::view::refusal::Kind;
use crate::view::{Refusal, ReloadView};

/// The longest path that a unix socket's address holds.
const LONGEST: usize = 100;

/// Returns where the socket of a state folder stands.
pub(crate) fn path(state: &Path) -> PathBuf {
    state.join("control.sock")
}

/// A socket that is removed when it is not served any more.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The next start replaces it anyway.
        std::fs::remove_file(&self.path).unwrap_or_default();
    }
}

/// Checks that the socket can be made, before anything is; returns the number of its group.
pub(crate) fn check(state: &Path, group: Option<&str>) -> Result<Option<u32>, CommandError> {
    let path = path(state);
    if path.as_os_str().len() > LONGEST {
        return Err(CommandError::configuration(format!(
            "the control socket {} cannot be made: its path is longer than a socket's may be",
            path.display()
        ))
        .hint("choose a shorter `state.folder`"));
    }
    group.map(group_id).transpose()
}

/// Opens the socket, for a group if there is one. The state's lock is held, so one that stands
/// there is stale.
pub(crate) fn bind(state: &Path, gid: Option<u32>) -> Result<Socket, CommandError> {
    let path = path(state);
    let fail = |what: &str, error: &dyn std::fmt::Display| {
        CommandError::configuration(format!(
            "the control socket {} cannot be {what}: {error}",
            path.display()
        ))
    };
    std::fs::remove_file(&path).unwrap_or_default();
    // Nobody can enter between making it and setting its mode: the folder is the owner's alone
    // unless a group is configured.
    let listener = UnixListener::bind(&path).map_err(|e| fail("made", &e))?;
    let mode = if gid.is_some() { 0o660 } else { 0o600 };
    if let Some(gid) = gid {
        chown(&path, None, Some(gid)).map_err(|e| fail("given to its group", &e))?;
        // The group must be able to reach it.
        let entry = chown(state, None, Some(gid));
        let entry = entry.and_then(|()| set_permissions(state, Permissions::from_mode(0o710)));
        entry.map_err(|e| fail("opened to its group", &e))?;
    }
    set_permissions(&path, Permissions::from_mode(mode)).map_err(|e| fail("protected", &e))?;
    Ok(Socket { listener, path })
}

/// Returns the number of a group by its name in `/etc/group`, or of a number itself.
fn group_id(name: &str) -> Result<u32, CommandError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let fields = groups
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let mut found = fields.filter(|f| f.first() == Some(&name));
    found.find_map(|f| f.get(2)?.parse().ok()).ok_or_else(|| {
        CommandError::configuration(format!("there is no group `{name}` (`control.group`)"))
            .hint("name a group of /etc/group, or give its number")
    })
}

/// Answers until `stop`.
pub(crate) async fn serve(
    socket: Socket,
    desk: Desk,
    stop: CancellationToken,
) -> Result<(), CommandError> {
    let router = Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/events", get(events))
        .route("/api/v1/events/{id}", get(event))
        .route("/api/v1/reload", post(reload))
        .merge(super::plugins::routes())
        .merge(super::failures::routes())
        .merge(super::follow::routes())
        .with_state(desk);
    // A dialogue that is under way must not keep the daemon from ending.
    tokio::select! {
        () = stop.cancelled() => {}
        () = answer(&socket.listener, router) => {}
    }
    Ok(())
}

async fn answer(listener: &UnixListener, router: Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files, perhaps: people can wait a moment, the daemon goes on.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            continue;
        };
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let http = hyper::server::conn::http1::Builder::new();
            // A caller that breaks off is its own business.
            http.serve_connection(hyper_util::rt::TokioIo::new(stream), service)
                .await
                .unwrap_or_default();
        });
    }
}

async fn status(State(desk): State<Desk>) -> Result<Response, Refusal> {
    Ok(Json(desk.status().await?).into_response())
}

async fn reload(State(desk): State<Desk>) -> Result<Json<ReloadView>, Refusal> {
    desk.read_configuration().await.map(Json)
}

#[derive(Deserialize)]
struct Span {
    after: Option<u64>,
    limit: Option<usize>,
}

async fn events(State(desk): State<Desk>, Query(span): Query<Span>) -> Result<Response, Refusal> {
    let limit = span.limit.unwrap_or(20).min(1000);
    let after = match span.after {
        Some(after) => after,
        None => desk.status().await?.log.end.saturating_sub(limit as u64),
    };
    Ok(Json(desk.events(Offset(after), limit).await?).into_response())
}

async fn event(State(desk): State<Desk>, Segment(id): Segment<u64>) -> Result<Response, Refusal> {
    match desk.event(EventId(id)).await? {
        Some(view) => Ok(Json(view).into_response()),
        None => Err(Refusal::new(
            Kind::Unknown,
            format!("the log does not hold event {id}"),
        )),
    }
}
