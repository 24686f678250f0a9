//! What becomes of alerts at a webhook that takes them, is busy, refuses, or is mute.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use slated_config::{Config, Secrets, SiteUrl};

use super::*;

/// A server that answers as it is told, and what was posted.
struct Taker {
    url: String,
    posts: Receiver<String>,
}

/// Reads one request; returns its body.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        text.extend_from_slice(&buffer[..n]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = whole.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1)?;
        let length: usize = length.split("\r\n").next()?.parse().ok()?;
        if body.len() >= length {
            return Some(body.to_owned());
        }
    }
}

impl Taker {
    /// Answers each post with the next of these, and the last ever after.
    fn answering(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!(
            "http://{}/services/T0/SECRETSECRET",
            listener.local_addr().expect("one")
        );
        let (told, posts): (Sender<String>, _) = channel();
        let answers: Vec<_> = answers.iter().map(ToString::to_string).collect();
        std::thread::spawn(move || {
            let mut n = 0;
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let Some(body) = request(&mut stream) else {
                    continue;
                };
                let answer = &answers[n.min(answers.len() - 1)];
                n += 1;
                let all = format!(
                    "HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 12\r\n\r\nSECRETSECRET"
                );
                stream.write_all(all.as_bytes()).unwrap_or_default();
                if told.send(body).is_err() {
                    return;
                }
            }
        });
        Self { url, posts }
    }
    async fn post(&self) -> String {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            if let Ok(body) = self.posts.try_recv() {
                return body;
            }
            assert!(Instant::now() < end, "nothing is posted");
            sleep(Duration::from_millis(2)).await;
        }
    }
}

struct Desk {
    webhook: Webhook,
    seen: watch::Receiver<WebhookView>,
    facts: tokio::sync::broadcast::Receiver<Fact>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Desk {
    fn open(url: &str) -> Self {
        let site = SiteUrl::parse("https://studio.example").expect("a site");
        let config = Config::new(site, std::path::Path::new("/studio"));
        let secrets = Secrets {
            webhook: Some(url.into()),
            ..Secrets::default()
        };
        let hook = Hook::of(&config, &secrets)
            .expect("an address")
            .expect("one");
        let teller = Teller::new();
        let facts = teller.listen();
        let (webhook, mut poster, seen) = Webhook::new(hook, teller);
        poster.again = (Duration::from_millis(1), Duration::from_millis(5));
        let stop = CancellationToken::new();
        let task = tokio::spawn(poster.run(stop.clone()));
        Self {
            webhook,
            seen,
            facts,
            stop,
            task,
        }
    }
    async fn sees(&mut self, what: &str, fact: impl FnMut(&WebhookView) -> bool) -> WebhookView {
        let seen = tokio::time::timeout(Duration::from_secs(10), self.seen.wait_for(fact)).await;
        seen.expect(what).expect(what).clone()
    }
    fn facts(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Ok(fact) = self.facts.try_recv() {
            all.push(fact.to_string());
        }
        all
    }
    async fn ends(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.task).await;
        ended.expect("an end").expect("no panic");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_tried_again_in_order_and_told_once() {
    let busy = "503 Service Unavailable";
    let taker = Taker::answering(&[
        busy,
        busy,
        "429 Too Many Requests\r\nretry-after: 0",
        busy,
        "200 OK",
    ]);
    let mut desk = Desk::open(&taker.url);
    assert!(desk.webhook.send("one".into()) && desk.webhook.send("two".into()));
    let posts = [
        taker.post().await,
        taker.post().await,
        taker.post().await,
        taker.post().await,
    ];
    assert_eq!(posts, ["one"; 4]);
    assert_eq!([taker.post().await, taker.post().await], ["one", "two"]);
    let view = desk.sees("both", |view| view.sent == 2).await;
    assert_eq!((view.waiting, view.trouble, view.refused), (0, None, None));
    let facts = desk.facts();
    assert_eq!(facts.len(), 2, "{facts:?}");
    assert!(facts[0].contains("takes no alerts: HTTP 429"), "{facts:?}");
    assert!(facts[1].contains("takes alerts again"), "{facts:?}");
    assert!(!facts.concat().contains("SECRETSECRET"), "{facts:?}");
    desk.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_given_up_and_the_next_one_goes() {
    let taker = Taker::answering(&[
        "404 Not Found",
        "404 Not Found",
        "302 Found\r\nlocation: http://elsewhere/SECRETSECRET",
        "200 OK",
    ]);
    let mut desk = Desk::open(&taker.url);
    for body in ["one", "two", "three"] {
        assert!(desk.webhook.send(body.into()));
        assert_eq!(taker.post().await, body);
    }
    let view = desk.sees("it is given up", |view| view.given_up == 3).await;
    assert_eq!(view.waiting, 0);
    assert!(
        view.refused
            .is_some_and(|why| why.contains("another address"))
    );
    assert!(desk.webhook.send("four".into()));
    assert_eq!(taker.post().await, "four");
    desk.sees("it is taken", |view| {
        view.sent == 1 && view.refused.is_none()
    })
    .await;
    let facts = desk.facts();
    assert_eq!(facts.len(), 2, "{facts:?}");
    assert!(facts[0].contains("HTTP 404 Not Found: ***"), "{facts:?}");
    assert!(!facts.concat().contains("SECRETSECRET"), "{facts:?}");
    desk.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_one_holds_nobody_up_and_what_it_does_not_take_is_bounded() {
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    let desk = Desk::open(&format!("http://{}/x", mute.local_addr().expect("one")));
    let begin = Instant::now();
    let mut refused = 0;
    for n in 0..10 * WAITING {
        refused += usize::from(!desk.webhook.send(n.to_string()));
    }
    assert!(refused > 0, "it takes without end");
    assert!(begin.elapsed() < Duration::from_secs(5));
    // Nor does it hold up the end.
    desk.ends().await;
    assert!(begin.elapsed() < Duration::from_secs(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_that_wait_the_oldest_go_first() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x", nobody.local_addr().expect("one"));
    drop(nobody);
    let mut desk = Desk::open(&url);
    for n in 0..2 * WAITING {
        while !desk.webhook.send(n.to_string()) {
            tokio::task::yield_now().await;
        }
    }
    let waits = |view: &WebhookView| view.dropped == WAITING as u64 && view.trouble.is_some();
    let view = desk.sees("they wait", waits).await;
    assert_eq!(view.waiting, WAITING as u64);
    assert!(
        view.trouble
            .is_some_and(|why| why.starts_with("connecting: "))
    );
    desk.ends().await;
}
