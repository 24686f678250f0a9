//! When letters go out, as stories and drawn at random.

use proptest::prelude::*;

use super::*;

/// A text of so many bytes that knows its number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Text {
    n: u64,
    size: usize,
}

impl Example for Text {
    fn size(&self) -> usize {
        self.size
    }
    fn shorten(&mut self) {
        self.size = self.size.min(10);
    }
}

fn heard(plugin: &str, print: &str, n: u64) -> Heard<Text> {
    Heard {
        topic: Topic {
            plugin: Some(PluginId::new("p", plugin)),
            print: print.into(),
        },
        to: vec!["td@studio.example".into()],
        event: Some(EventId(n)),
        at_ms: i64::try_from(n).expect("small"),
        example: Text { n, size: 100 },
    }
}

fn minute(m: u64) -> Mono {
    Mono::from_secs(m * 60)
}

/// Takes what is due and has it sent; returns how many each part tells of.
fn send(digests: &mut Digests<Text>, now: Mono) -> Vec<u64> {
    let Some(letter) = digests.take(now) else {
        return Vec::new();
    };
    let counts = letter.parts.iter().map(|p| p.pile.count).collect();
    digests.settle(now, letter, Fate::Sent);
    counts
}

#[test]
fn the_first_goes_at_once_and_the_rest_ever_more_rarely() {
    let mut digests = Digests::new(Rules::default());
    let mut sent = Vec::new();
    // One a minute for three days.
    for m in 0..3 * 24 * 60 {
        digests.hear(minute(m), heard("notes", "a", m));
        for count in send(&mut digests, minute(m)) {
            sent.push((m, count));
        }
    }
    let day = 24 * 60;
    assert_eq!(
        sent,
        [
            (0, 1),
            (10, 10),
            (70, 60),
            (70 + day, day),
            (70 + 2 * day, day)
        ]
    );
    assert_eq!(digests.next(), Some(minute(70 + 3 * day)));
    assert_eq!(digests.waiting(), 3 * day - 71 - 2 * day);
}

#[test]
fn after_quiet_and_after_an_edit_it_goes_at_once_again() {
    let mut digests = Digests::new(Rules::default());
    for m in [0, 1, 2] {
        digests.hear(minute(m), heard("notes", "a", m));
        send(&mut digests, minute(m));
    }
    assert_eq!(send(&mut digests, minute(10)), [2]);
    // Within the quiet time it is still the same trouble.
    digests.hear(minute(60), heard("notes", "a", 3));
    assert_eq!(send(&mut digests, minute(60)), [0; 0]);
    assert_eq!(send(&mut digests, minute(70)), [1]);
    digests.hear(minute(60 + 6 * 60), heard("notes", "a", 4));
    assert_eq!(send(&mut digests, minute(60 + 6 * 60)), [1]);
    // It begins with short gaps again.
    digests.hear(minute(425), heard("notes", "a", 5));
    assert_eq!(digests.next(), Some(minute(430)));
    digests.renew(minute(426), &PluginId::new("p", "other"));
    assert_eq!(digests.next(), Some(minute(430)));
    digests.renew(minute(426), &PluginId::new("p", "notes"));
    assert_eq!(send(&mut digests, minute(426)), [1]);
}

#[test]
fn what_does_not_get_through_is_told_with_what_came_since() {
    let mut digests = Digests::new(Rules::default());
    let mut now = Mono::ZERO;
    digests.hear(now, heard("notes", "a", 1));
    for times in 0..5 {
        let letter = digests.take(now).expect("due");
        assert_eq!(letter.parts[0].pile.count, 1 + 2 * times);
        assert!(digests.take(now).is_none(), "one at a time");
        digests.hear(now, heard("notes", "a", 10 + times));
        digests.hear(now, heard("other", "b", 20 + times));
        digests.settle(now, letter, Fate::Stuck);
        digests.hear(now, heard("notes", "a", 30 + times));
        let again = digests.next().expect("again");
        assert_eq!(again.since(now), Duration::from_secs(2 << times));
        assert!(digests.take(now).is_none());
        now = again;
    }
    // One letter has all of it, oldest and newest of each group.
    let letter = digests.take(now).expect("due");
    let told: Vec<_> = letter
        .parts
        .iter()
        .map(|p| {
            (
                p.pile.count,
                p.pile.first.n,
                p.pile.last.as_ref().map(|t| t.n),
            )
        })
        .collect();
    assert_eq!(told, [(11, 1, Some(34)), (5, 20, Some(24))]);
    assert_eq!(letter.parts[0].pile.events, Some((EventId(1), EventId(34))));
    digests.settle(now, letter, Fate::Sent);
    assert_eq!((digests.next(), digests.waiting()), (None, 0));
}

