//! The thread that has all mail: it groups, hands a letter to the courier when one is due, and
//! tells how it goes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use lettre::message::Mailbox;
use slated_config::{Config, Secrets};
use slated_core::Mono;
use slated_core::digest::{Digests, Example as _, Fate, Heard, Letter, Rules};
use slated_host::wire::Emails;
use tokio::sync::watch;

use super::courier::{Outgoing, Trouble, mailbox};
use super::letter::Style;
use super::notice::Notice;
use super::text::{Scrub, in_a_line};
use super::{Order, Shared};
use crate::clock::{Clock, wall_ms};
use crate::tell::{Fact, Teller};
use crate::view::MailView;

/// Mails of their own that may wait; beyond, the oldest go.
const OWN: usize = 100;
/// How often one of those is tried that the server refuses.
const TRIES: u32 = 5;
/// How long the courier may be away before that is told.
pub(super) const LONG: Duration = Duration::from_mins(1);
/// Longer than nothing happens.
const IDLE: Duration = Duration::from_hours(1);

/// A mail of its own.
struct Own {
    subject: String,
    body: String,
    refused: u32,
}

/// What the courier has.
enum Out {
    Digest(Letter<Notice>),
    Own(Own),
}

pub(super) struct Post {
    clock: Clock,
    digests: Digests<Notice>,
    own: VecDeque<Own>,
    out: Option<(Out, Mono)>,
    jobs: SyncSender<Outgoing>,
    /// The configured addresses.
    to: Vec<String>,
    style: Style,
    scrub: Scrub,
    teller: Teller,
    shared: Arc<Shared>,
    view: MailView,
    status: watch::Sender<MailView>,
    /// Receivers that were refused, with why: told once.
    refused: BTreeMap<Vec<String>, String>,
    /// Whether it was told that the courier is long away.
    told_long: bool,
    /// After what time that is.
    pub(super) long: Duration,
    /// What there was no room for, and when that may be told again.
    dropped: u64,
    tell_dropped: Mono,
    ending: Option<(Instant, SyncSender<()>)>,
    /// Whether there is no sense in another try before the end.
    hopeless: bool,
}

impl Post {
    pub(super) fn new(
        config: &Config,
        secrets: &Secrets,
        server: String,
        teller: Teller,
        jobs: SyncSender<Outgoing>,
        shared: Arc<Shared>,
        status: watch::Sender<MailView>,
    ) -> Self {
        let python = config.conf.is_some();
        let mut post = Self {
            clock: Clock::start(),
            digests: Digests::new(Rules::default()),
            own: VecDeque::new(),
            out: None,
            jobs,
            to: Vec::new(),
            style: Style {
                python,
                subject: config.mail.subject.clone(),
                own: if python { "engine" } else { "slated" },
                zone: TimeZone::system(),
            },
            scrub: Scrub::of(secrets),
            teller,
            shared,
            view: MailView::of(server),
            status,
            refused: BTreeMap::new(),
            told_long: false,
            long: LONG,
            dropped: 0,
            tell_dropped: Mono::ZERO,
            ending: None,
            hopeless: false,
        };
        post.to = post.usable(&config.mail.to, "`mail.to`");
        post
    }

