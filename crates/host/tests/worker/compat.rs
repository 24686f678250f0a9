//! What plugins of the Python daemon rely on, line by line: the numbers are those of
//! docs/compatibility.md, which says where the other lines are tested.

use serde_json::{Value, json};
use slated_host::Report;

use crate::stage::{Player, Stage, python_with_client};

/// Runs these callbacks with an event and returns what plugin and callbacks logged since the last
/// time, each line as JSON.
async fn told(player: &mut Player, callbacks: &[u32], meta: &Value) -> Vec<Value> {
    let seq = player.send(callbacks, meta);
    player.done(seq).await;
    let logs = player.aside.drain(..).filter_map(|report| match report {
        Report::Log(log) => Some(log.message),
        Report::Result { error, .. } => {
            assert!(error.is_none(), "{error:?}");
            None
        }
        _ => None,
    });
    logs.map(|line| serde_json::from_str(&line).unwrap_or_else(|_| Value::from(line)))
        .collect()
}

#[tokio::test]
async fn compat_2_1_a_plugin_registers_as_often_as_it_likes_or_never() {
    let text = r"
import os
def f(sg, logger, event, args): pass
def registerCallbacks(reg):
    if os.environ.get('NOT_HERE'):
        return
    reg.registerCallback('s', 'k', f)
    reg.registerCallback('s', 'k', f, {'A': None}, {'x': 1}, False)
    reg.registerCallback(sgScriptName='s', sgScriptKey='k', callback=f, matchEvents=None, args=None,
        stopOnError=True)
    reg.registerCallback(None, None, callback=f, stopOnError=False)
";
    let stage = Stage::new().await.plugin("registers", text);
    let Report::Ready { callbacks, .. } = stage
        .start()
        .until(|r| matches!(r, Report::Ready { .. }))
        .await
    else {
        unreachable!()
    };
    let seen: Vec<_> = callbacks
        .iter()
        .map(|c| (c.id.to_string(), c.stop_on_error))
        .collect();
    let wanted = [("f", true), ("f#2", false), ("f#3", true), ("f#4", false)];
    assert_eq!(seen, wanted.map(|(id, stop)| (id.to_owned(), stop)));

    let stage = stage.var("NOT_HERE", "1");
    let mut player = stage.start();
    let Report::Ready { callbacks, .. } = player.until(|r| matches!(r, Report::Ready { .. })).await
    else {
        unreachable!()
    };
    assert!(callbacks.is_empty(), "{callbacks:?}");
    player.goodbye().await;
}

#[tokio::test]
async fn compat_2_3_reg_and_its_logger_are_kept_and_used_later() {
    let text = r"
import logging
kept = []
def f(sg, logger, event, args):
    reg = kept[0]
    assert logger.name == 'plugin.keeps.f' and logger.parent is reg.logger, logger
    logger.info('held back')
    reg.logger.warning('of the plugin')
    reg.getLogger().setLevel(logging.DEBUG)
    logger.debug('of the callback')
def registerCallbacks(reg):
    kept.append(reg)
    reg.logger.setLevel(logging.WARNING)
    reg.registerCallback('s', 'k', f)
";
    let mut player = Stage::new().await.plugin("keeps", text).ready().await;
    let said = told(&mut player, &[0], &json!({})).await;
    assert_eq!(said, ["of the plugin", "of the callback"]);
    player.goodbye().await;
}

#[tokio::test]
async fn compat_3_1_callbacks_share_args_a_process_and_a_thread() {
    let text = r"
import json, os, threading
shared = {'calls': []}
def look(sg, logger, event, args):
    assert args is shared
    args['calls'].append(event['meta']['n'])
    main = threading.current_thread() is threading.main_thread()
    logger.info(json.dumps([args['calls'], os.getpid(), main]))
def own(sg, logger, event, args):
    assert args == {'calls': []}
    logger.info(json.dumps(['own', os.getpid(), True]))
def registerCallbacks(reg):
    reg.registerCallback('s', 'k', look, args=shared)
    reg.registerCallback('s', 'k', lambda *given: look(*given), None, shared)
    reg.registerCallback('s', 'k', own, None, {'calls': []})
";
    let mut player = Stage::new().await.plugin("shares", text).ready().await;
    let pid = player.pid();
    assert_eq!(
        told(&mut player, &[0, 1, 2], &json!({"n": 1})).await,
        [
            json!([[1], pid, true]),
            json!([[1, 1], pid, true]),
            json!(["own", pid, true]),
        ]
    );
    assert_eq!(
        told(&mut player, &[1], &json!({"n": 2})).await,
        [json!([[1, 1, 2], pid, true])]
    );
    player.goodbye().await;
}

