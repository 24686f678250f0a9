//! The syntax of CPython's `configparser`, line by line.
//!
//! No INI library has these rules: the first of `:` and `=` ends a key, values go on over
//! indented lines and keep their blank ones, only whole lines are comments, keys are one in
//! any case and sections are not, and whatever is said twice is an error. A differential
//! test holds this reader against the original.
//!
//! Everything wrong is found in one pass, where Python stops at the first thing.

use std::collections::BTreeMap;

/// The section whose keys every other section has.
pub(crate) const DEFAULT: &str = "DEFAULT";

/// The keys of one section, by their lower-case name.
pub(crate) type Entries = BTreeMap<String, Entry>;

/// A key and its value, which is not interpolated yet. No `Debug`: it may be a secret.
pub(crate) struct Entry {
    /// What stands there, lines joined by `\n`.
    pub(crate) raw: String,
    /// The line of the key, from 1.
    pub(crate) line: u32,
}

/// A section.
pub(crate) struct Section {
    /// The line of its header, from 1.
    pub(crate) line: u32,
    pub(crate) entries: Entries,
}

/// A file that has the syntax.
#[derive(Default)]
pub(crate) struct Ini {
    /// By name, `[DEFAULT]` apart.
    pub(crate) sections: BTreeMap<String, Section>,
    /// `[DEFAULT]`.
    pub(crate) defaults: Entries,
}

/// What is wrong in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) line: u32,
    pub(crate) kind: FaultKind,
}

/// What can be wrong in a line. Shows no values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FaultKind {
    #[error("begins with a byte order mark; save the file as UTF-8 without one")]
    ByteOrderMark,
    #[error("stands before the first section, such as `[daemon]`")]
    BeforeSections,
    #[error("the section `[{name}]` also stands in line {before}")]
    SectionTwice { name: String, before: u32 },
    #[error("`[{section}] {key}` is also set in line {before}")]
    KeyTwice {
        section: String,
        key: String,
        before: u32,
    },
    #[error("is no `key: value`, no `[section]` and no comment")]
    NoDelimiter,
    #[error("has no key before the `:` or `=`")]
    NoKey,
}

impl Ini {
    /// Reads a file.
    pub(crate) fn read(text: &str) -> Result<Self, Vec<Fault>> {
        let mut reader = Reader::default();
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => {
                reader.fault(1, FaultKind::ByteOrderMark);
                rest
            }
            None => text,
        };
        // As Python opens text files: a lone carriage return ends a line, too.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        for (line, number) in text.split_terminator('\n').zip(1u32..) {
            reader.line(line, number);
        }
        reader.finish()
    }
    /// Returns a key of a section, or of `[DEFAULT]`.
    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&Entry> {
        let section = self.sections.get(section)?;
        let own = section.entries.get(key);
        own.or_else(|| self.defaults.get(key))
    }
}

/// What is known while lines are read.
#[derive(Default)]
struct Reader {
    ini: Ini,
    faults: Vec<Fault>,
    /// The section the line belongs to.
    section: Option<String>,
    /// The key the line may continue; the empty one continues nothing.
    key: String,
    /// How deep the last line that continued nothing stood.
    indent: usize,
    /// Where each key of each section stands.
    seen: BTreeMap<(String, String), u32>,
}

impl Reader {
    fn fault(&mut self, line: u32, kind: FaultKind) {
        self.faults.push(Fault { line, kind });
    }
    fn line(&mut self, line: &str, number: u32) {
        let text = strip(line);
        if text.starts_with(['#', ';']) {
            return;
        }
        if text.is_empty() {
            if let Some(entry) = self.open() {
                entry.raw.push('\n');
            }
            return;
        }
        let indent = line.chars().take_while(|c| is_space(*c)).count();
        if indent > self.indent
            && let Some(entry) = self.open()
        {
            entry.raw.push('\n');
            entry.raw.push_str(text);
            return;
        }
        self.indent = indent;
        match (header(text), self.section.clone()) {
            (Some(name), _) => self.header(name, number),
            (None, Some(section)) => self.option(section, text, number),
            // Once is enough: what is missing is the one header above.
            (None, None) if self.faults.is_empty() => {
                self.fault(number, FaultKind::BeforeSections);
            }
            (None, None) => {}
        }
    }
    /// Returns the value that an indented line would continue.
    fn open(&mut self) -> Option<&mut Entry> {
        match self.section.as_deref()? {
            DEFAULT => self.ini.defaults.get_mut(&self.key),
            name => self.ini.sections.get_mut(name)?.entries.get_mut(&self.key),
        }
    }
    fn header(&mut self, name: &str, line: u32) {
        self.key.clear();
        self.section = Some(name.to_owned());
        if name == DEFAULT {
            return;
        }
        if let Some(section) = self.ini.sections.get(name) {
            let before = section.line;
            let name = name.to_owned();
            self.fault(line, FaultKind::SectionTwice { name, before });
            return;
        }
        let entries = Entries::new();
        let section = Section { line, entries };
        self.ini.sections.insert(name.to_owned(), section);
    }
    fn option(&mut self, section: String, text: &str, line: u32) {
        let Some((name, value)) = text.split_once([':', '=']) else {
            // The key before stays open for the lines below.
            return self.fault(line, FaultKind::NoDelimiter);
        };
        let key = strip(name).to_lowercase();
        if key.is_empty() {
            self.fault(line, FaultKind::NoKey);
        }
        self.key.clone_from(&key);
        let place = (section, key);
        if let Some(before) = self.seen.get(&place).copied() {
            let (section, key) = place;
            let kind = FaultKind::KeyTwice {
                section,
                key,
                before,
            };
            return self.fault(line, kind);
        }
        let (section, key) = place.clone();
        self.seen.insert(place, line);
        // The empty key is a fault above, and must not take lines below.
        if key.is_empty() {
            return;
        }
        let raw = strip(value).to_owned();
        let entry = Entry { raw, line };
        match section.as_str() {
            DEFAULT => drop(self.ini.defaults.insert(key, entry)),
            name => {
                if let Some(section) = self.ini.sections.get_mut(name) {
                    section.entries.insert(key, entry);
                }
            }
        }
    }
    fn finish(self) -> Result<Ini, Vec<Fault>> {
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let mut ini = self.ini;
        let sections = ini
            .sections
            .values_mut()
            .map(|section| &mut section.entries);
        for entries in sections.chain([&mut ini.defaults]) {
            for entry in entries.values_mut() {
                let length = entry.raw.trim_end_matches(is_space).len();
                entry.raw.truncate(length);
            }
        }
        Ok(ini)
    }
}

/// Returns the name in a section's header; what stands behind the last `]` does not count.
fn header(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('[')?.rsplit_once(']')?;
    (!name.is_empty()).then_some(name)
}

/// Tells whether Python takes a character for white space.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Takes off white space as Python's `strip` does.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}
