//! Workers as real processes: their life, their misbehaviour, their end.
//!
//! `SLATED_TEST_PYTHON` names the Python; without it `python3` is used. Only the tests in
//! `client` need one with `shotgun_api3`.

#[cfg(test)]
mod life;
#[cfg(test)]
mod stage;
