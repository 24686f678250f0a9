//! Workers as real processes: their life, their misbehaviour, their end. Here each starts by
//! itself; `tests/forked` has the same tests of workers that preloaded parents fork.
//!
//! `SLATED_TEST_PYTHON` names the Python; without it `python3` is used. Some of the tests
//! in `client` and `compat` need one with `shotgun_api3`.

#[cfg(test)]
mod client;
#[cfg(test)]
mod compat;
#[cfg(test)]
mod death;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod helpers;
#[cfg(test)]
mod interpreters;
#[cfg(test)]
mod life;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod loading;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod memory;
#[cfg(test)]
mod mischief;
#[cfg(test)]
mod own;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod talk;

/// How the workers of these tests are started.
#[cfg(test)]
fn launch() -> slated_host::Launch {
    slated_host::Launch::plain()
}
