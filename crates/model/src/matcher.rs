//! Which events a callback asked for: its `matchEvents`, normalised by the worker.
//!
//! The rules are those of the Python daemon to the letter (docs/plugins.md, "Which events"), its
//! oddities included: studios' plugins rely on them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The filter of one callback.
///
/// On the wire: a map from event type to rule, where the key `*` makes every other key
/// ignored and an empty map means every event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Matcher {
    rules: BTreeMap<String, AttributeRule>,
}

/// Which attributes of an event type are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeRule {
    /// Every event of the type, with or without an attribute. On the wire `{"any": true}`.
    Any(bool),
    /// Events whose attribute is one of these. None of them matches an event without one.
    Attrs(Vec<String>),
    /// The filter was a plain string: events whose attribute stands somewhere in it, so
    /// that `'sg_status_list'` also takes an attribute `status`.
    Substring(String),
}

impl Matcher {
    /// Makes a matcher of rules by event type.
    pub fn new(rules: impl IntoIterator<Item = (String, AttributeRule)>) -> Self {
        Self {
            rules: rules.into_iter().collect(),
        }
    }
    /// Makes the matcher that takes every event.
    pub fn everything() -> Self {
        Self::default()
    }
    /// Tells whether an event of this type and attribute is wanted.
    pub fn matches(&self, event_type: Option<&str>, attribute: Option<&str>) -> bool {
        if self.rules.is_empty() {
            return true;
        }
        let rule = match self.rules.get("*") {
            Some(rule) => Some(rule),
            None => event_type.and_then(|t| self.rules.get(t)),
        };
        rule.is_some_and(|rule| rule.takes(attribute))
    }
    /// Returns the rules, by event type.
    pub const fn rules(&self) -> &BTreeMap<String, AttributeRule> {
        &self.rules
    }
}

impl AttributeRule {
    fn takes(&self, attribute: Option<&str>) -> bool {
        let attribute = attribute.filter(|a| !a.is_empty());
        match self {
            Self::Any(any) => *any,
            Self::Attrs(list) if list.iter().any(|a| a == "*") => true,
            Self::Attrs(list) => attribute.is_some_and(|a| list.iter().any(|x| x == a)),
            Self::Substring(text) if text.contains('*') => true,
            Self::Substring(text) => attribute.is_some_and(|a| text.contains(a)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_follow_the_python_daemon() {
        let yes = [
            ("{}", "A", None),
            (r#"{"A":{"any":true}}"#, "A", None),
            (r#"{"A":{"attrs":["x","*"]}}"#, "A", None),
            (r#"{"A":{"attrs":["x"]}}"#, "A", Some("x")),
            (
                r#"{"A":{"substring":"sg_status_list"}}"#,
                "A",
                Some("status"),
            ),
            (r#"{"A":{"substring":"*"}}"#, "A", None),
            (r#"{"*":{"attrs":["x"]},"A":{"any":true}}"#, "B", Some("x")),
        ];
        let no = [
            (r#"{"A":{"any":true}}"#, "B", None),
            (r#"{"A":{"attrs":[]}}"#, "A", None),
            (r#"{"A":{"attrs":["x"]}}"#, "A", Some("")),
            (
                r#"{"A":{"substring":"status"}}"#,
                "A",
                Some("sg_status_list"),
            ),
            (r#"{"A":{"substring":"status"}}"#, "A", None),
            (r#"{"*":{"attrs":["x"]},"A":{"any":true}}"#, "A", None),
            (
                r#"{"Shotgun_*_Change":{"any":true}}"#,
                "Shotgun_Task_Change",
                None,
            ),
        ];
        for (cases, wanted) in [(&yes[..], true), (&no[..], false)] {
            for (filter, event_type, attribute) in cases {
                let matcher: Matcher = serde_json::from_str(filter).unwrap();
                assert_eq!(
                    matcher.matches(Some(event_type), *attribute),
                    wanted,
                    "{filter} {event_type} {attribute:?}"
                );
            }
        }
    }

    #[test]
    fn an_event_without_a_type_matches_only_what_takes_all() {
        assert!(Matcher::everything().matches(None, None));
        let star = Matcher::new([("*".into(), AttributeRule::Any(true))]);
        assert!(star.matches(None, None));
        let typed = Matcher::new([("A".into(), AttributeRule::Any(true))]);
        assert!(!typed.matches(None, None));
    }
}
