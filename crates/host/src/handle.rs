//! What a worker is told.

use std::time::Duration;

use slated_wire::{EventFrame, FrameError, Goodbye, ToWorker, encode};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::WorkerId;

/// A worker to speak to. Nothing here waits. Dropping the last clone ends the worker as
/// [`Handle::kill`] does.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) id: WorkerId,
    pub(crate) soft_ms: Option<u64>,
    pub(crate) max_frame: usize,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) kill: CancellationToken,
}

/// What the supervisor is told to do, in order.
#[derive(Debug)]
pub(crate) enum Order {
    Send {
        line: Vec<u8>,
        seq: u64,
        turn: u64,
        callbacks: Vec<u32>,
    },
    Goodbye {
        line: Vec<u8>,
        grace: Duration,
    },
}

/// A frame that was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The worker is gone or about to go; its [`Exited`](crate::Report::Exited) says more.
    #[error("the worker is gone")]
    Gone,
    /// More was sent than any window allows, and the worker does not read it.
    #[error("the worker has been sent more than it takes")]
    Full,
    /// The event cannot be written as a frame: it is too long.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Handle {
    /// Sends an event. The soft limit of the plugin applies where the frame names none.
    pub fn send(&self, mut frame: EventFrame) -> Result<(), SendError> {
        frame.timeout_ms = frame.timeout_ms.or(self.soft_ms);
        let (seq, turn, callbacks) = (frame.seq, frame.turn, frame.callbacks.clone());
        let line = encode(&ToWorker::Event(frame), self.max_frame)?;
        self.order(Order::Send {
            line,
            seq,
            turn,
            callbacks,
        })
    }
    /// Lets the worker run what it was sent and exit; after `grace` it is ended like by
    /// [`kill`](Self::kill). Nothing can be sent afterwards.
    pub fn goodbye(&self, reason: &str, grace: Duration) -> Result<(), SendError> {
        let message = ToWorker::Goodbye(Goodbye {
            reason: reason.to_owned(),
            grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
        });
        let line = encode(&message, self.max_frame)?;
        self.order(Order::Goodbye { line, grace })
    }
    /// Ends the worker's process group: SIGTERM now, SIGKILL after two seconds. One that has no
    /// process yet gets none.
    pub fn kill(&self) {
        self.kill.cancel();
    }
    /// Returns which worker it is.
    pub const fn id(&self) -> WorkerId {
        self.id
    }

    fn order(&self, order: Order) -> Result<(), SendError> {
        self.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Gone,
        })
    }
}
