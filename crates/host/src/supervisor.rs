//! One task per worker: hears it, passes orders on, keeps its limits, and sees its end.

use std::time::Duration;

use rustix::process::Signal;
use slated_model::CallbackId;
use slated_wire::{CallResult, FromWorker, PROTOCOL, Ready, STACK, WorkerHello};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::group::{Group, resident};
use crate::handle::Order;
use crate::ladder::{Ladder, Rung};
use crate::pipes::{HEARD, Heard};
use crate::process::Ending;
use crate::spawn::{CallLimits, Spawn, WorkerId};
use crate::stderr::Kept;
use crate::tracker::Tracker;
use crate::{CallbackSpec, End, Exit, Report, Why};

/// No worker is sent further ahead.
const WINDOW: u32 = 64;
/// How many orders wait, and how many frames are in flight at most.
pub(crate) const ORDERS: usize = WINDOW as usize;
/// How long the pipes are read on after the process's end, which others may hold open.
const DRAIN: Duration = Duration::from_secs(1);
/// How long a stack dump of a call that is only slow may take.
const SLOW_DUMP: Duration = Duration::from_millis(200);

/// The reports are not taken any more, so the worker has no reason to live.
struct Unheard;

pub(crate) struct Supervisor {
    id: WorkerId,
    pid: u32,
    limits: CallLimits,
    window: u32,
    /// It may not use as much memory as it likes.
    bounded: bool,
    /// It shows its stack when it is signalled, and does not die of that.
    shows_stack: bool,
    reports: mpsc::Sender<(WorkerId, Report)>,
    group: Group,
    kept: Kept,
    /// To the writing task.
    lines: mpsc::Sender<Vec<u8>>,
    kill: CancellationToken,
    phase: Phase,
    tracker: Tracker,
    ladder: Option<Ladder>,
    /// The call that was reported as slow, or is about to be.
    warned: Option<(u64, u32)>,
    /// When the stack of a slow call is there.
    slow_dump: Option<Instant>,
    stack: Option<String>,
    /// When a process that closed its pipe must be gone.
    hung_up: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting { until: Instant },
    Loading { until: Instant },
    Running,
}

impl Supervisor {
    pub(crate) fn new(
        spawn: &Spawn,
        pid: u32,
        kill: CancellationToken,
        reports: mpsc::Sender<(WorkerId, Report)>,
        group: Group,
        kept: Kept,
        lines: mpsc::Sender<Vec<u8>>,
    ) -> Self {
        Self {
            id: spawn.worker,
            pid,
            limits: spawn.limits,
            window: spawn.window,
            bounded: spawn.memory.is_some(),
            shows_stack: false,
            reports,
            group,
            kept,
            lines,
            kill,
            phase: Phase::Starting {
                until: Instant::now() + spawn.limits.init,
            },
            tracker: Tracker::default(),
            ladder: None,
            warned: None,
            slow_dump: None,
            stack: None,
            hung_up: None,
        }
    }

    /// Runs until the process is gone and reported so.
    pub(crate) async fn run(
        mut self,
        mut ending: Ending,
        mut orders: mpsc::Receiver<Order>,
        mut heard: mpsc::Receiver<Heard>,
        mut printed: mpsc::Receiver<String>,
    ) {
        let kill = self.kill.clone();
        let unheard = self.reports.clone();
        let mut killed = false;
        let mut hearing = true;
        let mut ordered = true;
        let mut printing = true;
        let end = loop {
            let room = ordered && self.tracker.len() < ORDERS;
            let due = self.due();
            let step = tokio::select! {
                // Limits before messages: a worker that never stops talking has limits too.
                biased;
                () = kill.cancelled(), if !killed => {
                    killed = true;
                    self.end(Why::Killed, Duration::ZERO);
                    Ok(())
                }
                () = unheard.closed() => Err(Unheard),
                () = at(due), if due.is_some() => {
                    // What has arrived counts, even if it was not taken in time.
                    match self.catch_up(&mut heard, &mut hearing).await {
                        Ok(()) => self.look_at_the_clock().await,
                        unheard => unheard,
                    }
                }
                next = heard.recv(), if hearing => {
                    let next = next.unwrap_or(Heard::End);
                    hearing = !next.is_last();
                    match self.hear(next).await {
                        // A quick plugin's answers come in bunches.
                        Ok(()) => self.catch_up(&mut heard, &mut hearing).await,
                        unheard => unheard,
                    }
                }
                order = orders.recv(), if room => {
                    if let Some(order) = order {
                        self.obey(order);
                        while self.tracker.len() < ORDERS
                            && let Ok(order) = orders.try_recv()
                        {
                            self.obey(order);
                        }
                    } else {
                        ordered = false;
                        self.end(Why::Killed, Duration::ZERO);
                    }
                    Ok(())
                }
                line = printed.recv(), if printing => if let Some(line) = line {
                    self.report(Report::Stderr { line }).await
                } else {
                    printing = false;
                    Ok(())
                },
                end = ending.wait() => break end,
            };
            if let Err(Unheard) = step {
                // Dropping the group kills it; its parent collects it.
                return;
            }
        };
        // An error means that nobody is left to be told.
        drop(self.finish(end, heard, printed, hearing).await);
    }

