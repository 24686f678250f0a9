//! Where questions about a running daemon are answered: from the dispatcher, the intake and the
//! store, without getting in anybody's way.

use std::sync::Arc;
use std::time::Duration;

use slated_core::follow::decide::Choice;
use slated_core::rewind;
use slated_model::{EventId, Offset};
use slated_store::Store;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use super::decide::Decision;
use super::intake::IntakeStatus;
use super::message::{Act, LetterWish, Message, Question, Reply, Roll};
use super::reload;
use crate::view::refusal::Kind;
use crate::view::{
    self, AlertView, Begin, DecisionView, EventLine, EventView, FailuresView, LetterView, LogView,
    MailView, Pick, PluginDetail, Refusal, ReloadView, RewindView, SiteView, StatusView, Subject,
    Survey, WebhookView, WishView,
};

/// How often a plugin is looked at that is to go back and has something in hand, and how long between.
const RESTS: u32 = 40;
const REST: Duration = Duration::from_millis(50);

/// Answers questions. Clones ask the same daemon.
#[derive(Clone)]
pub(crate) struct Desk {
    url: String,
    store: Arc<dyn Store>,
    intake: watch::Receiver<IntakeStatus>,
    messages: mpsc::Sender<Message>,
    decide: mpsc::Sender<Decision>,
    reload: mpsc::Sender<reload::Reply>,
    shadow: bool,
    told: Told,
}

/// How those are who tell people.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) mail: Option<watch::Receiver<MailView>>,
    pub(crate) webhook: Option<watch::Receiver<WebhookView>>,
    /// What is wrong.
    pub(crate) alerts: watch::Receiver<Vec<AlertView>>,
}

impl Told {
    /// Of a daemon that tells nobody.
    pub(crate) fn nobody() -> Self {
        Self {
            mail: None,
            webhook: None,
            alerts: watch::channel(Vec::new()).1,
        }
    }
}

impl Desk {
    pub(crate) const fn new(
        url: String,
        store: Arc<dyn Store>,
        intake: watch::Receiver<IntakeStatus>,
        messages: mpsc::Sender<Message>,
        decide: mpsc::Sender<Decision>,
        reload: mpsc::Sender<reload::Reply>,
        told: Told,
    ) -> Self {
        Self {
            url,
            store,
            intake,
            messages,
            decide,
            reload,
            told,
            shadow: false,
        }
    }

    /// Says of itself that it is a shadow's.
    pub(crate) fn of_shadow(self) -> Self {
        Self {
            shadow: true,
            ..self
        }
    }

    /// Returns all plugins, and the extent of the log.
    pub(crate) async fn plugins(&self) -> Roll {
        // A dispatcher that has ended has no plugins to show.
        self.roll().await.unwrap_or_default()
    }

    /// Returns the same; `None` once the dispatcher has ended.
    pub(super) async fn roll(&self) -> Option<Roll> {
        let (reply, answer) = oneshot::channel();
        let question = Message::Ask(Question::Plugins(reply));
        self.messages.send(question).await.ok()?;
        answer.await.ok()
    }

    /// Says why the site cannot be read: whether it is another one, whether a person must do
    /// something, and what it is.
    pub(super) fn site_trouble(&self) -> Option<(bool, bool, String)> {
        let status = self.intake.borrow();
        let lost = status.follow.lost.is_some();
        let needs_person = status.trouble.as_ref().is_some_and(|t| t.needs_person);
        let view = SiteView::of(&self.url, &status);
        let mut text = view.trouble?;
        if let Some(hint) = view.hint {
            text.push_str("\nhint: ");
            text.push_str(&hint);
        }
        Some((lost, needs_person, text))
    }

    /// Says why no mail goes out, if so.
    pub(super) fn mail_trouble(&self) -> Option<String> {
        self.told.mail.as_ref()?.borrow().trouble.clone()
    }

    /// Returns everything at a glance.
    pub(crate) async fn status(&self) -> slated_store::Result<StatusView> {
        let Roll {
            plugins, log, disk, ..
        } = self.plugins().await;
        let view = StatusView {
            version: env!("CARGO_PKG_VERSION").into(),
            running: true,
            shadow: self.shadow,
            pid: Some(std::process::id()),
            site: SiteView::of(&self.url, &self.intake.borrow()),
            log: LogView {
                events: log.start.until(log.end),
                end: log.end.0,
                trouble: disk,
            },
            plugins,
            letters: 0,
            held: 0,
            mail: self.told.mail.as_ref().map(|mail| mail.borrow().clone()),
            alerts: self.told.alerts.borrow().clone(),
            webhook: self.told.webhook.as_ref().map(|hook| hook.borrow().clone()),
        };
        view.with_counts(&*self.store).await
    }

