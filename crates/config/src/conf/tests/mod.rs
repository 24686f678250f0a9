//! What a studio's file says, and what it is told.

mod differential;
mod model;
mod told;

use std::path::Path;

use crate::tests::World;
use crate::{Config, Diagnostics, Loaded, Source};

/// What slated cannot do without, in a file that ends in `[daemon]`; the next line is the tenth.
pub(crate) const SMALLEST: &str = "\
[shotgun]
server: https://studio.example
name: events
key: hush
[plugins]
paths: /mnt/plugins
[daemon]
eventIdFile: /var/id
logFile: events
";

/// Reads a file in `/studio` that only its owner may read, started in `/home/td`.
fn parse(text: &str, world: &World) -> Result<Loaded, Diagnostics> {
    let source = Source {
        path: Path::new("/studio/shotgunEventDaemon.conf"),
        base: Path::new("/studio"),
        text,
        mode: Some(0o600),
    };
    Config::parse_conf(&source, Path::new("/home/td"), world, &[])
}

/// Migrates a file, and checks that the new one says the same.
pub(crate) fn migrated(text: &str, world: &World) -> Result<(), Diagnostics> {
    use super::migrate::tests::{check_equal, migrate};
    let (loaded, made) = migrate(text, world, "/etc/slated")?;
    check_equal(&loaded.config, &made, world, "/etc/slated");
    Ok(())
}

/// The environment of a studio.
pub(crate) fn world() -> World {
    let variables = [
        ("SG_ED_SITE_URL", "https://studio.example"),
        ("SG_ED_SCRIPT_NAME", "events"),
        ("SG_ED_API_KEY", "hush"),
        ("SHOW", "dune"),
        ("WEB_TOKEN", "hush"),
        ("PORT", "8080"),
        ("ODD", "hush%hush"),
        ("TWICE", "a"),
        ("twice", "b"),
        ("EMPTY", ""),
    ];
    World {
        variables: variables.into(),
        ..World::default()
    }
}
