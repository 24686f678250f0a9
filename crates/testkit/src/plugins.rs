//! Plugins for tests, written into a folder: files that journal what they do, and misbehave
//! where a test wants them to.
//!
//! Invariant: what [`Plugin::lane`] tells the history checker is what the file registers.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value, json};
use slated_model::{AttributeRule, CallbackId, Matcher, PluginId};

use crate::history::Lane;
use crate::trap::TRAP;

const JOURNAL: &str = include_str!("../plugins/journal.py");

/// A callback that runs this long surely is no trivial one, to which events are sent ahead.
const SLOW: Duration = Duration::from_millis(3);

/// A plugin file to be.
#[derive(Clone, Debug)]
pub struct Plugin {
    name: String,
    /// The folder it stands in, where that is not the world's only one.
    folder: Option<String>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Journal(Vec<Callback>),
    Source(String),
}

/// A callback of a journalling plugin: it journals its start, sleeps, misbehaves by rule,
/// writes to the site, and journals its end.
#[derive(Clone, Debug)]
pub struct Callback {
    name: String,
    matcher: Matcher,
    stop_on_error: bool,
    sleep: Duration,
    rules: Vec<Rule>,
    write: Value,
}

#[derive(Clone, Debug, Serialize)]
struct Rule {
    act: Act,
    every: u64,
    times: Option<u32>,
}

/// What a callback does instead of returning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// It raises a `ValueError`.
    Raise,
    /// It raises a `ConnectionResetError`, which is worth another attempt.
    Network,
    /// It calls `sys.exit`.
    SysExit,
    /// It calls `os._exit`.
    Exit,
    /// Its process gets a SIGSEGV.
    Segfault,
    /// It sleeps for ever.
    Hang,
    /// It computes for ever.
    Spin,
    /// It computes for ever in C code and never lets go of Python's lock: no other thread of its
    /// process runs.
    Clutch,
}

/// Whose name callbacks sign in with.
#[derive(Clone, Debug)]
pub struct Script {
    /// The script user's name.
    pub name: String,
    /// Its key.
    pub key: String,
}

impl Plugin {
    /// Makes a plugin that journals every event of the site, in one callback named `seen`,
    /// unless [callbacks](Self::callback) are added.
    pub fn journal(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder: None,
            kind: Kind::Journal(Vec::new()),
        }
    }
    /// Makes a plugin of any source. Nothing of it is judged.
    pub fn source(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder: None,
            kind: Kind::Source(text.to_owned()),
        }
    }
    /// Adds a callback after those it has. A plugin made of a source has its own.
    pub fn callback(mut self, callback: Callback) -> Self {
        if let Kind::Journal(callbacks) = &mut self.kind {
            callbacks.push(callback);
        }
        self
    }
    /// Puts it into another folder beside the world's configuration, which must name that folder
    /// so, too.
    pub fn in_folder(mut self, folder: &str) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }
    /// Returns the folder it was put into, if it was.
    pub(crate) fn folder(&self) -> Option<&str> {
        self.folder.as_deref()
    }
    /// Returns the stem of its file.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Writes its files into `folder`, which the configuration calls `configured`.
    ///
    /// A file that stands there is replaced as a whole: no scan sees half of it.
    pub fn write(
        &self,
        folder: &Path,
        configured: &str,
        script: &Script,
        journal: &Path,
    ) -> Result<()> {
        let text = match &self.kind {
            Kind::Source(text) => text,
            Kind::Journal(_) => {
                let settings = json!({
                    "plugin": self.id(configured),
                    "trap": journal.with_file_name(TRAP),
                    "journal": journal,
                    "script": script.name,
                    "key": script.key,
                    "callbacks": self.callbacks().iter().map(Callback::settings).collect::<Vec<_>>(),
                });
                replace(
                    folder,
                    &format!("{}.json", self.name),
                    &settings.to_string(),
                )?;
                JOURNAL
            }
        };
        replace(folder, &format!("{}.py", self.name), text)
    }
    /// Returns what is owed to it, for the history checker; `None` if it journals nothing.
    ///
    /// `window` is the one of the configuration: it holds for plugins that do not sleep.
    pub fn lane(&self, configured: &str, window: usize, retries: bool) -> Option<Lane> {
        let Kind::Journal(_) = self.kind else {
            return None;
        };
        let callbacks = self.callbacks();
        let ids = CallbackId::number(callbacks.iter().map(|callback| callback.name.as_str()));
        let mut lane = Lane::new(self.id(configured));
        lane.window = if callbacks.iter().all(|c| c.sleep >= SLOW) {
            1
        } else {
            window
        };
        lane.retries = retries;
        for (id, callback) in ids.into_iter().zip(callbacks) {
            if callback.stop_on_error {
                lane.holds.push(id.clone());
            }
            lane.callbacks.push((id, callback.matcher));
        }
        Some(lane)
    }
    /// Returns its name when its folder is configured as `configured`.
    pub fn id(&self, configured: &str) -> PluginId {
        PluginId::new(self.folder().unwrap_or(configured), &self.name)
    }
    fn callbacks(&self) -> Vec<Callback> {
        match &self.kind {
            Kind::Journal(callbacks) if callbacks.is_empty() => vec![Callback::new("seen")],
            Kind::Journal(callbacks) => callbacks.clone(),
            Kind::Source(_) => Vec::new(),
        }
    }
}