#[test]
fn a_letter_that_is_refused_holds_up_no_other() {
    let mut digests = Digests::new(Rules::default());
    let now = minute(1);
    digests.hear(now, heard("a", "x", 1));
    digests.hear(now, heard("b", "x", 2));
    let letter = digests.take(now).expect("due");
    digests.settle(now, letter, Fate::Refused);
    let letter = digests.take(now).expect("the other");
    assert_eq!(letter.parts[0].pile.first.n, 2);
    digests.settle(now, letter, Fate::Sent);
    assert!(digests.take(now).is_none());
    assert_eq!(digests.next(), Some(now + Duration::from_secs(2)));
    assert_eq!(digests.waiting(), 1);
    // Nobody who works on the plugin makes the server take it, and it is tried ever later.
    digests.renew(now, &PluginId::new("p", "a"));
    let again = now + Duration::from_secs(2);
    assert_eq!(digests.next(), Some(again));
    let letter = digests.take(again).expect("due");
    digests.settle(again, letter, Fate::Refused);
    let again = again + Duration::from_secs(4);
    assert_eq!(digests.next(), Some(again));
    // When it is taken that is over.
    assert_eq!(send(&mut digests, again), [1]);
    let later = again + Duration::from_mins(10);
    digests.hear(later, heard("a", "x", 3));
    let letter = digests.take(later).expect("due");
    digests.settle(later, letter, Fate::Refused);
    assert_eq!(digests.next(), Some(later + Duration::from_secs(2)));
}

#[test]
fn at_the_end_all_goes_in_a_letter_for_each_receiver() {
    let mut digests = Digests::new(Rules::default());
    for (n, (plugin, print)) in [("a", "x"), ("a", "x"), ("a", "y"), ("b", "x"), ("b", "x")]
        .into_iter()
        .enumerate()
    {
        let mut heard = heard(plugin, print, n as u64);
        if plugin == "b" {
            heard.to = vec!["lead@studio.example".into()];
        }
        digests.hear(Mono::ZERO, heard);
        send(&mut digests, Mono::ZERO);
    }
    assert_eq!(digests.waiting(), 2);
    digests.drain();
    assert_eq!(send(&mut digests, Mono::ZERO), [1]);
    // One that is refused is not tried on and on.
    let letter = digests.take(Mono::ZERO).expect("the other");
    digests.settle(Mono::ZERO, letter, Fate::Refused);
    assert!(digests.take(Mono::ZERO).is_none());
    assert_eq!(digests.next(), Some(Mono::from_secs(2)));
}

#[test]
fn a_plugin_that_never_fails_the_same_way_has_one_group_for_the_rest() {
    let rules = Rules {
        memory: 5_000,
        ..Rules::default()
    };
    let mut digests = Digests::new(rules);
    let mut sent = Vec::new();
    for n in 0..10_000 {
        digests.hear(minute(1), heard("notes", &format!("p{n}"), n));
        sent.extend(send(&mut digests, minute(1)));
    }
    // Ten, and the first of the rest.
    assert_eq!(sent, [1; 11]);
    assert_eq!(digests.waiting(), 10_000 - 11);
    assert_eq!(digests.groups.len(), 11);
    // Another plugin is not concerned.
    digests.hear(minute(1), heard("other", "p1", 1));
    assert_eq!(send(&mut digests, minute(1)), [1]);
    assert_eq!(send(&mut digests, minute(11)), [10_000 - 11]);
}

