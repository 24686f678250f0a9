//! The simulator over HTTP: answers, faults, spoilt rows, control.

use std::time::Duration;

use serde_json::{Value, json};
use slated_sim::{Corruption, Effect, Fault, On, Server, Site, SiteOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than anything here takes; a test that gets there has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer as it came off the wire.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
    fn announced_length(&self) -> usize {
        let line = self
            .head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        line.unwrap().parse().unwrap()
    }
}

async fn serve() -> Server {
    let site = Site::new(SiteOptions::default());
    Server::start(site, "127.0.0.1:0").await.unwrap()
}

/// Sends one request on a connection of its own; an error is an ended connection.
async fn ask(server: &Server, method: &str, path: &str, body: &[u8]) -> std::io::Result<Answer> {
    let work = async {
        let mut stream = TcpStream::connect(server.address()).await?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
        let end = end.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let body = bytes.split_off(end + 4);
        let head = String::from_utf8(bytes).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Answer { status, head, body })
    };
    timeout(PATIENCE, work)
        .await
        .expect("the site answers in time")
}

fn request(server: &Server, method: &str, args: &Value) -> Vec<u8> {
    let auth = json!({"script_name": "slated", "script_key": server.key("slated")});
    json!({"method_name": method, "params": [auth, args]})
        .to_string()
        .into_bytes()
}

async fn api(server: &Server, method: &str, args: Value) -> std::io::Result<Answer> {
    ask(
        server,
        "POST",
        "/api3/json",
        &request(server, method, &args),
    )
    .await
}

async fn events(server: &Server) -> std::io::Result<Answer> {
    let args = json!({"type": "EventLogEntry", "return_fields": ["event_type", "meta"]});
    api(server, "read", args).await
}

async fn control(server: &Server, order: Value) -> Value {
    let answer = ask(server, "POST", "/sim/control", order.to_string().as_bytes())
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn write(server: &Server) -> u64 {
    let site = server.site();
    site.create(
        "EventLogEntry",
        json!({"event_type": "Test", "meta": {"n": 1}}),
        "slated",
    )
    .unwrap()
}

#[tokio::test]
async fn answers_are_json_and_refusals_come_with_status_200() {
    let server = serve().await;
    let info = ask(
        &server,
        "POST",
        "/api3/json",
        br#"{"method_name":"info","params":[]}"#,
    )
    .await
    .unwrap();
    assert_eq!(info.json()["version"], json!([8, 89, 0]));
    assert!(info.head.contains("content-type: application/json"));
    let auth = json!({"script_name": "slated", "script_key": "wrong"});
    let body = json!({"method_name": "read", "params": [auth, {"type": "Shot"}]}).to_string();
    let refused = ask(&server, "POST", "/api3/json", body.as_bytes())
        .await
        .unwrap();
    assert_eq!(refused.status, 200);
    assert_eq!(
        refused.json(),
        json!({"exception": true, "error_code": 102, "message": "Can't authenticate script 'slated'"})
    );
    for nonsense in [&b"{"[..], b"[]", b"{}", b"\xff", b""] {
        let answer = ask(&server, "POST", "/api3/json", nonsense).await.unwrap();
        assert_eq!(answer.json()["error_code"], 103);
    }
}

#[tokio::test]
async fn people_get_in_with_any_password_until_one_is_set() {
    let server = serve().await;
    let code = async |auth: Value| {
        let body = json!({"method_name": "read", "params": [auth, {"type": "Shot"}]}).to_string();
        let answer = ask(&server, "POST", "/api3/json", body.as_bytes())
            .await
            .unwrap();
        answer.json()["error_code"].as_u64()
    };
    let mira = |password: &str| json!({"user_login": "mira", "user_password": password});
    assert_eq!(code(mira("anything")).await, None);
    assert_eq!(code(mira("")).await, Some(102));
    server.site().set_password("mira", "secret");
    assert_eq!(code(mira("anything")).await, Some(102));
    assert_eq!(code(mira("secret")).await, None);
    assert_eq!(code(json!({"session_token": "made up"})).await, Some(102));
    assert_eq!(code(json!({})).await, Some(102));
    // Whoever left has no access, and a retired script neither.
    let disabled = json!({"sg_status_list": "dis"});
    server
        .site()
        .update("HumanUser", 1, disabled, "ada")
        .unwrap();
    assert_eq!(code(mira("secret")).await, Some(102));
    let key = server.key("slated");
    server.site().retire("ApiUser", 1, "ada").unwrap();
    let script = json!({"script_name": "slated", "script_key": key});
    assert_eq!(code(script).await, Some(102));
}

#[tokio::test]
async fn each_status_is_given_so_often_as_ordered() {
    let server = serve().await;
    for code in [302, 429, 500, 502, 503, 504] {
        server
            .site()
            .add_fault(Fault::new(Effect::Status { code }).times(2));
        for expected in [code, code, 200] {
            let answer = api(&server, "read", json!({"type": "Shot"})).await.unwrap();
            assert_eq!(answer.status, expected);
            assert_eq!(answer.head.contains("location: "), expected == 302);
        }
    }
    let stats = server.site().stats();
    assert_eq!((stats.requests["read"], stats.faulted), (18, 12));
}

#[tokio::test]
async fn pages_and_empty_answers_replace_json() {
    let server = serve().await;
    let once = async |effect: Effect| {
        server.site().add_fault(Fault::new(effect).times(1));
        api(&server, "read", json!({"type": "Shot"})).await.unwrap()
    };
    let page = once(Effect::Html).await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("text/html") && page.body.starts_with(b"<!DOCTYPE html>"));
    let maintenance = once(Effect::Maintenance).await;
    assert_eq!(maintenance.status, 503);
    assert!(maintenance.head.contains("text/html"));
    let empty = once(Effect::Empty).await;
    assert_eq!((empty.status, empty.body.len()), (200, 0));
    let auth = once(Effect::AuthRefused).await;
    assert_eq!(
        (auth.status, &auth.json()["error_code"]),
        (200, &json!(102))
    );
    let refused = Effect::Refused {
        code: 104,
        message: "no".into(),
    };
    assert_eq!(once(refused).await.json()["message"], "no");
}

