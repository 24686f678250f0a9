//! What a new site is filled with: scripts, a small production, aged events.

mod events;
mod production;

use serde_json::{Value, json};

pub use events::Mix;
pub(crate) use events::events;
pub(crate) use production::production;

use crate::{
    access::Actor,
    clock::Moment,
    commit::Transaction,
    link::Link,
    state::State,
    write::{FieldWrite, Writer},
};

/// The scripts every site has: the daemon's and one for each example plugin.
pub const SCRIPTS: [&str; 9] = [
    "slated",
    "task_follows_version",
    "note_on_approval",
    "notify_coordinator",
    "shot_follows_tasks",
    "tasks_follow_shot",
    "assignee_joins_project",
    "folders_for_shot",
    "movie_of_version",
];

/// Writes entities without making event rows.
struct Quiet<'a> {
    state: &'a mut State,
    now: Moment,
}

impl Quiet<'_> {
    fn add(&mut self, kind: &str, fields: Value) -> Link {
        let actor = Actor {
            user: Link::new("ApiUser", 1),
            sudo: None,
            session_uuid: Value::Null,
            logs: false,
        };
        let now = self.now;
        let id = Transaction::with(|transaction| {
            let writes = FieldWrite::of_object(fields)?;
            Writer {
                data: &mut self.state.data,
                commits: &mut self.state.commits,
                rng: &mut self.state.rng,
                transaction,
                actor: &actor,
                now,
            }
            .create(kind, writes)
        });
        // What is seeded is part of this program; the tests of `production` would show a
        // mistake as a missing entity.
        Link::new(kind, id.unwrap_or_default())
    }
}

/// Makes the scripts; each logs its writes.
pub(crate) fn scripts(state: &mut State, now: Moment) {
    let mut quiet = Quiet { state, now };
    for name in SCRIPTS {
        quiet.add(
            "ApiUser",
            json!({"firstname": name, "description": "Made by the simulator"}),
        );
    }
}
