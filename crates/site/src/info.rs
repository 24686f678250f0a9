//! What a site says of itself.

use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::Value;

use crate::client::{Answer, too_long};
use crate::page;
use crate::{Client, Error};

/// What a site says of itself, without asking who wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its version, such as `8.89.0.9724`.
    pub version: String,
    /// The most rows it gives in one page.
    pub max_page: Option<usize>,
    /// Whether it says that it is slated's simulator. Anybody could: believe it of this machine.
    pub simulated: bool,
    /// The moment of the answer by the server's clock, as HTTP writes it (RFC 9110, 5.6.7).
    pub date: Option<String>,
}

impl Info {
    /// Returns how many rows to ask for where `wanted` are wanted. Asking for more than a
    /// site gives would make a cut page look complete.
    pub fn page(&self, wanted: usize) -> usize {
        // The official client takes 500 for granted where a site does not say.
        wanted.min(self.max_page.unwrap_or(500)).max(1)
    }
}

#[derive(Deserialize)]
struct Wire {
    version: Vec<Value>,
    #[serde(default)]
    full_version: Option<Vec<Value>>,
    #[serde(default)]
    api_max_entities_per_page: Option<usize>,
    #[serde(default)]
    totango_site_name: Value,
}

impl Client {
    /// Asks what the site is. Does not say whether the script may log in; reads do.
    pub async fn info(&self) -> Result<Info, Error> {
        let (body, date) = match self.post("info", &Value::Null, false).await? {
            Answer::Whole { body, date } => (body, date),
            Answer::TooLong => return Err(self.fault(too_long(self.body_limit()))),
        };
        let wire: Wire = page::value(&body).map_err(|fault| self.fault(fault))?;
        let max_page = wire.api_max_entities_per_page.filter(|n| *n > 0);
        self.max_page
            .store(max_page.unwrap_or(0), Ordering::Relaxed);
        let part = |part: Value| match part {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let parts = wire.full_version.unwrap_or(wire.version);
        let parts: Vec<_> = parts.into_iter().map(part).collect();
        Ok(Info {
            version: parts.join("."),
            max_page,
            simulated: wire.totango_site_name == "simulator",
            date,
        })
    }
}
