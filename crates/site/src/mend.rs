//! The lenient reader: makes JSON of what is nearly JSON.
//!
//! Sites have answered with bytes that are not UTF-8, with raw control characters in strings
//! and with `NaN`, all of which Python's reader or its users got along with. What is good is
//! not touched: the result of good JSON is that JSON.

/// Mends what can be mended; the result may still not be JSON.
///
/// * bytes that are not UTF-8 become U+FFFD, and a byte order mark goes
/// * `NaN`, `Infinity` and `-Infinity` become `null`
/// * in strings: control characters are escaped, a `\` that escapes nothing is doubled, and
///   half a surrogate pair becomes U+FFFD
/// * between tokens: other control characters become spaces
pub(crate) fn mend(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut out = String::with_capacity(rest.len() + 16);
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let used = if in_string {
            match c {
                '\\' => escape(rest, &mut out),
                c if c < ' ' => {
                    out.push_str("\\u00");
                    out.extend(hex(c));
                    c.len_utf8()
                }
                c => {
                    in_string = c != '"';
                    out.push(c);
                    c.len_utf8()
                }
            }
        } else if let Some(used) = no_number(rest) {
            out.push_str("null");
            used
        } else {
            in_string = c == '"';
            let is_noise = c < ' ' && !matches!(c, '\t' | '\n' | '\r');
            out.push(if is_noise { ' ' } else { c });
            c.len_utf8()
        };
        rest = rest.get(used..).unwrap_or_default();
    }
    out
}

/// Returns the two hexadecimal digits of a control character.
fn hex(c: char) -> impl Iterator<Item = char> {
    let digit = |n: u32| char::from_digit(n & 15, 16);
    [digit(c as u32 >> 4), digit(c as u32)]
        .into_iter()
        .flatten()
}

/// Returns the length of a float that JSON does not have.
fn no_number(rest: &str) -> Option<usize> {
    let words = ["NaN", "Infinity", "-Infinity", "-NaN"];
    let word = words.into_iter().find(|word| rest.starts_with(word))?;
    Some(word.len())
}

/// Writes the escape at the start of `rest` and returns how long it was there.
fn escape(rest: &str, out: &mut String) -> usize {
    let copy = |out: &mut String, length: usize| {
        out.push_str(rest.get(..length).unwrap_or_default());
        length
    };
    match rest.as_bytes().get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => copy(out, 2),
        Some(b'u') => match unit(rest) {
            Some(0xD800..=0xDBFF) => match rest.get(6..).and_then(unit) {
                Some(0xDC00..=0xDFFF) => copy(out, 12),
                _ => replace(out),
            },
            Some(0xDC00..=0xDFFF) => replace(out),
            Some(_) => copy(out, 6),
            None => double(out),
        },
        _ => double(out),
    }
}

/// Puts the replacement character in place of half a surrogate pair.
fn replace(out: &mut String) -> usize {
    out.push_str("\\ufffd");
    6
}

/// Makes a backslash that escapes nothing one that stands for itself.
fn double(out: &mut String) -> usize {
    out.push_str("\\\\");
    1
}

/// Returns the number of a `\uXXXX` at the start of `rest`.
fn unit(rest: &str) -> Option<u32> {
    let digits = rest.strip_prefix("\\u")?.get(..4)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn read(bytes: &[u8]) -> Value {
        let text = mend(bytes);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn what_is_nearly_json_becomes_json() {
        for (bytes, wanted) in [
            (&b"[\"a\xff\"]"[..], r#"["a\ufffd"]"#),
            (b"[\"a\xc3\"]", r#"["a\ufffd"]"#),
            (b"\xef\xbb\xbf[1]", "[1]"),
            (b"[NaN, -Infinity,Infinity]", "[null,null,null]"),
            (b"[\"NaN\"]", r#"["NaN"]"#),
            (b"[\"a\x00b\nc\td\x1f\"]", r#"["a\u0000b\nc\td\u001f"]"#),
            (b"\x00[1,\x0c2]\x00", "[1,2]"),
            (
                br#"["\ud83d","\ude00","\ud83dx"]"#,
                r#"["\ufffd","\ufffd","\ufffdx"]"#,
            ),
            (br#"["\ud83d\ude00"]"#, "[\"\u{1f600}\"]"),
            (br#"["\ud83d\ud83d\ude00"]"#, "[\"\u{fffd}\u{1f600}\"]"),
            (
                br#"["C:\Users\x","\u12","\u+123"]"#,
                r#"["C:\\Users\\x","\\u12","\\u+123"]"#,
            ),
            (br#"["\\","\"NaN"]"#, r#"["\\","\"NaN"]"#),
        ] {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(
                read(bytes),
                serde_json::from_str::<Value>(wanted).unwrap(),
                "{shown}"
            );
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "(\\PC|[\u{0}-\u{1f}]|NaN|Infinity|[\"\\\\/u]){0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("\\PC{0,4}", inner), 0..4)
                    .prop_map(|all| Value::Object(all.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_is_not_touched(value in json(), pretty in any::<bool>()) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            prop_assert_eq!(mend(text.as_bytes()), text);
        }
        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let once = mend(&bytes);
            prop_assert_eq!(mend(once.as_bytes()), once);
        }
        #[test]
        fn a_damaged_string_is_read(inside in prop::collection::vec(any::<u8>(), 0..40)) {
            // Any bytes at all between quotes, as long as they do not end the string.
            let inside: Vec<u8> = inside.into_iter().filter(|b| !b"\"\\".contains(b)).collect();
            let bytes = [b"[\"", inside.as_slice(), b"\"]"].concat();
            prop_assert!(read(&bytes).is_array());
        }
    }
}
