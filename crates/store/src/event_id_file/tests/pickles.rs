//! Pickles byte by byte: as Python 2.7 wrote them, and as no daemon does.

use slated_model::{EventId, PluginId};

use super::super::{EventIdFile, OldPlugin, Reason};

/// `2026-01-02 03:04:05` in the bytes of a pickled moment.
macro_rules! moment {
    () => {
        b"\x07\xea\x01\x02\x03\x04\x05\x00\x00\x00"
    };
}

fn plugin(folder: &str, stem: &str, last: Option<u64>, missing: &[u64]) -> OldPlugin {
    OldPlugin {
        plugin: PluginId::new(folder, stem),
        last: last.map(EventId),
        missing: missing.iter().copied().map(EventId).collect(),
    }
}

fn check(pickle: &[u8], wanted: &[OldPlugin]) {
    let found = EventIdFile::parse(pickle);
    assert_eq!(
        found,
        Ok(EventIdFile::Plugins(wanted.into())),
        "{}",
        pickle.escape_ascii()
    );
}

fn refuse(pickle: &[u8], why: &Reason) {
    let found = EventIdFile::parse(pickle).unwrap_err();
    assert_eq!(&found.why, why, "{}", pickle.escape_ascii());
}

/// `{'/p': {'notes': (1234, {1200: <moment>, 1199: <the same>}), 'old': 77}}`
fn notes_and_old() -> [OldPlugin; 2] {
    [
        plugin("/p", "notes", Some(1234), &[1199, 1200]),
        plugin("/p", "old", Some(77), &[]),
    ]
}

