//! The address that takes alerts, and one request to it.
//!
//! Invariant: of the address only the host leaves this file: the rest is as good as a password.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url, header, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use slated_config::{Config, Secrets, System};

use crate::error::CommandError;
use crate::tell::mail::text::{Scrub, in_a_line};

/// How long one request may take, and reaching the host of that.
const LIMIT: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// The longest wait that an answer may ask for.
const LONGEST: Duration = Duration::from_hours(1);
/// What is read of an answer, in bytes, and what is told of it, in characters.
const ANSWER: usize = 4096;
const WORDS: usize = 200;
/// Parts of an address shorter than this are words like `services`.
const TELLING: usize = 8;

/// An address that takes JSON.
pub(crate) struct Hook {
    http: Client,
    url: SecretString,
    host: String,
    /// Whether the site's proxy leads there.
    proxied: bool,
    scrub: Scrub,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hook({})", self.host)
    }
}

/// Why an alert was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It may be later.
    Later {
        error: String,
        /// When the answer asks to be tried again.
        after: Option<Duration>,
    },
    /// It never will be.
    Refused(String),
}

impl Trouble {
    pub(crate) fn error(&self) -> &str {
        match self {
            Self::Later { error, .. } | Self::Refused(error) => error,
        }
    }
}

impl Hook {
    /// Makes what is needed to post to the configured address; `None` where none is. Nothing is sent.
    pub(crate) fn of(config: &Config, secrets: &Secrets) -> Result<Option<Self>, CommandError> {
        let Some(secret) = &secrets.webhook else {
            return Ok(None);
        };
        let wrong = |error: &str| {
            let origin = config.origin("alerts.webhook");
            CommandError::configuration(format!("{origin}: `alerts.webhook` {error}"))
        };
        let url = Url::parse(secret.expose_secret().trim()).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some((url, host)) = url.and_then(|url| Some((url.clone(), url.host_str()?.to_owned())))
        else {
            return Err(wrong("is no address that begins with https://"));
        };
        let mut http = Client::builder()
            .http1_only()
            .redirect(redirect::Policy::none())
            .user_agent(concat!("slated/", env!("CARGO_PKG_VERSION")))
            .timeout(LIMIT)
            .connect_timeout(CONNECT)
            .no_proxy();
        let proxy = secrets.proxy.as_ref().filter(|_| !is_near(&host));
        if let Some(proxy) = proxy {
            let proxy = slated_site::proxy_of(proxy).map_err(CommandError::configuration)?;
            http = http.proxy(proxy);
        }
        if let Some(path) = config.site.certificates(&System) {
            let more = slated_site::certificates(&path).map_err(CommandError::configuration)?;
            http = http.tls_certs_merge(more);
        }
        let http = http.build().map_err(|_| wrong("cannot be posted to"))?;
        let mut hidden: Vec<String> = url
            .path_segments()
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .collect();
        hidden.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        hidden.extend(url.password().map(str::to_owned));
        hidden.retain(|part| part.len() >= TELLING);
        hidden.push(url.path().to_owned());
        hidden.push(url.to_string());
        // The longest first: the others are parts of it.
        hidden.sort_by_key(|part| std::cmp::Reverse(part.len()));
        Ok(Some(Self {
            http,
            host: match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host,
            },
            proxied: proxy.is_some(),
            scrub: Scrub::of(secrets).and(hidden),
            url: url.to_string().into(),
        }))
    }

    /// Returns its host, and the port where one is named.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Tells whether it is reached by the site's proxy.
    pub(crate) const fn is_proxied(&self) -> bool {
        self.proxied
    }

    /// Posts a JSON object.
    pub(crate) async fn post(&self, body: String) -> Result<(), Trouble> {
        let request = self
            .http
            .post(self.url.expose_secret())
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(body);
        let later = |error: String| Trouble::Later { error, after: None };
        let mut answer = request.send().await.map_err(|e| later(self.transport(e)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let after = answer.headers().get(header::RETRY_AFTER);
        let after = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let after = after.map(|secs: u64| Duration::from_secs(secs).min(LONGEST));
        let mut head = Vec::new();
        // The status says enough if the rest does not come.
        while let Ok(Some(chunk)) = answer.chunk().await {
            head.extend_from_slice(&chunk);
            if head.len() > ANSWER {
                break;
            }
        }
        let error = self.status(status, &String::from_utf8_lossy(&head));
        let waits = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            );
        Err(if waits {
            Trouble::Later { error, after }
        } else {
            Trouble::Refused(error)
        })
    }

    fn status(&self, status: StatusCode, said: &str) -> String {
        let name = status.canonical_reason().unwrap_or("no name");
        let said = said.trim();
        // A page for people says no more than the status.
        let said = if said.starts_with('<') { "" } else { said };
        let said = in_a_line(&self.scrub.clean(said.to_owned()), WORDS);
        let colon = if said.is_empty() { "" } else { ": " };
        let code = status.as_u16();
        if status.is_redirection() {
            return format!("it sends us to another address (HTTP {code})");
        }
        format!("HTTP {code} {name}{colon}{said}")
    }

    fn transport(&self, error: reqwest::Error) -> String {
        let error = error.without_url();
        if error.is_timeout() {
            let what = if error.is_connect() {
                "connection"
            } else {
                "answer"
            };
            return format!("no {what} within {} s", LIMIT.as_secs());
        }
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let text = self.scrub.clean(cause.to_string());
        let step = if error.is_connect() {
            "connecting"
        } else {
            "the connection broke"
        };
        let by = if self.proxied {
            " (by the site's proxy)"
        } else {
            ""
        };
        format!("{step}{by}: {}", in_a_line(&text, WORDS))
    }
}

