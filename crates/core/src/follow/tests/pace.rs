//! Settling, and two requests where one is slow.

use super::*;

/// A story that follows a site of 30 rows, with a time to settle.
fn settling(secs: u64) -> Story {
    let mut story = Story::new(1..=30, Start::Latest);
    let pace = Pace {
        settle: Duration::from_secs(secs),
        ..PACE
    };
    story.follower = Follower::start(None, Start::Latest, pace, Mono::ZERO);
    story.poll();
    story
}

#[test]
fn rows_above_a_fresh_hole_wait_for_it() {
    // (ids that come first, what comes with each tick, what is in the log after each)
    type Ticks<'a> = &'a [(&'a [u64], &'a [(u64, bool)])];
    let late = |id| (id, true);
    let row = |id| (id, false);
    let cases: [(&str, u64, Ticks<'_>); 6] = [
        (
            "it fills in time, and the order is that of ids",
            4,
            &[
                (&[31, 33, 34], &[row(31)]),
                (&[32], &[row(31), row(32), row(33), row(34)]),
            ],
        ),
        (
            "it does not, and waits no longer",
            4,
            &[
                (&[32], &[]),
                (&[], &[]),
                (&[], &[row(32)]),
                (&[31], &[row(32), late(31)]),
            ],
        ),
        (
            "a second hole has its own time, and part of a hole is as old as the whole",
            4,
            &[
                (&[35], &[]),
                (&[33, 38], &[]),
                (&[], &[row(33), row(35)]),
                (&[], &[row(33), row(35), row(38)]),
            ],
        ),
        (
            "less than a tick is one more look",
            1,
            &[(&[32], &[]), (&[], &[row(32)])],
        ),
        (
            "a full page waits for nothing, and what is left of it does",
            4,
            &[(
                &[32, 33, 34, 35, 36, 37, 38, 39, 40, 42],
                &[
                    row(32),
                    row(33),
                    row(34),
                    row(35),
                    row(36),
                    row(37),
                    row(38),
                    row(39),
                    row(40),
                ],
            )],
        ),
        ("no time, no wait", 0, &[(&[32], &[row(32)])]),
    ];
    for (what, settle, ticks) in cases {
        let mut story = settling(settle);
        for (ids, log) in ticks {
            story.site.extend(ids.iter().copied());
            let asked = story.tick().len();
            assert!(asked <= 4, "{what}: {asked} requests");
            assert_eq!(story.log, *log, "{what}");
        }
    }
}

#[test]
fn what_was_shown_and_waits_is_not_new_to_a_plugin_that_begins() {
    let mut story = settling(4);
    story.site.insert(35);
    story.tick();
    assert_eq!(story.follower.high(), EventId(30));
    assert_eq!(story.follower.head(), EventId(35));
    assert_eq!(story.holes(), []);
    assert_eq!(story.follower.status().settling, 5);
}

#[test]
fn where_both_are_slow_the_holes_come_behind_the_head() {
    // Holes that ride at every poll, and never fill.
    let fresh = |story: &mut Story, id: u64| {
        let id = 40 + 2 * id;
        story.site.insert(id);
    };
    let mut story = Story::new(1..=30, Start::Latest);
    story.poll();
    let kind = |request: &Request| {
        let Request::Ranges { ranges, ids, .. } = request else {
            panic!("{request:?}");
        };
        let head = ranges.iter().any(|r| r.1.is_none());
        (head, ranges.len() + ids.len() > usize::from(head))
    };
    let mut polls = Vec::new();
    for n in 0..40 {
        fresh(&mut story, n);
        story.now = story.now + PACE.tick;
        let mut kinds = Vec::new();
        while let Next::Ask(request) = story.follower.next(story.now) {
            let slow = kind(&request) == (true, true);
            let took = if slow { 5000 } else { 200 };
            story.now = story.now + Duration::from_millis(took);
            story.answer(story.rows(&request));
            kinds.push(kind(&request));
        }
        polls.push(kinds);
    }
    assert!(story.follower.status().split);
    let (head, holes) = ((true, false), (false, true));
    let last = polls.last().unwrap();
    assert_eq!(last[..2], [head, holes], "{last:?}");
    assert!(last.iter().skip(1).all(|k| *k == holes), "{last:?}");
    // Each row entered the log once, the last of them with its poll's head.
    assert_eq!(story.log.len(), 40);
    assert_eq!(story.log.last(), Some(&(118, false)));
    // A hole that fills is found by a request without the head, which vouches all the same.
    story.site.insert(117);
    story.tick();
    assert_eq!(story.log.last(), Some(&(117, true)));
    assert!(story.follower.recognised);
}
