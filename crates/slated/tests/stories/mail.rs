//! Mail about errors, by a real server and by some that are none.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use slated_testkit::mail::{Mail, MailServer};
use slated_testkit::plugins::{Act, Callback, Plugin};
use slated_testkit::{Builder, ConfFile};

use crate::{LIMIT, SLATED, WANTED, World, happen, json_of, lines, says, shows, world};

/// Fails at each event, and tells what it must not.
const TELLTALE: &str = "\
import os

def registerCallbacks(reg):
    reg.setEmails('lead@studio.example', 'art@studio.example')
    reg.registerCallback(None, None, f, {'Studio_Turnover': None}, stopOnError=False)

def f(sg, logger, event, args):
    raise RuntimeError('no shot %s with key KEY\\r\\nBcc: all@studio.example' % event['id'])
";

/// Says what it would not be asked.
const QUIET: &str = "\
def registerCallbacks(reg):
    reg.setEmails(False)
    reg.registerCallback(None, None, f, {'Studio_Turnover': None}, stopOnError=False)

def f(sg, logger, event, args):
    raise RuntimeError('nobody is to hear')
";

fn fails(name: &str) -> Plugin {
    let fails = Callback::new("f").wants(WANTED).does(Act::Raise, 1, None);
    Plugin::journal(name).callback(fails)
}

pub(crate) fn mails_by(builder: Builder, port: u16) -> Builder {
    builder
        .setting("mail", "server", "\"localhost\"")
        .setting("mail", "port", &port.to_string())
        .setting("mail", "from", "\"Pipeline <pipeline@studio.example>\"")
        .setting("mail", "to", "[\"td@studio.example\"]")
}

/// Waits until the server has taken so many mails, and returns them.
pub(crate) async fn took(
    world: &mut World,
    server: &MailServer,
    wanted: usize,
) -> Result<Vec<Mail>> {
    let what = format!("{wanted} mails");
    world
        .until(&what, LIMIT, |_| Ok(server.mails()?.len() >= wanted))
        .await?;
    server.mails()
}

