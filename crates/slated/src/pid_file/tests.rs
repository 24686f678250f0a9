//! The pid file against real processes.

use tempfile::TempDir;

use super::*;
use crate::process::tests::Guard;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("daemon.pid");
    (folder, path)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn ours() -> String {
    format!("{}\n", std::process::id())
}

async fn refused(path: &Path, words: &[&str]) {
    let before = std::fs::read(path).ok();
    let error = PidFile::take(path).await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let said = error.to_string();
    for words in words {
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
    assert!(said.contains("\nhint: "), "{said}");
    assert!(said.contains(&path.display().to_string()), "{said}");
    assert_eq!(std::fs::read(path).ok(), before, "it was left as it is");
}

/// A process that locks `path` and writes `number` into it; 0: its own.
fn locks(path: &Path, number: u32) -> Guard {
    let text = format!(
        "import fcntl, os\nheld = open({path:?}, 'w')\nfcntl.flock(held, fcntl.LOCK_EX)\n\
         held.write(str({number} or os.getpid()) + '\\n')\nheld.flush()"
    );
    Guard::python(&text, "holder.py")
}

/// A number of a process that has ended.
fn ended() -> u32 {
    let mut child = Guard::run("true", &[]);
    child.0.wait().unwrap();
    child.0.id()
}

#[tokio::test]
async fn it_holds_our_number_until_it_is_dropped() {
    let (_folder, path) = place();
    let file = PidFile::take(&path).await.unwrap();
    assert_eq!(text(&path), ours());
    assert_eq!(file.notice, None);
    let wanted = format!("slated runs already, as process {}", std::process::id());
    refused(&path, &[&wanted]).await;
    drop(file);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_was_left_behind_is_taken() {
    let dead = ended();
    let stranger = Guard::run("sleep", &["600"]);
    let (dead, used) = (format!("{dead}\n"), format!(" {}", stranger.0.id()));
    for (left, words) in [
        ("", None),
        ("\n", None),
        ("\0\0\0\0\0", None),
        (ours().as_str(), Some("of this number")),
        (dead.as_str(), Some("has ended")),
        // The number is used again, and longer than ours: nothing of it stays.
        (used.as_str(), Some("another program's")),
    ] {
        let (_folder, path) = place();
        std::fs::write(&path, left).unwrap();
        let file = PidFile::take(&path).await.unwrap();
        assert_eq!(text(&path), ours());
        let notice = file.notice.clone();
        match words {
            Some(words) => assert!(notice.is_some_and(|n| n.contains(words)), "{left:?}"),
            None => assert_eq!(notice, None, "{left:?}"),
        }
    }
    assert!(!stranger.process().has_ended());
}

#[tokio::test]
async fn a_python_daemon_keeps_its_file_while_it_lives() {
    let (_folder, path) = place();
    let daemon = Guard::python("", "shotgunEventDaemon.py");
    let pid = daemon.0.id();
    std::fs::write(&path, format!("{pid}\n")).unwrap();
    let words = format!("the Python event daemon runs as process {pid}");
    refused(&path, &[&words, "shotgunEventDaemon.py stop"]).await;
    let found = holder(&path).await.unwrap();
    assert!(
        matches!(found, Holder::PythonDaemon(p, _) if p == pid),
        "{found:?}"
    );
    assert!(!daemon.process().has_ended());
    drop(daemon);
    assert!(matches!(holder(&path).await.unwrap(), Holder::Nobody));
    let file = PidFile::take(&path).await.unwrap();
    assert!(file.notice.is_some());
}

#[tokio::test]
async fn what_is_no_pid_file_is_left_alone() {
    let (folder, path) = place();
    std::fs::write(&path, "[daemon]\n").unwrap();
    refused(&path, &["holds something else"]).await;
    let missing = folder.path().join("run/daemon.pid");
    refused(&missing, &["cannot be written", "make its folder"]).await;
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let words = ["cannot be written", "make it writable"];
    refused(&folder.path().join("folder"), &words).await;
    refused(&path.join("daemon.pid"), &["cannot be written"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_starts_at_once_one_gets_it() {
    for round in 0..50 {
        let (_folder, path) = place();
        if round % 2 == 0 {
            std::fs::write(&path, "1\n").unwrap();
        }
        let mut starts = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let path = path.clone();
            starts.spawn(async move { PidFile::take(&path).await });
        }
        let ends = starts.join_all().await;
        let got: Vec<_> = ends.into_iter().filter_map(Result::ok).collect();
        assert_eq!(got.len(), 1, "round {round}");
        assert_eq!(text(&path), ours());
    }
}

/// One takes and drops it again and again, another does the same: never do both have it, and the
/// one that has it finds its number there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_never_takes_a_files_next_owner_for_itself() {
    let (_folder, path) = place();
    let held = std::sync::Arc::new(std::sync::Mutex::new(()));
    let mut sides = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (path, held) = (path.clone(), held.clone());
        sides.spawn(async move {
            let mut times = 0;
            while times < 200 {
                if let Ok(file) = PidFile::take(&path).await {
                    let alone = held.try_lock().expect("both have it");
                    assert_eq!(text(&path), ours());
                    times += 1;
                    drop(alone);
                    drop(file);
                }
                tokio::task::yield_now().await;
            }
        });
    }
    sides.join_all().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn one_that_is_gone_or_replaced_is_no_longer_ours() {
    let (folder, path) = place();
    let file = PidFile::take(&path).await.unwrap();
    let soon = Duration::from_millis(50);
    assert!(tokio::time::timeout(soon, file.removed()).await.is_err());
    std::fs::remove_file(&path).unwrap();
    file.removed().await;
    drop(file);

    let file = PidFile::take(&path).await.unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, "1\n").unwrap();
    std::fs::rename(&other, &path).unwrap();
    file.removed().await;
    drop(file);
    assert_eq!(text(&path), "1\n", "it is another's");
}

#[tokio::test]
async fn only_who_holds_the_lock_and_is_named_is_found() {
    let (_folder, path) = place();
    assert!(matches!(holder(&path).await.unwrap(), Holder::Nobody));
    let daemon = locks(&path, 0);
    for found in [
        holder(&path).await.unwrap(),
        holder_at_a_glance(&path).unwrap(),
    ] {
        assert!(
            matches!(&found, Holder::Process(p) if p.pid() == daemon.0.id()),
            "{found:?}"
        );
    }
    drop(daemon);
    assert!(matches!(holder(&path).await.unwrap(), Holder::Nobody));
    assert!(matches!(holder_at_a_glance(&path).unwrap(), Holder::Nobody));

    // In a container, a lock is ours to see and its number is not.
    let stranger = Guard::run("sleep", &["600"]);
    let far = locks(&path, stranger.0.id());
    assert!(matches!(holder(&path).await.unwrap(), Holder::Unknown));
    assert!(matches!(holder_at_a_glance(&path).unwrap(), Holder::Nobody));
    refused(&path, &["is locked, and not by the process it names"]).await;
    drop(far);
    drop(PidFile::take(&path).await.unwrap());
    assert!(!stranger.process().has_ended());
}
