//! A small model of the Python daemon, by what its documentation and `docs/compatibility.md` say it does
//! with ids: which calls it makes of a day, when, and what its timing log says of them.
//!
//! Its clock is virtual. Each plugin has a cursor, which goes back when an id that it waited for turns
//! up, and ids that it waits for five minutes for; one thread calls everything. Not here: its state
//! file, restarts, and faults of the site.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// Milliseconds since 1970.
pub type Ms = i64;

/// For how long it waits for an id.
const BACKLOG: Ms = 5 * 60_000;

/// An event of a site.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: u64,
    /// Its type.
    pub kind: String,
    /// When it was made.
    pub created: Ms,
    /// From when on the site shows it.
    pub visible: Ms,
}

/// A callback.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The types of events that it wants; all where none is named.
    pub wants: Vec<String>,
    /// How long a call takes, unless `slow` says otherwise.
    pub takes: Ms,
    /// Events with which it takes another time.
    pub slow: BTreeMap<u64, Ms>,
    /// Events at which it raises, each so many times.
    pub raises: BTreeMap<u64, u32>,
    /// Whether that stops its plugin.
    pub stops: bool,
}

/// A plugin.
#[derive(Clone, Debug, Default)]
pub struct Plugin {
    /// Its stem.
    pub stem: String,
    /// What it registers, in order.
    pub functions: Vec<Function>,
    /// When its file is touched.
    pub touched: Vec<Ms>,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The event.
    pub event: u64,
    /// When the event was made.
    pub created: Ms,
    /// `plugin.function`.
    pub callback: String,
    /// When it began.
    pub start: Ms,
    /// When it ended.
    pub end: Ms,
    /// Whether it raised.
    pub failed: bool,
}

impl Function {
    /// Tells whether it wants an event.
    pub fn is_wanted(&self, entry: &Entry) -> bool {
        self.wants.is_empty() || self.wants.contains(&entry.kind)
    }
}

impl Call {
    /// Returns its line of the timing log, in UTC.
    pub fn line(&self) -> String {
        let iso = |at: Ms| {
            let at = Timestamp::from_millisecond(at).unwrap_or_default();
            at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
        };
        let head = Timestamp::from_millisecond(self.end).unwrap_or_default();
        let span = |ms: Ms| {
            let (s, ms) = (ms.div_euclid(1000), ms.rem_euclid(1000));
            let (d, h, m) = (s / 86_400, s / 3600 % 24, s / 60 % 60);
            format!("{d:02}:{h:02}:{m:02}:{:02}.{ms:03}000", s % 60)
        };
        format!(
            "{} - timing - INFO - event_id={} created_at={} callback={} start={} end={} duration={} error={} delay={}",
            head.strftime("%Y-%m-%d %H:%M:%S,%3f"),
            self.event,
            iso(self.created),
            self.callback,
            iso(self.start),
            iso(self.end),
            span(self.end - self.start),
            if self.failed { "True" } else { "False" },
            span(self.start - self.created),
        )
    }
}

/// How a plugin stands.
struct Standing {
    last: u64,
    backlog: BTreeMap<u64, Ms>,
    active: bool,
    touches: Vec<Ms>,
}

/// The daemon.
#[derive(Clone, Debug)]
pub struct PythonDaemon {
    /// Its plugins, in their order.
    pub plugins: Vec<Plugin>,
    /// From the end of one page to the next request, unless the page was full.
    pub fetch_interval: Ms,
    /// The most rows in a page.
    pub page: usize,
}

impl PythonDaemon {
    /// Makes one with the usual settings.
    pub const fn new(plugins: Vec<Plugin>) -> Self {
        Self {
            plugins,
            fetch_interval: 5000,
            page: 500,
        }
    }

    /// Runs from one moment until after another, beginning behind what is there then; returns its
    /// calls in their order.
    pub fn run(mut self, entries: &[Entry], from: Ms, until: Ms) -> Vec<Call> {
        let mut calls = Vec::new();
        let there = entries.iter().filter(|entry| entry.visible <= from);
        let last = there.map(|entry| entry.id).max().unwrap_or_default();
        let plugins = self.plugins.iter().map(|plugin| Standing {
            last,
            backlog: BTreeMap::new(),
            active: true,
            touches: plugin.touched.clone(),
        });
        let mut standings: Vec<_> = plugins.collect();
        let mut now = from;
        while now <= until {
            let next = standings
                .iter_mut()
                .filter(|s| s.active)
                .map(|s| s.next(now))
                .min();
            let page = page(entries, next, now, self.page);
            for entry in &page {
                for (plugin, standing) in self.plugins.iter_mut().zip(&mut standings) {
                    now = standing.process(plugin, entry, now, &mut calls);
                }
            }
            if page.len() < self.page {
                now += self.fetch_interval;
            }
            for standing in &mut standings {
                let due = standing.touches.iter().filter(|at| **at <= now).count();
                standing.active |= due > 0;
                standing.touches.drain(..due);
            }
        }
        calls
    }
}