#[derive(Clone, Debug)]
enum Act {
    Hear { plugin: u8, print: u8, size: usize },
    Wait(u64),
    Take,
    Settle(Fate),
    Renew(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let fate = prop_oneof![
        6 => Just(Fate::Sent),
        2 => Just(Fate::Stuck),
        1 => Just(Fate::Refused)
    ];
    let act = prop_oneof![
        6 => (0u8..3, 0u8..9, 1usize..3_000)
            .prop_map(|(plugin, print, size)| Act::Hear { plugin, print, size }),
        3 => (0u64..50_000).prop_map(Act::Wait),
        4 => Just(Act::Take),
        4 => fate.prop_map(Act::Settle),
        1 => (0u8..3).prop_map(Act::Renew),
    ];
    proptest::collection::vec(act, 0..200)
}

proptest! {
    /// The judge keeps books of its own: of each plugin what was heard and what got through, and
    /// of each group when.
    #[test]
    fn nothing_is_lost_doubled_or_told_too_often(acts in acts()) {
        let rules = Rules { groups: 4, memory: 6_000, ..Rules::default() };
        let mut digests = Digests::new(rules);
        let (mut now, mut n) = (Mono::ZERO, 0u64);
        let mut out: Option<Letter<Text>> = None;
        let mut heard_of: BTreeMap<Option<PluginId>, Vec<u64>> = BTreeMap::new();
        let mut told_of: BTreeMap<Option<PluginId>, u64> = BTreeMap::new();
        let mut sent_at: BTreeMap<Topic, Mono> = BTreeMap::new();
        for act in acts {
            match act {
                Act::Hear { plugin, print, size } => {
                    n += 1;
                    let mut one = heard(&plugin.to_string(), &print.to_string(), n);
                    one.example.size = size;
                    // A group has one kind of receiver here; a plugin has two.
                    one.to = vec![format!("{}@studio.example", print % 2)];
                    let topic = one.topic.clone();
                    let is_new = !digests.groups.contains_key(&topic);
                    heard_of.entry(topic.plugin.clone()).or_default().push(n);
                    digests.hear(now, one);
                    if is_new && digests.groups.contains_key(&topic) {
                        sent_at.remove(&topic);
                        let due = digests.groups[&topic].next;
                        prop_assert!(due <= now, "the first of a group goes at once");
                    }
                }
                Act::Wait(seconds) => now = now + Duration::from_secs(seconds),
                Act::Renew(plugin) => {
                    let plugin = PluginId::new("p", plugin.to_string());
                    digests.renew(now, &plugin);
                    sent_at.retain(|topic, _| topic.plugin.as_ref() != Some(&plugin));
                }
                Act::Take => if out.is_none() {
                    let due = digests.next().is_some_and(|at| at <= now);
                    out = digests.take(now);
                    prop_assert_eq!(out.is_some(), due, "`next` says when");
                    for part in out.iter().flat_map(|letter| &letter.parts) {
                        prop_assert!(part.pile.count > 0);
                        let group = &digests.groups[&part.topic];
                        let newest = part.pile.last.as_ref().unwrap_or(&part.pile.first).n;
                        prop_assert!(part.pile.first.n <= newest);
                        let quiet = group.letters == 0;
                        if let Some(at) = sent_at.get(&part.topic).filter(|_| !quiet) {
                            prop_assert!(now.since(*at) >= rules.gaps[0], "too soon");
                        }
                    }
                } else {
                    prop_assert!(digests.take(now).is_none());
                },
                Act::Settle(fate) => if let Some(letter) = out.take() {
                    if fate == Fate::Sent {
                        for part in &letter.parts {
                            *told_of.entry(part.topic.plugin.clone()).or_default() += part.pile.count;
                            sent_at.insert(part.topic.clone(), now);
                        }
                    }
                    digests.settle(now, letter, fate);
                },
            }
            let mut waits: BTreeMap<Option<PluginId>, u64> = told_of.clone();
            for (topic, group) in &digests.groups {
                let count = group.pending.as_ref().map_or(0, |pile| pile.count);
                *waits.entry(topic.plugin.clone()).or_default() += count;
            }
            for part in out.iter().flat_map(|letter| &letter.parts) {
                *waits.entry(part.topic.plugin.clone()).or_default() += part.pile.count;
            }
            for (plugin, all) in &heard_of {
                prop_assert_eq!(waits.get(plugin).copied().unwrap_or(0), all.len() as u64);
                let own = digests.groups.keys().filter(|t| t.plugin == *plugin);
                prop_assert!(own.count() <= rules.groups + 1);
            }
            let held: usize = digests.groups.values().filter_map(|g| g.pending.as_ref()).map(Pile::size).sum();
            // Two shortened ones of each group may stand above that.
            prop_assert!(held <= rules.memory + 20 * digests.groups.len(), "{held}");
        }
        // At the end nothing is left.
        if let Some(letter) = out.take() {
            digests.settle(now, letter, Fate::Stuck);
        }
        digests.drain();
        // What was refused is tried when its time comes, then as before.
        while let Some(at) = digests.next() {
            now = now.max(at);
            let letter = digests.take(now).expect("it is due");
            for part in &letter.parts {
                *told_of.entry(part.topic.plugin.clone()).or_default() += part.pile.count;
            }
            digests.settle(now, letter, Fate::Sent);
        }
        for (plugin, all) in heard_of {
            prop_assert_eq!(told_of.get(&plugin).copied().unwrap_or(0), all.len() as u64);
        }
    }
}
