//! One message, one line.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::head;
use crate::{FrameError, FromWorker, ToWorker};

/// A message of one of the two directions.
pub trait Message: serde::Serialize + Sized {
    /// Reads the body of the message called `kind`; `None` where the name is not known.
    fn from_line(kind: &str, line: &[u8]) -> Option<Result<Self, serde_json::Error>>;
}

/// What is read first: the body cannot be read by a tagged enum, since the raw text of an
/// event does not survive the buffering that tagged enums do.
#[derive(Deserialize)]
struct Envelope {
    r#type: String,
    #[serde(default)]
    optional: bool,
}

fn body<T: DeserializeOwned, M>(
    line: &[u8],
    wrap: impl FnOnce(T) -> M,
) -> Result<M, serde_json::Error> {
    serde_json::from_slice(line).map(wrap)
}

impl Message for ToWorker {
    fn from_line(kind: &str, line: &[u8]) -> Option<Result<Self, serde_json::Error>> {
        Some(match kind {
            "hello" => body(line, Self::Hello),
            "event" => body(line, Self::Event),
            "goodbye" => body(line, Self::Goodbye),
            _ => return None,
        })
    }
}

impl Message for FromWorker {
    fn from_line(kind: &str, line: &[u8]) -> Option<Result<Self, serde_json::Error>> {
        Some(match kind {
            "hello" => body(line, Self::Hello),
            "ready" => body(line, Self::Ready),
            "load_failed" => body(line, Self::LoadFailed),
            "result" => body(line, Self::Result),
            "done" => body(line, Self::Done),
            "log" => body(line, Self::Log),
            "write" => body(line, Self::Write),
            "imports" => body(line, Self::Imports),
            _ => return None,
        })
    }
}

/// Writes a message as one line, its line break included, of at most `max` bytes.
pub fn encode<M: Message>(message: &M, max: usize) -> Result<Vec<u8>, FrameError> {
    let mut line = serde_json::to_vec(message).map_err(FrameError::Unwritable)?;
    // Strings escape their line breaks and the model keeps raw text on one line. Text that
    // still holds one would break the framing for everything behind it; between the tokens
    // of valid JSON a space says the same.
    for byte in &mut line {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    line.push(b'\n');
    if line.len() > max {
        return Err(FrameError::TooLong { max });
    }
    Ok(line)
}

/// Reads one line. `None` where there is nothing to act on: a blank line, or an optional
/// message of a newer peer.
pub fn decode<M: Message>(line: &[u8]) -> Result<Option<M>, FrameError> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let broken = |error: serde_json::Error| FrameError::NotAMessage {
        reason: error.to_string(),
        head: head(line),
    };
    let envelope: Envelope = serde_json::from_slice(line).map_err(broken)?;
    match M::from_line(&envelope.r#type, line) {
        Some(message) => message.map(Some).map_err(broken),
        None if envelope.optional => Ok(None),
        None => Err(FrameError::UnknownType {
            name: envelope.r#type,
            head: head(line),
        }),
    }
}
