//! The address of a site, which may carry a name and password that are never shown.

use std::fmt;
use std::path::Path;

use url::Url;

use crate::section::Wrong;
use crate::value::{Located, Value};

/// The address of a site: http or https.
#[derive(Clone, PartialEq, Eq)]
pub struct SiteUrl(Url);

/// A text that is not the address of a site. Does not show the text, which may hold a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiteUrlError {
    /// There is no scheme, or another than http and https.
    #[error("takes an address that begins with https:// or http://")]
    Scheme,
    /// It is no address.
    #[error("takes an address such as \"https://studio.example\"; this is not one: {0}")]
    Malformed(#[from] url::ParseError),
    /// It has a query or a fragment.
    #[error("takes an address without `?` and `#`")]
    Tail,
}

impl SiteUrl {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, SiteUrlError> {
        if !text.trim().contains("://") {
            return Err(SiteUrlError::Scheme);
        }
        let url = Url::parse(text.trim())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SiteUrlError::Scheme);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(SiteUrlError::Tail);
        }
        Ok(Self(url))
    }
    /// Returns the whole address, with the name and password it may carry.
    pub const fn with_credentials(&self) -> &Url {
        &self.0
    }
    /// Returns the address without name and password, in one spelling: what a state is
    /// bound to.
    pub fn identity(&self) -> String {
        let mut url = self.0.clone();
        if url.set_username("").is_err() || url.set_password(None).is_err() {
            // Only an address without a host has no place for them, and http ones have one.
            return url.origin().ascii_serialization();
        }
        url.as_str().trim_end_matches('/').to_owned()
    }
}

impl fmt::Display for SiteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.identity())
    }
}

impl fmt::Debug for SiteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SiteUrl({self})")
    }
}

/// Reads the address of the site.
pub(crate) fn site_url(located: &Located, _: &Path) -> Result<SiteUrl, Wrong> {
    match &located.value {
        Value::Text(text) | Value::Loose(text) => SiteUrl::parse(text).map_err(|e| {
            let wrong = Wrong::new(e.to_string());
            match e {
                SiteUrlError::Scheme if !text.contains(['/', '@', ' ']) && !text.is_empty() => {
                    wrong.hint(format!("\"https://{text}\"?"))
                }
                _ => wrong,
            }
        }),
        _ => Err(Wrong::takes_secret("an address as a string", located)),
    }
}
