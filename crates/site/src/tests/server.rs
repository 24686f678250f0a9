//! A server that answers with exactly the bytes a test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use url::Url;

use crate::{Client, Settings};

/// The key of the script in all tests: it must not appear anywhere but in requests.
pub(super) const KEY: &str = "hunter2-the-key";

/// What came in.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Such as `POST /api3/json HTTP/1.1`.
    pub(super) line: String,
    /// The header lines, names in lower case.
    pub(super) headers: Vec<(String, String)>,
    /// The body, as text.
    pub(super) body: String,
}

/// What goes out.
#[derive(Clone)]
pub(super) enum Reply {
    /// These bytes; the connection stays.
    Say(Vec<u8>),
    /// These bytes, then the end of the connection.
    SayAndClose(Vec<u8>),
    /// Nothing, until the client goes.
    Silence,
}

/// A server on loopback; its thread ends with the process.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers each request with what `answer` makes of it and its number, from 0.
    pub(super) fn start(answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (answer, log, count) = (
            Arc::new(answer),
            Arc::clone(&seen),
            Arc::clone(&connections),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || drop(serve(&stream, &log, &*answer)));
            }
        });
        Self {
            address,
            seen,
            connections,
        }
    }
    /// Answers every request with the same.
    pub(super) fn always(reply: Reply) -> Self {
        Self::start(move |_, _| reply.clone())
    }
    /// Returns the requests so far.
    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
    /// Returns how many connections were made so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
    pub(super) fn url(&self) -> Url {
        Url::parse(&format!("http://{}", self.address)).unwrap()
    }
    /// Describes this server as a site.
    pub(super) fn settings(&self) -> Settings {
        settings(self.url())
    }
    pub(super) fn client(&self) -> Client {
        Client::new(self.settings()).unwrap()
    }
}

/// Describes a site that must answer in two seconds.
pub(super) fn settings(url: Url) -> Settings {
    Settings {
        timeout: Duration::from_secs(2),
        ..Settings::new(url, "follower", KEY.into())
    }
}

fn serve(
    stream: &TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &dyn Fn(usize, &Request) -> Reply,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let request = Request {
            line: line.trim_end().into(),
            headers,
            body: String::from_utf8(body).unwrap(),
        };
        let number = {
            let mut log = log.lock().unwrap();
            log.push(request.clone());
            log.len() - 1
        };
        match answer(number, &request) {
            Reply::Say(bytes) => (&*stream).write_all(&bytes)?,
            Reply::SayAndClose(bytes) => return (&*stream).write_all(&bytes),
            Reply::Silence => {
                reader.read_to_end(&mut Vec::new())?;
                return Ok(());
            }
        }
    }
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
    /// Returns the arguments of a call, behind its login.
    pub(super) fn arguments(&self) -> Value {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["params"][1].clone()
    }
}

/// Writes an answer with its length.
pub(super) fn http(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Answers 200 with JSON, or what should be.
pub(super) fn json(body: impl AsRef<[u8]>) -> Reply {
    Reply::Say(http("200 OK", "content-type: application/json\r\n", body))
}

/// Wraps rows as a site does.
pub(super) fn page(rows: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let rows: Vec<_> = rows.iter().map(AsRef::as_ref).collect();
    let head: &[u8] = b"{\"results\":{\"entities\":[";
    [
        head,
        &rows.join(&b","[..]),
        b"],\"paging_info\":{\"entity_count\":1}}}",
    ]
    .concat()
}
