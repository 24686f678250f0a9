//! The part of Python's pickle machine that a state needs.
//!
//! Values stand in one arena and name each other by number, so that shared and recursive
//! ones cost nothing, and neither reading nor dropping them recurses. A callable is only
//! ever one of two, and what it would have made is never made.
//!
//! The crate `serde-pickle` reads the same files, but not the hostile ones: it copies a
//! shared value at every use (a list of lists of lists, each twice, fills the memory in a
//! few dozen bytes), descends as deep as a file asks, and lets every callable pass.

use std::collections::BTreeMap;

use super::Reason;
use super::text;

/// Names a value in the arena.
pub(super) type At = u32;

/// How many opcodes are run. Each makes at most one value, one place on the stack, one mark
/// or one memo, so this bounds the memory a hostile file can ask for: some 200 MiB. A
/// missing id costs nine at most, so no true state comes near.
const OPCODES: usize = 4 << 20;

/// One value.
#[derive(Debug)]
pub(super) enum Value {
    None,
    Int(i64),
    /// A text, or bytes taken for one.
    Text(String),
    Dict(Vec<(At, At)>),
    Tuple(Vec<At>),
    /// `datetime.datetime`, or what makes bytes out of a text for it.
    Callable,
    /// Anything else, in words: a moment, a fraction, a number beyond all ids.
    Other(&'static str),
}

/// The machine between two opcodes.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    /// The place of the next byte.
    at: usize,
    values: Vec<Value>,
    stack: Vec<At>,
    /// How high the stack was at each open mark.
    marks: Vec<usize>,
    memo: BTreeMap<u64, At>,
}