    /// Returns everything about one plugin.
    pub(crate) async fn plugin(&self, name: &str) -> Result<PluginDetail, Refusal> {
        let name = name.to_owned();
        self.ask(|reply| Question::Plugin { name, reply }).await
    }

    /// Stops a plugin; answers when its callbacks have finished.
    pub(crate) async fn stop(&self, name: &str) -> Result<PluginDetail, Refusal> {
        self.act(name, Act::Stop).await
    }

    /// Loads a plugin's file anew; answers when it runs, or does not load.
    pub(crate) async fn reload(&self, name: &str) -> Result<PluginDetail, Refusal> {
        self.act(name, Act::Reload).await
    }

    /// Lets a plugin go on; answers when it runs, or does not load.
    pub(crate) async fn resume(
        &self,
        name: &str,
        begin: Option<Begin>,
    ) -> Result<PluginDetail, Refusal> {
        let Some(begin) = begin else {
            return self.act(name, Act::Resume(None)).await;
        };
        // One that stands still stays where it is while its place in the log is looked for.
        let plugin = self.plugin(name).await?.plugin;
        let Some(cursor) = plugin.cursor else {
            return Err(Refusal::no_place(&plugin.plugin));
        };
        let from = begin
            .place(&*self.store, &plugin.plugin, Offset(cursor))
            .await?;
        self.act(name, Act::Resume(Some(from))).await
    }

    /// Has a plugin skip an event; answers when that is on record.
    pub(crate) async fn skip(
        &self,
        name: &str,
        id: EventId,
        reason: String,
    ) -> Result<PluginDetail, Refusal> {
        let row = self.store.event(id).await?;
        let row = Arc::new(row.ok_or_else(|| Refusal::no_event(id))?);
        self.act(name, Act::Skip { row, reason }).await
    }

    /// Has a plugin go back to an event, or tells what that would come to; answers when it is on
    /// record.
    pub(crate) async fn rewind(
        &self,
        name: &str,
        id: EventId,
        again: bool,
        dry: bool,
    ) -> Result<RewindView, Refusal> {
        let mut busy = Refusal::ending();
        // What is read of the record holds as long as the plugin rests.
        for _ in 0..RESTS {
            let (reply, answer) = oneshot::channel();
            let name = name.to_owned();
            let question = Question::Standing { name, reply };
            let sent = self.messages.send(Message::Ask(question)).await;
            sent.map_err(|_| Refusal::ending())?;
            let standing = answer.await.unwrap_or_else(|_| Err(Refusal::ending()))?;
            let subject = Subject {
                row: &standing.row,
                aside: &standing.aside,
                callbacks: standing.callbacks.as_deref(),
                log_start: standing.log_start,
            };
            let Survey { mut view, to, done } =
                view::survey(&*self.store, &subject, id, again).await?;
            if dry {
                return Ok(view);
            }
            busy = Refusal::of_rewind(&view.plugin, rewind::Refusal::Busy);
            if let Some(rests) = standing.rests {
                let act = Act::Rewind {
                    to,
                    again,
                    done,
                    rests,
                };
                match self.act(&view.plugin.to_string(), act).await {
                    Ok(_) => {
                        view.rewound = true;
                        return Ok(view);
                    }
                    Err(why) if why.error == busy.error => {}
                    Err(why) => return Err(why),
                }
            }
            sleep(REST).await;
        }
        Err(busy)
    }

    async fn act(&self, name: &str, act: Act) -> Result<PluginDetail, Refusal> {
        let name = name.to_owned();
        self.ask(|reply| Question::Act { name, act, reply }).await
    }

    async fn ask(&self, question: impl FnOnce(Reply) -> Question) -> Result<PluginDetail, Refusal> {
        let (reply, answer) = oneshot::channel();
        let question = Message::Ask(question(reply));
        self.messages.send(question).await.unwrap_or_default();
        let detail = answer.await.unwrap_or_else(|_| Err(Refusal::ending()))?;
        Ok(detail.with_outcomes(&*self.store).await?)
    }

