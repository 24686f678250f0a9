//! How mails look, byte for byte, and what becomes of them without a server.

use jiff::tz::TimeZone;
use slated_core::Mono;
use slated_core::digest::{Digests, Fate, Rules};
use slated_model::{CallbackId, EventId, Failure, FailureKind, HoldRow};

use super::letter::Style;
use super::post::LONG;
use super::*;
use crate::tell::Call;
use crate::tell::record::{ERROR, INFO, Source};

fn at(second: u32) -> Timestamp {
    let text = format!("2026-11-23T08:15:{second:02}.123Z");
    text.parse().expect("a time")
}

fn notes() -> PluginId {
    PluginId::new("/studio/plugins", "notes")
}

fn on_status() -> CallbackId {
    CallbackId::new("on_status", 1)
}

fn failure(event: u64) -> Failure {
    Failure {
        kind: FailureKind::Raised,
        error: "KeyError".into(),
        message: format!("'shot {event}'"),
        traceback: format!(
            "Traceback (most recent call last):\n  File \"/studio/plugins/notes.py\", line 12, in on_status\n    shots[name]\n    ~~~~~^^^^^^\nKeyError: 'shot {event}'\n"
        ),
        locals: Some(format!("event = {{'id': {event}}}\nname = 'shot {event}'")),
        cause: None,
        us: None,
        log: Vec::new(),
    }
}

fn letter(event: u64) -> Fact {
    Fact::DeadLetter {
        plugin: notes(),
        callback: on_status(),
        event: EventId(event),
        failure: failure(event),
        attempts: 3,
    }
}

fn held() -> Fact {
    Fact::PluginHeld {
        plugin: notes(),
        hold: HoldRow {
            event: Some(EventId(7)),
            callback: Some(on_status()),
            reason: "KeyError: 'shot 7'".into(),
        },
        failure: Some(failure(7)),
    }
}

fn logged(level: u32, message: &str) -> Fact {
    Fact::PluginLog {
        plugin: notes(),
        level,
        logger: "plugin.notes.on_status".into(),
        message: message.into(),
        call: Some(Call {
            event: EventId(7),
            callback: on_status(),
            attempt: 1,
        }),
        at_us: 1_795_421_702_007_000,
        source: Source {
            path: "/studio/plugins/notes.py".into(),
            func: "on_status".into(),
            line: 9,
        },
    }
}

fn broken() -> Fact {
    Fact::PluginBroken {
        plugin: notes(),
        place: "/studio/plugins/notes.py:3: SyntaxError: invalid syntax".into(),
        traceback: "  File \"/studio/plugins/notes.py\", line 3\n    def f(:\n          ^\nSyntaxError: invalid syntax\n".into(),
        kept_old: true,
    }
}

fn style(python: bool) -> Style {
    Style {
        python,
        subject: if python { "[SG]" } else { "[slated]" }.into(),
        own: if python { "engine" } else { "slated" },
        zone: TimeZone::get("Europe/Berlin").expect("the system's time zones"),
    }
}

/// Has facts heard one after another, each a second later; what goes out at the end.
fn written(python: bool, facts: &[Fact], together: bool) -> String {
    let mut digests = Digests::new(Rules::default());
    let hear = |digests: &mut Digests<Notice>, facts: &[Fact]| {
        for (n, fact) in facts.iter().enumerate() {
            let second = u32::try_from(n).expect("few");
            let heard = notice::of_fact(fact, at(second), &Scrub::default());
            digests.hear(Mono::ZERO, heard.expect("it is mailed"));
        }
    };
    hear(&mut digests, facts);
    if together {
        // Everything that has a letter out waits behind it.
        while let Some(letter) = digests.take(Mono::ZERO) {
            digests.settle(Mono::ZERO, letter, Fate::Sent);
        }
        hear(&mut digests, facts);
        digests.drain();
    }
    let letter = digests.take(Mono::ZERO).expect("a letter");
    let (subject, body) = style(python).write(&letter);
    format!("Subject: {subject}\n\n{body}")
}

#[track_caller]
fn looks(is: &str, wanted: &str) {
    assert!(is == wanted, "---- it is\n{is}\n---- wanted\n{wanted}");
}

#[test]
fn under_a_conf_mail_is_the_python_daemons() {
    looks(
        &written(true, &[letter(7)], false),
        include_str!("golden/conf_failure.txt"),
    );
    let error = logged(ERROR, "the farm is away\nTraceback …");
    looks(
        &written(true, &[error], false),
        include_str!("golden/conf_logged.txt"),
    );
    let facts = [letter(7), letter(9), letter(12)];
    looks(
        &written(true, &facts, false),
        include_str!("golden/conf_digest.txt"),
    );
}

#[test]
fn otherwise_mail_says_what_slated_does_next_and_where_to_look() {
    for (facts, wanted) in [
        (&[letter(7)][..], include_str!("golden/toml_failure.txt")),
        (&[held()], include_str!("golden/toml_held.txt")),
        (&[broken()], include_str!("golden/toml_broken.txt")),
        (
            &[letter(7), letter(9), letter(12)],
            include_str!("golden/toml_digest.txt"),
        ),
    ] {
        looks(&written(false, facts, false), wanted);
    }
    let lost = Fact::StateFailed {
        error: "the disk is full".into(),
    };
    let facts = [letter(7), logged(45, "odd"), lost];
    looks(
        &written(false, &facts, true),
        include_str!("golden/toml_together.txt"),
    );
}