/// Tells whether a host is this machine or one of the studio's own network: no proxy leads there.
fn is_near(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(at)) => at.is_loopback() || at.is_private() || at.is_link_local(),
        Ok(IpAddr::V6(at)) => at.is_loopback() || at.is_unique_local(),
        Err(_) => !host.contains('.'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(url: &str) -> Result<Option<Hook>, CommandError> {
        let site = slated_config::SiteUrl::parse("https://studio.example").expect("a site");
        let config = Config::new(site, std::path::Path::new("/studio"));
        let secrets = Secrets {
            webhook: Some(url.into()),
            proxy: Some("proxy.studio:3128".into()),
            ..Secrets::default()
        };
        Hook::of(&config, &secrets)
    }

    #[test]
    fn only_the_host_is_shown() {
        let hook = hook(
            "https://u:hunter2hunter2@hooks.example:8443/services/T0/B0SECRETSECRET?k=moresecret",
        );
        let hook = hook.expect("an address").expect("one");
        assert_eq!(hook.host(), "hooks.example:8443");
        assert_eq!(format!("{hook:?}"), "Hook(hooks.example:8443)");
        let said = "no /services/T0/B0SECRETSECRET, B0SECRETSECRET, moresecret or hunter2hunter2";
        let error = hook.status(StatusCode::NOT_FOUND, said);
        assert_eq!(error, "HTTP 404 Not Found: no ***, ***, *** or ***");
        assert_eq!(
            hook.status(StatusCode::BAD_GATEWAY, "<html>"),
            "HTTP 502 Bad Gateway"
        );
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_shown() {
        for url in ["hunter2", "ftp://hunter2/x", "https://", "file:///hunter2"] {
            let error = hook(url).expect_err(url).told();
            assert!(
                error.contains("alerts.webhook") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_proxy_leads_out_of_the_house_alone() {
        for (url, proxied) in [
            ("https://hooks.slack.com/services/x", true),
            ("https://8.8.8.8/x", true),
            ("http://mattermost/hooks/x", false),
            ("http://localhost:8065/x", false),
            ("http://127.0.0.1:1/x", false),
            ("http://10.1.2.3/x", false),
            ("http://[::1]:80/x", false),
        ] {
            let hook = hook(url).expect(url).expect(url);
            assert_eq!(hook.is_proxied(), proxied, "{url}");
        }
    }
}
