//! A client for the api3 protocol of a Flow Production Tracking site, as far as reading its
//! event log needs.
//!
//! [`Client::read`] makes one request and answers with rows whose text is the site's own. It
//! tells apart what can be done about a failure ([`Error`]): the site is down, it refused, or
//! it was not understood. Waiting is the caller's business; [`Backoff`] says for how long.
//!
//! Invariants: no write is ever sent; key and passwords are in no error, no `Debug` and no
//! log; nothing a site or a gateway sends can panic us or fill the memory.
//!
//! Not here: what to ask for next (`slated-core` decides), and any use of the environment,
//! the proxies it names included.

mod backoff;
mod client;
mod error;
mod info;
mod mend;
mod page;
mod pieces;
mod query;
mod read;
mod settings;

#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use client::Client;
pub use error::{Code, Error};
pub use info::Info;
pub use query::{FIELDS, Query};
pub use read::Page;
pub use settings::{Settings, SetupError, certificates, proxy_of};
