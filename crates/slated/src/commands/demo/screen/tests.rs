//! What somebody at the terminal reads, from the facts of a story.

use slated_model::{AttributeRule, Cause, FailureKind, Matcher};

use super::*;

/// A screen on which one plugin, `notes`, wants new Versions.
struct Seat {
    screen: Screen,
    ms: u64,
}

impl Seat {
    fn new() -> Self {
        let mut screen = Screen::new(EventId(9));
        let matcher = Matcher::new([("Shotgun_Version_New".into(), AttributeRule::Any(true))]);
        screen.set_callbacks(vec![Callback {
            plugin: notes(),
            name: on_event(),
            matcher,
        }]);
        Self { screen, ms: 0 }
    }
    fn take(&mut self, fact: &Fact) {
        self.screen
            .take(fact, Mono(Duration::from_millis(self.ms)), "12:00:00");
    }
    fn event(&mut self, id: u64, kind: &str, late: bool) {
        let text = format!(
            r#"{{"id":{id},"event_type":"{kind}","entity":{{"type":"Version","id":1,"name":"v1"}}}}"#
        );
        self.take(&Fact::EventSeen {
            event: Event::parse(&text).unwrap(),
            late,
        });
    }
    fn after(&mut self, ms: u64) -> Vec<String> {
        self.ms += ms;
        let lines = self.screen.lines(Mono(Duration::from_millis(self.ms)));
        lines
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect()
    }
}

fn notes() -> PluginId {
    PluginId::new("plugins", "notes")
}

fn on_event() -> CallbackId {
    CallbackId::new("notes", 1)
}

fn done(event: u64, attempt: u32) -> Fact {
    Fact::CallbackDone {
        plugin: notes(),
        callback: on_event(),
        event: EventId(event),
        us: 1500,
        attempt,
    }
}

fn refused(event: u64) -> Fact {
    let failure = Failure {
        kind: FailureKind::Raised,
        error: "ConnectionRefusedError".into(),
        message: "refused".into(),
        traceback: String::new(),
        locals: None,
        cause: Some(Cause::Transient),
        us: None,
        log: Vec::new(),
    };
    let wait = Duration::from_secs(2);
    Fact::CallbackRetried {
        plugin: notes(),
        callback: on_event(),
        event: EventId(event),
        failure,
        failed: 1,
        wait,
        aside: true,
    }
}

#[test]
fn an_event_stands_above_what_the_plugin_did_with_it_whatever_came_between() {
    let mut seat = Seat::new();
    seat.event(10, "Shotgun_Version_New", false);
    seat.event(11, "Shotgun_Task_New", false);
    assert_eq!(seat.after(500), [""; 0], "the plugin has not answered");
    seat.take(&Fact::PluginLog {
        plugin: notes(),
        level: 20,
        logger: String::new(),
        message: "wrote it".into(),
        call: None,
        at_us: 0,
        source: crate::tell::Source::default(),
    });
    seat.take(&done(10, 1));
    assert_eq!(
        seat.after(0),
        [
            "12:00:00  10  Shotgun_Version_New  Version v1",
            "          notes                done in 1.5 ms",
            "            wrote it",
            "12:00:00  11  Shotgun_Task_New  Version v1",
        ]
    );
    assert!(seat.screen.is_idle());
}

#[test]
fn a_retry_is_seen_to_fail_and_later_to_be_done() {
    let mut seat = Seat::new();
    seat.event(10, "Shotgun_Version_New", false);
    seat.take(&refused(10));
    let lines = seat.after(0).join("\n");
    assert!(
        lines
            .contains("failed: ConnectionRefusedError: refused\n            again in 2.0 s, aside"),
        "{lines}"
    );
    seat.take(&done(10, 2));
    assert_eq!(
        seat.after(2000),
        ["          notes                event 10: done in 1.5 ms at attempt 2"]
    );
}

#[test]
fn a_hole_and_what_fills_it_late_are_both_told() {
    let mut seat = Seat::new();
    seat.event(11, "Shotgun_Task_New", false);
    assert_eq!(
        seat.after(500),
        [
            "12:00:00  10 is not there yet, and asked for again\n12:00:00  11  Shotgun_Task_New  Version v1"
        ]
    );
    seat.event(10, "Shotgun_Task_New", true);
    assert_eq!(
        seat.after(500),
        ["12:00:00  10  Shotgun_Task_New  Version v1  (late)"]
    );
}

#[test]
fn what_nobody_asked_for_shares_a_line() {
    let mut seat = Seat::new();
    for id in 10..=13 {
        seat.event(id, "Shotgun_Version_Change", false);
        assert_eq!(seat.after(1), [""; 0], "more may come");
    }
    assert_eq!(
        seat.after(500),
        ["12:00:00  10 to 13  Shotgun_Version_Change  Version v1"]
    );
}

#[test]
fn a_plugin_that_does_not_answer_holds_the_screen_for_a_moment_only() {
    let mut seat = Seat::new();
    seat.event(10, "Shotgun_Version_New", false);
    assert_eq!(seat.after(2900), [""; 0]);
    assert_eq!(
        seat.after(200),
        ["12:00:00  10  Shotgun_Version_New  Version v1"]
    );
    seat.take(&done(10, 1));
    assert_eq!(
        seat.after(0),
        ["          notes                event 10: done in 1.5 ms"]
    );
}
