//! Helper modules: which a worker imported, and that a later one gets what stands there then.

use std::time::{Duration, SystemTime};

use serde_json::json;
use slated_host::Report;
use slated_host::wire::Import;

use crate::stage::{Player, Stage};

const PLUGIN: &str = r"
import studio

def report(sg, logger, event, args):
    import later
    logger.info('%s %s', studio.NAME, later.NAME)

def registerCallbacks(reg):
    reg.registerCallback('s', 'k', report)
";

/// Prepares a plugin that imports `studio` as it is loaded, and `later` as it is called.
async fn stage() -> Stage {
    let mut stage = Stage::new().await.plugin("p", PLUGIN);
    let lib = stage.path("lib");
    std::fs::create_dir_all(&lib).unwrap();
    std::fs::write(lib.join("studio.py"), "NAME = 'one'\n").unwrap();
    std::fs::write(lib.join("later.py"), "NAME = 'late'\n").unwrap();
    stage.spawn.config.import_paths.push(lib);
    stage
}

/// The names and contents of helper modules, less those of the stand-in for the client.
fn names(imports: &[Import]) -> Vec<(String, String)> {
    let own = |i: &&Import| !i.path.contains("shotgun_api3");
    let name = |i: &Import| i.path.rsplit('/').next().unwrap().to_owned();
    let pair = |i: &Import| (name(i), i.sha256.clone());
    imports.iter().filter(own).map(pair).collect()
}

async fn loaded(stage: &Stage) -> (Player, Vec<(String, String)>) {
    let mut player = stage.start();
    let Report::Ready { imports, .. } = player.until(|r| matches!(r, Report::Ready { .. })).await
    else {
        unreachable!()
    };
    (player, names(&imports))
}

/// What the plugin says its helpers' names are.
async fn says(player: &mut Player) -> String {
    player.send(&[0], &json!({}));
    let Report::Log(log) = player.until(|r| matches!(r, Report::Log(_))).await else {
        unreachable!()
    };
    log.message
}

#[tokio::test]
async fn what_a_plugin_imports_is_told_at_its_start_and_in_its_calls() {
    let stage = stage().await;
    let (mut player, found) = loaded(&stage).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0.as_str(), found[0].1.len()), ("studio.py", 64));
    assert_eq!(says(&mut player).await, "one late");
    let Report::Imports(imports) = player.until(|r| matches!(r, Report::Imports(_))).await else {
        unreachable!()
    };
    let both: Vec<_> = names(&imports).into_iter().map(|(name, _)| name).collect();
    assert_eq!(both, ["later.py", "studio.py"]);
    // Once: the next call imports nothing.
    assert_eq!(says(&mut player).await, "one late");
    let (exit, after) = {
        player.handle().goodbye("test", crate::stage::SOON).unwrap();
        player.exit().await
    };
    assert!(exit.expected);
    assert!(!after.iter().any(|r| matches!(r, Report::Imports(_))));
}

#[tokio::test]
async fn an_edit_of_a_helper_is_what_the_next_process_runs_however_small_it_is() {
    let stage = stage().await;
    let file = stage.path("lib/studio.py");
    let (player, first) = loaded(&stage).await;
    player.goodbye().await;
    let mut before = first;
    for name in ["two", "six", "ten"] {
        // Same size, and as a rule the same second; then an older time.
        std::fs::write(&file, format!("NAME = '{name}'\n")).unwrap();
        if name == "ten" {
            let file = std::fs::File::options().append(true).open(&file).unwrap();
            let old = SystemTime::now() - Duration::from_hours(10_000);
            file.set_modified(old).unwrap();
        }
        let (mut player, found) = loaded(&stage).await;
        assert_ne!(found, before, "{name}");
        before = found;
        assert_eq!(says(&mut player).await, format!("{name} late"));
        player.goodbye().await;
    }
}

#[tokio::test]
async fn a_helper_that_is_broken_or_missing_is_told_with_the_failure() {
    let stage = stage().await;
    let file = stage.path("lib/studio.py");
    for (text, wanted) in [(Some("def f(:\n"), true), (None, false)] {
        match text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let (_, reports) = stage.start().exit().await;
        let failed = reports.into_iter().find_map(|r| match r {
            Report::LoadFailed(failed) => Some(failed),
            _ => None,
        });
        let imports = failed.expect("it loaded").imports;
        let studio = imports.iter().find(|i| i.path.ends_with("lib/studio.py"));
        let studio = studio.expect("not told");
        assert_eq!(!studio.sha256.is_empty(), wanted, "{studio:?}");
    }
}
