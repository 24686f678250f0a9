//! The methods of api3, from a parsed request to its answer. No HTTP here.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{
    access::{Actor, authenticate, session_token},
    clock::Moment,
    faults::Asked,
    link::Link,
    read::{Query, summarize},
    refusal::Refusal,
    schema::{FieldEdit, edit_field, entities_answer, field_answer, fields_answer, new_field},
    state::State,
    view::{EVENT, View},
    write::{FieldWrite, Writer},
};

/// Methods that change something.
const WRITES: [&str; 10] = [
    "create",
    "update",
    "delete",
    "revive",
    "batch",
    "follow",
    "unfollow",
    "schema_field_create",
    "schema_field_update",
    "schema_field_delete",
];

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    auth: Value,
    args: Value,
}

impl Request {
    /// Reads `{"method_name", "params": [auth, args]}`; `args` may be missing.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad(format!("the request is not JSON: {error}")))?;
        let method = value.get("method_name").and_then(Value::as_str);
        let method = method.ok_or_else(|| Refusal::bad("the request has no 'method_name'"))?;
        let param = |index: usize| value.get("params").and_then(|p| p.get(index)).cloned();
        Ok(Self {
            method: method.to_owned(),
            auth: param(0).unwrap_or(Value::Null),
            args: param(1).unwrap_or(Value::Null),
        })
    }
    /// Returns what faults decide by.
    pub(crate) fn asked(&self) -> Asked<'_> {
        let name = |key: &str| self.auth.get(key).and_then(Value::as_str);
        Asked {
            event_read: self.is_event_read(),
            writes: WRITES.contains(&self.method.as_str()),
            who: name("script_name")
                .or_else(|| name("user_login"))
                .unwrap_or_default(),
        }
    }
    /// Tells whether event log entries are read.
    pub(crate) fn is_event_read(&self) -> bool {
        self.method == "read" && self.args.get("type").and_then(Value::as_str) == Some(EVENT)
    }
}

/// Answers a request with a body, be it a result or an exception.
pub(crate) fn answer(state: &mut State, now: Moment, request: &Request) -> Vec<u8> {
    let event_read = request.is_event_read();
    let mut body = Vec::new();
    match run(state, now, request, &mut body) {
        Ok(()) => {
            if event_read {
                state.faults.last_event_page = Some(body.clone());
            }
            body
        }
        Err(refusal) => refusal.envelope().to_string().into_bytes(),
    }
}

fn run(
    state: &mut State,
    now: Moment,
    request: &Request,
    body: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let args = &request.args;
    if request.method == "info" {
        body.extend_from_slice(info(state).to_string().as_bytes());
        return Ok(());
    }
    let actor = authenticate(&state.data, &request.auth)?;
    body.extend_from_slice(b"{\"results\":");
    if request.method == "read" {
        let query = Query::parse(&state.data.schema, "read", args, state.largest_page)?;
        let view = state.view(now);
        let found = query.run(view);
        query
            .write(view, &found, &state.spoilt, body)
            .map_err(|error| Refusal::bad(format!("the answer cannot be written: {error}")))?;
    } else {
        let open = request.auth.get("sim_transaction").and_then(Value::as_u64);
        let result = dispatch(state, now, &actor, open, (&request.method, args))?;
        body.extend_from_slice(result.to_string().as_bytes());
    }
    body.push(b'}');
    Ok(())
}

/// Answers every method but `info` and `read`.
fn dispatch(
    state: &mut State,
    now: Moment,
    actor: &Actor,
    open: Option<u64>,
    (method, args): (&str, &Value),
) -> Result<Value, Refusal> {
    let schema = Arc::clone(&state.data.schema);
    match method {
        "create" | "update" | "delete" | "revive" => {
            let done = state.write(actor, open, now, |writer| one(writer, method, args))?;
            Ok(shown(state.view(now), done))
        }
        "batch" => {
            let requests = args
                .as_array()
                .ok_or_else(|| Refusal::argument("batch", "array of requests"))?;
            let all = state.write(actor, open, now, |writer| {
                requests
                    .iter()
                    .map(|request| {
                        let kind = request.get("request_type").and_then(Value::as_str);
                        match kind {
                            Some(kind @ ("create" | "update" | "delete")) => {
                                one(writer, kind, request)
                            }
                            _ => Err(Refusal::argument("batch", "'request_type'")),
                        }
                    })
                    .collect::<Result<Vec<Done>, Refusal>>()
            })?;
            let view = state.view(now);
            Ok(all.into_iter().map(|done| shown(view, done)).collect())
        }
        "summarize" => summarize(state.view(now), args),
        "schema_read" => Ok(fields_answer(&schema)),
        "schema_entity_read" => Ok(entities_answer(&schema)),
        "schema_field_read" => {
            let name = args.get("field_name").and_then(Value::as_str);
            field_answer(&schema, text(method, args, "type")?, name)
        }
        "schema_field_create" | "schema_field_update" | "schema_field_delete" => {
            change_schema(state, method, args)
        }
        "follow" | "unfollow" | "followers" | "following" => follows(state, now, method, args),
        "get_session_token" => Ok(json!({"session_id": session_token(actor)})),
        other => Err(Refusal::bad(format!("API {other}() is not simulated"))),
    }
}

