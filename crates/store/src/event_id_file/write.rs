//! A state as a pickle that every Python from 2.7 on loads.
//!
//! Protocol 2 is the newest one that Python 2 knows. Moments are made from numbers, not from
//! the bytes that Python itself would write: those are a text in Python 2 and bytes in
//! Python 3, and neither loads the other's without help.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use slated_model::EventId;

use super::OldPlugin;

/// Writes `{folder: {stem: (last | None, {missing id: expires})}}`.
pub(super) fn pickle(plugins: &[OldPlugin], folders: &[String], expires: DateTime) -> Vec<u8> {
    let mut by_folder = BTreeMap::<&str, Vec<&OldPlugin>>::new();
    for plugin in plugins {
        let folder = spelled(plugin.plugin.folder(), folders);
        by_folder.entry(folder).or_default().push(plugin);
    }
    let mut out = vec![0x80, 2];
    // The one moment stands in memo 0 after its first use.
    let mut known = false;
    dict(&mut out, by_folder, |out, (folder, plugins)| {
        text(out, folder);
        dict(out, plugins, |out, plugin| {
            text(out, plugin.plugin.stem());
            match plugin.last {
                Some(last) => id(out, last),
                None => out.push(b'N'),
            }
            dict(out, &plugin.missing, |out, missing| {
                id(out, *missing);
                if known {
                    out.extend(b"h\0");
                } else {
                    moment(out, expires);
                    out.extend(b"q\0");
                    known = true;
                }
            });
            out.push(0x86);
        });
    });
    out.push(b'.');
    out
}

/// Returns a folder as the configuration spells it. The Python daemon compares texts.
fn spelled<'a>(folder: &'a str, folders: &'a [String]) -> &'a str {
    let bare = |spelled: &str| spelled.trim_end_matches('/').len();
    let same = |spelled: &&String| {
        spelled.starts_with(folder) && bare(spelled) == bare(folder) && !folder.is_empty()
    };
    folders.iter().find(same).map_or(folder, String::as_str)
}

fn dict<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.extend(b"}(");
    items.into_iter().for_each(|item| write(out, item));
    out.push(b'u');
}

fn text(out: &mut Vec<u8>, text: &str) {
    // No path is longer than a `u32` counts.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.push(b'X');
    out.extend(length.to_le_bytes());
    out.extend(text.bytes().take(length as usize));
}

fn id(out: &mut Vec<u8>, id: EventId) {
    if let Ok(small) = i32::try_from(id.0) {
        number(out, small);
    } else {
        // A zero on top, so that the highest bit is no sign.
        out.extend([0x8a, 9]);
        out.extend(id.0.to_le_bytes());
        out.push(0);
    }
}

fn number(out: &mut Vec<u8>, number: i32) {
    out.push(b'J');
    out.extend(number.to_le_bytes());
}

fn moment(out: &mut Vec<u8>, moment: DateTime) {
    out.extend(b"cdatetime\ndatetime\n(");
    for part in [moment.year(), moment.month().into(), moment.day().into()] {
        number(out, part.into());
    }
    for part in [moment.hour(), moment.minute(), moment.second()] {
        number(out, part.into());
    }
    out.extend(b"tR");
}
