//! What plugins do to their own process: it is theirs alone, and the protocol goes on or the process
//! ends as a death, never with a wrong answer.

use std::time::Duration;

use serde_json::{Value, json};
use slated_host::{End, Report, Why};
use slated_model::FailureKind;

use crate::stage::{Player, Stage};

const SHORT: Duration = Duration::from_millis(200);

const PLUGIN: &str = r"
import json, locale, logging, os, signal, socket, subprocess, sys, threading, time

def hang(what):
    if what == 'socket':
        ours, theirs = socket.socketpair()
        ours.settimeout(None)
        ours.recv(1)
    if what == 'lock':
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    if what == 'subprocess':
        subprocess.check_call(['sleep', '60'])
    if what == 'loop':
        while True:
            pass

def act(sg, logger, event, args):
    what = event['meta']['do']
    if what in ('socket', 'lock', 'subprocess', 'loop'):
        hang(what)
    if what == 'close':
        os.closerange(0, 256)
    if what == 'close_ours':
        for fd in range(3, 64):
            try:
                os.close(fd)
            except OSError:
                pass
    if what == 'surroundings':
        os.chdir('/')
        os.umask(0o777)
        locale.setlocale(locale.LC_ALL, 'C')
        os.environ.clear()
        sys.path[:] = []
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
    if what == 'patch':
        def broken(*args, **kwargs):
            raise RuntimeError('patched')
        for module in (json, logging):
            for name in list(vars(module)):
                if callable(getattr(module, name)) and name[0] != '_':
                    setattr(module, name, broken)
        json.JSONEncoder = json.JSONDecoder = None
        sys.stdout = sys.stderr = sys.stdin = None
    if what == 'output':
        line = b'x' * 65535 + b'\n'
        for _ in range(event['meta']['lines']):
            os.write(1, line)
    if what == 'delete':
        os.remove(__file__)
    if what == 'mutate':
        args.append(lambda: event)
        event.clear()
        event['meta'] = threading.Lock()
        event[threading.Lock()] = event
    if what == 'threads':
        for _ in range(20):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    if what == 'raise':
        raise ValueError('after all that')

def quiet(sg, logger, event, args):
    pass

def registerCallbacks(reg):
    everything = [object(), threading.Lock(), {1, 2}, act, sys]
    reg.registerCallback('s', 'k', quiet, None, everything)
    reg.registerCallback('s', 'k', act, None, everything, False)
";
const QUIET: u32 = 0;
const ACT: u32 = 1;

async fn stage() -> Stage {
    Stage::new().await.plugin("mischief", PLUGIN)
}

/// Lets both callbacks run; returns how the second one failed, if it did.
async fn run(player: &mut Player, meta: &Value) -> Option<Box<slated_model::Failure>> {
    let seq = player.send(&[QUIET, ACT], meta);
    let Report::Result { error: None, .. } = player.result().await else {
        panic!("the quiet one failed");
    };
    let Report::Result { error, .. } = player.result().await else {
        unreachable!()
    };
    player.done(seq).await;
    error
}

#[tokio::test]
async fn the_soft_limit_ends_a_call_that_hangs_in_whatever_waits() {
    let stage = stage().await.limits(|l| l.soft = Some(SHORT));
    let mut player = stage.ready().await;
    for what in ["socket", "lock", "subprocess", "loop"] {
        let failure = run(&mut player, &json!({"do": what})).await;
        let failure = failure.expect(what);
        assert_eq!(failure.kind, FailureKind::Limit, "{what}");
        assert!(failure.traceback.contains("in hang"), "{failure:?}");
    }
    assert!(player.goodbye().await.expected);
}

#[tokio::test]
async fn the_hard_limit_ends_a_process_that_hangs_in_whatever_waits() {
    for what in ["socket", "lock", "subprocess", "loop"] {
        let stage = stage().await.limits(|l| l.hard = Some(SHORT));
        let mut player = stage.ready().await;
        player.send(&[ACT], &json!({"do": what}));
        let (exit, _) = player.exit().await;
        assert_eq!(exit.why, Why::HardLimit(SHORT), "{what}");
        let failure = exit.failure();
        assert!(failure.traceback.contains("in hang"), "{what}: {failure:?}");
    }
}

#[tokio::test]
async fn a_worker_whose_descriptors_were_closed_is_a_death_that_says_so() {
    for what in ["close", "close_ours"] {
        let stage = stage().await;
        let mut player = stage.ready().await;
        player.send(&[QUIET, ACT, QUIET], &json!({"do": what}));
        let (exit, reports) = player.exit().await;
        assert!(!exit.expected, "{what}: {exit:?}");
        // The first answered, and what closed the pipe is to blame.
        let answered = |r: &&Report| matches!(r, Report::Result { .. });
        assert_eq!(reports.iter().filter(answered).count(), 1, "{what}");
    }
}

#[tokio::test]
async fn what_a_plugin_does_to_its_surroundings_does_not_reach_the_protocol() {
    for what in ["surroundings", "patch", "threads", "mutate", "delete"] {
        let stage = stage().await;
        let mut player = stage.ready().await;
        for round in 0..3 {
            if what == "delete" && round > 0 {
                break;
            }
            let failure = run(&mut player, &json!({"do": what})).await;
            assert!(
                failure.is_none() || (what == "patch" && round > 0),
                "{what}, round {round}: {failure:?}"
            );
        }
        let failure = run(&mut player, &json!({"do": "raise"})).await;
        let failure = failure.expect(what);
        assert_eq!(
            (failure.error.as_str(), failure.message.as_str()),
            ("ValueError", "after all that"),
            "{what}"
        );
        let exit = player.goodbye().await;
        assert_eq!(exit.end, End::Code(0), "{what}: {exit:?}");
    }
}

#[tokio::test]
async fn a_gigabyte_of_output_neither_blocks_the_callback_nor_stays_in_memory() {
    let stage = stage().await;
    let mut player = stage.ready().await;
    let seq = player.send(&[ACT, QUIET], &json!({"do": "output", "lines": 16 << 10}));
    let mut shown = 0;
    loop {
        match player.next().await {
            Report::Stderr { line } => shown += line.len(),
            Report::Done { seq: done, .. } if done == seq => break,
            Report::Exited(exit) => panic!("{exit:?}"),
            _ => {}
        }
    }
    assert!(shown < 32 << 20, "{shown}");
    let exit = player.goodbye().await;
    assert!(exit.expected && exit.stderr.len() <= 64 << 10);
}