    /// Reports everything that was written before the death, then the death.
    async fn finish(
        mut self,
        end: End,
        mut heard: mpsc::Receiver<Heard>,
        mut printed: mpsc::Receiver<String>,
        mut hearing: bool,
    ) -> Result<(), Unheard> {
        let why = self.ladder.as_ref().map_or(Why::Itself, |l| l.why.clone());
        if why == Why::Goodbye && end == End::Code(0) {
            self.group.release();
        } else {
            self.group.signal(Signal::KILL);
            self.group.release();
        }
        // The wait begins anew with each message: whoever takes the reports may be slow, and
        // that must not lose an answer.
        while hearing && let Ok(Some(next)) = timeout(DRAIN, heard.recv()).await {
            hearing = !next.is_last();
            self.hear(next).await?;
        }
        let until = Instant::now() + DRAIN;
        while let Ok(Some(line)) = timeout_at(until, printed.recv()).await {
            self.report(Report::Stderr { line }).await?;
        }
        let (why, forced) = match &self.ladder {
            Some(ladder) => (ladder.why.clone(), ladder.forced),
            None => (Why::Itself, false),
        };
        let expected = match why {
            Why::Killed | Why::LoadFailed => true,
            // One that lost its parent may have left as it was told.
            Why::Goodbye => forced || matches!(end, End::Code(0) | End::Unknown),
            _ => false,
        };
        let exit = Exit {
            end,
            why,
            expected,
            pid: Some(self.pid),
            stderr: self.kept.text(),
            stack: self.stack.take().or_else(|| self.kept.take_stack()),
        };
        self.report(Report::Exited(Box::new(exit))).await
    }

    /// Takes in the messages that wait.
    async fn catch_up(
        &mut self,
        heard: &mut mpsc::Receiver<Heard>,
        hearing: &mut bool,
    ) -> Result<(), Unheard> {
        for _ in 0..HEARD {
            let Ok(next) = heard.try_recv() else { break };
            *hearing = !next.is_last();
            self.hear(next).await?;
        }
        Ok(())
    }

    async fn report(&self, report: Report) -> Result<(), Unheard> {
        self.reports
            .send((self.id, report))
            .await
            .map_err(|_| Unheard)
    }

    /// Begins to end the process. What began first goes on, except that a goodbye gives way.
    fn end(&mut self, why: Why, grace: Duration) {
        if self.ladder.as_ref().is_none_or(Ladder::is_polite) {
            self.ladder = Some(Ladder::new(Instant::now(), why, grace));
        }
    }

    fn obey(&mut self, order: Order) {
        let closing = self.ladder.is_some();
        match order {
            Order::Send {
                line,
                seq,
                turn,
                callbacks,
            } => {
                if !closing && self.tracker.sent(Instant::now(), seq, turn, &callbacks) {
                    self.write(line);
                }
            }
            Order::Goodbye { line, grace } => {
                if !closing {
                    self.write(line);
                    // Said after the line: the ladder's clock starts at the goodbye.
                    self.end(Why::Goodbye, grace);
                }
            }
        }
    }

