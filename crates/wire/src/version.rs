//! Which versions of the protocol understand each other.

use serde::{Deserialize, Serialize};

/// The version this crate speaks.
pub const PROTOCOL: Protocol = Protocol { major: 1, minor: 3 };

/// The optional behaviour this crate knows, by name. What both sides list is in use.
pub const FEATURES: &[&str] = &["log", DRY, IMPORTS, STACK];

/// The worker lets its plugin write nothing to the site where the hello says so, and tells what
/// would have been written. Since 1.1.
pub const DRY: &str = "dry";

/// The worker says which files of the studio a plugin imported, while it runs, too. Since 1.2.
pub const IMPORTS: &str = "imports";

/// The worker writes its stack to stderr when it gets SIGUSR2, and lives on: only one that lists it
/// is sent the signal, of which any other process dies. Since 1.3.
pub const STACK: &str = "stack";

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// Raised by a change an older peer would misread.
    pub major: u32,
    /// Raised by an addition an older peer ignores.
    pub minor: u32,
}

/// The other side speaks another major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker speaks protocol {theirs}, slated speaks {ours}")]
pub struct VersionMismatch {
    /// This side's version.
    pub ours: Protocol,
    /// The other side's.
    pub theirs: Protocol,
}

impl Protocol {
    /// Returns the version both sides follow: the same major, the lower minor.
    pub fn agree(self, theirs: Self) -> Result<Self, VersionMismatch> {
        if self.major != theirs.major {
            return Err(VersionMismatch { ours: self, theirs });
        }
        Ok(Self {
            major: self.major,
            minor: self.minor.min(theirs.minor),
        })
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn v(major: u32, minor: u32) -> Protocol {
        Protocol { major, minor }
    }

    #[test]
    fn the_lower_minor_rules_and_the_major_must_be_equal() {
        assert_eq!(v(1, 3).agree(v(1, 1)), Ok(v(1, 1)));
        assert_eq!(v(1, 0).agree(v(1, 9)), Ok(v(1, 0)));
        let error = v(1, 0).agree(v(2, 0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the worker speaks protocol 2.0, slated speaks 1.0"
        );
    }
}
