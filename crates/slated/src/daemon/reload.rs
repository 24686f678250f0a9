//! `slated reload` and SIGHUP: the configuration is read again, and what can hold at once does.
//!
//! That are the settings of plugins, how they wait for each other, and how much is logged. The rest
//! was built into what runs: it is named, and holds from the next start on.
//!
//! Invariant: all or nothing. What a start would refuse changes nothing, and is said.

use std::path::PathBuf;

use slated_config::{Config, Origin};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::message::{Message, Question, Settings};
use super::{check, idle_keys, interpreters};
use crate::error::CommandError;
use crate::tell::Log;
use crate::view::refusal::Kind;
use crate::view::{ChangedKey, Refusal, ReloadView};

/// The file that a daemon was configured by.
pub(crate) struct Source {
    /// As people named it.
    pub(crate) path: PathBuf,
    /// Reads it again, as it was read at the start.
    pub(crate) read: Box<dyn Fn() -> Result<Config, CommandError> + Send>,
    pub(crate) log: Log,
}

/// Who waits for what became of a reload.
pub(super) type Reply = oneshot::Sender<Result<ReloadView, Refusal>>;

/// Reads the configuration again whenever somebody wishes it.
pub(super) struct Reloader {
    pub(super) source: Source,
    /// As it was read at the start: what of it needs a restart holds until then.
    pub(super) started: Config,
    /// As it holds for the rest.
    pub(super) current: Config,
    /// The `--python` flag.
    pub(super) python: Option<PathBuf>,
    pub(super) dispatcher: mpsc::Sender<Message>,
    pub(super) wishes: mpsc::Receiver<Reply>,
}

impl Reloader {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let reply = tokio::select! {
                () = stop.cancelled() => return,
                wish = self.wishes.recv() => match wish {
                    Some(reply) => reply,
                    None => return,
                },
            };
            let told = self.reload().await;
            match &told {
                Ok(view) => tracing::info!("Read again: {view}"),
                Err(why) => tracing::error!(
                    "The configuration was read again and does not hold, what ran goes on: {}",
                    why.error
                ),
            }
            reply.send(told).unwrap_or_default();
        }
    }

    async fn reload(&mut self) -> Result<ReloadView, Refusal> {
        let read = (self.source.read)().map_err(|why| refused(&why))?;
        let (secrets, mut warnings) = read
            .resolve(&slated_config::System)
            .map_err(|wrong| refused(&wrong.into()))?;
        let next = self.live(&read);
        let keys = |keys: Vec<(&str, Origin)>, wanted: &dyn Fn(&str) -> bool| -> Vec<ChangedKey> {
            let keys = keys.into_iter().filter(|(key, _)| wanted(key));
            let shown = keys.map(|(key, origin)| ChangedKey {
                key: key.into(),
                at: origin.to_string(),
                set: read.sets(key),
            });
            shown.collect()
        };
        let idle: Vec<_> = idle_keys(&read).into_iter().map(|(key, _)| key).collect();
        let mut view = ReloadView {
            file: self.source.path.display().to_string(),
            applied: keys(self.current.changed(&read), &is_live),
            restart: keys(self.started.changed(&read), &|key| {
                !is_live(key) && !idle.contains(&key)
            }),
            ..ReloadView::default()
        };
        // What a start would refuse, in what holds from the next one on, too: it may come by itself.
        if !view.restart.is_empty() {
            check(&read, &secrets).map_err(|why| refused(&why))?;
            Log::foresee(&read).map_err(|why| refused(&why))?;
        }
        let checked = check(&next, &secrets).map_err(|why| refused(&why))?;
        warnings.0.extend(checked.warnings.0);
        view.warnings = warnings.0.iter().map(ToString::to_string).collect();
        // Also where no key has changed: a Python that was missing may be there by now.
        let python = self.python.as_deref();
        let found = interpreters::find(&next, &checked.known, python).await;
        let pythons = found.map_err(|why| refused(&why))?;
        // Theirs to miss, but whoever asked has not read the log, which has it already.
        let missing = pythons.named.values();
        let missing: Vec<_> = missing.filter_map(|python| python.clone().err()).collect();
        let settings = Settings {
            config: next,
            pythons,
        };
        let (reply, loaded) = oneshot::channel();
        let question = Question::Settings {
            settings: Box::new(settings),
            reply,
        };
        let sent = self.dispatcher.send(Message::Ask(question)).await;
        sent.map_err(|_| Refusal::ending())?;
        view.plugins = loaded.await.map_err(|_| Refusal::ending())?;
        for warning in &view.warnings {
            tracing::warn!("{warning}");
        }
        view.warnings.extend(missing);
        self.source.log.set_level(read.log.level);
        self.current = read;
        Ok(view)
    }

    /// Returns what holds of a configuration that was read again.
    fn live(&self, read: &Config) -> Config {
        let started = self.started.clone();
        let mut next = read.clone();
        next.site = started.site;
        next.state = started.state;
        next.mail = started.mail;
        next.alerts = started.alerts;
        next.control = started.control;
        next.web = started.web;
        (next.plugins.folders, next.plugins.order) =
            (started.plugins.folders, started.plugins.order);
        next.log = slated_config::Log {
            level: read.log.level,
            ..started.log
        };
        next
    }
}

/// Tells whether another value of a key holds at once.
fn is_live(key: &str) -> bool {
    let section = key.split('.').next().unwrap_or_default();
    matches!(section, "defaults" | "folder" | "plugin")
        || matches!(
            key,
            "plugins.order_wait"
                | "plugins.concurrent_callbacks"
                | "plugins.session_uuid"
                | "plugins.lend_key"
                | "log.level"
        )
}

fn refused(why: &CommandError) -> Refusal {
    Refusal::new(Kind::Impossible, why.told())
        .hint("nothing was changed; `slated check` says all that is wrong")
}