    /// Has the configuration read again; answers when what can hold at once does.
    pub(crate) async fn read_configuration(&self) -> Result<ReloadView, Refusal> {
        if self.shadow {
            tracing::info!(
                "A shadow reads its configuration when it starts: nothing is read again."
            );
            return Err(Refusal::new(
                Kind::Impossible,
                "this is a shadow: it reads its configuration when it starts",
            )
            .hint("end it, and start it again"));
        }
        let (reply, answer) = oneshot::channel();
        self.reload
            .send(reply)
            .await
            .map_err(|_| Refusal::ending())?;
        answer.await.unwrap_or_else(|_| Err(Refusal::ending()))
    }

    /// Returns what waits for a person, of all plugins or one.
    pub(crate) async fn failures(&self, plugin: Option<String>) -> Result<FailuresView, Refusal> {
        view::failures(&*self.store, plugin).await
    }

    /// Looks what a choice about a site that became another one comes to, or makes it.
    pub(crate) async fn decide(
        &self,
        choice: Choice,
        for_good: bool,
    ) -> Result<DecisionView, Refusal> {
        if self.intake.borrow().follow.lost.is_none() {
            let error = "the site is the one that was followed: there is nothing to decide";
            return Err(Refusal::new(Kind::Impossible, error));
        }
        let (reply, answer) = oneshot::channel();
        let decision = Decision {
            choice,
            for_good,
            reply,
        };
        let busy = || {
            let error = "somebody decides at this moment";
            Refusal::new(Kind::Impossible, error).hint("`slated status` shows what came of it")
        };
        self.decide.try_send(decision).map_err(|_| busy())?;
        answer.await.unwrap_or_else(|_| Err(Refusal::ending()))
    }

    /// Returns dead letters, newest first.
    pub(crate) async fn letters(&self, pick: &Pick) -> Result<Vec<LetterView>, Refusal> {
        pick.letters(&*self.store).await
    }

    /// Does something to dead letters; answers when it is on record.
    pub(crate) async fn wish(&self, pick: &Pick, wish: LetterWish) -> Result<WishView, Refusal> {
        let mut told = WishView::default();
        let mut look = pick.look(&*self.store).await?;
        while let Some(letters) = look.placed().await? {
            let (reply, answer) = oneshot::channel();
            let question = Question::Letters {
                letters,
                wish: wish.clone(),
                reply,
            };
            let sent = self.messages.send(Message::Ask(question)).await;
            sent.map_err(|_| Refusal::ending())?;
            told.add(answer.await.unwrap_or_else(|_| Err(Refusal::ending()))?);
        }
        Ok(told)
    }

    /// Returns what became of an event.
    pub(crate) async fn event(&self, id: EventId) -> slated_store::Result<Option<EventView>> {
        let Some(mut view) = view::event(&*self.store, id).await? else {
            return Ok(None);
        };
        let plugins = self.plugins().await.plugins;
        let (reply, answer) = oneshot::channel();
        let question = Question::Lines { event: id, reply };
        let sent = self.messages.send(Message::Ask(question)).await;
        sent.unwrap_or_default();
        let lines = answer.await.unwrap_or_default();
        for fate in &mut view.plugins {
            // A live plugin knows more than its record.
            if let Some(plugin) = plugins.iter().find(|p| p.plugin == fate.plugin) {
                if fate.is_to_come() {
                    fate.waits = plugin.waits();
                }
                if fate.is_no_match() {
                    fate.callbacks.clone_from(&plugin.callbacks);
                }
            }
            for unit in fate.units.iter_mut().filter(|unit| unit.log.is_empty()) {
                let own = lines.iter().find(|(plugin, callback, _)| {
                    (plugin, callback) == (&fate.plugin, &unit.callback)
                });
                if let Some((_, _, lines)) = own {
                    unit.log.clone_from(lines);
                }
            }
        }
        Ok(Some(view))
    }

    /// Returns rows of the log after an offset.
    pub(crate) async fn events(
        &self,
        after: Offset,
        limit: usize,
    ) -> slated_store::Result<Vec<EventLine>> {
        Ok(self
            .store
            .rows(after, limit)
            .await?
            .iter()
            .map(EventLine::of)
            .collect())
    }
}
