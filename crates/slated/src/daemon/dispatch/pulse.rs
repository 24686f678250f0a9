//! The dispatcher's sign of life. It comes from the loop itself, so that a loop that hangs is missed.

use std::collections::BTreeMap;

use super::Dispatcher;

impl Dispatcher {
    pub(super) fn beat(&mut self) {
        let Self { pulse, plugins, .. } = self;
        let (stopping, down) = (self.stopping.is_some(), self.site.down);
        pulse.beat(self.clock.now(), || {
            let own = plugins.iter().filter(|plugin| !plugin.helper);
            line(own.map(|plugin| plugin.state().to_string()), stopping, down)
        });
    }
}

/// Says how things are: how many plugins are in which state, and what else a person should know.
fn line(states: impl Iterator<Item = String>, stopping: bool, down: bool) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    let words: Vec<_> = counts.iter().map(|(s, n)| format!("{n} {s}")).collect();
    let plugins = match words.as_slice() {
        [] => "No plugins".into(),
        words => format!("Plugins: {}", words.join(", ")),
    };
    let rest = match (stopping, down) {
        (true, _) => "; stopping",
        (false, true) => "; the site is not read",
        (false, false) => "",
    };
    format!("{plugins}{rest}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_things_are() {
        let told = |states: &[&str], stopping, down| {
            line(states.iter().map(ToString::to_string), stopping, down)
        };
        assert_eq!(told(&[], false, true), "No plugins; the site is not read.");
        assert_eq!(
            told(&["running", "held", "running"], false, false),
            "Plugins: 1 held, 2 running."
        );
        assert_eq!(
            told(&["running"], true, true),
            "Plugins: 1 running; stopping."
        );
    }
}
