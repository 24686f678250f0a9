//! Where questions about a running daemon are answered: from the dispatcher, the intake and the
//! store, without getting in anybody's way.

use std::sync::Arc;

use slated_core::follow::decide::Choice;
use slated_model::{EventId, Offset};
use slated_store::Store;
use tokio::sync::{mpsc, oneshot, watch};

use super::decide::Decision;
use super::intake::IntakeStatus;
use super::message::{Act, LetterWish, Message, Question, Reply, Roll};
use crate::view::refusal::Kind;
use crate::view::{
    self, Begin, DecisionView, EventLine, EventView, FailuresView, FateView, LetterView, LogView,
    Pick, PluginDetail, Refusal, SiteView, StatusView, WishView,
};

/// Answers questions. Clones ask the same daemon.
#[derive(Clone)]
pub(crate) struct Desk {
    url: String,
    store: Arc<dyn Store>,
    intake: watch::Receiver<IntakeStatus>,
    messages: mpsc::Sender<Message>,
    decide: mpsc::Sender<Decision>,
}

impl Desk {
    pub(crate) const fn new(
        url: String,
        store: Arc<dyn Store>,
        intake: watch::Receiver<IntakeStatus>,
        messages: mpsc::Sender<Message>,
        decide: mpsc::Sender<Decision>,
    ) -> Self {
        Self {
            url,
            store,
            intake,
            messages,
            decide,
        }
    }

    /// Returns all plugins, and the extent of the log.
    pub(crate) async fn plugins(&self) -> Roll {
        let (reply, answer) = oneshot::channel();
        // A dispatcher that has ended has no plugins to show.
        self.messages
            .send(Message::Ask(Question::Plugins(reply)))
            .await
            .unwrap_or_default();
        answer.await.unwrap_or_default()
    }

    /// Returns everything at a glance.
    pub(crate) async fn status(&self) -> slated_store::Result<StatusView> {
        let Roll { plugins, log, .. } = self.plugins().await;
        Ok(StatusView {
            version: env!("CARGO_PKG_VERSION").into(),
            running: true,
            pid: Some(std::process::id()),
            site: SiteView::of(&self.url, &self.intake.borrow()),
            log: LogView {
                events: log.start.until(log.end),
                end: log.end.0,
            },
            plugins,
        })
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
            let error = format!("{}: it has no place in the log yet", plugin.plugin);
            return Err(
                Refusal::new(Kind::Impossible, error).hint("it gets one when the site was read")
            );
        };
        let from = begin
            .place(&*self.store, &plugin.plugin, Offset(cursor))
            .await?;
        self.act(name, Act::Resume(Some(from))).await
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

    /// Returns what waits for a person.
    pub(crate) async fn failures(&self) -> slated_store::Result<FailuresView> {
        view::failures(&*self.store).await
    }

    /// Returns dead letters, newest first.
    pub(crate) async fn letters(&self, pick: &Pick) -> Result<Vec<LetterView>, Refusal> {
        let letters = pick.letters(&*self.store).await?;
        Ok(letters.iter().filter_map(LetterView::of).collect())
    }

    /// Does something to dead letters; answers when it is on record.
    pub(crate) async fn wish(&self, pick: &Pick, wish: LetterWish) -> Result<WishView, Refusal> {
        let letters = pick.placed(&*self.store).await?;
        let (reply, answer) = oneshot::channel();
        let question = Question::Letters {
            letters,
            wish,
            reply,
        };
        let sent = self.messages.send(Message::Ask(question)).await;
        sent.map_err(|_| Refusal::ending())?;
        answer.await.unwrap_or_else(|_| Err(Refusal::ending()))
    }

    /// Returns what became of an event.
    pub(crate) async fn event(&self, id: EventId) -> slated_store::Result<Option<EventView>> {
        let Some(mut view) = view::event(&*self.store, id).await? else {
            return Ok(None);
        };
        if view.plugins.iter().any(FateView::is_to_come) {
            let plugins = self.plugins().await.plugins;
            for fate in view.plugins.iter_mut().filter(|fate| fate.is_to_come()) {
                // A live plugin knows more than its record.
                if let Some(plugin) = plugins.iter().find(|p| p.plugin == fate.plugin) {
                    fate.waits = plugin.waits();
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
