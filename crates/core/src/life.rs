//! The life of a plugin's process: when one is started, replaced, started again, given up.
//!
//! [`Life::step`] takes what happened to the file, the process or by a person's word, and says
//! what to do. Which events a process gets is the lane's business.
//!
//! Invariant: the lane uses at most one process, and gets a new one only after the one before has
//! exited: nothing runs twice at a time. Invariant: a content that does not load is not tried again
//! until the file changes, unless a network was at fault. Invariant: deaths that slated caused are
//! not counted.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use crate::dice::Dice;
use crate::time::Mono;

/// Numbers the processes of one plugin, from 1.
pub type Generation = u64;

/// Deaths in [`DEATHS_WITHIN`] beyond which a plugin is quarantined.
const DEATHS: usize = 5;
const DEATHS_WITHIN: Duration = Duration::from_mins(10);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// What a broken edit does to the code that ran before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenEdit {
    /// It goes on running.
    Keep,
    /// It stops, as under the Python daemon.
    Deactivate,
}

/// How an edited plugin replaces the one that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The new process is ready before the old one ends.
    NewFirst,
    /// The old one ends first: for plugins that own a port or a lock.
    StopFirst,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The file is there, with content to run (also: it changed, was touched, or a person asks for
    /// a reload).
    Load,
    /// The file is gone.
    Vanished,
    /// A process loaded the plugin.
    Ready(Generation),
    /// A process could not load it; `network`: for a network's fault, so another try may do.
    LoadFailed {
        /// Which.
        generation: Generation,
        /// A network failed while it registered, or the system had no room for a process.
        network: bool,
    },
    /// A process is gone, after its last answer.
    Exited {
        /// Which.
        generation: Generation,
    },
    /// A person, or the daemon's own end, stops the plugin.
    Stop,
    /// A person ends a stop or a quarantine.
    Resume,
    /// This process is to be replaced by one of the same content, as after an edit.
    Recycle(Generation),
    /// It was quarantined before slated ended, and nothing has changed since.
    StillQuarantined,
    /// Time went by.
    Tick,
}

/// Something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start a process.
    Start(Generation),
    /// Let the process finish what it was sent, then end it.
    Goodbye(Generation),
    /// The lane's frames go to this process from now on.
    Use(Generation),
    /// Nothing more is sent to this process.
    Retire(Generation),
    /// Tell people: the new content does not load, the old code keeps running.
    KeptOld,
    /// Tell people: its process died too often.
    Quarantined,
}

/// What a plugin is doing, as far as its process goes. Holds and waiting for the site are the
/// lane's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No process is ready yet.
    Starting,
    /// A process gets the frames.
    Running,
    /// It does not load.
    Broken,
    /// Its process keeps dying.
    Quarantined,
    /// A person stopped it.
    Stopped,
    /// Its file is gone.
    Gone,
}

/// One process as this life sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    generation: Generation,
    ready: bool,
    /// Told to end: its exit counts for nobody.
    leaving: bool,
}

/// The life of one plugin's process.
#[derive(Debug)]
pub struct Life {
    broken_edit: BrokenEdit,
    reload: Reload,
    dice: Dice,
    last: Generation,
    /// The process that the lane uses, or that still answers after it was retired.
    current: Option<Process>,
    /// The process that is to follow it.
    next: Option<Process>,
    /// When to start the next process.
    start_at: Option<Mono>,
    deaths: VecDeque<Mono>,
    /// Load failures for a network's fault, in a row.
    unlucky: u32,
    /// The next process has the content of the one that runs.
    recycles: bool,
    /// Why no process is wanted, if none is.
    rest: Option<State>,
}

impl Life {
    /// Begins a life with nothing started.
    pub const fn new(broken_edit: BrokenEdit, reload: Reload, seed: u64) -> Self {
        Self {
            broken_edit,
            reload,
            dice: Dice::new(seed),
            last: 0,
            current: None,
            next: None,
            start_at: None,
            deaths: VecDeque::new(),
            unlucky: 0,
            recycles: false,
            rest: None,
        }
    }

    /// Goes by other rules at the next edit or reload.
    pub const fn set_rules(&mut self, broken_edit: BrokenEdit, reload: Reload) {
        self.broken_edit = broken_edit;
        self.reload = reload;
    }

