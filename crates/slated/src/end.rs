//! The end of the process in the middle of things.

/// Ends without waiting, with this exit code. Workers are killed; what they had not answered counts
/// as not done.
#[expect(clippy::exit, reason = "nobody waits for a further word")]
pub(crate) fn at_once(code: i32) -> ! {
    slated_host::kill_all();
    std::process::exit(code)
}
