//! A configuration file as a tree whose every value knows its line.
//!
//! Both kinds of file become this tree, and flags are put into it, so that all of them are
//! read by the same rules. No `Debug` here: a tree may hold secrets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::{Diagnostic, Diagnostics, Origin};

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Located {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// A value, before anybody asked what it should be.
#[derive(Clone)]
pub(crate) enum Value {
    /// A quoted string.
    Text(String),
    /// A text whose type is the key's: from a flag or the environment.
    Loose(String),
    /// A path whose place is known already, and how it was written.
    Place {
        name: String,
        path: PathBuf,
    },
    Integer(i64),
    Boolean(bool),
    List(Vec<Located>),
    Table(Table),
    /// What no key takes: floats, dates.
    Other(String),
}

pub(crate) type Table = BTreeMap<String, Located>;

impl Value {
    /// Says what the value is, without what it says: for secrets.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Loose(_) | Self::Place { .. } => "a string",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(_) => "a number or date",
        }
    }
    /// Shows the value in an error.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Text(text) | Self::Loose(text) if text.chars().count() <= 60 => {
                format!("{text:?}")
            }
            Self::Text(_) | Self::Loose(_) => "a longer text".into(),
            Self::Place { name, .. } => format!("{name:?}"),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
            Self::Other(text) => text.clone(),
            Self::List(_) | Self::Table(_) => self.kind().into(),
        }
    }
}

/// Reads TOML. All syntax errors are told together.
pub(crate) fn from_toml(text: &str, path: &Path) -> Result<Table, Diagnostics> {
    let place = Place::new(text, path);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut wrong = Diagnostics::default();
    for error in errors {
        let origin = place.at(error.span().map_or(0, |span| span.start));
        // The parser may say more in further lines; the first is the fact.
        let message = error.message().lines().next().unwrap_or("not TOML");
        wrong.push(Diagnostic::new(&origin, "", message));
    }
    wrong.or(place.table(table.into_inner()))
}

/// Turns byte offsets of a text into lines.
struct Place {
    path: Arc<Path>,
    /// Where each line starts.
    starts: Vec<usize>,
}

impl Place {
    fn new(text: &str, path: &Path) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        Self {
            path: path.into(),
            starts: std::iter::once(0)
                .chain(breaks.map(|(at, _)| at + 1))
                .collect(),
        }
    }
    fn at(&self, offset: usize) -> Origin {
        let line = self.starts.partition_point(|start| *start <= offset);
        Origin::File {
            path: Arc::clone(&self.path),
            line: u32::try_from(line).ok(),
        }
    }
    fn table(&self, table: DeTable<'_>) -> Table {
        let entry = |(key, value): (toml::Spanned<_>, toml::Spanned<_>)| {
            // The key's line is where a person looks; a value may begin elsewhere.
            let origin = self.at(key.span().start);
            let key: std::borrow::Cow<'_, str> = key.into_inner();
            (key.into_owned(), self.value(value.into_inner(), origin))
        };
        table.into_iter().map(entry).collect()
    }
    fn value(&self, value: DeValue<'_>, origin: Origin) -> Located {
        let value = match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Value::Other(number.to_string()), Value::Integer),
            DeValue::Float(number) => Value::Other(number.to_string()),
            DeValue::Boolean(flag) => Value::Boolean(flag),
            DeValue::Datetime(date) => Value::Other(date.to_string()),
            DeValue::Array(list) => Value::List(
                list.into_iter()
                    .map(|one| {
                        let origin = self.at(one.span().start);
                        self.value(one.into_inner(), origin)
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Located { value, origin }
    }
}
