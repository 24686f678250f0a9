//! What `slated check` sees of the mail server: it is greeted, and sent nothing unless asked for.

use std::time::Duration;

use owo_colors::OwoColorize as _;
use slated_config::{Config, Mail, Secrets};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::out;
use crate::tell::MailServer;
use crate::view::MailCheck;

/// How long all steps together may take.
const LIMIT: Duration = Duration::from_secs(15);

/// What is asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Nothing.
    Nothing,
    /// Whether it lets slated in.
    Greet,
    /// Whether it takes a mail.
    Send,
}

/// The server's answer, or what went wrong and what may be done.
type Answer = Result<(), (String, Option<&'static str>)>;

/// A look at the mail server that is under way beside others.
pub(super) struct Greeting {
    view: MailCheck,
    answer: Option<oneshot::Receiver<Answer>>,
}

/// Begins to ask the server, if there is one.
pub(super) fn greet(config: &Config, secrets: &Secrets, ask: Ask) -> Option<Greeting> {
    let server = match MailServer::of(config, secrets) {
        Ok(server) => server?,
        // Under a `.conf` it is no reason not to start.
        Err(error) => {
            let view = MailCheck {
                server: config.mail.server.clone().unwrap_or_default(),
                answers: Some(false),
                error: Some(error.to_string()),
                ..MailCheck::default()
            };
            return Some(Greeting { view, answer: None });
        }
    };
    let view = MailCheck {
        server: server.name(),
        manner: server.manner(),
        to: config.mail.to.clone(),
        sent: ask == Ask::Send,
        ..MailCheck::default()
    };
    let Mail { to, subject, .. } = config.mail.clone();
    let answer = (ask != Ask::Nothing).then(|| {
        let (reply, answer) = oneshot::channel();
        // A thread of its own: the end of the program does not wait for it.
        std::thread::spawn(move || {
            let became = match ask {
                Ask::Send => server.try_out(&to, &subject),
                _ => server.greet(),
            };
            let became = became.map_err(|trouble| (trouble.error, trouble.hint));
            // Nobody waits any more.
            reply.send(became).unwrap_or_default();
        });
        answer
    });
    Some(Greeting { view, answer })
}

impl Greeting {
    /// Waits for the answer, a while at most.
    pub(super) async fn view(self) -> MailCheck {
        let mut view = self.view;
        let Some(answer) = self.answer else {
            return view;
        };
        let became = match timeout(LIMIT, answer).await {
            Ok(Ok(became)) => became,
            Ok(Err(_)) => Err(("the look at it ended".into(), None)),
            Err(_) => Err((format!("it takes longer than {LIMIT:?}"), None)),
        };
        view.answers = Some(became.is_ok());
        if let Err((error, hint)) = became {
            view.error = Some(error);
            view.hint = hint.map(str::to_owned);
        }
        view
    }
}

/// Shows it, beside the fields above.
pub(super) fn show(mail: &MailCheck) {
    let MailCheck { server, manner, .. } = mail;
    let to = mail.to.join(", ");
    let what = if mail.sent { "took a mail" } else { "answers" };
    match (mail.answers, &mail.error) {
        (None, _) => out::line(format!("mail           {server}, {manner}: not asked")),
        (Some(_), None) => {
            out::line(format!(
                "mail           {server} {what} ({manner}); to {to}"
            ));
        }
        (Some(_), Some(error)) => {
            let manner = if manner.is_empty() {
                ""
            } else {
                &format!(", {manner}")
            };
            let text = format!("{server}{manner}: {error}");
            out::line(format!("mail           {}", text.red()));
        }
    }
    if let Some(hint) = &mail.hint {
        out::line(format!("               hint: {hint}"));
    }
}
