//! Links between entities, as they are kept: type and id, never a name. Names are looked
//! up when a row is read.

use serde_json::{Value, json};

/// An entity, named by type and id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Link {
    pub(crate) kind: String,
    pub(crate) id: u64,
}

impl Link {
    pub(crate) fn new(kind: &str, id: u64) -> Self {
        Self {
            kind: kind.to_owned(),
            id,
        }
    }
    /// Reads a link from its JSON form, whatever else stands there.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        target(value).map(|(kind, id)| Self::new(kind, id))
    }
    /// The form that is kept in a field.
    pub(crate) fn value(&self) -> Value {
        json!({"type": self.kind, "id": self.id})
    }
    /// Tells whether a JSON value is this link.
    pub(crate) fn is(&self, value: &Value) -> bool {
        target(value) == Some((self.kind.as_str(), self.id))
    }
}

/// Returns type and id of a link in JSON form.
pub(crate) fn target(value: &Value) -> Option<(&str, u64)> {
    Some((value.get("type")?.as_str()?, value.get("id")?.as_u64()?))
}
