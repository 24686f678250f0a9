//! One request and its answer: transport, limits, and what each failure is called.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use reqwest::{StatusCode, header, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use crate::page::Fault;
use crate::query::call;
use crate::settings::{certificates, host_of, login_of, proxy_of, without_login};
use crate::{Code, Error, Settings, SetupError};

/// A connection to the api3 of one site, as one script user. Only reads.
///
/// Cheap to clone; clones share their connections. One call is one request: nothing is tried
/// again here, since whoever polls a site has a back-off ([`crate::Backoff`]) that a second
/// one inside would only blur. The exception is an answer that cannot be parsed, which is
/// asked for again in pieces ([`Client::read`]).
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    endpoint: Url,
    login: Option<(String, SecretString)>,
    script: Arc<str>,
    key: SecretString,
    body_limit: usize,
    /// The most rows the site gives in a page; 0 while it was not asked.
    pub(crate) max_page: Arc<AtomicUsize>,
    /// The site as errors name it.
    site: Arc<str>,
}

/// The body of an answer.
pub(crate) enum Answer {
    /// All of it, and the moment of the answer by the clock of the server, as HTTP writes it.
    Whole { body: Vec<u8>, date: Option<String> },
    /// More than the limit.
    TooLong,
}

/// Says that the body of an answer may not be longer than so many bytes.
pub(crate) fn too_long(limit: usize) -> Fault {
    Fault::Garbled {
        cut: false,
        why: format!("more than {limit} bytes"),
    }
}