#[test]
fn levels_below_error_are_not_mailed_and_mail_about_mail_neither() {
    let of = |fact: &Fact| notice::of_fact(fact, at(0), &Scrub::default());
    let failed = Fact::MailFailed {
        server: "smtp:25".into(),
        error: "connecting: refused".into(),
        hint: None,
    };
    assert!(failed.level() >= ERROR && of(&failed).is_none());
    assert!(of(&logged(INFO, "all is well")).is_none());
    assert!(of(&logged(ERROR, "it is not")).is_some());
}

#[test]
fn failures_are_alike_by_error_and_line_of_the_plugin() {
    let print = |fact: &Fact| {
        let heard = notice::of_fact(fact, at(0), &Scrub::default());
        heard.expect("it is mailed").topic.print
    };
    assert_eq!(print(&letter(7)), print(&letter(8)));
    assert_eq!(print(&letter(7)), print(&held()));
    let words = |message: &str| print(&logged(ERROR, message));
    assert_eq!(words("job 12 is lost\n1"), words("job 4 is lost\n2"));
    assert_ne!(words("job 12 is lost"), words("job 12 is late"));
    let mut other = failure(7);
    other.error = "ValueError".into();
    let other = Fact::FailureLogged {
        plugin: notes(),
        callback: on_status(),
        event: EventId(7),
        failure: other,
    };
    assert_ne!(print(&letter(7)), print(&other));
}

#[test]
fn a_secret_that_would_be_cut_in_two_is_not_shown_in_part() {
    let secrets = Secrets {
        site_key: "0123456789abcdef".into(),
        ..Secrets::default()
    };
    let scrub = Scrub::of(&secrets);
    for ahead in 0..400 {
        let message = format!(
            "{}0123456789abcdef{}",
            "x".repeat(ahead),
            "y".repeat(20_000)
        );
        let fact = logged(ERROR, &message);
        let heard = notice::of_fact(&fact, at(0), &scrub).expect("it is mailed");
        for text in [
            &heard.example.what,
            &heard.example.message,
            &heard.topic.print,
        ] {
            assert!(!text.contains("01234") && !text.contains("bcdef"), "{text}");
        }
    }
}

/// A post whose courier is the test.
struct Desk {
    orders: SyncSender<Order>,
    jobs: std::sync::mpsc::Receiver<courier::Outgoing>,
    seen: watch::Receiver<MailView>,
    shared: Arc<Shared>,
    said: Arc<Mutex<Vec<u8>>>,
    log: Log,
}

/// Keeps what is written.
struct Said(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a lock").extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Desk {
    fn open(long: Duration) -> Self {
        let url = slated_config::SiteUrl::parse("https://studio.example").expect("a site");
        let mut config = Config::new(url, std::path::Path::new("/studio"));
        config.mail.to = vec!["td@studio.example".into()];
        let said = Arc::new(Mutex::new(Vec::new()));
        let log = Log::quiet(&config, Box::new(Said(said.clone()))).expect("a log");
        let (orders, inbox) = sync_channel(WAITING);
        let (jobs, work) = sync_channel(1);
        let (status, seen) = watch::channel(MailView::default());
        let shared = Arc::new(Shared::default());
        let mut post = Post::new(
            &config,
            &Secrets::default(),
            "smtp:25".into(),
            Teller::logging(log.clone()),
            jobs,
            Arc::clone(&shared),
            status,
        );
        post.long = long;
        std::thread::spawn(move || post.serve(&inbox));
        Self {
            orders,
            jobs: work,
            seen,
            shared,
            said,
            log,
        }
    }
    fn order(&self, order: Order) {
        assert!(self.orders.send(order).is_ok(), "there is no post");
    }
    fn hear(&self, fact: &Fact) {
        let heard = notice::of_fact(fact, at(0), &Scrub::default());
        self.order(Order::Hear(Box::new(heard.expect("it is mailed"))));
    }
    fn job(&self) -> courier::Outgoing {
        let patience = Duration::from_secs(10);
        self.jobs.recv_timeout(patience).expect("a mail")
    }
    fn back(&self, fate: Fate, error: &str) {
        self.order(Order::Back(match fate {
            Fate::Sent => Ok(Vec::new()),
            fate => Err(courier::Trouble {
                fate,
                error: error.into(),
                hint: None,
            }),
        }));
    }
    /// Ends it, and says when it has ended.
    fn finish(&self, within: Duration) -> std::sync::mpsc::Receiver<()> {
        let (done, finished) = sync_channel(1);
        self.order(Order::Finish(Instant::now() + within, done));
        finished
    }
    fn said(&self) -> String {
        self.log.flush();
        String::from_utf8_lossy(&self.said.lock().expect("a lock")).into_owned()
    }
}

