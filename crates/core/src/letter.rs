//! What a person may wish of a dead letter: another try, or an end.
//!
//! Both change what stands on record of a unit, which nothing else may (promise P3). The store looks
//! once more whether a dead letter stands there, so two people who wish the same do no harm.

use slated_model::{Attempt, Discard, FailureKind, Offset, Outcome, OutcomeRow};

/// Returns the attempt that takes a dead letter's place, for an event that stands at `offset`;
/// `None` if it is none, or one that no try can change: a row that nobody can read.
///
/// It is due at once and beside the order. What failed before still counts: one more failure of the
/// same kind makes it a dead letter again, so a wish is one try and no new round of them.
pub fn retry(letter: &OutcomeRow, offset: Offset, wall_ms: i64) -> Option<Attempt> {
    let Outcome::DeadLetter { failure } = &letter.outcome else {
        return None;
    };
    if failure.kind == FailureKind::Unreadable {
        return None;
    }
    let died = failure.kind == FailureKind::Death;
    Some(Attempt {
        plugin: letter.plugin.clone(),
        callback: letter.callback.clone(),
        event: letter.event,
        offset,
        aside: true,
        failed: letter.attempt,
        deaths: if died { letter.attempt } else { 0 },
        since_ms: 0,
        left_ms: 0,
        failure: (**failure).clone(),
        at_ms: wall_ms,
    })
}

/// Returns the outcome that takes a dead letter's place; `None` if it is none.
pub fn discard(letter: &OutcomeRow, reason: &str, wall_ms: i64) -> Option<OutcomeRow> {
    let Outcome::DeadLetter { .. } = &letter.outcome else {
        return None;
    };
    Some(OutcomeRow {
        outcome: Outcome::Discarded {
            reason: Discard::Person {
                reason: reason.to_owned(),
            },
        },
        at_ms: wall_ms,
        ..letter.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use slated_model::{CallbackId, EventId, Failure, PluginId};

    fn letter(kind: FailureKind) -> OutcomeRow {
        let failure = Failure {
            kind,
            error: "ValueError".into(),
            message: String::new(),
            traceback: String::new(),
            locals: None,
            cause: None,
            us: None,
            log: Vec::new(),
        };
        OutcomeRow {
            plugin: PluginId::new("plugins", "p"),
            callback: CallbackId::new("f", 1),
            event: EventId(7),
            attempt: 3,
            outcome: Outcome::DeadLetter {
                failure: Box::new(failure),
            },
            at_ms: 1,
        }
    }

    #[test]
    fn a_retry_remembers_what_failed_and_whether_it_killed() {
        for (kind, deaths) in [
            (FailureKind::Raised, 0),
            (FailureKind::Limit, 0),
            (FailureKind::Death, 3),
        ] {
            let attempt = retry(&letter(kind), Offset(9), 5).unwrap();
            assert_eq!((attempt.failed, attempt.deaths), (3, deaths), "{kind:?}");
            assert!(attempt.aside && attempt.left_ms == 0 && attempt.offset == Offset(9));
        }
    }

    #[test]
    fn only_a_dead_letter_is_tried_again_or_discarded() {
        let dead = letter(FailureKind::Raised);
        let gone = discard(&dead, "made by hand", 5).unwrap();
        let reason = Discard::Person {
            reason: "made by hand".into(),
        };
        assert_eq!(gone.outcome, Outcome::Discarded { reason });
        assert_eq!((gone.attempt, gone.at_ms), (3, 5));
        assert_eq!(retry(&gone, Offset(9), 5), None);
        assert_eq!(discard(&gone, "again", 5), None);
        // A row that nobody can read can only be discarded.
        let unreadable = letter(FailureKind::Unreadable);
        assert_eq!(retry(&unreadable, Offset(9), 5), None);
        assert!(discard(&unreadable, "seen", 5).is_some());
    }
}
