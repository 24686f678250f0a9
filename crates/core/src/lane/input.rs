//! What a lane takes in and gives out.

use std::sync::Arc;
use std::time::Duration;

use slated_model::{
    Attempt, CallbackId, Change, EventId, Failure, HoldRow, Matcher, Offset, OutcomeRow, Row,
};

/// Something a lane must know.
#[derive(Clone, Debug)]
pub enum Input {
    /// A worker is ready and gets the frames from now on.
    Ready {
        /// What it registered, in order.
        callbacks: Vec<CallbackSpec>,
        /// How many events it takes ahead at most.
        window: usize,
    },
    /// Nothing more is sent to the worker; what it was sent may still be answered.
    Retired,
    /// The plugin's process runs, or does not. One that is replaced by a ready one runs.
    Running(bool),
    /// A callback ended.
    Answer {
        /// The frame it belongs to.
        seq: u64,
        /// The callback's number in this load.
        n: u32,
        /// How it ended.
        reply: Reply,
    },
    /// The worker's process is gone, and no further answer of it will come.
    Gone {
        /// What ended it.
        verdict: Verdict,
    },
    /// The log reaches to this offset.
    LogGrew(Offset),
    /// The answer to [`Effect::Read`]: all rows after the one asked for, up to `through`.
    Rows {
        /// The offset asked for: an answer to an older question is no news.
        after: Offset,
        /// The rows, in log order.
        rows: Vec<Arc<Row>>,
        /// The offset up to which they are complete.
        through: Offset,
    },
    /// The answer to [`Effect::Recall`].
    Recalled {
        /// The event asked for.
        event: EventId,
        /// Its row; `None` if the log no longer holds it.
        row: Option<Row>,
    },
    /// Everything up to this ticket is durable.
    Durable(u64),
    /// The follower read the site without error.
    SiteRead,
    /// A person has a dead letter tried again, and that is on record: it is due at once, beside the
    /// order.
    Retried(Attempt),
    /// A person, or a changed or touched file, ends a hold at an event that failed.
    Resume,
    /// A person chose where the lane goes on: any hold ends, and rows up to this offset that it has
    /// not passed are skipped. Ignored while the worker has a frame in hand.
    GoOnAfter(Offset),
    /// A person wants the plugin not to get an event. Ignored while the worker has it in hand, and
    /// where nothing of it is open ([`Lane::may_skip`]).
    ///
    /// [`Lane::may_skip`]: super::Lane::may_skip
    Skip {
        /// Its row.
        row: Arc<Row>,
        /// What the person said.
        reason: String,
    },
    /// A person lets the lane go back. Ignored while the worker has a frame in hand.
    Rewind {
        /// The offset before the first row that it comes to again.
        to: Offset,
        /// Whether what is done is done again.
        again: bool,
        /// The outcomes behind that offset which stay: what is done, unless that is done again.
        done: Vec<OutcomeRow>,
    },
    /// The site became another one: rows above this event, of those that the log has now, are void.
    /// To be put on record with [`Change::Void`].
    Void(EventId),
    /// What only this process knows (the cursor past what matched nothing, the back-off that went
    /// by) is put on record.
    WriteDown,
    /// The daemon ends: nothing more is sent, what only this process knows is put on record, and the
    /// lane stays in line as it is.
    Close,
    /// Time went by.
    Tick,
}

/// How a callback ended.
#[derive(Clone, Debug)]
pub enum Reply {
    /// It returned after so many microseconds.
    Done {
        /// Microseconds in the callback.
        us: u64,
    },
    /// It failed.
    Failed {
        /// How.
        failure: Failure,
        /// Whether the worker dropped what it was sent behind it in this turn.
        stop: bool,
    },
}

/// What ended a worker.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// slated itself, on purpose: a stop, a reload. Counts for nobody.
    Ours,
    /// The hard limit: the callback after the last answer failed.
    Limit(Failure),
    /// Anything else: the callback after the last answer died.
    Died(Failure),
}

/// A callback as one load of the plugin registered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackSpec {
    /// Its number on the wire, valid for this load.
    pub n: u32,
    /// Its name.
    pub id: CallbackId,
    /// Which events it wants.
    pub matcher: Matcher,
    /// Whether a failure stops the plugin (`stopOnError`).
    pub stop_on_error: bool,
}

