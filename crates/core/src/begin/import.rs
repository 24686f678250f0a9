//! Where each plugin starts that the Python daemon has run (ARCHITECTURE.md, "Where a lane starts").
//!
//! Each gets its own floor and its own owed ids; the site is read from the lowest floor. A position
//! that is not needed does not count for the lowest, unless it is near: a plugin that stood still for
//! months, or whose file is long gone, would have the whole site read for it. It is kept on record,
//! and where the log will begin after it, the plugin is held until a person chooses.

use std::collections::BTreeMap;

use slated_model::{EventId, HoldRow, LaneRow, Offset, OldPosition, OldState, PluginId, Start};

/// A plugin that is so many ids behind the furthest is held until a person chooses.
const FAR: u64 = 50_000;

/// A plugin that is not needed now has the site read for it all the same if it is no more ids
/// below: that costs a few pages, and it need not be held when it comes back.
const NEAR: u64 = 5_000;

/// Plugins after it in the order do not wait for one that is so many ids behind the furthest.
const BEHIND: u64 = 500;

/// The content on record of a plugin that the Python daemon ran and whose file is not there: it is
/// a plugin, and nobody knows what its file says.
const RAN_ELSEWHERE: &str = "unknown";

/// A plugin whose file is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Which.
    pub plugin: PluginId,
    /// Whether its file names `registerCallbacks`; one that does not is a module that others
    /// import.
    pub registers: bool,
}

/// Where a plugin without a position starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewPlugins {
    /// With what is seen from now on.
    Now,
    /// With this event.
    Id(EventId),
}

/// What an import comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Where each plugin starts and why: those whose files are there in the order given, then
    /// those that only the file knows.
    pub lines: Vec<Line>,
    /// The lanes of all that have a position.
    pub lanes: Vec<LaneRow>,
    /// Where the site is read from.
    pub start: Start,
}

/// Where one plugin starts, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The plugin.
    pub plugin: PluginId,
    /// Where.
    pub at: At,
    /// Why.
    pub why: Why,
}

/// Where a plugin starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// As one that was never seen.
    New,
    /// After this event.
    After {
        /// The highest id it has handled.
        last: EventId,
        /// Ids below that it still gets.
        owed: Vec<EventId>,
        /// Why it waits for a person, if it does.
        hold: Option<String>,
        /// Its file is not there: it starts when it is back.
        absent: bool,
        /// It does not register anything, as far as can be seen.
        helper: bool,
    },
}

/// Why a plugin starts there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The file has its position.
    Own,
    /// The file has one number for all.
    Number,
    /// The file knows a plugin of this name in another folder.
    Namesake {
        /// The one whose position it takes.
        from: PluginId,
        /// Whether that one's file is gone, so that it was moved.
        moved: bool,
    },
    /// The file knows no plugin of this name.
    Unknown,
    /// The file knows it, and has no position.
    NoPosition,
    /// A person said so.
    Asked,
    /// There is no state, and no file.
    NoState,
}

/// Says where every plugin starts by what the Python daemon has on record.
pub fn import(old: &OldState, present: &[Present], new: NewPlugins) -> Import {
    let file = File::of(old);
    let mut found: Vec<_> = present.iter().map(|p| file.find(p, present)).collect();
    let absent = file.0.values().filter(|p| !is_there(present, &p.plugin));
    found.extend(absent.filter_map(|position| {
        Some(Found {
            plugin: position.plugin.clone(),
            position: Some((handled(position)?, position.missing.clone())),
            why: Why::Own,
            absent: true,
            helper: false,
        })
    }));
    let moved: BTreeMap<_, _> = found
        .iter()
        .rev()
        .filter_map(|f| match &f.why {
            Why::Namesake { from, moved: true } => Some((from.clone(), f.plugin.clone())),
            _ => None,
        })
        .collect();
    let reach = Reach::of(&found, new);
    let mut import = Import {
        lines: Vec::new(),
        lanes: Vec::new(),
        start: reach.start(&found, new),
    };
    for one in found {
        let at = reach.place(&one);
        if let At::After {
            last,
            owed,
            hold,
            absent,
            ..
        } = &at
        {
            import.lanes.push(LaneRow {
                floor: Some(*last),
                owed: owed.clone(),
                hold: hold.clone().map(|reason| HoldRow {
                    event: None,
                    callback: None,
                    reason,
                }),
                gone: *absent,
                content: if *absent { RAN_ELSEWHERE } else { "" }.to_owned(),
                moved_to: moved.get(&one.plugin).cloned(),
                in_line_from: reach.in_line_from(*last),
                ..LaneRow::new(one.plugin.clone(), Offset(0))
            });
        }
        // Where it went stands with the one that took its place.
        if !moved.contains_key(&one.plugin) {
            import.lines.push(Line {
                plugin: one.plugin,
                at,
                why: one.why,
            });
        }
    }
    import
}

