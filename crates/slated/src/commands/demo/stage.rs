//! What the story is played on: a temporary folder, the simulator, the chat, and the daemon.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slated_config::{Config, System};
use slated_core::begin::Asked;
use slated_host::Interpreter;
use slated_model::{Matcher, PluginId};
use slated_sim::{Server, Site, SiteOptions};
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::chat::Chat;
use crate::daemon::Daemon;
use crate::daemon::desk::Desk;
use crate::error::CommandError;
use crate::tell::{Fact, Teller};
use crate::view::{PluginState, PluginView};

/// The plugins, each with its own script user on the simulator.
const PLUGINS: [(&str, &str); 3] = [
    (
        "note_on_approval",
        include_str!("../../../../../examples/plugins/note_on_approval.py"),
    ),
    (
        "notify_coordinator",
        include_str!("../../../../../examples/plugins/notify_coordinator.py"),
    ),
    (
        "task_follows_version",
        include_str!("../../../../../examples/plugins/task_follows_version.py"),
    ),
];
/// How long plugins may take to load. Python is slow to start on a busy machine.
const LOADING: Duration = Duration::from_secs(30);
/// Events that are on the site before the demo begins.
const PAST: u64 = 1_200;

/// Everything that runs during a demo.
pub(super) struct Stage {
    folder: TempDir,
    server: Server,
    pub(super) chat: Chat,
    pub(super) desk: Desk,
    stop: CancellationToken,
    /// Taken when it has ended.
    daemon: Option<JoinHandle<Result<(), CommandError>>>,
    pub(super) facts: broadcast::Receiver<Fact>,
}

/// What a plugin is called with.
#[derive(Clone, Debug)]
pub(super) struct Callback {
    pub(super) plugin: PluginId,
    pub(super) name: slated_model::CallbackId,
    pub(super) matcher: Matcher,
}

impl Stage {
    /// Builds it. `plugins` is a folder whose plugins play in place of the examples.
    pub(super) async fn build(
        python: &Interpreter,
        plugins: Option<&Path>,
    ) -> Result<Self, CommandError> {
        let folder = tempfile::Builder::new().prefix("slated-demo-").tempdir();
        let folder = folder.map_err(|e| cannot("make a temporary folder", &e))?;
        let site = Site::new(SiteOptions::default());
        site.seed_events(PAST, Duration::from_hours(8));
        let server = Server::start(site, "127.0.0.1:0")
            .await
            .map_err(CommandError::internal)?;
        let chat = Chat::closed()?;
        furnish(folder.path(), &server, &chat, plugins)
            .map_err(|e| cannot("write to the temporary folder", &e))?;
        let teller = Teller::new();
        let facts = teller.listen();
        let loaded = Config::load(&folder.path().join(CONFIG), &[])?;
        let (secrets, _) = loaded.config.resolve(&System)?;
        let daemon = Daemon::start(
            loaded.config,
            secrets,
            Some(&python.path),
            Asked::default(),
            teller,
            None,
        )
        .await?;
        let (stop, desk) = (daemon.stopper(), daemon.desk().clone());
        let daemon = Some(tokio::spawn(daemon.finish()));
        Ok(Self {
            folder,
            server,
            chat,
            desk,
            stop,
            daemon,
            facts,
        })
    }

