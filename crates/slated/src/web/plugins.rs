//! `/api/v1/plugins`: one plugin, and what is done to it.
//!
//! * `GET  /api/v1/plugins/{name}`
//! * `POST /api/v1/plugins/{name}/stop`
//! * `POST /api/v1/plugins/{name}/resume`, with `{"from": "failed" | "latest" | ID}` or nothing
//! * `POST /api/v1/plugins/{name}/reload`
//! * `POST /api/v1/plugins/{name}/skip`, with `{"event": ID, "reason": ..}`
//! * `POST /api/v1/plugins/{name}/rewind`, with `{"to": ID, "again": false, "dry": true}`: answers
//!   with what it comes to
//!
//! `{name}` is a stem, or `FOLDER/STEM` with its slashes as `%2F`. Each answers with the plugin as
//! it is then; what was done is durable, and has come to its end.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use slated_model::EventId;

use crate::daemon::desk::Desk;
use crate::view::refusal::Kind;
use crate::view::{Begin, PluginDetail, Refusal, RewindView, skip_reason};

type Answer = Result<Json<PluginDetail>, Refusal>;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/api/v1/plugins/{name}", get(show))
        .route("/api/v1/plugins/{name}/stop", post(stop))
        .route("/api/v1/plugins/{name}/resume", post(resume))
        .route("/api/v1/plugins/{name}/reload", post(reload))
        .route("/api/v1/plugins/{name}/skip", post(skip))
        .route("/api/v1/plugins/{name}/rewind", post(rewind))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.kind {
            Kind::Unknown => StatusCode::NOT_FOUND,
            Kind::Impossible => StatusCode::CONFLICT,
            Kind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(self)).into_response()
    }
}

async fn show(State(desk): State<Desk>, Path(name): Path<String>) -> Answer {
    desk.plugin(&name).await.map(Json)
}

async fn stop(State(desk): State<Desk>, Path(name): Path<String>) -> Answer {
    desk.stop(&name).await.map(Json)
}

async fn reload(State(desk): State<Desk>, Path(name): Path<String>) -> Answer {
    desk.reload(&name).await.map(Json)
}

async fn resume(State(desk): State<Desk>, Path(name): Path<String>, body: Bytes) -> Answer {
    let begin = begin(&body).map_err(|error| Refusal::new(Kind::Impossible, error))?;
    desk.resume(&name, begin).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Skip {
    event: EventId,
    reason: Option<String>,
}

async fn skip(State(desk): State<Desk>, Path(name): Path<String>, body: Bytes) -> Answer {
    let Skip { event, reason } = read(&body)?;
    let reason = skip_reason(reason);
    desk.skip(&name, event, reason).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rewind {
    to: EventId,
    #[serde(default)]
    again: bool,
    #[serde(default)]
    dry: bool,
}

async fn rewind(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<RewindView>, Refusal> {
    let Rewind { to, again, dry } = read(&body)?;
    desk.rewind(&name, to, again, dry).await.map(Json)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let wrong = |e| Refusal::new(Kind::Impossible, format!("the body is not right: {e}"));
    serde_json::from_slice(body).map_err(wrong)
}

/// Reads the body of a resume.
fn begin(body: &[u8]) -> Result<Option<Begin>, String> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        from: Option<Value>,
    }
    let wish = match body {
        [] => Wish::default(),
        body => serde_json::from_slice(body).map_err(|e| format!("the body is not right: {e}"))?,
    };
    let word = match wish.from {
        None => return Ok(None),
        Some(Value::String(word)) => word,
        Some(other) => other.to_string(),
    };
    let begin = word.parse().map_err(|e| format!("`from` {e}"))?;
    Ok(Some(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_says_where_or_nothing() {
        let event = Begin::Event(EventId(5001));
        for (body, wanted) in [
            ("", Ok(None)),
            ("{}", Ok(None)),
            (r#"{"from":"failed"}"#, Ok(Some(Begin::Failed))),
            (r#"{"from":"latest"}"#, Ok(Some(Begin::Latest))),
            (r#"{"from":"5001"}"#, Ok(Some(event))),
            (r#"{"from":5001}"#, Ok(Some(event))),
            (r#"{"from":"now"}"#, Err("failed")),
            (r#"{"from":-1}"#, Err("an event id")),
            (r#"{"form":"latest"}"#, Err("unknown field `form`")),
            ("[", Err("the body is not right")),
        ] {
            match (begin(body.as_bytes()), wanted) {
                (Err(error), Err(words)) => assert!(error.contains(words), "{body}: {error}"),
                (got, wanted) => {
                    assert_eq!(got.ok(), wanted.ok(), "{body}");
                }
            }
        }
    }
}
