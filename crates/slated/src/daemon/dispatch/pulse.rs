//! The dispatcher's sign of life. It comes from the loop itself, so that a loop that hangs is missed.

use std::collections::BTreeMap;

use super::Dispatcher;

impl Dispatcher {
    pub(super) fn beat(&mut self) {
        let Self { pulse, plugins, .. } = self;
        let (stopping, down) = (self.stopping.is_some(), self.site.down);
        pulse.beat(self.clock.now(), || {
            let mut counts = BTreeMap::<String, usize>::new();
            for plugin in plugins.iter().filter(|plugin| !plugin.helper) {
                *counts.entry(plugin.state().to_string()).or_default() += 1;
            }
            let mut words: Vec<_> = counts.iter().map(|(s, n)| format!("{n} {s}")).collect();
            if stopping {
                words.push("stopping".into());
            } else if down {
                words.push("the site is not read".into());
            }
            format!("Plugins: {}.", words.join(", "))
        });
    }
}
