//! Dead letters in groups, and held plugins: what `slated failures` shows, and which of them a
//! person means.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use slated_model::{CallbackId, EventId, Failure, LaneRow, Offset, Outcome, OutcomeRow, PluginId};
use slated_store::{Mark, Store};

use super::refusal::{self, Kind};
use super::{Refusal, hold};

/// Dead letters read at once.
const PAGE: usize = 500;
/// Dead letters shown whole: the newest.
pub(crate) const SHOWN: usize = 1000;
/// Groups that are listed: those with the newest letters.
const GROUPS: usize = 1000;
/// Events of a group that are named.
const NAMED: usize = 5;

/// `slated failures list --json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FailuresView {
    /// Dead letters of one cause each, the one with the newest first.
    pub(crate) groups: Vec<GroupView>,
    /// Plugins that wait for a person.
    pub(crate) held: Vec<HeldView>,
    /// Dead letters, also those of groups that are not listed.
    pub(crate) letters: usize,
    /// Whether there are older groups, which are not listed.
    pub(crate) more: bool,
}

/// Dead letters that one callback left for one cause.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GroupView {
    /// Its name, such as `f3a91c20`: the same after a restart, and after an edit that moves lines.
    pub(crate) group: String,
    pub(crate) plugin: PluginId,
    pub(crate) callback: CallbackId,
    /// The newest failure, in a line.
    pub(crate) error: String,
    pub(crate) letters: usize,
    pub(crate) first_at_ms: i64,
    pub(crate) last_at_ms: i64,
    /// The newest events, newest first.
    pub(crate) events: Vec<EventId>,
}

/// A plugin that waits for a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HeldView {
    pub(crate) plugin: PluginId,
    pub(crate) why: String,
}

/// One dead letter; `slated failures show --json` prints an array of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LetterView {
    pub(crate) event: EventId,
    pub(crate) plugin: PluginId,
    pub(crate) callback: CallbackId,
    pub(crate) group: String,
    /// Attempts that failed.
    pub(crate) attempt: u32,
    pub(crate) at_ms: i64,
    pub(crate) failure: Failure,
}

/// What became of a wish for dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WishView {
    /// Those it was done to.
    pub(crate) done: usize,
    /// Those that were no dead letters any more: somebody else was quicker.
    pub(crate) already: usize,
    /// Those that cannot be tried again: the plugin is gone or was moved, or no longer registers the
    /// callback; or nobody can read the row.
    pub(crate) impossible: usize,
    /// Plugins that do not run now, and why: what is to be tried again waits for them.
    #[serde(default)]
    pub(crate) waits: Vec<String>,
}

impl WishView {
    /// Adds what became of more of them.
    pub(crate) fn add(&mut self, more: Self) {
        self.done += more.done;
        self.already += more.already;
        self.impossible += more.impossible;
        for waits in more.waits {
            if !self.waits.contains(&waits) {
                self.waits.push(waits);
            }
        }
    }
}

/// Counts dead letters in words, up to the verb.
pub(crate) fn letters_are(letters: usize) -> String {
    match letters {
        1 => "1 dead letter is".into(),
        n => format!("{n} dead letters are"),
    }
}

/// Which dead letters a person means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    Group(String),
    Event(EventId),
}

/// Those, of one plugin if one is named.
#[derive(Clone, Debug)]
pub(crate) struct Pick {
    pub(crate) which: Which,
    pub(crate) plugin: Option<String>,
}

impl FromStr for Which {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let hex = |t: &str| t.bytes().all(|b| b"0123456789abcdef".contains(&b));
        match text.strip_prefix('f') {
            _ if text == "all" => Ok(Self::All),
            Some(rest) if rest.len() == 7 && hex(rest) => Ok(Self::Group(text.to_owned())),
            _ => text.parse().map(|id| Self::Event(EventId(id))).map_err(|_| {
                "takes a group of `slated failures list` such as f3a91c20, an event id, or `all`"
                    .into()
            }),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Group(group) => f.write_str(group),
            Self::Event(id) => write!(f, "{id}"),
        }
    }
}

