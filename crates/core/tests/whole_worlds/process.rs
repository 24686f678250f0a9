//! The processes of plugins, which do what a worker does (`python/slated_worker/serve.py`): one
//! callback at a time, an answer after each; what stops a plugin drops what was sent behind it.

use std::collections::VecDeque;

use slated_core::Mono;
use slated_core::lane::{CallbackSpec, Frame, Reply, Verdict};
use slated_core::life::Generation;
use slated_model::{Cause, EventId, FailureKind};

use crate::judge::Key;
use crate::plan::{Asked, End};
use crate::support::failure;
use crate::world::{Break, What, World};

/// What a process says to the daemon.
pub(crate) enum Report {
    Ready(Vec<CallbackSpec>),
    LoadFailed,
    /// With the event, for the judge.
    Answer {
        seq: u64,
        n: u32,
        reply: Reply,
        event: EventId,
    },
    /// With the call that it was in.
    Exited(Verdict, Option<(EventId, u32, End)>),
}

pub(crate) struct Process {
    place: usize,
    generation: Generation,
    /// The daemon that it belongs to.
    life: u64,
    loads: bool,
    edits: u32,
    ready: bool,
    goodbye: bool,
    queue: VecDeque<Frame>,
    dropped: Option<u64>,
    call: Option<Call>,
    calls: u64,
    /// When its last report arrives.
    told: Mono,
}

/// A call under way.
struct Call {
    number: u64,
    frame: Frame,
    n: u32,
    end: End,
    takes: std::time::Duration,
    /// It is made, and not only answered.
    made: bool,
}

const fn answer(seq: u64, n: u32, reply: Reply, event: EventId) -> Report {
    Report::Answer {
        seq,
        n,
        reply,
        event,
    }
}

impl World {
    /// Starts a process; returns its number.
    pub(crate) fn spawn(&mut self, place: usize, generation: Generation) -> u64 {
        self.started += 1;
        let process = Process {
            place,
            generation,
            life: self.lives,
            loads: self.healed || !self.files[place].broken,
            edits: self.files[place].edits,
            ready: false,
            goodbye: false,
            queue: VecDeque::new(),
            dropped: None,
            call: None,
            calls: 0,
            told: self.now,
        };
        self.processes.insert(self.started, process);
        let takes = self.plan.plugins[place].loads_in.as_secs_f64();
        let takes = self.draw(takes / 2.0, takes);
        let at = self.now + std::time::Duration::from_secs_f64(takes);
        self.push(at, 0, What::Loaded(self.started));
        self.started
    }

    fn tell(&mut self, number: u64, report: Report) {
        let wait = self.draw(0.0, 0.001);
        let now = self.now;
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        let (place, generation, life) = (process.place, process.generation, process.life);
        let at = (now + std::time::Duration::from_secs_f64(wait)).max(process.told);
        process.told = at;
        self.push(at, life, What::Report(place, generation, report));
    }

    pub(crate) fn loaded(&mut self, number: u64) {
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        let place = process.place;
        if process.loads {
            process.ready = true;
            let specs = self.plan.plugins[place].specs();
            self.tell(number, Report::Ready(specs));
            self.go(number);
        } else {
            self.tell(number, Report::LoadFailed);
            self.exit(number, Verdict::Ours);
        }
    }

    pub(crate) fn hand_over(&mut self, number: u64, frame: Frame) {
        if let Some(process) = self.processes.get_mut(&number) {
            if self.breaks == Some(Break::CallNewestFirst) {
                process.queue.push_front(frame);
            } else {
                process.queue.push_back(frame);
            }
            self.go(number);
        }
    }

    pub(crate) fn goodbye(&mut self, number: u64, grace: std::time::Duration) {
        if let Some(process) = self.processes.get_mut(&number) {
            process.goodbye = true;
            let at = self.now + grace;
            self.push(at, 0, What::Terminate(number));
            self.go(number);
        }
    }