    /// Waits until every plugin runs, or has failed to. Returns what they are called with.
    pub(super) async fn ready(&mut self) -> Result<Vec<Callback>, CommandError> {
        let files = python_files(&self.folder.path().join("plugins"));
        let files = files.map_err(|e| cannot("list the plugins", &e))?.len();
        let wait = async {
            loop {
                let roll = self.desk.plugins().await;
                if self.daemon.as_ref().is_none_or(JoinHandle::is_finished) {
                    return Err(self.failed().await);
                }
                let seen = roll.plugins.len() + roll.helpers;
                if seen >= files && roll.plugins.iter().all(has_settled) {
                    return Ok::<_, CommandError>(callbacks(&roll.plugins));
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        match tokio::time::timeout(LOADING, wait).await {
            Ok(ready) => ready,
            Err(_) => Err(CommandError::plugin(format!(
                "the plugins were not ready in {LOADING:?}"
            ))),
        }
    }

    /// Returns what the plugins are called with now.
    pub(super) async fn callbacks(&self) -> Result<Vec<Callback>, CommandError> {
        Ok(callbacks(&self.desk.status().await?.plugins))
    }

    /// Returns the site, to look at it past all clients and plugins.
    pub(super) fn site(&self) -> &Site {
        self.server.site()
    }

    /// Returns the address of the site.
    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the key of a script user.
    pub(super) fn key(&self, script: &str) -> String {
        self.server.key(script)
    }

    /// Returns the folder that everything is in.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the configuration that the daemon runs with.
    pub(super) fn config(&self) -> PathBuf {
        self.folder.path().join(CONFIG)
    }

    /// Returns the folder of the plugins.
    pub(super) fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// Waits for the daemon to end by itself, which it does only by a failure.
    pub(super) async fn failed(&mut self) -> CommandError {
        match self.ended().await {
            Ok(()) => CommandError::internal("the daemon stopped by itself"),
            Err(error) => error,
        }
    }

    /// Ends everything in order and removes the folder.
    pub(super) async fn strike(mut self) -> Result<(), CommandError> {
        self.stop.cancel();
        let ended = self.ended().await;
        self.server.shutdown().await;
        self.folder
            .close()
            .map_err(|e| cannot("remove the temporary folder", &e))?;
        ended
    }

    async fn ended(&mut self) -> Result<(), CommandError> {
        let Some(daemon) = &mut self.daemon else {
            return Ok(());
        };
        let ended = daemon.await;
        self.daemon = None;
        ended.unwrap_or_else(|error| {
            Err(CommandError::internal(format!("the daemon broke: {error}")))
        })
    }
}

const CONFIG: &str = "slated.toml";

/// Puts configuration, key and plugins into the folder, which only this user may open.
fn furnish(folder: &Path, server: &Server, chat: &Chat, plugins: Option<&Path>) -> io::Result<()> {
    std::fs::write(folder.join("site.key"), server.key("slated"))?;
    std::fs::write(folder.join(CONFIG), configuration(server, chat))?;
    for file in ["site.key", CONFIG] {
        private(&folder.join(file))?;
    }
    let stage = folder.join("plugins");
    std::fs::create_dir(&stage)?;
    match plugins {
        None => {
            for (name, text) in PLUGINS {
                std::fs::write(stage.join(format!("{name}.py")), text)?;
            }
        }
        Some(theirs) => {
            for file in python_files(theirs)? {
                std::fs::copy(&file, stage.join(file.file_name().unwrap_or_default()))?;
            }
        }
    }
    Ok(())
}

#[cfg(unix)]
fn private(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn private(_: &Path) -> io::Result<()> {
    Ok(())
}

fn configuration(server: &Server, chat: &Chat) -> String {
    let text = format!(
        "# Made by `slated demo`, and removed with it.\n\
         [site]\n\
         url = \"{}\"\n\
         script = \"slated\"\n\
         key = {{ file = \"site.key\" }}\n\
         # A site of one's own may be asked often.\n\
         tick = \"300ms\"\n\
         \n\
         [state]\n\
         folder = \"state\"\n\
         \n\
         [plugins]\n\
         folders = [\"plugins\"]\n\
         \n\
         [defaults]\n\
         # Short, so that the first of these attempts can be watched: after about two seconds.\n\
         attempts = 4\n\
         within = \"45s\"\n\
         env = {{ COORDINATOR_CHAT_URL = \"{}\" }}\n",
        server.url(),
        chat.url()
    );
    PLUGINS.iter().fold(text, |text, (name, _)| {
        let (variable, key) = (name.to_uppercase(), server.key(name));
        text + &format!(
            "\n[plugin.{name}.env]\n\
             SGDAEMON_{variable}_NAME = \"{name}\"\n\
             SGDAEMON_{variable}_KEY = \"{key}\"\n"
        )
    })
}

fn python_files(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_file() && !hidden && path.extension().is_some_and(|e| e == "py") {
            files.insert(path);
        }
    }
    Ok(files)
}

fn has_settled(plugin: &PluginView) -> bool {
    match plugin.state {
        PluginState::Running => plugin.cursor.is_some(),
        PluginState::Starting | PluginState::Waiting => false,
        _ => true,
    }
}

fn callbacks(views: &[PluginView]) -> Vec<Callback> {
    let of = |view: &PluginView| {
        let plugin = view.plugin.clone();
        let callbacks = view.callbacks.clone().unwrap_or_default().into_iter();
        callbacks
            .map(move |c| Callback {
                plugin: plugin.clone(),
                name: c.name,
                matcher: c.matcher,
            })
            .collect::<Vec<_>>()
    };
    views.iter().flat_map(of).collect()
}

fn cannot(what: &str, error: &io::Error) -> CommandError {
    CommandError::internal(format!("cannot {what}: {error}"))
}
