//! The log's own thread: records are queued, so that no disk and no terminal holds up an event.
//!
//! The queue is bounded in number and memory. What does not fit is dropped and counted, and the
//! count is logged as soon as there is room: a log that is late must not make events late.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use slated_config::{Config, Level};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::files::{Desk, Layout};
use super::mail::Mail;
use super::record::{self, Record};
use super::timing::Timing;
use crate::error::CommandError;

/// Records that may wait.
const WAITING: usize = 16 * 1024;
/// Bytes of messages that may wait.
const WAITING_BYTES: usize = 64 << 20;
/// How long an end waits for what is queued.
const PATIENCE: Duration = Duration::from_secs(2);

enum Order {
    Write(Box<Record>),
    Time(Box<Timing>),
    /// Look whether the files are to be opened anew.
    Look,
    /// Everything before this is written.
    Tell(SyncSender<()>),
}

/// The way into the log. Clones lead to the same.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    orders: SyncSender<Order>,
    shared: Arc<Shared>,
    timing: bool,
    to_files: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// Records below it are not kept.
    level: AtomicU32,
    bytes: AtomicUsize,
    dropped: AtomicU64,
    reopen: AtomicBool,
    /// Who is mailed of errors.
    mail: OnceLock<Mail>,
}

impl Log {
    /// Opens the files and starts the thread. Of a process in the background, the terminal hears
    /// warnings only, as long as it has it.
    pub(crate) fn start(config: &Config, background: bool) -> Result<Self, CommandError> {
        let layout = Layout::of(config, background);
        let desk = Desk::open(layout, TimeZone::system(), Timestamp::now())?;
        Self::over(desk, config.log.level, config.log.timing, WAITING)
    }

    /// Refuses a log that could not be started, and leaves no trace.
    pub(crate) fn foresee(config: &Config) -> Result<(), CommandError> {
        Layout::of(config, true).foresee()
    }

    /// Starts one that writes to `stderr` alone, to be looked at in tests.
    #[cfg(test)]
    pub(super) fn quiet(
        config: &Config,
        stderr: Box<dyn std::io::Write + Send>,
    ) -> Result<Self, CommandError> {
        let desk = Desk::quiet(Layout::of(config, false), TimeZone::UTC, stderr);
        Self::over(desk, config.log.level, false, WAITING)
    }

    pub(super) fn over(
        desk: Desk,
        level: Level,
        timing: bool,
        waiting: usize,
    ) -> Result<Self, CommandError> {
        let to_files = desk.is_silent();
        let (orders, inbox) = sync_channel(waiting);
        let shared = Arc::new(Shared {
            level: AtomicU32::new(number(level)),
            ..Shared::default()
        });
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || serve(desk, &inbox, &theirs))
            .map_err(|e| CommandError::internal(format!("cannot start the log: {e}")))?;
        Ok(Self {
            orders,
            shared,
            timing,
            to_files,
        })
    }

    /// Tells whether records of a level are kept.
    pub(crate) fn wants(&self, level: u32) -> bool {
        level >= self.shared.level.load(Ordering::Relaxed)
    }
    /// Keeps records of this level and above from now on.
    pub(crate) fn set_level(&self, level: Level) {
        self.shared.level.store(number(level), Ordering::Relaxed);
    }
    /// Tells whether a hangup is a word of logrotate, not the end of somebody's terminal.
    pub(crate) const fn outlives_terminal(&self) -> bool {
        self.to_files
    }
    /// Tells whether there is a timing log.
    pub(crate) const fn times(&self) -> bool {
        self.timing
    }
    /// Has errors mailed from now on.
    pub(crate) fn mail_by(&self, mail: Mail) {
        // It is said once, at the start.
        self.shared.mail.set(mail).unwrap_or_default();
    }
    /// Returns the mail, if there is any.
    pub(crate) fn mail(&self) -> Option<&Mail> {
        self.shared.mail.get()
    }
    /// Queues a record; drops and counts it where there is no room.
    pub(crate) fn put(&self, record: Record) {
        let size = record.size();
        let full = self.shared.bytes.fetch_add(size, Ordering::Relaxed) > WAITING_BYTES;
        if full
            || self
                .orders
                .try_send(Order::Write(Box::new(record)))
                .is_err()
        {
            self.drop_one(size);
        }
    }
    /// Queues an answer for the timing log.
    pub(crate) fn time(&self, timing: Timing) {
        if self.orders.try_send(Order::Time(Box::new(timing))).is_err() {
            self.drop_one(0);
        }
    }
    /// Opens every file anew, by its name.
    pub(crate) fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        // Where it does not fit, what stands before it is looked at, and the flag with it.
        drop(self.orders.try_send(Order::Look));
    }
    /// Waits until everything is written, a while at most.
    pub(crate) fn flush(&self) {
        let (done, written) = sync_channel(1);
        let end = Instant::now() + PATIENCE;
        let mut order = Order::Tell(done);
        while let Err(TrySendError::Full(back)) = self.orders.try_send(order) {
            if Instant::now() >= end {
                return;
            }
            order = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = end.saturating_duration_since(Instant::now());
        written.recv_timeout(left).unwrap_or_default();
    }
    /// Returns what hears `tracing`. Of what libraries say, only warnings are heard.
    pub(crate) fn listener<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let log = self.clone();
        // Asked at every record, since the level may be another one by then.
        let filter = dynamic_filter_fn(move |record, _| {
            let level = record::level_of(*record.level());
            let ours = record.target().starts_with("slated");
            (ours || level >= record::WARNING) && log.wants(level)
        });
        Listener(self.clone()).with_filter(filter)
    }

    fn drop_one(&self, size: usize) {
        self.shared.bytes.fetch_sub(size, Ordering::Relaxed);
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

const fn number(level: Level) -> u32 {
    match level {
        Level::Trace => record::TRACE,
        Level::Debug => record::DEBUG,
        Level::Info => record::INFO,
        Level::Warn => record::WARNING,
        Level::Error => record::ERROR,
    }
}

fn serve(mut desk: Desk, inbox: &Receiver<Order>, shared: &Shared) {
    while let Ok(order) = inbox.recv() {
        let now = Timestamp::now();
        if shared.reopen.swap(false, Ordering::Acquire) {
            desk.reopen(now);
        }
        match order {
            Order::Write(record) => {
                desk.write(&record, now);
                shared.bytes.fetch_sub(record.size(), Ordering::Relaxed);
            }
            Order::Time(timing) => desk.time(&timing, now),
            Order::Look => {}
            Order::Tell(done) => drop(done.try_send(())),
        }
        let dropped = shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let text = format!(
                "{dropped} lines were dropped: more was logged than could be written. Raise log.level, or look at what writes so much."
            );
            desk.write(&Record::own(now, record::WARNING, text), now);
        }
    }
}

/// What slated's modules and libraries say through `tracing`.
struct Listener(Log);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let record = Record::heard(event, Timestamp::now());
        if let Some(mail) = self.0.mail() {
            mail.hear_record(record.clone());
        }
        self.0.put(record);
    }
}
