//! What `slated check` sees of the state folder.

use std::path::Path;

use slated_config::Config;
use slated_store::Sqlite;

use crate::error::CommandError;
use crate::view::StateView;

/// Looks at the folder. An error is what a start would refuse.
pub(super) fn look(config: &Config, begun: bool) -> Result<StateView, CommandError> {
    let folder = &config.state.folder;
    let (in_use, pid) = match Sqlite::refuse_in_use(folder) {
        Ok(()) => (false, None),
        Err(slated_store::Error::InUse { pid, .. }) => (true, pid),
        Err(error) => return Err(error.into()),
    };
    Ok(StateView {
        folder: folder.display().to_string(),
        begun,
        in_use,
        pid,
        free: free(folder),
    })
}

/// Returns how many bytes are free where a folder is or would be.
fn free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|path| path.exists())?;
    let disk = rustix::fs::statvfs(there).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
