//! Ends that are wanted, and workers nobody wants any more.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use slated_host::{End, SendError, Stale, Why, reap_stale};

use crate::stage::{ACT, QUIET, Stage, frame, gone, lives, note};

#[tokio::test]
async fn a_goodbye_is_read_in_order_and_leaves_children_alone() {
    let stage = Stage::new().await;
    let mut player = stage.ready().await;
    let noted = stage.path("child");
    player.send(&[ACT], &json!({"do": "child", "note": noted.clone()}));
    let last = player.send(&[QUIET], &json!({"do": "nothing"}));
    player.handle().goodbye("stop", crate::stage::SOON).unwrap();
    let (exit, reports) = player.exit().await;
    assert_eq!((exit.end, exit.why), (End::Code(0), Why::Goodbye));
    let done = |r: &_| matches!(r, slated_host::Report::Done { seq, .. } if *seq == last);
    assert!(reports.iter().any(done));
    let child: u32 = note(&noted).await.parse().unwrap();
    assert!(lives(child));
    Command::new("kill")
        .arg(child.to_string())
        .status()
        .unwrap();
}

#[tokio::test]
async fn a_goodbye_ends_when_its_grace_does() {
    let mut player = Stage::new().await.ready().await;
    player.send(&[ACT], &json!({"do": "hang"}));
    player
        .handle()
        .goodbye("stop", Duration::from_millis(100))
        .unwrap();
    let (exit, _) = player.exit().await;
    assert_eq!(
        (exit.end, exit.why, exit.expected),
        (End::Signal(15), Why::Goodbye, true)
    );
}

#[tokio::test]
async fn threads_left_behind_hold_up_a_goodbye_only_so_long() {
    let text = "import threading, time\n\
                def registerCallbacks(reg):\n    \
                threading.Thread(target=time.sleep, args=(600,)).start()\n";
    let player = Stage::new().await.plugin("threads", text).ready().await;
    let exit = player.goodbye().await;
    assert_eq!((exit.end, exit.expected), (End::Code(0), true));
    assert!(
        exit.stderr.contains("threads of the plugin did not end"),
        "{}",
        exit.stderr
    );
}

#[tokio::test]
async fn a_kill_takes_the_whole_group_and_is_expected() {
    let stage = Stage::new().await;
    let mut player = stage.ready().await;
    let noted = stage.path("child");
    player.send(&[ACT], &json!({"do": "child", "note": noted.clone()}));
    let child: u32 = note(&noted).await.parse().unwrap();
    player.handle().kill();
    let (exit, _) = player.exit().await;
    assert_eq!((exit.why, exit.expected), (Why::Killed, true));
    gone(child).await;
    let refused = player.handle().send(frame(99, 1, &[QUIET], &json!({})));
    assert!(matches!(refused, Err(SendError::Gone)));
}

#[tokio::test]
async fn a_worker_without_a_handle_ends() {
    let mut player = Stage::new().await.ready().await;
    player.handle = None;
    let (exit, _) = player.exit().await;
    assert_eq!(exit.why, Why::Killed);
}

#[tokio::test]
async fn a_worker_nobody_listens_to_ends() {
    let mut player = Stage::new().await.ready().await;
    player.send(&[ACT], &json!({"do": "hang"}));
    let pid = player.pid();
    player.reports.close();
    gone(pid).await;
}

#[tokio::test]
async fn a_worker_that_does_not_read_fills_a_bounded_queue_and_blocks_nobody() {
    let mut player = Stage::new().await.ready().await;
    let big = "x".repeat(100_000);
    let mut sent = 0;
    let refused = loop {
        sent += 1;
        let meta = json!({"do": "sleep", "seconds": 60, "big": big});
        if let Err(error) = player.handle().send(frame(sent, 1, &[ACT], &meta)) {
            break error;
        }
        assert!(sent < 1000, "the queue has no bound");
        tokio::task::yield_now().await;
    };
    assert!(matches!(refused, SendError::Full));
    player.handle().kill();
    player.exit().await;
}

/// Not a test of its own: the parent that the next test kills.
#[tokio::test]
async fn parent_of_an_orphan() {
    let Some(note) = std::env::var_os("SLATED_TEST_ORPHAN") else {
        return;
    };
    let stage = Stage::new()
        .await
        .limits(|l| l.orphan = Duration::from_millis(200));
    let mut player = stage.ready().await;
    let what = std::env::var("SLATED_TEST_ORPHAN_DOES").unwrap();
    let noted = stage.path("busy");
    player.send(
        &[ACT],
        &json!({"do": what, "seconds": 60, "note": noted.clone()}),
    );
    let said = crate::stage::note(&noted).await;
    let part = stage.path("part");
    std::fs::write(&part, format!("{} {said}", player.pid())).unwrap();
    std::fs::rename(&part, &note).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_worker_ends_soon_after_slated_was_killed() {
    for what in ["sleep", "hang", "child"] {
        let folder = tempfile::tempdir().unwrap();
        let noted = folder.path().join("pid");
        let mut parent = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ending::parent_of_an_orphan"])
            .env("SLATED_TEST_ORPHAN", &noted)
            .env("SLATED_TEST_ORPHAN_DOES", what)
            // It cannot tidy up behind itself.
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let said = note(&noted).await;
        // The worker, and its child where it has one.
        let pids: Vec<u32> = said
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        assert_eq!(pids.len(), if what == "child" { 2 } else { 1 });
        assert!(pids.iter().all(|pid| lives(*pid)));
        parent.kill().unwrap();
        parent.wait().unwrap();
        for pid in pids {
            gone(pid).await;
        }
    }
}

#[tokio::test]
async fn a_stale_worker_is_ended_and_a_stranger_is_not() {
    let mut stale = Command::new("sh")
        .args(["-c", "trap '' TERM; sleep 60"])
        .process_group(0)
        .spawn()
        .unwrap();
    let pid = stale.id();
    let started = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let started: u64 = started
        .rsplit(')')
        .next()
        .unwrap()
        .split_ascii_whitespace()
        .nth(19)
        .unwrap()
        .parse()
        .unwrap();
    // The same number, another process.
    assert_eq!(reap_stale(pid, started + 1).await, Stale::Gone);
    assert!(lives(pid));
    assert_eq!(reap_stale(pid, started).await, Stale::Ended);
    stale.wait().unwrap();
    assert_eq!(reap_stale(pid, started).await, Stale::Gone);
}
