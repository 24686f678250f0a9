//! Reads of the event log, as values, and how api3 spells them.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use slated_model::EventId;

/// The fields a row is read with: those the Python daemon reads. Not `description` and
/// `cached_display_name`, which may be long and which no callback was ever given.
pub const FIELDS: [&str; 9] = [
    "id",
    "event_type",
    "attribute_name",
    "meta",
    "entity",
    "user",
    "project",
    "session_uuid",
    "created_at",
];

/// The fields of a row that decisions read.
pub(crate) const HEAD: [&str; 4] = ["id", "event_type", "attribute_name", "created_at"];

/// One read of the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The row with the highest id; none if the log is empty.
    Newest,
    /// The first `limit` rows in ascending order of those whose id is at least `least` and is
    /// one of `ids` or in one of `ranges`. A range without an end is `id >= start`.
    Ranges {
        /// No row below is wanted: it keeps the site's index scan short.
        least: EventId,
        /// First and last id; no last one for the newest rows. Whether the site's `between`
        /// includes its ends is not known, so ask one id wider.
        ranges: Vec<(EventId, Option<EventId>)>,
        /// Single ids.
        ids: Vec<EventId>,
        /// How many rows at most. Not above what the site allows ([`crate::Info::page`]).
        limit: usize,
    },
    /// The rows with these ids, as far as they exist, in ascending order.
    Ids(Vec<EventId>),
    /// The row with the lowest id of those made after a moment, as api3 writes dates.
    FirstAfter(String),
}

impl Query {
    /// Tells whether no row can answer it.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Newest | Self::FirstAfter(_) => false,
            Self::Ranges {
                ranges, ids, limit, ..
            } => (ranges.is_empty() && ids.is_empty()) || *limit == 0,
            Self::Ids(ids) => ids.is_empty(),
        }
    }
    /// Tells whether an answer may hold a row with this id.
    pub(crate) fn asks_for(&self, id: EventId) -> bool {
        match self {
            Self::Newest | Self::FirstAfter(_) => true,
            Self::Ids(ids) => ids.contains(&id),
            Self::Ranges {
                least, ranges, ids, ..
            } => {
                // The head stands last, and most rows are of the head.
                let mut ranges = ranges.iter().rev();
                let in_range = ranges.any(|(lo, hi)| *lo <= id && hi.is_none_or(|hi| id <= hi));
                id >= *least && (in_range || ids.contains(&id))
            }
        }
    }
    /// Returns how many rows an answer holds at most.
    pub(crate) fn limit(&self) -> usize {
        match self {
            Self::Newest | Self::FirstAfter(_) => 1,
            Self::Ranges { limit, .. } => *limit,
            Self::Ids(ids) => ids.len(),
        }
    }
    /// Returns the lowest id an answer may hold.
    pub(crate) fn least(&self) -> EventId {
        match self {
            Self::Newest | Self::FirstAfter(_) => EventId(1),
            Self::Ranges { least, .. } => *least,
            Self::Ids(ids) => ids.iter().min().copied().unwrap_or_default(),
        }
    }
    /// Returns the arguments of api3's `read`.
    pub(crate) fn arguments(&self, fields: &[&str]) -> Value {
        let newest_first = matches!(self, Self::Newest);
        arguments(fields, &self.conditions(), self.limit(), newest_first)
    }
    fn conditions(&self) -> Vec<Value> {
        match self {
            Self::Newest => Vec::new(),
            Self::FirstAfter(moment) => {
                vec![json!({"path": "created_at", "relation": "greater_than", "values": [moment]})]
            }
            Self::Ids(ids) => one_of(ids).into_iter().collect(),
            Self::Ranges {
                least, ranges, ids, ..
            } => {
                let mut any: Vec<_> = ranges
                    .iter()
                    .map(|(lo, hi)| match hi {
                        Some(hi) => id("between", &[*lo, *hi]),
                        None => at_least(*lo),
                    })
                    .collect();
                any.extend(one_of(ids));
                // The plain poll of a quiet site is the one the Python daemon sends.
                if ids.is_empty() && *ranges == [(*least, None)] {
                    return any;
                }
                let any = match any.len() {
                    1 => any.remove(0),
                    _ => json!({"logical_operator": "or", "conditions": any}),
                };
                vec![at_least(*least), any]
            }
        }
    }
}

/// The rows of a query within bounds of ids, ascending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) query: &'a Query,
    /// The first id.
    pub(crate) least: EventId,
    /// The last id; none where it is open.
    pub(crate) most: Option<EventId>,
    pub(crate) limit: usize,
}