/// Reads what waits for a person, of all plugins or the one named: dead letters in groups, and held
/// plugins.
pub(crate) async fn failures(
    store: &dyn Store,
    plugin: Option<String>,
) -> Result<FailuresView, Refusal> {
    let pick = Pick {
        which: Which::All,
        plugin,
    };
    let of = pick.plugin(store).await?;
    let mut groups = Groups::default();
    let mut behind = None;
    loop {
        let page = store.dead_letters(of.clone(), behind, PAGE).await?;
        page.rows.iter().for_each(|letter| groups.add(letter));
        behind = page.next;
        if behind.is_none() {
            break;
        }
    }
    let lanes = store.snapshot().await?.lanes;
    let held = held(&lanes).filter(|lane| of.as_ref().is_none_or(|of| lane.plugin == *of));
    let held = held.filter_map(|lane| {
        Some(HeldView {
            plugin: lane.plugin.clone(),
            why: hold(lane.plugin.stem(), lane.hold.as_ref()?),
        })
    });
    Ok(FailuresView {
        groups: groups.listed,
        held: held.collect(),
        letters: groups.letters,
        more: groups.more,
    })
}

/// Returns the plugins that wait for a person, as far as the record goes.
pub(crate) fn held(lanes: &[LaneRow]) -> impl Iterator<Item = &LaneRow> {
    lanes
        .iter()
        .filter(|lane| lane.is_there() && !lane.stopped && lane.hold.is_some())
}

/// Letters gathered by their cause, the group with the newest first.
#[derive(Default)]
struct Groups {
    listed: Vec<GroupView>,
    places: BTreeMap<String, usize>,
    letters: usize,
    more: bool,
}

impl Groups {
    /// Adds a letter; they come newest first.
    fn add(&mut self, letter: &OutcomeRow) {
        let Some(failure) = failure(letter) else {
            return;
        };
        self.letters += 1;
        let name = group(&letter.plugin, &letter.callback, failure);
        let known = self
            .places
            .get(&name)
            .and_then(|at| self.listed.get_mut(*at));
        if let Some(group) = known {
            group.letters += 1;
            group.first_at_ms = letter.at_ms;
            if group.events.len() < NAMED {
                group.events.push(letter.event);
            }
        } else if self.listed.len() == GROUPS {
            self.more = true;
        } else {
            self.places.insert(name.clone(), self.listed.len());
            self.listed.push(GroupView {
                group: name,
                plugin: letter.plugin.clone(),
                callback: letter.callback.clone(),
                error: failure.summary(),
                letters: 1,
                first_at_ms: letter.at_ms,
                last_at_ms: letter.at_ms,
                events: vec![letter.event],
            });
        }
    }
}

fn failure(letter: &OutcomeRow) -> Option<&Failure> {
    match &letter.outcome {
        Outcome::DeadLetter { failure } => Some(failure),
        _ => None,
    }
}

/// Names the group of a letter: its callback, what failed, and by which functions of which files.
/// Texts and line numbers do not count: they differ from event to event, and from edit to edit.
pub(crate) fn group(plugin: &PluginId, callback: &CallbackId, failure: &Failure) -> String {
    let frames = failure.traceback.lines().filter_map(|line| {
        let (file, rest) = line
            .trim_start()
            .strip_prefix("File ")?
            .split_once(", line ")?;
        Some(format!(
            "{file}{}",
            rest.trim_start_matches(|c: char| c.is_ascii_digit())
        ))
    });
    let head = format!(
        "{plugin}\n{callback}\n{:?}\n{}\n",
        failure.kind, failure.error
    );
    let text = head + &frames.collect::<Vec<_>>().join("\n");
    let sum = format!("{:x}", Sha256::digest(text));
    format!("f{}", sum.get(..7).unwrap_or_default())
}

impl LetterView {
    /// Describes an outcome that is a dead letter.
    pub(crate) fn of(letter: &OutcomeRow) -> Option<Self> {
        let failure = failure(letter)?;
        Some(Self {
            event: letter.event,
            plugin: letter.plugin.clone(),
            callback: letter.callback.clone(),
            group: group(&letter.plugin, &letter.callback, failure),
            attempt: letter.attempt,
            at_ms: letter.at_ms,
            failure: failure.clone(),
        })
    }
}