#[tokio::test]
async fn half_a_body_announces_the_whole() {
    let server = serve().await;
    let whole = api(&server, "read", json!({"type": "Shot"})).await.unwrap();
    server
        .site()
        .add_fault(Fault::new(Effect::HalfBody).times(1));
    let half = api(&server, "read", json!({"type": "Shot"})).await.unwrap();
    assert_eq!(half.announced_length(), whole.body.len());
    assert_eq!(half.body, whole.body[..whole.body.len() / 2]);
}

#[tokio::test]
async fn connections_end_before_the_answer_in_two_ways() {
    let server = serve().await;
    let site = server.site();
    site.add_fault(Fault::new(Effect::Reset { applied: false }).times(1));
    let error = api(&server, "read", json!({"type": "Shot"}))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    site.add_fault(Fault::new(Effect::Close { applied: false }).times(1));
    let error = api(&server, "read", json!({"type": "Shot"}))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    // What was carried out before the end stands.
    let shots = || {
        site.find("Shot", &json!([["code", "is", "X"]]), &[])
            .unwrap()
            .len()
    };
    let create = json!({"type": "Shot", "fields": [{"field_name": "code", "value": "X"}]});
    for (applied, expected) in [(false, 0), (true, 1)] {
        site.add_fault(Fault::new(Effect::Reset { applied }).times(1));
        api(&server, "create", create.clone()).await.unwrap_err();
        assert_eq!(shots(), expected);
    }
}

