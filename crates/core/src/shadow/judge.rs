//! Holds calls against what was seen.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use slated_model::EventId;

use super::{
    APART, Apart, Book, Call, Fault, Finding, Ms, Off, Report, SILENT_FOR, SILENT_LEAST, Sighting,
    Terms, Want,
};

/// Compares what a shadow saw with what the Python daemon called.
pub fn judge(book: &Book, calls: &[Call], terms: &Terms) -> Result<Report, Apart> {
    let first = calls.iter().map(|call| call.start).min();
    let last = calls.iter().map(|call| call.end).max();
    let (Some(first), Some(last)) = (first, last) else {
        return Err(Apart::NoCalls);
    };
    if book.until == 0 {
        return Err(Apart::NoLooks);
    }
    // What was seen just before the first line may have its call in an older file. A shadow sees a
    // moment later than the Python daemon, or earlier.
    let from = book.began.max(first.saturating_add(APART));
    let from = from.max(terms.from.unwrap_or(Ms::MIN));
    let to = book.until.min(last).min(terms.to.unwrap_or(Ms::MAX));
    if from > to {
        return Err(Apart::NoOverlap {
            shadow: (book.began, book.until),
            log: (first, last),
        });
    }
    Ok(Court::new(book, calls, terms, (from, to), last).hold())
}

/// All that is known.
struct Court<'a> {
    book: &'a Book,
    terms: &'a Terms,
    from: Ms,
    to: Ms,
    log_end: Ms,
    calls: &'a [Call],
    /// By event and callback, in order of their starts.
    by_unit: HashMap<(EventId, usize), Vec<&'a Call>>,
    /// Places by name.
    places: HashMap<&'a str, usize>,
    /// Spans in which plugins were off, each from a failure to the next call.
    off: BTreeMap<&'a str, Vec<Gap>>,
    /// The last call of each callback.
    last: HashMap<usize, Ms>,
}

/// A span in which a plugin was off.
#[derive(Clone, Copy)]
struct Gap {
    /// The call that failed began then.
    failed: Ms,
    since: Ms,
    /// `None`: to the log's end.
    until: Option<Ms>,
    event: EventId,
    callback: usize,
}

/// A call that was due and not made.
struct Open<'a> {
    seen: &'a Sighting,
    want: Want,
    times: u32,
    /// What came later was called.
    passed: bool,
    while_off: bool,
}

impl<'a> Court<'a> {
    fn new(
        book: &'a Book,
        calls: &'a [Call],
        terms: &'a Terms,
        (from, to): (Ms, Ms),
        log_end: Ms,
    ) -> Self {
        let names = book.callbacks.iter().enumerate();
        let places: HashMap<_, _> = names.map(|(n, c)| (c.name.as_str(), n)).collect();
        let mut by_unit: HashMap<_, Vec<&Call>> = HashMap::new();
        let mut last: HashMap<usize, Ms> = HashMap::new();
        let mut ordered: Vec<&Call> = calls.iter().collect();
        ordered.sort_by_key(|call| call.start);
        for call in ordered {
            if let Some(&place) = places.get(call.callback.as_str()) {
                by_unit.entry((call.event, place)).or_default().push(call);
                let last = last.entry(place).or_insert(call.start);
                *last = call.start.max(*last);
            }
        }
        let mut court = Self {
            book,
            terms,
            from,
            to,
            log_end,
            calls,
            by_unit,
            places,
            off: BTreeMap::new(),
            last,
        };
        court.find_gaps();
        court
    }

    /// Finds where plugins were off: a call failed that stops its plugin, and nothing of it was called
    /// until its next call, if there was one.
    fn find_gaps(&mut self) {
        let mut stops = BTreeSet::new();
        for seen in &self.book.sightings {
            for want in seen.wants.iter().filter(|want| want.stops) {
                stops.insert((seen.event, want.callback));
            }
        }
        let mut ordered: BTreeMap<&str, Vec<(&Call, usize)>> = BTreeMap::new();
        for call in self.calls {
            if let Some(&place) = self.places.get(call.callback.as_str())
                && let Some(callback) = self.book.callbacks.get(place)
            {
                let calls = ordered.entry(callback.plugin.as_str()).or_default();
                calls.push((call, place));
            }
        }
        for (plugin, mut calls) in ordered {
            calls.sort_by_key(|(call, _)| call.start);
            let next = calls.iter().skip(1).map(|(call, _)| Some(call.start));
            let gaps = calls.iter().zip(next.chain([None]));
            let gaps = gaps
                .filter(|((call, place), _)| call.failed && stops.contains(&(call.event, *place)));
            let gaps = gaps.map(|(&(call, callback), until)| Gap {
                failed: call.start,
                since: call.end,
                until,
                event: call.event,
                callback,
            });
            self.off.insert(plugin, gaps.collect());
        }
    }

