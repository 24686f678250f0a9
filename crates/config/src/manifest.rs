//! The manifest of a plugin that is no Python file: which command speaks the worker protocol for it.
//!
//! Everything else about such a plugin stands in the configuration, as for any other.

use std::path::{Path, PathBuf};

use crate::kinds;
use crate::section::{Reader, Wrong};
use crate::value::from_toml;
use crate::{Diagnostic, Diagnostics, Origin};

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The program, absolute where the manifest's path is.
    pub program: PathBuf,
    /// The program as it is written.
    pub written: String,
    /// What it is called with.
    pub args: Vec<String>,
    /// Where the command stands.
    pub origin: Origin,
}

/// How a command is written.
const EXAMPLE: &str = "the program, beside the manifest or with its whole path, and what it is called with: command = [\"./notify.sh\", \"--quiet\"]";

impl Manifest {
    /// Reads the text of the manifest at `path`; a relative program stands beside it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Diagnostics> {
        let table = from_toml(text, path)?;
        let mut reader = Reader::new(path.parent().unwrap_or_else(|| Path::new("")));
        let base = reader.base.clone();
        let mut section = reader.section("", &table);
        let mut words = Vec::new();
        section.take("command", &mut words, |found, base| {
            let words =
                kinds::list(kinds::text)(found, base).map_err(|wrong| wrong.or_hint(EXAMPLE))?;
            match words.first() {
                Some(first) if !first.is_empty() => Ok(words),
                _ => Err(Wrong::new("names no program").hint(EXAMPLE)),
            }
        });
        section.finish();
        let origin = reader.origins.get("command").cloned().unwrap_or_default();
        if origin.is_default() {
            let missing = Diagnostic::new(&Origin::file(path), "command", "`command` is missing");
            reader.errors.push(missing.hint(EXAMPLE));
        }
        reader.report_unknown();
        for unknown in reader.errors.0.iter_mut().filter(|one| one.hint.is_none()) {
            unknown.hint = Some(
                "a manifest has `command` alone; settings of the plugin stand in the configuration"
                    .into(),
            );
        }
        let mut words = words.into_iter();
        let written = words.next().unwrap_or_default();
        reader.errors.or(Self {
            program: kinds::resolve(&base, &written),
            written,
            args: words.collect(),
            origin,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest, String> {
        let path = Path::new("/srv/plugins/notify.plugin.toml");
        Manifest::parse(path, text).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn a_command_is_a_program_beside_the_manifest_or_anywhere() {
        for (text, program, args) in [
            (
                "command = ['./notify.sh']",
                "/srv/plugins/notify.sh",
                &[][..],
            ),
            ("command = ['notify.sh']", "/srv/plugins/notify.sh", &[]),
            (
                "# ours\n\ncommand = [\n  '../bin/n', '--a b',\n  '']\n",
                "/srv/plugins/../bin/n",
                &["--a b", ""],
            ),
            ("command = ['/opt/n']", "/opt/n", &[]),
        ] {
            let manifest = parse(text).unwrap();
            assert_eq!(manifest.program, Path::new(program));
            assert_eq!(manifest.args, args);
        }
        let manifest = parse("# ours\n\ncommand = ['n']").unwrap();
        assert_eq!(
            manifest.origin.to_string(),
            "/srv/plugins/notify.plugin.toml:3"
        );
        assert_eq!(manifest.written, "n");
    }

    #[test]
    fn what_is_wrong_has_its_line_and_what_to_write() {
        for (text, wanted) in [
            ("", ": `command` is missing (the program, "),
            (
                "command = []",
                ":1: `command` names no program (the program, ",
            ),
            (
                "command = ['', 'x']",
                ":1: `command` names no program (the program, ",
            ),
            (
                "\ncommand = './n -v'",
                ":2: `command` takes a list such as [\"a\", \"b\"], not \"./n -v\" (the program, ",
            ),
            (
                "command = ['n', 3]",
                ":1: `command` holds an element that takes a string, not 3",
            ),
            ("comand = ['n']", ": `command` is missing (the program, "),
            (
                "command = ['n']\nrestart = true",
                ":2: unknown key `restart` (a manifest has `command` alone; settings of the plugin stand in the configuration)",
            ),
            (
                "command = ['n']\n[env]\nA = '1'",
                ":2: unknown key `env` (a manifest has `command` alone;",
            ),
            ("command = ['n'", ":1: "),
        ] {
            let told = parse(text).unwrap_err();
            let wanted = format!("/srv/plugins/notify.plugin.toml{wanted}");
            assert!(told.starts_with(&wanted), "{text}: {told}");
        }
        let told = parse("comand = ['n']").unwrap_err();
        let near = ":1: unknown key `comand` (did you mean `command`?)";
        assert!(told.contains(near), "{told}");
    }
}
