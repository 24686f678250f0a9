//! What `slated check` sees of the webhook: it is posted to only when that is asked for, since a post
//! is an alert to people.

use owo_colors::OwoColorize as _;
use slated_config::{Config, Secrets};

use crate::error::CommandError;
use crate::out;
use crate::tell::{AlertSender, Hook};
use crate::view::WebhookCheck;

/// Looks at the webhook, and sends it a test if `send`.
pub(super) async fn look(
    config: &Config,
    secrets: &Secrets,
    send: bool,
) -> Result<Option<WebhookCheck>, CommandError> {
    let Some(hook) = Hook::of(config, secrets)? else {
        return Ok(None);
    };
    let mut view = WebhookCheck {
        host: hook.host().to_owned(),
        proxied: hook.is_proxied(),
        ..WebhookCheck::default()
    };
    if send {
        let sender = AlertSender::of(&config.site.url.identity());
        let took = hook.post(sender.test()).await;
        view.takes = Some(took.is_ok());
        view.error = took.err().map(|trouble| trouble.error().to_owned());
    }
    Ok(Some(view))
}

/// Shows it, beside the fields above.
pub(super) fn show(view: &WebhookCheck) {
    let by = if view.proxied {
        ", by the site's proxy"
    } else {
        ""
    };
    let host = &view.host;
    match (&view.error, view.takes) {
        (Some(error), _) => {
            let text = format!("{host}{by}: {error}");
            out::line(format!("webhook        {}", text.red()));
        }
        (None, None) => out::line(format!(
            "webhook        {host}{by}: not asked (`--send-test-alert` does)"
        )),
        (None, Some(_)) => out::line(format!("webhook        {host}{by} took a test")),
    }
}
