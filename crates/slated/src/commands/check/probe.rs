//! `slated check --probe`: a site watched for a while, by reads alone, as `run` would read it.
//!
//! First what the site takes of the questions that following asks, held against plain ones; then the
//! follower itself, with nobody behind it: what it sees of holes and late ids, and what it costs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use slated_config::{Config, show_duration};
use slated_core::follow::{Follower, Next, Pace, Start};
use slated_model::{Event, EventId, Hole};
use slated_site::{Client, Error, Query};

use crate::clock::Clock;
use crate::commands::bar;
use crate::daemon::query;
use crate::error::CommandError;
use crate::out;
use crate::signals::Signals;
use crate::view::{AnswerView, ProbeView, SpreadView};

/// How many of the newest ids the questions are about.
const ASKED: u64 = 60;
/// How long a site that cannot be read is left alone.
const REST: Duration = Duration::from_secs(2);

/// Watches a site for so long, or until somebody stops it, and says what was seen.
pub(super) async fn run(
    client: &Client,
    config: &Config,
    span: Duration,
    json: bool,
) -> Result<(), CommandError> {
    let info = client.info().await?;
    let mut view = ProbeView {
        site: config.site.url.to_string(),
        version: info.version.clone(),
        rows_a_page: info.max_page,
        ..ProbeView::default()
    };
    view.answers = questions(client).await?;
    let mut watch = Watch::default();
    let pace = Pace {
        page: info.page(usize::try_from(config.site.page).unwrap_or(usize::MAX)),
        tick: config.site.tick,
        ..Pace::usual()
    };
    out::talk(format!(
        "watching {} for {}; Ctrl-C ends it earlier",
        view.site,
        show_duration(span)
    ));
    let began = Instant::now();
    let mut signals = Signals::listen()?;
    let bar = bar::seconds(span);
    tokio::select! {
        _ = signals.next() => {}
        () = tokio::time::sleep(span) => {}
        () = watch.follow(client, pace, &bar) => {}
    }
    bar.finish_and_clear();
    watch.tell(&mut view, began.elapsed());
    view.suggested = suggest(config, &view, info.max_page);
    if json {
        return out::json(&view);
    }
    out::line(&view);
    Ok(())
}

/// Asks the questions that following asks, and holds the answers against plain reads.
async fn questions(client: &Client) -> Result<Vec<AnswerView>, Error> {
    let Some(newest) = client.newest().await? else {
        return Ok(Vec::new());
    };
    let least = EventId(newest.id.0.saturating_sub(ASKED).max(1));
    let ranges = |ranges: Vec<(EventId, Option<EventId>)>, ids: Vec<EventId>| Query::Ranges {
        least,
        ranges,
        ids,
        limit: 500,
    };
    let plain = ids(client
        .read(&ranges(vec![(least, None)], Vec::new()))
        .await?
        .events);
    let all: BTreeSet<EventId> = plain
        .iter()
        .copied()
        .filter(|id| *id <= newest.id)
        .collect();
    let mut answers = Vec::new();
    let mut put =
        |question: &str, answer: Result<BTreeSet<EventId>, Error>, wanted: &BTreeSet<EventId>| {
            let (works, detail) = match answer {
                Ok(found) if found == *wanted => (true, None),
                Ok(found) => {
                    let differs = found.symmetric_difference(wanted).count();
                    (
                        false,
                        Some(format!(
                            "the answer differs by {differs} rows from a plain read"
                        )),
                    )
                }
                // What a site does not take, it refuses; that is an answer, too.
                Err(error) => (false, Some(error.to_string())),
            };
            answers.push(AnswerView {
                question: question.into(),
                works,
                detail,
            });
        };
    let some: BTreeSet<EventId> = all.iter().copied().step_by(2).collect();
    let read = async |query: Query| client.read(&query).await.map(|page| ids(page.events));
    put(
        "`in`: single ids by name",
        read(Query::Ids(some.iter().copied().collect())).await,
        &some,
    );
    if let (Some(lo), Some(hi)) = (all.first(), all.last()) {
        let within = read(ranges(vec![(*lo, Some(*hi))], Vec::new())).await;
        put("`between`: a range, its ends included", within, &all);
        let middle = EventId(lo.0.midpoint(hi.0));
        let (below, above): (BTreeSet<_>, BTreeSet<_>) = all.iter().partition(|id| **id < middle);
        let one = above.iter().copied().last();
        let wanted: BTreeSet<_> = below.iter().copied().chain(one).collect();
        if let Some(last) = below.last().filter(|last| *last > lo) {
            let mixed = ranges(vec![(*lo, Some(*last))], one.into_iter().collect());
            put(
                "`or`: ranges and ids in one request",
                read(mixed).await,
                &wanted,
            );
        }
    }
    Ok(answers)
}

fn ids(events: Vec<Event>) -> BTreeSet<EventId> {
    events.into_iter().map(|event| event.id).collect()
}

