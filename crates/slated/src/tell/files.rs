//! Where a record goes: which file, and whether to stderr.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::fs::{Access, access};
use slated_config::{Config, LogFormat, LogMode};

use super::lines;
use super::record::{Record, WARNING};
use super::rotating::RotatingFile;
use super::timing::Timing;
use crate::error::CommandError;

/// How the log is laid out.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Folder and name of the main file; `None`: stderr alone.
    pub(super) main: Option<(PathBuf, String)>,
    /// Whether each plugin's loggers have a file of their own, `plugin.STEM`.
    pub(super) per_plugin: bool,
    pub(super) json: bool,
    /// Whether stderr has the log although there are files, as the Python daemon's `foreground`
    /// has it.
    pub(super) echo: bool,
    /// Whether stderr is going to be closed, and has only warnings until then.
    pub(super) background: bool,
    /// What slated's own logger is called.
    pub(super) own: &'static str,
}

impl Layout {
    /// The Python daemon's files under a `.conf`; else one file in `log.folder`, or stderr.
    pub(super) fn of(config: &Config, background: bool) -> Self {
        let json = config.log.format == LogFormat::Json;
        match &config.conf {
            Some(conf) => Self {
                main: Some((conf.logs.folder.clone(), conf.logs.file.clone())),
                per_plugin: conf.logs.mode == LogMode::PerPlugin,
                json,
                echo: true,
                background,
                own: "engine",
            },
            None => Self {
                main: config.log.folder.clone().map(|f| (f, "slated.log".into())),
                per_plugin: false,
                json,
                echo: background,
                background,
                own: "slated",
            },
        }
    }
}

