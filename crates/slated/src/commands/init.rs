//! `slated init`: a configuration, a first plugin, and the plugin's test.

use std::path::{Path, PathBuf};

use slated_config::SiteUrl;
use slated_sim::{SCRIPTS, Site, SiteOptions};

use super::new_files::{NewFile, in_the_way, write};
use crate::error::CommandError;
use crate::out;

/// Where `slated sim` is told to listen.
const SIM: &str = "http://127.0.0.1:8765";
/// What stands in the place of an address that nobody gave.
const SOME: &str = "https://studio.example";

const CONFIG: &str = include_str!("init/slated.toml");
const PLUGIN: &str = include_str!("init/hello.py");
const TEST: &str = include_str!("init/test_hello.py");
const IGNORED: &str = include_str!("init/gitignore");

/// Make a configuration, a first plugin and its test
///
/// FOLDER gets slated.toml, plugins/hello.py, tests/test_hello.py and .gitignore, and is made where it
/// is not there. Nothing that is there is changed: a file of one of these names is named, and nothing is
/// written.
///
/// With --sim the configuration leads to the simulator that `slated sim` serves on this machine.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slated init studio --sim
      A folder to play with: no site is needed
  slated init /etc/slated --url https://studio.example --script slated
      For your site
  slated init --schema > slated.schema.json
      What editors need to know of slated.toml; docs/configuration.md says how they are told")]
pub(crate) struct Args {
    /// The folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The address of the site
    #[arg(long, value_name = "URL", value_parser = SiteUrl::parse)]
    url: Option<SiteUrl>,
    /// The name of the script user that reads the event log
    #[arg(long, value_name = "NAME", default_value = "slated", value_parser = script)]
    script: String,
    /// Use the simulator of this machine
    #[arg(long, conflicts_with = "script")]
    sim: bool,
    /// Print the JSON schema of slated.toml, and make nothing
    #[arg(long, conflicts_with_all = ["folder", "url", "script", "sim"])]
    schema: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), CommandError> {
    if args.schema {
        out::line(slated_config::SCHEMA.trim_end());
        return Ok(());
    }
    let given = args.url.as_ref().map(|url| {
        let url = url.with_credentials().as_str();
        url.trim_end_matches('/').to_owned()
    });
    let usual = if args.sim { SIM } else { SOME };
    let url = given.clone().unwrap_or_else(|| usual.into());
    let script = if args.sim { SCRIPTS[0] } else { &args.script };
    let at = |name: &str| args.folder.join(name);
    let files = [
        ("slated.toml", config(&url, script)),
        ("plugins/hello.py", PLUGIN.to_owned()),
        ("tests/test_hello.py", TEST.to_owned()),
        (".gitignore", IGNORED.to_owned()),
    ]
    .map(|(name, content)| NewFile {
        path: at(name),
        content: content.into_bytes(),
        mode: 0o666,
    });
    refuse(&args.folder, files.iter().map(|file| file.path.as_path()))?;
    for folder in ["plugins", "tests"].map(at) {
        std::fs::create_dir_all(&folder).map_err(|error| {
            CommandError::configuration(format!("cannot make {}: {error}", folder.display()))
                .hint("name a folder in one that you may write to")
        })?;
    }
    write(&files, false)?;
    for file in &files {
        out::talk(format!("written to {}", file.path.display()));
    }
    if given.is_none() && !args.sim {
        out::talk("`url` in slated.toml is an example: write the address of your site there");
    }
    next(args, &url);
    Ok(())
}

/// Reads the name of a script user: of one line, and not empty.
fn script(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err("takes the name of a script user, as the site's Scripts page has it".into());
    }
    Ok(text.to_owned())
}

/// Returns the configuration. Both texts are TOML strings without a character that needs escaping, or
/// are written so.
fn config(url: &str, script: &str) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    CONFIG
        .replace("SITE_URL", &quoted(url))
        .replace("SCRIPT_NAME", &quoted(script))
}

/// Refuses a folder in which something stands in the way, and names all of it.
fn refuse<'a>(folder: &Path, files: impl Iterator<Item = &'a Path>) -> Result<(), CommandError> {
    let mut there: Vec<PathBuf> = in_the_way(files).into_iter().map(Into::into).collect();
    let folders = [
        folder.to_owned(),
        folder.join("plugins"),
        folder.join("tests"),
    ];
    let no_folder = |path: &PathBuf| path.exists() && !path.is_dir();
    there.extend(folders.into_iter().filter(no_folder));
    if there.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = there
        .iter()
        .map(|path| format!("\n  {}", path.display()))
        .collect();
    Err(CommandError::usage(format!(
        "these are in the way, and nothing was written:{}",
        names.concat()
    ))
    .hint("name another folder, or move them away"))
}

/// Says what to do now.
fn next(args: &Args, url: &str) {
    let mut lines = Vec::new();
    if args.folder != Path::new(".") {
        // As a shell takes it.
        let folder = args.folder.to_string_lossy();
        let plain = |c: char| c.is_alphanumeric() || "/._-~+@".contains(c);
        let word = if folder.chars().all(plain) {
            folder.into_owned()
        } else {
            format!("'{}'", folder.replace('\'', "'\\''"))
        };
        lines.push((format!("cd {word}"), ""));
    }
    let key = if args.sim {
        let (_, port) = url.rsplit_once(':').unwrap_or_default();
        lines.push((
            format!("slated sim --port {port}"),
            "the site, in a terminal of its own",
        ));
        Site::new(SiteOptions::default()).key(SCRIPTS[0])
    } else {
        None
    };
    let key = key.unwrap_or_else(|| "…".into());
    lines.push((format!("export SLATED_SITE_KEY={key}"), ""));
    lines.push(("slated check".into(), "what would happen"));
    lines.push(("slated run".into(), ""));
    lines.push((
        "python3 -m unittest discover tests".into(),
        "the plugin's test",
    ));
    out::talk("\nnext:");
    for (line, about) in lines {
        let gap = if about.is_empty() { "" } else { "   # " };
        out::talk(format!("  {line}{gap}{about}"));
    }
}
