//! The configuration of slated as types, with where each value came from.
//!
//! [`Config::load`] reads a `slated.toml` or a `shotgunEventDaemon.conf`; [`Config::parse`] and
//! [`Config::parse_conf`] do so without touching the world. Everything wrong is told together,
//! each with file and line, the key, and what is accepted. Secrets only name their source until
//! [`Config::resolve`] fetches them.
//! `reference.toml` beside this crate's manifest holds every key with its default.
//!
//! Invariants: nothing here prints; a secret's value never reaches `Debug`, `Display` or an
//! error; only [`System`] and [`Config::load`] look at the process's surroundings.
//!
//! [`Manifest`] is what a plugin's own file says where it is no Python file.
//!
//! Not here: which keys this version acts on (the binary knows), and finding plugins.

mod changes;
mod choice;
mod conf;
mod config;
mod diagnostic;
mod environment;
mod find;
mod kinds;
mod manifest;
mod model;
mod origin;
mod read;
mod secret;
mod section;
mod settings;
mod shadow;
mod site_url;
mod units;
mod value;

pub use choice::{BrokenEdit, Level, LogFormat, OnError, Order, Reload, Retry};
pub use conf::{Conf, ConfLogs, LogMode, Migration, SecretFile};
pub use config::{Config, Loaded, Override, Secrets, Source};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use environment::{Environment, System};
pub use find::{find, places};
pub use manifest::Manifest;
pub use model::{
    Alerts, Control, Folder, Log, Mail, NewPlugins, OrderWait, Plugins, Site, State, Web,
};
pub use origin::Origin;
pub use secret::{Resolved, Secret};
pub use section::nearest;
pub use settings::{PluginSettings, Variables};
pub use site_url::{SiteUrl, SiteUrlError};
pub use units::{parse_duration, parse_size, show_duration};

/// What an editor needs to know of `slated.toml`: a JSON schema, made of `reference.toml` and held
/// against what is read here by a test.
pub const SCHEMA: &str = include_str!("../slated.schema.json");

#[cfg(test)]
mod tests;