impl Callback {
    /// Makes a callback that takes every event, does nothing, and may fail without stopping
    /// its plugin.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            matcher: Matcher::everything(),
            stop_on_error: false,
            sleep: Duration::ZERO,
            rules: Vec::new(),
            write: Value::Null,
        }
    }
    /// Takes events of one more type, whatever their attribute.
    pub fn wants(self, event_type: &str) -> Self {
        self.rule(event_type, AttributeRule::Any(true))
    }
    /// Takes events of one more type about one of these attributes.
    pub fn wants_attributes(self, event_type: &str, attributes: &[&str]) -> Self {
        let attributes = attributes.iter().map(|name| (*name).to_owned()).collect();
        self.rule(event_type, AttributeRule::Attrs(attributes))
    }
    /// Runs at least so long.
    pub const fn sleeps(mut self, time: Duration) -> Self {
        self.sleep = time;
        self
    }
    /// A failure stops its plugin.
    pub const fn stops_on_error(mut self) -> Self {
        self.stop_on_error = true;
        self
    }
    /// Misbehaves whenever `every` divides the event's id, the first `times` times it runs for
    /// that event: always if `None`. It has not returned then, nor written to the site.
    pub fn does(mut self, act: Act, every: u64, times: Option<u32>) -> Self {
        self.rules.push(Rule {
            act,
            every: every.max(1),
            times,
        });
        self
    }
    /// Creates an entity on the site for every event: `data`, and `field` set to `text`, in
    /// which `{event}` stands for the event's id.
    pub fn creates(mut self, entity_type: &str, field: &str, text: &str, data: &Value) -> Self {
        self.write = json!({"type": entity_type, "field": field, "text": text, "data": data});
        self
    }
    fn rule(mut self, event_type: &str, rule: AttributeRule) -> Self {
        let mut rules = self.matcher.rules().clone();
        rules.insert(event_type.to_owned(), rule);
        self.matcher = Matcher::new(rules);
        self
    }
    fn settings(&self) -> Value {
        let filters = self.matcher.rules().iter().map(|(event_type, rule)| {
            let filter = match rule {
                // A filter that takes nothing: no attribute is in an empty list.
                AttributeRule::Any(false) => json!([]),
                AttributeRule::Any(true) => Value::Null,
                AttributeRule::Attrs(list) => json!(list),
                AttributeRule::Substring(text) => json!(text),
            };
            (event_type.clone(), filter)
        });
        json!({
            "name": self.name,
            "match": filters.collect::<serde_json::Map<_, _>>(),
            "stop_on_error": self.stop_on_error,
            "sleep_ms": u64::try_from(self.sleep.as_millis()).unwrap_or(u64::MAX),
            "rules": self.rules,
            "write": self.write,
        })
    }
}