fn is_there(present: &[Present], plugin: &PluginId) -> bool {
    present.iter().any(|p| p.plugin == *plugin)
}

/// Returns the highest id handled. The Python daemon takes 0 for none, as it does `None`.
fn handled(position: &OldPosition) -> Option<EventId> {
    position.last.filter(|last| *last > EventId(0))
}

/// A plugin with what was found for it.
struct Found {
    plugin: PluginId,
    /// The highest id handled, and the ids still missing.
    position: Option<(EventId, Vec<EventId>)>,
    why: Why,
    absent: bool,
    helper: bool,
}

impl Found {
    const fn of(plugin: PluginId, helper: bool, why: Why) -> Self {
        Self {
            plugin,
            position: None,
            why,
            absent: false,
            helper,
        }
    }
}

/// What the Python daemon has on record, by plugin.
struct File(BTreeMap<PluginId, OldPosition>, Option<EventId>);

impl File {
    fn of(old: &OldState) -> Self {
        let mut all = BTreeMap::<PluginId, OldPosition>::new();
        match old {
            OldState::Integer(id) => return Self(all, Some(*id)),
            OldState::Plugins(positions) => {
                for position in positions {
                    // Folders that differ by a slash behind: the further one is in use.
                    let known = all.get(&position.plugin);
                    if known.is_none_or(|known| known.last < position.last) {
                        all.insert(position.plugin.clone(), position.clone());
                    }
                }
            }
        }
        Self(all, None)
    }

    fn find(&self, there: &Present, present: &[Present]) -> Found {
        let (plugin, helper) = (there.plugin.clone(), !there.registers);
        let with = |position: Option<(EventId, Vec<EventId>)>, why| Found {
            position,
            ..Found::of(plugin.clone(), helper, why)
        };
        if let Some(number) = self.1 {
            return match number {
                EventId(0) => with(None, Why::NoPosition),
                number => with(Some((number, Vec::new())), Why::Number),
            };
        }
        let at = |p: &OldPosition| Some((handled(p)?, p.missing.clone()));
        if let Some(own) = self.0.get(&plugin) {
            return match at(own) {
                None => with(None, Why::NoPosition),
                position => with(position, Why::Own),
            };
        }
        // The Python daemon looks elsewhere only for a folder it knows nothing of; a file that
        // left another folder was moved all the same.
        let new_folder = !self.0.keys().any(|p| p.folder() == plugin.folder());
        let namesakes = self.0.values().filter(|p| {
            p.plugin.stem() == plugin.stem() && (new_folder || !is_there(present, &p.plugin))
        });
        // One that is gone goes before one that stands elsewhere and has its own position to keep.
        let likely = namesakes.max_by_key(|p| (!is_there(present, &p.plugin), p.last));
        match likely.and_then(|p| Some((p, at(p)?))) {
            None => with(None, Why::Unknown),
            Some((from, position)) => {
                let from = from.plugin.clone();
                let moved = !is_there(present, &from);
                with(Some(position), Why::Namesake { from, moved })
            }
        }
    }
}

/// From where to where positions reach that count.
struct Reach {
    /// After this the log begins; `None` if that is up to the site.
    lowest: Option<EventId>,
    /// The plugin that is furthest, and where.
    furthest: Option<(PluginId, EventId)>,
    /// Whether positions of plugins count whose files are not there: only where no other has one.
    absent: bool,
}

