//! Plugins that do not load: no crash, no loop, and an error a person can act on.

use std::time::Duration;

use slated_host::wire::{LoadFailed, LoadPhase};
use slated_host::{End, Exit, Report, Why};
use slated_model::Cause;

use crate::stage::Stage;

/// Starts a plugin that does not load.
async fn refused(stage: &Stage) -> LoadFailed {
    let (exit, reports) = stage.start().exit().await;
    assert_eq!(
        (exit.end, exit.why, exit.expected),
        (End::Code(78), Why::LoadFailed, true)
    );
    let failed = reports.into_iter().find_map(|report| match report {
        Report::LoadFailed(failed) => Some(*failed),
        _ => None,
    });
    failed.expect("the failure was not reported")
}

async fn refused_text(text: &str) -> LoadFailed {
    refused(&Stage::new().await.plugin("p", text)).await
}

#[tokio::test]
async fn a_syntax_error_names_file_and_line() {
    let failed = refused_text("x = 1\ndef f(:\n").await;
    assert_eq!((failed.phase, failed.line), (LoadPhase::Import, Some(2)));
    assert_eq!(failed.error, "SyntaxError");
    assert!(failed.file.unwrap().ends_with("/p.py"));
    assert!(!failed.message.contains("Python 2"));
}

#[tokio::test]
async fn compat_5_4_python_2_is_called_by_its_name() {
    for text in [
        "print 'hello'\n",
        "try:\n    pass\nexcept Exception, e:\n    pass\n",
        "raise ValueError, 'x'\n",
        "mode = 0755\n",
        "exec 'x = 1'\n",
        "if 1 <> 2:\n    pass\n",
        "x = 10L\n",
        "x = ur'x'\n",
    ] {
        let failed = refused_text(text).await;
        assert!(
            failed.message.starts_with("Python 2 syntax: "),
            "{text}{failed:?}"
        );
        assert!(failed.line.is_some());
    }
}

#[tokio::test]
async fn what_a_module_raises_is_reported_with_its_line() {
    for (text, error) in [
        ("\nimport no_such_module_anywhere\n", "ModuleNotFoundError"),
        ("\nraise SystemExit(3)\n", "SystemExit"),
        ("\nclass Mine(Exception): pass\nraise Mine()\n", "p.Mine"),
    ] {
        let failed = refused_text(text).await;
        assert_eq!(
            (failed.phase, failed.error.as_str()),
            (LoadPhase::Import, error)
        );
        assert!(
            failed.line >= Some(2) && failed.traceback.contains("p.py"),
            "{failed:?}"
        );
        assert!(
            !failed.traceback.contains("slated_worker"),
            "{}",
            failed.traceback
        );
    }
}

#[tokio::test]
async fn a_helper_module_is_told_apart() {
    assert_eq!(refused_text("x = 1\n").await.phase, LoadPhase::NoRegister);
}

#[tokio::test]
async fn compat_2_2_what_register_raises_is_reported_and_a_network_failure_marked() {
    let failed = refused(&Stage::new().await.var("MISBEHAVE_AT_LOAD", "raise")).await;
    assert_eq!((failed.phase, failed.cause), (LoadPhase::Register, None));
    assert_eq!(failed.message, "the schema cannot be read");
    let failed = refused(&Stage::new().await.var("MISBEHAVE_AT_LOAD", "refused")).await;
    assert_eq!(
        (failed.phase, failed.cause),
        (LoadPhase::Register, Some(Cause::Transient))
    );
}

#[tokio::test]
async fn what_cannot_be_registered_is_an_error_of_its_plugin_alone() {
    let head = "def f(sg, logger, event, args): pass\ndef registerCallbacks(reg):\n    ";
    for (call, message) in [
        (
            "reg.registerCallback('s', 'k', f, ['Shotgun_Task_Change'])",
            "must be a dict",
        ),
        ("reg.registerCallback('s', 'k', f, {'A': 5})", "not int"),
        ("reg.registerCallback('s', 'k', 'f')", "must be callable"),
        ("reg.no_such_thing()", "no attribute 'no_such_thing'"),
    ] {
        let failed = refused_text(&format!("{head}{call}\n")).await;
        assert!(failed.message.contains(message), "{failed:?}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_import_is_said_so() {
    let mut stage = Stage::new().await;
    let broken = stage.path("lib/shotgun_api3");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(
        broken.join("__init__.py"),
        "raise RuntimeError('needs 3.9')",
    )
    .unwrap();
    stage.spawn.config.import_paths = vec![stage.path("lib")];
    let failed = refused(&stage).await;
    assert_eq!(failed.phase, LoadPhase::Client);
    assert_eq!(failed.message, "shotgun_api3 does not import: needs 3.9");
}

#[tokio::test]
async fn a_plugin_that_never_gets_ready_is_ended_with_its_stack() {
    // Long enough for a busy machine to get as far as the plugin.
    let init = Duration::from_secs(3);
    let stage = Stage::new()
        .await
        .var("MISBEHAVE_AT_LOAD", "hang")
        .limits(|l| l.init = init);
    let (exit, _) = stage.start().exit().await;
    assert_eq!((&exit.why, exit.expected), (&Why::InitLimit(init), false));
    assert!(
        exit.stack
            .is_some_and(|s| s.contains("in registerCallbacks"))
    );
}

#[tokio::test]
async fn an_exit_while_loading_is_a_death() {
    let exit: Exit = Stage::new()
        .await
        .var("MISBEHAVE_AT_LOAD", "exit")
        .start()
        .exit()
        .await
        .0;
    assert_eq!(
        (exit.end, exit.why, exit.expected),
        (End::Code(7), Why::Itself, false)
    );
}

#[tokio::test]
async fn odd_filters_are_warned_about_and_the_content_is_named() {
    let text = "def f(sg, logger, event, args): pass\n\
                def registerCallbacks(reg):\n    \
                reg.registerCallback('s', 'k', f, {'Shotgun_*_Change': None})\n    \
                reg.setEmails('a@b', 'c@d')\n";
    let stage = Stage::new().await.plugin("p", text);
    let mut player = stage.start();
    let Report::Ready {
        warnings,
        emails,
        sha256,
        ..
    } = player.until(|r| matches!(r, Report::Ready { .. })).await
    else {
        unreachable!()
    };
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("f: 'Shotgun_*_Change' in matchEvents never matches"));
    let to = vec!["a@b".to_owned(), "c@d".to_owned()];
    assert_eq!(emails, slated_host::wire::Emails::To(to));
    assert_eq!(sha256.len(), 64);
    player.goodbye().await;
}