/// Dead letters, each with the place of its event in the log, where that holds it.
pub(crate) type Placed = Vec<(OutcomeRow, Option<Offset>)>;

impl Pick {
    /// Finds the plugin that is named.
    async fn plugin(&self, store: &dyn Store) -> Result<Option<PluginId>, Refusal> {
        let Some(name) = &self.plugin else {
            return Ok(None);
        };
        let lanes = store.snapshot().await?.lanes;
        let known = lanes.iter().filter(|l| !l.is_only_a_place());
        refusal::find(name, known.map(|l| (&l.plugin, l.gone))).map(Some)
    }

    fn means(&self, letter: &OutcomeRow, plugin: Option<&PluginId>) -> bool {
        let Some(failure) = failure(letter) else {
            return false;
        };
        plugin.is_none_or(|p| letter.plugin == *p)
            && match &self.which {
                Which::All => true,
                Which::Event(id) => letter.event == *id,
                Which::Group(name) => group(&letter.plugin, &letter.callback, failure) == *name,
            }
    }

    /// Begins to look for the letters that are meant.
    pub(crate) async fn look<'a>(&'a self, store: &'a dyn Store) -> Result<Look<'a>, Refusal> {
        Ok(Look {
            pick: self,
            store,
            plugin: self.plugin(store).await?,
            behind: None,
            none: true,
            through: false,
        })
    }

    /// Finds the newest [`SHOWN`] letters that are meant; an error if there are none.
    pub(crate) async fn letters(&self, store: &dyn Store) -> Result<Vec<LetterView>, Refusal> {
        let mut look = self.look(store).await?;
        let mut letters = Vec::new();
        while let Some(meant) = look.next().await? {
            letters.extend(meant.iter().filter_map(LetterView::of));
            if letters.len() >= SHOWN {
                break;
            }
        }
        letters.truncate(SHOWN);
        Ok(letters)
    }

    fn nothing(&self, plugin: Option<&PluginId>) -> Refusal {
        let of = match (&self.which, plugin) {
            (Which::All, None) => String::new(),
            (Which::All, Some(plugin)) => format!("of {plugin}"),
            (which, None) => format!("for `{which}`"),
            (which, Some(plugin)) => format!("for `{which}` of {plugin}"),
        };
        Refusal::new(Kind::Unknown, format!("there is no dead letter {of}"))
            .hint("`slated failures list` shows all")
    }
}

/// A look for dead letters, newest first and some at a time, so that there may be any number of them.
pub(crate) struct Look<'a> {
    pick: &'a Pick,
    store: &'a dyn Store,
    plugin: Option<PluginId>,
    behind: Option<Mark>,
    none: bool,
    through: bool,
}

