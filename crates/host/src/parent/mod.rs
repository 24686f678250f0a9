//! Preloaded parents: Pythons that have imported what every worker needs, and fork workers.
//!
//! * here: which parent a worker gets, and when there is none
//! * `task`: one parent, from its start to its end
//! * `talk`: what is said to it and by it
//!
//! The other side is `python/slated_worker/parent.py`.
//!
//! **Invariants.** One parent for each [`Key`]: a worker finds in it what it would have imported
//! itself. A parent is asked for one worker after the other. Whatever it does wrong, workers
//! start, and those that run go on: their pipes are ours, their ends are seen.

mod talk;
mod task;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::launch::Launched;
use crate::process::{Ending, Process, new_pipes};
use crate::{Environment, Python, Spawn};
use task::{Ask, Forked, Refused};

/// How many workers wait for a parent; beyond, their starts wait one step before.
const ASKS: usize = 64;
/// How long none is tried in the place of a parent that served nobody.
const REST: Duration = Duration::from_mins(1);
/// How often a worker asks anew whose parent had to be replaced just then.
const TURNS: usize = 3;

/// What a parent is preloaded for: all that decides what a Python imports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    interpreter: PathBuf,
    code: PathBuf,
    env: Environment,
    import_paths: Vec<PathBuf>,
    umask: Option<u32>,
    /// Relative entries of PYTHONPATH begin here.
    cwd: Option<PathBuf>,
}

/// All parents.
#[derive(Clone, Debug)]
pub(crate) struct Parents {
    slots: Arc<Mutex<Slots>>,
    /// How long imports may take.
    patience: Duration,
}

type Slots = BTreeMap<Key, Slot>;

/// The place of a parent.
#[derive(Debug, Default)]
struct Slot {
    state: State,
    /// What became of an earlier one, as long as that was not told.
    untold: Option<String>,
    /// Why none served anybody, as it was told.
    known: Option<String>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Vacant,
    Serving(mpsc::Sender<Ask>),
    /// None is tried before that.
    Rests {
        until: Instant,
    },
}

/// No parent serves this start.
#[derive(Debug, Default)]
pub(crate) struct Unserved {
    /// Why not, where it was not told before.
    pub(crate) note: Option<String>,
}

impl Parents {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            slots: Arc::default(),
            patience,
        }
    }

    /// Starts a process by a fork.
    pub(crate) async fn fork(&self, spawn: &Spawn, python: &Python) -> Result<Launched, Unserved> {
        let key = Key::of(spawn, python);
        let mut note = None;
        for _ in 0..TURNS {
            let (asks, untold) = self.parent(&key);
            note = note.or(untold);
            let Some(asks) = asks else {
                return Err(Unserved { note });
            };
            // A system without room for pipes says so at the plain start.
            let Ok((ours, theirs)) = new_pipes() else {
                return Err(Unserved { note });
            };
            let (answer, answered) = oneshot::channel();
            let ask = Ask {
                worker: spawn.worker,
                cwd: spawn.cwd.clone(),
                grace: spawn.limits.orphan,
                theirs,
                answer,
            };
            if asks.send(ask).await.is_err() {
                continue;
            }
            match answered.await {
                Ok(Ok(Forked { pid, told })) => {
                    let process = Process {
                        pid,
                        pipes: ours,
                        ending: Ending::Theirs(told),
                    };
                    // Of one before it.
                    let note = note.map(|why| why + "; another has taken its place");
                    return Ok(Launched { process, note });
                }
                Ok(Err(Refused::Plain(why))) => {
                    return Err(Unserved { note: note.or(why) });
                }
                Ok(Err(Refused::Again)) | Err(_) => {}
            }
        }
        Err(Unserved { note })
    }

    /// Returns the parent for this key, starting one where there is none; and what is to be told.
    fn parent(&self, key: &Key) -> (Option<mpsc::Sender<Ask>>, Option<String>) {
        let mut slots = lock(&self.slots);
        let slot = slots.entry(key.clone()).or_default();
        let untold = slot.untold.take();
        let asks = match &slot.state {
            State::Serving(asks) => Some(asks.clone()),
            State::Rests { until } if Instant::now() < *until => None,
            State::Rests { .. } | State::Vacant => {
                let (asks, asked) = mpsc::channel(ASKS);
                let place = Place {
                    slots: Arc::downgrade(&self.slots),
                    key: key.clone(),
                };
                tokio::spawn(task::run(place, asked, self.patience));
                slot.state = State::Serving(asks.clone());
                Some(asks)
            }
        };
        (asks, untold)
    }
}

/// A parent's place, which it gives up once, before it refuses anybody.
#[derive(Debug)]
struct Place {
    /// Whoever starts workers holds them, so that they end with it.
    slots: Weak<Mutex<Slots>>,
    key: Key,
}

impl Place {
    /// Makes room for another parent at once.
    fn leave(&self) {
        self.change(|slot| slot.state = State::Vacant);
    }
    /// Makes room for another parent after a rest; returns why, if that is news.
    fn rest(&self, why: String) -> Option<String> {
        let mut news = None;
        self.change(|slot| {
            let until = Instant::now() + REST;
            slot.state = State::Rests { until };
            if slot.known.as_ref() != Some(&why) {
                slot.known = Some(why.clone());
                news = Some(why);
            }
        });
        news
    }
    /// Leaves word for the next start.
    fn note(&self, why: String) {
        self.change(|slot| slot.untold = Some(why));
    }
    fn change(&self, change: impl FnOnce(&mut Slot)) {
        if let Some(slots) = self.slots.upgrade() {
            change(lock(&slots).entry(self.key.clone()).or_default());
        }
    }
}

/// Locked for a look or a change, never while anything is waited for.
fn lock(slots: &Mutex<Slots>) -> MutexGuard<'_, Slots> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Key {
    fn of(spawn: &Spawn, python: &Python) -> Self {
        Self {
            interpreter: python.interpreter.path.clone(),
            code: python.code.folder().to_owned(),
            env: spawn.env.clone(),
            import_paths: spawn.config.import_paths.clone(),
            umask: spawn.config.umask,
            cwd: spawn.cwd.clone(),
        }
    }
}
