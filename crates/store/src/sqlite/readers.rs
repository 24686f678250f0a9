//! The threads that read, beside the one that writes.
//!
//! Invariant: no read waits for a write, and no write for a read. Of a state that no
//! process writes, nothing is changed and no file is made.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fault::Stop;
use super::folder::{DATABASE, failed};
use super::{connect, schema};
use crate::{Error, Result};

/// Enough that a long listing does not keep a lane from its next rows.
const THREADS: usize = 2;
/// How often a read of a resting state is tried again because the state woke up meanwhile.
const TRIES: u32 = 5;

type Question = Box<dyn FnOnce(&Source) + Send>;

/// What is read from.
pub(super) enum Source {
    /// The database of this process.
    Live { folder: PathBuf, conn: Connection },
    /// A database that another process may be writing, or none.
    Visited { folder: PathBuf },
}

/// The threads, and the queue they take questions from. Everybody who asks waits for the
/// answer, so the queue is never longer than the askers are many.
pub(super) struct Readers {
    queue: Mutex<Option<Sender<Question>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts a thread for each source.
    pub(super) fn start(sources: Vec<Source>, folder: &Path) -> Result<Self> {
        let (queue, questions) = channel::<Question>();
        let questions = Arc::new(Mutex::new(questions));
        let mut threads = Vec::with_capacity(sources.len());
        for source in sources {
            let questions = Arc::clone(&questions);
            let thread = std::thread::Builder::new()
                .name("store-read".into())
                .spawn(move || serve(&source, &questions))
                .map_err(|err| failed(folder, err))?;
            threads.push(thread);
        }
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            threads,
        })
    }

    /// Asks; `question` may be put more than once until the answer is good.
    pub(super) fn ask<T, F>(&self, question: F) -> BoxFuture<'_, Result<T>>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> std::result::Result<T, Stop> + Send + 'static,
    {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel::<Result<T>>();
            let question: Question = Box::new(move |source| {
                // Nobody needs the answer to a dropped question.
                if !reply.is_closed() {
                    drop(reply.send(source.answer(&question)));
                }
            });
            let queue = self
                .queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let sent = queue.map(|queue| queue.send(question));
            if !matches!(sent, Some(Ok(()))) {
                return Err(Error::Closed);
            }
            answer.await.unwrap_or(Err(Error::Closed))
        })
    }

    /// Takes no more questions.
    pub(super) fn close(&self) {
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(queue);
    }

    /// Waits until the threads are gone.
    pub(super) fn join(&mut self) {
        self.close();
        for thread in self.threads.drain(..) {
            // A thread that panicked is gone too.
            thread.join().ok();
        }
    }
}

fn serve(source: &Source, questions: &Mutex<Receiver<Question>>) {
    loop {
        // One thread waits in the queue, the others for it.
        let next = questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        match next {
            Ok(question) => question(source),
            Err(_) => return,
        }
    }
}

impl Source {
    /// Opens the sources of the process that writes.
    pub(super) fn live(folder: &Path) -> Result<Vec<Self>> {
        (0..THREADS)
            .map(|_| {
                Ok(Self::Live {
                    folder: folder.to_owned(),
                    conn: connect::for_reading(folder)?,
                })
            })
            .collect()
    }

    fn answer<T>(
        &self,
        question: impl Fn(&Connection) -> std::result::Result<T, Stop>,
    ) -> Result<T> {
        match self {
            Self::Live { folder, conn } => question(conn).map_err(|stop| stop.error(folder)),
            Self::Visited { folder } => visit(folder, question),
        }
    }
}

/// Reads a state that is not ours.
///
/// A state at rest (no write-ahead log) is opened as immutable, which needs no right to
/// write and leaves no file behind. Should a process begin to write meanwhile, what was
/// read is thrown away and read again beside it.
pub(super) fn visit<T>(
    folder: &Path,
    question: impl Fn(&Connection) -> std::result::Result<T, Stop>,
) -> Result<T> {
    let mut tries = 0;
    loop {
        tries += 1;
        let before = Rest::of(folder)?;
        let resting = before.is_some() && tries < TRIES;
        let answer = if resting {
            connect::immutable(folder)
        } else {
            connect::for_reading(folder)
        }
        .and_then(|conn| {
            connect::readable(&conn, folder, schema::MIGRATIONS.len())?;
            question(&conn).map_err(|stop| stop.error(folder))
        });
        if !resting || before == Rest::of(folder)? {
            return answer;
        }
    }
}

/// What a database at rest looks like from outside.
#[derive(PartialEq, Eq)]
struct Rest {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Rest {
    /// Returns `None` if there is a write-ahead log, which a database at rest has not.
    fn of(folder: &Path) -> Result<Option<Self>> {
        let size = |name: &str| match std::fs::metadata(folder.join(name)) {
            Ok(meta) => Ok(Some(meta)),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(failed(folder, err)),
        };
        let Some(database) = size(DATABASE)? else {
            return Err(Error::Absent {
                folder: folder.to_owned(),
            });
        };
        let log = size(&format!("{DATABASE}-wal"))?;
        Ok(log.is_none_or(|log| log.len() == 0).then(|| Self {
            bytes: database.len(),
            modified: database.modified().ok(),
        }))
    }
}
