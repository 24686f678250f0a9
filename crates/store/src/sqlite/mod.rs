//! The embedded backend: one SQLite file, one process, no server.
//!
//! `state.db` in the state folder, in write-ahead mode with a sync at every commit. The
//! bodies of events are plain JSON, and the views `outcomes`, `attempts` and `lanes` are
//! for people: `sqlite3 state.db` is a supported way to look.
//!
//! * one thread writes, and commits whatever waits together: [`writer`]
//! * two threads read: [`readers`]
//! * the folder is locked, private and local: [`folder`]
//! * what an error means: [`fault`]
//!
//! Invariants: at most one process writes (lock), and one that believes so wrongly is
//! refused (epoch); a format is only left with a copy of it at hand.

mod connect;
mod crc;
mod fault;
mod folder;
mod half;
mod letters;
mod log;
mod meta;
mod prune;
mod query;
mod readers;
mod record;
mod schema;
mod upkeep;
mod void;
mod wish;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use slated_model::{Attempt, Change, EventId, Offset, OutcomeRow, PluginId, Row, Voided};
use tokio::sync::{mpsc, oneshot};

use self::fault::Stop;
use self::folder::Lock;
use self::readers::{Readers, Source};
pub use self::upkeep::Checked;
use self::writer::{Message, QUEUE, Txn, Writer};
use crate::{
    Append, Appended, Beyond, Epoch, Error, Keep, KeepLetters, Letters, Mark, Pruned, Recorded,
    Result, Snapshot, Store,
};

/// How to open a state.
#[derive(Clone, Debug)]
pub struct Options {
    /// The version written down as the one that opened the state last; an older slated
    /// names it when it refuses a format it does not know.
    pub version: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// A change of the file's format at opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The format it had.
    pub from: u32,
    /// The format it has.
    pub to: u32,
    /// The copy made before.
    pub copy: PathBuf,
}

/// The state in a folder, kept by SQLite.
///
/// Dropping it finishes what was asked for and waits for that: about one sync of the
/// disk. [`Sqlite::close`] does the same without blocking the thread.
pub struct Sqlite {
    folder: PathBuf,
    epoch: Option<Epoch>,
    migrated: Option<Migrated>,
    readers: Readers,
    queue: Option<mpsc::Sender<Message>>,
    writer: Option<JoinHandle<()>>,
}

impl Sqlite {
    /// Opens a state for writing; makes it if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], [`Error::NetworkFolder`], [`Error::Newer`], [`Error::Damaged`] (also
    /// for a file that is not ours), [`Error::NoRoom`] and [`Error::Failed`]. Blocks for a
    /// few syncs of the disk.
    pub fn open(folder: &Path, options: &Options) -> Result<Self> {
        Self::open_with(folder, options, schema::MIGRATIONS)
    }

    fn open_with(folder: &Path, options: &Options, migrations: &[&str]) -> Result<Self> {
        folder::prepare(folder)?;
        let lock = Lock::take(folder)?;
        let (mut conn, migrated) = connect::for_writing(folder, migrations)?;
        let epoch =
            connect::bump_epoch(&mut conn, &options.version).map_err(|stop| stop.error(folder))?;
        let readers = Readers::start(Source::live(folder)?, folder)?;
        let (queue, work) = mpsc::channel(QUEUE);
        let writer = Writer::new(conn, folder.to_owned(), epoch, lock);
        let thread = std::thread::Builder::new()
            .name("store-write".into())
            .spawn(move || writer.run(work))
            .map_err(|err| folder::failed(folder, err))?;
        Ok(Self {
            folder: folder.to_owned(),
            epoch: Some(epoch),
            migrated,
            readers,
            queue: Some(queue),
            writer: Some(thread),
        })
    }

    /// Opens a state for listings, whether or not a process writes it; makes nothing.
    ///
    /// Every write answers [`Error::ReadOnly`].
    ///
    /// # Errors
    ///
    /// [`Error::Absent`], [`Error::Newer`], [`Error::Older`], and those of the disk.
    pub fn open_read_only(folder: &Path) -> Result<Self> {
        folder::refuse_network(folder)?;
        readers::visit(folder, |_| Ok(()))?;
        let source = Source::Visited {
            folder: folder.to_owned(),
        };
        Ok(Self {
            folder: folder.to_owned(),
            epoch: None,
            migrated: None,
            readers: Readers::start(vec![source], folder)?,
            queue: None,
            writer: None,
        })
    }

    /// Refuses with [`Error::InUse`] if a process holds the state. Makes and changes nothing;
    /// only an opening for writing keeps others out.
    pub fn refuse_in_use(folder: &Path) -> Result<()> {
        folder::refuse_held(folder)
    }

    /// Renames a state that no process holds.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], and those of the disk.
    pub fn set_aside(folder: &Path, to: &Path) -> Result<()> {
        folder::set_aside(folder, to)
    }

    /// Looks through a whole state, whether or not a process writes it: every row against its sum and
    /// shape. Blocks, for minutes where it is large.
    ///
    /// # Errors
    ///
    /// Those of [`Sqlite::open_read_only`]; damage is no error here.
    pub fn check(folder: &Path) -> Result<Checked> {
        folder::refuse_network(folder)?;
        upkeep::check(folder)
    }

    /// Copies a state as it stands to a new file, also while a process writes it, and looks through
    /// the copy. Blocks.
    ///
    /// # Errors
    ///
    /// Those of [`Sqlite::open_read_only`], and of the disk the copy goes to. A file that stands at
    /// `to` is never replaced.
    pub fn back_up(folder: &Path, to: &Path) -> Result<Checked> {
        folder::refuse_network(folder)?;
        upkeep::back_up(folder, to)
    }