/// Returns what the site answers.
fn page(entries: &[Entry], next: Option<u64>, now: Ms, limit: usize) -> Vec<Entry> {
    let Some(next) = next else {
        return Vec::new();
    };
    let there = entries.iter().filter(|e| e.visible <= now && e.id >= next);
    let mut page: Vec<_> = there.cloned().collect();
    page.sort_by_key(|entry| entry.id);
    page.truncate(limit);
    page
}

impl Standing {
    /// Returns the id that it is to be given next; ids that it waited for too long are given up.
    fn next(&mut self, now: Ms) -> u64 {
        self.backlog.retain(|_, expires| *expires >= now);
        let waits = self.backlog.keys().next().copied();
        waits
            .into_iter()
            .chain([self.last + 1])
            .min()
            .unwrap_or_default()
    }

    fn process(
        &mut self,
        plugin: &mut Plugin,
        entry: &Entry,
        now: Ms,
        calls: &mut Vec<Call>,
    ) -> Ms {
        let waited = self.backlog.contains_key(&entry.id);
        if !self.active || (!waited && entry.id <= self.last) {
            return now;
        }
        let now = self.call(plugin, entry, now, calls);
        if self.active {
            self.backlog.remove(&entry.id);
            self.pass(entry, now);
        }
        now
    }

    fn call(
        &mut self,
        plugin: &mut Plugin,
        entry: &Entry,
        mut now: Ms,
        calls: &mut Vec<Call>,
    ) -> Ms {
        for function in plugin.functions.iter_mut().filter(|f| f.is_wanted(entry)) {
            let takes = function.slow.get(&entry.id).unwrap_or(&function.takes);
            let raises = function
                .raises
                .get_mut(&entry.id)
                .filter(|times| **times > 0);
            let failed = raises.map(|times| *times -= 1).is_some();
            calls.push(Call {
                event: entry.id,
                created: entry.created,
                callback: format!("{}.{}", plugin.stem, function.name),
                start: now,
                end: now + takes,
                failed,
            });
            now += takes;
            if failed && function.stops {
                self.active = false;
                break;
            }
        }
        now
    }

    /// Moves the cursor to an event, wherever that is, and waits for what lies between.
    fn pass(&mut self, entry: &Entry, now: Ms) {
        let fresh = now <= entry.created + BACKLOG;
        if entry.id > self.last + 1 && fresh {
            for id in self.last + 1..entry.id {
                self.backlog.insert(id, now + BACKLOG);
            }
        }
        self.last = entry.id;
    }
}

/// Counts how often each event was called by a callback, beyond once.
pub fn repeats(calls: &[Call], callback: &str) -> BTreeMap<u64, u32> {
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.callback == callback) {
        *counts.entry(call.event).or_default() += 1;
    }
    counts.retain(|_, count| *count > 1);
    counts
        .into_iter()
        .map(|(event, count)| (event, count - 1))
        .collect()
}

/// Returns the events that a callback was never called with.
pub fn lost(entries: &[Entry], calls: &[Call], callback: &str) -> BTreeSet<u64> {
    let calls = calls.iter().filter(|call| call.callback == callback);
    let called: BTreeSet<_> = calls.map(|call| call.event).collect();
    let all = entries.iter().map(|entry| entry.id);
    all.filter(|id| !called.contains(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_the_python_daemon_writes() {
        let at = "2026-11-23T09:15:02.500Z".parse::<Timestamp>().unwrap();
        let call = Call {
            event: 4711,
            created: at.as_millisecond() - 61_500,
            callback: "notes.f".into(),
            start: at.as_millisecond(),
            end: at.as_millisecond() + 250,
            failed: true,
        };
        assert_eq!(
            call.line(),
            "2026-11-23 09:15:02,750 - timing - INFO - event_id=4711 \
             created_at=2026-11-23T09:14:01.000000+00:00 callback=notes.f \
             start=2026-11-23T09:15:02.500000+00:00 end=2026-11-23T09:15:02.750000+00:00 \
             duration=00:00:00:00.250000 error=True delay=00:00:01:01.500000"
        );
    }
}