    fn write(&mut self, line: Vec<u8>) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.lines.try_send(line) {
            self.end(
                Why::Protocol("it does not read its pipe".into()),
                Duration::ZERO,
            );
        }
    }

    async fn hear(&mut self, heard: Heard) -> Result<(), Unheard> {
        let wrong = match heard {
            Heard::Message(message) => match self.understand(message).await? {
                Ok(()) => return Ok(()),
                Err(wrong) => wrong,
            },
            Heard::Noise(line) => return self.report(Report::Stderr { line }).await,
            Heard::Broken(wrong) => wrong,
            Heard::End => {
                // As a rule the process has ended and is about to be collected.
                self.hung_up = Some(Instant::now() + DRAIN);
                return Ok(());
            }
        };
        self.end(Why::Protocol(wrong), Duration::ZERO);
        Ok(())
    }

    /// Acts on a message; the inner error says what is wrong with it.
    async fn understand(&mut self, message: FromWorker) -> Result<Result<(), String>, Unheard> {
        let report = match (self.phase, message) {
            (Phase::Starting { until }, FromWorker::Hello(hello)) => {
                match self.greet(hello, until) {
                    Ok(report) => report,
                    Err(wrong) => return Ok(Err(wrong)),
                }
            }
            (Phase::Loading { .. }, FromWorker::Ready(ready)) => match self.begin(ready) {
                Ok(report) => report,
                Err(wrong) => return Ok(Err(wrong)),
            },
            (Phase::Loading { .. }, FromWorker::LoadFailed(failed)) => {
                self.end(Why::LoadFailed, Duration::ZERO);
                Report::LoadFailed(failed)
            }
            (Phase::Running, FromWorker::Result(result)) => {
                if let Err(wrong) = self.tracker.result(Instant::now(), &result) {
                    return Ok(Err(wrong));
                }
                self.forget_slow();
                result_report(result)
            }
            (Phase::Running, FromWorker::Done(done)) => {
                if let Err(wrong) = self.tracker.done(Instant::now(), done.seq) {
                    return Ok(Err(wrong));
                }
                Report::Done {
                    seq: done.seq,
                    resident: self.resident(),
                }
            }
            (Phase::Loading { .. } | Phase::Running, FromWorker::Log(log)) => Report::Log(log),
            (Phase::Loading { .. } | Phase::Running, FromWorker::Write(write)) => {
                Report::Write(write)
            }
            (Phase::Running, FromWorker::Imports(imports)) => Report::Imports(imports.files),
            (phase, message) => {
                let name = kind(&message);
                return Ok(Err(format!("`{name}` while {}", phase.name())));
            }
        };
        self.report(report).await.map(Ok)
    }

    fn greet(&mut self, hello: WorkerHello, until: Instant) -> Result<Report, String> {
        PROTOCOL.agree(hello.protocol).map_err(|e| e.to_string())?;
        self.phase = Phase::Loading { until };
        self.shows_stack = hello.features.iter().any(|name| name == STACK);
        Ok(Report::Hello(hello))
    }

    fn begin(&mut self, ready: Ready) -> Result<Report, String> {
        let numbered = (0..).zip(&ready.callbacks).all(|(at, c)| at == c.n);
        if !numbered || ready.callbacks.iter().any(|c| c.name.is_empty()) {
            return Err("`ready` with callbacks that are not numbered from 0 and named".into());
        }
        self.phase = Phase::Running;
        let ids = CallbackId::number(ready.callbacks.iter().map(|c| c.name.as_str()));
        let callbacks = ids
            .into_iter()
            .zip(ready.callbacks)
            .map(|(id, callback)| CallbackSpec {
                n: callback.n,
                id,
                matcher: callback.matcher,
                stop_on_error: callback.stop_on_error,
                args_repr: callback.args_repr,
            })
            .collect();
        Ok(Report::Ready {
            callbacks,
            emails: ready.emails,
            warnings: ready.warnings,
            window: ready
                .window
                .unwrap_or(self.window)
                .clamp(1, self.window.max(1))
                .min(WINDOW),
            sha256: ready.sha256,
            imports: ready.imports,
            resident: self.resident(),
        })
    }

    /// Returns how many bytes it holds, where that matters. Read here, and not by the worker in each
    /// of its answers: that would cost each call several times as much.
    fn resident(&self) -> Option<u64> {
        self.bounded.then(|| resident(self.pid)).flatten()
    }

    /// Returns when something is due next.
    fn due(&self) -> Option<Instant> {
        let ladder = self.ladder.as_ref().and_then(Ladder::due);
        let limit = self.limit_due().map(|(at, _)| at);
        [limit, self.warn_due(), self.slow_dump, self.hung_up, ladder]
            .into_iter()
            .flatten()
            .min()
    }

    /// Returns when a limit is reached, and which.
    fn limit_due(&self) -> Option<(Instant, Why)> {
        if self
            .ladder
            .as_ref()
            .is_some_and(|ladder| !ladder.is_polite())
        {
            return None;
        }
        match self.phase {
            Phase::Starting { until } | Phase::Loading { until } => {
                (self.ladder.is_none()).then_some((until, Why::InitLimit(self.limits.init)))
            }
            Phase::Running => {
                let hard = self.limits.hard?;
                Some((self.tracker.since()? + hard, Why::HardLimit(hard)))
            }
        }
    }

    fn warn_due(&self) -> Option<Instant> {
        let after = self.limits.warn_after?;
        let current = self.tracker.current()?;
        let ended = self.ladder.as_ref().is_some_and(|l| !l.is_polite());
        (!ended && self.warned != Some((current.seq, current.n))).then(|| current.since + after)
    }

    async fn look_at_the_clock(&mut self) -> Result<(), Unheard> {
        let now = Instant::now();
        if let Some((_, why)) = self.limit_due().filter(|(at, _)| *at <= now) {
            self.slow_dump = None;
            self.end(why, Duration::ZERO);
        } else if self.warn_due().is_some_and(|at| at <= now)
            && let Some(current) = self.tracker.current()
        {
            self.warned = Some((current.seq, current.n));
            self.slow_dump = Some(now + SLOW_DUMP);
            self.ask_for_stack();
        } else if self.slow_dump.is_some_and(|at| at <= now) {
            self.slow_dump = None;
            return self.report_slow(now).await;
        } else if self.hung_up.is_some_and(|at| at <= now) {
            self.hung_up = None;
            let wrong = "it closed its pipe and lived on";
            self.end(Why::Protocol(wrong.into()), Duration::ZERO);
        }
        while let Some(rung) = self.ladder.as_mut().and_then(|ladder| ladder.climb(now)) {
            match rung {
                Rung::Dump => self.ask_for_stack(),
                Rung::Term => {
                    self.stack = self.kept.take_stack();
                    self.group.signal(Signal::TERM);
                }
                Rung::Kill => self.group.signal(Signal::KILL),
            }
        }
        Ok(())
    }

    fn ask_for_stack(&self) {
        // One that has not said so, or nothing yet, would die of the signal.
        if self.shows_stack {
            self.kept.await_stack();
            self.group.signal_leader(Signal::USR2);
        }
    }

    async fn report_slow(&mut self, now: Instant) -> Result<(), Unheard> {
        let stack = self.kept.take_stack().unwrap_or_default();
        let Some(current) = self.tracker.current() else {
            return Ok(());
        };
        self.report(Report::Slow {
            seq: current.seq,
            n: current.n,
            after: now - current.since,
            stack,
        })
        .await
    }

    /// The slow call has ended after all: there is nothing to warn about any more.
    fn forget_slow(&mut self) {
        if self.slow_dump.take().is_some() {
            drop(self.kept.take_stack());
        }
    }
}

impl Phase {
    const fn name(self) -> &'static str {
        match self {
            Self::Starting { .. } => "a hello was awaited",
            Self::Loading { .. } => "the plugin was loading",
            Self::Running => "the plugin was running",
        }
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn result_report(result: CallResult) -> Report {
    Report::Result {
        seq: result.seq,
        n: result.n,
        us: result.us,
        error: result.error.map(|error| Box::new((*error).into())),
        stop: result.stop,
    }
}

const fn kind(message: &FromWorker) -> &'static str {
    match message {
        FromWorker::Hello(_) => "hello",
        FromWorker::Ready(_) => "ready",
        FromWorker::LoadFailed(_) => "load_failed",
        FromWorker::Result(_) => "result",
        FromWorker::Done(_) => "done",
        FromWorker::Log(_) => "log",
        FromWorker::Write(_) => "write",
        FromWorker::Imports(_) => "imports",
    }
}
