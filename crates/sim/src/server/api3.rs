//! `POST /api3/json`: requests, answers, and the faults between them.

use std::{future::pending, io, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{ConnectInfo, State},
    http::{Response, StatusCode, header},
};
use futures_util::{StreamExt, stream};

use super::{Shared, line::Switch};
use crate::{faults::Effect, refusal::Refusal, rpc::Request};

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Log in</title></head>\
    <body><h1>Log in</h1><form method=\"post\"></form></body></html>\n";
const MAINTENANCE_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head>\
    <body><h1>The site is down for maintenance.</h1><p>Please try again later.</p></body></html>\n";

/// Half a body has to leave before the connection ends.
const BEFORE_THE_CUT: Duration = Duration::from_millis(20);

pub(super) async fn handle(
    State(shared): State<Shared>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    body: Bytes,
) -> Response<Body> {
    let site = &shared.site;
    let request = match Request::parse(&body) {
        Ok(request) => request,
        Err(refusal) => return refused(&refusal),
    };
    let mut cleared = site.faults_cleared();
    let (latency, effect) = site.receive(&request);
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let good = || reply(StatusCode::OK, JSON, site.carry_out(&request));
    match effect {
        None => good(),
        Some(Effect::Status { code }) => status(code),
        Some(Effect::Maintenance) => reply(StatusCode::SERVICE_UNAVAILABLE, HTML, MAINTENANCE_PAGE),
        Some(Effect::Html) => reply(StatusCode::OK, HTML, LOGIN_PAGE),
        Some(Effect::Empty) => reply(StatusCode::OK, JSON, ""),
        Some(Effect::Reset { applied }) => {
            if applied {
                site.carry_out(&request);
            }
            switch.reset();
            reply(StatusCode::OK, JSON, "")
        }
        Some(Effect::Close { applied }) => {
            if applied {
                site.carry_out(&request);
            }
            switch.close();
            reply(StatusCode::OK, JSON, "")
        }
        Some(Effect::HalfBody) => half(site.carry_out(&request)),
        Some(Effect::AuthRefused) => {
            let who = request.asked().who;
            refused(&Refusal::auth(format!("Can't authenticate script '{who}'")))
        }
        Some(Effect::Refused { code, message }) => refused(&Refusal { code, message }),
        Some(Effect::Slow { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            good()
        }
        Some(Effect::Hang) => {
            let mut stopped = (*shared.stopped).clone();
            let stopped = async {
                if stopped.wait_for(|stop| *stop).await.is_err() {
                    pending::<()>().await;
                }
            };
            let cleared = async {
                if cleared.changed().await.is_err() {
                    pending::<()>().await;
                }
            };
            tokio::select! {
                () = stopped => {}
                () = cleared => {}
            }
            switch.reset();
            reply(StatusCode::OK, JSON, "")
        }
        Some(Effect::Stale) => match site.last_event_page() {
            Some(page) => reply(StatusCode::OK, JSON, page),
            None => good(),
        },
    }
}

fn refused(refusal: &Refusal) -> Response<Body> {
    reply(StatusCode::OK, JSON, refusal.envelope().to_string())
}

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn status(code: u16) -> Response<Body> {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = reply(
        status,
        "text/plain",
        status.canonical_reason().unwrap_or("error"),
    );
    if status.is_redirection() {
        let there = header::HeaderValue::from_static("/page/login");
        response.headers_mut().insert(header::LOCATION, there);
    }
    response
}

/// The answer's first half under the length of the whole.
fn half(body: Vec<u8>) -> Response<Body> {
    let length = body.len();
    let first = Bytes::from(body).slice(..length / 2);
    let cut = async {
        tokio::time::sleep(BEFORE_THE_CUT).await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    };
    let parts = stream::once(async { Ok(first) }).chain(stream::once(cut));
    let mut response = reply(StatusCode::OK, JSON, Body::from_stream(parts));
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length.into());
    response
}
