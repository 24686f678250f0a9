//! Pickles made to harm, and bytes made by chance: refused, at once, and nothing is run.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::{EventIdFile, Reason};

fn refuse(pickle: &[u8], why: &Reason) {
    let start = Instant::now();
    let found = EventIdFile::parse(pickle).map_err(|unusable| unusable.why);
    let shown = pickle.get(..80).unwrap_or(pickle).escape_ascii();
    assert_eq!(found.as_ref(), Err(why), "{shown}");
    // A bound on work, not a measurement: what grows with the square takes minutes.
    assert!(start.elapsed() < Duration::from_secs(30), "{shown}");
}

#[test]
fn code_is_named_and_not_run() {
    let code = |name: &str| Reason::Code(name.into());
    refuse(b"cos\nsystem\n(S'touch pwned'\ntR.", &code("os.system"));
    refuse(b"(S'touch pwned'\nios\nsystem\n.", &code("os.system"));
    refuse(b"\x80\x04\x95\x1a\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.", &code("posix.system"));
    // Amid true positions, and by a callable that is allowed elsewhere.
    refuse(
        b"\x80\x02}U\x01f}U\x01xK\x05}K\x03cbuiltins\neval\nU\x011\x85Rs\x86ss.",
        &code("builtins.eval"),
    );
    refuse(
        b"\x80\x02}cdatetime\ndatetime.now\n)Rs.",
        &code("datetime.datetime.now"),
    );
    refuse(b"cos\x1b[31m\nsystem\n.", &code("os\\u{1b}[31m.system"));
    let long = [b"c", "m".repeat(5_000).as_bytes(), b"\nn\n."].concat();
    refuse(&long, &code(&format!("{}…", "m".repeat(80))));
}

#[test]
fn objects_are_foreign() {
    for (pickle, opcode, at) in [
        (&b"\x80\x02}q\0b."[..], b'b', 5),
        (b"\x80\x02cdatetime\ndatetime\n)\x81.", 0x81, 22),
        (b"\x80\x04cdatetime\ndatetime\n)}\x92.", 0x92, 23),
        (b"\x80\x02(cdatetime\ndatetime\no.", b'o', 22),
        (b"\x80\x02Pid\n.", b'P', 2),
        (b"\x80\x02NQ.", b'Q', 3),
        (b"\x80\x02\x82\x01.", 0x82, 2),
        (b"\x80\x05\x97.", 0x97, 2),
        (b"\x80\x02]q\0.", b']', 2),
        (b"\x80\x02}2s.", b'2', 3),
        (b"\x80\x02}0.", b'0', 3),
    ] {
        refuse(pickle, &Reason::Foreign { opcode, at });
    }
}

#[test]
fn the_stack_has_a_floor() {
    let malformed = |at| Reason::Malformed { at };
    refuse(b"\x80\x02.", &malformed(3));
    refuse(b"\x80\x02}}.", &malformed(4));
    refuse(b"\x80\x02(}.", &malformed(4));
    refuse(b"\x80\x02s.", &malformed(3));
    refuse(b"\x80\x02u.", &malformed(3));
    refuse(b"\x80\x02t.", &malformed(3));
    refuse(b"\x80\x02\x86.", &malformed(3));
    // From below a mark.
    refuse(b"\x80\x02}U\x01f(s.", &malformed(8));
    refuse(b"\x80\x02}(u(s.", &malformed(7));
    refuse(b"\x80\x02}(Nu.", &malformed(6));
    refuse(b"\x80\x02N(NNu.", &malformed(7));
    refuse(b"\x80\x02q\0.", &malformed(4));
    refuse(b"\x80\x02h\x07.", &malformed(4));
    refuse(b"\x80\x02j\xff\xff\xff\xff.", &malformed(7));
    refuse(b"\x80\x02g99999999999999999999999\n.", &malformed(2));
    // What is called is a callable, and with arguments.
    refuse(b"\x80\x02})R.", &malformed(4));
    refuse(b"\x80\x02cdatetime\ndatetime\nNR.", &malformed(22));
    refuse(b"\x80\x04NN\x93.", &malformed(4));
}

#[test]
fn claimed_lengths_take_no_room() {
    for claim in [
        &b"\x80\x04X\xff\xff\xff\xffa"[..],
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffa",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fa",
        b"\x80\x04B\xff\xff\xff\xffa",
        b"\x80\x02T\xff\xff\xff\xffa",
        b"\x80\x02\x8b\xff\xff\xff\x7f\x01",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff}",
        b"\x80\x02L99999",
    ] {
        refuse(claim, &Reason::CutOff);
    }
    // A memo may have any number.
    let sparse = EventIdFile::parse(b"\x80\x02}r\xff\xff\xff\xffp18446744073709551615\n.");
    assert_eq!(sparse, Ok(EventIdFile::Plugins(vec![])));
}

