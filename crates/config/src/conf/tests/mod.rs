//! What a studio's file says, and what it is told.

mod differential;