    /// Takes one input and returns what to do, in order.
    pub fn step(&mut self, now: Mono, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        match input {
            Input::Load if self.rest == Some(State::Stopped) => {}
            Input::Load => self.load(now, &mut out),
            Input::Resume => {
                if matches!(self.rest, Some(State::Stopped | State::Quarantined)) {
                    self.load(now, &mut out);
                }
            }
            Input::StillQuarantined => self.end(State::Quarantined, &mut out),
            Input::Vanished => self.end(State::Gone, &mut out),
            Input::Stop => self.end(State::Stopped, &mut out),
            Input::Ready(generation) => self.ready(generation, &mut out),
            Input::LoadFailed {
                generation,
                network,
            } => self.load_failed(now, generation, network, &mut out),
            Input::Exited { generation } => self.exited(now, generation, &mut out),
            Input::Recycle(generation) => self.recycle(now, generation, &mut out),
            Input::Tick => {}
        }
        if self.has_room() && self.start_at.is_some_and(|at| at <= now) {
            self.start_at = None;
            self.start(&mut out);
        }
        out
    }

    /// Returns when the next [`Input::Tick`] is due.
    pub fn wake_at(&self) -> Option<Mono> {
        // Without room it is an exit that lets the next one start, not time.
        self.start_at.filter(|_| self.has_room())
    }

    /// Returns what the plugin is doing.
    pub fn state(&self) -> State {
        match (self.rest, self.current) {
            (Some(State::Broken), Some(p)) if p.ready && !p.leaving => State::Running,
            (Some(rest), _) => rest,
            (None, Some(p)) if p.ready => State::Running,
            (None, _) => State::Starting,
        }
    }

    /// Tells whether the file's content does not load (older code may still run).
    pub fn is_broken(&self) -> bool {
        self.rest == Some(State::Broken)
    }

    /// Tells whether no process of the plugin is left.
    pub const fn is_idle(&self) -> bool {
        self.current.is_none() && self.next.is_none() && self.start_at.is_none()
    }

    /// Tells whether nothing is under way: no process starts, and none is ending. One that waits
    /// for its next start, after a death or a network's failure, counts as settled.
    pub fn is_settled(&self, now: Mono) -> bool {
        let mut processes = [self.current, self.next].into_iter().flatten();
        processes.all(|p| p.ready && !p.leaving)
            && self.next.is_none()
            && self.start_at.is_none_or(|at| at > now)
    }

    /// Tells whether slated told this process to end.
    pub fn is_leaving(&self, generation: Generation) -> bool {
        let it = [self.current, self.next]
            .into_iter()
            .flatten()
            .find(|p| p.generation == generation);
        it.is_none_or(|p| p.leaving)
    }

    fn load(&mut self, now: Mono, out: &mut Vec<Effect>) {
        self.rest = None;
        self.deaths.clear();
        self.unlucky = 0;
        self.recycles = false;
        // A process that is still starting has read older content.
        if let Some(next) = &mut self.next {
            discard(next, out);
        }
        if let Some(current) = &mut self.current
            && (!current.ready || self.reload == Reload::StopFirst)
        {
            discard(current, out);
        }
        self.start_at = Some(now);
    }

    /// Replaces a process that runs. One that is about to be replaced anyway is left alone, and so is
    /// old code that a broken edit left running: no other would load. Deaths stay counted.
    fn recycle(&mut self, now: Mono, generation: Generation, out: &mut Vec<Effect>) {
        let Some(current) = &mut self.current else {
            return;
        };
        let runs = current.generation == generation && current.ready && !current.leaving;
        if !runs || self.rest.is_some() || self.next.is_some() || self.start_at.is_some() {
            return;
        }
        self.recycles = true;
        if self.reload == Reload::StopFirst {
            discard(current, out);
        }
        self.start_at = Some(now);
    }

    /// Tells whether another process may be started: there are never more than two, and those of a
    /// plugin that owns a port never meet.
    const fn has_room(&self) -> bool {
        match self.reload {
            Reload::NewFirst => self.next.is_none(),
            Reload::StopFirst => self.next.is_none() && self.current.is_none(),
        }
    }

    fn end(&mut self, rest: State, out: &mut Vec<Effect>) {
        self.rest = Some(rest);
        self.start_at = None;
        for process in [&mut self.current, &mut self.next].into_iter().flatten() {
            discard(process, out);
        }
    }

