//! The new configuration: where it goes, and what a person does next.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;
use slated_config::{Config, Migration, System};
use slated_store::{Error, Sqlite, Store as _};

use crate::commands::common::ConfigArgs;
use crate::commands::new_files::{NewFile, in_the_way, write};
use crate::error::CommandError;
use crate::out;

/// Makes a slated.toml of a .conf, at `output` or on stdout.
pub(super) async fn run(args: &ConfigArgs, output: &Path, over: bool) -> Result<(), CommandError> {
    let conf = find(args)?;
    let print = output == Path::new("-");
    let folder = if print { Path::new("") } else { folder(output) };
    let here = std::env::current_dir().map_err(CommandError::configuration)?;
    let (loaded, made) = Config::migrate(
        &conf,
        &here.join(if print {
            Path::new("slated.toml")
        } else {
            output
        }),
    )?;
    for warning in &loaded.warnings {
        out::talk(format!("warning: {warning}"));
    }
    if print {
        out::line(made.text.trim_end());
    } else {
        let files = files(&conf, output, &made)?;
        if !over {
            let paths = files.iter().map(|file| file.path.as_path());
            refuse(&in_the_way(paths), output)?;
        }
        write(&files, over)?;
        out::talk(format!("written to {}", output.display()));
    }
    for secret in &made.secrets {
        let path = folder.join(&secret.file);
        let did = if print { "would go" } else { "went" };
        out::talk(format!(
            "what stands at {} {did} to {}, which only its owner may open: let that be the user slated runs as",
            secret.stood,
            path.display()
        ));
    }
    for note in &made.notes {
        out::talk(format!("note: {note}"));
    }
    state(&conf, &loaded.config).await;
    if !print {
        let output = output.display();
        out::talk(format!(
            "next: slated check --config {output}; then stop slated, and start it with `slated run --config {output}`"
        ));
    }
    Ok(())
}

/// Returns the .conf: the one that is named, else the first where they are looked for.
fn find(args: &ConfigArgs) -> Result<PathBuf, CommandError> {
    let is_conf = |path: &Path| path.extension().is_some_and(|e| e == "conf");
    match &args.config {
        Some(path) if is_conf(path) => Ok(path.clone()),
        Some(path) => Err(CommandError::usage(format!(
            "{} is no .conf: there is nothing to make a slated.toml of",
            path.display()
        ))
        .hint("--config takes the shotgunEventDaemon.conf; --output the new file")),
        None => {
            let places = slated_config::places(&System);
            let confs: Vec<_> = places.into_iter().filter(|path| is_conf(path)).collect();
            let found = confs.iter().find(|path| path.exists()).cloned();
            found.ok_or_else(|| {
                let looked: Vec<_> = confs
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                CommandError::configuration(format!(
                    "there is no shotgunEventDaemon.conf; looked at {}",
                    looked.join(", ")
                ))
                .hint("name it: --config FILE")
            })
        }
    }
}

fn folder(output: &Path) -> &Path {
    output.parent().unwrap_or_else(|| Path::new(""))
}

/// Returns what is written: the configuration, readable as the old one is, and its secrets.
fn files(conf: &Path, output: &Path, made: &Migration) -> Result<Vec<NewFile>, CommandError> {
    let old = std::fs::metadata(conf).map_err(CommandError::configuration)?;
    let mode = old.permissions().mode() & if made.private { 0o600 } else { 0o666 };
    let secrets = made.secrets.iter().map(|secret| NewFile {
        path: folder(output).join(&secret.file),
        content: format!("{}\n", secret.value.expose_secret()).into_bytes(),
        mode: 0o600,
    });
    let mut files: Vec<_> = secrets.collect();
    files.push(NewFile {
        path: output.to_owned(),
        content: made.text.clone().into_bytes(),
        // Its owner must be able to mend it.
        mode: mode | 0o600,
    });
    Ok(files)
}

fn refuse(there: &[&Path], output: &Path) -> Result<(), CommandError> {
    if there.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = there
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    Err(CommandError::usage(format!(
        "{} is there already; nothing was written",
        names.join(", ")
    ))
    .hint(format!(
        "name another file than {}: --output FILE; or write over it: --force",
        output.display()
    )))
}

/// Says whether the state goes on, which the new file alone cannot bring about.
async fn state(conf: &Path, config: &Config) {
    let folder = config.state.folder.display();
    let id_file = config.conf.as_ref().and_then(|conf| conf.id_file.as_ref());
    match has_begun(&config.state.folder).await {
        Ok(true) => out::talk(format!("the state in {folder} goes on under the new file")),
        Ok(false) => {
            let old = id_file.filter(|file| file.exists());
            let old = old.map(|file| {
                format!(
                    ", and a slated.toml does not take over what stands in {}",
                    file.display()
                )
            });
            out::talk(format!(
                "note: there is no state in {folder} yet{}: start slated once under the .conf (`slated run --config {}`) and stop it when `slated status` shows the plugins; else every plugin starts as a new one",
                old.unwrap_or_default(),
                conf.display()
            ));
        }
        Err(error) => out::talk(format!(
            "note: the state in {folder} cannot be read: {error}"
        )),
    }
}

async fn has_begun(folder: &Path) -> Result<bool, Error> {
    let store = match Sqlite::open_read_only(folder) {
        Err(Error::Absent { .. }) => return Ok(false),
        // It is brought up to date by the next start.
        Err(Error::Older { .. }) => return Ok(true),
        store => store?,
    };
    let snapshot = store.snapshot().await;
    store.close().await;
    let snapshot = snapshot?;
    Ok(snapshot.beginning.is_some() || snapshot.ledger.is_some() || !snapshot.lanes.is_empty())
}
