//! What kinds of values keys take, and how each is read.
//!
//! Every reader says in its error what is accepted. `Loose` texts come from flags and the
//! environment, where everything is a text.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::choice::Choice;
use crate::section::{Wrong, nearest};
use crate::units::{parse_duration, parse_mode, parse_size, show_duration};
use crate::value::{Located, Value};

/// What every reader returns.
pub(crate) type Read<T> = Result<T, Wrong>;

/// Returns the text of a value that is one.
const fn as_text(located: &Located) -> Option<&String> {
    match &located.value {
        Value::Text(text) | Value::Loose(text) => Some(text),
        _ => None,
    }
}

/// A string.
pub(crate) fn text(located: &Located, _: &Path) -> Read<String> {
    as_text(located)
        .cloned()
        .ok_or_else(|| Wrong::takes("a string", located))
}

/// A string that is not empty.
pub(crate) fn some_text(located: &Located, base: &Path) -> Read<String> {
    match text(located, base)? {
        text if text.trim().is_empty() => Err(Wrong::new("must not be empty")),
        text => Ok(text),
    }
}

/// A string, where the empty one means off.
pub(crate) fn text_or_off(located: &Located, base: &Path) -> Read<Option<String>> {
    Ok(Some(text(located, base)?).filter(|text| !text.is_empty()))
}

/// `true` or `false`.
pub(crate) fn flag(located: &Located, _: &Path) -> Read<bool> {
    let flag = match &located.value {
        Value::Boolean(flag) => Some(*flag),
        Value::Loose(text) => match text.to_ascii_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Some(true),
            "0" | "no" | "false" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    };
    flag.ok_or_else(|| Wrong::takes("true or false", located))
}

/// A whole number within bounds.
pub(crate) fn number<T: TryFrom<i64>>(
    range: RangeInclusive<i64>,
) -> impl Fn(&Located, &Path) -> Read<T> {
    move |located, _| {
        let number = match &located.value {
            Value::Integer(number) => Some(*number),
            Value::Loose(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| {
                let (least, most) = (range.start(), range.end());
                let accepted = match *most {
                    i64::MAX => format!("a whole number from {least}"),
                    _ => format!("a whole number from {least} to {most}"),
                };
                Wrong::takes(&accepted, located)
            })
    }
}

/// A duration within bounds.
pub(crate) fn duration(
    range: RangeInclusive<Duration>,
) -> impl Fn(&Located, &Path) -> Read<Duration> {
    move |located, _| {
        let duration = as_text(located)
            .and_then(|text| parse_duration(text))
            .ok_or_else(|| {
                let wrong = Wrong::takes("a duration such as \"2s\", \"15m\" or \"1h\"", located);
                match &located.value {
                    Value::Integer(number) => wrong.hint(format!("with its unit: \"{number}s\"?")),
                    _ => wrong,
                }
            })?;
        if range.contains(&duration) {
            return Ok(duration);
        }
        let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
        let accepted = format!("a duration from {least} to {most}");
        Err(Wrong::takes(&accepted, located))
    }
}

/// A duration, where the empty string means off.
pub(crate) fn duration_or_off(
    range: RangeInclusive<Duration>,
) -> impl Fn(&Located, &Path) -> Read<Option<Duration>> {
    let read = duration(range);
    move |located, base| match as_text(located) {
        Some(text) if text.is_empty() => Ok(None),
        _ => read(located, base).map(Some),
    }
}

/// A size in bytes, where the empty string means off.
pub(crate) fn size_or_off(located: &Located, _: &Path) -> Read<Option<u64>> {
    match as_text(located) {
        Some(text) if text.is_empty() => Ok(None),
        text => text
            .and_then(|text| parse_size(text))
            .map(Some)
            .ok_or_else(|| Wrong::takes("a size such as \"20GB\" or \"512MiB\"", located)),
    }
}

/// The least memory that a worker runs in.
const LEAST_MEMORY: u64 = 64_000_000;

/// A limit of memory, where the empty string means none.
pub(crate) fn memory_or_off(located: &Located, path: &Path) -> Read<Option<u64>> {
    match size_or_off(located, path)? {
        Some(size) if size < LEAST_MEMORY => Err(Wrong::takes("64 MB at least, or \"\"", located)),
        limit => Ok(limit),
    }
}

/// A file mode in octal, where the empty string means unset.
pub(crate) fn mode_or_unset(located: &Located, _: &Path) -> Read<Option<u32>> {
    match as_text(located) {
        Some(text) if text.is_empty() => Ok(None),
        text => text
            .and_then(|text| parse_mode(text))
            .map(Some)
            .ok_or_else(|| Wrong::takes("an octal mode as a string, such as \"022\"", located)),
    }
}

/// One of a few words.
pub(crate) fn choice<T: Choice>(located: &Located, _: &Path) -> Read<T> {
    let word = as_text(located);
    if let Some((_, value)) = T::WORDS
        .iter()
        .find(|(w, _)| Some(*w) == word.map(String::as_str))
    {
        return Ok(*value);
    }
    let words: Vec<_> = T::WORDS
        .iter()
        .map(|(word, _)| format!("{word:?}"))
        .collect();
    let wrong = Wrong::takes(&words.join(" or "), located);
    let near = word.and_then(|word| nearest(word, T::WORDS.iter().map(|(word, _)| *word)));
    Err(match near {
        Some(near) => wrong.hint(format!("did you mean {near:?}?")),
        None => wrong,
    })
}

/// A path; a relative one in a file is relative to the file's folder.
pub(crate) fn path(located: &Located, base: &Path) -> Read<PathBuf> {
    if let Value::Place { path, .. } = &located.value {
        return Ok(path.clone());
    }
    match as_text(located) {
        Some(text) if text.is_empty() => Err(Wrong::new("must not be empty")),
        Some(text) if text == "~" || text.starts_with("~/") => {
            Err(Wrong::takes("a path without `~`", located).hint("write the whole path"))
        }
        Some(text) if located.origin.is_file() => Ok(resolve(base, text)),
        Some(text) => Ok(PathBuf::from(text)),
        None => Err(Wrong::takes("a path as a string", located)),
    }
}

/// A path, where the empty string means unset.
pub(crate) fn path_or_unset(located: &Located, base: &Path) -> Read<Option<PathBuf>> {
    match as_text(located) {
        Some(text) if text.is_empty() => Ok(None),
        _ => path(located, base).map(Some),
    }
}

/// A program: a bare name is looked for on PATH, anything with a slash is a path.
pub(crate) fn program_or_unset(located: &Located, base: &Path) -> Read<Option<PathBuf>> {
    match as_text(located) {
        Some(text) if !text.is_empty() && !text.contains(['/', '\\']) && text != "~" => {
            Ok(Some(text.into()))
        }
        _ => path_or_unset(located, base),
    }
}

/// Joins a path to the folder it is relative to, without `.` in between.
pub(crate) fn resolve(base: &Path, text: &str) -> PathBuf {
    base.join(text).components().collect()
}

/// Goes through a list; a loose text is split at commas.
pub(crate) fn elements(located: &Located) -> Read<Vec<Located>> {
    match &located.value {
        Value::List(list) => Ok(list.clone()),
        Value::Loose(text) => Ok(text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| Located {
                value: Value::Loose(part.into()),
                origin: located.origin.clone(),
            })
            .collect()),
        _ => Err(Wrong::takes("a list such as [\"a\", \"b\"]", located)),
    }
}

