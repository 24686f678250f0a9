//! The Python event daemon, as a process that may still run beside us.
//!
//! It writes its pid file and does not lock it, so that only its command line tells it from any
//! other process that got its number later.

use std::path::Path;

/// Its program; studios start it by this name, directly or through a Python.
const SCRIPT: &str = "shotgunEventDaemon";

/// Returns the command that stops the daemon whose command line this is; `None` if it is another
/// program's.
pub(crate) fn stopped_by(command: &[String]) -> Option<String> {
    // An editor or a `tail` of its log has the name in its command line as well.
    let (program, rest) = command.split_first()?;
    let program = Path::new(program).file_name()?.to_string_lossy();
    // python3.11, mayapy, pypy; hython.
    if !program.contains("py") && !program.contains("ython") {
        return None;
    }
    let at = rest.iter().position(|word| {
        let name = Path::new(word).file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        let name = name.strip_suffix("c").unwrap_or(&name);
        name.strip_suffix(".py").unwrap_or(name) == SCRIPT
    })?;
    let words: Vec<&str> = command.iter().take(at + 2).map(String::as_str).collect();
    Some(format!("{} stop", words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_by_python_and_its_script() {
        let check = |line: &str, wanted: Option<&str>| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(stopped_by(&words).as_deref(), wanted, "{line}");
        };
        check(
            "/usr/bin/python3 /opt/shotgunEvents/src/shotgunEventDaemon.py start",
            Some("/usr/bin/python3 /opt/shotgunEvents/src/shotgunEventDaemon.py stop"),
        );
        check(
            "python2.7 -u ./shotgunEventDaemon.py foreground",
            Some("python2.7 -u ./shotgunEventDaemon.py stop"),
        );
        check(
            "mayapy shotgunEventDaemon.pyc restart",
            Some("mayapy shotgunEventDaemon.pyc stop"),
        );
        check(
            "/opt/hfs/bin/hython -m shotgunEventDaemon start",
            Some("/opt/hfs/bin/hython -m shotgunEventDaemon stop"),
        );
        for other in [
            "vim /opt/shotgunEvents/src/shotgunEventDaemon.py",
            "tail -f /var/log/shotgunEventDaemon",
            "slated run --config /etc/shotgunEventDaemon.conf",
            "python3 /opt/studio/other.py --config /etc/shotgunEventDaemon.conf",
            "python3",
            "",
        ] {
            check(other, None);
        }
        assert_eq!(stopped_by(&[]), None);
    }
}
