//! Alerts: to a webhook and by mail, and what a webhook that takes none comes to.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use slated_sim::{Effect, Fault, On};
use slated_testkit::hook::{Answer, Hook};
use slated_testkit::mail::MailServer;
use slated_testkit::plugins::{Act, Callback, Plugin};

use crate::mail::{mails_by, took};
use crate::{
    Builder, LIMIT, Value, WANTED, World, begins, happen, json_of, lines, said, says, shows, world,
};

/// A world with a plugin that is held at its first event, and a webhook.
fn alerted(hook: &Hook) -> Builder {
    let fails = Callback::new("f").wants(WANTED).stops_on_error();
    world()
        .plugin(Plugin::journal("wrong").callback(fails.does(Act::Raise, 1, Some(1))))
        .no_retries()
        .setting("alerts", "webhook", "{ env = \"STUDIO_HOOK\" }")
        .env("STUDIO_HOOK", &hook.url())
        .env("SLATED_TEST_ALERTS_MS", "100")
}

/// Waits until an alert of a kind came in a state, and returns it.
async fn hears(world: &mut World, hook: &Hook, kind: &str, state: &str) -> Result<Value> {
    let is = |post: &Value| post["kind"] == kind && post["state"] == state;
    let what = format!("{kind} {state}");
    world
        .until(&what, LIMIT, |_| Ok(hook.posts().iter().any(is)))
        .await?;
    hook.posts().into_iter().find(is).context(what)
}

/// All files below a folder that hold some text.
pub(crate) fn holding(folder: &Path, text: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(holding(&path, text)?);
        } else if path.is_file() {
            let bytes = fs::read(&path)?;
            if bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
            {
                found.push(path.display().to_string());
            }
        }
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_once_and_so_is_its_end() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = MailServer::start(folder.path(), &[])?;
    let hook = Hook::start()?;
    let mut world = mails_by(alerted(&hook), server.port()).start().await?;
    let check = world
        .ask("check", &["--no-load", "--send-test-alert"])
        .await?;
    assert!(
        check.contains(&format!("{} took a test", hook.host())),
        "{check}"
    );
    assert_eq!(hook.posts()[0]["state"], "test");
    let quiet = json_of(&world, "check", &["--no-load"]).await?;
    assert_eq!(quiet["webhook"]["takes"], Value::Null, "{quiet}");
    assert_eq!(quiet["no_effect"], Value::Array(vec![]), "{quiet}");

    let event = happen(world.site());
    let held = hears(&mut world, &hook, "hold", "raised").await?;
    assert_eq!(
        (&held["plugin"], &held["event"]),
        (&"plugins/wrong".into(), &event.into())
    );
    assert_eq!(held["site"], world.url(), "{held}");
    for field in ["text", "since", "at", "host", "version", "detail"] {
        ensure!(
            held[field].as_str().is_some_and(|s| !s.is_empty()),
            "{field} in {held}"
        );
    }
    let status = shows(&world, "the hold", |s| s["alerts"][0]["kind"] == "hold").await?;
    assert_eq!(status["webhook"]["host"], hook.host(), "{status}");
    let text = world.ask("status", &[]).await?;
    assert!(
        text.contains("alerts   plugins/wrong is held (since"),
        "{text}"
    );

    let down = Fault::new(Effect::Status { code: 503 }).on(On::Everything);
    world.site().add_fault(down);
    let lost = hears(&mut world, &hook, "site_lost", "raised").await?;
    assert_eq!(lost["subject"], "the site");
    world.site().clear_faults();
    hears(&mut world, &hook, "site_lost", "recovered").await?;

    world.ask("plugin", &["resume", "wrong"]).await?;
    hears(&mut world, &hook, "hold", "recovered").await?;
    shows(&world, "all is well", |s| {
        s["alerts"] == Value::Array(vec![])
    })
    .await?;
    let states: Vec<_> = hook
        .posts()
        .iter()
        .skip(1)
        .map(|p| format!("{} {}", p["kind"], p["state"]))
        .collect();
    assert_eq!(
        states,
        [
            r#""hold" "raised""#,
            r#""site_lost" "raised""#,
            r#""site_lost" "recovered""#,
            r#""hold" "recovered""#
        ]
    );

    // By mail: the hold as an error and not once more, and what no error says.
    let mails = took(&mut world, &server, 4).await?;
    let mut subjects: Vec<_> = mails.iter().map(|mail| mail.subject().to_owned()).collect();
    subjects.sort();
    ensure!(subjects.len() == 4, "{subjects:?}");
    for (subject, words) in subjects.iter().zip([
        "[slated] over: plugins/wrong is held no more, after ",
        "[slated] over: the site cannot be read no more, after ",
        "[slated] the site cannot be read",
        "[slated] wrong: ",
    ]) {
        assert!(subject.starts_with(words), "{subjects:?}");
    }

    // Its end says nothing, and a start forgets.
    let before = hook.posts().len();
    assert!(world.terminate().await?.success());
    assert_eq!(hook.posts().len(), before);
    // The address is nowhere.
    let text = world.ask("status", &["--json"]).await?;
    assert!(!text.contains(Hook::secret()) && !check.contains(Hook::secret()));
    assert!(!said(&world).contains(Hook::secret()), "{}", said(&world));
    assert_eq!(holding(world.folder(), Hook::secret())?, [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_takes_nothing_holds_nobody_up() -> Result<()> {
    let hook = Hook::start()?;
    hook.answer(Answer::Status(500));
    let mut world = alerted(&hook).start().await?;
    let event = happen(world.site());
    let troubled = |words: &'static str| {
        move |s: &Value| {
            let trouble = s["webhook"]["trouble"].as_str();
            trouble.is_some_and(|t| t.contains(words)) && s["webhook"]["waiting"] == 1
        }
    };
    shows(
        &world,
        "a trouble",
        troubled("HTTP 500 Internal Server Error: no hook ***"),
    )
    .await?;
    hook.answer(Answer::Hangs);
    shows(&world, "a dead one", troubled("the connection broke")).await?;
    hook.answer(Answer::Mute);
    let calls = hook.calls();
    world
        .until("it is called", LIMIT, |_| Ok(hook.calls() > calls))
        .await?;
    // While it is waited for, all goes on.
    begins(&mut world, "quick", event, 1).await?;
    for _ in 0..5 {
        let event = happen(world.site());
        begins(&mut world, "quick", event, 1).await?;
    }
    assert!(world.terminate().await?.success());
    assert!(!said(&world).contains(Hook::secret()), "{}", said(&world));

    // What is still wrong after a start is told anew; what is refused is given up.
    hook.answer(Answer::Status(404));
    world.restart()?;
    says(
        &mut world,
        "refused an alert, which is given up: HTTP 404",
        1,
    )
    .await?;
    let status = shows(&world, "given up", |s| s["webhook"]["given_up"] == 1).await?;
    let alert = &status["alerts"][0];
    assert_eq!(
        (&alert["kind"], &alert["event"]),
        (&"hold".into(), &event.into())
    );
    assert_eq!(status["webhook"]["waiting"], 0);
    hook.answer(Answer::Status(200));
    world.ask("plugin", &["resume", "wrong"]).await?;
    let over = hears(&mut world, &hook, "hold", "recovered").await?;
    assert_eq!(over["plugin"], "plugins/wrong");
    assert_eq!(lines(&world, Hook::secret()), 0);
    assert!(world.terminate().await?.success());
    Ok(())
}
