//! The modules that plugins import: whose edit is an edit of every plugin that imported them.
//!
//! A worker says which files it imported, and with what content. Here each is held against the
//! file as it stands. Content alone decides: a touch is nothing, and so is a file that is away for
//! a while, or for good, since what was imported runs on. Invariant: a plugin hears once of each
//! content, so that a file that says something else to its worker than to us reloads nobody twice.

use std::collections::BTreeMap;

use slated_model::PluginId;

use super::file::{File, Sight};
use super::{Content, Stamp};
use crate::Mono;

/// What a look at the helper modules found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelperEffect {
    /// The content of this file is to be hashed; `stamp` is to be given back with it.
    Hash {
        /// The file.
        path: String,
        /// The file as seen.
        stamp: Stamp,
    },
    /// A file has another content than these plugins imported.
    Changed {
        /// The file.
        path: String,
        /// Who imported it.
        plugins: Vec<PluginId>,
    },
}

/// Remembers who imported what.
#[derive(Debug, Default)]
pub struct Helpers {
    files: BTreeMap<String, Helper>,
}

#[derive(Debug, Default)]
struct Helper {
    file: File,
    users: BTreeMap<PluginId, User>,
}

/// A plugin that imported a file.
#[derive(Debug)]
struct User {
    /// What it imported; empty if the file was not there.
    imported: Content,
    /// The content it was last told of.
    told: Option<Content>,
}

impl Helpers {
    /// Takes what a plugin has imported by now, in place of what was said of it before.
    pub fn imported(&mut self, plugin: &PluginId, files: &BTreeMap<String, Content>) {
        for (path, imported) in files {
            let users = &mut self.files.entry(path.clone()).or_default().users;
            let imported = imported.clone();
            if let Some(user) = users.get_mut(plugin) {
                user.imported = imported;
            } else {
                let told = None;
                users.insert(plugin.clone(), User { imported, told });
            }
        }
        self.files.retain(|path, helper| {
            if !files.contains_key(path) {
                helper.users.remove(plugin);
            }
            !helper.users.is_empty()
        });
    }

    /// Returns the plugins that imported something.
    pub fn users(&self) -> impl Iterator<Item = &PluginId> {
        self.files.values().flat_map(|helper| helper.users.keys())
    }

    /// Returns the files to look at.
    pub fn paths(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }

    /// Returns when a look is due earlier than the next regular one, if it is.
    pub fn look_again(&self) -> Option<Mono> {
        let files = self.files.values();
        files.filter_map(|helper| helper.file.look_again()).min()
    }

    /// Takes what a look made at `now` showed: a file that is not in it, is not there.
    pub fn step(&mut self, now: Mono, seen: &BTreeMap<String, Stamp>) -> Vec<HelperEffect> {
        let mut effects = Vec::new();
        for (path, helper) in &mut self.files {
            let Some(stamp) = seen.get(path).copied() else {
                helper.file.not_seen(Sight::Absent, now);
                continue;
            };
            if helper.file.seen(stamp, now) {
                let path = path.clone();
                effects.push(HelperEffect::Hash { path, stamp });
            } else {
                effects.extend(helper.differs(path));
            }
        }
        effects
    }

    /// Takes the content of a file whose stamp was `stamp` before and after it was read, or why
    /// it could not be read: whoever imports it says so.
    pub fn hashed(
        &mut self,
        now: Mono,
        path: &str,
        stamp: Stamp,
        content: Result<Content, String>,
    ) -> Option<HelperEffect> {
        let helper = self.files.get_mut(path)?;
        helper.file.hashed(stamp, content, now);
        helper.differs(path)
    }
}

