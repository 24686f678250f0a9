//! The way of a mail to its server: one connection for each, every step with a time limit.
//!
//! All of it blocks, so it has a thread of its own. The limits are of each step: a server that
//! answers a byte at a time may hold up mail, and nothing else.

use std::time::{Duration, SystemTime};

use lettre::address::{Address, Envelope};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{Certificate, SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use secrecy::ExposeSecret as _;
use slated_config::{Config, Secrets, System};
use slated_core::digest::Fate;

use super::text::{Scrub, in_a_line};
use crate::error::CommandError;

/// How long a server may take for one step, as the Python daemon has it.
const STEP: Duration = Duration::from_secs(5);
/// How long it may look at a mail that it has: one that is given up then may have been taken.
const LOOK: Duration = Duration::from_mins(1);
/// The longest error that is told, in characters.
const ERROR: usize = 300;

/// A mail that can be sent.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) to: Vec<Mailbox>,
    pub(super) subject: String,
    pub(super) body: String,
}

/// Why a mail did not go, or not to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Whether another may go.
    pub(super) fate: Fate,
    pub(crate) error: String,
    pub(crate) hint: Option<&'static str>,
}

/// A server, and how it is spoken to.
pub(crate) struct Server {
    host: String,
    port: u16,
    tls: Option<TlsParameters>,
    login: Option<Credentials>,
    from: Mailbox,
    hello: ClientId,
    scrub: Scrub,
}

impl Server {
    /// Makes what is needed to reach the configured one; `None` where none is. Nothing is asked.
    pub(crate) fn of(config: &Config, secrets: &Secrets) -> Result<Option<Self>, CommandError> {
        let mail = &config.mail;
        let (Some(host), Some(from)) = (&mail.server, &mail.from) else {
            return Ok(None);
        };
        let wrong = |key: &str, error: String| {
            CommandError::configuration(format!("{}: `{key}` {error}", config.origin(key)))
        };
        let from = mailbox(from).map_err(|error| {
            wrong("mail.from", error).hint("write an address such as pipeline@studio.example")
        })?;
        let tls = if mail.tls {
            let ca_file = config.site.certificates(&System);
            let parameters = tls(host, ca_file.as_deref());
            Some(parameters.map_err(|error| wrong("mail.tls", error))?)
        } else {
            None
        };
        let login = mail.username.as_ref().map(|name| {
            let password = secrets.mail_password.as_ref();
            let password = password.map_or("", |password| password.expose_secret());
            Credentials::new(name.clone(), password.to_owned())
        });
        Ok(Some(Self {
            host: host.clone(),
            port: mail.port,
            tls,
            login,
            from,
            hello: ClientId::default(),
            scrub: Scrub::of(secrets),
        }))
    }

    /// Returns its name and port.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Says how it is spoken to.
    pub(crate) fn manner(&self) -> String {
        let tls = if self.tls.is_some() {
            "STARTTLS"
        } else {
            "not encrypted"
        };
        let login = if self.login.is_some() {
            ", with a login"
        } else {
            ""
        };
        format!("{tls}{login}")
    }

    /// Connects, encrypts and logs in, and sends nothing.
    pub(crate) fn greet(&self) -> Result<(), Trouble> {
        let mut connection = self.connect()?;
        connection.abort();
        Ok(())
    }

    /// Sends a mail that says nothing but that it arrived.
    pub(crate) fn try_out(&self, to: &[String], subject: &str) -> Result<(), Trouble> {
        let mail = Outgoing {
            to: to.iter().filter_map(|text| mailbox(text).ok()).collect(),
            subject: in_a_line(&format!("{subject} A test of mail"), ERROR),
            body: "`slated check --send-test-mail` sent this: mail about errors arrives.\n".into(),
        };
        let refused = self.deliver(&mail)?;
        if refused.is_empty() {
            return Ok(());
        }
        Err(Trouble {
            fate: Fate::Refused,
            error: refused.join("; "),
            hint: Some("the others got it"),
        })
    }

    /// Sends a mail. Receivers that the server does not take are returned with its words, if it
    /// takes others.
    pub(super) fn deliver(&self, mail: &Outgoing) -> Result<Vec<String>, Trouble> {
        let message = self.message(mail).map_err(|error| Trouble {
            fate: Fate::Refused,
            error,
            hint: None,
        })?;
        let mut connection = self.connect()?;
        let answer = self.talk(&mut connection, message.envelope(), &message.formatted());
        connection.abort();
        answer
    }

    fn talk(
        &self,
        connection: &mut SmtpConnection,
        envelope: &Envelope,
        text: &[u8],
    ) -> Result<Vec<String>, Trouble> {
        let said = |step: &str, error: &Error| self.trouble(step, error, true);
        let from = MailFrom::new(envelope.from().cloned(), Vec::new());
        connection
            .command(from)
            .map_err(|error| said("the sender", &error))?;
        let mut refused = Vec::new();
        let mut last = None;
        for to in envelope.to() {
            match connection.command(Rcpt::new(to.clone(), Vec::new())) {
                Ok(_) => {}
                Err(error) if error.status().is_some() => {
                    let trouble = said(to.as_ref(), &error);
                    refused.push(trouble.error.clone());
                    last = Some(trouble);
                }
                Err(error) => return Err(said("the receivers", &error)),
            }
        }
        if let Some(trouble) = last
            && refused.len() == envelope.to().len()
        {
            return Err(trouble);
        }
        connection
            .command(Data)
            .map_err(|error| said("the mail", &error))?;
        // Where this is refused, the shorter time stands, which does as well.
        connection.set_timeout(Some(LOOK)).unwrap_or_default();
        let taken = connection.message(text);
        connection.set_timeout(Some(STEP)).unwrap_or_default();
        taken.map_err(|error| said("the mail", &error))?;
        Ok(refused)
    }

