//! The follower at work: asks the site, appends what is new, tells the dispatcher.
//!
//! `core::follow` decides what is asked and what an answer means; here it meets the network and the
//! disk. Invariant: a look is durable before the dispatcher hears of its events and before the next
//! request is made.

use std::sync::Arc;
use std::time::Duration;

use slated_core::follow::{
    AnchorLost, Disorder, Follower, Look, Next, Pace, Request, Start, Status,
};
use slated_model::{LedgerState, Row};
use slated_site::{Backoff, Client, Page, Query};
use slated_store::{Append, Appended, Store, kill_point};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::decide::Decision;
use super::message::{Message, Writes};
use crate::clock::{Clock, wall_ms};
use crate::tell::{Fact, Teller};

/// What the intake looks like from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct IntakeStatus {
    /// The ledger in figures.
    pub(crate) follow: Status,
    /// Why the site cannot be read, if it cannot.
    pub(crate) trouble: Option<Trouble>,
    /// When the site was last read, in milliseconds since 1970.
    pub(crate) read_at_ms: Option<i64>,
    /// Requests made since the start.
    pub(crate) requests: u64,
}

/// Follows one site until it is told to stop.
pub(crate) struct Intake {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) dispatcher: mpsc::Sender<Message>,
    pub(crate) status: watch::Sender<IntakeStatus>,
    pub(crate) teller: Teller,
    /// Whether the state is bound to this site.
    pub(crate) bound: bool,
    /// The ledger on record, and where to start without one.
    pub(crate) ledger: Option<LedgerState>,
    pub(crate) start: Start,
    pub(crate) pace: Pace,
    pub(crate) backoff: Backoff,
    /// Why the site could not be read the last time.
    pub(crate) trouble: Option<Trouble>,
    /// What people decide about a site that became another one.
    pub(crate) decisions: mpsc::Receiver<Decision>,
}

/// Says what a person can do about a site that is not the one that was followed.
pub(crate) const fn way_out(lost: &AnchorLost) -> Option<&'static str> {
    match lost {
        // Nothing was followed yet: the choices are those of an import.
        AnchorLost::Behind { .. } => None,
        _ => Some(
            "`slated follow rewind` if the site was restored, `slated follow accept` to take it as it is; both first say what they would do",
        ),
    }
}

/// How long a full disk is left alone before the next try.
const DISK_WAIT: Duration = Duration::from_secs(2);

