//! One plugin file: what was told of it, and what the last looks showed.

use super::{CONFIRM, Content, DEBOUNCE, GONE, Stamp};
use crate::Mono;

/// What a listing says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    There(Stamp),
    Absent,
    /// Its folder or its entry could not be read.
    Unknown,
}

/// What the content of a file that was told of comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Changed(Content, i64),
    Touched(i64),
    /// It cannot be read; said once.
    Unreadable(String),
}

#[derive(Debug, Default)]
pub(super) struct File {
    /// Told to be there, since the start of this process.
    told: bool,
    /// There before: so its absence is news.
    expected: bool,
    /// The newest content known.
    content: Option<Content>,
    /// The stamp the content was read at.
    read_at: Option<Stamp>,
    /// The stamp last seen, and since when.
    seen: Option<(Stamp, Mono)>,
    /// A hash was asked for, and has not come.
    asked: Option<Stamp>,
    /// When to hash again, in case of a change that the stamp does not show.
    confirm: Option<Mono>,
    /// Since when it is absent.
    missing: Option<Mono>,
    /// Why it could not be read, as it was told.
    reason: Option<String>,
}

impl File {
    pub(super) fn expected(content: Option<Content>) -> Self {
        Self {
            expected: true,
            content,
            ..Self::default()
        }
    }
    pub(super) fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }
    /// Tells whether somebody knows of the plugin, so that its absence is news.
    pub(super) fn is_known(&self) -> bool {
        self.told || self.expected
    }
    pub(super) fn is_missing(&self) -> bool {
        self.missing.is_some()
    }
    /// Tells whether the file is there and read, and nobody was told.
    pub(super) fn waits(&self) -> bool {
        !self.told && self.missing.is_none() && self.read_at.is_some()
    }
    /// Returns the content, once it is known of the file as it was last seen.
    pub(super) fn settled(&self) -> Option<&Content> {
        let (stamp, _) = self.seen?;
        let settled = self.missing.is_none() && self.read_at == Some(stamp);
        self.content().filter(|_| settled)
    }
    /// Returns what to tell of a file that waits, and takes it as told.
    pub(super) fn announce(&mut self) -> Option<(Content, i64)> {
        let told = (self.content.clone()?, self.read_at?.mtime_ns);
        self.told = true;
        Some(told)
    }
    /// Returns when a second look could show that the file is written.
    pub(super) fn look_again(&self) -> Option<Mono> {
        let (stamp, since) = self.seen?;
        let settled = self.read_at == Some(stamp) || self.asked.is_some();
        // One that cannot be read is tried again at the regular looks.
        let waits = !settled && self.missing.is_none() && self.reason.is_none();
        waits.then(|| since + DEBOUNCE)
    }

    /// Notes the stamp a listing shows; tells whether the content is to be hashed.
    pub(super) fn seen(&mut self, stamp: Stamp, now: Mono) -> bool {
        self.missing = None;
        let since = match self.seen {
            Some((seen, since)) if seen == stamp => since,
            _ => {
                self.seen = Some((stamp, now));
                self.asked = None;
                return false;
            }
        };
        let new = self.read_at != Some(stamp) && now.since(since) >= DEBOUNCE;
        let doubt = self.confirm.is_some_and(|at| at <= now);
        let hash = (new || doubt) && self.asked != Some(stamp);
        if hash {
            self.asked = Some(stamp);
        }
        hash
    }
    /// Notes that a listing does not show the file; tells whether it is gone.
    pub(super) fn not_seen(&mut self, sight: Sight, now: Mono) -> bool {
        if sight == Sight::Unknown {
            // Two looks must show it absent; one that shows nothing starts them over.
            self.missing = None;
            return false;
        }
        let since = *self.missing.get_or_insert(now);
        now.since(since) >= GONE
    }
    /// Takes the content read at `stamp`.
    pub(super) fn hashed(
        &mut self,
        stamp: Stamp,
        content: Result<Content, String>,
        now: Mono,
    ) -> Found {
        if self.asked != Some(stamp) {
            // It changed meanwhile: the next looks ask again.
            return Found::Nothing;
        }
        self.asked = None;
        let content = match content {
            Ok(content) => content,
            Err(reason) if self.reason.as_ref() == Some(&reason) => return Found::Nothing,
            Err(reason) => {
                self.reason = Some(reason.clone());
                return Found::Unreadable(reason);
            }
        };
        self.reason = None;
        // Once more later, unless this was that.
        self.confirm = (self.read_at != Some(stamp)).then(|| now + CONFIRM);
        let before = self.read_at.replace(stamp);
        let changed = self.content.as_ref() != Some(&content);
        self.content = Some(content.clone());
        let mtime_ns = stamp.mtime_ns;
        if !self.told {
            Found::Nothing
        } else if changed {
            self.confirm = Some(now + CONFIRM);
            Found::Changed(content, mtime_ns)
        } else if before.is_some_and(|b| b.mtime_ns < mtime_ns) {
            Found::Touched(mtime_ns)
        } else {
            Found::Nothing
        }
    }
}
