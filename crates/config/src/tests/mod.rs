//! What a person writes, and what they are told.

mod changes;
mod errors;
mod fuzz;
mod merge;
mod reference;
mod schema;
mod secrets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Config, Diagnostics, Environment, Loaded, Override, Source};

/// Every key with its default.
const REFERENCE: &str = include_str!("../../reference.toml");

/// Reads a file called `slated.toml` in `/etc/show` that only its owner may read.
fn parse_with(text: &str, overrides: &[Override]) -> Result<Loaded, Diagnostics> {
    let source = Source {
        path: Path::new("slated.toml"),
        base: Path::new("/etc/show"),
        text,
        mode: Some(0o600),
    };
    Config::parse(&source, overrides)
}

fn parse(text: &str) -> Result<Loaded, Diagnostics> {
    parse_with(text, &[])
}

/// Reads sections behind a `[site]` that is complete, and line 3 the first of theirs.
fn config(text: &str) -> Config {
    parse(&format!("[site]\nurl = \"https://studio.example\"\n{text}"))
        .unwrap()
        .config
}

/// A world of variables and files.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) variables: BTreeMap<&'static str, &'static str>,
    pub(crate) files: BTreeMap<PathBuf, (&'static str, u32)>,
}

impl Environment for World {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(ToString::to_string)
    }
    fn named(&self, name: &str) -> Vec<(String, String)> {
        let all = self.variables.iter();
        all.filter(|(own, _)| own.to_lowercase() == name.to_lowercase())
            .map(|(own, value)| ((*own).to_owned(), (*value).to_owned()))
            .collect()
    }
    fn exists(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }
    fn program(&self) -> Option<PathBuf> {
        Some("/opt/studio/slated".into())
    }
    fn read(&self, path: &Path) -> Result<String, String> {
        let file = self.files.get(path).ok_or("no such file")?;
        Ok(file.0.to_owned())
    }
    fn mode(&self, path: &Path) -> Option<u32> {
        self.files.get(path).map(|file| file.1)
    }
    fn run(&self, command: &[String]) -> Result<String, String> {
        match command.first().map(String::as_str) {
            Some("pass") => Ok(format!("printed for {}\n", command[1..].join(" "))),
            _ => Err("exit status: 1".into()),
        }
    }
}
