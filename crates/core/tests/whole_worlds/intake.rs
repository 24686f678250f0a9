//! The follower at work, as `slated/src/daemon/intake.rs` has it: a look is durable before anybody
//! hears of its events and before the next request.

use slated_core::follow::{Look, Next, Request};
use slated_core::lane::Input;
use slated_model::{Event, LaneRow};

use crate::judge::Kind;
use crate::world::{What, World};

impl World {
    pub(crate) fn ask(&mut self) {
        let now = self.now;
        let d = self.d();
        match d.follower.next(now) {
            Next::Wait(until) => {
                if until <= now {
                    self.judge
                        .fault(Kind::Busy, "the follower waits for the past");
                }
                let life = self.lives;
                self.push(until, life, What::Ask);
            }
            Next::Stopped(lost) => self.judge.fault(Kind::Lost, format!("it stopped: {lost}")),
            Next::Ask(request) => {
                d.asked_at = now;
                self.requests += 1;
                // The snapshot is somewhere within the request.
                let (least, most) = self.plan.asks;
                let takes = self.draw(least, most);
                let until_snapshot = self.draw(0.2, 0.8) * takes;
                self.soon(until_snapshot, What::Snapshot(request));
            }
        }
    }

    pub(crate) fn snapshot(&mut self, request: &Request) {
        let now = self.secs();
        self.site.reveal(now, 0);
        let fails = self.plan.is_down(now) || self.rng.f64() < self.plan.fails;
        let rows = (!fails).then(|| {
            let rows = self.site.answer(request, self.plan.page);
            rows.iter().map(|(id, _)| self.row(*id)).collect()
        });
        let (least, most) = self.plan.asks;
        let rest = self.draw(least, most) / 2.0;
        self.soon(rest, What::Answered(rows));
    }

    pub(crate) fn answered(&mut self, rows: Option<Vec<Event>>) {
        let now = self.now;
        let d = self.d();
        let look = rows.map(|rows| d.follower.answer(now, rows));
        match look {
            Some(Ok(Some(look))) => {
                let takes = self.draw(0.0, self.plan.commits);
                self.soon(takes, What::Appended(look));
            }
            Some(Ok(None)) => self.has_read(),
            Some(Err(_)) | None => {
                d.follower.failed(now);
                d.site_down = true;
                let factor = f64::from(1u32 << d.failures.min(6)).min(60.0);
                d.failures += 1;
                self.say(|| "the site gives no answer".into());
                let wait = factor * self.draw(0.5, 1.0);
                self.soon(wait, What::Ask);
            }
        }
    }

    pub(crate) fn appended(&mut self, look: Look) {
        let rows = self.append(look);
        let d = self.d();
        d.placed = true;
        if let Some(last) = rows.last() {
            d.end = last.offset;
            let end = d.end;
            self.all_lanes(&Input::LogGrew(end));
        }
        self.has_read();
    }

    fn has_read(&mut self) {
        let now = self.now;
        let d = self.d();
        d.failures = 0;
        if d.placed {
            let (asked_at, head) = (d.asked_at, d.follower.head());
            if std::mem::replace(&mut d.site_down, false) {
                d.good_since = now;
            }
            for place in 0..self.ids.len() {
                let d = self.d();
                let plugin = &d.plugins[place];
                if plugin.found && plugin.lane.is_none() && asked_at >= plugin.seen_at {
                    let row = LaneRow {
                        floor: Some(head),
                        in_line_from: d.end,
                        ..LaneRow::new(plugin.id.clone(), d.end)
                    };
                    self.place_new(place, row);
                }
            }
            self.all_lanes(&Input::SiteRead);
        }
        self.ask();
    }
}