    fn hold(&self) -> Report {
        let none = vec![0; self.book.callbacks.len()];
        let mut report = Report {
            from: self.from,
            to: self.to,
            due: none.clone(),
            good: none.clone(),
            to_come: none,
            ..Report::default()
        };
        let passed = self.passed();
        let mut open = Vec::new();
        for (seen, passed) in self.book.sightings.iter().zip(passed) {
            if seen.at < self.from || seen.at > self.to {
                continue;
            }
            report.events += 1;
            report.late_ids += usize::from(seen.late);
            for &want in &seen.wants {
                add(&mut report.due, want.callback);
                let made = self.by_unit.get(&(seen.event, want.callback));
                let made = made.map(Vec::as_slice).unwrap_or_default();
                let while_off = self.is_in_a_gap(want.callback, seen.at);
                let before = report.findings.len();
                let faults = self.faults(seen, want, made);
                report.findings.extend(faults.map(|fault| Finding {
                    event: seen.event,
                    callback: want.callback,
                    at: seen.at,
                    late_id: seen.late,
                    while_off,
                    fault,
                }));
                let times = want.times.saturating_sub(count(made.len()));
                if times > 0 {
                    open.push(Open {
                        seen,
                        want,
                        times,
                        passed,
                        while_off,
                    });
                } else if report.findings.len() == before {
                    add(&mut report.good, want.callback);
                }
            }
        }
        self.close(&mut report, &open);
        self.look_at_strangers(&mut report);
        report
            .findings
            .sort_by_key(|f| (f.event, f.callback, f.fault));
        report
    }

    /// Tells of each event whether a higher one was called that became visible later: one whose id
    /// was not late, so that it was visible a tick before it was seen at most.
    fn passed(&self) -> Vec<bool> {
        let called: BTreeSet<EventId> = self.calls.iter().map(|call| call.event).collect();
        let sightings = &self.book.sightings;
        let mut passed = vec![false; sightings.len()];
        let mut later = sightings.iter().rev().peekable();
        let mut highest = EventId(0);
        for (seen, passed) in sightings.iter().zip(&mut passed).rev() {
            while let Some(other) = later.next_if(|other| other.at >= seen.at.saturating_add(APART))
            {
                if !other.late && called.contains(&other.event) {
                    highest = highest.max(other.event);
                }
            }
            *passed = highest > seen.event;
        }
        passed
    }

    fn faults(
        &self,
        seen: &Sighting,
        want: Want,
        made: &[&Call],
    ) -> impl Iterator<Item = Fault> + use<> {
        let by = made.first().map(|call| call.start.saturating_sub(seen.at));
        let late = by.filter(|by| *by > self.terms.late_after);
        let failed = count(made.iter().filter(|call| call.failed).count());
        let good = made.iter().filter(|call| !call.failed).count();
        // What comes after as many good calls as were due is a repeat; a call after one that failed
        // is another try.
        let enough = made.iter().enumerate().filter(|(_, call)| !call.failed);
        let times = usize::try_from(want.times).unwrap_or(usize::MAX);
        let enough = enough.map(|(n, _)| n + 1).nth(times.saturating_sub(1));
        let again = enough.map_or(0, |n| made.len() - n);
        let repeated = (again > 0).then(|| Fault::Repeated {
            times: count(again),
        });
        let failed = (failed > 0).then_some(Fault::Failed {
            times: failed,
            mended: good > 0,
        });
        let late = late.map(|by| Fault::Late { by });
        [late, repeated, failed].into_iter().flatten()
    }

