//! A webhook for tests: an HTTP listener that keeps what is posted, and answers as it is told.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// The part of its address that nobody is to see.
const SECRET: &str = "T0-B0-s3cretpath";

/// How a webhook answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With an HTTP status.
    Status(u16),
    /// With the end of the connection.
    Hangs,
    /// Not at all.
    Mute,
}

/// A webhook. It lives as long as the test.
#[derive(Clone, Debug)]
pub struct Hook {
    port: u16,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Debug)]
struct Heard {
    answer: Answer,
    posts: Vec<Value>,
    /// Connections so far, of those that are not answered.
    kept: Vec<TcpStream>,
    calls: usize,
}

impl Hook {
    /// Starts one that takes everything.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no port")?;
        let port = listener.local_addr().context("no address")?.port();
        let hook = Self {
            port,
            heard: Arc::new(Mutex::new(Heard {
                answer: Answer::Status(200),
                posts: Vec::new(),
                kept: Vec::new(),
                calls: 0,
            })),
        };
        let serving = hook.clone();
        std::thread::spawn(move || {
            // A daemon that ends in the middle is no failure of a test.
            for stream in listener.incoming().flatten() {
                serving.serve(stream).unwrap_or_default();
            }
        });
        Ok(hook)
    }
    /// Returns its address.
    pub fn url(&self) -> String {
        format!(
            "http://127.0.0.1:{}/services/{SECRET}?key={SECRET}",
            self.port
        )
    }
    /// Returns what may be shown of its address.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
    /// Returns the part of its address that nobody is to see.
    pub const fn secret() -> &'static str {
        SECRET
    }
    /// Changes how it answers from now on.
    pub fn answer(&self, answer: Answer) {
        self.heard().answer = answer;
    }
    /// Returns what was posted and taken, in order.
    pub fn posts(&self) -> Vec<Value> {
        self.heard().posts.clone()
    }
    /// Returns how often it was called.
    pub fn calls(&self) -> usize {
        self.heard().calls
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) -> Result<()> {
        let body = body(&mut stream)?;
        let mut heard = self.heard();
        heard.calls += 1;
        match heard.answer {
            Answer::Hangs => {}
            Answer::Mute => heard.kept.push(stream),
            Answer::Status(code) => {
                if code < 300 {
                    let value = serde_json::from_slice(&body);
                    heard.posts.push(value.context("not JSON")?);
                }
                // As some do, it says whom it was called as.
                let said = format!("no hook {SECRET}");
                let length = said.len();
                write!(
                    stream,
                    "HTTP/1.1 {code} Said\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{said}"
                )?;
            }
        }
        Ok(())
    }
}

/// Reads a request; returns its body.
fn body(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer)?;
        anyhow::ensure!(n > 0, "half a request");
        all.extend_from_slice(buffer.get(..n).unwrap_or_default());
        let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(all.get(..end).unwrap_or_default()).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("no length")?.trim().parse()?;
        if all.len() >= end + 4 + length {
            return Ok(all.split_off(end + 4));
        }
    }
}
