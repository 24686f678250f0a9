//! What a way back of a plugin comes to: which events it would get again, and what of them is done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slated_core::{rewind, skip};
use slated_model::{CallbackId, EventId, LaneRow, Matcher, Offset, Outcome, OutcomeRow, PluginId};
use slated_store::Store;

use super::Refusal;

/// Rows looked at in one read.
const PAGE: usize = 500;

/// `slated plugin rewind --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RewindView {
    pub(crate) plugin: PluginId,
    /// The event that it comes to first.
    pub(crate) to: EventId,
    /// Whether what is done is done again.
    pub(crate) again: bool,
    /// Whether it went back; without that this is what it would come to.
    pub(crate) rewound: bool,
    /// Rows of the log that it goes back.
    pub(crate) events: u64,
    /// Those that lay before its start: another daemon may have handled them.
    pub(crate) before_start: u64,
    /// Callbacks that are done with an event.
    pub(crate) done: u64,
    /// Those that left a dead letter.
    pub(crate) letters: u64,
    /// Those that were discarded.
    pub(crate) discarded: u64,
    /// Those that would be called; absent where it is not known what the callbacks want.
    pub(crate) calls: Option<u64>,
}

/// Where a plugin goes back to, and what stays.
pub(crate) struct Survey {
    pub(crate) view: RewindView,
    /// The offset before the event.
    pub(crate) to: Offset,
    /// The outcomes behind it that stay.
    pub(crate) done: Vec<OutcomeRow>,
}

/// What there is to know of a plugin.
pub(crate) struct Subject<'a> {
    pub(crate) row: &'a LaneRow,
    /// Units that are tried again beside the order, and go on so.
    pub(crate) aside: &'a [(EventId, CallbackId)],
    pub(crate) callbacks: Option<&'a [(CallbackId, Matcher)]>,
    /// The offset after which every row is there and stays.
    pub(crate) log_start: Offset,
}

/// Looks what it would come to if a plugin went back to an event.
pub(crate) async fn survey(
    store: &dyn Store,
    subject: &Subject<'_>,
    id: EventId,
    again: bool,
) -> Result<Survey, Refusal> {
    let Subject { row: lane, .. } = subject;
    let stands = store.event(id).await?.map(|row| row.offset);
    let to = rewind::place(id, stands, lane.cursor, subject.log_start)
        .map_err(|why| Refusal::of_rewind(&lane.plugin, why))?;
    let mut view = RewindView {
        plugin: lane.plugin.clone(),
        to: id,
        again,
        rewound: false,
        events: to.until(lane.cursor),
        before_start: 0,
        done: 0,
        letters: 0,
        discarded: 0,
        calls: subject.callbacks.map(|_| 0),
    };
    let mut done = Vec::new();
    let mut after = to;
    while after < lane.cursor {
        let rows = store.rows(after, PAGE).await?;
        let rows: Vec<_> = rows
            .into_iter()
            .filter(|row| row.offset <= lane.cursor)
            .collect();
        let Some(last) = rows.last().map(|row| row.offset) else {
            break;
        };
        let outcomes = store.outcomes(lane.plugin.clone(), after, last).await?;
        let mut of = BTreeMap::<EventId, Vec<&OutcomeRow>>::new();
        for outcome in &outcomes {
            of.entry(outcome.event).or_default().push(outcome);
            match outcome.outcome {
                Outcome::Done { .. } => view.done += 1,
                Outcome::DeadLetter { .. } => view.letters += 1,
                Outcome::Discarded { .. } => view.discarded += 1,
            }
        }
        for row in &rows {
            view.before_start += u64::from(skip::is_before_start(lane, row));
            let head = &row.event.head;
            let wants = |matcher: &Matcher| {
                let (kind, attribute) =
                    (head.event_type.as_deref(), head.attribute_name.as_deref());
                row.event.is_readable() && matcher.matches(kind, attribute)
            };
            let stays = |callback: &CallbackId| {
                let outcomes = of.get(&row.event.id).into_iter().flatten();
                let mut own = outcomes.filter(|o| o.callback == *callback);
                let is_done = own.any(|o| matches!(o.outcome, Outcome::Done { .. }));
                let aside = subject.aside.iter();
                (is_done && !again)
                    || aside
                        .into_iter()
                        .any(|(e, c)| (e, c) == (&row.event.id, callback))
            };
            let called = subject.callbacks.into_iter().flatten();
            let called = called.filter(|(id, matcher)| wants(matcher) && !stays(id));
            if let Some(calls) = &mut view.calls {
                *calls += called.count() as u64;
            }
        }
        done.extend(outcomes);
        after = last;
    }
    // What was done ahead of the cursor stays as well.
    done.extend(
        store
            .outcomes(lane.plugin.clone(), lane.cursor, Offset(u64::MAX))
            .await?,
    );
    done.retain(|o| !again && matches!(o.outcome, Outcome::Done { .. }));
    Ok(Survey { view, to, done })
}

impl RewindView {
    /// Says what it comes to, in lines.
    pub(crate) fn says(&self) -> Vec<String> {
        let s = |n: u64| if n == 1 { "" } else { "s" };
        let mut lines = vec![format!(
            "{} goes back {} event{} of the log, to event {}",
            self.plugin,
            self.events,
            s(self.events),
            self.to
        )];
        let fate = if self.again {
            "they are run again"
        } else {
            "they are left alone (`--again` runs them, too)"
        };
        lines.push(format!("done           {}; {fate}", self.done));
        lines.push(format!(
            "dead letters   {}; they are run again",
            self.letters
        ));
        lines.push(format!("discarded      {}; they are run", self.discarded));
        if self.before_start > 0 {
            lines.push(format!(
                "before start   {} event{}; another daemon may have handled them",
                self.before_start,
                s(self.before_start)
            ));
        }
        lines.push(match self.calls {
            Some(calls) => format!("calls          {calls}"),
            None => "calls          unknown: what its callbacks want is known when it runs".into(),
        });
        lines
    }
}