/// Something to do for a lane.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send a frame to the worker.
    Send(Frame),
    /// Read rows of the log after an offset, at most so many.
    Read {
        /// The offset before the first row wanted.
        after: Offset,
        /// How many.
        limit: usize,
    },
    /// Read the row of one event again.
    Recall {
        /// The event.
        event: EventId,
    },
    /// Write these changes in one transaction, then say [`Input::Durable`] with this ticket.
    Record {
        /// Grows with every record of the lane.
        ticket: u64,
        /// What to write.
        changes: Vec<Change>,
    },
    /// Tell people.
    Tell(Note),
    /// Tell people that the lane waited long enough, and takes an event before others have.
    WentAhead {
        /// The event.
        event: EventId,
        /// Whom it did not wait for any longer, by their places.
        without: Vec<usize>,
    },
}

/// One event for the worker.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Grows with every frame of the lane.
    pub seq: u64,
    /// Frames of a turn behind a stopping failure are dropped by the worker.
    pub turn: u64,
    /// Which callbacks to run, by their numbers in this load.
    pub callbacks: Vec<u32>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// The event.
    pub row: Arc<Row>,
}

/// Why a lane leaves the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Its plugin does anything but run, or waits for a person or the site.
    NotRunning,
    /// It tries a callback again in place.
    Retries,
    /// A call has been out for as long as others wait.
    LongCall,
    /// Its process is to be replaced, and has taken as long to end.
    SlowEnd,
    /// There is no order.
    NoOrder,
}

/// Something people should see. `event` and `callback` say where it happened.
#[derive(Clone, Debug)]
pub enum Note {
    /// A callback finished.
    Done {
        /// The event.
        event: EventId,
        /// The callback.
        callback: CallbackId,
        /// Microseconds in the callback.
        us: u64,
        /// Which attempt it was.
        attempt: u32,
    },
    /// A callback failed and will be tried again.
    Again {
        /// The event.
        event: EventId,
        /// The callback.
        callback: CallbackId,
        /// How it failed.
        failure: Failure,
        /// Failed attempts so far.
        failed: u32,
        /// The back-off.
        wait: Duration,
        /// Whether the lane goes on meanwhile.
        aside: bool,
    },
    /// A callback failed because the site is down: the lane waits, nothing is counted.
    AwaitsSite {
        /// The event.
        event: EventId,
        /// The callback.
        callback: CallbackId,
        /// How it failed.
        failure: Failure,
    },
    /// A callback failed for good, and its event became a dead letter.
    DeadLetter {
        /// The event.
        event: EventId,
        /// The callback.
        callback: CallbackId,
        /// How it failed.
        failure: Failure,
        /// Attempts made.
        attempt: u32,
    },
    /// A callback failed, and by configuration the log is all that keeps it.
    LoggedOnly {
        /// The event.
        event: EventId,
        /// The callback.
        callback: CallbackId,
        /// How it failed.
        failure: Failure,
    },
    /// A callback with `stopOnError` failed for good: the lane waits for a person.
    Held {
        /// The failure; `None` if a person must choose a start.
        failure: Option<Failure>,
        /// Why and where.
        hold: HoldRow,
    },
    /// The lane goes on after a hold.
    Resumed,
    /// A person let it skip rows.
    Skipped {
        /// How many.
        rows: u64,
    },
    /// A person let it skip an event.
    EventSkipped {
        /// The event.
        event: EventId,
    },
    /// A person let it go back.
    Rewound {
        /// By how many rows.
        rows: u64,
    },
    /// An attempt was given up because the log no longer holds its event.
    RowGone {
        /// The event.
        event: EventId,
        /// The callback.
        callback: CallbackId,
    },
    /// Lanes after this one do not wait for it any more.
    LeftLine(Leave),
    /// Lanes after this one wait for it again, from the log's end on.
    InLine,
    /// An attempt was given up because the plugin no longer has the callback.
    CallbackGone {
        /// The event.
        event: EventId,
        /// The callback.
        callback: CallbackId,
    },
}
