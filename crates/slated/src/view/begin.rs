//! Where a person lets a plugin begin: the words for it, and the place in the log they mean.

use std::fmt;
use std::str::FromStr;

use slated_core::resume::{self, From};
use slated_model::{EventId, Offset, PluginId};
use slated_store::Store;

use super::Refusal;

/// `--from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With the event that failed, or where it stood.
    Failed,
    /// With what comes next.
    Latest,
    /// With this event, or the first after it.
    Event(EventId),
}

/// Rows looked at in one read.
const PAGE: usize = 500;

impl FromStr for Begin {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "failed" => Ok(Self::Failed),
            "latest" => Ok(Self::Latest),
            id => id
                .parse()
                .map(|id| Self::Event(EventId(id)))
                .map_err(|_| "takes `failed`, `latest` or an event id".into()),
        }
    }
}

impl fmt::Display for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed => f.write_str("failed"),
            Self::Latest => f.write_str("latest"),
            Self::Event(id) => write!(f, "{id}"),
        }
    }
}

impl Begin {
    /// Finds the place in the log for a plugin that stands at `cursor`.
    pub(crate) async fn place(
        self,
        store: &dyn Store,
        plugin: &PluginId,
        cursor: Offset,
    ) -> Result<From, Refusal> {
        match self {
            Self::Failed => Ok(From::Failed),
            Self::Latest => Ok(From::Latest),
            Self::Event(id) => search(store, id, cursor)
                .await?
                .map(From::After)
                .map_err(|why| Refusal::of_resume(plugin, why)),
        }
    }
}

/// Returns the offset before the row that the plugin begins with.
async fn search(
    store: &dyn Store,
    id: EventId,
    cursor: Offset,
) -> slated_store::Result<Result<Offset, resume::Refusal>> {
    // Before its start the log has rows that are kept for a dead letter alone.
    let start = store.snapshot().await?.log.start;
    let passed = cursor > start;
    let cursor = cursor.max(start);
    let stands = store.event(id).await?.map(|row| row.offset);
    let stands = stands.filter(|offset| *offset > start);
    let before = Offset(cursor.0.saturating_sub(1));
    let at_cursor = store.rows(before, 1).await?;
    let before_first = at_cursor
        .first()
        .filter(|row| passed && row.offset == cursor);
    match resume::find(id, cursor, stands, before_first) {
        Ok(Some(offset)) => return Ok(Ok(offset)),
        Ok(None) => {}
        Err(why) => return Ok(Err(why)),
    }
    let mut after = cursor;
    loop {
        let rows = store.rows(after, PAGE).await?;
        let Some(last) = rows.last() else {
            return Ok(Err(resume::Refusal::NotYet(id)));
        };
        if after == cursor
            && let Some(first) = rows.first()
            && let Err(why) = resume::reaches(id, before_first, first)
        {
            return Ok(Err(why));
        }
        if let Some(row) = rows.iter().find(|row| resume::begins(id, row)) {
            return Ok(Ok(Offset(row.offset.0 - 1)));
        }
        after = last.offset;
    }
}
