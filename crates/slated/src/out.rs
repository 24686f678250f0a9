//! How slated prints: data to stdout, talk to stderr, colour only on terminals.
//!
//! The one place where printing is allowed, so that a broken pipe (`slated events tail | head`) is
//! handled once and no other code writes past the log.

use std::fmt::Display;
use std::io::Write as _;

use comfy_table::{Table, presets};

use crate::end;
use crate::error::CommandError;

/// What a shell reports for a command that a broken pipe ended.
const BROKEN_PIPE: i32 = 128 + 13;

/// Prints a line of data. A reader that has gone away ends the process as a broken pipe ends any
/// command.
pub(crate) fn line(line: impl Display) {
    let mut stdout = anstream::stdout();
    let result = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    if result.is_err_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
        end::at_once(BROKEN_PIPE);
    }
}

/// Prints a value as one line of JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), CommandError> {
    line(serde_json::to_string(value).map_err(CommandError::internal)?);
    Ok(())
}

/// Prints a line of talk. Talk that nobody can hear is not worth ending for.
pub(crate) fn talk(line: impl Display) {
    writeln!(anstream::stderr(), "{line}").unwrap_or_default();
}

/// Prints why a command failed.
pub(crate) fn error(error: &CommandError) {
    talk(error);
}

/// Returns a table with a plain head, if it has one, and no lines, which also reads well in a mail.
pub(crate) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if !head.is_empty() {
        table.set_header(head.iter().copied());
    }
    table
}
