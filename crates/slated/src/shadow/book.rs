//! From the lines of a diary to what `core::shadow` judges by.

use std::collections::{BTreeMap, HashMap};

use slated_core::shadow::{Book, Callback, Ms, Sighting, Want};
use slated_model::{EventId, PluginId};

use super::diary::{Ask, Asks, Line, Seen};

/// How long around an edit of a plugin nobody knows by which of its texts the Python daemon went: it
/// looks at files between two pages of events.
const UNSURE: Ms = 60_000;

/// What a plugin registered, from a moment on.
type Held = (Ms, Vec<Ask>);

/// Makes a book of lines in their order.
pub(crate) fn of(lines: Vec<Line>) -> Book {
    let mut book = Book::default();
    let (mut began, mut last_began) = (None, Ms::MIN);
    let mut plugins: BTreeMap<PluginId, Vec<Held>> = BTreeMap::new();
    let mut events = Vec::new();
    for line in lines {
        match line {
            Line::Began { at, head } => {
                began.get_or_insert((at, head));
                last_began = at;
            }
            Line::Looked { at } => book.until = book.until.max(at),
            Line::Seen(seen) => {
                book.until = book.until.max(seen.at);
                events.push(seen);
            }
            Line::Plugin(asks) => register(&mut plugins, asks, last_began),
        }
    }
    (book.began, book.head) = began.unwrap_or((0, EventId(0)));
    let mut places = Places::default();
    book.sightings = events
        .iter()
        .map(|seen| places.sighting(seen, &plugins))
        .collect();
    book.callbacks = places.callbacks;
    book
}

fn register(plugins: &mut BTreeMap<PluginId, Vec<Held>>, asks: Asks, began: Ms) {
    let held = plugins.entry(asks.plugin).or_default();
    if held
        .last()
        .is_some_and(|(_, callbacks)| *callbacks == asks.callbacks)
    {
        return;
    }
    // What stood there at the beginning was there before.
    let at = match (asks.first, held.is_empty()) {
        (true, true) => Ms::MIN,
        (true, false) => began,
        (false, _) => asks.at,
    };
    held.push((at, asks.callbacks));
}

/// Gives callbacks their places.
#[derive(Default)]
struct Places {
    callbacks: Vec<Callback>,
    by_name: HashMap<String, usize>,
}

impl Places {
    fn place(&mut self, plugin: &str, function: &str) -> usize {
        let name = format!("{plugin}.{function}");
        *self.by_name.entry(name).or_insert_with_key(|name| {
            self.callbacks.push(Callback {
                plugin: plugin.to_owned(),
                name: name.clone(),
            });
            self.callbacks.len() - 1
        })
    }

    fn sighting(&mut self, seen: &Seen, plugins: &BTreeMap<PluginId, Vec<Held>>) -> Sighting {
        let mut sighting = Sighting {
            event: seen.id,
            at: seen.at,
            late: seen.late,
            wants: Vec::new(),
            unsure: Vec::new(),
        };
        for (plugin, held) in plugins {
            // From before to after: by any of these the Python daemon may have gone.
            let until = held
                .iter()
                .rposition(|(at, _)| *at <= seen.at.saturating_add(UNSURE));
            let since = held
                .iter()
                .rposition(|(at, _)| *at <= seen.at.saturating_sub(UNSURE));
            let Some(until) = until else { continue };
            let may = held.get(since.unwrap_or(0)..=until).unwrap_or_default();
            let sure = since.is_some() && may.len() == 1;
            for (_, callbacks) in may {
                self.want(&mut sighting, seen, plugin, callbacks, sure);
            }
        }
        sighting
    }

