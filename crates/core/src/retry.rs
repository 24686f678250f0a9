//! What follows on a failed attempt (ARCHITECTURE.md, "Failure").
//!
//! One pure function, [`Policy::decide`]. Where the retry takes place (in place or aside)
//! and what giving up means (hold or dead letter) is the lane's business, by `stopOnError`.

use std::time::Duration;

use slated_model::{Cause, Failure, FailureKind};

use crate::dice::Dice;

/// Which failures are worth another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// None.
    None,
    /// Those the worker marked as a network's: the default.
    Transient,
    /// All that the callback raised. A retried callback may write twice.
    All,
}

/// What giving up on a callback with `stopOnError=False` leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// A dead letter.
    DeadLetter,
    /// A line in the log, as the Python daemon does; on record as discarded.
    Log,
}

/// How a plugin's failures are treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which failures are tried again.
    pub worth: Worth,
    /// How often a callback is tried in all.
    pub attempts: u32,
    /// For how long after its first failure it is tried again.
    pub within: Duration,
    /// What giving up leaves behind.
    pub on_error: OnError,
    /// How many deaths of the process one callback may cause with one event.
    pub deaths: u32,
}

/// How a unit of work stands after a failure, this one counted in.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Failed attempts.
    pub failed: u32,
    /// Attempts that ended with the process dead.
    pub deaths: u32,
    /// Time since its first failure.
    pub since: Duration,
    /// Time since the lane's callbacks began to fail on account of the site, none having finished
    /// since. The follower may notice an outage later than a callback does.
    pub without_site: Duration,
}

/// How the site looks to the follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteHealth {
    /// The follower is in back-off.
    Down,
    /// It has read without error for so long.
    WellFor(Duration),
}

/// What follows on a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The site is down: no attempt is counted, the lane waits for it.
    AwaitSite,
    /// Another attempt after this back-off.
    Again(Duration),
    /// No more by itself.
    GiveUp,
}

/// A callback that goes on failing for so long on account of a site which was well for as long is
/// at fault itself.
const SITE_IS_WELL: Duration = Duration::from_mins(5);
/// No attempt follows faster: a failing service is not hammered.
const LEAST_WAIT: Duration = Duration::from_secs(1);

impl Policy {
    /// Decides what follows on `failure`.
    pub fn decide(
        &self,
        failure: &Failure,
        record: Record,
        site: SiteHealth,
        dice: &mut Dice,
    ) -> Decision {
        if failure.kind == FailureKind::Death {
            return if record.deaths >= self.deaths {
                Decision::GiveUp
            } else {
                Decision::Again(Duration::ZERO)
            };
        }
        let transient = failure.kind == FailureKind::Raised && failure.cause.is_some();
        let by_site = failure.cause == Some(Cause::Site);
        match site {
            SiteHealth::Down if transient => return Decision::AwaitSite,
            SiteHealth::WellFor(time)
                if transient && by_site && time.min(record.without_site) < SITE_IS_WELL =>
            {
                return Decision::AwaitSite;
            }
            _ => {}
        }
        let worth = match self.worth {
            Worth::None => false,
            Worth::Transient => transient,
            Worth::All => failure.kind != FailureKind::Unreadable,
        };
        let wait = dice.spread(self.wait(record.failed), 0.8);
        if !worth || record.failed >= self.attempts || record.since + wait > self.within {
            return Decision::GiveUp;
        }
        Decision::Again(wait)
    }

    /// Returns the back-off after the `failed`-th failure: each four times the one before, all of
    /// them together four fifths of `within`, so that the last attempt still fits.
    fn wait(&self, failed: u32) -> Duration {
        let waits = self.attempts.saturating_sub(1).clamp(1, 16);
        let parts: f64 = (0..waits).map(|i| 4f64.powi(i.cast_signed())).sum();
        let nth = failed.clamp(1, waits) - 1;
        self.within
            .mul_f64(0.8 * 4f64.powi(nth.cast_signed()) / parts)
            .max(LEAST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            worth: Worth::Transient,
            attempts: 5,
            within: Duration::from_mins(15),
            on_error: OnError::DeadLetter,
            deaths: 3,
        }
    }

    fn failure(kind: FailureKind, cause: Option<Cause>) -> Failure {
        Failure {
            kind,
            error: "E".into(),
            message: String::new(),
            traceback: String::new(),
            locals: None,
            cause,
            us: None,
            log: Vec::new(),
        }
    }

    fn decide(
        policy: &Policy,
        failure: &Failure,
        failed: u32,
        deaths: u32,
        site: SiteHealth,
    ) -> Decision {
        let record = Record {
            failed,
            deaths,
            since: Duration::ZERO,
            without_site: Duration::from_mins(6),
        };
        policy.decide(failure, record, site, &mut Dice::new(1))
    }

