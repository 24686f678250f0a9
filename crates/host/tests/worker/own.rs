//! Programs that speak the protocol themselves: started as what they are, with what a worker gets, and
//! held to the same limits.

use std::time::Duration;

use serde_json::json;
use slated_host::{CallLimits, End, Own, Program, Report, SpawnError, Why};

use crate::stage::{Player, Stage, gone, note};

/// Answers each event after `act`, with `features` in its hello.
fn worker(features: &str, act: &str) -> String {
    let hello = format!(
        r#"{{"type":"hello","protocol":{{"major":1,"minor":0}},"features":[{features}],"pid":1}}"#
    );
    let ready =
        r#"{"type":"ready","callbacks":[{"n":0,"name":"act","match":{},"stop_on_error":false}]}"#;
    format!(
        r#"
while read -r line; do
    case $line in
    '{{"type":"hello",'*) echo '{hello}'; echo '{ready}' ;;
    '{{"type":"event",'*)
        seq=${{line#*'"seq":'}}
        seq=${{seq%%,*}}
        {act}
        echo '{{"type":"result","seq":'"$seq"',"n":0,"us":1}}'
        echo '{{"type":"done","seq":'"$seq"'}}' ;;
    '{{"type":"goodbye",'*) exit 0 ;;
    esac
done
exit 70"#
    )
}

async fn ready(stage: &Stage) -> Player {
    let player = stage.ready().await;
    assert_eq!(player.aside.len(), 1, "{:?}", player.aside);
    player
}

#[tokio::test]
async fn a_script_gets_what_any_worker_gets_and_answers() {
    let act = r#"umask; pwd; echo "$# $1 $2 $MINE $SLATED_PROTOCOL" "${SLATED_WORKER_COOKIE:+started}"; ps -o pgid= -p $$; echo $$"#;
    let act = format!("{{ {act}; }} >\"$OUT.part\"; mv \"$OUT.part\" \"$OUT\"");
    let mut stage = Stage::new()
        .await
        .script(&worker("", &act), &["-v", "two words"])
        .var("MINE", "set");
    let out = stage.path("out");
    stage = stage.var("OUT", out.to_str().unwrap());
    let cwd = stage.path("cwd");
    std::fs::create_dir(&cwd).unwrap();
    stage.spawn.cwd = Some(cwd.clone());
    for umask in [None, Some(0o027)] {
        stage.spawn.config.umask = umask;
        let mut player = ready(&stage).await;
        let seq = player.send(&[0], &json!({"quote": "\" \\ $HOME"}));
        player.done(seq).await;
        let said = note(&out).await;
        std::fs::remove_file(&out).unwrap();
        let said: Vec<_> = said.lines().map(str::trim).collect();
        let pid = player.pid().to_string();
        let mask = u32::from_str_radix(said[0], 8).unwrap();
        assert!(umask.is_none_or(|umask| umask == mask), "{said:?}");
        // It leads its group, and no shell of ours stands between.
        assert_eq!(
            said[1..],
            [
                cwd.to_str().unwrap(),
                "2 -v two words set 1 started",
                &pid,
                &pid
            ],
        );
        let exit = player.goodbye().await;
        assert_eq!((exit.end, exit.expected), (End::Code(0), true));
    }
}

#[tokio::test]
async fn a_slow_call_is_told_and_not_killed_by_the_question_for_its_stack() {
    let short = |limits: &mut CallLimits| limits.warn_after = Some(Duration::from_millis(100));
    let stage = Stage::new().await.script(&worker("", "sleep 0.6"), &[]);
    let mut player = ready(&stage.limits(short)).await;
    let seq = player.send(&[0], &json!({}));
    let slow = player.until(|r| matches!(r, Report::Slow { .. })).await;
    assert!(matches!(slow, Report::Slow { stack, .. } if stack.is_empty()));
    player.done(seq).await;
    assert!(player.goodbye().await.expected);

    // One that lists the feature is asked.
    let act = "sleep 0.6 & wait $!; wait $!";
    let script = format!("trap 'echo asked >&2' USR2\n{}", worker(r#""stack""#, act));
    let stage = Stage::new().await.script(&script, &[]).limits(short);
    let mut player = ready(&stage).await;
    let seq = player.send(&[0], &json!({}));
    player
        .until(|r| matches!(r, Report::Stderr { line } if line == "asked"))
        .await;
    player.done(seq).await;
    assert!(player.goodbye().await.expected);
}

#[tokio::test]
async fn the_hard_limit_ends_a_script_and_its_children() {
    let act = "sleep 600 & echo $! >\"$OUT.part\"; mv \"$OUT.part\" \"$OUT\"; wait";
    let mut stage = Stage::new()
        .await
        .script(&worker("", act), &[])
        .limits(|limits| limits.hard = Some(Duration::from_millis(150)));
    let out = stage.path("out");
    stage = stage.var("OUT", out.to_str().unwrap());
    let mut player = ready(&stage).await;
    player.send(&[0], &json!({}));
    let child: u32 = note(&out).await.trim().parse().unwrap();
    let (exit, _) = player.exit().await;
    assert!(matches!(exit.why, Why::HardLimit(_)), "{exit:?}");
    gone(child).await;
}

#[tokio::test]
async fn what_the_system_refuses_is_explained() {
    for (text, words) in [
        ("#!/no/such/shell\n", "in its first line"),
        ("no program\n", "begins with a line such as"),
    ] {
        let mut stage = Stage::new().await.script("", &[]);
        let path = stage.path("impostor");
        std::fs::write(&path, text).unwrap();
        let args = Vec::new();
        stage.spawn.program = Program::Own(Own { path, args });
        let Report::Unstarted(error @ SpawnError::Start { .. }) = stage.start().next().await else {
            panic!("it was started: {text}");
        };
        assert!(!error.is_for_want_of_room());
        assert!(error.advice().unwrap().contains(words), "{error}");
    }
}