    fn start(&mut self, out: &mut Vec<Effect>) {
        self.last += 1;
        let process = Process {
            generation: self.last,
            ready: false,
            leaving: false,
        };
        if self.current.is_none() {
            self.current = Some(process);
        } else {
            self.next = Some(process);
        }
        out.push(Effect::Start(self.last));
    }

    fn ready(&mut self, generation: Generation, out: &mut Vec<Effect>) {
        self.unlucky = 0;
        if let Some(p) = self
            .current
            .as_mut()
            .filter(|p| p.generation == generation && !p.ready)
        {
            p.ready = true;
            self.recycles = false;
            if !p.leaving {
                out.push(Effect::Use(generation));
            }
        } else if let Some(p) = self.next.as_mut().filter(|p| p.generation == generation) {
            p.ready = true;
            self.recycles = false;
            if let Some(current) = &mut self.current
                && !p.leaving
            {
                discard(current, out);
            }
        }
    }

    fn load_failed(
        &mut self,
        now: Mono,
        generation: Generation,
        network: bool,
        out: &mut Vec<Effect>,
    ) {
        let is = |p: &Option<Process>| p.is_some_and(|p| p.generation == generation && !p.leaving);
        let replaces = is(&self.next);
        if !replaces && !is(&self.current) {
            return;
        }
        let slot = if replaces {
            &mut self.next
        } else {
            &mut self.current
        };
        if let Some(p) = slot {
            discard(p, out);
        }
        if network {
            let wait = backed_off(FIRST_WAIT * 2, self.unlucky);
            self.unlucky += 1;
            self.start_at = Some(now + self.dice.spread(wait, 0.5));
            return;
        }
        self.rest = Some(State::Broken);
        // Nobody edited what is only recycled, so nothing is deactivated.
        let keeps = self.broken_edit == BrokenEdit::Keep || std::mem::take(&mut self.recycles);
        match (replaces, keeps) {
            (true, true) => out.push(Effect::KeptOld),
            (true, false) => {
                if let Some(p) = &mut self.current {
                    discard(p, out);
                }
            }
            (false, _) => {}
        }
    }

    fn exited(&mut self, now: Mono, generation: Generation, out: &mut Vec<Effect>) {
        if self.next.is_some_and(|p| p.generation == generation) {
            let left = self.next.take().is_some_and(|p| p.leaving);
            if self.start_at.is_none() && self.rest.is_none() {
                if left {
                    self.start_at = Some(now);
                } else {
                    self.died(now, out);
                }
            }
            return;
        }
        let Some(process) = self.current.take_if(|p| p.generation == generation) else {
            return;
        };
        self.current = self.next.take();
        if let Some(p) = &self.current {
            // It was ready before its forerunner ended, or soon will be.
            if p.ready && !p.leaving {
                out.push(Effect::Use(p.generation));
            }
            return;
        }
        // Old code that a broken edit left running is not there any more to be started again.
        if self.rest.is_some() || self.start_at.is_some() {
            return;
        }
        if process.leaving {
            self.start_at = Some(now);
        } else {
            self.died(now, out);
        }
    }

    fn died(&mut self, now: Mono, out: &mut Vec<Effect>) {
        self.deaths.push_back(now);
        while self
            .deaths
            .front()
            .is_some_and(|d| now.since(*d) > DEATHS_WITHIN)
        {
            self.deaths.pop_front();
        }
        if self.deaths.len() > DEATHS {
            self.rest = Some(State::Quarantined);
            out.push(Effect::Quarantined);
            return;
        }
        let nth = u32::try_from(self.deaths.len() - 1).unwrap_or(u32::MAX);
        let wait = self.dice.spread(backed_off(FIRST_WAIT, nth), 0.5);
        self.start_at = Some(now + wait);
    }
}

/// Tells a process to end, once.
fn discard(process: &mut Process, out: &mut Vec<Effect>) {
    if !process.leaving {
        process.leaving = true;
        out.push(Effect::Retire(process.generation));
        out.push(Effect::Goodbye(process.generation));
    }
}

fn backed_off(first: Duration, nth: u32) -> Duration {
    first.saturating_mul(1 << nth.min(16)).min(LONGEST_WAIT)
}
