//! Events through a process, one after the other.
//!
//! The next event is sent when the last one is dealt with. `core::replay` says what follows.

use std::collections::BTreeMap;

use slated_core::replay::{Answer, Lost, Next, Replay, Why};
use slated_host::{CallbackSpec, Report};
use slated_model::{CallbackId, Cause, Event, EventId, FailureKind};
use tokio_util::sync::CancellationToken;

use super::call::{Call, Fate};
use super::gather::Matched;
use crate::daemon::Apart;
use crate::error::CommandError;

/// Who is told what a player does.
pub(crate) trait Hears {
    /// A call has ended.
    fn call(&mut self, call: &Call<'_>);
    /// What else a process has to say.
    fn aside(&mut self, report: Report);
    /// An event is dealt with.
    fn handled(&mut self);
}

/// How a replay ended.
pub(crate) struct Ended {
    /// Why before its last event.
    pub(crate) why: Option<Why>,
    /// The event another replay goes on with.
    pub(crate) go_on: Option<EventId>,
    /// What kept it from going on.
    pub(crate) trouble: Option<CommandError>,
}

/// Plays events.
pub(crate) struct Player {
    apart: Apart,
    dry: bool,
    replay: Replay,
    /// The numbers of callbacks, in the process that runs now.
    numbers: BTreeMap<CallbackId, u32>,
    stop: CancellationToken,
    /// Whether the process is gone.
    lost: bool,
}

impl Player {
    pub(crate) fn new(
        apart: Apart,
        dry: bool,
        stop_on_error: bool,
        callbacks: Vec<CallbackSpec>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            apart,
            dry,
            replay: Replay::new(stop_on_error),
            numbers: numbers(callbacks),
            stop,
            lost: false,
        }
    }

    /// Plays all events, or until it must end.
    pub(crate) async fn play(&mut self, events: Vec<Matched>, teller: &mut impl Hears) -> Ended {
        let mut events = events.into_iter().peekable();
        while let Some(Matched { event, callbacks }) = events.next() {
            self.replay.begin(event.id, callbacks);
            let why = loop {
                if let Err(trouble) = self.run(&event, teller).await {
                    let next = events.peek().map(|next| next.event.id);
                    return Ended {
                        why: None,
                        go_on: self.replay.go_on(next),
                        trouble: Some(trouble),
                    };
                }
                if self.stop.is_cancelled() {
                    self.replay.stop();
                }
                match self.replay.next() {
                    Next::Rest => {}
                    Next::Event => break None,
                    Next::End(why) => break Some(why),
                }
            };
            teller.handled();
            let next = events.peek().map(|next| next.event.id);
            match why {
                // A wish to end with the last event changes nothing.
                Some(Why::Stopped | Why::Failed) if next.is_none() => {}
                Some(_) => {
                    let go_on = self.replay.go_on(next);
                    return Ended {
                        why,
                        go_on,
                        trouble: None,
                    };
                }
                None => {}
            }
        }
        Ended {
            why: None,
            go_on: None,
            trouble: None,
        }
    }

    /// Lets the process end.
    pub(crate) async fn end(&mut self, teller: &mut impl Hears) {
        self.apart.end(|report| teller.aside(report)).await;
    }

    /// Sends what is due of an event, and waits until that is dealt with or the process is gone.
    async fn run(&mut self, event: &Event, teller: &mut impl Hears) -> Result<(), CommandError> {
        if self.lost {
            self.restart(teller).await?;
        }
        // A file that was edited meanwhile may have lost a callback.
        while self.first_is_gone() {
            self.answered(event, Fate::Gone, teller);
        }
        // What stands behind one that is gone is sent with the next frame.
        let due = self.replay.due().map_while(|id| self.numbers.get(id));
        let due: Vec<u32> = due.copied().collect();
        if due.is_empty() {
            return Ok(());
        }
        // A process that died before it is sent anything has nobody to blame.
        while let Some(report) = self.apart.heard() {
            if let Report::Exited(_) = report {
                self.lost = true;
                self.replay.lost(Lost::Died, false);
                return Ok(());
            }
            teller.aside(report);
        }
        let seq = match self.apart.send(event, due.clone()) {
            Ok(seq) => seq,
            Err(error) => {
                for _ in due {
                    self.answered(
                        event,
                        Fate::Unsent {
                            error: error.clone(),
                        },
                        teller,
                    );
                }
                return Ok(());
            }
        };
        while let Some(report) = self.apart.next().await {
            match report {
                Report::Result { us, error, .. } => {
                    let fate = match error {
                        None => Fate::Done { us },
                        Some(failure) => Fate::Failed {
                            us: Some(us),
                            failure,
                        },
                    };
                    self.answered(event, fate, teller);
                }
                Report::Done { seq: done, .. } if done == seq => return Ok(()),
                Report::Exited(exit) => {
                    self.lost = true;
                    let failure = Box::new(exit.failure());
                    let limit = failure.kind == FailureKind::Limit;
                    let how = if limit { Lost::Limit } else { Lost::Died };
                    if let Some(callback) = self.replay.lost(how, true) {
                        let fate = if limit {
                            Fate::Failed { us: None, failure }
                        } else {
                            Fate::Died { failure }
                        };
                        teller.call(&Call {
                            event,
                            callback,
                            fate,
                        });
                    }
                    return Ok(());
                }
                other => teller.aside(other),
            }
        }
        Err(CommandError::internal("nobody reports of a process"))
    }

    /// Tells whether the callback that is due first is one that the process does not have.
    fn first_is_gone(&self) -> bool {
        let first = self.replay.due().next();
        first.is_some_and(|id| !self.numbers.contains_key(id))
    }

    fn answered(&mut self, event: &Event, fate: Fate, teller: &mut impl Hears) {
        let answer = match &fate {
            Fate::Done { .. } => Answer::Done,
            Fate::Failed { failure, .. } => Answer::Failed {
                site: failure.cause == Some(Cause::Site),
            },
            Fate::Died { .. } | Fate::Gone | Fate::Unsent { .. } => Answer::Failed { site: false },
        };
        if let Some(callback) = self.replay.answered(answer) {
            teller.call(&Call {
                event,
                callback,
                fate,
            });
        }
    }

    async fn restart(&mut self, teller: &mut impl Hears) -> Result<(), CommandError> {
        let begun = self.apart.start(self.dry, |report| teller.aside(report));
        self.numbers = numbers(begun.await?.callbacks);
        self.lost = false;
        Ok(())
    }
}

fn numbers(callbacks: Vec<CallbackSpec>) -> BTreeMap<CallbackId, u32> {
    callbacks.into_iter().map(|c| (c.id, c.n)).collect()
}
