//! Each failure is of the right class, says in one line what happened where, and shows no
//! secret.

use std::io::Read as _;
use std::net::TcpListener;
use std::time::Duration;

use super::look;
use super::server::{KEY, Reply, Server, http, json, page, settings};
use slated_model::EventId;

use crate::{Client, Code, Error, Query, Settings};

/// Reads once and returns the error, after a look at how it is put.
async fn failure(settings: Settings) -> Error {
    let client = Client::new(settings).unwrap();
    let error = client.read(&look(7)).await.unwrap_err();
    let shown = format!("{error} {error:?} {}", error.hint());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        error.to_string().lines().count() == 1 && !error.hint().is_empty(),
        "{shown}"
    );
    assert!(error.to_string().len() < 500, "{shown}");
    error
}

/// Checks class and words of what one answer is made of; SITE stands for the address.
async fn check(reply: Reply, class: &str, wanted: &str) {
    let server = Server::always(reply);
    let error = failure(server.settings()).await;
    let wanted = wanted.replace("SITE", &format!("http://{}", server.address));
    assert_eq!(
        (error.class(), error.to_string().as_str()),
        (class, wanted.as_str())
    );
    assert_eq!(server.seen().len(), 1, "{wanted}: asked again");
}

fn say(status: &str, body: &str) -> Reply {
    Reply::Say(http(status, "", body))
}

#[tokio::test]
async fn a_site_that_is_down_is_down() {
    for (reply, wanted) in [
        (
            say("500 Internal Server Error", "<html>"),
            "HTTP 500 Internal Server Error",
        ),
        (say("502 Bad Gateway", ""), "HTTP 502 Bad Gateway"),
        (
            say("503 Service Unavailable", "x"),
            "it is in maintenance or too busy (HTTP 503)",
        ),
        (say("504 Gateway Timeout", ""), "HTTP 504 Gateway Timeout"),
        (
            say("429 Too Many Requests", ""),
            "HTTP 429 Too Many Requests",
        ),
        (say("599 ", ""), "HTTP 599 no name"),
        (say("200 OK", ""), "it answered with nothing"),
        (
            say("200 OK", "\n <!doctype html><h1>Down</h1>"),
            "a web page came in place of an answer: maintenance, or a gateway in between",
        ),
        (
            Reply::Say(http(
                "200 OK",
                "content-type: text/html; charset=utf-8\r\n",
                "{}",
            )),
            "a web page came in place of an answer: maintenance, or a gateway in between",
        ),
        (
            say("407 Proxy Authentication Required", ""),
            "the proxy wants to know who we are (HTTP 407)",
        ),
        (
            json(
                r#"{"exception":true,"message":"Flow Production Tracking is currently down for maintenance or too busy to reply. Please try again later."}"#,
            ),
            "Flow Production Tracking is currently down for maintenance or too busy to reply. Please try again later.",
        ),
    ] {
        check(reply, "down", &format!("SITE is down: {wanted}")).await;
    }
}