fn ends(finished: &std::sync::mpsc::Receiver<()>) {
    let patience = Duration::from_secs(10);
    finished.recv_timeout(patience).expect("an end");
}

#[test]
fn a_mail_of_its_own_is_sent_whole_and_given_up_when_it_is_refused() {
    let desk = Desk::open(LONG);
    let (subject, body) = ("backlog".to_owned(), "4,000 events wait".to_owned());
    desk.order(Order::Send { subject, body });
    for _ in 0..5 {
        let job = desk.job();
        assert_eq!(job.subject, "[slated] backlog");
        assert_eq!((job.body.as_str(), job.to.len()), ("4,000 events wait", 1));
        desk.back(Fate::Refused, "the mail: permanent error (554): no");
    }
    ends(&desk.finish(Duration::from_mins(5)));
    let said = desk.said();
    assert!(
        said.contains("The mail \"backlog\" is given up: it was refused."),
        "{said}"
    );
    assert_eq!(
        said.matches("is refused, and tried again").count(),
        1,
        "{said}"
    );
    assert!(!said.contains("before the end"), "{said}");
}

#[test]
fn a_courier_that_does_not_come_back_is_told_of_and_not_waited_for_at_the_end() {
    let mut desk = Desk::open(Duration::from_millis(20));
    desk.hear(&letter(7));
    desk.job();
    let end = Instant::now() + Duration::from_secs(10);
    while desk.seen.borrow_and_update().trouble.is_none() {
        assert!(Instant::now() < end, "nobody says that it is away");
        std::thread::sleep(Duration::from_millis(5));
    }
    desk.hear(&letter(9));
    ends(&desk.finish(Duration::from_millis(50)));
    let said = desk.said();
    assert!(said.contains("and is still waited for"), "{said}");
    let left = "2 errors could not be mailed before the end";
    assert!(said.contains(left), "{said}");
}

#[test]
fn at_the_end_one_try_is_enough_of_a_server_that_is_away() {
    let desk = Desk::open(LONG);
    desk.hear(&letter(7));
    desk.job();
    desk.hear(&letter(9));
    desk.back(Fate::Stuck, "connecting: refused");
    let finished = desk.finish(Duration::from_mins(5));
    let job = desk.job();
    let words = "KeyError in on_status, 2 times";
    assert!(job.subject.contains(words), "{job:?}");
    desk.back(Fate::Stuck, "connecting: refused");
    ends(&finished);
    let said = desk.said();
    let left = "2 errors could not be mailed before the end: connecting: refused.";
    assert!(said.contains(left), "{said}");
    assert_eq!(said.matches("No mail goes out").count(), 1, "{said}");
}

#[test]
fn who_gets_mail_about_a_plugin_is_what_it_said_and_a_wrong_address_is_told_of() {
    let desk = Desk::open(LONG);
    let say = |emails| {
        let mut known = desk.shared.emails.lock().expect("a lock");
        known.insert(notes(), emails);
    };
    say(Emails::Configured(false));
    desk.hear(&letter(7));
    let to = ["lead@studio.example", "x y"].map(str::to_owned);
    desk.order(Order::Named(notes(), to.to_vec()));
    // What was heard before it is settled by then.
    desk.order(Order::Renew(notes()));
    let end = Instant::now() + Duration::from_secs(10);
    let words = "`setEmails` of /studio/plugins/notes is not a mail address";
    while !desk.said().contains(words) {
        assert!(Instant::now() < end, "{}", desk.said());
        std::thread::sleep(Duration::from_millis(1));
    }
    say(Emails::To(to.to_vec()));
    desk.hear(&letter(9));
    let job = desk.job();
    let to: Vec<_> = job.to.iter().map(ToString::to_string).collect();
    assert_eq!(to, ["lead@studio.example"]);
    assert!(
        job.body.contains("shot 9") && !job.body.contains("shot 7"),
        "{job:?}"
    );
    desk.back(Fate::Sent, "");
    ends(&desk.finish(Duration::from_mins(5)));
    assert!(!desk.said().contains("before the end"));
}

#[test]
fn what_there_is_no_room_for_is_counted_and_delays_nobody() {
    let (orders, inbox) = sync_channel(2);
    let mail = Mail {
        orders,
        shared: Arc::default(),
        seen: watch::channel(MailView::default()).1,
        scrub: Arc::default(),
    };
    // Nobody takes anything out.
    for event in 0..100 {
        mail.hear(&letter(event));
    }
    assert_eq!(mail.shared.dropped.load(Ordering::Relaxed), 98);
    drop(inbox);

    let desk = Desk::open(LONG);
    for _ in 0..2 {
        desk.shared.dropped.fetch_add(98, Ordering::Relaxed);
        desk.order(Order::Renew(notes()));
    }
    ends(&desk.finish(Duration::from_mins(5)));
    let said = desk.said();
    let counts = |n: u32| said.matches(&format!("{n} errors are not mailed")).count();
    // Not a line for each while they come, and all at the end.
    assert!(counts(98) == 2 || counts(196) == 1, "{said}");
}
