//! Checksums of rows, so that a flipped bit is found before it decides anything.
//!
//! Invariant: fields are told apart by their lengths and kinds, so that moving a byte
//! from one field to the next changes the sum. The order of fields is part of the format.

/// A CRC-32 over the fields of one row.
#[derive(Default)]
pub(super) struct Crc(crc32fast::Hasher);

impl Crc {
    /// Adds a number.
    pub(super) fn int(mut self, value: i64) -> Self {
        self.0.update(&value.to_le_bytes());
        self
    }
    /// Adds a text.
    pub(super) fn text(mut self, value: &str) -> Self {
        self.0.update(&(value.len() as u64).to_le_bytes());
        self.0.update(value.as_bytes());
        self
    }
    /// Adds a number that may be null.
    pub(super) fn maybe_int(mut self, value: Option<i64>) -> Self {
        self.0.update(&[u8::from(value.is_some())]);
        match value {
            Some(value) => self.int(value),
            None => self,
        }
    }
    /// Adds a text that may be null.
    pub(super) fn maybe_text(mut self, value: Option<&str>) -> Self {
        self.0.update(&[u8::from(value.is_some())]);
        match value {
            Some(value) => self.text(value),
            None => self,
        }
    }
    /// Returns the sum as SQLite keeps it.
    pub(super) fn sum(self) -> i64 {
        i64::from(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_into_each_other() {
        let sums = [
            Crc::default().text("ab").text("c").sum(),
            Crc::default().text("a").text("bc").sum(),
            Crc::default().maybe_text(None).text("abc").sum(),
            Crc::default().maybe_text(Some("")).text("abc").sum(),
            Crc::default().maybe_int(Some(0)).sum(),
            Crc::default().maybe_int(None).sum(),
        ];
        for (at, sum) in sums.iter().enumerate() {
            assert!(!sums[..at].contains(sum), "{sums:?}");
        }
    }
}
