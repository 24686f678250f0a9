//! What is wrong with a running daemon, looked at every few seconds and whenever a fact says so, and
//! told to those who mend it.
//!
//! `core::alarm` decides what is told when. Here states are gathered (plugins, site, disk, mail) and
//! notices handed to the webhook and the mail, neither of which is ever waited for.
//!
//! Invariant: mail says nothing twice. What began goes by mail only where no mail about an error says
//! so; reminders and ends always, but for mail's own trouble.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use slated_core::alarm::{
    Alarms, Alert, Backlogs, Condition, Kind, Notice, Rules, What, many_letters,
};
use slated_model::PluginId;
use slated_store::Store;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::message::Roll;
use crate::clock::{Clock, wall_ms};
use crate::tell::{AlertSender, Fact, Teller, Webhook, alert};
use crate::view::{AlertView, PluginState, PluginView};

/// How often is looked, and how far apart looks are at least.
const EVERY: Duration = Duration::from_secs(10);
const LEAST: Duration = Duration::from_secs(1);
/// Every so many looks dead letters are counted.
const LETTERS: u32 = 6;
/// The variable that has tests look every so many milliseconds, and alerts wait as long and no longer.
const PACE: &str = "SLATED_TEST_ALERTS_MS";

/// What looks for trouble.
pub(super) struct Alarm {
    pub(super) desk: Desk,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) teller: Teller,
    pub(super) sender: AlertSender,
    pub(super) webhook: Option<Webhook>,
    /// Why the state is larger than it should be, if it is.
    pub(super) large: watch::Receiver<Option<String>>,
    /// What is raised, for whoever asks.
    pub(super) raised: watch::Sender<Vec<AlertView>>,
}

/// What is remembered from look to look.
struct Memory {
    alarms: Alarms,
    backlogs: Backlogs,
    /// Dead letters as counted last.
    letters: BTreeMap<PluginId, u64>,
    many: BTreeSet<PluginId>,
    looks: u32,
    /// Whether an error mail told of the site.
    site_mailed: bool,
}

