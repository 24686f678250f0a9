//! One parent: started, asked for workers, listened to, seen off.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Socket;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::talk::{Ended, Preload, Request, Said, send};
use super::{Key, Place};
use crate::End;
use crate::group::Group;
use crate::process::{TheirEnds, Told};
use crate::program::python;
use crate::spawn::{WorkerId, millis};
use crate::stderr::{Kept, listen};

/// The argument that makes it a parent; `python/slated_worker/__main__.py` knows it, too.
const PRELOAD: &str = "--preload";
/// How long a fork may take.
const FORK: Duration = Duration::from_secs(5);
/// How long a parent without workers waits for the next.
const IDLE: Duration = Duration::from_mins(10);
/// How long it may take to end.
const LEAVE: Duration = Duration::from_secs(1);

/// A worker is wanted.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) worker: WorkerId,
    pub(super) cwd: Option<PathBuf>,
    pub(super) grace: Duration,
    pub(super) theirs: TheirEnds,
    pub(super) answer: oneshot::Sender<Answer>,
}

type Answer = Result<Forked, Refused>;

/// A worker that was forked.
#[derive(Debug)]
pub(super) struct Forked {
    pub(super) pid: u32,
    pub(super) told: Told,
}

/// A worker that was not forked.
#[derive(Debug)]
pub(super) enum Refused {
    /// Another parent is to be asked.
    Again,
    /// It is to start by itself; why, where that was not told before.
    Plain(Option<String>),
}

/// What keeps a parent from forking any more.
enum Fault {
    /// It is not what a worker would be any more.
    Stale,
    /// It cannot be one, or does not do what it should.
    Broken(String),
}

/// Who waits for a worker.
struct Asks {
    /// Whoever is served; told first if that fails.
    first: Option<oneshot::Sender<Answer>>,
    others: mpsc::Receiver<Ask>,
}

impl Asks {
    /// Answers all who wait, and takes no more.
    fn refuse(&mut self, mut refused: impl FnMut() -> Refused) {
        self.others.close();
        let others = std::iter::from_fn(|| Some(self.others.try_recv().ok()?.answer));
        for answer in self.first.take().into_iter().chain(others) {
            // Whoever does not wait any more needs no answer.
            drop(answer.send(Err(refused())));
        }
    }
}

/// Serves a place from the start of its parent to the end of the parent's last worker.
pub(super) async fn run(place: Place, asks: mpsc::Receiver<Ask>, patience: Duration) {
    let mut asks = Asks {
        first: None,
        others: asks,
    };
    let mut parent = match Parent::start(&place.key, patience).await {
        Ok(parent) => parent,
        Err(fault) => return give_up(&place, &mut asks, fault, false),
    };
    match parent.serve(&mut asks).await {
        Ok(()) => {
            place.leave();
            asks.refuse(|| Refused::Again);
        }
        Err(fault) => give_up(&place, &mut asks, fault, parent.forked),
    }
    parent.see_off().await;
}

/// Gives up the place, and tells those who wait: the first of them why, or else the next start.
fn give_up(place: &Place, asks: &mut Asks, fault: Fault, served: bool) {
    let Fault::Broken(why) = fault else {
        place.leave();
        return asks.refuse(|| Refused::Again);
    };
    let python = place.key.interpreter.display();
    let why = format!("the preloaded {python} does not serve: {why}");
    let mut why = if served {
        // It died of something else than its Python.
        place.leave();
        Some(why)
    } else {
        place.rest(why)
    };
    asks.refuse(|| Refused::Plain(why.take()));
    if let Some(why) = why {
        place.note(why);
    }
}

/// A parent that has imported everything, or is about to.
struct Parent {
    child: Child,
    /// Ends it with us.
    _group: Group,
    said: Lines<BufReader<OwnedReadHalf>>,
    socket: OwnedWriteHalf,
    kept: Kept,
    /// Its workers, and who is told of their ends.
    workers: BTreeMap<u32, oneshot::Sender<ExitStatus>>,
    /// Whether it ever forked one.
    forked: bool,
}

impl Parent {
    async fn start(key: &Key, patience: Duration) -> Result<Self, Fault> {
        let mut parent = Self::spawn(key).map_err(|e| Fault::Broken(e.to_string()))?;
        let preload = Preload {
            import_paths: &key.import_paths,
            umask: key.umask,
        };
        let request = Request::Preload { preload };
        match parent.ask(&request, None, patience).await? {
            Said::Ready(_) => Ok(parent),
            Said::Unfit(why) => Err(Fault::Broken(why)),
            other => Err(unexpected(&other)),
        }
    }

    fn spawn(key: &Key) -> io::Result<Self> {
        let (ours, theirs) = Socket::pair()?;
        ours.set_nonblocking(true)?;
        let (said, socket) = UnixStream::from_std(ours)?.into_split();
        let (words, their_words) = io::pipe()?;
        let words = Receiver::from_owned_fd(words.into())?;
        let mut command = python(&key.interpreter, &key.code, &key.env);
        command
            .arg(PRELOAD)
            // At the head of a group that dies with it.
            .process_group(0)
            .stdin(OwnedFd::from(theirs))
            .stdout(their_words.try_clone()?)
            .stderr(their_words);
        if let Some(cwd) = &key.cwd {
            command.current_dir(cwd);
        }
        let child = command.spawn()?;
        let kept = Kept::default();
        // Nobody wants its lines one by one.
        let (lines, _) = mpsc::channel(1);
        tokio::spawn(listen(words, kept.clone(), lines));
        Ok(Self {
            _group: Group::new(child.id().unwrap_or_default()),
            child,
            said: BufReader::new(said).lines(),
            socket,
            kept,
            workers: BTreeMap::new(),
            forked: false,
        })
    }

