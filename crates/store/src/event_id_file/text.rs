//! Numbers and texts as pickles write them.

use super::machine::Value;

/// Reads a decimal number of a line: `12`, `-3`, or `12L` of a Python 2 long. `00` and `01`
/// are truth values.
pub(super) fn integer(line: &[u8]) -> Option<Value> {
    if matches!(line, b"00" | b"01") {
        return Some(Value::Other("a truth value"));
    }
    let line = line.strip_suffix(b"L").unwrap_or(line);
    let number = line.strip_prefix(b"-").unwrap_or(line);
    if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(line).ok()?;
    Some(within(text.parse().ok()))
}

/// Reads the number of a memo.
pub(super) fn digits(line: &[u8]) -> Option<u64> {
    if !line.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// Reads a little-endian number in two's complement, if it fits.
pub(super) fn twos_complement(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let (low, high) = bytes.split_at(bytes.len().min(8));
    let mut whole = [fill; 8];
    whole.iter_mut().zip(low).for_each(|(to, from)| *to = *from);
    let number = i64::from_le_bytes(whole);
    let fits = high.iter().all(|byte| *byte == fill) && (number < 0) == negative;
    fits.then_some(number)
}

/// Makes a number's value; `None` is one that no id can be.
pub(super) fn within(number: Option<i64>) -> Value {
    number.map_or(Value::Other("a number too large for an id"), Value::Int)
}

/// Reads a text that is mostly UTF-8. Python writes the odd half of a surrogate pair, for a
/// file name that is no text; it becomes U+FFFD.
pub(super) fn unicode(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads bytes that Python 2 took for a text: UTF-8, or else Latin-1.
pub(super) fn bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// Reads the bytes of a Python literal in quotes, as a text.
pub(super) fn quoted_bytes(line: &[u8]) -> Option<String> {
    let ([b'\'', quoted @ .., b'\''] | [b'"', quoted @ .., b'"']) = line.trim_ascii() else {
        return None;
    };
    let mut out = Vec::with_capacity(quoted.len());
    let mut rest = quoted.iter().copied();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'\\' => match rest.next()? {
                same @ (b'\\' | b'\'' | b'"') => same,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let pair = [rest.next()?, rest.next()?];
                    u8::try_from(hex(&pair)?).ok()?
                }
                // Python's `repr` writes no other.
                _ => return None,
            },
            other => other,
        });
    }
    Some(bytes(&out))
}

/// Reads a line of Latin-1 with `\uXXXX` and `\UXXXXXXXX`; pairs of surrogates, as a narrow
/// Python 2 writes them, become one character.
pub(super) fn escaped_unicode(line: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(line.len());
    let mut rest = line;
    while let [byte, after @ ..] = rest {
        rest = after;
        let width = match (byte, after) {
            (b'\\', [b'u', ..]) => 4,
            (b'\\', [b'U', ..]) => 8,
            (b'\\', [other, after @ ..]) => {
                units.extend([u16::from(*byte), u16::from(*other)]);
                rest = after;
                continue;
            }
            _ => {
                units.push(u16::from(*byte));
                continue;
            }
        };
        let number = hex(after.get(1..=width)?)?;
        match u16::try_from(number) {
            Ok(unit) => units.push(unit),
            Err(_) => units.extend_from_slice(char::from_u32(number)?.encode_utf16(&mut [0; 2])),
        }
        rest = after.get(width + 1..)?;
    }
    Some(String::from_utf16_lossy(&units))
}

/// Shows a text of a file to a person: no control characters, not too long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string()
}

fn hex(digits: &[u8]) -> Option<u32> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut digits = digits.iter().map(digit);
    digits.try_fold(0_u32, |number, digit| {
        number.checked_mul(16)?.checked_add(digit?)
    })
}