/// What was seen so far.
#[derive(Default)]
struct Watch {
    requests: u64,
    failures: BTreeMap<String, u64>,
    pages: Vec<Duration>,
    events: u64,
    /// How long late rows were missing, as far as was observed.
    late: Vec<Duration>,
    /// Ids that were ever missing, and those that came after all.
    missed: BTreeSet<EventId>,
    came: u64,
    lost: Option<String>,
}

impl Watch {
    async fn follow(&mut self, client: &Client, pace: Pace, bar: &indicatif::ProgressBar) {
        let clock = Clock::start();
        let mut follower = Follower::start(None, Start::Latest, pace, clock.now());
        let mut placed = false;
        loop {
            let request = match follower.next(clock.now()) {
                Next::Wait(until) => {
                    bar.set_message(format!("{} events, {} late", self.events, self.late.len()));
                    tokio::time::sleep_until(clock.instant(until)).await;
                    continue;
                }
                Next::Stopped(lost) => {
                    self.lost = Some(lost.to_string());
                    return;
                }
                Next::Ask(request) => request,
            };
            let missing: Vec<Hole> = follower.holes().map(|(hole, _)| hole).collect();
            self.requests += 1;
            let answer = client.read(&query(request)).await;
            let page = match answer {
                Ok(page) => page,
                Err(error) => {
                    *self.failures.entry(error.to_string()).or_default() += 1;
                    follower.failed(clock.now());
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            self.pages.push(page.took);
            if let Ok(Some(look)) = follower.answer(clock.now(), page.events) {
                // What the first look brings was there before.
                if placed {
                    self.take(&look.events, &missing);
                }
                placed = true;
            }
            // The past below the start is not this watch's.
            if placed {
                self.missed.extend(fresh(&follower));
            }
        }
    }

    fn take(&mut self, events: &[(Event, bool)], missing: &[Hole]) {
        self.events += events.len() as u64;
        for (event, _) in events.iter().filter(|(_, late)| *late) {
            let hole = missing
                .iter()
                .find(|hole| hole.lo <= event.id && event.id <= hole.hi);
            self.late
                .push(Duration::from_millis(hole.map_or(0, |hole| hole.age_ms)));
            self.came += u64::from(self.missed.contains(&event.id));
        }
    }

    fn tell(mut self, view: &mut ProbeView, took: Duration) {
        view.seconds = took.as_secs_f64();
        view.requests = self.requests;
        view.events = self.events;
        view.page_ms = SpreadView::of(&mut self.pages);
        view.late = self.late.len() as u64;
        view.late_ms = SpreadView::of(&mut self.late);
        view.missing = (self.missed.len() as u64).saturating_sub(self.came);
        view.failures = self.failures.into_iter().collect();
        view.lost = self.lost;
    }
}

/// Ids that are missing and came to be so lately: single rows, not a gap in the past.
fn fresh(follower: &Follower) -> impl Iterator<Item = EventId> {
    const LARGE: u64 = 100;
    let holes = follower.holes().map(|(hole, _)| hole);
    let small = holes.filter(|hole| hole.hi.0 - hole.lo.0 < LARGE);
    small.flat_map(|hole| (hole.lo.0..=hole.hi.0).map(EventId))
}

/// Returns settings that suit what was seen, each with why; those that already hold are left out.
fn suggest(config: &Config, view: &ProbeView, max_page: Option<usize>) -> Vec<String> {
    let mut suggested = Vec::new();
    let page = usize::try_from(config.site.page).unwrap_or(usize::MAX);
    if let Some(most) = max_page.filter(|most| *most < page) {
        suggested.push(format!(
            "site.page = {most}  # the site gives no more rows at once"
        ));
    }
    if let Some(pages) = &view.page_ms {
        let tick = u64::try_from(config.site.tick.as_millis()).unwrap_or(u64::MAX);
        // A look that takes longer than half the time to the next one asks a slow site all the time.
        if pages.p50 * 2 > tick {
            let tick = (pages.p50 * 2).div_ceil(1000);
            suggested.push(format!(
                "site.tick = \"{tick}s\"  # half of the requests take {} ms or more",
                pages.p50
            ));
        }
        let timeout = u64::try_from(config.site.timeout.as_millis()).unwrap_or(u64::MAX);
        if pages.worst * 4 > timeout {
            let timeout = (pages.worst * 8).div_ceil(1000);
            suggested.push(format!(
                "site.timeout = \"{timeout}s\"  # one request took {} ms",
                pages.worst
            ));
        }
    }
    // Order by id is worth a wait only where it is often broken, and the wait is short.
    if let Some(late) = &view.late_ms
        && view.late * 200 >= view.events
        && late.p90 <= 10_000
        && config.site.settle.is_zero()
    {
        let settle = late.p90.div_ceil(1000).max(1);
        suggested.push(format!(
            "site.settle = \"{settle}s\"  # only if plugins need the order of ids: nine of ten late rows came within that"
        ));
    }
    suggested
}