#[tokio::test]
async fn a_fault_strikes_only_whom_it_is_meant_for() {
    let server = serve().await;
    let site = server.site();
    write(&server);
    let broken = || Fault::new(Effect::Status { code: 500 });
    let status = async || {
        let event = events(&server).await.unwrap().status;
        let shot = api(&server, "read", json!({"type": "Shot"}))
            .await
            .unwrap()
            .status;
        let update = json!({"type": "Shot", "id": 1, "fields": []});
        (
            event,
            shot,
            api(&server, "update", update).await.unwrap().status,
        )
    };
    for (fault, expected) in [
        (broken(), (500, 500, 500)),
        (broken().on(On::EventReads), (500, 200, 200)),
        (broken().on(On::AllButEventReads), (200, 500, 500)),
        (broken().on(On::Writes), (200, 200, 500)),
        (broken().by("slated"), (500, 500, 500)),
        (broken().by("note_on_approval"), (200, 200, 200)),
    ] {
        site.add_fault(fault.clone());
        assert_eq!(status().await, expected, "{fault:?}");
        site.clear_faults();
    }
    assert_eq!(status().await, (200, 200, 200));
}

#[tokio::test]
async fn a_hanging_request_ends_when_the_fault_is_cleared() {
    let server = serve().await;
    let site = server.site().clone();
    site.add_fault(Fault::new(Effect::Hang));
    let mut hanging = std::pin::pin!(events(&server));
    // The request has arrived and nothing comes back.
    let arrived = async {
        while site.stats().faulted == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = &mut hanging => panic!("{answer:?}"),
        () = arrived => {}
    }
    site.clear_faults();
    assert_eq!(
        hanging.await.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn slow_answers_and_latency_take_their_time() {
    let server = serve().await;
    let begin = std::time::Instant::now();
    server
        .site()
        .add_fault(Fault::new(Effect::Slow { ms: 60 }).times(1));
    events(&server).await.unwrap();
    server.site().set_latency(Duration::from_millis(40));
    events(&server).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn the_last_page_can_come_again() {
    let server = serve().await;
    write(&server);
    let first = events(&server).await.unwrap().body;
    write(&server);
    server.site().add_fault(Fault::new(Effect::Stale).times(1));
    assert_eq!(events(&server).await.unwrap().body, first);
    assert_ne!(events(&server).await.unwrap().body, first);
}

#[tokio::test]
async fn a_spoilt_row_spoils_every_page_it_is_on_and_no_other() {
    let server = serve().await;
    let (before, bad, after) = (write(&server), write(&server), write(&server));
    let page = async |ids: &[u64]| {
        let filters = json!({"path": "id", "relation": "in", "values": ids});
        let args = json!({
            "type": "EventLogEntry", "filters": filters,
            "return_fields": ["event_type", "meta"],
        });
        api(&server, "read", args).await.unwrap().body
    };
    let strict = |body: &[u8]| serde_json::from_slice::<Value>(body).is_ok();
    for (how, trace) in [
        (Corruption::BadUtf8, &b"caf\xe9"[..]),
        (Corruption::Nan, b"\"spoilt\":NaN"),
        (Corruption::Infinity, b"\"spoilt\":Infinity"),
        (Corruption::ControlCharacter, b"bell \x07"),
        (Corruption::LineBreak, b"two\nlines"),
        (Corruption::LoneSurrogate, b"\\ud800"),
        (Corruption::Cut, b"\"Shotg"),
        (Corruption::NotJson, b"#<EventLogEntry"),
    ] {
        server.site().spoil(bad, how);
        for ids in [&[before, bad, after][..], &[bad], &[bad, after]] {
            let body = page(ids).await;
            assert!(!strict(&body), "{how:?}");
            assert!(body.windows(trace.len()).any(|w| w == trace), "{how:?}");
        }
        assert!(strict(&page(&[before, after]).await), "{how:?}");
        server.site().heal(bad);
        assert!(strict(&page(&[before, bad, after]).await));
    }
}

#[tokio::test]
async fn everything_can_be_ordered_over_http() {
    let server = serve().await;
    control(
        &server,
        json!({"do": "policy", "policy": {"rules": [
            {"when": {"next": 1}, "then": "hold"},
            {"when": {"share": 1.0}, "then": {"late": {"min_ms": 0, "max_ms": 0}}},
        ]}}),
    )
    .await;
    let held = write(&server);
    let shown = control(&server, json!({"do": "show"})).await;
    assert_eq!(shown["waiting"][0]["events"], json!([held]));
    let number = shown["waiting"][0]["transaction"].clone();
    control(&server, json!({"do": "snapshot", "name": "before"})).await;
    let rows = control(&server, json!({"do": "commit", "transaction": number})).await;
    assert_eq!(rows, json!({"rows": 1}));
    assert_eq!(server.site().head(), Some(held));
    control(&server, json!({"do": "restore", "name": "before"})).await;
    assert_eq!(server.site().head(), None);

    control(&server, json!({"do": "policy", "policy": {}})).await;
    let seeded = control(
        &server,
        json!({"do": "seed_events", "count": 10, "age_s": 60}),
    )
    .await;
    assert_eq!(seeded, json!({"first": held + 1, "last": held + 10}));
    control(
        &server,
        json!({"do": "hide", "first": held + 1, "last": held + 2}),
    )
    .await;
    control(&server, json!({"do": "skip_ids", "ids": 5})).await;
    control(
        &server,
        json!({"do": "spoil", "event": held + 3, "how": "nan"}),
    )
    .await;
    control(&server, json!({"do": "archive_below", "id": held + 2})).await;
    control(
        &server,
        json!({"do": "log_event", "row": {"event_type": "Odd"}}),
    )
    .await;
    control(
        &server,
        json!({"do": "fault", "fault": {
        "effect": {"status": {"code": 503}}, "on": "event_reads", "times": 3}}),
    )
    .await;
    assert_eq!(events(&server).await.unwrap().status, 503);
    control(&server, json!({"do": "clear_faults"})).await;
    let page = events(&server).await.unwrap();
    assert!(String::from_utf8(page.body).unwrap().contains("NaN"));

    let opened = control(&server, json!({"do": "begin"})).await["transaction"].clone();
    let auth = json!({"script_name": "slated", "script_key": server.key("slated"),
                      "sim_transaction": opened});
    let args = json!({"type": "Shot", "id": 1,
                      "fields": [{"field_name": "code", "value": "joined"}]});
    let body = json!({"method_name": "update", "params": [auth, args]}).to_string();
    let head = server.site().head();
    ask(&server, "POST", "/api3/json", body.as_bytes())
        .await
        .unwrap();
    assert_eq!(server.site().head(), head);
    control(&server, json!({"do": "commit", "transaction": opened})).await;
    assert!(server.site().head() > head);

    let history = ask(&server, "GET", "/sim/history", b"")
        .await
        .unwrap()
        .json();
    assert_eq!(
        history.as_array().unwrap().len(),
        server.site().history().len()
    );
    let stats = ask(&server, "GET", "/sim/stats", b"").await.unwrap().json();
    assert_eq!(stats["requests"]["read EventLogEntry"], 2);
    for wrong in [
        json!({"do": "dance"}),
        json!({"do": "restore", "name": "nowhere"}),
        json!({"do": "commit", "transaction": 99_999}),
        json!({"do": "hide", "first": 1}),
    ] {
        let answer = ask(
            &server,
            "POST",
            "/sim/control",
            wrong.to_string().as_bytes(),
        )
        .await
        .unwrap();
        assert!((400..500).contains(&answer.status), "{wrong}: {answer:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_shut_down_frees_its_port() {
    let site = Site::new(SiteOptions::default());
    let server = Server::start(site.clone(), "127.0.0.1:0").await.unwrap();
    let address = server.address();
    // An idle connection must not keep it.
    let idle = TcpStream::connect(address).await.unwrap();
    write(&server);
    timeout(PATIENCE, server.shutdown()).await.unwrap();
    TcpStream::connect(address).await.unwrap_err();
    let server = Server::start(site, &address.to_string()).await.unwrap();
    assert_eq!(server.address(), address);
    assert_eq!(
        events(&server).await.unwrap().json()["results"]["entities"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    drop(idle);
}

#[tokio::test]
async fn the_simulator_listens_on_loopback_only() {
    for address in ["0.0.0.0:0", "192.0.2.1:0", "nonsense"] {
        let site = Site::new(SiteOptions::default());
        Server::start(site, address).await.unwrap_err();
    }
}
