//! What changes for a studio that starts slated where the Python daemon ran: said before, not found out.

use slated_config::{Config, OnError, Order, OrderWait, Retry, show_duration};

/// Returns a line for each difference that this `.conf` makes; none under a `slated.toml`.
pub(super) fn from_the_python_daemon(config: &Config) -> Vec<String> {
    let Some(conf) = &config.conf else {
        return Vec::new();
    };
    let plugins = &config.plugins;
    let wait = match plugins.order_wait {
        OrderWait::For(wait) => format!("waited for, {} at most", show_duration(wait)),
        OrderWait::Forever => "waited for".into(),
    };
    let order = match plugins.order {
        Order::Independent => "Each plugin goes through the events at its own pace.".to_owned(),
        Order::Pipelined => format!(
            "Plugins are called in the same order for one event, and different events at the same time; one that takes long is {wait}."
        ),
        Order::Serial => format!(
            "One event at a time goes through all plugins, as now; one that takes long is {wait}."
        ),
    };
    let defaults = &config.defaults;
    let again = match defaults.retry {
        Retry::None => "",
        Retry::Transient => " where a network was to blame it is tried again first;",
        Retry::All => " it is tried again first;",
    };
    let kept = match defaults.on_error {
        OnError::DeadLetter => "is kept as a dead letter (`slated failures list`)",
        OnError::Log => "is logged, as now",
    };
    let mut lines = vec![
        "Each plugin has a process of its own: modules are shared no more, and a crash is one plugin's.".into(),
        order,
        format!(
            "A failure under stopOnError=True holds the plugin at its event, which is not lost;{again} an edit or a touch of its file goes on with that event."
        ),
        format!("A failure under stopOnError=False {kept};{again} the plugin goes on."),
        "Events whose ids show late are delivered whenever they show, once, and to every plugin.".into(),
        "`conn_retry_sleep` and `max_conn_retries` have no effect: a site that is down is waited for.".into(),
    ];
    if config.log.timing {
        lines.push("Lines of the timing log do not stand in the main file as well.".into());
    }
    if let Some(file) = &conf.id_file {
        lines.push(format!(
            "{} is read once and left as it is; `slated migrate --export-state` writes one to go back with.",
            file.display()
        ));
    }
    lines
}
