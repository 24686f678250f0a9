//! What a plugin prints and logs, and what its surroundings look like.

use serde_json::json;
use slated_host::Report;

use crate::stage::{ACT, KEEP_GOING, QUIET, Stage};

#[tokio::test]
async fn whatever_is_printed_stays_off_the_protocol_and_is_heard() {
    let mut player = Stage::new().await.ready().await;
    let seq = player.send(&[ACT], &json!({"do": "print"}));
    player.done(seq).await;
    player.handle().goodbye("test", crate::stage::SOON).unwrap();
    let (exit, reports) = player.exit().await;
    let mut lines: Vec<_> = reports
        .into_iter()
        .filter_map(|r| match r {
            Report::Stderr { line } => Some(line),
            _ => None,
        })
        .collect();
    lines.sort();
    assert_eq!(
        lines,
        ["from a child", "to descriptor 1", "to stderr", "to stdout"]
    );
    assert!(exit.expected && exit.stderr.contains("to stdout\n"));
}

#[tokio::test]
async fn log_records_arrive_as_records() {
    let mut player = Stage::new().await.ready().await;
    let seq = player.send(&[KEEP_GOING], &json!({"do": "log"}));
    player.done(seq).await;
    let logs: Vec<_> = player
        .aside
        .drain(..)
        .filter_map(|r| match r {
            Report::Log(log) => Some(log),
            _ => None,
        })
        .collect();
    let told: Vec<_> = logs
        .iter()
        .map(|l| (l.level, l.seq, l.logger.as_str()))
        .collect();
    let name = "plugin.misbehaving.keep_going";
    assert_eq!(
        told,
        [
            (20, None, "plugin.misbehaving"),
            (30, Some(seq), name),
            (40, Some(seq), name)
        ]
    );
    assert_eq!(
        (logs[1].message.as_str(), logs[1].func.as_str()),
        ("a formatted message", "act")
    );
    assert!(logs[1].path.ends_with("misbehaving.py") && logs[1].line > 0);
    assert!(logs[2].message.starts_with("with a traceback\nTraceback"));
    assert!(
        logs[2].message.ends_with("KeyError: 'missing'"),
        "{}",
        logs[2].message
    );
    player.goodbye().await;
}

#[tokio::test]
async fn compat_4_1_a_plugin_finds_the_surroundings_it_was_given() {
    let text = r"
import json, os, socket, sys
def registerCallbacks(reg):
    mask = os.umask(0)
    os.umask(mask)
    reg.logger.error(json.dumps({
        'cwd': os.getcwd(), 'umask': mask, 'timeout': socket.getdefaulttimeout(),
        'first': sys.path[0], 'names': sorted(k for k in os.environ if k.startswith('SLATED')),
        'mine': os.environ.get('MINE'), 'home': os.environ.get('HOME'), 'argv': sys.argv,
        'ours': [p for p in sys.path if '/worker-' in p], 'module': __name__,
        'stdin': sys.stdin.read(), 'known': sys.modules[__name__].__file__ == __file__,
    }))
";
    let mut stage = Stage::new()
        .await
        .plugin("a plugin-v2 ", text)
        .var("MINE", "yes");
    stage.spawn.cwd = Some("/".into());
    stage.spawn.config.umask = Some(0o002);
    stage.spawn.env.remove.push("HOME".into());
    let mut player = stage.ready().await;
    let Some(Report::Log(log)) = player.aside.pop_back() else {
        panic!("nothing was logged");
    };
    let told: serde_json::Value = serde_json::from_str(&log.message).unwrap();
    let import_path = stage.spawn.config.import_paths[0].clone();
    assert_eq!(
        told,
        json!({
            "cwd": "/", "umask": 2, "timeout": 60.0, "first": import_path, "mine": "yes",
            "names": ["SLATED_PROTOCOL", "SLATED_WORKER_ID"], "home": null,
            "argv": [stage.spawn.file.clone()], "ours": [], "module": "a plugin-v2 ",
            "stdin": "", "known": true,
        })
    );
    assert_eq!(log.logger, "plugin.a plugin-v2 ");
    let oom = format!("/proc/{}/oom_score_adj", player.pid());
    assert_eq!(std::fs::read_to_string(oom).unwrap().trim(), "500");
    player.goodbye().await;
}

#[tokio::test]
async fn a_breakpoint_fails_with_a_clear_message() {
    let text = "import pdb\n\
                def one(sg, logger, event, args):\n    breakpoint()\n\
                def two(sg, logger, event, args):\n    pdb.set_trace()\n    x = 1\n\
                def registerCallbacks(reg):\n    \
                reg.registerCallback('s', 'k', one, stopOnError=False)\n    \
                reg.registerCallback('s', 'k', two, stopOnError=False)\n";
    let mut player = Stage::new().await.plugin("debugs", text).ready().await;
    player.send(&[0, 1], &json!({}));
    for _ in 0..2 {
        let Report::Result {
            error: Some(failure),
            ..
        } = player.result().await
        else {
            panic!("it did not fail");
        };
        assert!(
            failure.message.contains("a worker has no terminal")
                && failure.message.contains("use `slated try --pdb`"),
            "{failure:?}"
        );
    }
    player.goodbye().await;
}

#[tokio::test]
async fn breakpoints_that_are_switched_off_do_nothing() {
    let text = "def f(sg, logger, event, args):\n    breakpoint()\n\
                def registerCallbacks(reg):\n    reg.registerCallback('s', 'k', f)\n";
    let stage = Stage::new().await.plugin("debugs", text);
    let mut player = stage.var("PYTHONBREAKPOINT", "0").ready().await;
    player.send(&[0], &json!({}));
    let result = player.result().await;
    assert!(
        matches!(result, Report::Result { error: None, .. }),
        "{result:?}"
    );
    player.goodbye().await;
}

#[tokio::test]
async fn a_worker_started_by_hand_prints_help() {
    let mut stage = Stage::new().await;
    let python = stage.python();
    let output = tokio::process::Command::new(&python.interpreter.path)
        .arg(python.code.folder())
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(output.stdout.is_empty());
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("started by slated")
    );
}

#[tokio::test]
async fn a_stop_drops_the_rest_of_its_turn_and_the_next_turn_goes_on() {
    let mut player = Stage::new().await.ready().await;
    let failing = player.send_in_turn(1, &[ACT, QUIET], &json!({"do": "raise"}));
    for _ in 0..3 {
        player.send_in_turn(1, &[QUIET], &json!({"do": "nothing"}));
    }
    let Report::Result {
        stop: true, n: ACT, ..
    } = player.result().await
    else {
        panic!("a failure under stopOnError does not stop");
    };
    player.done(failing).await;
    // One that crossed the answer on its way.
    player.send_in_turn(1, &[QUIET], &json!({"do": "nothing"}));
    let next = player.send_in_turn(2, &[QUIET], &json!({"do": "nothing"}));
    let Report::Result { seq, .. } = player.result().await else {
        unreachable!()
    };
    assert_eq!(seq, next);
    player.done(next).await;
    player.goodbye().await;
}
