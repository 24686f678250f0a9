//! What the site answers when it does not do what it was asked: the api3 exception, sent
//! with HTTP status 200.
//!
//! Texts quoted in public material are used word for word; the rest is our own wording
//! in the same style, since no list of the site's texts is public.

use serde_json::{Value, json};

/// An application error of the site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct Refusal {
    /// 102 authentication, 103 bad parameters, 104 refused by permission.
    pub code: u16,
    /// The text the official client raises.
    pub message: String,
}

impl Refusal {
    /// The caller is not who it says.
    pub(crate) fn auth(message: impl Into<String>) -> Self {
        Self::new(102, message)
    }
    /// The request makes no sense.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(103, message)
    }
    /// The request is understood and not allowed.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(104, message)
    }
    fn new(code: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
    /// An entity type the schema does not have.
    pub(crate) fn no_type(method: &str, kind: &str) -> Self {
        Self::bad(format!(
            "API {method}() entity type '{kind}' doesn't exist."
        ))
    }
    /// A field the entity type does not have.
    pub(crate) fn no_field(method: &str, kind: &str, field: &str) -> Self {
        Self::bad(format!("API {method}() {kind}.{field} doesn't exist."))
    }
    /// An id that no row has.
    pub(crate) fn no_row(method: &str, kind: &str, id: u64) -> Self {
        Self::bad(format!(
            "API {method}() {kind} with id={id} does not exist."
        ))
    }
    /// An argument that is missing or of the wrong kind.
    pub(crate) fn argument(method: &str, what: &str) -> Self {
        Self::bad(format!("API {method}() invalid/missing {what}"))
    }
    /// The body of the answer.
    pub(crate) fn envelope(&self) -> Value {
        json!({"exception": true, "error_code": self.code, "message": self.message})
    }
}
