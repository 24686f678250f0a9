//! A page that cannot be parsed is not the end of the stream.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use serde_json::Value;
use slated_model::{Event, EventId};

use super::server::{Reply, Request, Server, http, json, page};
use super::{ids, look};
use crate::{Client, Query};

/// A log of rows as the site would spell them.
type Log = BTreeMap<u64, Vec<u8>>;

fn good(id: u64) -> Vec<u8> {
    format!(r#"{{"type":"EventLogEntry","id":{id},"event_type":"T{id}","meta":{{}}}}"#).into()
}
/// A row no reader can make sense of.
fn bad(id: u64) -> Vec<u8> {
    format!(r#"{{"type":"EventLogEntry","id":{id},"event_type":"T{id}","meta":"a" b"}}"#).into()
}

/// A row that spoils every answer it is in, whatever fields are asked for.
fn worse(id: u64) -> Vec<u8> {
    format!("#<row {id}>").into()
}

fn matches(condition: &Value, id: u64) -> bool {
    if let Some(inner) = condition["conditions"].as_array() {
        let mut each = inner.iter().map(|c| matches(c, id));
        return match condition["logical_operator"].as_str() {
            Some("or") => each.any(|yes| yes),
            _ => each.all(|yes| yes),
        };
    }
    let values: Vec<_> = condition["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap())
        .collect();
    match condition["relation"].as_str().unwrap() {
        "greater_than" => id > values[0],
        "less_than" => id < values[0],
        "between" => (values[0]..=values[1]).contains(&id),
        "is" | "in" => values.contains(&id),
        other => panic!("{other}"),
    }
}

/// Answers a read from the log.
fn answer(log: &Log, request: &Request) -> Vec<u8> {
    let asked = request.arguments();
    let limit = usize::try_from(asked["paging"]["entities_per_page"].as_u64().unwrap()).unwrap();
    let mut found: Vec<_> = log
        .iter()
        .filter(|(id, _)| matches(&asked["filters"], **id))
        .collect();
    if asked["sorts"][0]["direction"] == "desc" {
        found.reverse();
    }
    let fields = asked["return_fields"].as_array().unwrap().len();
    let spell = |(id, row): (&u64, &Vec<u8>)| match fields {
        _ if row.starts_with(b"#") => row.clone(),
        1 => format!(r#"{{"type":"EventLogEntry","id":{id}}}"#).into_bytes(),
        4 => format!(r#"{{"type":"EventLogEntry","id":{id},"event_type":"T{id}"}}"#).into_bytes(),
        _ => row.clone(),
    };
    let rows: Vec<_> = found.into_iter().take(limit).map(spell).collect();
    page(&rows)
}

fn site(log: Log) -> Server {
    Server::start(move |_, request| json(answer(&log, request)))
}
fn log(all: impl IntoIterator<Item = u64>, broken: &[u64]) -> Log {
    let row = |id: u64| {
        if broken.contains(&id) {
            bad(id)
        } else {
            good(id)
        }
    };
    all.into_iter().map(|id| (id, row(id))).collect()
}
fn row(events: &[Event], id: u64) -> &Event {
    events.iter().find(|event| event.id == EventId(id)).unwrap()
}

#[tokio::test]
async fn what_a_lenient_reader_can_read_costs_no_further_request() {
    let mut rows = log(1..=3, &[]);
    rows.insert(
        2,
        b"{\"id\":2,\"meta\":{\"x\":NaN,\"y\":\"\xff\x01\"}}".to_vec(),
    );
    let read = site(rows).client().read(&look(1)).await.unwrap();
    assert_eq!(
        (read.requests, read.lenient, read.damaged.len()),
        (1, true, 0)
    );
    assert_eq!(
        read.events[1].text(),
        "{\"id\":2,\"meta\":{\"x\":null,\"y\":\"\u{fffd}\\u0001\"}}"
    );
    assert_eq!(read.events[0].text().as_bytes(), good(1));
}

#[tokio::test]
async fn one_damaged_row_among_five_hundred_comes_with_its_text() {
    let server = site(log(1..=600, &[137]));
    let read = server.client().read(&look(1)).await.unwrap();
    assert_eq!(ids(&read), (1..=500).collect::<Vec<_>>());
    assert!(read.full, "the site holds a hundred more");
    assert_eq!(read.damaged, [EventId(137)]);
    let damaged = row(&read.events, 137);
    assert!(!damaged.is_readable());
    assert!(
        damaged.text().contains(r#""meta":"a" b""#),
        "{}",
        damaged.text()
    );
    // Whoever matches on the type can still decide.
    assert_eq!(damaged.head.event_type.as_deref(), Some("T137"));
    for event in read.events.iter().filter(|event| event.id.0 != 137) {
        assert_eq!(event.text().as_bytes(), good(event.id.0));
    }
    assert_eq!(read.requests as usize, server.seen().len());
    assert!(read.requests <= 2 + 2 * 9 + 3, "{}", read.requests);
}

#[tokio::test]
async fn the_newest_row_may_be_the_damaged_one() {
    let server = site(log(1..=9, &[9]));
    let newest = server.client().newest().await.unwrap().unwrap();
    assert_eq!((newest.id, newest.is_readable()), (EventId(9), false));
    assert_eq!(
        site(Log::new())
            .client()
            .newest()
            .await
            .unwrap()
            .map(|e| e.id),
        None
    );
}

#[tokio::test]
async fn a_row_that_spoils_even_the_list_of_ids_is_closed_in_on() {
    for broken in [137, 1, 500, 9_000] {
        let mut rows = log((1..=700).chain([9_500]), &[20]);
        rows.insert(broken, worse(broken));
        let server = site(rows.clone());
        let client = server.client();
        let read = client.read(&look(1)).await.unwrap();
        assert_eq!(ids(&read), (1..=500).collect::<Vec<_>>());
        let damaged: Vec<_> = [20, broken].into_iter().filter(|id| *id <= 500).collect();
        for id in &damaged {
            assert!(
                read.damaged.contains(&EventId(*id)),
                "{broken}: {:?}",
                read.damaged
            );
        }
        assert_eq!((read.damaged.len(), read.full), (damaged.len(), true));
        assert!(read.requests <= 75, "{broken}: {}", read.requests);

        // The rest, beyond a jump of the ids, and its end.
        let rest = client.read(&look(501)).await.unwrap();
        let above: Vec<_> = rows.keys().copied().filter(|id| *id > 500).collect();
        assert_eq!((ids(&rest), rest.full), (above, false));
    }
}

#[tokio::test]
async fn the_newest_row_may_spoil_even_the_list_of_ids() {
    for newest in [1, 2, 64, 1_000_003] {
        let mut rows = log(1..newest.min(9), &[]);
        rows.insert(newest, worse(newest));
        let row = site(rows).client().newest().await.unwrap().unwrap();
        assert_eq!((row.id, row.is_readable()), (EventId(newest), false));
        assert_eq!(
            row.text(),
            format!(
                "{{\"results\":{{\"entities\":[#<row {newest}>],\"paging_info\":{{\"entity_count\":1}}}}}}"
            )
        );
    }
}

#[tokio::test]
async fn a_row_longer_than_the_limit_is_a_damaged_row() {
    let mut rows = log(1..=9, &[]);
    rows.insert(
        5,
        format!(r#"{{"id":5,"meta":"{}"}}"#, "x".repeat(100_000)).into(),
    );
    let server = site(rows);
    let mut settings = server.settings();
    settings.body_limit = 10_000;
    let client = Client::new(settings).unwrap();
    let read = client.read(&look(1)).await.unwrap();
    assert_eq!(ids(&read), (1..=9).collect::<Vec<_>>());
    assert_eq!(read.damaged, [EventId(5)]);
    assert_eq!(row(&read.events, 5).text(), "more than 10000 bytes");
}

#[tokio::test]
async fn a_row_of_wrong_types_keeps_its_text_and_costs_nothing() {
    let mut rows = log(1..=3, &[]);
    let odd = r#"{"id":2,"event_type":{"a":1}}"#;
    rows.insert(2, odd.into());
    let read = site(rows).client().read(&look(1)).await.unwrap();
    assert_eq!(
        (read.requests, read.damaged.as_slice()),
        (1, &[EventId(2)][..])
    );
    assert_eq!(read.events[1].text(), odd);
}

#[tokio::test]
async fn a_row_that_goes_away_in_between_fails_the_read() {
    // Listed with the others, then gone: a page without it must not pass for the answer to
    // the query, which was taken when it was there.
    let rows = log(1..=8, &[2]);
    let server = Server::start(move |n, request| {
        let mut rows = rows.clone();
        if n > 2 {
            rows.remove(&7);
        }
        json(answer(&rows, request))
    });
    let error = server.client().read(&look(1)).await.unwrap_err();
    assert!(
        error.is_down() && error.to_string().contains("event 7 went away"),
        "{error}"
    );
}

#[tokio::test]
async fn a_row_that_appears_in_between_is_left_for_the_next_look() {
    let rows = log((1..=8).filter(|id| *id != 5), &[2]);
    let server = Server::start(move |n, request| {
        let mut rows = rows.clone();
        if n > 1 {
            rows.insert(5, good(5));
        }
        json(answer(&rows, request))
    });
    let read = server.client().read(&look(1)).await.unwrap();
    assert_eq!(ids(&read), [1, 2, 3, 4, 6, 7, 8]);
}

#[tokio::test]
async fn an_answer_that_ends_in_the_middle_is_no_damage() {
    // Each answer is whole by its length and cut by some gateway, elsewhere each time.
    let rows = log(1..=9, &[]);
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_, request| {
        let mut body = answer(&rows, request);
        body.truncate(30 + count.fetch_add(1, Ordering::Relaxed));
        json(body)
    });
    let error = server.client().read(&look(1)).await.unwrap_err();
    assert!(
        error.is_down() && error.to_string().contains("ends in the middle"),
        "{error}"
    );
}

#[tokio::test]
async fn a_row_that_is_cut_elsewhere_each_time_is_no_damage() {
    // The ids come well; the one row never twice the same.
    let rows = log(1..=1, &[]);
    let server = Server::start(move |n, request| {
        let mut body = answer(&rows, request);
        if request.arguments()["return_fields"]
            .as_array()
            .unwrap()
            .len()
            > 1
        {
            body.truncate(30 + n);
        }
        json(body)
    });
    let error = server.client().read(&look(1)).await.unwrap_err();
    assert!(
        error.is_down() && error.to_string().contains("ends in the middle"),
        "{error}"
    );
    assert_eq!(
        server.seen().len(),
        4,
        "the page, its ids, the row, the row again"
    );
}

#[tokio::test]
async fn one_cut_answer_is_healed_by_the_pieces() {
    let rows = log(1..=9, &[]);
    let server = Server::start(move |n, request| {
        let mut body = answer(&rows, request);
        if n == 0 {
            body.truncate(200);
        }
        json(body)
    });
    let read = server.client().read(&look(1)).await.unwrap();
    assert_eq!((ids(&read), read.damaged.len()), ((1..=9).collect(), 0));
}

#[tokio::test]
async fn a_row_that_always_comes_cut_is_a_damaged_row() {
    let mut rows = log(1..=3, &[]);
    rows.insert(3, br#"{"id":3,"meta":"it never ends"#.to_vec());
    let server = Server::start(move |_, request| {
        let body = answer(&rows, request);
        let end = body
            .windows(5)
            .position(|w| w == b" ends")
            .map_or(body.len(), |at| at + 5);
        json(&body[..end])
    });
    let read = server.client().read(&look(1)).await.unwrap();
    assert_eq!(
        (ids(&read), read.damaged.as_slice()),
        (vec![1, 2, 3], &[EventId(3)][..])
    );
}

#[tokio::test]
async fn a_failure_between_the_pieces_fails_the_read() {
    let rows = log(1..=8, &[2]);
    let server = Server::start(move |n, request| match n {
        3 => Reply::Say(http("503 Service Unavailable", "", "")),
        _ => json(answer(&rows, request)),
    });
    let error = server.client().read(&look(1)).await.unwrap_err();
    assert!(error.is_down(), "{error}");
}

#[tokio::test]
async fn noise_without_end_is_not_understood() {
    let server = Server::always(json("][ noise"));
    let error = server.client().read(&look(1)).await.unwrap_err();
    assert_eq!(error.class(), "not understood", "{error}");
    assert_eq!(server.seen().len(), 3, "the page, its ids, nothing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_noisy_line_damages_no_row(
        last in 1u64..40,
        noisy in prop::collection::btree_set(0usize..12, 0..6),
    ) {
        let rows = log(1..=last, &[]);
        let server = Server::start(move |n, request| {
            if noisy.contains(&n) {
                json(format!("][ noise {n}"))
            } else {
                json(answer(&rows, request))
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        if let Ok(read) = runtime.block_on(server.client().read(&look(1))) {
            prop_assert_eq!(ids(&read), (1..=last).collect::<Vec<_>>());
            prop_assert!(read.damaged.is_empty());
        }
    }

    #[test]
    fn whatever_is_damaged_the_page_is_that_of_the_log(
        present in prop::collection::btree_set(1u64..120, 0..60),
        broken in prop::collection::btree_set(1u64..120, 0..8),
        spoilt in prop::collection::btree_set(1u64..120, 0..4),
        least in 1u64..60,
        limit in 1usize..50,
        hole in (1u64..100, 0u64..20),
    ) {
        let broken: Vec<_> = broken.into_iter().collect();
        let mut rows = log(present, &broken);
        for (id, row) in &mut rows {
            if spoilt.contains(id) {
                *row = worse(*id);
            }
        }
        let query = Query::Ranges {
            least: EventId(least),
            ranges: vec![(EventId(hole.0), Some(EventId(hole.0 + hole.1))), (EventId(60), None)],
            ids: vec![EventId(50), EventId(55)],
            limit,
        };
        let wants = |id: u64| id >= least
            && ((hole.0..=hole.0 + hole.1).contains(&id) || id >= 60 || id == 50 || id == 55);
        let wanted: Vec<_> = rows.keys().copied().filter(|id| wants(*id)).take(limit).collect();
        let server = site(rows);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let read = runtime.block_on(server.client().read(&query)).unwrap();
        prop_assert_eq!(&ids(&read), &wanted);
        prop_assert_eq!(read.full, wanted.len() == limit);
        let damaged: Vec<_> = wanted.into_iter().filter(|id| broken.contains(id) || spoilt.contains(id)).collect();
        prop_assert_eq!(read.damaged.iter().map(|id| id.0).collect::<Vec<_>>(), damaged);
    }
}
