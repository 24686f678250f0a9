//! Faults on command: what the site, or the way to it, does wrong.
//!
//! Two kinds. A [`Fault`] spoils whole answers, for the next so many requests or until
//! cleared. A [`Corruption`] spoils the text of one event row in every answer that carries
//! it, so that a reader who halves a page meets it again.

use serde::{Deserialize, Serialize};

/// An order to answer wrongly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub effect: Effect,
    /// Which requests it happens to.
    #[serde(default)]
    pub on: On,
    /// Only to requests of this script or login.
    #[serde(default)]
    pub by: Option<String>,
    /// How many more requests; `None` is until cleared.
    #[serde(default)]
    pub times: Option<u32>,
}

/// Which requests a [`Fault`] happens to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Every request.
    #[default]
    Everything,
    /// Reads of EventLogEntry.
    EventReads,
    /// Everything but reads of EventLogEntry.
    AllButEventReads,
    /// Requests that change something.
    Writes,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// This HTTP status with a short text; the request is not carried out. 3xx carry a
    /// `Location`.
    Status {
        /// Such as 503.
        code: u16,
    },
    /// 503 with an HTML page, as during maintenance.
    Maintenance,
    /// 200 with an HTML page.
    Html,
    /// 200 without a body.
    Empty,
    /// The connection is reset before the answer.
    Reset {
        /// Whether the request was carried out first.
        applied: bool,
    },
    /// The connection ends in order, but before the answer. The official client sends the
    /// request once more.
    Close {
        /// Whether the request was carried out first.
        applied: bool,
    },
    /// The request is carried out; the answer announces its full length and ends half way.
    HalfBody,
    /// Error 102, as with a wrong key.
    AuthRefused,
    /// An application error of this code.
    Refused {
        /// Such as 103.
        code: u16,
        /// The text.
        message: String,
    },
    /// The answer comes after this time.
    Slow {
        /// In milliseconds.
        ms: u64,
    },
    /// No answer until the fault is cleared or the server stops; not carried out.
    Hang,
    /// The body of the last good answer to an EventLogEntry read, once more.
    Stale,
}

impl Fault {
    /// Makes a fault that happens to every request until it is cleared.
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            on: On::Everything,
            by: None,
            times: None,
        }
    }
    /// Narrows it to some requests.
    pub fn on(mut self, on: On) -> Self {
        self.on = on;
        self
    }
    /// Narrows it to the requests of one script or login.
    pub fn by(mut self, who: impl Into<String>) -> Self {
        self.by = Some(who.into());
        self
    }
    /// Ends it after so many requests.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

/// What is wrong with the text of one event row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corruption {
    /// A byte that is not UTF-8 in a string in `meta`.
    BadUtf8,
    /// `NaN` in `meta`.
    Nan,
    /// `Infinity` in `meta`.
    Infinity,
    /// A raw control character in a string in `meta`.
    ControlCharacter,
    /// A raw line break in a string in `meta`.
    LineBreak,
    /// `"\ud800"` in `meta`.
    LoneSurrogate,
    /// The row ends in the middle of a string; its neighbours are whole.
    Cut,
    /// Where the row should stand, stands something that is not JSON.
    NotJson,
}

impl Corruption {
    /// Returns what stands as a value in `meta`; `None` if the whole row is spoiled.
    fn value(self) -> Option<&'static [u8]> {
        match self {
            Self::BadUtf8 => Some(b"\"caf\xe9\""),
            Self::Nan => Some(b"NaN"),
            Self::Infinity => Some(b"Infinity"),
            Self::ControlCharacter => Some(b"\"bell \x07\""),
            Self::LineBreak => Some(b"\"two\nlines\""),
            Self::LoneSurrogate => Some(b"\"\\ud800\""),
            Self::Cut | Self::NotJson => None,
        }
    }

    /// Spoils the text of `meta`. A meta that is no object is replaced by one.
    pub(crate) fn spoil_meta(self, meta: &mut Vec<u8>) {
        let Some(value) = self.value() else { return };
        if meta.last() == Some(&b'}') && meta.len() > 2 {
            meta.pop();
            meta.push(b',');
        } else {
            meta.clear();
            meta.push(b'{');
        }
        meta.extend_from_slice(b"\"spoilt\":");
        meta.extend_from_slice(value);
        meta.push(b'}');
    }

    /// Spoils the text of a whole row.
    pub(crate) fn spoil_row(self, id: u64, row: &mut Vec<u8>) {
        match self {
            Self::Cut => {
                row.clear();
                row.extend_from_slice(
                    format!("{{\"type\":\"EventLogEntry\",\"id\":{id},\"event_type\":\"Shotg")
                        .as_bytes(),
                );
            }
            Self::NotJson => {
                row.clear();
                row.extend_from_slice(format!("#<EventLogEntry id: {id}>").as_bytes());
            }
            _ => {}
        }
    }
}

/// What a fault decides by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) event_read: bool,
    pub(crate) writes: bool,
    pub(crate) who: &'a str,
}

/// The faults that are in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) active: Vec<Fault>,
    /// The last good answer to an event read, for [`Effect::Stale`].
    pub(crate) last_event_page: Option<Vec<u8>>,
}

impl Faults {
    /// Returns what happens to a request, and counts it.
    pub(crate) fn strike(&mut self, asked: Asked<'_>) -> Option<Effect> {
        let index = self.active.iter().position(|fault| {
            let on = match fault.on {
                On::Everything => true,
                On::EventReads => asked.event_read,
                On::AllButEventReads => !asked.event_read,
                On::Writes => asked.writes,
            };
            on && fault.by.as_deref().is_none_or(|who| who == asked.who)
        })?;
        let fault = self.active.get_mut(index)?;
        let effect = fault.effect.clone();
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.active.remove(index);
            }
        }
        Some(effect)
    }
}
