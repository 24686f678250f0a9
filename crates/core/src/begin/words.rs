//! What people read of a start: where, and why.

use std::fmt;

use super::import::{At, Line, Why};

/// More ids than these are only counted.
const NAMED: usize = 5;

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, at, why } = self;
        match at {
            At::After {
                hold: Some(hold), ..
            } => write!(f, "{plugin} is held: {why}; {hold}"),
            At::After { absent: true, .. } => {
                write!(f, "{plugin} starts {at}, once its file is back: {why}")
            }
            At::After { helper: true, .. } => write!(
                f,
                "{plugin} starts {at}, if it is a plugin (it names no registerCallbacks): {why}"
            ),
            At::New | At::After { .. } => write!(f, "{plugin} starts {at}: {why}"),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::After { last, owed, .. } = self else {
            return f.write_str("as a new plugin");
        };
        write!(f, "after event {last}")?;
        if owed.is_empty() {
            return Ok(());
        }
        let named: Vec<_> = owed.iter().take(NAMED).map(ToString::to_string).collect();
        write!(f, ", and still gets {}", named.join(", "))?;
        match owed.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("its own position"),
            Self::Number => f.write_str("the one number of the file"),
            Self::Namesake { from, moved: true } => {
                write!(
                    f,
                    "it takes over from {from}, and is assumed to be that one, moved"
                )
            }
            Self::Namesake { from, moved: false } => write!(
                f,
                "it takes the position of {from}, whose name it has in a folder that is new"
            ),
            Self::Unknown => f.write_str("the file does not know it"),
            Self::Asked => f.write_str("as it was asked for"),
            Self::NoState => f.write_str("nothing of it is on record"),
            Self::NoPosition => f.write_str("the file has no position of it"),
        }
    }
}
