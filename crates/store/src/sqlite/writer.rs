//! The one thread that writes, with group commit.
//!
//! Invariant: nobody is told `Ok` before the transaction with their work is synced.
//! Invariant: every transaction begins with a look at the epoch. Work is done in the
//! order it came in; a piece of work that is refused leaves nothing, and nothing of the
//! others' either way. After an uncertain write nothing is written until the next opening.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use slated_model::{CallbackId, PluginId};
use tokio::sync::{mpsc, oneshot};

use super::fault::{Stop, Trouble};
use super::folder::Lock;
use super::{connect, meta};
use crate::{Epoch, Error, Result, kill_point};

/// How many pieces of work may wait; more wait at the sender.
pub(super) const QUEUE: usize = 1024;
/// How many pieces of work go into one transaction at most.
const BATCH: usize = 256;
/// How many rows may change before the write-ahead log is carried over; about 4 MiB of it.
const CARRY_ROWS: u64 = 2000;
/// How many commits may pass before that; each leaves a few pages.
const CARRY_COMMITS: u32 = 200;
/// How long closing waits for readers elsewhere.
const PATIENCE_AT_CLOSE: Duration = Duration::from_millis(500);

/// What the thread is told.
pub(super) enum Message {
    /// Something to write.
    Job(Box<dyn Job>),
    /// Close the database, and say so.
    Close(oneshot::Sender<()>),
}

/// One piece of work, written whole or not at all.
pub(super) trait Job: Send {
    /// Does the writing.
    fn run(&mut self, txn: &mut Txn<'_>) -> std::result::Result<(), Stop>;
    /// Tells how it ended.
    fn answer(self: Box<Self>, end: Result<()>);
}

/// The transaction that a piece of work is written in.
pub(super) struct Txn<'a> {
    pub(super) conn: &'a Connection,
    names: &'a mut Names,
    carry: &'a mut bool,
}

/// Keys of names, as far as this process has met them.
#[derive(Default)]
struct Names(HashMap<PluginId, (i64, HashMap<CallbackId, i64>)>);

/// Work as a closure, and where its answer goes.
struct Task<T, F> {
    work: F,
    done: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&mut Txn<'_>) -> std::result::Result<T, Stop> + Send,
{
    fn run(&mut self, txn: &mut Txn<'_>) -> std::result::Result<(), Stop> {
        self.done = Some((self.work)(txn)?);
        Ok(())
    }
    fn answer(self: Box<Self>, end: Result<()>) {
        let Self { done, reply, .. } = *self;
        let end = end.and_then(|()| done.ok_or(Error::Closed));
        // Whoever asked may have gone; the work stands all the same.
        drop(reply.send(end));
    }
}

/// Makes a piece of work of a closure, and the place where its answer arrives.
pub(super) fn task<T, F>(work: F) -> (Message, oneshot::Receiver<Result<T>>)
where
    T: Send + 'static,
    F: FnMut(&mut Txn<'_>) -> std::result::Result<T, Stop> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let task = Task {
        work,
        done: None,
        reply,
    };
    (Message::Job(Box::new(task)), answer)
}

/// What the thread owns.
pub(super) struct Writer {
    conn: Connection,
    folder: PathBuf,
    epoch: Epoch,
    names: Names,
    broken: Option<Trouble>,
    commits: u32,
    rows: u64,
    /// Something was written that must not be lost with the write-ahead log.
    carry: bool,
    /// Declared after the connection: let go only when that is closed.
    _lock: Lock,
}

impl Writer {
    pub(super) fn new(conn: Connection, folder: PathBuf, epoch: Epoch, lock: Lock) -> Self {
        Self {
            rows: conn.total_changes(),
            conn,
            folder,
            epoch,
            names: Names::default(),
            broken: None,
            commits: 0,
            carry: false,
            _lock: lock,
        }
    }