#[tokio::test]
async fn compat_3_2_each_callback_has_a_client_of_its_own_that_keeps_its_state() {
    let text = r"
import json, shotgun_api3
def f(sg, logger, event, args):
    assert type(sg) is shotgun_api3.Shotgun and sg.config.server == '127.0.0.1:1'
    before = getattr(sg, 'kept', None)
    sg.kept = event['id']
    logger.info(json.dumps([sg.config.script_name, sg.config.api_key, sg.config.session_uuid, before]))
def registerCallbacks(reg):
    reg.registerCallback('one', 'key-of-one', f)
    reg.registerCallback('two', 'key-of-two', f)
    reg.registerCallback('one', 'key-of-one', f)
";
    let mut stage = Stage::new().await.plugin("clients", text);
    stage.python().interpreter = python_with_client().await;
    stage.spawn.config.import_paths.clear();
    // Nobody listens there: what is not used asks for nothing.
    stage.spawn.site.url = "http://127.0.0.1:1".into();
    let mut player = stage.ready().await;
    let (one, two) = ("one", "two");
    // Keys are masked in what is logged.
    assert_eq!(
        told(&mut player, &[0, 1, 2], &json!({})).await,
        [
            json!([one, "***", null, null]),
            json!([two, "***", null, null]),
            json!([one, "***", null, null]),
        ]
    );
    assert_eq!(
        told(&mut player, &[0, 2], &json!({})).await,
        [
            json!([one, "***", null, 1001]),
            json!([one, "***", null, 1001]),
        ]
    );
    player.goodbye().await;
}

#[tokio::test]
async fn compat_3_3_an_event_is_a_plain_dict_with_times_of_the_clients_zone() {
    let text = r"
import json, datetime
from shotgun_api3.lib import sgtimezone
def f(sg, logger, event, args):
    assert type(event) is dict and type(event['meta']) is dict
    times = [event['created_at'], event['meta']['old'], event['meta']['deep'][0]['at']]
    for time in times:
        assert isinstance(time, datetime.datetime)
        assert isinstance(time.tzinfo, type(sgtimezone.SgTimezone().local)), time.tzinfo
    utc = [time.astimezone(datetime.timezone.utc).isoformat() for time in times]
    logger.info(json.dumps([sorted(event), utc, event['meta']['almost']]))
def registerCallbacks(reg):
    reg.registerCallback('s', 'k', f)
";
    let mut stage = Stage::new().await.plugin("times", text);
    stage.python().interpreter = python_with_client().await;
    stage.spawn.config.import_paths.clear();
    let mut player = stage.ready().await;
    let at = "2026-05-04T10:00:00Z";
    let meta = json!({"old": at, "deep": [{"at": at}], "almost": "2026-05-04 10:00:00Z"});
    let keys = [
        "attribute_name",
        "created_at",
        "entity",
        "event_type",
        "id",
        "meta",
        "project",
        "session_uuid",
        "type",
        "user",
    ];
    let utc = "2026-05-04T10:00:00+00:00";
    assert_eq!(
        told(&mut player, &[0], &meta).await,
        [json!([
            keys,
            ["2026-11-23T09:15:02+00:00", utc, utc],
            "2026-05-04 10:00:00Z"
        ])]
    );
    player.goodbye().await;
}

