//! `shotgunEventDaemon.conf`: the file of the Python event daemon, read as that daemon reads it.

use std::path::PathBuf;

/// What only a `shotgunEventDaemon.conf` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conf {
    /// `[daemon] eventIdFile`: where the Python daemon keeps its position. `None` only where
    /// `[slated]` names a state folder itself.
    pub id_file: Option<PathBuf>,
    /// `[daemon] pidFile`; without one there is nothing to stop a running daemon by.
    pub pid_file: Option<PathBuf>,
    /// Where the logs go.
    pub logs: ConfLogs,
}

/// The log files of the Python daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfLogs {
    /// `[daemon] logPath`: their folder. It is made where it is missing.
    pub folder: PathBuf,
    /// `[daemon] logFile`: the name of the main file in it.
    pub file: String,
    /// `[daemon] logMode`.
    pub mode: LogMode,
}

/// Into how many files the log is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogMode {
    /// 0: one file for everything.
    One,
    /// 1: a main file, and one for each plugin.
    PerPlugin,
}
