//! Files that a slip of the hand, an editor or a bad disk has been at: they load, or the file and
//! line are named. Nothing panics, and what loads can be migrated.

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{REFERENCE, World, parse};
use crate::conf::tests::migrated;
use crate::{Config, Diagnostics, Origin};

const STOCK: &str = include_str!("../conf/tests/stock.conf");

/// What is done to a file.
#[derive(Clone, Debug)]
enum Slip {
    /// A byte becomes another.
    Byte(Index, u8),
    /// Some bytes go.
    Cut(Index, usize),
    /// Something is typed anywhere.
    Type(Index, &'static str),
    /// A line is there twice, the second time elsewhere.
    Again(Index, Index),
    /// A line goes.
    Drop(Index),
    /// A value becomes another.
    Value(Index, &'static str),
    /// Everything behind goes.
    End(Index),
    /// A value becomes very long.
    Long(Index, usize),
}

const TYPED: &[&str] = &[
    "\u{feff}",
    "\0",
    "\r",
    "\u{2028}",
    "\u{202e}",
    "é",
    "\n[",
    "]\n",
    "\"",
    "'''",
    "\"\"\"",
    "=",
    ":",
    "#",
    ";",
    "%",
    "%(",
    "%(SHOW)s",
    "\n[slated]\n",
    "\n[plugin.\"\"]\n",
    "\n[plugin]\n",
    "\n[site]\n",
    "\n[slated plugin x]\n",
    "\n[[site]]\n",
    "\n[DEFAULT]\n",
    "a.b.c = 1\n",
    "\t",
    "\u{85}",
];
const VALUES: &[&str] = &[
    "",
    "\"\"",
    "0",
    "-1",
    "9223372036854775807",
    "99999999999999999999",
    "1e400",
    "nan",
    "0x10",
    "1_0",
    "true",
    "\"true\"",
    "[]",
    "[[]]",
    "{}",
    "{ env = 1 }",
    "{ env = \"\" }",
    "{ file = \"\" }",
    "{ command = [] }",
    "\"18446744073709551615s\"",
    "\"0.0000000001s\"",
    "\"99999999TB\"",
    "\"~\"",
    "\"/\"",
    "\"\\u0000\"",
    "\"id:99999999999999999999\"",
    "\"ago:999999999w\"",
    "\"https://[::1\"",
    "1979-05-27",
    "/mnt/\u{fffd}",
    "\"ab\\nc\"",
    "{ \"\" = \"x\" }",
    "{ \"a=b\" = \"x\" }",
    "forever",
    "[\"\"]",
    "[\"a\", \"a/\"]",
];

fn slip() -> impl Strategy<Value = Slip> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Slip::Byte(at, byte)),
        (at(), 1usize..40).prop_map(|(at, n)| Slip::Cut(at, n)),
        (at(), proptest::sample::select(TYPED)).prop_map(|(at, text)| Slip::Type(at, text)),
        (at(), at()).prop_map(|(line, to)| Slip::Again(line, to)),
        at().prop_map(Slip::Drop),
        (at(), proptest::sample::select(VALUES)).prop_map(|(at, text)| Slip::Value(at, text)),
        at().prop_map(Slip::End),
        (at(), 1usize..200_000).prop_map(|(at, n)| Slip::Long(at, n)),
    ]
}

/// Returns the file with what was done to it.
fn slipped(text: &str, slips: &[Slip]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for slip in slips {
        if bytes.is_empty() {
            break;
        }
        let lines: Vec<Vec<u8>> = bytes
            .split_inclusive(|b| *b == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let replace = |at: &Index, value: &[u8]| -> Vec<u8> {
            let mut lines = lines.clone();
            let with: Vec<_> = (0..lines.len())
                .filter(|n| lines[*n].iter().any(|b| b"=:".contains(b)))
                .collect();
            if with.is_empty() {
                return lines.concat();
            }
            let line = &mut lines[with[at.index(with.len())]];
            let key = line.iter().position(|b| b"=:".contains(b)).unwrap();
            line.truncate(key + 1);
            line.extend_from_slice(b" ");
            line.extend_from_slice(value);
            line.push(b'\n');
            lines.concat()
        };
        match slip {
            Slip::Byte(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Slip::Cut(at, n) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + n).min(bytes.len()));
            }
            Slip::Type(at, text) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, text.bytes());
            }
            Slip::Again(line, to) => {
                let mut all = lines.clone();
                all.insert(
                    to.index(lines.len()),
                    lines[line.index(lines.len())].clone(),
                );
                bytes = all.concat();
            }
            Slip::Drop(at) => {
                let mut all = lines.clone();
                all.remove(at.index(lines.len()));
                bytes = all.concat();
            }
            Slip::Value(at, value) => bytes = replace(at, value.as_bytes()),
            Slip::End(at) => bytes.truncate(at.index(bytes.len())),
            Slip::Long(at, n) => bytes = replace(at, &vec![b'9'; *n]),
        }
    }
    bytes
}

/// Checks that whoever reads the errors knows where to look.
fn says_where(wrong: &Diagnostics, text: &str) {
    assert!(!wrong.is_empty());
    let lines = text.split(['\n', '\r']).count();
    for one in wrong {
        let Origin::File { line, .. } = &one.origin else {
            panic!("no file: {one}\n{text}");
        };
        assert!(!one.message.is_empty());
        match line {
            Some(line) => assert!(usize::try_from(*line).unwrap() <= lines + 1, "{one}"),
            // What is not there stands in no line.
            None => assert!(one.message.contains("missing"), "{one}\n{text}"),
        }
    }
}

/// Reads bytes that are no text, from a disk.
fn from_disk(bytes: &[u8], name: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), bytes).unwrap();
    let wrong = Config::load_in(folder.path(), Path::new(name), &[]).unwrap_err();
    assert!(
        wrong.to_string().contains("is not UTF-8 at line "),
        "{wrong}"
    );
}

proptest! {
    #[test]
    fn a_toml_loads_or_says_where(slips in proptest::collection::vec(slip(), 1..6)) {
        let bytes = slipped(REFERENCE, &slips);
        match std::str::from_utf8(&bytes) {
            Err(_) => from_disk(&bytes, "slated.toml"),
            Ok(text) => if let Err(wrong) = parse(text) {
                says_where(&wrong, text);
            },
        }
    }
    #[test]
    fn a_conf_loads_and_migrates_or_says_where(
        slips in proptest::collection::vec(slip(), 1..6),
        small in any::<bool>(),
    ) {
        let whole = if small { crate::conf::tests::SMALLEST } else { STOCK };
        let bytes = slipped(whole, &slips);
        match std::str::from_utf8(&bytes) {
            Err(_) => from_disk(&bytes, "studio.conf"),
            Ok(text) => if let Err(wrong) = migrated(text, &world()) {
                says_where(&wrong, text);
            },
        }
    }
}

fn world() -> World {
    crate::conf::tests::world()
}