impl Intake {
    /// Runs until `stop`. An error is a store that failed: the daemon must end.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), slated_store::Error> {
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            failed = self.follow() => failed,
        }
    }

    async fn follow(&mut self) -> Result<(), slated_store::Error> {
        self.pace.page = self.page().await;
        // Whether the place in the site's log is known: it is on record, or the first read is in.
        let mut placed = self.ledger.is_some();
        let mut told = false;
        let now = self.clock.now();
        let mut follower = Follower::start(self.ledger.take(), self.start.clone(), self.pace, now);
        loop {
            let asked_at = self.clock.now();
            let request = match follower.next(asked_at) {
                Next::Wait(until) => {
                    tokio::time::sleep_until(self.clock.instant(until)).await;
                    continue;
                }
                Next::Stopped(lost) => {
                    self.publish(&follower, false);
                    self.teller.tell(Fact::AnchorLost {
                        detail: lost.to_string(),
                        hint: way_out(&lost),
                    });
                    let ledger = self.stopped(&lost, follower.head()).await?;
                    let (start, now) = (self.start.clone(), self.clock.now());
                    follower = Follower::start(Some(ledger), start, self.pace, now);
                    told = false;
                    continue;
                }
                Next::Ask(request) => request,
            };
            let answer = match self.ask(request).await {
                Ok(page) => {
                    kill_point("after_fetch");
                    let look = follower.answer(self.clock.now(), page.events);
                    look.map_err(|disorder| Trouble::of_answer(&self.url, disorder))
                }
                Err(trouble) => Err(trouble),
            };
            match answer {
                Ok(look) => {
                    if let Some(look) = look {
                        placed = true;
                        self.commit(look).await?;
                    }
                    self.backoff.reset();
                    let recovered = self.trouble.take().is_some();
                    if placed && (recovered || !std::mem::replace(&mut told, true)) {
                        self.teller.tell(Fact::SiteRead {
                            url: self.url.clone(),
                            high: follower.high(),
                        });
                    }
                    self.publish(&follower, true);
                    if placed {
                        self.inform(Message::SiteRead {
                            asked_at,
                            head: follower.head(),
                        })
                        .await;
                    }
                }
                Err(trouble) => {
                    follower.failed(self.clock.now());
                    self.publish(&follower, false);
                    self.back_off(trouble).await;
                }
            }
        }
    }

    /// Asks the site how many rows it gives at once: a page that it cuts would look complete.
    async fn page(&mut self) -> usize {
        loop {
            match self.client.info().await {
                Ok(info) => return info.page(self.pace.page),
                Err(error) => self.back_off(Trouble::from(error)).await,
            }
        }
    }

    /// Tells of trouble once, and again when its reason changes; then waits.
    async fn back_off(&mut self, trouble: Trouble) {
        self.inform(Message::SiteDown).await;
        if self.trouble.as_ref() != Some(&trouble) {
            self.teller.tell(Fact::SiteFailed {
                error: trouble.text.clone(),
                hint: trouble.hint,
                refused: trouble.needs_person,
            });
            self.trouble = Some(trouble);
        }
        let trouble = self.trouble.clone();
        self.status.send_modify(|s| s.trouble = trouble);
        tokio::time::sleep(self.backoff.next(fastrand::f64())).await;
    }

    pub(super) async fn inform(&self, message: Message) {
        // A dispatcher that has ended is the end of us all; its own error says why.
        self.dispatcher.send(message).await.unwrap_or_default();
    }

    pub(super) async fn ask(&self, request: Request) -> Result<Page, Trouble> {
        self.status.send_modify(|s| s.requests += 1);
        let page = self.client.read(&query(request)).await;
        page.map_err(Trouble::from)
    }

    async fn append(&mut self, append: Append) -> slated_store::Result<Appended> {
        if !self.bound {
            self.store.bind_site(self.url.clone()).await?;
            self.bound = true;
        }
        self.store.append(append).await
    }

    async fn commit(&mut self, look: Look) -> Result<(), slated_store::Error> {
        let Look { events, ledger } = look;
        let append = Append { events, ledger };
        let who = Writes::Intake;
        let mut full = false;
        let end = loop {
            match self.append(append.clone()).await {
                Ok(appended) => break appended.end,
                // The look is in hand and nothing was written: it waits until the disk has healed.
                Err(error @ slated_store::Error::NoRoom { .. }) => {
                    full = true;
                    let error = Some(error);
                    self.inform(Message::NoRoom { who, error }).await;
                    tokio::time::sleep(DISK_WAIT).await;
                }
                Err(error) => return Err(error),
            }
        };
        if full {
            self.inform(Message::NoRoom { who, error: None }).await;
        }
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
            // Told when it enters the log: as the newest row it is read again at every look.
            if !row.event.is_readable() {
                self.teller.tell(Fact::RowUnreadable {
                    event: row.event.id,
                });
            }
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

    fn publish(&self, follower: &Follower, read: bool) {
        let follow = follower.status();
        let trouble = self.trouble.clone();
        self.status.send_modify(|s| {
            s.follow = follow;
            s.trouble = trouble;
            if read {
                s.read_at_ms = Some(wall_ms());
            }
        });
    }
}

/// Says in words of the site what the follower asks.
pub(crate) fn query(request: Request) -> Query {
    match request {
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
    }
}

/// Why the site could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) text: String,
    pub(crate) hint: Option<&'static str>,
    /// The site answered, and said no.
    pub(crate) refused: bool,
    /// Waiting alone does not help.
    pub(super) needs_person: bool,
}

impl Trouble {
    pub(super) fn of_answer(url: &str, disorder: Disorder) -> Self {
        Self {
            text: format!("{url} was not understood: {disorder}"),
            hint: None,
            refused: false,
            needs_person: false,
        }
    }
}

impl From<slated_site::Error> for Trouble {
    fn from(error: slated_site::Error) -> Self {
        Self {
            text: error.to_string(),
            hint: Some(error.hint()),
            refused: matches!(error, slated_site::Error::Refused { .. }),
            needs_person: !error.is_down(),
        }
    }
}
