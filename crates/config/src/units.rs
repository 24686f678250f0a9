//! How durations, sizes and file modes are written.

use std::time::Duration;

const DURATIONS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads a duration: a number and a unit (`ms`, `s`, `m`, `h`, `d`, `w`), or several in a
/// row such as `1h30m`. Returns `None` for anything else, a bare number included.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = 0u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (ms, left) = amount(rest, DURATIONS)?;
        sum = sum.checked_add(ms)?;
        rest = left.trim_start();
    }
    Some(Duration::from_millis(sum))
}

/// Reads a size in bytes, such as `20GB` or `512 MiB`; `kB`, `MB`, `GB` and `TB` are decimal.
pub fn parse_size(text: &str) -> Option<u64> {
    match amount(text.trim(), SIZES)? {
        (bytes, "") => Some(bytes),
        _ => None,
    }
}

/// Reads an octal file mode, such as `022` or `0o022`.
pub(crate) fn parse_mode(text: &str) -> Option<u32> {
    let digits = text.trim();
    let digits = digits.strip_prefix("0o").unwrap_or(digits);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    u32::from_str_radix(digits, 8).ok().filter(|m| *m <= 0o777)
}

/// Splits off one number with its unit and returns it in the smallest unit, and the rest.
fn amount<'a>(text: &'a str, units: &[(&str, u64)]) -> Option<(u64, &'a str)> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.' || c == '_';
    let (number, rest) = text.split_at(text.find(|c| !is_number(c))?);
    let rest = rest.trim_start();
    let (unit, rest) = rest.split_at(
        rest.find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len()),
    );
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, "0"));
    let mut sum = whole.parse::<u64>().ok()?.checked_mul(*factor)?;
    // Nine digits are finer than any unit here; the product stays far below overflow.
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(*factor) / scale;
    sum = sum.checked_add(u64::try_from(part).ok()?)?;
    Some((sum, rest))
}

/// Writes a duration as [`parse_duration`] reads it, in as few units as it takes.
pub fn show_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    // Weeks read worse than days.
    for (unit, factor) in DURATIONS.iter().rev().filter(|(unit, _)| *unit != "w") {
        if left >= *factor {
            text += &(left / factor).to_string();
            text += unit;
            left %= factor;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_have_a_unit() {
        let ms = |text| parse_duration(text).map(|d| d.as_millis());
        for (text, wanted) in [
            ("2s", 2_000),
            ("15m", 900_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("2w", 1_209_600_000),
            ("250ms", 250),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("0.5s", 500),
            ("1.25 s", 1_250),
            ("0s", 0),
        ] {
            assert_eq!(ms(text), Some(wanted), "{text}");
        }
        for text in [
            "",
            " ",
            "2",
            "s",
            "2 fortnights",
            "-2s",
            "2s3",
            "1.s",
            ".s",
            "2S",
            "1e3s",
            "2s,3s",
            "99999999999999999999s",
            "18446744073709551615w",
            "١s",
        ] {
            assert_eq!(ms(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_decimal_unless_they_say_otherwise() {
        assert_eq!(parse_size("20GB"), Some(20_000_000_000));
        assert_eq!(parse_size("1.5 GiB"), Some(1_610_612_736));
        assert_eq!(parse_size("0B"), Some(0));
        for text in ["", "20", "20G", "20GBGB", "1GB2MB", "99999999999TB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(parse_mode("022"), Some(0o22));
        assert_eq!(parse_mode("0o002"), Some(0o2));
        assert_eq!(parse_mode("0"), Some(0));
        for text in ["", "8", "rwx", "1777", "+22", "-2"] {
            assert_eq!(parse_mode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_duration_reads_back(ms in 0u64..1 << 50) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        #[test]
        fn no_text_is_too_odd(text in ".{0,20}") {
            let _ = (parse_duration(&text), parse_size(&text), parse_mode(&text));
        }
    }
}
