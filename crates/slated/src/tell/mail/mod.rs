//! Mail: errors to the people who mend them, in letters that say how many.
//!
//! [`Mail`] is the way in; it never waits. One thread (`post`) groups what it is given
//! (`slated_core::digest`) and says what goes on; another one (`courier`) speaks to the server, so
//! that no server holds up anything but mail.
//!
//! * `notice`: which facts are mailed, and which are alike
//! * `letter`: how a mail looks
//!
//! Invariants: what goes wrong with mail is never mailed. What is given is in one mail that a
//! server took, or waits, or is counted in the log as lost.

mod courier;
mod letter;
mod notice;
mod post;
pub(super) mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use slated_config::{Config, Secrets};
use slated_core::digest::{Example as _, Heard};
use slated_host::wire::Emails;
use slated_model::PluginId;
use tokio::sync::watch;

use super::record::{CRITICAL, Record};
use super::{Fact, Log, Teller};
use crate::error::CommandError;
use crate::view::MailView;
use notice::Notice;
use post::Post;
use text::Scrub;

pub(crate) use courier::Server;

/// Orders that may wait for the thread.
const WAITING: usize = 4096;
/// Bytes of texts that may wait.
const WAITING_BYTES: usize = 16 << 20;
/// How long an end waits for mail to go out.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way into the mail. Clones lead to the same.
#[derive(Clone)]
pub(crate) struct Mail {
    orders: SyncSender<Order>,
    shared: Arc<Shared>,
    seen: watch::Receiver<MailView>,
    scrub: Arc<Scrub>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mail")
    }
}

#[derive(Default)]
struct Shared {
    /// Bytes that wait.
    bytes: AtomicUsize,
    /// What there was no room for.
    dropped: AtomicU64,
    /// Who gets mail about plugins; here, since it must not be lost.
    emails: Mutex<BTreeMap<PluginId, Emails>>,
}

/// What the thread is told.
enum Order {
    /// Something is to be mailed.
    Hear(Box<Heard<Notice>>),
    /// Addresses that a plugin named: those that are none are told of.
    Named(PluginId, Vec<String>),
    /// Somebody works on a plugin.
    Renew(PluginId),
    /// A mail of its own to the configured addresses.
    Send { subject: String, body: String },
    /// What became of the mail that the courier had.
    Back(Result<Vec<String>, courier::Trouble>),
    /// Send what waits, and end by then.
    Finish(Instant, SyncSender<()>),
}

impl Mail {
    /// Starts the threads, if there is a server.
    pub(crate) fn start(
        config: &Config,
        secrets: &Secrets,
        log: &Log,
    ) -> Result<Option<Self>, CommandError> {
        let server = match Server::of(config, secrets) {
            Ok(Some(server)) => server,
            Ok(None) => return Ok(None),
            // The Python daemon would run as well, and fail to mail.
            Err(error) if config.conf.is_some() => {
                tracing::warn!("no mail is sent: {error}");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let fail = |e| CommandError::internal(format!("cannot start the mail: {e}"));
        let (orders, inbox) = sync_channel(WAITING);
        let shared = Arc::new(Shared::default());
        let (status, seen) = watch::channel(MailView::of(server.name()));
        let (jobs, work) = sync_channel::<courier::Outgoing>(1);
        let back = orders.clone();
        let name = server.name();
        let courier = move || {
            while let Ok(mail) = work.recv() {
                let became = server.deliver(&mail);
                if back.send(Order::Back(became)).is_err() {
                    return;
                }
            }
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        thread("courier").spawn(courier).map_err(fail)?;
        let teller = Teller::logging(log.clone());
        let post = Post::new(
            config,
            secrets,
            name,
            teller,
            jobs,
            Arc::clone(&shared),
            status,
        );
        thread("mail")
            .spawn(move || post.serve(&inbox))
            .map_err(fail)?;
        Ok(Some(Self {
            orders,
            shared,
            seen,
            scrub: Arc::new(Scrub::of(secrets)),
        }))
    }

    /// Mails a fact, if it is one that is mailed. Never waits.
    pub(super) fn hear(&self, fact: &Fact) {
        match fact {
            Fact::PluginReady { plugin, emails, .. } => {
                if let Ok(mut known) = self.shared.emails.lock() {
                    known.insert(plugin.clone(), emails.clone());
                }
                if let Emails::To(to) = emails {
                    self.order(Order::Named(plugin.clone(), to.clone()));
                }
            }
            Fact::PluginFile { plugin, .. } | Fact::PluginResumed { plugin } => {
                self.order(Order::Renew(plugin.clone()));
            }
            fact => self.put(notice::of_fact(fact, Timestamp::now(), &self.scrub)),
        }
    }

    /// Mails what slated or a library says, if it is an error. Never waits.
    pub(super) fn hear_record(&self, record: Record) {
        self.put(notice::of_record(record, &self.scrub));
    }

    /// Mails why slated ends, where it ends badly.
    pub(crate) fn hear_end(&self, error: &CommandError) {
        let text = format!("slated ends: {error}");
        self.hear_record(Record::own(Timestamp::now(), CRITICAL, text));
    }

    /// Sends a mail of its own to the configured addresses, soon and whole: it is grouped with
    /// nothing. A server that is away gets it later. Never waits; `slated status` and the log say
    /// what does not go out.
    pub(crate) fn send(&self, subject: String, body: String) {
        let [subject, body] = [subject, body].map(|text| self.scrub.clean(text));
        self.order(Order::Send { subject, body });
    }

    /// Returns how it goes, now and later.
    pub(crate) fn seen(&self) -> watch::Receiver<MailView> {
        self.seen.clone()
    }

    /// Sends what waits, for a while at most; what does not go out is counted in the log. The end
    /// of all mail.
    pub(crate) fn finish(&self) {
        let (done, finished) = sync_channel(1);
        let end = Instant::now() + PATIENCE;
        let mut order = Order::Finish(end, done);
        while let Err(TrySendError::Full(back)) = self.orders.try_send(order) {
            if Instant::now() >= end {
                return;
            }
            order = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        // The thread keeps to the time; a little more, for its last words.
        let left = end.saturating_duration_since(Instant::now()) + Duration::from_millis(500);
        finished.recv_timeout(left).unwrap_or_default();
    }

    fn put(&self, heard: Option<Heard<Notice>>) {
        let Some(heard) = heard else { return };
        let size = heard.example.size();
        let full = self.shared.bytes.fetch_add(size, Ordering::Relaxed) > WAITING_BYTES;
        if full || self.orders.try_send(Order::Hear(Box::new(heard))).is_err() {
            self.shared.bytes.fetch_sub(size, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