impl Helper {
    /// Says who imported something else than stands there now, and was not told of that.
    fn differs(&mut self, path: &str) -> Option<HelperEffect> {
        let now = self.file.settled()?.clone();
        let mut plugins = Vec::new();
        for (plugin, user) in &mut self.users {
            if user.imported == now {
                user.told = None;
            } else if user.told.as_ref() != Some(&now) {
                user.told = Some(now.clone());
                plugins.push(plugin.clone());
            }
        }
        let path = path.to_owned();
        (!plugins.is_empty()).then_some(HelperEffect::Changed { path, plugins })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(ns: i64) -> Stamp {
        Stamp {
            mtime_ns: ns,
            size: 10,
            inode: 1,
        }
    }

    fn id(name: &str) -> PluginId {
        PluginId::new("p", name)
    }

    fn files(words: &str) -> BTreeMap<String, Content> {
        let word = |w: &str| {
            let (path, content) = w.split_once('=').unwrap();
            (path.to_owned(), Content(content.into()))
        };
        words.split_whitespace().map(word).collect()
    }

    /// Plays looks. Each step is a time in milliseconds and what happens then: `a<lib=1` a plugin
    /// imports a content, `lib:7=1` a file shows a stamp and would read so, `lib:7=!` cannot be
    /// read. What is not named in a step is not there. What comes of it is `lib>a,b`.
    fn check(name: &str, steps: &[(u64, &str, &str)]) {
        let mut helpers = Helpers::default();
        for (ms, words, wanted) in steps {
            let now = Mono::from_millis(*ms);
            let (mut seen, mut contents) = (BTreeMap::new(), BTreeMap::new());
            for word in words.split_whitespace() {
                if let Some((plugin, imported)) = word.split_once('<') {
                    helpers.imported(&id(plugin), &files(&imported.replace(',', " ")));
                    continue;
                }
                let (path, rest) = word.split_once(':').unwrap();
                let (ns, content) = rest.split_once('=').unwrap();
                seen.insert(path.to_owned(), stamp(ns.parse().unwrap()));
                contents.insert(path.to_owned(), content.to_owned());
            }
            let mut told = Vec::new();
            for effect in helpers.step(now, &seen) {
                let changed = match effect {
                    HelperEffect::Hash { path, stamp } => {
                        let content = match contents[&path].as_str() {
                            "!" => Err("no".to_owned()),
                            text => Ok(Content(text.into())),
                        };
                        helpers.hashed(now, &path, stamp, content)
                    }
                    changed @ HelperEffect::Changed { .. } => Some(changed),
                };
                if let Some(HelperEffect::Changed { path, plugins }) = changed {
                    let names: Vec<_> = plugins.iter().map(PluginId::stem).collect();
                    told.push(format!("{path}>{}", names.join(",")));
                }
            }
            assert_eq!(told.join(" "), *wanted, "{name}, at {ms} ms: {words}");
        }
    }

    #[test]
    fn an_edit_reloads_all_that_imported_the_file_and_nobody_else() {
        check(
            "two of three",
            &[
                (0, "a<lib=1 b<lib=1,x=1 c<x=1 lib:7=1 x:7=1", ""),
                (300, "lib:7=1 x:7=1", ""),
                (1000, "lib:8=2 x:7=1", ""),
                (1300, "lib:8=2 x:7=1", "lib>a,b"),
                (2000, "lib:8=2 x:7=1", ""),
                (2300, "a<lib=2 b<lib=2,x=1 lib:8=2 x:7=1", ""),
            ],
        );
    }

    #[test]
    fn what_was_edited_before_its_import_was_told_is_an_edit() {
        check(
            "imported 1, stands 2",
            &[(0, "a<lib=1 lib:8=2", ""), (300, "lib:8=2", "lib>a")],
        );
        // Its worker read the new text before our look did.
        check(
            "imported while we still know the old one",
            &[
                (0, "a<lib=1 lib:7=1", ""),
                (300, "lib:7=1", ""),
                (1000, "a<lib=2 lib:8=2", ""),
                (1300, "lib:8=2", ""),
            ],
        );
    }

    #[test]
    fn a_touch_and_an_absence_are_nothing() {
        check(
            "touched, away, back, and edited",
            &[
                (0, "a<lib=1 lib:7=1", ""),
                (300, "lib:7=1", ""),
                (1000, "lib:8=1", ""),
                (1300, "lib:8=1", ""),
                (2000, "", ""),
                (20_000, "", ""),
                (21_000, "lib:9=1", ""),
                (21_300, "lib:9=1", ""),
                (22_000, "", ""),
                (23_000, "lib:10=2", ""),
                (23_300, "lib:10=2", "lib>a"),
            ],
        );
    }

    #[test]
    fn a_module_that_was_missing_is_news_when_it_comes() {
        check(
            "deployed after the plugin",
            &[
                (0, "a<lib=", ""),
                (9000, "", ""),
                (10_000, "lib:1=1", ""),
                (10_300, "lib:1=1", "lib>a"),
                (11_000, "a<lib=1 lib:1=1", ""),
            ],
        );
    }

    #[test]
    fn a_file_that_is_being_written_or_cannot_be_read_is_no_news() {
        check(
            "three stamps within the debounce",
            &[
                (0, "a<lib=1 lib:7=1", ""),
                (300, "lib:7=1", ""),
                (1000, "lib:8=2", ""),
                (1100, "lib:9=3", ""),
                (1200, "lib:10=4", ""),
                (1500, "lib:10=!", ""),
                (2500, "lib:10=4", "lib>a"),
            ],
        );
    }

    #[test]
    fn nobody_is_told_twice_of_one_content_and_everybody_of_each() {
        check(
            "a worker that goes on importing 1",
            &[
                (0, "a<lib=1 lib:8=2", ""),
                (300, "lib:8=2", "lib>a"),
                (1000, "a<lib=1 lib:8=2", ""),
                (2000, "a<lib=1 lib:9=3", ""),
                (2300, "lib:9=3", "lib>a"),
            ],
        );
        check(
            "there and back",
            &[
                (0, "a<lib=1 lib:7=1", ""),
                (300, "lib:7=1", ""),
                (1000, "lib:8=2", ""),
                (1300, "lib:8=2", "lib>a"),
                (2000, "a<lib=2 lib:9=1", ""),
                (2300, "lib:9=1", "lib>a"),
                (3000, "a<lib=1 lib:10=2", ""),
                (3300, "lib:10=2", "lib>a"),
            ],
        );
    }

    #[test]
    fn what_nobody_imports_any_more_is_forgotten() {
        let mut helpers = Helpers::default();
        helpers.imported(&id("a"), &files("lib=1 x=1"));
        helpers.imported(&id("b"), &files("x=1"));
        helpers.imported(&id("a"), &files("y=1"));
        assert_eq!(helpers.paths().collect::<Vec<_>>(), ["x", "y"]);
        helpers.imported(&id("b"), &BTreeMap::new());
        assert_eq!(helpers.paths().collect::<Vec<_>>(), ["y"]);
        assert_eq!(helpers.users().collect::<Vec<_>>(), [&id("a")]);
    }
}
