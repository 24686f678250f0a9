//! Who is asking: scripts with keys, people with passwords, session tokens, sudo.
//!
//! Scripts are `ApiUser` rows (`firstname` is the name, `salted_password` the key, which
//! is never shown). Any password opens a person's account unless one was set
//! (`password_proxy`, never shown either).

use serde_json::Value;

use crate::{
    data::{Data, Row},
    link::Link,
    refusal::Refusal,
};

/// Who a write is made by.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// The person or script that stands in `user`.
    pub(crate) user: Link,
    /// The script that acts as somebody else.
    pub(crate) sudo: Option<Link>,
    /// What the client sent as `session_uuid`.
    pub(crate) session_uuid: Value,
    /// Whether its writes make event rows.
    pub(crate) logs: bool,
}

/// What a person's token starts with.
const TOKEN: &str = "sim-session-";

/// Finds out who sent a request.
pub(crate) fn authenticate(data: &Data, auth: &Value) -> Result<Actor, Refusal> {
    let text = |key: &str| auth.get(key).and_then(Value::as_str);
    let (user, logs, is_script) = if let Some(login) = text("user_login") {
        let person = person(data, login).filter(|row| {
            let set = row.text("password_proxy");
            let given = text("user_password").unwrap_or_default();
            !given.is_empty() && set.is_none_or(|set| set == given)
        });
        let row =
            person.ok_or_else(|| Refusal::auth(format!("Can't authenticate user '{login}'")))?;
        (Link::new("HumanUser", row.id), true, false)
    } else if let Some(name) = text("script_name") {
        let key = text("script_key").unwrap_or_default();
        let row = script(data, name)
            .filter(|row| row.text("salted_password") == Some(key))
            .ok_or_else(|| Refusal::auth(format!("Can't authenticate script '{name}'")))?;
        (Link::new("ApiUser", row.id), logs(row), true)
    } else if let Some(token) = text("session_token") {
        token_user(data, token)
            .ok_or_else(|| Refusal::auth("Session token is invalid or expired"))?
    } else {
        return Err(Refusal::auth("No credentials were given"));
    };
    let mut actor = Actor {
        user,
        sudo: None,
        session_uuid: auth.get("session_uuid").cloned().unwrap_or(Value::Null),
        logs,
    };
    if let Some(login) = text("sudo_as_login") {
        if !is_script {
            return Err(Refusal::forbidden(format!(
                "The user does not have permission to 'sudo': {login}"
            )));
        }
        let row = person(data, login).ok_or_else(|| {
            Refusal::auth(format!(
                "Cannot 'sudo' - unknown or retired user: '{login}'"
            ))
        })?;
        // A write on a person's behalf is always logged.
        actor.sudo = Some(std::mem::replace(
            &mut actor.user,
            Link::new("HumanUser", row.id),
        ));
        actor.logs = true;
    }
    Ok(actor)
}

/// Finds a person by login or a script by name, without credentials: for writes from
/// within the process.
pub(crate) fn named(data: &Data, who: &str) -> Result<Actor, Refusal> {
    let (user, logs) = if let Some(row) = person(data, who) {
        (Link::new("HumanUser", row.id), true)
    } else if let Some(row) = script(data, who) {
        (Link::new("ApiUser", row.id), logs(row))
    } else {
        return Err(Refusal::auth(format!("Nobody here is called '{who}'")));
    };
    Ok(Actor {
        user,
        sudo: None,
        session_uuid: Value::Null,
        logs,
    })
}

/// Makes the session token of whoever is asking.
pub(crate) fn session_token(actor: &Actor) -> String {
    format!("{TOKEN}{}-{}", actor.user.kind, actor.user.id)
}

fn token_user(data: &Data, token: &str) -> Option<(Link, bool, bool)> {
    let (kind, id) = token.strip_prefix(TOKEN)?.split_once('-')?;
    let id = id.parse().ok()?;
    let row = data
        .tables
        .row(kind, id)
        .filter(|row| row.retired.is_none())?;
    Some((
        Link::new(kind, id),
        kind != "ApiUser" || logs(row),
        kind == "ApiUser",
    ))
}

/// Returns the active script of this name.
pub(crate) fn script<'a>(data: &'a Data, name: &str) -> Option<&'a Row> {
    let named = |row: &&Row| row.text("firstname") == Some(name);
    data.tables.active("ApiUser").find(named)
}

fn person<'a>(data: &'a Data, login: &str) -> Option<&'a Row> {
    data.tables
        .active("HumanUser")
        .find(|row| row.text("login") == Some(login) && row.text("sg_status_list") != Some("dis"))
}

fn logs(script: &Row) -> bool {
    script.field("generate_event_log_entries") == &Value::Bool(true)
}
