//! What may go wrong between us and a site, in three classes by what can be done about it.

use std::sync::Arc;

/// A read that brought nothing. Every text in it is one line, without the key, passwords or
/// the query of an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The site cannot be reached or cannot answer now; it may by itself later.
    #[error("{site} is down: {why}")]
    Down {
        /// The site, and the proxy if there is one.
        site: Arc<str>,
        /// What happened.
        why: String,
        /// What may be done.
        hint: &'static str,
    },
    /// The site answered, and said no: a person must change something.
    #[error("{site} refused: {message} ({code})")]
    Refused {
        /// The site.
        site: Arc<str>,
        /// Its number for the reason.
        code: Code,
        /// Its words.
        message: String,
    },
    /// What answered is not, or not quite, the api3 of a site.
    #[error("{site} was not understood: {why}")]
    NotUnderstood {
        /// The site.
        site: Arc<str>,
        /// What is wrong with the answer.
        why: String,
        /// What may be done.
        hint: &'static str,
    },
}

/// By which number a refusal is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// An HTTP status.
    Http(u16),
    /// An api3 error; 102 is a wrong script name or key.
    Api(i64),
    /// None was given.
    Unknown,
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http(status) => write!(f, "HTTP {status}"),
            Self::Api(code) => write!(f, "code {code}"),
            Self::Unknown => f.write_str("no code"),
        }
    }
}

impl Error {
    /// Says in one line what a person may do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Down { hint, .. } | Self::NotUnderstood { hint, .. } => hint,
            Self::Refused { code, .. } => match code {
                Code::Api(102) => "check the script's name and its key on the site's Scripts page",
                Code::Api(106 | 108 | 110) => {
                    "log in as a script, with its name and key, not as a person"
                }
                Code::Api(104) | Code::Http(403) => {
                    "check the script's permission group, and whether the site allows API access from here"
                }
                Code::Api(103) => "check that the script may see EventLogEntry and its fields",
                Code::Http(404 | 405) => "check the address of the site",
                Code::Http(401) => "check the name and password in the address of the site",
                Code::Api(_) | Code::Http(_) | Code::Unknown => "see what the site says",
            },
        }
    }
    /// Tells whether waiting alone may help.
    pub const fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }
    /// Returns the first word of the class: `down`, `refused` or `not understood`.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Down { .. } => "down",
            Self::Refused { .. } => "refused",
            Self::NotUnderstood { .. } => "not understood",
        }
    }
}