#[test]
fn depth_costs_nothing() {
    const DEEP: usize = 1_000_000;
    refuse(&b"(".repeat(DEEP), &Reason::CutOff);
    refuse(
        &[&b"\x80\x02"[..], &b"}".repeat(DEEP)].concat(),
        &Reason::CutOff,
    );
    // A dict in a dict in a dict ..., and a tuple in a tuple ...
    let dicts = [
        &b"\x80\x02"[..],
        &b"}N".repeat(DEEP),
        b"}",
        &b"s".repeat(DEEP),
        b".",
    ]
    .concat();
    refuse(
        &dicts,
        &Reason::Shape("nothing stands in place of a name".into()),
    );
    let tuples = [&b"\x80\x02)"[..], &b"\x85".repeat(DEEP), b"."].concat();
    refuse(
        &tuples,
        &Reason::Shape("it is not a dict of folders".into()),
    );
    // One that holds itself.
    let own = b"\x80\x02}q\0U\x01fh\0s.";
    refuse(
        own,
        &Reason::Shape("the position of `f/f` is a dict".into()),
    );
}

#[test]
fn what_is_shared_is_not_multiplied() {
    // Each level holds the one below twice: two to the thirtieth at the end.
    let mut laughs = b"\x80\x02K\x01}\x86q\0".to_vec();
    (0..30).for_each(|_| laughs.extend(b"h\0h\0\x86q\0"));
    laughs.extend(b".");
    refuse(
        &laughs,
        &Reason::Malformed {
            at: laughs.len() - 1,
        },
    );

    // A thousand folders that share a dict of a thousand plugins that share a dict of ids.
    let mut shared = b"\x80\x02}(".to_vec();
    let named = |out: &mut Vec<u8>, n: u16| {
        out.extend(b"U\x04");
        out.extend(format!("{n:04}").as_bytes());
    };
    named(&mut shared, 0);
    shared.extend(b"}(");
    named(&mut shared, 0);
    shared.extend(b"K\x01}(");
    for n in 0..1_000_u16 {
        shared.push(b'M');
        shared.extend(n.to_le_bytes());
        shared.push(b'N');
    }
    shared.extend(b"u\x86q\x01");
    for n in 1..1_000 {
        named(&mut shared, n);
        shared.extend(b"h\x01");
    }
    shared.extend(b"uq\x02");
    for n in 1..1_000 {
        named(&mut shared, n);
        shared.extend(b"h\x02");
    }
    shared.extend(b"u.");
    refuse(&shared, &Reason::TooLarge);
}

#[test]
fn a_file_beyond_all_states_is_not_read() {
    let large = vec![b'1'; EventIdFile::LARGEST + 1];
    refuse(&large, &Reason::TooLarge);
    let busy = [&b"\x80\x02}"[..], &b"q\0".repeat(5 << 20), b"."].concat();
    refuse(&busy, &Reason::TooLarge);
}

#[test]
fn text_is_not_a_damaged_pickle() {
    for text in [
        "hello\n",
        "\u{feff}12\n",
        "[daemon]\n",
        "None",
        "Last: 12",
        "}",
    ] {
        let why = EventIdFile::parse(text.as_bytes()).unwrap_err().why;
        let wanted = if text == "}" {
            Reason::CutOff
        } else {
            Reason::Neither
        };
        assert_eq!(why, wanted, "{text:?}");
    }
}

/// A state with everything in it, as a Python of today writes it.
const STATE: &[u8] = b"\x80\x05\x95\x5e\0\0\0\0\0\0\0}\x94(\x8c\x02/p\x94}\x94(\x8c\x01a\x94J\x40\x42\x0f\0}\x94(M\xb0\x04\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\n\x07\xea\x01\x02\x03\x04\x05\0\0\0\x94\x85\x94R\x94K\x05h\nu\x86\x94\x8c\x01b\x94N}\x94\x86\x94u\x8c\x02/q\x94}\x94u.";

#[test]
fn the_state_to_damage_is_sound() {
    let EventIdFile::Plugins(plugins) = EventIdFile::parse(STATE).unwrap() else {
        panic!("a number");
    };
    assert_eq!(plugins.len(), 2);
    assert_eq!(plugins[0].missing.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(EventIdFile::parse(&bytes));
    }

    #[test]
    fn no_opcodes_panic(bytes in proptest::collection::vec(
        proptest::sample::select(b"(.NKMJIL)td}suqhpgcRUCXVS\x80\x85\x86\x87\x8a\x8c\x93\x94\x95\n0'1a\x00".to_vec()), 0..200
    )) {
        drop(EventIdFile::parse(&bytes));
    }

    #[test]
    fn no_damage_panics(flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = STATE.to_vec();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        drop(EventIdFile::parse(&bytes));
    }
}