    /// Puts a copy in the place of a state that no process holds, and returns where the state is that
    /// stood there. A copy that is damaged changes nothing. Blocks.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`], [`Error::Absent`] without the copy, and those of the disk.
    pub fn restore(folder: &Path, from: &Path) -> Result<(Checked, Option<PathBuf>)> {
        upkeep::restore(folder, from)
    }

    /// Returns the state folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the change of format that opening made, if it made one.
    pub const fn migrated(&self) -> Option<&Migrated> {
        self.migrated.as_ref()
    }

    /// Finishes what was asked for, empties the write-ahead log and lets go of the lock.
    /// Everything asked afterwards is [`Error::Closed`].
    pub async fn close(&self) {
        self.readers.close();
        let Some(queue) = &self.queue else { return };
        let (reply, closed) = oneshot::channel();
        if queue.send(Message::Close(reply)).await.is_ok() {
            // An answer that does not come means that the thread is gone: closed as well.
            closed.await.ok();
        }
    }

    fn write<T, F>(&self, work: F) -> BoxFuture<'_, Result<T>>
    where
        T: Send + 'static,
        F: FnMut(&mut Txn<'_>) -> std::result::Result<T, Stop> + Send + 'static,
    {
        Box::pin(async move {
            let Some(queue) = &self.queue else {
                let folder = self.folder.clone();
                return Err(Error::ReadOnly { folder });
            };
            let (message, answer) = writer::task(work);
            queue.send(message).await.map_err(|_| Error::Closed)?;
            answer.await.unwrap_or(Err(Error::Closed))
        })
    }
}

impl Store for Sqlite {
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot>> {
        let ours = self.epoch;
        self.readers.ask(move |conn| {
            let mut snapshot = query::snapshot(conn)?;
            snapshot.epoch = ours.unwrap_or(snapshot.epoch);
            Ok(snapshot)
        })
    }

    fn bind_site(&self, url: String) -> BoxFuture<'_, Result<()>> {
        self.write(move |txn| log::bind(txn, &url))
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended>> {
        self.write(move |txn| log::append(txn, &append))
    }

    fn record(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Recorded>> {
        self.write(move |txn| record::record(txn, &changes))
    }

    fn rows(&self, after: Offset, limit: usize) -> BoxFuture<'_, Result<Vec<Row>>> {
        self.readers
            .ask(move |conn| query::rows(conn, after, limit))
    }

    fn between(&self, from: EventId, to: EventId, limit: usize) -> BoxFuture<'_, Result<Vec<Row>>> {
        self.readers
            .ask(move |conn| query::between(conn, from, to, limit))
    }

    fn event(&self, id: EventId) -> BoxFuture<'_, Result<Option<Row>>> {
        self.readers.ask(move |conn| query::event(conn, id))
    }

    fn highest(&self, through: Offset) -> BoxFuture<'_, Result<Option<Row>>> {
        self.readers.ask(move |conn| query::highest(conn, through))
    }

    fn fate(&self, id: EventId) -> BoxFuture<'_, Result<(Vec<OutcomeRow>, Vec<Attempt>)>> {
        self.readers.ask(move |conn| query::fate(conn, id))
    }

    fn latest(
        &self,
        plugin: Option<PluginId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<OutcomeRow>>> {
        self.readers
            .ask(move |conn| query::latest(conn, plugin.as_ref(), limit))
    }

    fn prune(&self, keep: Keep) -> BoxFuture<'_, Result<Pruned>> {
        self.write(move |txn| prune::prune(txn, &keep))
    }

    fn expire(&self, keep: KeepLetters) -> BoxFuture<'_, Result<u64>> {
        self.write(move |txn| letters::expire(txn, keep))
    }

    fn dead_letters(
        &self,
        plugin: Option<PluginId>,
        behind: Option<Mark>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Letters>> {
        self.readers
            .ask(move |conn| query::dead_letters(conn, plugin.as_ref(), behind, limit))
    }

    fn count_letters(&self) -> BoxFuture<'_, Result<BTreeMap<PluginId, u64>>> {
        self.readers.ask(query::count_letters)
    }

    fn outcomes(
        &self,
        plugin: PluginId,
        after: Offset,
        through: Offset,
    ) -> BoxFuture<'_, Result<Vec<OutcomeRow>>> {
        self.readers
            .ask(move |conn| query::outcomes_between(conn, &plugin, after, through))
    }

    fn beyond(&self, above: EventId) -> BoxFuture<'_, Result<Beyond>> {
        self.readers.ask(move |conn| void::beyond(conn, above))
    }

    fn count_void(&self) -> BoxFuture<'_, Result<u64>> {
        self.readers.ask(void::count)
    }

    fn voided(&self, id: EventId) -> BoxFuture<'_, Result<Vec<Voided>>> {
        self.readers.ask(move |conn| void::voided(conn, id))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.readers.join();
        drop(self.queue.take());
        if let Some(thread) = self.writer.take() {
            // A thread that panicked is gone too, and its lock with it.
            thread.join().ok();
        }
    }
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqlite")
            .field("folder", &self.folder)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// Makes the number that SQLite can keep of one of ours.
fn int(what: &str, value: u64) -> std::result::Result<i64, Stop> {
    i64::try_from(value).map_err(|_| unfit(format!("{what} {value} is above {}", i64::MAX)))
}

fn unfit(what: String) -> Stop {
    Stop::Refused(Error::Unfit { what })
}