    fn want(
        &mut self,
        sighting: &mut Sighting,
        seen: &Seen,
        plugin: &PluginId,
        callbacks: &[Ask],
        sure: bool,
    ) {
        let (kind, attribute) = (seen.event_type.as_deref(), seen.attribute_name.as_deref());
        for ask in callbacks {
            let place = self.place(plugin.stem(), ask.name.name());
            if !sure {
                sighting.unsure.push(place);
            } else if ask.matcher.matches(kind, attribute) {
                let known = sighting
                    .wants
                    .iter_mut()
                    .find(|want| want.callback == place);
                match known {
                    Some(want) => {
                        want.times += 1;
                        want.stops |= ask.stop_on_error;
                    }
                    None => sighting.wants.push(Want {
                        callback: place,
                        times: 1,
                        stops: ask.stop_on_error,
                    }),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use slated_model::{AttributeRule, CallbackId, Matcher};

    use super::*;

    fn ask(name: &str, k: u32, kind: &str) -> Ask {
        Ask {
            name: CallbackId::new(name, k),
            matcher: Matcher::new([(kind.to_owned(), AttributeRule::Any(true))]),
            stop_on_error: true,
        }
    }

    fn asks(at: Ms, plugin: &str, first: bool, callbacks: Vec<Ask>) -> Line {
        let plugin = plugin.parse().unwrap();
        Line::Plugin(Asks {
            at,
            plugin,
            first,
            callbacks,
        })
    }

    fn seen(id: u64, at: Ms, kind: &str) -> Line {
        Line::Seen(Seen {
            at,
            offset: id,
            id: EventId(id),
            event_type: Some(kind.into()),
            attribute_name: None,
            late: false,
        })
    }

    fn began(at: Ms) -> Line {
        Line::Began {
            at,
            head: EventId(9),
        }
    }

    /// Writes a book as `EVENT: CALLBACK xTIMES, CALLBACK?`.
    fn told(lines: Vec<Line>) -> Vec<String> {
        let book = of(lines);
        let name = |place: usize| book.callbacks[place].name.clone();
        let one = |s: &Sighting| {
            let wants = s
                .wants
                .iter()
                .map(|w| format!("{} x{}", name(w.callback), w.times));
            let unsure = s.unsure.iter().map(|p| format!("{}?", name(*p)));
            let words: Vec<_> = wants.chain(unsure).collect();
            format!("{}: {}", s.event, words.join(", "))
        };
        book.sightings.iter().map(one).collect()
    }

    #[test]
    fn an_event_is_whose_filters_take_it() {
        let lines = vec![
            began(1000),
            asks(
                3000,
                "p/a",
                true,
                vec![ask("f", 1, "A"), ask("f", 2, "A"), ask("g", 1, "B")],
            ),
            asks(3000, "q/a", true, vec![ask("f", 1, "B")]),
            // Loaded after it was seen, and there before.
            seen(10, 2000, "A"),
            seen(11, 4000, "B"),
            seen(12, 5000, "C"),
        ];
        assert_eq!(told(lines), ["10: a.f x2", "11: a.g x1, a.f x1", "12: "]);
    }

    #[test]
    fn around_an_edit_nothing_is_sure() {
        let lines = vec![
            began(0),
            asks(0, "p/a", true, vec![ask("f", 1, "A")]),
            seen(10, 100_000, "A"),
            seen(11, 150_000, "A"),
            asks(200_000, "p/a", false, vec![ask("g", 1, "A")]),
            seen(12, 250_000, "A"),
            seen(13, 300_000, "A"),
            // The same again is no edit.
            asks(310_000, "p/a", false, vec![ask("g", 1, "A")]),
            seen(14, 311_000, "A"),
        ];
        assert_eq!(
            told(lines),
            [
                "10: a.f x1",
                "11: a.f?, a.g?",
                "12: a.f?, a.g?",
                "13: a.g x1",
                "14: a.g x1"
            ]
        );
        // So it is with one that is new; before that it wanted nothing.
        let lines = vec![
            began(0),
            seen(9, 1000, "A"),
            asks(100_000, "p/a", false, vec![ask("f", 1, "A")]),
            seen(10, 110_000, "A"),
            seen(11, 200_000, "A"),
        ];
        assert_eq!(told(lines), ["9: ", "10: a.f?", "11: a.f x1"]);
    }

    #[test]
    fn it_spans_what_was_looked_at() {
        let book = of(vec![
            began(500),
            seen(10, 600, "A"),
            Line::Looked { at: 900 },
            Line::Began {
                at: 950,
                head: EventId(20),
            },
        ]);
        assert_eq!((book.began, book.until, book.head), (500, 900, EventId(9)));
        assert_eq!(of(Vec::new()).until, 0);
    }
}
