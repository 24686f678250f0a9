//! The timing log: one line for each answer of a callback, which studios parse.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use slated_model::EventId;

use super::record::{INFO, Record};

/// An answer of a callback.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    pub(crate) event: EventId,
    /// As the site wrote it.
    pub(crate) created_at: Option<String>,
    /// Such as `notes.on_status`.
    pub(crate) callback: String,
    /// Microseconds the callback ran, by the worker's clock.
    pub(crate) us: u64,
    /// Whether it failed.
    pub(crate) error: bool,
    /// When the answer was heard.
    pub(crate) end: Timestamp,
}

impl Timing {
    /// Returns its message as it stands in the log.
    #[cfg(test)]
    pub(crate) fn line(&self, zone: &TimeZone) -> String {
        self.record(zone).message
    }

    /// Returns its record. Times are local, as Python's `isoformat` writes them; what the site did
    /// not say is `None`.
    pub(super) fn record(&self, zone: &TimeZone) -> Record {
        let took = i64::try_from(self.us).unwrap_or(i64::MAX);
        let end = self.end.as_microsecond();
        let begin = end.saturating_sub(took);
        let created = self.created_at.as_deref();
        let created: Option<Timestamp> = created.and_then(|text| text.parse().ok());
        let none = || "None".to_owned();
        let message = format!(
            "event_id={} created_at={} callback={} start={} end={} duration={} error={} delay={}",
            self.event,
            created.map_or_else(none, |at| iso(at.as_microsecond(), zone)),
            self.callback,
            iso(begin, zone),
            iso(end, zone),
            span(took),
            if self.error { "True" } else { "False" },
            created.map_or_else(none, |at| span(begin.saturating_sub(at.as_microsecond()))),
        );
        Record {
            logger: Some("timing".into()),
            event: Some(self.event),
            ..Record::own(self.end, INFO, message)
        }
    }
}

/// `2026-11-23T09:15:02.123456+01:00`; without a fraction where there is none.
fn iso(us: i64, zone: &TimeZone) -> String {
    let at = Timestamp::from_microsecond(us).unwrap_or_default();
    let at = at.to_zoned(zone.clone());
    let format = match at.timestamp().subsec_microsecond() {
        0 => "%Y-%m-%dT%H:%M:%S%:z",
        _ => "%Y-%m-%dT%H:%M:%S.%6f%:z",
    };
    at.strftime(format).to_string()
}

/// `DD:HH:MM:SS.ffffff`. A negative span has negative days alone, as Python's `timedelta` has it.
fn span(us: i64) -> String {
    let (seconds, micro) = (us.div_euclid(1_000_000), us.rem_euclid(1_000_000));
    let (minutes, s) = (seconds.div_euclid(60), seconds.rem_euclid(60));
    let (hours, m) = (minutes.div_euclid(60), minutes.rem_euclid(60));
    let (days, h) = (hours.div_euclid(24), hours.rem_euclid(24));
    format!("{days:02}:{h:02}:{m:02}:{s:02}.{micro:06}")
}