    /// Forks workers until nobody can ask any more, or has for long. A fault of its own is one of
    /// whoever is first.
    async fn serve(&mut self, asks: &mut Asks) -> Result<(), Fault> {
        let mut idle = Instant::now() + IDLE;
        loop {
            tokio::select! {
                biased;
                said = self.said.next_line() => match understood(said)? {
                    Some(Said::Ended(ended)) => self.ended(&ended),
                    Some(other) => return Err(unexpected(&other)),
                    None => return Err(self.silence().await),
                },
                ask = asks.others.recv() => match ask {
                    Some(ask) => self.fork(ask, &mut asks.first).await?,
                    None => return Ok(()),
                },
                () = sleep_until(idle), if self.workers.is_empty() => return Ok(()),
            }
            idle = Instant::now() + IDLE;
        }
    }

    async fn fork(
        &mut self,
        ask: Ask,
        first: &mut Option<oneshot::Sender<Answer>>,
    ) -> Result<(), Fault> {
        let request = Request::Fork {
            fork: ask.worker.0,
            cwd: ask.cwd.as_deref(),
            grace_ms: millis(ask.grace),
        };
        let answer = first.insert(ask.answer);
        if answer.is_closed() {
            // It was killed before it began.
            return Ok(());
        }
        let answer = match self.ask(&request, Some(&ask.theirs), FORK).await? {
            Said::Forked(pid) => {
                let (tell, status) = oneshot::channel();
                self.workers.insert(pid, tell);
                self.forked = true;
                let told = Told::new(pid, status);
                Ok(Forked { pid, told })
            }
            // A plain start says so better.
            Said::Refused(_) => Err(Refused::Plain(None)),
            Said::Stale(_) => return Err(Fault::Stale),
            other => return Err(unexpected(&other)),
        };
        if let Some(first) = first.take() {
            // Where nobody waits any more, the pipes are closed and the worker ends.
            drop(first.send(answer));
        }
        Ok(())
    }

    /// Asks, and returns the answer; the ends of workers are passed on meanwhile.
    async fn ask(
        &mut self,
        request: &Request<'_>,
        pipes: Option<&TheirEnds>,
        patience: Duration,
    ) -> Result<Said, Fault> {
        let until = Instant::now() + patience;
        let late = || Fault::Broken(format!("no answer within {patience:?}"));
        let sent = timeout_at(until, send(self.socket.as_ref(), request, pipes)).await;
        // A socket that breaks is one that says nothing any more.
        drop(sent.map_err(|_| late())?);
        loop {
            let said = timeout_at(until, self.said.next_line()).await;
            match understood(said.map_err(|_| late())?)? {
                Some(Said::Ended(ended)) => self.ended(&ended),
                Some(other) => return Ok(other),
                None => return Err(self.silence().await),
            }
        }
    }

    fn ended(&mut self, ended: &Ended) {
        if let Some(tell) = self.workers.remove(&ended.pid) {
            // Its supervisor may be gone.
            tell.send(ExitStatus::from_raw(ended.status)).ok();
        }
    }

    /// Says why nothing is heard any more.
    async fn silence(&mut self) -> Fault {
        let end = match timeout(LEAVE, self.child.wait()).await {
            Ok(Ok(status)) => format!("it ended ({})", End::from(status)),
            _ => "it closed its socket".to_owned(),
        };
        let text = self.kept.text();
        let words = text.lines().next_back().map(|line| format!(": {line}"));
        Fault::Broken(end + &words.unwrap_or_default())
    }

    /// Hears of the ends of its workers, then lets it end.
    async fn see_off(mut self) {
        while let Some(mut worker) = self.workers.first_entry() {
            let pid = *worker.key();
            tokio::select! {
                said = self.said.next_line() => match understood(said) {
                    Ok(Some(Said::Ended(ended))) => self.ended(&ended),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => break,
                },
                // Seen, where it was not told.
                () = worker.get_mut().closed() => drop(self.workers.remove(&pid)),
            }
        }
        let Self {
            mut child,
            socket,
            _group,
            ..
        } = self;
        drop(socket);
        // Else it is killed.
        drop(timeout(LEAVE, child.wait()).await);
    }
}

/// Reads a line; `None` at the end.
fn understood(line: io::Result<Option<String>>) -> Result<Option<Said>, Fault> {
    let Ok(Some(line)) = line else {
        return Ok(None);
    };
    let said = serde_json::from_str(&line);
    said.map(Some)
        .map_err(|e| Fault::Broken(format!("it says `{line}`: {e}")))
}

fn unexpected(said: &Said) -> Fault {
    Fault::Broken(format!("it says {said:?} unasked"))
}
