//! Where questions about a running daemon are answered: from the dispatcher, the intake and the
//! store, without getting in anybody's way.

use std::sync::Arc;

use slated_model::{EventId, Offset};
use slated_store::Store;
use tokio::sync::{mpsc, oneshot, watch};

use super::intake::IntakeStatus;
use super::message::{Message, Question};
use crate::view::{self, EventLine, EventView, LogView, SiteView, StatusView};

/// Answers questions. Clones ask the same daemon.
#[derive(Clone)]
pub(crate) struct Desk {
    url: String,
    store: Arc<dyn Store>,
    intake: watch::Receiver<IntakeStatus>,
    messages: mpsc::Sender<Message>,
}

impl Desk {
    pub(crate) const fn new(
        url: String,
        store: Arc<dyn Store>,
        intake: watch::Receiver<IntakeStatus>,
        messages: mpsc::Sender<Message>,
    ) -> Self {
        Self {
            url,
            store,
            intake,
            messages,
        }
    }

    /// Returns everything at a glance.
    pub(crate) async fn status(&self) -> slated_store::Result<StatusView> {
        let (reply, answer) = oneshot::channel();
        // A dispatcher that has ended has no plugins to show.
        self.messages
            .send(Message::Ask(Question::Plugins(reply)))
            .await
            .unwrap_or_default();
        let (plugins, log) = answer.await.unwrap_or_default();
        Ok(StatusView {
            version: env!("CARGO_PKG_VERSION").into(),
            running: true,
            pid: Some(std::process::id()),
            site: SiteView::of(&self.url, &self.intake.borrow()),
            log: LogView {
                events: log.start.until(log.end),
                end: log.end.0,
            },
            plugins,
        })
    }

    /// Returns what became of an event.
    pub(crate) async fn event(&self, id: EventId) -> slated_store::Result<Option<EventView>> {
        view::event(&*self.store, id).await
    }

    /// Returns rows of the log after an offset.
    pub(crate) async fn events(
        &self,
        after: Offset,
        limit: usize,
    ) -> slated_store::Result<Vec<EventLine>> {
        Ok(self
            .store
            .rows(after, limit)
            .await?
            .iter()
            .map(EventLine::of)
            .collect())
    }
}