/// A list of what `read` reads.
pub(crate) fn list<T>(
    read: impl Fn(&Located, &Path) -> Read<T>,
) -> impl Fn(&Located, &Path) -> Read<Vec<T>> {
    move |located, base| {
        let one = |located: &Located| {
            read(located, base).map_err(|mut wrong| {
                wrong.message = format!("holds an element that {}", wrong.message);
                wrong.origin.get_or_insert_with(|| located.origin.clone());
                wrong
            })
        };
        elements(located)?.iter().map(one).collect()
    }
}

/// Environment variables; the values of earlier sections stay where the new one is silent.
pub(crate) fn variables(
    before: &BTreeMap<String, String>,
) -> impl FnOnce(&Located, &Path) -> Read<BTreeMap<String, String>> {
    let mut all = before.clone();
    move |located, _| {
        let Value::Table(table) = &located.value else {
            return Err(Wrong::takes_secret("a table of strings", located));
        };
        for (name, located) in table {
            // A variable may hold a token, so its value is not shown.
            let Value::Text(value) = &located.value else {
                let mut wrong = Wrong::takes_secret("a table of strings", located);
                wrong.origin = Some(located.origin.clone());
                return Err(wrong);
            };
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let mut wrong = Wrong::new("holds a name or value no variable can have");
                wrong.origin = Some(located.origin.clone());
                return Err(wrong);
            }
            all.insert(name.clone(), value.clone());
        }
        Ok(all)
    }
}

/// An address to listen at, where the empty string means off.
pub(crate) fn listen_or_off(located: &Located, _: &Path) -> Read<Option<SocketAddr>> {
    let Some(text) = as_text(located) else {
        return Err(Wrong::takes(
            "an address such as \"127.0.0.1:8033\"",
            located,
        ));
    };
    if text.is_empty() {
        return Ok(None);
    }
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse()
        .map(Some)
        .map_err(|_| Wrong::takes("an address such as \"127.0.0.1:8033\"", located))
}
