//! Rows whose values are not what they should be.

use anyhow::Result;
use serde_json::{Value, json};
use slated_sim::EventRow;
use slated_testkit::plugins::Plugin;

use super::Kind;
use crate::{LIMIT, says};

/// Dates that are no dates, an event without type, a `meta` that is a text: each reaches the
/// callbacks that take everything, as it is. Nothing here has a use for a date.
#[tokio::test(flavor = "multi_thread")]
async fn row_36_odd_values_reach_callbacks_as_they_are() -> Result<()> {
    let reads = "
import json, os

def registerCallbacks(reg):
    reg.registerCallback(None, None, read)

def read(sg, logger, event, args):
    odd = [event['created_at'], event['event_type'], event['meta']]
    with open(os.path.join(os.path.dirname(__file__), 'seen.txt'), 'a') as out:
        print(json.dumps(odd), file=out)
";
    let mut world = Kind::Conf
        .world()
        .plugin(Plugin::source("reads", reads))
        .start()
        .await?;
    says(&mut world, "ready with 1 callback", 2).await?;
    let odd = [
        json!([null, "Studio_Odd", {}]),
        json!(["yesterday", "Studio_Odd", {}]),
        json!(["2026-13-45T99:99:99Z", "Studio_Odd", {}]),
        json!([17, null, "a text"]),
        json!([{}, "Studio_Odd", [1, 2]]),
        json!(["", "", null]),
    ];
    for row in &odd {
        world.site().log_event(EventRow {
            created_at: row[0].clone(),
            event_type: row[1].clone(),
            meta: row[2].clone(),
            ..EventRow::default()
        });
    }
    let seen = world.folder().join("plugins/seen.txt");
    let read = || -> Vec<Value> {
        let text = std::fs::read_to_string(&seen).unwrap_or_default();
        text.lines()
            .filter_map(|l| serde_json::from_str(l).ok())
            .collect()
    };
    world
        .until("each as it is", LIMIT, |_| Ok(read() == odd))
        .await?;
    world.caught_up(LIMIT).await?;
    world.verdict().await?.kept(odd.len())
}
