//! Loads plugins beside the shadow's loop, so that no slow one delays when an event is seen.

use std::collections::VecDeque;
use std::time::Duration;

use slated_model::PluginId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::daemon::inspect::{Found, Inspector, Look};
use crate::error::CommandError;

/// When one that does not load is tried once more: its site may have been away.
const AGAIN: Duration = Duration::from_mins(1);

/// The way to whoever loads plugins.
pub(super) struct Loader {
    wishes: mpsc::UnboundedSender<(PluginId, bool)>,
}

impl Loader {
    /// Starts it. What it found comes with whether the plugin was there from the beginning.
    pub(super) fn start(
        inspector: Inspector,
        stop: CancellationToken,
        tasks: &mut JoinSet<Result<(), CommandError>>,
    ) -> (Self, mpsc::Receiver<(Look, bool)>) {
        let (wishes, inbox) = mpsc::unbounded_channel();
        let (found, loaded) = mpsc::channel(64);
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = serve(inspector, inbox, found) => {}
            }
            Ok(())
        });
        (Self { wishes }, loaded)
    }

    /// Has a plugin loaded; `first` if it was there from the beginning.
    pub(super) fn load(&self, plugin: PluginId, first: bool) {
        // One that has ended loads nothing any more.
        self.wishes.send((plugin, first)).unwrap_or_default();
    }
}

async fn serve(
    mut inspector: Inspector,
    mut inbox: mpsc::UnboundedReceiver<(PluginId, bool)>,
    found: mpsc::Sender<(Look, bool)>,
) {
    let mut again: VecDeque<(tokio::time::Instant, PluginId)> = VecDeque::new();
    loop {
        let due = again.front().map(|(at, _)| *at);
        let (mut wishes, retried): (Vec<_>, _) = tokio::select! {
            wish = inbox.recv() => match wish {
                Some(wish) => (vec![wish], false),
                None => return,
            },
            () = sleep(due) => {
                let due = again.pop_front();
                (due.into_iter().map(|(_, plugin)| (plugin, false)).collect(), true)
            }
        };
        while let Ok(wish) = inbox.try_recv() {
            wishes.push(wish);
        }
        let mut plugins: Vec<_> = wishes.iter().map(|(plugin, _)| plugin.clone()).collect();
        plugins.sort();
        plugins.dedup();
        let looks = look(&mut inspector, &plugins).await;
        for look in looks {
            let plugin = look.plugin.clone();
            let first = wishes
                .iter()
                .any(|(wished, first)| *wished == plugin && *first);
            again.retain(|(_, other)| *other != plugin);
            if !retried && matches!(look.found, Found::Broken { .. }) {
                again.push_back((tokio::time::Instant::now() + AGAIN, plugin));
            }
            if found.send((look, first)).await.is_err() {
                return;
            }
        }
    }
}

/// Loads plugins, but for those that must not run twice: the Python daemon has them.
async fn look(inspector: &mut Inspector, plugins: &[PluginId]) -> Vec<Look> {
    let plugins = plugins.iter().cloned();
    let (single, others): (Vec<_>, Vec<_>) = plugins.partition(|p| inspector.is_single(p));
    let mut looks = inspector.parse(&single).await;
    for look in &mut looks {
        if let Found::Parses { warnings } = &mut look.found {
            let why = "not loaded beside the Python daemon, so nothing is matched for it: `reload = \"stop-first\"`";
            *warnings = vec![why.into()];
        }
    }
    looks.extend(inspector.load(&others).await);
    looks
}

/// Sleeps until then, or for ever.
async fn sleep(until: Option<tokio::time::Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