/// Puts a file in place, whole.
fn replace(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    let draft = folder.join(format!(".{name}.draft"));
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, &path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use slated_model::EventId;

    use super::*;
    use crate::history::{History, Line, Shown, judge, parse_journal};
    use crate::python;

    /// Loads a plugin as a worker would, far more simply, and calls it for some events.
    const HARNESS: &str = r#"
import importlib.util, sys
spec = importlib.util.spec_from_file_location("p", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
class Reg:
    calls = []
    def registerCallback(self, name, key, callback, match=None, args=None, stop=True):
        self.calls.append((callback, match, args))
class Site:
    def create(self, kind, data): print(kind, sorted(data.items()))
module.registerCallbacks(Reg())
for id in map(int, sys.argv[2:]):
    for callback, match, args in Reg.calls:
        if not match or "Note" in match:
            try:
                callback(Site(), None, {"id": id, "event_type": "Note"}, args)
            except Exception as error:
                print(callback.__name__, id, error)
"#;

    fn run(plugin: &Plugin, events: &[&str]) -> (String, Vec<Line>) {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.jsonl");
        let script = Script {
            name: "s".into(),
            key: "k".into(),
        };
        plugin
            .write(folder.path(), "plugins", &script, &journal)
            .unwrap();
        let output = Command::new(python::interpreter().unwrap())
            .args(["-c", HARNESS])
            .arg(folder.path().join(format!("{}.py", plugin.name())))
            .args(events)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let lines = parse_journal(&std::fs::read_to_string(journal).unwrap()).unwrap();
        (String::from_utf8(output.stdout).unwrap(), lines)
    }

    #[test]
    fn a_journal_is_what_the_checker_reads() {
        let plugin = Plugin::journal("notes")
            .callback(Callback::new("f").wants("Note"))
            .callback(Callback::new("f"))
            .callback(Callback::new("g").wants_attributes("Task", &["sg_status_list"]));
        let (said, journal) = run(&plugin, &["7", "8"]);
        assert_eq!(said, "");
        let history = History {
            shown: vec![Shown::new(7, 1, "Note"), Shown::new(8, 1, "Note")],
            lanes: plugin.lane("plugins", 16, false).into_iter().collect(),
            journal,
            ..History::default()
        };
        let verdict = judge(&history);
        verdict.kept(4).unwrap();
        assert_eq!(verdict.bodies, 4);
    }

    #[test]
    fn rules_hold_over_many_runs() {
        let rule = Callback::new("f").does(Act::Raise, 7, Some(2));
        let (said, journal) = run(
            &Plugin::journal("p").callback(rule),
            &["7", "7", "7", "8", "14"],
        );
        assert_eq!(
            said,
            "f 7 told to fail\nf 7 told to fail\nf 14 told to fail\n"
        );
        let ok = |line: &Line| match line {
            Line::End { ok, .. } => Some(*ok),
            _ => None,
        };
        let ends: Vec<bool> = journal.iter().filter_map(ok).collect();
        assert_eq!(ends, [false, false, true, true, false]);
    }

    #[test]
    fn a_process_that_exits_leaves_its_body_open() {
        let rule = Callback::new("f").does(Act::Exit, 8, None);
        let (_, journal) = run(&Plugin::journal("p").callback(rule), &["7", "8", "9"]);
        assert!(
            matches!(
                journal.as_slice(),
                [
                    Line::Load { .. },
                    Line::Start { .. },
                    Line::End { ok: true, .. },
                    Line::Start {
                        event: EventId(8),
                        ..
                    },
                ]
            ),
            "{journal:?}"
        );
    }

    #[test]
    fn a_callback_may_write_to_the_site() {
        let data = json!({"project": 1});
        let writes = Callback::new("f").creates("Note", "subject", "seen {event}", &data);
        let (said, _) = run(&Plugin::journal("p").callback(writes), &["7"]);
        assert_eq!(said, "Note [('project', 1), ('subject', 'seen 7')]\n");
    }

    #[test]
    fn only_plugins_that_do_not_sleep_get_a_window() {
        let window = |plugin: Plugin| plugin.lane("plugins", 16, true).map(|lane| lane.window);
        let slow = || Callback::new("f").sleeps(Duration::from_millis(5));
        assert_eq!(window(Plugin::journal("p")), Some(16));
        assert_eq!(window(Plugin::journal("p").callback(slow())), Some(1));
        assert_eq!(
            window(
                Plugin::journal("p")
                    .callback(slow())
                    .callback(Callback::new("g"))
            ),
            Some(16)
        );
        assert_eq!(window(Plugin::source("p", "")), None);
    }
}