impl Client {
    /// Prepares a connection; nothing is sent yet.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let is_web = matches!(settings.url.scheme(), "http" | "https");
        if !is_web || settings.url.host_str().is_none_or(str::is_empty) {
            return Err(SetupError::Address);
        }
        let mut site = without_login(&settings.url)
            .as_str()
            .trim_end_matches('/')
            .to_owned();
        let mut http = reqwest::Client::builder()
            // What a site's gateways are used to from the official client.
            .http1_only()
            .redirect(redirect::Policy::none())
            .user_agent(settings.user_agent)
            .timeout(settings.timeout)
            .connect_timeout(settings.connect_timeout.min(settings.timeout))
            // Proxies come from the settings alone: one found in the environment would be
            // used without a word, and the key would pass through it.
            .no_proxy();
        if let Some(proxy) = &settings.proxy {
            site = format!("{site} (through proxy {})", host_of(proxy));
            http = http.proxy(proxy_of(proxy)?);
        }
        if let Some(path) = &settings.ca_file {
            http = http.tls_certs_only(certificates(path)?);
        }
        let endpoint = without_login(&settings.url).join("api3/json");
        Ok(Self {
            http: http.build().map_err(SetupError::Http)?,
            endpoint: endpoint.map_err(|_| SetupError::Address)?,
            login: login_of(&settings.url),
            script: settings.script.into(),
            key: settings.key,
            body_limit: settings.body_limit,
            max_page: Arc::default(),
            site: site.into(),
        })
    }

    /// Returns the name of the site as errors show it.
    pub fn site(&self) -> &str {
        &self.site
    }

    pub(crate) const fn body_limit(&self) -> usize {
        self.body_limit
    }

    /// Sends one call and returns the body of a good answer.
    pub(crate) async fn post(
        &self,
        method: &str,
        arguments: &Value,
        as_script: bool,
    ) -> Result<Answer, Error> {
        let login = as_script.then_some((&*self.script, &self.key));
        let mut request = self
            .http
            .post(self.endpoint.clone())
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(call(method, login, arguments));
        if let Some((user, password)) = &self.login {
            request = request.basic_auth(user, Some(password.expose_secret()));
        }
        let mut response = request.send().await.map_err(|e| self.transport(&e))?;
        let status = response.status();
        if !status.is_success() {
            let target = response.headers().get(header::LOCATION).cloned();
            let target = target.as_ref().and_then(|value| value.to_str().ok());
            let mut head = Vec::new();
            // The status says enough if the rest does not come.
            while let Ok(Some(chunk)) = response.chunk().await {
                head.extend_from_slice(&chunk);
                if head.len() > 4096 {
                    break;
                }
            }
            return Err(self.status(status, target, &head));
        }
        let is_html = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().starts_with("text/html"));
        if is_html {
            return Err(self.fault(Fault::Html));
        }
        let date = response.headers().get(header::DATE);
        let date = date.and_then(|value| value.to_str().ok());
        let date = date.map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.transport(&e))? {
            if body.len() + chunk.len() > self.body_limit {
                return Ok(Answer::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer::Whole { body, date })
    }

    /// Names a failure below HTTP.
    fn transport(&self, error: &reqwest::Error) -> Error {
        // The innermost cause is the fact; what stands around it repeats the address.
        let mut cause: &dyn std::error::Error = error;
        let mut all = String::new();
        while let Some(inner) = cause.source() {
            cause = inner;
            all += &cause.to_string().to_lowercase();
        }
        let mut why = self.clean(&cause.to_string());
        let hint;
        if error.is_timeout() {
            let what = if error.is_connect() {
                "connection"
            } else {
                "answer"
            };
            why = format!("no {what} in time");
            hint = "if the site is only slow, raise the time limit";
        } else if all.contains("certificate") {
            hint = "if the site or a gateway has a certificate of the studio's own, name the file of its authority";
        } else if all.contains("tunnel") || all.contains("proxy") {
            why = format!("the proxy does not let us through: {why}");
            hint = "check the proxy, and the name and password for it";
        } else if error.is_connect() {
            hint = "check the address, the network and the proxy";
        } else {
            why = format!("the connection broke before the answer was whole: {why}");
            hint = "nothing was lost: the same is asked again";
        }
        self.down(why, hint)
    }

    /// Names an HTTP status.
    fn status(&self, status: StatusCode, target: Option<&str>, body: &[u8]) -> Error {
        let code = status.as_u16();
        let name = status.canonical_reason().unwrap_or("no name");
        match code {
            300..=399 => {
                let target = target.and_then(|target| self.endpoint.join(target).ok());
                let target = target.map(|url| without_login(&url).to_string());
                let target = target.unwrap_or_else(|| "another address".into());
                self.not_understood(
                    format!("it sends us to {} (HTTP {code})", self.clean(&target)),
                    "if that is the site's address now, configure it",
                )
            }
            407 => self.down(
                "the proxy wants to know who we are (HTTP 407)".into(),
                "check the name and password for the proxy",
            ),
            408 | 429 | 500.. => self.down(
                match code {
                    503 => "it is in maintenance or too busy (HTTP 503)".into(),
                    _ => format!("HTTP {code} {name}"),
                },
                "wait; if it lasts, ask who runs the site",
            ),
            _ => {
                let said = self.words(body);
                let message = if said.is_empty() {
                    name.to_owned()
                } else {
                    said
                };
                self.refused(Code::Http(code), message)
            }
        }
    }

    /// Names what is wrong with a body.
    pub(crate) fn fault(&self, fault: Fault) -> Error {
        match fault {
            Fault::Empty => self.down(
                "it answered with nothing".into(),
                "wait; if it lasts, look for a gateway in between",
            ),
            Fault::Html => self.down(
                "a web page came in place of an answer: maintenance, or a gateway in between"
                    .into(),
                "wait; if it lasts, open the site in a browser from this machine",
            ),
            Fault::Exception { message, .. } if is_maintenance(&message) => {
                self.down(self.clean(&message), "wait; the site is in maintenance")
            }
            Fault::Exception { code, message } => {
                let message = match self.clean(&message) {
                    empty if empty.is_empty() => "it gave no reason".into(),
                    message => message,
                };
                self.refused(code.map_or(Code::Unknown, Code::Api), message)
            }
            Fault::Garbled { cut: true, .. } => self.down(
                "the answer ends in the middle".into(),
                "nothing was lost: the same is asked again",
            ),
            Fault::Garbled { cut: false, why } => self.not_understood(
                format!("the answer is not JSON: {}", self.clean(&why)),
                "if it lasts, look for a gateway in between",
            ),
            Fault::Strange(why) => self.not_understood(
                format!("the answer is not one of api3: {}", self.clean(&why)),
                "check that the address is that of a Flow Production Tracking site",
            ),
        }
    }

    pub(crate) fn down(&self, why: String, hint: &'static str) -> Error {
        Error::Down {
            site: Arc::clone(&self.site),
            why,
            hint,
        }
    }
    pub(crate) fn not_understood(&self, why: String, hint: &'static str) -> Error {
        Error::NotUnderstood {
            site: Arc::clone(&self.site),
            why,
            hint,
        }
    }
    fn refused(&self, code: Code, message: String) -> Error {
        Error::Refused {
            site: Arc::clone(&self.site),
            code,
            message,
        }
    }

    /// Returns the words of a page for people.
    fn words(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let mut words = String::new();
        let mut in_tag = false;
        for c in text.chars() {
            match c {
                '<' => in_tag = true,
                '>' if in_tag => {
                    in_tag = false;
                    words.push(' ');
                }
                c if !in_tag => words.push(c),
                _ => {}
            }
        }
        self.clean(&words)
    }

    /// Makes foreign words fit for a log: one line, not long, without our secrets, which
    /// some gateways send back.
    fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let password = self.login.as_ref().map(|(_, password)| password);
        for secret in [Some(&self.key), password].into_iter().flatten() {
            let secret = secret.expose_secret();
            if !secret.is_empty() {
                text = text.replace(secret, "***");
            }
        }
        let words: Vec<_> = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        let line = words.join(" ");
        match line.char_indices().nth(300) {
            None => line,
            Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        }
    }
}

/// Tells whether an exception only says what a 503 says.
fn is_maintenance(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("down for maintenance") || message.contains("too busy to reply")
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("site", &self.site)
            .field("script", &self.script)
            .finish_non_exhaustive()
    }
}