impl<'a> Machine<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
        }
    }

    /// Returns a value.
    pub(super) fn value(&self, at: At) -> Option<&Value> {
        self.values.get(at as usize)
    }

    /// Returns what stands on the stack, from the bottom.
    pub(super) fn stack(&self) -> &[At] {
        &self.stack
    }

    /// Runs to the end and returns what the pickle holds. What follows it is not looked at,
    /// as Python does not.
    pub(super) fn run(&mut self) -> Result<At, Reason> {
        for _ in 0..OPCODES {
            let place = self.at;
            let op = self.byte()?;
            if op == b'.' {
                let whole = self.pop()?;
                if self.stack.is_empty() && self.marks.is_empty() {
                    return Ok(whole);
                }
                return Err(Reason::Malformed { at: place });
            }
            self.step(op, place)?;
        }
        Err(Reason::TooLarge)
    }

    fn step(&mut self, op: u8, place: usize) -> Result<(), Reason> {
        match op {
            // The protocol, and the length of a frame: every opcode says itself what it is.
            0x80 => self.byte().map(drop),
            0x95 => self.take(8).map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }

            b'N' => self.push(Value::None),
            b'K' => self.unsigned(1),
            b'M' => self.unsigned(2),
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()))
            }
            b'I' | b'L' => {
                let line = self.line()?;
                let number = text::integer(line).ok_or(Reason::Malformed { at: place })?;
                self.push(number)
            }
            0x8a => self.long(1),
            0x8b => self.long(4),
            0x88 | 0x89 => self.push(Value::Other("a truth value")),
            b'F' => {
                self.line()?;
                self.push(Value::Other("a fraction"))
            }
            b'G' => {
                self.take(8)?;
                self.push(Value::Other("a fraction"))
            }

            // Texts with a length of 1, 4 or 8 bytes; then bytes.
            0x8c => self.counted(1, text::unicode),
            b'X' => self.counted(4, text::unicode),
            0x8d => self.counted(8, text::unicode),
            b'U' | b'C' => self.counted(1, text::bytes),
            b'T' | b'B' => self.counted(4, text::bytes),
            0x8e => self.counted(8, text::bytes),
            // The same two as a line.
            b'V' | b'S' => {
                let line = self.line()?;
                let read = if op == b'V' {
                    text::escaped_unicode(line)
                } else {
                    text::quoted_bytes(line)
                };
                let read = read.ok_or(Reason::Malformed { at: place })?;
                self.push(Value::Text(read))
            }

            b')' => self.push(Value::Tuple(Vec::new())),
            b't' => {
                let items = self.marked()?;
                self.push(Value::Tuple(items))
            }
            0x85..=0x87 => {
                let count = usize::from(op - 0x84);
                let mut items = vec![0; count];
                for item in items.iter_mut().rev() {
                    *item = self.pop()?;
                }
                self.push(Value::Tuple(items))
            }
            b'}' => self.push(Value::Dict(Vec::new())),
            b'd' => {
                let items = self.marked()?;
                self.push(Value::Dict(Vec::new()))?;
                self.fill(&items)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.fill(&[key, value])
            }
            b'u' => {
                let items = self.marked()?;
                self.fill(&items)
            }

            b'p' => {
                let number = self.memo_line(place)?;
                self.memoize(number)
            }
            b'q' => {
                let number = self.byte()?.into();
                self.memoize(number)
            }
            b'r' => {
                let number = u32::from_le_bytes(self.array()?).into();
                self.memoize(number)
            }
            0x94 => self.memoize(self.memo.len() as u64),
            b'g' => {
                let number = self.memo_line(place)?;
                self.recall(number)
            }
            b'h' => {
                let number = self.byte()?.into();
                self.recall(number)
            }
            b'j' => {
                let number = u32::from_le_bytes(self.array()?).into();
                self.recall(number)
            }

            // A callable by its module and name; one with a call in the same breath.
            b'c' | b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                let (module, name) = (text::bytes(module), text::bytes(name));
                self.callable(&module, &name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let texts = (self.value(module), self.value(name));
                let (Some(Value::Text(module)), Some(Value::Text(name))) = texts else {
                    return Err(Reason::Malformed { at: place });
                };
                let (module, name) = (module.clone(), name.clone());
                self.callable(&module, &name)
            }
            // A call: only ever of the two allowed, and not made.
            b'R' => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let both = (self.value(callable), self.value(arguments));
                let (Some(Value::Callable), Some(Value::Tuple(_))) = both else {
                    return Err(Reason::Malformed { at: place });
                };
                self.push(Value::Other("a moment"))
            }
            _ => Err(Reason::Foreign {
                opcode: op,
                at: place,
            }),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Reason> {
        let end = self.at.checked_add(count).ok_or(Reason::CutOff)?;
        let taken = self.bytes.get(self.at..end).ok_or(Reason::CutOff)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Reason> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| Reason::CutOff)
    }

    /// Takes the rest of a line, without its end: `\r\n` where Python 2 on Windows had opened
    /// the file as text.
    fn line(&mut self) -> Result<&'a [u8], Reason> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(length.ok_or(Reason::CutOff)?)?;
        self.at += 1;
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Takes an unsigned number of at most 8 bytes.
    fn number(&mut self, width: usize) -> Result<u64, Reason> {
        let taken = self.take(width)?;
        let grow = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        Ok(taken.iter().rev().fold(0, grow))
    }

    fn unsigned(&mut self, width: usize) -> Result<(), Reason> {
        let number = self.number(width)?;
        self.push(text::within(i64::try_from(number).ok()))
    }

    /// Takes a number of any size: its length, then two's complement.
    fn long(&mut self, width: usize) -> Result<(), Reason> {
        let count = self.count(width)?;
        let taken = self.take(count)?;
        self.push(text::within(text::twos_complement(taken)))
    }

    fn counted(&mut self, width: usize, read: fn(&[u8]) -> String) -> Result<(), Reason> {
        let count = self.count(width)?;
        let taken = self.take(count)?;
        self.push(Value::Text(read(taken)))
    }

    fn count(&mut self, width: usize) -> Result<usize, Reason> {
        usize::try_from(self.number(width)?).map_err(|_| Reason::CutOff)
    }

    fn push(&mut self, value: Value) -> Result<(), Reason> {
        let at = At::try_from(self.values.len()).map_err(|_| Reason::TooLarge)?;
        self.values.push(value);
        self.stack.push(at);
        Ok(())
    }

    /// Takes what stands on top, but nothing from below the last mark.
    fn pop(&mut self) -> Result<At, Reason> {
        let floor = self.marks.last().copied().unwrap_or_default();
        let malformed = Reason::Malformed { at: self.at };
        if self.stack.len() <= floor {
            return Err(malformed);
        }
        self.stack.pop().ok_or(malformed)
    }

    /// Takes all that stands above the last mark, and the mark.
    fn marked(&mut self) -> Result<Vec<At>, Reason> {
        let floor = self.marks.pop();
        let floor = floor.ok_or(Reason::Malformed { at: self.at })?;
        Ok(self.stack.split_off(floor.min(self.stack.len())))
    }

    /// Puts keys and values, in turns, into the dict on top.
    fn fill(&mut self, items: &[At]) -> Result<(), Reason> {
        let malformed = Reason::Malformed { at: self.at };
        let floor = self.marks.last().copied().unwrap_or_default();
        let top = self.stack.get(floor..).and_then(<[At]>::last);
        let dict = top.and_then(|at| self.values.get_mut(*at as usize));
        let (pairs, []) = items.as_chunks() else {
            return Err(malformed);
        };
        let Some(Value::Dict(entries)) = dict else {
            return Err(malformed);
        };
        entries.extend(pairs.iter().map(|[key, value]| (*key, *value)));
        Ok(())
    }

    fn memo_line(&mut self, place: usize) -> Result<u64, Reason> {
        let line = self.line()?;
        text::digits(line).ok_or(Reason::Malformed { at: place })
    }

    fn memoize(&mut self, number: u64) -> Result<(), Reason> {
        let top = self.stack.last();
        let top = top.copied().ok_or(Reason::Malformed { at: self.at })?;
        self.memo.insert(number, top);
        Ok(())
    }

    fn recall(&mut self, number: u64) -> Result<(), Reason> {
        let known = self.memo.get(&number);
        let known = known.copied().ok_or(Reason::Malformed { at: self.at })?;
        self.stack.push(known);
        Ok(())
    }

    fn callable(&mut self, module: &str, name: &str) -> Result<(), Reason> {
        match (module, name) {
            ("datetime", "datetime") | ("_codecs", "encode") => self.push(Value::Callable),
            _ => Err(Reason::Code(text::shown(&format!("{module}.{name}")))),
        }
    }
}
