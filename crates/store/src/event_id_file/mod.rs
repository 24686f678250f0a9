//! The file in which the Python daemon keeps its positions (`eventIdFile`): read and written
//! without Python, since loading a pickle can run code.
//!
//! It is a text file with one integer, the last event handled by every plugin, or a pickle
//! `{folder: {stem: (last | None, {missing id: expiry}) | last}}` of any protocol, by Python
//! 2.7 or later. Invariant: a file that was cut, damaged or made by others gives no
//! positions; what could be read of it is for people alone ([`Unusable`]).
//!
//! Not here: opening files, and what a position means for a lane.

mod machine;
mod state;
mod text;
mod write;

use std::fmt;

use jiff::civil::DateTime;
use slated_model::{EventId, PluginId};

use machine::Machine;
use state::State;

/// What an `eventIdFile` holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventIdFile {
    /// One number: the last event that every plugin has handled. The Python daemon takes 0
    /// for no position at all.
    Integer(EventId),
    /// Each plugin's position, ascending by plugin. May be empty: a daemon without plugins
    /// writes that.
    Plugins(Vec<OldPlugin>),
}

/// One plugin's position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldPlugin {
    /// Its folder as the file has it, and its stem.
    pub plugin: PluginId,
    /// The highest id it has handled; `None` before its first event.
    pub last: Option<EventId>,
    /// Ids that the Python daemon still looked for on its behalf, ascending, each once. Mostly
    /// below `last`, but nothing says they must be. Their expiry is not kept: each gets a
    /// fresh look.
    pub missing: Vec<EventId>,
}

/// Why a file gives no positions, and what could be read of it, for the refusal's text.
///
/// What is `readable` may be the lesser part of what was written: nobody starts from it
/// unasked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unusable {
    /// What is wrong.
    pub why: Reason,
    /// The plugins that were read before that.
    pub readable: Vec<OldPlugin>,
    /// The number the file begins with, if it does.
    pub integer: Option<EventId>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing stands in it, or nothing but blanks or zero bytes.
    Empty,
    /// It ends in the middle of a pickle.
    CutOff,
    /// It is neither a number nor a pickle.
    Neither,
    /// It begins with a number, and goes on with something else.
    MoreThanANumber,
    /// The number is none that an event can have.
    NoEventId,
    /// It, or what it asks for, is larger than any state.
    TooLarge,
    /// A pickle that would have run code.
    Code(String),
    /// A pickle of something else: it has an opcode that no state needs.
    Foreign {
        /// The opcode.
        opcode: u8,
        /// Its place, from 0.
        at: usize,
    },
    /// A pickle that breaks its own rules.
    Malformed {
        /// Where it shows, from 0.
        at: usize,
    },
    /// A pickle of something else than positions.
    Shape(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::CutOff => f.write_str("it ends in the middle of a pickle"),
            Self::Neither => f.write_str("it holds neither a number nor a pickle"),
            Self::MoreThanANumber => f.write_str("it holds more than one number"),
            Self::NoEventId => f.write_str("its number is too large for an event id"),
            Self::TooLarge => f.write_str("it is larger than the positions of any daemon"),
            Self::Code(name) => write!(f, "it would have run code (`{name}`); none was run"),
            Self::Foreign { opcode, at } => write!(
                f,
                "it is a pickle of something else than positions (opcode {opcode:#04x} at byte {at})"
            ),
            Self::Malformed { at } => write!(f, "it is damaged at byte {at}"),
            Self::Shape(what) => write!(f, "it does not hold positions: {what}"),
        }
    }
}

impl Unusable {
    fn new(why: Reason) -> Self {
        Self {
            why,
            readable: Vec::new(),
            integer: None,
        }
    }
}

impl EventIdFile {
    /// More bytes than any state has; of a larger file no more needs to be read.
    pub const LARGEST: usize = 16 << 20;

    /// Reads a file's content. Runs no code, whatever the pickle asks for, and never recurses;
    /// time and memory stay in proportion to the content.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unusable> {
        if bytes.len() > Self::LARGEST {
            return Err(Unusable::new(Reason::TooLarge));
        }
        if bytes.iter().all(|b| is_blank(*b) || *b == 0) {
            return Err(Unusable::new(Reason::Empty));
        }
        // No pickle begins so: `0`, `1` and `2` are opcodes, but not on an empty stack.
        if bytes
            .iter()
            .find(|b| !is_blank(**b))
            .is_some_and(u8::is_ascii_digit)
        {
            return integer(bytes).map(Self::Integer);
        }
        pickled(bytes).map(Self::Plugins)
    }

    /// Writes positions as a pickle that the Python daemon loads, under Python 2.7 and 3.
    ///
    /// `folders` are the folders as its configuration spells them, since it compares texts
    /// and [`PluginId`] drops a slash at the end. `expires`, in local time, is when it stops
    /// looking for missing ids. Under Python 2 a folder beyond ASCII is none of its own: its
    /// texts are bytes there.
    pub fn to_pickle(plugins: &[OldPlugin], folders: &[String], expires: DateTime) -> Vec<u8> {
        write::pickle(plugins, folders, expires)
    }
}

fn pickled(bytes: &[u8]) -> Result<Vec<OldPlugin>, Unusable> {
    let mut machine = Machine::new(bytes);
    let whole = machine.run();
    let mut state = State::new(&machine);
    let read = match whole {
        Ok(whole) => state.whole(whole),
        Err(why) => {
            state.broken();
            Err(why)
        }
    };
    let plugins = state.into_plugins();
    let Err(why) = read else {
        return Ok(plugins);
    };
    // Any text is a few opcodes and then nonsense; a state opens with a dict.
    let opens = matches!(bytes, [0x80 | b'(' | b'}', ..]);
    let why = match why {
        Reason::CutOff | Reason::Foreign { .. } | Reason::Malformed { .. } if !opens => {
            Reason::Neither
        }
        other => other,
    };
    Err(Unusable {
        why,
        readable: plugins,
        integer: None,
    })
}

/// Reads one number amid blanks.
///
/// The Python daemon reads the first line alone. More lines were not written by it, so which
/// number counts is for a person to say.
fn integer(bytes: &[u8]) -> Result<EventId, Unusable> {
    let text = bytes.trim_ascii();
    let digits: Vec<u8> = text
        .iter()
        .copied()
        .take_while(u8::is_ascii_digit)
        .collect();
    // The store counts in `i64`, as the site does.
    let number = digits.iter().try_fold(0_i64, |number, digit| {
        number
            .checked_mul(10)?
            .checked_add(i64::from(digit.checked_sub(b'0')?))
    });
    let Some(id) = number.and_then(|n| u64::try_from(n).ok()).map(EventId) else {
        return Err(Unusable::new(Reason::NoEventId));
    };
    if digits.len() < text.len() {
        return Err(Unusable {
            integer: Some(id),
            ..Unusable::new(Reason::MoreThanANumber)
        });
    }
    Ok(id)
}

/// What Python's `bytes.strip` takes away.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests;
