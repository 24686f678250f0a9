//! How slated prints: data to stdout, talk to stderr, colour only on terminals.
//!
//! The one place where printing is allowed, so that a broken pipe (`slated events tail | head`) is
//! handled once and no other code writes past the log.

use std::fmt::Display;

use comfy_table::{Table, presets};

use crate::error::CommandError;

/// Prints a line of data. A reader that has gone away ends the process quietly, as it does for any
/// command in a pipe.
pub(crate) fn line(line: impl Display) {
    write(anstream::stdout(), &line);
}

/// Prints a value as one line of JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), CommandError> {
    line(serde_json::to_string(value).map_err(CommandError::internal)?);
    Ok(())
}

/// Prints a line of talk.
pub(crate) fn talk(line: impl Display) {
    write(anstream::stderr(), &line);
}

/// Prints why a command failed.
pub(crate) fn error(error: &CommandError) {
    talk(error);
}

#[expect(clippy::exit, reason = "nobody reads what would be printed")]
fn write(mut stream: impl std::io::Write, line: &dyn Display) {
    let result = writeln!(stream, "{line}").and_then(|()| stream.flush());
    if result.is_err_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}

/// Returns a table with a plain head and no lines, which also reads well in a mail.
pub(crate) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(head.iter().copied());
    table
}
