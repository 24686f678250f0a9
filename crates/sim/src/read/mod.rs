//! Reading: `read` and `summarize`, from the wire's words to rows.
//!
//! Way of a request: parse and check against the schema ([`query`], [`filter`], [`path`]),
//! narrow to id ranges ([`range`]), walk those in order, test each row ([`relation`]).

mod filter;
mod path;
mod query;
mod range;
mod relation;
mod summary;

pub(crate) use filter::client_filters;
pub(crate) use query::Query;
pub(crate) use summary::summarize;

#[cfg(test)]
mod tests;
