//! `/api/v1/follow`: how to go on when the site is not the one that was followed.
//!
//! * `POST /api/v1/follow/accept`, `POST /api/v1/follow/rewind`, with `{"yes": bool}`: without `yes` the
//!   answer says what it would do

use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::post;
use bytes::Bytes;
use serde::Deserialize;
use slated_core::follow::decide::Choice;

use crate::daemon::desk::Desk;
use crate::view::refusal::Kind;
use crate::view::{DecisionView, Refusal};

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/api/v1/follow/accept", post(accept))
        .route("/api/v1/follow/rewind", post(rewind))
}

async fn accept(State(desk): State<Desk>, body: Bytes) -> Result<Json<DecisionView>, Refusal> {
    desk.decide(Choice::Accept, yes(&body)?).await.map(Json)
}

async fn rewind(State(desk): State<Desk>, body: Bytes) -> Result<Json<DecisionView>, Refusal> {
    desk.decide(Choice::Rewind, yes(&body)?).await.map(Json)
}

fn yes(body: &[u8]) -> Result<bool, Refusal> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Wish {
        yes: bool,
    }
    if body.is_empty() {
        return Ok(false);
    }
    let wish: Result<Wish, _> = serde_json::from_slice(body);
    let wrong = |e| Refusal::new(Kind::Impossible, format!("the body is not right: {e}"));
    wish.map(|wish| wish.yes).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_one() {
        for (body, wanted) in [
            ("", Some(false)),
            ("{}", Some(false)),
            (r#"{"yes":true}"#, Some(true)),
            (r#"{"yes":false}"#, Some(false)),
            (r#"{"yes":"true"}"#, None),
            (r#"{"Yes":true}"#, None),
        ] {
            assert_eq!(yes(body.as_bytes()).ok(), wanted, "{body}");
        }
    }
}
