//! How a site is reached, and what may be wrong with that before anything was sent.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Proxy};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// How a site is reached. `Debug` shows neither key nor passwords.
#[derive(Clone)]
pub struct Settings {
    /// The address. A name and password in it are sent as HTTP's Basic authorization.
    pub url: Url,
    /// The script user.
    pub script: String,
    /// Its key.
    pub key: SecretString,
    /// `host:port`, `user:pass@host:port`, with or without `http://`. None: no proxy; the
    /// proxies that the environment names are not used.
    pub proxy: Option<SecretString>,
    /// PEM file of the certificates to trust; none: those of the system.
    /// `SHOTGUN_API_CACERTS` is the caller's to look at.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take with its whole answer.
    pub timeout: Duration,
    /// How long reaching the site may take of that.
    pub connect_timeout: Duration,
    /// How many bytes of an answer are read, unpacked.
    pub body_limit: usize,
    /// What we call ourselves.
    pub user_agent: String,
}

/// Settings that no request can be made with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The address is not one of a site.
    #[error("the address of the site is not one of http or https with a host")]
    Address,
    /// The proxy cannot be read. It is not shown, since it may hold a password.
    #[error("the proxy is not `host:port`, `user:pass@host:port` or the same after `http://`")]
    Proxy,
    /// The file of certificates cannot be read.
    #[error("the certificates in {path} cannot be read")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file holds no certificate.
    #[error("{path} holds no certificate in PEM form")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Http(#[source] reqwest::Error),
}

impl Settings {
    /// Describes a site reached directly, with usual limits.
    pub fn new(url: Url, script: impl Into<String>, key: SecretString) -> Self {
        Self {
            url,
            script: script.into(),
            key,
            proxy: None,
            ca_file: None,
            timeout: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(10),
            body_limit: 64 << 20,
            user_agent: concat!("slated/", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &without_login(&self.url).as_str())
            .field("script", &self.script)
            .field("proxy", &self.proxy.as_ref().map(host_of))
            .field("ca_file", &self.ca_file)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Returns the address as it may be shown: no login, no query.
pub(crate) fn without_login(url: &Url) -> Url {
    let mut url = url.clone();
    // Both fail only for addresses that have no place for a login.
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    debug_assert!(cleared.is_ok() || url.cannot_be_a_base() || url.host().is_none());
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Returns the login in an address, decoded.
pub(crate) fn login_of(url: &Url) -> Option<(String, SecretString)> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let password = decoded(url.password().unwrap_or_default());
    Some((decoded(url.username()), password.into()))
}

/// Undoes percent encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *first == b'%');
        let pair = pair.filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        let pair = pair.and_then(|two| std::str::from_utf8(two).ok());
        let byte = pair.and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = byte.and_then(|_| after.get(2..)).unwrap_or(after);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the host and port of a proxy as it may be shown.
pub(crate) fn host_of(proxy: &SecretString) -> String {
    let text = proxy.expose_secret();
    let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let host = host.rsplit_once("//").map_or(host, |(_, host)| host);
    host.trim_end_matches('/').to_owned()
}

/// Reads a proxy. A password may hold `@` and `:`, so the last `@` counts.
pub fn proxy_of(proxy: &SecretString) -> Result<Proxy, SetupError> {
    let text = proxy.expose_secret().trim();
    let text = match text.split_once("://") {
        None => text,
        Some(("http", rest)) => rest,
        Some(_) => return Err(SetupError::Proxy),
    };
    let (login, host) = match text.rsplit_once('@') {
        None => (None, text),
        Some((login, host)) => (Some(login), host),
    };
    let mut url = Url::parse(&format!("http://{host}")).map_err(|_| SetupError::Proxy)?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(SetupError::Proxy);
    }
    // The official client's default; the port that URLs default to cannot be told from none.
    if !host.trim_end_matches('/').ends_with(":80") && url.port().is_none() {
        url.set_port(Some(8080)).map_err(|()| SetupError::Proxy)?;
    }
    let proxy = Proxy::all(url).map_err(|_| SetupError::Proxy)?;
    Ok(match login {
        None => proxy,
        Some(login) => {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            proxy.basic_auth(user, password)
        }
    })
}

/// Reads the certificates to trust.
pub fn certificates(path: &Path) -> Result<Vec<Certificate>, SetupError> {
    let pem = std::fs::read(path).map_err(|source| SetupError::CaFile {
        path: path.to_owned(),
        source,
    })?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(SetupError::NoCertificate {
            path: path.to_owned(),
        }),
    }
}
