//! One request to a process of this machine, and its answer as JSON.

use std::io::{Read, Write};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Asks for `path` over a fresh connection; with a body, it is posted.
///
/// An answer that is not 200 or not JSON is an error.
pub(super) fn ask(
    stream: &mut (impl Read + Write),
    path: &str,
    body: Option<&Value>,
) -> Result<Value> {
    let (method, body) = match body {
        Some(body) => ("POST", body.to_string()),
        None => ("GET", String::new()),
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let parts = answer.split_once("\r\n\r\n");
    let (head, body) = parts.with_context(|| format!("the answer to {path} is no HTTP"))?;
    let line = head.lines().next().unwrap_or_default();
    ensure!(
        line.split(' ').nth(1) == Some("200"),
        "{path} was answered with `{line}`: {body}"
    );
    serde_json::from_str(body).with_context(|| format!("the answer to {path} is no JSON"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Answers whatever is asked with one text, and keeps what was asked.
    struct Line(Cursor<&'static str>, Vec<u8>);

    impl Read for Line {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(into)
        }
    }

    impl Write for Line {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn line(answer: &'static str) -> Line {
        Line(Cursor::new(answer), Vec::new())
    }

    #[test]
    fn a_body_is_posted_and_the_answer_read() {
        let mut stream = line("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{\"a\":1}");
        let body = serde_json::json!({"do": "show"});
        let answer = ask(&mut stream, "/sim/control", Some(&body)).unwrap();
        assert_eq!(answer["a"], 1);
        let asked = String::from_utf8(stream.1).unwrap();
        assert!(
            asked.starts_with("POST /sim/control HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(
            asked.ends_with("\r\nContent-Length: 13\r\n\r\n{\"do\":\"show\"}"),
            "{asked}"
        );
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        for answer in [
            "",
            "HTTP/1.1 400 Bad Request\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\n\r\n{",
        ] {
            assert!(ask(&mut line(answer), "/", None).is_err(), "{answer}");
        }
    }
}
