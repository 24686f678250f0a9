//! The follower at work: asks the site, appends what is new, tells the dispatcher.
//!
//! `core::follow` decides what is asked and what an answer means; here it meets the network and the
//! disk. Invariant: a look is durable before the dispatcher hears of its events and before the next
//! request is made.

use std::sync::Arc;
use std::time::Duration;

use slated_core::Mono;
use slated_core::follow::{Follower, Look, Next, Request, Status};
use slated_model::{EventId, Row};
use slated_site::{Backoff, Client, Page, Query};
use slated_store::{Append, Store};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::dispatch::Message;
use crate::clock::{Clock, wall_ms};
use crate::tell::{Fact, Teller};

/// What the intake looks like from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct IntakeStatus {
    /// The ledger in figures.
    pub(crate) follow: Status,
    /// Why the site cannot be read, if it cannot.
    pub(crate) trouble: Option<String>,
    /// When the site was last read, in milliseconds since 1970.
    pub(crate) read_at_ms: Option<i64>,
    /// Requests made since the start.
    pub(crate) requests: u64,
}

/// Follows one site until it is told to stop.
pub(crate) struct Intake {
    pub(crate) follower: Follower,
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) dispatcher: mpsc::Sender<Message>,
    pub(crate) status: watch::Sender<IntakeStatus>,
    pub(crate) teller: Teller,
    /// The first read is in, or was when the state was written.
    pub(crate) begun: bool,
}

/// How long a full disk is left alone before the next try.
const DISK_WAIT: Duration = Duration::from_secs(2);

impl Intake {
    /// Runs until `stop`. An error is a store that failed: the daemon must end.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), slated_store::Error> {
        let work = self.follow();
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            failed = work => failed,
        }
    }

    async fn follow(&mut self) -> Result<(), slated_store::Error> {
        let mut backoff = Backoff::default();
        let mut trouble: Option<String> = None;
        let mut known = false;
        loop {
            let asked_at = self.clock.now();
            let request = match self.follower.next(asked_at) {
                Next::Wait(until) => {
                    tokio::time::sleep_until(self.clock.instant(until)).await;
                    continue;
                }
                Next::Stopped(lost) => {
                    self.publish(trouble.as_deref(), false);
                    self.teller.tell(Fact::AnchorLost {
                        detail: lost.to_string(),
                    });
                    // Only a person gets slated out of this, by a restart with a decision.
                    return std::future::pending().await;
                }
                Next::Ask(request) => request,
            };
            self.status.send_modify(|s| s.requests += 1);
            let error = match self.ask(request).await {
                Ok(page) => match self.take(asked_at, page).await? {
                    Ok(()) => None,
                    Err(disorder) => Some(Trouble {
                        text: disorder,
                        hint: None,
                        refused: false,
                    }),
                },
                Err(error) => Some(error),
            };
            match error {
                None => {
                    backoff.reset();
                    if trouble.take().is_some() || (!known && self.begun) {
                        known = self.begun;
                        self.teller.tell(Fact::SiteRead {
                            url: self.url.clone(),
                            high: self.follower.high(),
                        });
                    }
                    self.publish(None, true);
                }
                Some(error) => {
                    self.follower.failed(self.clock.now());
                    self.dispatcher
                        .send(Message::SiteDown)
                        .await
                        .unwrap_or_default();
                    if trouble.as_deref() != Some(error.text.as_str()) {
                        self.teller.tell(Fact::SiteFailed {
                            error: error.text.clone(),
                            hint: error.hint,
                            refused: error.refused,
                        });
                        trouble = Some(error.text);
                    }
                    self.publish(trouble.as_deref(), false);
                    tokio::time::sleep(backoff.next(fastrand::f64())).await;
                }
            }
        }
    }

    async fn ask(&self, request: Request) -> Result<Page, Trouble> {
        let query = match request {
            Request::Newest => Query::Newest,
            Request::Ranges {
                least,
                ranges,
                ids,
                limit,
            } => Query::Ranges {
                least,
                ranges,
                ids,
                limit,
            },
            Request::Ids(ids) => Query::Ids(ids),
        };
        self.client.read(&query).await.map_err(|error| Trouble {
            hint: Some(error.hint()),
            refused: !error.is_down(),
            text: error.to_string(),
        })
    }

    /// Takes one answer: what is new becomes durable, then the dispatcher hears of it.
    async fn take(
        &mut self,
        asked_at: Mono,
        page: Page,
    ) -> Result<Result<(), String>, slated_store::Error> {
        for event in &page.damaged {
            self.teller.tell(Fact::RowUnreadable { event: *event });
        }
        match self.follower.answer(self.clock.now(), page.events) {
            Ok(None) => {}
            Ok(Some(look)) => {
                self.begun = true;
                self.commit(look).await?;
            }
            Err(disorder) => return Ok(Err(format!("{}: {disorder}", self.url))),
        }
        if self.begun {
            let news = Message::SiteRead {
                asked_at,
                high: self.follower.high(),
            };
            self.dispatcher.send(news).await.unwrap_or_default();
        }
        Ok(Ok(()))
    }

    async fn commit(&self, look: Look) -> Result<(), slated_store::Error> {
        let Look { events, ledger } = look;
        let append = Append { events, ledger };
        let mut told = false;
        let end = loop {
            match self.store.append(append.clone()).await {
                Ok(appended) => break appended.end,
                // The look is in hand and nothing was written: it waits until the disk has healed.
                Err(slated_store::Error::NoRoom { folder, source }) => {
                    if !std::mem::replace(&mut told, true) {
                        let error = slated_store::Error::NoRoom { folder, source };
                        self.teller.tell(Fact::StateFailed {
                            error: error.to_string(),
                        });
                    }
                    tokio::time::sleep(DISK_WAIT).await;
                }
                Err(error) => return Err(error),
            }
        };
        let first = end.0 + 1 - append.events.len() as u64;
        let rows: Vec<_> = (first..)
            .zip(append.events)
            .map(|(offset, (event, late))| {
                Arc::new(Row {
                    offset: slated_model::Offset(offset),
                    late,
                    event,
                })
            })
            .collect();
        for row in &rows {
            self.teller.tell(Fact::EventSeen {
                event: row.event.clone(),
                late: row.late,
            });
        }
        if !rows.is_empty() {
            self.dispatcher
                .send(Message::Appended { rows })
                .await
                .unwrap_or_default();
        }
        Ok(())
    }

    fn publish(&self, trouble: Option<&str>, read: bool) {
        let follow = self.follower.status();
        self.status.send_modify(|s| {
            s.follow = follow;
            s.trouble = trouble.map(str::to_owned);
            if read {
                s.read_at_ms = Some(wall_ms());
            }
        });
    }
}

/// Why the site could not be read.
struct Trouble {
    text: String,
    hint: Option<&'static str>,
    refused: bool,
}

/// Where a first start begins, by `state.new_plugins`.
pub(crate) fn start_of(new_plugins: &slated_config::NewPlugins) -> slated_core::follow::Start {
    use slated_core::follow::Start;
    match new_plugins {
        slated_config::NewPlugins::Id(id) => Start::FromId(EventId(id.0)),
        slated_config::NewPlugins::Now | slated_config::NewPlugins::Ago(_) => Start::Latest,
    }
}