fn to<'a>(mails: &'a [Mail], whom: &str) -> Vec<&'a Mail> {
    let is = |mail: &&Mail| mail.to.iter().any(|to| to.starts_with(whom));
    mails.iter().filter(is).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_mailed_encrypted_and_the_next_ones_are_told_together() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = MailServer::start(folder.path(), &MailServer::closed("slated", "s3cret-pass"))?;
    let authority = format!("{:?}", MailServer::authority());
    let mut world = mails_by(world(), server.port())
        .plugin(fails("wrong"))
        .plugin(Plugin::source("quiet", QUIET))
        .setting("mail", "tls", "true")
        .setting("mail", "username", "\"slated\"")
        .setting("mail", "password", "{ env = \"MAIL_PASSWORD\" }")
        .setting("site", "ca_file", &authority)
        .env("MAIL_PASSWORD", "s3cret-pass")
        .prepare()
        .await?;
    // The key stands in the plugin, as in one that is careless.
    let key = world.site().key("slated").context("a key")?;
    let text = TELLTALE.replace("KEY", &format!("{key} s3cret-pass"));
    world.install(Plugin::source("telltale", &text))?;
    world.restart()?;
    let check = json_of(&world, "check", &["--plugin", "quick"]).await?;
    assert_eq!(check["mail"]["answers"], true, "{check}");
    assert!(server.mails()?.is_empty(), "it sends nothing");
    shows(&world, "all run", |s| {
        let plugins = s["plugins"].as_array();
        plugins.is_some_and(|all| all.len() == 4 && all.iter().all(|p| p["state"] == "running"))
    })
    .await?;

    let event = happen(world.site());
    let mails = took(&mut world, &server, 2).await?;
    let first = to(&mails, "td@");
    ensure!(first.len() == 1, "{mails:?}");
    assert_eq!(
        first[0].subject(),
        format!("[slated] wrong: ValueError in f (event {event})")
    );
    assert!(first[0].tls && first[0].login.as_deref() == Some("slated"));
    assert_eq!(first[0].from, "pipeline@studio.example");
    for header in ["date", "message-id", "auto-submitted"] {
        assert!(first[0].headers.contains_key(header), "{first:?}");
    }
    assert!(first[0].body.contains("told to fail"), "{}", first[0].body);
    assert!(first[0].body.contains("slated failures show f"));
    // What it names is what there is.
    let group = first[0]
        .body
        .split("failures show ")
        .nth(1)
        .context("a group")?;
    let group = group.split_whitespace().next().context("a group")?;
    world.ask("failures", &["show", group]).await?;

    for _ in 0..4 {
        happen(world.site());
    }
    let status = shows(&world, "eight wait", |s| s["mail"]["waiting"] == 8).await?;
    assert_eq!(
        (&status["mail"]["sent"], &status["mail"]["trouble"]),
        (&2.into(), &().into())
    );
    let text = world.ask("status", &[]).await?;
    assert!(text.contains("8 errors wait to be told together"), "{text}");
    // The end does not keep them to itself.
    world.terminate().await?;
    let mails = server.mails()?;
    assert_eq!(mails.len(), 4, "{mails:?}");
    let (mine, theirs) = (to(&mails, "td@"), to(&mails, "lead@"));
    let words = format!("wrong: ValueError in f, 4 times (events {}", event + 1);
    assert!(mine[1].subject().contains(&words), "{mine:?}");
    assert_eq!(theirs[0].to, ["lead@studio.example", "art@studio.example"]);
    assert!(theirs[1].subject().contains("telltale"), "{theirs:?}");
    for mail in &mails {
        let text = format!("{mail:?}");
        assert!(!text.contains(&key) && !text.contains("s3cret"), "{text}");
        assert!(!text.contains("nobody is to hear"), "{text}");
        assert!(!mail.headers.contains_key("bcc"), "{text}");
    }
    assert!(
        theirs[0].body.contains("with key *** ***"),
        "{}",
        theirs[0].body
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_conf_mail_goes_out_as_the_python_daemons() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = MailServer::start(folder.path(), &["refuse=gone@studio.example".into()])?;
    let port = server.port().to_string();
    let mut world = World::builder(SLATED)
        .plugin(Plugin::journal("quick"))
        .plugin(fails("wrong"))
        .conf(|conf: &mut ConfFile| {
            for (key, value) in [
                ("enabled", "True"),
                ("server", "127.0.0.1"),
                ("port", &port),
                ("from", "pipeline@studio.example"),
                ("to", "gone@studio.example, td@studio.example"),
                ("subject", "[SG]"),
                ("useTLS", "no"),
            ] {
                conf.set("emails", key, value);
            }
        })
        .start()
        .await?;
    // What check sends arrives, and it says who does not get it.
    let text = world
        .ask("check", &["--no-load", "--send-test-mail"])
        .await?;
    assert!(text.contains("no such user here"), "{text}");
    let mails = server.mails()?;
    assert_eq!(mails.len(), 1, "{text}");
    assert_eq!(mails[0].subject(), "[SG] A test of mail");

    happen(world.site());
    let mails = took(&mut world, &server, 2).await?;
    let mails = &mails[1..];
    // The one that is not taken does not keep it from the other.
    assert_eq!(mails[0].to, ["td@studio.example"]);
    assert_eq!(mails[0].subject(), "[SG] CRITICAL - SG event daemon.");
    let body = &mails[0].body;
    for words in [
        "Time: 20",
        "\nLogger: plugin.wrong.f\nPath: ",
        "\nFunction: misbehave\nLine: ",
        "Traceback",
    ] {
        assert!(body.contains(words), "{words:?} in {body}");
    }
    says(&mut world, "no such user here", 1).await?;
    Ok(())
}

