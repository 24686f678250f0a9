//! Numbers, and what is neither a number nor a pickle.

mod differential;
mod hostile;
mod pickles;

use slated_model::EventId;

use super::{EventIdFile, Reason};

fn check(content: &[u8], wanted: Result<u64, Reason>) {
    let found = EventIdFile::parse(content).map_err(|unusable| unusable.why);
    let wanted = wanted.map(|id| EventIdFile::Integer(EventId(id)));
    assert_eq!(found, wanted, "{:?}", String::from_utf8_lossy(content));
}

#[test]
fn a_number_stands_alone_amid_blanks() {
    check(b"123", Ok(123));
    check(b"123\n", Ok(123));
    check(b" \t0123\r\n\n", Ok(123));
    check(b"0\n", Ok(0));
    check(b"9223372036854775807", Ok(i64::MAX.cast_unsigned()));
    check(b"9223372036854775808", Err(Reason::NoEventId));
    check(b"99999999999999999999999999\n", Err(Reason::NoEventId));
    check(b"-5\n", Err(Reason::Neither));
    check(b"+5\n", Err(Reason::Neither));
    check(b"\xef\xbb\xbf5\n", Err(Reason::Neither));
    check(b"hello\n", Err(Reason::Neither));
}

#[test]
fn nothing_is_not_a_position() {
    check(b"", Err(Reason::Empty));
    check(b" \n", Err(Reason::Empty));
    check(&[0; 512], Err(Reason::Empty));
}

#[test]
fn a_number_with_more_after_it_is_shown_and_not_used() {
    for content in [
        "123\n456\n",
        "123abc",
        "123.",
        "123 # last good one",
        "12 3",
    ] {
        let unusable = EventIdFile::parse(content.as_bytes()).unwrap_err();
        assert_eq!(unusable.why, Reason::MoreThanANumber, "{content:?}");
        let digits = content.split(|c: char| !c.is_ascii_digit()).next();
        let wanted = digits.and_then(|d| d.parse().ok()).map(EventId);
        assert_eq!(unusable.integer, wanted, "{content:?}");
    }
}