    pub(super) fn serve(mut self, inbox: &Receiver<Order>) {
        loop {
            match inbox.recv_timeout(self.patience()) {
                Ok(order) => self.take(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.work();
            if self.is_over() {
                return;
            }
        }
    }

    /// Returns how long nothing is to be done unless something is heard.
    fn patience(&self) -> Duration {
        let now = self.clock.now();
        let mut wait = IDLE;
        if let Some((_, since)) = &self.out {
            if !self.told_long {
                wait = wait.min(now.until(*since + self.long));
            }
        } else {
            if let Some(next) = self.digests.next() {
                wait = wait.min(now.until(next));
            }
            if !self.own.is_empty() {
                wait = wait.min(now.until(self.digests.held_until()));
            }
        }
        if let Some((end, _)) = &self.ending {
            wait = wait.min(end.saturating_duration_since(Instant::now()));
        }
        wait
    }

    fn take(&mut self, order: Order) {
        let now = self.clock.now();
        match order {
            Order::Hear(heard) => {
                let size = heard.example.size();
                self.shared.bytes.fetch_sub(size, Ordering::Relaxed);
                self.hear(now, *heard);
            }
            Order::Named(plugin, to) => {
                // Told now, not when it is too late.
                self.usable(&to, &format!("`setEmails` of {plugin}"));
            }
            Order::Renew(plugin) => self.digests.renew(now, &plugin),
            Order::Send { subject, body } => {
                if self.own.len() == OWN
                    && let Some(old) = self.own.pop_front()
                {
                    self.give_up(&old, "too many wait");
                }
                self.own.push_back(Own {
                    subject,
                    body,
                    refused: 0,
                });
            }
            Order::Back(became) => self.back(now, became),
            Order::Finish(end, done) => {
                self.digests.drain();
                self.ending = Some((end, done));
            }
        }
    }

    fn hear(&mut self, now: Mono, mut heard: Heard<Notice>) {
        let emails = heard.topic.plugin.as_ref().and_then(|plugin| {
            let known = self.shared.emails.lock().ok()?;
            known.get(plugin).cloned()
        });
        heard.to = match emails {
            None | Some(Emails::Configured(true)) => self.to.clone(),
            Some(Emails::Configured(false)) => Vec::new(),
            Some(Emails::To(to)) => to,
        };
        if !heard.to.is_empty() {
            self.digests.hear(now, heard);
        }
    }

    /// Gives the courier what is due, if it is here.
    fn work(&mut self) {
        let now = self.clock.now();
        self.dropped += self.shared.dropped.swap(0, Ordering::Relaxed);
        if self.dropped > 0 && (now >= self.tell_dropped || self.ending.is_some()) {
            let dropped = std::mem::take(&mut self.dropped);
            self.teller.tell(Fact::MailDropped { dropped });
            // Where there is a flood, not a line for each.
            self.tell_dropped = now + LONG;
        }
        if let Some((_, since)) = &self.out
            && !self.told_long
            && now.since(*since) >= self.long
        {
            self.told_long = true;
            let long = self.long;
            let error = format!("it has not answered for {long:?}, and is still waited for");
            self.stuck(error, None);
        }
        while self.out.is_none()
            && let Some((out, mail)) = self.next(now)
        {
            self.told_long = false;
            let Some(mail) = mail else {
                // Receivers who cannot be written to were told when they were named.
                self.settle(now, out, Fate::Sent);
                continue;
            };
            self.out = Some((out, now));
            if self.jobs.try_send(mail).is_err() {
                let error = "the thread that speaks to it has ended".into();
                let (fate, hint) = (Fate::Stuck, None);
                self.back(now, Err(Trouble { fate, error, hint }));
            }
        }
        let out = match &self.out {
            Some((Out::Digest(letter), _)) => letter.parts.iter().map(|p| p.pile.count).sum(),
            Some((Out::Own(_), _)) => 1,
            None => 0,
        };
        self.view.waiting = self.digests.waiting() + self.own.len() as u64 + out;
        self.status.send_if_modified(|seen| {
            let changed = *seen != self.view;
            seen.clone_from(&self.view);
            changed
        });
    }

    /// Returns what is due, and its mail, unless nobody can be written to.
    fn next(&mut self, now: Mono) -> Option<(Out, Option<Outgoing>)> {
        if self.hopeless || self.digests.is_held(now) {
            return None;
        }
        let (out, to, subject, body) = if let Some(own) = self.own.pop_front() {
            let subject = format!("{} {}", self.style.subject, own.subject);
            let body = own.body.clone();
            (Out::Own(own), self.to.clone(), subject, body)
        } else {
            let letter = self.digests.take(now)?;
            let (subject, body) = self.style.write(&letter);
            let to = letter.to.clone();
            (Out::Digest(letter), to, subject, body)
        };
        let to: Vec<Mailbox> = to.iter().filter_map(|text| mailbox(text).ok()).collect();
        let mail = Outgoing {
            to,
            subject: in_a_line(&self.scrub.clean(subject), 200),
            body: self.scrub.clean(body),
        };
        Some((out, Some(mail).filter(|mail| !mail.to.is_empty())))
    }

    /// Takes in what became of what the courier had.
    fn back(&mut self, now: Mono, became: Result<Vec<String>, Trouble>) {
        let Some((out, _)) = self.out.take() else {
            return;
        };
        let to = match &out {
            Out::Digest(letter) => letter.to.clone(),
            Out::Own(_) => self.to.clone(),
        };
        let fate = match became {
            Ok(refused) => {
                self.sent();
                if refused.is_empty() {
                    self.refused.remove(&to);
                } else {
                    self.refuse(to, refused.join("; "), true);
                }
                Fate::Sent
            }
            Err(trouble) if trouble.fate == Fate::Stuck => {
                self.stuck(trouble.error, trouble.hint);
                Fate::Stuck
            }
            Err(trouble) => {
                self.refuse(to, trouble.error, false);
                Fate::Refused
            }
        };
        self.hopeless = self.ending.is_some() && fate == Fate::Stuck;
        self.view.refused = self.refused.values().next().cloned();
        self.settle(now, out, fate);
    }

    fn settle(&mut self, now: Mono, out: Out, fate: Fate) {
        match out {
            Out::Digest(letter) => self.digests.settle(now, letter, fate),
            Out::Own(mut own) => {
                self.digests.fared(now, fate);
                own.refused += u32::from(fate == Fate::Refused);
                match fate {
                    Fate::Sent => {}
                    Fate::Refused if own.refused >= TRIES => self.give_up(&own, "it was refused"),
                    Fate::Refused => self.own.push_back(own),
                    Fate::Stuck => self.own.push_front(own),
                }
            }
        }
    }

    fn sent(&mut self) {
        self.view.sent += 1;
        self.view.sent_at_ms = Some(wall_ms());
        if self.view.trouble.take().is_some() {
            self.view.hint = None;
            self.view.since_ms = None;
            let server = self.view.server.clone();
            self.teller.tell(Fact::MailMended { server });
        }
    }

    fn stuck(&mut self, error: String, hint: Option<&'static str>) {
        if self.view.trouble.as_ref() == Some(&error) {
            return;
        }
        self.teller.tell(Fact::MailFailed {
            server: self.view.server.clone(),
            error: error.clone(),
            hint,
        });
        self.view.since_ms.get_or_insert_with(wall_ms);
        self.view.hint = hint.map(str::to_owned);
        self.view.trouble = Some(error);
    }

    fn refuse(&mut self, to: Vec<String>, error: String, some: bool) {
        if self.refused.get(&to) == Some(&error) {
            return;
        }
        self.teller.tell(Fact::MailRefused {
            to: to.clone(),
            error: error.clone(),
            some,
        });
        self.refused.insert(to, error);
    }

    fn give_up(&self, own: &Own, why: &'static str) {
        let subject = in_a_line(&self.scrub.clean(own.subject.clone()), 200);
        self.teller.tell(Fact::MailGivenUp { subject, why });
    }

    /// Returns the addresses that can be written to, and tells of those that cannot.
    fn usable(&self, to: &[String], whose: &str) -> Vec<String> {
        let is_good = |address: &&String| match mailbox(address) {
            Ok(_) => true,
            Err(error) => {
                let whose = whose.to_owned();
                self.teller.tell(Fact::MailAddress { whose, error });
                false
            }
        };
        to.iter().filter(is_good).cloned().collect()
    }

    /// Tells whether nothing more is to be done, at the end.
    fn is_over(&mut self) -> bool {
        let Some((end, _)) = &self.ending else {
            return false;
        };
        let now = self.clock.now();
        let left = self.view.waiting;
        let nothing = self.own.is_empty() && self.digests.next().is_none_or(|at| at > now);
        let idle = self.out.is_none() && (self.hopeless || nothing);
        if !idle && Instant::now() < *end {
            return false;
        }
        if left > 0 {
            self.teller.tell(Fact::MailLeft {
                left,
                error: self
                    .view
                    .trouble
                    .clone()
                    .or_else(|| self.view.refused.clone()),
            });
        }
        if let Some((_, done)) = self.ending.take() {
            // Whoever waited may have lost patience.
            done.try_send(()).unwrap_or_default();
        }
        true
    }
}
