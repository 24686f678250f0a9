//! What a daemon is given: the texts of its plugins and of its configuration.

use std::path::Path;

use super::options::{KINDS, Load, Wanted};
use super::site::Site;

/// The variable that holds the key of the daemon's script.
pub(super) const KEY: &str = "SLATED_SITE_KEY";
/// The daemon's tick, start to start, where it is given a `slated.toml`.
pub(super) const TICK_S: u64 = 2;

/// Writes a plugin whose callback does nothing, sleeps, or notes what it was given and when.
pub(super) fn plugin(number: usize, load: &Load) -> String {
    let wanted = match load.wanted {
        Wanted::Kinds(count) => {
            let kind = KINDS.iter().take(count).cycle().nth(number);
            format!("{{{:?}: ['*']}}", kind.copied().unwrap_or_default())
        }
        Wanted::All => "{}".to_owned(),
        Wanted::Nothing => "{'Nobody_Makes_This': ['*']}".to_owned(),
    };
    let mut body = Vec::new();
    let mut open = "";
    if load.journal {
        // One write a line: a line is whole or not there.
        open = "JOURNAL = os.open(os.path.splitext(__file__)[0] + '.journal',\n\
                \x20                 os.O_CREAT | os.O_APPEND | os.O_WRONLY)\n\n\n";
        body.push("os.write(JOURNAL, b'%d %d\\n' % (event['id'], time.time() * 1000))".to_owned());
    }
    if load.callback_ms > 0 {
        body.push(format!("time.sleep({})", load.callback_ms as f64 / 1000.0));
    }
    if body.is_empty() {
        body.push("pass".to_owned());
    }
    format!(
        "import os\nimport time\n\n\n{open}\
         def registerCallbacks(reg):\n    \
             reg.registerCallback('bench', 'bench', callback, {wanted}, None)\n\n\n\
         def callback(sg, logger, event, args):\n    {}\n",
        body.join("\n    ")
    )
}

pub(super) fn toml(site: &Site, python: &Path, load: &Load) -> String {
    let python = python.to_string_lossy();
    let (url, script) = (&site.url, &site.script);
    let order = load.order.as_deref().unwrap_or("independent");
    let new_plugins = load.new_plugins;
    format!(
        "[site]\nurl = {url:?}\nscript = {script:?}\nkey = {{ env = \"{KEY}\" }}\n\
         tick = \"{TICK_S}s\"\n\n\
         [state]\nfolder = \"state\"\nnew_plugins = {new_plugins:?}\n\n\
         [plugins]\nfolders = [\"plugins\"]\norder = {order:?}\n\n\
         [defaults]\npython = {python:?}\n{}",
        window(load)
    )
}

/// Writes the file as the Python daemon ships it, but for the places, and where plugins start.
pub(super) fn conf(site: &Site, folder: &Path, python: &Path, load: &Load) -> String {
    let (url, script) = (&site.url, &site.script);
    let (folder, python) = (folder.display(), python.display());
    let order = load.order.as_deref().unwrap_or("pipelined");
    let new_plugins = load.new_plugins;
    format!(
        "[daemon]\npidFile: {folder}/daemon.pid\neventIdFile: {folder}/daemon.id\n\
         logMode: 0\nlogPath: {folder}\nlogFile: shotgunEventDaemon\nlogging: 20\n\
         conn_retry_sleep: 60\nmax_conn_retries: 5\nfetch_interval: 5\n\
         max_event_batch_size: 500\n\n\
         [shotgun]\nserver: {url}\nname: {script}\nkey: %({KEY})s\nuse_session_uuid: True\n\n\
         [plugins]\npaths: {folder}/plugins\n\n[emails]\nenabled: no\n\n\
         [slated]\npython = {python}\nnew_plugins = {new_plugins}\norder = {order}\n{}",
        window(load)
    )
}

/// Writes how far events are sent ahead, if it is not the default. Both files spell it alike.
fn window(load: &Load) -> String {
    load.window
        .map(|window| format!("window = {window}\n"))
        .unwrap_or_default()
}
