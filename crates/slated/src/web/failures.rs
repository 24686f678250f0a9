//! `/api/v1/failures`: what waits for a person.
//!
//! * `GET  /api/v1/failures?plugin=NAME`
//! * `GET  /api/v1/failures/{which}?plugin=NAME`: the newest 1,000 dead letters of a group, an event,
//!   or `all`
//! * `POST /api/v1/failures/retry`, with `{"which": .., "plugin": ..}`
//! * `POST /api/v1/failures/discard`, with `{"which": .., "plugin": .., "reason": ..}`

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Json;
use axum::routing::{get, post};
use bytes::Bytes;
use serde::Deserialize;

use crate::daemon::LetterWish;
use crate::daemon::desk::Desk;
use crate::view::refusal::Kind;
use crate::view::{FailuresView, LetterView, Pick, Refusal, WishView};

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/api/v1/failures", get(list))
        .route("/api/v1/failures/{which}", get(show))
        .route("/api/v1/failures/retry", post(retry))
        .route("/api/v1/failures/discard", post(discard))
}

#[derive(Deserialize)]
struct Narrowed {
    plugin: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    which: String,
    plugin: Option<String>,
    reason: Option<String>,
}

async fn list(
    State(desk): State<Desk>,
    Query(narrowed): Query<Narrowed>,
) -> Result<Json<FailuresView>, Refusal> {
    desk.failures(narrowed.plugin).await.map(Json)
}

async fn show(
    State(desk): State<Desk>,
    Path(which): Path<String>,
    Query(narrowed): Query<Narrowed>,
) -> Result<Json<Vec<LetterView>>, Refusal> {
    let pick = pick(&which, narrowed.plugin)?;
    desk.letters(&pick).await.map(Json)
}

async fn retry(State(desk): State<Desk>, body: Bytes) -> Result<Json<WishView>, Refusal> {
    let Body { which, plugin, .. } = read(&body)?;
    let pick = pick(&which, plugin)?;
    desk.wish(&pick, LetterWish::Retry).await.map(Json)
}

async fn discard(State(desk): State<Desk>, body: Bytes) -> Result<Json<WishView>, Refusal> {
    let Body {
        which,
        plugin,
        reason,
    } = read(&body)?;
    let reason = reason.filter(|r| !r.trim().is_empty());
    let reason = reason.ok_or_else(|| wrong("`reason` is missing: it stays on record"))?;
    let pick = pick(&which, plugin)?;
    desk.wish(&pick, LetterWish::Discard { reason })
        .await
        .map(Json)
}

fn pick(which: &str, plugin: Option<String>) -> Result<Pick, Refusal> {
    let which = which.parse().map_err(|e| wrong(format!("`which` {e}")))?;
    Ok(Pick { which, plugin })
}

fn read(body: &[u8]) -> Result<Body, Refusal> {
    serde_json::from_slice(body).map_err(|e| wrong(format!("the body is not right: {e}")))
}

fn wrong(error: impl Into<String>) -> Refusal {
    Refusal::new(Kind::Impossible, error)
}