impl Alarm {
    /// Runs until `stop`, of which nothing is told.
    pub(super) async fn run(self, stop: CancellationToken) {
        let pace = std::env::var(PACE).ok().and_then(|ms| ms.parse().ok());
        let pace: Option<Duration> = pace.map(Duration::from_millis);
        let rules = pace.map_or_else(Rules::default, Rules::waiting);
        let (every, least) = pace.map_or((EVERY, LEAST), |pace| (pace, pace));
        let mut memory = Memory {
            alarms: Alarms::new(rules),
            backlogs: Backlogs::default(),
            letters: BTreeMap::new(),
            many: BTreeSet::new(),
            looks: 0,
            site_mailed: false,
        };
        let stirred = self.teller.stirred();
        let work = async {
            loop {
                self.look(&mut memory, &stop).await;
                sleep(least).await;
                // Whichever comes first; neither is a failure.
                timeout(every.saturating_sub(least), stirred.notified())
                    .await
                    .unwrap_or_default();
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    async fn look(&self, memory: &mut Memory, stop: &CancellationToken) {
        if memory.looks.is_multiple_of(LETTERS)
            && let Ok(letters) = self.store.count_letters().await
        {
            memory.letters = letters;
        }
        memory.looks = memory.looks.wrapping_add(1);
        let Some(roll) = self.desk.roll().await else {
            return;
        };
        // A stop ends plugins, which is no end of what is wrong with them.
        if stop.is_cancelled() {
            return;
        }
        let now = self.clock.now();
        let wrong = self.wrong(memory, &roll);
        let notices = memory.alarms.look(now, wall_ms(), wrong);
        let raised: Vec<_> = memory.alarms.raised(now).map(|a| alert::view(&a)).collect();
        self.raised.send_if_modified(|known| {
            let is_news = *known != raised;
            *known = raised;
            is_news
        });
        for notice in notices {
            self.tell(notice, memory.site_mailed);
        }
    }

    fn tell(&self, notice: Notice, site_mailed: bool) {
        if let Some(webhook) = &self.webhook
            && !webhook.send(self.sender.json(&notice))
        {
            // The task is far behind; what lasts is told again.
            tracing::warn!("An alert found no room on its way to the webhook.");
        }
        let Some(notice) = unsaid(notice, site_mailed) else {
            return;
        };
        if let Some(mail) = self.teller.mail() {
            let (subject, body) = self.sender.mail(&notice);
            mail.send(subject, body);
        }
        let is_over = matches!(notice, Notice::One(What::Over | What::Passed, _));
        let text = alert::said(&notice);
        self.teller.tell(Fact::Alerted { is_over, text });
    }

    /// Gathers all that is wrong.
    fn wrong(&self, memory: &mut Memory, roll: &Roll) -> Vec<Condition> {
        let own = |kind: Kind, detail: String| Condition {
            kind,
            plugin: None,
            event: None,
            detail,
        };
        let mut wrong = Vec::new();
        wrong.extend(roll.disk.clone().map(|error| own(Kind::Storage, error)));
        let large = self.large.borrow().clone();
        wrong.extend(large.map(|text| own(Kind::StateLarge, text)));
        if let Some((lost, needs_person, text)) = self.desk.site_trouble() {
            if !lost {
                memory.site_mailed = needs_person;
            }
            let kind = if lost {
                Kind::AnchorLost
            } else {
                Kind::SiteLost
            };
            wrong.push(own(kind, text));
        }
        let mail = self.desk.mail_trouble();
        wrong.extend(mail.map(|error| own(Kind::Mail, error)));
        let mut cursors = Vec::new();
        for view in &roll.plugins {
            wrong.extend(of_plugin(view));
            let runs = matches!(view.state, PluginState::Running | PluginState::Starting);
            cursors.extend(
                view.cursor
                    .filter(|_| runs)
                    .map(|at| (view.plugin.clone(), at)),
            );
            let letters = memory
                .letters
                .get(&view.plugin)
                .copied()
                .unwrap_or_default();
            if many_letters(memory.many.contains(&view.plugin), letters) {
                memory.many.insert(view.plugin.clone());
                let stem = view.plugin.stem();
                wrong.push(Condition {
                    kind: Kind::Letters,
                    plugin: Some(view.plugin.clone()),
                    event: None,
                    detail: format!(
                        "{letters} dead letters; `slated failures list --plugin {stem}` shows why"
                    ),
                });
            } else {
                memory.many.remove(&view.plugin);
            }
        }
        let late = memory
            .backlogs
            .look(self.clock.now(), roll.log.end.0, &cursors);
        wrong.extend(late.into_iter().map(|late| {
            let minutes = late.oldest.as_secs() / 60;
            Condition {
                detail: format!(
                    "{} events wait for it, the oldest for {minutes} min; `slated plugin show {}` says what it does",
                    late.events,
                    late.plugin.stem()
                ),
                kind: Kind::Backlog,
                plugin: Some(late.plugin),
                event: None,
            }
        }));
        wrong
    }
}

/// Returns what is wrong with a plugin by itself.
fn of_plugin(view: &PluginView) -> Option<Condition> {
    let kind = match view.state {
        PluginState::Held => Kind::Hold,
        PluginState::Quarantined => Kind::Quarantine,
        PluginState::Broken => Kind::Broken,
        // Its old code runs.
        PluginState::Running if view.why.is_some() => Kind::Broken,
        _ => return None,
    };
    Some(Condition {
        kind,
        plugin: Some(view.plugin.clone()),
        event: view.held_at.filter(|_| kind == Kind::Hold),
        detail: view.why.clone().unwrap_or_default(),
    })
}

/// Returns what of a notice no mail about an error says, if anything.
fn unsaid(notice: Notice, site_mailed: bool) -> Option<Notice> {
    let is_unsaid = |what: What, alert: &Alert| {
        let said = match alert.condition.kind {
            Kind::Mail => return false,
            Kind::SiteLost => site_mailed,
            Kind::Backlog | Kind::Letters => false,
            _ => true,
        };
        !said || alert.flaps || matches!(what, What::Reminded | What::Over)
    };
    match notice {
        Notice::One(what, alert) => is_unsaid(what, &alert).then_some(Notice::One(what, alert)),
        Notice::More(mut all) => {
            all.retain(|(what, alert)| is_unsaid(*what, alert));
            (!all.is_empty()).then_some(Notice::More(all))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_mail_says_is_not_mailed_again() {
        let one = |kind, what, flaps| {
            let condition = Condition {
                kind,
                plugin: None,
                event: None,
                detail: String::new(),
            };
            let alert = Alert {
                condition,
                since_ms: 0,
                lasted: Duration::ZERO,
                flaps,
                times: 1,
            };
            (what, alert)
        };
        for (kind, what, flaps, wanted) in [
            (Kind::Hold, What::Raised, false, false),
            (Kind::Hold, What::Raised, true, true),
            (Kind::Hold, What::Reminded, false, true),
            (Kind::Hold, What::Over, false, true),
            (Kind::Storage, What::Passed, false, false),
            (Kind::AnchorLost, What::Raised, false, false),
            (Kind::SiteLost, What::Raised, false, true),
            (Kind::Backlog, What::Raised, false, true),
            (Kind::Letters, What::Raised, false, true),
            (Kind::Mail, What::Over, false, false),
        ] {
            let (what, alert) = one(kind, what, flaps);
            let told = unsaid(Notice::One(what, alert), false);
            assert_eq!(told.is_some(), wanted, "{kind:?} {what:?}");
        }
        let (what, alert) = one(Kind::SiteLost, What::Raised, false);
        assert!(unsaid(Notice::One(what, alert), true).is_none());
        let all = vec![
            one(Kind::Hold, What::Raised, false),
            one(Kind::Backlog, What::Raised, false),
        ];
        let Some(Notice::More(rest)) = unsaid(Notice::More(all), false) else {
            panic!("one is left");
        };
        assert_eq!(rest.len(), 1);
    }
}
