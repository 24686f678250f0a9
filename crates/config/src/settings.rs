//! What may be set for all plugins, for a folder, and for one plugin.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::choice::{BrokenEdit, Level, OnError, Reload, Retry};
use crate::kinds;
use crate::section::Section;
use crate::units::show_duration;

/// The settings of one plugin: the keys of `[defaults]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSettings {
    /// The interpreter; a bare name is looked for on PATH. `None`: see docs/configuration.md, "Which Python".
    pub python: Option<PathBuf>,
    /// Folders put before the worker's import path.
    pub import_paths: Vec<PathBuf>,
    /// Variables set for the worker.
    pub env: Variables,
    /// Names of variables taken over from slated's own environment; `*`: all of them.
    pub env_pass: Vec<String>,
    /// The worker's working directory; `None`: slated's own.
    pub cwd: Option<PathBuf>,
    /// The worker's umask; `None`: slated's own.
    pub umask: Option<u32>,
    /// Which failures are tried again.
    pub retry: Retry,
    /// How often an event is tried, the first time included.
    pub attempts: u32,
    /// Within what time the attempts are made.
    pub within: Duration,
    /// What becomes of an event whose callback failed for good.
    pub on_error: OnError,
    /// How many deaths of the process one event may cause.
    pub deaths: u32,
    /// What becomes of a plugin whose file no longer loads.
    pub broken_edit: BrokenEdit,
    /// How a changed plugin is replaced.
    pub reload: Reload,
    /// How many events may be sent ahead; 1 waits for the disk at every event.
    pub window: u32,
    /// When a running call is first spoken of; `None`: never.
    pub warn_after: Option<Duration>,
    /// When a call is interrupted by an exception; `None`: never.
    pub soft_timeout: Option<Duration>,
    /// When the worker of a call is ended; `None`: never.
    pub hard_timeout: Option<Duration>,
    /// How many bytes the worker may use; `None`: no limit.
    pub memory_limit: Option<u64>,
    /// After how many calls the worker is replaced; 0: never.
    pub recycle_after: u64,
    /// How much of what the plugin logs is kept.
    pub log_level: Level,
}

/// Environment variables by name. Shown without their values, which may be tokens.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(pub BTreeMap<String, String>);

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Default for PluginSettings {
    fn default() -> Self {
        Self {
            python: None,
            import_paths: Vec::new(),
            env: Variables::default(),
            env_pass: Vec::new(),
            cwd: None,
            umask: None,
            retry: Retry::Transient,
            attempts: 5,
            within: Duration::from_mins(15),
            on_error: OnError::DeadLetter,
            deaths: 3,
            broken_edit: BrokenEdit::Keep,
            reload: Reload::NewFirst,
            window: 16,
            warn_after: Some(Duration::from_mins(1)),
            soft_timeout: None,
            hard_timeout: Some(Duration::from_hours(1)),
            memory_limit: None,
            recycle_after: 0,
            log_level: Level::Info,
        }
    }
}

/// A second to thirty days.
const LIMIT: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(30 * 24);

impl PluginSettings {
    /// Returns every key with its value as text; empty where it is off or unset. Of `env` only the
    /// names, since values may be tokens.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        fn list<T: AsRef<OsStr>>(values: impl IntoIterator<Item = T>) -> String {
            let texts = values.into_iter();
            let texts: Vec<_> = texts
                .map(|v| v.as_ref().to_string_lossy().into_owned())
                .collect();
            texts.join(", ")
        }
        let duration = |d: &Option<Duration>| d.map(show_duration).unwrap_or_default();
        // A key that is added must be named here.
        let Self {
            python,
            import_paths,
            env,
            env_pass,
            cwd,
            umask,
            retry,
            attempts,
            within,
            on_error,
            deaths,
            broken_edit,
            reload,
            window,
            warn_after,
            soft_timeout,
            hard_timeout,
            memory_limit,
            recycle_after,
            log_level,
        } = self;
        vec![
            ("python", list(python)),
            ("import_paths", list(import_paths)),
            ("env", list(env.0.keys())),
            ("env_pass", list(env_pass)),
            ("cwd", list(cwd)),
            (
                "umask",
                umask.map(|m| format!("{m:03o}")).unwrap_or_default(),
            ),
            ("retry", retry.to_string()),
            ("attempts", attempts.to_string()),
            ("within", show_duration(*within)),
            ("on_error", on_error.to_string()),
            ("deaths", deaths.to_string()),
            ("broken_edit", broken_edit.to_string()),
            ("reload", reload.to_string()),
            ("window", window.to_string()),
            ("warn_after", duration(warn_after)),
            ("soft_timeout", duration(soft_timeout)),
            ("hard_timeout", duration(hard_timeout)),
            (
                "memory_limit",
                memory_limit.map(|b| format!("{b}B")).unwrap_or_default(),
            ),
            ("recycle_after", recycle_after.to_string()),
            ("log_level", log_level.to_string()),
        ]
    }

    /// Returns what a process is told at its start, everything else as by default: where two of these
    /// differ, a process that runs has other settings than the next one.
    pub fn told_to_process(&self) -> Self {
        let Self {
            retry,
            attempts,
            within,
            on_error,
            deaths,
            broken_edit,
            reload,
            recycle_after,
            ..
        } = Self::default();
        Self {
            retry,
            attempts,
            within,
            on_error,
            deaths,
            broken_edit,
            reload,
            recycle_after,
            ..self.clone()
        }
    }

    /// Reads the keys that the section sets over what is there.
    pub(crate) fn read(&mut self, section: &mut Section<'_, '_>) {
        section.take("python", &mut self.python, kinds::program_or_unset);
        section.take(
            "import_paths",
            &mut self.import_paths,
            kinds::list(kinds::path),
        );
        let before = self.env.0.clone();
        section.take("env", &mut self.env.0, kinds::variables(&before));
        section.take(
            "env_pass",
            &mut self.env_pass,
            kinds::list(kinds::some_text),
        );
        section.take("cwd", &mut self.cwd, kinds::path_or_unset);
        section.take("umask", &mut self.umask, kinds::mode_or_unset);
        section.take("retry", &mut self.retry, kinds::choice);
        section.take("attempts", &mut self.attempts, kinds::number(1..=1_000));
        section.take("within", &mut self.within, kinds::duration(LIMIT));
        section.take("on_error", &mut self.on_error, kinds::choice);
        section.take("deaths", &mut self.deaths, kinds::number(1..=1_000));
        section.take("broken_edit", &mut self.broken_edit, kinds::choice);
        section.take("reload", &mut self.reload, kinds::choice);
        section.take("window", &mut self.window, kinds::number(1..=1_024));
        section.take(
            "warn_after",
            &mut self.warn_after,
            kinds::duration_or_off(LIMIT),
        );
        section.take(
            "soft_timeout",
            &mut self.soft_timeout,
            kinds::duration_or_off(LIMIT),
        );
        section.take(
            "hard_timeout",
            &mut self.hard_timeout,
            kinds::duration_or_off(LIMIT),
        );
        section.take("memory_limit", &mut self.memory_limit, kinds::memory_or_off);
        section.take(
            "recycle_after",
            &mut self.recycle_after,
            kinds::number(0..=i64::MAX),
        );
        section.take("log_level", &mut self.log_level, kinds::choice);
    }
}
