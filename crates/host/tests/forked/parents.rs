//! Parents: what their workers find, when there is another, and what their faults do.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use slated_host::{End, Launch, Report, Why};

use crate::stage::{ACT, Player, QUIET, SOON, Stage, gone, lives, note, tests};

/// Returns the parent of a process.
fn parent(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let rest = stat.rsplit(')').next().unwrap();
    rest.split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Tells whether a process is a child of a preloaded parent.
fn forked(player: &Player) -> bool {
    let parent = parent(player.pid());
    let line = std::fs::read(format!("/proc/{parent}/cmdline")).unwrap();
    parent != std::process::id() && line.ends_with(b"--preload\0")
}

/// Starts a worker, waits until its plugin is loaded, and returns what was said of its start.
async fn ready(stage: &Stage) -> (Player, Option<String>) {
    let mut player = stage.start();
    player
        .until(|report| matches!(report, Report::Ready { .. }))
        .await;
    let note = player.note.take();
    (player, note)
}

/// Prepares a folder with a client of this text, and a worker that imports from there.
async fn with_client(text: &str) -> Stage {
    let mut stage = Stage::new().await;
    let package = stage.path("lib/shotgun_api3");
    std::fs::create_dir_all(&package).unwrap();
    let fake = std::fs::read_to_string(tests().join("fake_client/shotgun_api3/__init__.py"));
    let text = format!("{}\n{text}", fake.unwrap());
    std::fs::write(package.join("__init__.py"), text).unwrap();
    stage.spawn.config.import_paths = vec![stage.path("lib")];
    stage
}

async fn client_version(player: &mut Player) -> String {
    player.until(|r| matches!(r, Report::Ready { .. })).await;
    let hello = player.aside.iter().find_map(|report| match report {
        Report::Hello(hello) => hello.shotgun_api3.clone(),
        _ => None,
    });
    hello.unwrap()
}

const LOOKS_AROUND: &str = r"
import faulthandler, gc, json, locale, logging, os, random, resource, signal, socket, sys, threading

def kinds():
    found = []
    for fd in os.listdir('/proc/self/fd'):
        try:
            found.append(os.readlink('/proc/self/fd/' + fd).split('[')[0])
        except OSError:
            pass  # the one that listed them
    return sorted(found)

def status():
    with open('/proc/self/status') as lines:
        pairs = [line.split(':', 1) for line in lines]
    return {name: value.strip() for name, value in pairs
            if name in ('Threads', 'SigBlk', 'SigIgn', 'SigCgt', 'Groups', 'Seccomp')}

def stream(file):
    return [file.encoding, file.errors, getattr(file, 'line_buffering', None), file.isatty()]

def registerCallbacks(reg):
    mask = os.umask(0)
    os.umask(mask)
    reg.logger.error(json.dumps({
        'modules': sorted(sys.modules), 'path': sys.path, 'argv': sys.argv, 'flags': repr(sys.flags),
        'main': sys.modules['__main__'].__file__, 'prefix': sys.prefix, 'program': sys.executable,
        'env': {k: v for k, v in os.environ.items() if k != 'SLATED_WORKER_ID'},
        'cwd': os.getcwd(), 'umask': mask, 'fds': kinds(), 'status': status(),
        'leads': os.getpgid(0) == os.getpid(), 'session': os.getsid(0), 'nice': os.nice(0),
        'limits': [resource.getrlimit(n) for n in range(16)],
        'handlers': [repr(signal.getsignal(n)).split(' at ')[0] for n in range(1, 32)],
        'wakeup': signal.set_wakeup_fd(-1), 'blocked': len(signal.pthread_sigmask(0, [])),
        'threads': sorted(t.name for t in threading.enumerate()),
        'main_thread': threading.main_thread() is threading.current_thread(),
        'gc': [gc.isenabled(), gc.get_threshold(), gc.get_debug()],
        'locale': locale.setlocale(locale.LC_ALL), 'timeout': socket.getdefaulttimeout(),
        'streams': [stream(sys.stdin), stream(sys.stdout), stream(sys.stderr)],
        'faults': faulthandler.is_enabled(), 'loggers': [repr(logging.root), logging.root.level],
        'hook': sys.breakpointhook.__name__, 'recursion': sys.getrecursionlimit(),
        'worker': os.environ['SLATED_WORKER_ID'], 'chance': random.random(),
    }))
";

/// Returns what a plugin sees.
async fn look_around(stage: &Stage) -> Value {
    let mut player = stage.ready().await;
    let Some(Report::Log(log)) = player.aside.pop_back() else {
        panic!("nothing was logged");
    };
    player.goodbye().await;
    serde_json::from_str(&log.message).unwrap()
}

fn take(seen: &mut Value, name: &str) -> Value {
    seen.as_object_mut().unwrap().remove(name).unwrap()
}

#[tokio::test]
async fn a_forked_worker_finds_what_a_spawned_one_finds() {
    for relative in [false, true] {
        let mut stage = Stage::new()
            .await
            .plugin("looks", LOOKS_AROUND)
            .var("MINE", "yes");
        stage.spawn.config.umask = Some(0o027);
        if relative {
            stage = stage.var("PYTHONPATH", "lib:.");
            let folder = stage.path("lib");
            std::fs::create_dir(&folder).unwrap();
            stage.spawn.cwd = folder.parent().map(Path::to_owned);
        }
        let mut forked = look_around(&stage).await;
        // Another of the same parent, with a worker beside it whose pipes are not its own.
        let beside = stage.ready().await;
        stage.spawn.worker.0 = 2;
        let mut second = look_around(&stage).await;
        beside.goodbye().await;
        stage.spawn.launch = Launch::plain();
        let mut plain = look_around(&stage).await;

        assert_ne!(take(&mut forked, "chance"), take(&mut second, "chance"));
        take(&mut plain, "chance");
        for (seen, worker) in [(&mut forked, "1"), (&mut second, "2"), (&mut plain, "2")] {
            assert_eq!(take(seen, "worker"), worker);
        }
        let modules = |seen: &mut Value| -> BTreeSet<String> {
            serde_json::from_value(take(seen, "modules")).unwrap()
        };
        let known = modules(&mut plain);
        for mut seen in [forked, second] {
            let more = modules(&mut seen);
            assert_eq!(known.difference(&more).count(), 0);
            let more: Vec<_> = more.difference(&known).collect();
            assert_eq!(more, ["slated_worker.parent"]);
            let (seen, plain) = (seen.as_object().unwrap(), plain.as_object().unwrap());
            for (name, value) in plain {
                assert_eq!(seen.get(name), Some(value), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn there_is_one_parent_for_each_python_paths_and_variables() {
    let mut stage = Stage::new().await;
    let first = stage.ready().await;
    let second = stage.ready().await;
    assert!(forked(&first) && forked(&second));
    assert_eq!(parent(first.pid()), parent(second.pid()));

    // A client of its own in the import paths, and variables of its own.
    let mut other = with_client("__version__ = 'another'").await;
    other.spawn.launch = stage.spawn.launch.clone();
    other.python().code = stage.python().code.clone();
    let mut another = other.start();
    assert_eq!(client_version(&mut another).await, "another");
    let mut vars = Stage::new().await.var("MINE", "yes");
    vars.spawn.launch = stage.spawn.launch.clone();
    vars.python().code = stage.python().code.clone();
    let third = vars.ready().await;
    let parents: BTreeSet<u32> = [&first, &another, &third]
        .map(|player| parent(player.pid()))
        .into();
    assert_eq!(parents.len(), 3);

    // Without workers and without anybody who starts some, they end.
    drop((stage, other, vars));
    for player in [first, second, another, third] {
        let exit = player.goodbye().await;
        assert_eq!((exit.end, exit.expected), (End::Code(0), true));
    }
    for pid in parents {
        gone(pid).await;
    }
}

#[tokio::test]
async fn workers_outlive_their_parent_and_the_next_gets_a_new_one() {
    let stage = Stage::new().await;
    let mut dies = stage.ready().await;
    let mut hangs = stage.ready().await;
    let leaves = stage.ready().await;
    let old = parent(dies.pid());
    signal(old, "-KILL");
    gone(old).await;

    // They go on, their ends are seen, and they can be ended.
    let seq = dies.send(&[QUIET], &json!({"do": "nothing"}));
    dies.done(seq).await;
    dies.send(&[ACT], &json!({"do": "exit"}));
    let (exit, _) = dies.exit().await;
    assert_eq!(
        (exit.end, &exit.why, exit.expected),
        (End::Unknown, &Why::Itself, false)
    );
    let noted = stage.path("child");
    hangs.send(&[ACT], &json!({"do": "child", "note": noted.clone()}));
    let child = note(&noted).await.parse().unwrap();
    hangs.handle().kill();
    let (exit, _) = hangs.exit().await;
    assert_eq!((exit.why, exit.expected), (Why::Killed, true));
    gone(child).await;
    assert!(leaves.goodbye().await.expected);

    let (next, told) = ready(&stage).await;
    let told = told.expect("nobody was told of the parent's end");
    assert!(
        told.ends_with(": it ended (signal 9 (SIGKILL)); another has taken its place"),
        "{told}"
    );
    assert!(forked(&next));
    assert_ne!(parent(next.pid()), old);
    assert_eq!(ready(&stage).await.1, None, "told twice");
}

#[tokio::test]
async fn a_parent_that_is_stuck_hides_no_end() {
    let stage = Stage::new().await;
    let mut player = stage.ready().await;
    let stuck = parent(player.pid());
    signal(stuck, "-STOP");
    player.send(&[ACT], &json!({"do": "exit"}));
    let (exit, _) = player.exit().await;
    assert_eq!((exit.end, exit.why), (End::Unknown, Why::Itself));
    // The next start finds out, and does without.
    let (next, told) = ready(&stage).await;
    assert!(told.unwrap().contains("no answer within 5s"));
    assert!(!forked(&next));
}

#[tokio::test]
async fn a_parent_that_cannot_import_is_done_without_and_that_is_said_once() {
    for (text, why) in [
        (
            "import sys\nif '--preload' in sys.argv: raise RuntimeError('not today')",
            "shotgun_api3 does not import: not today",
        ),
        (
            "import sys\nif '--preload' in sys.argv: sys.exit(3)",
            "shotgun_api3 does not import: SystemExit",
        ),
        (
            "import os, sys\nif '--preload' in sys.argv: os._exit(3)",
            "it ended (exit code 3)",
        ),
        (
            "import sys, time\nif '--preload' in sys.argv: time.sleep(60)",
            "no answer within 1s",
        ),
        (
            "import threading, time\n\
             threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
            "has started threads (1)",
        ),
    ] {
        let mut stage = with_client(text).await;
        if why.starts_with("no answer") {
            stage.spawn.launch = Launch::preloaded(Duration::from_secs(1));
        }
        let (first, told) = ready(&stage).await;
        let told = told.expect("nobody was told");
        assert!(
            told.starts_with("the preloaded /")
                && told.ends_with(&format!("{why}; workers start by themselves")),
            "{told}"
        );
        assert!(!forked(&first));
        let (second, told) = ready(&stage).await;
        assert_eq!(told, None, "told twice");
        assert!(!forked(&second));
    }
}

#[tokio::test]
async fn a_client_that_was_exchanged_is_what_the_next_worker_gets() {
    let stage = with_client("__version__ = 'old'").await;
    let mut old = stage.start();
    assert_eq!(client_version(&mut old).await, "old");
    let file = stage.path("lib/shotgun_api3/__init__.py");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("'old'", "'exchanged'")).unwrap();
    let mut new = stage.start();
    assert_eq!(client_version(&mut new).await, "exchanged");
    assert_eq!(new.note, None);
    assert!(forked(&new) && parent(new.pid()) != parent(old.pid()));

    // The earlier parent stays as long as its worker, and ends then.
    let earlier = parent(old.pid());
    assert_eq!(old.goodbye().await.end, End::Code(0));
    gone(earlier).await;

    // One that appears in front of it, too: studios flip links, and install beside.
    let stage = with_client("__version__ = 'behind'").await;
    let mut stage = stage;
    stage
        .spawn
        .config
        .import_paths
        .insert(0, stage.path("front"));
    let mut behind = stage.start();
    assert_eq!(client_version(&mut behind).await, "behind");
    let front = stage.path("front/shotgun_api3");
    std::fs::create_dir_all(&front).unwrap();
    let text = std::fs::read_to_string(stage.path("lib/shotgun_api3/__init__.py")).unwrap();
    std::fs::write(
        front.join("__init__.py"),
        text.replace("'behind'", "'front'"),
    )
    .unwrap();
    let mut before = stage.start();
    assert_eq!(client_version(&mut before).await, "front");
}

#[tokio::test]
async fn a_worker_that_is_killed_before_it_runs_is_no_death() {
    let stage = Stage::new().await;
    let mut player = stage.start();
    player.handle().kill();
    let (exit, _) = player.exit().await;
    assert_eq!(
        (exit.why, exit.expected, exit.pid),
        (Why::Killed, true, None)
    );
}

/// Not a test of its own: the slated that the next test kills.
#[tokio::test]
async fn slated_of_a_callback_in_c_code() {
    let Some(noted) = std::env::var_os("SLATED_TEST_ORPHAN") else {
        return;
    };
    let stage = Stage::new()
        .await
        .limits(|l| l.orphan = Duration::from_millis(200));
    let mut player = stage.ready().await;
    let busy = stage.path("busy");
    player.send(&[ACT], &json!({"do": "hold_the_gil", "note": busy.clone()}));
    note(&busy).await;
    let part = stage.path("part");
    let pids = format!("{} {}", player.pid(), parent(player.pid()));
    std::fs::write(&part, pids).unwrap();
    std::fs::rename(&part, &noted).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_parent_ends_after_slated_and_takes_along_who_cannot_see_it() {
    let folder = tempfile::tempdir().unwrap();
    let noted = folder.path().join("pids");
    let mut slated = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "parents::slated_of_a_callback_in_c_code"])
        .env("SLATED_TEST_ORPHAN", &noted)
        // It cannot tidy up behind itself.
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let said = note(&noted).await;
    let pids: Vec<u32> = said.split(' ').map(|word| word.parse().unwrap()).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| lives(*pid)));
    slated.kill().unwrap();
    slated.wait().unwrap();
    for pid in pids {
        gone(pid).await;
    }
}

#[tokio::test]
async fn many_starts_at_once_are_many_workers() {
    let stage = Stage::new().await;
    let mut players: Vec<_> = (0..30).map(|_| stage.start()).collect();
    let mut pids = BTreeSet::new();
    for player in &mut players {
        player.until(|r| matches!(r, Report::Ready { .. })).await;
        assert_eq!(player.note, None);
        pids.insert(player.pid());
    }
    assert_eq!(pids.len(), 30);
    for player in &players {
        player.handle().goodbye("test", SOON).unwrap();
    }
    for player in &mut players {
        assert_eq!(player.exit().await.0.end, End::Code(0));
    }
}
