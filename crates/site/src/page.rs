//! From the body of an answer to rows, or to what is wrong with it. No I/O.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use slated_model::{Body, Event, EventId, Head};

use crate::mend::mend;

/// Why a body is not the answer that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing came.
    Empty,
    /// A page for people: a gateway's, or one that announces maintenance.
    Html,
    /// The site says no.
    Exception {
        /// api3's number of the error.
        code: Option<i64>,
        /// What it says.
        message: String,
    },
    /// Not JSON, even leniently.
    Garbled {
        /// Whether it ends too early.
        cut: bool,
        /// What the reader stumbled over.
        why: String,
    },
    /// JSON that api3 does not answer with.
    Strange(String),
}

/// The rows of an answer.
#[derive(Debug)]
pub(crate) struct Rows {
    /// In the order in which they came.
    pub(crate) events: Vec<Event>,
    /// Whether the body or a row had to be mended.
    pub(crate) lenient: bool,
}

/// A page of rows as the site wraps it.
#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    results: Entities<'a>,
}

#[derive(Deserialize)]
#[serde(expecting = "a page of rows")]
struct Entities<'a> {
    #[serde(borrow)]
    entities: Vec<&'a RawValue>,
}

/// Any answer: results, or an exception.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, borrow)]
    results: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "or_none")]
    exception: Option<bool>,
    #[serde(default, deserialize_with = "or_none")]
    error_code: Option<i64>,
    #[serde(default, deserialize_with = "or_none")]
    message: Option<String>,
}

/// The fields of [`Head`], without the detour that `flatten` takes.
#[derive(Deserialize)]
struct Typed {
    id: EventId,
    #[serde(default)]
    event_type: Option<String>,
    #[serde(default)]
    attribute_name: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
}

#[derive(Deserialize)]
struct Id {
    id: EventId,
}

/// Reads a value of the type, and a value of any other as none.
fn or_none<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    let raw = <&RawValue>::deserialize(from)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// Reads a page of rows.
pub(crate) fn rows(body: &[u8]) -> Result<Rows, Fault> {
    answer(body, |text| {
        let entities = match serde_json::from_str::<Wrapped<'_>>(text) {
            Ok(page) => page.results.entities,
            Err(e) if e.is_data() => results::<Entities<'_>>(text)?.entities,
            Err(e) => return Err(garbled(&e)),
        };
        let mut rows = Rows {
            events: Vec::with_capacity(entities.len()),
            lenient: false,
        };
        for raw in entities {
            let (event, lenient) = row(raw)?;
            rows.events.push(event);
            rows.lenient |= lenient;
        }
        Ok(rows)
    })
    .map(|(mut rows, lenient)| {
        rows.lenient |= lenient;
        rows
    })
}

/// Reads only the ids of a page, in their order.
pub(crate) fn ids(body: &[u8]) -> Result<Vec<EventId>, Fault> {
    let (ids, _) = answer(body, |text| {
        let entities = results::<Entities<'_>>(text)?.entities;
        let ids: Option<Vec<_>> = entities.into_iter().map(|raw| id(raw.get())).collect();
        ids.ok_or_else(|| Fault::Strange("a row without an id".into()))
    })?;
    Ok(ids)
}

/// Reads results of another kind.
pub(crate) fn value<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    answer(body, |text| results(text)).map(|(value, _)| value)
}

/// Reads a body as it is, and if it is no JSON, mended. Tells whether it was.
fn answer<T>(body: &[u8], read: impl Fn(&str) -> Result<T, Fault>) -> Result<(T, bool), Fault> {
    match body
        .trim_ascii_start()
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(body)
        .trim_ascii_start()
    {
        [] => return Err(Fault::Empty),
        [b'<', ..] => return Err(Fault::Html),
        _ => {}
    }
    let first = match std::str::from_utf8(body) {
        Ok(text) => read(text),
        Err(e) => Err(Fault::Garbled {
            cut: false,
            why: e.to_string(),
        }),
    };
    match first {
        Err(Fault::Garbled { .. }) => read(&mend(body)).map(|value| (value, true)),
        first => first.map(|value| (value, false)),
    }
}

