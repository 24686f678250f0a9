//! The webhook: alerts as JSON to an address of a chat or a program.
//!
//! [`Webhook::send`] never waits. One task posts, one alert after the other; one that is not taken is
//! tried again ever more rarely, what waits meanwhile is bounded, and the oldest goes first. What is
//! refused is given up and told.
//!
//! * `hook`: the address, and one request

mod hook;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Fact, Teller};
use crate::clock::wall_ms;
use crate::view::WebhookView;
pub(crate) use hook::{Hook, Trouble};

/// Alerts that wait at most, on the way to the task and in it.
const WAITING: usize = 64;
/// How long the first try waits that follows one in vain, and later ones at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(10));
/// After so many in vain people are told: chats have short breaks.
const PATIENCE: u32 = 3;
/// How long an end waits for what is under way.
const GRACE: Duration = Duration::from_secs(2);

/// The way to the webhook.
pub(crate) struct Webhook {
    orders: mpsc::Sender<String>,
}

/// The task's side.
pub(crate) struct Poster {
    hook: Hook,
    inbox: mpsc::Receiver<String>,
    teller: Teller,
    status: watch::Sender<WebhookView>,
    waiting: VecDeque<String>,
    /// How often in a row none was taken.
    vain: u32,
    again: (Duration, Duration),
}

impl Webhook {
    /// Makes one, the task that is to be run for it, and where to see how it goes.
    pub(crate) fn new(hook: Hook, teller: Teller) -> (Self, Poster, watch::Receiver<WebhookView>) {
        let (orders, inbox) = mpsc::channel(WAITING);
        let (status, seen) = watch::channel(WebhookView {
            host: hook.host().to_owned(),
            ..WebhookView::default()
        });
        let poster = Poster {
            hook,
            inbox,
            teller,
            status,
            waiting: VecDeque::new(),
            vain: 0,
            again: AGAIN,
        };
        (Self { orders }, poster, seen)
    }

    /// Sends a JSON object. Never waits; tells whether there was room.
    #[must_use]
    pub(crate) fn send(&self, body: String) -> bool {
        self.orders.try_send(body).is_ok()
    }
}

impl Poster {
    /// Runs until `stop`, and a little longer if something is under way.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let end = async {
            stop.cancelled().await;
            sleep(GRACE).await;
        };
        tokio::select! {
            () = self.work(&stop) => {}
            () = end => {}
        }
    }

    async fn work(&mut self, stop: &CancellationToken) {
        let mut again_at = Instant::now();
        loop {
            while let Ok(body) = self.inbox.try_recv() {
                self.queue(body);
            }
            if self.waiting.is_empty() {
                tokio::select! {
                    // What is there goes before an end.
                    biased;
                    body = self.inbox.recv() => match body {
                        Some(body) => self.queue(body),
                        None => return,
                    },
                    () = stop.cancelled() => return,
                }
                continue;
            }
            if Instant::now() < again_at {
                tokio::select! {
                    // Nobody takes it just now.
                    () = stop.cancelled() => return,
                    () = sleep_until(again_at) => {}
                }
                continue;
            }
            let Some(body) = self.waiting.front().cloned() else {
                continue;
            };
            match self.hook.post(body).await {
                Ok(()) => self.taken(),
                Err(Trouble::Refused(error)) => self.refused(error),
                Err(Trouble::Later { error, after }) => {
                    // One that asks for no wait gets the shortest.
                    let wait = after.map_or_else(|| self.backoff(), |wait| wait.max(self.again.0));
                    again_at = Instant::now() + wait;
                    self.not_taken(error);
                }
            }
        }
    }

    /// Twice as long each time; a little apart from others who were turned away together.
    fn backoff(&self) -> Duration {
        let (first, most) = self.again;
        let wait = first.saturating_mul(1 << self.vain.min(20)).min(most);
        wait.mul_f64(1.0 + fastrand::f64() / 10.0)
    }

    fn queue(&mut self, body: String) {
        if self.waiting.len() >= WAITING {
            // The newest say how things are.
            self.waiting.pop_front();
            self.status.send_modify(|view| view.dropped += 1);
        }
        self.waiting.push_back(body);
        self.counted();
    }

    fn counted(&self) {
        let waiting = self.waiting.len() as u64;
        self.status.send_modify(|view| view.waiting = waiting);
    }

    fn taken(&mut self) {
        self.waiting.pop_front();
        self.counted();
        if self.vain >= PATIENCE {
            let host = self.hook.host().to_owned();
            self.teller.tell(Fact::WebhookMended { host });
        }
        self.vain = 0;
        self.status.send_modify(|view| {
            view.sent += 1;
            view.sent_at_ms = Some(wall_ms());
            view.trouble = None;
            view.since_ms = None;
            view.refused = None;
        });
    }

    fn not_taken(&mut self, error: String) {
        self.vain = self.vain.saturating_add(1);
        if self.vain == PATIENCE {
            self.teller.tell(Fact::WebhookFailed {
                host: self.hook.host().to_owned(),
                error: error.clone(),
            });
        }
        self.status.send_modify(|view| {
            view.trouble = Some(error);
            view.since_ms.get_or_insert_with(wall_ms);
        });
    }

    /// Another one may be taken; this one is in the log.
    fn refused(&mut self, error: String) {
        self.waiting.pop_front();
        self.counted();
        self.vain = 0;
        if self.status.borrow().refused.as_ref() != Some(&error) {
            self.teller.tell(Fact::WebhookRefused {
                host: self.hook.host().to_owned(),
                error: error.clone(),
            });
        }
        self.status.send_modify(|view| {
            view.trouble = None;
            view.since_ms = None;
            view.refused = Some(error);
            view.given_up += 1;
        });
    }
}

#[cfg(test)]
mod tests;
