//! The simulated site of a run: orders to it, writes to it, and what it showed when.

use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::http;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// Tasks of the simulator's production that are written to in turn.
const TASKS: u64 = 5;

/// A simulated site that listens.
pub(super) struct Site {
    /// Such as `http://127.0.0.1:40101`.
    pub(super) url: String,
    /// The daemon's script.
    pub(super) script: String,
    /// The script's key.
    pub(super) key: String,
    /// How often it was written to.
    writes: AtomicU64,
}

/// An event row that the site made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: u64,
    /// When its id was taken, in milliseconds since 1970.
    pub(super) reserved_ms: i64,
    /// When a reader could see it; `None` if never, or not yet.
    pub(super) visible_ms: Option<i64>,
}

impl Site {
    /// Reads the simulator's first line.
    pub(super) fn of(line: &str) -> Result<Self> {
        let site: Value = serde_json::from_str(line).context("the simulator's first line")?;
        let text = |name: &str| site[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            url: text("url"),
            script: text("script"),
            key: text("key"),
            writes: AtomicU64::new(0),
        })
    }

    /// Gives an order, as `slated sim ctl send` does.
    pub(super) fn order(&self, order: &Value) -> Result<Value> {
        self.ask("/sim/control", Some(order))
            .with_context(|| format!("the simulator did not take {order}"))
    }

    /// Makes every request take at least this long.
    pub(super) fn set_latency(&self, ms: u64) -> Result<()> {
        self.order(&json!({"do": "latency", "ms": ms})).map(drop)
    }

    /// Sets what becomes of the transactions to come.
    pub(super) fn set_policy(&self, rules: &[Value]) -> Result<()> {
        self.order(&json!({"do": "policy", "policy": {"rules": rules}}))
            .map(drop)
    }

    /// Changes a field, as a client does: one transaction of one event row.
    pub(super) fn write(&self) -> Result<()> {
        // A text that was there already would be no change.
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let field = json!({"field_name": "content", "value": format!("bench {number}")});
        let answer = self.ask(
            "/api3/json",
            Some(&json!({"method_name": "update", "params": [
                {"script_name": self.script, "script_key": self.key},
                {"type": "Task", "id": number % TASKS + 1, "fields": [field]},
            ]})),
        )?;
        ensure!(
            answer["results"].is_object(),
            "the site refused a change: {answer}"
        );
        Ok(())
    }

    /// Returns the id that the next event row will have.
    pub(super) fn next_id(&self) -> Result<u64> {
        let shown = self.order(&json!({"do": "show"}))?;
        shown["next_event_id"]
            .as_u64()
            .context("the simulator names no next event id")
    }

    /// Returns the transactions that wait to be committed.
    pub(super) fn waiting(&self) -> Result<Vec<u64>> {
        let shown = self.order(&json!({"do": "show"}))?;
        let waiting = shown["waiting"].as_array().into_iter().flatten();
        Ok(waiting
            .filter_map(|open| open["transaction"].as_u64())
            .collect())
    }

    /// Returns every event row from an id on.
    pub(super) fn history(&self, from: u64) -> Result<Vec<Row>> {
        let history = self.ask("/sim/history", None)?;
        let rows = history.as_array().context("the history is no list")?;
        rows.iter()
            .filter(|row| row["id"].as_u64().is_some_and(|id| id >= from))
            .map(|row| row_of(row).with_context(|| format!("a row of the history: {row}")))
            .collect()
    }

    fn ask(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        let address = self.url.trim_start_matches("http://");
        let mut stream =
            TcpStream::connect(address).with_context(|| format!("nobody listens at {address}"))?;
        stream.set_read_timeout(Some(ANSWER))?;
        http::ask(&mut stream, path, body)
    }
}

fn row_of(row: &Value) -> Option<Row> {
    Some(Row {
        id: row["id"].as_u64()?,
        reserved_ms: row["reserved_at"]["wall_ms"].as_i64()?,
        visible_ms: row["visible_at"]["wall_ms"].as_i64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_when_it_was_taken_and_shown() {
        let shown = json!({"id": 4, "reserved_at": {"wall_ms": 10}, "visible_at": {"wall_ms": 25}});
        let row = row_of(&shown).unwrap();
        assert_eq!((row.id, row.reserved_ms, row.visible_ms), (4, 10, Some(25)));
        let dead = json!({"id": 5, "reserved_at": {"wall_ms": 10}, "visible_at": null});
        assert_eq!(row_of(&dead).unwrap().visible_ms, None);
        assert_eq!(row_of(&json!({"id": 5})), None);
    }
}