    /// Says of what was not called whether it was missed, is to come, or its plugin is off.
    fn close(&self, report: &mut Report, open: &[Open<'_>]) {
        let silent = self.silent(open);
        let mut off: BTreeMap<(String, Option<usize>), usize> = BTreeMap::new();
        for one in open {
            let plugin = self.plugin_of(one.want.callback);
            let gap = self.open_gap(plugin);
            let after = |gap: &&Gap| {
                one.seen.event >= gap.event || one.seen.at.saturating_add(APART) > gap.failed
            };
            let fault = if gap.as_ref().is_some_and(after) {
                *off.entry((plugin.to_owned(), None)).or_default() += 1;
                Fault::Off
            } else if !one.passed {
                add(&mut report.to_come, one.want.callback);
                continue;
            } else if silent.contains(&one.want.callback) && self.is_after_last(one) {
                let key = (plugin.to_owned(), Some(one.want.callback));
                *off.entry(key).or_default() += 1;
                Fault::Off
            } else {
                Fault::Missed { times: one.times }
            };
            report.findings.push(Finding {
                event: one.seen.event,
                callback: one.want.callback,
                at: one.seen.at,
                late_id: one.seen.late,
                while_off: one.while_off,
                fault,
            });
        }
        // One that is off is worth knowing, though nothing was due since.
        for (plugin, gaps) in &self.off {
            if gaps.last().is_some_and(|gap| gap.until.is_none()) {
                off.entry(((*plugin).to_owned(), None)).or_default();
            }
        }
        report.off = off
            .into_iter()
            .map(|((plugin, callback), calls)| {
                let gap = self.open_gap(&plugin).filter(|_| callback.is_none());
                let last = callback.and_then(|callback| self.last.get(&callback).copied());
                Off {
                    since: gap.map(|gap| gap.since).or(last),
                    failed_at: gap.map(|gap| (gap.event, gap.callback)),
                    plugin,
                    callback,
                    calls,
                }
            })
            .collect();
    }

    /// Returns the callbacks that were not called for a while up to the log's end though others were.
    /// Ids that came late do not count: those are lost one by one.
    fn silent(&self, open: &[Open<'_>]) -> BTreeSet<usize> {
        let mut runs: BTreeMap<usize, (usize, Ms)> = BTreeMap::new();
        for one in open {
            if one.passed && !one.seen.late && self.is_after_last(one) {
                let run = runs.entry(one.want.callback).or_insert((0, one.seen.at));
                run.0 += 1;
            }
        }
        let silent = runs.into_iter().filter(|(_, (missed, since))| {
            *missed >= SILENT_LEAST && self.log_end.saturating_sub(*since) >= SILENT_FOR
        });
        silent.map(|(callback, _)| callback).collect()
    }

    fn is_after_last(&self, one: &Open<'_>) -> bool {
        let last = self.last.get(&one.want.callback);
        last.is_none_or(|last| one.seen.at > *last)
    }

    fn plugin_of(&self, callback: usize) -> &'a str {
        let callback = self.book.callbacks.get(callback);
        callback.map_or("", |callback| callback.plugin.as_str())
    }

    fn open_gap(&self, plugin: &str) -> Option<&Gap> {
        self.off
            .get(plugin)?
            .last()
            .filter(|gap| gap.until.is_none())
    }

    fn is_in_a_gap(&self, callback: usize, at: Ms) -> bool {
        let gaps = self.off.get(self.plugin_of(callback));
        gaps.into_iter()
            .flatten()
            .any(|gap| at >= gap.failed && gap.until.is_some_and(|until| at < until))
    }

    /// Finds calls that the shadow cannot explain.
    fn look_at_strangers(&self, report: &mut Report) {
        let known: HashMap<EventId, &Sighting> = self
            .book
            .sightings
            .iter()
            .map(|seen| (seen.event, seen))
            .collect();
        for call in self.calls {
            match known.get(&call.event) {
                Some(seen) if seen.at < self.from || seen.at > self.to => {}
                Some(seen) => {
                    let place = self.places.get(call.callback.as_str());
                    let unsure = place.is_some_and(|place| seen.unsure.contains(place));
                    let wanted = |want: &Want| Some(&want.callback) == place;
                    if !unsure && !seen.wants.iter().any(wanted) {
                        let entry = report.unasked.entry(call.callback.clone());
                        entry.or_insert((0, call.event)).0 += 1;
                    }
                }
                None => {
                    // What stood there before the shadow came, and what it had no time to see yet.
                    let mine = call.event > self.book.head
                        && call.start >= self.from
                        && call.start <= self.to.min(self.book.until.saturating_sub(APART));
                    if mine {
                        let one = (call.event, call.callback.clone(), call.start);
                        report.unknown.push(one);
                    }
                }
            }
        }
    }
}

fn add(counts: &mut [usize], callback: usize) {
    if let Some(count) = counts.get_mut(callback) {
        *count += 1;
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