impl Look<'_> {
    /// Returns the next letters that are meant; an error at the end if there were none at all.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<OutcomeRow>>, Refusal> {
        while !self.through {
            let (mut rows, next) = if let Which::Event(id) = self.pick.which {
                (self.store.fate(id).await?.0, None)
            } else {
                let page = self
                    .store
                    .dead_letters(self.plugin.clone(), self.behind, PAGE);
                let page = page.await?;
                (page.rows, page.next)
            };
            self.behind = next;
            self.through = next.is_none();
            rows.retain(|letter| self.pick.means(letter, self.plugin.as_ref()));
            if !rows.is_empty() {
                self.none = false;
                return Ok(Some(rows));
            }
        }
        if self.none && (self.pick.which != Which::All || self.plugin.is_some()) {
            return Err(self.pick.nothing(self.plugin.as_ref()));
        }
        Ok(None)
    }

    /// Returns the next letters that are meant, with the places of their events.
    pub(crate) async fn placed(&mut self) -> Result<Option<Placed>, Refusal> {
        let Some(meant) = self.next().await? else {
            return Ok(None);
        };
        let mut places = BTreeMap::new();
        let mut placed = Vec::new();
        for letter in meant {
            let place = if let Some(place) = places.get(&letter.event) {
                *place
            } else {
                let row = self.store.event(letter.event).await?;
                let place = row.map(|row| row.offset);
                places.insert(letter.event, place);
                place
            };
            placed.push((letter, place));
        }
        Ok(Some(placed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slated_model::{Change, FailureKind};
    use slated_store::{Options, Sqlite};

    fn letter(event: u64, line: u32, message: &str) -> OutcomeRow {
        let traceback = format!(
            "Traceback (most recent call last):\n  File \"/p/notes.py\", line {line}, in ask\n    x()\nKeyError: {message}"
        );
        OutcomeRow {
            plugin: PluginId::new("/p", "notes"),
            callback: CallbackId::new("ask", 1),
            event: EventId(event),
            attempt: 1,
            outcome: Outcome::DeadLetter {
                failure: Box::new(Failure {
                    kind: FailureKind::Raised,
                    error: "KeyError".into(),
                    message: message.into(),
                    traceback,
                    locals: None,
                    cause: None,
                    us: None,
                    log: Vec::new(),
                }),
            },
            at_ms: event.cast_signed(),
        }
    }

    #[test]
    fn letters_of_one_cause_are_one_group_whatever_they_say_and_whichever_line() {
        let mut other = letter(4, 7, "a");
        other.callback = CallbackId::new("ask", 2);
        let mut elsewhere = letter(3, 7, "a");
        if let Outcome::DeadLetter { failure } = &mut elsewhere.outcome {
            failure.traceback = failure.traceback.replace("in ask", "in look");
        }
        let letters = [
            letter(9, 7, "'code'"),
            letter(8, 31, "'name'"),
            other,
            elsewhere,
            letter(1, 7, "a"),
        ];
        let mut all = Groups::default();
        for letter in &letters {
            all.add(letter);
        }
        assert_eq!((all.letters, all.more), (5, false));
        let groups = all.listed;
        let seen = groups
            .iter()
            .map(|g| (g.letters, g.first_at_ms, g.last_at_ms));
        assert_eq!(seen.collect::<Vec<_>>(), [(3, 1, 9), (1, 4, 4), (1, 3, 3)]);
        let first = groups.first().unwrap();
        assert_eq!(first.events, [EventId(9), EventId(8), EventId(1)]);
        assert_eq!(first.error, "KeyError: 'code'");
        // The name of a group is what a person can write to mean it.
        let which = Which::from_str(&first.group).unwrap();
        assert_eq!(which, Which::Group(first.group.clone()));
    }

    #[test]
    fn a_person_means_a_group_an_event_or_all() {
        for (text, wanted) in [
            ("all", Some(Which::All)),
            ("4711", Some(Which::Event(EventId(4711)))),
            ("f0a1b2c3", Some(Which::Group("f0a1b2c3".into()))),
            ("f0a1b2c", None),
            ("g0a1b2c3", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), wanted, "{text}");
            if let Some(which) = wanted {
                assert_eq!(which.to_string(), text);
            }
        }
    }

    #[tokio::test]
    async fn every_letter_is_looked_at_however_many_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(folder.path(), &Options::default()).unwrap();
        let count = 2 * PAGE as u64 + 7;
        let rows = (1..=count).map(|event| {
            let mut row = letter(event, 7, "a");
            if event == 3 {
                row.callback = CallbackId::new("old", 1);
            }
            Change::Outcome(row)
        });
        store.record(rows.collect()).await.unwrap();
        let view = failures(&store, None).await.unwrap();
        let seen = view
            .groups
            .iter()
            .map(|g| (g.letters as u64, g.first_at_ms));
        assert_eq!(seen.collect::<Vec<_>>(), [(count - 1, 1), (1, 3)]);
        assert!(!view.more && view.letters as u64 == count);
        // A wish reaches the oldest, in bites.
        for (which, wanted) in [
            (Which::All, count),
            (Which::Group(view.groups[1].group.clone()), 1),
            (Which::Event(EventId(1)), 1),
        ] {
            let pick = Pick {
                which,
                plugin: None,
            };
            let mut look = pick.look(&store).await.unwrap();
            let mut seen = 0;
            while let Some(placed) = look.placed().await.unwrap() {
                assert!(placed.len() <= PAGE);
                seen += placed.len() as u64;
            }
            assert_eq!(seen, wanted);
        }
        let all = Pick {
            which: Which::All,
            plugin: None,
        };
        assert_eq!(all.letters(&store).await.unwrap().len(), SHOWN);
    }
}