    fn connect(&self) -> Result<SmtpConnection, Trouble> {
        let said = |step: &str, error: &Error| self.trouble(step, error, false);
        let address = (self.host.as_str(), self.port);
        let mut connection = SmtpConnection::connect(address, Some(STEP), &self.hello, None, None)
            .map_err(|error| said("connecting", &error))?;
        if let Some(tls) = &self.tls {
            if !connection.can_starttls() {
                connection.abort();
                return Err(Trouble {
                    fate: Fate::Stuck,
                    error: "it offers no STARTTLS".into(),
                    hint: Some(
                        "name a port that does (often 587), or turn `mail.tls` off (in a .conf: `useTLS`)",
                    ),
                });
            }
            connection
                .starttls(tls, &self.hello)
                .map_err(|error| said("STARTTLS", &error))?;
        }
        if let Some(login) = &self.login
            && let Err(error) = connection.auth(DEFAULT_MECHANISMS, login)
        {
            connection.abort();
            return Err(said("the login", &error));
        }
        Ok(connection)
    }

    /// Words an error. `letter`: the server knows whom it talks to, and a code of it is about the
    /// mail.
    fn trouble(&self, step: &str, error: &Error, letter: bool) -> Trouble {
        let text = self.scrub.clean(error.to_string());
        let text = in_a_line(&text, ERROR);
        let closes = error.status().is_some_and(|code| code.to_string() == "421");
        let fate = if letter && error.status().is_some() && !closes {
            Fate::Refused
        } else {
            Fate::Stuck
        };
        Trouble {
            fate,
            hint: hint(step, error, &text, self.login.is_some()),
            error: format!("{step}: {text}"),
        }
    }

    fn message(&self, mail: &Outgoing) -> Result<Message, String> {
        let mut builder = Message::builder().from(self.from.clone());
        for to in &mail.to {
            builder = builder.to(to.clone());
        }
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        builder
            .subject(mail.subject.clone())
            .date(SystemTime::now())
            .message_id(None)
            // Nobody's absence is to be answered with.
            .raw_header(HeaderValue::new(automatic, "auto-generated".into()))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.clone())
            .map_err(|error| error.to_string())
    }
}

fn hint(step: &str, error: &Error, text: &str, login: bool) -> Option<&'static str> {
    // A read that is given up is either, by system.
    let waited = error.is_timeout() || text.contains("temporarily unavailable");
    if text.contains("certificate") {
        return Some(
            "its certificate must name `mail.server` and be signed by an authority of the system's store or of `site.ca_file` (SHOTGUN_API_CACERTS)",
        );
    }
    if step == "the login" {
        return Some("look at `mail.username` and `mail.password` (in a .conf: [emails])");
    }
    if step == "the sender" && !login {
        return Some("it may want a login: `mail.username` and `mail.password`");
    }
    (step == "connecting").then_some(if waited {
        "it does not answer in time: is it a mail server, and is the port one that speaks SMTP? (465 speaks TLS at once, which slated does not; 587 and 25 do STARTTLS)"
    } else {
        "is `mail.server` right, with `mail.port`, and does it run?"
    })
}

/// Trusts the system's authorities, and those of a file.
fn tls(host: &str, ca_file: Option<&std::path::Path>) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca_file {
        let wrong = |error: String| {
            let place = path.display();
            format!("needs the certificates of {place}, which cannot be read: {error}")
        };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let certificates = Certificate::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
        builder = builder.add_root_certificate(certificates);
    }
    builder
        .build()
        .map_err(|error| format!("cannot be used: {error}"))
}

/// Reads an address, with or without a name before it. One without a host is a user of this
/// machine, as mail servers have it.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, String> {
    let text = text.trim();
    let wrong = |error: lettre::address::AddressError| {
        let shown = in_a_line(text, ERROR);
        format!("is not a mail address: {shown:?} ({error})")
    };
    if text.contains('@') {
        return text.parse().map_err(wrong);
    }
    let host = match ClientId::default() {
        ClientId::Domain(host) => host,
        _ => "localhost".into(),
    };
    let address = Address::new(text, host).map_err(wrong)?;
    Ok(Mailbox::new(None, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let shown = |text: &str| mailbox(text).map(|m| m.to_string());
        for text in [
            "td@studio.example",
            "\"Pipeline\" <td@studio.example>",
            "root@localhost",
        ] {
            let read = shown(text).expect(text);
            assert!(read.contains('@') && !read.contains('\n'), "{read}");
        }
        assert!(shown(" root ").is_ok_and(|m| m.starts_with("root@")));
        for text in [
            "",
            "a b",
            "td@",
            "@studio.example",
            "td@studio.example\r\nBcc: x@y.z",
            "a@b,c@d",
        ] {
            assert!(shown(text).is_err(), "{text:?}");
        }
    }
}
