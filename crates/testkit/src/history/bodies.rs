//! From lines to bodies: which process ran what, in which life, and how it ended.

use std::collections::BTreeMap;

use slated_model::{CallbackId, EventId, PluginId};

use super::Line;

/// One run of a callback.
#[derive(Clone, Debug)]
pub(super) struct Body<'a> {
    pub(super) plugin: &'a PluginId,
    pub(super) callback: &'a CallbackId,
    pub(super) event: EventId,
    /// The process.
    pub(super) run: &'a str,
    /// The life of the daemon that started the process, counted from 0.
    pub(super) life: usize,
    /// Where it starts in the journal.
    pub(super) from: usize,
    /// Where it ends in the journal, and whether well; `None` if its process died in it.
    pub(super) end: Option<(usize, bool)>,
    /// Whether it raised on account of the site.
    pub(super) site: bool,
    pub(super) at_ms: u64,
}

impl Body<'_> {
    /// Tells whether it returned.
    pub(super) fn finished(&self) -> bool {
        self.end.is_some_and(|(_, ok)| ok)
    }
}

/// A journal, understood.
#[derive(Debug, Default)]
pub(super) struct Bodies<'a> {
    /// In the order of their start.
    pub(super) all: Vec<Body<'a>>,
    /// Of each life, whether a kill ended it.
    pub(super) killed: Vec<bool>,
    /// Processes the test killed.
    pub(super) shot: Vec<&'a str>,
    /// What makes no sense.
    pub(super) nonsense: Vec<String>,
}

impl<'a> Bodies<'a> {
    pub(super) fn read(journal: &'a [Line]) -> Self {
        let mut bodies = Self::default();
        let mut life_of: BTreeMap<&str, usize> = BTreeMap::new();
        let mut run_of: BTreeMap<u32, &str> = BTreeMap::new();
        let mut open: BTreeMap<(&str, u64), usize> = BTreeMap::new();
        for (at, line) in journal.iter().enumerate() {
            let life = bodies.killed.len();
            match line {
                Line::Load { run, pid, .. } => {
                    life_of.entry(run).or_insert(life);
                    run_of.insert(*pid, run);
                }
                Line::Start {
                    plugin,
                    run,
                    body,
                    callback,
                    event,
                    at_ms,
                } => {
                    let life = *life_of.entry(run).or_insert(life);
                    open.insert((run, *body), bodies.all.len());
                    bodies.all.push(Body {
                        plugin,
                        callback,
                        event: *event,
                        run,
                        life,
                        from: at,
                        end: None,
                        site: false,
                        at_ms: *at_ms,
                    });
                }
                Line::End {
                    run,
                    body,
                    ok,
                    site,
                    ..
                } => {
                    let started = open.remove(&(run.as_str(), *body));
                    let started = started.and_then(|place| bodies.all.get_mut(place));
                    if let Some(started) = started {
                        started.end = Some((at, *ok));
                        started.site = *site && !*ok;
                    } else {
                        let text = format!("line {}: body {body} of {run} ends unstarted", at + 1);
                        bodies.nonsense.push(text);
                    }
                }
                Line::DaemonKilled => bodies.killed.push(true),
                Line::DaemonStopped => bodies.killed.push(false),
                // One that had not loaded its plugin had run no body either.
                Line::WorkerKilled { pid } => bodies.shot.extend(run_of.get(pid)),
            }
        }
        bodies
    }

    /// Tells whether a kill ended the life in which a body's process was started.
    pub(super) fn life_was_killed(&self, body: &Body<'_>) -> bool {
        self.killed.get(body.life).copied().unwrap_or(false)
    }
}