/// Takes the results out of their wrapping. An answer without one is taken whole, as the
/// official client does.
fn results<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Fault> {
    let strange = |e: serde_json::Error| {
        if e.is_data() {
            Fault::Strange(e.to_string())
        } else {
            garbled(&e)
        }
    };
    let envelope = match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(envelope) => envelope,
        Err(e) => return Err(strange(e)),
    };
    // The derived reader also takes a list for its fields.
    if !text.trim_start().starts_with('{') {
        return Err(Fault::Strange("a list in place of an object".into()));
    }
    if envelope.exception == Some(true) {
        return Err(Fault::Exception {
            code: envelope.error_code,
            message: envelope.message.unwrap_or_default(),
        });
    }
    let text = envelope.results.map_or(text, RawValue::get);
    serde_json::from_str(text).map_err(strange)
}

fn garbled(e: &serde_json::Error) -> Fault {
    Fault::Garbled {
        cut: e.is_eof(),
        why: e.to_string(),
    }
}

/// Makes an event of one row and tells whether it had to be mended. A row that is JSON but
/// whose fields are not of their types keeps its text and its id.
fn row(raw: &RawValue) -> Result<(Event, bool), Fault> {
    let text = raw.get();
    let plain = |typed: Typed| Event {
        id: typed.id,
        head: Head {
            event_type: typed.event_type,
            attribute_name: typed.attribute_name,
            created_at: typed.created_at,
        },
        body: Body::Json(raw.to_owned().into()),
    };
    match serde_json::from_str::<Typed>(text) {
        Ok(typed) if text.starts_with('{') && !text.contains(['\n', '\r']) => {
            return Ok((plain(typed), false));
        }
        Ok(_) => {
            if let Ok(event) = Event::parse(text) {
                return Ok((event, false));
            }
        }
        // Half a surrogate pair passes as JSON until its string is read.
        Err(_) => {
            if let Ok(event) = Event::parse(&mend(text.as_bytes())) {
                return Ok((event, true));
            }
        }
    }
    match id(text) {
        Some(id) => Ok((Event::unreadable(id, text), false)),
        None => Err(Fault::Garbled {
            cut: false,
            why: "a row without an id".into(),
        }),
    }
}

