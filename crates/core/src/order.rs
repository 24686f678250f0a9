//! The order between plugins: who waits for whom at an event (ARCHITECTURE.md, "Order").
//!
//! One gate serves the three values of `order`. A lane asks it before it sends; the gate is
//! asked again after every answer and change of state. In this version the only order is
//! [`Order::Independent`], which never closes; `pipelined` and `serial` come with the
//! configuration that needs them, behind the same question.

use slated_model::Offset;

/// The configured order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Each lane at its own pace.
    #[default]
    Independent,
}

/// What a lane in line may do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Send it.
    Open,
}

/// The gate between lanes, one for the daemon.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    order: Order,
}

impl Gate {
    /// Makes the gate of an order.
    pub const fn new(order: Order) -> Self {
        Self { order }
    }
    /// Tells what the `lane`-th plugin in the documented order may do with the event at `offset`.
    pub const fn ask(&self, _lane: usize, _offset: Offset) -> Passage {
        match self.order {
            Order::Independent => Passage::Open,
        }
    }
}