/// Accepts connections and says nothing.
fn mute() -> Result<(TcpListener, u16)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_stands_in_nobodys_way() -> Result<()> {
    let (listener, port) = mute()?;
    let mut world = mails_by(world(), port)
        .plugin(fails("wrong"))
        .setting("mail", "server", "\"127.0.0.1\"")
        .start()
        .await?;
    // Its queue of connections answers by itself.
    for _ in 0..20 {
        happen(world.site());
    }
    world.caught_up(LIMIT).await?;
    let connected = listener.accept()?;
    let status = shows(&world, "trouble", |s| s["mail"]["trouble"].is_string()).await?;
    let mail = &status["mail"];
    assert_eq!(
        (&mail["sent"], &mail["waiting"]),
        (&0.into(), &20.into()),
        "{mail}"
    );
    assert!(
        mail["hint"].to_string().contains("answer in time"),
        "{mail}"
    );
    let text = world.ask("status", &[]).await?;
    assert!(text.contains("no mail goes out"), "{text}");
    let check = world.ask("check", &["--no-load"]).await?;
    assert!(check.contains("not asked"), "{check}");

    let begun = Instant::now();
    let ended = world.terminate().await?;
    assert!(ended.success());
    // Five seconds for mail, and what else a stop takes.
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    assert_eq!(
        lines(&world, "20 errors could not be mailed"),
        1,
        "{}",
        world.log()
    );
    assert_eq!(
        lines(&world, "No mail goes out"),
        1,
        "told once: {}",
        world.log()
    );
    drop(connected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_server_goes_out_when_it_is_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // A port that nobody listens at now.
    let (listener, port) = mute()?;
    drop(listener);
    let mut world = mails_by(world(), port)
        .plugin(fails("wrong"))
        .plugin(fails("worse"))
        .start()
        .await?;
    for _ in 0..3 {
        happen(world.site());
    }
    shows(&world, "all wait", |s| {
        s["mail"]["trouble"].is_string() && s["mail"]["waiting"] == 6
    })
    .await?;
    let check = json_of(&world, "check", &["--plugin", "quick"]).await?;
    assert_eq!(check["mail"]["answers"], false, "{check}");

    let server = MailServer::start(folder.path(), &[format!("port={port}")])?;
    let mails = took(&mut world, &server, 1).await?;
    // After a time without mail there is one letter for each receiver.
    assert_eq!(mails[0].subject(), "[slated] 6 errors: worse, wrong");
    says(&mut world, "Mail goes out by", 1).await?;
    let status = shows(&world, "none waits", |s| s["mail"]["waiting"] == 0).await?;
    assert_eq!(status["mail"]["trouble"], serde_json::Value::Null);
    assert_eq!(server.mails()?.len(), 1);
    Ok(())
}

/// Serves one connection: takes everything until the login, and refuses that.
fn refuses_logins(listener: &TcpListener) -> Result<()> {
    use std::io::Write as _;
    for stream in listener.incoming() {
        let mut stream: TcpStream = stream?;
        stream.write_all(b"220 test\r\n")?;
        for line in BufReader::new(stream.try_clone()?).lines() {
            let line = line?;
            stream.write_all(match line.get(..4) {
                Some("EHLO") => b"250-test\r\n250 AUTH PLAIN LOGIN\r\n".as_slice(),
                Some("AUTH") => b"535 5.7.8 who is that?\r\n",
                Some("QUIT") => b"221 bye\r\n",
                _ => b"500 what?\r\n",
            })?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_the_server_said() -> Result<()> {
    let (listener, port) = mute()?;
    std::thread::spawn(move || refuses_logins(&listener));
    let world = mails_by(world(), port)
        .setting("mail", "username", "\"slated\"")
        .setting("mail", "password", "{ env = \"MAIL_PASSWORD\" }")
        .env("MAIL_PASSWORD", "s3cret-pass")
        .prepare()
        .await?;
    let text = world.ask("check", &[]).await?;
    for words in [
        "the login: permanent error (535): 5.7.8 who is that?",
        "`mail.username`",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conf_with_an_address_that_is_none_runs_without_mail_and_says_so() -> Result<()> {
    let mut world = World::builder(SLATED)
        .plugin(Plugin::journal("quick"))
        .conf(|conf: &mut ConfFile| {
            for (key, value) in [
                ("enabled", "True"),
                ("server", "smtp.invalid"),
                ("from", "the pipeline"),
                ("to", "td@studio.example"),
                ("subject", "[SG]"),
            ] {
                conf.set("emails", key, value);
            }
        })
        .start()
        .await?;
    says(&mut world, "no mail is sent: ", 1).await?;
    assert_eq!(world.status().await?["mail"], serde_json::Value::Null);
    let text = world.ask("check", &["--no-load"]).await?;
    assert!(text.contains("`mail.from` is not a mail address"), "{text}");
    Ok(())
}