    /// Takes the next callback, if there is none under way.
    fn go(&mut self, number: u64) {
        let (now, secs) = (self.now, self.secs());
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        if !process.ready || process.call.is_some() {
            return;
        }
        let frame = loop {
            let Some(mut frame) = process.queue.pop_front() else {
                if process.goodbye {
                    self.exit(number, Verdict::Ours);
                }
                return;
            };
            if process.dropped != Some(frame.turn) && !frame.callbacks.is_empty() {
                let n = frame.callbacks.remove(0);
                break (frame, n);
            }
        };
        let (frame, n) = frame;
        process.calls += 1;
        let (call, place, edits) = (process.calls, process.place, process.edits);
        let (event, n_) = (frame.row.event.id, n as usize);
        let vis = self.site.vis.get(&event.0).copied();
        let key = (place, event, n_);
        let skipped = self.breaks == Some(Break::SkipCall) && self.rng.u8(..) == 0;
        let run = if skipped {
            1
        } else {
            self.judge.begins(&self.plan, secs, vis, key, &frame)
        };
        let asked = Asked {
            event: event.0,
            run,
            edits,
            site_down: self.plan.is_down(secs),
            well: self.healed,
        };
        let fate = (self.plan.plugins[place].callbacks[n_].fate)(&asked);
        self.say(|| {
            let attempt = frame.attempt;
            format!("p{place}.f{n} is called with {event} (attempt {attempt}, call {run})")
        });
        if let Some(process) = self.processes.get_mut(&number) {
            process.call = Some(Call {
                number: call,
                frame,
                n,
                end: if skipped { End::Done } else { fate.end },
                takes: fate.takes,
                made: !skipped,
            });
        }
        self.push(now + fate.takes, 0, What::Ends(number, call));
    }

    pub(crate) fn call_ends(&mut self, number: u64, call: u64) {
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        let Some(call) = process.call.take_if(|c| c.number == call) else {
            return;
        };
        let Call { frame, n, end, .. } = call;
        let us = u64::try_from(call.takes.as_micros()).unwrap_or(u64::MAX);
        let (place, event) = (process.place, frame.row.event.id);
        let key = (place, event, n as usize);
        if call.made && !matches!(end, End::Hung | End::Die) {
            self.judge.ends(key, end);
        }
        if end != End::Done {
            self.say(|| format!("p{place}.f{n} with {event}: {end:?}"));
        }
        let callback = &self.plan.plugins[place].callbacks[n as usize];
        let (failure, stop) = match end {
            End::Done => {
                let (seq, reply) = (frame.seq, Reply::Done { us });
                self.tell(number, answer(seq, n, reply, event));
                if let Some(process) = self.processes.get_mut(&number) {
                    process.queue.push_front(frame);
                }
                self.go(number);
                return;
            }
            End::Hung => {
                let verdict = Verdict::Limit(failure(FailureKind::Limit, None));
                return self.dies(number, key, end, verdict);
            }
            End::Die => {
                let verdict = Verdict::Died(failure(FailureKind::Death, None));
                return self.dies(number, key, end, verdict);
            }
            End::Raise(cause) => (
                failure(FailureKind::Raised, cause),
                callback.stop_on_error || cause == Some(Cause::Site),
            ),
            End::Interrupted => (failure(FailureKind::Limit, None), callback.stop_on_error),
        };
        let (seq, turn) = (frame.seq, frame.turn);
        let reply = Reply::Failed { failure, stop };
        self.tell(number, answer(seq, n, reply, event));
        if let Some(process) = self.processes.get_mut(&number) {
            if stop {
                process.dropped = Some(turn);
            } else {
                process.queue.push_front(frame);
            }
        }
        self.go(number);
    }

    /// It dies under a call. Whether that counts is for the daemon to say: not if it told it to end.
    fn dies(&mut self, number: u64, key: Key, end: End, verdict: Verdict) {
        let alone = self.daemon.is_some();
        self.judge.cut(key, alone);
        let call = u32::try_from(key.2).ok().map(|n| (key.1, n, end));
        self.tell(number, Report::Exited(verdict, call));
        self.processes.remove(&number);
    }

    fn exit(&mut self, number: u64, verdict: Verdict) {
        self.tell(number, Report::Exited(verdict, None));
        self.processes.remove(&number);
    }

    /// Ends a process in the middle of whatever it does.
    pub(crate) fn terminate(&mut self, number: u64) {
        let Some(process) = self.processes.get(&number) else {
            return;
        };
        let place = process.place;
        self.say(|| format!("a process of p{place} is ended"));
        if let Some(call) = &process.call {
            let key = (process.place, call.frame.row.event.id, call.n as usize);
            let alone = self.daemon.is_some();
            self.judge.cut(key, alone);
        }
        self.exit(number, Verdict::Ours);
    }
}
