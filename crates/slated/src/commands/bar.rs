//! How far something long is, on a terminal's stderr; elsewhere nothing.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows that events are read.
pub(super) fn spinner() -> ProgressBar {
    let bar = ProgressBar::no_length().with_style(style("{spinner} {pos} events read"));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Shows how many of so many events are dealt with.
pub(super) fn of(events: u64) -> ProgressBar {
    ProgressBar::new(events).with_style(style("{bar:30} {pos}/{len} events  {eta} left"))
}

/// Shows how much of a time is over, with what there is to say.
pub(super) fn seconds(span: Duration) -> ProgressBar {
    let bar =
        ProgressBar::new(span.as_secs()).with_style(style("{bar:30} {elapsed} of {len} s  {msg}"));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