/// Returns the id of a row.
fn id(text: &str) -> Option<EventId> {
    let is_object = text.starts_with('{');
    let one = is_object.then(|| serde_json::from_str::<Id>(text).ok())?;
    one.map(|one| one.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROW: &str = r#"{"type":"EventLogEntry","id":7,"event_type":"A","meta":{"x":1.10}}"#;

    fn page(rows: &[&str]) -> String {
        let rows = rows.join(",");
        format!(r#"{{"results":{{"entities":[{rows}],"paging_info":{{"current_page":1}}}}}}"#)
    }
    /// Shows what a body is read as.
    fn shown(body: impl AsRef<[u8]>) -> String {
        match rows(body.as_ref()) {
            Ok(rows) => {
                let mark = if rows.lenient { " leniently" } else { "" };
                let event = |e: &Event| {
                    let kind = e.head.event_type.as_deref().unwrap_or("-");
                    let shown = if e.is_readable() { kind } else { "unreadable" };
                    format!("{} {shown}", e.id)
                };
                let events: Vec<_> = rows.events.iter().map(event).collect();
                format!("[{}]{mark}", events.join(", "))
            }
            Err(Fault::Garbled { cut, .. }) => format!("garbled, cut: {cut}"),
            Err(Fault::Strange(_)) => "strange".into(),
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn bodies_are_read_as_what_they_are() {
        let with = |row: &[u8]| [b"{\"results\":{\"entities\":[", row, b"]}}"].concat();
        for (body, wanted) in [
            (page(&[]).into_bytes(), "[]"),
            (
                page(&[ROW, r#"{"id":9,"event_type":null}"#]).into_bytes(),
                "[7 A, 9 -]",
            ),
            (format!("{{\"entities\":[{ROW}]}}").into_bytes(), "[7 A]"),
            (
                with(b"{\"id\":7,\"event_type\":\"a\xff\"}"),
                "[7 a\u{fffd}] leniently",
            ),
            (with(br#"{"id":7,"meta":NaN}"#), "[7 -] leniently"),
            (with(b"{\"id\":7,\"meta\":\"a\nb\"}"), "[7 -] leniently"),
            (
                with(br#"{"id":7,"event_type":"\ud800"}"#),
                "[7 \u{fffd}] leniently",
            ),
            (with(br#"{"id":7,"meta":"\ud800"}"#), "[7 -]"),
            (with(br#"{"id":7,"event_type":3}"#), "[7 unreadable]"),
            (with(br#"{"id":7,"id":8}"#), "garbled, cut: false"),
            (with(br#"{"event_type":"A"}"#), "garbled, cut: false"),
            (with(b"5"), "garbled, cut: false"),
            (with(br#"[7,"A"]"#), "garbled, cut: false"),
            (with(br#"{"id":7,"meta":"a" b"}"#), "garbled, cut: false"),
            (page(&[ROW]).as_bytes()[..60].to_vec(), "garbled, cut: true"),
            (b"".to_vec(), "Empty"),
            (b" \r\n".to_vec(), "Empty"),
            (b"\n<!DOCTYPE html><p>down".to_vec(), "Html"),
            (b"\xef\xbb\xbf<html>".to_vec(), "Html"),
            (b"null".to_vec(), "strange"),
            (b"[]".to_vec(), "strange"),
            (b"{}".to_vec(), "strange"),
            (br#"{"results":true}"#.to_vec(), "strange"),
            (br#"{"results":{"entities":{}}}"#.to_vec(), "strange"),
            (
                br#"{"exception":true,"error_code":102,"message":"no"}"#.to_vec(),
                r#"Exception { code: Some(102), message: "no" }"#,
            ),
            (
                br#"{"exception":true,"error_code":"x","message":[1]}"#.to_vec(),
                r#"Exception { code: None, message: "" }"#,
            ),
        ] {
            assert_eq!(shown(&body), wanted, "{}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn good_rows_keep_their_text_beside_a_damaged_one() {
        let body = page(&[ROW, r#"{"id":8,"meta":Infinity}"#]);
        let read = rows(body.as_bytes()).unwrap();
        assert!(read.lenient);
        assert_eq!(read.events[0].text(), ROW);
        assert_eq!(read.events[1].text(), r#"{"id":8,"meta":null}"#);
        let body = page(&["{\"id\":7,\n\"meta\":1}"]);
        assert_eq!(
            rows(body.as_bytes()).unwrap().events[0].text(),
            "{\"id\":7, \"meta\":1}"
        );
    }

    #[test]
    fn ids_are_read_from_rows_that_are_nothing_else() {
        assert_eq!(
            ids(page(&[r#"{"id":3}"#, ROW]).as_bytes()).unwrap(),
            [EventId(3), EventId(7)]
        );
        assert!(matches!(
            ids(page(&["{}"]).as_bytes()),
            Err(Fault::Strange(_))
        ));
    }

    proptest! {
        #[test]
        fn no_body_is_too_odd(cut in 0usize..200, at in 0usize..200, byte in any::<u8>()) {
            let mut body = page(&[ROW, ROW]).into_bytes();
            body.truncate(cut);
            if let Some(b) = body.get_mut(at) {
                *b = byte;
            }
            drop((rows(&body), ids(&body), value::<serde_json::Value>(&body)));
        }
        #[test]
        fn a_row_is_read_as_the_model_reads_it(kind in "\\PC{0,6}|[\n\r\t\u{1}]{1,2}", id in any::<u64>()) {
            let row = serde_json::json!({"id": id, "event_type": kind, "created_at": null}).to_string();
            let read = rows(page(&[&row]).as_bytes()).unwrap();
            let wanted = Event::parse(&row).unwrap();
            prop_assert!(!read.lenient);
            prop_assert_eq!(&read.events[0].head, &wanted.head);
            prop_assert_eq!(read.events[0].text(), wanted.text());
        }
    }
}