    /// Serves until everybody has let go of the queue, or one says close.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut closing = None;
        while closing.is_none()
            && let Some(first) = queue.blocking_recv()
        {
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Job(job) => batch.push(job),
                    Message::Close(reply) => {
                        closing = Some(reply);
                        break;
                    }
                }
                next = (batch.len() < BATCH)
                    .then(|| queue.try_recv().ok())
                    .flatten();
            }
            self.commit(batch);
            self.carry_if_due();
        }
        self.close();
        if let Some(reply) = closing {
            // Whoever closed may have gone; it is closed all the same.
            reply.send(()).ok();
        }
    }

    fn commit(&mut self, mut batch: Vec<Box<dyn Job>>) {
        let end = match &self.broken {
            Some(trouble) => Err(trouble.clone()),
            None => self.transact(&mut batch),
        };
        match end {
            Ok(ends) => {
                for (job, end) in batch.into_iter().zip(ends) {
                    job.answer(end);
                }
            }
            Err(trouble) => {
                for job in batch {
                    job.answer(Err(trouble.error(&self.folder)));
                }
            }
        }
    }

    /// Runs the work in one transaction; returns how each piece ended, or why nothing of it
    /// was written.
    fn transact(
        &mut self,
        batch: &mut [Box<dyn Job>],
    ) -> std::result::Result<Vec<Result<()>>, Trouble> {
        self.try_transact(batch).inspect_err(|trouble| {
            // Names met in what is rolled back have no keys after it.
            self.names.0.clear();
            let undone = self.conn.is_autocommit() || self.conn.execute_batch("ROLLBACK").is_ok();
            if !undone || trouble.is_lasting() {
                self.broken = Some(trouble.clone().lasting());
            }
        })
    }

    fn try_transact(
        &mut self,
        batch: &mut [Box<dyn Job>],
    ) -> std::result::Result<Vec<Result<()>>, Trouble> {
        let Self {
            conn,
            folder,
            epoch,
            names,
            carry,
            ..
        } = self;
        let db = |err| Trouble::judge(err, folder);
        let step = |sql| conn.prepare_cached(sql)?.execute([]).map(drop);
        kill_point("before_txn");
        step("BEGIN IMMEDIATE").map_err(db)?;
        let current = match meta::get(conn, meta::EPOCH).and_then(|text| match text {
            Some(text) => meta::number(meta::EPOCH, &text),
            None => Err(Stop::Damaged("meta row `epoch` is gone".into())),
        }) {
            Ok(current) => Epoch(current),
            Err(Stop::Db(err)) => return Err(db(err)),
            Err(Stop::Damaged(what)) => return Err(Trouble::Damaged(what)),
            Err(Stop::Refused(err)) => return Err(Trouble::Damaged(err.to_string())),
        };
        if current != *epoch {
            return Err(Trouble::Fenced {
                ours: *epoch,
                current,
            });
        }
        let mut ends = Vec::with_capacity(batch.len());
        for job in batch {
            step("SAVEPOINT job").map_err(db)?;
            let refused = match job.run(&mut Txn { conn, names, carry }) {
                Ok(()) => None,
                Err(Stop::Db(err)) => match db(err) {
                    trouble if trouble.is_about_the_work() => Some(trouble.error(folder)),
                    trouble => return Err(trouble),
                },
                Err(stop) => Some(stop.error(folder)),
            };
            if refused.is_some() {
                step("ROLLBACK TO job").map_err(db)?;
                names.0.clear();
            }
            step("RELEASE job").map_err(db)?;
            kill_point("mid_txn");
            ends.push(refused.map_or(Ok(()), Err));
        }
        step("COMMIT").map_err(db)?;
        kill_point("after_txn");
        self.commits += 1;
        Ok(ends)
    }

    /// Carries the write-ahead log over into the database when it has grown. Answers are
    /// out by then, so nobody waits for it but the next transaction.
    fn carry_if_due(&mut self) {
        let rows = self.conn.total_changes() - self.rows;
        let due = self.carry || self.commits >= CARRY_COMMITS || rows >= CARRY_ROWS;
        if self.broken.is_some() || !due {
            return;
        }
        self.commits = 0;
        self.rows += rows;
        match carry(&self.conn, "PASSIVE") {
            // A reader may have kept a part of it back; the next commit tries again.
            Ok(whole) => self.carry &= !whole,
            Err(err) => {
                let trouble = Trouble::judge(err, &self.folder);
                // A full disk is no loss: the log keeps everything, and the next try is near.
                if trouble.is_lasting() {
                    self.broken = Some(trouble);
                }
            }
        }
    }

    fn close(self) {
        let Self {
            conn,
            broken,
            _lock: lock,
            ..
        } = self;
        if broken.is_some() {
            connect::abandon(conn);
        } else {
            // A reader elsewhere may keep the log from being emptied: it is only tidiness.
            conn.busy_timeout(PATIENCE_AT_CLOSE).ok();
            carry(&conn, "TRUNCATE").ok();
            drop(conn);
        }
        drop(lock);
    }
}

/// Carries the write-ahead log over; tells whether all of it.
fn carry(conn: &Connection, how: &str) -> rusqlite::Result<bool> {
    conn.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |row| {
        let number = |at| row.get::<_, i64>(at);
        Ok(number(0)? == 0 && number(1)? == number(2)?)
    })
}

impl Txn<'_> {
    /// Has the write-ahead log carried over when this is committed. For what says where something
    /// begins: without it a state that lost its log would be taken for one before the beginning, and
    /// what was to come since would be skipped without a word.
    pub(super) const fn carry_over(&mut self) {
        *self.carry = true;
    }
    /// Returns the key of a plugin; a new one gets one.
    pub(super) fn plugin(&mut self, plugin: &PluginId) -> std::result::Result<i64, Stop> {
        if let Some((key, _)) = self.names.0.get(plugin) {
            return Ok(*key);
        }
        let name = (plugin.folder(), plugin.stem());
        self.conn
            .prepare_cached("INSERT OR IGNORE INTO plugin (folder, stem) VALUES (?1, ?2)")?
            .execute(name)?;
        let key = self
            .conn
            .prepare_cached("SELECT key FROM plugin WHERE folder = ?1 AND stem = ?2")?
            .query_row(name, |row| row.get(0))?;
        self.names.0.insert(plugin.clone(), (key, HashMap::new()));
        Ok(key)
    }

    /// Returns the keys of a plugin and of a callback of it; new ones get theirs.
    pub(super) fn unit(
        &mut self,
        plugin: &PluginId,
        callback: &CallbackId,
    ) -> std::result::Result<(i64, i64), Stop> {
        let plugin_key = self.plugin(plugin)?;
        let known = self.names.0.get(plugin).and_then(|(_, c)| c.get(callback));
        if let Some(key) = known {
            return Ok((plugin_key, *key));
        }
        let name = (plugin_key, callback.name(), callback.k());
        self.conn
            .prepare_cached("INSERT OR IGNORE INTO callback (plugin, name, k) VALUES (?1, ?2, ?3)")?
            .execute(name)?;
        let key = self
            .conn
            .prepare_cached("SELECT key FROM callback WHERE plugin = ?1 AND name = ?2 AND k = ?3")?
            .query_row(name, |row| row.get(0))?;
        if let Some((_, callbacks)) = self.names.0.get_mut(plugin) {
            callbacks.insert(callback.clone(), key);
        }
        Ok((plugin_key, key))
    }
}
