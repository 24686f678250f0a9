//! What goes over the wire, and through what.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use slated_model::EventId;

use super::server::{KEY, Reply, Server, http, json, page, settings};
use super::{ids, look};
use crate::{Client, Error, Query, SetupError};

const ROW: &str = r#"{"type":"EventLogEntry","id":7,"event_type":"A","meta":{"x":1.10}}"#;

#[tokio::test]
async fn a_look_is_one_request() {
    let server = Server::always(json(page(&[ROW])));
    let read = server.client().read(&look(7)).await.unwrap();
    assert_eq!(ids(&read), [7]);
    assert_eq!(read.events[0].text(), ROW);
    assert_eq!((read.requests, read.full, read.lenient), (1, false, false));
    assert_eq!(read.bytes, page(&[ROW]).len() as u64);
    assert!(read.damaged.is_empty() && read.took > Duration::ZERO);

    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line, "POST /api3/json HTTP/1.1");
    let header = |name| seen[0].header(name).unwrap_or_default().to_owned();
    assert_eq!(header("content-type"), "application/json; charset=utf-8");
    assert_eq!(
        header("user-agent"),
        concat!("slated/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(header("accept-encoding"), "gzip,deflate");
    assert_eq!(seen[0].header("authorization"), None);
    let login = format!(r#"{{"script_key":"{KEY}","script_name":"follower"}}"#);
    assert!(seen[0].body.contains(&login), "{}", seen[0].body);
    let filter = &seen[0].arguments()["filters"]["conditions"];
    assert_eq!(
        *filter,
        json!([{"path":"id","relation":"greater_than","values":[6]}])
    );
}

#[tokio::test]
async fn connections_are_kept() {
    let server = Server::always(json(page(&[ROW])));
    let client = server.client();
    for _ in 0..5 {
        client.read(&look(7)).await.unwrap();
    }
    assert_eq!(server.seen().len(), 5);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_full_page_says_so() {
    let server = Server::always(json(page(&[r#"{"id":7}"#, r#"{"id":9}"#])));
    let query = |limit| Query::Ranges {
        least: EventId(7),
        ranges: vec![(EventId(7), None)],
        ids: Vec::new(),
        limit,
    };
    assert!(server.client().read(&query(2)).await.unwrap().full);
    assert!(!server.client().read(&query(3)).await.unwrap().full);
}

#[tokio::test]
async fn what_nobody_asks_for_costs_nothing() {
    let server = Server::always(Reply::Silence);
    let nothing = Query::Ranges {
        least: EventId(1),
        ranges: Vec::new(),
        ids: Vec::new(),
        limit: 500,
    };
    for query in [nothing, Query::Ids(Vec::new())] {
        let read = server.client().read(&query).await.unwrap();
        assert_eq!((read.requests, read.events.len(), read.full), (0, 0, false));
    }
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn the_site_says_what_it_is_without_a_login() {
    let answer = r#"{"version":[8,89,0],"full_version":[8,89,0,9724,"Dev"],"api_max_entities_per_page":100}"#;
    for body in [answer.to_owned(), format!("{{\"results\":{answer}}}")] {
        let server = Server::always(json(body));
        let client = server.client();
        let info = client.info().await.unwrap();
        assert_eq!(info.version, "8.89.0.9724.Dev");
        assert_eq!((info.page(500), info.page(50)), (100, 50));
        assert!(!server.seen()[0].body.contains(KEY));

        // A page the site would cut must not pass for a complete one.
        let error = client.read(&look(1)).await.unwrap_err();
        assert!(
            error.to_string().contains("it gives 100 rows a page"),
            "{error}"
        );
        assert_eq!(server.seen().len(), 1);
    }
    let server = Server::always(json("{\"version\":[8]}"));
    assert_eq!(server.client().info().await.unwrap().page(5_000), 500);
    let server = Server::always(json("{\"hello\":1}"));
    let error = server.client().info().await.unwrap_err();
    assert!(matches!(error, Error::NotUnderstood { .. }), "{error}");
}

#[tokio::test]
async fn many_ids_are_asked_for_some_at_a_time() {
    let server = Server::start(|_, request| {
        let wanted = request.arguments()["filters"]["conditions"][0]["values"].clone();
        let rows = wanted.as_array().unwrap().iter().rev();
        let rows: Vec<_> = rows.map(|id| format!("{{\"id\":{id}}}")).collect();
        json(page(&rows))
    });
    let all: Vec<_> = (1..=1_001).map(EventId).collect();
    let read = server.client().read(&Query::Ids(all)).await.unwrap();
    assert_eq!(read.requests, 3);
    assert_eq!(ids(&read), (1..=1_001).collect::<Vec<_>>());
}

#[tokio::test]
async fn packed_and_chunked_answers_are_unpacked() {
    // As gzip and zlib pack {"results":{"entities":[{"type":"EventLogEntry","id":7,"event_type":"packed"}]}}
    let gzip: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\x4a\x2d\x2e\xcd\x29\x29\x56\xb2\xaa\
        \x56\x4a\xcd\x2b\xc9\x2c\xc9\x4c\x05\xb2\xa3\xab\x95\x4a\x2a\x0b\x52\x95\xac\x94\x5c\xcb\
        \x80\xa2\x3e\xf9\xe9\xae\x79\x25\x45\x95\x4a\x3a\x4a\x99\x29\x4a\x56\xe6\x3a\x4a\xa9\x20\
        \xe1\x78\xa8\x9a\x82\xc4\xe4\xec\xd4\x14\xa5\xda\xd8\xda\x5a\x00\xea\xd7\x6a\x1a\x50\x00\
        \x00\x00";
    let zlib: &[u8] =
        b"\x78\x9c\xab\x56\x2a\x4a\x2d\x2e\xcd\x29\x29\x56\xb2\xaa\x56\x4a\xcd\x2b\xc9\x2c\xc9\x4c\
        \x05\xb2\xa3\xab\x95\x4a\x2a\x0b\x52\x95\xac\x94\x5c\xcb\x80\xa2\x3e\xf9\xe9\xae\x79\x25\
        \x45\x95\x4a\x3a\x4a\x99\x29\x4a\x56\xe6\x3a\x4a\xa9\x20\xe1\x78\xa8\x9a\x82\xc4\xe4\xec\
        \xd4\x14\xa5\xda\xd8\xda\x5a\x00\x78\xdc\x1c\x15";
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
        1d\r\n{\"results\":{\"entities\":[{\"id\"\r\n28\r\n:7,\"event_type\":\"packed\",\"meta\":null}]}}\r\n0\r\n\r\n";
    for reply in [
        http("200 OK", "content-encoding: gzip\r\n", gzip),
        http("200 OK", "content-encoding: deflate\r\n", zlib),
        chunked.to_vec(),
    ] {
        let server = Server::always(Reply::SayAndClose(reply));
        let read = server.client().read(&look(7)).await.unwrap();
        assert_eq!(read.events[0].head.event_type.as_deref(), Some("packed"));
    }
}

#[tokio::test]
async fn the_address_is_taken_as_the_official_client_takes_it() {
    for (path, wanted) in [
        ("", "POST /api3/json HTTP/1.1"),
        ("/base", "POST /api3/json HTTP/1.1"),
        ("/base/", "POST /base/api3/json HTTP/1.1"),
    ] {
        let server = Server::always(json(page(&[ROW])));
        let mut url = server.url();
        url.set_path(path);
        let client = Client::new(settings(url)).unwrap();
        client.newest().await.unwrap();
        assert_eq!(server.seen()[0].line, wanted);
    }
}

#[tokio::test]
async fn a_login_in_the_address_becomes_a_header_and_is_not_shown() {
    let server = Server::always(json(page(&[ROW])));
    let mut url = server.url();
    url.set_username("gate").unwrap();
    url.set_password(Some("p@ss")).unwrap();
    assert!(url.as_str().contains("gate:p%40ss@"));
    let settings = settings(url);
    let shown = format!("{settings:?}");
    let client = Client::new(settings).unwrap();
    client.newest().await.unwrap();
    // base64 of gate:p@ss
    assert_eq!(
        server.seen()[0].header("authorization"),
        Some("Basic Z2F0ZTpwQHNz")
    );
    let shown = format!("{shown} {client:?} {}", client.site());
    assert!(!shown.contains("gate") && !shown.contains("ss@"), "{shown}");
}

#[tokio::test]
async fn a_proxy_is_used_with_its_login() {
    for (proxy, login) in [
        ("ADDRESS", None),
        ("http://ADDRESS", None),
        ("http://ADDRESS/", None),
        // base64 of user:p@:ss
        ("user:p@:ss@ADDRESS", Some("Basic dXNlcjpwQDpzcw==")),
        ("http://user:p@:ss@ADDRESS", Some("Basic dXNlcjpwQDpzcw==")),
    ] {
        let server = Server::always(json(page(&[ROW])));
        let mut settings = settings("http://studio.invalid".parse().unwrap());
        let proxy = proxy.replace("ADDRESS", &server.address.to_string());
        settings.proxy = Some(proxy.into());
        let shown = format!("{settings:?}");
        let client = Client::new(settings).unwrap();
        client.newest().await.unwrap();
        let seen = server.seen();
        assert_eq!(
            seen[0].line,
            "POST http://studio.invalid/api3/json HTTP/1.1"
        );
        assert_eq!(seen[0].header("proxy-authorization"), login);
        let shown = format!("{shown} {client:?}");
        assert!(
            shown.contains(&server.address.to_string()) && !shown.contains("ss@"),
            "{shown}"
        );
    }
}

#[test]
fn the_proxies_of_the_environment_are_not_used() {
    // The same story again in a process whose environment names a proxy that is not there.
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "tests::transport::a_look_is_one_request"]);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        again.env(name, "http://127.0.0.1:1");
    }
    for name in ["no_proxy", "NO_PROXY", "REQUEST_METHOD"] {
        again.env_remove(name);
    }
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
fn settings_that_cannot_work_are_told_before_anything_is_sent() {
    let with = |change: &dyn Fn(&mut crate::Settings)| {
        let mut settings = settings("https://studio.example".parse().unwrap());
        change(&mut settings);
        Client::new(settings).map(|_| ()).unwrap_err()
    };
    let file = |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    };
    let ftp = with(&|s| s.url = "ftp://studio.example".parse().unwrap());
    assert!(matches!(ftp, SetupError::Address), "{ftp}");
    for proxy in [
        "",
        "socks5://h:1",
        "user:hunter2@",
        "h:port",
        "h:1/path",
        "user:hunter2@h:99999",
    ] {
        let error = with(&|s| s.proxy = Some(proxy.into()));
        assert!(matches!(error, SetupError::Proxy), "{proxy}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let missing = with(&|s| s.ca_file = Some("/no/such.pem".into()));
    assert!(missing.to_string().contains("/no/such.pem"), "{missing}");
    for text in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nhello\n-----END CERTIFICATE-----\n",
    ] {
        let file = file(text);
        let none = with(&|s| s.ca_file = Some(file.path().into()));
        assert!(!none.to_string().is_empty());
    }
}
