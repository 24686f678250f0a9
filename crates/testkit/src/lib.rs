//! Worlds for tests of slated: a site, a daemon, plugins, and a judge.
//!
//! * [`history`]: the judge. What the site showed, held against what callbacks journalled.
//! * [`plugins`]: plugin files that journal what they do, and misbehave by rule.
//! * [`python`]: the interpreter that runs them.

pub mod history;
pub mod plugins;
pub mod python;