#[test]
fn python_2_protocol_0() {
    let pickle = br"(dp1
S'/p'
p2
(dp3
S'notes'
p4
(L1234L
(dp5
L1200L
cdatetime
datetime
p6
(S'\x07\xea\x01\x02\x03\x04\x05\x00\x00\x00'
p7
tp8
Rp9
sI1199
g9
stp10
sS'old'
p11
I77
ss.";
    check(pickle, &notes_and_old());
    let on_windows = pickle.escape_ascii().to_string().replace("\\n", "\\r\\n");
    let on_windows = on_windows
        .replace("\\r", "\r")
        .replace("\\n", "\n")
        .replace("\\'", "'")
        .replace("\\\\", "\\");
    check(on_windows.as_bytes(), &notes_and_old());
}

#[test]
fn python_2_protocol_1() {
    let mut pickle = b"}q\x01U\x02/pq\x02}q\x03(U\x05notesq\x04(L1234L\n}q\x05(M\xb0\x04cdatetime\ndatetime\nq\x06(U\n".to_vec();
    pickle.extend(moment!());
    pickle.extend(b"q\x07tq\x08Rq\tM\xaf\x04h\tutq\nU\x03oldq\x0bK\x4dus.");
    check(&pickle, &notes_and_old());
}

#[test]
fn python_2_protocol_2() {
    let mut pickle = b"\x80\x02}q\x01U\x02/pq\x02}q\x03(T\x05\0\0\0notesq\x04\x8a\x02\xd2\x04}q\x05(M\xb0\x04cdatetime\ndatetime\nq\x06U\n".to_vec();
    pickle.extend(moment!());
    pickle.extend(b"q\x07\x85q\x08Rq\tM\xaf\x04h\tu\x86q\nU\x03oldq\x0bK\x4dus.");
    check(&pickle, &notes_and_old());
}

#[test]
fn texts_of_python_2() {
    let with = |name: &[u8]| [b"(dp0\n", name, b"(dS'x'\nI1\nss."].concat();
    for (name, wanted) in [
        (&br"S'/p\xc3\xa9'"[..], "/p\u{e9}"),
        (br"S'/p\xe9'", "/p\u{e9}"),
        (br#"S"it's""#, "it's"),
        (br"S'a\'b\\c\td'", "a'b\\c\td"),
        (br"V/p\u00e9", "/p\u{e9}"),
        (b"V/p\xe9", "/p\u{e9}"),
        // A narrow build writes halves, a wide one the whole.
        (br"V\ud83c\udfac", "\u{1f3ac}"),
        (br"V\U0001f3ac", "\u{1f3ac}"),
        (br"V\ud83c", "\u{fffd}"),
        (br"V\\u0041", "\\\\u0041"),
    ] {
        let line = [name, b"\n"].concat();
        check(&with(&line), &[plugin(wanted, "x", Some(1), &[])]);
    }
    for name in [
        &b"S'open"[..],
        b"Sbare",
        br"S'\x4'",
        br"S'\q'",
        br"V\u12",
        br"V\U00110000",
        b"S'",
    ] {
        let line = [name, b"\n"].concat();
        refuse(&with(&line), &Reason::Malformed { at: 5 });
    }
}

#[test]
fn numbers_of_every_width() {
    let with = |number: &[u8]| [b"\x80\x02}U\x01f}U\x01x", number, b"ss."].concat();
    for (number, wanted) in [
        (&b"K\xff"[..], 255),
        (b"M\xff\xff", 65_535),
        (b"J\xff\xff\xff\x7f", 0x7fff_ffff),
        (b"I12\n", 12),
        (b"I012\n", 12),
        (b"L9223372036854775807L\n", 0x7fff_ffff_ffff_ffff),
        (b"L5\n", 5),
        (b"\x8a\x00", 0),
        (b"\x8a\x02\xff\x00", 255),
        (
            b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\x00",
            0x7fff_ffff_ffff_ffff,
        ),
        (b"\x8b\x01\0\0\0\x07", 7),
    ] {
        check(&with(number), &[plugin("f", "x", Some(wanted), &[])]);
    }
    for (number, what) in [
        (&b"J\xff\xff\xff\xff"[..], "-1, a number below 0"),
        (b"\x8a\x01\xff", "-1, a number below 0"),
        (b"L-5L\n", "-5, a number below 0"),
        (b"L9223372036854775808L\n", "a number too large for an id"),
        (
            b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00",
            "a number too large for an id",
        ),
        (b"\x88", "a truth value"),
        (b"I01\n", "a truth value"),
        (b"F1.5\n", "a fraction"),
        (b"G\0\0\0\0\0\0\0\0", "a fraction"),
        (b"N", "nothing"),
        (b"U\x01y", "a text"),
        (b"}", "a dict"),
        (b")", "a tuple of 0"),
        (b"K\x01\x85", "a tuple of 1"),
        (b"K\x01K\x02\x86", "without a dict of missing ids"),
        (b"K\x01}NNs\x86", "nothing"),
        (b"K\x01}U\x015Ns\x86", "a text"),
        (b"cdatetime\ndatetime\n", "a callable"),
        (b"cdatetime\ndatetime\n)R", "a moment"),
    ] {
        let what = format!("the position of `f/x` is {what}");
        refuse(&with(number), &Reason::Shape(what));
    }
    for number in [
        &b"I\n"[..],
        b"I0x10\n",
        b"I1_0\n",
        b"I 1\n",
        b"L-L\n",
        b"LL\n",
    ] {
        refuse(&with(number), &Reason::Malformed { at: 10 });
    }
}

#[test]
fn other_shapes() {
    let shape = |what: &str| Reason::Shape(what.into());
    refuse(b"\x80\x02K\x05.", &shape("it is not a dict of folders"));
    refuse(b"\x80\x02}U\x01fK\x05s.", &shape("`f` holds no plugins"));
    refuse(
        b"\x80\x02}U\x03f\x1b\x07Ns.",
        &shape("`f\\u{1b}\\u{7}` holds no plugins"),
    );
    refuse(
        b"\x80\x02}K\x05}s.",
        &shape("a number stands in place of a name"),
    );
    refuse(
        b"\x80\x02}U\x01f}U\x03a/bK\x05ss.",
        &shape("`a/b` names no plugin"),
    );
    refuse(
        b"\x80\x02}U\x01f}U\x00K\x05ss.",
        &shape("`` names no plugin"),
    );
}

/// Python keeps the later of two equal keys. The same folder with and without a slash is two
/// keys there: the one used last has the higher ids.
#[test]
fn one_plugin_twice() {
    let twice = |first: u8, second: u8| {
        let mut pickle = b"\x80\x02}(U\x02/f}U\x01xK".to_vec();
        pickle.extend([first]);
        pickle.extend(b"sU\x03/f/}U\x01xK");
        pickle.extend([second]);
        pickle.extend(b"su.");
        pickle
    };
    check(&twice(3, 9), &[plugin("/f", "x", Some(9), &[])]);
    check(&twice(9, 3), &[plugin("/f", "x", Some(9), &[])]);
    check(
        b"\x80\x02}U\x01f}(U\x01xK\x09U\x01xK\x03us.",
        &[plugin("f", "x", Some(3), &[])],
    );
}

#[test]
fn what_was_read_is_shown() {
    let unusable = EventIdFile::parse(b"\x80\x02}U\x01f}(U\x01aK\x07U\x01bK\x08U\x01c}us.");
    let unusable = unusable.unwrap_err();
    assert_eq!(
        unusable.readable,
        [
            plugin("f", "a", Some(7), &[]),
            plugin("f", "b", Some(8), &[])
        ]
    );
    assert_eq!(
        unusable.to_string(),
        "it does not hold positions: the position of `f/c` is a dict"
    );
}

/// The Python daemon finds a folder by the text of its configuration.
#[test]
fn folders_are_written_as_configured() {
    use jiff::civil::date;
    let plugins = [
        plugin("/f", "x", Some(1), &[]),
        plugin("/g", "x", Some(2), &[]),
    ];
    let folders = ["/fg/".into(), "/f/".into(), "/".into()];
    let pickle = EventIdFile::to_pickle(&plugins, &folders, date(2026, 1, 1).at(0, 0, 0, 0));
    let has = |text: &[u8]| pickle.windows(text.len()).any(|window| window == text);
    assert!(
        has(b"X\x03\0\0\0/f/") && has(b"X\x02\0\0\0/g}"),
        "{}",
        pickle.escape_ascii()
    );
    check(&pickle, &plugins);
}
