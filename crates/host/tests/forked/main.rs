//! Workers that preloaded parents fork: all that `tests/worker` says of workers, and what is only
//! true of these.
#![cfg(target_os = "linux")]

#[cfg(test)]
#[path = "../worker/client.rs"]
mod client;
#[cfg(test)]
#[path = "../worker/compat.rs"]
mod compat;
#[cfg(test)]
#[path = "../worker/death.rs"]
mod death;
#[cfg(test)]
#[path = "../worker/ending.rs"]
mod ending;
#[cfg(test)]
#[path = "../worker/helpers.rs"]
mod helpers;
#[cfg(test)]
#[path = "../worker/life.rs"]
mod life;
#[cfg(test)]
#[path = "../worker/limits.rs"]
mod limits;
#[cfg(test)]
#[path = "../worker/loading.rs"]
mod loading;
#[cfg(test)]
#[path = "../worker/memory.rs"]
mod memory;
#[cfg(test)]
#[path = "../worker/mischief.rs"]
mod mischief;
#[cfg(test)]
mod parents;
#[cfg(test)]
#[path = "../worker/protocol.rs"]
mod protocol;
#[cfg(test)]
#[path = "../worker/speed.rs"]
mod speed;
#[cfg(test)]
#[path = "../worker/stage.rs"]
mod stage;
#[cfg(test)]
#[path = "../worker/talk.rs"]
mod talk;

/// How the workers of these tests are started.
#[cfg(test)]
fn launch() -> slated_host::Launch {
    slated_host::Launch::preloaded(stage::SOON)
}
