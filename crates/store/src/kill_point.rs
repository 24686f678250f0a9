//! Named points at which a test ends the process as a power failure would: by SIGKILL, there and then.
//!
//! `SLATED_KILL_AT=mid_txn:3` kills at the third passing of the point `mid_txn`. Only a build with
//! debug assertions looks; a release has nothing of it. They stand here because some are inside the
//! store, and everything that has others knows the store.

/// Dies here if a test wants it.
#[cfg(debug_assertions)]
pub fn kill_point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static WANTED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);

    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("SLATED_KILL_AT").ok()?;
        let (name, count) = text.split_once(':')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    if let Some((point, count)) = wanted
        && point == name
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *count
    {
        let us = rustix::process::getpid();
        // A process may always signal itself; should it not, the test misses the death and fails.
        rustix::process::kill_process(us, rustix::process::Signal::KILL).ok();
    }
}

/// Does nothing.
#[cfg(not(debug_assertions))]
#[inline]
pub const fn kill_point(_: &str) {}
