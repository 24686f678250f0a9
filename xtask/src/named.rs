//! The tests that a document names are there.
//!
//! A name in backquotes is looked for where it is a path (`host/tests/filters`), the name of a test, or its
//! beginning (`compat_1_1_…`). Other words in backquotes are not judged.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::tidy::walk;

/// Documents that name tests.
const DOCUMENTS: [&str; 1] = ["docs/compatibility.md"];

/// Where tests are, and what paths in those documents begin with.
const PLACES: [&str; 2] = ["crates", "python"];

/// From how many words on a name can only be that of a test.
const LONG: usize = 4;

/// Returns what is named and not there, one line each.
pub(crate) fn missing(root: &Path) -> Result<Vec<String>> {
    let functions = functions(root)?;
    let mut faults = Vec::new();
    for document in DOCUMENTS {
        let path = root.join(document);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {document}"))?;
        let is_there = |place: &str| PLACES.iter().any(|top| root.join(top).join(place).exists());
        judge(document, &text, &functions, is_there, &mut faults);
    }
    Ok(faults)
}

fn judge(
    document: &str,
    text: &str,
    functions: &BTreeSet<String>,
    is_there: impl Fn(&str) -> bool,
    faults: &mut Vec<String>,
) {
    for (n, line) in text.lines().enumerate() {
        for name in line.split('`').skip(1).step_by(2) {
            let found = match Named::read(name) {
                Some(Named::Path) => is_there(name),
                Some(Named::Test) => functions.contains(name),
                Some(Named::Beginning(part)) => functions
                    .range(part.to_owned()..)
                    .next()
                    .is_some_and(|next| next.starts_with(part)),
                None => true,
            };
            if !found {
                faults.push(format!("{document}:{}: no test `{name}`", n + 1));
            }
        }
    }
}

/// What a word in backquotes names.
enum Named<'a> {
    Path,
    Test,
    Beginning(&'a str),
}

impl<'a> Named<'a> {
    fn read(word: &'a str) -> Option<Self> {
        let is_name = |text: &str| {
            let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            text.contains('_') && text.chars().all(of_name)
        };
        if !word.starts_with(|c: char| c.is_ascii_lowercase()) {
            return None;
        }
        if let Some(part) = word.strip_suffix('…') {
            return is_name(part).then_some(Self::Beginning(part));
        }
        let path = word
            .strip_suffix(".py")
            .or_else(|| word.split_once('/').map(|two| two.1));
        if path.is_some_and(|rest| !rest.is_empty() && !rest.contains(' ')) {
            return Some(Self::Path);
        }
        let is_test = word.starts_with("test_") || word.split('_').count() >= LONG;
        (is_name(word) && is_test).then_some(Self::Test)
    }
}

/// Returns the names of all functions.
fn functions(root: &Path) -> Result<BTreeSet<String>> {
    let mut paths = Vec::new();
    for place in PLACES {
        walk(&root.join(place), &mut paths)?;
    }
    paths.retain(|path| path.extension().is_some_and(|e| e == "rs" || e == "py"));
    let mut names = BTreeSet::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap_or_default();
        for line in text.lines() {
            let after = line.split_once("fn ").or_else(|| line.split_once("def "));
            let name = after.and_then(|(_, rest)| rest.split('(').next());
            names.extend(name.map(str::to_owned));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_and_not_there_is_found() {
        let functions = ["compat_1_1_nothing_is_all", "test_a_thing"].map(str::to_owned);
        let functions = BTreeSet::from(functions);
        let text = "`compat_1_1_…` `compat_1_2_…` `test_a_thing` `test_b`\n\
                    `import_paths` `a_plugin_that_went_away` `host/tests` `host/nowhere` `None` `tests/x.py`\n";
        let mut faults = Vec::new();
        judge("d.md", text, &functions, |p| p == "host/tests", &mut faults);
        assert_eq!(
            faults,
            [
                "d.md:1: no test `compat_1_2_…`",
                "d.md:1: no test `test_b`",
                "d.md:2: no test `a_plugin_that_went_away`",
                "d.md:2: no test `host/nowhere`",
                "d.md:2: no test `tests/x.py`",
            ]
        );
    }

    #[test]
    fn the_documents_of_this_workspace_name_tests_that_are_there() {
        assert_eq!(
            missing(&crate::command::root()).unwrap(),
            Vec::<String>::new()
        );
    }
}
