//! The error every command ends with: what happened, what to do next, and an exit code.

use std::fmt::{self, Display};

use crate::view::Refusal;

/// What kind of trouble it is; decides the exit code (docs/operations.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ours: 1.
    Internal,
    /// The command line: 2.
    Usage,
    /// Configuration, state folder, interpreter: 3.
    Configuration,
    /// The site: 4.
    Site,
    /// A plugin: 5.
    Plugin,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: Kind,
    message: String,
    hints: Vec<String>,
}

impl CommandError {
    fn new(kind: Kind, message: impl Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
            hints: Vec::new(),
        }
    }
    pub(crate) fn internal(message: impl Display) -> Self {
        Self::new(Kind::Internal, message)
    }
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Kind::Usage, message)
    }
    pub(crate) fn configuration(message: impl Display) -> Self {
        Self::new(Kind::Configuration, message)
    }
    pub(crate) fn site(message: impl Display) -> Self {
        Self::new(Kind::Site, message)
    }
    pub(crate) fn plugin(message: impl Display) -> Self {
        Self::new(Kind::Plugin, message)
    }
    /// Says what to do next.
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }
    /// Returns what happened and what to do next, a line each.
    pub(crate) fn told(&self) -> String {
        let hints = self.hints.iter().map(|hint| format!("\nhint: {hint}"));
        format!("{}{}", self.message, hints.collect::<String>())
    }
    /// Returns the process's exit code.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Internal => 1,
            Kind::Usage => 2,
            Kind::Configuration => 3,
            Kind::Site => 4,
            Kind::Plugin => 5,
        }
    }
}

impl Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.told())
    }
}

impl From<slated_store::Error> for CommandError {
    fn from(error: slated_store::Error) -> Self {
        use slated_store::Error as E;
        let hint = match &error {
            E::InUse { .. } => {
                "`slated status` shows the running one; stop it first, or give this one a state folder of its own"
            }
            E::Newer { .. } => {
                "use that version or a newer one; an older copy of the state may stand beside it (`state.db.v*.bak`)"
            }
            E::NetworkFolder { .. } => {
                "move it to a local disk:\n    [state]\n    folder = \"/var/lib/slated\""
            }
            E::Unusable { .. } => {
                "let the user slated runs as make and write it, or name another: `state.folder`; in a .conf, `eventIdFile`"
            }
            E::OtherSite { .. } => {
                "correct `site.url`, or name another `state.folder` for this site"
            }
            E::Damaged { .. } => {
                "stop slated, keep a copy of the folder, and restore a backup; nothing was started at a guess"
            }
            E::Absent { .. } => {
                "`slated run` makes it at its first start; check `state.folder` and `--config`"
            }
            E::NoCopy { .. } => {
                "name a file in a folder that is there, on a disk with room; the state itself is untouched"
            }
            E::BadCopy { .. } => "nothing was changed; name a file that `slated state backup` made",
            E::NoRoom { .. } => "make room on that disk, or make it writable",
            E::ReadOnly { .. } | E::Older { .. } => return Self::configuration(error),
            // What a running daemon cannot mend: a restart opens the state again and checks it.
            _ => return Self::internal(error),
        };
        Self::configuration(error).hint(hint)
    }
}

impl From<slated_site::Error> for CommandError {
    fn from(error: slated_site::Error) -> Self {
        Self::site(&error).hint(error.hint())
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        use crate::view::refusal::Kind as K;
        let error = match refusal.kind {
            K::Unknown | K::Impossible => Self::usage(refusal.error),
            K::Failed => Self::internal(refusal.error),
        };
        match refusal.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<slated_config::Diagnostics> for CommandError {
    fn from(diagnostics: slated_config::Diagnostics) -> Self {
        Self::configuration(diagnostics)
    }
}