impl Window<'_> {
    /// Tells whether an answer may hold a row with this id.
    pub(crate) fn asks_for(&self, id: EventId) -> bool {
        let inside = id >= self.least && self.most.is_none_or(|most| id <= most);
        inside && self.query.asks_for(id)
    }
    /// Returns the arguments of api3's `read`. The bounds are told by relations whose meaning
    /// at their ends is sure.
    pub(crate) fn arguments(&self, fields: &[&str]) -> Value {
        let mut conditions = vec![at_least(self.least)];
        conditions.extend(self.most.map(|most| id("less_than", &[most.next()])));
        conditions.extend(self.query.conditions());
        arguments(fields, &conditions, self.limit, false)
    }
}

fn arguments(fields: &[&str], conditions: &[Value], limit: usize, newest_first: bool) -> Value {
    let direction = if newest_first { "desc" } else { "asc" };
    json!({
        "type": "EventLogEntry",
        "return_fields": fields,
        "filters": {"logical_operator": "and", "conditions": conditions},
        "return_only": "active",
        "paging": {"entities_per_page": limit, "current_page": 1},
        "sorts": [{"field_name": "id", "direction": direction}],
        "api_return_image_urls": true,
        "return_paging_info_without_counts": false,
    })
}

/// Builds the body of a call. The key goes into it and nowhere else.
pub(crate) fn call(
    method: &str,
    login: Option<(&str, &SecretString)>,
    arguments: &Value,
) -> Vec<u8> {
    let mut params = Vec::new();
    if let Some((script, key)) = login {
        params.push(json!({"script_name": script, "script_key": key.expose_secret()}));
    }
    if !arguments.is_null() {
        params.push(arguments.clone());
    }
    json!({"method_name": method, "params": params})
        .to_string()
        .into_bytes()
}

fn id(relation: &str, values: &[EventId]) -> Value {
    json!({"path": "id", "relation": relation, "values": values})
}

/// api3 has no "greater or equal".
fn at_least(least: EventId) -> Value {
    id("greater_than", &[least.prev()])
}

fn one_of(ids: &[EventId]) -> Option<Value> {
    match ids {
        [] => None,
        [_] => Some(id("is", ids)),
        _ => Some(id("in", ids)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(query: &Query) -> Value {
        query.arguments(&FIELDS)["filters"]["conditions"].clone()
    }
    fn ranges(least: u64, ranges: &[(u64, Option<u64>)], ids: &[u64]) -> Query {
        Query::Ranges {
            least: EventId(least),
            ranges: ranges
                .iter()
                .map(|(a, b)| (EventId(*a), b.map(EventId)))
                .collect(),
            ids: ids.iter().copied().map(EventId).collect(),
            limit: 500,
        }
    }

    #[test]
    fn a_quiet_poll_is_the_one_the_python_daemon_sends() {
        let body = call(
            "read",
            Some(("s", &"K".into())),
            &ranges(100, &[(100, None)], &[]).arguments(&FIELDS),
        );
        let wanted = json!({"method_name":"read","params":[{"script_name":"s","script_key":"K"},
            {"type":"EventLogEntry",
             "return_fields":["id","event_type","attribute_name","meta","entity","user","project","session_uuid","created_at"],
             "filters":{"logical_operator":"and","conditions":[{"path":"id","relation":"greater_than","values":[99]}]},
             "return_only":"active",
             "paging":{"entities_per_page":500,"current_page":1},
             "sorts":[{"field_name":"id","direction":"asc"}],
             "api_return_image_urls":true,
             "return_paging_info_without_counts":false}]});
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), wanted);
    }

    #[test]
    fn holes_ride_along_above_a_lower_bound() {
        assert_eq!(
            conditions(&ranges(7, &[(9, Some(20)), (100, None)], &[7, 30])),
            json!([
                {"path":"id","relation":"greater_than","values":[6]},
                {"logical_operator":"or","conditions":[
                    {"path":"id","relation":"between","values":[9,20]},
                    {"path":"id","relation":"greater_than","values":[99]},
                    {"path":"id","relation":"in","values":[7,30]},
                ]},
            ])
        );
        assert_eq!(
            conditions(&ranges(7, &[], &[7])),
            json!([
                {"path":"id","relation":"greater_than","values":[6]},
                {"path":"id","relation":"is","values":[7]},
            ])
        );
    }

    #[test]
    fn the_newest_row_is_the_first_from_above() {
        let asked = Query::Newest.arguments(&["id"]);
        assert_eq!(asked["sorts"][0]["direction"], "desc");
        assert_eq!(asked["paging"]["entities_per_page"], 1);
        assert_eq!(asked["filters"]["conditions"], json!([]));
    }

    #[test]
    fn a_call_without_login_or_arguments_leaves_them_out() {
        let body = String::from_utf8(call("info", None, &Value::Null)).unwrap();
        assert_eq!(body, r#"{"method_name":"info","params":[]}"#);
    }
}
