//! Who may be sent what: the rules of the order, told again over the judge's own books.
//!
//! From the lanes it takes one thing only, the offset after which each says it stands in line, and
//! it checks whenever that changes that there is a reason.

use std::collections::BTreeSet;

use slated_core::lane::Leave;
use slated_core::order::Order;

use super::studio::Plugin;

/// What the judge wrote down of one plugin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    /// Offsets to which it gave a first answer, for every callback that was due.
    pub(crate) answered: BTreeSet<u64>,
    /// The event at which it waited long enough, and for whom it did not wait any longer.
    pub(crate) went_ahead: Option<(u64, Vec<usize>)>,
}

/// Judges a frame of the plugin at `place`, with the event at `offset`; nothing if all is well.
pub(crate) fn frame(order: Order, plugins: &[Plugin], place: usize, offset: u64) -> Option<String> {
    let me = &plugins[place];
    // A later attempt has no order, and what waited long enough neither.
    if me.books.answered.contains(&offset) {
        return None;
    }
    let without = me.books.went_ahead.iter().filter(|(at, _)| *at == offset);
    let without: Vec<_> = without.flat_map(|(_, places)| places.clone()).collect();
    let passed_over = |other: &usize| {
        let peer = &plugins[*other];
        let Some(from) = peer.in_line_from() else {
            return false;
        };
        if without.contains(other) {
            return false;
        }
        let owes = |at: u64| at > from && peer.unfinished(at);
        let here = peer.rank < me.rank && owes(offset);
        here || (order == Order::Serial && (1..offset).any(owes))
    };
    let over: Vec<_> = (0..plugins.len())
        .filter(|other| *other != place)
        .filter(passed_over)
        .collect();
    (!over.is_empty()).then(|| format!("plugin {place} got event {offset} before {over:?}"))
}

/// Judges a plugin's leaving the line.
pub(crate) fn leave(plugin: &Plugin, why: Leave, long: bool) -> Option<String> {
    let fits = match why {
        Leave::NotRunning => !plugin.running || plugin.held() || plugin.awaits_site(),
        Leave::Retries => plugin.retries(),
        Leave::LongCall | Leave::SlowEnd => long,
        Leave::NoOrder => false,
    };
    (!fits).then(|| format!("it left the line for {why:?}: {plugin:?}"))
}

/// Judges a plugin's coming back.
pub(crate) fn back(plugin: &Plugin, end: u64) -> Option<String> {
    let open = (1..=end).find(|at| plugin.unfinished(*at));
    open.map(|at| format!("it is in line, and event {at} is not done: {plugin:?}"))
}
