//! With the real client: whose credentials a callback uses, and what a failure of the site is.

use serde_json::json;
use slated_host::wire::{Lend, Secret};
use slated_host::{Candidate, Environment, Interpreter, Report};
use slated_model::{Cause, Failure};

use crate::stage::{Player, Stage, python_with_client};

/// A site where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";

const PLUGIN: &str = r"
import shotgun_api3
def who(sg, logger, event, args):
    assert isinstance(sg, shotgun_api3.Shotgun)
    logger.info('%s %s', sg.config.script_name, sg.config.session_uuid)
def ask(sg, logger, event, args):
    sg.find_one('Shot', [])
def elsewhere(sg, logger, event, args):
    shotgun_api3.Shotgun('http://127.0.0.1:2', 's', 'k', connect=False).find_one('Shot', [])
def broken(sg, logger, event, args):
    secret_key = 'very-secret-key'
    raise ValueError(secret_key)
def registerCallbacks(reg):
    for function in (who, ask, elsewhere, broken):
        reg.registerCallback(None, None, function, stopOnError=False)
    reg.registerCallback('own', 'own-key', who, stopOnError=False)
";

async fn stage() -> Stage {
    let mut stage = Stage::new().await.plugin("asks", PLUGIN);
    stage.python().interpreter = python_with_client().await;
    stage.spawn.config.import_paths.clear();
    stage.spawn.site.url = NOBODY.into();
    stage
}

fn lend() -> Lend {
    Lend {
        script: "slated".into(),
        key: Secret::new("very-secret-key"),
    }
}

async fn failure(player: &mut Player, n: u32) -> Failure {
    player.send(&[n], &json!({}));
    let Report::Result {
        error: Some(failure),
        ..
    } = player.result().await
    else {
        panic!("it did not fail");
    };
    *failure
}

#[tokio::test]
async fn callbacks_without_a_name_get_the_daemons_own_only_if_it_lends_it() {
    let mut lent = stage().await;
    lent.spawn.site.lend = Some(lend());
    let mut player = lent.ready().await;
    let seq = player.send(&[0, 4], &json!({}));
    player.done(seq).await;
    let said: Vec<_> = player
        .aside
        .drain(..)
        .filter_map(|r| match r {
            Report::Log(log) => Some(log.message),
            _ => None,
        })
        .collect();
    assert_eq!(said, ["slated None", "own None"]);
    player.goodbye().await;

    let mut player = stage().await.ready().await;
    let failure = failure(&mut player, 1).await;
    assert!(failure.message.contains("lend_key = true"), "{failure:?}");
    assert_eq!(failure.cause, None);
    player.goodbye().await;
}

#[tokio::test]
async fn a_site_that_is_down_is_no_fault_of_the_plugin_and_stops_the_turn() {
    let mut lent = stage().await;
    lent.spawn.site.lend = Some(lend());
    let mut player = lent.ready().await;
    let down = player.send(&[1, 0], &json!({}));
    let Report::Result {
        error: Some(failed),
        stop: true,
        ..
    } = player.result().await
    else {
        panic!("a site that is down does not stop the turn");
    };
    assert_eq!(failed.cause, Some(Cause::Site));
    player.done(down).await;
    // Another site's trouble is another network's.
    player.send_in_turn(2, &[2], &json!({}));
    let Report::Result {
        error: Some(failed),
        stop: false,
        ..
    } = player.result().await
    else {
        panic!("it did not fail, or it stopped");
    };
    assert_eq!(failed.cause, Some(Cause::Transient));
    player.goodbye().await;
}

#[tokio::test]
async fn a_lent_key_stands_in_no_report() {
    let mut lent = stage().await;
    lent.spawn.site.lend = Some(lend());
    assert!(!format!("{:?}", lent.spawn).contains("very-secret"));
    let mut player = lent.ready().await;
    let failure = failure(&mut player, 3).await;
    assert!(
        !format!("{failure:?}").contains("very-secret"),
        "{failure:?}"
    );
    assert_eq!(failure.message, "***");
    assert!(failure.locals.unwrap().contains("secret_key = '***'"));
    player.goodbye().await;
}

#[tokio::test]
async fn the_first_python_with_a_client_is_found() {
    let with_client = python_with_client().await;
    let candidate = |program: &std::path::Path| Candidate {
        program: program.to_owned(),
        origin: "test".into(),
        named: false,
    };
    let given = vec![
        candidate("/no/such/python".as_ref()),
        candidate(&with_client.path),
    ];
    let (found, passed_over) = Interpreter::find(given, &Environment::default(), &[])
        .await
        .unwrap();
    assert_eq!(found, with_client);
    assert_eq!(passed_over.len(), 1);
    assert!(found.path.is_absolute() && found.import_error.is_none());
}

#[tokio::test]
async fn a_dry_worker_tells_what_it_did_not_write_before_the_answer_of_the_call() {
    let text = "
def registerCallbacks(reg):
    assert reg.isDry()
    reg.registerCallback('s', 'k', write)
    import shotgun_api3
    shotgun_api3.Shotgun('http://127.0.0.1:1', 's', 'k', connect=False).delete('Task', 7)

def write(sg, logger, event, args):
    assert sg.create('Note', {'subject': 'x'})['id'] < 0
    sg.update('Task', 7, {'sg_status_list': 'fin'})
";
    let mut stage = stage().await.plugin("dry", text);
    stage.spawn.config.dry = true;
    let mut player = stage.ready().await;
    let writes = |player: &mut Player| -> Vec<_> {
        let write = |report| match report {
            Report::Write(w) => Some((w.seq, w.n, w.method, w.entity.unwrap(), w.id, w.data)),
            _ => None,
        };
        player.aside.drain(..).filter_map(write).collect()
    };
    let of = |seq, n, what: [&str; 3], id| {
        let [method, entity, data] = what.map(String::from);
        (seq, n, method, entity, id, data)
    };
    assert!(matches!(player.aside.front(), Some(Report::Hello(hello))
        if hello.features.iter().any(|f| f == slated_host::wire::DRY)));
    let loading = writes(&mut player);
    assert_eq!(loading, [of(None, None, ["delete", "Task", "{}"], Some(7))]);
    let seq = player.send(&[0], &json!({}));
    let result = player.result().await;
    assert!(
        matches!(result, Report::Result { error: None, .. }),
        "{result:?}"
    );
    let told = [
        of(
            Some(seq),
            Some(0),
            ["create", "Note", r#"{"subject": "x"}"#],
            None,
        ),
        of(
            Some(seq),
            Some(0),
            ["update", "Task", r#"{"sg_status_list": "fin"}"#],
            Some(7),
        ),
    ];
    assert_eq!(writes(&mut player), told);
    player.done(seq).await;
    player.goodbye().await;
}