impl Reach {
    fn of(found: &[Found], new: NewPlugins) -> Self {
        let mut reach = Self {
            lowest: None,
            furthest: None,
            absent: false,
        };
        // A folder that is not mounted must not cost its plugins their places.
        reach.absent = !found.iter().any(|f| reach.counts(f).is_some());
        let counted = |reach: &Self| -> Vec<(PluginId, EventId)> {
            let all = found.iter();
            all.filter_map(|f| Some((f.plugin.clone(), reach.counts(f)?)))
                .collect()
        };
        reach.furthest = counted(&reach).into_iter().max_by_key(|(_, last)| *last);
        let near = counted(&reach)
            .into_iter()
            .filter(|(_, last)| !reach.is_far(*last));
        let lowest = near.map(|(_, last)| last).min().map(|lowest| {
            let others = found.iter().filter(|f| reach.counts(f).is_none());
            let beside = others.filter_map(|f| f.position.as_ref().map(|(last, _)| *last));
            let beside = beside.filter(|last| last.0.saturating_add(NEAR) >= lowest.0);
            beside.min().map_or(lowest, |beside| beside.min(lowest))
        });
        let waits = |f: &Found| f.position.is_none() && !f.helper;
        reach.lowest = match new {
            NewPlugins::Id(id) if found.iter().any(waits) => {
                lowest.map(|lowest| lowest.min(id.prev()))
            }
            _ => lowest,
        };
        reach
    }

    fn counts(&self, found: &Found) -> Option<EventId> {
        let (last, _) = found.position.as_ref()?;
        (!found.helper && found.absent == self.absent).then_some(*last)
    }

    fn is_far(&self, last: EventId) -> bool {
        let ahead = self.furthest.as_ref().map_or(last, |(_, ahead)| *ahead);
        ahead.0.saturating_sub(last.0) > FAR
    }

    /// Says from where on others wait for a plugin: not for one that has far to go.
    fn in_line_from(&self, last: EventId) -> Offset {
        let ahead = self.furthest.as_ref().map_or(last, |(_, ahead)| *ahead);
        if ahead.0.saturating_sub(last.0) > BEHIND {
            LaneRow::OUT_OF_LINE
        } else {
            Offset(0)
        }
    }

    /// Says where the site is read from.
    fn start(&self, found: &[Found], new: NewPlugins) -> Start {
        let (Some(lowest), Some((_, furthest))) = (self.lowest, &self.furthest) else {
            return match new {
                NewPlugins::Id(id) => Start::FromId(id),
                NewPlugins::Now => Start::Latest,
            };
        };
        let placed = found
            .iter()
            .filter_map(|f| f.position.as_ref())
            .filter(|(last, _)| *last >= lowest);
        let mut owed: Vec<_> = placed
            .flat_map(|(last, missing)| owed(*last, missing))
            .collect();
        owed.sort_unstable();
        owed.dedup();
        let mut cursors = vec![lowest, *furthest];
        cursors.dedup();
        Start::Imported { cursors, owed }
    }

    fn place(&self, found: &Found) -> At {
        let Some((last, missing)) = &found.position else {
            return At::New;
        };
        let last = *last;
        let hold = if self.counts(found).is_some() && self.is_far(last) {
            self.furthest.as_ref().map(|(ahead, at)| {
                let behind = at.0.saturating_sub(last.0);
                format!("event {last} is {behind} ids behind {ahead}")
            })
        } else if self.lowest.is_none_or(|lowest| last < lowest) {
            let file = match (found.absent, found.helper) {
                (true, _) => "its file is not there, ",
                (_, true) => "it names no registerCallbacks, ",
                _ => "",
            };
            let begins = self.lowest.map_or_else(
                || "with the site's newest event".into(),
                |lowest| format!("after event {lowest}"),
            );
            Some(format!(
                "{file}it stood at event {last}, and the log begins {begins}"
            ))
        } else {
            None
        };
        let hold = hold.map(|why| format!("{why}; a person must choose where it begins"));
        At::After {
            last,
            owed: owed(last, missing),
            hold,
            absent: found.absent,
            helper: found.helper,
        }
    }
}

/// Returns the ids that a plugin still gets though they are below its position.
fn owed(last: EventId, missing: &[EventId]) -> Vec<EventId> {
    let mut owed: Vec<_> = missing
        .iter()
        .copied()
        .filter(|id| (EventId(1)..last).contains(id))
        .collect();
    owed.sort_unstable();
    owed.dedup();
    owed
}
