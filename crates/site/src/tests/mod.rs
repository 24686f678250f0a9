//! Stories against a server that answers byte by byte.

mod failures;
mod pieces;
mod server;
mod tls;
mod transport;

use slated_model::EventId;

use crate::Query;

/// The plain look from `least` on.
fn look(least: u64) -> Query {
    Query::Ranges {
        least: EventId(least),
        ranges: vec![(EventId(least), None)],
        ids: Vec::new(),
        limit: 500,
    }
}

/// Shows the ids of a page.
fn ids(page: &crate::Page) -> Vec<u64> {
    page.events.iter().map(|event| event.id.0).collect()
}
