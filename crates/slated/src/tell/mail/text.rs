//! Texts that came from outside, made fit for a mail: no secrets, no control characters, no end
//! without measure.

use secrecy::{ExposeSecret as _, SecretString};
use slated_config::Secrets;

/// Shorter ones would be found in any text.
const SHORTEST: usize = 4;

/// Takes secrets out of texts, as workers do with what plugins log.
#[derive(Clone, Default)]
pub(in crate::tell) struct Scrub(Vec<SecretString>);

impl Scrub {
    pub(in crate::tell) fn of(secrets: &Secrets) -> Self {
        let more = [
            &secrets.proxy,
            &secrets.mail_password,
            &secrets.webhook,
            &secrets.web_token,
        ];
        let all = more.into_iter().flatten().chain([&secrets.site_key]);
        let long = all.filter(|s| s.expose_secret().len() >= SHORTEST);
        Self(long.cloned().collect())
    }
    /// Takes other texts out as well.
    pub(in crate::tell) fn and(mut self, more: Vec<String>) -> Self {
        self.0.extend(more.into_iter().map(SecretString::from));
        self
    }
    pub(in crate::tell) fn clean(&self, mut text: String) -> String {
        for secret in &self.0 {
            let secret = secret.expose_secret();
            if text.contains(secret) {
                text = text.replace(secret, "***");
            }
        }
        text
    }
}

/// Returns the first line that says something.
pub(in crate::tell) fn first_line(text: &str) -> &str {
    let mut lines = text.lines();
    lines.find(|l| !l.trim().is_empty()).unwrap_or_default()
}

/// Leaves out the middle of a text that has more than `limit` bytes; the end of a traceback says
/// most, and gets three quarters.
pub(in crate::tell) fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let (head, tail) = (limit / 4, limit - limit / 4);
    let head = text.get(..text.floor_char_boundary(head));
    let tail = text.get(text.ceil_char_boundary(text.len() - tail)..);
    let (head, tail) = (head.unwrap_or_default(), tail.unwrap_or_default());
    if limit < 1024 {
        return format!("{head}…{tail}");
    }
    let gap = text.len() - head.len() - tail.len();
    format!("{head}\n... {gap} bytes left out ...\n{tail}")
}

/// Makes one line of a text, for a header.
pub(in crate::tell) fn in_a_line(text: &str, limit: usize) -> String {
    let one = text.split(|c: char| c.is_control() || c.is_whitespace());
    let words: Vec<_> = one.filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_line_whatever_a_plugin_says() {
        let subject = in_a_line("x\r\nBcc: all@studio.example\u{0}\u{85}\u{2028}y", 100);
        assert_eq!(subject, "x Bcc: all@studio.example y");
        assert_eq!(in_a_line("ääää", 2), "ää…");
    }

    #[test]
    fn what_is_cut_says_so_and_keeps_its_end() {
        assert_eq!(cut("abcdefgh", 8), "abcdefgh");
        assert_eq!(cut("äbcdefghi", 8), "ä…defghi");
        let long = cut(&"ö".repeat(4000), 2000);
        assert!(long.contains("\n... 6000 bytes left out ...\n"), "{long}");
    }

    #[test]
    fn secrets_are_taken_out() {
        let secrets = Secrets {
            site_key: "k3y-of-site".into(),
            mail_password: Some("pass".into()),
            web_token: Some("abc".into()),
            ..Secrets::default()
        };
        let scrub = Scrub::of(&secrets);
        let text = scrub.clean("key k3y-of-site, pass, abc".into());
        assert_eq!(text, "key ***, ***, abc");
    }
}
