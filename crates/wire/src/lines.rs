//! Bytes as they arrive, cut into lines.

use crate::FrameError;
use crate::error::head;

/// Cuts a stream into lines of at most `max` bytes, line break included.
///
/// Holds never more than one line and what arrived with its end.
#[derive(Debug)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Where the line that is being read begins.
    start: usize,
    /// Up to where no line break stands.
    searched: usize,
    max: usize,
}

impl Lines {
    /// Makes a cutter for lines of at most `max` bytes.
    pub const fn new(max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            max,
        }
    }
    /// Takes in what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }
    /// Returns the next whole line without its line break; `None` until more arrives.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let unread = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(at) = unread.iter().position(|b| *b == b'\n') else {
            self.searched = self.buffer.len();
            return if self.buffer.len() - self.start >= self.max {
                Err(FrameError::TooLong { max: self.max })
            } else {
                Ok(None)
            };
        };
        let begin = self.start;
        let end = self.searched + at;
        self.start = end + 1;
        self.searched = self.start;
        if self.start - begin > self.max {
            return Err(FrameError::TooLong { max: self.max });
        }
        Ok(self.buffer.get(begin..end))
    }
    /// Says that the stream has ended: an error where it ended within a line.
    pub fn finish(&self) -> Result<(), FrameError> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        if rest.trim_ascii().is_empty() {
            return Ok(());
        }
        Err(FrameError::HalfAFrame { head: head(rest) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(lines: &mut Lines) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut found = Vec::new();
        while let Some(line) = lines.next_line()? {
            found.push(line.to_vec());
        }
        Ok(found)
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_bytes_arrive(
            texts in prop::collection::vec("[a-z]{0,20}", 0..20),
            pieces in prop::collection::vec(1..9_usize, 1..9),
        ) {
            let stream: Vec<u8> = texts.iter().flat_map(|t| format!("{t}\n").into_bytes()).collect();
            let mut lines = Lines::new(64);
            let mut found = Vec::new();
            let mut rest = stream.as_slice();
            for size in pieces.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, next) = rest.split_at((*size).min(rest.len()));
                lines.push(piece);
                found.extend(read_all(&mut lines).unwrap());
                rest = next;
            }
            let wanted: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(found, wanted);
            prop_assert!(lines.finish().is_ok());
        }
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        let mut lines = Lines::new(4);
        lines.push(b"abc\n");
        assert_eq!(read_all(&mut lines).unwrap(), [b"abc"]);
        lines.push(b"abcd\n");
        assert!(matches!(
            lines.next_line(),
            Err(FrameError::TooLong { max: 4 })
        ));
        let mut lines = Lines::new(4);
        lines.push(b"abcd");
        assert!(matches!(
            lines.next_line(),
            Err(FrameError::TooLong { max: 4 })
        ));
    }

    #[test]
    fn an_end_within_a_line_is_an_error() {
        let mut lines = Lines::new(64);
        lines.push(b"whole\n{\"type\":");
        assert_eq!(read_all(&mut lines).unwrap(), [b"whole"]);
        let error = lines.finish().unwrap_err().to_string();
        assert!(error.contains("type"), "{error}");
    }
}
