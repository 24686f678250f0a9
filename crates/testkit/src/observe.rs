//! What a world looks like from outside, in the judge's words.

use anyhow::{Context as _, Result};
use slated_model::{EventId, Offset, Outcome};
use slated_sim::{HistoryRow, Site};
use slated_store::Store;

use crate::history::{Record, Recorded, Shown};

/// Returns the Unix time in milliseconds by the site's clock.
pub(crate) fn now_ms(site: &Site) -> u64 {
    u64::try_from(site.clock().now().stamp().wall_ms).unwrap_or(0)
}

/// Returns what a site has shown so far, in the order of becoming visible, and how many rows
/// are going to follow by themselves.
pub(crate) fn shown(site: &Site) -> (Vec<Shown>, usize) {
    // Rows first: what is visible in them is visible at the later moment, too.
    let rows = site.history();
    let now = site.clock().now().stamp().mono_ms;
    let (visible, pending): (Vec<_>, Vec<_>) = rows
        .iter()
        .filter_map(|row| Some((row, row.visible_at?)))
        .partition(|(_, at)| at.mono_ms < now);
    let mut visible: Vec<_> = visible
        .into_iter()
        .map(|(row, at)| {
            let waited = at != row.reserved_at;
            // Of rows that waited and came in the same millisecond nobody knows the order:
            // by falling id, none but the first is expected in order of its id.
            let tie = if waited { u64::MAX - row.id } else { row.id };
            ((at.mono_ms, waited, tie), row, at.wall_ms)
        })
        .collect();
    visible.sort_unstable_by_key(|(key, ..)| *key);
    let shown = visible
        .into_iter()
        .map(|(_, row, at_ms)| seen(row, at_ms))
        .collect();
    (shown, pending.len())
}

fn seen(row: &HistoryRow, at_ms: i64) -> Shown {
    let text = |field: &str| {
        row.row
            .get(field)
            .and_then(|v| v.as_str())
            .map(str::to_owned)
    };
    Shown {
        id: EventId(row.id),
        visible_at_ms: u64::try_from(at_ms).unwrap_or(0),
        event_type: text("event_type"),
        attribute_name: text("attribute_name"),
    }
}

/// Returns everything on record.
pub(crate) async fn records(store: &impl Store) -> Result<Vec<Record>> {
    let rows = store
        .latest(None, usize::MAX)
        .await
        .context("cannot read the outcomes")?;
    let records = rows.into_iter().map(|row| Record {
        plugin: row.plugin,
        callback: row.callback,
        event: row.event,
        outcome: match row.outcome {
            Outcome::Done { .. } => Recorded::Done,
            Outcome::DeadLetter { .. } => Recorded::DeadLetter,
            Outcome::Discarded { .. } => Recorded::Discarded,
        },
    });
    Ok(records.collect())
}

/// Returns the ids in the log, in its order.
pub(crate) async fn log(store: &impl Store) -> Result<Vec<EventId>> {
    let mut ids = Vec::new();
    let mut after = Offset::default();
    loop {
        let page = store
            .rows(after, 1_000)
            .await
            .context("cannot read the log")?;
        let Some(last) = page.last() else {
            return Ok(ids);
        };
        after = last.offset;
        ids.extend(page.iter().map(|row| row.event.id));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use slated_sim::{Clock, CommitPolicy, Fate, SiteOptions};

    use super::*;

    #[test]
    fn events_stand_in_the_order_of_becoming_visible() {
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let options = SiteOptions {
            clock: clock.clone(),
            ..SiteOptions::default()
        };
        let site = Site::new(options);
        let shot = |late: u64| {
            let fate = Fate::late(Duration::from_secs(late));
            site.set_policy(CommitPolicy::immediate().always(fate));
            site.create("Shot", json!({"code": format!("SH{late}")}), "slated")
                .unwrap();
            site.next_event_id() - 1
        };
        let (late, soon, held) = (shot(9), shot(5), shot(3_600));
        clock.advance(Duration::from_secs(10));
        let (shown, pending) = shown(&site);
        let ids: Vec<u64> = shown.iter().map(|event| event.id.0).collect();
        let place = |id| ids.iter().position(|other| *other == id);
        assert!(
            place(soon) < place(late) && place(soon).is_some(),
            "{ids:?}"
        );
        assert!(place(held).is_none() && pending > 0);
        let start = now_ms(&site) - 10_000;
        let event = shown.iter().find(|event| event.id.0 == late).unwrap();
        assert_eq!(event.visible_at_ms, start + 9_000);
        assert!(
            event
                .event_type
                .as_deref()
                .is_some_and(|t| t.starts_with("Shotgun_Shot_"))
        );
    }
}
