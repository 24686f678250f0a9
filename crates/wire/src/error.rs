//! What can be wrong with a line.

/// A line that is not a message.
///
/// Where the line came from a worker, the worker cannot be trusted to stand where we think
/// it stands: it is ended, and that counts as a death.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than allowed.
    #[error("a frame of more than {max} bytes")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// Not JSON, or a message with wrong fields.
    #[error("not a message of the plugin protocol ({reason}): {head}")]
    NotAMessage {
        /// What the JSON reader says.
        reason: String,
        /// The first 200 bytes, printable.
        head: String,
    },
    /// A message this version does not know and may not ignore.
    #[error("unknown message type `{name}`: {head}")]
    UnknownType {
        /// Its type.
        name: String,
        /// The first 200 bytes, printable.
        head: String,
    },
    /// The stream ended within a line.
    #[error("the stream ended within a frame: {head}")]
    HalfAFrame {
        /// The first 200 bytes, printable.
        head: String,
    },
    /// A message that JSON cannot hold, such as a path that is not UTF-8.
    #[error("a message that cannot be written as JSON: {0}")]
    Unwritable(#[source] serde_json::Error),
}

/// Returns the first 200 bytes as printable text.
pub(crate) fn head(line: &[u8]) -> String {
    let cut = line.get(..200).unwrap_or(line);
    let mut text: String = String::from_utf8_lossy(cut).escape_debug().collect();
    if cut.len() < line.len() {
        text.push('…');
    }
    text
}