#[tokio::test]
async fn a_line_that_breaks_is_down() {
    let whole = http("200 OK", "", page(&[r#"{"id":7}"#]));
    for (cut, reply) in [
        ("at once", Vec::new()),
        ("in the head", whole[..20].to_vec()),
        ("in the body", whole[..whole.len() - 10].to_vec()),
        (
            "in a chunk",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n20\r\n{\"results\"".to_vec(),
        ),
        (
            "in what is packed",
            http(
                "200 OK",
                "content-encoding: gzip\r\n",
                b"\x1f\x8b\x08\x00\x00",
            ),
        ),
        ("with noise", b"\x16\x03\x01 what is this\r\n\r\n".to_vec()),
    ] {
        let server = Server::always(Reply::SayAndClose(reply));
        let error = failure(server.settings()).await;
        assert!(error.is_down(), "{cut}: {error}");
        assert!(
            error.to_string().contains("the connection broke"),
            "{cut}: {error}"
        );
        assert_eq!(server.seen().len(), 1, "{cut}: asked again");
    }
}

#[tokio::test]
async fn a_connection_that_is_reset_is_down() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // To close with the rest unread is to reset.
        stream.read_exact(&mut [0; 10]).unwrap();
    });
    let error = failure(settings(format!("http://{address}").parse().unwrap())).await;
    server.join().unwrap();
    assert!(
        error.is_down() && error.to_string().contains("the connection broke"),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_there_is_down() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = failure(settings(format!("http://{free}").parse().unwrap())).await;
    assert!(
        error.is_down() && error.to_string().contains("refused"),
        "{error}"
    );
    assert!(error.hint().contains("network"), "{}", error.hint());

    let mut through = settings("https://studio.invalid".parse().unwrap());
    through.proxy = Some(format!("user:hunter2@{free}").into());
    let error = failure(through).await;
    assert!(
        error.is_down() && error.to_string().contains(&format!("through proxy {free}")),
        "{error}"
    );

    let error = failure(settings("http://studio.invalid".parse().unwrap())).await;
    assert!(error.is_down(), "{error}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_down_with_a_hint_at_it() {
    let proxy = Server::always(Reply::SayAndClose(http(
        "407 Proxy Authentication Required",
        "",
        "",
    )));
    for url in ["https://studio.invalid", "http://studio.invalid"] {
        let mut through = settings(url.parse().unwrap());
        through.proxy = Some(format!("user:hunter2@{}", proxy.address).into());
        let error = failure(through).await;
        assert!(
            error.is_down() && error.hint().contains("proxy"),
            "{error}: {}",
            error.hint()
        );
        assert!(error.to_string().contains("the proxy"), "{error}");
    }
}

#[tokio::test]
async fn a_site_that_is_too_slow_is_down_in_time() {
    for reply in [
        Reply::Silence,
        // The head comes, and then nothing: the limit is on the whole answer.
        Reply::Say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{".to_vec()),
    ] {
        let server = Server::always(reply);
        let mut slow = server.settings();
        slow.timeout = Duration::from_millis(150);
        let error = failure(slow).await;
        assert!(
            error.is_down() && error.to_string().contains("in time"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_site_that_says_no_refuses() {
    for (reply, wanted) in [
        (
            json(
                r#"{"exception":true,"error_code":102,"message":"Can't authenticate script 'follower'"}"#,
            ),
            "Can't authenticate script 'follower' (code 102)",
        ),
        (
            json(r#"{"exception":true,"error_code":104,"message":"a\n\tb\u001b[1m"}"#),
            "a b [1m (code 104)",
        ),
        (json(r#"{"exception":true}"#), "it gave no reason (no code)"),
        (
            say(
                "403 Forbidden",
                "<html><b>api access</b> is\nblocked</html>",
            ),
            "api access is blocked (HTTP 403)",
        ),
        (say("404 Not Found", ""), "Not Found (HTTP 404)"),
        (say("401 Unauthorized", ""), "Unauthorized (HTTP 401)"),
        (say("418 ", ""), "I'm a teapot (HTTP 418)"),
    ] {
        check(reply, "refused", &format!("SITE refused: {wanted}")).await;
    }
    let wrong_key = Server::always(json(r#"{"exception":true,"error_code":102,"message":""}"#));
    let error = failure(wrong_key.settings()).await;
    assert!(
        matches!(
            error,
            Error::Refused {
                code: Code::Api(102),
                ..
            }
        ),
        "{error}"
    );
    assert!(error.hint().contains("key"), "{}", error.hint());
}

#[tokio::test]
async fn what_is_not_api3_is_not_understood() {
    for (reply, wanted) in [
        (
            Reply::Say(http(
                "302 Found",
                "location: https://who:hunter2@login.example/sso?token=hunter2\r\n",
                "",
            )),
            "it sends us to https://login.example/sso (HTTP 302)",
        ),
        (
            Reply::Say(http("301 Moved Permanently", "", "")),
            "it sends us to another address (HTTP 301)",
        ),
        (
            json("{\"results\":{\"entities\":5}}"),
            "the answer is not one of api3: invalid type: integer `5`, expected a sequence at line 1 column 13",
        ),
        (
            json("[1]"),
            "the answer is not one of api3: a list in place of an object",
        ),
    ] {
        check(
            reply,
            "not understood",
            &format!("SITE was not understood: {wanted}"),
        )
        .await;
    }
}

#[tokio::test]
async fn an_answer_to_another_question_is_not_understood() {
    // Were it taken, rows that are there would count as absent.
    let server = Server::always(json(page(&[r#"{"id":7}"#, r#"{"id":30}"#])));
    let ids = |ids: &[u64]| Query::Ids(ids.iter().copied().map(EventId).collect());
    let ranges = |range| Query::Ranges {
        least: EventId(7),
        ranges: vec![range],
        ids: vec![EventId(7)],
        limit: 500,
    };
    let client = server.client();
    for query in [
        ids(&[7, 30, 31]),
        ranges((EventId(10), Some(EventId(30)))),
        look(7),
    ] {
        assert_eq!(client.read(&query).await.unwrap().events.len(), 2);
    }
    for query in [
        ids(&[7, 31]),
        ranges((EventId(10), Some(EventId(29)))),
        look(8),
        look(31),
    ] {
        let error = client.read(&query).await.unwrap_err();
        assert_eq!(error.class(), "not understood");
        assert!(
            error.to_string().contains("which was not asked for"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_gateway_that_sends_our_words_back_gives_nothing_away() {
    let echo = Server::start(|_, request| say("403 Forbidden", &request.body));
    let error = failure(echo.settings()).await;
    assert!(
        error.to_string().contains("***") && !error.to_string().contains(KEY),
        "{error}"
    );
    let echo = Server::start(|_, request| {
        let message = format!("{} {}", request.body, "x".repeat(10_000));
        json(serde_json::json!({"exception": true, "message": message}).to_string())
    });
    failure(echo.settings()).await;
    let echo = Server::start(|_, request| {
        let target = format!("location: /?{}\r\n", request.body);
        Reply::Say(http("302 Found", &target, ""))
    });
    failure(echo.settings()).await;
}

#[tokio::test]
async fn an_error_page_without_end_is_not_read_to_its_end() {
    // 4 GiB are announced; the error is there after the first of them.
    let head = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 4294967296\r\n\r\n".to_vec();
    let server = Server::always(Reply::Say([head, vec![b'x'; 100_000]].concat()));
    let mut patient = server.settings();
    patient.timeout = Duration::from_mins(10);
    let error = tokio::time::timeout(Duration::from_secs(5), failure(patient)).await;
    assert_eq!(error.unwrap().class(), "refused");
}
