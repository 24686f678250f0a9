//! What a plugin prints: lines at a bearable rate, the last of it for a crash report, and
//! the stacks that `faulthandler` writes when asked.

use std::collections::VecDeque;
use std::io::BufRead as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How much is kept for a crash report, in bytes.
const KEPT: usize = 64 * 1024;
/// The longest line handed on; longer ones are cut in pieces.
const LINE: usize = 8 * 1024;
/// How many lines may come at once, and how many a second after that.
const BURST: f64 = 400.0;
const RATE: f64 = 100.0;

/// What is remembered of a worker's stderr.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    last: VecDeque<u8>,
    /// The lines of a stack dump while one is awaited.
    stack: Option<Vec<String>>,
}

impl Kept {
    /// Returns the last of what was printed.
    pub(crate) fn text(&self) -> String {
        let mut inner = self.lock();
        String::from_utf8_lossy(inner.last.make_contiguous()).into_owned()
    }
    /// Begins to collect a stack dump.
    pub(crate) fn await_stack(&self) {
        self.lock().stack = Some(Vec::new());
    }
    /// Returns what came of it, and collects no more.
    pub(crate) fn take_stack(&self) -> Option<String> {
        let lines = self.lock().stack.take()?;
        let text = plugins_part(&lines);
        (!text.is_empty()).then_some(text)
    }
    fn remember(&self, bytes: &[u8]) {
        let mut inner = self.lock();
        inner.last.extend(bytes);
        let over = inner.last.len().saturating_sub(KEPT);
        inner.last.drain(..over);
    }
    /// Takes a line of a stack dump where one is awaited.
    fn takes(&self, line: &str) -> bool {
        match &mut self.lock().stack {
            Some(stack) if is_stack_line(line) && stack.len() < 2000 => {
                stack.push(line.to_owned());
                true
            }
            _ => false,
        }
    }
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether `faulthandler` writes such a line.
fn is_stack_line(line: &str) -> bool {
    line.is_empty() || line.starts_with("  File \"") || line.starts_with("  ...") || is_header(line)
}

fn is_header(line: &str) -> bool {
    (line.starts_with("Thread 0x") || line.starts_with("Current thread 0x"))
        || line.starts_with("Stack (most recent call first)")
}

/// Leaves out the worker's own frames, and threads that consist of nothing else.
fn plugins_part(lines: &[String]) -> String {
    let mut out = String::new();
    let mut header = None;
    for line in lines.iter().filter(|line| !line.is_empty()) {
        if is_header(line) {
            header = Some(line);
        } else if !is_ours(line) {
            if let Some(header) = header.take() {
                out.push_str(header);
                out.push('\n');
            }
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

fn is_ours(line: &str) -> bool {
    // The bootstrap frames of a thread, and those of `python FOLDER`, say nothing either.
    [
        "/slated_worker/",
        "/threading.py\"",
        "\"<frozen runpy>\"",
        "/runpy.py\"",
    ]
    .iter()
    .any(|part| line.contains(part))
        || (line.contains("/worker-") && line.contains("__main__.py\""))
}

/// Reads until the end of the stream, which may come long after the process's own: a child
/// process that goes on must find a reader. Never waits for whoever takes the lines.
pub(crate) async fn listen(
    mut stream: impl AsyncRead + Unpin,
    kept: Kept,
    lines: mpsc::Sender<String>,
) {
    let mut gate = Gate::new(Instant::now());
    let mut buffer = Vec::with_capacity(LINE);
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        let mut bytes = chunk.get(..count).unwrap_or_default();
        kept.remember(bytes);
        while !bytes.is_empty() {
            let room = LINE.saturating_sub(buffer.len()) as u64;
            // Not byte by byte: a flood must not keep a processor busy.
            let read = std::io::Read::take(&mut bytes, room).read_until(b'\n', &mut buffer);
            let ends = buffer.pop_if(|last| *last == b'\n').is_some();
            if ends || buffer.len() >= LINE || read.is_err() {
                gate.pass(&kept, &lines, &buffer);
                buffer.clear();
            }
        }
    }
    if !buffer.is_empty() {
        gate.pass(&kept, &lines, &buffer);
    }
    gate.tell(&lines);
}

/// Lets a bearable number of lines through and counts the others.
struct Gate {
    left: f64,
    at: Instant,
    withheld: u64,
}

impl Gate {
    const fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            at: now,
            withheld: 0,
        }
    }
    fn pass(&mut self, kept: &Kept, lines: &mpsc::Sender<String>, bytes: &[u8]) {
        let line = String::from_utf8_lossy(bytes);
        let line = line.trim_end_matches('\r');
        if kept.takes(line) {
            return;
        }
        let now = Instant::now();
        self.left = (self.left + (now - self.at).as_secs_f64() * RATE).min(BURST);
        self.at = now;
        if self.left < 1.0 {
            self.withheld += 1;
            return;
        }
        self.tell(lines);
        self.left -= 1.0;
        if lines.try_send(line.to_owned()).is_err() {
            self.withheld += 1;
        }
    }
    /// Says how many lines were withheld.
    fn tell(&mut self, lines: &mpsc::Sender<String>) {
        if self.withheld > 0 {
            let note = format!("({} lines left out: too many at once)", self.withheld);
            if lines.try_send(note).is_ok() {
                self.withheld = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_is_counted_and_its_end_is_kept() {
        let flood: String =
            (0..20_000).fold(String::new(), |text, i| text + &format!("line {i}\n"));
        let kept = Kept::default();
        let (sender, mut receiver) = mpsc::channel(1000);
        listen(flood.as_bytes(), kept.clone(), sender).await;
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await {
            lines.push(line);
        }
        assert!((400..1000).contains(&lines.len()), "{}", lines.len());
        assert_eq!(lines[0], "line 0");
        assert!(lines.last().unwrap().contains("lines left out"));
        let text = kept.text();
        assert!(text.len() <= KEPT && text.ends_with("line 19999\n"));
    }

    #[tokio::test]
    async fn nobody_taking_lines_does_not_stop_the_reading() {
        let flood = "x\n".repeat(10_000);
        let (sender, _receiver) = mpsc::channel(1);
        listen(flood.as_bytes(), Kept::default(), sender).await;
    }

    #[tokio::test]
    async fn a_stack_is_the_plugins_part_and_what_it_prints_meanwhile_is_not() {
        let dump = "Thread 0x7 (most recent call first):\n  \
                    File \"/c/slated_worker/watch.py\", line 9 in _watch\n  \
                    File \"/usr/lib/threading.py\", line 1 in run\n\n\
                    Current thread 0x8 (most recent call first):\nhello\n  \
                    File \"/p/notes.py\", line 3 in on_note\n  \
                    File \"/c/slated_worker/calls.py\", line 4 in call\n";
        let kept = Kept::default();
        kept.await_stack();
        let (sender, mut receiver) = mpsc::channel(10);
        listen(dump.as_bytes(), kept.clone(), sender).await;
        assert_eq!(receiver.recv().await.as_deref(), Some("hello"));
        assert_eq!(receiver.recv().await, None);
        assert_eq!(
            kept.take_stack().as_deref(),
            Some(
                "Current thread 0x8 (most recent call first):\n  \
                 File \"/p/notes.py\", line 3 in on_note\n"
            )
        );
    }
}
