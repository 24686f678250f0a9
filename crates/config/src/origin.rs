//! Where a value came from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a configured value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody set it.
    #[default]
    Default,
    /// A file.
    File {
        /// The file, as it was named.
        path: Arc<Path>,
        /// The line, from 1; `None` where the whole file is meant.
        line: Option<u32>,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A flag of the command line, such as `--listen`.
    Flag(String),
}

impl Origin {
    /// Names a whole file.
    pub fn file(path: &Path) -> Self {
        Self::File {
            path: path.into(),
            line: None,
        }
    }
    /// Tells whether nobody set the value.
    pub const fn is_default(&self) -> bool {
        matches!(self, Self::Default)
    }
    /// Tells whether a path given there is meant relative to the file's folder.
    pub(crate) const fn is_file(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Default)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::File {
                path,
                line: Some(line),
            } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}