impl Layout {
    /// Refuses a main file that could not be written, as far as that shows without a trace.
    pub(super) fn foresee(&self) -> Result<(), CommandError> {
        let Some((folder, name)) = &self.main else {
            return Ok(());
        };
        let path = folder.join(name);
        let Some(there) = path.ancestors().find(|place| place.exists()) else {
            return Ok(());
        };
        if there != path && !there.is_dir() {
            return Err(unwritable(&path, &io::ErrorKind::NotADirectory.into()));
        }
        access(there, Access::WRITE_OK).map_err(|error| unwritable(&path, &error.into()))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> CommandError {
    let place = path.display();
    CommandError::configuration(format!("the log file {place} cannot be written: {error}"))
        .hint("make its folder writable for the user slated runs as, or name another: `log.folder`; in a .conf, `logPath`")
}

/// All files of a log, and stderr.
pub(super) struct Desk {
    layout: Layout,
    zone: TimeZone,
    files: BTreeMap<PathBuf, RotatingFile>,
    stderr: Box<dyn Write + Send>,
    /// Whether records go to stderr, and not just trouble with files.
    echo: bool,
    /// Whether there are files and no terminal.
    silent: bool,
    colour: bool,
}

impl Desk {
    /// Opens the main file. stderr has the log where there are no files, and where somebody may
    /// be looking at it.
    pub(super) fn open(
        layout: Layout,
        zone: TimeZone,
        now: Timestamp,
    ) -> Result<Self, CommandError> {
        let terminal = io::stderr().is_terminal();
        let mut desk = Self {
            echo: terminal || layout.echo || layout.main.is_none(),
            silent: layout.main.is_some() && (layout.background || !terminal),
            colour: terminal,
            stderr: Box::new(io::stderr()),
            layout,
            zone,
            files: BTreeMap::new(),
        };
        if let Some((folder, name)) = &desk.layout.main {
            let path = folder.join(name);
            let open = || {
                std::fs::create_dir_all(folder)?;
                RotatingFile::open(path.clone(), desk.zone.clone(), now)
            };
            let file = open().map_err(|error| unwritable(&path, &error))?;
            desk.files.insert(path, file);
        }
        Ok(desk)
    }

    /// Makes one without a terminal, to be looked at in tests.
    #[cfg(test)]
    pub(super) fn quiet(layout: Layout, zone: TimeZone, stderr: Box<dyn Write + Send>) -> Self {
        Self {
            echo: layout.echo || layout.main.is_none(),
            silent: layout.main.is_some(),
            colour: false,
            stderr,
            layout,
            zone,
            files: BTreeMap::new(),
        }
    }

    /// Tells whether the log goes to files, and not to a terminal.
    pub(super) const fn is_silent(&self) -> bool {
        self.silent
    }

    /// Writes a record where it belongs.
    pub(super) fn write(&mut self, record: &Record, now: Timestamp) {
        if self.echo && (record.level >= WARNING || !self.layout.background) {
            let line = if self.layout.json && !self.colour {
                lines::json(record, self.layout.own)
            } else {
                lines::human(record, &self.zone, self.colour)
            };
            self.say(&line);
        }
        if let Some(path) = self.path_of(record) {
            let line = self.line(record);
            self.put(&path, &line, now);
        }
    }

    /// Writes an answer to the timing log, which is always text.
    pub(super) fn time(&mut self, timing: &Timing, now: Timestamp) {
        let record = timing.record(&self.zone);
        let Some((folder, main)) = &self.layout.main else {
            return self.write(&record, now);
        };
        let path = folder.join(format!("{main}.timing"));
        let line = lines::python(&record, self.layout.own, &self.zone);
        self.put(&path, &line, now);
    }

    /// Opens every file anew, by its name.
    pub(super) fn reopen(&mut self, now: Timestamp) {
        let troubles: Vec<_> = self
            .files
            .values_mut()
            .filter_map(|file| file.reopen(now))
            .collect();
        for trouble in troubles {
            self.complain(&trouble, now);
        }
    }

    fn path_of(&self, record: &Record) -> Option<PathBuf> {
        let (folder, main) = self.layout.main.as_ref()?;
        let of_plugin = record
            .logger
            .as_deref()
            .is_some_and(|l| l.starts_with("plugin."));
        Some(match &record.plugin {
            Some(plugin) if self.layout.per_plugin && of_plugin => {
                folder.join(format!("plugin.{}", plugin.stem()))
            }
            _ => folder.join(main),
        })
    }

    fn line(&self, record: &Record) -> String {
        if self.layout.json {
            lines::json(record, self.layout.own)
        } else {
            lines::python(record, self.layout.own, &self.zone)
        }
    }

    fn put(&mut self, path: &Path, line: &str, now: Timestamp) {
        let zone = &self.zone;
        // Lines that an earlier process left in it may be due for another name.
        let file = self.files.entry(path.to_owned()).or_insert_with(|| {
            RotatingFile::open(path.to_owned(), zone.clone(), now)
                .unwrap_or_else(|_| RotatingFile::closed(path.to_owned(), zone.clone(), now))
        });
        let written = file.write(line, now);
        if written.healed > 0 {
            let lost = written.healed;
            let text = format!(
                "{lost} lines before the last one are lost: this file could not be written."
            );
            let note = self.line(&Record::own(now, WARNING, text));
            if let Some(file) = self.files.get_mut(path) {
                file.write(&note, now);
            }
            self.complain(
                &format!(
                    "the log file {} is written again; {lost} lines are lost",
                    path.display()
                ),
                now,
            );
        }
        if let Some(trouble) = written.trouble {
            self.complain(&trouble, now);
        }
    }

    /// Tells of trouble with files on stderr, the only way that is left.
    fn complain(&mut self, text: &str, now: Timestamp) {
        let line = lines::human(
            &Record::own(now, WARNING, text.into()),
            &self.zone,
            self.colour,
        );
        self.say(&line);
    }

    fn say(&mut self, line: &str) {
        // A stderr that cannot be written leaves nobody to tell.
        self.stderr
            .write_all(line.as_bytes())
            .and_then(|()| self.stderr.flush())
            .unwrap_or_default();
    }
}
