//! A real mail server for tests, in a process of its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::python;

/// Where certificates for `localhost` stand, and the authority that signed them.
const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../site/src/tests/tls");

/// A mail server. Dropping it ends it.
#[derive(Debug)]
pub struct MailServer {
    child: Child,
    port: u16,
    mails: PathBuf,
}

/// A mail that the server took.
#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    /// Whom the envelope names as its sender.
    pub from: String,
    /// Whom the envelope names as its receivers.
    pub to: Vec<String>,
    /// Its headers, decoded, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its text, decoded.
    pub body: String,
    /// Whether the connection was encrypted.
    pub tls: bool,
    /// Who had logged in.
    pub login: Option<String>,
}

impl Mail {
    /// Returns its subject.
    pub fn subject(&self) -> &str {
        self.headers.get("subject").map_or("", String::as_str)
    }
}

impl MailServer {
    /// Starts one that keeps its mails in `folder`. `wishes` are words of `plugins/mailbox.py`.
    pub fn start(folder: &Path, wishes: &[String]) -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/plugins/mailbox.py");
        let mails = folder.join("mails");
        let mut child = Command::new(python::interpreter()?)
            .arg(script)
            .arg(&mails)
            .args(wishes)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start Python")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let port = line.trim().parse().with_context(|| {
            format!("no port but {line:?}: does this Python import aiosmtpd? `cargo xtask python` makes one that does")
        });
        let mut server = Self {
            child,
            port: 0,
            mails,
        };
        server.port = port?;
        Ok(server)
    }
    /// The wishes of one that offers STARTTLS as `localhost`, and wants a login.
    pub fn closed(name: &str, password: &str) -> Vec<String> {
        vec![
            format!("tls={CERTIFICATES}/server.pem"),
            format!("login={name}:{password}"),
        ]
    }
    /// Returns the file with the authority that signed its certificate.
    pub fn authority() -> String {
        format!("{CERTIFICATES}/authority.pem")
    }
    /// Returns its port on this machine.
    pub const fn port(&self) -> u16 {
        self.port
    }
    /// Returns the mails it has taken, in order.
    pub fn mails(&self) -> Result<Vec<Mail>> {
        let text = std::fs::read_to_string(&self.mails).unwrap_or_default();
        // A reader may meet half a line.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let lines = text.get(..whole).unwrap_or_default().lines();
        let mails = lines.map(|line| serde_json::from_str(line).context("not a mail"));
        mails.collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // One that has ended needs no end.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}
