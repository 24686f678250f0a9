//! A second daemon that stands by.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::world::World;

/// How long it may take to end.
const PATIENCE: Duration = Duration::from_mins(1);

impl World {
    /// Starts `slated run --standby` beside the daemon.
    pub fn stand_by(&mut self) -> Result<()> {
        ensure!(self.standby.is_none(), "one stands by already");
        self.standby = Some(self.recipe.start(&["--standby"])?);
        Ok(())
    }
    /// From here on the one that stood by is the daemon of this world.
    pub fn takes_over(&mut self) -> Result<()> {
        ensure!(self.daemon.is_none(), "a daemon runs already");
        self.daemon = Some(self.standby.take().context("nobody stands by")?);
        Ok(())
    }
    /// Asks the one that stands by to end with SIGTERM; returns how it did.
    pub async fn end_standby(&mut self) -> Result<ExitStatus> {
        let standby = self.standby.take().context("nobody stands by")?;
        standby.terminate(PATIENCE).await
    }
}