    #[test]
    fn each_kind_of_failure_has_its_own_answer() {
        use Decision::{AwaitSite, GiveUp};
        let well = SiteHealth::WellFor(Duration::from_hours(1));
        let fresh = SiteHealth::WellFor(Duration::from_secs(10));
        let (site, net) = (Some(Cause::Site), Some(Cause::Transient));
        let p = policy();
        for (kind, cause, failed, deaths, health, expected) in [
            (
                FailureKind::Raised,
                site,
                1,
                0,
                SiteHealth::Down,
                Some(AwaitSite),
            ),
            (
                FailureKind::Raised,
                net,
                1,
                0,
                SiteHealth::Down,
                Some(AwaitSite),
            ),
            (FailureKind::Raised, site, 1, 0, fresh, Some(AwaitSite)),
            (FailureKind::Raised, site, 9, 0, fresh, Some(AwaitSite)),
            (FailureKind::Raised, site, 1, 0, well, None),
            (FailureKind::Raised, net, 1, 0, fresh, None),
            (FailureKind::Raised, net, 4, 0, well, None),
            (FailureKind::Raised, net, 5, 0, well, Some(GiveUp)),
            (FailureKind::Raised, None, 1, 0, well, Some(GiveUp)),
            (
                FailureKind::Raised,
                None,
                1,
                0,
                SiteHealth::Down,
                Some(GiveUp),
            ),
            (
                FailureKind::Limit,
                net,
                1,
                0,
                SiteHealth::Down,
                Some(GiveUp),
            ),
            (FailureKind::Death, None, 1, 2, well, None),
            (FailureKind::Death, None, 1, 3, well, Some(GiveUp)),
            (FailureKind::Unreadable, None, 1, 0, well, Some(GiveUp)),
        ] {
            let got = decide(&p, &failure(kind, cause), failed, deaths, health);
            match expected {
                Some(expected) => assert_eq!(got, expected, "{kind:?} {cause:?} {failed}"),
                None => assert!(
                    matches!(got, Decision::Again(_)),
                    "{kind:?} {cause:?} {failed}: {got:?}"
                ),
            }
        }
    }

    #[test]
    fn all_that_a_callback_raises_is_tried_again_where_that_is_asked_for() {
        let all = Policy {
            worth: Worth::All,
            ..policy()
        };
        let well = SiteHealth::WellFor(Duration::from_hours(1));
        for (kind, again) in [
            (FailureKind::Raised, true),
            (FailureKind::Limit, true),
            (FailureKind::Unreadable, false),
        ] {
            let got = decide(&all, &failure(kind, None), 1, 0, well);
            assert_eq!(matches!(got, Decision::Again(_)), again, "{kind:?}");
        }
    }

    /// The follower asks every two seconds, a callback may ask in between: the first to meet an
    /// outage is no less innocent than the ones after it.
    #[test]
    fn the_first_callback_to_meet_an_outage_waits_too() {
        let policy = Policy {
            worth: Worth::None,
            ..policy()
        };
        let failure = failure(FailureKind::Raised, Some(Cause::Site));
        let well = SiteHealth::WellFor(Duration::from_hours(1));
        for (minutes, expected) in [
            (0, Decision::AwaitSite),
            (4, Decision::AwaitSite),
            (5, Decision::GiveUp),
        ] {
            let record = Record {
                failed: 1,
                deaths: 0,
                since: Duration::ZERO,
                without_site: Duration::from_mins(minutes),
            };
            let got = policy.decide(&failure, record, well, &mut Dice::new(1));
            assert_eq!(got, expected, "after {minutes} minutes");
        }
    }

    #[test]
    fn all_attempts_fit_their_time() {
        let p = policy();
        let sum: Duration = (1..5).map(|n| p.wait(n)).sum();
        assert!(sum < p.within && sum > p.within.mul_f64(0.7), "{sum:?}");
        assert!(p.wait(1) < Duration::from_secs(10));
        let hasty = Policy {
            within: Duration::from_secs(2),
            ..policy()
        };
        assert_eq!(hasty.wait(1), LEAST_WAIT);
    }

    #[test]
    fn time_ends_the_attempts_as_their_number_does() {
        let record = Record {
            failed: 2,
            deaths: 0,
            since: Duration::from_secs(890),
            without_site: Duration::ZERO,
        };
        let net = failure(FailureKind::Raised, Some(Cause::Transient));
        let site = SiteHealth::WellFor(Duration::ZERO);
        assert_eq!(
            policy().decide(&net, record, site, &mut Dice::new(1)),
            Decision::GiveUp
        );
    }
}