#[tokio::test]
async fn compat_4_3_a_module_stands_under_its_stem_while_and_after_it_runs() {
    let text = r"
from __future__ import annotations
import dataclasses, json, pickle, sys, os
assert sys.modules[__name__].__file__ == __file__ and __name__ == 'a stem'
@dataclasses.dataclass
class Shot:
    code: str
def f(sg, logger, event, args):
    again = pickle.loads(pickle.dumps(Shot('CK10')))
    assert type(again) is Shot and sys.modules['a stem'].f is f
    logger.info(json.dumps([again.code, os.path.basename(__file__)]))
def registerCallbacks(reg):
    reg.registerCallback('s', 'k', f)
if __name__ == '__main__':
    raise AssertionError('it is no program')
";
    let mut player = Stage::new().await.plugin("a stem", text).ready().await;
    assert_eq!(
        told(&mut player, &[0], &json!({})).await,
        [json!(["CK10", "a stem.py"])]
    );
    player.goodbye().await;
}

/// Each of these changes what all of a process share. The event is answered nevertheless, and so are
/// the next ones, a failure among them.
#[tokio::test]
async fn compat_4_4_what_plugins_do_to_their_process_ends_no_service() {
    let text = r"
import builtins, json, locale, logging, os, signal, sys, threading, time
from os import write
def broken(*args, **kwargs):
    raise RuntimeError('patched')
def f(sg, logger, event, args):
    exec(event['meta']['code'], globals())
def after(sg, logger, event, args):
    args.append(event['id'])
    write(2, b'after %d\n' % len(args))
def registerCallbacks(reg):
    reg.registerCallback('s', 'k', f, stopOnError=False)
    reg.registerCallback('s', 'k', after, args=[])
";
    let changes = [
        "os.chdir('/'); os.umask(0o777)",
        "os.environ.clear()",
        "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()",
        "locale.setlocale(locale.LC_ALL, 'C')",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, broken)",
        "for n in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM): signal.signal(n, signal.SIG_IGN)",
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
        "os.close(0); os.close(1)",
        "sys.stdout.close(); sys.stdout = sys.stderr = sys.stdin = None",
        "sys.settrace(lambda *a: None); sys.setprofile(None)",
        "json.dumps = json.loads = broken; json.JSONEncoder.encode = broken",
        "json.encoder.encode_basestring_ascii = broken; json.decoder.JSONDecoder.decode = broken",
        "logging.Handler.handle = logging.Logger.handle = broken; logging.disable()",
        "logging.getLogger().handlers[:] = []; logging.shutdown()",
        "time.time = time.monotonic = time.perf_counter = time.sleep = broken",
        "os.getpid = os.getpgrp = os.write = os.read = os.kill = os.stat = os.path.abspath = broken",
        "threading.get_ident = threading.Thread.start = broken; import zipapp",
        "sys.exit = builtins.print = broken",
        "sys.path[:] = []; sys.meta_path[:] = []",
        "sys.modules.clear()",
        "event = None",
    ];
    let mut player = Stage::new().await.plugin("changes", text).ready().await;
    for code in changes {
        for n in answered(&mut player, code).await {
            assert_eq!(n, None, "{code}");
        }
    }
    let [failed, next] = answered(&mut player, "raise ValueError('as asked')").await;
    assert_eq!((failed.as_deref(), next), (Some("as asked"), None));

    player.handle().goodbye("test", crate::stage::SOON).unwrap();
    let (exit, _) = player.exit().await;
    assert!(exit.expected, "{exit:?}");
    let last = format!("after {}\n", changes.len() + 1);
    assert!(exit.stderr.contains(&last), "{exit:?}");
}

/// Runs code in the plugin's first callback, then its second; returns what each failed with.
async fn answered(player: &mut Player, code: &str) -> [Option<String>; 2] {
    let seq = player.send(&[0, 1], &json!({"code": code}));
    let mut failures = [None, None];
    for (n, failure) in (0..).zip(&mut failures) {
        let Report::Result { n: at, error, .. } = player.result().await else {
            unreachable!()
        };
        assert_eq!(at, n, "{code}");
        *failure = error.map(|failure| failure.message);
    }
    player.done(seq).await;
    failures
}
