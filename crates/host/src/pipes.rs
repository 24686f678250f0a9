//! The protocol's two pipes: a task that writes, a task that reads.

use slated_wire::{FromWorker, Lines, decode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// How much may come before the hello that is not of the protocol, in bytes.
const NOISE: usize = 64 * 1024;
/// How much is written at once, at least where more waits.
const BATCH: usize = 64 * 1024;

/// How many messages wait to be taken.
pub(crate) const HEARD: usize = 64;

/// What was heard on the inward pipe.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A message.
    Message(FromWorker),
    /// A line before the hello that is no message: a `sitecustomize` may print.
    Noise(String),
    /// The protocol is broken; nothing follows.
    Broken(String),
    /// The other side closed its end; nothing follows.
    End,
}

impl Heard {
    /// Tells whether nothing follows.
    pub(crate) const fn is_last(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::End)
    }
}

/// Writes lines until there are no more or nobody reads them, then hangs up.
pub(crate) async fn write(mut pipe: impl AsyncWrite + Unpin, mut lines: mpsc::Receiver<Vec<u8>>) {
    while let Some(mut batch) = lines.recv().await {
        while batch.len() < BATCH
            && let Ok(more) = lines.try_recv()
        {
            batch.extend_from_slice(&more);
        }
        if pipe.write_all(&batch).await.is_err() {
            // The reader is gone; its end is reported by whoever waits for the process.
            return;
        }
    }
}

/// Reads messages and hands them on, and waits where they are not taken.
pub(crate) async fn read(
    mut pipe: impl AsyncRead + Unpin,
    max_frame: usize,
    heard: mpsc::Sender<Heard>,
) {
    let mut reader = Reader {
        lines: Lines::new(max_frame),
        noise: Some(NOISE),
    };
    let mut chunk = vec![0; 64 * 1024];
    loop {
        // An error of a pipe means the same as its end.
        let count = pipe.read(&mut chunk).await.unwrap_or(0);
        reader.lines.push(chunk.get(..count).unwrap_or_default());
        loop {
            let next = match reader.next() {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(error) => {
                    drop(heard.send(Heard::Broken(error)).await);
                    return;
                }
            };
            if heard.send(next).await.is_err() {
                return;
            }
        }
        if count == 0 {
            // Half a frame at the end is what a death looks like, and no offence of its own.
            drop(heard.send(Heard::End).await);
            return;
        }
    }
}

struct Reader {
    lines: Lines,
    /// How much noise is still borne; `None` after the hello.
    noise: Option<usize>,
}

impl Reader {
    fn next(&mut self) -> Result<Option<Heard>, String> {
        loop {
            let line = match self.lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(error) => return Err(error.to_string()),
            };
            match decode::<FromWorker>(line) {
                Ok(Some(message)) => {
                    self.noise = None;
                    return Ok(Some(Heard::Message(message)));
                }
                Ok(None) => {}
                Err(error) => {
                    let left = self.noise.and_then(|left| left.checked_sub(line.len() + 1));
                    // Something that begins like a message was meant as one.
                    if left.is_none() || line.trim_ascii_start().starts_with(b"{") {
                        return Err(error.to_string());
                    }
                    self.noise = left;
                    return Ok(Some(Heard::Noise(
                        String::from_utf8_lossy(line).into_owned(),
                    )));
                }
            }
        }
    }
}
