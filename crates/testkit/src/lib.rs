//! Worlds for tests of slated: a site, a daemon, plugins, and a judge.
//!
//! * [`history`]: the judge. What the site showed, held against what callbacks journalled.

pub mod history;