fn info(state: &State) -> Value {
    json!({
        "version": [8, 89, 0],
        "full_version": [8, 89, 0, 9724],
        "api_max_entities_per_page": state.largest_page,
        "s3_uploads_enabled": false,
        "s3_direct_uploads_enabled": false,
        "s3_enabled_upload_types": {},
        "user_authentication_method": "default",
        "totango_site_id": "0",
        "totango_site_name": "simulator",
    })
}

/// What one write did.
enum Done {
    /// This row was written; these of its fields go into the answer.
    Row(Link, Vec<String>),
    Flag(bool),
}

fn one(writer: &mut Writer<'_>, method: &str, args: &Value) -> Result<Done, Refusal> {
    let kind = text(method, args, "type")?;
    let id = || {
        let id = args.get("id").and_then(Value::as_u64);
        id.ok_or_else(|| Refusal::argument(method, "integer 'id'"))
    };
    let writes = || FieldWrite::parse_all(method, args.get("fields"));
    let names = |writes: &[FieldWrite]| -> Vec<String> {
        let also = args.get("return_fields").and_then(Value::as_array);
        let also = also.into_iter().flatten().filter_map(Value::as_str);
        let sent = writes.iter().map(|write| write.name.clone());
        sent.chain(also.map(ToOwned::to_owned)).collect()
    };
    match method {
        "create" => {
            let writes = writes()?;
            let names = names(&writes);
            let id = writer.create(kind, writes)?;
            Ok(Done::Row(Link::new(kind, id), names))
        }
        "update" => {
            let (id, writes) = (id()?, writes()?);
            let names = names(&writes);
            writer.update(kind, id, writes)?;
            Ok(Done::Row(Link::new(kind, id), names))
        }
        "delete" => writer.retire(kind, id()?).map(Done::Flag),
        _ => writer.revive(kind, id()?).map(Done::Flag),
    }
}

/// Returns the answer to a write: the fields that were sent, as they read now.
fn shown(view: View<'_>, done: Done) -> Value {
    let (link, names) = match done {
        Done::Flag(flag) => return flag.into(),
        Done::Row(link, names) => (link, names),
    };
    let mut row = json!({"type": link.kind, "id": link.id});
    if let (Some(record), Some(row)) = (view.written(&link.kind, link.id), row.as_object_mut()) {
        for name in names {
            if name != "type" && view.data.schema.field(&link.kind, &name).is_some() {
                let value = view.shown(record, &name).into_owned();
                row.insert(name, value);
            }
        }
    }
    row
}

fn change_schema(state: &mut State, method: &str, args: &Value) -> Result<Value, Refusal> {
    let kind = text(method, args, "type")?;
    let properties: BTreeMap<String, Value> = args
        .get("properties")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|property| {
            let name = property.get("property_name")?.as_str()?;
            Some((name.to_owned(), property.get("value")?.clone()))
        })
        .collect();
    let schema = Arc::make_mut(&mut state.data.schema);
    if method == "schema_field_create" {
        let data_type = args.get("data_type").unwrap_or(&Value::Null);
        return new_field(schema, kind, data_type, properties).map(Value::from);
    }
    let edit = if method == "schema_field_delete" {
        FieldEdit::Delete
    } else {
        FieldEdit::Properties(properties)
    };
    edit_field(schema, kind, text(method, args, "field_name")?, edit)?;
    Ok(true.into())
}

fn follows(state: &mut State, now: Moment, method: &str, args: &Value) -> Result<Value, Refusal> {
    let link = |key: &str| -> Result<Link, Refusal> {
        let link = args.get(key).and_then(Link::of);
        link.filter(|link| state.data.tables.is_active(&link.kind, link.id))
            .ok_or_else(|| Refusal::argument(method, &format!("'{key}'")))
    };
    match method {
        "follow" => {
            let (user, entity) = (link("user")?, link("entity")?);
            state.data.follows.insert((user, entity));
            Ok(json!({"followed": true, "user": args["user"], "entity": args["entity"]}))
        }
        "unfollow" => {
            let gone = state.data.follows.remove(&(link("user")?, link("entity")?));
            Ok(json!({"unfollowed": gone, "user": args["user"], "entity": args["entity"]}))
        }
        "followers" => {
            let entity = link("entity")?;
            let view = state.view(now);
            let users = state
                .data
                .follows
                .iter()
                .filter(|(_, followed)| *followed == entity);
            Ok(users.map(|(user, _)| view.resolve(&user.value())).collect())
        }
        _ => {
            let user = link("user")?;
            let view = state.view(now);
            let kind = args.get("entity_type").and_then(Value::as_str);
            let mine = state.data.follows.iter().filter(|(follower, followed)| {
                *follower == user && kind.is_none_or(|kind| kind == followed.kind)
            });
            Ok(mine
                .map(|(_, followed)| view.resolve(&followed.value()))
                .collect())
        }
    }
}

fn text<'a>(method: &str, args: &'a Value, key: &str) -> Result<&'a str, Refusal> {
    args.get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::argument(method, &format!("string '{key}'")))
}
